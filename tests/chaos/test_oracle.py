"""The oracle finds each violation, and nothing where all is well."""

from dataclasses import replace

import pytest

from tests.chaos.oracle import Attempt, Notification, violations
from tests.chaos.telephones import Rang

NUMBER, OTHER = "5735550142", "5735550143"
TOLD = Notification(1, NUMBER, "confirmed", ended_at=130)
FAULT = 110
# Called, broken off by the fault, called again and confirmed.
FIRST = Rang(NUMBER, invited=100, answered=101, ended=115, heard_until=110)
SECOND = Rang(NUMBER, invited=120, answered=121, ended=131, heard_until=131)
LOST = Attempt(1, NUMBER, dialled_at=100, deadline=119, confirmed_at=None)
CONFIRMED = Attempt(2, NUMBER, dialled_at=120, deadline=150, confirmed_at=129)


def found(
    notification: Notification = TOLD,
    calls: tuple[Rang, ...] = (FIRST, SECOND),
    attempts: tuple[Attempt, ...] = (LOST, CONFIRMED),
    **more: bool,
) -> list[str]:
    return violations([notification], attempts, calls, fault_at=FAULT, **more)


def only(broken: list[str], words: str) -> None:
    assert len(broken) == 1, broken
    assert words in broken[0]


def test_called_again_after_the_fault_and_confirmed_is_well():
    assert found() == []


def test_confirmed_in_the_call_that_the_fault_met_is_well():
    assert found(replace(TOLD, ended_at=112), calls=(FIRST,), attempts=(replace(LOST, confirmed_at=112),)) == []


def test_confirmed_before_the_fault_needs_no_call():
    assert found(replace(TOLD, ended_at=109), calls=(FIRST,), attempts=()) == []


def test_still_open_and_called_after_the_fault_is_well():
    assert found(replace(TOLD, state="open", ended_at=None, is_called=True)) == []


def test_an_open_one_without_a_call_after_the_fault_is_forgotten():
    waiting = replace(TOLD, state="open", ended_at=None, is_called=True)
    only(found(waiting, calls=(FIRST,)), "no call came after it")
    only(found(waiting, calls=(FIRST, replace(SECOND, number=OTHER))), "no call came after it")


@pytest.mark.parametrize("state", ["closed", "superseded", "retracted", "registration ended"])
def test_each_end_that_design_names_is_one(state: str):
    assert found(replace(TOLD, state=state)) == []


def test_an_end_that_design_does_not_name_is_none():
    only(found(replace(TOLD, state="given up")), "ended as 'given up'")


def test_an_open_one_that_nobody_will_call_is_lost():
    only(found(replace(TOLD, state="open", ended_at=None)), "neither called again nor the staff's")
    assert found(replace(TOLD, state="open", ended_at=None, is_staffs=True)) == []


def test_two_calls_at_once_to_one_telephone():
    only(found(calls=(replace(FIRST, ended=121), SECOND)), "while its call of")
    only(found(calls=(replace(FIRST, ended=None), SECOND)), "while its call of")


def test_a_long_call_is_not_hidden_by_a_short_one_within_it():
    short, late = replace(FIRST, invited=102, ended=103), replace(FIRST, invited=112)
    broken = found(calls=(FIRST, short, late))
    assert ["while its call of 01:40.0" in each for each in broken] == [True, True]


def test_two_telephones_may_be_called_at_once():
    assert found(calls=(replace(FIRST, ended=121, number=OTHER), SECOND)) == []


def test_one_that_is_confirmed_is_not_called_again():
    third = Rang(NUMBER, invited=140, answered=None, ended=143)
    only(found(calls=(FIRST, SECOND, third)), "1 times after it had confirmed")


def test_a_confirmation_that_only_a_lost_journal_knows_may_cost_one_more_call():
    third, fourth = Rang(NUMBER, invited=140, ended=143), Rang(NUMBER, invited=150, ended=153)
    assert found(calls=(FIRST, SECOND, third), only_in_journal=True) == []
    only(found(calls=(FIRST, SECOND, third, fourth), only_in_journal=True), "2 times")


def test_who_waits_for_more_news_is_called_for_that():
    more = Notification(2, NUMBER, "open", None, is_called=True)
    third = Rang(NUMBER, invited=140, ended=143)
    assert violations([TOLD, more], [LOST, CONFIRMED], [FIRST, SECOND, third], fault_at=FAULT) == []


def test_a_process_that_wakes_past_the_deadline_confirms_nothing():
    only(found(attempts=(LOST, replace(CONFIRMED, confirmed_at=151))), "attempt 2 confirmed at")


def test_a_process_that_wakes_past_the_deadline_says_nothing():
    only(found(calls=(FIRST, replace(SECOND, heard_until=151))), "attempt 2 was heard until")
