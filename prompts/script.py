"""The reading script for whoever lends the line a voice."""

import csv
import wave
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from prompts import build
from prompts.engines import Voices
from prompts.sound import MARGIN
from prompts.sounds import built_at

WORDS_A_MINUTE = 170  # the pace of the engines


@dataclass(frozen=True)
class Line:
    """What to read. ``seconds`` is how long the built sound is, or an estimate.

    ``recording`` is empty where there is none; ``in use``; or ``not in use``: new, or wrong, and a build says which.
    """

    prompt: str
    words: str
    seconds: float
    estimated: bool
    recording: str


def script(fixed: Mapping[str, str], voices: Voices, directory: Path, recordings: Mapping[str, Path]) -> list[Line]:
    """The arguments are those of build.build()."""
    speakers = build.speakers(fixed, voices, directory)
    lines: list[Line] = []
    for prompt, words in fixed.items():
        built = prompt in speakers
        seconds = _length(built_at(directory, voices.language, prompt)) if built else _estimate(words)
        recording = ""
        if prompt in recordings:
            recording = "in use" if speakers.get(prompt) == build.RECORDING else "not in use"
        lines.append(Line(prompt, words, round(seconds, 1), not built, recording))
    return lines


def write(lines: Iterable[Line], file: Path) -> None:
    """As CSV. Spreadsheets take it for UTF-8 only where it begins with a byte order mark."""
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "words", "seconds", "estimated", "recording"])
        for line in lines:
            rows.writerow([line.prompt, line.words, line.seconds, "yes" if line.estimated else "", line.recording])


def _length(sound: Path) -> float:
    with wave.open(str(sound), "rb") as samples:
        return samples.getnframes() / samples.getframerate()


def _estimate(words: str) -> float:
    return 60 * len(words.split()) / WORDS_A_MINUTE + 2 * MARGIN
