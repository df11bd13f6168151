"""Reads a file as a whole: every mistake is found before anything of it is believed."""

import os
from collections import Counter
from dataclasses import replace
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote_from_bytes

from feed.bookings import other_releases, together
from feed.formats import FORMATS
from feed.records import CHANGES, Bad, Checked, CourtRecord, CustodyRecord, File, Ignored, Record, Refused, Rules

MOST_MISTAKES = 1000  # sentences that are kept of a file that is refused
MOST_ASIDE = 10_000  # rows that are put aside of one file, whatever share they are
MOST_TOGETHER = 250_000  # records that are in memory at once; of custody files only those that belong together are


def printable(name: str) -> str:
    """The name of a file in signs that can be printed and kept: other bytes of it as %E9."""
    return "".join(sign if sign.isprintable() else quote_from_bytes(os.fsencode(sign)) for sign in name)


def opened(path: Path) -> BufferedReader:
    """The file, open to be read. Raises Refused where it is none that can be."""
    try:
        if path.is_dir():
            mistake = "is a directory; name a file in it"
        elif path.exists() and not path.is_file():  # a pipe can be read only once, and waits for somebody to write
            mistake = "is no file; write what it holds to one"
        else:
            return path.open("rb")
    except OSError as error:
        mistake = f"cannot be read ({error.strerror}); check its name and its rights"
    raise Refused([f"{printable(str(path))}: {mistake}"])


def read(name: str, source: BinaryIO, rules: Rules) -> File:
    """Read a file of this name in the feed's format.

    Raises Refused with every mistake in it, if more rows are wrong than the feed allows to be put aside.
    """
    seen = Seen(name)
    for item in FORMATS[rules.format].read(name, source, rules):
        seen.take(item)
    return seen.file(rules)


class Seen:
    """The rows of a file so far, and which of them contradict each other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows = self._repeated = self._other_bookings = self._unkept = 0
        self._ignored = Counter[str]()
        self._records: dict[tuple[object, ...], Record] = {}
        self._identified: dict[tuple[str, str], Record] = {}
        self._bad: list[Bad] = []
        self._contradicted: dict[int, Bad] = {}  # rows that a later one contradicts: nobody knows which is right

    def take(self, item: Record | Checked | Ignored | Bad) -> None:
        self._rows += 1
        if isinstance(item, Bad):
            self._take_bad(item)
        elif isinstance(item, Ignored):
            self._ignored[item.word] += 1
        elif isinstance(item, Record):
            self._compare(item)

    def pass_over(self, rows: int) -> None:
        """So many rows hold no mistake and contradict no other: they need not be compared."""
        self._rows += rows

    def is_too_wrong(self, share: float, rows: int) -> bool:
        """Whether the file, of so many rows, cannot but be refused."""
        return len(self._bad) + self._unkept > min(share * rows, MOST_ASIDE)

    def file(self, rules: Rules) -> File:
        """What was read. Raises Refused where too much of it is wrong."""
        share = rules.quarantine
        if not self._rows and rules.format != CHANGES:  # of which a header alone says that nothing changed
            raise Refused([f"{self._name}: has a header and no rows; write it again where it comes from"])
        aside = self._contradicted | {bad.row: bad for bad in self._bad}
        if self._unkept or len(aside) > min(share * self._rows, MOST_ASIDE):
            raise Refused(self._mistakes(len(aside) + self._unkept, share))
        right = [record for record in self._records.values() if record.row not in aside]
        custody = [record for record in right if isinstance(record, CustodyRecord)]
        held_on = other_releases(custody)
        return File(
            custody=[record for record in custody if record.row not in held_on],
            court=[record for record in right if isinstance(record, CourtRecord)],
            repeated=self._repeated,
            other_bookings=self._other_bookings + len(held_on),
            held_on=[record for record in custody if record.row in held_on],
            quarantined=[aside[row] for row in sorted(aside)],
            rows=self._rows,
            ignored=self._ignored,
        )

    def _mistakes(self, wrong: int, share: float) -> list[str]:
        all_of_them = list(chain.from_iterable(bad.mistakes for bad in self._bad))
        mistakes = all_of_them[:MOST_MISTAKES]
        if more := len(all_of_them) - len(mistakes):
            mistakes.append(f"{self._name}: and {more} more mistakes in the rows after that")
        if share:
            mistakes.append(
                f"{self._name}: {wrong} of {self._rows} rows are wrong, and the settings allow a share of {share:g} to"
                f" be put aside, {MOST_ASIDE:,} at most; correct the file, or the feed's settings"
            )
        return mistakes

    def _compare(self, record: Record) -> None:
        earlier = self._records.setdefault((record.about, record.at), record)
        if len(self._records) > MOST_TOGETHER:
            says = f"holds more than {MOST_TOGETHER:,} records that must be compared with each other; send it in parts"
            raise Refused([f"{self._name}, row {record.row}: {says}"])
        if earlier is not record and replace(earlier, row=record.row) == record:
            self._repeated += 1
        elif earlier is not record and (both := _together(earlier, record)):
            self._records[(record.about, record.at)] = both
            self._other_bookings += 1
        elif earlier is not record:
            when = " at the same time" if record.at else ""
            says = f"contradicts row {{}} about {record.about}{when}; correct or remove one of them"
            self._contradict(record, earlier, says)
        elif isinstance(record, CustodyRecord) and record.event_id:
            other = self._identified.setdefault((record.agency, record.event_id), record)
            if other is not record:
                says = f"event_id {record.event_id!r} stands in row {{}} too, which says something else;"
                self._contradict(record, other, f"{says} give each event an id of its own")

    def _contradict(self, record: Record, other: Record, says: str) -> None:
        self._take_bad(self._because(record, says.format(other.row)))
        self._contradicted.setdefault(other.row, self._because(other, says.format(record.row)))

    def _because(self, record: Record, says: str) -> Bad:
        return Bad(record.row, [f"{self._name}, row {record.row}: {says}"], record.given, record.number)

    def _take_bad(self, bad: Bad) -> None:
        if len(self._bad) < MOST_ASIDE:
            self._bad.append(bad)
        else:
            self._unkept += 1


def _together(one: Record, other: Record) -> Record | None:
    if isinstance(one, CustodyRecord) and isinstance(other, CustodyRecord):
        return together(one, other)
    return None
