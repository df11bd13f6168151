"""Feed runs: one import of a file each, and what they tell of the feed that the files come by.

A feed is AGENCY/NAME of the settings; AGENCY alone where an agency's files are imported by hand.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from psycopg import Connection, sql
from psycopg.rows import class_row
from psycopg.types.json import Json

from db import alerts

_OF_FEED = sql.SQL("feed = %(feed)s")
_BY_HAND = sql.SQL("feed = '' and %(feed)s = any(agencies)")
_LIKE = sql.SQL("feed = %(feed)s and (feed <> '' or agencies && %(agencies)s)")
_CAME_AT = sql.SQL(
    "least(started_at, (select seen_at from feed_watch where feed_watch.feed = %(feed)s and id <= ahead_run))"
)
"""When a run came; of one that was imported while the clock was ahead, when that was seen."""


@dataclass(frozen=True)
class Came:
    """What came by a feed last. A held run shows that the feed is alive; a refused one tells nobody anything."""

    id: int
    started_at: datetime
    outcome: str
    rows: int
    events: int
    notifications: int
    put_aside: int  # rows
    same_since: datetime  # when the same bytes came first, and nothing else since

    def fresh_at(self, same_for: timedelta) -> datetime:
        """When it was last alive: a file that is the same for so long is none that anybody still writes.

        Files without rows are all the same: there was no news.
        """
        return self.same_since if self.rows and self.started_at - self.same_since > same_for else self.started_at


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
    refused: int  # files, since something came last that was not, or while nobody has seen to them


@dataclass(frozen=True)
class Watch:
    """Since when a feed is waited for, and since when it is silent, if it is."""

    feed: str
    since: datetime
    silent_since: datetime | None


_REFUSED, _ASIDE, _REPLACED = "refused: %s", "put aside: %s", "replaced: %s"
"""The keys of what is raised of a feed's files that were refused, of rows of them that were put aside, and of numbers
that became somebody else by them."""
MANY = 20  # runs of a feed, after which it is known what is usual
LATELY = timedelta(hours=1)  # within which files that come one after the other count as one
_TAKEN = re.compile(r"\d{8}T\d{6}\.\d{6}Z(?=-)")  # in the name of a file that lay aside: when it was taken
_UNREAD = "unread %s"  # instead of the digest of a file that could not be read: when it was taken first


def add(
    conn: Connection,
    file: str,
    sha256: str,
    outcome: Literal["applied", "refused", "held"],
    *,
    feed: str = "",
    now: datetime,
) -> int:
    """Keep a run; return its id. Of a file that could not be read, and lay aside, it is known now what it holds."""
    if was := [_UNREAD % taken for taken in _TAKEN.findall(file)]:
        conn.execute("update feed_run set sha256 = %s where feed = %s and sha256 = any(%s)", [sha256, feed, was])
    row = conn.execute(
        """insert into feed_run (file, feed, sha256, started_at, outcome, rows, events, notifications)
           values (%s, %s, %s, %s, %s, 0, 0, 0) returning id""",
        [file, feed, sha256, now, outcome],
    ).fetchone()
    if row is None:
        raise LookupError("the feed run was not kept")
    return row[0]


def unread(file: str, *, now: datetime) -> str:
    """What stands for the digest of a file that cannot be read: it is told from others by when it was taken first."""
    taken = _TAKEN.findall(file)
    return _UNREAD % (taken[-1] if taken else f"{now:%Y%m%dT%H%M%S.%fZ}")


def count(
    conn: Connection,
    run_id: int,
    *,
    rows: int,
    events: int,
    releases: int,
    changes: int,
    listed: int,
    notifications: int,
    of_agencies: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> None:
    """Keep what the run did; or would, where it is held. ``of_agencies``: of a file by hand, and each agency in it."""
    conn.execute(
        """update feed_run set rows = %s, events = %s, releases = %s, changes = %s, listed = %s, notifications = %s,
                               of_agencies = %s
           where id = %s""",
        [
            rows,
            events,
            releases,
            changes,
            listed,
            notifications,
            Json(dict(of_agencies)) if of_agencies else None,
            run_id,
        ],
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
           select id, {came_at} as started_at, outcome, rows, events, notifications, put_aside,
                  (select min(started_at) from mine where id > coalesce((select id from other), 0)) as same_since
           from last"""
    )
    wanted = {"feed": feed, "applied": applied}
    return cursor.execute(query.format(mine=_runs_of(feed), came_at=_CAME_AT), wanted).fetchone()


def arrived(conn: Connection, feed: str, *, after: datetime) -> Arrived:
    """What came by the feed after then and was not the same file again, byte for byte, as the last that came by then.

    Of what was held and overtaken by a newer file, only that counts.
    """
    cursor = conn.cursor(row_factory=class_row(Arrived))
    query = sql.SQL(
        """with mine as (select * from feed_run where {mine} and outcome <> 'refused')
           select count(*) as files, coalesce(sum(rows), 0) as rows, coalesce(sum(events), 0) as events,
                  coalesce(sum(notifications), 0) as notifications, count(*) filter (where outcome = 'held') as held
           from mine where {came_at} > %(after)s and outcome <> 'overtaken' and sha256 is distinct from (
               select sha256 from mine where {came_at} <= %(after)s order by id desc limit 1)"""
    )
    wanted = {"feed": feed, "after": after}
    found = cursor.execute(query.format(mine=_runs_of(feed), came_at=_CAME_AT), wanted).fetchone()
    return found or Arrived(0, 0, 0, 0, 0)


def outcome(conn: Connection, run_id: int) -> str:
    """What became of a run; empty where there is none of that number."""
    row = conn.execute("select outcome from feed_run where id = %s", [run_id]).fetchone()
    return row[0] if row else ""


def counts(conn: Connection, feed: str, last: Came | None) -> Counts:
    """How many runs of the feed are held, and how many files were refused that nothing has made good.

    ``last``: what came by the feed last.
    """
    query = sql.SQL("select count(*) from feed_run where {mine} and outcome = 'held'")
    row = conn.execute(query.format(mine=_runs_of(feed)), {"feed": feed}).fetchone()
    return Counts(row[0] if row else 0, _refused(conn, feed, after=last.id if last else 0, now=None))


def tell_of_refused(conn: Connection, feed: str, file: str, where: str, *, now: datetime) -> None:
    """See that a person knows that this file was refused, and how many were since they were told first.

    What stood in a file of changes is lost until somebody acts, whatever comes after it.
    """
    many = _refused(conn, feed, now=now)
    which = f"{file} of the feed {feed} was refused, and nothing of it took effect; why stands beside it in {where}"
    if many > 1:
        which = f"{many} files of the feed {feed} were refused, the last {file}, and nothing of them took effect; why"
        which += f" stands beside each in {where}"
    says = f"{which}. Let it be corrected and sent again. Only a right snapshot takes the place of all before it by"
    says += " itself; of other files say that they are seen to: movans report over"
    alerts.add(conn, _REFUSED % feed, says, again_every=timedelta(hours=1), now=now)


def made_good(conn: Connection, feed: str, *, has_all: bool, now: datetime) -> None:
    """After a file that was not refused: where nothing is lost any more of those that were, their alert is over.

    That is so where a snapshot took effect, which has everybody, or each of them has come again as it was.
    """
    if has_all or not _refused(conn, feed, now=now):
        alerts.over(conn, _REFUSED % feed, told_first=True, now=now)


def tell_of_aside(
    conn: Connection, feed: str, file: str, put_aside: int, rows: int, *, is_snapshot: bool, now: datetime
) -> None:
    """See that a person knows that so many rows of this file have no effect. A snapshot without any ends it."""
    if put_aside:
        earlier = _since_told(conn, feed, _ASIDE % feed)[0] - 1
        before = f", as were some of {earlier:,} earlier file{'s' if earlier > 1 else ''}" if earlier > 0 else ""
        says = (
            f"{put_aside:,} of {rows:,} rows of {file}, by the feed {feed}, were put aside and have no effect{before};"
            " why stands in its report. Let them be corrected and sent again. Only a snapshot without any ends this by"
            " itself; of other files say that they are seen to: movans report over"
        )
        alerts.add(conn, _ASIDE % feed, says, again_every=timedelta(days=1), now=now)
    elif is_snapshot:
        alerts.over(conn, _ASIDE % feed, told_first=True, now=now)


def tell_of_replaced(conn: Connection, run_id: int, feed: str, many: int, first: str, *, now: datetime) -> None:
    """See that a person knows that so many more numbers became somebody else by this run, the first of them in words.

    Only a person ends it: whoever is registered for such a number may be called of somebody else from then on.
    """
    conn.execute("update feed_run set replaced = replaced + %s where id = %s", [many, run_id])
    key = _REPLACED % (feed or "by hand")
    earlier = _since_told(conn, feed, key)[1] - many
    more = f"; {many - 1:,} more numbers of it are somebody else, too" if many > 1 else ""
    more += f"; and so are {earlier:,} of before" if earlier > 0 else ""
    says = (
        f"By run {run_id} of {feed or 'by hand'}, {first}{more}. Whoever is registered for the one is called of the"
        " other: ask the agency, and say that it is seen to: movans report over"
    )
    alerts.add(conn, key, says, again_every=timedelta(days=1), now=now)


def _since_told(conn: Connection, feed: str, key: str) -> tuple[int, int]:
    """Of how many files rows were put aside, and how many numbers became somebody else, since there is that alert.

    What was held counts from when it took effect. Of no file where there is no such alert, or it is over.
    """
    row = conn.execute(
        """select count(*) filter (where put_aside > 0), coalesce(sum(replaced), 0)::int
           from feed_run f left join held_run on feed_run_id = f.id
           where feed = %(feed)s and coalesce(decided_at, reported_at, started_at) >= (
               select raised_at from alert where key = %(key)s and over_at is null)""",
        {"feed": feed, "key": key},
    ).fetchone()
    return row or (0, 0)


def _refused(conn: Connection, feed: str, *, after: int | None = None, now: datetime | None) -> int:
    """How many files were refused since the alert of it was raised, or now, and have not come again as they were.

    ``after``: and since that run.
    """
    row = conn.execute(
        """select count(distinct sha256) from feed_run r
           where feed = %(feed)s and outcome = 'refused' and (id > %(after)s or started_at >= coalesce(
                   (select raised_at from alert where key = %(key)s and over_at is null), %(now)s))
             and not exists (select from feed_run good where good.feed = r.feed and good.sha256 = r.sha256
                               and good.id > r.id and good.outcome <> 'refused')""",
        {"feed": feed, "key": _REFUSED % feed, "after": after, "now": now},
    ).fetchone()
    return row[0] if row else 0


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


def was_ahead(conn: Connection, feed: str, run_id: int, *, now: datetime) -> None:
    """A run of the feed is of a time to come: it counts as of now, as does each before it that is of a later time."""
    conn.execute("update feed_watch set ahead_run = %s, seen_at = %s where feed = %s", [run_id, now, feed])


def silent_feeds(conn: Connection) -> set[str]:
    """The feeds that are silent."""
    return {feed for (feed,) in conn.execute("select feed from feed_watch where silent_since is not null")}


@dataclass(frozen=True)
class Run:
    id: int
    sha256: str
    started_at: datetime


def last_applied(conn: Connection, feed: str, *, before: int) -> Run | None:
    """The feed's last run before that one that had rows and took effect."""
    cursor = conn.cursor(row_factory=class_row(Run))
    return cursor.execute(
        """select id, sha256, started_at from feed_run
           where feed = %s and id < %s and outcome = 'applied' and rows > 0 order by id desc limit 1""",
        [feed, before],
    ).fetchone()


def began(conn: Connection, feed: str, *, agencies: Collection[str], before: int) -> dict[str, datetime]:
    """When the feed's first run came that had rows and took effect; of files by hand, the first of each agency.

    Of no agency where that run is none before that one.
    """
    query = sql.SQL(
        """select agency, first.started_at from unnest(%(agencies)s::text[]) as one (agency) cross join lateral (
               select started_at from feed_run
               where feed = %(feed)s and (feed <> '' or one.agency = any(agencies)) and id < %(before)s
                 and outcome = 'applied' and rows > 0
               order by id limit 1) first"""
    )
    return dict(conn.execute(query, {"feed": feed, "agencies": list(agencies), "before": before}).fetchall())


_COUNTED = sql.SQL(
    """select f.id, f.started_at, coalesce(its.releases, f.releases) as releases,
              coalesce(its.changes, f.changes) as changes,
              coalesce(its.notifications, f.notifications) as notifications,
              coalesce(its.listed, f.listed) as listed
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

    Of files by hand, what those changed of any of the agencies that held rows of it; files without rows never count.
    Empty where they are too few to tell.
    """
    query = sql.SQL(
        """select count(*), percentile_cont(0.5) within group (order by releases),
                  percentile_cont(0.5) within group (order by changes),
                  percentile_cont(0.5) within group (order by notifications),
                  percentile_cont(0.5) within group (order by listed)
           from ({counted} and f.rows > 0 order by f.id desc limit %(many)s) as last"""
    ).format(counted=_COUNTED.format(like=_LIKE))
    wanted = {"feed": feed, "agencies": list(agencies), "before": before, "many": MANY}
    row = conn.execute(query, wanted).fetchone()
    if row is None or row[0] < MANY:
        return {}
    return dict(zip(("releases", "changes", "notifications", "listed"), row[1:], strict=True))


def lately(
    conn: Connection,
    feed: str,
    *,
    agencies: Collection[str] = (),
    before: int,
    since: datetime | None = None,
    now: datetime,
) -> dict[str, int]:
    """What the feed's runs of the hour before that one changed, named as ``count`` does; of those that came ``since``.

    Of files by hand, what those changed of any of the agencies. What a person has approved is not counted.
    """
    query = sql.SQL(
        """select coalesce(sum(releases), 0)::int, coalesce(sum(changes), 0)::int,
                  coalesce(sum(notifications), 0)::int, coalesce(sum(listed), 0)::int
           from ({counted} and f.started_at > %(hour)s and (%(since)s::timestamptz is null or f.started_at >= %(since)s)
                 and not exists (select from held_run where feed_run_id = f.id)) as lately"""
    ).format(counted=_COUNTED.format(like=_LIKE))
    wanted = {"feed": feed, "agencies": list(agencies), "before": before, "hour": now - LATELY, "since": since}
    row = conn.execute(query, wanted).fetchone()
    return dict(zip(("releases", "changes", "notifications", "listed"), row or (0, 0, 0, 0), strict=True))


def reach(conn: Connection, agencies: Iterable[str]) -> dict[str, tuple[int, int]]:
    """How many each of these has in custody, and how many live registrations there are for its offenders."""
    reached: dict[str, tuple[int, int]] = {}
    for agency in agencies:  # one by one: of a small one PostgreSQL sees only then that it need not read all offenders
        row = conn.execute(
            """select (select count(*) from offender where agency = %(agency)s and status = 'in custody'),
                      (select count(*) from registration r join offender o on o.id = offender_id
                       where agency = %(agency)s and r.ended_at is null)""",
            {"agency": agency},
        ).fetchone()
        reached[agency] = row or (0, 0)
    return reached


def people(conn: Connection, run_id: int, *, now: datetime) -> int:
    """How many registrants are to be told of what has just come of the run: not what took effect of it before."""
    row = conn.execute(
        """select count(distinct registrant_id) from notification n join registration r on r.id = registration_id
           join custody_event e on e.id = event_id where feed_run_id = %s and recorded_at = %s""",
        [run_id, now],
    ).fetchone()
    return row[0] if row else 0
