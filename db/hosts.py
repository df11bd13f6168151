"""Hosts: the machines that make calls. Each says that it is there; the others find those that do not."""

from datetime import datetime, timedelta

from psycopg import Connection

AWAY = "host %s"  # the key of the alert about one
LEASE = timedelta(seconds=10)
"""A host that was silent for so long is away, and what it had claimed and not begun is free."""


def beat(conn: Connection, host: str, *, now: datetime) -> None:
    conn.execute(
        "insert into host values (%s, %s) on conflict (name) do update set beat_at = excluded.beat_at", [host, now]
    )


def away(conn: Connection, *, now: datetime) -> list[str]:
    """The hosts whose lease is over."""
    return [name for (name,) in conn.execute("select name from host where beat_at <= %s order by name", [now - LEASE])]


def known(conn: Connection) -> list[str]:
    """Those that make calls, or went away and may be back."""
    return [name for (name,) in conn.execute("select name from host order by name")]


def leave(conn: Connection, host: str) -> None:
    """It stops in order, and nobody is to miss it."""
    conn.execute("delete from host where name = %s", [host])
