"""As of when what is known of an offender holds, and whether that is older than it should be."""

from datetime import datetime

from agi.service import Service
from db import feed_runs
from db.custody import Offender
from movans import feeds
from movans.feeds import SILENT


def as_of(service: Service, offender: Offender) -> tuple[datetime, bool]:
    """When the agency last told it, and whether it should have told something newer long ago.

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
    with service.db.connection() as conn:
        for feed in feeds.expected(service.settings):
            if feed.name in by_feed:
                came = feed_runs.came(conn, feed.name, applied=True)
                at = max(known_at, came.fresh_at(feed.same_for)) if came else known_at
                told.append((at, now - at > SILENT * feed.interval))
    return min(at for at, _ in told), any(old for _, old in told)
