"""Answering machines: what they are left, and that nobody who is taken for one is made to wait or sent away."""

import math
import os
import time
import wave
from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.live.conversation import Conversation
from tests.live.line import Line
from tests.live.registered import JAIL, PIN, RELEASED, close_all, outcomes, register, release, states
from tests.live.softphone import RATE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts the service, whose parts run as users of their own")

BEFORE = 0.4  # seconds from the answer until whoever picked up begins to speak
HEARD = 0.5  # seconds in which a sound is recognised

TONES = "special information tones"


def special_information_tones() -> bytes:
    """That a number was not found: 985.2, 1428.5 and 1776.7 Hz, 380 ms each (ITU-T E.180, Telcordia's intercept)."""
    samples = array("h")
    for frequency in (985.2, 1428.5, 1776.7):
        samples.extend(round(8000 * math.sin(2 * math.pi * frequency * at / RATE)) for at in range(round(0.38 * RATE)))
    return samples.tobytes()


Called = Callable[..., AbstractContextManager[tuple[Conversation, float]]]


@pytest.fixture
def called(line: Line) -> Iterator[Called]:
    """Somebody is registered for an offender, who is released: a call that is picked up by who says these sounds.

    The sounds are prompts of the line itself. The second that is given is the end of the last, in seconds.
    """

    @contextmanager
    def call(offender: str, number: str, *sounds: str) -> Iterator[tuple[Conversation, float]]:
        says = bytes(round(BEFORE * RATE) * 2)
        for sound in sounds:
            if sound == TONES:
                says += special_information_tones()
                continue
            with wave.open(str(line.settings.state / "sounds" / "en" / f"{sound}.wav"), "rb") as file:
                says += file.readframes(file.getnframes())
        line.expects("news_released", name="John Smith", when=line.said_when(RELEASED), facility=JAIL)
        register(line, offender, number=number)
        with line.phone(says=says) as phone:
            release(line, offender)
            with phone.is_called(15) as conversation:
                yield conversation, len(says) / 2 / RATE

    yield call
    close_all(line)


def since_answer(call: Conversation) -> float:
    assert call.call.answered is not None
    return time.monotonic() - call.call.answered


@pytest.mark.parametrize(
    ("offender", "hello"), [("800101", ()), ("800102", ("digit_0",)), ("800103", ("this_person",))]
)
def test_a_person_hears_at_once_who_calls_and_then_the_news_whatever_they_say_first(
    line: Line, called: Called, offender: str, hello: tuple[str, ...]
):
    with called(offender, "5735550171", *hello) as (call, _):
        call.hears("who_calls")
        assert call.heard.passages[0].at < 2
        call.hears("John Smith was released", "ask_your_pin", within=20).presses(PIN).hears("confirmed", within=20)
        call.is_never_silent().never_heard("press_any_key", "machine_callback")
    assert states(line, offender) == ["confirmed"]


def test_a_machine_is_left_a_number_after_its_greeting_and_nothing_of_the_news(line: Line, called: Called):
    with called("800201", "5735550172", "operator_closed") as (call, greeting):
        call.hears("who_calls")
        assert call.heard.passages[0].at < 2
        call.hears("machine_callback", within=40)
        assert since_answer(call) - HEARD > greeting
        call.hears("ask_your_pin", within=20).hears("goodbye", within=20).is_hung_up()
        call.never_heard("John Smith was released")
    line.eventually(lambda: outcomes(line, "800201")[0][0], 10)
    assert outcomes(line, "800201")[0][0] == "machine"
    assert line.query("select from call_attempt where answered_by = 'machine' and heard_until > answered_at")
    assert states(line, "800201") == ["open"]


def test_a_short_greeting_that_ends_while_we_speak_is_a_machine_too(called: Called):
    with called("800202", "5735550173", "in_danger") as (call, _):
        call.hears("who_calls", "machine_callback", "goodbye", within=40).is_hung_up()


def test_who_talks_like_a_machine_is_a_person_as_soon_as_they_press_a_key(line: Line, called: Called):
    with called("800301", "5735550174", "operator_closed") as (call, _):
        call.hears("who_calls").hears("press_any_key", within=20).presses(PIN)
        call.hears("John Smith was released", "confirmed", within=20)
        call.is_never_silent()
    assert states(line, "800301") == ["confirmed"]


@pytest.mark.parametrize(("offender", "whole"), [("800401", False), ("800402", True)], ids=["speaking", "quiet"])
def test_no_key_is_lost_while_it_listens(line: Line, called: Called, offender: str, *, whole: bool):
    with called(offender, "5735550175") as (call, _):
        call.hears("who_calls", whole=whole).presses(PIN)
        call.hears("John Smith was released", "confirmed", within=20)
    assert states(line, offender) == ["confirmed"]


def test_what_was_left_on_a_machine_is_confirmed_by_calling_back(line: Line, called: Called):
    with called("800501", "5735550176", "operator_closed") as (call, _):
        call.hears("machine_callback", within=40).hangs_up()
        line.eventually(lambda: outcomes(line, "800501")[0][0], 10)
        an_hour_later(line)
    with line.phone() as phone, phone.calls("668267") as call:
        call.hears("welcome").presses("4").hears("ask_your_number").presses("5735550176#")
        call.hears("ask_the_pin").presses(PIN).hears("manage_menu", within=15).presses("1")
        call.hears("John Smith was released", "confirm_news", within=20).presses("1").hears("confirmed").hangs_up()
    assert states(line, "800501") == ["confirmed"]


def an_hour_later(line: Line) -> None:
    """So late is whoever waits called again."""
    with line.house.database() as db, db.connection() as conn:
        conn.execute("update notification set next_call_at = next_call_at + interval '1 hour' where state = 'open'")


def test_special_information_tones_say_that_there_is_no_such_number(line: Line, called: Called):
    with called("800901", "5735550179", TONES, "operator_closed") as (call, _):
        call.hears("who_calls").hears("machine_callback", within=40).hears("goodbye", within=30).is_hung_up()
    line.eventually(lambda: outcomes(line, "800901")[0][0], 10)
    assert line.query("select outcome, refused_as from call_attempt order by id desc limit 1") == [
        ("machine", "no such number")
    ]
