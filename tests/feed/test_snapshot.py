"""Snapshots: who is missing in two running is no longer listed, and never released."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from db import alerts, custody, retractions
from feed.records import SNAPSHOT, Refused
from feed.report import Report
from feed.retraction import retract
from movans import tables
from movans.settings import Settings
from tests.conftest import NOON, SETTINGS, settings_for
from tests.feed.conftest import BOONE, declared, row

Imports = Callable[..., Report]
Register = Callable[..., int]
Snapshot = Callable[..., Report]

HOUR = timedelta(hours=1)


def with_snapshots(*names: str, **others: str) -> Settings:
    """Settings with these snapshots of Boone County, each of which comes every two hours; and others, of a format."""
    formats = dict.fromkeys(names, SNAPSHOT) | others
    feeds = {name: {"format": its, "interval": "02:00:00"} for name, its in formats.items()}
    return settings_for(Path("/nowhere"), agencies={"boone": {**BOONE, "feeds": feeds}})


JAIL_AND_ANNEX = with_snapshots("jail", "annex")


@pytest.fixture
def snapshot(imports: Imports) -> Snapshot:
    """Import a snapshot that comes so many hours after noon, while the settings declare these feeds."""

    def at(hour: int, *numbers: str, feed: str = "boone/jail", feeds: Settings = JAIL_AND_ANNEX, **rows: str) -> Report:
        of = declared(format=SNAPSHOT, feed=feed, now=NOON + hour * HOUR)
        return imports(*(row(number=number, **rows) for number in numbers), feed=of, chosen=feeds)

    return at


def told(shared: Connection) -> list[tuple[str, str, int]]:
    """What is told: kind, state, and the hour after noon since when it is so."""
    rows = shared.execute(
        "select kind, state, effective_at from notification n join custody_event e on e.id = event_id order by n.id"
    )
    return [(kind, state, (at - NOON) // HOUR) for kind, state, at in rows]


def status(shared: Connection, number: str = "100234") -> str:
    found = shared.execute("select status from offender where number = %s", [number]).fetchone()
    assert found
    return found[0]


def test_who_is_missing_twice_running_is_no_longer_listed_since_they_last_were(
    snapshot: Snapshot, register: Register, shared: Connection
):
    snapshot(0, "100234", "100561")
    register()
    snapshot(1, "100234", "100561")
    assert snapshot(2, "100561").kinds == {}
    assert (status(shared), told(shared)) == ("in custody", [])
    report = snapshot(3, "100561", "100777")
    assert (report.kinds, report.notifications) == ({"listed": 1, "no_longer_listed": 1}, 1)
    assert (status(shared), told(shared)) == ("no longer listed", [("no_longer_listed", "open", 1)])
    assert snapshot(4, "100561").kinds == {}


BAD = {
    "a wrong status": (row("GONE"), False),
    "a wrong date of birth": (row().replace("1990-07-31", "soon"), False),
    "two rows that contradict each other": (row("released") + row("escaped"), False),
    "a number that cannot be read": (row(number="???"), True),
    "no number": (row(number=""), True),
    "a cell too many, so that nobody knows which is the number": (row().replace("SMITH", "SMITH,JR"), True),
}


@pytest.mark.parametrize(("bad", "anybodys"), BAD.values(), ids=BAD)
def test_who_stands_in_a_row_that_is_put_aside_is_not_missing_and_nobody_is_where_it_may_be_anybodys(
    *, bad: str, anybodys: bool, imports: Imports, register: Register, shared: Connection, snapshot: Snapshot
):
    snapshot(0, "100234", "100561", "100888")
    register()
    for hour in (1, 2, 3):
        of = declared(format=SNAPSHOT, quarantine=0.9, now=NOON + hour * HOUR)
        report = imports(row(number="100561"), row(number=f"N{hour}"), bad, feed=of)
        assert report.quarantined
        assert any("nobody counts as missing" in says for says in tables.aside(report)) == anybodys
    assert (status(shared), told(shared)) == ("in custody", [])
    assert status(shared, "100888") == ("in custody" if anybodys else "no longer listed")


def test_a_snapshot_with_a_header_and_no_rows_is_refused(snapshot: Snapshot):
    with pytest.raises(Refused, match="has a header and no rows; write it again where it comes from"):
        snapshot(1)


def test_a_jails_clock_that_is_ahead_loses_no_absence(snapshot: Snapshot, register: Register, shared: Connection):
    snapshot(0, "100234", "100561", at="2026-11-20 12:05")
    register()
    snapshot(1, "100561")
    assert snapshot(2, "100561", "100777").kinds == {"listed": 1, "no_longer_listed": 1}
    assert status(shared) == "no longer listed"


def test_who_is_missing_once_and_back_was_never_missing(snapshot: Snapshot, register: Register, shared: Connection):
    snapshot(0, "100234", "100561")
    register()
    snapshot(1, "100561")
    snapshot(2, "100561", "100234")
    snapshot(3, "100561", "100777")
    assert (status(shared), told(shared)) == ("in custody", [])


def test_the_same_bytes_again_are_the_same_snapshot(snapshot: Snapshot, register: Register, shared: Connection):
    snapshot(0, "100234", "100561")
    register()
    snapshot(1, "100561")
    snapshot(2, "100561")
    assert (status(shared), told(shared)) == ("in custody", [])
    assert snapshot(3, "100561", "100777").kinds == {"listed": 1, "no_longer_listed": 1}


def test_who_is_listed_again_is_told_so_and_the_row_is_as_old_as_ever(
    snapshot: Snapshot, register: Register, shared: Connection
):
    snapshot(0, "100234", "100561")
    register()
    snapshot(1, "100561")
    snapshot(2, "100561", "100777")
    assert snapshot(3, "100234", "100561").kinds == {"listed_again": 1}
    assert told(shared) == [("no_longer_listed", "superseded", 0), ("listed_again", "open", 3)]
    assert snapshot(4, "100234", "100561", "100777").unchanged == 3
    known = custody.find(shared, "boone", "100234")
    assert known
    assert (known.status, known.known_at) == ("in custody", NOON + 4 * HOUR)


def test_a_release_that_comes_later_is_the_newer_news(
    snapshot: Snapshot, imports: Imports, register: Register, shared: Connection
):
    snapshot(0, "100234", "100561", at="2026-11-03 14:05")
    register()
    snapshot(2, "100561")
    snapshot(3, "100561", "100777")
    report = imports(row("released", "2026-11-20 13:00"), now=NOON + 4 * HOUR)
    assert [(line.change.kind, line.change.late) for line in report.lines] == [("released", False)]
    assert (status(shared), told(shared)[-1]) == ("released", ("released", "open", 1))


def test_who_is_out_as_another_file_says_is_missing_in_silence(
    snapshot: Snapshot, imports: Imports, register: Register, shared: Connection
):
    snapshot(0, "100234", "100561")
    register()
    imports(row("released", "2026-11-20 12:30"), now=NOON + HOUR)
    for hour in (2, 3, 4):
        snapshot(hour, "100561", str(hour))
    assert (status(shared), [kind for kind, _, _ in told(shared)]) == ("released", ["released"])


def test_whom_another_feed_lists_is_not_missing_until_that_one_misses_them_too(
    snapshot: Snapshot, register: Register, shared: Connection
):
    snapshot(0, "100234", "100561")
    snapshot(0, "100234", "100777", feed="boone/annex")
    register()
    for hour in (1, 2, 3):
        snapshot(hour, "100561", str(hour))
    assert (status(shared), told(shared)) == ("in custody", [])
    snapshot(4, "100777", feed="boone/annex")
    snapshot(5, "100777", "5", feed="boone/annex")
    assert told(shared) == [("no_longer_listed", "open", 0)]


def test_whom_a_feed_lists_that_is_silent_by_now_is_missing(snapshot: Snapshot, register: Register, shared: Connection):
    snapshot(0, "100234", "100777", feed="boone/annex")
    snapshot(0, "100234", "100561")
    register()
    for hour in (4, 5, 6):
        snapshot(hour, "100561", str(hour))
    assert (status(shared), told(shared)) == ("in custody", [])
    snapshot(7, "100561", "7")  # nothing came of the annex for three of its intervals
    assert told(shared) == [("no_longer_listed", "open", 0)]


@pytest.mark.parametrize("feeds", [with_snapshots("new"), with_snapshots("new", old="custody changes")])
def test_whom_a_feed_lists_that_was_renamed_or_brings_no_snapshots_any_more_is_missing(
    feeds: Settings, snapshot: Snapshot, register: Register, shared: Connection
):
    snapshot(0, "100234", "100561", feed="boone/old", feeds=with_snapshots("old"))
    register()
    snapshot(1, "100234", "100561", feed="boone/new", feeds=feeds)
    snapshot(2, "100561", feed="boone/new", feeds=feeds)
    snapshot(3, "100561", "3", feed="boone/new", feeds=feeds)
    assert told(shared) == [("no_longer_listed", "open", 1)]


def test_who_left_while_a_feed_was_renamed_is_missing_where_two_files_come_by_both_names(
    snapshot: Snapshot, register: Register, shared: Connection
):
    snapshot(0, "100234", "100561", feed="boone/jail")
    register()
    for hour in (1, 2):
        for feed in ("boone/annex", "boone/jail"):
            snapshot(hour, "100561", str(hour), feed=feed)
    assert told(shared) == [("no_longer_listed", "open", 0)]


def test_whom_no_snapshot_ever_had_is_not_missing(
    snapshot: Snapshot, imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    for hour in (1, 2, 3):
        snapshot(hour, "100561", str(hour))
    assert (status(shared), told(shared)) == ("in custody", [])


def test_of_whom_it_is_withdrawn_that_they_are_no_longer_listed_can_be_missing_again(
    snapshot: Snapshot, register: Register, shared: Connection, db: ConnectionPool
):
    snapshot(0, "100234", "100561")
    register()
    snapshot(1, "100561")
    false = snapshot(2, "100561", "2")
    events = retractions.of_run(shared, false.run_id)
    for hour in (3, 4):  # the second time it changes nothing
        retract(db, events, "it", settings=SETTINGS, who="clerk", why="they are here", now=NOON + hour * HOUR)
    assert (status(shared), told(shared)) == ("in custody", [("no_longer_listed", "retracted", 0)])
    assert snapshot(5, "100561", "2", "5").kinds == {"listed": 1}
    assert snapshot(6, "100561", "2", "5", "6").kinds == {"listed": 1, "no_longer_listed": 1}
    assert told(shared)[1:] == [("no_longer_listed", "open", 2)]


def release(imports: Imports, hour: int, at: str) -> Report:
    """A file of changes says so."""
    return imports(row("released", f"2026-11-20 {at}"), feed=declared(now=NOON + hour * HOUR))


def test_a_release_that_snapshots_take_back_is_said_to_disagree_and_the_next_release_calls(
    snapshot: Snapshot, register: Register, imports: Imports, shared: Connection
):
    snapshot(0, "100234", "100561", feed="boone/in")
    register()
    release(imports, 1, "12:30")
    for hour in (2, 3):
        report = snapshot(hour, "100234", "100561", str(hour), feed="boone/in")
        (said,) = tables.disagreements(report, declared().zone)
        assert said.startswith(
            "row 2: boone 100234 is 'in custody' since Tue Nov 03 2026 14:05 CST, as the file says; but"
        )
        assert "a feed has said 'released' since Fri Nov 20 2026 12:30 CST" in said
        assert (status(shared), len(told(shared))) == ("released", 1)
    assert release(imports, 4, "12:30").unchanged == 1
    report = release(imports, 5, "16:30")
    assert (report.kinds, report.notifications, len(told(shared))) == ({"released": 1}, 1, 2)
    assert release(imports, 6, "16:40").kinds == {"amended": 1}


def test_a_release_and_a_snapshot_that_crossed_on_the_way_call_nobody_again(
    snapshot: Snapshot, register: Register, imports: Imports, shared: Connection
):
    snapshot(0, "100234", "100561", feed="boone/in")
    register()
    release(imports, 1, "12:50")
    assert len(snapshot(2, "100234", "100561", feed="boone/in").disagreeing) == 1
    for hour in (3, 4):
        report = snapshot(hour, "100561", str(hour), feed="boone/in")
        assert (report.disagreeing, report.notifications) == ({}, 0)
    assert (status(shared), len(told(shared))) == ("released", 1)


def test_who_was_still_there_in_snapshots_after_a_release_is_told_of_when_missing(
    snapshot: Snapshot, register: Register, imports: Imports, shared: Connection
):
    snapshot(0, "100234", "100561", feed="boone/in")
    register()
    release(imports, 1, "12:50")
    for hour in (2, 3):
        snapshot(hour, "100234", "100561", str(hour), feed="boone/in")
    for hour in (4, 5):
        snapshot(hour, "100561", str(hour), feed="boone/in")
    assert status(shared) == "no longer listed"
    assert told(shared) == [("released", "superseded", 0), ("no_longer_listed", "open", 3)]


def test_a_release_of_the_very_time_of_the_booking_that_the_next_snapshot_takes_back_disagrees(
    snapshot: Snapshot, register: Register, shared: Connection
):
    snapshot(0, "100234")
    register()
    snapshot(1, "100234", status="released")
    for hour in (2, 3):
        assert len(snapshot(hour, "100234", str(hour)).disagreeing) == 1
    assert (status(shared), len(told(shared))) == ("released", 1)


def test_an_older_row_of_a_file_of_changes_takes_nothing_back(
    snapshot: Snapshot, register: Register, imports: Imports, shared: Connection
):
    snapshot(0, "100234")
    register()
    release(imports, 1, "12:30")
    assert imports(row(), feed=declared(now=NOON + 2 * HOUR)).disagreeing == {}
    assert release(imports, 3, "12:40").kinds == {"amended": 1}
    assert len(told(shared)) == 1


def test_who_is_moved_and_back_at_one_time_is_where_the_last_snapshot_has_them(
    snapshot: Snapshot, register: Register, shared: Connection
):
    snapshot(0, "100234")
    register()
    snapshot(1, "100234", facility="Boone County Annex")
    report = snapshot(2, "100234")
    assert (report.kinds, report.notifications) == ({"amended": 1}, 0)
    assert shared.execute("select facility from offender").fetchone() == ("Boone County Jail",)
    assert snapshot(3, "100234").kinds == {}


def test_a_release_just_before_the_last_snapshot_that_had_somebody_explains_why_they_are_missing(
    snapshot: Snapshot, register: Register, imports: Imports, db: ConnectionPool, shared: Connection
):
    for hour in (0, 1):
        snapshot(hour, "100234", "100561", feed="boone/in")
    register()
    for hour in (2, 3):
        snapshot(hour, "100561", str(hour), feed="boone/in")
    assert status(shared) == "no longer listed"
    report = release(imports, 4, "12:55")
    assert [(line.change.kind, line.change.late, line.notifications) for line in report.lines] == [
        ("released", False, 1)
    ]
    assert status(shared) == "released"
    assert [(kind, state) for kind, state, _ in told(shared)] == [
        ("no_longer_listed", "superseded"),
        ("released", "open"),
    ]
    assert release(imports, 5, "12:55").unchanged == 1
    assert release(imports, 5, "12:50").kinds == {"amended": 1}
    assert (status(shared), len(told(shared))) == ("released", 2)
    retract(db, retractions.of_run(shared, report.run_id), "it", settings=SETTINGS, who="clerk", why="no", now=NOON)
    assert status(shared) == "no longer listed"


def test_a_release_that_explains_why_somebody_was_missing_holds_though_snapshots_have_them_again(
    snapshot: Snapshot, register: Register, imports: Imports, shared: Connection
):
    for hour in (0, 1):
        snapshot(hour, "100234", "100561", feed="boone/in")
    register()
    for hour in (2, 3):
        snapshot(hour, "100561", str(hour), feed="boone/in")
    release(imports, 4, "12:55")
    for hour in (5, 6, 7):
        report = snapshot(hour, "100234", "100561", str(hour), feed="boone/in")
        assert (len(report.disagreeing), report.notifications, status(shared)) == (1, 0, "released")
        alerts.settle(shared, now=NOON + hour * HOUR)
    open_alerts = shared.execute("select count(*) from alert where key like 'override %' and over_at is null")
    assert open_alerts.fetchone() == (1,)
    assert release(imports, 8, "12:55").unchanged == 1
    assert status(shared) == "released"
    assert release(imports, 9, "19:30").kinds == {"released": 1}
    assert [kind for kind, _, _ in told(shared)] == ["no_longer_listed", "released", "released"]


def test_who_was_there_again_after_a_release_that_explained_an_absence_can_be_missing_anew(
    snapshot: Snapshot, register: Register, imports: Imports, shared: Connection
):
    for hour in (0, 1):
        snapshot(hour, "100234", "100561", feed="boone/in")
    register()
    for hour in (2, 3):
        snapshot(hour, "100561", str(hour), feed="boone/in")
    release(imports, 4, "12:55")
    for hour in (5, 6):
        snapshot(hour, "100234", "100561", str(hour), feed="boone/in")
    for hour in (7, 8):
        snapshot(hour, "100561", str(hour), feed="boone/in")
    assert status(shared) == "no longer listed"
    assert told(shared)[-1] == ("no_longer_listed", "open", 6)


def test_who_was_let_go_and_missing_and_is_there_again_is_back_whatever_time_the_row_gives(
    snapshot: Snapshot, register: Register, imports: Imports, shared: Connection
):
    for hour in (0, 1):
        snapshot(hour, "100234", "100561", feed="boone/in")
    register()
    for hour in (2, 3):
        snapshot(hour, "100561", str(hour), feed="boone/in")
    release(imports, 4, "12:30")
    for hour in (5, 6, 7):
        snapshot(hour, "100234", at="2026-11-20 12:40", feed="boone/in")
        assert status(shared) == "in custody"
    assert told(shared)[2:] == [("returned", "open", 5)]
