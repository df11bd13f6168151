"""A confirmation is on this host's disk before the caller is thanked, and comes into the database from there."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from agi.legs import ended
from agi.notify import notify
from agi.service import Service
from db.custody import Offender
from db.journal import Journal
from dialer.outcome import finish
from tests.conftest import NOON
from tests.flow.conftest import Clock
from tests.flow.telephone import Caller, Sometimes
from tests.flow.test_legs import Leg


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[], list[str]]:
    """What is in the journal."""
    return lambda: [path.read_text() for path in tmp_path.glob("*")]


@pytest.fixture
def became(conn: psycopg.Connection) -> Callable[[], tuple[object, ...] | None]:
    return lambda: conn.execute(
        "select n.state, a.outcome from notification n, call_attempt a order by n.id, a.id"
    ).fetchone()


def test_what_is_confirmed_is_on_the_disk_before_the_thanks_and_goes_when_the_database_has_it(
    caller: Caller, service: Service, ringing: int, kept, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []
    note = Journal.note

    def noted(self: Journal, *arguments: object) -> object:
        seen.extend(kept())
        return note(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Journal, "note", noted)
    caller.hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ringing)
    (entry,) = seen
    assert f'"attempt_id": {ringing}' in entry
    assert "2580" not in entry
    assert kept() == []


def test_the_database_goes_in_mid_call_and_the_call_still_finishes(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int, became, kept
):
    away = Sometimes(conn)
    without = replace(service, db=away)
    caller.hears("PIN now").meanwhile(away.goes).presses("1111").hears("not the right PIN").hears("PIN now")
    caller.presses("2580").hears("this is confirmed").hears("goodbye")
    assert caller.calls(notify, without, ringing) == "over"
    assert became() == ("open", None)
    assert len(kept()) == 1
    away.comes_back()
    ended(Leg("ANSWER", "SIP 200 OK"), without, ringing)  # type: ignore[arg-type]
    assert became() == ("confirmed", "confirmed")
    assert kept() == []


def test_a_proof_is_kept_in_the_same_way(
    caller: Caller, service: Service, conn: psycopg.Connection, smith: Offender, leave, ring: Callable[[], int]
):
    leave(smith)
    away = Sometimes(conn)
    caller.hears("PIN now").meanwhile(away.goes).presses("2580").hears("your telephone is confirmed")
    caller.calls(notify, replace(service, db=away), ring())
    assert conn.execute("select state from proof").fetchone() == ("open",)
    (attempt,) = conn.execute("select id from call_attempt").fetchone() or (0,)
    service.journal.replay(service.db, attempt)
    assert conn.execute("select state from proof").fetchone() == ("proven",)


def test_it_confirms_also_where_the_attempt_was_ended_as_lost_meanwhile(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int, became
):
    away = Sometimes(conn)
    caller.hears("PIN now").meanwhile(away.goes).presses("2580").hears("confirmed")
    caller.calls(notify, replace(service, db=away), ringing)
    finish(conn, ringing, "lost", "its deadline passed", settings=service.settings, now=NOON)
    service.journal.replay(service.db, ringing)
    assert became() == ("confirmed", "lost")


def test_a_disk_that_is_full_is_said_and_the_telephone_is_called_again_soon(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int, kept, monkeypatch: pytest.MonkeyPatch
):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    caller.hears("PIN now").presses("2580").hears("could not note")
    caller.calls(notify, service, ringing)
    assert kept() == []
    assert finish(conn, ringing, None, "", settings=service.settings, now=NOON) == "lost"
    (at,) = conn.execute("select next_call_at from notification").fetchone() or (None,)
    assert at == NOON + service.settings.policy.critical.phases[0].again["lost"]


def test_a_call_that_was_stopped_past_its_deadline_writes_nothing(
    caller: Caller, service: Service, clock: Clock, ringing: int, kept
):
    def an_hour_passes() -> None:
        clock.now = NOON + timedelta(hours=1)

    caller.hears("PIN now").meanwhile(an_hour_passes).presses("2580")
    caller.calls(notify, service, ringing)
    assert kept() == []
