"""What staff see: who waits, what was tried, who is registered with a number."""

import io
import re
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import psycopg
from rich.console import Console

from db import attempts, hosts, overview, staff
from db.overview import Failure, Host, Load, Queue
from dialer.outcome import finish
from movans.settings import Outbound
from movans.tables import attempts as attempts_shown
from movans.tables import watched
from tests import people
from tests.conftest import KEYS, NOON, SETTINGS, TRUNKS
from tests.db import DAY


def test_who_waits_and_what_was_tried_are_shown_with_masked_numbers(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens()
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=DAY, now=NOON)
    finish(shared, attempt, "busy", "SIP 486 Busy Here", settings=SETTINGS, now=NOON)
    (waits,) = overview.waiting(shared, most=5)
    (tried,) = overview.tried(shared, most=5)
    assert (waits.kind, waits.last_name, waits.attempts, waits.live) == ("released", "SMITH", 1, False)
    assert (tried.outcome, tried.cause, tried.ended_at) == ("busy", "SIP 486 Busy Here", NOON)
    assert overview.masked(KEYS, tried.number_cipher, tried.key_id) == "•••-•••-••42"


def test_the_work_as_it_is_at_a_moment(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    for line in range(3):
        register(f"57355501{line:02}")
    happens()
    shared.execute("update notification set priority = 2, next_call_at = %s where id = 3", [NOON + DAY])
    people.leave(shared, KEYS, number="5735550142", offender_id=1, now=NOON)
    trunks = {"main": Outbound(lines=2, rate=1000)}
    first, _ = attempts.claim(shared, trunks=trunks, host="here", begin_within=DAY, now=NOON)
    finish(shared, first, "busy", "SIP 486 Busy Here", settings=SETTINGS, now=NOON)
    hosts.beat(shared, "here", now=NOON)
    later = NOON + timedelta(seconds=30)
    assert overview.load(shared, now=later) == [Load("main", live=1, begun=2)]
    assert overview.load(shared, now=NOON + DAY) == [Load("main", live=1, begun=0)]
    assert overview.queues(shared, now=later) == [
        Queue(1, due=1, later=1, with_staff=0, oldest=NOON),
        Queue(2, due=0, later=1, with_staff=0, oldest=None),
        Queue(None, due=1, later=0, with_staff=0, oldest=NOON),
    ]
    assert overview.failures(shared, now=later) == [Failure("busy", "SIP 486 Busy Here", "main", 1)]
    assert overview.failures(shared, now=NOON + DAY) == []
    assert overview.hosts(shared) == [Host("here", NOON, live=1)]


def test_what_is_watched_shows_limits_and_no_number(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens()
    trunks = {"main": Outbound(lines=20, rate=2)}
    attempts.claim(shared, trunks=trunks, host="here", begin_within=DAY, now=NOON)
    screen = Console(width=160, record=True, file=io.StringIO())
    screen.print(watched(shared, KEYS, trunks, ZoneInfo("America/Chicago"), now=NOON))
    shown = screen.export_text()
    assert re.search(r"main +1 +20 +1 +120", shown)
    assert "SMITH, JOHN (boone)" in shown
    assert "•••-•••-••42" in shown
    assert "5550142" not in shown


def test_of_each_attempt_it_is_shown_who_answered_how_long_they_were_spoken_to_and_what_became_of_it(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens()
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=DAY, now=NOON)
    attempts.begin(shared, KEYS, attempt, end_within=DAY, now=NOON)
    attempts.answered(shared, attempt, now=NOON)
    attempts.note_answered_by(shared, attempt, "person")
    attempts.count_wrong_pin(shared, attempt, now=NOON)
    attempts.count_wrong_pin(shared, attempt, now=NOON)
    attempts.note_heard(shared, attempt, until=NOON + timedelta(seconds=42))
    finish(shared, attempt, None, "SIP 200 OK", settings=SETTINGS, now=NOON + timedelta(minutes=1))
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=DAY, now=NOON + DAY / 2)
    refused_as = "blocked as spam"
    finish(shared, attempt, "failed", "SIP 608 Rejected", refused_as=refused_as, settings=SETTINGS, now=NOON + DAY / 2)
    rows = zip(*(column.cells for column in attempts_shown(shared, KEYS, ZoneInfo("UTC")).columns), strict=True)
    shown = [[str(cell) for cell in row][3:] for row in rows]
    assert shown == [
        ["", "", "blocked as spam", "SIP 608 Rejected"],
        ["person", "42", "not confirmed, 2 wrong PINs", "SIP 200 OK"],
    ]


def test_who_is_registered_with_a_number_and_for_whom(shared: psycopg.Connection, register: Callable[..., int]):
    registration = register("5735550142")
    register("5735550143")
    (known,) = staff.known_at(shared, KEYS.hashes("5735550142"))
    assert (known.proven_at, known.ended_at, known.refused) == (NOON, None, 0)
    (wanted,) = staff.wanted(shared, [known.id])
    assert (wanted.id, wanted.number) == (registration, "100234")
    assert staff.end(shared, known.id, None, who="clerk", now=NOON) == 1
    assert staff.wanted(shared, [known.id]) == []
    acts = shared.execute("select who, what, registrant_id from staff_act").fetchall()
    assert acts == [("clerk", f"ended registration {registration}", known.id)]
