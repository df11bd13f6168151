"""A few cells of the crash matrix; `script/chaos` has all of them, and a random walk through them."""

import os
from collections.abc import Iterator

import pytest

from tests.chaos import cell
from tests.chaos.cell import ALL_POINTS
from tests.chaos.faults import ALL_FAULTS
from tests.chaos.line import ChaosLine
from tests.chaos.telephones import Telephones
from tests.live.softphone import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts the service, whose parts run as users of their own")


@pytest.fixture(scope="module")
def line() -> Iterator[ChaosLine]:
    with Telephones(free_port()) as telephones, ChaosLine(telephones) as running:
        yield running


@pytest.mark.parametrize(
    ("point", "fault"),
    [
        ("file written", "dial killed"),
        ("PIN received", "serve killed"),
        ("message half spoken", "asterisk killed"),
        ("attempt committed", "connection cut after COMMIT"),
    ],
)
def test_nobody_is_forgotten_and_nobody_called_twice_at_once(line: ChaosLine, point: str, fault: str):
    (where,) = [each for each in ALL_POINTS if each.name == point]
    (what,) = [each for each in ALL_FAULTS if f"{each.process} {each.name}" == fault]
    result = cell.run(line, where, what)
    assert not result.not_applicable
    assert not result.broken, f"{result.broken}\n{line.last_lines()}"
