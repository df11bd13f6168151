"""One cell of the matrix: a fault at a point, and what the oracle says of it."""

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import psycopg

from tests.chaos.faults import MID_SENTENCE, Fault
from tests.chaos.injected import POINTS, Point
from tests.chaos.line import PATIENCE, ChaosLine
from tests.chaos.oracle import violations

QUIET = 5.0  # seconds in which no call may follow; the settings let one come again after three
BEFORE = 30.0  # seconds before the fault in which a cell's calls began; an earlier one may be another cell's
COMMITTED = POINTS[0]
RINGING = Point("ringing", "", "")  # a point of the telephone's own: nothing in the service is held
ALL_POINTS = tuple(each for point in POINTS for each in ((point, RINGING) if point.name == "dialling" else (point,)))

_offenders = count(900_000)
_numbers = count()


@dataclass(frozen=True)
class Result:
    """`broken` is empty where all is as it must be."""

    point: str
    fault: Fault
    broken: list[str]
    seconds: float
    not_applicable: str = ""


def run(line: ChaosLine, point: Point, fault: Fault, people: int = 1) -> Result:
    """Let something happen to somebody, strike at the point, and wait until all is well and told."""
    began = time.monotonic()
    if reason := fault.not_applicable(line, point):
        return Result(point.name, fault, [], 0, reason)
    numbers = {f"{next(_offenders)}": f"57355501{20 + next(_numbers) % 80}" for _ in range(people)}
    for offender, number in numbers.items():
        line.register(offender, number)
    with fault.around(line), line.disarmed():
        with line.unwatched():
            _bring_to(line, point, fault.order, numbers)
            fault_at = time.time()
            fault.strike(line)
        broken = _settles(line, numbers)
        theirs = [call for call in line.telephones.record() if call.number in numbers.values()]
        broken += violations(
            line.notifications(numbers),
            line.attempts(numbers),
            [call for call in theirs if call.invited > fault_at - BEFORE],
            fault_at=fault_at,
        )
    return Result(point.name, fault, broken, time.monotonic() - began)


def _bring_to(line: ChaosLine, point: Point, order: str, numbers: dict[str, str]) -> None:
    """Until a process is held at the point; the telephone rings, at the point of its own."""
    if point is RINGING:
        with line.telephones.nobody_picks_up():
            line.release(*numbers)
            line.eventually(lambda: any(map(line.telephones.ringing, numbers.values())), 20)
        return
    line.arm(order, point)
    if point is COMMITTED and order != "hold":
        with suppress(AssertionError):  # the import fails, and whoever sees that imports the file again
            line.release(*numbers)
        line.wait_reached(point)
        line.release(*numbers)
    elif point is COMMITTED:  # the dialer looks twice a second, and must not take it before
        line.wait_reached(point)
        line.release(*numbers)
    else:
        line.release(*numbers)
        line.wait_reached(point)
    if point.goes_on:
        time.sleep(MID_SENTENCE)


def _settles(line: ChaosLine, numbers: dict[str, str]) -> list[str]:
    """Wait until every part works and everybody is told, and then for a call too many; say what did not come."""
    missed: list[str] = []
    for what, true in (
        ("not all parts worked again", line.is_well),
        ("not everybody was told", lambda: _is_told(line, numbers)),
    ):
        try:
            line.eventually(true, PATIENCE)
        except AssertionError:
            missed.append(f"{what} within {PATIENCE} s")
    time.sleep(QUIET)
    return missed


def _is_told(line: ChaosLine, numbers: dict[str, str]) -> bool:
    try:
        told = line.notifications(numbers)
        return len(told) == len(numbers) and all(each.state == "confirmed" for each in told) and line.is_quiet()
    except psycopg.OperationalError:
        return False
