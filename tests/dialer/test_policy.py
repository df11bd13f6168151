"""What the policy makes of events, on a real database: first calls, holding and joining, hours, and who takes over."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import psycopg
import pytest

from db import alerts, attempts, notifications, overview
from db.custody import Offender
from dialer import policy
from dialer.outcome import finish
from movans.settings import OfKind, Settings
from tests.conftest import NOON, SETTINGS, TRUNKS

Register = Callable[..., int]
Happens = Callable[..., int]

HOUR = timedelta(hours=1)
NIGHT = NOON + 10 * HOUR  # ten in the evening in Missouri
MORNING = NOON + 19 * HOUR  # seven
HELD = {"transferred": {"hold": "08:00:00"}}


def with_kinds(kinds: Mapping[str, Mapping[str, object]]) -> Settings:
    of_kind = {kind: OfKind.model_validate(own) for kind, own in kinds.items()}
    return SETTINGS.model_copy(update={"policy": SETTINGS.policy.model_copy(update={"kinds": of_kind})})


def planned(shared: psycopg.Connection) -> list[tuple[str, int, datetime]]:
    """What is open: its kind, its priority, its next call."""
    return shared.execute(
        """select kind, priority, next_call_at from notification join custody_event e on e.id = event_id
           where notification.state = 'open' order by notification.id"""
    ).fetchall()


def dial(shared: psycopg.Connection, at: datetime) -> list[int]:
    with shared.transaction():
        policy.keep_hours(shared, SETTINGS, now=at)
        return list(attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=timedelta(seconds=20), now=at))


def test_a_critical_event_is_called_at_once_at_any_hour_and_a_routine_one_in_the_morning(
    shared: psycopg.Connection, register: Register, happens: Happens
):
    register("5735550142")
    happens("escaped", at=NIGHT)
    assert planned(shared) == [("escaped", 1, NIGHT)]
    shared.execute("update notification set state = 'closed', ended_at = %s, next_call_at = null", [NIGHT])
    happens("transferred", status="in custody", at=NIGHT)
    assert planned(shared) == [("transferred", 2, MORNING)]


def test_what_is_untold_is_told_to_nobody(shared: psycopg.Connection, register: Register, happens: Happens):
    register("5735550142")
    happens("listed", status="in custody")
    assert planned(shared) == []


def test_an_agencys_own_time_zone_counts(shared: psycopg.Connection, register: Register, happens: Happens):
    western = SETTINGS.agencies["boone"].model_copy(update={"time_zone": "America/Los_Angeles"})
    settings = SETTINGS.model_copy(update={"agencies": SETTINGS.agencies | {"boone": western}})
    register("5735550142")
    happens("transferred", status="in custody", at=MORNING, settings=settings)
    assert planned(shared) == [("transferred", 2, MORNING + 2 * HOUR)]


def test_a_kind_may_be_different_from_its_class(shared: psycopg.Connection, register: Register, happens: Happens):
    register("5735550142")
    happens("transferred", at=NIGHT, settings=with_kinds({"transferred": {"priority": 1, "hours": None}}))
    assert planned(shared) == [("transferred", 1, NIGHT)]


def test_transfers_that_are_held_are_joined_into_one_call_when_the_first_ones_time_has_come(
    shared: psycopg.Connection, register: Register, happens: Happens
):
    register("5735550142")
    early = NOON - 5 * HOUR
    happens("transferred", status="in custody", at=early, settings=with_kinds(HELD))
    latest = happens("transferred", status="in custody", at=early + 3 * HOUR, settings=with_kinds(HELD))
    assert planned(shared) == [("transferred", 2, early + 8 * HOUR)]
    assert dial(shared, early + 8 * HOUR - timedelta(seconds=1)) == []
    (attempt,) = dial(shared, early + 8 * HOUR)
    assert [news.event_id for news in notifications.waiting(shared, attempt, now=early + 8 * HOUR)] == [latest]


def test_a_transfer_after_the_hold_is_held_by_itself(shared: psycopg.Connection, register: Register, happens: Happens):
    register("5735550142")
    early = NOON - 5 * HOUR
    happens("transferred", status="in custody", at=early, settings=with_kinds(HELD))
    shared.execute("update notification set state = 'confirmed', ended_at = %s, next_call_at = null", [NOON])
    happens("transferred", status="in custody", at=early + 4 * HOUR, settings=with_kinds(HELD))
    assert planned(shared) == [("transferred", 2, early + 12 * HOUR)]


def test_what_supersedes_something_critical_waits_no_longer_than_that_would_have(
    shared: psycopg.Connection, register: Register, happens: Happens
):
    register("5735550142")
    happens("returned", status="in custody", at=NIGHT)
    (attempt,) = dial(shared, NIGHT)
    finish(shared, attempt, "busy", "", settings=SETTINGS, now=NIGHT)
    happens("transferred", status="in custody", at=NIGHT + timedelta(minutes=1), settings=with_kinds(HELD))
    assert planned(shared) == [("transferred", 1, NIGHT + HOUR / 2)]
    (attempt,) = dial(shared, NIGHT + HOUR / 2)
    finish(shared, attempt, "busy", "", settings=with_kinds(HELD), now=NIGHT + HOUR / 2)
    assert planned(shared) == [("transferred", 1, NIGHT + HOUR)]


def test_what_supersedes_something_that_was_handed_over_is_called_by_its_own_policy_and_staff_still_know(
    shared: psycopg.Connection, register: Register, happens: Happens
):
    register("5735550142")
    happens("returned", status="in custody")
    (attempt,) = dial(shared, NOON)
    finish(shared, attempt, "busy", "", settings=SETTINGS, now=NOON + 58 * HOUR)
    happens("transferred", status="in custody", at=NOON + 58 * HOUR)
    assert planned(shared) == [("transferred", 2, NOON + 67 * HOUR)]
    (item,) = overview.for_staff(shared, now=NOON + 58 * HOUR)
    assert (item.kind, item.handed_over_at) == ("transferred", None)


def test_what_is_held_comes_along_with_a_call_about_something_else_and_its_own_first_call_still_comes(
    shared: psycopg.Connection, register: Register, happens: Happens
):
    register("5735550142")
    happens("released")
    happens("transferred", late=True, settings=with_kinds(HELD))
    (attempt,) = dial(shared, NOON)
    assert len(notifications.waiting(shared, attempt, now=NOON)) == 2
    finish(shared, attempt, "no answer", "", settings=SETTINGS, now=NOON)
    assert planned(shared) == [("released", 1, NOON + HOUR / 2), ("transferred", 2, NOON + 8 * HOUR)]


def test_what_waited_for_a_line_until_its_hours_were_over_is_called_in_the_morning_and_what_is_critical_at_once(
    shared: psycopg.Connection, register: Register, happens: Happens
):
    register("5735550142")
    happens("transferred", at=NOON + 8 * HOUR)
    assert dial(shared, NIGHT) == []
    assert planned(shared) == [("transferred", 2, MORNING)]
    happens("escaped", late=True, at=NOON + 8 * HOUR)
    assert len(dial(shared, NIGHT)) == 1


def test_what_waited_until_the_time_for_calling_was_up_is_handed_over(
    shared: psycopg.Connection, register: Register, happens: Happens
):
    register("5735550142")
    happens("transferred", at=NOON + 8 * HOUR)
    shared.execute("update notification set give_up_at = %s", [NIGHT])
    assert dial(shared, NIGHT) == []
    (alert,) = alerts.still(shared)
    assert alert.key.startswith("notification ")


def test_the_second_phase_waits_longer_and_after_it_staff_take_over(
    shared: psycopg.Connection, register: Register, happens: Happens
):
    """All the calls about a release, as nobody picks up."""
    register("5735550142")
    happens("released")
    called = []
    while due := planned(shared)[0][2]:
        (attempt,) = dial(shared, due)
        finish(shared, attempt, "no answer", "", settings=SETTINGS, now=due)
        called.append((due - NOON) / HOUR)
    assert called == [*(half / 2 for half in range(49)), *range(26, 49, 2)]
    handed_over = shared.execute("select handed_over_at from notification").fetchall()
    assert handed_over == [(NOON + 48 * HOUR,)]


@pytest.mark.parametrize(("then", "told"), [("alert", 1), ("report", 0)])
def test_staff_are_told_at_once_or_find_it_when_they_look(
    then: str, told: int, shared: psycopg.Connection, register: Register, happens: Happens, offender: Offender
):
    settings = with_kinds({"released": {"then": then}})
    registration = register("5735550142")
    happens("released", settings=settings)
    (attempt,) = dial(shared, NOON)
    finish(shared, attempt, "no answer", "", settings=settings, now=NOON + 48 * HOUR)
    said = [alert.says for alert in alerts.still(shared)]
    assert len(said) == told
    for sentence in said:
        assert f"(released, boone {offender.number}) was not confirmed, and is no longer called" in sentence
        assert "555" not in sentence
    assert registration
