"""As of when what is known of an offender holds, and whether that is older than it should be."""

import logging
from datetime import datetime

from agi.service import Service
from db import feed_runs
from db.custody import Offender
from db.pool import Unreachable
from movans import feeds
from movans.feeds import SILENT

log = logging.getLogger(__name__)


def as_of(service: Service, offender: Offender) -> tuple[datetime, bool]:
    """When it was last told, by the agency or by staff, and whether something newer should have come long ago.

    What comes by a feed says of everybody that it leaves out that they are as they were. Where an agency has several
    feeds, nobody knows by which of them the news would come: what the one that is most behind has told, holds. Who is
    brought by hand is known as of the file that they stood in, and so is everybody while the database cannot be asked.
    """
    now, known_at = service.clock(), offender.known_at
    agency = service.settings.agencies.get(offender.agency)
    if agency is None:
        return known_at, True  # it sends nothing any more
    by_feed = set(feeds.custody_feeds(service.settings, offender.agency))
    told: list[tuple[datetime, bool]] = []
    try:
        with service.db.connection() as conn:
            for feed in feeds.expected(service.settings):
                if feed.name in by_feed:
                    came = feed_runs.came(conn, feed.name, applied=True)
                    at = max(known_at, came.fresh_at(feed.same_for)) if came else known_at
                    told.append((at, now - at > SILENT * feed.interval))
    except Unreachable as error:  # what is known of the offender can be told all the same
        log.warning("when the feeds came last is not known: %s", type(error).__name__)
        told.clear()
    if not told:
        return known_at, now - known_at > SILENT * agency.interval
    return min(at for at, _ in told), any(old for _, old in told)
