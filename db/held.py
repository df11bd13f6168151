"""Runs that are held: they change too much to take effect before a person has looked at them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

from db import alerts

_STUCK = "held run %s"  # the keys of alerts
_REJECTED = "rejected: %s"
_UNNAMED = "unnamed: %s"
_AGAIN = timedelta(hours=1)  # after which staff are told again of what is still held
_HELD = """
    select f.id, f.feed, file, sha256, started_at, because, since, population, reported_at, f.outcome, overtaken_at,
           coalesce(unconfirmed, 0) as unconfirmed,
           greatest(touched, (select count(distinct (agency, number)) from held_change c
                              join feed_run other on other.id = c.feed_run_id
                              where other.feed = f.feed and other.outcome = 'held')) as touched
    from feed_run f join held_run on feed_run_id = f.id left join undecided u on u.id = f.id
    where (u.id is not null or (%(or_rejected)s and f.outcome = 'rejected')) """


class Changed(NamedTuple):
    """One change: whose it is, the kind of its event, and the status since then."""

    agency: str
    number: str
    kind: str
    status: str
    at: datetime | None
    facility: str


@dataclass(frozen=True)
class Held:
    """A run that waits for a person. ``touched``: of how many offenders all that is held of its feed has news.

    ``unconfirmed``: how many events went out of it that are not yet confirmed, of which alone is to be decided where it
    is not held any more: a newer file took its place, or only other kinds of it were approved. ``overtaken_at``: when a
    newer snapshot took the place of all of it but the rows of people who got out and are not in that.
    """

    id: int
    feed: str
    file: str
    sha256: str
    started_at: datetime
    because: list[str]
    since: datetime
    touched: int
    population: int
    reported_at: datetime | None
    outcome: str
    unconfirmed: int
    overtaken_at: datetime | None

    @property
    def is_held(self) -> bool:
        return self.outcome == "held"


def hold(
    conn: Connection,
    run_id: int,
    content: bytes,
    because: list[str],
    places: Iterable[tuple[str, str]],
    changes: Iterable[Changed] = (),
    *,
    touched: int,
    population: int,
    since: datetime,
    now: datetime,
) -> None:
    """Keep a run's file until a person decides, and see that one is told.

    ``places``: agency and facility of those of whom it has news. ``changes``: what it would do now.
    """
    conn.execute("update feed_run set outcome = 'held' where id = %s", [run_id])
    conn.execute(
        "insert into held_run (feed_run_id, content, because, since, touched, population) values (%s,%b,%s,%s,%s,%s)",
        [run_id, content, because, since, touched, population],
    )
    _keep_news(conn, run_id, places, changes)
    tell(conn, _named(conn, run_id)[0], now=now)


def _keep_news(conn: Connection, run_id: int, places: Iterable[tuple[str, str]], changes: Iterable[Changed]) -> None:
    with conn.cursor() as cursor:
        cursor.executemany("insert into held_news values (%s, %s, %s)", [(run_id, *place) for place in set(places)])
        with cursor.copy(
            "copy held_change (feed_run_id, agency, number, kind, status, at, facility) from stdin"
        ) as copy:
            for change in changes:
                copy.write_row((run_id, *change))


def tell(conn: Connection, feed: str, *, now: datetime) -> None:
    """See that a person knows what waits for them of a feed: one alert for all of it, told again while anything does.

    That is what is held; else what went out unconfirmed and was left so.
    """
    row = conn.execute(
        """select u.id, outcome = 'held', coalesce(nullif(u.feed, ''), file), because[1], unconfirmed,
                  count(*) filter (where outcome = 'held') over ()
           from undecided u join feed_run using (id, outcome) join held_run on feed_run_id = id where u.feed = %s
           order by 2 desc, id * case when outcome = 'held' then -1 else 1 end limit 1""",
        [feed],
    ).fetchone()
    if row is None:
        alerts.over(conn, _key(feed), now=now)
        return
    run_id, is_held, name, because, unconfirmed, many = row
    if is_held:
        says = f"Feed run {run_id} ({name}) is held, and nobody is called of it: {because}"
        says += f"; and {many - 1} more before it. movans feed held" if many > 1 else ". movans feed held"
    else:
        says = (
            f"{unconfirmed} releases or escapes went out of feed run {run_id} as not yet confirmed, and nothing"
            f" confirms them: movans feed approve or reject {run_id}"
        )
    alerts.add(conn, _key(feed), says, again_every=_AGAIN, now=now)


def waiting(conn: Connection) -> list[Held]:
    """What waits for a person, the oldest first."""
    return conn.cursor(row_factory=class_row(Held)).execute(_HELD + "order by f.id", {"or_rejected": False}).fetchall()


def get(conn: Connection, run_id: int, *, or_rejected: bool = False) -> Held | None:
    """A run that waits for a person; None where there is none, or it is decided otherwise."""
    cursor = conn.cursor(row_factory=class_row(Held))
    return cursor.execute(_HELD + "and f.id = %(id)s", {"id": run_id, "or_rejected": or_rejected}).fetchone()


Rejected = tuple[str, str, str, datetime, str]
"""Whose a change is that shall not take effect: agency, number, status, since when, and for custody, where."""


def rejected(conn: Connection, agencies: Collection[str]) -> set[Rejected]:
    """What a person has said that it shall not take effect.

    Not of who was listed for the first time: nobody is called of that, and they would never be known. Nor of who a
    number is.
    """
    rows = conn.execute(
        """select agency, number, status, at, case status when 'in custody' then facility else '' end from held_change
           where agency = any(%s) and rejected_at is not null and status <> ''
             and kind <> all('{amended,listed,renamed,replaced}')""",
        [list(agencies)],
    )
    return set(rows)


def unreject(conn: Connection, run_id: int) -> None:
    """What was rejected of a run shall take effect after all."""
    conn.execute(
        """update held_change c set rejected_at = null from held_change its
           where its.feed_run_id = %s and (c.feed_run_id = its.feed_run_id or
               (c.agency, c.number, c.status, c.at, c.facility)
               = (its.agency, its.number, its.status, its.at, its.facility))""",
        [run_id],
    )


def tell_of_rejected(conn: Connection, feed: str, many: int, *, now: datetime) -> None:
    """See that a person knows how much of a file was rejected before, and so has no effect: some may be true."""
    says = (
        f"A file of {feed or 'by hand'} says again {many:,} changes that were rejected, and they have no effect. Where"
        " one is true: movans custody set; where all are: movans feed approve with the run that was rejected"
    )
    alerts.add_anew(conn, _REJECTED % (feed or "by hand"), says, again_every=timedelta(days=1), now=now)


def rejected_no_more(conn: Connection, feed: str, *, now: datetime) -> None:
    """A file that has everybody says nothing again that was rejected, or that is approved by now."""
    alerts.over(conn, _REJECTED % (feed or "by hand"), now=now)


def tell_of_unnamed(conn: Connection, feed: str, many: int, *, now: datetime) -> None:
    """See that a person knows that nobody counts as missing in a snapshot, because so many rows may be anybody's."""
    if many:
        says = (
            f"In the last snapshot of {feed} nobody can read whose {many:,} rows are, so nobody counts as missing in"
            " it: let the file be corrected where it comes from; its report names the rows"
        )
        alerts.add(conn, _UNNAMED % feed, says, again_every=timedelta(days=1), now=now)
    else:
        alerts.over(conn, _UNNAMED % feed, now=now)


def content(conn: Connection, run_id: int) -> bytes:
    row = conn.execute("select content from held_run where feed_run_id = %s", [run_id], binary=True).fetchone()
    if row is None:
        raise LookupError(f"run {run_id} was never held")
    return row[0]


def decide(
    conn: Connection,
    run_id: int,
    outcome: Literal["applied", "rejected", "held"],
    *,
    only: Collection[str] | None = None,
    now: datetime,
) -> None:
    """A person has decided; what went out of it unconfirmed is confirmed where they approve: of these kinds, or all.

    The others of its changes are rejected, or wait with it where it stays held: what is rejected is no news in a later
    file either. Where it was not held any more, its outcome stays.
    """
    went_out = reported(conn, run_id)
    conn.execute("update held_run set decided_at = %s where feed_run_id = %s", [now, run_id])
    of_all = conn.execute(
        "update feed_run set outcome = %s where id = %s and outcome in ('held', 'rejected')", [outcome, run_id]
    ).rowcount
    if of_all and outcome == "rejected":
        conn.execute("update held_change set rejected_at = %s where feed_run_id = %s", [now, run_id])
    if outcome != "rejected":
        conn.execute(
            """update custody_event set reported = false
               where id = any(%s) and kind = any(coalesce(%s::text[], array[kind]))""",
            [went_out, None if only is None else list(only)],
        )
    alerts.over(conn, _STUCK % run_id, now=now)
    tell(conn, _named(conn, run_id)[0], now=now)


def confirm(conn: Connection, event_ids: Collection[int]) -> None:
    """What went out unconfirmed is confirmed: a file that took effect has said it again."""
    conn.execute("update custody_event set reported = false where id = any(%s)", [list(event_ids)])


def unconfirmed(conn: Connection, feed: str, sha256: str, *, before: int, is_snapshot: bool) -> frozenset[int]:
    """The events that went out unconfirmed of those runs before that one that it overtakes, or that were overtaken."""
    rows = conn.execute(
        """select e.id from custody_event e join feed_run f on f.id = feed_run_id
           where reported and retracted_at is null and feed = %s and f.id < %s and outcome in ('held', 'overtaken')
             and (%s or sha256 = %s)""",
        [feed, before, is_snapshot, sha256],
    )
    return frozenset(event_id for (event_id,) in rows)


def older(conn: Connection, feed: str, sha256: str, *, before: int, is_snapshot: bool) -> list[Held]:
    """What is held of the feed and says no more than a run that has come: a snapshot each older one, any the same."""
    cursor = conn.cursor(row_factory=class_row(Held))
    return cursor.execute(
        _HELD
        + """and f.outcome = 'held' and f.feed = %(feed)s and f.id < %(before)s
                   and (%(is_snapshot)s or sha256 = %(sha256)s) order by f.id""",
        {"or_rejected": False, "feed": feed, "before": before, "is_snapshot": is_snapshot, "sha256": sha256},
    ).fetchall()


def numbers(conn: Connection, run_id: int, kinds: Collection[str]) -> set[str]:
    """The offenders' numbers of those of a run's changes that are of these kinds."""
    rows = conn.execute("select number from held_change where feed_run_id = %s and kind = any(%s)", [run_id, [*kinds]])
    return {number for (number,) in rows}


def overtake(conn: Connection, run_id: int, *, now: datetime) -> None:
    """End what is held: a newer run says it, or otherwise. What waits of the feed is to be told afterwards."""
    conn.execute("update feed_run set outcome = 'overtaken' where id = %s", [run_id])
    alerts.over(conn, _STUCK % run_id, now=now)


def leave(
    conn: Connection,
    run_id: int,
    content: bytes,
    because: str,
    places: Iterable[tuple[str, str]],
    changes: Iterable[Changed],
    *,
    now: datetime,
) -> None:
    """Keep of what is held no more than these rows and what they would do: a newer run took the place of the rest.

    How many it touched stays: of a file with news of too many nothing goes out by itself, whatever is left of it.
    """
    conn.execute("delete from held_news where feed_run_id = %s", [run_id])
    conn.execute("delete from held_change where feed_run_id = %s", [run_id])
    conn.execute(
        "update held_run set content = %b, because = array[%s], overtaken_at = %s where feed_run_id = %s",
        [content, because, now, run_id],
    )
    _keep_news(conn, run_id, places, changes)


def note_reported(conn: Connection, run_id: int, *, now: datetime) -> None:
    conn.execute("update held_run set reported_at = %s where feed_run_id = %s", [now, run_id])
    alerts.over(conn, _STUCK % run_id, now=now)


def cannot_go_out(conn: Connection, run_id: int, error: str, *, now: datetime) -> bool:
    """See that a person is told that nobody has answered, and why nothing goes out; False where they know."""
    feed, file = _named(conn, run_id)
    says = (
        f"Nobody has answered of the held feed run {run_id} ({feed or file}), and what is urgent in it cannot go out"
        f" ({error}): movans feed held says why"
    )
    return alerts.add(conn, _STUCK % run_id, says, now=now)


def reported(conn: Connection, run_id: int) -> list[int]:
    """The events that went out unconfirmed of the run, and where it is held of those that it has overtaken."""
    rows = conn.execute(
        """select e.id from custody_event e join feed_run f on f.id = feed_run_id
           join feed_run this on this.id = %s and this.feed = f.feed
           where reported and corrected_at is null
             and (f.id = this.id or (this.outcome = 'held' and f.id < this.id and f.outcome = 'overtaken'
                  and exists (select from held_run where feed_run_id = this.id and overtaken_at is null)
                  and (f.sha256 = this.sha256 or not exists (
                      select from feed_run its where its.feed = f.feed and its.sha256 = f.sha256
                        and its.outcome = 'held' and its.id > f.id))))
           order by e.id""",
        [run_id],
    )
    return [event_id for (event_id,) in rows]


def reported_kinds(conn: Connection, run_id: int) -> set[str]:
    """The kinds of what ``reported`` has."""
    rows = conn.execute("select distinct kind from custody_event where id = any(%s)", [reported(conn, run_id)])
    return {kind for (kind,) in rows}


def is_being_checked(conn: Connection, agency: str, facility: str) -> bool:
    """Whether news of a facility is held."""
    return (
        conn.execute(
            """select from held_news h join feed_run f on f.id = h.feed_run_id
               where agency = %s and facility = %s and outcome = 'held' limit 1""",
            [agency, facility],
        ).rowcount
        > 0
    )


def settle_those_of(conn: Connection, event_ids: Collection[int], *, now: datetime) -> None:
    """These events are withdrawn: where they were what was to be decided, the alert is over."""
    rows = conn.execute(
        """select distinct feed from feed_run join custody_event e on feed_run_id = feed_run.id
           where e.id = any(%s) and reported""",
        [list(event_ids)],
    )
    for (feed,) in rows.fetchall():
        tell(conn, feed, now=now)


def _named(conn: Connection, run_id: int) -> tuple[str, str]:
    row = conn.execute("select feed, file from feed_run where id = %s", [run_id]).fetchone()
    if row is None:
        raise LookupError(f"there is no feed run {run_id}")
    return row[0], row[1]


def _key(feed: str) -> str:
    return f"held: {feed or 'by hand'}"
