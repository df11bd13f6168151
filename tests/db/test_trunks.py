"""By which trunk, in what order and how fast: what holds between racing dialers of several hosts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread

import psycopg
import pytest

from db import attempts, canary, custody, feed_runs, hosts
from db.custody import Custody, Person
from dialer import policy
from dialer.outcome import finish, refused_by_trunk
from movans.settings import Outbound
from tests import people
from tests.conftest import KEYS, NOON, SETTINGS, policy_that_waits, settings_for
from tests.db import DAY

SECOND = timedelta(seconds=1)
SOON = timedelta(seconds=20)
MANY = Outbound(lines=1000, rate=1000)
TWO = {"main": MANY, "spare": MANY}
WITH_TWO = SETTINGS.model_copy(update={"trunks": TWO})
AGAIN = SETTINGS.policy.critical.phases[0].again
CONGESTED = "SIP 503 Service Unavailable"


@pytest.fixture
def storm(shared: psycopg.Connection) -> Callable[..., list[int]]:
    """So many people are registered for one offender, who is let go; returns the notifications, as they were made."""
    told = 0

    def happens(count: int, *, at: datetime = NOON, kind: str = "released", priority: int = 1) -> list[int]:
        nonlocal told
        where = Custody("released", "Boone County Jail", at)
        with shared.transaction():
            offender = custody.add(shared, "boone", f"9{told}", Person("A", "", "B", None), where, now=at)
            for number in range(told, told + count):
                people.register(shared, KEYS, number=f"573555{number:04}", offender_id=offender.id, now=at)
            run = feed_runs.add(shared, "test.csv", "", "applied", now=at)
            event = custody.record(
                shared, offender.id, kind, where, source="boone", source_key=f"{told}", feed_run_id=run, now=at
            )
            policy.notify(shared, event, late=False, settings=SETTINGS, now=at)
            shared.execute("update notification set priority = %s where event_id = %s", [priority, event])
        told += count
        rows = shared.execute("select id from notification where event_id = %s order by id", [event])
        return [row[0] for row in rows.fetchall()]

    return happens


def claim(
    conn: psycopg.Connection,
    trunks: dict[str, Outbound] = TWO,
    now: datetime = NOON,
    host: str = "here",
    down: frozenset[str] = frozenset(),
) -> dict[int, datetime]:
    with conn.transaction():
        return attempts.claim(conn, trunks=trunks, host=host, begin_within=SOON, now=now, down=down)


def called(conn: psycopg.Connection, claimed: dict[int, datetime]) -> list[int]:
    """The notifications that these attempts carry, in the order of the calls."""
    return [
        row[0]
        for attempt in claimed
        for row in conn.execute("select notification_id from attempt_carries where attempt_id = %s", [attempt])
    ]


def by_trunk(conn: psycopg.Connection) -> list[str]:
    return [trunk for (trunk,) in conn.execute("select trunk from call_attempt order by id")]


def race(database: str, dialers: int, dial: Callable[[psycopg.Connection, str], None]) -> None:
    ready = Barrier(dialers)

    def run(host: str) -> None:
        with psycopg.connect(database, autocommit=True) as conn:
            ready.wait()
            dial(conn, host)

    threads = [Thread(target=run, args=[f"host {number}"]) for number in range(dialers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_racing_dialers_of_several_hosts_fill_the_lines_of_a_trunk_and_never_more(
    database: str, shared: psycopg.Connection, storm
):
    storm(30)
    most: list[int] = []

    def dial(conn: psycopg.Connection, host: str) -> None:
        for _ in range(8):
            mine = claim(conn, {"main": Outbound(lines=7, rate=1000)}, host=host)
            live = conn.execute(
                "select count(*) from call_attempt where state <> 'ended' and trunk = 'main'"
            ).fetchone()
            assert live
            most.append(live[0])
            for attempt in mine:
                with conn.transaction():
                    finish(conn, attempt, "busy", "SIP 486 Busy Here", settings=WITH_TWO, now=NOON)

    race(database, 4, dial)
    assert 0 < max(most) <= 7
    assert len(by_trunk(shared)) == 30


def test_racing_dialers_never_begin_more_calls_in_any_second_than_the_rate(
    database: str, shared: psycopg.Connection, storm
):
    storm(40)
    trunks = {"main": Outbound(lines=1000, rate=5)}

    def dial(conn: psycopg.Connection, host: str) -> None:
        for tick in range(24):  # six seconds
            claim(conn, trunks, NOON + tick * SECOND / 4, host)

    race(database, 4, dial)
    begun = [at for (at,) in shared.execute("select claimed_at from call_attempt order by claimed_at")]
    assert len(begun) >= 25
    for first in begun:
        assert sum(first <= at < first + SECOND for at in begun) <= 5
    assert min(after - before for before, after in pairwise(begun)) == SECOND / 5


def test_a_rate_below_one_is_kept_too(shared: psycopg.Connection, storm):
    storm(3)
    slow = {"main": Outbound(lines=10, rate=0.5)}
    counts = [len(claim(shared, slow, NOON + half * SECOND / 2)) for half in range(9)]
    assert sum(counts) == 3
    begun = [at - NOON for (at,) in shared.execute("select claimed_at from call_attempt order by claimed_at")]
    assert begun == [timedelta(0), 2 * SECOND, 4 * SECOND]


def test_a_clock_that_went_wrong_does_not_stop_all_calls_until_its_time(shared: psycopg.Connection, storm):
    storm(1, at=NOON)
    claim(shared, {"main": Outbound(lines=10, rate=1)}, NOON + timedelta(hours=1))
    storm(1, at=NOON)
    assert len(claim(shared, {"main": Outbound(lines=10, rate=1)}, NOON)) == 1


def test_the_lowest_priority_goes_first_then_first_calls_then_what_waits_longest(shared: psycopg.Connection, storm):
    (routine,) = storm(1, at=NOON - 3 * SECOND, priority=2)
    (repeated,) = storm(1, at=NOON - 2 * SECOND)
    first = claim(shared, {"main": Outbound(lines=1, rate=1000)}, NOON - 2 * SECOND)
    assert called(shared, first) == [repeated]  # the routine one, which waits longer, is second even so
    soon = settings_for(Path("/nowhere"), policy=policy_that_waits(dict.fromkeys(AGAIN, 1)))
    finish(shared, next(iter(first)), "busy", "SIP 486 Busy Here", settings=soon, now=NOON - 2 * SECOND)
    (younger,) = storm(1, at=NOON)
    (older,) = storm(1, at=NOON - SECOND)
    assert called(shared, claim(shared)) == [older, younger, repeated, routine]


def test_proofs_come_last(shared: psycopg.Connection, storm, offender: custody.Offender):
    people.leave(shared, KEYS, number="5735559999", offender_id=offender.id, now=NOON - DAY)
    (routine,) = storm(1, priority=2)
    claimed = claim(shared)
    assert called(shared, claimed) == [routine]
    assert shared.execute("select proof_id is null from call_attempt order by id").fetchall() == [(True,), (False,)]


def test_one_offenders_storm_holds_up_nobody_elses_first_call(shared: psycopg.Connection, storm):
    storm(20, at=NOON - SECOND)
    one_line = {"main": Outbound(lines=1, rate=1000)}
    busy = claim(shared, one_line)
    ((other,), (another,)) = storm(1), storm(1, at=NOON + SECOND)
    order: list[int] = []
    for _ in range(4):
        with shared.transaction():
            finish(shared, next(iter(busy)), "busy", "SIP 486 Busy Here", settings=WITH_TWO, now=NOON)
        busy = claim(shared, one_line, NOON + SECOND)
        order += called(shared, busy)
    assert order[:2] == [other, another]
    assert not {other, another} & set(order[2:])


def test_with_many_lines_the_offenders_take_turns(shared: psycopg.Connection, storm):
    storm(20, at=NOON - SECOND)
    others = storm(3)
    claimed = claim(shared, {"main": Outbound(lines=6, rate=1000)})
    assert [notification in others for notification in called(shared, claimed)] == [False, True] * 3


def test_a_call_that_the_first_trunk_refuses_is_made_by_the_second_at_once_and_counts_as_the_first(
    shared: psycopg.Connection, storm
):
    (notification,) = storm(1)
    (attempt,) = claim(shared)
    finish(shared, attempt, "congestion", CONGESTED, settings=WITH_TWO, now=NOON)
    row = shared.execute("select next_call_at, next_trunk, rung from notification").fetchone()
    assert row == (NOON, 2, False)
    (second,) = claim(shared)
    assert called(shared, {second: NOON}) == [notification]
    assert by_trunk(shared) == ["main", "spare"]
    finish(shared, second, "congestion", CONGESTED, settings=WITH_TWO, now=NOON)
    row = shared.execute("select next_call_at, next_trunk, rung from notification").fetchone()
    assert row == (NOON + AGAIN["congestion"], 1, False)


def test_what_the_telephone_itself_says_goes_to_no_other_trunk(shared: psycopg.Connection, storm):
    storm(1)
    (attempt,) = claim(shared)
    finish(shared, attempt, "busy", "SIP 486 Busy Here", settings=WITH_TWO, now=NOON)
    row = shared.execute("select next_call_at, next_trunk, rung from notification").fetchone()
    assert row == (NOON + AGAIN["busy"], 1, True)


@pytest.mark.parametrize(
    ("outcome", "cause", "refused"),
    [
        ("congestion", CONGESTED, True),
        ("failed", "SIP 403 Forbidden", True),
        ("failed", "SIP 500 Server Internal Error", True),
        ("failed", "", True),  # it could not be reached
        ("no answer", "", True),  # nor did it answer at all
        ("no answer", "SIP 180 Ringing", False),
        ("no answer", "SIP 480 Temporarily Unavailable", False),
        ("failed", "SIP 404 Not Found", False),
        ("failed", "SIP 603 Decline", False),
        ("busy", "SIP 486 Busy Here", False),
        ("not confirmed", "SIP 200 OK", False),
        ("lost", "Asterisk went away", False),
    ],
)
def test_a_refusal_of_the_trunk_is_told_from_one_of_the_telephone(outcome: str, cause: str, *, refused: bool):
    assert refused_by_trunk(outcome, cause) is refused


def test_a_trunk_that_is_down_is_left_for_the_second_and_tried_when_there_is_no_other(
    shared: psycopg.Connection, storm
):
    storm(1)
    claim(shared, down=frozenset({"main"}))
    storm(1)
    claim(shared, down=frozenset({"main", "spare"}))
    storm(1)
    claim(shared, {"main": MANY}, down=frozenset({"main"}))
    assert by_trunk(shared) == ["spare", "main", "main"]


def test_the_second_trunk_is_not_for_what_the_first_has_no_line_for(shared: psycopg.Connection, storm):
    storm(3)
    claim(shared, {"main": Outbound(lines=1, rate=1000), "spare": MANY})
    assert by_trunk(shared) == ["main"]


def test_a_proof_that_a_trunk_refuses_goes_to_the_second_too(shared: psycopg.Connection, offender: custody.Offender):
    people.leave(shared, KEYS, number="5735550142", offender_id=offender.id, now=NOON)
    (attempt,) = claim(shared)
    finish(shared, attempt, "failed", "SIP 403 Forbidden", settings=WITH_TWO, now=NOON)
    claim(shared)
    assert by_trunk(shared) == ["main", "spare"]


def test_what_a_host_that_went_away_had_not_begun_keeps_its_place(shared: psycopg.Connection, storm):
    one = {"main": Outbound(lines=1, rate=1000)}
    first, _ = storm(2)
    storm(1)
    (attempt,) = claim(shared, one, host="there")
    at = NOON + hosts.LEASE
    finish(shared, attempt, "lost", "its host went away", settings=WITH_TWO, now=at, keeps_place=True)
    assert called(shared, claim(shared, one, at)) == [first]


def test_what_it_had_begun_meanwhile_is_left_to_its_deadline(shared: psycopg.Connection, storm):
    storm(1)
    (attempt,) = claim(shared, host="there")
    at = NOON + timedelta(seconds=1)
    attempts.begin(shared, KEYS, attempt, end_within=DAY, now=at)
    lost = finish(shared, attempt, "lost", "its host went away", settings=WITH_TWO, now=at, keeps_place=True)
    assert lost is None
    assert shared.execute("select state from call_attempt where id = %s", [attempt]).fetchone() == ("dialling",)


def test_a_host_is_away_when_its_lease_is_over_and_not_when_it_left_in_order(shared: psycopg.Connection):
    hosts.beat(shared, "one", now=NOON)
    hosts.beat(shared, "two", now=NOON)
    hosts.beat(shared, "one", now=NOON + hosts.LEASE)
    assert hosts.away(shared, now=NOON + hosts.LEASE) == ["two"]
    hosts.leave(shared, "two")
    assert hosts.away(shared, now=NOON + hosts.LEASE) == []


def test_the_canary_takes_no_line_of_a_trunk_and_waits_for_none(shared: psycopg.Connection, storm):
    storm(3)
    one = {"main": Outbound(lines=1, rate=1000)}
    canary.send(shared, KEYS, language="en", now=NOON)
    assert len(claim(shared, one)) == 2
    assert sorted(by_trunk(shared)) == [canary.TRUNK, "main"]
    assert claim(shared, one) == {}
