"""What staff see: who waits, what was tried, who is registered with a number."""

from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo

import psycopg

from db import attempts, overview, staff
from dialer.outcome import finish
from movans import tables
from tests.conftest import KEYS, NOON, settings_for
from tests.db import DAY


def test_who_waits_and_what_was_tried_are_shown_with_masked_numbers(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int], tmp_path
):
    register("5735550142")
    happens()
    (attempt,) = attempts.claim(shared, lines=1, host="here", begin_within=DAY, now=NOON)
    finish(shared, attempt, "busy", "SIP 486 Busy Here", again=settings_for(tmp_path).calls.again, now=NOON)
    (waits,) = overview.waiting(shared, most=5)
    (tried,) = overview.tried(shared, most=5)
    assert (waits.kind, waits.last_name, waits.attempts, waits.live) == ("released", "SMITH", 1, False)
    assert (tried.outcome, tried.cause, tried.ended_at) == ("busy", "SIP 486 Busy Here", NOON)
    assert overview.masked(KEYS, tried.number_cipher, tried.key_id) == "•••-•••-••42"


def test_of_each_attempt_it_is_shown_who_answered_how_long_they_were_spoken_to_and_what_became_of_it(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int], tmp_path
):
    again = settings_for(tmp_path).calls.again
    register("5735550142")
    happens()
    (attempt,) = attempts.claim(shared, lines=1, host="here", begin_within=DAY, now=NOON)
    attempts.begin(shared, KEYS, attempt, end_within=DAY, now=NOON)
    attempts.answered(shared, attempt, now=NOON)
    attempts.note_answered_by(shared, attempt, "person")
    attempts.count_wrong_pin(shared, attempt, now=NOON)
    attempts.count_wrong_pin(shared, attempt, now=NOON)
    attempts.note_heard(shared, attempt, until=NOON + timedelta(seconds=42))
    finish(shared, attempt, None, "SIP 200 OK", again=again, now=NOON + timedelta(minutes=1))
    (attempt,) = attempts.claim(shared, lines=1, host="here", begin_within=DAY, now=NOON + DAY / 2)
    attempts.note_answer(shared, attempt, 608, "blocked as spam")
    finish(shared, attempt, "failed", "SIP 608 Rejected", again=again, now=NOON + DAY / 2)
    rows = zip(*(column.cells for column in tables.attempts(shared, KEYS, ZoneInfo("UTC")).columns), strict=True)
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
