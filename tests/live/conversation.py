"""A telephone with ears, so that a test reads like a call:

    with phone.calls("668267") as call:
        call.hears("welcome").hears("menu").presses("2")
        call.hears("ask_offender").presses("100234#")

What a test waits for and does not hear fails with what was heard instead, and the last lines of the logs.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, Self

from tests.live.listening import Heard, Library
from tests.live.softphone import Call, NoSuchThing, Softphone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LOG_LINES = 15


class Conversation:
    """One call, from the caller's side. What is asked for must be heard in that order; anything may lie between."""

    def __init__(self, phone: Telephone, call: Call) -> None:
        self.phone, self.call = phone, call
        self.heard = Heard(call.recording.read, phone.library, ended=lambda: call.state == "ended")
        self._next = 0  # the first passage that no question was answered with yet

    def hears(self, *sounds: str, within: float = 10, whole: bool = False) -> Self:
        """Hear these sounds, in this order: ids of prompts, or words where the library knows them.

        Comes back about half a second into the last sound, so that keys can interrupt it; with `whole`, at its end.
        """
        for sound in sounds:
            try:
                self._next = self.heard.wait_for(sound, within, after=self._next, whole=whole) + 1
            except NoSuchThing as missing:
                self._fail(str(missing))
        return self

    def hears_digits(self, digits: str, prefix: str = "digit_", within: float = 15) -> Self:
        """Hear a number read out, digit by digit, each a sound of its own (digit_5), with no other digit between."""
        until = time.monotonic() + within
        spoken = ""
        while spoken != digits:
            if not self.heard.wait_more(self._next, max(0, until - time.monotonic())):
                self._fail(f"did not hear all of {len(digits)} digits")
            if said := re.fullmatch(prefix + "([0-9])", self.heard.named(self.heard.passages[self._next])):
                spoken += said[1]
            self._next += 1
            if not digits.startswith(spoken):
                self._fail(f"heard another number: digit {len(spoken)} is not the one expected")
        return self

    def never_heard(self, *sounds: str) -> Self:
        for sound in sounds:
            if any(self.phone.library.is_meant(fit.sound, sound) for each in self.heard.passages for fit in each.fits):
                self._fail(f"heard {sound!r}")
        return self

    def presses(self, keys: str, gap: float = 0.0) -> Self:
        try:
            self.phone.press(keys, gap)
        except NoSuchThing as trouble:
            self._fail(str(trouble))
        return self

    def waits(self, seconds: float) -> Self:
        """Do nothing, like somebody who thinks."""
        time.sleep(seconds)
        return self

    def hangs_up(self) -> Self:
        self.phone.hang_up()
        return self

    def is_hung_up(self, within: float = 10) -> Self:
        """The other side ends the call."""
        try:
            self.phone.wait_state(self.call, "ended", within)
        except NoSuchThing as trouble:
            self._fail(str(trouble))
        return self

    def is_never_silent(self, longest: float = 3.0) -> Self:
        """So far, and on the clock. For stretches in which it is the service's turn, see heard.silences()."""
        if silences := self.heard.silences(longest):
            self._fail("silence of " + ", ".join(f"{seconds:.1f} s at {at:.1f} s" for at, seconds in silences))
        return self

    def transcript(self) -> str:
        return "\n".join(str(line) for line in self.heard.transcript()) or "(nothing)"

    def close(self) -> None:
        self.heard.close()

    def _fail(self, why: str) -> NoReturn:
        state = self.call.state + (f", {self.call.reason}" if self.call.reason else "")
        said = [f"{why}; call {state}. The caller heard:", self.transcript()]
        for log in self.phone.logs:
            lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.is_file() else ["(no such file)"]
            said += [f"--- {log.name}", *lines]
        raise NoSuchThing("\n".join(said)) from None


class Telephone(Softphone):
    """A softphone, the sounds that it may hear, and the logs that tell why it heard something else."""

    def __init__(
        self,
        password: str,
        library: Library,
        *,
        logs: Sequence[Path] = (),
        user: str = "testphone",
        host: str = "127.0.0.1",
        port: int = 5060,
        own_address: str = "127.0.0.1",
        auto_answer: bool = False,
        says: bytes = b"",
        inside: Sequence[str] = (),
    ) -> None:
        super().__init__(
            password,
            user=user,
            host=host,
            port=port,
            own_address=own_address,
            auto_answer=auto_answer,
            says=says,
            inside=inside,
        )
        self.library, self.logs = library, logs

    @contextmanager
    def calls(self, number: str, within: float = 10) -> Iterator[Conversation]:
        """Dial, and talk once it is answered."""
        with self._talking(self.call(number, within)) as conversation:
            yield conversation

    @contextmanager
    def is_called(self, within: float = 10) -> Iterator[Conversation]:
        """Wait until it rings, pick up, and talk. Use wait_ringing() and hang_up() for a call that is not answered."""
        self.wait_ringing(within)
        with self._talking(self.answer()) as conversation:
            yield conversation

    @contextmanager
    def _talking(self, call: Call) -> Iterator[Conversation]:
        if call.answered is None:
            raise NoSuchThing(f"the call was not answered: {call.reason}")
        conversation = Conversation(self, call)
        try:
            yield conversation
        finally:
            if call.state != "ended" and self._alive:
                self.hang_up()
            conversation.close()
