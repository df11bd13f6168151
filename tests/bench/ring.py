"""How soon it rings: from the commit of an event to the INVITE on the wire."""

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from db import custody, feed_runs
from db.custody import Custody, Person
from dialer import policy
from movans.settings import AGAIN
from tests import people
from tests.bench import report
from tests.bench.load import BenchLine
from tests.conftest import policy_that_waits
from tests.network import BUSY, Network

AIM_MEDIAN, AIM_P99 = 50, 500  # milliseconds
PATIENCE = 10  # seconds
MOST = 100  # there are a hundred example numbers, 555-0100 to 555-0199
CALL_FILE = "Channel: PJSIP/{number}@trunk-main\nApplication: Wait\nData: 1\nWaitTime: 10\nMaxRetries: 0\nArchive: no\n"


def run(events: int) -> None:
    ours: list[float | None] = []
    committing: list[float] = []
    files: list[float | None] = []
    with report.progress() as progress:
        starting = progress.add_task("starting the service", total=None)
        calls = {"ring": 10, "longest": 60, "machine_message": "callback"}
        trunk = {"host": "127.0.0.1", "port": 0, "lines": 4, "rate": 100}
        hourly = policy_that_waits(dict.fromkeys(AGAIN, "01:00:00"))
        with (
            Network(lambda _: BUSY) as network,
            BenchLine(trunks={"main": trunk | {"port": network.port}}, calls=calls, policy=hourly) as line,
            psycopg.connect(line.house.dsn) as conn,
        ):
            progress.remove_task(starting)
            report.machine()
            people = _registered(conn, line, events + 1)
            task = progress.add_task("events and call files in turn", total=events)
            time.sleep(2)
            for turn, (offender, number) in enumerate(people):
                event = custody.record(
                    conn, offender, "released", Custody("released", "Boone County Jail", _now()),
                    source="bench", source_key=str(turn), feed_run_id=1, now=_now(),
                )  # fmt: skip
                policy.notify(conn, event, late=False, settings=line.settings, now=_now())
                before = time.time_ns()
                conn.commit()
                after = time.time_ns()
                rang = _wait(network, number, before)
                _pause()
                asked = time.time_ns()
                _drop_call_file(line.house.spool, turn, number)
                rang_by_file = _wait(network, number, asked)
                _pause()
                if turn:  # what is done at the first call only is not measured
                    ours.append(rang)
                    committing.append((after - before) / 1e6)
                    files.append(rang_by_file)
                    progress.advance(task)
    _print(ours, committing, files)


def _wait(network: Network, number: str, since: int) -> float | None:
    """Milliseconds until the INVITE for this number; None where none comes in time."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for call in reversed(network.calls):
            if call.number == number and call.invited >= since:
                return (call.invited - since) / 1e6
        time.sleep(0.01)
    return None


def _registered(conn: psycopg.Connection, line: BenchLine, many: int) -> list[tuple[int, str]]:
    """Offenders in custody, each with one registrant; their ids and the numbers to be called."""
    keyring, made = line.house.keyring(), []
    feed_runs.add(conn, "bench", "", "applied", now=_now())
    for place in range(many):
        held = Custody("in custody", "Boone County Jail", _now() - timedelta(days=1))
        person = Person("JOHN", "", "SMITH", None)
        offender = custody.add(conn, "boone", f"9{place:05}", person, held, now=_now())
        number = f"57355501{place % MOST:02}"
        people.register(conn, keyring, number=number, offender_id=offender.id, now=_now())
        made.append((offender.id, number))
    conn.commit()
    return made


def _drop_call_file(spool: Path, turn: int, number: str) -> None:
    """As a script does: written beside, renamed into the spool."""
    beside = spool / "tmp" / f"bench-{turn}.call"
    beside.write_text(CALL_FILE.format(number=number))
    beside.chmod(0o644)
    beside.rename(spool / "outgoing" / beside.name)


def _pause() -> None:
    time.sleep(random.uniform(0.7, 1.2))  # noqa: S311  so that it is in step with nothing


def _now() -> datetime:
    return datetime.now(UTC)


def _print(ours: list[float | None], committing: list[float], files: list[float | None]) -> None:
    table = report.table("Time to the INVITE, ms", "", "calls", "none came", "median", "p99", "worst", "aim")
    for name, times in (
        ("this service, from commit", ours),
        ("call file, from rename", files),
    ):
        came = [each for each in times if each is not None]
        p50, p99 = report.centile(came, 50), report.centile(came, 99)
        well = None
        if times is ours:
            well = p50 is not None and p99 is not None and p50 < AIM_MEDIAN and p99 < AIM_P99 and len(came) == len(ours)
        table.add_row(
            name, str(len(times)), str(len(times) - len(came)), *report.spread(came, 50, 99), report.reached(well)
        )
    table.add_row("the commit itself", str(len(committing)), "", *report.spread(committing, 50, 99), "")
    report.out.print(table)
    report.explain(
        f"""An event is recorded and its notification made in one transaction, as a feed does; the clock starts before
        COMMIT is sent and stops at the kernel's time stamp on the INVITE at the trunk, where every telephone is busy.
        In between: PostgreSQL's notification, the dialer's claim, the call file, Asterisk, the FastAGI flow that looks
        the number up, Dial. In turn with it a script drops a call file that dials the trunk at once, with no database,
        no claim and no flow: what Asterisk alone takes. Pauses of about a second lie between, at random.

        The aim: median under {AIM_MEDIAN} ms and 99 of 100 under {AIM_P99} ms."""
    )
