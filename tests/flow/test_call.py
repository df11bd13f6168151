"""The manners of a conversation, whatever it is about."""

from dataclasses import replace

import pytest

from agi.call import Back, Call
from agi.hotline import hotline
from agi.server import converse
from agi.service import Service
from tests.flow.telephone import LONGEST, Caller, Unreachable


def asked(caller: Caller, exactly: int | None = None, *, blank: bool = False) -> str:
    answers: list[str] = []

    def flow(call: Call, _: object) -> None:
        answers.append(call.ask("ask_offender", exactly=exactly, blank=blank))

    caller.calls(flow, None)  # type: ignore[arg-type]
    return answers[0]


def test_an_entry_ends_with_pound(caller: Caller):
    caller.hears("offender number").presses("12#34")
    assert asked(caller) == "12"


def test_an_entry_ends_with_a_pause(caller: Caller):
    caller.hears("offender number").presses("12")
    assert asked(caller) == "12"


def test_an_entry_of_known_length_ends_with_its_last_digit(caller: Caller):
    caller.hears("offender number").presses("12345")
    assert asked(caller, exactly=4) == "1234"


def test_pound_alone_is_an_answer_only_where_it_may_be(caller: Caller):
    caller.hears("offender number").presses("#")
    assert asked(caller, blank=True) == ""
    caller.hears("offender number").presses("#").hears("did not get that").hears("offender number").presses("1#")
    assert asked(caller) == "1"


def test_silence_is_no_answer_though_pound_alone_is_one(caller: Caller):
    caller.hears("offender number").hears("did not get that").hears("offender number").presses("12*")
    caller.hears("offender number").presses("#")
    assert asked(caller, blank=True) == ""


def test_zero_and_nine_are_digits_within_an_entry(caller: Caller):
    caller.hears("offender number").presses("0912#")
    assert asked(caller) == "0912"


def test_nine_alone_goes_back(caller: Caller):
    caller.hears("offender number").presses("9#")
    with pytest.raises(Back):
        asked(caller)


def test_a_key_interrupts_and_is_the_first_of_the_answer(caller: Caller):
    caller.hears("welcome").presses("7#")
    heard: list[str] = []

    def flow(call: Call, _: object) -> None:
        call.say("welcome")
        call.say("not_alone")
        heard.append(call.ask("ask_offender"))

    caller.calls(flow, None)  # type: ignore[arg-type]
    assert heard == ["7"]
    assert len(caller.heard) == 1


def says(caller: Caller, *, whole: bool = False) -> list[str]:
    def flow(call: Call, _: object) -> None:
        (call.say_all if whole else call.say)("as_of", when="Friday")
        call.say("welcome")

    caller.slow_voice = True
    caller.calls(flow, None)  # type: ignore[arg-type]
    return [words.partition(" ")[0] for words in caller.heard]


def test_while_a_sentence_is_put_into_sound_callers_hear_that_it_takes_a_moment(caller: Caller):
    assert says(caller) == ["One", "This", "Welcome"]


def test_a_key_interrupts_that_too_and_is_the_answer(caller: Caller):
    caller.hears("one moment").presses("1")
    assert says(caller) == ["One"]


def test_what_is_said_to_its_end_is_said_though_a_key_was_pressed_meanwhile(caller: Caller):
    caller.hears("one moment").presses("1").hears("this is what we were told")
    assert says(caller, whole=True) == ["One", "This", "Welcome"]


def test_somebody_who_only_ever_asks_for_repeats_is_told_goodbye_in_the_end(caller: Caller, service: Service):
    for _ in range(12):
        caller.hears("press 1").presses("*")
    caller.hears("goodbye")
    assert caller.calls(hotline, service) == "gave up"


def test_a_database_that_is_away_is_said_in_words(caller: Caller, service: Service):
    away = replace(service, db=Unreachable())
    caller.hears("press 2").presses("2").hears("offender number").presses("100234#").hears("cannot reach our records")

    def flow(_: Call, service: Service) -> None:
        converse(hotline, Call(caller, service.catalogue(), LONGEST), service)

    assert caller.calls(flow, away) == "over"
