"""How long things are kept, as the settings say: registrations end by themselves, and what is old is forgotten."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from psycopg import Connection, IntegrityError

from db import endings, keeping, notifications
from db.keeping import Remove
from db.pool import Database
from dialer import policy, schedule
from feed import aside
from movans import feeds
from movans.settings import Keep, Settings

log = logging.getLogger(__name__)

MOST = 500  # rows in one transaction
FILES = "files of feeds"
OFFENDERS = 50  # whose registrations are told in one transaction that they end


def kinds(keep: Keep) -> dict[str, tuple[Remove, int]]:
    """What is forgotten, by its name, in an order in which nothing is left that the next needs; after how many days."""
    return {
        "ended registrations": (keeping.registrations, keep.registrations),
        "call attempts": (keeping.attempts, keep.attempts),
        "proofs": (keeping.proofs, keep.attempts),
        "registrants with their telephones": (keeping.registrants, keep.registrations),
        "callers' hashes": (keeping.callers, keep.caller_hashes),
        "wrong PINs": (keeping.wrong_pins, keep.caller_hashes),
        "lifted refusals": (keeping.refusals, keep.caller_hashes),
        "rows put aside": (keeping.rows_aside, keep.rows_aside),
        "files of runs that were held": (keeping.held_runs, keep.files),
        "sayings of courts about dates that are over": (keeping.court_said, keep.files),
        "alerts": (keeping.alerts, keep.alerts),
    }


def would_forget(conn: Connection, settings: Settings, *, now: datetime) -> Iterator[tuple[str, int]]:
    """How many of each would be removed now. The transaction is to be undone afterwards."""
    keep = settings.keep
    for what, (remove, days) in kinds(keep).items():
        many = 0
        while removed := remove(conn, before=now - timedelta(days=days), most=MOST):
            many += removed
        yield what, many
    before, many = now - timedelta(days=keep.files), 0
    for folder in aside.folders(feeds.directories(settings)):
        try:
            many += len(list(aside.older(folder, before)))
        except OSError as error:
            _not_removed(folder, error)
    yield FILES, many


def forget(db: Database, settings: Settings, *, now: datetime) -> dict[str, int]:
    """Remove it at once; return how many of each."""
    forgetting = Forgetting(db, settings)
    while not forgetting.remove(now):
        pass
    return forgetting.removed


@dataclass
class Forgetting:
    """A duty: a few rows at each look, until there is nothing more to forget today."""

    db: Database
    settings: Settings
    removed: dict[str, int] = field(default_factory=dict)
    _stuck: set[str] = field(default_factory=set)  # until tomorrow

    def look(self, now: datetime) -> bool:
        """Returns whether all is done."""
        if not self.remove(now):
            return False
        said = ", ".join(f"{many} {what}" for what, many in self.removed.items())
        log.info("forgotten: %s", said or "nothing was old enough")
        self.removed.clear()
        self._stuck.clear()
        return True

    def remove(self, now: datetime) -> bool:
        """Remove some rows in one small transaction, or some files; returns whether none was left."""
        for what, (remove, days) in kinds(self.settings.keep).items():
            if what in self._stuck:
                continue
            try:
                with self.db.connection() as conn:
                    many = remove(conn, before=now - timedelta(days=days), most=MOST)
            except IntegrityError as error:  # alerts are told by this part, too, and must be
                log.error("%s are not forgotten, something needs them: %s", what, type(error).__name__)
                self._stuck.add(what)
                continue
            if many:
                self._count(what, many)
                return False
        return not self._remove_files(now)

    def _remove_files(self, now: datetime) -> int:
        """What may not be removed is said, and stays until tomorrow."""
        before, many = now - timedelta(days=self.settings.keep.files), 0
        for folder in aside.folders(feeds.directories(self.settings)):
            try:
                old = [file for file in aside.older(folder, before) if str(file) not in self._stuck]
            except OSError as error:
                self._leave(folder, folder, error)
                continue
            for file in old:
                if many == MOST:
                    break
                try:
                    file.unlink()
                except OSError as error:
                    self._leave(folder, file, error)
                else:
                    many += 1
        self._count(FILES, many)
        return many

    def _leave(self, folder: Path, what: Path, error: OSError) -> None:
        """Until tomorrow; it is said once of a folder."""
        if str(folder) not in self._stuck:
            _not_removed(folder, error)
        self._stuck |= {str(folder), str(what)}

    def _count(self, what: str, many: int) -> None:
        if many:
            self.removed[what] = self.removed.get(what, 0) + many


def _not_removed(folder: Path, error: OSError) -> None:
    says = "%s: what is old there cannot be removed (%s); let it be a directory that the service's user may write to"
    log.error(says, folder, error.strerror)


def end_registrations(db: Database, settings: Settings) -> Callable[[datetime], bool]:
    """A duty: who is registered for somebody who is out of custody for long is told so, and then it ends."""

    def look(now: datetime) -> bool:
        after = timedelta(days=settings.keep.released)
        with db.connection() as conn:
            silent = feeds.silent_agencies(conn, settings)
            ended = endings.end(conn, silent=silent, most=MOST, now=now)
            endings.withdraw(conn, now=now)
            found = endings.due(conn, silent=silent, after=after, most=OFFENDERS, now=now)
            for one in found:
                _tell(conn, one, settings, now=now)
        if ended or found:
            log.info("%s registrations have ended; about %s offenders they are told that they end", ended, len(found))
        return ended < MOST and len(found) < OFFENDERS

    return look


def _tell(conn: Connection, one: endings.Due, settings: Settings, *, now: datetime) -> None:
    event_id = endings.announce(conn, one.offender_id, now=now)
    subject = notifications.subject(conn, event_id)
    plan = schedule.plan(policy.rules_of(settings, subject), zone=settings.zone(subject.agency), now=now)
    endings.tell(conn, event_id, one.registration_ids, plan, now=now)
