"""What the settings say of a feed, as its reader is told, and whether it comes as often as they say."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from psycopg import Connection

from db import alerts, feed_runs
from db.feed_runs import Arrived, Came, Counts, Watch
from db.pool import Database
from feed.records import COURT, SNAPSHOT, Rules
from movans.settings import Settings, WrongSettings

log = logging.getLogger(__name__)

LATE, SILENT = 2, 3  # intervals: after more than that it is said in the log, and staff are told
AGAIN = timedelta(hours=1)  # after which staff are told again
TWO_DAYS = 2 * 24 * 60  # minutes
SAME_FOR = timedelta(days=1)  # a small jail's file may be the same for that long
AHEAD = timedelta(minutes=1)  # by so much the clocks of two machines may differ
_KEY, _GONE = "feed %s silent", "feed %s back by run %s"


@dataclass(frozen=True)
class Expected:
    """A feed that is waited for: AGENCY/NAME, or AGENCY where its custody files are imported by hand."""

    name: str
    interval: timedelta
    same_for: timedelta


@dataclass(frozen=True)
class Seen:
    """How a feed is at this moment."""

    feed: Expected
    came: Came | None
    counts: Counts
    age: timedelta | None  # since it was last alive; None where it never came

    @property
    def state(self) -> str:
        if self.age is None:
            return "never came"
        if self.age > SILENT * self.feed.interval:
            return (
                "silent"
                if self.came and self.came.fresh_at(self.feed.same_for) == self.came.started_at
                else "the same file"
            )
        return "late" if self.age > LATE * self.feed.interval else "well"


def expected(settings: Settings) -> list[Expected]:
    """The feeds whose files are waited for, in the order of the settings."""
    found: list[Expected] = []
    for key, agency in settings.agencies.items():
        if not custody_feeds(settings, key):
            found.append(Expected(key, agency.interval, max(SAME_FOR, SILENT * agency.interval)))
        for name, feed in agency.feeds.items():
            same_for = feed.same_for or max(SAME_FOR, SILENT * feed.interval)
            found.append(Expected(f"{key}/{name}", feed.interval, same_for))
    return found


def directories(settings: Settings) -> list[Path]:
    """Where files of feeds appear, and lie aside when they were taken."""
    return [feed.drop for agency in settings.agencies.values() for feed in agency.feeds.values() if feed.drop]


def custody_feeds(settings: Settings, agency: str) -> list[str]:
    """The feeds by which it is told where an agency's offenders are."""
    known = settings.agencies.get(agency)
    feeds = known.feeds if known else {}
    return [f"{agency}/{name}" for name, feed in feeds.items() if feed.format != COURT]


def status(conn: Connection, settings: Settings, *, now: datetime) -> list[Seen]:
    """How each feed is."""
    seen: list[Seen] = []
    for feed in expected(settings):
        came = feed_runs.came(conn, feed.name)
        age = now - came.fresh_at(feed.same_for) if came else None
        seen.append(Seen(feed, came, feed_runs.counts(conn, feed.name, came), age))
    return seen


def watch(db: Database, settings: Settings) -> Callable[[datetime], None]:
    """A duty: a feed that is late is said in the log; of one that is silent staff are told, until it is back."""
    feeds = {feed.name: feed for feed in expected(settings)}
    late: set[str] = set()

    def look(now: datetime) -> None:
        with db.connection() as conn:
            watched = feed_runs.watch(conn, feeds, now=now)
            alerts.only(conn, _KEY, feeds, now=now)
            for name, feed in feeds.items():
                came = _came(conn, name, settings.service.zone, now=now)
                alive_at = came.fresh_at(feed.same_for) if came else watched[name].since
                age = now - alive_at
                if age > SILENT * feed.interval:
                    _tell_of_silence(conn, feed, came, alive_at, settings.service.zone, now=now)
                elif came and watched[name].silent_since:
                    _tell_of_return(conn, watched[name], came, now=now)
                if age > LATE * feed.interval and name not in late:
                    log.warning("the feed %s is late: it should have come %s ago", name, age - feed.interval)
                    late.add(name)
                elif age <= LATE * feed.interval:
                    late.discard(name)

    return look


def _came(conn: Connection, feed: str, zone: ZoneInfo, *, now: datetime) -> Came | None:
    """What came last; where the clock was ahead by then, as of now, lest the feed seems to be alive until that time."""
    came = feed_runs.came(conn, feed)
    if came is None or came.started_at <= now:
        return came
    if came.started_at - now > AHEAD:
        at = came.started_at.astimezone(zone).isoformat(" ", "seconds")
        log.warning(
            "the last file of %s came at %s, which is to come: the clock was ahead; it counts as of now", feed, at
        )
    feed_runs.was_ahead(conn, feed, came.id, now=now)
    return replace(came, started_at=now)


def _tell_of_silence(
    conn: Connection, feed: Expected, came: Came | None, alive_at: datetime, zone: ZoneInfo, *, now: datetime
) -> None:
    since = alive_at.astimezone(zone).strftime("%b %d %H:%M")
    if came is None:
        says = f"Nothing ever came by the feed {feed.name}, which is waited for since {since}"
    elif alive_at < came.started_at:
        says = f"The feed {feed.name} has brought the same file again and again since {since}"
    else:
        says = f"Nothing came by the feed {feed.name} since {since}"
    says += f"; it should come every {feed.interval}. Ask the agency: movans feed status"
    if alerts.add(conn, _KEY % feed.name, says, again_every=AGAIN, now=now):
        feed_runs.silent(conn, feed.name, alive_at)


def _tell_of_return(conn: Connection, watched: Watch, came: Came, *, now: datetime) -> None:
    feed_runs.silent(conn, watched.feed, None)
    if alerts.over(conn, _KEY % watched.feed, now=now) and watched.silent_since:
        arrived = feed_runs.arrived(conn, watched.feed, after=watched.silent_since)
        says = f"{was_gone(watched.feed, watched.silent_since, came.started_at)} {came_with(arrived)}"
        log.warning("%s", says)
        alerts.add(conn, _GONE % (watched.feed, came.id), says, over_when_told=True, now=now)


def came_with(arrived: Arrived) -> str:
    """What a feed that is back has brought by now, held or not."""
    if not arrived.files:
        return "With it came the same file as before."
    files = "" if arrived.files == 1 else f"{arrived.files} files, "
    many = f"{arrived.rows} rows with {arrived.events} changes, {arrived.notifications} to be called"
    held = "the run is held" if arrived.files == 1 else f"{arrived.held} of the runs held"
    return f"With it came {files}{many}{f'; {held}' if arrived.held else ''}."


def was_gone(feed: str, since: datetime, until: datetime) -> str:
    minutes = round((until - since).total_seconds() / 60)
    span = f"{minutes // 60} hours and {minutes % 60} minutes"
    if minutes >= TWO_DAYS:
        span = f"{minutes // (24 * 60)} days and {minutes // 60 % 24} hours"
    return f"The feed {feed} is back after {span}."


def silent_since(conn: Connection, settings: Settings, feed: str, *, now: datetime) -> datetime | None:
    """Since when a declared feed is silent; None where it is not."""
    for one in expected(settings):
        if one.name == feed and (came := feed_runs.came(conn, feed)):
            alive_at = came.fresh_at(one.same_for)
            return alive_at if now - alive_at > SILENT * one.interval else None
    return None


def silent_agencies(conn: Connection, settings: Settings) -> list[str]:
    """The agencies of which a feed that tells where their offenders are is silent, as the watch has seen."""
    silent = feed_runs.silent_feeds(conn)
    return [key for key in settings.agencies if not silent.isdisjoint(custody_feeds(settings, key) or [key])]


def snapshots(conn: Connection, settings: Settings, agency: str, *, now: datetime) -> list[str]:
    """The feeds of an agency whose last snapshot says where people are: they are declared as such, and not silent."""
    known = settings.agencies.get(agency)
    named = [f"{agency}/{name}" for name, feed in known.feeds.items() if feed.format == SNAPSHOT] if known else []
    return [feed for feed in named if silent_since(conn, settings, feed, now=now) is None]


def rules(settings: Settings, feed: str, now: datetime) -> Rules:
    """The rules of a feed, AGENCY/NAME; of a custody file by hand, which may be of any agency, where it is empty.

    Raises WrongSettings where there is no such feed.
    """
    if not feed:
        return Rules(frozenset(settings.agencies), settings.service.zone, now)
    declared = {f"{key}/{name}": one for key, agency in settings.agencies.items() for name, one in agency.feeds.items()}
    if feed not in declared:
        known = f"there are {', '.join(declared)}" if declared else "there is none"
        raise WrongSettings(f"no feed {feed} is declared in the settings, under agencies; {known}")
    found, agency = declared[feed], feed.partition("/")[0]
    return Rules(
        agencies=frozenset([agency]),
        zone=ZoneInfo(found.time_zone) if found.time_zone else settings.zone(agency),
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
