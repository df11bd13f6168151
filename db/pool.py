"""The one way to the database: a pool whose connections give up on a query before a caller hears silence."""

from contextlib import AbstractContextManager
from typing import Protocol, TypeVar, cast

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool

QUERY_LIMIT = 2  # seconds; DESIGN: whenever it is the service's turn, the caller hears something within 3

CHECK_LIMIT = 1  # seconds, of those, for a connection that lay in the pool to show that it still works

GONE = 6
"""Seconds without an answer after which the server ends the session of a machine that is cut off: what that has locked
is free within its lease (hosts.LEASE). The kernel's own limits, 15 minutes and 2 hours, would stop all other hosts."""

Unreachable = OperationalError
"""What a query raises when the database is away or too slow: PoolTimeout and QueryCanceled are kinds of it."""

Value = TypeVar("Value")


class Database(Protocol):
    """Where a connection comes from. A block commits when it is left, and undoes itself when an exception leaves it."""

    def connection(self) -> AbstractContextManager[Connection]: ...


class Impatient(Connection):
    """Gives up, and is closed, when the database says nothing: one that hangs keeps no time limit of its own."""

    # A little more, so that a database that is only slow cancels the query itself.
    limit: float | None = QUERY_LIMIT + 0.2

    def wait(self, gen: PQGen[Value], interval: float = 0.1, timeout: float | None = None) -> Value:
        try:
            return super().wait(gen, interval, self.limit if timeout is None else timeout)
        except OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


def check(conn: Impatient) -> None:
    conn.limit = CHECK_LIMIT
    ConnectionPool.check_connection(conn)
    conn.limit = Impatient.limit


def take_time(conn: Connection) -> None:
    """Let the queries of this transaction take as long as they need: nobody waits at a telephone."""
    conn.execute("set local statement_timeout = 0")
    if isinstance(conn, Impatient):
        conn.limit = None  # until `check` hands it out the next time


def open_pool(dsn: str, *, most: int = 10) -> ConnectionPool:
    """A pool of up to ``most`` connections. It connects in the background and reconnects by itself."""
    # A pool that has failed waits twice as long before each new try. So it gives up when its caller does, and the next
    # caller makes it try at once: a database that is back is used, however long it was away.
    options = {
        "statement_timeout": f"{QUERY_LIMIT}s",
        "timezone": "UTC",
        "tcp_user_timeout": f"{GONE}s",
        "tcp_keepalives_idle": f"{GONE / 3:.0f}s",
        "tcp_keepalives_interval": f"{GONE / 3:.0f}s",
    }
    pool = ConnectionPool(
        dsn,
        connection_class=Impatient,
        min_size=1,
        max_size=most,
        timeout=QUERY_LIMIT,
        reconnect_timeout=QUERY_LIMIT,
        kwargs={
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "connect_timeout": QUERY_LIMIT,
        },
        check=check,
        open=True,
    )
    return cast(ConnectionPool, pool)
