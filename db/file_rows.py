"""The rows of a file that is being imported and can be news: PostgreSQL holds them meanwhile."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from psycopg import Connection
from psycopg.rows import class_row

_MEMORY = "64MB"  # of PostgreSQL's, for each step of comparing


class Held(NamedTuple):
    """A row that is held, and of whom and of what event it speaks: None where it does not, or what cannot be."""

    row: int
    content: bytes
    digest: bytes
    agency: str | None = None
    number: str | None = None
    event: str | None = None


@dataclass(frozen=True)
class FileRow:
    """A row that is to be looked at. ``together``: another one is about the same offender, or has its event id."""

    row: int
    content: bytes
    digest: bytes
    together: bool


def hold_none(conn: Connection) -> None:
    """Begin with a file. Its rows are held until the transaction ends."""
    conn.execute("set local jit = off")
    conn.execute(f"set local work_mem = '{_MEMORY}'")
    conn.execute("drop table if exists file_row")
    conn.execute(
        """create temporary table file_row (
               row integer, content bytea, digest bytea, agency text, number text, event text) on commit drop"""
    )


def hold(conn: Connection, rows: Iterable[Held]) -> int:
    """Hold more rows; return how many these were."""
    cursor = conn.cursor()
    with cursor.copy("copy file_row from stdin (format binary)") as copy:
        copy.set_types(["int4", "bytea", "bytea", "text", "text", "text"])
        for row in rows:
            copy.write_row(row)
    return cursor.rowcount


def numbers(conn: Connection) -> set[int]:
    """The numbers of the rows that are held."""
    return {row for (row,) in conn.execute("select row from file_row")}


def events(conn: Connection) -> set[str]:
    """The event ids that rows have that are held."""
    return {event for (event,) in conn.execute("select distinct event from file_row where event is not null")}


def last_digests(conn: Connection, feed: str) -> set[bytes]:
    """The digests that the feed's roster has of those of whom rows speak that are held."""
    rows = conn.execute(
        """select r.digest from file_row f
           cross join lateral (
               select id from offender where agency = f.agency and number = f.number limit 1) as whose  -- by the index
           join roster r on offender_id = id where feed = %s and r.digest is not null""",
        [feed],
    )
    return {digest for (digest,) in rows}


def to_look_at(conn: Connection) -> Iterator[FileRow]:
    """The rows that are held, in their order; those that belong together are the last."""
    with conn.cursor("to_look_at", binary=True, row_factory=class_row(FileRow)) as cursor:
        cursor.itersize = 1000
        yield from cursor.execute(
            """select row, content, digest, whose.number is not null or same.event is not null as together
               from file_row
               left join (select agency, number from file_row group by agency, number having count(*) > 1) whose
                   using (agency, number)
               left join (select event from file_row group by event having count(*) > 1) same using (event)
               order by together, row"""
        )
