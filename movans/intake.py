"""The part that takes in what feeds drop, as ``movans feed import`` would, and looks after what is held.

What takes long is done in a thread, one thing at a time, so that the main loop goes on showing signs of life.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

from psycopg import Connection, OperationalError
from psycopg.errors import DiskFull

from db import alerts, feed_runs
from db.pool import Database
from feed import held
from feed.checking import printable
from feed.drop import Aside, CannotMove, Drop, WrittenTo
from feed.records import Progress, Refused
from feed.run import run as run_import
from movans import feeds
from movans.settings import Settings
from movans.tables import MISTAKES, aside, disagreements, summary, whole

log = logging.getLogger(__name__)

TICK = 0.25  # seconds between two looks
PAUSE = timedelta(seconds=10)  # after the database was away
EVERY = timedelta(minutes=1)  # what is held, and what was told, is looked after
SAID_EVERY = timedelta(seconds=10)
TRIES = 3  # of a file, while the database answers
_AWAY, _OF_FILE = "drop: %s", "drop: %s: %s"
"""The keys of what is raised: of the directory and what lies there, and of a file that cannot be moved."""


def drops(settings: Settings) -> list[Drop]:
    """The directories that the settings name."""
    return [
        Drop(f"{key}/{name}", feed.drop)
        for key, agency in settings.agencies.items()
        for name, feed in agency.feeds.items()
        if feed.drop
    ]


@dataclass
class Intake:
    db: Database
    settings: Settings
    drops: Sequence[Drop]
    clock: Callable[[], datetime]
    _working: Thread | None = None
    _not_before: datetime | None = None
    _done_at: dict[str, datetime] = field(default_factory=dict)
    _turn: int = 0  # of the drops, the one that is looked at first
    _failed: dict[Path, int] = field(default_factory=dict)  # how often, though the database answered
    _said: dict[Path, str] = field(default_factory=dict)  # of each directory, what is wrong; empty where nothing is

    def look(self) -> None:
        """Begin what is to be done, where nothing is being done."""
        now = self.clock()
        if (self._working and self._working.is_alive()) or (self._not_before and now < self._not_before <= now + PAUSE):
            return
        work = self._next(now)
        if work:
            # Ended half way, it has done nothing.
            self._working = Thread(target=self._do_all, args=(work,), daemon=True)
            self._working.start()

    def _next(self, now: datetime) -> Callable[[], None] | None:
        for work in (self._look_after_held, self._look_after_alerts):
            at = self._done_at.get(work.__name__)
            if at is None or not at <= now < at + EVERY:
                self._done_at[work.__name__] = now
                return work
        for drop in [*self.drops[self._turn :], *self.drops[: self._turn]]:
            file, wrong = None, ""
            try:
                file, wrong = drop.whole(now), drop.strange()
            except OSError as error:
                wrong = f"{drop.path}: the directory of the feed {drop.feed} cannot be read ({error.strerror}):"
                wrong += " see that it is there and the service's user may read it"
            if self._said.get(drop.path) != wrong:  # at the start it is not known what was said before
                return lambda drop=drop, wrong=wrong: self._say_of_directory(drop, wrong)
            if file:
                self._turn = (self.drops.index(drop) + 1) % len(self.drops)
                return lambda drop=drop, file=file: self.take(drop, file)
        return None

    def _do_all(self, work: Callable[[], None] | None) -> None:
        """Do this, and then whatever is to be done next: many feeds come at the same minute."""
        while work and self._do(work):
            work = self._next(self.clock())

    def _do(self, work: Callable[[], None]) -> bool:
        """Whether it went well."""
        try:
            work()
        except OperationalError as error:
            log.error("the database is away: %s", type(error).__name__)
            self._not_before = self.clock() + PAUSE
        except Exception:
            log.exception("what was being done broke off")
            self._not_before = self.clock() + PAUSE
        else:
            return True
        return False

    def take(self, drop: Drop, file: Path) -> None:
        """Import a file and move it aside, with a report. Raises OperationalError; then it is tried again.

        Where the import broke off in a way that nobody thought of, or again and again though the database answers, it
        lies in refused and a person is told.
        """
        now, called, broke_off = self.clock(), printable(str(file)), False
        try:
            where, says = self._import(drop, file, now)
        except WrittenTo:
            log.warning("%s: was written to, or taken away, while it was read; what is there is read again", called)
            return
        except Exception as error:
            if isinstance(error, OperationalError) and not self._fails_for_itself(file, error):
                raise
            log.exception("%s: broke off", called)
            again = f"movans feed import --feed {drop.feed} {drop.place(file, 'refused', now)}"
            says = f"The import broke off ({type(error).__name__}); the reason is in intake.log."
            where, says, broke_off = "refused", f"{says} It is not tried again by itself: {again}", True
        self._failed.pop(file, None)
        if not drop.is_as_taken(file):
            log.warning("%s: was written to; it is read again", called)
            return
        log.info("%s: %s: %s", called, where, says.splitlines()[-1])
        if broke_off:  # told before it is moved, so that it is told
            self._keep_refused(drop, file, now)
        self._move_aside(drop, file, where, says, now)

    def _move_aside(self, drop: Drop, file: Path, where: Aside, says: str, now: datetime) -> None:
        try:
            drop.move_aside(file, where, says, now)
        except CannotMove as error:
            self._alert(_OF_FILE % (drop.feed, printable(file.name)), str(error))

    def _fails_for_itself(self, file: Path, error: OperationalError) -> bool:
        """Whether it is the file and not the database at which the import fails. Raises OperationalError."""
        if isinstance(error, DiskFull):
            return False
        with self.db.connection() as conn:
            conn.execute("select")
        self._failed[file] = self._failed.get(file, 0) + 1
        return self._failed[file] >= TRIES

    def _import(self, drop: Drop, file: Path, now: datetime) -> tuple[Aside, str]:
        """Where the file belongs, and what there is to say of it."""
        is_kept = False

        def last(conn: Connection, outcome: str) -> None:
            nonlocal is_kept
            if not drop.is_as_taken(file):
                raise WrittenTo
            if outcome == "refused":
                self._tell_of_refused(conn, drop, file, now)
                is_kept = True

        rules, progress = feeds.rules(self.settings, drop.feed, now), self._progress(file)
        try:
            done = run_import(self.db, file, rules, settings=self.settings, progress=progress, last=last)
        except Refused as refused:
            if not is_kept:  # it could not even be opened
                if not drop.is_as_taken(file):
                    raise WrittenTo from None
                self._keep_refused(drop, file, now)
            return "refused", "\n".join([*refused.mistakes[:MISTAKES], "The file was refused; nothing was changed."])
        if done.held:
            why = [*done.held, f"Held as run {done.run_id}: see movans feed held."]
            return "held", "\n".join([*aside(done, is_held=True), *why])
        for line in disagreements(done, self.settings.service.zone):
            log.warning("%s: %s", printable(str(file)), line)
        return "done", whole(done, self.settings.service.zone)

    def _progress(self, file: Path) -> Progress:
        """Say in the log, now and then, how far it is."""
        said_at = self.clock()

        def say(done: int, of: int, what: str) -> None:
            nonlocal said_at
            if self.clock() >= said_at + SAID_EVERY:
                said_at = self.clock()
                log.info("%s: %d of %d %s", printable(str(file)), done, of, what)

        return say

    def _look_after_held(self) -> None:
        for done in held.report_overdue(self.db, settings=self.settings, now=self.clock()):
            log.warning("nobody has answered; as not yet confirmed: %s", summary(done))

    def _keep_refused(self, drop: Drop, file: Path, now: datetime) -> None:
        """Keep as refused what no import has kept."""
        name = printable(file.name)
        sha256 = _sha256(file) or feed_runs.unread(name, now=now)
        with self.db.connection() as conn:
            feed_runs.add(conn, name, sha256, "refused", feed=drop.feed, now=now)
            self._tell_of_refused(conn, drop, file, now)

    def _tell_of_refused(self, conn: Connection, drop: Drop, file: Path, now: datetime) -> None:
        feed_runs.tell_of_refused(conn, drop.feed, printable(file.name), str(drop.path / "refused"), now=now)

    def _look_after_alerts(self) -> None:
        """What could not be moved is tried again; what was told is over where it was moved, or is there no more.

        So is what was told of the directory of a feed that stands in the settings no more.
        """
        for drop in self.drops:
            for file, (where, says, taken_at) in drop.left().items():
                if drop.is_as_taken(file):  # else it is taken again
                    self._move_aside(drop, file, where, says, taken_at)
        declared = [one.name for one in feeds.expected(self.settings)]
        with self.db.connection() as conn:
            for drop in self.drops:
                names = [printable(file.name) for file in drop.left()]
                alerts.only(conn, _OF_FILE % (drop.feed, "%s"), names, now=self.clock())
            for alert in alerts.still(conn):
                what, feed, *_ = f"{alert.key}: ".split(": ")
                if what == "drop" and feed not in declared:
                    alerts.over(conn, alert.key, now=self.clock())

    def _alert(self, key: str, says: str) -> None:
        with self.db.connection() as conn:
            is_new = alerts.add_anew(conn, key, says, now=self.clock())
        if is_new:
            log.error("%s", says)

    def _say_of_directory(self, drop: Drop, wrong: str) -> None:
        """See that a person is told what is wrong with it, or that it is well again."""
        if wrong:
            self._alert(_AWAY % drop.feed, wrong)
        else:
            with self.db.connection() as conn:
                alerts.over(conn, _AWAY % drop.feed, now=self.clock())
        self._said[drop.path] = wrong  # once it is committed


def _sha256(file: Path) -> str:
    """Empty where it cannot be read."""
    with suppress(OSError), file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
    return ""


def run(intake: Intake, *, beat: Callable[[], None], stopping: Callable[[], bool]) -> None:
    """Look again and again until it is stopping."""
    while not stopping():
        beat()
        intake.look()
        time.sleep(TICK)
