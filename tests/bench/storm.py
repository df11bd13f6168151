"""A storm: thousands to be called at once, how fast the lines carry it, and how fast call files that a script drops."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from statistics import fmean

import phonenumbers
import psycopg
from rich.progress import Progress
from rich.table import Table

from movans.settings import AGAIN
from movans.wiring import now
from tests import people
from tests.bench import report
from tests.bench.load import BenchLine, Stuck
from tests.bench.people import people as made_up
from tests.bench.record import SECOND, Call, line_use, most_at_once, most_in_a_second, waits_for_a_line
from tests.conftest import guard_of_nothing, policy_that_waits
from tests.live.registered import JAIL
from tests.network import BUSY, Behaviour, Network

AIM_USE, AIM_SHARE, AIM_BUSY = 0.95, 0.90, 0.5
AIM_WAIT = 1  # second
RING = 5  # seconds
PIN = "2580"
# Of a hundred telephones.
SHARES = {"confirmed": 18, "unconfirmed": 18, "machine": 10, "unanswered": 14, "busy": 20, "refused": 20}
LINES_FULL = 4  # times at least that every line is taken: use and speed of a handful of calls mean nothing
MOST_LINES, MOST_RATE = 10_000, 1000  # that the settings allow
RATE = 25  # calls a second of the trunk
ELSEWHERE = "Boone County Annex"
CALL_FILE = (
    "Channel: PJSIP/{number}@trunk-main\nApplication: Wait\nData: 600\nWaitTime: {ring}\nMaxRetries: 0\nArchive: no\n"
)
PATIENCE = 60  # seconds without a call while calls are due


def behaviour(number: str, seed: int) -> Behaviour:
    """How the telephone of this number behaves: the same at every call, and in every storm of this seed."""
    random = Random(f"{seed} {number}")  # noqa: S311  no secret
    (kind,) = random.choices(list(SHARES), list(SHARES.values()))
    soon, rings = random.uniform(0.2, 0.6), random.uniform(0.5, 2.5)
    match kind:
        case "confirmed":
            # Who is thanked for the PIN, some 14 s after the answer, does not listen to the goodbye.
            return Behaviour(kind, rings, keys=PIN, keys_after=random.uniform(1, 3), talks=random.uniform(17, 19))
        case "unconfirmed":
            return Behaviour(kind, rings, talks=random.uniform(3, 6))
        case "machine":
            return Behaviour(kind, rings, talks=random.uniform(7, 10), noise=random.uniform(3, 6))
        case "unanswered":
            return Behaviour(kind, None)
        case "busy":
            return replace(BUSY, after=soon)
        case _:
            return Behaviour(kind, soon, refusal="603 Decline")


def numbers(many: int) -> list[str]:
    """Example numbers, 555-0100 to 555-0199, of every area code that there is."""
    valid = (f"{area}55501{place:02}" for area in range(201, 990) if _is_area(area) for place in range(100))
    return [next(valid) for _ in range(many)]


def _is_area(code: int) -> bool:
    return phonenumbers.is_valid_number(phonenumbers.parse(f"+1{code}5550100"))


@dataclass(frozen=True)
class Group:
    """Offenders to whom the same happens, and who is registered for each."""

    name: str
    critical: bool
    registered: dict[str, list[str]]  # telephone numbers by the offender's number

    @property
    def numbers(self) -> list[str]:
        return [number for registered in self.registered.values() for number in registered]


def groups(telephones: Sequence[str]) -> list[Group]:
    """A quarter is registered for one offender; the others for many, ten each. The last group's turn comes later."""
    quarter = len(telephones) // 4
    many = {f"8{first:05}": list(telephones[first : first + 10]) for first in range(quarter, len(telephones), 10)}
    released, later = list(many)[::5], list(many)[3::10]
    moved = [offender for offender in many if offender not in (*released, *later)]
    return [
        Group("one released", critical=True, registered={"900000": list(telephones[:quarter])}),
        Group("many released", critical=True, registered={each: many[each] for each in released}),
        Group("many moved", critical=False, registered={each: many[each] for each in moved}),
        Group("released later", critical=True, registered={each: many[each] for each in later}),
    ]


@dataclass(frozen=True)
class Run:
    """A record of calls, since when they waited, and when the turn of those in mid-storm came."""

    calls: list[Call]
    since: int
    later: int = 0

    @property
    def until(self) -> int:
        """When nobody waited any more."""
        return max(call.invited for call in self.calls)

    @property
    def length(self) -> float:
        """Seconds of a call, on average."""
        return fmean((call.ended - call.invited) / SECOND for call in self.calls if call.ended)

    @property
    def per_minute(self) -> float:
        """Calls that ended while others waited."""
        done = sum(call.ended is not None and call.ended <= self.until for call in self.calls)
        return done * 60 * SECOND / (self.until - self.since)

    @property
    def per_second(self) -> float:
        """From the first INVITE to the last end."""
        last = max(call.ended or 0 for call in self.calls)
        return len(self.calls) * SECOND / (last - min(call.invited for call in self.calls))


class Storm:
    """The service with its telephone network, and those who wait to be told."""

    def __init__(
        self, line: BenchLine, conn: psycopg.Connection, network: Network, progress: Progress, parts: Sequence[Group]
    ) -> None:
        self.line, self.conn, self.network, self.progress, self.parts = line, conn, network, progress, parts
        offenders = [offender for part in parts for offender in part.registered]
        named = zip(offenders, made_up(len(offenders)), strict=True)
        self._names = {offender: f"{made.last_name},{made.first_name}" for offender, made in named}
        self._register()

    def breaks(self) -> Run:
        """Everything happens, the last part when half of all telephones were called; until all was told or tried."""
        *at_once, later = self.parts
        self.network.forget()
        everybody = sum(len(part.numbers) for part in self.parts)
        task = self.progress.add_task("the storm", total=everybody)
        since, in_mid_storm = self._happens(at_once), 0
        called, last = 0, time.monotonic()
        while (waits := self._waits()) or not in_mid_storm:
            time.sleep(0.2)
            if len(self.network.calls) > called:
                called, last = len(self.network.calls), time.monotonic()
            if time.monotonic() > last + PATIENCE:
                raise Stuck(f"{called} of {everybody} were called, and then nobody.\n{self.line.last_lines()}")
            self.progress.update(task, completed=called)
            if not in_mid_storm and (not waits or called >= (everybody - len(later.numbers)) // 2):
                in_mid_storm = self._happens([later])
        self.line.is_quiet()
        self.progress.remove_task(task)
        return Run(self.network.calls, since, in_mid_storm)

    def by_call_files(self, telephones: Sequence[str], lines: int) -> Run:
        """The same telephones are called by files that a script drops."""
        self.network.forget()
        task = self.progress.add_task("call files", total=len(telephones))
        since = time.time_ns()
        for done in drop(self.line.house.spool, telephones, lines):
            self.progress.update(task, completed=done)
        self.line.is_quiet()
        self.progress.remove_task(task)
        return Run(self.network.calls, since)

    def outcomes(self) -> dict[str, str]:
        """What the service says became of each telephone's call."""
        keyring = self.line.house.keyring()
        known = {keyring.hash(number): number for part in self.parts for number in part.numbers}
        rows = self.conn.execute(
            "select number_hash, outcome from call_attempt where trunk = 'main' order by id"
        ).fetchall()
        return {known[bytes(number_hash)]: outcome for number_hash, outcome in rows}

    def _register(self) -> None:
        keyring = self.line.house.keyring()
        task = self.progress.add_task("registering", total=sum(len(part.numbers) for part in self.parts))
        self.line.imports(*(row for part in self.parts for row in self._rows(part, f"{JAIL},in custody", days_ago=9)))
        ids = dict(self.conn.execute("select number, id from offender").fetchall())
        for part in self.parts:
            for offender, telephones in part.registered.items():
                with self.conn.transaction():
                    for number in telephones:
                        people.register(
                            self.conn, keyring, number=number, pin=PIN, offender_id=ids[offender], now=now()
                        )
                self.progress.advance(task, len(telephones))
        self.conn.execute("analyze")
        self.progress.remove_task(task)

    def _rows(self, part: Group, what: str, *, days_ago: float) -> Iterator[str]:
        at = datetime.now(self.line.settings.service.zone) - timedelta(days=days_ago)
        for offender in part.registered:
            yield f"boone,{offender},{self._names[offender]},,{what},{at:%Y-%m-%d %H:%M}"

    def _happens(self, parts: Sequence[Group]) -> int:
        """Import what happened; the time of its commit, to five milliseconds."""
        rows = [
            row
            for part in parts
            for row in self._rows(part, f"{JAIL},released" if part.critical else f"{ELSEWHERE},in custody", days_ago=1)
        ]
        runs = "select count(*) from feed_run"
        before = self.conn.execute(runs).fetchone()
        with ThreadPoolExecutor(1) as beside:
            importing = beside.submit(self.line.imports, *rows)
            while self.conn.execute(runs).fetchone() == before and not importing.done():
                time.sleep(0.005)
            at = time.time_ns()
            importing.result()
        return at

    def _waits(self) -> bool:
        """Whether somebody is to be called now, or is being called."""
        due = self.conn.execute(
            """select exists (select from notification where next_call_at <= %s)
                   or exists (select from call_attempt where state <> 'ended')""",
            [now()],
        ).fetchone()
        return due is not None and due[0]


def drop(spool: Path, telephones: Sequence[str], lines: int) -> Iterator[int]:
    """As a script does: a file for each telephone, and the next one as soon as a file is gone, as its call is over.

    Yields how many are dropped.
    """
    dropped, outgoing = 0, spool / "outgoing"
    while dropped < len(telephones):
        free = lines - sum(1 for _ in outgoing.iterdir())
        for number in telephones[dropped : dropped + free]:
            beside = spool / "tmp" / f"bench-{dropped}.call"
            beside.write_text(CALL_FILE.format(number=number, ring=RING))
            beside.chmod(0o644)
            beside.rename(outgoing / beside.name)
            dropped += 1
        yield dropped
        time.sleep(0.002)


def typical(calls: Sequence[Call], seed: int, least: int) -> list[str]:
    """A sixth of the telephones, or ``least``, whose calls are as long on average as all: spread over their order."""
    ended = [call for call in calls if call.ended]
    ended.sort(key=lambda call: (call.ended or 0) - call.invited)
    every = max(1, len(ended) // max(least, len(ended) // 6))
    found = [call.number for call in ended[every // 2 :: every]]
    Random(seed).shuffle(found)  # noqa: S311  no secret
    return found


def _settings(port: int, lines: int, rate: int) -> dict[str, object]:
    """Who was called once is not called again for so long that no storm lasts until then."""
    return {
        "trunks": {"main": {"host": "127.0.0.1", "port": port, "lines": lines, "rate": rate}},
        "calls": {"ring": RING, "longest": 120, "machine_message": "callback"},
        "policy": policy_that_waits(dict.fromkeys(AGAIN, "10:00:00")),
        "guard": guard_of_nothing(),
    }


def run(registrants: int, lines: int, seed: int) -> None:
    telephones = numbers(registrants)
    behaviours = {number: behaviour(number, seed) for number in telephones}
    parts = groups(telephones)
    with report.progress() as progress, Network(behaviours.__getitem__) as network:
        with _service(network, lines, RATE, progress) as (line, conn):
            report.machine()
            report.out.print(f"{registrants} registrants, {lines} lines, seed {seed}.\n")
            storm = Storm(line, conn, network, progress, parts)
            ours = storm.breaks()
            outcomes = storm.outcomes()
            talked = {call.number: call.talked for call in ours.calls}
            network.behave = lambda number: replace(behaviours[number], keys="", talks=talked[number] or RING)
            files = storm.by_call_files(typical(ours.calls, seed, LINES_FULL * lines), lines)
        report.out.print(_use(ours, files, lines), _waiting(ours, parts, lines), _became(ours, behaviours, outcomes))
        with _service(network, MOST_LINES, MOST_RATE, progress) as (line, conn):
            network.behave = lambda _: BUSY
            storm = Storm(line, conn, network, progress, parts)
            busy = storm.breaks()
            busy_files = storm.by_call_files(telephones, MOST_LINES)
    report.out.print(_speed(ours, files, busy, busy_files))
    report.explain(
        f"""All of it happens in one commit: one is released for whom a quarter is registered, and many are released
        or moved for whom ten are. What comes later is a second commit, when half of the others were called.
        Behind the trunk is a telephone network of our own, in the benchmark's process, whose record all figures
        are from: the kernel's time of each INVITE, and when that call ended, whoever ended it. How a telephone
        behaves is decided by its number and the seed. Nobody is called twice.

        Lines are in use from INVITE to end, until nobody waits any more. "a second" is the most INVITEs in any
        second; the trunk lets {RATE} begin. A first call that goes before all others is late by what has passed
        since a line was free for it and the rate allowed one more: the calls take free lines, and turns of the rate,
        in the order in which they came, and what another call took meanwhile was free all the same.

        In turn with it a script drops call files for a sixth of the telephones, spread over the lengths of their
        calls, and the next one as soon as a file is gone. It knows no database and no flow, and who
        answers hears nothing; each telephone talks as long as it did with the service. Calls of no length:
        every telephone is busy at once, and nothing limits how many calls there are.

        The aims: more than {AIM_USE:.0%} of the lines in use and never more lines than there are; no first call
        that goes before others later than {AIM_WAIT} s; {AIM_SHARE:.0%} and {AIM_BUSY:.0%} of what call files
        reach."""
    )


@contextmanager
def _service(
    network: Network, lines: int, rate: int, progress: Progress
) -> Iterator[tuple[BenchLine, psycopg.Connection]]:
    starting = progress.add_task("starting the service", total=None)
    with (
        BenchLine(**_settings(network.port, lines, rate)) as line,
        psycopg.connect(line.house.dsn, autocommit=True) as conn,
    ):
        progress.remove_task(starting)
        yield line, conn


def _use(ours: Run, files: Run, lines: int) -> Table:
    table = report.table(f"Use of {lines} lines", "", "calls", "s each", "in use", "most at once", "a second", "aim")
    for name, each in (("this service", ours), ("call files", files)):
        use, most = line_use(each.calls, lines, each.since, each.until), most_at_once(each.calls)
        fastest = most_in_a_second(each.calls)
        table.add_row(
            name, f"{len(each.calls)}", f"{each.length:.1f}", f"{use:.1%}", f"{most}",
            f"{fastest}",
            report.reached(use > AIM_USE and most <= lines and fastest <= RATE) if each is ours else "",
        )  # fmt: skip
    return table


def _speed(ours: Run, files: Run, busy: Run, busy_files: Run) -> Table:
    table = report.table("Calls", "", "service", "call files", "share", "aim")
    for what, us, them, aim in (
        ("a minute, while others wait", ours.per_minute, files.per_minute, AIM_SHARE),
        ("a second, of no length", busy.per_second, busy_files.per_second, AIM_BUSY),
    ):
        table.add_row(what, f"{us:.0f}", f"{them:.0f}", f"{us / them:.0%}", report.reached(us / them >= aim))
    table.add_row("that came, of no length", f"{len(busy.calls)}", f"{len(busy_files.calls)}")
    return table


def _waiting(ours: Run, parts: Sequence[Group], lines: int) -> Table:
    """When first calls came: since it happened; those that go before all others, since they could come, too."""
    *at_once, later = parts
    urgent = [number for part in at_once if part.critical for number in part.numbers]
    late = {
        number: seconds
        for numbers, since in ((urgent, ours.since), (later.numbers, ours.later))
        for seconds, number in waits_for_a_line(ours.calls, numbers, lines, RATE, since)
    }
    table = report.table("First calls, s", "", "calls", "median", "last", "late: median", "the worst", "aim")
    for part in parts:
        after = _first_calls(ours.calls, part.numbers, ours.later if part is later else ours.since)
        row = [part.name, f"{len(after)}", f"{report.centile(after, 50) or 0:.1f}", f"{max(after, default=0):.1f}"]
        if part.critical:
            mine = sorted((late[number] for number in part.numbers if number in late), reverse=True)
            row += [f"{report.centile(mine, 50) or 0:.2f}", " ".join(f"{seconds:.2f}" for seconds in mine[:3])]
            table.add_row(*row, report.reached(bool(mine) and mine[0] <= AIM_WAIT))
        else:
            table.add_row(*row)
    return table


def _first_calls(calls: Sequence[Call], numbers: Sequence[str], since: int) -> list[float]:
    """Seconds from ``since`` to the first call of each number."""
    wanted, found = set(numbers), {}
    for call in calls:
        if call.number in wanted and call.invited >= since:
            found.setdefault(call.number, (call.invited - since) / SECOND)
    return list(found.values())


def _became(ours: Run, behaviours: dict[str, Behaviour], outcomes: dict[str, str]) -> Table:
    table = report.table("Telephones", "as they behaved", "calls", "s each", "as the service noted it")
    for kind in SHARES:
        numbers = {number for number, behaviour in behaviours.items() if behaviour.kind == kind}
        lengths = [(call.ended - call.invited) / SECOND for call in ours.calls if call.number in numbers and call.ended]
        noted = Counter(outcomes.get(number, "never called") for number in numbers)
        table.add_row(
            kind, f"{len(lengths)}", f"{fmean(lengths) if lengths else 0:.1f}",
            ", ".join(f"{outcome} {many}" for outcome, many in noted.most_common()),
        )  # fmt: skip
    return table
