"""The watchdog: kills what stands still; the supervisor starts it again.

Everything is judged by one rule: its sign of life must change within a number of the watchdog's own looks. Looks are
counted and not seconds, so that a machine that was paused, or a watchdog that was held up, kills nobody.

The sign of a part is its heartbeat. Asterisk and PostgreSQL have none of their own: each is asked something twice a
second, and each answer is a beat. The watchdog's own is looked at by the alarm part.
"""

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from movans import asterisk, supervision, trunks
from movans.heartbeat import Heartbeat, last_beat
from movans.settings import Settings
from movans.supervision import NoSupervisor, Process

EVERY = 0.5  # seconds between two looks
START_UP = round(60 / EVERY)  # looks until the first sign of a new process must have come
# Looks without a new sign: 3 and 5 s.
SILENCE = {"voice": 6, "serve": 6, "dial": 6, "intake": 10, "alarm": 10, "asterisk": 10, "postgres": 10}
GIVEN_UP = 20  # looks after which what the supervisor gave up is started again
ANSWER = 5.0  # seconds that Asterisk and PostgreSQL have for an answer


@dataclass
class _Watched:
    pid: int
    sign: int
    silent: int = 0
    seen: bool = False  # a sign of this very process


@dataclass
class Watch:
    """What has been seen so far."""

    _watched: dict[str, _Watched] = field(default_factory=dict)
    _given_up: dict[str, int] = field(default_factory=dict)

    def look(self, processes: Mapping[str, Process], signs: Mapping[str, int]) -> dict[str, str]:
        """One look at all parts. Returns the names of those to be killed, each with the reason."""
        found: dict[str, str] = {}
        for name, limit in SILENCE.items():
            process = processes.get(name)
            if process is None or process.state not in {"STARTING", "RUNNING"} or process.pid == 0:
                self._watched.pop(name, None)
                continue
            sign = signs.get(name, 0)
            watched = self._watched.get(name)
            if watched is None or watched.pid != process.pid:
                self._watched[name] = _Watched(process.pid, sign)
                continue
            if watched.sign != sign:
                watched.sign, watched.silent, watched.seen = sign, 0, True
                continue
            watched.silent += 1
            if watched.seen and watched.silent >= limit:
                found[name] = f"no sign of life for {limit * EVERY:g} s"
            elif watched.silent >= START_UP:
                found[name] = f"no sign of life within {START_UP * EVERY:g} s of its start"
        return found

    def to_start(self, processes: Mapping[str, Process]) -> list[str]:
        """The parts that the supervisor has given up long enough ago."""
        due: list[str] = []
        for name, process in processes.items():
            looks = self._given_up.get(name, 0) + 1 if process.state == "FATAL" else 0
            if looks >= GIVEN_UP:
                due.append(name)
                looks = 0
            self._given_up[name] = looks
        return due


def keep_asking(ask: Callable[[], object], heartbeat: Heartbeat) -> None:
    """Ask again and again, in a thread of its own because an answer may not come; each answer is a beat."""

    def run() -> None:
        while True:
            with suppress(OSError, asterisk.NoAsterisk):
                ask()
                heartbeat.beat()
            time.sleep(EVERY)

    threading.Thread(target=run, daemon=True).start()


def ask_postgres(path: Path) -> None:
    """Ask PostgreSQL's socket whether it speaks TLS. It answers so even while it recovers or is full."""
    with socket.socket(socket.AF_UNIX) as postgres:
        postgres.settimeout(ANSWER)
        postgres.connect(str(path))
        postgres.sendall(struct.pack("!II", 8, 80877103))
        if not postgres.recv(1):
            raise ConnectionError("PostgreSQL closed the connection")


def ask_asterisk(settings: Settings) -> None:
    """Ask Asterisk for any answer, and which trunks answer it, for the dialer."""
    asterisk.cli(settings, "core show channels count", ANSWER)
    if settings.trunks:
        seen = trunks.unavailable(asterisk.cli(settings, "pjsip show contacts", ANSWER))
        with suppress(OSError):  # a disk that is full says nothing of Asterisk
            trunks.note(settings.state / "run" / "trunks", seen)


def watch(settings: Settings, say: Callable[[str], None]) -> None:
    """Look twice a second, for ever; `say` what was done and why."""
    run = settings.state / "run"
    names = {part.name for part in supervision.parts(settings)}
    beats = {name: Heartbeat(run / f"{name}.beat") for name in names}
    keep_asking(lambda: ask_asterisk(settings), beats["asterisk"])
    if "postgres" in names:
        keep_asking(lambda: ask_postgres(run / ".s.PGSQL.5432"), beats["postgres"])
    seen = Watch()
    while True:
        time.sleep(EVERY)
        beats["watchdog"].beat()
        try:
            processes = supervision.processes(settings)
            for name in seen.to_start(processes):
                say(f"{name} was given up; starting it again")
                supervision.start_part(settings, name)
        except NoSupervisor as error:
            say(str(error))
            continue
        signs = {name: last_beat(beat.path) for name, beat in beats.items()}
        for name, reason in seen.look(processes, signs).items():
            say(f"{name} (process {processes[name].pid}) is killed: {reason}")
            _kill(processes[name].pid)


def _kill(pid: int) -> None:
    """Kill a process and its children: a session of PostgreSQL that hangs too keeps the next one from starting."""
    children: list[str] = []
    with suppress(OSError):  # it died by itself
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for victim in (pid, *map(int, children)):
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
