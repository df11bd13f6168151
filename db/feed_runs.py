"""Feed runs: one import of a file each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.types.json import Json


def add(
    conn: Connection,
    file: str,
    sha256: str,
    outcome: Literal["applied", "refused"],
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


def count(conn: Connection, run_id: int, *, rows: int, events: int, notifications: int) -> None:
    conn.execute(
        "update feed_run set rows = %s, events = %s, notifications = %s where id = %s",
        [rows, events, notifications, run_id],
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
