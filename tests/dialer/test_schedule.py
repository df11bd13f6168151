"""When a telephone rings again, case by case."""

from datetime import UTC, datetime, timedelta

import pytest

from dialer.schedule import NextCall, next_call
from movans.settings import EXAMPLE, load

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
AGAIN = load(EXAMPLE).calls.again
HOUR = timedelta(hours=1)


def after(
    outcome: str, *, place: int = 1, places: int = 1, lost: int = 1, left: timedelta = 24 * HOUR
) -> NextCall | None:
    return next_call(
        outcome, ended_at=NOW, place=place, places=places, lost_in_a_row=lost, give_up_at=NOW + left, again=AGAIN
    )


WAITS = {
    "not confirmed": timedelta(hours=2),
    "busy": timedelta(minutes=30),
    "no answer": timedelta(minutes=30),
    "congestion": timedelta(minutes=5),
    "failed": timedelta(minutes=30),
    "lost": timedelta(seconds=10),
    "confirmed": timedelta(hours=2),  # of what was not heard in that call, or is another registrant's
}


@pytest.mark.parametrize(("outcome", "wait"), WAITS.items(), ids=WAITS)
def test_an_only_telephone_rings_again_after_the_outcomes_own_wait(outcome: str, wait: timedelta):
    assert after(outcome) == NextCall(NOW + wait, place=1)


@pytest.mark.parametrize(("lost", "wait"), [(1, 10), (2, 20), (3, 40), (6, 320), (10, 5120), (11, 7200), (1000, 7200)])
def test_calls_lost_in_a_row_come_twice_as_late_each_time_but_not_later_than_unconfirmed_ones(lost: int, wait: int):
    assert after("lost", lost=lost) == NextCall(NOW + timedelta(seconds=wait), place=1)


@pytest.mark.parametrize("outcome", sorted(WAITS.keys() - {"lost"}))
def test_a_round_goes_on_to_the_next_telephone_at_once(outcome: str):
    assert after(outcome, place=1, places=3) == NextCall(NOW, place=2)
    assert after(outcome, place=2, places=3) == NextCall(NOW, place=3)


@pytest.mark.parametrize(("outcome", "wait"), WAITS.items(), ids=WAITS)
def test_after_the_last_telephone_of_a_round_the_first_one_waits(outcome: str, wait: timedelta):
    assert after(outcome, place=3, places=3) == NextCall(NOW + wait, place=3 if outcome == "lost" else 1)


def test_a_lost_call_tries_the_same_telephone_again():
    assert after("lost", place=1, places=3) == NextCall(NOW + timedelta(seconds=10), place=1)


def test_a_telephone_that_is_no_more_begins_the_round_anew():
    assert after("busy", place=3, places=2) == NextCall(NOW + timedelta(minutes=30), place=1)


GIVEN_UP = {
    "the next call would be a moment too late": ("busy", 1, timedelta(minutes=29, seconds=59), False),
    "the next call is just in time": ("busy", 1, timedelta(minutes=30), True),
    "the time was up before the call ended": ("busy", 1, -HOUR, False),
    "the time was up and a lost call changes nothing": ("lost", 1, timedelta(seconds=9), False),
    "another telephone can still be tried at the last moment": ("busy", 2, timedelta(0), True),
    "no other telephone is tried when the time is up": ("busy", 2, timedelta(seconds=-1), False),
}


@pytest.mark.parametrize(("outcome", "places", "left", "goes_on"), GIVEN_UP.values(), ids=GIVEN_UP)
def test_when_the_time_for_calling_is_up_it_is_given_up(outcome: str, places: int, left: timedelta, goes_on: bool):  # noqa: FBT001
    assert (after(outcome, places=places, left=left) is not None) == goes_on
