"""Claiming, beginning and ending call attempts, with racing dialers."""

from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import CheckViolation, UniqueViolation

from db import attempts
from db.attempts import Confirmed
from dialer import policy
from dialer.outcome import finish
from movans.settings import Outbound
from tests.conftest import KEYS, NOON, SETTINGS
from tests.db import DAY

SOON = timedelta(seconds=20)
CALL = timedelta(minutes=5)
LOST = SETTINGS.policy.critical.phases[0].again["lost"]


def claim(conn: psycopg.Connection, lines: int = 10, after: timedelta = timedelta(0)) -> list[int]:
    with conn.transaction():
        trunks = {"": Outbound(lines=lines, rate=1000)}
        return list(attempts.claim(conn, trunks=trunks, host="here", begin_within=SOON, now=NOON + after))


def begin(conn: psycopg.Connection, attempt: int, after: timedelta = timedelta(0)) -> str | None:
    begun = attempts.begin(conn, KEYS, attempt, end_within=CALL, now=NOON + after)
    return begun and begun.number


def test_racing_dialers_never_exceed_the_lines_and_never_call_a_telephone_twice(
    database: str, shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    for line in range(12):
        register(f"57355501{line:02}")
    happens()
    claimed: list[int] = []
    ready = Barrier(4)

    def dial() -> None:
        with psycopg.connect(database, autocommit=True) as conn:
            ready.wait()
            for _ in range(5):
                claimed.extend(claim(conn, lines=3))

    dialers = [Thread(target=dial) for _ in range(4)]
    for dialer in dialers:
        dialer.start()
    for dialer in dialers:
        dialer.join()
    assert len(claimed) == 3
    live = shared.execute("select count(*), count(distinct number_hash) from call_attempt where state <> 'ended'")
    assert live.fetchone() == (3, 3)


def test_a_line_is_free_again_when_a_call_has_ended(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    register("5735550143")
    happens()
    first = claim(shared, lines=1)
    assert claim(shared, lines=1) == []
    finish(shared, first[0], "busy", "SIP 486 Busy Here", settings=SETTINGS, now=NOON)
    second = claim(shared, lines=1)
    assert len(second) == 1
    assert second != first


def test_what_is_critical_is_called_before_what_has_waited_longer(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens("transferred", status="in custody")
    register("5735550143")
    happens("released", late=True)
    attempt = claim(shared, lines=1)[0]
    carried = shared.execute(
        """select distinct kind from attempt_carries join notification n on n.id = notification_id
           join custody_event e on e.id = event_id where attempt_id = %s""",
        [attempt],
    ).fetchall()
    assert ("released",) in carried


def test_the_database_itself_refuses_a_second_live_attempt_of_a_telephone(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens()
    claim(shared)
    with pytest.raises(UniqueViolation, match="one_live_attempt_per_telephone"):
        shared.execute(
            """insert into call_attempt (telephone_id, number_hash, host, claimed_at, deadline)
               select telephone_id, number_hash, host, claimed_at, deadline from call_attempt"""
        )


def test_what_has_ended_stays_ended(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens()
    attempt = claim(shared)[0]
    finish(shared, attempt, "lost", "", settings=SETTINGS, now=NOON)
    assert finish(shared, attempt, "busy", "", settings=SETTINGS, now=NOON) is None
    with pytest.raises(CheckViolation, match="has ended"):
        shared.execute("update call_attempt set state = 'dialling', outcome = null, ended_at = null")
    shared.execute("update notification set state = 'closed', ended_at = %s, next_call_at = null", [NOON])
    with pytest.raises(CheckViolation, match="has ended"):
        shared.execute("update notification set state = 'open', ended_at = null, next_call_at = %s", [NOON])


def test_an_event_notifies_a_registration_once(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    event = happens()
    with pytest.raises(UniqueViolation, match="an_event_once_per_registration"):
        policy.notify(shared, event, late=False, settings=SETTINGS, now=NOON)


def test_an_attempt_is_begun_once_and_only_before_its_deadline(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    register("5735550143")
    happens()
    first, second = claim(shared)
    assert begin(shared, first) == "5735550142"
    assert begin(shared, first) is None
    assert begin(shared, second, after=2 * SOON) is None


def test_an_attempt_past_its_deadline_is_found_and_its_telephone_called_again(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens()
    attempt = claim(shared)[0]
    assert attempts.overdue(shared, now=NOON) == []
    late = NOON + SOON
    assert attempts.overdue(shared, now=late) == [attempt]
    assert finish(shared, attempt, "lost", "its deadline passed", settings=SETTINGS, now=late) == "lost"
    assert claim(shared, after=SOON) == []
    assert len(claim(shared, after=SOON + LOST)) == 1


def test_when_the_time_for_calling_is_up_staff_take_over_and_nothing_has_ended(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens()
    attempt = claim(shared)[0]
    finish(shared, attempt, "busy", "", settings=SETTINGS, now=NOON + 2 * DAY)
    row = shared.execute("select state, next_call_at, handed_over_at from notification").fetchone()
    assert row == ("open", None, NOON + 2 * DAY)


def test_a_confirmed_call_stays_confirmed_however_it_ended(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    event = happens()
    attempt = claim(shared)[0]
    begin(shared, attempt)
    assert attempts.answered(shared, attempt, now=NOON)
    registrant = shared.execute("select id from registrant").fetchone()
    assert registrant
    assert attempts.confirm(shared, attempt, registrant[0], [event], now=NOON) == Confirmed(notifications=1, proofs=0)
    assert finish(shared, attempt, "lost", "Asterisk went away", settings=SETTINGS, now=NOON) == "confirmed"
    assert claim(shared, after=2 * DAY) == []


def test_a_commit_wakes_whoever_listens(database: str, register: Callable[..., int], happens: Callable[..., int]):
    register("5735550142")
    with psycopg.connect(database, autocommit=True) as ear:
        ear.execute("listen movans_due")
        happens()
        assert [heard.channel for heard in ear.notifies(timeout=5, stop_after=1)] == ["movans_due"]


def test_no_number_and_no_pin_can_be_read_in_the_database(shared: psycopg.Connection, register: Callable[..., int]):
    register("5735550142", "2580")
    tables = [name for (name,) in shared.execute("select tablename from pg_tables where schemaname = 'public'")]
    content = "".join(
        repr(shared.execute(sql.SQL("select * from {}").format(sql.Identifier(table))).fetchall()) for table in tables
    )
    assert "100234" in content
    assert "5735550142" not in content
    assert "2580" not in content
