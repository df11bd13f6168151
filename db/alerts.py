"""Alerts: what a person must know now. A row is committed with its cause; the alarm part tells it."""

from datetime import datetime

from psycopg import Connection


def add(conn: Connection, key: str, says: str, *, now: datetime) -> bool:
    """See that a person is told; False where the same is known already and not over."""
    return (
        conn.execute(
            """insert into alert (key, says, raised_at) values (%s, %s, %s)
               on conflict (key) where over_at is null do nothing""",
            [key, says, now],
        ).rowcount
        > 0
    )


def over(conn: Connection, key: str, *, now: datetime) -> bool:
    """What it was about is well again; False where nothing was wrong."""
    return conn.execute("update alert set over_at = %s where key = %s and over_at is null", [now, key]).rowcount > 0
