"""What staff see: who waits, what was tried, who is registered with a number."""

from collections.abc import Callable

import psycopg

from db import attempts, overview, staff
from dialer.outcome import finish
from tests.conftest import KEYS, NOON, TRUNKS, settings_for
from tests.db import DAY


def test_who_waits_and_what_was_tried_are_shown_with_masked_numbers(
    shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int], tmp_path
):
    register("5735550142")
    happens()
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=DAY, now=NOON)
    finish(shared, attempt, "busy", "SIP 486 Busy Here", again=settings_for(tmp_path).calls.again, now=NOON)
    (waits,) = overview.waiting(shared, most=5)
    (tried,) = overview.tried(shared, most=5)
    assert (waits.kind, waits.last_name, waits.attempts, waits.live) == ("released", "SMITH", 1, False)
    assert (tried.outcome, tried.cause, tried.ended_at) == ("busy", "SIP 486 Busy Here", NOON)
    assert overview.masked(KEYS, tried.number_cipher, tried.key_id) == "•••-•••-••42"


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
