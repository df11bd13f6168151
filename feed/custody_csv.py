"""Reads a custody file: CSV with a header line that names its columns. docs/custody-file.md describes it.

A snapshot and a file of changes look the same; what differs is what it means that somebody is not in it.
"""

from collections.abc import Iterator
from typing import BinaryIO

from feed.cells import Wrong
from feed.custody import FIELDS, OPTIONAL, REQUIRED, STATUSES, custody_record, in_our_words, number_of
from feed.records import Bad, CustodyRecord, Refused, Rules
from feed.table import columns, rows

__all__ = ["FIELDS", "STATUSES", "read"]


def read(name: str, source: BinaryIO, rules: Rules) -> Iterator[CustodyRecord | Bad]:
    """Read row by row. Raises Refused where the header is wrong, or the rest is no CSV."""
    rules = in_our_words(rules)
    table = rows(name, source, rules.encoding)
    required = [field for field in REQUIRED if field != "agency" or not rules.agency]
    optional = OPTIONAL if "agency" in required else ("agency", *OPTIONAL)
    first = next(table, None)
    if first is None:
        names = ",".join(str(rules.columns.get(field, field)) for field in required if field not in rules.always)
        raise Refused([f"{name}: is empty; its first line must be {names}"])
    place, cells = first
    header, is_header = columns(cells, required, optional, rules, f"{name}, row {place}")
    if not is_header:
        table = _beginning_with(first, table)
    for number, cells in table:
        fields = header.fields(cells)
        try:
            header.check_width(cells)
            yield custody_record(number, fields, rules, header.called)
        except Wrong as wrong:
            # In a row that is too short or too long, a cell need not stand under its own name.
            whose = number_of(fields) if len(cells) == header.width else ""
            yield Bad.because(f"{name}, row {number}", number, wrong.mistakes, fields, whose)


def _beginning_with(
    first: tuple[int, list[str]], table: Iterator[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from table
