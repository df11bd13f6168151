"""Reads a custody file: CSV with a header line that names its columns. docs/custody-file.md describes it.

A snapshot and a file of changes look the same; what differs is what it means that somebody is not in it.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from feed.cells import Wrong, one_line
from feed.custody import FIELDS, OPTIONAL, REQUIRED, STATUSES, custody_record, in_our_words, number_of
from feed.records import Bad, CustodyRecord, Refused, Rules
from feed.table import Columns, columns, raw_rows

OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars"}  # what stands between columns in other kinds of files
__all__ = ["FIELDS", "STATUSES", "read"]


@dataclass(frozen=True)
class Table:
    """A custody file whose header was read. ``rows``: number, cells and text of each, as they stand.

    ``first``: the number and the text of the row that is the header; the text is empty where the file has none.
    """

    name: str
    rules: Rules
    header: Columns
    rows: Iterator[tuple[int, list[str], str]]
    first: tuple[int, str]

    def number(self, cells: list[str]) -> str:
        """The offender's number in a row, whatever else is wrong with it; empty where none can be read."""
        # In a row that is too short or too long, a cell need not stand under its own name.
        return number_of(self.header.fields([*map(one_line, cells)])) if len(cells) == self.header.width else ""

    def record(self, number: int, cells: list[str]) -> CustodyRecord | Bad:
        """What a row says."""
        cells = [one_line(cell) for cell in cells]
        fields = self.header.fields(cells)
        try:
            self.header.check_width(cells)
            return custody_record(number, fields, self.rules, self.header.called)
        except Wrong as wrong:
            return Bad.because(f"{self.name}, row {number}", number, wrong.mistakes, fields, self.number(cells))


def opened(name: str, source: BinaryIO, rules: Rules, skip: Callable[[str], bool] | None = None) -> Table:
    """Read the header. Raises Refused where it is wrong; ``rows`` do where the rest is no CSV.

    ``skip``: as raw_rows has it.
    """
    rules = in_our_words(rules)
    table = raw_rows(name, source, rules.encoding, skip=skip)
    required = [field for field in REQUIRED if field != "agency" or not rules.agency]
    optional = OPTIONAL if "agency" in required else ("agency", *OPTIONAL)
    first = next(table, None)
    if first is None:
        names = ",".join(str(rules.columns.get(field, field)) for field in required if field not in rules.always)
        raise Refused([f"{name}: is empty; its first line must be {names}"])
    place, cells, text = first
    if len(cells) == 1 and (sign := next((sign for sign in OTHERS if sign in text), "")):
        mistake = f"has one column; is it separated by {OTHERS[sign]}? Save the file as CSV, with commas"
        raise Refused([f"{name}, row {place}: {mistake}"])
    header, is_header = columns(list(map(one_line, cells)), required, optional, rules, f"{name}, row {place}")
    if is_header:
        return Table(name, rules, header, table, (place, text))
    return Table(name, rules, header, chain([first], table), (0, ""))


def read(name: str, source: BinaryIO, rules: Rules) -> Iterator[CustodyRecord | Bad]:
    """Read row by row. Raises Refused where the header is wrong, or the rest is no CSV."""
    table = opened(name, source, rules)
    for number, cells, _ in table.rows:
        yield table.record(number, cells)


def numbers(name: str, source: BinaryIO, rules: Rules) -> Iterator[str]:
    """The offender's number of each row in which one can be read. Raises Refused as ``read``."""
    table = opened(name, source, rules)
    for _, cells, _ in table.rows:
        if number := table.number(cells):
            yield number


def only_of(numbers: Collection[str], name: str, source: BinaryIO, rules: Rules) -> bytes:
    """The file with its header and the rows of these offenders, each of which stays the row that it was.

    Raises Refused as ``read``.
    """
    table = opened(name, source, rules)
    kept, last = [], 0
    theirs = ((row, text) for row, cells, text in table.rows if table.number(cells) in numbers)
    for row, text in chain([table.first], theirs):
        kept += ["\r\n" * (row - last - 1), text]  # one line end after any other
        last = row
    return "".join(kept).encode(rules.encoding)


def cells(text: str) -> list[str]:
    """The cells of the text of a row."""
    return next(csv.reader(io.StringIO(text, newline=""), strict=True))
