"""Zero, and the end of a long call."""

from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta

import psycopg
import pytest

from agi.hotline import hotline
from agi.notify import APOLOGY, notify
from agi.service import Service
from movans.settings import Hours, Trunk
from tests.conftest import NOON
from tests.flow.conftest import Clock
from tests.flow.telephone import LONGEST, Caller, Sometimes
from tests.flow.test_hotline import TO_THE_END, press
from tests.flow.test_register import proof_calls

WEEK = Hours.model_validate({"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "until": "17:00"})
NIGHT = Hours.model_validate({"days": ["fri"], "from": "20:00", "until": "06:00"})


def with_trunk(service: Service, **operator: object) -> Service:
    settings = service.settings
    desk = settings.operator.model_copy(update=operator)
    trunks = {"main": Trunk(host="pbx", lines=4, rate=2), "spare": Trunk(host="spare", lines=4, rate=2)}
    return replace(service, settings=settings.model_copy(update={"trunks": trunks, "operator": desk}))


def test_zero_rings_a_person_and_the_call_ends_with_their_conversation(caller: Caller, service: Service):
    caller.answers = True
    caller.hears("to find a person").presses("0").hears("we connect you")
    assert caller.calls(hotline, with_trunk(service)) == "hung up"
    assert caller.connected == ["PJSIP/5735550100@trunk-main"]


@pytest.mark.parametrize(("down", "trunk"), [({"main"}, "spare"), ({"main", "spare"}, "main")])
def test_the_person_is_rung_by_a_trunk_that_answers(caller: Caller, service: Service, down: set[str], trunk: str):
    caller.answers = True
    caller.hears("to find a person").presses("0").hears("we connect you")
    caller.calls(hotline, replace(with_trunk(service), down=lambda: down))
    assert caller.connected == [f"PJSIP/5735550100@trunk-{trunk}"]


def test_nobody_answers_and_the_caller_is_back_at_the_menu(caller: Caller, service: Service):
    caller.hears("to find a person").presses("0").hears("we connect you").hears("nobody answers")
    caller.hears("to find a person").hangs_up()
    caller.calls(hotline, with_trunk(service, dial="100"))
    assert caller.connected == ["PJSIP/100@trunk-main"]


def test_zero_within_a_question_leads_to_a_person_too(caller: Caller, service: Service):
    caller.hears("to find a person").presses("2").hears("offender number").presses("0#").hears("nobody answers")
    caller.hears("offender number").hangs_up()
    caller.calls(hotline, with_trunk(service))


def test_outside_the_hours_nobody_is_rung_and_a_crisis_line_is_named(caller: Caller, service: Service, clock: Clock):
    clock.now = clock.now.replace(hour=4)
    caller.hears("to find a person").presses("0").hears("nobody is there").hears("to find a person").hangs_up()
    caller.calls(hotline, with_trunk(service, hours=WEEK))
    assert "8 0 0, 5 5 5, 0 1 9 9" in " ".join(caller.heard)
    assert caller.connected == []


def deadline(conn: psycopg.Connection) -> timedelta:
    (found,) = conn.execute("select deadline from call_attempt").fetchall()
    return found[0] - NOON


def passes(clock: Clock, minutes: int) -> Callable[[], None]:
    return lambda: setattr(clock, "now", NOON + timedelta(minutes=minutes))


def test_zero_on_a_call_out_rings_a_person_and_it_is_not_called_again_while_they_talk(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.answers = True
    caller.hears("PIN now").presses("0#").hears("we connect you")
    assert caller.calls(notify, with_trunk(service), ringing) == "hung up"
    assert caller.connected == ["PJSIP/5735550100@trunk-main"]
    assert deadline(conn) == timedelta(hours=1) + APOLOGY
    assert conn.execute("select state from notification").fetchall() == [("open",)]


def test_nobody_answers_and_who_was_called_is_back_at_the_question_with_time_for_it(
    caller: Caller, service: Service, conn: psycopg.Connection, clock: Clock, ringing: int
):
    caller.hears("PIN now").presses("0#").hears("we connect you").meanwhile(passes(clock, 4)).hears("nobody answers")
    caller.hears("PIN now").meanwhile(passes(clock, 8)).presses("2580").hears("confirmed")
    caller.calls(notify, with_trunk(service), ringing)
    assert deadline(conn) == timedelta(minutes=4) + service.settings.calls.longest + APOLOGY


def test_who_was_called_and_whose_call_counts_as_lost_is_connected_with_nobody(
    caller: Caller, service: Service, clock: Clock, ringing: int
):
    caller.hears("PIN now").meanwhile(passes(clock, 60)).presses("0#")
    assert caller.calls(notify, with_trunk(service), ringing) == "gave up"
    assert caller.connected == []
    assert "PIN now" in caller.heard[-1]


def test_while_the_database_is_away_who_was_called_is_told_the_persons_number(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    away = Sometimes(conn)
    caller.hears("PIN now").meanwhile(away.goes).presses("0#").hears("to reach a person, call 5 7 3")
    caller.hears("PIN now").meanwhile(away.comes_back).presses("2580").hears("confirmed")
    caller.calls(notify, replace(with_trunk(service), db=away), ringing)
    assert caller.connected == []


@pytest.mark.usefixtures("smith")
def test_the_call_for_a_proof_waits_while_the_caller_talks_with_a_person(
    caller: Caller, service: Service, conn: psycopg.Connection, clock: Clock
):
    waits: list[list[timedelta]] = []

    def rung(after: int) -> Callable[[], None]:
        def note() -> None:
            waits.append(proof_calls(conn))
            passes(clock, after)()

        return note

    caller.answers = True
    press(caller, TO_THE_END).hears("just hang up").presses("0").hears("we connect you").meanwhile(rung(20))
    caller.calls(hotline, with_trunk(service))
    assert waits == [[timedelta(hours=1)]]
    assert proof_calls(conn) == [timedelta(minutes=20)]


@pytest.mark.parametrize(("hour", "says"), [(18, "to reach a person"), (4, "if you need somebody to talk to now")])
@pytest.mark.usefixtures("smith")
def test_who_cannot_go_on_is_told_how_to_reach_a_person_or_at_night_a_crisis_line(
    hour: int, says: str, caller: Caller, service: Service, clock: Clock
):
    clock.now = clock.now.replace(hour=hour)
    caller.hears("to find a person").presses("4")
    for _ in range(3):
        caller.hears("number that you left").presses("5735550142#").hears("four digit PIN").presses("1470")
        caller.hears("do not belong together")
    caller.hears("we cannot go on with this here").hears(says).hears("goodbye")
    assert caller.calls(hotline, with_trunk(service, hours=WEEK)) == "gave up"
    assert "understand" not in " ".join(caller.heard)


@pytest.mark.parametrize(
    ("hours", "day", "at", "there"),
    [
        (WEEK, 20, time(8), True),  # a Friday
        (WEEK, 20, time(7, 59), False),
        (WEEK, 20, time(17), False),
        (WEEK, 21, time(12), False),
        (NIGHT, 20, time(19, 59), False),
        (NIGHT, 20, time(20), True),
        (NIGHT, 21, time(5, 59), True),
        (NIGHT, 21, time(6), False),
        (NIGHT, 21, time(20), False),
        (NIGHT, 20, time(5), False),
    ],
)
def test_hours_are_those_of_the_services_clock(
    hours: Hours, day: int, at: time, *, there: bool, service: Service, clock: Clock
):
    zone = service.settings.service.zone
    local = clock.now.astimezone(zone).replace(day=day, hour=at.hour, minute=at.minute)
    assert service.settings.operator.model_copy(update={"hours": hours}).is_there(local, zone) is there


MINUTE = "one more minute"


def test_the_last_minute_of_a_call_is_announced_once(caller: Caller, service: Service):
    caller.hears("to find a person").presses("2").later(LONGEST - 59).hears(MINUTE).hears("offender number").presses(
        "*"
    )
    caller.hears("offender number").hangs_up()
    caller.calls(hotline, service)
    assert [words for words in caller.heard if MINUTE in words] == ["This call can last one more minute."]


def test_the_last_minute_is_announced_until_it_was_heard(caller: Caller, service: Service):
    caller.hears("to find a person").presses("2").later(LONGEST - 59).hears(MINUTE).presses("*")
    caller.hears(MINUTE).hears("offender number").hangs_up()
    caller.calls(hotline, service)


def test_the_last_minute_is_announced_in_the_middle_of_long_news(caller: Caller, service: Service, ringing: int):
    caller.hears("custody notification line").later(LONGEST - 59).hears(MINUTE).hears("John Smith was released")
    caller.hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ringing)


def test_after_a_person_was_rung_the_call_may_last_as_long_as_any(caller: Caller, service: Service):
    caller.hears("to find a person").presses("0").later(LONGEST - 61).hears("nobody answers")
    caller.hears("to find a person").later(LONGEST + 1).presses("2").hears("offender number").hangs_up()
    caller.calls(hotline, with_trunk(service))
    assert MINUTE not in " ".join(caller.heard)
