"""Zero, and the end of a long call."""

from dataclasses import replace
from datetime import time

import pytest

from agi.hotline import hotline
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


def test_the_last_minute_of_a_call_is_announced_once(caller: Caller, service: Service):
    seconds = iter([0.0, 10.0, LONGEST - 59, LONGEST - 50, LONGEST - 40])
    caller.clock = lambda: next(seconds)
    caller.hears("to find a person").presses("2").hears("one more minute").hears("offender number").presses("*")
    caller.hears("offender number").hangs_up()
    caller.calls(hotline, service)
    assert [words for words in caller.heard if "one more minute" in words] == ["This call can last one more minute."]


def test_after_a_person_was_rung_the_call_may_last_as_long_as_any(caller: Caller, service: Service):
    seconds = iter([0.0, LONGEST - 61, LONGEST - 61, LONGEST + 1])
    caller.clock = lambda: next(seconds)
    caller.hears("to find a person").presses("0").hears("nobody answers").hears("to find a person").hangs_up()
    caller.calls(hotline, with_trunk(service))
    assert "one more minute" not in " ".join(caller.heard)
