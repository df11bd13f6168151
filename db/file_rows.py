"""The rows of a file that is being imported: PostgreSQL holds them meanwhile, and finds those that can be news."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from psycopg import Connection
from psycopg.rows import class_row

_MEMORY = "64MB"  # of PostgreSQL's, for each step of comparing
_AT_ONCE = 1 << 16  # bytes that are sent together
# As COPY takes them in its binary form: how many columns, and each with its length before it.
_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_ROW = struct.Struct(f">hiii{(DIGEST := 16)}siqiqi")


@dataclass(frozen=True)
class FileRow:
    """A row that is to be looked at. ``together``: another one is about the same offender, or has its event id."""

    row: int
    content: bytes
    digest: bytes
    together: bool


class Take(Protocol):
    """Hold a row. ``about`` and ``event``: numbers that two rows share that speak of the same offender, or event."""

    def __call__(self, row: int, content: bytes, digest: bytes, about: int, event: int) -> None: ...


@contextmanager
def taking(conn: Connection) -> Iterator[Take]:
    """Hold the rows of one file until the transaction ends."""
    conn.execute("drop table if exists file_row")
    conn.execute(
        """create temporary table file_row (
               row integer, digest bytea, about bigint, event bigint, content bytea) on commit drop"""
    )
    waiting = bytearray(_HEAD)
    with conn.cursor().copy("copy file_row from stdin (format binary)") as copy:

        def take(row: int, content: bytes, digest: bytes, about: int, event: int) -> None:
            nonlocal waiting
            waiting += _ROW.pack(5, 4, row, DIGEST, digest, 8, about, 8, event, len(content))
            waiting += content
            if len(waiting) > _AT_ONCE:
                copy.write(waiting)
                waiting = bytearray()

        yield take
        copy.write(waiting + _TAIL)
    conn.execute("analyze file_row")


def find_those_to_look_at(conn: Connection, feed: str) -> int:
    """Find the rows that the feed's last snapshot had not, or that belong together; return how many they are."""
    conn.execute(f"set local work_mem = '{_MEMORY}'")
    conn.execute("drop table if exists file_row_to_look_at")
    conn.execute("create temporary table file_row_to_look_at (row integer, together boolean) on commit drop")
    return conn.execute(
        """with told as (
               select row, digest, about in (select about from file_row group by about having count(*) > 1)
                                   or event in (select event from file_row group by event having count(*) > 1)
                                   as together
               from file_row)
           insert into file_row_to_look_at
           select row, together from told
           where together or not exists (select from roster r where feed = %s and r.digest = told.digest)""",
        [feed],
    ).rowcount


def to_look_at(conn: Connection) -> Iterator[FileRow]:
    """These rows, in their order; those that belong together are the last."""
    with conn.cursor("to_look_at", binary=True, row_factory=class_row(FileRow)) as cursor:
        cursor.itersize = 1000
        yield from cursor.execute(
            """select row, content, digest, together from file_row_to_look_at join file_row using (row)
               order by together, row"""
        )


def absent(conn: Connection, feed: str) -> set[int]:
    """Who is on the feed's roster, and of whom no row says the same as in its last snapshot."""
    rows = conn.execute(
        """select offender_id from roster r
           where feed = %s and not exists (select from file_row f where f.digest = r.digest)""",
        [feed],
    )
    return {offender_id for (offender_id,) in rows}
