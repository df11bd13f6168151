import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prompts.engines import Voices
from prompts.sounds import NoVoice, Sounds
from prompts.voice import VoiceServer


@pytest.fixture(scope="session")
def piper() -> Voices:
    """The real one, loaded once."""
    return Voices("en", ["piper"])


@pytest.fixture
def espeak() -> Voices:
    return Voices("en", ["espeak-ng"])


class Tone:
    """An engine that hums, counts what it was asked, and can be told to fail or to wait."""

    def __init__(self, name: str = "tone") -> None:
        self.name = name
        self.asked: list[str] = []
        self.fails: Exception | None = None
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.began = threading.Event()

    def speak(self, words: str) -> tuple[NDArray[np.generic], int]:
        self.asked.append(words)
        self.began.set()
        assert self.goes_on.wait(10)
        if self.fails:
            raise self.fails
        return 0.3 * np.sin(np.arange(8000) * 2 * np.pi * 440 / 16000), 16000


@pytest.fixture
def tone() -> Tone:
    return Tone()


@pytest.fixture
def away() -> Tone:
    """An engine that cannot speak."""
    engine = Tone("away")
    engine.fails = NoVoice("it is not here")
    return engine


class Server:
    """A voice server in a thread, and a client of it."""

    def __init__(self, folder: Path, voices: Voices, patience: float = 2.5) -> None:
        self.beats: list[float] = []
        self.directory = folder / "sounds"
        self.socket = folder / "voice.sock"
        self.server = VoiceServer(self.socket, self.directory, {"en": voices}, lambda: self.beats.append(1))
        self.sounds = Sounds(self.directory, self.socket, {"en": voices.names}, patience)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> "Server":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)
