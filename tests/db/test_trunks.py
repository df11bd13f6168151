"""By which trunk, in what order and how fast: what holds between racing dialers of several hosts."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from pathlib import Path
from random import Random
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


def begin(conn: psycopg.Connection, attempt: int, at: datetime) -> datetime:
    assert attempts.begin(conn, KEYS, attempt, end_within=DAY, now=at)
    return at


def most_in_a_second(times: Iterable[datetime]) -> int:
    times = sorted(times)
    return max(sum(first <= at < first + SECOND for at in times) for first in times)


@pytest.mark.parametrize("rate", [5, 2.5, 25])
def test_racing_dialers_never_begin_more_calls_in_any_second_than_the_rate(
    database: str, shared: psycopg.Connection, storm, rate: float
):
    """However long the way to a telephone is, one time or the other."""
    storm(160)
    trunks = {"main": Outbound(lines=1000, rate=rate)}
    together = Barrier(4)
    invited: list[datetime] = []

    def dial(conn: psycopg.Connection, host: str) -> None:
        way = Random(host)  # noqa: S311  no secret
        for tick in range(24):  # six seconds
            together.wait()
            now = NOON + tick * SECOND / 4
            for attempt, at in claim(conn, trunks, now, host).items():
                began = begin(conn, attempt, at - attempts.READY + way.expovariate(10) * SECOND)
                invited.append(max(at, began) + way.random() * attempts.SPREAD)

    race(database, 4, dial)
    assert most_in_a_second(invited) <= ceil(rate)
    assert len(invited) >= 0.75 * 6 * rate  # what it costs depends on whose turn it is when
    begun = sorted(at for (at,) in shared.execute("select claimed_at from call_attempt"))
    assert min(after - before for before, after in pairwise(begun)) >= SECOND / rate


def test_a_call_that_comes_late_holds_back_the_one_of_a_second_after_it(shared: psycopg.Connection, storm):
    storm(4)
    trunks = {"main": Outbound(lines=10, rate=2)}
    first, second = claim(shared, trunks)
    late = begin(shared, first, NOON + SECOND * 0.4)
    begin(shared, second, NOON + SECOND / 2)
    (at,) = claim(shared, trunks, NOON + SECOND * 1.1).values()
    assert at == late + SECOND + 2 * attempts.SPREAD


def test_what_nobody_begins_holds_the_others_back_no_longer_than_a_second(shared: psycopg.Connection, storm):
    storm(5)
    trunks = {"main": Outbound(lines=10, rate=2)}
    lost = claim(shared, trunks)
    assert len(lost) == 2
    assert claim(shared, trunks, NOON + SECOND) == {}
    assert list(claim(shared, trunks, NOON + 2 * SECOND).values()) == [NOON + 2 * SECOND + 2 * attempts.SPREAD]


def test_a_rate_below_one_is_kept_too(shared: psycopg.Connection, storm):
    storm(3)
    slow = {"main": Outbound(lines=10, rate=0.5)}
    begun = []
    for half in range(10):
        for attempt, at in claim(shared, slow, NOON + half * SECOND / 2).items():
            begun.append(begin(shared, attempt, at))
    after = 2 * SECOND + 2 * attempts.SPREAD
    assert begun == [NOON, NOON + after, NOON + 2 * after]


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


@pytest.mark.parametrize(("minutes", "priority", "first"), [(4, 2, False), (5, 2, True), (5, 1, False)])
def test_proofs_come_last_until_they_have_waited_and_then_behind_what_is_most_urgent(
    shared: psycopg.Connection, storm, offender: custody.Offender, minutes: int, priority: int, *, first: bool
):
    people.leave(shared, KEYS, number="5735559999", offender_id=offender.id, now=NOON - minutes * 60 * SECOND)
    storm(1, priority=priority)
    claim(shared)
    proofs = shared.execute("select proof_id is not null from call_attempt order by id").fetchall()
    assert proofs == [(first,), (not first,)]


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


ONE = {"main": Outbound(lines=1, rate=1000)}
LOST = AGAIN["lost"]


def lose_with_its_host(conn: psycopg.Connection, attempt: int, at: datetime) -> str | None:
    with conn.transaction():
        return finish(conn, attempt, "lost", "its host went away", settings=WITH_TWO, now=at, keeps_place=True)


@pytest.mark.parametrize("picked_up", [False, True])
def test_what_it_had_begun_keeps_its_place_too_once_its_deadline_has_passed(
    shared: psycopg.Connection, storm, *, picked_up: bool
):
    first, *_ = storm(20)
    storm(1)
    (attempt,) = claim(shared, ONE, host="there")
    attempts.begin(shared, KEYS, attempt, end_within=SOON, now=NOON)
    if picked_up:
        assert attempts.answered(shared, attempt, now=NOON)
    assert attempts.left_by(shared, ["there"], now=NOON + SOON - SECOND) == []
    assert attempts.left_by(shared, ["there"], now=NOON + SOON) == [attempt]
    assert lose_with_its_host(shared, attempt, NOON + SOON) == "lost"
    assert called(shared, claim(shared, ONE, NOON + SOON)) == [first]


def test_a_call_that_takes_its_host_with_it_each_time_waits_longer_each_time_while_the_others_are_called(
    shared: psycopg.Connection, storm
):
    (deadly,) = storm(1, at=NOON - SECOND)
    storm(2)
    now, others = NOON, 0
    for wait in (timedelta(0), 2 * LOST, 4 * LOST):
        claimed = claim(shared, ONE, now, host="there")
        assert called(shared, claimed) == [deadly]
        (attempt,) = claimed
        attempts.begin(shared, KEYS, attempt, end_within=SOON, now=now)
        now += SOON
        lose_with_its_host(shared, attempt, now)
        next_call = shared.execute("select next_call_at, rung from notification where id = %s", [deadly]).fetchone()
        assert next_call == (now + wait if wait else NOON - SECOND, False)
        if wait and (meanwhile := claim(shared, ONE, now)):
            others += 1
            with shared.transaction():
                finish(shared, next(iter(meanwhile)), "busy", "SIP 486 Busy Here", settings=WITH_TWO, now=now)
        now += wait
    assert others == 2


def test_what_was_confirmed_before_its_host_went_away_has_had_its_turn(shared: psycopg.Connection, storm):
    first, _ = storm(2)
    (other,) = storm(1)
    (attempt,) = claim(shared, ONE, host="there")
    attempts.begin(shared, KEYS, attempt, end_within=SOON, now=NOON)
    attempts.answered(shared, attempt, now=NOON)
    ((event, registrant),) = shared.execute(
        """select event_id, registrant_id from notification n join registration r on r.id = registration_id
           where n.id = %s""",
        [first],
    ).fetchall()
    attempts.confirm(shared, attempt, registrant, [event], now=NOON)
    assert lose_with_its_host(shared, attempt, NOON + SOON) == "confirmed"
    assert called(shared, claim(shared, ONE, NOON + SOON)) == [other]


def test_when_the_time_for_calling_is_up_what_was_lost_with_its_host_is_not_called_again(
    shared: psycopg.Connection, storm
):
    storm(1)
    (attempt,) = claim(shared, ONE, NOON + 2 * DAY, host="there")
    attempts.begin(shared, KEYS, attempt, end_within=SOON, now=NOON + 2 * DAY)
    lose_with_its_host(shared, attempt, NOON + 2 * DAY + SOON)
    assert shared.execute("select next_call_at from notification").fetchall() == [(None,)]


@pytest.mark.parametrize(
    ("outcome", "cause"), [("lost", "its deadline passed"), ("lost", "was not dialled"), ("congestion", CONGESTED)]
)
def test_what_nobody_was_reached_by_is_still_a_first_call_and_has_waited_since_it_was_first_due(
    shared: psycopg.Connection, storm, outcome: str, cause: str
):
    first, second, third = storm(3)
    claimed = claim(shared, ONE)
    assert called(shared, claimed) == [first]
    with shared.transaction():
        settings = WITH_TWO.model_copy(update={"trunks": ONE})
        finish(shared, next(iter(claimed)), outcome, cause, settings=settings, now=NOON)
    at = NOON + AGAIN[outcome]
    assert called(shared, claim(shared, {"main": MANY}, at)) == [first, second, third]


def test_a_telephone_that_is_lost_again_and_again_holds_up_no_other_offenders_first_call(
    shared: psycopg.Connection, storm
):
    (lost_each_time,) = storm(1, at=NOON - SECOND)
    (attempt,) = claim(shared, ONE)
    finish(shared, attempt, "lost", "its deadline passed", settings=WITH_TWO, now=NOON)
    others = [storm(1, at=NOON + LOST)[0] for _ in range(2)]
    claimed = claim(shared, {"main": MANY}, NOON + LOST)
    assert called(shared, claimed) == [*others, lost_each_time]


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [("busy", "SIP 486 Busy Here"), ("no answer", "SIP 180 Ringing"), ("failed", "SIP 603 Decline"), (None, "")],
)
def test_after_any_other_outcome_the_next_call_is_a_repeat(
    shared: psycopg.Connection, storm, outcome: str | None, cause: str
):
    first, second, third = storm(3)
    claimed = claim(shared, ONE)
    with shared.transaction():
        finish(shared, next(iter(claimed)), outcome, cause, settings=WITH_TWO, now=NOON)
    assert called(shared, claim(shared, {"main": MANY}, NOON + DAY)) == [second, third, first]


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
