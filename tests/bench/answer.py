"""How fast calls are answered, at rising rates: this service, bare dialplan, and a forked AGI script."""

from dataclasses import dataclass, field
from statistics import fmean

from rich.progress import Progress

from tests.bench import report
from tests.bench.load import BARE, FORKED, HOTLINE, BenchLine, Callers
from tests.bench.wire import Call, Telephones

HOLD = 2.0  # seconds that a caller stays
SCRIPT = 30 << 10  # KB of free memory for each forked script: it takes half of that, and may run beside all others
AIM_RATE, AIM_MS = 100, 5
NAMES = {HOTLINE: "this service", BARE: "dialplan", FORKED: "forked AGI"}


@dataclass
class Result:
    """All rounds of one number at one rate. Times in milliseconds since the INVITE."""

    calls: int = 0
    failed: int = 0
    missed: int = 0
    rates: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)
    why: dict[str, int] = field(default_factory=dict)

    def add(self, calls: list[Call], asked: int, failed: int, missed: int) -> None:
        whole = [call for call in calls if call.answered and call.heard]
        self.calls += asked
        self.failed += max(failed, asked - len(whole))
        self.missed += missed
        self.answered += [(call.answered - call.invited) / 1e6 for call in calls if call.answered]
        self.heard += [(call.heard - call.invited) / 1e6 for call in calls if call.heard]
        times = [call.answered for call in calls if call.answered]
        if len(times) > 1:
            self.rates.append((len(times) - 1) / (max(times) - min(times)) * 1e9)
        for call in calls:
            given_up = call.refused.startswith("487")  # it was cancelled
            why = "" if given_up else call.refused
            why = why or ("not answered" if not call.answered else "nothing heard" if not call.heard else "")
            if why:
                self.why[why] = self.why.get(why, 0) + 1


def run(rates: list[int], seconds: float, rounds: int) -> None:
    results: dict[tuple[int, str], Result] = {}
    forked_failed = False
    with report.progress() as progress:
        starting = progress.add_task("starting the service", total=None)
        with BenchLine() as line:
            progress.remove_task(starting)
            report.machine()
            for number in (HOTLINE, BARE, FORKED):  # what is done at the first call only is not measured
                _measure(line, number, 5, 5, Result(), progress)
            for rate in rates:
                # Both orders, so that neither always comes after the other.
                for turn in range(rounds):
                    order = [HOTLINE, BARE] if turn % 2 == 0 else [BARE, HOTLINE]
                    if not forked_failed:
                        order.append(FORKED)
                    for number in order:
                        result = results.setdefault((rate, number), Result())
                        calls = max(2, round(rate * seconds))
                        if number == FORKED:
                            calls = min(calls, report.available_memory() // SCRIPT)
                        _measure(line, number, rate, calls, result, progress)
                        forked_failed |= number == FORKED and result.failed > 0
    _print(results, rates)


def _measure(line: BenchLine, number: str, rate: int, calls: int, result: Result, progress: Progress) -> None:
    task = progress.add_task(f"{NAMES[number]}, {calls} calls at {rate}/s", total=1)
    with (
        Telephones(line.settings.sip.port, calls) as telephones,
        Callers(line, number, telephones.ports, calls=calls, rate=rate, hold=HOLD) as callers,
    ):
        failed = callers.wait(lambda done: progress.update(task, completed=done))
        result.add(telephones.hang_up(), calls, failed, telephones.missed)
        line.is_quiet()
    progress.remove_task(task)


def _print(results: dict[tuple[int, str], Result], rates: list[int]) -> None:
    for title, what in (
        ("Time to answer: INVITE to 200 OK, ms", "answered"),
        ("Time to the first sound: INVITE to the first packet of sound, ms", "heard"),
    ):
        table = report.table(title, "", "rate", "failed", "per s", "median", "p95", "worst", "to bare", "aim")
        for rate in rates:
            bare = report.centile(getattr(results[rate, BARE], what), 50)
            for number, name in NAMES.items():
                result = results.get((rate, number))
                if result is None:
                    table.add_row(name, str(rate), *"–" * 7)
                    continue
                times = getattr(result, what)
                median = report.centile(times, 50)
                apart = median - bare if median is not None and bare is not None else None
                well = None
                if number == HOTLINE and rate <= AIM_RATE:
                    well = apart is not None and apart <= AIM_MS and not result.failed
                table.add_row(
                    name, str(rate), f"{result.failed} of {result.calls}",
                    f"{fmean(result.rates):.0f}" if result.rates else "–", *report.spread(times, 50, 95),
                    _apart(apart) if number != BARE else "", report.reached(well),
                )  # fmt: skip
            table.add_section()
        report.out.print(table)
    for (rate, number), result in results.items():
        for why, count in result.why.items():
            report.out.print(f"{NAMES[number]} at {rate}/s: {count} × {why}", markup=False)
        if result.missed:
            report.out.print(
                f"{NAMES[number]} at {rate}/s: {result.missed} SIP messages were not seen, so figures are missing"
            )
    report.explain(
        f"""Callers (SIPp) dial three numbers of one Asterisk: this service's hotline (FastAGI), bare dialplan (Answer,
        Playback of the same welcome), and an AGI script with pyst2 that Asterisk forks for every call (by way of two
        lines of shell), which answers and streams the welcome. They take turns within each rate; the script takes part
        up to the first rate at which one of its calls fails, with fewer calls where memory is short. A caller sends
        sound once answered, stays {HOLD:g} s and hangs up. "rate" is calls begun in a second, "per s" calls answered in
        a second, from the first answer to the last. Times are of the calls that were answered.

        All times are the kernel's time stamps on packets that arrived at the loopback interface, so a busy caller makes
        none of them longer. The hotline is answered by its dialplan before the flow is asked, so the second table, the
        time until something is heard, is the one in which the FastAGI server has its share.

        A call has failed when it is not answered within 10 s, hears nothing, or cannot hang up. The aim: no failed call
        at {AIM_RATE}/s on 2 cores, and a median within {AIM_MS} ms of bare dialplan ("to bare"), in both tables."""
    )


def _apart(milliseconds: float | None) -> str:
    return "" if milliseconds is None else ("+" if milliseconds >= 0 else "") + report.ms(milliseconds)
