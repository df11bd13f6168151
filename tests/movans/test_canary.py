"""The canary, with a clock and a dialer that a test plays."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest

from db import attempts, canary, hosts, overview
from dialer.outcome import finish
from movans.canary import AT_THE_LATEST, Missed, duty, fly
from tests.conftest import KEYS, NOON, SETTINGS, TRUNKS
from tests.db.conftest import database, shared  # noqa: F401  (fixtures)
from tests.flow.telephone import OneConnection

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class Chain:
    """Plays dialer, Asterisk and server, one step at each look, as far as the test lets it."""

    def __init__(self, conn: psycopg.Connection, steps: int) -> None:
        self.conn, self.left = conn, steps
        self.now = NOON
        self._way = self._steps()

    def __call__(self) -> datetime:
        return self.now

    def wait(self, _: float) -> None:
        self.now += SECOND
        if self.left:
            self.left -= 1
            next(self._way, None)

    def _steps(self) -> Iterator[None]:
        (attempt,) = attempts.claim(self.conn, trunks=TRUNKS, host="here", begin_within=HOUR, now=self.now)
        yield
        begun = attempts.begin(self.conn, KEYS, attempt, end_within=HOUR, now=self.now)
        assert begun
        assert begun.number == canary.EXTENSION
        yield
        answered = attempts.answered(self.conn, attempt, now=self.now)
        yield
        assert answered
        who = self.conn.execute("select id from registrant where canary").fetchone()
        assert who
        attempts.confirm(self.conn, attempt, who[0], [], now=self.now)
        yield
        finish(self.conn, attempt, None, "", settings=SETTINGS, now=self.now)


def flown(shared: psycopg.Connection, steps: int) -> list[tuple[str, timedelta]]:  # noqa: F811
    chain = Chain(shared, steps)
    return list(fly(OneConnection(shared), KEYS, "en", chain, chain.wait))


def test_each_step_of_its_way_is_told_with_its_time(shared: psycopg.Connection):  # noqa: F811
    way = flown(shared, 5)
    assert [what for what, _ in way] == [
        "claimed by the dialer of here",
        "dialled by Asterisk",
        "picked up, and the conversation begun",
        "PIN entered and confirmed",
        "said goodbye and hung up",
    ]
    assert {took for _, took in way} == {SECOND}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (0, "no dialer took the call"),
        (1, "which did not dial it"),
        (2, "the conversation did not begin"),
        (3, "the PIN was not heard"),
        (4, "the call did not end"),
    ],
)
def test_where_it_ends_is_said_and_it_is_given_up(steps: int, said: str, shared: psycopg.Connection):  # noqa: F811
    with pytest.raises(Missed, match=said):
        flown(shared, steps)
    assert shared.execute("select count(*) from proof where state = 'open'").fetchone() == (0,)


def test_it_stands_for_nobody(shared: psycopg.Connection):  # noqa: F811
    flown(shared, 5)
    canary.send(shared, KEYS, language="en", now=NOON)
    assert overview.waiting(shared, most=5) == overview.tried(shared, most=5) == []
    assert overview.load(shared, now=NOON) == overview.queues(shared, now=NOON) == []
    assert shared.execute("select count(*) from registrant where not canary").fetchone() == (0,)


def test_two_misses_in_a_row_are_told_until_one_comes_back(shared: psycopg.Connection):  # noqa: F811
    alerts: list[tuple[str, bool]] = []
    for minute in range(0, 40, 2):
        now = NOON + timedelta(minutes=minute)
        duty(shared, KEYS, language="en", every=timedelta(minutes=10), now=now)
        found = shared.execute("select says, over_at is null from alert").fetchone()
        alerts += [found] if found else []
        if minute == 30:
            who = shared.execute("select id from registrant where canary").fetchone()
            assert who
            (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=now)
            attempts.confirm(shared, attempt, who[0], [], now=now)
    sent = [at - NOON for (at,) in shared.execute("select created_at from proof order by id")]
    assert sent == [timedelta(minutes=minutes) for minutes in (0, 10, 20, 30)]
    assert alerts[0] == (
        "Two test calls in a row failed: no dialer took the call: see dial.log, and whether Asterisk runs.",
        True,
    )
    assert [there for _, there in alerts] == [True] * 10 + [False] * 4


def test_one_that_is_on_its_way_is_waited_for(shared: psycopg.Connection):  # noqa: F811
    for seconds in (0, 10, 59):
        duty(shared, KEYS, language="en", every=SECOND, now=NOON + seconds * SECOND)
    assert len(canary.flights(shared, most=5)) == 1
    duty(shared, KEYS, language="en", every=SECOND, now=NOON + AT_THE_LATEST)
    assert [flight.state for flight in canary.flights(shared, most=5)] == ["open", "given up"]


def canarys(conn: psycopg.Connection) -> int:
    (registrant_id,) = conn.execute("select id from registrant where canary").fetchone() or (0,)
    return registrant_id


def test_a_machine_that_misses_its_own_twice_is_told_though_another_takes_every_second(shared: psycopg.Connection):  # noqa: F811
    for host in ("good", "broken"):
        hosts.beat(shared, host, now=NOON)
    for turn in range(5):
        now = NOON + turn * HOUR
        duty(shared, KEYS, language="en", every=HOUR, now=now)
        host = ("good", "broken")[turn % 2]
        (attempt,) = attempts.claim(shared, trunks=TRUNKS, host=host, begin_within=HOUR, now=now)
        if host == "good":
            attempts.confirm(shared, attempt, canarys(shared), [], now=now)
        finish(shared, attempt, "lost", "", settings=SETTINGS, now=now)
    duty(shared, KEYS, language="en", every=HOUR, now=NOON + 5 * HOUR)
    (told,) = shared.execute("select says from alert where over_at is null").fetchone() or ("",)
    assert told.startswith("Two test calls in a row failed on the machine broken: ")
    hosts.leave(shared, "broken")
    later = NOON + 5 * HOUR
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="good", begin_within=HOUR, now=later)
    attempts.confirm(shared, attempt, canarys(shared), [], now=later)
    duty(shared, KEYS, language="en", every=HOUR, now=later)
    assert shared.execute("select says from alert where over_at is null").fetchall() == []
