"""Calls that nobody wrote down: every way through the flows, hung up at every single sound, and with whatever keys."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agi
from agi.channel import KEYS
from agi.hotline import hotline
from agi.notify import notify
from agi.service import Service
from db.custody import Details, Offender
from prompts.catalogue import Catalogue, Utterance
from tests.conftest import EVERYTHING
from tests.flow.explorer import ENTRIES, Answers, Explorer, Place, explore
from tests.flow.test_hotline import registrations

Undone = Callable[[], AbstractContextManager[None]]

SECRET = r"573\D?555\D?01\d\d|(?:>|\b)(?:2580|1470|1111)(?:<|\b)"
ODD = ("", "#", "*", "0#", "9#", "7", "123#", "5" * 25)
BACK = ("1", "4", "5735550142#", "2580")
BY_NUMBER = ("2", "100234#", "1", "3")
REGISTERED = ("1", *BY_NUMBER, "5735550143#", "1", "1", "1470", "1470", "1")
LATER = [(*REGISTERED, "1", *BY_NUMBER), (*BACK, "2", "1", "1")]
"""Ways to what is asked only after something else: who registers for another person, and who has kept all there is."""


class Guesses(Explorer):
    """Presses keys as they come, or, for a number, one of the answers to the question that is put."""

    def __init__(self, catalogue: Catalogue, entries: list[str | int]) -> None:
        super().__init__(catalogue, (), silent=True)
        self.entries = entries

    def play(self, utterance: Utterance, keys: str = KEYS) -> str:
        if self.entries and isinstance(self.entries[0], str) and not self._keys:
            self._keys = str(self.entries.pop(0))
        return super().play(utterance, keys)

    def is_asked(self, keys: tuple[str, ...]) -> None:
        super().is_asked(keys)
        if self.entries and isinstance(self.entries[0], int):
            self.replies.append(keys[int(self.entries.pop(0)) % len(keys)])


def nothing_is_half_done(conn: psycopg.Connection) -> bool:
    """Nobody is registered without a telephone, and nothing is to be called that is nobody's."""
    half = conn.execute(
        """select from registrant r where not exists (select from telephone where registrant_id = r.id)
           union all
           select from registrant r where not exists (select from registration where registrant_id = r.id)
           union all
           select from notification n join registration r on r.id = registration_id
           where n.state = 'open' and r.ended_at is not null
           union all
           select from notification n where n.state = 'open' and not exists (
               select from to_call where notification_id = n.id)"""
    )
    return half.fetchone() is None


@pytest.fixture
def crowd(smith: Offender, jail: Callable[..., Offender]) -> list[Offender]:
    """More people of one name than are read out, two of them of one year, and one in a court case."""
    others = [jail(f"S{at}", "JOHN", "SMITH", born=date(1988 + at // 2, 3, 1)) for at in range(6)]
    return [smith, *others, jail("A1", "ANN", "ADAMS", details=Details(case_numbers=("C1",)))]


@pytest.fixture
def undone(conn: psycopg.Connection) -> Undone:
    @contextmanager
    def taken_back() -> Iterator[None]:
        with conn.transaction(force_rollback=True):
            yield

    return taken_back


@dataclass
class Calls:
    """Calls of one sort, of which each is taken back; ``after`` looks at what it did before that."""

    flow: Callable[..., None]
    arguments: tuple[int, ...]
    catalogue: Catalogue
    service: Service
    undone: Undone

    def run(self, answers: Sequence[str], *, after: Callable[[], object] = lambda: None, **how: Any) -> Explorer:
        caller = Explorer(self.catalogue, answers, **how)
        with self.undone():
            caller.calls(self.flow, self.service, *self.arguments)
            after()
        return caller

    def explore(self) -> tuple[dict[Place, Answers], list[Answers]]:
        return explore(self.run, beginnings=LATER if self.flow is hotline else [])


@pytest.fixture(params=["the hotline", "news", "news on an unproven telephone", "a proof"])
def calls(
    request: pytest.FixtureRequest,
    english: Catalogue,
    bilingual: Service,
    crowd: list[Offender],
    undone: Undone,
    register: Callable[..., None],
    leave: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
) -> Calls:
    smith, *_, adams = crowd
    if request.param in ("the hotline", "news"):
        register(smith)
        register(adams)
    else:
        leave(smith)
    if request.param != "a proof":
        happens(smith, "released")
    flow, arguments = (hotline, ()) if request.param == "the hotline" else (notify, (ring(),))
    return Calls(flow, arguments, english, bilingual, undone)


@pytest.mark.parametrize("calls", ["the hotline"], indirect=True)
def test_every_question_of_the_hotline_is_found(calls: Calls):
    """Those that stand in the code, but for the one that is asked where there is one language only."""
    code = "".join(file.read_text() for file in Path(agi.__file__).parent.glob("*.py") if file.name != "notify.py")
    asked = set(re.findall(r"\.(?:ask|choose)\(\s*\"([a-z_]+)\"", code))
    assert len(asked) >= 20
    assert asked - {place.prompt for place in calls.explore()[0]} == {"change_menu"}


def test_hanging_up_at_any_sound_leaves_nothing_half_done(calls: Calls, conn: psycopg.Connection):
    for way in calls.explore()[1]:
        whole = calls.run(way)
        for sound in range(whole.sounds, len(whole.heard)):

            def after() -> None:
                assert nothing_is_half_done(conn), (way, whole.heard[sound])  # noqa: B023 - used at once

            assert calls.run(way, hangs_up_at=sound, after=after).heard == whole.heard[:sound]


@pytest.mark.parametrize("calls", ["the hotline"], indirect=True)
def test_hanging_up_at_any_sound_registers_all_or_nothing(calls: Calls, conn: psycopg.Connection):
    before, whole = registrations(conn), calls.run(REGISTERED)
    done = next(at for at, words in enumerate(whole.heard) if words.startswith("You are registered"))
    for sound in range(len(whole.heard)):

        def after() -> None:
            assert registrations(conn) - before == (sound >= done), whole.heard[sound]  # noqa: B023 - used at once

        calls.run(REGISTERED, hangs_up_at=sound, after=after)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_answer_to_any_question_is_answered_in_words_and_leaves_nothing_half_done(
    odd: str, calls: Calls, conn: psycopg.Connection
):
    for place, way in calls.explore()[0].items():

        def after() -> None:
            assert nothing_is_half_done(conn), place  # noqa: B023 - used at once

        assert calls.run((*way, odd), silent=True, after=after).heard[-1] == "Goodbye.", place


def test_no_number_and_no_pin_is_in_a_log_or_a_plain_column_whatever_way_is_gone(
    calls: Calls, conn: psycopg.Connection, caplog: pytest.LogCaptureFixture
):
    """Those that callers key in: at the first and a second telephone, a changed number, a new PIN, a wrong one."""
    caplog.set_level(logging.DEBUG)

    def after() -> None:
        for (cells,) in conn.execute(EVERYTHING):
            assert re.findall(SECRET, cells) == []

    for way in calls.explore()[1]:
        calls.run(way, silent=True, after=after)
    assert re.findall(SECRET, caplog.text) == []


def test_a_menu_has_five_choices_at_most_and_names_the_key_of_each(calls: Calls):
    for place, way in calls.explore()[0].items():
        caller = calls.run(way)
        if place.prompt not in ENTRIES:
            assert len(caller.options) <= 5, place
            said = " ".join(caller.heard[caller.sounds :])
            assert [key for key in caller.options if not re.search(rf"(press|oprima el) {key}\b", said)] == [], place


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(st.integers(0, 5) | st.integers(0, 5) | st.text(KEYS, max_size=12), max_size=40))
@pytest.mark.usefixtures("crowd")
def test_whatever_is_pressed_the_call_ends_and_nothing_is_half_registered(
    english: Catalogue, service: Service, conn: psycopg.Connection, undone: Undone, entries: list[str | int]
):
    caller = Guesses(english, entries)
    with undone():
        assert caller.calls(hotline, service) == "gave up"
        assert caller.heard[-1] == "Goodbye."
        assert nothing_is_half_done(conn)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(st.integers(0, 5) | st.text(KEYS, max_size=8), max_size=12), proven=st.booleans())
def test_whatever_is_pressed_when_somebody_is_called_the_call_ends_in_words(
    english: Catalogue,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    undone: Undone,
    leave: Callable[..., None],
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
    entries: list[str | int],
    *,
    proven: bool,
):
    with undone():
        (register if proven else leave)(smith)
        if len(entries) % 2 or proven:
            happens(smith, "released")
        caller = Guesses(english, entries)
        assert caller.calls(notify, service, ring()) in ("over", "gave up")
        assert caller.heard[-1] == "Goodbye."
        assert nothing_is_half_done(conn)
