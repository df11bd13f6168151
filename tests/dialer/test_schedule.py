"""When a telephone rings, and rings again, case by case. America/Chicago is at UTC-6, and at UTC-5 in summer."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dialer.schedule import NextCall, next_call, opening, plan, waits
from movans.settings import Daytime
from tests.conftest import SETTINGS

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
CHICAGO = ZoneInfo("America/Chicago")
CRITICAL, ROUTINE = SETTINGS.policy.critical, SETTINGS.policy.routine
HOUR = timedelta(hours=1)


def after(
    outcome: str,
    *,
    place: int = 1,
    places: int = 1,
    lost: int = 1,
    left: timedelta = 24 * HOUR,
    at: datetime = NOW,
    hours: Daytime | None = None,
) -> NextCall | None:
    return next_call(
        outcome,
        ended_at=at,
        place=place,
        places=places,
        lost_in_a_row=lost,
        give_up_at=at + left,
        again=CRITICAL.phases[0].again,
        hours=hours,
        zone=CHICAGO,
    )


def hours(since: str, until: str) -> Daytime:
    return Daytime.model_validate({"from": since, "until": until})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


WAITS = {
    "not confirmed": timedelta(hours=2),
    "machine": timedelta(hours=2),
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


DAY, NIGHT = hours("07:00", "21:00"), hours("21:00", "01:30")
OPENING: dict[str, tuple[Daytime | None, str, str]] = {
    "at any hour": (None, "2026-11-20 09:00:30", "2026-11-20 09:00:30"),
    "in the hours": (DAY, "2026-11-20 18:00:30", "2026-11-20 18:00:30"),
    "the moment they begin": (DAY, "2026-11-20 13:00", "2026-11-20 13:00"),
    "a moment before they begin": (DAY, "2026-11-20 12:59:59.9", "2026-11-20 13:00"),
    "the last moment": (DAY, "2026-11-21 02:59:59.9", "2026-11-21 02:59:59.9"),
    "the moment they end": (DAY, "2026-11-21 03:00", "2026-11-21 13:00"),
    "in the evening": (DAY, "2026-11-21 04:00:30", "2026-11-21 13:00"),
    "in the early morning": (DAY, "2026-11-20 08:00", "2026-11-20 13:00"),
    "on the last day of the year": (DAY, "2027-01-01 05:00", "2027-01-01 13:00"),
    "hours over midnight, before it": (NIGHT, "2026-11-21 05:00", "2026-11-21 05:00"),
    "hours over midnight, after it": (NIGHT, "2026-11-21 07:29", "2026-11-21 07:29"),
    "hours over midnight, ended": (NIGHT, "2026-11-21 07:30", "2026-11-22 03:00"),
    "a whole day": (hours("00:00", "00:00"), "2026-11-21 07:30", "2026-11-21 07:30"),
    "the night on which clocks go forward is an hour shorter": (DAY, "2026-03-08 05:00", "2026-03-08 12:00"),
    "the night on which clocks go back is an hour longer": (DAY, "2026-11-01 04:00", "2026-11-01 13:00"),
    "the evening after clocks went forward": (DAY, "2026-03-09 01:59", "2026-03-09 01:59"),
    "the end of the hours after clocks went forward": (DAY, "2026-03-09 02:00", "2026-03-09 12:00"),
    "the end of the hours after clocks went back": (DAY, "2026-11-02 03:00", "2026-11-02 13:00"),
    "a beginning that does not come": (hours("02:30", "05:00"), "2026-03-08 07:00", "2026-03-08 08:00"),
    "hours that do not come": (hours("02:10", "02:50"), "2026-03-08 07:00", "2026-03-09 07:10"),
    "an end that does not come": (hours("01:00", "02:30"), "2026-03-08 07:59", "2026-03-08 07:59"),
    "after an end that does not come": (hours("01:00", "02:30"), "2026-03-08 08:00", "2026-03-09 06:00"),
    "a beginning that comes twice, the first time": (hours("01:30", "03:00"), "2026-11-01 06:00", "2026-11-01 06:30"),
    "a beginning that comes twice, the second time": (hours("01:30", "03:00"), "2026-11-01 07:00", "2026-11-01 07:30"),
    "an end that comes twice, between": (NIGHT, "2026-11-01 06:30", "2026-11-01 07:00"),
    "an end that comes twice, the second time": (NIGHT, "2026-11-01 07:30", "2026-11-02 03:00"),
}


@pytest.mark.parametrize(("held", "at", "opens"), OPENING.values(), ids=OPENING)
def test_calls_begin_in_the_hours_of_a_local_clock(held: Daytime | None, at: str, opens: str):
    assert opening(held, CHICAGO, utc(at)) == utc(opens)


def test_the_clock_is_that_of_the_zone():
    at = utc("2026-11-20 13:30")
    assert opening(DAY, CHICAGO, at) == at
    assert opening(DAY, ZoneInfo("America/Denver"), at) == utc("2026-11-20 14:00")


FIRST = {
    "critical, at noon": (CRITICAL, "2026-11-20 18:00", "2026-11-20 18:00", 48),
    "critical, at night": (CRITICAL, "2026-11-20 08:00", "2026-11-20 08:00", 48),
    "routine, at noon": (ROUTINE, "2026-11-20 18:00", "2026-11-20 18:00", 48),
    "routine, at night": (ROUTINE, "2026-11-20 08:00", "2026-11-20 13:00", 48),
    "routine, on the night on which clocks go forward": (ROUTINE, "2026-03-08 05:00", "2026-03-08 12:00", 48),
    "held": (ROUTINE.model_copy(update={"hold": 8 * HOUR}), "2026-11-20 14:00", "2026-11-20 22:00", 48),
    "held until night": (ROUTINE.model_copy(update={"hold": 8 * HOUR}), "2026-11-20 22:00", "2026-11-21 13:00", 48),
    "one phase": (CRITICAL.model_copy(update={"phases": CRITICAL.phases[:1]}), NOW.isoformat(), NOW.isoformat(), 24),
}


@pytest.mark.parametrize(("rules", "made", "first", "calling"), FIRST.values(), ids=FIRST)
def test_the_first_call_is_held_and_in_the_hours_and_the_time_for_calling_counts_from_it(rules, made, first, calling):
    planned = plan(rules, zone=CHICAGO, now=utc(made))
    assert (planned.first_call_at, planned.give_up_at) == (utc(first), utc(first) + calling * HOUR)


def test_staff_are_told_so_long_after_the_first_call():
    assert plan(CRITICAL, zone=CHICAGO, now=NOW).staff_at == NOW + 2 * HOUR
    assert plan(ROUTINE, zone=CHICAGO, now=NOW).staff_at is None


@pytest.mark.parametrize(("since", "wait"), [(0, 0.5), (23.99, 0.5), (24, 2), (47.99, 2), (48, 2), (100, 2)])
def test_the_waits_are_those_of_the_phase_that_it_is(since: float, wait: float):
    assert waits(CRITICAL, first_call_at=NOW, at=NOW + since * HOUR)["no answer"] == wait * HOUR


HOURS: dict[str, tuple[str, int, str, NextCall | None]] = {
    "just before the end": ("busy", 1, "2026-11-21 02:29", NextCall(utc("2026-11-21 02:59"), 1)),
    "after the end": ("busy", 1, "2026-11-21 02:30", NextCall(utc("2026-11-21 13:00"), 1)),
    "the next telephone in the morning": ("busy", 2, "2026-11-21 03:01", NextCall(utc("2026-11-21 13:00"), 2)),
    "a lost call at the end": ("lost", 2, "2026-11-21 02:59:55", NextCall(utc("2026-11-21 13:00"), 1)),
    "a wait over the hour that does not come": ("machine", 1, "2026-03-08 06:59", NextCall(utc("2026-03-08 12:00"), 1)),
}


@pytest.mark.parametrize(("outcome", "places", "at", "following"), HOURS.values(), ids=HOURS)
def test_what_would_come_outside_the_hours_comes_when_they_begin(outcome, places, at, following):
    assert after(outcome, places=places, at=utc(at), hours=DAY) == following


def test_it_is_given_up_where_the_hours_begin_too_late():
    evening = utc("2026-11-21 02:45")
    assert after("busy", at=evening, hours=DAY, left=10 * HOUR) is None
    assert after("busy", at=evening, hours=DAY, left=11 * HOUR) == NextCall(utc("2026-11-21 13:00"), 1)


def test_a_wait_is_as_long_where_clocks_are_moved():
    assert after("machine", at=utc("2026-03-08 07:30")) == NextCall(utc("2026-03-08 09:30"), 1)
    assert after("machine", at=utc("2026-11-01 06:30")) == NextCall(utc("2026-11-01 08:30"), 1)
