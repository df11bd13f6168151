"""A custody file, however large: its rows are held by PostgreSQL, and only those that can be news are read.

A row of a snapshot that is, byte for byte, the one by which the last had the same person is no news while nothing has
changed of them since: it is not even taken apart.
"""

import io
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import BinaryIO

from psycopg import Connection

from db import file_rows
from db.file_rows import DIGEST
from feed import custody_csv
from feed.custody_csv import Table
from feed.records import CHANGES, SNAPSHOT, Bad, CustodyRecord, Progress, Rules, to_nobody

FORMATS = (CHANGES, SNAPSHOT)
TOLD_EVERY = 5000  # rows
MEANING = 3  # to be raised when a row comes to mean something else than it did: then every row is looked at anew


class Sieve:
    """The rows of a file. ``rows``: how many there are. Raises Refused where it is no such file."""

    def __init__(
        self, conn: Connection, name: str, source: BinaryIO, rules: Rules, progress: Progress = to_nobody
    ) -> None:
        size = source.seek(0, io.SEEK_END)
        source.seek(0)
        self._conn, self._table = conn, custody_csv.opened(name, source, rules)
        self.rows = _hold(conn, self._table, lambda: progress(source.tell(), size, "bytes"))
        self.many_to_look_at = file_rows.find(conn, rules.feed)

    def absent(self) -> set[int]:
        """Who is on the feed's roster, and of whom no row is as in its last snapshot."""
        return file_rows.absent(self._conn)

    def to_look_at(self) -> Iterator[tuple[CustodyRecord | Bad, bytes, bool]]:
        """What the rows say that can be news, each with its digest, and whether others belong together with it.

        What belongs together, about the same offender or of the same event id, comes last.
        """
        for one in file_rows.to_look_at(self._conn):
            said = self._table.record(one.row, custody_csv.cells(one.content.decode()))
            yield said, one.digest, one.together


def _hold(conn: Connection, table: Table, told: Callable[[], None]) -> int:
    """Have the rows held; return how many there are. ``told``: is called after each so many."""
    places, width, salt, many = table.header.places, table.header.width, _meaning(table), 0
    agency, number, event = (places.get(name) for name in ("agency", "offender_number", "event_id"))
    with file_rows.taking(conn) as take:
        for row, cells, text in table.rows:
            about = own = 0
            if len(cells) == width:  # else it says nothing of anybody
                whose = cells[agency].split() if agency is not None else ()
                about = hash((*whose, 0, *cells[number or 0].split()))
                own = hash(tuple(cells[event].split())) if event is not None and cells[event].strip() else 0
            content = text.encode()
            take(row, content, blake2b(content, digest_size=DIGEST, salt=salt).digest(), about, own)
            many += 1
            if many % TOLD_EVERY == 0:
                told()
    return many


def _meaning(table: Table) -> bytes:
    """A digest of all that the meaning of a row depends on, besides its text and the present time.

    What the present time forbids, as what is still to come, only ever becomes right as that goes on.
    """
    rules, header = table.rules, table.header
    words = (rules.always, rules.statuses, rules.facilities, header.places)
    parts = [
        MEANING,
        rules.format,
        header.width,
        rules.zone.key,
        rules.agency,
        sorted(rules.agencies),
        rules.dates,
        rules.times,
    ]
    return blake2b(repr([*parts, *(sorted(one.items()) for one in words)]).encode(), digest_size=16).digest()
