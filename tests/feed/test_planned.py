"""The day on which somebody is due to be released: the rules, case by case; and what a real database makes of them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from agi.notify import utterances
from agi.service import Service
from db import attempts, custody, notifications, retractions
from db.custody import Custody, Person, Plan
from db.journal import Journal
from feed import held as decisions
from feed.planned import at, compare, of_bookings, restored
from feed.records import SNAPSHOT, CustodyRecord
from feed.report import Report
from feed.retraction import retract
from feed.run import run
from movans import tables
from prompts.catalogue import Catalogue
from tests.conftest import KEYS, NOON, SETTINGS, TRUNKS
from tests.feed.conftest import HEADER, NIEM, SAMPLES, WITH_FEEDS, declared, row
from tests.flow.conftest import Silence
from tests.flow.telephone import OneConnection

Imports = Callable[..., Report]
Register = Callable[..., int]
Says = Callable[..., Report]

HOUR = timedelta(hours=1)
TODAY, MAY, JUNE, JULY = date(2026, 11, 20), date(2027, 5, 1), date(2027, 6, 1), date(2027, 7, 1)

CASES = {
    "another day": (JUNE, MAY, "in custody", "in custody", "release_date_changed"),
    "an earlier day": (MAY, JUNE, "in custody", "in custody", "release_date_changed"),
    "a first day": (MAY, None, "in custody", "in custody", "release_planned"),
    "today": (TODAY, MAY, "in custody", "in custody", "release_date_changed"),
    "after a day that is over": (JUNE, date(2026, 11, 1), "in custody", "in custody", "release_date_changed"),
    "the same day": (MAY, MAY, "in custody", "in custody", ""),
    "no day, as ever": (None, None, "in custody", "in custody", ""),
    "a day that is taken away": (None, MAY, "in custody", "in custody", ""),
    "a day that is past": (date(2026, 11, 19), MAY, "in custody", "in custody", ""),
    "with the release itself": (JUNE, MAY, "in custody", "released", ""),
    "of who is out": (JUNE, MAY, "released", "released", ""),
    "of who is on furlough": (JUNE, MAY, "in custody", "on furlough", ""),
    "back after a release": (JUNE, MAY, "released", "in custody", "release_planned"),
    "back after a release, with the same day": (MAY, MAY, "released", "in custody", ""),
    "back from furlough": (JUNE, MAY, "on furlough", "in custody", "release_date_changed"),
    "listed again": (JUNE, MAY, "no longer listed", "in custody", "release_date_changed"),
}


@pytest.mark.parametrize(("told", "known", "was", "status", "kind"), CASES.values(), ids=CASES)
def test_what_a_day_of_release_is(told: date | None, known: date | None, was: str, status: str, kind: str):
    assert compare(told, known, was=was, status=status, today=TODAY) == kind


def plan(day: date, before: date | None, *, withdrawn: bool = True) -> Plan:
    return Plan(at(day), before, withdrawn)


RESTORED = {
    "none was told": (MAY, [], MAY),
    "the only one is withdrawn": (JUNE, [plan(JUNE, MAY)], MAY),
    "a first one is withdrawn": (MAY, [plan(MAY, None)], None),
    "the last two are withdrawn": (JULY, [plan(JULY, JUNE), plan(JUNE, MAY)], MAY),
    "the last alone is withdrawn": (JULY, [plan(JULY, JUNE), plan(JUNE, MAY, withdrawn=False)], JUNE),
    "one before the last is withdrawn": (JULY, [plan(JULY, JUNE, withdrawn=False), plan(JUNE, MAY)], JULY),
    "it was taken away since": (None, [plan(JUNE, MAY)], None),
    "it was told again since": (JUNE, [plan(JUNE, MAY, withdrawn=False), plan(JUNE, MAY)], JUNE),
}


@pytest.mark.parametrize(("known", "plans", "day"), RESTORED.values(), ids=RESTORED)
def test_what_day_holds_once_some_are_withdrawn(known: date | None, plans: list[Plan], day: date | None):
    assert restored(known, plans) == day


def booked(booking: str, day: date | None, status: str = "in custody") -> CustodyRecord:
    who, where = Person("JOHN", "", "SMITH", None), Custody(status, "Jail", NOON)
    details = {"booking_number": booking, "release_date": day}
    return CustodyRecord(2, "boone", "100234", who, where, "", details)


BOOKINGS = {
    "one": ([booked("B1", MAY)], {}),
    "one, of which two rows say something": ([booked("B1", MAY), booked("B1", JUNE)], {}),
    "two": ([booked("B1", JUNE), booked("B2", MAY)], {("boone", "100234"): JUNE}),
    "two, of which one has no day": ([booked("B1", None), booked("B2", MAY)], {("boone", "100234"): None}),
    "two, of which one is over": ([booked("B1", JUNE), booked("B1", None, "released"), booked("B2", MAY)], {}),
    "rows that do not say of which": ([booked("", MAY), booked("", JUNE)], {}),
}


@pytest.mark.parametrize(("records", "days"), BOOKINGS.values(), ids=BOOKINGS)
def test_when_who_is_held_on_several_bookings_is_due(records: list[CustodyRecord], days: dict[object, object]):
    assert of_bookings(records) == days


DATED = HEADER.replace("\n", ",release_date\n")


def due(day: date | None, plain: str = "") -> str:
    return (plain or row()).replace("\n", f",{day or ''}\n")


@pytest.fixture
def says(imports: Imports) -> Says:
    """Import what a feed says so many hours after noon: a day of release for the one person, or rows with one each."""

    def at_hour(hour: int, *said: date | str | None, **how: str) -> Report:
        rows = [one if isinstance(one, str) else due(one) for one in said]
        return imports(*rows, header=DATED, feed=declared(now=NOON + hour * HOUR, **how))

    return at_hour


@pytest.fixture
def in_may(says: Says, register: Register) -> int:
    """Somebody in custody, due to be released in May, and somebody registered for them."""
    says(0, MAY)
    return register()


def told(shared: Connection) -> list[tuple[str, str, str]]:
    """Of what there are notifications: kind, day, and the state of each."""
    rows = shared.execute(
        "select kind, planned_at, state from notification n join custody_event e on e.id = event_id order by n.id"
    )
    return [(kind, f"{planned_at:%b}" if planned_at else "", state) for kind, planned_at, state in rows]


def known(shared: Connection) -> date | None:
    found = custody.find(shared, "boone", "100234")
    assert found
    return found.release_date


@pytest.mark.usefixtures("in_may")
def test_another_day_is_told_and_is_no_history_of_custody(says: Says, shared: Connection):
    before = custody.find(shared, "boone", "100234")
    report = says(1, JUNE)
    assert (report.kinds, report.unchanged, report.count("changes"), report.notifications, report.people) == (
        {"release_date_changed": 1}, 0, 1, 1, 1,
    )  # fmt: skip
    assert (told(shared), known(shared)) == ([("release_date_changed", "Jun", "open")], JUNE)
    after = custody.find(shared, "boone", "100234")
    assert before
    assert after
    assert after.custody == before.custody
    assert [event.kind for event in custody.history(shared, after.id)] == ["listed"]
    called = shared.execute("select priority, next_call_at from notification").fetchone()
    assert called == (2, NOON + HOUR)  # routine, within its hours


def test_a_first_day_is_told_of_who_is_known_and_not_of_who_is_new(says: Says, register: Register, shared: Connection):
    says(0, None)
    register()
    report = says(1, MAY, due(MAY, row(number="100561")))
    assert report.kinds == {"listed": 1, "release_planned": 1}
    assert told(shared) == [("release_planned", "May", "open")]


@pytest.mark.usefixtures("in_may")
def test_a_day_that_is_taken_away_calls_nobody_and_what_waits_of_it_is_not_told(says: Says, shared: Connection):
    says(1, JUNE)
    report = says(2, None)
    assert (report.kinds, report.unchanged, report.notifications) == ({}, 1, 0)
    assert (told(shared), known(shared)) == ([("release_date_changed", "Jun", "retracted")], None)
    says(3, JUNE)
    assert told(shared)[1:] == [("release_planned", "Jun", "open")]


@pytest.mark.usefixtures("in_may")
@pytest.mark.parametrize("how", [{}, {"format": SNAPSHOT}], ids=["changes", "snapshot"])
def test_each_change_is_an_event_and_to_say_it_again_is_none(how: dict[str, str], says: Says, shared: Connection):
    for hour, day in enumerate((MAY, JUNE, JUNE, MAY, MAY, JUNE, JUNE), start=1):
        says(hour, day, **how)
    kinds = shared.execute("select kind, planned_at::date from custody_event order by id").fetchall()
    assert kinds[1:] == [("release_date_changed", day) for day in (JUNE, MAY, JUNE)]


@pytest.mark.usefixtures("in_may")
def test_only_the_latest_day_is_told_and_no_later_than_the_first_would_have_been(says: Says, shared: Connection):
    says(1, JUNE)
    says(2, JULY)
    assert told(shared) == [
        ("release_date_changed", "Jun", "superseded"),
        ("release_date_changed", "Jul", "open"),
    ]
    assert shared.execute("select next_call_at from notification where state = 'open'").fetchall() == [(NOON + HOUR,)]


NO_NEWS = {
    "a row that is older than what is known": row(at="2026-11-01 10:00", facility="Annex"),
    "the release itself": row("released", "2026-11-20 12:30"),
}


@pytest.mark.usefixtures("in_may")
@pytest.mark.parametrize("plain", NO_NEWS.values(), ids=NO_NEWS)
def test_what_says_nothing_of_a_release_to_come_tells_of_none(plain: str, says: Says, shared: Connection):
    says(1, due(JUNE, plain))
    assert [kind for kind, _, _ in told(shared)] in (["transferred"], ["released"], [])
    assert not shared.execute("select from custody_event where planned_at is not null").fetchall()


@pytest.mark.usefixtures("in_may")
def test_a_day_that_is_past_or_of_who_is_out_is_taken_over_in_silence(says: Says, shared: Connection):
    says(1, date(2026, 11, 19))
    assert (told(shared), known(shared)) == ([], date(2026, 11, 19))
    says(2, due(MAY, row("released", "2026-11-20 12:30")))
    says(3, due(JUNE, row("released", "2026-11-20 12:30")))
    assert [kind for kind, _, _ in told(shared)] == ["released"]


@pytest.mark.usefixtures("in_may")
def test_a_release_makes_what_waits_moot(says: Says, shared: Connection):
    says(1, JUNE)
    says(2, due(JUNE, row("released", "2026-11-20 13:30")))
    assert told(shared) == [("release_date_changed", "Jun", "superseded"), ("released", "", "open")]


@pytest.mark.usefixtures("in_may")
def test_who_was_let_go_and_is_back_by_one_file_has_a_first_day(says: Says):
    out, back = row("released", "2026-11-20 12:10"), row(at="2026-11-20 12:40")
    assert says(1, due(None, out), due(JUNE, back)).kinds == {"released": 1, "returned": 1, "release_planned": 1}


def test_who_was_missing_and_let_go_before_that_and_is_back_by_one_file_has_a_first_day(
    says: Says, register: Register, shared: Connection
):
    other = due(MAY, row(number="100561"))
    says(0, MAY, other, format=SNAPSHOT, feed="boone/in")
    register()
    says(1, MAY, other, format=SNAPSHOT, feed="boone/in")
    for hour in (2, 3):
        says(hour, other, due(MAY, row(number=str(hour))), format=SNAPSHOT, feed="boone/in")
    out, back = row("released", "2026-11-20 12:50"), row(at="2026-11-20 15:30")
    assert says(4, due(None, out), due(JUNE, back)).kinds == {"released": 1, "returned": 1, "release_planned": 1}
    assert [one for one in told(shared) if one[1]] == [("release_planned", "Jun", "open")]


def words(shared: Connection, english: Catalogue, tmp_path: Path) -> list[str]:
    """What a call says that is made at half past three."""
    now = NOON + 3.5 * HOUR
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=now)
    here = OneConnection(shared)
    service = Service(here, KEYS, SETTINGS, {"en": english}, Silence(), lambda: now, Journal(tmp_path), frozenset)
    return [one.words for one in utterances(service, notifications.waiting(shared, attempt, now=now), english)]


@pytest.mark.usefixtures("in_may")
def test_a_move_with_another_day_tells_both_and_of_days_only_the_one_that_holds(
    says: Says, shared: Connection, english: Catalogue, tmp_path: Path
):
    says(1, JUNE)
    moved = row(at="2026-11-20 14:00", facility="Boone County Annex")
    report = says(2, due(JULY, moved))
    assert report.kinds == {"release_date_changed": 1, "transferred": 1}
    assert (report.touched, report.unchanged) == (1, 0)
    assert words(shared, english, tmp_path) == [
        (
            "John Smith was moved to the Boone County Annex on Friday, November twentieth, at two o'clock in the"
            " afternoon."
        ),
        (
            "The release date of John Smith has changed. This person is now due to be released from the Boone County"
            " Annex on Thursday, July first, twenty twenty-seven. That day can change again."
        ),
    ]


@pytest.mark.usefixtures("in_may")
def test_the_tables_say_the_day(says: Says):
    report = says(1, JUNE)
    assert "release_date_changed Boone County Jail Tue Jun 01 2027 1" in " ".join(
        tables.whole(report, SETTINGS.service.zone).split()
    )


def test_who_is_held_on_two_bookings_is_due_when_the_last_is_over_and_is_not_told_so_again_and_again(
    imports: Imports, register: Register, shared: Connection
):
    def snapshot(hour: int, first: date, second: date) -> Report:
        rows = [
            row().replace("\n", f",B1,{first}\n"),
            row(at="2026-11-18 10:00").replace("\n", f",B2,{second}\n"),
        ]
        header = HEADER.replace("\n", ",booking_number,release_date\n")
        return imports(*rows, header=header, feed=declared(format=SNAPSHOT, now=NOON + hour * HOUR))

    snapshot(0, JUNE, MAY)
    register()
    snapshot(1, JUNE, MAY)
    assert (snapshot(2, JUNE, MAY).kinds, known(shared)) == ({}, JUNE)
    assert snapshot(3, JUNE, JULY).kinds == {"release_date_changed": 1}
    assert snapshot(4, JUNE, JULY).kinds == {}
    assert told(shared) == [("release_date_changed", "Jul", "open")]


def test_a_niem_message_with_another_day_tells_it_too(db: ConnectionPool, tmp_path: Path, register: Register):
    booking = (SAMPLES / "niem.xml").read_text().partition("</x:BookingReport>")[0] + "</x:BookingReport></batch>"
    path = tmp_path / "niem.xml"
    path.write_text(booking)
    run(db, path, declared(**NIEM), settings=SETTINGS)
    register()
    path.write_text(booking.replace("2027-02-01T08:00", "2027-03-01T08:00"))
    report = run(db, path, declared(**NIEM), settings=SETTINGS)
    assert (report.kinds, report.notifications) == ({"release_date_changed": 1}, 1)


MANY = 60  # more than the guard's few, and a large share


@pytest.fixture
def prison(says: Says, register: Register) -> None:
    """Many who are due in May, and somebody registered for the first of them."""
    says(0, *(due(MAY, row(number=f"N{number}")) for number in range(MANY)))
    register("N0")


def shifted(says: Says, hour: int, **how: str) -> Report:
    """All days are others, and one of them all is moved."""
    moved = row(number="N1", at="2026-11-20 12:30", facility="Boone County Annex")
    rows = [row(number=f"N{number}") if number != 1 else moved for number in range(MANY)]
    return says(hour, *(due(JUNE, one) for one in rows), **how)


def days(shared: Connection) -> dict[str, int]:
    rows = shared.execute("select to_char(release_date, 'Mon'), count(*) from offender group by 1")
    return dict(rows.fetchall())


HOW = {"settings": WITH_FEEDS, "who": "clerk", "why": "so"}


@pytest.mark.usefixtures("prison")
def test_a_file_in_which_all_days_are_shifted_is_held_and_shows_what_it_would_tell(
    db: ConnectionPool, says: Says, shared: Connection
):
    report = shifted(says, 1)
    assert report.held == ["61 changes, which is more than a share of 0.3 of the 60 in custody"]
    assert (told(shared), days(shared)) == ([], {"May": MANY})
    would = decisions.preview(db, report.run_id, settings=WITH_FEEDS, now=NOON + 2 * HOUR)
    assert (would.kinds, would.people) == ({"release_date_changed": MANY, "transferred": 1}, 1)


@pytest.mark.usefixtures("prison")
def test_days_of_release_can_be_approved_alone_and_the_rest_after_that(
    db: ConnectionPool, says: Says, shared: Connection
):
    run_id = shifted(says, 1).run_id
    done = decisions.approve(db, run_id, only=["transferred"], now=NOON + 2 * HOUR, **HOW)  # type: ignore[arg-type]
    assert (done.kinds, done.passed_over, days(shared)) == ({"transferred": 1}, MANY - 1, {"May": MANY})
    done = decisions.approve(db, run_id, only=["release_date_changed"], now=NOON + 3 * HOUR, **HOW)  # type: ignore[arg-type]
    assert (done.kinds, done.passed_over, done.people) == ({"release_date_changed": MANY}, 0, 1)
    assert (days(shared), told(shared)) == ({"Jun": MANY}, [("release_date_changed", "Jun", "open")])
    assert shared.execute("select outcome from feed_run where id = %s", [run_id]).fetchone() == ("applied",)


@pytest.mark.usefixtures("prison")
@pytest.mark.parametrize("how", [{}, {"format": SNAPSHOT}], ids=["changes", "snapshot"])
def test_days_that_were_rejected_are_no_news_in_a_later_file_until_they_are_approved_after_all(
    how: dict[str, str], db: ConnectionPool, says: Says, shared: Connection
):
    run_id = shifted(says, 1, **how).run_id
    decisions.reject(db, run_id, now=NOON + 2 * HOUR, **HOW)  # type: ignore[arg-type]
    for hour in (3, 4):  # a row that was looked at is looked at again
        report = shifted(says, hour, **how)
        assert (report.held, report.kinds, report.again) == ([], {}, {"rejected": MANY})
        assert (told(shared), days(shared)) == ([], {"May": MANY})
    done = decisions.approve(db, run_id, now=NOON + 5 * HOUR, **HOW)  # type: ignore[arg-type]
    assert done.kinds == {"transferred": 1, "release_date_changed": 1}  # of the others, newer files have told since
    report = shifted(says, 6, **how)
    assert (report.again, len(report.held)) == ({}, 1)
    decisions.approve(db, report.run_id, now=NOON + 7 * HOUR, **HOW)  # type: ignore[arg-type]
    assert days(shared) == {"Jun": MANY}


@pytest.mark.usefixtures("prison")
def test_a_held_file_changes_no_day_that_a_newer_one_has_told_since(db: ConnectionPool, says: Says, shared: Connection):
    run_id = shifted(says, 1).run_id
    says(2, due(JULY, row(number="N0")))
    decisions.approve(db, run_id, now=NOON + 3 * HOUR, **HOW)  # type: ignore[arg-type]
    assert days(shared) == {"Jun": MANY - 1, "Jul": 1}
    assert told(shared) == [("release_date_changed", "Jul", "open")]


def call(shared: Connection, hour: int) -> None:
    """Make every call that is due; each is answered."""
    now = NOON + hour * HOUR
    for attempt_id in attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=now):
        assert attempts.begin(shared, KEYS, attempt_id, end_within=HOUR, now=now)
        assert attempts.answered(shared, attempt_id, now=now)
        attempts.end(shared, attempt_id, "not confirmed", "", now=now)


@pytest.fixture
def withdraw(db: ConnectionPool) -> Callable[..., retractions.Extent]:
    def at_hour(hour: int, *events: int) -> retractions.Extent:
        return retract(
            db, list(events), "it", settings=SETTINGS, who="clerk", why="a test file", now=NOON + hour * HOUR
        )

    return at_hour


Withdraw = Callable[..., retractions.Extent]


@pytest.mark.usefixtures("in_may")
@pytest.mark.parametrize("how", [{}, {"format": SNAPSHOT}], ids=["changes", "snapshot"])
def test_a_day_that_is_withdrawn_was_never_told_and_is_no_news_until_the_agency_has_said_another(
    how: dict[str, str], says: Says, shared: Connection, withdraw: Withdraw
):
    says(1, MAY, **how)
    report = says(2, JUNE, **how)
    call(shared, 2)
    assert withdraw(3, *retractions.of_run(shared, report.run_id)).people == 1
    assert (told(shared)[1:], known(shared)) == ([("corrected", "", "open")], MAY)
    for hour in (4, 5):
        report = says(hour, JUNE, **how)
        assert (report.kinds, report.again, report.unchanged, known(shared)) == ({}, {"withdrawn": 1}, 0, MAY)
    assert says(6, MAY, **how).unchanged == 1
    assert says(7, JUNE, **how).kinds == {"release_date_changed": 1}
    assert known(shared) == JUNE


@pytest.mark.usefixtures("in_may")
def test_the_day_before_is_told_after_all_where_the_one_that_had_replaced_it_is_withdrawn(
    says: Says, shared: Connection, withdraw: Withdraw
):
    says(1, JUNE)
    report = says(2, JULY)
    withdraw(3, *retractions.of_run(shared, report.run_id))
    assert (told(shared), known(shared)) == (
        [("release_date_changed", "Jun", "open"), ("release_date_changed", "Jul", "retracted")],
        JUNE,
    )


@pytest.mark.usefixtures("in_may")
def test_a_day_that_does_not_hold_any_more_is_not_told_after_all(says: Says, shared: Connection, withdraw: Withdraw):
    says(1, JUNE)
    moved = row(at="2026-11-20 13:30", facility="Boone County Annex")
    (event,) = [line for line in says(2, due(JUNE, moved)).lines if line.change.kind == "transferred"]
    assert event
    says(3, due(JULY, moved))
    (moving,) = shared.execute("select id from custody_event where kind = 'transferred'").fetchone() or (0,)
    withdraw(4, moving)
    assert [one for one in told(shared) if one[2] == "open"] == [("release_date_changed", "Jul", "open")]


def test_a_day_stands_for_itself_wherever_in_america_it_is_looked_at():
    assert at(MAY) == datetime(2027, 5, 1, 12, tzinfo=UTC)
