"""What a PIN costs who guesses it: five tries a day, wherever they are made, and no word that tells them apart."""

from datetime import timedelta

import psycopg
import pytest

from agi.hotline import hotline
from agi.service import Service
from db import guard, proofs, registrants
from db.custody import Offender
from tests import people
from tests.conftest import KEYS, NOON
from tests.flow.conftest import Clock
from tests.flow.telephone import Caller
from tests.flow.test_hotline import TO_THE_END, press
from tests.flow.test_manage import NOBODY, comes_back
from tests.flow.test_register import NUMBER, again

DAY = timedelta(days=1)
OTHER = "5735550143"
GUESSES = ("1470", "1471", "1472", "1473", "1474")


@pytest.fixture
def her(conn: psycopg.Connection, smith: Offender) -> int:
    """Somebody who has proven her telephone, with the PIN 2580."""
    done = people.register(conn, KEYS, number=NUMBER, offender_id=smith.id, now=NOON - DAY - timedelta(hours=1))
    assert done.registrant_id
    return done.registrant_id


@pytest.fixture
def withheld(caller: Caller) -> Caller:
    caller.caller = ""
    return caller


def registers(caller: Caller, pin: str, number: str = NUMBER) -> Caller:
    keys = {f"{NUMBER}#": f"{number}#", "2580": pin}
    return press(again(caller), tuple((words, keys.get(key, key)) for words, key in TO_THE_END)).hears("just hang up")


def enters(caller: Caller, number: str) -> Caller:
    """Another telephone, once that is asked for."""
    caller.hears("telephone number where").presses(f"{number}#").hears("if this is right").presses("1")
    return caller.hears("directly").presses("1")


def heard_after(caller: Caller, words: str) -> list[str]:
    """All of it since then, with the number that was read back left out."""
    begin = next(at for at, said in enumerate(caller.heard) if words in said)
    digits = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
    return [said for said in caller.heard[begin:] if said not in digits]


def telephones(conn: psycopg.Connection, registrant_id: int) -> int:
    return len(
        conn.execute("select from telephone where registrant_id = %s and ended_at is null", [registrant_id]).fetchall()
    )


def bars(conn: psycopg.Connection, smith: Offender, number: str) -> None:
    for day in range(3):
        people.leave(conn, KEYS, number=number, pin=f"147{day}", offender_id=smith.id, now=NOON - 9 * DAY)
        proofs.refuse(conn, KEYS.hash(number), now=NOON + (day - 9) * DAY)


def locks(conn: psycopg.Connection, number: str) -> None:
    for _ in range(5):
        guard.count_wrong_pin(conn, KEYS.hash(number), now=NOON)


def test_registering_with_one_pin_after_another_locks_what_can_be_managed_and_registers_all_the_same(
    withheld: Caller, service: Service, conn: psycopg.Connection, her: int
):
    heard = []
    for at, pin in enumerate((*GUESSES, "2580"), start=3):
        enters(registers(withheld, pin).presses("2"), f"573555014{at}").hears("noted that telephone")
        withheld.hears("just hang up").hangs_up()
        withheld.calls(hotline, service)
        heard.append(heard_after(withheld, "Welcome"))
    assert all(words == heard[0] for words in heard)
    assert telephones(conn, her) == 1
    assert conn.execute("select count(*) from registration").fetchone() == (6,)
    for pin in (*GUESSES, "2580"):
        comes_back(again(withheld), pin=pin).hears(NOBODY).hangs_up()
        withheld.calls(hotline, service)


@pytest.mark.usefixtures("her")
def test_what_was_guessed_in_the_same_call_counts_and_the_right_pin_is_no_one_after_five(
    withheld: Caller, service: Service
):
    for pin in GUESSES:
        registers(withheld, pin).presses("9").hears("to find a person").hangs_up()
        withheld.calls(hotline, service)
    comes_back(registers(withheld, "2580").presses("9")).hears(NOBODY).hangs_up()
    withheld.calls(hotline, service)


@pytest.mark.usefixtures("her")
def test_five_pins_that_were_left_lock_a_number_whether_it_was_registered_or_not(withheld: Caller, service: Service):
    for number in (NUMBER, OTHER):
        for pin in GUESSES:
            registers(withheld, pin, number).hangs_up()
            withheld.calls(hotline, service)
        comes_back(again(withheld), number, GUESSES[0]).hears(NOBODY).hangs_up()
        withheld.calls(hotline, service)


@pytest.mark.usefixtures("her")
def test_pins_that_were_left_while_it_was_locked_are_no_free_tries_a_day_later(
    withheld: Caller, service: Service, conn: psycopg.Connection, smith: Offender, clock: Clock
):
    locks(conn, NUMBER)
    left = [f"147{digit}" for digit in range(7)]
    for pin in left:
        people.leave(conn, KEYS, number=NUMBER, pin=pin, offender_id=smith.id, now=NOON)
    clock.now = NOON + DAY + timedelta(minutes=1)
    for pin in left:
        says = "not confirmed yet" if pin in left[:5] else NOBODY
        comes_back(again(withheld), pin=pin).hears(says).hangs_up()
        withheld.calls(hotline, service)


def test_who_registers_for_several_people_is_not_locked_out(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    """Each in the same call, with what was entered once."""
    registers(caller, "2580")
    for _ in range(4):
        press(caller.presses("1"), (("to find a person", "2"), ("offender number", f"{smith.number}#")))
        press(caller, (("to be called", "1"), ("of both", "3"), ("same telephone", "1"))).hears("just hang up")
    enters(caller.presses("2"), OTHER).hears("noted that telephone").hears("just hang up").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select count(*) from telephone").fetchone() == (2,)
    comes_back(again(caller)).hears("test call").hangs_up()
    caller.calls(hotline, service)


def test_who_shares_a_locked_number_is_registered_there_with_a_pin_of_their_own(
    caller: Caller, service: Service, conn: psycopg.Connection, her: int
):
    locks(conn, NUMBER)
    registers(caller, "1470").hangs_up()
    caller.calls(hotline, service)
    found = registrants.find(conn, KEYS, KEYS.hashes(NUMBER), "1470")
    assert found not in (None, her)
    assert conn.execute("select from registration where registrant_id = %s", [found]).fetchall()
    assert conn.execute("select from proof where state = 'open'").fetchall()


@pytest.mark.usefixtures("her")
def test_somebody_elses_pin_is_not_found_by_changing_ones_own_to_one_after_another(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    people.register(conn, KEYS, number=OTHER, pin="1357", offender_id=smith.id, now=NOON - 2 * DAY)
    mine = registrants.find(conn, KEYS, KEYS.hashes(OTHER), "1357")
    assert mine
    assert registrants.add_telephone(conn, KEYS, mine, number=NUMBER, pin="1357", prove_at=NOON, now=NOON - 2 * DAY)
    comes_back(caller, OTHER, "1357")
    for pin in GUESSES:
        caller.hears("press 4").presses("4").hears("change your PIN, press 3").presses("3")
        caller.hears("make up a PIN").presses(pin).hears("same four digits").presses(pin).hears("is changed")
    caller.hears("press 4").presses("4").hears("change your PIN, press 3").presses("3")
    for pin in ("2580", "1475"):
        caller.hears("make up a PIN").presses(pin).hears("same four digits").presses(pin).hears("easy to guess")
    caller.hears("make up a PIN").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("her")
def test_unknown_wrong_locked_and_barred_sound_alike_to_who_comes_back(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    numbers = {"unknown": OTHER, "wrong": NUMBER, "locked": "5735550144", "barred": "5735550145"}
    people.register(conn, KEYS, number=numbers["locked"], pin="1470", offender_id=smith.id, now=NOON)
    locks(conn, numbers["locked"])
    bars(conn, smith, numbers["barred"])
    heard = {}
    for what, number in numbers.items():
        comes_back(again(caller), number, "1470").hears(NOBODY).hears("number that you left").hangs_up()
        caller.calls(hotline, service)
        heard[what] = caller.heard.copy()
    assert all(words == heard["unknown"] for words in heard.values()), heard


@pytest.mark.parametrize("key", ["1", "2"], ids=["instead", "as well"])
@pytest.mark.usefixtures("her")
def test_free_taken_locked_and_barred_sound_alike_to_who_leaves_another_telephone(
    key: str, caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    numbers = {"taken": OTHER, "locked": "5735550144", "barred": "5735550145", "free": "5735550146"}
    people.register(conn, KEYS, number=numbers["taken"], offender_id=smith.id, now=NOON)
    locks(conn, numbers["locked"])
    bars(conn, smith, numbers["barred"])
    heard = {}
    for what, number in numbers.items():
        comes_back(again(caller)).hears("change your telephone").presses("4").hears("to add a telephone").presses(key)
        enters(caller, number).hears("we have noted that").hears("within ten minutes").hears("test call").hangs_up()
        caller.calls(hotline, service)
        heard[what] = heard_after(caller, "To be called at another number")
    assert all(words == heard["free"] for words in heard.values()), heard


def test_a_number_that_cannot_be_added_sounds_alike_to_who_has_just_registered(
    withheld: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    bars(conn, smith, OTHER)
    heard = []
    for number in (OTHER, "5735550146"):
        enters(registers(withheld, "2580").presses("2"), number).hears("noted that telephone").hears("just hang up")
        withheld.hangs_up()
        withheld.calls(hotline, service)
        heard.append(heard_after(withheld, "To look up another person"))
    assert heard[0] == heard[1]
    assert conn.execute("select count(*) from telephone where ended_at is null").fetchone() == (2,)
