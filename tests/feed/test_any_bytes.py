"""Whatever a file holds, it is read or refused in sentences, in little memory, and refused without a trace."""

import io
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import Connection
from psycopg_pool import ConnectionPool

from feed.cells import Wrong
from feed.checking import read
from feed.custody import OPTIONAL, REQUIRED, STATUSES, custody_record, in_our_words
from feed.formats import FORMATS
from feed.records import File, Refused, Rules
from feed.run import run
from tests.conftest import SETTINGS
from tests.feed.conftest import CALENDAR, HEADER, JAIL, NIEM, SAMPLES, declared, row, rules
from tests.feed.test_run import everything, runs

FEEDS: dict[str, tuple[str, Rules]] = {
    "custody by hand": ("by hand.csv", rules()),
    "custody": ("jail.csv", declared(**JAIL)),
    "custody in UTF-16": ("jail.csv", declared(**(JAIL | {"encoding": "utf-16"}))),
    "custody with quarantine": ("jail.csv", declared(**JAIL, quarantine=0.5)),
    "snapshot": ("jail.csv", declared(**JAIL, format="custody snapshot")),
    "calendar": ("calendar.tsv", declared(**CALENDAR)),
    "niem": ("niem.xml", declared(**NIEM)),
    "niem with quarantine": ("niem.xml", declared(**NIEM, quarantine=0.9)),
}
PIECES = [
    b'"',
    b",",
    b"\t",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"<",
    b">",
    b"&",
    b"<!--",
    b"]]>",
    b"\x80",
    b";",
]


def read_or_refused(name: str, content: bytes, how: Rules) -> File | None:
    try:
        return read(name, io.BytesIO(content), how)
    except Refused as refused:
        assert refused.mistakes
        assert all(mistake.startswith(name) for mistake in refused.mistakes)
        return None


def sample(name: str, how: Rules) -> bytes:
    """A file of the feed that has no mistake."""
    if name == "by hand.csv":
        return (HEADER + row(number="11") + row("released", number="12") + row("escaped", event_id="E7")).encode()
    content = (SAMPLES / name).read_bytes()
    return content.decode("windows-1252").encode("utf-16") if how.encoding == "utf-16" else content


@st.composite
def damaged(draw: st.DrawFn, sample: bytes) -> bytes:
    """A sample from which pieces were cut, into which others were put, or in which they stand twice."""
    content = bytearray(sample)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        until = min(len(content), at + draw(st.integers(0, 60)))
        what = draw(st.sampled_from(["cut", "put", "twice", "rest"]))
        if what == "cut":
            del content[at:until]
        elif what == "put":
            content[at:at] = draw(st.sampled_from(PIECES) | st.binary(max_size=8))
        elif what == "twice":
            content[at:at] = content[at:until]
        else:
            del content[at:]
    return bytes(content)


@pytest.mark.parametrize(("name", "how"), FEEDS.values(), ids=FEEDS)
@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=400))
@example(content=b"\xff\xfe")
@example(content=b"<?xml version='1.0' encoding='shift_jis'?><a/>")
@example(content=b"<?xml version='1.0' encoding='idna'?><a/>")
@example(content=b'"' * 200_000)
@example(content=b"," * 200_000)
def test_any_bytes_are_read_or_refused(name: str, how: Rules, content: bytes):
    read_or_refused(name, content, how)


@pytest.mark.parametrize(("name", "how"), FEEDS.values(), ids=FEEDS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(name: str, how: Rules, data: st.DataObject):
    file = read_or_refused(name, data.draw(damaged(sample(name, how))), how)
    if file:
        taken = len(file.custody) + len(file.court) + file.repeated + len(file.quarantined)
        assert taken <= file.rows
        assert len(file.quarantined) <= how.quarantine * file.rows


EXTREMES = [
    *("", "0", "9", "00", ";", ",", ", ;", "NONE", "in custody", "released", "boone", "100234", "SMITH", "SMITH, JOHN"),
    *("1900-01-01 00:00+14:00", "9999-12-31 23:59-14:00", "2026-11-15 09:40", "0001-01-01 00:00", "2026-W46-7T10:00"),
    *("1990-07-31", "9999-12-31", "0001-01-01", "20261115T0940", "2026-11-15T24:00", "2026-11-15 09:40:00.1234567"),
]
CELL = st.sampled_from(EXTREMES) | st.text(max_size=100)


@settings(max_examples=500, deadline=None)
@given(
    cells=st.fixed_dictionaries(dict.fromkeys(REQUIRED, CELL), optional=dict.fromkeys(OPTIONAL, CELL)),
    forms=st.sampled_from([("", ""), ("%m/%d/%Y", "%m/%d/%Y %H:%M")]),
)
def test_any_cells_are_a_record_or_mistakes(cells: dict[str, str], forms: tuple[str, str]):
    how = in_our_words(replace(rules(), dates=forms[0], times=forms[1]))
    try:
        assert custody_record(2, cells, how).custody.status in STATUSES
    except Wrong as wrong:
        assert wrong.mistakes


@pytest.mark.parametrize(("name", "how"), FEEDS.values(), ids=FEEDS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_applied_as_a_whole_or_leaves_no_trace(
    name: str, how: Rules, data: st.DataObject, db: ConnectionPool, shared: Connection, tmp_path: Path
):
    path = tmp_path / name
    path.write_bytes(data.draw(damaged(sample(name, how))))
    before, seen = everything(shared), len(runs(shared))
    try:
        report = run(db, path, how, settings=SETTINGS)
    except Refused:
        assert everything(shared) == before
        assert runs(shared)[seen:] == [("refused", 0, 0, 0)]
    else:
        assert not report.held
        assert runs(shared)[seen:] == [("applied", report.rows, len(report.lines), 0)]


class Endless(io.RawIOBase):
    """A file that is made while it is read, as long as nobody stops."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._rest = iter(pieces), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while len(self._rest) < len(buffer) and (piece := next(self._pieces, b"")):
            self._rest += piece
        size = min(len(self._rest), len(buffer))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def peak(work: Callable[[], object]) -> int:
    """The bytes that it had at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def custody_rows(many: int) -> Iterator[bytes]:
    yield HEADER.encode()
    for number in range(many):
        yield row("free" if number % 7 == 0 else "released", number=f"A{number}").encode()


def charges(many: int) -> Iterator[bytes]:
    yield b"Charge\tcase_number\tcharge\n"
    for number in range(many):
        yield f"Charge\tC{number}\tTHEFT\n".encode()


def messages(many: int) -> Iterator[bytes]:
    opening, found, rest = (SAMPLES / "niem.xml").read_bytes().partition(b"<x:BookingReport>")
    body = found + rest.removesuffix(b"</batch>\n")
    yield opening
    for _ in range(many):
        yield body
    yield b"</batch>"


LONG = {
    "custody": (custody_rows(20_000), declared(), 20_000),
    "calendar": (charges(20_000), declared(**CALENDAR), 20_000),
    "niem": (messages(1_000), declared(**NIEM), 3_000),
}


@pytest.mark.parametrize(("pieces", "how", "many"), LONG.values(), ids=LONG)
def test_a_reader_holds_no_more_than_a_row(pieces: Iterator[bytes], how: Rules, many: int):
    source = io.BufferedReader(Endless(pieces))
    found: list[int] = []

    def count() -> None:
        found.append(sum(1 for _ in FORMATS[how.format].read("long", source, how)))

    assert peak(count) < 2_000_000
    assert found == [many]


def without_end(piece: bytes, opening: bytes = b"") -> Iterator[bytes]:
    yield opening
    while True:
        yield piece * 1000


ENDLESS = {
    "a line": (without_end(b"x,"), declared()),
    "a quoted cell": (without_end(b"x\n", b'"'), declared()),
    "a row of many lines": (without_end(b'"a\n",', b""), declared()),
    "blank lines of blanks": (without_end(b" "), declared()),
    "a tabbed line": (without_end(b"Case\t"), declared(**CALENDAR)),
    "a text": (without_end(b"x", b"<a>"), declared(**NIEM)),
    "an attribute": (without_end(b"x", b"<a b='"), declared(**NIEM)),
    "a comment": (without_end(b"x", b"<a><!--"), declared(**NIEM)),
    "elements beside each other": (without_end(b"<b/>", b"<a>"), declared(**NIEM)),
    "elements within each other": (without_end(b"<a>"), declared(**NIEM)),
    "an entity": (without_end(b"<!ENTITY a 'aaaaaaaaaa'>", b"<!DOCTYPE x ["), declared(**NIEM)),
    "attributes": (without_end(b" b='x'", b"<a"), declared(**NIEM)),
    "a header": (without_end(b"name,"), declared(**JAIL)),
    "a snapshot's line": (without_end(b"x,"), declared(format="custody snapshot")),
    "a message": (without_end(b"<b>x</b>", b"<BookingReport>"), declared(**NIEM)),
}


@pytest.mark.parametrize(("pieces", "how"), ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_refused_before_it_fills_the_memory(pieces: Iterator[bytes], how: Rules):
    source = io.BufferedReader(Endless(pieces))

    def refuse() -> None:
        with pytest.raises(Refused):
            read("endless", source, how)

    assert peak(refuse) < 60_000_000


def test_entities_within_entities_are_refused_and_not_made():
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 30))
    file = f'<!DOCTYPE a [<!ENTITY e0 "lol">{bomb}]><BookingReport>&e29;</BookingReport>'.encode()

    def refuse() -> None:
        with pytest.raises(Refused, match="document type"):
            read("bomb.xml", io.BytesIO(file), declared(**NIEM))

    assert peak(refuse) < 2_000_000


def test_of_a_file_of_bad_rows_only_so_many_are_kept():
    source = io.BufferedReader(
        Endless(row("free", last_name="X" * 5_000).encode() if n else HEADER.encode() for n in range(20_000))
    )

    def refuse() -> None:
        with pytest.raises(Refused) as refused:
            read("bad", source, declared())
        assert len(refused.value.mistakes) == 1001

    assert peak(refuse) < 40_000_000
