"""Feed runs: one import of a file each, and what they tell of the feed that the files come by.

A feed is AGENCY/NAME of the settings; AGENCY alone where an agency's files are imported by hand.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from psycopg import Connection, sql
from psycopg.rows import class_row
from psycopg.types.json import Json

_OF_FEED = sql.SQL("feed = %(feed)s")
_BY_HAND = sql.SQL("feed = '' and %(feed)s = any(agencies)")
_LIKE = sql.SQL("feed = %(feed)s and (feed <> '' or agencies && %(agencies)s)")


@dataclass(frozen=True)
class Came:
    """What came by a feed last. A held run shows that the feed is alive; a refused one tells nobody anything."""

    id: int
    started_at: datetime
    outcome: str
    rows: int
    events: int
    notifications: int
    same_since: datetime  # when the same bytes came first, and nothing else since

    def fresh_at(self, same_for: timedelta) -> datetime:
        """When it was last alive: a file that is the same for so long is none that anybody still writes."""
        return self.same_since if self.started_at - self.same_since > same_for else self.started_at


@dataclass(frozen=True)
class Arrived:
    """What came by a feed in a time, all files together."""

    files: int
    rows: int
    events: int
    notifications: int
    held: int  # files


@dataclass(frozen=True)
class Counts:
    held: int
    refused: int  # since something came last that was not


@dataclass(frozen=True)
class Watch:
    """Since when a feed is waited for, and since when it is silent, if it is."""

    feed: str
    since: datetime
    silent_since: datetime | None


MANY = 20  # runs of a feed, after which it is known what is usual
LATELY = timedelta(hours=1)  # within which files that come one after the other count as one


def add(
    conn: Connection,
    file: str,
    sha256: str,
    outcome: Literal["applied", "refused", "held"],
    *,
    feed: str = "",
    now: datetime,
) -> int:
    row = conn.execute(
        """insert into feed_run (file, feed, sha256, started_at, outcome, rows, events, notifications)
           values (%s, %s, %s, %s, %s, 0, 0, 0) returning id""",
        [file, feed, sha256, now, outcome],
    ).fetchone()
    if row is None:
        raise LookupError("the feed run was not kept")
    return row[0]


def count(
    conn: Connection,
    run_id: int,
    *,
    rows: int,
    events: int,
    releases: int,
    changes: int,
    notifications: int,
    of_agencies: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> None:
    """Keep what the run did; or would, where it is held. ``of_agencies``: of a file by hand, and each agency in it."""
    conn.execute(
        """update feed_run set rows = %s, events = %s, releases = %s, changes = %s, notifications = %s,
                               of_agencies = %s
           where id = %s""",
        [rows, events, releases, changes, notifications, Json(dict(of_agencies)) if of_agencies else None, run_id],
    )


def put_aside(conn: Connection, run_id: int, rows: Sequence[tuple[int, list[str], Mapping[str, str]]]) -> None:
    """Keep the rows of a run that were not believed: the number of each, why, and what stood in it."""
    conn.execute("update feed_run set put_aside = %s where id = %s", [len(rows), run_id])
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into feed_row_aside (feed_run_id, row, mistakes, given) values (%s, %s, %s, %s)",
            [
                # A text of PostgreSQL holds no NUL.
                [run_id, row, mistakes, Json({field: text.replace("\0", "") for field, text in given.items()})]
                for row, mistakes, given in rows
            ],
        )


def of_agencies(conn: Connection, run_id: int, agencies: Collection[str]) -> None:
    """Note whose rows a custody file by hand held."""
    conn.execute("update feed_run set agencies = %s where id = %s and feed = ''", [sorted(agencies), run_id])


def came(conn: Connection, feed: str, *, applied: bool = False) -> Came | None:
    """What came by the feed last and was not refused; ``applied``: and took effect. None where nothing ever did."""
    cursor = conn.cursor(row_factory=class_row(Came))
    query = sql.SQL(
        """with mine as not materialized (
               select * from feed_run
               where {mine} and (outcome = 'applied' or outcome <> 'refused' and not %(applied)s)),
           last as (select * from mine order by id desc limit 1),
           other as (select id from mine where sha256 <> (select sha256 from last) order by id desc limit 1)
           select id, started_at, outcome, rows, events, notifications,
                  (select min(started_at) from mine where id > coalesce((select id from other), 0)) as same_since
           from last"""
    )
    return cursor.execute(query.format(mine=_runs_of(feed)), {"feed": feed, "applied": applied}).fetchone()


def arrived(conn: Connection, feed: str, *, after: datetime) -> Arrived:
    """What came by the feed after then and was not the same file again, byte for byte, as the last that came by then.

    Of what was held and overtaken by a newer file, only that counts.
    """
    cursor = conn.cursor(row_factory=class_row(Arrived))
    query = sql.SQL(
        """with mine as (select * from feed_run where {mine} and outcome <> 'refused')
           select count(*) as files, coalesce(sum(rows), 0) as rows, coalesce(sum(events), 0) as events,
                  coalesce(sum(notifications), 0) as notifications, count(*) filter (where outcome = 'held') as held
           from mine where started_at > %(after)s and outcome <> 'overtaken' and sha256 is distinct from (
               select sha256 from mine where started_at <= %(after)s order by id desc limit 1)"""
    )
    found = cursor.execute(query.format(mine=_runs_of(feed)), {"feed": feed, "after": after}).fetchone()
    return found or Arrived(0, 0, 0, 0, 0)


def counts(conn: Connection, feed: str) -> Counts:
    """How many runs of the feed are held, and how many were refused since the last that was not."""
    cursor = conn.cursor(row_factory=class_row(Counts))
    query = sql.SQL(
        """with mine as (select id, outcome from feed_run where {mine})
           select count(*) filter (where outcome = 'held') as held,
                  count(*) filter (where outcome = 'refused' and id > (
                      select coalesce(max(id), 0) from mine where outcome <> 'refused')) as refused
           from mine"""
    )
    return cursor.execute(query.format(mine=_runs_of(feed)), {"feed": feed}).fetchone() or Counts(0, 0)


def _runs_of(feed: str) -> sql.SQL:
    return _OF_FEED if "/" in feed else _BY_HAND


def watch(conn: Connection, feeds: Iterable[str], *, now: datetime) -> dict[str, Watch]:
    """Wait for these feeds from now on, and for no others; return all that are waited for."""
    names = list(feeds)
    conn.execute(
        "insert into feed_watch (feed, since) select unnest(%s::text[]), %s on conflict (feed) do nothing", [names, now]
    )
    conn.execute("delete from feed_watch where feed <> all(%s)", [names])
    cursor = conn.cursor(row_factory=class_row(Watch))
    return {one.feed: one for one in cursor.execute("select feed, since, silent_since from feed_watch")}


def silent(conn: Connection, feed: str, since: datetime | None) -> None:
    """The feed is silent since then; None: it is not any more."""
    conn.execute("update feed_watch set silent_since = %s where feed = %s", [since, feed])


@dataclass(frozen=True)
class Run:
    id: int
    sha256: str
    started_at: datetime


def last_applied(conn: Connection, feed: str, *, agencies: Collection[str] = (), before: int) -> Run | None:
    """The feed's last run before that one that took effect; of files by hand, one of any of the agencies."""
    cursor = conn.cursor(row_factory=class_row(Run))
    query = sql.SQL(
        """select id, sha256, started_at from feed_run
           where {like} and id < %(before)s and outcome = 'applied' order by id desc limit 1"""
    )
    wanted = {"feed": feed, "agencies": list(agencies), "before": before}
    return cursor.execute(query.format(like=_LIKE), wanted).fetchone()


_COUNTED = sql.SQL(
    """select f.id, f.started_at, coalesce(its.releases, f.releases) as releases,
              coalesce(its.changes, f.changes) as changes,
              coalesce(its.notifications, f.notifications) as notifications,
              coalesce(its.listed, f.events - f.changes) as listed
       from feed_run f left join lateral (
           select coalesce(sum((one ->> 'releases')::int), 0) as releases,
                  coalesce(sum((one ->> 'changes')::int), 0) as changes,
                  coalesce(sum((one ->> 'notifications')::int), 0) as notifications,
                  coalesce(sum((one ->> 'listed')::int), 0) as listed
           from jsonb_each(of_agencies) as each (agency, one) where agency = any(%(agencies)s)
       ) its on of_agencies is not null
       where {like} and f.id < %(before)s and outcome = 'applied'"""
)
"""The runs of a feed before one that took effect, with what they changed; of files by hand, of these agencies."""


def usual(conn: Connection, feed: str, *, agencies: Collection[str] = (), before: int) -> dict[str, float]:
    """The medians of what the feed's last runs before that one changed, named as ``count`` does.

    Of files by hand, what those changed of any of the agencies that held rows of it. Empty where they are too few to
    tell.
    """
    query = sql.SQL(
        """select count(*), percentile_cont(0.5) within group (order by releases),
                  percentile_cont(0.5) within group (order by changes),
                  percentile_cont(0.5) within group (order by notifications),
                  percentile_cont(0.5) within group (order by listed)
           from ({counted} order by f.id desc limit %(many)s) as last"""
    ).format(counted=_COUNTED.format(like=_LIKE))
    wanted = {"feed": feed, "agencies": list(agencies), "before": before, "many": MANY}
    row = conn.execute(query, wanted).fetchone()
    if row is None or row[0] < MANY:
        return {}
    return dict(zip(("releases", "changes", "notifications", "listed"), row[1:], strict=True))


def lately(
    conn: Connection, feed: str, *, agencies: Collection[str] = (), before: int, now: datetime
) -> dict[str, int]:
    """What the feed's runs of the hour before that one changed, named as ``count`` does.

    Of files by hand, what those changed of any of the agencies. What a person has approved is not counted.
    """
    query = sql.SQL(
        """select coalesce(sum(releases), 0), coalesce(sum(changes), 0), coalesce(sum(notifications), 0)
           from ({counted} and f.started_at > %(since)s
                 and not exists (select from held_run where feed_run_id = f.id)) as lately"""
    ).format(counted=_COUNTED.format(like=_LIKE))
    wanted = {"feed": feed, "agencies": list(agencies), "before": before, "since": now - LATELY}
    row = conn.execute(query, wanted).fetchone()
    return dict(zip(("releases", "changes", "notifications"), row or (0, 0, 0), strict=True))


def reach(conn: Connection, agencies: Iterable[str]) -> dict[str, tuple[int, int]]:
    """How many each of these has in custody, and how many live registrations there are for its offenders."""
    rows = conn.execute(
        """select agency, (select count(*) from offender o where o.agency = one.agency and status = 'in custody'),
                  (select count(*) from registration r join offender o on o.id = offender_id
                   where o.agency = one.agency and r.ended_at is null)
           from unnest(%s::text[]) as one (agency)""",
        [list(agencies)],
    )
    return {agency: (held, registrations) for agency, held, registrations in rows}


def people(conn: Connection, run_id: int, *, now: datetime) -> int:
    """How many registrants are to be told of what has just come of the run: not what took effect of it before."""
    row = conn.execute(
        """select count(distinct registrant_id) from notification n join registration r on r.id = registration_id
           join custody_event e on e.id = event_id where feed_run_id = %s and recorded_at = %s""",
        [run_id, now],
    ).fetchone()
    return row[0] if row else 0
