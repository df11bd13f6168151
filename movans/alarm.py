"""What is done again and again beside the calls: tell a person what they must know, and show that all is well.

An alert is a row in the database, committed with its cause. For each that nobody was told of yet, the alert command of
the settings is run, with its sentence as input and its key in MOVANS_ALERT, until it succeeds.

As long as the database answers, every part shows signs of life and alerts reach somebody, another command is run now
and then: whoever expects it elsewhere notices when it is not, and so notices the death of this part too.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from db import alerts
from db.pool import Database, Unreachable
from movans.heartbeat import last_beat

log = logging.getLogger(__name__)

TICK = 0.5  # seconds between two looks
AT_ONCE = 8  # alerts that are told at the same time
PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)  # after the first failure, then twice as long
UNTOLD = timedelta(minutes=20)  # an alert that nobody could be told of for so long: all is not well
SILENCE = timedelta(seconds=10)  # a part is well if it showed a sign of life within that
_BROKEN = "duty: %s"


@dataclass
class Duty:
    """Something to be done every so often. It returns at once: what takes time is begun, and looked at again later.

    Where it returns False it could not be done, and is tried again at the next look. Whatever it raises ends
    nothing but this try: without the other duties nobody would be told of anything.
    """

    what: str
    every: timedelta
    do: Callable[[datetime], object]
    next_at: datetime | None = None
    away_since: datetime | None = None  # the database, for this duty
    broken: str = ""  # what it raised, of which nobody had thought, until it is done

    def look(self, now: datetime) -> None:
        pause = max(self.every, PAUSE) if self.broken else self.every
        if self.next_at and now < self.next_at <= now + pause:  # else it is due, or the clock was set back
            return
        try:
            done = self.do(now) is not False
        except Unreachable as error:
            if not self.away_since:  # else it would be said twice a second
                log.error("%s: the database is away: %s", self.what, type(error).__name__)
                self.away_since = now
            return
        except Exception as error:
            if self.broken:
                log.error("%s broke off again: %s", self.what, type(error).__name__)
            else:
                log.exception("%s broke off", self.what)
            self.broken = type(error).__name__
            self.next_at = now + max(self.every, PAUSE)
            return
        self.away_since = None
        if done:
            self.next_at, self.broken = now + self.every, ""


def run(
    duties: Sequence[Duty], *, beat: Callable[[], None], clock: Callable[[], datetime], stopping: Callable[[], bool]
) -> None:
    """Do every duty in its time until it is stopping."""
    while not stopping():
        for duty in duties:
            beat()
            duty.look(clock())
        time.sleep(TICK)


@dataclass
class _Running:
    what: str
    process: subprocess.Popen[bytes]
    until: datetime
    then: Callable[[bool, datetime], None]


@dataclass
class Commands:
    """Commands of the settings, beside each other; one that takes too long is killed, so none holds up another."""

    within: timedelta
    _running: list[_Running] = field(default_factory=list)

    def start(
        self,
        what: str,
        command: Sequence[str],
        says: str,
        *,
        then: Callable[[bool, datetime], None],
        now: datetime,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Run it with a sentence as its input; once it has ended, ``then`` is told whether it went well."""
        # What it prints goes where the log goes. It dies with this part, and what it has started with it.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command],
            stdin=subprocess.PIPE,
            env=os.environ | (environment or {}),
            start_new_session=True,
        )
        if process.stdin:
            with suppress(BrokenPipeError), process.stdin as given:  # a sentence fits into a pipe that nobody reads
                given.write(f"{says}\n".encode())
        self._running.append(_Running(what, process, now + self.within, then))

    def look(self, now: datetime) -> None:
        """See which have ended, or must."""
        for one in list(self._running):
            code = one.process.poll()
            if code is None and now < one.until:
                continue
            self._running.remove(one)
            if code is None:
                _kill(one.process)
                log.error("%s: killed, it took longer than %g s", one.what, self.within.total_seconds())
            elif code:
                log.error("%s: failed with exit code %s", one.what, code)
            one.then(code == 0, now)

    def stop(self) -> None:
        for one in self._running:
            _kill(one.process)
        self._running.clear()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass
class _Try:
    failed: int = 0
    again_at: datetime | None = None  # none while it is being told


@dataclass
class Teller:
    """Tells each alert by the command of the settings. Without one, the log is all that can be told."""

    db: Database
    command: Sequence[str]
    commands: Commands
    _tries: dict[int, _Try] = field(default_factory=dict)
    _told: set[int] = field(default_factory=set)

    def look(self, now: datetime) -> None:
        waiting = [i for i, one in self._tries.items() if one.again_at is None or one.again_at > now]
        being_told = sum(one.again_at is None for one in self._tries.values())
        with self.db.connection() as conn:
            for alert_id in self._told:
                alerts.told(conn, alert_id, now=now)
            found = alerts.untold(conn, most=AT_ONCE - being_told, but=waiting, now=now)
            if not self.command:
                for alert in found:
                    log.warning("%s", alert.says)
                    alerts.told(conn, alert.id, now=now)
        for alert_id in self._told:
            self._tries.pop(alert_id, None)
        self._told.clear()
        if self.command:
            for alert in found:
                self._tell(alert, now)

    def _tell(self, alert: alerts.Alert, now: datetime) -> None:
        log.info("%s", alert.says)
        this = self._tries.setdefault(alert.id, _Try())
        this.again_at = None

        def ended(well: bool, at: datetime) -> None:  # noqa: FBT001 - it is what there is to say
            if well:
                self._told.add(alert.id)
            else:
                this.again_at = at + min(PAUSE * 2 ** min(this.failed, 10), LONGEST_PAUSE)
                this.failed += 1

        what = f"the alert command for {alert.key!r}"
        try:
            self.commands.start(
                what, self.command, alert.says, then=ended, now=now, environment={"MOVANS_ALERT": alert.key}
            )
        except OSError as error:
            log.error("%s: cannot be started (%s)", what, error.strerror)
            ended(well=False, at=now)


@dataclass
class Pulse:
    """When each part's sign of life was last another one than before; by this clock, whatever theirs says."""

    beats: Mapping[str, Path]
    _seen: dict[str, tuple[int, datetime | None]] = field(default_factory=dict)

    def look(self, now: datetime) -> None:
        for part, beat in self.beats.items():
            sign = last_beat(beat)
            before = self._seen.get(part)
            if before is None:
                self._seen[part] = (sign, None)
            elif before[0] != sign:
                self._seen[part] = (sign, now)

    def silent(self, now: datetime) -> list[str]:
        seen = {part: self._seen.get(part, (0, None))[1] for part in self.beats}
        return [part for part, at in seen.items() if at is None or not at <= now <= at + SILENCE]


@dataclass
class Alive:
    """Runs the command that says that all is well, as long as it is."""

    db: Database
    command: Sequence[str]
    commands: Commands
    pulse: Pulse
    _well: bool = True

    def look(self, now: datetime) -> bool:
        """Returns whether all is well, and so the command was begun."""
        silent = self.pulse.silent(now)
        with self.db.connection() as conn:
            untold = alerts.waits(conn, since=now - UNTOLD)
        if silent or untold:
            if self._well:
                why = f"no sign of life from {', '.join(silent)}" if silent else "an alert cannot be told"
                log.warning("%s: the sign that all is well waits", why)
            self._well = False
            return False
        self._well = True
        self.commands.start(
            "the command that says that all is well", self.command, "All is well.", then=lambda *_: None, now=now
        )
        return True


def watch_notifications(db: Database) -> Callable[[datetime], None]:
    """A duty: what is unconfirmed for too long is raised, and what was raised of notifications that ended is over."""

    def look(now: datetime) -> None:
        with db.connection() as conn:
            alerts.unconfirmed(conn, now=now)
            alerts.settle(conn, now=now)

    return look


def watch_duties(db: Database, duties: Sequence[Duty]) -> Callable[[datetime], None]:
    """A duty: staff are told of one that broke off, or for which alone the database is too slow, until it is done."""
    answers_since: datetime | None = None

    def look(now: datetime) -> None:
        nonlocal answers_since
        since, answers_since = answers_since or now, None  # where it does not answer now, either
        with db.connection() as conn:
            for duty in duties:
                key, why = _BROKEN % duty.what, duty.broken
                if duty.away_since and now >= max(since, duty.away_since) + UNTOLD:
                    why = why or "the database is too slow for it"
                if why:
                    says = f"A duty of the part alarm is not done: {duty.what} ({why}). See alarm.log;"
                    alerts.add(conn, key, f"{says} it is tried again, and the others go on", now=now)
                elif duty.next_at and not duty.away_since:
                    alerts.over(conn, key, now=now)
        answers_since = since

    return look
