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


def in_a_room(speech: NDArray[np.generic], rate: int, level: float = 0.3) -> NDArray[np.float64]:
    """As somebody records it at a desk: the mains hum, the room hisses, a mouse clicks, seconds pass. Two channels."""
    generator = np.random.default_rng(1)
    peak = np.abs(speech.astype(np.float64)).max()
    samples = level * np.concatenate([np.zeros(2 * rate), speech / peak, np.zeros(3 * rate)])
    at = np.arange(samples.size) / rate
    for hertz, loud in ((60, 0.01), (120, 0.005), (180, 0.003)):
        samples += loud * np.sin(2 * np.pi * hertz * at)
    samples += 0.0005 * generator.standard_normal(samples.size)
    for second in (0.2, 0.3, at[-1] - 0.4, at[-1] - 0.3):  # down and up again
        click = slice(int(second * rate), int((second + 0.004) * rate))
        samples[click] += 0.9 * generator.choice([-1, 1], at[click].size)
    return np.stack([samples, 0.5 * samples], axis=1)


class Tone:
    """An engine that hums once, counts what it was asked, and can be told to fail or to wait."""

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
        return 0.3 * np.hanning(8000) * np.sin(np.arange(8000) * 2 * np.pi * 440 / 16000), 16000


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
