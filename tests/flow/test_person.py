"""Zero, and the end of a long call."""

from dataclasses import replace
from datetime import time

import pytest

from agi.hotline import hotline
from agi.notify import notify
from agi.service import Service
from movans.settings import Hours, Trunk
from tests.flow.conftest import Clock
from tests.flow.telephone import LONGEST, Caller

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
