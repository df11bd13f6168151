"""A scripted caller: a telephone whose keys are pressed as a test says, and that fails when it hears something else.

caller.hears("offender number").presses("100234#").hears("is in custody").hangs_up()
caller.calls(hotline, service)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from agi.call import Call, GaveUp
from agi.channel import KEYS, TALK, Hangup
from agi.service import Service
from prompts.catalogue import Catalogue, Utterance
from prompts.sounds import NoVoice

LONGEST = 300.0  # seconds that a call may last
PATIENCE = 200  # sounds; a conversation that plays more without an end would never end


@dataclass
class Step:
    words: str
    keys: str = ""
    hangs_up: bool = False
    does: list[Callable[[], object]] = field(default_factory=list)


class Caller:
    """Keys are pressed while the sound plays that was waited for, as people in a hurry do."""

    makes: type[Call] = Call

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.steps: list[Step] = []
        self.heard: list[str] = []
        self.dialplan = ""  # the language that it was told to speak
        self._keys = ""
        self._gone = False
        self.seconds = 0.0  # since the call began
        self.connected: list[str] = []  # whom the caller was connected with
        self.answers = False  # whether a person picks up there
        self.caller = "5735550111"  # what the telephone presents
        self.no_voice = False  # then only what was built in advance can be heard
        self.talks = 0  # how often it is heard to talk on while it is spoken to, as an answering machine is
        self.special_tones = False  # whether the network says with tones that there is no such number
        self.slow_voice = False  # then what was not takes long to be made

    def hears(self, words: str) -> "Caller":
        self.steps.append(Step(words))
        return self

    def presses(self, keys: str) -> "Caller":
        self.steps[-1].keys += keys
        return self

    def hangs_up(self) -> "Caller":
        self.steps[-1].hangs_up = True
        return self

    def meanwhile(self, does: Callable[[], object]) -> "Caller":
        self.steps[-1].does.append(does)
        return self

    def later(self, seconds: float) -> "Caller":
        """When it has been heard, the call has lasted so long."""
        return self.meanwhile(lambda: setattr(self, "seconds", seconds))

    def calls(self, flow: Callable[..., Any], service: Service, *arguments: object) -> str:
        """Run the flow as the server does; return how it ended. Fails unless everything was heard that should be."""
        try:
            flow(self.makes(self, self.catalogue, LONGEST, lambda: self.seconds), service, *arguments)
            end = "over"
        except Hangup:
            end = "hung up"
        except GaveUp:
            end = "gave up"
        assert not self.steps, f"never heard {self.steps[0].words!r}, but:\n" + "\n".join(self.heard)
        return end

    def is_ready(self, utterance: Utterance, within: float) -> bool:
        return within > 1 or not self.slow_voice or utterance.prompt is not None

    def play(self, utterance: Utterance, keys: str = KEYS) -> str:
        if self._gone:
            raise Hangup
        if self.no_voice and utterance.prompt is None:
            raise NoVoice("the voice process is away")
        assert len(self.heard) < PATIENCE, "this call never ends:\n" + "\n".join(self.heard[-20:])
        self.heard.append(utterance.words)
        if self.steps and self.steps[0].words.lower() in utterance.words.lower():
            self._do(self.steps.pop(0))
        if self._keys and self._keys[0] in keys:
            return self._next_key()
        return ""

    def listen(self, utterance: Utterance | None) -> str:
        key = self.play(utterance) if utterance else self.wait_key(0)
        if not key and self.talks:
            self.talks -= 1
            return TALK
        return key

    def heard_special_tones(self) -> bool:
        return self.special_tones

    def connect(self, where: str, seconds: int) -> None:
        assert seconds > 0
        self.connected.append(where)
        if self.answers:
            raise Hangup  # after their conversation

    def wait_key(self, seconds: float) -> str:  # noqa: ARG002 - a scripted caller either has a key ready or stays silent
        if self._gone:
            raise Hangup
        return self._next_key()

    def set_language(self, language: str) -> None:
        self.dialplan = language

    def _do(self, step: Step) -> None:
        for action in step.does:
            action()
        if step.hangs_up:
            self._gone = True
            raise Hangup
        self._keys = step.keys

    def _next_key(self) -> str:
        key, self._keys = self._keys[:1], self._keys[1:]
        return key


class HangsUpAt(Caller):
    """Goes the whole way, and hangs up when a certain sound begins."""

    def __init__(self, catalogue: Catalogue, sound: int) -> None:
        super().__init__(catalogue)
        self.sound = sound

    def play(self, utterance: Utterance, keys: str = KEYS) -> str:
        if len(self.heard) == self.sound:
            self._gone = True
        return super().play(utterance, keys)


class OneConnection:
    """A database of one connection: each block is a savepoint, so that a test can take everything back."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        with self.conn.transaction():
            yield self.conn


class Unreachable:
    """A database that is away."""

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        message = "the server is away"
        raise psycopg.OperationalError(message)
        yield


class Sometimes(OneConnection):
    """A database that goes away and comes back."""

    there = True

    def goes(self) -> None:
        self.there = False

    def comes_back(self) -> None:
        self.there = True

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        if not self.there:
            message = "the server is away"
            raise psycopg.OperationalError(message)
        with super().connection() as conn:
            yield conn
