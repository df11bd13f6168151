"""Alerts: told once, over once, and what is raised of notifications."""

from collections.abc import Callable
from datetime import timedelta

import psycopg

from db import alerts, notifications, overview
from tests.conftest import KEYS, NOON

HOUR = timedelta(hours=1)


def keys(shared: psycopg.Connection) -> list[str]:
    return [alert.key for alert in alerts.still(shared)]


def test_the_same_is_raised_again_only_when_it_was_over(shared: psycopg.Connection):
    assert alerts.add(shared, "trunk main", "It is down.", now=NOON)
    assert not alerts.add(shared, "trunk main", "It is still down.", now=NOON)
    assert alerts.over(shared, "trunk main", now=NOON)
    assert not alerts.over(shared, "trunk main", now=NOON)
    assert alerts.add(shared, "trunk main", "It is down again.", now=NOON)
    assert [alert.says for alert in alerts.still(shared)] == ["It is down again."]


def test_what_is_untold_is_found_the_oldest_first_until_it_was_told_or_is_over(shared: psycopg.Connection):
    for minute, key in enumerate(("one", "two", "three", "four")):
        alerts.add(shared, key, f"{key}.", now=NOON + timedelta(minutes=minute))
    found = alerts.untold(shared, most=3, now=NOON)
    assert [alert.key for alert in found] == ["one", "two", "three"]
    alerts.told(shared, found[0].id, now=NOON)
    alerts.over(shared, "two", now=NOON)
    assert [alert.key for alert in alerts.untold(shared, most=3, now=NOON)] == ["three", "four"]
    assert [alert.key for alert in alerts.untold(shared, most=3, but=[found[2].id], now=NOON)] == ["four"]
    assert keys(shared) == ["one", "three", "four"]


def test_what_is_over_before_anybody_was_told_is_told_all_the_same_where_it_is_asked_for(shared: psycopg.Connection):
    alerts.add(shared, "refused: x", "One.", again_every=HOUR, now=NOON)
    assert alerts.over(shared, "refused: x", told_first=True, now=NOON)
    (alert,) = alerts.untold(shared, most=3, now=NOON)
    alerts.told(shared, alert.id, now=NOON)
    assert keys(shared) == []
    alerts.add(shared, "refused: x", "One.", again_every=HOUR, now=NOON)
    assert alerts.over(shared, "refused: x", told_first=True, now=NOON)
    assert not alerts.add(shared, "refused: x", "One.", again_every=HOUR, now=NOON)  # it goes on after all
    (alert,) = alerts.untold(shared, most=3, now=NOON)
    alerts.told(shared, alert.id, now=NOON)
    assert keys(shared) == ["refused: x"]
    assert alerts.over(shared, "refused: x", told_first=True, now=NOON)
    assert keys(shared) == []


def test_those_of_other_names_are_over_and_no_others_whatever_signs_a_name_has(shared: psycopg.Connection):
    for key in ("drop: x_y: a", "drop: x_y: b", "drop: x-y: a", "trunk a at h1", "trunk b at h1", "trunk b at h12"):
        alerts.add(shared, key, "It is wrong.", now=NOON)
    alerts.only(shared, "drop: x_y: %s", ["b"], now=NOON)
    alerts.only(shared, "trunk %s at h1", ["a"], now=NOON)
    assert keys(shared) == ["drop: x_y: b", "drop: x-y: a", "trunk a at h1", "trunk b at h12"]


def test_what_is_critical_and_unconfirmed_is_raised_once_after_two_hours_while_calls_go_on(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens("escaped")
    assert alerts.unconfirmed(shared, now=NOON + 2 * HOUR - timedelta(seconds=1)) == 0
    assert alerts.unconfirmed(shared, now=NOON + 2 * HOUR) == 1
    (alert,) = alerts.still(shared)
    assert alert.is_of_notification
    assert "(escaped, boone 100234) is not confirmed yet, and calls go on" in alert.says
    assert alerts.end(shared, alert.id, now=NOON + 3 * HOUR)
    assert alerts.unconfirmed(shared, now=NOON + 3 * HOUR) == 0  # a person has seen it
    (item,) = overview.for_staff(shared, now=NOON + 3 * HOUR)
    assert (item.kind, item.handed_over_at, item.next_call_at) == ("escaped", None, NOON)
    assert [overview.masked(KEYS, *sealed) for sealed in zip(item.ciphers, item.key_ids, strict=True)] == [
        "•••-•••-••42"
    ]


def test_what_is_routine_is_not_raised_while_calls_go_on(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens("transferred", status="in custody")
    assert alerts.unconfirmed(shared, now=NOON + 40 * HOUR) == 0
    assert overview.for_staff(shared, now=NOON + 40 * HOUR) == []


def test_a_handed_over_one_is_raised_anew_and_over_when_it_has_ended(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens("escaped")
    (notification,) = shared.execute("select id from notification").fetchone() or (0,)
    alerts.unconfirmed(shared, now=NOON + 2 * HOUR)
    notifications.hand_over(shared, notification, alert=True, now=NOON + 48 * HOUR)
    assert keys(shared) == [f"notification {notification}"]
    assert alerts.unconfirmed(shared, now=NOON + 48 * HOUR) == 0
    alerts.add(shared, "trunk main", "It is down.", now=NOON)
    assert alerts.settle(shared, now=NOON + 49 * HOUR) == 0
    registrant = notifications.close(shared, notification, now=NOON + 50 * HOUR)
    assert registrant
    assert notifications.state(shared, notification) == "closed"
    assert keys(shared) == ["trunk main"]
    assert notifications.close(shared, notification, now=NOON + 50 * HOUR) is None


def test_what_was_confirmed_after_all_needs_nobody_any_more(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    event = happens("escaped")
    alerts.unconfirmed(shared, now=NOON + 2 * HOUR)
    (registrant,) = shared.execute("select id from registrant").fetchone() or (0,)
    assert notifications.confirm(shared, registrant, [event], now=NOON + 3 * HOUR) == 1
    assert alerts.settle(shared, now=NOON + 3 * HOUR) == 1
    assert keys(shared) == []
