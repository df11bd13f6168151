"""A feed that does not come: what staff and callers are told meanwhile, and when it is back."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from db import alerts, feed_runs
from db.pool import open_pool
from movans import feeds
from movans.settings import Settings
from tests.conftest import NOON, settings_for
from tests.movans.conftest import Movans

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
JAIL = {"format": "custody changes", "interval": "00:15:00"}

Comes = Callable[..., int]


def chosen(**feed: Any) -> Settings:
    boone = {"name": "Boone County", "interval": "24:00:00", "feeds": {"jail": JAIL | feed}}
    return settings_for(Path("/nowhere"), agencies={"boone": boone})


@pytest.fixture
def db(database: str) -> Iterator[ConnectionPool]:
    with open_pool(database) as pool:
        yield pool


@pytest.fixture
def comes(shared: psycopg.Connection) -> Comes:
    def add(at: datetime, content: str = "", outcome: Any = "applied", feed: str = "boone/jail") -> int:
        run = feed_runs.add(shared, "jail.csv", content or str(at), outcome, feed=feed, now=at)
        feed_runs.count(shared, run, rows=120, events=14, releases=0, changes=0, listed=14, notifications=9)
        return run

    return add


def raised(shared: psycopg.Connection) -> list[str]:
    return [alert.key for alert in alerts.still(shared)]


def test_a_feed_that_is_late_is_said_in_the_log_and_then_told_to_staff(
    db: ConnectionPool, shared: psycopg.Connection, comes: Comes, caplog: pytest.LogCaptureFixture
):
    look = feeds.watch(db, chosen())
    comes(NOON)
    with caplog.at_level(logging.WARNING):
        look(NOON + 30 * MINUTE)
        assert not caplog.text
        for minutes in (31, 40, 45):
            look(NOON + minutes * MINUTE)
    assert caplog.text.count("the feed boone/jail is late") == 1
    assert raised(shared) == []
    look(NOON + 46 * MINUTE)
    look(NOON + 47 * MINUTE)
    (alert,) = alerts.still(shared)
    assert alert.key == "feed boone/jail silent"
    assert alert.says.startswith("Nothing came by the feed boone/jail since Nov 20 12:00; it should come every 0:15:00")


def test_it_is_told_again_every_hour_while_it_lasts(db: ConnectionPool, shared: psycopg.Connection, comes: Comes):
    comes(NOON)
    feeds.watch(db, chosen())(NOON + HOUR)
    (alert,) = alerts.untold(shared, most=9, now=NOON + HOUR)
    alerts.told(shared, alert.id, now=NOON + HOUR)
    assert alerts.untold(shared, most=9, now=NOON + 2 * HOUR - MINUTE) == []
    assert [one.id for one in alerts.untold(shared, most=9, now=NOON + 2 * HOUR)] == [alert.id]
    alerts.told(shared, alert.id, now=NOON + 2 * HOUR)
    assert alerts.untold(shared, most=9, now=NOON + 3 * HOUR - MINUTE) == []


@pytest.mark.parametrize(("outcome", "says"), [("applied", "to be called."), ("held", "; the run is held.")])
def test_when_it_is_back_it_is_told_how_long_it_was_gone_and_what_came(
    outcome: str, says: str, db: ConnectionPool, shared: psycopg.Connection, comes: Comes
):
    shared.execute("alter table feed_run drop constraint feed_run_outcome_check")  # the guard holds runs, too
    look = feeds.watch(db, chosen())
    comes(NOON)
    look(NOON + HOUR)
    comes(NOON + 73 * HOUR, outcome=outcome)
    look(NOON + 73 * HOUR + MINUTE)
    (alert,) = alerts.untold(shared, most=9, now=NOON + 73 * HOUR)
    assert alert.key.startswith("feed boone/jail back by run ")
    assert alert.says.startswith(
        "The feed boone/jail is back after 3 days and 1 hours. With it came 120 rows with 14 ch"
    )
    assert alert.says.endswith(says)
    alerts.told(shared, alert.id, now=NOON + 73 * HOUR)
    look(NOON + 73 * HOUR + 2 * MINUTE)
    assert raised(shared) == []
    look(NOON + 74 * HOUR)
    assert raised(shared) == ["feed boone/jail silent"]


def test_when_it_is_back_all_that_came_since_is_told(db: ConnectionPool, shared: psycopg.Connection, comes: Comes):
    look = feeds.watch(db, chosen())
    comes(NOON, "old")
    look(NOON + HOUR)
    comes(NOON + 72 * HOUR, "old")  # once more, which brings nothing
    comes(NOON + 72 * HOUR + MINUTE, outcome="overtaken")
    for minutes, outcome in ((2, "held"), (3, "applied"), (4, "refused"), (5, "applied")):
        comes(NOON + 72 * HOUR + minutes * MINUTE, outcome=outcome)
    look(NOON + 72 * HOUR + 6 * MINUTE)
    (alert,) = alerts.still(shared)
    assert alert.says.endswith("With it came 3 files, 360 rows with 42 changes, 27 to be called; 1 of the runs held.")


def test_each_time_that_it_is_back_is_told_though_nobody_was_told_of_the_first(
    db: ConnectionPool, shared: psycopg.Connection, comes: Comes
):
    look = feeds.watch(db, chosen())
    for hours in (0, 3, 9):
        look(NOON + hours * HOUR - MINUTE)
        comes(NOON + hours * HOUR)
        look(NOON + hours * HOUR)
    assert [alert.says[:52] for alert in alerts.untold(shared, most=9, now=NOON + 9 * HOUR)] == [
        "The feed boone/jail is back after 3 hours and 0 minu",
        "The feed boone/jail is back after 6 hours and 0 minu",
    ]


def test_a_feed_that_never_came_is_late_from_when_it_is_waited_for(db: ConnectionPool, shared: psycopg.Connection):
    look = feeds.watch(db, chosen())
    look(NOON)
    look(NOON + 45 * MINUTE)
    assert raised(shared) == []
    look(NOON + 46 * MINUTE)
    (alert,) = alerts.still(shared)
    assert alert.says.startswith("Nothing ever came by the feed boone/jail, which is waited for since Nov 20 12:00")
    feeds.watch(db, settings_for(Path("/nowhere")))(NOON + HOUR)
    assert raised(shared) == []  # it is declared no more


def test_a_file_that_came_while_the_clock_was_ahead_counts_as_of_when_that_is_seen(
    db: ConnectionPool, shared: psycopg.Connection, comes: Comes, caplog: pytest.LogCaptureFixture
):
    settings = chosen()
    look = feeds.watch(db, settings)
    comes(NOON + 30 * DAY)
    look(NOON + 30 * DAY + MINUTE)  # by the clock that is ahead
    with caplog.at_level(logging.WARNING):
        for minutes in (0, 20, 45):
            look(NOON + minutes * MINUTE)
    assert caplog.text.count("boone/jail came at 2026-12-20 12:00:00-06:00, which is to come: the clock was ahead") == 1
    assert raised(shared) == []
    for days in (1, 30, 31):
        look(NOON + days * DAY)
        (alert,) = alerts.still(shared)
        assert alert.says.startswith("Nothing came by the feed boone/jail since Nov 20 12:00")
        (seen,) = feeds.status(shared, settings, now=NOON + days * DAY)
        assert (seen.state, seen.age) == ("silent", days * DAY)
    comes(NOON + 31 * DAY)
    look(NOON + 31 * DAY)
    (alert,) = alerts.still(shared)
    assert alert.says.startswith(
        "The feed boone/jail is back after 31 days and 0 hours. With it came 120 rows with 14 changes"
    )


def test_a_refused_file_is_no_sign_of_life(db: ConnectionPool, shared: psycopg.Connection, comes: Comes):
    comes(NOON)
    comes(NOON + 40 * MINUTE, outcome="refused")
    feeds.watch(db, chosen())(NOON + HOUR)
    assert raised(shared) == ["feed boone/jail silent"]


@pytest.mark.parametrize(
    ("feed", "well_until", "silent_from"),
    [({}, 24, 24.5), ({"same_for": "03:00:00"}, 3, 3.5), ({"interval": "12:00:00"}, 36, 48)],
    ids=["a day", "as the feed says", "three intervals"],
)
def test_a_feed_that_repeats_the_same_bytes_for_too_long_is_silent(
    feed: dict[str, str],
    well_until: float,
    silent_from: float,
    db: ConnectionPool,
    shared: psycopg.Connection,
    comes: Comes,
):
    look = feeds.watch(db, chosen(**feed))
    comes(NOON - HOUR, "other")
    every = 12 * HOUR if feed.get("interval") else HOUR / 4
    at = NOON
    while at <= NOON + silent_from * HOUR:
        comes(at, "same")
        look(at)
        if at <= NOON + well_until * HOUR:
            assert raised(shared) == []
        at += every
    (alert,) = alerts.still(shared)
    assert "has brought the same file again and again since Nov 20 12:00" in alert.says
    comes(at, "new")
    look(at)
    (key,) = raised(shared)
    assert key.startswith("feed boone/jail back")


def test_a_feed_that_brings_nothing_but_headers_for_days_is_well():
    came = feed_runs.Came(1, NOON + 39 * HOUR, "applied", 0, 0, 0, 0, same_since=NOON)
    assert came.fresh_at(24 * HOUR) == NOON + 39 * HOUR


def test_an_agency_whose_files_come_by_hand_is_waited_for_by_its_own_interval(
    db: ConnectionPool, shared: psycopg.Connection, comes: Comes
):
    look = feeds.watch(db, settings_for(Path("/nowhere")))
    feed_runs.of_agencies(shared, comes(NOON, feed=""), {"boone"})
    feed_runs.of_agencies(shared, comes(NOON + 71 * HOUR, feed=""), {"cole"})
    look(NOON + 73 * HOUR)
    assert raised(shared) == ["feed boone silent"]


def test_the_status_shows_every_feed(movans: Movans, shared: psycopg.Connection, comes: Comes):
    before = movans("feed", "status")
    assert before.returncode == 0, before.stderr
    assert "boone (by hand)" in before.stdout
    assert "never came" in before.stdout
    at = datetime.now(NOON.tzinfo) - timedelta(hours=30)
    feed_runs.of_agencies(shared, comes(at, feed=""), {"boone"})
    line = next(line for line in movans("feed", "status").stdout.splitlines() if "boone" in line)
    assert "well" in line
    assert "1 day, 6:0" in line
    assert line.split()[-6:] == ["120", "0", "14", "9", "0", "0"]
