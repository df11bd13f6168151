"""Two hosts make the calls of one database, and one of them is cut off in mid-storm."""

import math
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from db import hosts
from db.attempts import LATE
from db.journal import YOUNG
from movans.asterisk import SERVICE_USER
from tests.bench.record import SECOND, Call, most_at_once, most_in_a_second
from tests.chaos import oracle
from tests.chaos.injected import POINTS
from tests.chaos.line import ChaosLine, NotReached
from tests.chaos.telephones import Rang, Telephones
from tests.cluster import make_run, running
from tests.conftest import guard_of_nothing, settings_for
from tests.live import registered
from tests.live.line import CHECKOUT
from tests.live.machines import Machine, may_be_made
from tests.live.softphone import free_port

pytestmark = pytest.mark.skipif(not may_be_made(), reason="needs root and network namespaces")

# Addresses for documentation (RFC 5737): they are nobody's.
HERE, FIRST, SECOND_HOST = "203.0.113.1", "203.0.113.2", "203.0.113.3"
LEASE = round(hosts.LEASE.total_seconds())
LINES, RATE = 6, 2.5  # of the trunk, over both hosts
# Seconds. A deadline, of these and an apology that is short here, comes after the half minute in which SIP asks again
# where nobody answered, as it does in any settings of the service's own.
RING, LONGEST = 4, 25
PATIENCE = 5  # seconds of silence after which whoever was called puts the telephone down
SLACK = 4  # seconds: a heartbeat's age, a look of the dialer, a line that must become free
STORM, MORE = 24, 8  # how many are told of something; at the cut some of them still wait for a line
JOURNALLED, COMMITTED = (
    next(point for point in POINTS if point.name == name) for name in ("journal written", "attempt committed")
)


class Host(ChaosLine):
    """The whole service on a machine of its own, by a database and a telephone network that others share."""

    as_long = ("dialer.loop:BEGIN_WITHIN",)  # longer than the lease, as it is: what is not begun is the lease's

    def __init__(self, machine: Machine, telephones: Telephones, database: str, keys: "Host | None" = None) -> None:
        self.machine, self.inside, self._keys = machine, machine.inside, keys
        trunk = {"host": telephones.address, "port": telephones.port, "lines": LINES, "rate": RATE}
        super().__init__(
            telephones,
            host=machine.name,
            database=database,
            trunks={"main": trunk},
            guard=guard_of_nothing(),
            sip={"address": machine.there, "port": 5060, "rtp_ports": [10000, 10099]},
        )

    def _content(self) -> dict[str, object]:
        content = super()._content()
        assert isinstance(content["calls"], dict)
        content["calls"] |= {"ring": RING, "longest": LONGEST}
        return content

    def start(self) -> None:
        if self._keys:  # as README has it, before the first start
            install = ["install", "-D", "-o", SERVICE_USER, "-g", SERVICE_USER, "-m", "600"]
            subprocess.run([*install, str(self._keys.house.key_file), str(self.house.key_file)], check=True)
        super().start()

    def holds(self) -> list["Live"]:
        """What it has claimed or begun, and not ended."""
        keys = self.house.keyring()
        known = {keys.hash(number): number for number in NUMBERS.values()}
        with psycopg.connect(self.house.dsn) as conn:
            rows = conn.execute(
                """select id, number_hash, state, extract(epoch from deadline)::float8 from call_attempt
                   where state <> 'ended' and host = %s and trunk = 'main' and confirmed_at is null order by id""",
                [self.machine.name],
            ).fetchall()
        return [Live(attempt, known[number_hash], state, deadline) for attempt, number_hash, state, deadline in rows]

    @property
    def in_journal(self) -> list[int]:
        """The attempts whose confirmation waits in its journal."""
        return [int(path.name.partition("-")[0]) for path in self.settings.state.glob("journal/*.json")]


@dataclass(frozen=True)
class Live:
    """An attempt that has not ended."""

    id: int
    number: str
    state: str
    deadline: float


LOCKS = """
import sys
from db.pool import open_pool
with open_pool(sys.argv[1]) as pool, pool.connection() as conn:
    conn.execute("select pg_advisory_xact_lock(1)")
    print("locked", flush=True)
    sys.stdin.read()
"""
NUMBERS = {f"{910_000 + place}": f"57355501{place:02}" for place in range(STORM + MORE)}  # by their offenders
IN_STORM, LATER = dict(list(NUMBERS.items())[:STORM]), dict(list(NUMBERS.items())[STORM:])


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine]]:
    first, second = Machine("first", here=HERE, there=FIRST), Machine("second", here=HERE, there=SECOND_HOST)
    with first, second:
        yield first, second


@pytest.fixture(scope="module")
def database(machines: tuple[Machine, Machine]) -> Iterator[str]:
    """PostgreSQL as other machines reach it: its DSN."""
    here = machines[0].here
    directory = Path(tempfile.mkdtemp(prefix="movans-shared-"))
    directory.chmod(0o755)
    try:
        make_run(directory)
        with running(settings_for(directory), f"listen_addresses={here}") as own:
            with (directory / "postgres" / "pg_hba.conf").open("a") as admitted:
                admitted.write(f"host all all {here}/24 trust\n")
            with psycopg.connect(own, user="postgres") as conn:
                conn.execute("select pg_reload_conf()")
            yield f"host={here} dbname=movans user=movans"
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def both(machines: tuple[Machine, Machine], database: str) -> Iterator[tuple[Host, Host]]:
    telephones = Telephones(free_port(address=HERE), address=HERE, patience=PATIENCE)
    first = Host(machines[0], telephones, database)
    with telephones, first, Host(machines[1], telephones, database, keys=first) as second:
        yield first, second


@contextmanager
def _told_where_it_fails(both: Sequence[Host]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for call in both[0].telephones.record():
            print(call)
        for host in both:
            print(f"\n=== {host.machine.name}\n{host.last_lines()}")
        raise


def called(by: Host, number: str, since: float) -> bool:
    calls = by.telephones.record()
    return any(call.number == number and call.caller == by.machine.there and call.invited > since for call in calls)


def is_told(line: Host) -> bool:
    return all(each.state == "confirmed" for each in line.notifications(NUMBERS)) and line.is_quiet()


def away(line: Host, host: Host) -> bool:
    """Whether a person is told that the host is away."""
    return bool(line.query("select from alert where key = %s and over_at is null", f"host {host.machine.name}"))


def _talks(host: Host) -> bool:
    return any(each.state != "claimed" for each in host.holds())


def _holds_both(host: Host, other: Host) -> bool:
    """Whether a call is claimed before its dialer reads the journal; lines that become free meanwhile are its own."""
    if not _talks(host):  # all lines are the other's
        with registered.without(other, "dial"):
            host.eventually(lambda: _talks(host), 30)
    host.arm("hold", JOURNALLED)
    host.wait_reached(JOURNALLED)
    (host.orders / "reached").unlink()
    host.arm("hold", COMMITTED)
    other.signal("dial", signal.SIGSTOP)
    try:
        host.wait_reached(COMMITTED, within=YOUNG)
    except NotReached:
        return False
    finally:
        other.signal("dial", signal.SIGCONT)
    return bool(host.in_journal)


def cut_off_in_mid_storm(host: Host, other: Host) -> tuple[float, list[Live]]:
    """While somebody's PIN is in its journal alone, and a call is claimed and not begun.

    Returns when it was, and what the host had claimed or begun by then.
    """
    with host.unwatched(), other.unwatched():
        while not _holds_both(host, other):
            (host.orders / "armed").unlink(missing_ok=True)
            host.go_on()
            time.sleep(0.1)  # whoever is held looks every 10 ms
            for name in ("go", "reached"):
                (host.orders / name).unlink(missing_ok=True)
        host.machine.cut_off()
        at, live = time.time(), host.holds()
        host.go_on()
    return at, live


def test_what_a_host_has_locked_when_it_is_cut_off_is_free_within_the_lease(
    machines: tuple[Machine, Machine], database: str
):
    cut, _ = machines
    command = [*cut.inside, sys.executable, "-c", LOCKS, database]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as there:
        try:
            assert there.stdout and there.stdout.readline() == b"locked\n"
            cut.cut_off()
            with psycopg.connect(database, options=f"-c lock_timeout={LEASE}s") as conn:
                conn.execute("select pg_advisory_xact_lock(1)")
        finally:
            there.kill()
            cut.connect()


@pytest.mark.timeout(600)
def test_a_host_that_is_cut_off_in_mid_storm_loses_nobody(both: tuple[Host, Host]):
    with _told_where_it_fails(both):
        cut, other = both
        registered.register_each(other, NUMBERS)
        with cut.disarmed():
            other.release(*IN_STORM)
            other.eventually(lambda: sum(call.answered is not None for call in other.telephones.record()) > LINES, 30)
            at, live = cut_off_in_mid_storm(cut, other)
            before = [call.number for call in other.telephones.record() if call.invited < at]
            try:
                not_begun = [each for each in live if each.state == "claimed"]
                begun = [each for each in live if each.state != "claimed"]
                assert cut.in_journal
                assert not_begun
                assert begun
                assert len(before) < STORM  # somebody waits for a line
                for each in not_begun:
                    until = at + LEASE + 3 * SLACK - time.time()
                    other.eventually(lambda each=each: called(other, each.number, at), until)
                assert away(other, cut)
                for each in begun:
                    until = each.deadline + 3 * SLACK - time.time()
                    other.eventually(lambda each=each: called(other, each.number, at), until)
                found_late = "select from call_attempt where id = any(%s) and ended_at > deadline + %s"
                assert not other.query(found_late, [each.id for each in begun], timedelta(seconds=SLACK))
            finally:
                confirmed = [each.number for each in live if each.id in cut.in_journal]
                cut.machine.connect()
        back = time.time()
        other.eventually(lambda: not away(other, cut), 30)
        with registered.without(other, "dial"):
            other.release(*LATER)
            other.eventually(lambda: any(called(cut, number, back) for number in NUMBERS.values()), 60)
        other.eventually(lambda: is_told(other), 90)
        assert not cut.in_journal
        time.sleep(PATIENCE)
        assert broken_rules(other, other.telephones.record(), confirmed, at) == []


def broken_rules(line: Host, calls: Sequence[Rang], in_journal: Sequence[str], at: float) -> list[str]:
    """What must be true of the telephones' record and of the database."""
    told, attempts = line.notifications(NUMBERS), line.attempts(NUMBERS)
    once_more = [each for each in told if each.number in in_journal]
    record = [
        Call(
            call.number, round(call.invited * SECOND), ended=None if call.ended is None else round(call.ended * SECOND)
        )
        for call in calls
    ]
    broken = [
        *oracle.ended_otherwise(told),
        *oracle.forgotten(told, calls, fault_at=at),
        *oracle.two_at_once(calls),
        *oracle.called_again([each for each in told if each not in once_more], calls),
        *oracle.called_again(once_more, calls, allowed=1),
        *oracle.confirmed_too_late(attempts),
        *oracle.spoke_too_late(attempts, calls),
    ]
    if (most := most_at_once(record)) > LINES:
        broken.append(f"{most} calls at once, by {LINES} lines")
    # As the service lets them go: when their INVITE comes to the network is up to what else the machine does.
    begun = line.query(
        """select extract(epoch from greatest(claimed_at, dialled_at))::float8 from call_attempt
           where trunk = 'main' and dialled_at - claimed_at <= %s""",
        LATE,
    )
    if (most := most_in_a_second(Call("", round(float(str(at)) * SECOND)) for (at,) in begun)) > math.ceil(RATE):
        broken.append(f"{most} calls begun within a second, at a rate of {RATE}")
    return broken
