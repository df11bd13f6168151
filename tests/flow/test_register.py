"""Registering: what is refused with a reason, and what nobody is told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from agi.hotline import hotline
from agi.pin import weakness
from agi.service import Service
from db import guard, proofs
from db.custody import Offender
from tests import people
from tests.conftest import KEYS, NOON
from tests.flow.conftest import Clock
from tests.flow.telephone import Caller, Sometimes
from tests.flow.test_hotline import TO_THE_END, TO_THE_PIN, press, registrations

pytestmark = pytest.mark.usefixtures("smith")

NUMBER = "5735550142"


def again(caller: Caller) -> Caller:
    """The same telephone calls anew."""
    caller._gone = False
    caller.heard.clear()
    return caller


def proof_calls(conn: psycopg.Connection) -> list[timedelta]:
    return [at - NOON for (at,) in conn.execute("select next_call_at from proof where state = 'open'")]


@pytest.mark.parametrize(
    ("pin", "numbers", "why"),
    [
        ("2580", (NUMBER, "100234"), None),
        ("7391", (NUMBER,), None),
        ("1357", (), None),
        ("8888", (), "pin_one_digit"),
        ("1234", (), "pin_in_a_row"),
        ("7890", (), "pin_in_a_row"),
        ("3210", (), "pin_in_a_row"),
        ("0987", (), "pin_in_a_row"),
        ("1212", (), "pin_common"),
        ("6969", (), "pin_common"),
        ("9917", (), "pin_common"),
        ("0142", (NUMBER,), "pin_in_number"),
        ("7355", (NUMBER,), "pin_in_number"),
        ("0234", (NUMBER, "100234"), "pin_in_number"),
    ],
)
def test_a_pin_that_others_would_guess_has_its_reason(pin: str, numbers: tuple[str, ...], why: str | None):
    assert weakness(pin, *numbers) == why


def test_a_pin_that_is_easy_to_guess_is_refused_and_asked_for_again(caller: Caller, service: Service):
    press(caller, TO_THE_PIN).hears("make up a pin").presses("1234").hears("in a row")
    caller.hears("make up a pin").presses("0142").hears("part of a number")
    caller.hears("make up a pin").presses("2580").hears("same four digits").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize("number", ["5735550111", "8665550182", "5735550100", "5735550177", "8015550199"])
def test_a_jails_and_the_services_own_numbers_are_refused(number: str, caller: Caller, service: Service):
    settings = service.settings
    who_helps = {
        "operator": settings.operator.model_copy(update={"dial": "915735550177"}),
        "service": settings.service.model_copy(update={"crisis_line": "8015550199"}),
    }
    service = replace(service, settings=settings.model_copy(update=who_helps))
    press(caller, TO_THE_PIN[:4]).hears("telephone number where").presses(f"{number}#")
    caller.hears("number of a jail or of this service").hears("telephone number where").hangs_up()
    caller.calls(hotline, service)


def test_a_telephone_that_no_person_answers_is_refused(caller: Caller, service: Service):
    press(caller, TO_THE_PIN[:-1]).hears("answers that telephone directly").presses("2")
    caller.hears("could not reach you").hears("telephone number where").hangs_up()
    caller.calls(hotline, service)


def test_the_telephone_is_called_for_its_proof_when_the_caller_has_hung_up(
    caller: Caller, service: Service, conn: psycopg.Connection, clock: Clock
):
    at_the_end: list[list[timedelta]] = []

    def a_minute_later() -> None:
        at_the_end.append(proof_calls(conn))
        clock.now = NOON + timedelta(minutes=1)

    press(caller, TO_THE_END).hears("just hang up").meanwhile(a_minute_later).hangs_up()
    caller.calls(hotline, service)
    assert at_the_end == [[service.settings.calls.longest]]
    assert proof_calls(conn) == [timedelta(minutes=1)]


def test_where_the_end_of_the_call_cannot_be_noted_nobody_is_told_otherwise_and_the_proof_call_comes_later(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    away = Sometimes(conn)
    press(caller, TO_THE_END).hears("just hang up").meanwhile(away.goes)
    for _ in range(2):
        caller.hears("did not get that").hears("just hang up")
    caller.hears("goodbye")
    assert caller.calls(hotline, replace(service, db=away)) == "gave up"
    assert proof_calls(conn) == [service.settings.calls.longest]


def test_a_barred_number_is_not_registered_and_hears_the_same_words(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    for day in range(3):
        people.leave(conn, KEYS, number=NUMBER, pin=f"147{day}", offender_id=smith.id, now=NOON)
        assert proofs.refuse(conn, KEYS.hash(NUMBER), now=NOON + timedelta(days=day))
    heard = []
    for number in (NUMBER, "5735550143"):
        steps = tuple((words, f"{number}#" if keys == f"{NUMBER}#" else keys) for words, keys in TO_THE_END)
        press(again(caller), steps).hears("just hang up").hangs_up()
        caller.calls(hotline, service)
        heard.append(caller.heard[caller.heard.index("Enter the same four digits again.") :])
    assert heard[0] == heard[1]
    live = conn.execute("select from registration where ended_at is null").fetchall()
    assert len(live) == 1


def test_a_proven_number_and_a_new_one_hear_the_same_words_and_both_are_called(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender, register: Callable[..., None]
):
    register(smith)
    heard = []
    for number in (NUMBER, "5735550143"):
        steps = tuple((words, f"{number}#" if keys == f"{NUMBER}#" else keys) for words, keys in TO_THE_END)
        press(again(caller), steps).hears("just hang up").hangs_up()
        caller.calls(hotline, service)
        heard.append(caller.heard[caller.heard.index("Enter the same four digits again.") :])
    assert heard[0] == heard[1]
    assert len(proof_calls(conn)) == 2


def test_for_another_person_nothing_is_asked_twice(
    caller: Caller, service: Service, conn: psycopg.Connection, jail: Callable[..., Offender]
):
    jail("55", "JANE", "DOE")
    press(caller, TO_THE_END).hears("just hang up").presses("1").hears("to find a person").presses("2")
    caller.hears("offender number").presses("55#")
    caller.hears("Jane Doe").hears("to be called").presses("1").hears("of both").presses("3")
    caller.hears("same telephone with the same pin").presses("1")
    caller.hears("you are registered to be told about Jane Doe").hangs_up()
    caller.calls(hotline, service)
    assert registrations(conn) == 2
    assert conn.execute("select count(*) from registrant").fetchone() == (1,)


@pytest.mark.parametrize(("key", "about"), [("1", "custody"), ("2", "court"), ("3", "both")])
def test_callers_choose_to_be_told_of_custody_of_court_dates_or_of_both(
    key: str, about: str, caller: Caller, service: Service, conn: psycopg.Connection
):
    steps = tuple((words, key if words == "of both" else keys) for words, keys in TO_THE_END)
    press(caller, steps).hears("you are registered").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select about from registration").fetchall() == [(about,)]


def test_who_registers_a_second_time_is_told_of_more_and_never_of_less(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    for key, about in (("2", "court"), ("2", "court"), ("1", "both"), ("2", "both")):
        steps = tuple((words, key if words == "of both" else keys) for words, keys in TO_THE_END)
        press(again(caller), steps).hears("you are registered").hangs_up()
        caller.calls(hotline, service)
        assert conn.execute("select about from registration").fetchall() == [(about,)]


@pytest.mark.parametrize(
    ("keys", "first"), [("1", False), ("2", True), ("12", True), ("21", True)], ids=["no", "yes", "added", "kept"]
)
def test_who_once_wanted_the_pin_asked_for_first_is_always_asked(
    keys: str, caller: Caller, service: Service, conn: psycopg.Connection, *, first: bool
):
    for key in keys:
        press(again(caller), (*TO_THE_END[:-1], ("ask for your pin first", key))).hears("you are registered").hangs_up()
        caller.calls(hotline, service)
    assert conn.execute("select pin_first from registrant").fetchall() == [(first,)]


def test_who_goes_back_in_the_middle_is_asked_for_everything_again(
    caller: Caller, service: Service, conn: psycopg.Connection, jail: Callable[..., Offender]
):
    jail("55", "JANE", "DOE")
    press(caller, TO_THE_PIN).hears("make up a pin").presses("9#").hears("to find a person").presses("2")
    caller.hears("offender number").presses("55#").hears("to be called").presses("1")
    press(caller, TO_THE_END[3:]).hears("you are registered to be told about Jane Doe").hangs_up()
    caller.calls(hotline, service)
    assert registrations(conn) == 1


def test_a_second_telephone_is_called_after_the_first(caller: Caller, service: Service, conn: psycopg.Connection):
    press(caller, TO_THE_END).hears("just hang up").presses("2").hears("telephone number where").presses("5735550143#")
    caller.hears("if this is right").presses("1").hears("answers that telephone directly").presses("1")
    caller.hears("noted that telephone").hears("within ten minutes").hears("just hang up").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select place from telephone order by place").fetchall() == [(1,), (2,)]
    assert proof_calls(conn) == [timedelta(0)] * 2


@pytest.mark.parametrize(
    ("times", "hours", "says"),
    [(5, 0.9, "try again in an hour"), (20, 23, "try again tomorrow"), (20, 0.9, "try again tomorrow")],
)
def test_who_registers_again_and_again_from_one_number_is_told_until_when_they_cannot(
    times: int, hours: float, says: str, caller: Caller, service: Service, conn: psycopg.Connection
):
    for _ in range(times):
        guard.note_registering(conn, KEYS.hash(caller.caller), now=NOON - timedelta(hours=hours))
    press(caller, TO_THE_PIN[:3]).hears("too many numbers were left").hears("to find a person").hangs_up()
    caller.calls(hotline, service)
    assert says in " ".join(caller.heard)
    assert registrations(conn) == 0


@pytest.mark.parametrize(("times", "hours"), [(4, 0.9), (19, 23), (20, 24.1)])
def test_who_has_registered_less_often_may(
    times: int, hours: float, caller: Caller, service: Service, conn: psycopg.Connection
):
    for _ in range(times):
        guard.note_registering(conn, KEYS.hash(caller.caller), now=NOON - timedelta(hours=hours))
    press(caller, TO_THE_END).hears("you are registered").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select count(*) from registering").fetchone() == (times + 1,)


def test_who_began_to_register_and_did_not_is_not_counted(caller: Caller, service: Service, conn: psycopg.Connection):
    press(caller, TO_THE_END[:-1]).hears("ask for your pin first").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select count(*) from registering").fetchone() == (0,)


def test_a_fourth_telephone_sounds_as_the_others_and_is_not_called(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    press(caller, TO_THE_END)
    for digit in range(3, 6):
        caller.hears("just hang up").presses("2").hears("telephone number where").presses(f"573555014{digit}#")
        caller.hears("if this is right").presses("1").hears("answers that telephone directly").presses("1")
        caller.hears("noted that telephone").hears("usually within ten minutes")
    caller.hears("just hang up").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select count(*) from telephone").fetchone() == (3,)


def test_an_hour_later_they_may_again_and_a_withheld_number_always_may(
    caller: Caller, service: Service, conn: psycopg.Connection, clock: Clock
):
    for _ in range(5):
        guard.note_registering(conn, KEYS.hash(caller.caller), now=NOON)
        guard.note_registering(conn, None, now=NOON)
    clock.now = NOON + timedelta(minutes=61)
    press(caller, TO_THE_END).hears("you are registered").hangs_up()
    caller.calls(hotline, service)
    clock.now = NOON
    again(caller).caller = ""
    press(caller, TO_THE_END).hears("you are registered").hangs_up()
    caller.calls(hotline, service)


def test_many_registrations_are_told_to_staff_once_until_it_is_over_and_refuse_nobody(
    caller: Caller, service: Service, conn: psycopg.Connection, clock: Clock, caplog: pytest.LogCaptureFixture
):
    alarms = service.settings.alarms.model_copy(update={"registrations": 2, "withheld": 2})
    watched = replace(service, settings=service.settings.model_copy(update={"alarms": alarms}))
    for _ in range(2):
        guard.note_registering(conn, None, now=NOON)
    caller.caller = ""
    for _ in range(2):
        press(again(caller), TO_THE_END).hears("you are registered").hangs_up()
        caller.calls(hotline, watched)
    told = "3 registrations within an hour: is", "3 registrations within an hour from withheld numbers: is"
    assert [caplog.text.count(words) for words in told] == [1, 1]
    alerts = conn.execute("select key, says from alert where over_at is null order by id").fetchall()
    assert [key for key, _ in alerts] == ["registrations", "withheld numbers"]
    assert all(says.startswith(words) for (_, says), words in zip(alerts, told, strict=True))
    clock.now = NOON + timedelta(hours=2)
    press(again(caller), TO_THE_END).hears("you are registered").hangs_up()
    caller.calls(hotline, watched)
    assert conn.execute("select from alert where over_at is null").fetchall() == []
