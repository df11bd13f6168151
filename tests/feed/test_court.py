"""Court calendars, from the rule to the call: what is news for whom."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from agi.notify import utterances
from agi.service import Service
from db import attempts, court_events, custody, notifications, retractions
from db.court_events import CourtEvent
from db.custody import Custody, Details, Offender, Person
from db.journal import Journal
from feed.court import after, compare, is_older, is_theirs
from feed.records import CourtRecord
from feed.report import Report
from feed.retraction import retract
from feed.run import run
from prompts.catalogue import Catalogue
from tests.conftest import KEYS, NOON, SETTINGS, TRUNKS
from tests.feed.conftest import CALENDAR, declared
from tests.feed.test_retraction import HOUR, call
from tests.flow.conftest import Silence
from tests.flow.telephone import OneConnection

DAY = timedelta(days=1)
SOON, LATER, PAST = NOON + timedelta(days=14), NOON + timedelta(days=21), NOON - timedelta(days=7)


def told(says: Any = "scheduled", at: datetime | None = SOON, place: str = "Division 3") -> CourtRecord:
    return CourtRecord(1, "boone", "E1", says, "26BA-CR1", "", None, None if says == "deleted" else at, place)


def known(state: Any = "scheduled", at: datetime = SOON, place: str = "Division 3") -> CourtEvent:
    return CourtEvent("E1", "26BA-CR1", at, place, state)


CASES = {
    "a new date": (told(), None, "court_scheduled"),
    "the same date again": (told(), known(), ""),
    "another time": (told(at=LATER), known(), "court_moved"),
    "another place": (told(place="Division 1"), known(), "court_moved"),
    "another time that is past already": (told(at=PAST), known(), "court_moved"),
    "a past date that is held again": (told(at=LATER), known(at=PAST), "court_moved"),
    "another time of what is past": (told(at=PAST - timedelta(hours=1)), known(at=PAST), ""),
    "a new date that is past": (told(at=PAST), None, ""),
    "called off": (told("cancelled"), known(), "court_cancelled"),
    "called off, with another time": (told("cancelled", at=LATER), known(), "court_cancelled"),
    "called off again": (told("cancelled"), known("cancelled"), ""),
    "called off, and nobody had heard of it": (told("cancelled"), None, ""),
    "called off when it was past": (told("cancelled", at=PAST), known(at=PAST), ""),
    "taken out": (told("deleted"), known(), "court_cancelled"),
    "taken out after it was called off": (told("deleted"), known("cancelled"), ""),
    "taken out, and nobody had heard of it": (told("deleted"), None, ""),
    "taken out when it was past": (told("deleted"), known(at=PAST), ""),
    "set again after it was called off": (told(), known("cancelled"), "court_scheduled"),
    "set again after it was taken out": (told(), known("deleted"), "court_scheduled"),
}


@pytest.mark.parametrize(("record", "before", "kind"), CASES.values(), ids=CASES)
def test_what_a_record_is_for_somebody_who_knows_so_much(record: CourtRecord, before: CourtEvent | None, kind: str):
    assert compare(record, before, NOON) == kind


@pytest.mark.parametrize(("record", "before"), [case[:2] for case in CASES.values()], ids=CASES)
def test_the_same_record_again_is_no_news(record: CourtRecord, before: CourtEvent | None):
    assert compare(record, after(record, before), NOON) == ""


@pytest.mark.parametrize(
    ("said", "known_since", "older"),
    [(NOON, None, False), (None, NOON, False), (NOON, NOON, False), (NOON, LATER, True), (LATER, NOON, False)],
)
def test_a_record_is_older_where_both_say_when_and_it_was_before(
    said: datetime | None,
    known_since: datetime | None,
    older: bool,  # noqa: FBT001
):
    assert is_older(replace(told(), changed_at=said), replace(known(), changed_at=known_since)) is older


def person(first: str = "JOHN", last: str = "SMITH", born: date | None = date(1990, 7, 31)) -> Person:
    return Person(first, "", last, born)


JOHN = person()


def offender(who: Person, *aliases: str) -> Offender:
    first, last, born = who.first_name, who.last_name, who.birth_date
    held = ("released", "Boone County Jail", NOON, NOON)
    return Offender(1, "boone", "1", first, "", last, born, *held, "", list(aliases), [], None, None, "")


ALIKE = {
    "the same": (person(), offender(person()), True),
    "another spelling of the first name": (person("JON"), offender(person()), True),
    "another day of birth": (person(born=date(1991, 7, 31)), offender(person()), False),
    "another last name": (person(last="DOE"), offender(person()), False),
    "the name of an alias": (person(last="DOE"), offender(person(), "DOE, JIM"), True),
    "no day of birth in the calendar": (person(born=None), offender(person()), True),
    "no day of birth in the jail": (person(), offender(person(born=None)), True),
    "a brother, without a day of birth": (person("JACK", born=None), offender(person()), False),
    "one of two last names": (person(last="GARCIA"), offender(person(last="GARCIA LOPEZ")), True),
}


@pytest.mark.parametrize(("party", "who", "alike"), ALIKE.values(), ids=ALIKE)
def test_whose_a_case_can_be(party: Person, who: Offender, alike: bool):  # noqa: FBT001
    assert is_theirs(party, who) is alike


HEADER = (
    "Case\tcase_number\tlast_name\tfirst_name\tdate_of_birth\toffender_number\n"
    "CourtEvent\tcase_number\tevent_id\tstarts_at\tplace\tstatus\n"
    "CalendarDelete\tevent_id\n"
)
CASE = "Case\t26BA-CR1\tSMITH\tJOHN\t1990-07-31\t\n"
SET = "CourtEvent\t26BA-CR1\tE1\t2026-12-04 09:30\tDivision 3\tscheduled\n"
MOVED = SET.replace("12-04", "12-11")
OFF = SET.replace("scheduled", "cancelled")
OUT = "CalendarDelete\tE1\n"

Holds = Callable[..., int]
Imports = Callable[..., Report]


@pytest.fixture
def holds(shared: Connection) -> Holds:
    """A jail holds somebody whose case number it knows."""

    def add(number: str = "100234", who: Person = JOHN, cases: tuple[str, ...] = ("26BA-CR1",)) -> int:
        at = Custody("in custody", "Cole County Jail", NOON - timedelta(days=30))
        return custody.add(shared, "cole", number, who, at, Details(case_numbers=cases), now=NOON).id

    return add


@pytest.fixture
def imports(db: ConnectionPool, tmp_path: Path) -> Imports:
    def write_and_run(*lines: str, now: datetime = NOON, header: str = HEADER) -> Report:
        path = tmp_path / "calendar.tsv"
        path.write_text(header + "".join(lines), encoding="utf-8")
        return run(db, path, replace(declared(**CALENDAR), now=now), settings=SETTINGS)

    return write_and_run


@pytest.fixture
def wants_court(register: Callable[..., int], shared: Connection) -> Callable[..., int]:
    def add(number: str = "100234", telephone: str = "5735550142", pin: str = "2580") -> int:
        registration = register(number, telephone, pin=pin)
        shared.execute("update registration set court = true where id = %s", [registration])
        return registration

    return add


def told_of(shared: Connection) -> list[tuple[str, str, str]]:
    rows = shared.execute(
        """select kind, planned_at, place from notification n join custody_event e on e.id = event_id order by n.id"""
    )
    return [(kind, at.astimezone(UTC).strftime("%m-%d %H:%M"), place) for kind, at, place in rows]


def test_a_court_date_is_told_to_whoever_is_registered_for_the_person(
    holds: Holds, wants_court: Callable[..., int], imports: Imports, shared: Connection
):
    holds()
    wants_court()
    report = imports(CASE, SET)
    (line,) = report.lines
    assert (line.record.agency, line.record.number, line.change.kind, line.notifications) == (
        "cole", "100234", "court_scheduled", 1,
    )  # fmt: skip
    assert told_of(shared) == [("court_scheduled", "12-04 15:30", "Division 3")]
    assert shared.execute("select rows, events, notifications from feed_run").fetchall() == [(2, 1, 1)]


def test_each_change_is_told_once(holds: Holds, wants_court: Callable[..., int], imports: Imports, shared: Connection):
    holds()
    wants_court()
    for lines in ([CASE, SET], [CASE, SET], [CASE, MOVED], [CASE, MOVED], [OUT], [OUT], [CASE, SET], [CASE, OFF]):
        imports(*lines)
    assert told_of(shared) == [
        ("court_scheduled", "12-04 15:30", "Division 3"),
        ("court_moved", "12-11 15:30", "Division 3"),
        ("court_cancelled", "12-11 15:30", "Division 3"),
        ("court_scheduled", "12-04 15:30", "Division 3"),
        ("court_cancelled", "12-04 15:30", "Division 3"),
    ]
    assert shared.execute("select state from court_event").fetchall() == [("cancelled",)]


TIMED = HEADER.replace("status\n", "status\tchanged_at\n").replace("Delete\tevent_id", "Delete\tevent_id\tchanged_at")


def timed(line: str, hour: int) -> str:
    return line.replace("\n", f"\t2026-11-20 {hour:02}:00\n")


def test_an_older_calendar_after_a_newer_one_changes_nothing(
    holds: Holds, wants_court: Callable[..., int], imports: Imports, shared: Connection
):
    holds()
    wants_court()
    newer = [CASE, timed(MOVED, 9)]
    for lines in ([CASE, timed(SET, 8)], newer, [CASE, timed(SET, 8)], [timed(OUT, 7)], newer):
        imports(*lines, header=TIMED)
    assert [kind for kind, _, _ in told_of(shared)] == ["court_scheduled", "court_moved"]
    assert shared.execute("select state from court_event").fetchall() == [("scheduled",)]


def test_a_date_that_was_taken_out_before_it_was_heard_of_is_not_set_by_an_older_calendar_but_by_a_newer(
    holds: Holds, wants_court: Callable[..., int], imports: Imports, shared: Connection
):
    holds()
    wants_court()
    for lines in ([timed(OUT, 9)], [CASE, timed(SET, 8)]):
        imports(*lines, header=TIMED)
    assert (told_of(shared), shared.execute("select state from court_event").fetchall()) == ([], [("deleted",)])
    assert imports(CASE, timed(SET, 10), header=TIMED).kinds == {"court_scheduled": 1}


def test_what_became_of_a_date_within_one_file_is_told_in_the_order_of_its_times(
    holds: Holds, wants_court: Callable[..., int], imports: Imports, shared: Connection
):
    holds()
    wants_court()
    imports(CASE, timed(OUT, 11), timed(MOVED, 10), timed(SET, 9), header=TIMED)
    assert [kind for kind, _, _ in told_of(shared)] == ["court_scheduled", "court_moved", "court_cancelled"]
    assert shared.execute("select state from court_event").fetchall() == [("deleted",)]


def test_a_court_date_does_not_change_what_is_known_of_custody(holds: Holds, imports: Imports, shared: Connection):
    offender_id = holds()
    before = custody.get(shared, offender_id)
    imports(CASE, SET)
    after = custody.get(shared, offender_id)
    assert (after.custody, after.person, after.known_at) == (before.custody, before.person, before.known_at)
    assert custody.history(shared, offender_id) == []


def test_callers_hear_of_the_date_that_comes_next(holds: Holds, imports: Imports, shared: Connection):
    holds()
    second = SET.replace("E1", "E2").replace("2026-12-04", "2027-01-15").replace("Division 3", "Annex")

    imports(CASE, SET, second)
    assert spoken(shared) == DIVISION
    imports(CASE, OFF)
    assert spoken(shared) == ("01-15", "Annex")
    imports(CASE, second.replace("scheduled", "cancelled"))
    assert spoken(shared) == NONE


def test_callers_hear_of_the_next_date_once_one_has_passed_without_another_import(
    holds: Holds, imports: Imports, shared: Connection
):
    holds()
    imports(CASE, SET, SET.replace("E1", "E2").replace("12-04", "12-11"))
    assert [spoken(shared, now=NOON + days * DAY) for days in (13, 14, 21)] == [DIVISION, ("12-11", "Division 3"), NONE]


def test_callers_hear_of_a_jails_date_where_the_calendar_has_none_to_come_and_never_had_one_at_that_time(
    holds: Holds, imports: Imports, shared: Connection
):
    holds()
    shared.execute("update offender set court_at = %s, court_place = 'Annex'", [LATER])
    assert spoken(shared) == ("12-11", "Annex")
    imports(CASE, SET)
    assert spoken(shared) == DIVISION
    imports(CASE, OFF)
    assert spoken(shared) == ("12-11", "Annex")
    imports(CASE, SET.replace("12-04 09:30", "12-11 12:00"))
    assert spoken(shared) == ("12-11", "Division 3")
    imports(OUT)
    assert spoken(shared) == NONE


def test_a_jails_file_that_knows_of_no_date_takes_none_of_a_calendar_away(
    imports: Imports, db: ConnectionPool, tmp_path: Path, shared: Connection
):
    path = tmp_path / "jail.csv"
    columns = "offender_number,last_name,first_name,date_of_birth,facility,status,changed_at,case_numbers,court_at"
    row = "\n100234,SMITH,JOHN,1990-07-31,Boone County Jail,{},{},26BA-CR1,\n"
    path.write_text(columns + row.format("in custody", "2026-11-03 14:05"), encoding="utf-8")
    run(db, path, declared(), settings=SETTINGS)
    imports(CASE, SET)
    path.write_text(columns + row.format("released", "2026-11-20 09:40"), encoding="utf-8")
    assert run(db, path, declared(), settings=SETTINGS).kinds == {"released": 1}
    assert spoken(shared) == DIVISION


def test_who_comes_to_a_jail_later_is_told_of_the_date_that_was_known_already(
    holds: Holds, wants_court: Callable[..., int], imports: Imports
):
    report = imports(CASE, SET)
    assert (report.lines, report.unchanged, report.strangers) == ([], 1, 1)
    holds()
    wants_court()
    assert imports(CASE, SET).kinds == {"court_scheduled": 1}
    assert imports(CASE, SET).kinds == {}


def test_of_two_with_one_case_number_each_is_told_of_their_own(holds: Holds, imports: Imports):
    holds()
    holds("100561", person("JACK", born=date(1985, 1, 2)))
    (line,) = imports(CASE, SET).lines
    assert line.record.number == "100234"


def test_one_person_in_two_jails_is_told_of_in_both(holds: Holds, imports: Imports):
    holds()
    holds("200234")
    assert {line.record.number for line in imports(CASE, SET).lines} == {"100234", "200234"}


def test_the_courts_own_number_of_a_person_finds_them_too(imports: Imports, shared: Connection):
    at = Custody("in custody", "Boone County Jail", NOON)
    custody.add(shared, "boone", "77", person(), at, now=NOON)
    assert imports(CASE.replace("31\t", "31\t77"), SET).kinds == {"court_scheduled": 1}


def test_a_number_that_is_another_persons_finds_nobody(imports: Imports, shared: Connection):
    at = Custody("in custody", "Boone County Jail", NOON)
    custody.add(shared, "boone", "77", person(last="DOE"), at, now=NOON)
    assert imports(CASE.replace("31\t", "31\t77"), SET).strangers == 1


def test_what_is_past_is_kept_and_not_told(holds: Holds, imports: Imports, shared: Connection):
    holds()
    report = imports(CASE, SET, now=datetime(2027, 1, 1, tzinfo=UTC))
    assert (report.kinds, report.strangers) == ({}, 0)
    assert shared.execute("select state from court_event").fetchall() == [("scheduled",)]


def test_a_custody_file_after_a_court_date_is_compared_with_custody_alone(
    imports: Imports, db: ConnectionPool, tmp_path: Path
):
    path = tmp_path / "jail.csv"
    columns = "offender_number,last_name,first_name,date_of_birth,facility,status,changed_at,case_numbers"
    row = "\n100234,SMITH,JOHN,1990-07-31,Boone County Jail,{},{},26BA-CR1\n"
    path.write_text(columns + row.format("in custody", "2026-11-03 14:05"), encoding="utf-8")
    run(db, path, declared(), settings=SETTINGS)
    assert imports(CASE, SET).kinds == {"court_scheduled": 1}
    assert run(db, path, declared(), settings=SETTINGS).kinds == {}
    path.write_text(columns + row.format("released", "2026-11-20 09:40"), encoding="utf-8")
    (line,) = run(db, path, declared(), settings=SETTINGS).lines
    assert (line.change.kind, line.change.late) == ("released", False)


Withdraw = Callable[[int], None]


@pytest.fixture
def withdraw(db: ConnectionPool, shared: Connection) -> Withdraw:
    def run_of(run_id: int) -> None:
        events = retractions.of_run(shared, run_id)
        assert events or court_events.said_by(shared, run_id)
        how = {"settings": SETTINGS, "who": "clerk", "why": "another county's", "now": NOON}
        retract(db, events, "it", run_id=run_id, **how)
        assert (retractions.of_run(shared, run_id), court_events.said_by(shared, run_id)) == ([], 0)

    return run_of


def spoken(shared: Connection, number: str = "100234", now: datetime = NOON) -> tuple[str, str]:
    """The court date that callers hear of somebody."""
    (offender_id,) = shared.execute("select id from offender where number = %s", [number]).fetchone() or (0,)
    found = court_events.next_of(shared, offender_id, now=now)
    return (f"{found.at.astimezone(UTC):%m-%d}", found.place) if found else NONE


DIVISION = ("12-04", "Division 3")
NONE = ("", "")
WAS = {"moved": MOVED, "called off": OFF, "taken out": OUT}


@pytest.mark.parametrize("false", WAS.values(), ids=WAS)
def test_a_calendar_that_is_withdrawn_leaves_the_dates_as_they_were_and_is_no_news_until_the_court_says_something_else(
    false: str, holds: Holds, wants_court: Callable[..., int], imports: Imports, withdraw: Withdraw, shared: Connection
):
    holds()
    wants_court()
    imports(CASE, SET)
    withdraw(imports(CASE, false).run_id)
    assert spoken(shared) == DIVISION
    assert shared.execute("select state, place from court_event").fetchall() == [("scheduled", "Division 3")]
    assert imports(CASE, false).kinds == {}
    assert spoken(shared) == DIVISION
    assert imports(CASE, SET).kinds == {}
    assert len(imports(CASE, false).lines) == 1


def test_a_date_that_only_a_withdrawn_calendar_has_set_is_not_heard_and_at_another_time_it_is_news(
    holds: Holds, wants_court: Callable[..., int], imports: Imports, withdraw: Withdraw, shared: Connection
):
    holds()
    wants_court()
    withdraw(imports(CASE, SET).run_id)
    assert spoken(shared) == NONE
    assert shared.execute("select state from court_event").fetchall() == [("withdrawn",)]
    assert (imports(CASE, SET).kinds, spoken(shared)) == ({}, NONE)
    assert imports(CASE, OFF).kinds == {}
    assert imports(CASE, MOVED).kinds == {"court_scheduled": 1}
    assert spoken(shared) == ("12-11", "Division 3")


def test_what_a_later_calendar_said_stays_where_an_earlier_one_is_withdrawn(
    holds: Holds, wants_court: Callable[..., int], imports: Imports, withdraw: Withdraw, shared: Connection
):
    holds()
    wants_court()
    first, second = imports(CASE, SET), imports(CASE, MOVED)
    withdraw(first.run_id)
    assert spoken(shared) == ("12-11", "Division 3")
    withdraw(second.run_id)
    assert spoken(shared) == NONE


def test_a_date_that_a_jails_file_had_given_is_heard_again(
    holds: Holds, imports: Imports, withdraw: Withdraw, shared: Connection
):
    holds()
    shared.execute("update offender set court_at = %s, court_place = 'Annex'", [LATER])
    first = imports(CASE, SET)
    assert spoken(shared) == DIVISION
    withdraw(first.run_id)
    assert spoken(shared) == ("12-11", "Annex")


def test_a_date_that_a_jails_file_has_given_since_stays(
    holds: Holds, imports: Imports, withdraw: Withdraw, shared: Connection
):
    holds()
    first = imports(CASE, SET)
    shared.execute("update offender set court_at = %s, court_place = 'Annex'", [LATER])
    withdraw(first.run_id)
    assert spoken(shared) == ("12-11", "Annex")


def test_whose_a_date_became_by_a_withdrawn_calendar_is_told_only_when_it_changes_and_others_at_once(
    holds: Holds, imports: Imports, withdraw: Withdraw, shared: Connection
):
    imports(CASE, SET)
    holds()
    false = imports(CASE, SET)
    assert false.kinds == {"court_scheduled": 1}
    withdraw(false.run_id)
    assert spoken(shared) == NONE
    holds("200234")
    (line,) = imports(CASE, SET).lines
    assert (line.record.number, spoken(shared), spoken(shared, "200234")) == ("200234", NONE, DIVISION)
    kinds = {line.record.number: line.change.kind for line in imports(CASE, MOVED).lines}
    assert kinds == {"100234": "court_scheduled", "200234": "court_moved"}


def test_a_date_of_nobody_whom_a_jail_has_told_us_of_is_withdrawn_too(
    holds: Holds, imports: Imports, withdraw: Withdraw
):
    withdraw(imports(CASE, SET).run_id)
    holds()
    assert imports(CASE, SET).kinds == {}


@pytest.fixture
def withdraw_event(db: ConnectionPool, shared: Connection) -> Callable[..., int]:
    """Withdraw the last such event that is not yet, as ``movans feed retract --event`` does; of how many events."""

    def one(kind: str, number: str = "100234") -> int:
        (event_id,) = shared.execute(
            """select max(e.id) from custody_event e join offender o on o.id = offender_id
               where kind = %s and number = %s and retracted_at is null""",
            [kind, number],
        ).fetchone() or (0,)
        events = retractions.of_event(shared, event_id)
        retract(db, events, "it", settings=SETTINGS, who="clerk", why="another's", now=NOON)
        assert retractions.of_event(shared, event_id) == []
        return len(events)

    return one


WithdrawEvent = Callable[..., int]


@pytest.mark.parametrize(
    ("false", "kind"), [(MOVED, "court_moved"), (OFF, "court_cancelled"), (OUT, "court_cancelled")]
)
def test_one_event_that_is_withdrawn_leaves_its_date_as_it_was_for_all_and_the_other_dates_of_its_run_as_they_are(
    false: str, kind: str, holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    holds("200234")
    imports(CASE, SET)
    imports(CASE, false, SET.replace("E1", "E2").replace("12-04", "12-02"))
    assert withdraw_event(kind) == 2
    states = shared.execute("select source_key, state, planned_at::date::text from court_event order by 1").fetchall()
    assert states == [("E1", "scheduled", "2026-12-04"), ("E2", "scheduled", "2026-12-02")]
    assert withdraw_event("court_scheduled") == 1
    assert (spoken(shared), spoken(shared, "200234")) == (DIVISION, ("12-02", "Division 3"))
    assert imports(CASE, false).kinds == {}
    assert spoken(shared) == DIVISION


AGAIN = {"without times": ([CASE, SET], [CASE, SET], HEADER), "at a later time": (
    [CASE, timed(SET, 8)], [CASE, timed(SET, 9)], TIMED,
)}  # fmt: skip


@pytest.mark.parametrize(("first", "again", "header"), AGAIN.values(), ids=AGAIN)
@pytest.mark.parametrize("whole_run", [False, True])
def test_what_a_later_calendar_only_said_again_is_withdrawn_with_it(
    *,
    first: list[str],
    again: list[str],
    header: str,
    whole_run: bool,
    holds: Holds,
    imports: Imports,
    withdraw: Withdraw,
    withdraw_event: WithdrawEvent,
    shared: Connection,
):
    holds()
    run_id = imports(*first, header=header).run_id
    second = imports(*again, header=header)
    assert second.kinds == {}
    if whole_run:
        withdraw(run_id)
    else:
        assert withdraw_event("court_scheduled") == 1
    assert spoken(shared) == NONE
    assert shared.execute("select state from court_event").fetchall() == [("withdrawn",)]
    for lines in (again, first, again):
        assert (imports(*lines, header=header).kinds, spoken(shared)) == ({}, NONE)
    assert (retractions.of_run(shared, second.run_id), court_events.said_by(shared, second.run_id)) == ([], 0)
    assert imports(CASE, timed(SET, 11), header=TIMED).kinds == {"court_scheduled": 1}
    assert spoken(shared) == DIVISION


ELSE = {"another time": (MOVED, ("12-11", "Division 3")), "another place": (
    SET.replace("Division 3", "Annex"), ("12-04", "Annex"),
)}  # fmt: skip


@pytest.mark.parametrize(("other", "holds_then"), ELSE.values(), ids=ELSE)
def test_what_a_later_calendar_said_otherwise_stands_where_it_is_withdrawn_that_the_date_was_set(
    other: str,
    holds_then: tuple[str, str],
    holds: Holds,
    imports: Imports,
    withdraw_event: WithdrawEvent,
    shared: Connection,
):
    holds()
    for line, hour in ((SET, 8), (SET, 9), (other, 10), (other, 11)):
        imports(CASE, timed(line, hour), header=TIMED)
    withdraw_event("court_scheduled")
    assert spoken(shared) == holds_then
    withdraw_event("court_moved")
    assert (spoken(shared), shared.execute("select state from court_event").fetchall()) == (NONE, [("withdrawn",)])


def test_a_move_that_was_said_again_and_is_withdrawn_leaves_the_date_as_it_was_before_it(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    for line, hour in ((SET, 8), (MOVED, 9), (MOVED, 10)):
        imports(CASE, timed(line, hour), header=TIMED)
    withdraw_event("court_moved")
    assert spoken(shared) == DIVISION
    assert imports(CASE, timed(MOVED, 10), header=TIMED).kinds == {}
    withdraw_event("court_scheduled")
    assert spoken(shared) == NONE


def test_a_date_that_was_said_again_after_a_withdrawn_move_is_withdrawn_with_what_had_set_it(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    for lines in ([CASE, SET], [CASE, MOVED]):
        imports(*lines)
    withdraw_event("court_moved")
    assert imports(CASE, SET).kinds == {}
    withdraw_event("court_scheduled")
    assert spoken(shared) == NONE


def test_a_date_that_was_told_once_more_after_it_was_off_stands_where_the_first_telling_is_withdrawn(
    holds: Holds, imports: Imports, withdraw: Withdraw, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    first = imports(CASE, SET)
    for lines in ([OUT], [CASE, SET]):
        imports(*lines)
    withdraw(first.run_id)
    assert spoken(shared) == DIVISION
    withdraw_event("court_scheduled")
    assert spoken(shared) == NONE


def test_a_date_that_was_moved_back_is_told_anew_and_stands_where_both_before_it_are_withdrawn(
    holds: Holds, imports: Imports, withdraw: Withdraw, shared: Connection
):
    holds()
    runs = [imports(*lines).run_id for lines in ([CASE, SET], [CASE, MOVED], [CASE, SET])]
    withdraw(runs[1])
    withdraw(runs[0])
    assert spoken(shared) == DIVISION
    withdraw(runs[2])
    assert spoken(shared) == NONE


def test_a_date_that_a_later_calendar_told_of_somebody_else_stays_theirs_alone(
    holds: Holds, imports: Imports, withdraw: Withdraw, shared: Connection
):
    holds()
    first = imports(CASE, SET)
    holds("200234")
    assert imports(CASE, SET).kinds == {"court_scheduled": 1}
    withdraw(first.run_id)
    assert (spoken(shared), spoken(shared, "200234")) == (NONE, DIVISION)
    assert imports(CASE, SET).kinds == {}
    assert (spoken(shared), spoken(shared, "200234")) == (NONE, DIVISION)


def test_a_date_that_was_told_of_the_wrong_person_and_said_again_stays_that_of_others(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    holds("200234")
    for hour in (8, 9):
        imports(CASE, timed(SET, hour), header=TIMED)
    assert withdraw_event("court_scheduled") == 1
    assert (spoken(shared), spoken(shared, "200234")) == (NONE, DIVISION)
    assert (imports(CASE, timed(SET, 10), header=TIMED).kinds, spoken(shared)) == ({}, NONE)


def test_a_date_that_was_told_of_the_wrong_person_stays_that_of_others(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    holds("200234")
    imports(CASE, SET)
    assert withdraw_event("court_scheduled") == 1
    assert (spoken(shared), spoken(shared, "200234")) == (NONE, DIVISION)
    assert (imports(CASE, SET).kinds, spoken(shared)) == ({}, NONE)
    assert withdraw_event("court_scheduled", "200234") == 1
    assert shared.execute("select state from court_event").fetchall() == [("withdrawn",)]
    assert (imports(CASE, SET).kinds, spoken(shared, "200234")) == ({}, NONE)


def test_a_date_that_was_told_of_the_wrong_person_and_moved_since_is_not_theirs_and_the_move_was_not_told_them(
    holds: Holds,
    wants_court: Callable[..., int],
    imports: Imports,
    withdraw_event: WithdrawEvent,
    corrections: Callable[..., list[str]],
    shared: Connection,
):
    holds()
    holds("200234")
    imports(CASE, SET)
    wants_court()
    imports(CASE, MOVED)
    call(shared, "", NOON, pin=True)
    assert withdraw_event("court_scheduled") == 2
    assert (spoken(shared), spoken(shared, "200234")) == (NONE, ("12-11", "Division 3"))
    assert corrections() == [f"{WRONG} Now we know of no court date for this person."]
    assert (imports(CASE, MOVED).kinds, spoken(shared)) == ({}, NONE)
    kinds = {line.record.number: line.change.kind for line in imports(CASE, SET).lines}
    assert kinds == {"100234": "court_scheduled", "200234": "court_moved"}


def test_what_one_file_said_of_a_date_in_turn_stays_of_others_where_it_was_told_of_the_wrong_person(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    holds("200234")
    imports(CASE, timed(SET, 9), timed(MOVED, 10), header=TIMED)
    assert withdraw_event("court_scheduled") == 2
    assert (spoken(shared), spoken(shared, "200234")) == (NONE, ("12-11", "Division 3"))


def test_a_date_that_was_set_again_and_told_of_the_wrong_person_is_not_theirs(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    holds("200234")
    for lines in ([CASE, SET], [OUT], [CASE, SET]):
        imports(*lines)
    withdraw_event("court_scheduled")
    assert (spoken(shared), spoken(shared, "200234")) == (NONE, DIVISION)


def test_what_one_file_said_of_a_date_in_turn_is_withdrawn_together(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    imports(CASE, timed(SET, 9), timed(MOVED, 10), header=TIMED)
    assert spoken(shared) == ("12-11", "Division 3")
    assert withdraw_event("court_scheduled") == 2
    assert spoken(shared) == NONE


def test_a_date_that_a_jails_file_had_given_is_heard_again_after_one_event_is_withdrawn(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    shared.execute("update offender set court_at = %s, court_place = 'Annex'", [LATER])
    imports(CASE, SET)
    withdraw_event("court_scheduled")
    assert spoken(shared) == ("12-11", "Annex")


@pytest.fixture
def corrections(shared: Connection, english: Catalogue, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of what a call would tell then."""

    def words(at: datetime = NOON + HOUR) -> list[str]:
        (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=at)
        service = Service(
            OneConnection(shared), KEYS, SETTINGS, {"en": english}, Silence(), lambda: at, Journal(tmp_path), frozenset
        )
        return [one.words for one in utterances(service, notifications.waiting(shared, attempt, now=at), english)]

    return words


WRONG = "What we told you before about a court date of John Smith was wrong."
CORRECTED = {
    "the date before": ([[CASE, SET], [CASE, MOVED]], "court_moved", (
        f"{WRONG} The next court date that we know of is Friday, December fourth, at nine thirty in the morning, at"
        " Division 3."
    )),
    "none": ([[CASE, SET]], "court_scheduled", f"{WRONG} Now we know of no court date for this person."),
}  # fmt: skip


@pytest.mark.parametrize(("files", "kind", "says"), CORRECTED.values(), ids=CORRECTED)
def test_who_heard_a_wrong_court_date_hears_that_it_was_wrong_and_the_one_that_is_known(
    *,
    files: list[list[str]],
    kind: str,
    says: str,
    holds: Holds,
    wants_court: Callable[..., int],
    imports: Imports,
    withdraw_event: WithdrawEvent,
    corrections: Callable[[], list[str]],
    shared: Connection,
):
    holds()
    wants_court()
    for lines in files:
        imports(*lines)
        call(shared, "", NOON, pin=True)
    withdraw_event(kind)
    assert corrections() == [says]


def test_a_correction_of_one_court_date_leaves_the_news_of_another_to_be_told(
    holds: Holds,
    wants_court: Callable[..., int],
    imports: Imports,
    corrections: Callable[[], list[str]],
    shared: Connection,
    db: ConnectionPool,
):
    holds()
    wants_court()
    other = SET.replace("E1", "E2").replace("12-04", "12-18")
    imports(CASE, SET, other)
    call(shared, "", NOON, pin=True)
    imports(CASE, SET, other.replace("scheduled", "cancelled"))
    of_e1 = shared.execute("select id from custody_event where source_key like %s", ["court\tE1%"]).fetchone()
    assert of_e1
    retract(db, retractions.of_event(shared, *of_e1), "it", settings=SETTINGS, who="clerk", why="another's", now=NOON)
    assert corrections() == [
        f"{WRONG} Now we know of no court date for this person.",
        (
            "The court date of John Smith on Friday, December eighteenth, at nine thirty in the morning, at Division 3,"
            " is cancelled."
        ),
    ]


KNOWN_OF_NONE = f"{WRONG} Now we know of no court date for this person."
TODAY, NEXT = SET.replace("E1", "E2").replace("12-04 09:30", "11-20 14:00"), SET.replace("E1", "E3")
NEXT_IS = f"{WRONG} The next court date that we know of is {{}}, at Division 3."
AT_TWO = NEXT_IS.format("Friday, November twentieth, at two o'clock in the afternoon")
IN_DECEMBER = NEXT_IS.format("Friday, December fourth, at nine thirty in the morning")
NEXT_DATES = {
    "before the first": (HOUR, [TODAY, NEXT], AT_TWO),
    "after the first": (3 * HOUR, [TODAY, NEXT], IN_DECEMBER),
    "after the last": (3 * HOUR, [TODAY], KNOWN_OF_NONE),
}


@pytest.mark.parametrize(("after_hours", "others", "says"), NEXT_DATES.values(), ids=NEXT_DATES)
def test_a_correction_says_the_date_that_is_the_next_when_it_is_told(
    *,
    after_hours: timedelta,
    others: list[str],
    says: str,
    holds: Holds,
    wants_court: Callable[..., int],
    imports: Imports,
    withdraw_event: WithdrawEvent,
    corrections: Callable[..., list[str]],
    shared: Connection,
):
    holds()
    wants_court()
    imports(CASE, *others)
    imports(CASE, SET.replace("12-04", "12-18"))
    call(shared, "", NOON, pin=True)
    withdraw_event("court_scheduled")
    assert corrections(NOON + after_hours) == [says]


def test_what_a_correction_says_is_what_callers_hear_where_nothing_came_since_the_first_of_them_passed(
    holds: Holds, imports: Imports, withdraw_event: WithdrawEvent, shared: Connection
):
    holds()
    imports(CASE, TODAY, NEXT)
    imports(CASE, SET.replace("12-04", "12-18"))
    withdraw_event("court_scheduled")
    assert [spoken(shared, now=NOON + hours * HOUR)[0] for hours in (1, 3)] == ["11-20", "12-04"]


@pytest.mark.parametrize("whole_runs", [False, True])
def test_where_two_court_dates_of_a_person_are_withdrawn_it_is_said_once_what_is_right(
    *,
    whole_runs: bool,
    holds: Holds,
    wants_court: Callable[..., int],
    imports: Imports,
    withdraw: Withdraw,
    withdraw_event: WithdrawEvent,
    corrections: Callable[..., list[str]],
    shared: Connection,
):
    holds()
    registration = wants_court()
    runs = [imports(CASE, line).run_id for line in (SET, TODAY, MOVED.replace("E1", "E4"))]
    call(shared, "", NOON, pin=True)
    for run_id in runs[1:]:
        if whole_runs:
            withdraw(run_id)
        else:
            withdraw_event("court_scheduled")
    assert corrections() == [IN_DECEMBER]
    states = shared.execute(
        """select n.state from notification n join custody_event e on e.id = event_id
           where kind = 'corrected_court' and registration_id = %s order by n.id""",
        [registration],
    ).fetchall()
    assert states == [("superseded",), ("open",)]


def test_who_had_heard_a_correction_is_called_with_the_next_one_alone(
    holds: Holds,
    wants_court: Callable[..., int],
    imports: Imports,
    withdraw: Withdraw,
    corrections: Callable[..., list[str]],
    shared: Connection,
):
    holds()
    wants_court()
    runs = [imports(CASE, line).run_id for line in (SET, TODAY)]
    call(shared, "", NOON, pin=True)
    withdraw(runs[0])
    call(shared, "", NOON, pin=True)
    withdraw(runs[1])
    assert corrections() == [KNOWN_OF_NONE]


def test_two_who_share_a_telephone_and_heard_of_one_withdrawn_date_each_hear_once_what_is_right(
    holds: Holds,
    wants_court: Callable[..., int],
    imports: Imports,
    withdraw: Withdraw,
    corrections: Callable[..., list[str]],
    shared: Connection,
):
    holds()
    one = wants_court()
    first = imports(CASE, SET).run_id
    call(shared, "", NOON, pin=True)
    shared.execute("update registration set court = false where id = %s", [one])
    other = wants_court(pin="1470")
    assert other != one
    second = imports(CASE, TODAY).run_id
    call(shared, "", NOON, pin=True)
    withdraw(first)
    withdraw(second)
    assert corrections() == [KNOWN_OF_NONE]
    waits = shared.execute("select registration_id from notification where state = 'open' order by 1").fetchall()
    assert waits == [(one,), (other,)]
