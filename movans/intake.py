"""The part that takes in what feeds drop, as ``movans feed import`` would, and looks after what is held.

What takes long is done in a thread, one thing at a time, so that the main loop goes on showing signs of life.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

from psycopg import OperationalError

from db import alerts
from db.pool import Database
from feed import held
from feed.drop import Aside, CannotMove, Drop
from feed.records import Refused
from feed.run import run as run_import
from movans import feeds
from movans.settings import Settings
from movans.tables import MISTAKES, aside, summary

log = logging.getLogger(__name__)

TICK = 0.25  # seconds between two looks
PAUSE = timedelta(seconds=10)  # after the database was away
HELD_EVERY = timedelta(minutes=1)


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
    _held_at: datetime | None = None
    _away: set[str] = field(default_factory=set)  # feeds whose directory could not be read

    def look(self) -> None:
        """Begin what is to be done, where nothing is being done."""
        now = self.clock()
        if (self._working and self._working.is_alive()) or (self._not_before and now < self._not_before <= now + PAUSE):
            return
        work = self._next(now)
        if work:
            self._working = Thread(
                target=self._do_all, args=(work,), daemon=True
            )  # ended half way, it has done nothing
            self._working.start()

    def _next(self, now: datetime) -> Callable[[], None] | None:
        if self._held_at is None or not self._held_at <= now < self._held_at + HELD_EVERY:
            self._held_at = now
            return self._look_after_held
        for drop in self.drops:
            try:
                file = drop.whole(now)
            except OSError as error:
                if drop.feed not in self._away:
                    self._away.add(drop.feed)
                    says = f"{drop.path}: the directory of the feed {drop.feed} cannot be read ({error.strerror})"
                    return lambda drop=drop, says=says: self._alert(drop, says)
                continue
            if drop.feed in self._away:
                self._away.discard(drop.feed)
                return lambda drop=drop: self._well_again(drop)
            if file:
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

        Where the import broke off in a way that nobody thought of, the file stays and is not tried again; a person is
        told.
        """
        now = self.clock()
        try:
            where, says = self._import(drop, file, now)
        except OperationalError:
            raise
        except Exception as error:
            log.exception("%s: broke off", file)
            drop.leave(file)
            self._alert(drop, f"{file}: its import broke off ({type(error).__name__}), and it is not tried again")
            return
        if not drop.is_as_taken(file):
            log.warning("%s: was written to while it was read; it is read again", file)
            return
        log.info("%s: %s: %s", file, where, says.splitlines()[-1])
        try:
            drop.move_aside(file, where, says, now)
        except CannotMove as error:
            self._alert(drop, str(error))

    def _import(self, drop: Drop, file: Path, now: datetime) -> tuple[Aside, str]:
        """Where the file belongs, and what there is to say of it."""
        try:
            done = run_import(self.db, file, feeds.rules(self.settings, drop.feed, now), settings=self.settings)
        except Refused as refused:
            where = drop.path / "refused"
            says = f"A file of the feed {drop.feed} was refused; why stands beside it in {where}"
            self._alert(drop, says, refused=True)
            return "refused", "\n".join([*refused.mistakes[:MISTAKES], "The file was refused; nothing was changed."])
        with self.db.connection() as conn:
            alerts.over(conn, _key(drop, refused=True), now=now)
        if done.held:
            return "held", "\n".join([*done.held, f"Held as run {done.run_id}: see movans feed held."])
        return "done", "\n".join([*aside(done), summary(done)])

    def _look_after_held(self) -> None:
        for done in held.report_overdue(self.db, settings=self.settings, now=self.clock()):
            log.warning("run %s: nobody has answered; as not yet confirmed: %s", done.run_id, summary(done))

    def _alert(self, drop: Drop, says: str, *, refused: bool = False) -> None:
        log.error("%s", says)
        with self.db.connection() as conn:
            alerts.add(conn, _key(drop, refused=refused), says, now=self.clock())

    def _well_again(self, drop: Drop) -> None:
        with self.db.connection() as conn:
            alerts.over(conn, _key(drop, refused=False), now=self.clock())


def _key(drop: Drop, *, refused: bool) -> str:
    return f"{'refused' if refused else 'drop'}: {drop.feed}"


def run(intake: Intake, *, beat: Callable[[], None], stopping: Callable[[], bool]) -> None:
    """Look again and again until it is stopping."""
    while not stopping():
        beat()
        intake.look()
        time.sleep(TICK)
