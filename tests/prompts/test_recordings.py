"""What people record, in whatever form a recorder writes it, and what is wrong with it."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from prompts import sound
from prompts.build import RECORDING, build, speakers
from prompts.catalogue import Catalogue
from prompts.engines import Espeak, Voices
from prompts.recordings import LONGEST, Recording, WrongRecording, check, find
from prompts.script import script, write
from prompts.sounds import built_at
from tests.prompts.conftest import Tone, in_a_room

PROMPTS = {"welcome": "Welcome.", "goodbye": "Goodbye, then.", "hello": "Hello {name}."}


@pytest.fixture(scope="session")
def talk() -> tuple[NDArray[np.float64], int]:
    """Somebody says something, two seconds into a recording of two channels."""
    speech, rate = Espeak("en").speak("Welcome to this line.")
    return in_a_room(speech, rate), rate


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    (tmp_path / "recordings" / "en").mkdir(parents=True)
    return tmp_path / "recordings"


@pytest.fixture
def welcome(recordings: Path, talk: tuple[NDArray[np.float64], int]) -> Path:
    file = recordings / "en" / "welcome.wav"
    soundfile.write(file, *talk)
    return file


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue("en", PROMPTS, service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199")


class Builder:
    """Builds as `movans prompts build` does."""

    def __init__(self, folder: Path, catalogue: Catalogue, tone: Tone) -> None:
        self.sounds, self.recordings = folder / "sounds", folder / "recordings"
        self.catalogue, self.tone = catalogue, tone
        self.voices = Voices("en", [tone])

    def build(self) -> tuple[list[str], dict[str, int]]:
        """What was made, and who speaks how many."""
        found = find(self.recordings, self.catalogue)
        built = build(self.catalogue.fixed(), self.voices, self.sounds, recordings=found)
        return built.made, built.engines

    def made(self, prompt: str) -> bytes:
        return built_at(self.sounds, "en", prompt).read_bytes()


@pytest.fixture
def builder(tmp_path: Path, catalogue: Catalogue, tone: Tone) -> Builder:
    return Builder(tmp_path, catalogue, tone)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return said


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (96000, 6)])
def test_any_rate_width_and_number_of_channels_becomes_a_sound_for_the_telephone(
    rate: int, channels: int, subtype: str, tmp_path: Path, talk: tuple[NDArray[np.float64], int]
) -> None:
    samples, made_at = talk
    at = np.arange(0, samples.shape[0], made_at / rate)
    one = np.interp(at, np.arange(samples.shape[0]), samples[:, 0])
    file = tmp_path / "welcome.wav"
    soundfile.write(file, np.stack([one] * channels, axis=1), rate, subtype)
    made = Recording.read(file).for_telephone()
    assert made.dtype == np.int16
    assert made.size / sound.RATE == pytest.approx(1.4, abs=0.25)
    assert sound.active_level(made / 32767) == pytest.approx(sound.LEVEL, abs=0.1)


def test_a_recording_is_preferred_to_every_engine(builder: Builder, welcome: Path) -> None:
    assert builder.build() == (["welcome", "goodbye"], {RECORDING: 1, "tone": 1})
    assert builder.tone.asked == ["Goodbye, then."]
    assert Recording.read(welcome).for_telephone().tobytes() in builder.made("welcome")


def test_a_sound_is_made_again_only_when_its_recording_changed(
    builder: Builder, welcome: Path, talk: tuple[NDArray[np.float64], int]
) -> None:
    builder.build()
    before = builder.made("welcome")
    os.utime(welcome, (1000, 1000))
    assert builder.build()[0] == []
    samples, rate = talk
    soundfile.write(welcome, samples[:, 0] + samples[::-1, 0], rate)
    assert builder.build()[0] == ["welcome"]
    assert builder.made("welcome") != before
    built_at(builder.sounds, "en", "welcome").unlink()
    assert builder.build()[0] == ["welcome"]


def test_the_engine_speaks_again_when_the_recording_is_removed(builder: Builder, welcome: Path) -> None:
    builder.build()
    welcome.unlink()
    assert builder.build() == (["welcome"], {"tone": 2})
    manifest = json.loads((builder.sounds / "en" / "manifest.json").read_text())
    assert {key for entry in manifest.values() for key in entry} == {"made_from", "engine"}


def test_without_a_directory_of_recordings_engines_speak(builder: Builder, caplog: pytest.LogCaptureFixture) -> None:
    assert builder.build() == (["welcome", "goodbye"], {"tone": 2})
    assert warnings(caplog) == []


WRONG: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty; record it again"),
    "text": (b"welcome to this line\n", "is not audio; save the recording as a WAV file"),
    "cut off": (b"RIFF\x24\x00\x00\x00WAVE", "is not audio"),
}


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
def test_of_a_wrong_recording_file_fault_and_remedy_are_told_and_the_engine_speaks(
    content: bytes, said: str, builder: Builder, welcome: Path, caplog: pytest.LogCaptureFixture
) -> None:
    builder.build()
    welcome.write_bytes(content)
    for made in (["welcome"], []):  # it is told as long as it is so
        assert builder.build() == (made, {"tone": 2})
        (line,) = warnings(caplog)
        assert line.startswith(f"{welcome}: {said}")


@pytest.mark.parametrize("room", [np.zeros(44100), 0.003 * np.random.default_rng(1).standard_normal(132300)])
def test_a_recording_in_which_nobody_speaks_is_wrong(room: NDArray[np.float64], tmp_path: Path) -> None:
    soundfile.write(tmp_path / "welcome.wav", room, 44100)
    with pytest.raises(WrongRecording, match="nobody speaks in it; look at the microphone, record it again"):
        Recording.read(tmp_path / "welcome.wav").for_telephone()


def test_a_recorder_that_was_not_stopped_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "welcome.wav", np.zeros(8000 * (LONGEST + 1)), 8000)
    with pytest.raises(WrongRecording, match=f"lasts {LONGEST + 1} s, at most {LONGEST} are used; shorten it"):
        Recording.read(tmp_path / "welcome.wav").for_telephone()


@pytest.mark.parametrize("kind", ["directory", "pipe", "link to nothing"])
def test_what_is_no_file_is_named_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "welcome.wav"
    {"directory": path.mkdir, "pipe": lambda: os.mkfifo(path), "link to nothing": lambda: path.symlink_to("x")}[kind]()
    with pytest.raises(WrongRecording, match=r"welcome.wav: is not a file; remove it, or put the recording there"):
        Recording.read(path)


def test_files_that_belong_to_no_prompt_are_named(
    recordings: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("welcom.wav", "hello.wav", "welcome.mp3", "goodbye.WAV", ".DS_Store"):
        (recordings / "en" / name).touch()
    assert find(recordings, catalogue) == {}
    here = recordings / "en"
    assert warnings(caplog) == [
        f"{here}/goodbye.WAV: is not used; a recording is a WAV file that is named ID.wav after its prompt",
        f"{here}/hello.wav: is not used, for this prompt says something else each time; remove it",
        f"{here}/welcom.wav: there is no prompt 'welcom'; rename it (movans prompts script lists the ids)",
        f"{here}/welcome.mp3: is not used; a recording is a WAV file that is named ID.wav after its prompt",
    ]


def test_what_lies_beside_the_languages_is_named(recordings: Path, caplog: pytest.LogCaptureFixture) -> None:
    (recordings / "welcome.wav").touch()
    check(recordings, ["en"])
    (line,) = warnings(caplog)
    assert line == (
        f"{recordings}/welcome.wav: is not used; each language has a directory, as in {recordings}/en/welcome.wav"
    )


def test_a_language_that_is_a_file_is_named(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "en").touch()
    assert find(tmp_path, catalogue) == {}
    (line,) = warnings(caplog)
    assert line.startswith(f"{tmp_path}/en: cannot be read by the service (Not a directory); ")


def test_a_recording_of_other_words_is_not_used_until_it_is_recorded_again(
    builder: Builder, welcome: Path, talk: tuple[NDArray[np.float64], int], caplog: pytest.LogCaptureFixture
) -> None:
    builder.build()
    builder.catalogue.prompts["welcome"] = "welcome"  # the same to the ear
    assert builder.build() == ([], {RECORDING: 1, "tone": 1})
    builder.catalogue.prompts["welcome"] = "Welcome to you."
    for made in (["welcome"], []):
        assert builder.build() == (made, {"tone": 2})
        (line,) = warnings(caplog)
        assert line.startswith(f"{welcome}: was recorded when the words were others; record what they are now.")
    soundfile.write(welcome, talk[0][:, 0], talk[1])
    assert builder.build() == (["welcome"], {RECORDING: 1, "tone": 1})


def test_a_recording_of_other_words_that_is_right_all_the_same_is_taken_away_and_put_back(
    builder: Builder, welcome: Path
) -> None:
    builder.build()
    builder.catalogue.prompts["welcome"] = "Welcome to you."
    builder.build()
    aside = welcome.rename(welcome.with_name(".aside"))
    assert builder.build() == ([], {"tone": 2})
    aside.rename(welcome)
    assert builder.build() == (["welcome"], {RECORDING: 1, "tone": 1})


def test_a_damaged_manifest_means_making_it_again(builder: Builder, welcome: Path) -> None:
    assert welcome.exists()
    builder.build()
    (builder.sounds / "en" / "manifest.json").write_text("{")
    assert builder.build() == (["welcome", "goodbye"], {RECORDING: 1, "tone": 1})


def test_the_script_says_what_to_read_how_long_it_takes_and_what_is_there(builder: Builder, welcome: Path) -> None:
    fixed, found = builder.catalogue.fixed(), {"welcome": welcome}
    lines = script(fixed, builder.voices, builder.sounds, found)
    assert [(line.prompt, line.words, line.estimated, line.recording) for line in lines] == [
        ("welcome", "Welcome.", True, "not in use"),
        ("goodbye", "Goodbye, then.", True, ""),
    ]
    assert lines[1].seconds == pytest.approx(0.9, abs=0.1)
    builder.build()
    assert speakers(fixed, builder.voices, builder.sounds) == {"welcome": RECORDING, "goodbye": "tone"}
    lines = script(fixed, builder.voices, builder.sounds, found)
    assert [(line.estimated, line.recording) for line in lines] == [(False, "in use"), (False, "")]
    length = (len(builder.made("welcome")) - 44) / 2 / sound.RATE
    assert lines[0].seconds == pytest.approx(length, abs=0.05)


def test_the_length_of_a_sound_of_other_words_is_an_estimate(builder: Builder) -> None:
    builder.build()
    builder.catalogue.prompts["goodbye"] = "Good night."
    lines = script(builder.catalogue.fixed(), builder.voices, builder.sounds, {})
    assert [line.estimated for line in lines] == [False, True]


def test_the_script_as_csv_is_what_spreadsheets_read(builder: Builder, tmp_path: Path) -> None:
    builder.catalogue.prompts["goodbye"] = 'Adiós, "hasta luego".'
    write(script(builder.catalogue.fixed(), builder.voices, builder.sounds, {}), tmp_path / "script.csv")
    assert (tmp_path / "script.csv").read_bytes().decode("utf-8") == (
        "\ufeffid,words,seconds,estimated,recording\r\n"
        "welcome,Welcome.,0.6,yes,\r\n"
        'goodbye,"Adiós, ""hasta luego"".",1.3,yes,\r\n'
    )


def test_nothing_is_logged_of_what_is_well(builder: Builder, welcome: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert welcome.exists()
    caplog.set_level(logging.WARNING)
    builder.build()
    check(builder.recordings, ["en"])
    assert warnings(caplog) == []
