"""All cells, or a random walk through them, on one or more lines at once; and the table of what came of it."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from tests.bench import report
from tests.chaos import cell
from tests.chaos.cell import ALL_POINTS, Result
from tests.chaos.faults import ALL_FAULTS, CLOCKS, CUTS, DISKS, PROCESSES, Fault
from tests.chaos.injected import Point
from tests.chaos.line import ChaosLine
from tests.chaos.telephones import Telephones
from tests.live import registered
from tests.live.softphone import free_port

MOST_PEOPLE = 3  # who are called at once in the walk


@dataclass(frozen=True)
class Cell:
    point: Point
    fault: Fault
    people: int = 1


def every(faults: Sequence[Fault] = ALL_FAULTS, points: Sequence[Point] = ALL_POINTS) -> list[Cell]:
    """One fault after the other, each at every point."""
    return [Cell(point, fault) for fault in faults for point in points]


def walk(
    seed: str, minutes: float, faults: Sequence[Fault] = ALL_FAULTS, points: Sequence[Point] = ALL_POINTS
) -> Iterator[Cell]:
    """Any cell after any other, for so long; the same for the same seed."""
    choice, until = random.Random(seed), time.monotonic() + minutes * 60  # noqa: S311
    while time.monotonic() < until:
        yield Cell(choice.choice(points), choice.choice(faults), choice.randint(1, MOST_PEOPLE))


class Shared:
    """What several lines share: the cells that are left, and what came of the others."""

    def __init__(self, cells: Iterable[Cell], told: Callable[[Result], None]) -> None:
        self.results: list[Result] = []
        self.failed: list[Exception] = []  # what kept a line from working
        self.stopping = threading.Event()
        # How many have ended. Python 3.11 takes a thread whose `join` was interrupted for one that has ended.
        self.ended = threading.Semaphore(0)
        self._waiting, self._told, self._lock = iter(cells), told, threading.Lock()

    def left(self) -> Iterator[Cell]:
        while not self.stopping.is_set():
            with self._lock:
                each = next(self._waiting, None)
            if each is None:
                return
            yield each

    def tell(self, result: Result) -> None:
        with self._lock:
            self.results.append(result)
            self._told(result)

    def work(self) -> None:
        try:
            run(self)
        except Exception as error:  # noqa: BLE001  raised again by `run_on`
            self.failed.append(error)
            self.stopping.set()
        finally:
            self.ended.release()


def run(shared: Shared) -> None:
    """Run cells on a line; one that a cell has left broken is thrown away for a new one."""
    cells = shared.left()
    while True:
        with Telephones(free_port()) as telephones, ChaosLine(telephones) as line:
            for each in cells:
                result = _run(line, each)
                shared.tell(result)
                if result.broken and not _is_usable(line):
                    break
            else:
                return


def _run(line: ChaosLine, each: Cell) -> Result:
    try:
        return cell.run(line, each.point, each.fault, each.people)
    except Exception as error:  # noqa: BLE001  whatever it was, this cell has not shown that all is well
        return Result(each.point.name, each.fault, [f"{type(error).__name__}: {error}"], 0)


def _is_usable(line: ChaosLine) -> bool:
    try:
        line.is_well_again()
        registered.close_all(line)
    except Exception:  # noqa: BLE001
        return False
    return True


def run_on(lines: int, cells: Iterable[Cell], told: Callable[[Result], None]) -> list[Result]:
    """Share the cells among so many lines, and return what came of them. Ctrl-C ends it after the cells under way.

    Raises what kept a line from working, once the others have ended.
    """
    shared = Shared(cells, told)
    workers = [threading.Thread(target=shared.work) for _ in range(lines)]
    for worker in workers:
        worker.start()
    try:
        for _ in workers:
            shared.ended.acquire()
    except KeyboardInterrupt:
        report.err.print("Stopping; the cells that are under way end first.")
        shared.stopping.set()
        for worker in workers:
            worker.join()
    if shared.failed:
        raise shared.failed[0]
    return shared.results


def line_of(result: Result) -> Text:
    what = f"{result.point}: {result.fault.process} {result.fault.name}"
    if result.not_applicable:
        return Text(f"–    {what}: {result.not_applicable}", "dim")
    if result.broken:
        return Text(f"BAD  {what}: {'; '.join(result.broken)}", "bold red")
    return Text(f"ok   {what} ({result.seconds:.0f} s)")


def show(results: Sequence[Result]) -> None:
    """A table for each group of faults: rows are points, columns what was done to which process."""
    points = [point for point in ALL_POINTS if any(result.point == point.name for result in results)]
    for title, part in _groups():
        columns = [fault for fault in part if any(result.fault is fault for result in results)]
        if not columns:
            continue
        table = report.table(title, "point", *(f"{fault.process}\n{fault.name}" for fault in columns))
        for point in points:
            here = [result for result in results if result.point == point.name]
            table.add_row(point.name, *(_mark([each for each in here if each.fault is fault]) for fault in columns))
        report.out.print(table)
    tested = [result for result in results if not result.not_applicable]
    broken = [result for result in tested if result.broken]
    report.out.print(f"{len(tested)} cells, {len(broken)} with a violation.")
    for result in broken:
        report.out.print(line_of(result), soft_wrap=True)


def _groups() -> tuple[tuple[str, Sequence[Fault]], ...]:
    """No more columns in each than a narrow terminal has room for."""
    half = len(PROCESSES) // 2
    return (
        ("Processes that make calls", PROCESSES[:half]),
        ("Processes of others", PROCESSES[half:]),
        ("Connections and disks", (*CUTS, *DISKS)),
        ("Clocks", CLOCKS),
    )


def _mark(results: Sequence[Result]) -> Text:
    if not results:
        return Text("")
    if results[0].not_applicable:
        return Text(results[0].not_applicable, "dim")
    bad = any(result.broken for result in results)
    many = f" {len(results)}x" if len(results) > 1 else ""
    return Text(f"violation{many}", "bold red") if bad else Text(f"ok{many}", "green")
