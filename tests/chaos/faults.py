"""What is done to the service at a point."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.chaos.injected import Point
from tests.chaos.line import ChaosLine

PAST = 2.0  # seconds past its deadline, after which what was stopped wakes
NO_ATTEMPT = 6.0  # seconds that something is stopped where no attempt lives yet
FULL = 6.0  # seconds that a disk is full
WRONG = 8.0  # seconds that a clock is an hour late
BEFORE_CHANGE = 12.0  # seconds before summer time begins or ends at which the parts are started
MID_SENTENCE = 2.0  # seconds after a sentence has begun


@dataclass(frozen=True)
class Fault:
    """`strike` is done while a process is held at the point, and lets it go on; it comes back when all is over."""

    name: str
    process: str
    strike: Callable[[ChaosLine], None]
    order: str = "hold"  # what the process is told to do at the point
    around: Callable[[ChaosLine], AbstractContextManager[None]] = lambda _: nullcontext()
    not_applicable: Callable[[ChaosLine, Point], str] = lambda _, __: ""  # why, in a few words


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def killed(part: str) -> Fault:
    def strike(line: ChaosLine) -> None:
        pid = line.kill(part)
        line.eventually(lambda: _gone(pid), 10)
        if part == "asterisk":
            line.telephones.caller_died()
        line.go_on()

    return Fault("killed", part, strike)


def stopped(part: str) -> Fault:
    """For longer than its deadline, and unseen by the watchdog, which would kill it long before."""

    def strike(line: ChaosLine) -> None:
        seconds = max(NO_ATTEMPT, line.seconds_to_deadline() + PAST)
        asleep = line.signal(part, signal.SIGSTOP)
        line.go_on()
        time.sleep(seconds)
        for pid in asleep:
            with suppress(ProcessLookupError):  # a session of PostgreSQL that was ending
                os.kill(pid, signal.SIGCONT)

    return Fault("stopped", part, strike)


def cut(when: str) -> Fault:
    """The connection ends with COMMIT: before it was sent, or after it was done and before its answer came."""

    def strike(line: ChaosLine) -> None:
        line.go_on()

    def why_not(_: ChaosLine, point: Point) -> str:
        return "" if point.commit else "no commit"

    return Fault(f"{when} COMMIT", "connection cut", strike, order=f"cut {when}", not_applicable=why_not)


def full(disk: str, name: str) -> Fault:
    """For some seconds nothing can be written there."""

    def strike(line: ChaosLine) -> None:
        with line.full_disk(line.settings.state / disk):
            line.go_on()
            time.sleep(FULL)

    def why_not(line: ChaosLine, _: Point) -> str:
        return "" if line.has_small_disk(disk) else "no small disk"

    return Fault("disk full", name, strike, not_applicable=why_not)


def clock(hours: float) -> Fault:
    """Their clock is moved, and put right after a while; forward, the move itself is what hurts, and it stays."""

    def strike(line: ChaosLine) -> None:
        line.set_clock(hours * 3600)
        line.go_on()
        if hours < 0:  # what is due waits for the clock to come to it
            time.sleep(WRONG)
            line.set_clock(0)

    return Fault(f"clock {hours:+.0f} h", "dial, serve", strike, around=ChaosLine.own_clock)


def over(change: datetime, name: str) -> Fault:
    """Their clock shows the seconds before summer time begins or ends; nothing else is done."""

    def strike(line: ChaosLine) -> None:
        line.go_on()

    def around(line: ChaosLine) -> AbstractContextManager[None]:
        return line.own_clock((change - timedelta(seconds=BEFORE_CHANGE)).timestamp() - time.time())

    return Fault(name, "dial, serve", strike, around=around)


PROCESSES = tuple(make(part) for part in ("dial", "serve", "asterisk", "postgres") for make in (killed, stopped))
CUTS = (cut("before"), cut("after"))
DISKS = (full("asterisk/spool", "spool"), full("journal", "journal"))
SUMMER, WINTER = datetime(2027, 3, 14, 8, tzinfo=UTC), datetime(2027, 11, 7, 7, tzinfo=UTC)  # in Missouri
CLOCKS = (clock(+1), clock(-1), over(SUMMER, "to summer time"), over(WINTER, "to winter time"))
ALL_FAULTS = (*PROCESSES, *CUTS, *DISKS, *CLOCKS)
