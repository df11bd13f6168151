import json
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prompts.build import NotBuilt, build
from prompts.engines import Voices
from prompts.sounds import NoVoice
from tests.prompts.conftest import Tone

FIXED = {"welcome": "Welcome.", "digit_1": "one", "goodbye": "Goodbye."}


def sounds(folder: Path) -> dict[str, int]:
    return {sound.stem: sound.stat().st_mtime_ns for sound in (folder / "en").glob("*.wav")}


def engines(folder: Path) -> dict[str, str]:
    manifest = json.loads((folder / "en" / "manifest.json").read_text())
    return {prompt: entry["engine"] for prompt, entry in manifest.items()}


def test_every_prompt_becomes_a_sound_that_can_be_played(tmp_path: Path, piper: Voices) -> None:
    built = build(FIXED, piper, tmp_path)
    assert (sorted(built.made), built.kept, built.removed) == (sorted(FIXED), 0, [])
    assert built.engines == {"piper": 3}
    for prompt in FIXED:
        with wave.open(str(tmp_path / "en" / f"{prompt}.wav"), "rb") as sound:
            assert sound.getframerate() == 8000
            assert sound.getnframes() > 2000


def test_a_second_build_makes_nothing_and_asks_no_engine(tmp_path: Path, tone: Tone) -> None:
    build(FIXED, Voices("en", [tone]), tmp_path)
    before = sounds(tmp_path)
    again = Tone()
    built = build(FIXED, Voices("en", [again]), tmp_path)
    assert (built.made, built.kept, again.asked) == ([], 3, [])
    assert sounds(tmp_path) == before


def test_only_what_changed_is_built(tmp_path: Path, tone: Tone) -> None:
    build(FIXED, Voices("en", [tone]), tmp_path)
    before = sounds(tmp_path)
    built = build({**FIXED, "goodbye": "Good night.", "new": "New."}, Voices("en", [tone]), tmp_path)
    assert built.made == ["goodbye", "new"]
    assert {prompt for prompt, at in sounds(tmp_path).items() if before.get(prompt) == at} == {"welcome", "digit_1"}


def test_a_sound_that_went_missing_is_built_again(tmp_path: Path, tone: Tone) -> None:
    build(FIXED, Voices("en", [tone]), tmp_path)
    (tmp_path / "en" / "welcome.wav").unlink()
    assert build(FIXED, Voices("en", [tone]), tmp_path).made == ["welcome"]


@pytest.mark.parametrize("manifest", ["", "[]", '{"welcome": 1}', "\0"])
def test_a_manifest_that_cannot_be_read_means_building_again(tmp_path: Path, tone: Tone, manifest: str) -> None:
    build(FIXED, Voices("en", [tone]), tmp_path)
    (tmp_path / "en" / "manifest.json").write_text(manifest)
    assert len(build(FIXED, Voices("en", [tone]), tmp_path).made) == 3


def test_sounds_without_a_prompt_are_removed(tmp_path: Path, tone: Tone) -> None:
    build(FIXED, Voices("en", [tone]), tmp_path)
    (tmp_path / "en" / "stray.wav").write_bytes(b"")
    (tmp_path / "en" / ".welcome.abc.tmp").write_bytes(b"half")
    built = build({"welcome": "Welcome."}, Voices("en", [tone]), tmp_path)
    assert built.removed == ["digit_1", "goodbye", "stray"]
    assert sorted(file.name for file in (tmp_path / "en").iterdir()) == ["manifest.json", "welcome.wav"]
    assert set(engines(tmp_path)) == {"welcome"}


def test_another_order_of_engines_means_building_again(tmp_path: Path, tone: Tone) -> None:
    other = Tone("other")
    build(FIXED, Voices("en", [tone, other]), tmp_path)
    built = build(FIXED, Voices("en", [other, tone]), tmp_path)
    assert (len(built.made), built.engines) == (3, {"other": 3})


def test_progress_is_told_before_every_prompt_and_at_the_end(tmp_path: Path, tone: Tone) -> None:
    told: list[tuple[int, int, str]] = []
    build(FIXED, Voices("en", [tone]), tmp_path, lambda *step: told.append(step))
    assert told == [(0, 3, "welcome"), (1, 3, "digit_1"), (2, 3, "goodbye"), (3, 3, "")]


def test_a_prompt_that_no_engine_can_speak_is_named_and_the_others_are_built(tmp_path: Path) -> None:
    class Picky(Tone):
        def speak(self, words: str) -> tuple[NDArray[np.generic], int]:
            if words == "one":
                raise NoVoice("it does not like this")
            return super().speak(words)

    with pytest.raises(NotBuilt, match=r"^prompt 'digit_1' has no sound: tone: it does not like this$"):
        build(FIXED, Voices("en", [Picky()]), tmp_path)
    assert set(sounds(tmp_path)) == {"welcome", "goodbye"}
    assert build(FIXED, Voices("en", [Tone()]), tmp_path).made == ["digit_1"]


def test_what_a_second_choice_spoke_is_spoken_again_once_the_first_can(tmp_path: Path, away: Tone, tone: Tone) -> None:
    assert build(FIXED, Voices("en", [away, tone]), tmp_path).engines == {"tone": 3}
    away.fails = None
    built = build(FIXED, Voices("en", [away, tone]), tmp_path)
    assert (len(built.made), built.engines) == (3, {"away": 3})
    assert build(FIXED, Voices("en", [away, tone]), tmp_path).made == []


def test_while_the_first_still_cannot_it_is_asked_once_and_the_sounds_stay(
    tmp_path: Path, away: Tone, tone: Tone
) -> None:
    build(FIXED, Voices("en", [away, tone]), tmp_path)
    before = sounds(tmp_path)
    away.asked, tone.asked = [], []
    built = build(FIXED, Voices("en", [away, tone]), tmp_path)
    assert (built.made, built.kept, built.engines) == ([], 3, {"tone": 3})
    assert (len(away.asked), tone.asked) == (1, [])
    assert sounds(tmp_path) == before


def test_a_build_that_is_killed_goes_on_where_it_was(tmp_path: Path, espeak: Voices) -> None:
    fixed = {f"prompt_{n}": f"This is sentence number {n}, and it is spoken to the end." for n in range(60)}
    program = (
        "import json, sys, time\n"
        "from pathlib import Path\n"
        "from prompts.build import build\n"
        "from prompts.engines import Voices\n"
        "waits = lambda done, *_: time.sleep(300 * (done >= 50))\n"  # for whoever is late to kill it
        "build(json.loads(sys.argv[1]), Voices('en', ['espeak-ng']), Path(sys.argv[2]), waits)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, json.dumps(fixed), str(tmp_path)])
    until = time.monotonic() + 60
    while len(sounds(tmp_path)) < 10 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = sounds(tmp_path)
    assert 10 <= len(finished) < 60
    built = build(fixed, espeak, tmp_path)
    # The sound that was being written when it was killed may be made twice.
    assert 60 - len(finished) <= len(built.made) <= 60 - len(finished) + 1
    assert set(sounds(tmp_path)) == set(fixed)
    assert not list((tmp_path / "en").glob(".*.tmp"))
