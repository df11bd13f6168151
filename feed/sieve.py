"""A custody file, however large: only those of its rows that can be news are read, and PostgreSQL holds them meanwhile.

A row of a snapshot that is, byte for byte, the one by which the last had the same person is no news while nothing has
changed of them since: it is not even taken apart.
"""

import io
from collections.abc import Iterator
from hashlib import blake2b
from typing import BinaryIO

from psycopg import Connection

from db import file_rows, rosters
from db.file_rows import Held
from db.rosters import DIGEST
from feed import custody_csv
from feed.cells import one_line
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
        self._conn, self._feed, self._lines, self._salt = conn, rules.feed, 0, b""
        self._told = lambda: progress(source.tell(), size, "bytes")
        self._unmet: dict[bytes, int] = {}  # whom no row had yet, by the digest of theirs in the last snapshot
        self._table = custody_csv.opened(name, source, rules, self._is_as_it_was)
        self._salt = _meaning(self._table)
        self._unmet = rosters.digests(conn, rules.feed)
        known = len(self._unmet)
        news = (row for row in self._rows(self._table) if self._unmet.pop(row.digest, None) is None)
        file_rows.hold_none(conn)
        self.many_to_look_at = file_rows.hold(conn, news)
        self.rows = self.many_to_look_at + known - len(self._unmet)
        if self.rows > self.many_to_look_at > 0:
            source.seek(0)
            self.many_to_look_at += self._hold_what_belongs_to_these(custody_csv.opened(name, source, rules))

    def absent(self) -> set[int]:
        """Who is on the feed's roster, and of whom no row is as in its last snapshot."""
        return {*self._unmet.values(), *rosters.without_digest(self._conn, self._feed)}

    def to_look_at(self) -> Iterator[tuple[CustodyRecord | Bad, bytes, bool]]:
        """What the rows say that can be news, each with its digest, and whether others belong together with it.

        What belongs together, about the same offender or of the same event id, comes last.
        """
        for one in file_rows.to_look_at(self._conn):
            said = self._table.record(one.row, custody_csv.cells(one.content.decode()))
            yield said, one.digest, one.together

    def _is_as_it_was(self, line: str) -> bool:
        self._lines += 1
        if self._lines % TOLD_EVERY == 0:
            self._told()
        return self._unmet.pop(self._digest(line.encode()), None) is not None

    def _digest(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=DIGEST, salt=self._salt).digest()

    def _rows(self, table: Table) -> Iterator[Held]:
        places, rules = table.header.places, table.rules
        agency, number, event = (places.get(name) for name in ("agency", "offender_number", "event_id"))
        for row, cells, text in table.rows:
            content = text.encode()
            held = Held(row, content, self._digest(content))
            if len(cells) == table.header.width:  # else it says nothing of anybody
                whose = rules.always.get("agency", rules.agency) if agency is None else _cell(cells, agency)
                held = held._replace(agency=whose, number=_cell(cells, number), event=_cell(cells, event))
            yield held

    def _hold_what_belongs_to_these(self, table: Table) -> int:
        """Hold what was not, though it is of somebody of whom a row that is held speaks, or has its event id, too."""
        conn = self._conn
        digests = file_rows.last_digests(conn, self._feed).difference(self._unmet)
        events = file_rows.events(conn)
        if not digests and not events:
            return 0
        held = file_rows.numbers(conn)
        more = (row for row in self._rows(table) if row.row not in held)
        return file_rows.hold(conn, (row for row in more if row.digest in digests or row.event in events))


def _cell(cells: list[str], place: int | None) -> str | None:
    """What stands there; None where it is nothing, or nothing that a row may hold."""
    text = one_line(cells[place]) if place is not None else ""
    return text if text and text.isprintable() else None


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
