"""Every question of a flow: found by answering those before it in every way that the flow itself knows."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from agi.call import Call, Question
from agi.channel import KEYS, Hangup
from prompts.catalogue import Catalogue, Utterance
from tests.flow.telephone import Caller

Answer = TypeVar("Answer")
Answers = tuple[str, ...]

ENTRIES = {
    "ask_offender": ("100234#", "77#"),
    "ask_case": ("21#", "77#"),
    "ask_last_name": ("764#", "76484#", "232#"),
    "ask_first_name": ("#", "5#", "5646#"),
    "ask_more_letters": ("5646#", "56#", "2#"),
    "ask_year": ("1988", "1990", "1955"),
    "ask_phone": ("5735550143#", "5735550142#", "911#"),
    "ask_pin": ("1470", "2580"),
    "ask_pin_again": ("1470", "2580"),
    "ask_your_number": ("5735550142#", "5735550143#"),
    "ask_the_pin": ("2580", "1111"),
    "ask_your_pin": ("2580", "1111", "9#"),
}
"""Digits for each question that asks for some. Which keys a menu has, it says itself."""


@dataclass(frozen=True)
class Place:
    """A question, and what the flow was doing: a second telephone is asked for in the words of the first."""

    prompt: str
    within: Answers


class Watched(Call):
    """A call that tells its caller what it asks for."""

    channel: "Explorer"
    _keys: Answers = ()

    def choose(self, question: Question, choices: Mapping[str, Answer], otherwise: Answer | None = None) -> Answer:
        self._keys = tuple(choices)
        return super().choose(question, choices, otherwise)

    def ask(self, question: Question, **wanted: Any) -> str:
        self._keys = ENTRIES[question if isinstance(question, str) else "ask_your_pin"]  # which comes after the news
        return super().ask(question, **wanted)

    def _put(self, question: Question) -> None:
        super()._put(question)
        self.channel.is_asked(self._keys)


class Explorer(Caller):
    """Listens to every sound, then gives these answers; who is asked for more than that hangs up, or is silent.

    With ``hangs_up_at``, hangs up when that sound begins, counted from nought.
    """

    makes = Watched

    def __init__(
        self, catalogue: Catalogue, answers: Sequence[str], *, silent: bool = False, hangs_up_at: int = -1
    ) -> None:
        super().__init__(catalogue)
        self.replies, self.silent, self.hangs_up_at = list(answers), silent, hangs_up_at
        self.place: Place | None = None  # where the answers ended
        self.options: Answers = ()  # what could have been answered there
        self.sounds = 0  # before the last answer
        self._prompt = ""
        self._asked = False

    def play(self, utterance: Utterance, keys: str = KEYS) -> str:
        self._prompt = utterance.prompt or self._prompt
        self._gone = self._gone or len(self.heard) == self.hangs_up_at
        return super().play(utterance, keys)

    def is_asked(self, keys: Answers) -> None:
        self._asked = True
        self.options = keys

    def wait_key(self, seconds: float) -> str:
        if self._asked and not self._keys:
            self._asked = False
            if self.replies:
                self._keys, self.sounds = self.replies.pop(0), len(self.heard)
            elif not self.silent and not self.place:
                within = (frame.name for frame in traceback.extract_stack() if "/agi/" in frame.filename)
                self.place = Place(self._prompt, tuple(within))
                raise Hangup
        return super().wait_key(seconds)


def explore(
    run: Callable[[Sequence[str]], Explorer], *, beginnings: Sequence[Answers]
) -> tuple[dict[Place, Answers], list[Answers]]:
    """The shortest way to each question, by the answers on it; and every way that is one answer longer.

    What is asked of those only who have done something before is found from ``beginnings``.
    """
    found: dict[Place, Answers] = {}
    waiting: list[Answers] = [(), *beginnings]
    ways: list[Answers] = []
    while waiting:
        way = waiting.pop(0)
        ways.append(way)
        caller = run(way)
        if caller.place and caller.place not in found:
            found[caller.place] = way
            waiting += [(*way, answer) for answer in caller.options]
    return found, ways
