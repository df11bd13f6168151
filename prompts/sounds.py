"""Where the sounds lie, and the flow's way to a sound: a file that is there, or one that the voice process makes.

This is what runs inside the FastAGI server, so it loads neither an engine nor numpy.
"""

import hashlib
import json
import logging
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Thread

from prompts.catalogue import Utterance

log = logging.getLogger(__name__)

PIPELINE = 2  # raised when the same words, spoken by the same engine, would become another sound
MADE = "said"  # the folder of the sentences made at call time
PATIENCE = 2.5  # seconds that a caller may wait for a sentence
LONGEST_REQUEST = 16384  # bytes


class NoVoice(Exception):
    """Words could not be turned into sound. The text says why and what to do, and never holds the words."""


class NotYet(NoVoice):
    pass


def made_at(directory: Path, language: str, words: str, engine: str) -> Path:
    """Where the sentence lies, once this engine has spoken it.

    The name says nothing of the words, and the engine is in it, so that what a second choice spoke while the first was
    away is not kept for ever.
    """
    told = json.dumps([PIPELINE, engine, language, words]).encode()
    return directory / MADE / f"{hashlib.sha256(told).hexdigest()}.wav"


def built_at(directory: Path, language: str, prompt: str) -> Path:
    return directory / language / f"{prompt}.wav"


class Sounds:
    """Sounds for flows. ``engines`` is the setting voices: the engines of every language, best first."""

    def __init__(
        self, directory: Path, voice: Path, engines: Mapping[str, Sequence[str]], patience: float = PATIENCE
    ) -> None:
        self.directory = directory
        self.voice = voice
        self.engines = engines
        self.patience = patience

    def path(self, utterance: Utterance) -> str:
        """The sound's absolute path without extension, as STREAM FILE takes it. Raises NoVoice."""
        return str(self._find(utterance) or self._ask(utterance, self.patience))

    def is_ready(self, utterance: Utterance, within: float) -> bool:
        """Have the sound made if need be; False where that takes longer, and goes on. What fails is left to path()."""
        try:
            return bool(self._find(utterance) or self._ask(utterance, self.patience, within=within))
        except NotYet:
            return False
        except NoVoice:
            return True

    def try_voice(self, language: str) -> None:
        """Ask the voice process itself, whatever lies there already. Raises NoVoice."""
        self._ask(Utterance("Yes.", language, None), self.patience)

    def prepare(self, utterances: Iterable[Utterance]) -> Thread:
        """Make sentences ahead, beside what the caller hears meanwhile. What fails is left to path() to fail again."""
        thread = Thread(target=self._prepare, args=(list(utterances),), name="prepare", daemon=True)
        thread.start()
        return thread

    def _prepare(self, utterances: Sequence[Utterance]) -> None:
        for utterance in utterances:
            try:
                if not self._find(utterance):
                    self._ask(utterance, patience=20, ahead=True)
            except NoVoice as error:
                log.info("not prepared: %s", error)

    def _find(self, utterance: Utterance) -> Path | None:
        if utterance.prompt:
            sound = built_at(self.directory, utterance.language, utterance.prompt)
        else:
            engines = self.engines.get(utterance.language)
            if not engines:
                raise NoVoice(f"no engine is set for the language {utterance.language!r} (setting voices)")
            sound = made_at(self.directory, utterance.language, utterance.words, engines[0])
        return sound.with_suffix("") if sound.exists() else None

    def _ask(self, utterance: Utterance, patience: float, *, within: float | None = None, ahead: bool = False) -> str:
        request = {"language": utterance.language, "words": utterance.words, "patience": patience, "ahead": ahead}
        until = time.monotonic() + (within or patience)
        answer = self._exchange(json.dumps(request).encode() + b"\n", until)
        try:
            reply = json.loads(answer)
        except ValueError:
            raise NoVoice("the voice process went away without an answer") from None
        if "path" not in reply:
            raise NoVoice(str(reply.get("error", "the voice process gave no answer")))
        return reply["path"]

    def _exchange(self, request: bytes, until: float) -> bytes:
        answer = b""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            try:
                line.settimeout(_left(until))
                line.connect(str(self.voice))
                line.sendall(request)
                while not answer.endswith(b"\n"):
                    line.settimeout(_left(until))
                    part = line.recv(4096)
                    if not part:
                        break
                    answer += part
            except TimeoutError:
                raise NotYet("the voice process took too long") from None
            except OSError as error:
                raise NoVoice(f"the voice process cannot be reached ({error.strerror}); is it running?") from None
        return answer


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
