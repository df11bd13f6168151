"""The hotline, as callers go through it."""

from collections.abc import Callable

import psycopg
import pytest

from agi.hotline import hotline
from agi.service import Service
from db import custody, registrants
from db.custody import Custody, Offender
from tests.conftest import KEYS, NOON
from tests.flow.telephone import Caller

pytestmark = pytest.mark.usefixtures("smith")

TO_THE_STATUS = (("press 2", "2"), ("offender number", "100234#"))
TO_THE_PIN = (
    *TO_THE_STATUS,
    ("to be called", "1"),
    ("of both", "3"),
    ("telephone number where", "5735550142#"),
    ("if this is right", "1"),
    ("answers that telephone directly", "1"),
)
TO_THE_END = (
    *TO_THE_PIN,
    ("make up a pin", "2580"),
    ("same four digits", "2580"),
    ("ask for your pin first", "1"),
)


def press(caller: Caller, steps: tuple[tuple[str, str], ...]) -> Caller:
    for words, keys in steps:
        caller.hears(words).presses(keys)
    return caller


def registrations(conn: psycopg.Connection) -> int:
    row = conn.execute("select count(*) from registration").fetchone()
    assert row
    return row[0]


def test_a_caller_hears_where_the_offender_is_and_registers(caller: Caller, service: Service, conn: psycopg.Connection):
    caller.hears("welcome to MOVANS").hears("dial 9 1 1").hears("do not depend on this service alone")
    caller.hears("press 2").presses("2")
    caller.hears("offender number").presses("100234#")
    caller.hears("John Smith is in custody at the Boone County Jail, since Tuesday, November third, at two oh five")
    caller.hears("this is what we were told on Friday, November twentieth, at noon")
    caller.hears("to be called").presses("1").hears("custody changes, press 1. Of court dates, press 2").presses("3")
    caller.hears("start with the area code").presses("5735550142#")
    for digit in ["five", "seven", "three", "five", "five", "five", "zero", "one", "four", "two"]:
        caller.hears(digit)
    caller.hears("if this is right").presses("1").hears("answers that telephone directly").presses("1")
    caller.hears("four digits").presses("2580").hears("again").presses("2580")
    caller.hears("ask for your pin first").presses("1")
    caller.hears("you are registered to be told about John Smith").hears("within ten minutes")
    caller.hears("we will call you from 8 6 6")
    caller.hears("will not be told").hears("just hang up").hangs_up()
    assert caller.calls(hotline, service) == "hung up"
    assert registrations(conn) == 1
    assert registrants.find(conn, KEYS, KEYS.hashes("5735550142"), "2580")


def test_registering_again_with_the_same_telephone_and_pin_changes_nothing(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    for _ in range(2):
        press(caller, TO_THE_END).hears("you are registered").hears("just hang up").hangs_up()
        caller.calls(hotline, service)
        caller._gone = False
    assert registrations(conn) == 1


def test_two_pins_on_one_telephone_are_two_registrants(caller: Caller, service: Service, conn: psycopg.Connection):
    press(caller, TO_THE_END).hears("just hang up").hangs_up()
    caller.calls(hotline, service)
    caller._gone = False
    press(caller, TO_THE_PIN).hears("make up a pin").presses("1470").hears("again").presses("1470")
    caller.hears("ask for your pin first").presses("1")
    caller.hears("you are registered").hangs_up()
    caller.calls(hotline, service)
    assert registrations(conn) == 2


@pytest.mark.parametrize("steps", range(len(TO_THE_END) + 1))
def test_hanging_up_before_the_end_registers_nobody(
    steps: int, caller: Caller, service: Service, conn: psycopg.Connection
):
    press(caller, TO_THE_END[:steps])
    caller.hears((*TO_THE_END, ("you are registered", ""))[steps][0]).hangs_up()
    assert caller.calls(hotline, service) == "hung up"
    assert registrations(conn) == (1 if steps == len(TO_THE_END) else 0)


def test_hanging_up_in_the_middle_of_an_entry_registers_nobody(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    press(caller, TO_THE_END[:-2]).hears("same four digits").presses("25").hangs_up()
    assert caller.calls(hotline, service) == "hung up"
    assert registrations(conn) == 0


@pytest.mark.parametrize(
    ("keyed", "said"),
    [
        ("573555014#", "too short"),
        ("57355501429#", "too long"),
        ("1234567#", "too short"),
        ("911#", "too short"),
        ("2115550142#", "service such as 9 1 1"),
        ("5739111234#", "service such as 9 1 1"),
        ("5735551212#", "service such as 9 1 1"),
        ("9005550142#", "cost extra"),
        ("5739761234#", "cost extra"),
        ("8005550142#", "toll-free"),
        ("0005550142#", "no telephone in the united states"),
        ("5731550142#", "no telephone in the united states"),
        ("4165550142#", "no telephone in the united states"),
        ("#", "we did not get that"),
        ("", "we did not get that"),
    ],
)
def test_a_telephone_number_that_cannot_be_called_is_refused_with_its_reason(
    keyed: str, said: str, caller: Caller, service: Service
):
    press(caller, TO_THE_PIN[:4])
    caller.hears("telephone number where").presses(keyed).hears(said)
    caller.hears("telephone number where").presses("5735550142#").hears("you entered").hangs_up()
    caller.calls(hotline, service)


def test_the_one_before_the_area_code_is_taken_off(caller: Caller, service: Service):
    press(caller, TO_THE_PIN[:4])
    caller.hears("telephone number where").presses("15735550142#").hears("you entered")
    caller.hears("five").hears("seven").hears("three").hangs_up()
    caller.calls(hotline, service)
    assert "one" not in caller.heard


def test_a_number_that_was_heard_wrong_can_be_entered_again(caller: Caller, service: Service):
    press(caller, TO_THE_PIN[:4])
    caller.hears("telephone number where").presses("5735550143#").hears("if this is right").presses("2")
    press(caller, TO_THE_PIN[-3:]).hears("make up a pin").hangs_up()
    caller.calls(hotline, service)


def test_a_star_in_the_middle_clears_the_entry_and_asks_again(caller: Caller, service: Service):
    caller.hears("press 2").presses("2").hears("offender number").presses("999*")
    caller.hears("offender number").presses("100234#").hears("John Smith").hangs_up()
    caller.calls(hotline, service)


def test_pins_that_differ_are_asked_for_again(caller: Caller, service: Service, conn: psycopg.Connection):
    press(caller, TO_THE_END[:-2]).hears("same four digits").presses("2581").hears("not the same")
    press(caller, TO_THE_END[-3:]).hears("you are registered").hangs_up()
    caller.calls(hotline, service)
    assert registrations(conn) == 1


def test_a_pound_after_the_pin_belongs_to_the_pin(caller: Caller, service: Service, conn: psycopg.Connection):
    press(caller, TO_THE_PIN).hears("make up a pin").presses("2580#").hears("same four digits").presses("2580#")
    caller.hears("ask for your pin first").presses("1").hears("you are registered").hangs_up()
    caller.calls(hotline, service)
    assert registrations(conn) == 1


def test_too_few_digits_of_a_pin_are_refused(caller: Caller, service: Service):
    press(caller, TO_THE_PIN).hears("make up a pin").presses("25#").hears("too short")
    caller.hears("make up a pin").hangs_up()
    caller.calls(hotline, service)


def test_an_unknown_offender_number_is_said_to_be_unknown_and_the_operator_is_offered(caller: Caller, service: Service):
    caller.hears("press 2").presses("2")
    for _ in range(2):
        caller.hears("offender number").presses("999#").hears("found nobody")
    caller.hears("offender number").presses("999#").hears("5 7 3, 5 5 5, 0 1 0 0").hears("goodbye")
    assert caller.calls(hotline, service) == "gave up"


def test_who_presses_nothing_is_offered_a_person_and_told_goodbye(caller: Caller, service: Service):
    caller.hears("press 1").hears("did not get").hears("press 1").hears("did not get").hears("press 1")
    caller.hears("to reach a person").hears("goodbye")
    assert caller.calls(hotline, service) == "gave up"


def test_zero_tells_how_to_reach_a_person_and_the_question_comes_again(caller: Caller, service: Service):
    caller.hears("press 1").presses("0").hears("to reach a person").hears("press 2").presses("2")
    caller.hears("offender number").presses("0#").hears("to reach a person").hears("offender number").hangs_up()
    caller.calls(hotline, service)


def test_nine_goes_back_to_the_menu_and_within_a_number_it_is_a_digit(
    caller: Caller, service: Service, jail: Callable[..., Offender]
):
    jail("9", "NINA", "NOVAK")
    jail("909", "PAUL", "PETERS")
    caller.hears("press 2").presses("2").hears("offender number").presses("9#")
    caller.hears("to find a person").presses("2").hears("offender number").presses("909#")
    caller.hears("Paul Peters").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize("status", ["released", "escaped", "on furlough"])
def test_of_someone_out_of_custody_callers_hear_that_they_may_be_free(
    status: str, caller: Caller, service: Service, jail: Callable[..., Offender]
):
    jail("77", "RICK", "ROE", status=status)
    caller.hears("press 2").presses("2").hears("offender number").presses("77#")
    caller.hears("Rick Roe").hears("assume that this person is free").hangs_up()
    caller.calls(hotline, service)


def test_a_change_between_hearing_and_registering_is_told_at_once(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    released = Custody("released", "Boone County Jail", NOON)
    press(caller, TO_THE_END[:-1]).hears("ask for your pin first")
    caller.meanwhile(lambda: custody.update(conn, smith.id, smith.person, released, now=NOON)).presses("1")
    caller.hears("there is news").hears("was released").hears("you are registered").hears("will not be told").hangs_up()
    caller.calls(hotline, service)


def test_without_a_voice_the_status_is_spelled_and_callers_can_register_all_the_same(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    caller.no_voice = True
    caller.hears("press 2").presses("2").hears("offender number").presses("100234#").hears("We spell it")
    press(caller, TO_THE_END[2:]).hears("you are registered").hears("we will call you from").hangs_up()
    caller.calls(hotline, service)
    assert (
        "We cannot say the name now. We spell it. S M I T H is in custody. To be safe, assume that this person is free."
    ) in " ".join(caller.heard)
    assert registrations(conn) == 1


def test_without_a_voice_a_key_interrupts_the_spelling(caller: Caller, service: Service):
    caller.no_voice = True
    caller.hears("press 2").presses("2").hears("offender number").presses("100234#")
    caller.hears("We spell it").hears("S").presses("13").hears("telephone number where").hangs_up()
    caller.calls(hotline, service)
    assert "M" not in caller.heard


def test_without_a_voice_the_facilitys_number_is_spelled(caller: Caller, service: Service):
    caller.no_voice = True
    press(caller, TO_THE_STATUS).hears("to be called").presses("2").hears("telephone number of the facility is")
    for digit in ["five", "seven", "three", "five", "five", "five", "zero", "one", "one", "one"]:
        caller.hears(digit)
    caller.hears("to be called").hangs_up()
    caller.calls(hotline, service)


def test_without_a_voice_nobody_is_told_a_facilitys_number_that_is_not_known(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    custody.update(conn, smith.id, smith.person, Custody("released", "Elsewhere", NOON), now=NOON)
    caller.no_voice = True
    caller.hears("press 2").presses("2").hears("offender number").presses("100234#")
    caller.hears("was released.").hears("assume that this person is free").hears("to be called").presses("2")
    caller.hears("do not have the telephone number").hangs_up()
    caller.calls(hotline, service)
