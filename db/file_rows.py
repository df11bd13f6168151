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
_SLOTS = 1 << 24
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
    """Hold a row. ``about``: a number that two rows share that speak of the same offender; ``event``: of an event's id.

    0 where it has no such id.
    """

    def __call__(self, row: int, content: bytes, digest: bytes, about: int, event: int) -> None: ...


@contextmanager
def taking(conn: Connection) -> Iterator[Take]:
    """Hold the rows of one file until the transaction ends."""
    conn.execute("set local jit = off")
    conn.execute(f"set local work_mem = '{_MEMORY}'")
    conn.execute("drop table if exists file_row, found")
    conn.execute(
        """create temporary table file_row (
               row integer, digest bytea, about bigint, event bigint, content bytea) on commit drop"""
    )
    conn.execute(
        "create temporary table found (row integer, offender_id bigint, together boolean not null) on commit drop"
    )
    # A number whose slot is taken was perhaps taken before: so little memory tells, and of few that were not.
    abouts, abouts_again = bytearray(_SLOTS), set[int]()
    events, events_again = bytearray(_SLOTS), set[int]()
    waiting = bytearray(_HEAD)
    with conn.cursor().copy("copy file_row from stdin (format binary)") as copy:

        def take(row: int, content: bytes, digest: bytes, about: int, event: int) -> None:
            nonlocal waiting
            if abouts[slot := about % _SLOTS]:
                abouts_again.add(about)
            else:
                abouts[slot] = 1
            if event and events[slot := event % _SLOTS]:
                events_again.add(event)
            elif event:
                events[slot] = 1
            waiting += _ROW.pack(5, 4, row, DIGEST, digest, 8, about, 8, event, len(content))
            waiting += content
            if len(waiting) > _AT_ONCE:
                copy.write(waiting)
                waiting = bytearray()

        yield take
        copy.write(waiting + _TAIL)
    conn.execute("analyze file_row")
    if abouts_again or events_again:
        conn.execute(
            """insert into found (row, together)
               select row, true from file_row where about in (
                   select about from file_row where about = any(%(abouts)s) group by about having count(*) > 1)
               union
               select row, true from file_row where event in (
                   select event from file_row where event = any(%(events)s) group by event having count(*) > 1)""",
            {"abouts": list(abouts_again), "events": list(events_again)},
        )


def find(conn: Connection, feed: str) -> int:
    """Find the rows that the feed's last snapshot had not, or that belong together; return how many they are."""
    conn.execute(
        """insert into found
           select row, offender_id, false
           from (select row, digest from file_row where row not in (select row from found)) f
           full join (select offender_id, digest from roster where feed = %s) r using (digest)
           where row is null or offender_id is null""",
        [feed],
    )
    row = conn.execute("select count(row) from found").fetchone()
    return row[0] if row else 0


def to_look_at(conn: Connection) -> Iterator[FileRow]:
    """The rows that were found, in their order; those that belong together are the last."""
    with conn.cursor("to_look_at", binary=True, row_factory=class_row(FileRow)) as cursor:
        cursor.itersize = 1000
        yield from cursor.execute(
            """select row, content, digest, together from found join file_row using (row)
               order by together, row"""
        )


def absent(conn: Connection) -> set[int]:
    """Who is on the feed's roster, and of whom no row says the same as in its last snapshot, unless they share it."""
    rows = conn.execute("select offender_id from found where offender_id is not null")
    return {offender_id for (offender_id,) in rows}
