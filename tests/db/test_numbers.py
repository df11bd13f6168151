"""What refusals add up to: a number that is given up, a trunk that is not believed, calls that are taken for spam."""

from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from db import attempts
from db.numbers import BLOCKED, NO_SUCH_NUMBER
from dialer.outcome import finish
from movans.settings import Outbound
from tests.conftest import KEYS, NOON, SETTINGS

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
Register = Callable[..., int]
Happens = Callable[..., int]


@pytest.fixture
def call(shared: psycopg.Connection) -> Callable[..., None]:
    """Everybody who waits is called at once, and every call becomes the same."""

    def every(outcome: str | None, refused_as: str | None = None, *, after: timedelta, trunk: str = "east") -> None:
        at = NOON + after
        shared.execute("update notification set next_call_at = %s where next_call_at is not null", [at])
        for attempt_id in attempts.claim(
            shared, trunks={trunk: Outbound(lines=100, rate=1000)}, host="here", begin_within=MINUTE, now=at
        ):
            attempts.begin(shared, KEYS, attempt_id, end_within=HOUR, now=at)
            if outcome is None:
                attempts.answered(shared, attempt_id, now=at)
            finish(shared, attempt_id, outcome, "", refused_as=refused_as, settings=SETTINGS, now=at)

    return every


def alerts(conn: psycopg.Connection) -> list[str]:
    """The keys of those that are not over."""
    return [key for (key,) in conn.execute("select key from alert where over_at is null order by id")]


def handed_over(conn: psycopg.Connection) -> int:
    row = conn.execute("select count(*) from notification where handed_over_at is not null").fetchone()
    assert row
    return row[0]


def test_a_number_that_does_not_exist_goes_to_a_person_after_three_calls_in_a_row(
    shared: psycopg.Connection, register: Register, happens: Happens, call: Callable[..., None]
):
    register("5735550142")
    happens()
    call("failed", NO_SUCH_NUMBER, after=HOUR)
    call("failed", NO_SUCH_NUMBER, after=2 * HOUR)
    call("congestion", after=3 * HOUR)  # says nothing of the number
    assert (handed_over(shared), alerts(shared)) == (0, [])
    call("failed", NO_SUCH_NUMBER, after=4 * HOUR)
    assert handed_over(shared) == 1
    said = dict(shared.execute("select key, says from alert order by id").fetchall())
    assert list(said) == ["no such number: registrant 1", "notification 1"]
    assert "cannot be called" in said["no such number: registrant 1"]
    assert "5550142" not in "".join(said.values())


def test_a_call_that_rings_in_between_begins_the_count_anew(
    shared: psycopg.Connection, register: Register, happens: Happens, call: Callable[..., None]
):
    register("5735550142")
    happens()
    for hour, (outcome, refused_as) in enumerate(
        [("failed", NO_SUCH_NUMBER), ("failed", NO_SUCH_NUMBER), ("no answer", None), ("failed", NO_SUCH_NUMBER)]
    ):
        call(outcome, refused_as, after=hour * HOUR)
    assert (handed_over(shared), alerts(shared)) == (0, [])


def test_of_the_next_event_it_is_tried_once_and_goes_to_a_person_at_once(
    shared: psycopg.Connection, register: Register, happens: Happens, call: Callable[..., None]
):
    register("5735550142")
    happens()
    for hour in range(3):
        call("failed", NO_SUCH_NUMBER, after=hour * HOUR)
    happens("returned", status="in custody")
    call("failed", NO_SUCH_NUMBER, after=4 * HOUR)
    assert shared.execute("select next_call_at from notification where state = 'open'").fetchall() == [(None,)]
    assert alerts(shared)[-1] == "notification 2"  # of which a person has not heard yet


def test_when_somebody_picks_up_there_the_alert_is_over(
    shared: psycopg.Connection, register: Register, happens: Happens, call: Callable[..., None]
):
    register("5735550142")
    happens()
    for hour in range(3):
        call("failed", NO_SUCH_NUMBER, after=hour * HOUR)
    happens("returned", status="in custody")
    call(None, after=4 * HOUR)
    assert "no such number: registrant 1" not in alerts(shared)


def test_another_telephone_of_the_registrant_is_still_called(
    shared: psycopg.Connection, register: Register, happens: Happens, call: Callable[..., None]
):
    register("5735550142")
    shared.execute("update telephone set place = 2")
    shared.execute(
        """insert into telephone (registrant_id, place, number_hash, number_cipher, key_id, proven_at)
           select registrant_id, 1, %s, number_cipher, key_id, proven_at from telephone""",
        [KEYS.hash("5735550143")],
    )
    happens()
    for hour in range(3):
        call("failed", NO_SUCH_NUMBER, after=hour * HOUR)  # the first
        call("no answer", after=hour * HOUR)  # the second
    assert (handed_over(shared), alerts(shared)) == (0, [])


def test_a_sudden_share_on_one_trunk_is_an_alert_about_the_trunk_and_gives_up_no_number(
    shared: psycopg.Connection, register: Register, happens: Happens, call: Callable[..., None]
):
    for line in range(10):
        register(f"57355501{line:02}")
    happens()
    for minute in range(3):
        call("failed", NO_SUCH_NUMBER, after=minute * MINUTE)
    assert handed_over(shared) == 0
    assert alerts(shared) == ["no such number: trunk east"]
    call("failed", NO_SUCH_NUMBER, after=12 * MINUTE)
    assert handed_over(shared) == 0
    call("no answer", after=23 * MINUTE)
    assert alerts(shared) == []
    shared.execute("update notification set state = 'closed', ended_at = %s, next_call_at = null where id > 1", [NOON])
    for hour in range(1, 4):  # what it said meanwhile does not count
        assert handed_over(shared) == 0
        call("failed", NO_SUCH_NUMBER, after=hour * HOUR)
    assert handed_over(shared) == 1


def test_as_many_among_more_that_ring_are_believed(
    shared: psycopg.Connection, register: Register, happens: Happens, call: Callable[..., None]
):
    for line in range(10):
        register(f"57355501{line:02}")
    happens()
    call("no answer", after=MINUTE)
    call("failed", NO_SUCH_NUMBER, after=2 * MINUTE)
    assert alerts(shared) == []


def test_calls_that_are_taken_for_spam_are_told_once_and_anew_after_a_day_without(
    shared: psycopg.Connection, register: Register, happens: Happens, call: Callable[..., None]
):
    register("5735550142")
    happens()
    told = []
    for after, refused_as in ((HOUR, BLOCKED), (2 * HOUR, BLOCKED), (20 * HOUR, None), (27 * HOUR, None)):
        shared.execute("update notification set handed_over_at = null, next_call_at = %s where state = 'open'", [NOON])
        call("failed" if refused_as else "no answer", refused_as, after=after)
        told.append(alerts(shared))
    assert told == [["blocked as spam: trunk east"]] * 3 + [[]]
    assert shared.execute("select count(*) from alert").fetchone() == (1,)
