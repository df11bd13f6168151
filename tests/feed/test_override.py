"""What staff say of an offender beside a feed: who disagrees is told until they agree."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from db import alerts, custody
from db.custody import Custody, Person
from feed import override
from feed.override import Said
from feed.records import SNAPSHOT, CustodyRecord
from feed.report import Report
from feed.run import run
from movans.tables import disagreements
from tests.conftest import NOON, SETTINGS, settings_for
from tests.feed.conftest import HEADER, declared, row

Imports = Callable[..., Report]
Say = Callable[..., Said]

HOUR = timedelta(hours=1)
FEED = declared()


def at(time: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-20 {time}").replace(tzinfo=ZoneInfo("America/Chicago"))


@pytest.fixture
def say(shared: Connection) -> Say:
    """Staff say so of the one offender."""

    def by(
        status: str, time: str, *, facility: str = "Boone County Jail", now: datetime = NOON, quiet: bool = False
    ) -> Said:
        known = custody.find(shared, "boone", "100234")
        person = known.person if known else Person("JOHN", "", "SMITH", None)
        record = CustodyRecord(1, "boone", "100234", person, Custody(status, facility, at(time)), "", {})
        with shared.transaction():
            return override.say(shared, record, who="clerk", quiet=quiet, settings=SETTINGS, now=now)

    return by


@pytest.fixture
def comes(imports: Imports) -> Callable[..., Report]:
    """A snapshot of these rows comes so many hours after noon."""
    return lambda hour, *rows: imports(*rows, feed=declared(format=SNAPSHOT, now=NOON + hour * HOUR))


def raised(shared: Connection) -> list[tuple[str, bool]]:
    """What was raised of disagreement, and whether it is not over."""
    alerts.settle(shared, now=NOON)
    return shared.execute("select says, over_at is null from alert where key like 'override %' order by id").fetchall()


STILL_IN = row(at="2026-11-20 08:00")


def test_a_feed_that_disagrees_is_an_alert_once_and_over_where_it_agrees(
    imports: Imports, say: Say, shared: Connection
):
    imports(STILL_IN)
    say("released", "10:00")
    for hour in (1, 2):
        imports(STILL_IN, now=NOON + hour * HOUR, feed=FEED)
    ((says, is_open),) = raised(shared)
    assert is_open
    assert says == (
        "boone 100234 is 'in custody' since 2026-11-20 08:00:00-06:00, as boone/jail says; but staff have said"
        " 'released' since 2026-11-20 10:00:00-06:00, which is later and holds. Find out what is true: movans custody"
        " show boone 100234"
    )
    imports(row("released", "2026-11-20 09:55"), now=NOON + 3 * HOUR, feed=FEED)
    assert [is_open for _, is_open in raised(shared)] == [False]


@pytest.mark.parametrize("by", ["the feed", "staff"])
def test_a_disagreement_is_over_where_something_newer_is_said(by: str, imports: Imports, say: Say, shared: Connection):
    imports(STILL_IN)
    say("released", "10:00")
    imports(STILL_IN, now=NOON + HOUR, feed=FEED)
    if by == "staff":
        say("in custody", "11:00")
    else:
        imports(row(at="2026-11-20 11:00"), now=NOON + 2 * HOUR, feed=FEED)
    assert [is_open for _, is_open in raised(shared)] == [False]


def test_a_disagreement_that_a_person_has_seen_to_is_raised_anew_only_where_the_feed_says_another(
    imports: Imports, say: Say, shared: Connection
):
    imports(STILL_IN)
    say("released", "10:00")
    imports(STILL_IN, now=NOON + HOUR, feed=FEED)
    (number,) = shared.execute("select id from alert").fetchone() or (0,)
    assert alerts.end(shared, number, now=NOON + HOUR)
    imports(STILL_IN, now=NOON + 2 * HOUR, feed=FEED)
    assert len(raised(shared)) == 1
    imports(row("escaped", "2026-11-20 09:00"), now=NOON + 3 * HOUR, feed=FEED)
    assert [is_open for _, is_open in raised(shared)] == [False, True]


def test_what_else_a_feed_says_otherwise_is_told_at_once(imports: Imports, say: Say, shared: Connection):
    imports(STILL_IN)
    say("released", "10:00")
    imports(STILL_IN, now=NOON + HOUR, feed=FEED)
    imports(row("escaped", "2026-11-20 09:00"), now=NOON + 2 * HOUR, feed=FEED)
    assert [is_open for _, is_open in raised(shared)] == [False, True]


def test_a_feed_that_is_silent_about_somebody_does_not_disagree(imports: Imports, say: Say, shared: Connection):
    imports(STILL_IN)
    say("released", "10:00")
    imports(row(number="100561"), now=NOON + HOUR, feed=FEED)
    assert raised(shared) == []


def test_what_staff_say_between_two_times_of_an_event_shows_that_it_was_two(
    imports: Imports, register: Callable[..., int], say: Say, shared: Connection
):
    imports(row(at="2026-11-20 08:00"))
    imports(row(at="2026-11-20 11:00"))  # taken for its correction
    register()
    said = say("released", "10:00")
    assert (said.change.kind, said.change.late, said.people) == ("released", True, 1)
    (offender_id,) = shared.execute("select id from offender").fetchone() or (0,)
    events = [(event.kind, event.effective_at, event.by_staff) for event in custody.history(shared, offender_id)]
    assert events == [
        ("listed", at("08:00"), False),
        ("released", at("10:00"), True),
        ("returned", at("11:00"), False),
    ]
    found = custody.get(shared, offender_id)
    assert (found.status, found.since) == ("in custody", at("11:00"))
    told = shared.execute("select kind, who from notification join custody_event e on e.id = event_id order by e.id")
    assert told.fetchall() == [("released", "clerk"), ("returned", "clerk")]
    for time in ("08:00", "11:00"):
        assert imports(row(at=f"2026-11-20 {time}"), now=NOON + HOUR).unchanged == 1
    assert raised(shared) == []


def test_quietly_nobody_is_called_of_either(
    imports: Imports, register: Callable[..., int], say: Say, shared: Connection
):
    imports(row(at="2026-11-20 08:00"))
    imports(row(at="2026-11-20 11:00"))
    register()
    assert say("released", "10:00", quiet=True).people == 0
    assert shared.execute("select from notification").fetchall() == []


def told_of(shared: Connection) -> list[tuple[str, datetime]]:
    return shared.execute(
        "select kind, effective_at from notification join custody_event e on e.id = event_id order by e.id"
    ).fetchall()


@pytest.mark.parametrize("event_id", ["", "E-77"])
def test_what_staff_said_quietly_is_told_where_the_feed_says_it_of_a_later_time(
    event_id: str, imports: Imports, register: Callable[..., int], say: Say, shared: Connection
):
    imports(row(at="2026-11-20 08:00"))
    register()
    say("escaped", "10:00", quiet=True)
    for time in ("10:00", "09:50"):
        imports(row("escaped", f"2026-11-20 {time}"), now=NOON + HOUR)
    assert told_of(shared) == []
    for hour in (2, 3):
        imports(row("escaped", "2026-11-20 11:00", event_id=event_id), now=NOON + hour * HOUR)
    imports(row("escaped", "2026-11-20 11:05", event_id=event_id), now=NOON + 4 * HOUR)
    assert told_of(shared) == [("escaped", at("11:05"))]


@pytest.mark.parametrize("time", ["10:00", "09:50", "10:10"])
def test_what_staff_said_quietly_they_can_say_aloud_once(
    time: str, imports: Imports, register: Callable[..., int], say: Say, shared: Connection
):
    imports(row(at="2026-11-20 08:00"))
    register()
    say("escaped", "10:00", quiet=True)
    said = say("escaped", time, now=NOON + HOUR)
    assert (said.people, said.holds.since) == (1, at(time))
    assert say("escaped", time, now=NOON + HOUR).change.what == "unchanged"
    imports(row("escaped", "2026-11-20 10:30"), now=NOON + 2 * HOUR)
    assert told_of(shared) == [("escaped", at("10:30"))]


def test_the_second_snapshot_that_still_has_who_was_released_is_an_alert(
    comes: Callable[..., Report], shared: Connection
):
    let_go, other = row("released", "2026-11-20 11:50"), row(number="2")
    comes(0, STILL_IN, other)
    comes(1, let_go, other)
    comes(2, STILL_IN, other)
    assert raised(shared) == []
    comes(3, STILL_IN, other, row(number="3"))
    ((says, is_open),) = raised(shared)
    assert is_open
    assert "but before it was said 'released' since 2026-11-20 11:50:00-06:00, which is later and holds" in says
    comes(4, let_go, other)
    assert [is_open for _, is_open in raised(shared)] == [False]


def test_a_jail_agrees_where_its_snapshots_have_somebody_no_more(
    comes: Callable[..., Report], say: Say, shared: Connection
):
    comes(0, STILL_IN, row(number="2"))
    say("released", "11:00")
    comes(1, STILL_IN, row(number="2", last_name="JONES"))
    for hour in (2, 3):
        assert [is_open for _, is_open in raised(shared)] == [True]
        comes(hour, row(number="2", last_name=f"JONES {hour}"))
    assert [is_open for _, is_open in raised(shared)] == [False]


def test_a_release_after_snapshots_that_still_had_who_staff_had_let_go_is_told(
    comes: Callable[..., Report], imports: Imports, register: Callable[..., int], say: Say, shared: Connection
):
    def lets_go(hour: int, at: str) -> Report:
        return imports(row("released", at), feed=declared(now=NOON + hour * HOUR))

    comes(0, STILL_IN, row(number="2"))
    register()
    say("released", "10:00")
    for hour in (1, 2):
        comes(hour, STILL_IN, row(number="2", last_name=f"JONES {hour}"))
        assert [event.status for event in custody.history(shared, offender(shared))] == ["in custody", "released"]
    assert lets_go(3, "2026-11-20 10:00").unchanged == 1
    report = lets_go(3, "2026-11-20 14:30")
    assert (report.kinds, report.notifications) == ({"released": 1}, 1)
    assert [is_open for _, is_open in raised(shared)] == [False]
    assert lets_go(4, "2026-11-20 14:35").kinds == {"amended": 1}


def test_who_stood_in_snapshots_after_staff_had_let_them_go_and_is_missing_is_no_longer_listed(
    comes: Callable[..., Report], say: Say, shared: Connection
):
    comes(0, STILL_IN, row(number="2"))
    say("released", "10:00")
    for hour in (1, 2):
        comes(hour, STILL_IN, row(number="2", last_name=f"JONES {hour}"))
    comes(3, row(number="2", last_name="SMYTH"))
    assert comes(4, row(number="2", last_name="SMITHE")).kinds == {"no_longer_listed": 1}
    assert [is_open for _, is_open in raised(shared)] == [False]


def test_an_absence_that_staff_explain_ends_no_disagreement(
    comes: Callable[..., Report], imports: Imports, say: Say, shared: Connection
):
    comes(0, STILL_IN, row(number="2"))
    comes(1, row(number="2", last_name="JONES"))
    comes(2, row(number="2", last_name="SMYTH"))
    assert [event.status for event in custody.history(shared, offender(shared))] == ["in custody", "no longer listed"]
    say("released", "11:00", now=NOON + 3 * HOUR)
    imports(STILL_IN, now=NOON + 4 * HOUR, feed=FEED)
    assert [is_open for _, is_open in raised(shared)] == [True]


def offender(shared: Connection) -> int:
    known = custody.find(shared, "boone", "100234")
    assert known
    return known.id


def others(hour: int) -> list[str]:
    """Of everybody else, each hour one more."""
    return [row(number=str(200 + number)) for number in range(hour + 1)]


def test_the_second_snapshot_without_whom_staff_have_in_custody_is_an_alert_and_staffs_word_holds(
    comes: Callable[..., Report], say: Say, shared: Connection
):
    comes(0, STILL_IN, *others(0))
    for hour in (1, 2):
        comes(hour, *others(hour))
    say("in custody", "15:00", now=NOON + 3 * HOUR)
    assert comes(4, *others(4)).disagreeing == {}
    comes(4, *others(4))
    assert raised(shared) == [], "the same bytes are the same snapshot"
    for hour in (5, 6):
        report = comes(hour, *others(hour))
        (line,) = disagreements(report, SETTINGS.service.zone)
        assert line == (
            "boone 100234 is not in the last two snapshots; but staff have said 'in custody' since Fri Nov 20 2026"
            " 15:00 CST, which holds: movans custody show"
        )
        assert report.kinds["no_longer_listed"] == 0
    ((says, is_open),) = raised(shared)
    assert is_open
    assert says == (
        "boone 100234 is not in the last two snapshots of boone/jail; but staff have said 'in custody' since 2026-11-20"
        " 15:00:00-06:00, which holds. Find out what is true: movans custody show boone 100234"
    )
    found = custody.find(shared, "boone", "100234")
    assert found
    assert (found.status, found.since) == ("in custody", at("15:00"))


@pytest.mark.parametrize("ends", ["a snapshot", "another row", "staff"])
def test_it_is_over_where_they_are_in_a_snapshot_again_or_staff_say_otherwise(
    ends: str, comes: Callable[..., Report], say: Say, shared: Connection
):
    say("in custody", "12:00")
    for hour in (1, 2):
        comes(hour, *others(hour))
    assert [is_open for _, is_open in raised(shared)] == [True]
    if ends == "staff":
        say("released", "14:30", now=NOON + 3 * HOUR)
        comes(3, *others(3))
    else:
        comes(3, row(at="2026-11-20 12:00" if ends == "a snapshot" else "2026-11-20 14:00"), *others(3))
    assert [is_open for _, is_open in raised(shared)] == [False]


@pytest.mark.parametrize("since", ["11:00", "12:30"])
def test_whom_staff_have_moved_since_the_last_snapshot_that_had_them_is_not_no_longer_listed(
    since: str, comes: Callable[..., Report], say: Say, shared: Connection
):
    comes(0, STILL_IN, *others(0))
    say("in custody", since, facility="Cole County Jail", now=NOON + HOUR)
    reports = [comes(hour, *others(hour)) for hour in (2, 3)]
    assert [report.kinds["no_longer_listed"] for report in reports] == [0, 0]
    assert [is_open for _, is_open in raised(shared)] == [True]


def test_a_feed_beside_others_says_nothing_of_who_never_stood_in_it(db: ConnectionPool, say: Say, tmp_path: Path):
    say("in custody", "12:00")
    how = {"format": SNAPSHOT, "interval": 900}
    for feeds, many in (({"jail": how, "annex": how}, 0), ({"jail": how}, 1)):
        boone = {"name": "Boone", "interval": 900, "feeds": feeds}
        chosen = settings_for(tmp_path, agencies={"boone": boone})
        for hour in (1, 2):
            snapshot = tmp_path / "jail.csv"
            snapshot.write_text(HEADER + "".join(others(10 * many + hour)), encoding="utf-8")
            report = run(db, snapshot, declared(format=SNAPSHOT, now=NOON + (hour + many) * HOUR), settings=chosen)
        assert len(report.disagreeing) == many


def test_whom_another_feeds_last_snapshot_has_is_held_there(
    db: ConnectionPool, say: Say, shared: Connection, tmp_path: Path
):
    feeds = {name: {"format": SNAPSHOT, "interval": "24:00:00"} for name in ("jail", "annex")}
    chosen = settings_for(tmp_path, agencies={"boone": {"name": "Boone", "interval": 900, "feeds": feeds}})

    def comes(hour: int, *rows: str, feed: str = "boone/jail") -> None:
        snapshot = tmp_path / "jail.csv"
        snapshot.write_text(HEADER + "".join(rows), encoding="utf-8")
        run(db, snapshot, declared(feed=feed, format=SNAPSHOT, now=NOON + hour * HOUR), settings=chosen)

    comes(0, STILL_IN, *others(0))
    comes(1, *others(1))
    comes(2, *others(2))
    say("in custody", "14:00", now=NOON + 2 * HOUR + HOUR / 2)
    for hour in (3, 4):
        comes(hour, *others(hour))
    assert [is_open for _, is_open in raised(shared)] == [True]
    comes(5, row(at="2026-11-20 14:00"), feed="boone/annex")
    comes(6, *others(6))
    assert [is_open for _, is_open in raised(shared)] == [False]


def test_a_third_place_at_the_first_time_of_a_move_that_staff_have_corrected_can_be_said(say: Say, imports: Imports):
    imports(row(at="2026-11-20 08:00"))
    for time, facility in [("09:00", "Annex"), ("10:00", "Annex"), ("09:00", "Third")]:
        said = say("in custody", time, facility=facility)
    assert said.change.what == "news"
