"""Calls that nobody wrote down: hung up at every single sound, and with whatever keys."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agi.channel import KEYS
from agi.hotline import hotline
from agi.notify import notify
from agi.service import Service
from db.custody import Details, Offender
from prompts.catalogue import Catalogue, Utterance
from tests.flow.telephone import Caller, HangsUpAt
from tests.flow.test_hotline import TO_THE_END, press, registrations

Undone = Callable[[], AbstractContextManager[None]]


REGISTERING = TO_THE_END[2:]
WAYS = {
    "by number": TO_THE_END,
    "by case": (("press 3", "3"), ("court case number", "21#"), ("is the person", "1"), *REGISTERING),
    "by name": (
        ("press 1", "1"), ("last name", "764#"), ("first name", "#"), ("to spell more", "1"), ("first name", "5#"),
        ("to spell more", "2"), ("year of birth", "1988"), ("none of these", "2"), *REGISTERING,
    ),
}  # fmt: skip

# What leads on from a question, by words of it.
LEADS_ON = {
    "To find a person by name": ("1", "2", "3", "4"),
    "Enter the offender number": ("100234#", "77#"),
    "Enter the court case number": ("21#", "77#"),
    "Spell the last name": ("764#", "76484#", "232#"),
    "of the first name as you know": ("#", "5#", "5646#"),
    "Spell more of the first name": ("5646#", "56#", "2#"),
    "To spell more": ("1", "2", "3"),
    "Enter the year of birth": ("1988", "1990", "1955"),
    "none of these": ("1", "2", "9"),
    "is the person": ("1", "2"),
    "To be called": ("1", "2", "3"),
    "To be told of custody": ("1", "2", "3"),
    "Enter the telephone number": ("5735550142#", "911#"),
    "If this is right": ("1", "1", "2"),
    "PIN of four digits": ("2580",),
    "Enter the same four digits": ("2580", "2581"),
    "To look up another": ("1", "2"),
    "answers that telephone directly": ("1", "1", "2"),
    "To have us say right away": ("1", "2"),
    "same telephone with the same PIN": ("1", "2"),
    "that you left with us": ("5735550142#", "5735550143#"),
    "Enter your four digit PIN": ("2580", "2580", "1111"),
    "To hear news that waits": ("1", "2", "3", "4", "5"),
    "To confirm that you heard": ("1", "2"),
    "To keep this": ("1", "2"),
    "Those were all": ("1", "2"),
    "To be called at another number": ("1", "2", "3"),
    "enter your four digit PIN now": ("2580", "1111", "9#"),
    "press 9 again": ("9", "1"),
}

COMING_BACK = (("press 4", "4"), ("you left with us", "5735550142#"), ("four digit PIN", "2580"))
RETURNS = {
    "news": (*COMING_BACK, ("press 1", "1"), ("To confirm that you heard", "1"), ("test call", "9")),
    "ending": (*COMING_BACK, ("press 2", "2"), ("of John", "2"), ("test call", "9")),
    "a number": (
        *COMING_BACK, ("press 4", "4"), ("another number", "1"), ("number where", "5735550143#"), ("is right", "1"),
        ("directly", "1"), ("test call", "9"),
    ),
    "a PIN": (
        *COMING_BACK, ("press 4", "4"), ("change your PIN", "3"), ("make up a PIN", "1470"), ("same four", "1470"),
        ("test call", "9"),
    ),
    "a test call": (*COMING_BACK, ("press 5", "5"), ("test call", "9")),
}  # fmt: skip
ODD = ("", "#", "*", "0#", "9#", "7", "123#", "5" * 25)


class Guesses(Caller):
    """Presses keys as they come, or, for a number, an answer to the next question that it knows."""

    def __init__(self, catalogue: Catalogue, entries: list[str | int]) -> None:
        super().__init__(catalogue)
        self.entries = entries

    def play(self, utterance: Utterance, keys: str = KEYS) -> str:
        answers = next((keys for words, keys in LEADS_ON.items() if words in utterance.words), None)
        if self.entries and not self._keys and (answers or isinstance(self.entries[0], str)):
            entry = self.entries.pop(0)
            self._keys = entry if isinstance(entry, str) else answers[entry % len(answers)] if answers else ""
        return super().play(utterance, keys)


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


def answers_oddly(caller: Caller, steps: tuple[tuple[str, str], ...], at: int, odd: str) -> Caller:
    """Goes the whole way, and gives one odd answer before the right one."""
    return press(press(press(caller, steps[:at]), ((steps[at][0], odd),)), steps[at:])


def whole_way(caller: Caller, way: str) -> Caller:
    """Listens to every sound before it answers, so that each can be hung up at."""
    return press(caller, WAYS[way]).hears("just hang up").hangs_up()


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


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("crowd")
def test_hanging_up_at_any_sound_leaves_all_or_nothing(
    way: str, english: Catalogue, service: Service, conn: psycopg.Connection, undone: Undone
):
    listener = Caller(english)
    with undone():
        whole_way(listener, way).calls(hotline, service)
    done = next(at for at, words in enumerate(listener.heard) if words.startswith("You are registered"))
    assert done > 15
    for sound in range(len(listener.heard)):
        with undone():
            caller = HangsUpAt(english, sound)
            whole_way(caller, way)
            with pytest.raises(AssertionError, match="never heard"):
                caller.calls(hotline, service)
            assert registrations(conn) == (1 if sound >= done else 0), listener.heard[sound]


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


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("way", WAYS | RETURNS)
@pytest.mark.usefixtures("crowd")
def test_an_odd_answer_to_any_question_is_answered_in_words_and_leaves_nothing_half_done(
    way: str,
    odd: str,
    english: Catalogue,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    undone: Undone,
    register: Callable[..., None],
    happens: Callable[..., int],
):
    steps = (WAYS | RETURNS)[way]
    with undone():
        if way in RETURNS:
            register(smith)
            happens(smith, "released")
        for at in range(len(steps)):
            with undone():
                caller = answers_oddly(Caller(english), steps, at, odd)
                with suppress(AssertionError):  # the odd answer may have led elsewhere, where the rest is not asked
                    caller.calls(hotline, service)
                assert caller.heard[-1] == "Goodbye.", (steps[at], caller.heard[-3:])
                assert nothing_is_half_done(conn), steps[at]
