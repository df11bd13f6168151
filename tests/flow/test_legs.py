"""What is recorded of a call by the leg that dialled it."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from agi import legs
from agi.service import Service
from db import attempts, canary
from db.custody import Offender
from movans.settings import Outbound
from tests import people
from tests.conftest import KEYS, NOON, TRUNKS
from tests.flow.telephone import Sometimes


class Leg:
    """A dialling leg whose Dial is over."""

    def __init__(self, status: str, cause: str = "", q850: str = "") -> None:
        self._became = status, q850, cause
        self.recorded = False

    def became(self) -> tuple[str, str, str]:
        return self._became

    def flow_ended(self) -> None:
        self.recorded = True


class Dialling(Leg):
    """A leg on which a telephone is rung, and is busy."""

    def __init__(self) -> None:
        super().__init__("BUSY", "SIP 486 Busy Here")
        self.rung: list[str] = []
        self.at = 0.0

    def dial(self, where: str, seconds: int, *, telephone: str, at: float) -> bool:
        assert seconds > 0
        assert telephone not in where
        self.rung.append(where)
        self.at = at
        return True


@pytest.mark.parametrize(
    ("trunk", "where"), [("", "PJSIP/testphone"), ("main", "PJSIP/5735550142@trunk-main")], ids=["test phone", "trunk"]
)
def test_a_call_is_dialled_by_the_trunk_for_which_it_was_claimed(
    trunk: str,
    where: str,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
):
    register(smith)
    happens(smith, "released")
    trunks = {trunk: Outbound(lines=1, rate=1)}
    (attempt,) = attempts.claim(conn, trunks=trunks, host="here", begin_within=timedelta(seconds=20), now=NOON)
    leg = Dialling()
    legs.dial(leg, service, attempt)  # type: ignore[arg-type]
    legs.dial(leg, service, attempt)  # type: ignore[arg-type]
    assert leg.rung == [where]
    assert leg.recorded
    assert conn.execute("select outcome, cause from call_attempt").fetchall() == [("busy", "SIP 486 Busy Here")]


def test_a_call_rings_no_sooner_than_its_trunks_rate_lets_it(
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
):
    register(smith)
    people.register(conn, KEYS, number="5735550143", offender_id=smith.id, now=NOON)
    happens(smith, "released")
    trunks = {"main": Outbound(lines=2, rate=10)}
    _, second = attempts.claim(conn, trunks=trunks, host="here", begin_within=timedelta(seconds=20), now=NOON)
    asked, leg = time.monotonic(), Dialling()
    legs.dial(leg, service, second)  # type: ignore[arg-type]
    assert asked - 1e-6 <= leg.at - 0.1 <= time.monotonic() + 1e-6


def test_the_canary_is_dialled_inside(service: Service, conn: psycopg.Connection):
    canary.send(conn, KEYS, language="en", now=NOON)
    (attempt,) = attempts.claim(conn, trunks=TRUNKS, host="here", begin_within=timedelta(seconds=20), now=NOON)
    leg = Dialling()
    legs.dial(leg, service, attempt)  # type: ignore[arg-type]
    assert leg.rung == ["Local/canary@canary/n"]


@pytest.fixture
def recorded(conn: psycopg.Connection) -> Callable[[], object]:
    return lambda: conn.execute("select outcome, cause from call_attempt").fetchone()


@pytest.mark.parametrize(
    ("status", "cause", "outcome"),
    [
        ("BUSY", "SIP 486 Busy Here", "busy"),
        ("NOANSWER", "", "no answer"),
        ("CONGESTION", "SIP 503 Service Unavailable", "congestion"),
        ("CHANUNAVAIL", "SIP 404 Not Found", "failed"),
        ("SOMETHINGNEW", "", "failed"),
    ],
)
def test_the_outcome_is_what_the_network_said(
    status: str, cause: str, outcome: str, service: Service, ringing: int, recorded: Callable[[], object]
):
    legs.ended(Leg(status, cause), service, ringing)  # type: ignore[arg-type]
    assert recorded() == (outcome, cause)


def test_a_number_in_the_networks_words_is_left_out(service: Service, ringing: int, recorded: Callable[[], object]):
    legs.ended(Leg("CHANUNAVAIL", "SIP 404 No route to 5735550142"), service, ringing)  # type: ignore[arg-type]
    assert recorded() == ("failed", "SIP 404 No route to …")


def test_a_leg_that_never_came_to_dial_was_lost(service: Service, ringing: int, recorded: Callable[[], object]):
    legs.ended(Leg(""), service, ringing)  # type: ignore[arg-type]
    assert recorded() == ("lost", "was not dialled")


def test_answered_and_nobody_of_ours_spoke_is_lost(service: Service, ringing: int, recorded: Callable[[], object]):
    legs.ended(Leg("ANSWER", "SIP 200 OK"), service, ringing)  # type: ignore[arg-type]
    assert recorded() == ("lost", "was answered, and nobody spoke")


def test_the_end_of_a_call_is_recorded_when_the_database_is_back(
    service: Service,
    conn: psycopg.Connection,
    ringing: int,
    recorded: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
):
    away = Sometimes(conn)
    away.goes()
    monkeypatch.setattr(legs.time, "sleep", lambda _: away.comes_back())
    legs.ended(Leg("BUSY", "SIP 486 Busy Here"), replace(service, db=away), ringing)  # type: ignore[arg-type]
    assert recorded() == ("busy", "SIP 486 Busy Here")


@pytest.mark.parametrize(
    ("leg", "code", "refused_as"),
    [
        (Leg("BUSY", "SIP 486 Busy Here", "17"), 486, None),
        (Leg("CHANUNAVAIL", "SIP 410 Gone", "22"), 410, "no such number"),
        (Leg("CONGESTION", "SIP 480 Temporarily Unavailable", "1"), 480, "no such number"),
        (Leg("CHANUNAVAIL", "SIP 607 Unwanted", "127"), 607, "blocked as spam"),
        (Leg("NOANSWER", "", "19"), None, None),
    ],
)
def test_the_networks_code_is_kept_and_what_it_says_beyond_the_call(
    leg: Leg, code: int | None, refused_as: str | None, service: Service, conn: psycopg.Connection, ringing: int
):
    legs.ended(leg, service, ringing)  # type: ignore[arg-type]
    assert conn.execute("select sip_code, refused_as from call_attempt").fetchone() == (code, refused_as)


def test_a_call_that_was_answered_is_no_refusal_whatever_cause_it_ended_with(
    service: Service, conn: psycopg.Connection, ringing: int
):
    attempts.answered(conn, ringing, now=NOON)
    legs.ended(Leg("ANSWER", "SIP 200 OK", "1"), service, ringing)  # type: ignore[arg-type]
    assert conn.execute("select sip_code, refused_as from call_attempt").fetchone() == (200, None)
