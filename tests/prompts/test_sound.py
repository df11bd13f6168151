import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prompts import sound

GENERATOR = np.random.default_rng(1)


def speech(seconds: float, rate: int, level: float, silence: float = 0) -> NDArray[np.float64]:
    """Something like it: a hum with noise, in syllables, with silence on both sides."""
    at = np.arange(int(seconds * rate)) / rate
    hum = np.sin(2 * np.pi * 180 * at) + 0.5 * np.sin(2 * np.pi * 900 * at) + 0.2 * GENERATOR.standard_normal(at.size)
    quiet = np.zeros(int(silence * rate))
    return np.concatenate([quiet, level * hum * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at)), quiet])


def silence_around(samples: NDArray[np.int16]) -> tuple[float, float]:
    heard = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 100)
    return heard[0] / sound.RATE, (len(samples) - heard[-1]) / sound.RATE


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
def test_any_rate_becomes_8_khz_of_the_same_duration(rate: int) -> None:
    made = sound.for_telephone(speech(2, rate, 0.2), rate)
    assert made.dtype == np.int16
    assert len(made) / sound.RATE == pytest.approx(2 + 2 * sound.MARGIN, abs=0.05)


def test_integers_and_floats_and_two_channels_give_the_same() -> None:
    floats = speech(1, 16000, 0.2)
    integers = np.round(floats * 32767).astype(np.int16)
    both = np.stack([floats, floats], axis=1).astype(np.float32)
    made = [sound.for_telephone(raw, 16000) for raw in (floats, integers, both)]
    assert np.abs(made[0].astype(int) - made[1]).max() <= 4
    assert np.abs(made[0].astype(int) - made[2]).max() <= 4


@pytest.mark.parametrize("level", [0.003, 0.05, 0.6])
def test_quiet_and_loud_come_out_equally_loud(level: float) -> None:
    made = sound.for_telephone(speech(2, 22050, level), 22050)
    assert sound.active_level(made / 32767) == pytest.approx(sound.LEVEL, abs=0.1)


def test_pauses_do_not_count_in_the_level() -> None:
    one = speech(1, 8000, 0.2)
    paused = np.concatenate([one, np.zeros(16000), one])
    assert sound.active_level(paused) == pytest.approx(sound.active_level(one), abs=1)


def test_long_silence_is_cut_and_missing_silence_is_added() -> None:
    for silence in (0, 0.05, 1):
        before, after = silence_around(sound.for_telephone(speech(1, 16000, 0.2, silence), 16000))
        assert 0.05 <= before <= 0.15
        assert 0.05 <= after <= 0.15


def test_direct_current_is_taken_out_of_the_pauses_too() -> None:
    for offset in (0.0, 0.1):
        with_pause = np.concatenate([speech(1, 16000, 0.2), np.zeros(16000), speech(1, 16000, 0.2)]) + offset
        made = sound.for_telephone(with_pause, 16000) / 32767
        assert abs(made.mean()) < 0.0005
        assert np.abs(made[10000:14000]).max() < 0.001


def test_peaks_are_turned_down_and_never_cut_off() -> None:
    spiky = speech(2, 8000, 0.02)
    spiky[4000:12000:1000] = 0.9
    made = sound.for_telephone(spiky, 8000)
    ceiling = 32767 * 10 ** (sound.CEILING / 20)
    assert np.abs(made).max() <= ceiling + 1
    assert (np.abs(made) >= ceiling - 1).sum() < 40  # a clipped sound stays at its ceiling


NO_SPEECH = {
    "nothing": np.zeros(0),
    "too short": np.ones(1),
    "silence": np.zeros(16000),
    "direct current": np.full(16000, 0.5),
    "no numbers": np.array([0.1, np.nan] * 800),
    "hiss": 0.01 * GENERATOR.standard_normal(32000),
    "hum": 0.1 * np.sin(np.arange(32000) * 2 * np.pi * 120 / 16000),
    "a click": np.pad(np.ones(40), 8000) + 0.001 * GENERATOR.standard_normal(16040),
}


@pytest.mark.parametrize("raw", NO_SPEECH.values(), ids=NO_SPEECH)
def test_no_speech_is_an_error_and_not_an_empty_file(raw: NDArray[np.float64]) -> None:
    with pytest.raises(sound.Silent):
        sound.for_telephone(raw, 16000)


@pytest.mark.usefixtures("umask")
def test_the_file_is_what_asterisk_plays_and_may_read(tmp_path: Path) -> None:
    samples = sound.for_telephone(speech(1, 16000, 0.2), 16000)
    sound.write(tmp_path / "en" / "welcome.wav", samples)
    with wave.open(str(tmp_path / "en" / "welcome.wav"), "rb") as written:
        assert (written.getnchannels(), written.getsampwidth(), written.getframerate()) == (1, 2, 8000)
        assert written.readframes(written.getnframes()) == samples.tobytes()
    assert (tmp_path / "en").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "en" / "welcome.wav").stat().st_mode & 0o777 == 0o644
    assert [file.name for file in (tmp_path / "en").iterdir()] == ["welcome.wav"]


def test_whoever_reads_meanwhile_reads_a_whole_sound(tmp_path: Path) -> None:
    file = tmp_path / "welcome.wav"
    samples = sound.for_telephone(speech(3, 8000, 0.2), 8000)
    sound.write(file, samples)
    over = threading.Event()

    def rewrite() -> None:
        while not over.is_set():
            sound.write(file, samples)

    writer = threading.Thread(target=rewrite)
    writer.start()
    sizes = {len(file.read_bytes()) for _ in range(200)}
    over.set()
    writer.join()
    assert sizes == {44 + 2 * len(samples)}
