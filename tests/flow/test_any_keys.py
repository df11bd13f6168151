"""Calls that nobody wrote down: hung up at every single sound, and with whatever keys."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agi.channel import KEYS, Hangup
from agi.hotline import hotline
from agi.service import Service
from db.custody import Offender
from prompts.catalogue import Catalogue
from tests.flow.telephone import Caller, HangsUpAt
from tests.flow.test_hotline import TO_THE_END, press, registrations

Undone = Callable[[], AbstractContextManager[None]]


def whole_way(caller: Caller) -> Caller:
    """Listens to every sound before it answers, so that each can be hung up at."""
    return press(caller, TO_THE_END).hears("just hang up").hangs_up()


@pytest.fixture
def undone(conn: psycopg.Connection) -> Undone:
    @contextmanager
    def taken_back() -> Iterator[None]:
        with conn.transaction(force_rollback=True):
            yield

    return taken_back


def test_hanging_up_at_any_sound_leaves_all_or_nothing(
    english: Catalogue, service: Service, conn: psycopg.Connection, smith: Offender, undone: Undone
):
    assert smith.number == "100234"
    listener = Caller(english)
    with undone():
        whole_way(listener).calls(hotline, service)
    done = next(at for at, words in enumerate(listener.heard) if words.startswith("You are registered"))
    assert done > 15
    for sound in range(len(listener.heard)):
        with undone():
            caller = HangsUpAt(english, sound)
            whole_way(caller)
            with pytest.raises(AssertionError, match="never heard"):
                caller.calls(hotline, service)
            assert registrations(conn) == (1 if sound >= done else 0), listener.heard[sound]


@pytest.mark.parametrize("languages", [["en"], ["en", "es"]], ids=" and ".join)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(st.text(KEYS, max_size=12), max_size=25))
def test_whatever_is_pressed_the_call_ends_and_nothing_is_half_registered(
    languages: list[str],
    catalogues: dict[str, Catalogue],
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    undone: Undone,
    entries: list[str],
):
    assert smith.number == "100234"
    service = replace(service, catalogues={language: catalogues[language] for language in languages})
    caller = Caller(service.catalogue())
    for entry in entries:
        caller.hears("").presses(entry)
    with undone():
        end = ""
        try:
            end = caller.calls(hotline, service)
        except AssertionError as unheard:
            assert "never heard" in str(unheard)  # the call ended before every key was pressed
        except Hangup:
            end = "hung up"
        assert end in ("", "gave up", "hung up")
        assert caller.heard[-1] in ("Goodbye.", "Adiós.")
        half = conn.execute(
            """select count(*) from registrant r where not exists (select from registration where registrant_id = r.id)
               or not exists (select from telephone where registrant_id = r.id)"""
        ).fetchone()
        assert half == (0,)
