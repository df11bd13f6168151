"""The outbound loop: claims what is due, hands it to Asterisk, and finds what was lost."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg

from db import attempts
from db.pool import Database, Unreachable
from dialer import callfile, policy
from dialer.outcome import finish
from movans.settings import Settings

log = logging.getLogger(__name__)

BEGIN_WITHIN = timedelta(seconds=20)
"""A claimed attempt that Asterisk has not begun by then is lost."""
TICK = 0.5  # seconds between two looks when nothing wakes the loop; deadlines and heartbeats need no better


@dataclass(frozen=True)
class Dialer:
    db: Database
    settings: Settings
    spool: Path
    asterisk: Path  # its control socket
    caller: str
    host: str
    beat: Callable[[], None]

    def look(self, now: datetime) -> int:
        """Find what was lost, then dial what is due; return how many calls were asked for.

        1. End every attempt whose deadline has passed as lost, and schedule what it carried.
        2. Put off what is due at a time of day at which it may not be called.
        3. Claim what is due, as far as lines are free, and commit that; nothing while Asterisk is away, which empties
           its spool before it starts.
        4. Write a call file for each; one that cannot be written has failed on our side and is lost.
        """
        with self.db.connection() as conn:
            overdue = attempts.overdue(conn, now=now)
        for attempt_id in overdue:
            self.beat()
            try:
                self._lose(attempt_id, "its deadline passed", now)
            except Unreachable as error:  # an import may hold what it carries; the others are not to wait for that
                log.warning("attempt %s: its end could not be noted: %s", attempt_id, type(error).__name__)
        if not self.asterisk.exists():
            return 0
        with self.db.connection() as conn:
            policy.keep_hours(conn, self.settings, now=now)
        with self.db.connection() as conn:
            claimed = attempts.claim(
                conn, lines=self.settings.calls.lines, host=self.host, begin_within=BEGIN_WITHIN, now=now
            )
        for attempt_id in claimed:
            self.beat()
            try:
                ring_seconds = int(self.settings.calls.ring.total_seconds())
                callfile.write(self.spool, attempt_id, caller=self.caller, ring_seconds=ring_seconds)
            except OSError as error:
                log.error("attempt %s: no call file: %s", attempt_id, os.strerror(error.errno or 0))
                self._lose(attempt_id, "no call file", now)
            else:
                log.info("attempt %s: handed to Asterisk", attempt_id)
        return len(claimed)

    def _lose(self, attempt_id: int, why: str, now: datetime) -> None:
        with self.db.connection() as conn:
            lost = finish(conn, attempt_id, "lost", why, settings=self.settings, now=now)
        if lost:
            log.warning("attempt %s: lost: %s", attempt_id, why)


def run(
    dialer: Dialer,
    dsn: str,
    *,
    clock: Callable[[], datetime],
    stopping: Callable[[], bool],
) -> None:
    """Dial until it is stopping. A database that is away is waited for.

    A notification of PostgreSQL, sent with the commit of an event or the end of a call, ends the wait at once.
    """
    while not stopping():
        dialer.beat()
        try:
            with psycopg.connect(dsn, autocommit=True, connect_timeout=2) as ear:
                ear.execute("listen movans_due")
                while not stopping():
                    dialer.beat()
                    dialer.look(clock())
                    for _ in ear.notifies(timeout=TICK, stop_after=1):
                        pass
        except Unreachable as error:
            log.error("the database is away: %s", type(error).__name__)
            time.sleep(TICK)
