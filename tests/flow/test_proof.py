"""The call that proves a telephone, and what is told on one that is not proven yet."""

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from agi.channel import KEYS as KEYPAD
from agi.channel import MissingSound
from agi.notify import notify
from agi.service import Service
from db import attempts, guard, proofs, registrants, staff
from db.custody import Offender
from dialer.outcome import finish
from prompts.catalogue import Catalogue, Utterance
from tests import people
from tests.conftest import KEYS, NOON, TRUNKS
from tests.flow.telephone import Caller

DAY = timedelta(days=1)
NUMBER = "5735550142"


@pytest.fixture
def left(smith: Offender, leave: Callable[..., None]) -> None:
    leave(smith)


def ends(conn: psycopg.Connection, service: Service, attempt_id: int, outcome: str | None = None) -> str | None:
    return finish(conn, attempt_id, outcome, "", settings=service.settings, now=NOON)


def proof(conn: psycopg.Connection) -> list[tuple[str, timedelta | None]]:
    rows = conn.execute("select state, next_call_at from proof order by id")
    return [(state, at and at - NOON) for state, at in rows]


def proven(conn: psycopg.Connection) -> bool:
    return conn.execute("select from telephone where proven_at is not null").fetchone() is not None


def due(conn: psycopg.Connection, after: timedelta = timedelta(0)) -> list[int]:
    return list(attempts.claim(conn, trunks=TRUNKS, host="here", begin_within=timedelta(seconds=20), now=NOON + after))


def registrations(conn: psycopg.Connection) -> int:
    return len(conn.execute("select from registration where ended_at is null").fetchall())


@pytest.mark.usefixtures("left")
def test_the_call_says_what_it_is_names_nobody_and_the_pin_proves_the_telephone(
    caller: Caller, service: Service, conn: psycopg.Connection, ring: Callable[[], int]
):
    attempt = ring()
    caller.hears("this is MOVANS").hears("somebody left this telephone number").hears("press 9 and then pound")
    caller.hears("PIN now").presses("2580").hears("your telephone is confirmed").hears("goodbye")
    assert caller.calls(notify, service, attempt) == "over"
    assert "Smith" not in " ".join(caller.heard)
    assert ends(conn, service, attempt) == "confirmed"
    assert proof(conn) == [("proven", None)]
    assert proven(conn)
    assert due(conn, DAY) == []


@pytest.mark.usefixtures("left")
def test_a_wrong_pin_proves_nothing_and_three_calls_are_made(
    caller: Caller, service: Service, conn: psycopg.Connection, ring: Callable[[], int]
):
    attempt = ring()
    for pin in ("1111", "2222", "3333"):
        caller.hears("PIN now").presses(pin)
    caller.hears("not confirmed").hears("goodbye")
    assert caller.calls(notify, service, attempt) == "gave up"
    assert ends(conn, service, attempt) == "not confirmed"
    assert proof(conn) == [("open", timedelta(hours=2))]
    for call in (2, 3):
        (attempt,) = due(conn, timedelta(hours=2))
        attempts.begin(conn, KEYS, attempt, end_within=timedelta(minutes=5), now=NOON)
        ends(conn, service, attempt, "no answer")
        assert proof(conn) == [("open", timedelta(minutes=30)) if call == 2 else ("given up", None)]
    assert registrations(conn) == 1


@pytest.mark.usefixtures("left")
def test_nine_twice_ends_what_nobody_there_asked_for(
    caller: Caller, service: Service, conn: psycopg.Connection, ring: Callable[[], int]
):
    attempt = ring()
    caller.hears("PIN now").presses("9#").hears("press 9 again").presses("9").hears(
        "will not call you about this again"
    )
    assert caller.calls(notify, service, attempt) == "over"
    ends(conn, service, attempt)
    assert proof(conn) == [("not wanted", None)]
    assert registrations(conn) == 0
    assert due(conn, DAY) == []


@pytest.mark.usefixtures("left")
def test_nine_twice_and_quickly_is_asked_about_as_once(
    caller: Caller, service: Service, conn: psycopg.Connection, ring: Callable[[], int]
):
    caller.hears("PIN now").presses("99").hears("press 9 again").presses("9").hears("will not call you about this")
    assert caller.calls(notify, service, ring()) == "over"
    assert proof(conn) == [("not wanted", None)]


class OneSoundIsMissing(Caller):
    def play(self, utterance: Utterance, keys: str = KEYPAD) -> str:
        if utterance.prompt == "proof":
            raise MissingSound("proof")
        return super().play(utterance, keys)


@pytest.mark.usefixtures("left")
def test_a_call_that_breaks_off_does_not_speak_of_news_that_there_is_not(
    english: Catalogue, service: Service, ring: Callable[[], int]
):
    caller = OneSoundIsMissing(english)
    caller.hears("this call must end. We will call you again")
    caller.calls(notify, service, ring())
    assert "news" not in " ".join(caller.heard)


def test_no_number_is_called_more_than_three_times_a_day_for_its_proof_whoever_leaves_it(
    service: Service, conn: psycopg.Connection, smith: Offender
):
    called = 0
    for turn in range(6):
        people.leave(conn, KEYS, number="5735550142", pin=f"258{turn}", offender_id=smith.id, now=NOON)
        for attempt in due(conn):
            attempts.begin(conn, KEYS, attempt, end_within=timedelta(minutes=5), now=NOON)
            ends(conn, service, attempt, "not confirmed")
            called += 1
    assert called == 3
    assert due(conn, timedelta(hours=23)) == []
    assert len(due(conn, timedelta(hours=25))) == 1


@pytest.mark.usefixtures("left")
def test_news_on_an_unproven_telephone_is_told_after_the_pin_which_proves_it_too(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    happens(smith, "released")
    attempt = ring()
    caller.hears("with a call that you asked for").hears("enter your PIN to hear it").hears("press 9 and then pound")
    caller.hears("PIN now").presses("2580").hears("John Smith was released").hears("confirmed")
    caller.calls(notify, service, attempt)
    ends(conn, service, attempt)
    assert proof(conn) == [("proven", None)]
    assert due(conn, DAY) == []


@pytest.mark.usefixtures("left")
def test_nine_twice_on_news_ends_the_unproven_and_leaves_the_proven_alone(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith, "1470")
    happens(smith, "released")
    attempt = ring()
    caller.hears("PIN now").presses("9#").hears("press 9 again").presses("9").hears("told our staff")
    caller.calls(notify, service, attempt)
    states = [state for (state,) in conn.execute("select state from notification order by id")]
    assert sorted(states) == ["open", "registration ended"]
    assert registrations(conn) == 1


@pytest.mark.parametrize("left_it", ["a new PIN", "a new number"])
def test_nine_twice_never_ends_what_was_proven_before_staff_set_a_pin_or_the_number_was_changed(
    left_it: str,
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
):
    register(smith)
    her = registrants.find(conn, KEYS, KEYS.hashes(NUMBER), "2580")
    assert her
    if left_it == "a new PIN":
        assert staff.set_pin(conn, KEYS, her, "1470", who="ann", now=NOON)
        number, says = NUMBER, "told our staff"
    else:
        number, says = "5735550143", "will not call you about this again"
        assert registrants.change_number(conn, KEYS, her, old=NUMBER, new=number, pin="2580", prove_at=NOON, now=NOON)
    (attempt,) = due(conn)
    begun = attempts.begin(conn, KEYS, attempt, end_within=timedelta(minutes=5), now=NOON)
    assert begun
    assert begun.number == number
    caller.hears("PIN now").presses("9#").hears("press 9 again").presses("9").hears(says)
    assert caller.calls(notify, service, attempt) == "over"
    assert registrations(conn) == 1
    called = conn.execute("select number_hash from telephone where ended_at is null").fetchall()
    assert called == [(KEYS.hash(NUMBER),)]
    told = conn.execute("select says from alert").fetchall()
    assert len(told) == (1 if left_it == "a new PIN" else 0)


def test_the_third_refusal_bars_a_number_which_staff_are_told_with_what_to_do(
    conn: psycopg.Connection, smith: Offender
):
    for day in range(3):
        people.leave(conn, KEYS, number=NUMBER, pin=f"147{day}", offender_id=smith.id, now=NOON)
        assert conn.execute("select from alert").fetchall() == []
        proofs.refuse(conn, KEYS.hash(NUMBER), now=NOON + day * DAY)
    ((says,),) = conn.execute("select says from alert where over_at is null").fetchall()
    assert "is barred" in says
    assert "movans registrant lift" in says
    assert NUMBER not in says
    guard.lift(conn, KEYS.hashes(NUMBER), now=NOON + 3 * DAY)
    assert conn.execute("select from alert where over_at is null").fetchall() == []


def test_a_bar_keeps_nobody_from_registering_more_who_has_proven_the_number(
    conn: psycopg.Connection, smith: Offender, jail: Callable[..., Offender], register: Callable[..., None]
):
    register(smith)
    for day in range(3):
        people.leave(conn, KEYS, number=NUMBER, pin=f"147{day}", offender_id=smith.id, now=NOON)
        proofs.refuse(conn, KEYS.hash(NUMBER), now=NOON + day * DAY)
    other = jail("55", "JANE", "DOE")
    for pin, registered in (("1473", 1), ("2580", 2)):
        people.leave(conn, KEYS, number=NUMBER, pin=pin, offender_id=other.id, now=NOON + 3 * DAY)
        assert registrations(conn) == registered


def test_who_has_another_telephone_is_called_there_instead_of_where_nobody_knows_them(
    service: Service, conn: psycopg.Connection, smith: Offender, register: Callable[..., None], happens
):
    register(smith)
    registrant = registrants.find(conn, KEYS, KEYS.hashes("5735550142"), "2580")
    assert registrant
    added = registrants.add_telephone(conn, KEYS, registrant, number="5735550143", pin="2580", prove_at=NOON, now=NOON)
    assert added
    proofs.refuse(conn, KEYS.hash("5735550143"), now=NOON)
    assert registrations(conn) == 1
    happens(smith, "released")
    (attempt,) = due(conn)
    begun = attempts.begin(conn, KEYS, attempt, end_within=timedelta(minutes=5), now=NOON)
    assert begun
    assert begun.number == "5735550142"
    ends(conn, service, attempt, "no answer")
    assert due(conn, timedelta(minutes=29)) == []
    assert len(due(conn, timedelta(minutes=31))) == 1
