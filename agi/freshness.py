"""What is asked of an offender when it is told: as of when it holds, what is newer, and which court date comes next."""

import logging
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from agi.service import Service
from db import court_events, feed_runs, held
from db.court_events import CourtDate
from db.custody import Offender
from db.pool import Unreachable
from movans import feeds
from movans.feeds import SILENT

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """How far what is known of an offender can be relied on, and what changes by itself as time goes by."""

    at: datetime  # when it was told
    old: bool  # something newer should have been told long ago
    being_checked: bool  # news of the facility is held until a person has looked at it
    court: CourtDate | None = None  # the one that comes next


def known(service: Service, offender: Offender) -> Known:
    """With the database away, what was found can be told all the same, as older than it should be; no court date is."""
    try:
        with service.db.connection() as conn:
            at, old = as_of(conn, service, offender)
            being_checked = held.is_being_checked(conn, offender.agency, offender.facility)
            return Known(at, old, being_checked, court_events.next_of(conn, offender.id, now=service.clock()))
    except Unreachable as error:
        log.warning("whether there is newer news is not known: %s", type(error).__name__)
        return Known(offender.known_at, old=True, being_checked=False)


def as_of(conn: Connection, service: Service, offender: Offender) -> tuple[datetime, bool]:
    """When it was last told, by the agency or by staff, and whether something newer should have come long ago.

    What comes by a feed says of everybody that it leaves out that they are as they were. Where an agency has several
    feeds, nobody knows by which of them the news would come: what the one that is most behind has told, holds. Who is
    brought by hand is known as of the file that they stood in.
    """
    now, known_at = service.clock(), offender.known_at
    agency = service.settings.agencies.get(offender.agency)
    if agency is None:
        return known_at, True  # it sends nothing any more
    by_feed = set(feeds.custody_feeds(service.settings, offender.agency))
    if not by_feed:
        return known_at, now - known_at > SILENT * agency.interval
    told: list[tuple[datetime, bool]] = []
    for feed in feeds.expected(service.settings):
        if feed.name in by_feed:
            came = feed_runs.came(conn, feed.name, applied=True)
            at = max(known_at, came.fresh_at(feed.same_for)) if came else known_at
            told.append((at, now - at > SILENT * feed.interval))
    return min(at for at, _ in told), any(old for _, old in told)
