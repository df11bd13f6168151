"""Finding somebody by number, by case and by name, and what is told of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from agi.hotline import hotline
from agi.service import Service
from db import court_events, custody, feed_runs, held
from db.court_events import CourtEvent
from db.custody import Details, Offender
from prompts.catalogue import Catalogue
from tests.conftest import NOON, settings_for
from tests.flow.conftest import Clock
from tests.flow.telephone import Caller, Sometimes

Jail = Callable[..., Offender]

SMITH, JOHN = "76484#", "5646#"


def key_in(caller: Caller, last: str, first: str = "#") -> Caller:
    return caller.hears("spell the last name").presses(last).hears("as much of the first name").presses(first)


def by_name(caller: Caller, last: str, first: str = "#") -> Caller:
    return key_in(caller.hears("by name, press 1").presses("1"), last, first)


def by_case(caller: Caller, number: str) -> Caller:
    return caller.hears("court case number, press 3").presses("3").hears("enter the court case").presses(number)


def by_number(caller: Caller, number: str) -> Caller:
    return caller.hears("booking number, press 2").presses("2").hears("enter the offender number").presses(number)


@pytest.fixture
def smiths(jail: Jail) -> list[Offender]:
    """More than are read out, of whom two were born in 1988."""
    born = (1980, 1981, 1988, 1988, 1990, 1991)
    return [
        jail(f"S{at}", "JOHNNY" if at == 5 else "JOHN", "SMITH", born=date(year, 3, 1)) for at, year in enumerate(born)
    ]


# By name


def test_one_match_is_read_out_and_confirmed(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH")
    by_name(caller, SMITH, JOHN).hears("we found John Smith, 36 years old, Boone County Jail")
    caller.hears("if this is the person, press 1").presses("1").hears("John Smith is in custody").hangs_up()
    caller.calls(hotline, service)


def test_a_first_name_need_not_be_known(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH")
    by_name(caller, "764#").hears("we found John Smith").hangs_up()
    caller.calls(hotline, service)


def test_somebody_else_was_meant_and_the_name_is_asked_for_again(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH")
    jail("100235", "ANN", "ADAMS")
    by_name(caller, SMITH, JOHN).hears("if this is the person").presses("2")
    key_in(caller, "23267#").hears("Ann Adams").hangs_up()
    caller.calls(hotline, service)


def test_up_to_five_are_offered_by_number_and_told_apart_by_their_age(caller: Caller, service: Service, jail: Jail):
    for at, year in enumerate((1950, 1966, 1985, 1990, 2004)):
        jail(f"S{at}", "JOHN", "SMITH", born=date(year, 11, 21))  # tomorrow is their birthday
    by_name(caller, SMITH, JOHN).hears("we found more than one person")
    for key, age in enumerate((75, 59, 40, 35, 21), start=1):
        caller.hears(f"For John Smith, {age} years old, Boone County Jail, press {key}.")
    caller.hears("if it is none of these, press 9").presses("3").hears("John Smith is in custody").hangs_up()
    caller.calls(hotline, service)


def test_who_sounds_alike_is_told_apart_by_agency_and_then_by_number(caller: Caller, service: Service, jail: Jail):
    jail("S1", "JOHN", "SMITH", born=None)
    jail("S2", "JOHN", "SMITH", facility="Women's Prison")
    jail("S3", "JOHN", "SMITH", agency="cole")
    jail("S4", "JOHN", "SMITH")
    jail("S5", "JOHN", "SMITH")
    by_name(caller, SMITH, JOHN)
    caller.hears("For John Smith, Boone County Jail, press 1.")
    caller.hears("For John Smith, 36 years old, Women's Prison, press 2.")
    caller.hears("For John Smith, 36 years old, Boone County Jail, Cole County, press 3.")
    caller.hears("For John Smith, 36 years old, Boone County Jail, Boone County, S 4, press 4.")
    caller.hears("For John Smith, 36 years old, Boone County Jail, Boone County, S 5, press 5.").hangs_up()
    caller.calls(hotline, service)


def test_none_of_those_who_are_offered_and_the_name_is_asked_for_again(caller: Caller, service: Service, jail: Jail):
    for number in ("S1", "S2"):
        jail(number, "JOHN", "SMITH")
    by_name(caller, SMITH, JOHN).hears("if it is none of these").presses("9")
    caller.hears("spell the last name").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("smiths")
def test_more_than_five_are_not_read_out_but_narrowed_down_by_letters(caller: Caller, service: Service):
    by_name(caller, SMITH, "5#").hears("more than five people").hears("to spell more of the first name, press 1")
    caller.presses("1").hears("spell more of the first name, from").presses("564669#")
    caller.hears("we found Johnny Smith").presses("1").hears("Johnny Smith is in custody").hangs_up()
    caller.calls(hotline, service)
    assert not any(words.startswith("For ") for words in caller.heard)


@pytest.mark.usefixtures("smiths")
def test_or_by_the_year_of_birth(caller: Caller, service: Service):
    by_name(caller, SMITH, "#").hears("more than five people").hears("the year of birth, press 2").presses("2")
    caller.hears("enter the year of birth").presses("1988").hears("For John Smith, 38 years old").hears("press 2.")
    caller.presses("2").hears("John Smith is in custody").hangs_up()
    caller.calls(hotline, service)


def test_or_by_another_last_name(caller: Caller, service: Service, smiths: list[Offender], jail: Jail):
    jail("A", "ANN", "ADAMS")
    by_name(caller, SMITH).hears("more than five").hears("the last name again, press 3").presses("3")
    key_in(caller, "232#").hears("we found Ann Adams").hangs_up()
    caller.calls(hotline, service)
    assert len(smiths) > 5


@pytest.mark.usefixtures("smiths")
def test_a_person_is_offered_where_it_is_still_too_many(caller: Caller, service: Service):
    by_name(caller, SMITH, "#").hears("more than five").presses("1").hears("spell more").presses("56#")
    caller.hears("still more than five people. A person at 5 7 3").hears("to spell more").presses("2")
    caller.hears("year of birth").presses("1988").hears("more than one person").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("smiths")
def test_where_nobody_is_left_it_can_be_narrowed_down_in_another_way(caller: Caller, service: Service):
    by_name(caller, SMITH).hears("more than five").presses("2").hears("year of birth").presses("1955")
    caller.hears("found nobody like that").hears("the year of birth, press 2").presses("2")
    caller.hears("year of birth").presses("1990").hears("we found John Smith, 36").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize(
    ("way", "question"), [("1", "spell more of the first name, from"), ("2", "year of birth, with")]
)
@pytest.mark.usefixtures("smiths")
def test_nine_goes_back_to_the_ways_of_narrowing_it_down(way: str, question: str, caller: Caller, service: Service):
    by_name(caller, SMITH).hears("to spell more").presses(way).hears(question).presses("9#")
    caller.hears("more than five people").hears("to spell more").presses("9").hears("to find a person").hangs_up()
    caller.calls(hotline, service)


def test_of_too_many_the_whole_names_are_offered_and_then_the_others_can_be_found(
    caller: Caller, service: Service, jail: Jail
):
    jail("1", "KIM", "LEE")
    for at in range(6):
        jail(f"L{at}", "KIMBERLY", "LEEDS", born=date(1980 + at, 1, 1))
    by_name(caller, "533#", "546#").hears("we found Kim Lee").hears("if not, press 2").presses("2")
    caller.hears("more than five people have a name like that").hears("year of birth, press 2").presses("2")
    caller.hears("year of birth").presses("1983").hears("we found Kimberly Leeds, 43").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize("year", ["1899", "2027", "0000"])
@pytest.mark.usefixtures("smiths")
def test_a_year_in_which_nobody_can_be_born_is_refused(year: str, caller: Caller, service: Service):
    by_name(caller, SMITH).hears("more than five").presses("2").hears("year of birth").presses(year)
    caller.hears("cannot be the year of birth").hears("enter the year of birth").hangs_up()
    caller.calls(hotline, service)


def test_who_is_found_by_another_name_is_read_out_with_it(caller: Caller, service: Service, jail: Jail):
    jail("1", "KARL", "MÜLLER", details=Details(aliases=("SHORTY", "MUELLER, CARL")))
    by_name(caller, "6835537#", "2275#").hears(
        "we found Karl Müller, also known as Carl Mueller, 36 years old"
    ).hangs_up()
    caller.calls(hotline, service)


def test_who_is_found_by_their_name_is_read_out_without_another(caller: Caller, service: Service, jail: Jail):
    jail("1", "KARL", "MÜLLER", details=Details(aliases=("MULLEN, CARL",)))
    by_name(caller, "6855#").hears("we found Karl Müller, 36 years old").hangs_up()
    caller.calls(hotline, service)


def test_a_name_that_nobody_has_leads_to_a_person_and_back_to_the_menu_after_three(caller: Caller, service: Service):
    by_name(caller, SMITH).hears("found nobody with that name")
    key_in(caller, "533#").hears("found nobody with that name")
    key_in(caller, "222#").hears("found nobody with that name").hears("to reach a person, call")
    caller.hears("to find a person by name").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize(
    ("keyed", "said"),
    [
        ("76#", "at least three letters"),
        ("9999#", "found nobody with that name"),
        ("7601#", "no letters on the keys 1 and 0"),
        ("1#", "no letters on the keys 1 and 0"),
        ("#", "did not get that"),
        ("", "did not get that"),
        ("76*", "spell the last name"),
        ("0#", "to reach a person"),
        ("9#", "to find a person by name"),
    ],
)
def test_a_last_name_that_cannot_be_one_is_answered_in_words(keyed: str, said: str, caller: Caller, service: Service):
    caller.hears("by name, press 1").presses("1").hears("spell the last name").presses(keyed)
    if said == "found nobody with that name":
        caller.hears("as much of the first name").presses("#")
    caller.hears(said).hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize(
    ("keyed", "said"),
    [
        ("10#", "no letters on the keys 1 and 0"),
        ("", "did not get that"),
        ("0#", "to reach a person"),
        ("56*", "as much of the first name"),
        ("9#", "9 by itself goes back"),
    ],
)
def test_a_first_name_that_cannot_be_one_is_answered_in_words(
    keyed: str, said: str, caller: Caller, service: Service, jail: Jail
):
    jail("100234", "JOHN", "SMITH")
    by_name(caller, SMITH, keyed).hears(said).hangs_up()
    caller.calls(hotline, service)


def test_a_last_name_of_two_letters_is_one_where_somebody_has_it(caller: Caller, service: Service, jail: Jail):
    jail("1", "LINH", "NG")
    by_name(caller, "64#", "5#").hears("we found Linh Ng").hangs_up()
    caller.calls(hotline, service)


def test_nine_by_itself_is_no_first_name_and_the_last_is_asked_for_again(caller: Caller, service: Service, jail: Jail):
    jail("1", "WILL", "SMITH")
    by_name(caller, SMITH, "9#").hears("the key 9 by itself goes back")
    key_in(caller, SMITH, "94#").hears("we found Will Smith").hangs_up()
    caller.calls(hotline, service)


def test_without_a_voice_nobody_is_asked_whether_it_is_somebody(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH")
    caller.no_voice = True
    by_name(caller, SMITH).hears("cannot tell you this right now").hears("to find a person by name").hangs_up()
    caller.calls(hotline, service)


# By number


def test_an_offender_number_is_the_person(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH")
    by_number(caller, "100234#").hears("John Smith is in custody").hangs_up()
    caller.calls(hotline, service)
    assert not any("we found" in words.lower() for words in caller.heard)


def test_a_booking_number_is_the_person_letters_on_their_keys(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH", details=Details(booking_number="B-26.77"))
    by_number(caller, "22677#").hears("John Smith is in custody").hangs_up()
    caller.calls(hotline, service)


def test_one_number_at_two_agencies_is_offered(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH")
    jail("100234", "MARY", "JONES", "cole", facility="Cole County Jail")
    by_number(caller, "100234#").hears("more than one person")
    caller.hears("For John Smith, 36 years old, Boone County Jail, press 1.")
    caller.hears("For Mary Jones, 36 years old, Cole County Jail, press 2.")
    caller.presses("2").hears("Mary Jones is in custody").hangs_up()
    caller.calls(hotline, service)


def test_none_of_them_and_the_number_is_asked_for_again(caller: Caller, service: Service, jail: Jail):
    for agency in ("boone", "cole"):
        jail("100234", "JOHN", "SMITH", agency)
    by_number(caller, "100234#").hears("none of these").presses("9").hears("enter the offender number").hangs_up()
    caller.calls(hotline, service)


def test_a_number_that_more_than_five_have_leads_to_the_name_or_to_a_person(
    caller: Caller, service: Service, jail: Jail
):
    for at in range(6):
        jail(f"S{at}", "JOHN", "SMITH", details=Details(booking_number="777", case_numbers=("777",)))
    by_number(caller, "777#").hears("more than five people have that number").presses("9#")
    by_case(caller, "777#").hears("more than five people have that number").hangs_up()
    caller.calls(hotline, service)


# By case


def test_a_case_number_is_read_out_and_confirmed(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH", details=Details(case_numbers=("26BA-CR00123", "26BA-CR00124")))
    by_case(caller, "26222700124#").hears("we found John Smith").hears("if this is the person").presses("1")
    caller.hears("John Smith is in custody").hangs_up()
    caller.calls(hotline, service)


def test_two_in_one_case_are_offered(caller: Caller, service: Service, jail: Jail):
    for first, last in (("JOHN", "SMITH"), ("MARY", "JONES")):
        jail(last, first, last, details=Details(case_numbers=("C1",)))
    by_case(caller, "21#").hears("Mary Jones").hears("John Smith, 36 years old, Boone County Jail, press 2").presses(
        "2"
    )
    caller.hears("John Smith is in custody").hangs_up()
    caller.calls(hotline, service)


def test_the_one_in_a_case_was_not_meant(caller: Caller, service: Service, jail: Jail):
    jail("100234", "JOHN", "SMITH", details=Details(case_numbers=("C1",)))
    by_case(caller, "21#").hears("if not, press 2").presses("2").hears("enter the court case").hangs_up()
    caller.calls(hotline, service)


def test_a_case_that_nobody_has_is_said_to_be_unknown_and_the_operator_is_offered(caller: Caller, service: Service):
    by_case(caller, "26222700124#").hears("found nobody with that court case number")
    for _ in range(2):
        caller.hears("enter the court case").presses("1#")
    caller.hears("to reach a person").hears("goodbye")
    assert caller.calls(hotline, service) == "gave up"


# What is told


def told(caller: Caller, service: Service) -> list[str]:
    """What is said of the person with number 1, up to the menu."""
    by_number(caller, "1#").hears("to be called when this changes").hangs_up()
    caller.calls(hotline, service)
    number = next(at for at, words in enumerate(caller.heard) if words.startswith("Enter the offender number"))
    return caller.heard[number + 1 : -1]


PLANS = Details(
    release_date=date(2026, 11, 20), court_at=datetime(2026, 12, 4, 15, 30, tzinfo=UTC), court_place="Division 3"
)
STATUS = "{} Boone County Jail{} Tuesday, November third, at two oh five in the afternoon."
COURT = "The next court date is Friday, December fourth, at nine thirty in the morning, at Division 3."
OLD = "This news is older than it should be. To be safe, assume that this person may be free by now."
AS_OF = "This is what we were told on Friday, November twentieth, at noon."


def test_the_most_important_is_told_first(caller: Caller, service: Service, jail: Jail):
    jail("1", "JOHN", "SMITH", details=PLANS)
    assert told(caller, service) == [
        STATUS.format("John Smith is in custody at the", ", since"),
        "John Smith is due to be released on Friday, November twentieth. That day can change.",
        COURT,
        AS_OF,
    ]


@pytest.fixture
def calendar(conn: psycopg.Connection) -> Callable[..., None]:
    """A court's calendar has a date of somebody, in so many days at half past three UTC; or what it says now of it."""

    def has(offender: Offender, key: str, days: int, state: Literal["scheduled", "cancelled"] = "scheduled") -> None:
        run = feed_runs.add(conn, "calendar.tsv", "", "applied", now=NOON)
        at = datetime(2026, 11, 20, 15, 30, tzinfo=UTC) + timedelta(days=days)
        date = CourtEvent(key, "26BA-CR1", at, "Division 3", state, offender_ids=[offender.id])
        court_events.keep(conn, "boone", date, feed_run_id=run, now=NOON)

    return has


def test_the_next_court_date_is_the_one_that_is_to_come_when_it_is_said(
    english: Catalogue, service: Service, jail: Jail, clock: Clock, calendar: Callable[..., None]
):
    smith = jail("1", "JOHN", "SMITH", status="released")
    for days in (14, 7):
        calendar(smith, f"E{days}", days)
    heard = dict[int, list[str]]()
    for days in (0, 7, 14):
        clock.now = NOON + timedelta(days=days)
        heard[days] = [words for words in told(Caller(english), service) if "court date" in words]
    assert heard == {
        0: [COURT.replace("Friday, December fourth", "Friday, November twenty-seventh")],
        7: [COURT],
        14: [],
    }


def test_a_jails_court_date_is_said_unless_a_calendar_said_something_of_one_at_that_time(
    english: Catalogue, service: Service, jail: Jail, calendar: Callable[..., None]
):
    smith = jail("1", "JOHN", "SMITH", details=PLANS)
    calendar(smith, "E1", 7, "cancelled")
    assert COURT in told(Caller(english), service)
    calendar(smith, "E2", 14, "cancelled")
    assert [words for words in told(Caller(english), service) if "court date" in words] == []


def test_nobody_waits_in_silence_for_a_slow_voice(caller: Caller, service: Service, jail: Jail):
    jail("1", "JOHN", "SMITH")
    caller.slow_voice = True
    assert told(caller, service)[:2] == [
        "One moment.",
        STATUS.format("John Smith is in custody at the", ", since"),
    ]


def test_of_somebody_who_is_out_no_release_is_told_but_that_they_may_be_free(
    caller: Caller, service: Service, jail: Jail
):
    jail("1", "JOHN", "SMITH", status="escaped", details=PLANS)
    assert told(caller, service) == [
        STATUS.format("John Smith escaped from the", " on"),
        "To be safe, assume that this person is free.",
        COURT,
        AS_OF,
    ]


def test_of_somebody_who_died_no_plans_are_told(caller: Caller, service: Service, jail: Jail):
    jail("1", "JOHN", "SMITH", status="deceased", details=PLANS)
    assert len(told(caller, service)) == 2


def test_what_is_past_is_not_told_as_a_plan(
    caller: Caller, service: Service, conn: psycopg.Connection, jail: Jail, clock: Clock
):
    smith = jail("1", "JOHN", "SMITH", details=PLANS)
    clock.now = datetime(2026, 12, 4, 15, 31, tzinfo=UTC)
    custody.heard_of(conn, [smith.id], now=clock.now)
    assert len(told(caller, service)) == 2


def test_a_court_date_without_a_place_is_told(caller: Caller, service: Service, jail: Jail):
    jail("1", "JOHN", "SMITH", details=replace(PLANS, court_place=""))
    assert COURT.replace(", at Division 3", "") in told(caller, service)


def test_it_is_told_as_of_when_the_jail_told_it(caller: Caller, service: Service, jail: Jail, conn: psycopg.Connection):
    smith = jail("1", "JOHN", "SMITH")
    custody.heard_of(conn, [smith.id], now=NOON - timedelta(days=2))
    assert told(caller, service)[-1] == "This is what we were told on Wednesday, November eighteenth, at noon."


def test_the_facilitys_telephone_and_address_are_told_on_request(caller: Caller, service: Service, jail: Jail):
    jail("1", "JOHN", "SMITH")
    by_number(caller, "1#").hears("address of the facility, press 2").presses("2")
    caller.hears("telephone number of the Boone County Jail is 5 7 3, 5 5 5, 0 1 1 1")
    caller.hears("the address is 12 Courthouse Square, Columbia").hears("to be called").presses("*")
    caller.hears("telephone number of the Boone County Jail").hears("to be called").presses("1")
    caller.hears("to be told of custody changes").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize(
    ("agency", "days", "said"),
    [("boone", 3, "This is what we"), ("boone", 3.1, OLD), ("greene", 0, OLD)],
    ids=["three days", "more", "no such agency"],
)
def test_news_is_not_relied_on_after_three_files_that_did_not_come_or_where_none_comes_any_more(
    agency: str, days: float, said: str, caller: Caller, service: Service, jail: Jail, clock: Clock
):
    jail("1", "JOHN", "SMITH", agency)
    clock.now = NOON + timedelta(days=days)
    assert told(caller, service)[1].startswith(said)


@pytest.fixture
def by_feeds(service: Service, conn: psycopg.Connection) -> Callable[..., Service]:
    """Boone County sends files by feeds: when each came last, in hours after noon."""

    def declare(outcome: Literal["applied", "refused"] = "applied", **feeds: tuple[str, str, float]) -> Service:
        declared: dict[str, object] = {}
        for name, (form, interval, hours) in feeds.items():
            declared[name] = {"format": form, "interval": interval}
            at = NOON + timedelta(hours=hours)
            feed_runs.add(conn, "f", name, outcome, feed=f"boone/{name}", now=at)
        agency = {"name": "Boone County", "interval": "24:00:00", "feeds": declared}
        return replace(service, settings=settings_for(Path("/nowhere"), agencies={"boone": agency}))

    return declare


CHANGES, CALENDAR = "custody changes", "court calendar"


@pytest.mark.parametrize(
    ("feeds", "hours", "old", "as_of"),
    [
        ({"jail": (CHANGES, "00:15:00", 10)}, 10.75, False, "at ten o'clock at night"),
        ({"jail": (CHANGES, "00:15:00", 10)}, 10.8, True, "at ten o'clock at night"),
        ({"jail": (CHANGES, "01:00:00", -5)}, 2.9, False, "at noon"),
        (
            {"jail": (CHANGES, "01:00:00", 9), "prison": (CHANGES, "04:00:00", 4)},
            10,
            False,
            "at four o'clock in the afternoon",
        ),
        (
            {"jail": (CHANGES, "01:00:00", 9), "prison": (CHANGES, "01:00:00", 4)},
            10,
            True,
            "at four o'clock in the afternoon",
        ),
        (
            {"jail": (CHANGES, "01:00:00", 9), "court": (CALENDAR, "01:00:00", -90)},
            10,
            False,
            "at nine o'clock at night",
        ),
        ({"court": (CALENDAR, "01:00:00", 9)}, 10, False, "at noon"),
    ],
    ids=["in time", "silent", "said itself later", "the one behind", "one silent", "courts do not count", "by hand"],
)
def test_where_files_come_by_feeds_it_is_told_as_of_the_last_and_that_it_is_old_when_they_do_not(
    feeds: dict[str, tuple[str, str, float]],
    hours: float,
    old: bool,  # noqa: FBT001 - a case of the table
    as_of: str,
    caller: Caller,
    by_feeds: Callable[..., Service],
    jail: Jail,
    clock: Clock,
):
    jail("1", "JOHN", "SMITH")
    clock.now = NOON + timedelta(hours=hours)
    said = told(caller, by_feeds(**feeds))
    assert (OLD in said) is old
    assert as_of in said[-1]


def test_a_run_that_is_refused_makes_nothing_newer(
    caller: Caller, by_feeds: Callable[..., Service], jail: Jail, clock: Clock
):
    jail("1", "JOHN", "SMITH")
    clock.now = NOON + timedelta(hours=10)
    assert OLD in told(caller, by_feeds("refused", jail=(CHANGES, "01:00:00", 9)))


def test_with_the_database_away_what_was_found_is_told_as_old(
    caller: Caller, service: Service, jail: Jail, conn: psycopg.Connection
):
    jail("1", "JOHN", "SMITH")
    away = Sometimes(conn)
    by_number(caller, "1#").hears("to be called when this changes").meanwhile(away.goes).presses("*")
    caller.hears("John Smith is in custody").hears(OLD).hears("this is what we were told").hangs_up()
    caller.calls(hotline, replace(service, db=away))


def test_of_somebody_who_is_out_old_news_is_no_older_than_it_should_be(
    caller: Caller, service: Service, jail: Jail, clock: Clock
):
    jail("1", "JOHN", "SMITH", status="released")
    clock.now = NOON + timedelta(days=365)
    assert [words for words in told(caller, service) if "older than" in words] == []


@pytest.mark.parametrize(
    ("facility", "agency", "said"),
    [
        ("Boone County Annex", "boone", ["The telephone number of the Boone County Annex is 5 7 3, 5 5 5, 0 1 1 2."]),
        ("The Farm", "boone", ["We do not have the telephone number of the facility."]),
        ("Boone County Jail", "elsewhere", ["We do not have the telephone number of the facility."]),
    ],
)
def test_what_is_not_known_of_a_facility_is_not_told(
    facility: str, agency: str, said: list[str], caller: Caller, service: Service, jail: Jail
):
    jail("1", "JOHN", "SMITH", agency, facility=facility)
    by_number(caller, "1#").hears("press 2").presses("2").hears(said[0]).hears("to be called").hangs_up()
    caller.calls(hotline, service)
    assert caller.heard[-2].startswith(said[0])


def test_another_person_is_looked_up_from_the_menu(caller: Caller, service: Service, jail: Jail):
    jail("1", "JOHN", "SMITH")
    by_number(caller, "1#").hears("another person, press 3").presses("3").hears("to find a person by name").hangs_up()
    caller.calls(hotline, service)


def test_while_news_of_the_facility_is_held_callers_hear_that_it_is_being_checked(
    caller: Caller, service: Service, conn: psycopg.Connection, jail: Jail
):
    jail("100234", "JOHN", "SMITH")
    run_id = feed_runs.add(conn, "jail.csv", "", "held", now=NOON)
    places = [("boone", "Boone County Jail")]
    held.hold(conn, run_id, b"", ["60 releases"], places, touched=60, population=60, since=NOON, now=NOON)
    by_number(caller, "100234#").hears("John Smith is in custody").hears("that we do not trust yet, and are checking")
    caller.hears("this is what we were told").hangs_up()
    caller.calls(hotline, service)


def test_once_that_is_decided_they_do_not(caller: Caller, service: Service, conn: psycopg.Connection, jail: Jail):
    jail("100234", "JOHN", "SMITH")
    run_id = feed_runs.add(conn, "jail.csv", "", "held", now=NOON)
    places = [("boone", "Boone County Jail")]
    held.hold(conn, run_id, b"", ["60 releases"], places, touched=60, population=60, since=NOON, now=NOON)
    held.decide(conn, run_id, "rejected", now=NOON)
    by_number(caller, "100234#").hears("John Smith is in custody").hears("this is what we were told").hangs_up()
    caller.calls(hotline, service)
    assert not any("checking" in words for words in caller.heard)
