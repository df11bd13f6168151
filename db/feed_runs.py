"""Feed runs: one import of a file each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Json

MANY = 20  # runs of a feed, after which it is known what is usual


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
    conn: Connection, run_id: int, *, rows: int, events: int, releases: int, changes: int, notifications: int
) -> None:
    """Keep what the run did; or would, where it is held."""
    conn.execute(
        """update feed_run set rows = %s, events = %s, releases = %s, changes = %s, notifications = %s
           where id = %s""",
        [rows, events, releases, changes, notifications, run_id],
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


@dataclass(frozen=True)
class Run:
    id: int
    sha256: str
    started_at: datetime


def last_applied(conn: Connection, feed: str, *, before: int) -> Run | None:
    """The feed's last run before that one that took effect."""
    cursor = conn.cursor(row_factory=class_row(Run))
    return cursor.execute(
        """select id, sha256, started_at from feed_run
           where feed = %s and id < %s and outcome = 'applied' order by id desc limit 1""",
        [feed, before],
    ).fetchone()


def usual(conn: Connection, feed: str, *, before: int) -> dict[str, float]:
    """The medians of what the feed's last runs before that one changed, named as ``count`` does.

    Empty where they are too few to tell.
    """
    row = conn.execute(
        """select count(*), percentile_cont(0.5) within group (order by releases),
                  percentile_cont(0.5) within group (order by changes),
                  percentile_cont(0.5) within group (order by notifications)
           from (select * from feed_run where feed = %s and id < %s and outcome = 'applied'
                 order by id desc limit %s) as last""",
        [feed, before, MANY],
    ).fetchone()
    if row is None or row[0] < MANY:
        return {}
    return dict(zip(("releases", "changes", "notifications"), row[1:], strict=True))


def reach(conn: Connection, agencies: Iterable[str]) -> tuple[int, int]:
    """How many these agencies have in custody, and how many live registrations there are for their offenders."""
    row = conn.execute(
        """select (select count(*) from offender where agency = any(%(agencies)s) and status = 'in custody'),
                  (select count(*) from registration r join offender o on o.id = offender_id
                   where agency = any(%(agencies)s) and r.ended_at is null)""",
        {"agencies": list(agencies)},
    ).fetchone()
    return row or (0, 0)


def people(conn: Connection, run_id: int) -> int:
    """How many registrants the run's events are to be told to."""
    row = conn.execute(
        """select count(distinct registrant_id) from notification n join registration r on r.id = registration_id
           join custody_event e on e.id = event_id where feed_run_id = %s""",
        [run_id],
    ).fetchone()
    return row[0] if row else 0
