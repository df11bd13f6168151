"""How much memory a call takes: the FastAGI server with hundreds of calls, and forked scripts."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from tests.bench import report
from tests.bench.load import FORKED, HOTLINE, BenchLine, Callers
from tests.bench.wire import Telephones

AIM = 200  # KB
STAY = 6.0  # seconds that all are there
RATES = {HOTLINE: 50, FORKED: 2}  # calls a second while they come in


@dataclass(frozen=True)
class Memory:
    """In KB, as /proc/PID/smaps_rollup says."""

    rss: int  # resident
    pss: int  # resident, where a page that several processes share counts for each only in part

    @classmethod
    def of(cls, pids: list[int]) -> "Memory":
        rss = pss = 0
        for pid in pids:
            fields = dict(line.split()[:2] for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
            rss, pss = rss + int(fields["Rss:"]), pss + int(fields["Pss:"])
        return cls(rss, pss)


def run(calls: int, scripts: int) -> None:
    table = report.table("Memory, KB", "", "calls", "RSS", "per call", "PSS", "per call", "aim")
    with report.progress() as progress:
        starting = progress.add_task("starting the service", total=None)
        with BenchLine() as line:
            progress.remove_task(starting)
            report.machine()
            serve = [line.pid("serve")]
            idle = Memory.of(serve)
            table.add_row("FastAGI server", "0", f"{idle.rss:,}", "", f"{idle.pss:,}", "", "")
            for step in sorted({max(1, calls // 5), max(1, calls // 2), calls}):
                there, now = _measure(line, HOTLINE, step, lambda: Memory.of(serve), progress)
                each = (now.rss - idle.rss) / there if there else 0
                well = each < AIM if there == calls else None
                table.add_row(
                    "", str(there), f"{now.rss:,}", f"{each:.0f}",
                    f"{now.pss:,}", f"{(now.pss - idle.pss) / there if there else 0:.0f}",
                    report.reached(well) if step == calls else "",
                )  # fmt: skip
            if line.pid("serve") != serve[0]:
                report.err.print("The FastAGI server was restarted meanwhile: the figures mean nothing.", style="red")
            later = Memory.of(serve)
            table.add_row("", "0, later", f"{later.rss:,}", "", f"{later.pss:,}", "", "")
            table.add_section()
            there, now = _measure(line, FORKED, scripts, lambda: Memory.of(line.scripts()), progress)
            table.add_row(
                "forked AGI scripts", str(there), f"{now.rss:,}", f"{now.rss / there if there else 0:.0f}",
                f"{now.pss:,}", f"{now.pss / there if there else 0:.0f}", "",
            )  # fmt: skip
    report.out.print(table)
    report.explain(
        f"""Callers (SIPp) come in, hear the welcome and the menu, press nothing and stay until all are there; then the
        memory of the FastAGI server is read from /proc: RSS is what is resident; in PSS, memory that several processes
        share counts for each only in part. "per call" is what it has grown by since before the first call,
        divided by the calls, so what is loaded once for the first call is in it too. "0, later" is after all have hung
        up. Below it, AGI scripts with pyst2 that Asterisk forks for every call, which play the welcome and wait for a
        key: each is a whole Python. Asterisk's own memory is in neither.

        The aim: under {AIM} KB a call in the FastAGI server, by its RSS, at {calls} calls."""
    )


def _measure(
    line: BenchLine, number: str, calls: int, read: Callable[[], Memory], progress: Progress
) -> tuple[int, Memory]:
    """How many calls there were when all should have been there, and the memory then."""
    rate = RATES[number]
    task = progress.add_task(f"{number}, {calls} calls at a time", total=1)
    with (
        Telephones(line.settings.sip.port, 1) as telephones,
        Callers(line, number, telephones.ports, calls=calls, rate=rate, hold=calls / rate + STAY) as callers,
    ):
        began = time.monotonic()
        there = 0
        while there < calls and time.monotonic() < began + calls / rate + STAY - 1:
            time.sleep(0.3)
            there = line.channels() if number == HOTLINE else len(line.scripts())
            progress.update(task, completed=there / calls / 2)
        time.sleep(1)
        memory = read()
        callers.wait(lambda done: progress.update(task, completed=0.5 + done / 2))
    line.is_quiet()
    progress.remove_task(task)
    return there, memory
