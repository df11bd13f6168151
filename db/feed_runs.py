"""Feed runs: one import of a file each."""

from datetime import datetime
from typing import Literal

from psycopg import Connection


def add(conn: Connection, file: str, sha256: str, outcome: Literal["applied", "refused"], *, now: datetime) -> int:
    row = conn.execute(
        """insert into feed_run (file, sha256, started_at, outcome, rows, events, notifications)
           values (%s, %s, %s, %s, 0, 0, 0) returning id""",
        [file, sha256, now, outcome],
    ).fetchone()
    if row is None:
        raise LookupError("the feed run was not kept")
    return row[0]


def count(conn: Connection, run_id: int, *, rows: int, events: int, notifications: int) -> None:
    conn.execute(
        "update feed_run set rows = %s, events = %s, notifications = %s where id = %s",
        [rows, events, notifications, run_id],
    )
