"""The manners of a conversation: say, ask for keys, choose, and what to do when nothing usable is pressed.

Everything can be interrupted by a key. ``*`` says it again, ``0`` tells how to reach a person, ``9`` goes back,
``#`` ends an entry. Within an entry ``0`` and ``9`` are commands only when they stand alone, and ``*`` clears it.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from agi.channel import KEYS, Channel
from prompts.catalogue import Catalogue

Answer = TypeVar("Answer")
Question = str | Callable[[], None]
Check = Callable[[str], str | None]

FIRST_KEY = 7.0  # seconds of silence before a question counts as not answered
NEXT_KEY = 4.0  # seconds between two keys of one entry before it counts as complete
UNUSABLE = 3  # answers before the call is ended
ROUNDS = 12  # how often one question is put at most, repeats that the caller asked for included


class Back(Exception):
    """The caller wants to go back to the menu before."""


class GaveUp(Exception):
    """No usable answer came; the caller was offered a person and told goodbye."""


class Call:
    def __init__(self, channel: Channel, catalogue: Catalogue) -> None:
        self.channel = channel
        self.catalogue = catalogue
        self.farewell = ["offer_operator", "goodbye"]  # said when no usable answer comes
        self.sorry = "records_away"  # said when the database cannot be reached
        self._pressed = ""  # the key that interrupted a prompt: the first of the answer
        self._entry_was_full = False  # then a # that still comes belongs to that entry, not to the next question

    def say(self, prompt: str, **values: str) -> bool:
        """Say a prompt, unless a key was pressed that waits for its question. True if it was heard to its end."""
        if self._pressed:
            return False
        keys = KEYS.replace("#", "") if self._entry_was_full else KEYS
        self._pressed = self.channel.play(self.catalogue.utter(prompt, **values), keys)
        return not self._pressed

    def say_all(self, prompt: str, **values: str) -> bool:
        """Say a prompt to its end, whatever is pressed. So it is always True."""
        self.channel.play(self.catalogue.utter(prompt, **values), "")
        return True

    def spell(self, digits: str, *groups: int) -> None:
        """Read digits back one by one, with a pause after each group. Built sounds only: no voice is told a number."""
        for position, digit in enumerate(digits, start=1):
            if not self.say(f"digit_{digit}"):
                return
            if position in groups:
                self._pressed = self.channel.wait_key(0.3)

    def choose(self, question: Question, choices: Mapping[str, Answer]) -> Answer:
        """Put a question that is answered by one key. Raises Back, GaveUp."""
        unusable = 0
        for _ in range(ROUNDS):
            self._put(question)
            key = self._key(FIRST_KEY)
            self._entry_was_full = False
            if key in choices:
                return choices[key]
            if self._command(key) or key == "*":
                continue
            unusable += 1
            if unusable == UNUSABLE:
                break
            self.say("no_such_choice" if key else "nothing_pressed")
        raise self.give_up()

    def ask(
        self, question: Question, *, exactly: int | None = None, most: int = 20, check: Check = lambda _: None
    ) -> str:
        """Ask for digits; ``check`` names the prompt that says what is wrong with them. Raises Back, GaveUp.

        An entry ends with #, with a pause, or when it has ``exactly`` so many digits.
        """
        unusable = 0
        for _ in range(ROUNDS):
            self._put(question)
            digits = self._collect(exactly or most)
            if digits is None or self._command(digits):
                continue
            wrong = check(digits) if digits else "nothing_pressed"
            if exactly and 0 < len(digits) < exactly:
                wrong = "too_few_digits"
            if wrong is None:
                self._entry_was_full = len(digits) == exactly
                return digits
            unusable += 1
            if unusable == UNUSABLE:
                break
            self.say(wrong)
        raise self.give_up()

    def give_up(self) -> GaveUp:
        """Say the farewell to its end; what is returned is to be raised, to leave the conversation."""
        for prompt in self.farewell:
            self.say_all(prompt)
        return GaveUp()

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
            self.say("operator")
        return digits == "0"
