"""The manners of a conversation: say, ask for keys, choose, and what to do when nothing usable is pressed.

Everything can be interrupted by a key. ``*`` says it again, ``0`` leads to a person, ``9`` goes back,
``#`` ends an entry. Within an entry ``0`` and ``9`` are commands only when they stand alone, and ``*`` clears it.
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from agi.channel import KEYS, TALK, Channel
from prompts.catalogue import Catalogue, Utterance

Answer = TypeVar("Answer")
Question = str | Callable[[], None]
Check = Callable[[str], str | None]

FIRST_KEY = 7.0  # seconds of silence before a question counts as not answered
NEXT_KEY = 4.0  # seconds between two keys of one entry before it counts as complete
ONLY_KEY = 4.0  # seconds of silence after a question that silence answers too
UNUSABLE = 3  # answers before the call is ended, no answer at all included
NOT_SILENT = 0.4  # seconds of silence, while a sentence is put into sound, before that is bridged
LAST_MINUTE = 60.0  # seconds before the end of the longest call in which callers are told that it comes
ROUNDS = 12  # how often one question is put at most, repeats that the caller asked for included


class Back(Exception):
    """The caller wants to go back to the menu before."""


class GaveUp(Exception):
    """No usable answer came; the caller was offered a person and told goodbye."""


class Call:
    def __init__(
        self, channel: Channel, catalogue: Catalogue, longest: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``longest`` is how many seconds the dialplan lets a call last."""
        self.channel = channel
        self.catalogue = catalogue
        self.reach_person: Callable[[], None] = self.say_number  # what 0 leads to
        self._longest, self._clock = longest, clock
        self.begin_anew()
        self.farewell = ["cannot_go_on", "operator", "goodbye"]  # said when no usable answer comes
        self.sorry = "records_away"  # said when the database cannot be reached
        self._pressed = ""  # the key that interrupted a prompt: the first of the answer
        self._entry_was_full = False  # then a # that still comes belongs to that entry, not to the next question
        self._ended = False  # the last entry, by a #

    @property
    def language(self) -> str:
        return self.catalogue.language

    def speak(self, catalogue: Catalogue) -> None:
        """From now on in this language, also what the dialplan says should we be gone."""
        self.catalogue = catalogue
        self.channel.set_language(catalogue.language)

    def say(self, prompt: str, **values: str) -> bool:
        """Say a prompt, unless a key was pressed that waits for its question. True if it was heard to its end."""
        return self.utter(self.catalogue.utter(prompt, **values))

    def utter(self, utterance: Utterance) -> bool:
        """The same with what may be in another language."""
        if self._pressed:
            return False
        keys = KEYS.replace("#", "") if self._entry_was_full else KEYS
        self._pressed = self._play(utterance, keys)
        return not self._pressed

    def listen(self, prompt: str | None = None) -> bool:
        """Say a prompt, or be quiet for a moment; True where whoever picked up talks on like a machine."""
        if self._pressed:
            return False
        heard = self.channel.listen(self.catalogue.utter(prompt) if prompt else None)
        if heard != TALK:
            self._pressed = heard
        return heard == TALK

    @property
    def key_waits(self) -> bool:
        """Whether a key was pressed that is the first of the next answer."""
        return bool(self._pressed)

    def key_comes(self) -> bool:
        """Whether a key is pressed before a question would count as not answered. It begins the next answer."""
        self._pressed = self._pressed or self.channel.wait_key(FIRST_KEY)
        return self.key_waits

    def say_all(self, prompt: str, **values: str) -> bool:
        """Say a prompt to its end, whatever is pressed. So it is always True."""
        self._play(self.catalogue.utter(prompt, **values), "")
        return True

    def spell(self, digits: str, *groups: int) -> None:
        """Read digits back one by one, with a pause after each group. Built sounds only: no voice is told a number."""
        for position, digit in enumerate(digits, start=1):
            if not self.say(f"digit_{digit}"):
                return
            if position in groups:
                self._pressed = self.channel.wait_key(0.3)

    def choose(self, question: Question, choices: Mapping[str, Answer], otherwise: Answer | None = None) -> Answer:
        """Put a question that is answered by one key. Raises Back, GaveUp.

        ``otherwise`` answers it when nothing, or another key, is pressed; without it the question is put again.
        """
        unusable = 0
        for _ in range(ROUNDS):
            self._put(question)
            key = self._key(FIRST_KEY if otherwise is None else ONLY_KEY)
            self._entry_was_full = False
            if key in choices:
                return choices[key]
            if self._command(key) or key == "*":
                continue
            if otherwise is not None:
                return otherwise
            unusable += 1
            if unusable == UNUSABLE:
                break
            self.say("no_such_choice" if key else "nothing_pressed")
        raise self.give_up()

    def ask(
        self,
        question: Question,
        *,
        exactly: int | None = None,
        most: int = 20,
        check: Check = lambda _: None,
        blank: bool = False,
        silences: int = UNUSABLE,
    ) -> str:
        """Ask for digits; ``check`` names the prompt that says what is wrong with them. Raises Back, GaveUp.

        An entry ends with #, with a pause, or when it has ``exactly`` so many digits. With ``blank``, # alone is an
        answer too: the empty one. Who says nothing so many times (``silences``) is not asked again.
        """
        unusable = silent = 0
        for _ in range(ROUNDS):
            self._put(question)
            digits = self._collect(exactly or most)
            if digits is None or self._command(digits):
                continue
            if blank and not digits and self._ended:
                return ""
            wrong = check(digits) if digits else "nothing_pressed"
            if exactly and 0 < len(digits) < exactly:
                wrong = "too_few_digits"
            if wrong is None:
                self._entry_was_full = len(digits) == exactly
                return digits
            unusable += 1
            silent += not digits
            if unusable == UNUSABLE or silent == silences:
                break
            self.say(wrong)
        raise self.give_up()

    def give_up(self) -> GaveUp:
        """Say the farewell to its end; what is returned is to be raised, to leave the conversation."""
        for prompt in self.farewell:
            self.say_all(prompt)
        return GaveUp()

    def say_number(self) -> None:
        """How to reach a person with another call."""
        self.say("operator")

    def begin_anew(self) -> None:
        """From now on the call may last as long as any."""
        self._last_minute = self._clock() + self._longest - LAST_MINUTE

    def _play(self, utterance: Utterance, keys: str) -> str:
        """Play it, and another sound first where it is not there soon; the key that interrupted either.

        Before all this, once, that the last minute of the call has begun.
        """
        if self._clock() > self._last_minute:
            if pressed := self.channel.play(self.catalogue.utter("last_minute"), keys):
                return pressed  # told again, as it was not heard to its end
            self._last_minute = float("inf")
        ready = self.channel.is_ready(utterance, NOT_SILENT)
        pressed = "" if ready else self.channel.play(self.catalogue.utter("one_moment"), keys)
        return pressed or self.channel.play(utterance, keys)

    def _put(self, question: Question) -> None:
        if callable(question):
            question()
        else:
            self.say(question)

    def _collect(self, most: int) -> str | None:
        """The digits of one entry; None if it was cleared with ``*``, at its beginning or in its middle."""
        digits, key = "", self._key(FIRST_KEY)
        while key and key != "#":
            if key == "*":
                return None
            digits += key
            if len(digits) == most:
                break
            key = self._key(NEXT_KEY)
        self._ended = key == "#"
        return digits

    def _key(self, seconds: float) -> str:
        key, self._pressed = self._pressed or self.channel.wait_key(seconds), ""
        if key == "#" and self._entry_was_full:
            key = self.channel.wait_key(seconds)
        self._entry_was_full = False
        return key

    def _command(self, digits: str) -> bool:
        """Do what 0 and 9 ask for when they stand alone; True if the question is to be put again."""
        if digits == "9":
            raise Back
        if digits == "0":
            self.reach_person()
        return digits == "0"
