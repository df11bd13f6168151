"""What the benchmarks print: the machine, the tables, the explanation, and how far they are meanwhile."""

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from movans import asterisk

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def machine() -> None:
    """Print what was measured on; a benchmark's figures mean nothing without."""
    cpu = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    sipp = subprocess.run(["sipp", "-v"], capture_output=True, text=True, check=False).stdout.split()
    table = Table(show_header=False, box=None)
    for name, value in (
        ("Processor", f"{len(os.sched_getaffinity(0))} cores, {cpu[0] if cpu else platform.machine()}"),
        ("Memory", f"{int(memory) / 2**20:.1f} GB"),
        ("System", f"Linux {platform.release()}, Python {platform.python_version()}"),
        ("Asterisk", asterisk.version()),
        ("SIPp", next((word.rstrip(".") for word in sipp if word.startswith("v")), "?")),
        ("Busy before", f"{os.getloadavg()[0]:.1f} processes wanted a core in the last minute"),
    ):
        table.add_row(Text(name, "bold"), Text(value))
    out.print(table)
    out.print("Everything, the callers too, runs on this one machine and shares its cores.\n")


def available_memory() -> int:
    """In KB."""
    return next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemAvailable"))


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


@contextmanager
def progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as shown:
        yield shown


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return made


def explain(text: str) -> None:
    out.print()
    for paragraph in text.strip().split("\n\n"):
        out.print(" ".join(paragraph.split()), markup=False)
        out.print()


def centile(values: Sequence[float], which: int) -> float | None:
    """The value that so many in a hundred do not exceed; None where there are none."""
    if len(values) < 2:
        return values[0] if values else None
    return quantiles(values, n=100, method="inclusive")[which - 1]


def ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def spread(values: Sequence[float], *centiles: int) -> list[str]:
    """These of a hundred, and the worst."""
    return [ms(centile(values, which)) for which in centiles] + [ms(max(values, default=None))]


def reached(yes: bool | None) -> Text:  # noqa: FBT001
    return Text("–") if yes is None else Text("reached", "green") if yes else Text("missed", "bold red")
