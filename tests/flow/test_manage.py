"""Coming back with telephone number and PIN."""

from collections.abc import Callable
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
from tests.flow.test_register import NUMBER, again, proof_calls

DAY = timedelta(days=1)
NOBODY = "do not belong together"


@pytest.fixture
def registered(smith: Offender, register: Callable[..., None]) -> None:
    register(smith)


def comes_back(caller: Caller, number: str = NUMBER, pin: str = "2580") -> Caller:
    caller.hears("registered before, press 4").presses("4").hears("number that you left").presses(f"{number}#")
    return caller.hears("your four digit PIN").presses(pin)


def changes_number(caller: Caller, number: str) -> Caller:
    caller.hears("change your telephone").presses("4").hears("another number, press 1").presses("1")
    caller.hears("telephone number where").presses(f"{number}#").hears("if this is right").presses("1")
    return caller.hears("directly").presses("1").hears("noted that number")


def live(conn: psycopg.Connection) -> int:
    return len(conn.execute("select from registration where ended_at is null").fetchall())


@pytest.mark.usefixtures("registered")
def test_who_comes_back_hears_what_they_are_registered_for_and_ends_it(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    comes_back(caller).hears("end what you are registered for, press 2").presses("2")
    caller.hears("custody changes and court dates of John Smith").hears("to end it").presses("2").hears(
        "this has ended"
    ).hears("for a test call").hangs_up()
    caller.calls(hotline, service)
    assert live(conn) == 0


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"custody"}, "to be told of custody changes of"),
        ({"court"}, "to be told of court dates of"),
        ({"custody", "court"}, "to be told of custody changes and court dates of"),
    ],
)
def test_they_hear_what_each_registration_is_for(
    about: set[str], said: str, caller: Caller, service: Service, smith: Offender, register
):
    register(smith, about=about)
    for no_voice, name in ((False, "John Smith"), (True, "one person")):
        again(caller).no_voice = no_voice
        comes_back(caller).hears("press 2").presses("2").hears(f"{said} {name}.").hears("to keep this").hangs_up()
        caller.calls(hotline, service)


@pytest.mark.usefixtures("crowded")
def test_much_news_is_confirmed_a_part_at_a_time(caller: Caller, service: Service, conn: psycopg.Connection):
    comes_back(caller).hears("news that waits for you, press 1").presses("1").hears("Joe Crowd").hears("to confirm")
    caller.presses("1").hears("this is confirmed").hears("Kay Crowd").hears("to confirm").hangs_up()
    caller.calls(hotline, service)
    states = [state for (state,) in conn.execute("select state from notification")]
    assert sorted(states) == ["confirmed"] * 10 + ["open"] * 2


@pytest.mark.usefixtures("registered")
def test_all_can_be_ended_at_once(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    jail: Callable[..., Offender],
    register: Callable[..., None],
):
    register(jail("55", "JANE", "DOE"))
    comes_back(caller).hears("press 2").presses("2").hears("of John Smith").presses("1").hears("of Jane Doe").presses(
        "1"
    )
    caller.hears("to end all of them").presses("2").hears("all have ended").hangs_up()
    caller.calls(hotline, service)
    assert live(conn) == 0


@pytest.mark.usefixtures("registered")
def test_news_that_waits_is_heard_and_confirmed_and_no_call_comes(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender, happens: Callable[..., int]
):
    happens(smith, "released")
    comes_back(caller).hears("news that waits").presses("1").hears("John Smith was released")
    caller.hears("to confirm that you heard this").presses("1").hears("this is confirmed").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select state from notification").fetchall() == [("confirmed",)]


@pytest.mark.usefixtures("registered")
def test_news_that_was_cut_short_is_said_before_it_is_confirmed(
    caller: Caller, service: Service, smith: Offender, happens: Callable[..., int]
):
    happens(smith, "released")
    comes_back(caller).hears("news that waits").presses("1").hears("John Smith was released").presses("1")
    caller.hears("John Smith was released").hears("this is confirmed").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("registered")
def test_what_was_superseded_unheard_is_told_first_there_too(
    caller: Caller, service: Service, smith: Offender, happens: Callable[..., int]
):
    happens(smith, "escaped", "escaped", hour=1)
    happens(smith, "returned", "in custody", hour=2)
    comes_back(caller).hears("news that waits").presses("1").hears("what happened before").hears("John Smith escaped")
    caller.hears("now the latest").hears("taken into custody again").hears("to confirm").presses("1")
    caller.hears("this is confirmed").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("registered")
def test_news_is_spelled_and_confirmed_where_no_voice_speaks(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender, happens: Callable[..., int]
):
    happens(smith, "released")
    caller.no_voice = True
    comes_back(caller).hears("news that waits").presses("1").hears("we spell it").hears("was released")
    caller.hears("to confirm that you heard this").presses("1").hears("this is confirmed").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select state from notification").fetchall() == [("confirmed",)]


@pytest.mark.usefixtures("registered")
def test_news_that_was_settled_meanwhile_is_not_said_to_be_confirmed(
    caller: Caller, service: Service, smith: Offender, happens: Callable[..., int]
):
    happens(smith, "released")
    comes_back(caller).hears("news that waits").presses("1").hears("John Smith was released").hears("to confirm")
    caller.meanwhile(lambda: happens(smith, "returned", "in custody", hour=1)).presses("1")
    caller.hears("something newer has happened").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("registered")
def test_without_news_they_are_told_so(caller: Caller, service: Service):
    comes_back(caller).hears("news that waits").presses("1").hears("no news that waits").hears("test call").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize(("number", "pin"), [(NUMBER, "1470"), ("5735550143", "2580")])
@pytest.mark.usefixtures("registered")
def test_a_wrong_number_and_a_wrong_pin_sound_alike(number: str, pin: str, caller: Caller, service: Service):
    comes_back(caller, number, pin).hears(NOBODY).hears("number that you left").presses(f"{NUMBER}#")
    caller.hears("your four digit PIN").presses("2580").hears("for a test call").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("registered")
def test_three_wrong_ones_offer_a_person_and_end_the_call(caller: Caller, service: Service):
    comes_back(caller, pin="1470").hears(NOBODY)
    for _ in range(2):
        caller.hears("number that you left").presses(f"{NUMBER}#").hears("four digit PIN").presses("1470").hears(NOBODY)
    caller.hears("to reach a person").hears("goodbye")
    assert caller.calls(hotline, service) == "gave up"


@pytest.mark.parametrize("number", [NUMBER, "5735550143"])
@pytest.mark.usefixtures("registered")
def test_five_wrong_pins_lock_the_number_for_a_day_and_the_right_one_sounds_wrong_too(
    number: str, service: Service, conn: psycopg.Connection, caller: Caller, clock: Clock
):
    for _ in range(5):
        assert registrants.enter(conn, KEYS, number=number, pin="1470", now=NOON) is None
    comes_back(caller, number).hears(NOBODY).hangs_up()
    caller.calls(hotline, service)
    clock.now = NOON + DAY + timedelta(minutes=1)
    comes_back(again(caller), number).hears("test call" if number == NUMBER else NOBODY).hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("registered")
def test_a_lock_stops_no_call(conn: psycopg.Connection, smith: Offender, happens, ring: Callable[[], int]):
    for _ in range(5):
        registrants.enter(conn, KEYS, number=NUMBER, pin="1470", now=NOON)
    happens(smith, "released")
    assert ring()


@pytest.mark.usefixtures("registered")
def test_another_person_is_added_with_the_telephone_and_pin_that_were_entered(
    caller: Caller, service: Service, conn: psycopg.Connection, jail: Callable[..., Offender]
):
    jail("55", "JANE", "DOE")
    comes_back(caller).hears("another person, press 3").presses("3").hears("to find a person").presses("2")
    caller.hears("offender number").presses("55#")
    caller.hears("Jane Doe").hears("to be called").presses("1").hears("of both").presses("3")
    caller.hears("same telephone").presses("1")
    caller.hears("registered to be told about Jane Doe").hangs_up()
    caller.calls(hotline, service)
    assert live(conn) == 2
    assert conn.execute("select count(*) from registrant").fetchone() == (1,)


@pytest.mark.usefixtures("registered")
def test_the_number_is_changed_when_the_new_one_is_proven_and_that_is_called_for_its_proof(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    changes_number(comes_back(caller), "5735550143").hears("within ten minutes").hangs_up()
    caller.calls(hotline, service)
    registrant = registrants.find(conn, KEYS, KEYS.hashes("5735550143"), "2580")
    assert registrant == registrants.find(conn, KEYS, KEYS.hashes(NUMBER), "2580")
    assert proof_calls(conn) == [timedelta(0)]
    proofs.prove(conn, registrant or 0, KEYS.hash("5735550143"), now=NOON)
    assert registrants.find(conn, KEYS, KEYS.hashes("5735550143"), "2580") == registrant
    assert registrants.find(conn, KEYS, KEYS.hashes(NUMBER), "2580") is None
    assert proof_calls(conn) == []


@pytest.mark.usefixtures("registered")
def test_a_number_that_is_changed_twice_is_called_beside_the_one_that_was_proven_and_no_third(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    comes_back(caller)
    for number in ("5735550143", "5735550144"):
        changes_number(caller, number).hears("within ten minutes")
    caller.hangs_up()
    caller.calls(hotline, service)
    called = conn.execute("select number_hash from telephone where ended_at is null order by place").fetchall()
    assert called == [(KEYS.hash(NUMBER),), (KEYS.hash("5735550144"),)]
    assert proof_calls(conn) == [timedelta(0)]


@pytest.mark.usefixtures("registered")
def test_a_number_that_was_keyed_in_wrong_is_changed_back_and_the_wrong_one_is_called_no_more(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    comes_back(caller)
    for number in ("5735550143", NUMBER):
        changes_number(caller, number).hears("within ten minutes")
    caller.hangs_up()
    caller.calls(hotline, service)
    called = conn.execute("select number_hash from telephone where ended_at is null").fetchall()
    assert called == [(KEYS.hash(NUMBER),)]
    assert proof_calls(conn) == [timedelta(0)]


def test_a_number_that_was_never_proven_is_not_called_any_more_when_it_is_changed(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender, leave: Callable[..., None]
):
    leave(smith)
    changes_number(comes_back(caller), "5735550143").hangs_up()
    caller.calls(hotline, service)
    called = conn.execute("select number_hash from telephone where ended_at is null").fetchall()
    assert called == [(KEYS.hash("5735550143"),)]
    assert proof_calls(conn) == [timedelta(0)]


@pytest.mark.usefixtures("registered")
def test_who_ends_their_last_registration_is_not_called_for_a_proof_either(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    comes_back(caller).hears("test call, press 5").presses("5").hears("within ten minutes")
    caller.hears("end what you are registered for, press 2").presses("2").hears("to end it").presses("2")
    caller.hears("this has ended").hears("test call").hangs_up()
    caller.calls(hotline, service)
    assert proof_calls(conn) == []


@pytest.mark.usefixtures("registered")
def test_who_keeps_a_registration_is_still_called_for_the_proof(
    caller: Caller, service: Service, conn: psycopg.Connection, jail: Callable[..., Offender], register
):
    register(jail("55", "JANE", "DOE"))
    comes_back(caller).hears("test call, press 5").presses("5").hears("within ten minutes")
    caller.hears("end what you are registered for, press 2").presses("2").hears("to end it").presses("2")
    caller.hears("this has ended").hears("Jane Doe").presses("1").hears("test call").hangs_up()
    caller.calls(hotline, service)
    assert proof_calls(conn) == [timedelta(0)]


@pytest.mark.usefixtures("registered")
def test_a_number_where_somebody_has_the_same_pin_is_not_taken_and_nobody_hears_why(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender
):
    people.register(conn, KEYS, number="5735550143", offender_id=smith.id, now=NOON)
    changes_number(comes_back(caller), "5735550143").hears("within ten minutes").hangs_up()
    caller.calls(hotline, service)
    assert registrants.find(conn, KEYS, KEYS.hashes(NUMBER), "2580")
    assert proof_calls(conn) == []


@pytest.mark.usefixtures("registered")
def test_the_pin_is_changed(caller: Caller, service: Service, conn: psycopg.Connection):
    comes_back(caller).hears("your PIN, press 4").presses("4").hears("change your PIN, press 3").presses("3")
    caller.hears("make up a PIN").presses("1470").hears("same four digits").presses("1470").hears("is changed")
    caller.hangs_up()
    caller.calls(hotline, service)
    assert registrants.find(conn, KEYS, KEYS.hashes(NUMBER), "1470")
    assert registrants.find(conn, KEYS, KEYS.hashes(NUMBER), "2580") is None


@pytest.mark.usefixtures("registered")
def test_the_pin_of_somebody_else_at_the_same_telephone_is_refused_as_too_easy_and_counts_as_a_try(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender, register: Callable[..., None]
):
    register(smith, "1470")
    tried = "select count(*) - %s from wrong_pin"
    (before,) = conn.execute(tried, [0]).fetchone() or (0,)
    comes_back(caller).hears("press 4").presses("4").hears("change your PIN, press 3").presses("3")
    caller.hears("make up a PIN").presses("1470").hears("same four digits").presses("1470").hears("easy to guess")
    caller.hears("make up a PIN").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute(tried, [before]).fetchone() == (1,)


@pytest.mark.usefixtures("registered")
def test_a_test_call_comes_when_they_have_hung_up(caller: Caller, service: Service, conn: psycopg.Connection):
    comes_back(caller).hears("test call, press 5").presses("5").hears("within ten minutes").hangs_up()
    caller.calls(hotline, service)
    assert proof_calls(conn) == [timedelta(0)]


def test_who_is_not_proven_yet_hears_so(caller: Caller, service: Service, smith: Offender, leave: Callable[..., None]):
    leave(smith)
    comes_back(caller).hears("not confirmed yet").hears("test call").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("registered")
def test_nine_goes_back_to_the_choices(caller: Caller, service: Service):
    comes_back(caller).hears("press 4").presses("4").hears("change your PIN").presses("9").hears("test call")
    caller.presses("9").hears("to find a person").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.usefixtures("registered")
def test_a_test_call_and_another_telephone_do_not_say_that_nobody_is_registered(caller: Caller, service: Service):
    comes_back(caller).hears("test call, press 5").presses("5").hears("three such calls a day")
    for key in ("1", "2"):
        caller.hears("press 4").presses("4").hears("to add a telephone").presses(key)
        caller.hears("telephone number where").presses(f"573555014{key}#" if key == "1" else "5735550144#")
        caller.hears("if this is right").presses("1").hears("directly").presses("1").hears("three such calls a day")
    caller.hangs_up()
    caller.calls(hotline, service)
    assert "not registered" not in " ".join(caller.heard)


@pytest.mark.usefixtures("registered")
def test_who_has_three_telephones_is_told_so_and_one_that_is_to_replace_another_is_no_fourth(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    comes_back(caller)
    for key, number in (("1", "5735550143"), ("2", "5735550144"), ("2", "5735550145")):
        caller.hears("press 4").presses("4").hears("to add a telephone").presses(key)
        caller.hears("telephone number where").presses(f"{number}#").hears("if this is right").presses("1")
        caller.hears("directly").presses("1").hears("we have noted that")
    caller.hears("press 4").presses("4").hears("to add a telephone").presses("2").hears("you have three telephones")
    caller.hears("test call").hangs_up()
    caller.calls(hotline, service)
    assert conn.execute("select count(*) from telephone where ended_at is null").fetchone() == (4,)


@pytest.mark.usefixtures("registered")
def test_changing_the_number_counts_as_registering_from_that_telephone(
    caller: Caller, service: Service, conn: psycopg.Connection
):
    for _ in range(4):
        guard.note_registering(conn, KEYS.hash(caller.caller), now=NOON)
    comes_back(caller).hears("press 4").presses("4").hears("another number, press 1").presses("1")
    caller.hears("telephone number where").presses("5735550143#").hears("if this is right").presses("1")
    caller.hears("directly").presses("1").hears("noted that number")
    caller.hears("press 4").presses("4").hears("another number, press 1").presses("1").hears("too many numbers")
    caller.hears("test call").hangs_up()
    caller.calls(hotline, service)


@pytest.mark.parametrize("pin", ["0234", "0144"], ids=["an offender's", "a second telephone's"])
@pytest.mark.usefixtures("registered")
def test_a_new_pin_is_no_part_of_any_number_that_is_known_of_them(
    pin: str, caller: Caller, service: Service, conn: psycopg.Connection
):
    registrant = registrants.find(conn, KEYS, KEYS.hashes(NUMBER), "2580")
    assert registrant
    registrants.add_telephone(conn, KEYS, registrant, number="5735550144", pin="2580", prove_at=NOON, now=NOON)
    comes_back(caller).hears("press 4").presses("4").hears("change your PIN, press 3").presses("3")
    caller.hears("make up a PIN").presses(pin).hears("part of a number").hangs_up()
    caller.calls(hotline, service)
