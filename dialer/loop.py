"""The outbound loop: claims what is due, hands it to Asterisk, and finds what was lost."""

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import Connection

from db import alerts, attempts, hosts
from db.journal import Journal
from db.pool import Database, Unreachable
from dialer import callfile, policy
from dialer.outcome import finish
from movans.settings import Settings

log = logging.getLogger(__name__)

BEGIN_WITHIN = timedelta(seconds=20)
"""A claimed attempt that Asterisk has not begun by then is lost."""
THERE_EVERY = timedelta(seconds=2)  # a host says that it is there; hosts.LEASE is some of these
TICK = 0.5  # seconds between two looks when nothing wakes the loop; deadlines and heartbeats need no better


@dataclass
class Dialer:
    db: Database
    settings: Settings
    spool: Path
    asterisk: Path  # its control socket
    caller: str
    host: str
    beat: Callable[[], None]
    down: Callable[[], Collection[str]]  # which trunks do not answer
    journal: Journal
    _there_at: datetime | None = None
    _seen_down: Collection[str] | None = None
    _seen_away: Collection[str] = ()

    def look(self, now: datetime) -> int:
        """Find what was lost, then dial what is due; return how many calls were asked for.

        1. Read the journal: what it has confirmed is called no more.
        2. Say that this host is there, and end as lost what hosts that are away have claimed and not begun, or begun
           and not ended by its deadline.
        3. End every attempt whose deadline has passed as lost, and schedule what it carried.
        4. Put off what is due at a time of day at which it may not be called.
        5. Claim what is due, as far as lines are free, and commit that; nothing while Asterisk is away, which empties
           its spool before it starts.
        6. Write a call file for each, a moment before its trunk's rate lets it ring; one that cannot be written has
           failed on our side and is lost.
        """
        began = time.monotonic()
        self.journal.replay(self.db)
        with self.db.connection() as conn:
            self._say_that_it_is_there(conn, now)
            away = self._hosts_away(conn, now)
            left = attempts.left_by(conn, away, now=now)
            overdue = attempts.overdue(conn, now=now)
        self._seen_away = away
        self._lose_all(left, "its host went away", now, keeps_place=True)
        self._lose_all([each for each in overdue if each not in left], "its deadline passed", now)
        if not self.asterisk.exists():
            return 0
        down = self._trunks_down(now)
        with self.db.connection() as conn:
            policy.keep_hours(conn, self.settings, now=now)
        with self.db.connection() as conn:
            claimed = attempts.claim(
                conn, trunks=self.settings.outbound, host=self.host, begin_within=BEGIN_WITHIN, now=now, down=down
            )
        for attempt_id, at in claimed.items():
            self.beat()
            time.sleep(max(0, (at - attempts.READY - now).total_seconds() - (time.monotonic() - began)))
            try:
                ring_seconds = int(self.settings.calls.ring.total_seconds())
                callfile.write(self.spool, attempt_id, caller=self.caller, ring_seconds=ring_seconds)
            except OSError as error:
                log.error("attempt %s: no call file: %s", attempt_id, os.strerror(error.errno or 0))
                self._lose_all([attempt_id], "no call file", now)
            else:
                log.info("attempt %s: handed to Asterisk", attempt_id)
        return len(claimed)

    def _say_that_it_is_there(self, conn: Connection, now: datetime) -> None:
        if self._there_at is None or abs(now - self._there_at) >= THERE_EVERY:
            hosts.beat(conn, self.host, now=now)
            alerts.over(conn, hosts.AWAY % self.host, now=now)
            self._there_at = now

    def _hosts_away(self, conn: Connection, now: datetime) -> list[str]:
        away = hosts.away(conn, now=now)
        for host in away:
            says = (
                f"The machine {host} makes no calls any more; others make them. Start it again, or, if it is gone for"
                " good, end this with movans report over."
            )
            if host not in self._seen_away and alerts.add(conn, hosts.AWAY % host, says, now=now):
                log.warning("host %s is away", host)
        return away

    def _trunks_down(self, now: datetime) -> Collection[str]:
        """Which trunks do not answer; a person is told when one begins to, and when that is over."""
        down = self.down()
        if down != self._seen_down:
            of_here = f"trunk %s at {self.host}"
            with self.db.connection() as conn:
                alerts.only(conn, of_here, self.settings.outbound, now=now)
                for name in self.settings.outbound:
                    key = of_here % name
                    if name in down:
                        alerts.add(
                            conn,
                            key,
                            f"The trunk {name} does not answer the machine {self.host}:"
                            " ask its provider, and see the network.",
                            now=now,
                        )
                    else:
                        alerts.over(conn, key, now=now)
            self._seen_down = down
        return down

    def _lose_all(self, attempt_ids: Iterable[int], why: str, now: datetime, *, keeps_place: bool = False) -> None:
        for attempt_id in attempt_ids:
            self.beat()
            try:
                self._lose(attempt_id, why, now, keeps_place=keeps_place)
            except Unreachable as error:  # an import may hold what it carries; the others are not to wait for that
                log.warning("attempt %s: its end could not be noted: %s", attempt_id, type(error).__name__)

    def _lose(self, attempt_id: int, why: str, now: datetime, *, keeps_place: bool = False) -> None:
        with self.db.connection() as conn:
            lost = finish(conn, attempt_id, "lost", why, settings=self.settings, now=now, keeps_place=keeps_place)
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
                    if dialer.look(clock()):
                        continue  # there may be more, which only a trunk's rate held back
                    for _ in ear.notifies(timeout=TICK, stop_after=1):
                        pass
        except Unreachable as error:
            log.error("the database is away: %s", type(error).__name__)
            time.sleep(TICK)
