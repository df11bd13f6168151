"""What the settings say of a feed, as its reader is told."""

from datetime import datetime
from zoneinfo import ZoneInfo

from feed.records import Rules
from movans.settings import Settings, WrongSettings


def rules(settings: Settings, feed: str, now: datetime) -> Rules:
    """The rules of a feed, AGENCY/NAME; of a custody file by hand, which may be of any agency, where it is empty.

    Raises WrongSettings where there is no such feed.
    """
    zone = settings.service.zone
    if not feed:
        return Rules(frozenset(settings.agencies), zone, now)
    declared = {f"{key}/{name}": one for key, agency in settings.agencies.items() for name, one in agency.feeds.items()}
    if feed not in declared:
        known = f"there are {', '.join(declared)}" if declared else "there is none"
        raise WrongSettings(f"no feed {feed} is declared in the settings, under agencies; {known}")
    found, agency = declared[feed], feed.partition("/")[0]
    return Rules(
        agencies=frozenset([agency]),
        zone=ZoneInfo(found.time_zone) if found.time_zone else zone,
        now=now,
        feed=feed,
        agency=agency,
        format=found.format,
        encoding=found.encoding,
        columns=found.columns,
        always=found.always,
        statuses=found.statuses,
        facilities=found.facilities,
        ignore=found.ignore,
        dates=found.dates,
        times=found.times,
        quarantine=found.mistakes,
    )
