"""Runs that are held: they change too much to take effect before a person has looked at them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection
from psycopg.rows import class_row

from db import alerts

_STUCK = "held run %s"  # the key of an alert
_HELD = """
    select id, feed, file, sha256, started_at, because, since, touched, population, reported_at
    from feed_run join held_run on feed_run_id = id where outcome = 'held' """


@dataclass(frozen=True)
class Held:
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


def hold(
    conn: Connection,
    run_id: int,
    content: bytes,
    because: list[str],
    places: Iterable[tuple[str, str]],
    *,
    touched: int,
    population: int,
    since: datetime,
    now: datetime,
) -> None:
    """Keep a run's file until a person decides, and see that one is told. ``places``: agency and facility of its news.

    One alert stands for all that is held of a feed.
    """
    feed, file = _named(conn, run_id)
    conn.execute("update feed_run set outcome = 'held' where id = %s", [run_id])
    conn.execute(
        "insert into held_run (feed_run_id, content, because, since, touched, population) values (%s,%b,%s,%s,%s,%s)",
        [run_id, content, because, since, touched, population],
    )
    with conn.cursor() as cursor:
        cursor.executemany("insert into held_news values (%s, %s, %s)", [(run_id, *place) for place in set(places)])
    says = f"Feed run {run_id} ({feed or file}) is held, and nobody is called of it: {because[0]}. movans feed held"
    alerts.add(conn, _key(feed), says, now=now)


def waiting(conn: Connection) -> list[Held]:
    """What waits for a person, the oldest first."""
    return conn.cursor(row_factory=class_row(Held)).execute(_HELD + "order by id").fetchall()


def get(conn: Connection, run_id: int) -> Held | None:
    """A run that is held; None where there is none, or it is decided."""
    return conn.cursor(row_factory=class_row(Held)).execute(_HELD + "and id = %s", [run_id]).fetchone()


def content(conn: Connection, run_id: int) -> bytes:
    row = conn.execute("select content from held_run where feed_run_id = %s", [run_id], binary=True).fetchone()
    if row is None:
        raise LookupError(f"run {run_id} was never held")
    return row[0]


def decide(
    conn: Connection,
    run_id: int,
    outcome: Literal["applied", "rejected"],
    *,
    only: Collection[str] | None = None,
    now: datetime,
) -> None:
    """A person has decided; what went out of it unconfirmed is confirmed where they approve: of these kinds, or all."""
    conn.execute("update feed_run set outcome = %s where id = %s", [outcome, run_id])
    if outcome == "applied":
        conn.execute(
            """update custody_event set reported = false
               where id = any(%s) and kind = any(coalesce(%s::text[], array[kind]))""",
            [reported(conn, run_id), None if only is None else list(only)],
        )
    _settle(conn, run_id, _named(conn, run_id)[0], now=now)


def overtake(conn: Connection, feed: str, sha256: str, *, by: int, is_snapshot: bool, now: datetime) -> datetime | None:
    """End what is held of the feed and says no more than a run that has come: a snapshot each older one, any the same.

    Return since when a person was waited for, None where nothing was held.
    """
    rows = conn.execute(
        """update feed_run f set outcome = 'overtaken' from held_run h
           where f.id = h.feed_run_id and f.outcome = 'held' and feed = %s and f.id < %s and (%s or sha256 = %s)
           returning f.id, since""",
        [feed, by, is_snapshot, sha256],
    ).fetchall()
    for run_id, _ in rows:
        _settle(conn, run_id, feed, now=now)
    return min((since for _, since in rows), default=None)


def note_reported(conn: Connection, run_id: int, *, now: datetime) -> None:
    conn.execute("update held_run set reported_at = %s where feed_run_id = %s", [now, run_id])
    alerts.over(conn, _STUCK % run_id, now=now)


def cannot_go_out(conn: Connection, run_id: int, error: str, *, now: datetime) -> bool:
    """See that a person is told that nobody has answered, and why nothing goes out; False where they know."""
    feed, file = _named(conn, run_id)
    says = (
        f"Nobody has answered of the held feed run {run_id} ({feed or file}), and what is urgent in it cannot go out"
        f" ({error}): movans feed approve or reject {run_id}"
    )
    return alerts.add(conn, _STUCK % run_id, says, now=now)


def reported(conn: Connection, run_id: int) -> list[int]:
    """The events that went out unconfirmed of the run, or of those that it has overtaken."""
    rows = conn.execute(
        """select e.id from custody_event e join feed_run f on f.id = feed_run_id
           join feed_run this on this.id = %s and this.feed = f.feed
           where reported and corrected_at is null and (f.id = this.id or (f.id < this.id and f.outcome = 'overtaken'))
           order by e.id""",
        [run_id],
    )
    return [event_id for (event_id,) in rows]


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


def _settle(conn: Connection, run_id: int, feed: str, *, now: datetime) -> None:
    alerts.over(conn, _STUCK % run_id, now=now)
    if not conn.execute("select from feed_run where feed = %s and outcome = 'held' limit 1", [feed]).rowcount:
        alerts.over(conn, _key(feed), now=now)


def _named(conn: Connection, run_id: int) -> tuple[str, str]:
    row = conn.execute("select feed, file from feed_run where id = %s", [run_id]).fetchone()
    if row is None:
        raise LookupError(f"there is no feed run {run_id}")
    return row[0], row[1]


def _key(feed: str) -> str:
    return f"held: {feed or 'by hand'}"
