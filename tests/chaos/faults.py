"""What is done to the service at a point."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from tests.chaos.injected import Point
from tests.chaos.line import ChaosLine

PAST = 2.0  # seconds past its deadline, after which what was stopped wakes
NO_ATTEMPT = 6.0  # seconds that something is stopped where no attempt lives yet
MID_SENTENCE = 2.0  # seconds after a sentence has begun


@dataclass(frozen=True)
class Fault:
    """`strike` is done while a process is held at the point, and lets it go on; it comes back when all is over."""

    name: str
    process: str
    strike: Callable[[ChaosLine], None]
    order: str = "hold"  # what the process is told to do at the point
    around: Callable[[ChaosLine], AbstractContextManager[None]] = lambda _: nullcontext()
    not_applicable: Callable[[Point], str] = lambda _: ""  # why, in a few words
    ahead: float = 0  # seconds by which the parts' clock is ahead when the call is confirmed


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
            os.kill(pid, signal.SIGCONT)

    return Fault("stopped", part, strike)


def cut(when: str) -> Fault:
    """The connection ends with COMMIT: before it was sent, or after it was done and before its answer came."""

    def strike(line: ChaosLine) -> None:
        line.go_on()

    def why_not(point: Point) -> str:
        return "" if point.commit else "no commit"

    return Fault(f"{when} COMMIT", "connection cut", strike, order=f"cut {when}", not_applicable=why_not)


PROCESSES = tuple(make(part) for part in ("dial", "serve", "asterisk", "postgres") for make in (killed, stopped))
FAULTS = (*PROCESSES, cut("before"), cut("after"))
