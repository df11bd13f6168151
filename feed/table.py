"""Rows of delimited text, one at a time, whatever spreadsheets and systems did to it; and what its columns are."""

import codecs
import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from feed.cells import LONGEST, Wrong, one_line
from feed.records import Refused, Rules

MOST_MISTAKES = 50  # sentences about one header
LONGEST_ROW = 1 << 20  # signs; a longer one is a quote that is never closed, or no text


class _TooLong(Exception):
    """A row goes on for longer than any may."""


def rows(name: str, source: BinaryIO, encoding: str, what: str = "CSV", **form: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold something, numbered as a spreadsheet numbers them, with single blanks in their cells.

    ``form`` is csv.reader's, ``what`` its name. Raises Refused where it is no such text, once that row is reached.
    """
    for number, cells, _ in raw_rows(name, source, encoding, what, **form):
        yield number, [one_line(cell) for cell in cells]


def raw_rows(
    name: str,
    source: BinaryIO,
    encoding: str,
    what: str = "CSV",
    skip: Callable[[str], bool] | None = None,
    **form: Any,
) -> Iterator[tuple[int, list[str], str]]:
    """As ``rows`` has them, but with their cells and their text as they stand.

    ``skip`` is asked of each line with which a row begins: whether it is known to be all of one, which nobody wants.
    """
    codec = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    text = io.TextIOWrapper(source, codec, newline="")
    held, row = list[str](), 0

    def lines() -> Iterator[str]:
        nonlocal row
        long = 0
        while line := text.readline(LONGEST_ROW + 1):
            if skip and not held and skip(line):
                row += 1
                continue
            long = len(line) + (long if held else 0)
            if long > LONGEST_ROW:
                raise _TooLong
            held.append(line)
            yield line

    try:
        for cells in csv.reader(lines(), strict=True, **form):
            row += 1
            if any(map(str.strip, cells)):
                yield row, cells, held[0] if len(held) == 1 else "".join(held)
            held.clear()
    except _TooLong:
        says = f"is longer than {LONGEST_ROW:,} signs; is a quote missing, or is it no text?"
        raise Refused([f"{name}, row {row + 1}: {says}"]) from None
    except csv.Error as error:
        mistake = f"row {row + 1}: is not {what} ({error}); is a quote missing or one too many?"
        raise Refused([f"{name}, {mistake}"]) from None
    except UnicodeError:
        called = "UTF-8" if codec == "utf-8-sig" else encoding
        raise Refused(
            [f"{name}, line {_wrong_line(source, codec)}: is not {called} text; save the file as {what} {called}"]
        ) from None
    finally:
        with suppress(ValueError):
            text.detach()  # so that the source stays open


def _wrong_line(source: BinaryIO, codec: str) -> int:
    """The line in which the first byte stands that is no text."""
    source.seek(0)
    decoder, line = codecs.getincrementaldecoder(codec)(), 1
    try:
        while chunk := source.read(1 << 16):
            line += decoder.decode(chunk).count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        with suppress(UnicodeError):
            line += error.object[: error.start].decode(codec).count("\n")
    except UnicodeError:
        pass  # as a missing byte order mark of UTF-16
    return line


@dataclass(frozen=True)
class Columns:
    """Which of our fields stands in which cell, and what the file calls it."""

    places: Mapping[str, int]
    names: Mapping[str, str]
    width: int
    separator: str = "comma"

    def fields(self, cells: list[str]) -> dict[str, str]:
        return {field: cells[place] for field, place in self.places.items() if place < len(cells)}

    def called(self, field: str) -> str:
        return self.names.get(field, field)

    def check_width(self, cells: list[str]) -> None:
        """Raises Wrong where a row has more or fewer cells than the first."""
        if len(cells) != self.width:
            many = "too many" if len(cells) > self.width else "too few"
            sizes = f"{len(cells)}, not {self.width}"
            raise Wrong([f"has {many} columns ({sizes}); is a {self.separator} wrong, or a quote missing?"])


def columns(
    first: list[str], required: Iterable[str], optional: Iterable[str], rules: Rules, where: str, kind: str = ""
) -> tuple[Columns, bool]:
    """The columns of rows, and whether the first of them is a header that names them, whatever its capitals.

    It is none where the settings give the columns by their places. A field that the settings name must be there, and so
    must those that are required, unless the settings say what they always are. Raises Refused with every mistake.
    """
    if any("\0" in name for name in first):
        raise Refused([f"{where}: holds NUL signs; is it no text, or in another encoding, as utf-16?"])
    required = [field for field in required if field not in rules.always]
    fields = [*required, *(field for field in optional if field not in rules.always)]
    theirs = {field: name for field, name in rules.columns_of(kind).items() if field in fields}
    if any(isinstance(name, int) for name in theirs.values()):
        return _numbered(first, required, theirs, where), False
    names = [name.lower() for name in first]
    called = {field: str(theirs.get(field, field)) for field in fields}
    known = {name.lower() for name in called.values()}
    ignored = {name.lower() for name in rules.ignore} - known
    must = [name for field, name in called.items() if field in required or field in theirs]
    mistakes = [f"the column {name} is missing" for name in must if name.lower() not in names]
    mistakes += [
        f"there is no column named {name[:LONGEST]!r}" for name in names if name and name not in known | ignored
    ]
    mistakes += [f"column {place} has no name" for place, name in enumerate(names, start=1) if not name]
    mistakes += [
        f"the column {name} stands there twice" for name in sorted(set(names)) if name and names.count(name) > 1
    ]
    if mistakes:
        needed = ", ".join(called[field] for field in required)
        more = ", ".join(called[field] for field in fields if field not in required)
        says = f"the columns are {needed}" + (f"; optional are {more}" if more else "")
        raise Refused([f"{where}: {mistake}; {says}" for mistake in mistakes[:MOST_MISTAKES]])
    places = {field: names.index(name.lower()) for field, name in called.items() if name.lower() in names}
    return Columns(places, called, len(first)), True


def _numbered(first: list[str], required: Iterable[str], theirs: Mapping[str, str | int], where: str) -> Columns:
    """The columns by their places, counted from 1; every row must be as wide as the first."""
    mistakes = [
        f"the settings give the place of some columns, but not of {name}" for name in required if name not in theirs
    ]
    mistakes += [
        f"has {len(first)} columns, and the settings speak of {name!r} for {field}"
        for field, name in theirs.items()
        if not isinstance(name, int) or name > len(first)
    ]
    if mistakes:
        raise Refused([f"{where}: {mistake}; correct the feed's columns in the settings" for mistake in mistakes])
    names = {field: f"column {name} ({field})" for field, name in theirs.items()}
    return Columns({field: int(place) - 1 for field, place in theirs.items()}, names, len(first))
