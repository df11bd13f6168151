"""From what an engine or a microphone gives to what a telephone plays.

That is 8 kHz, 16 bit, mono, at the same loudness as everything else, with the same short silence on both sides.
"""

import os
import tempfile
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

RATE = 8000
LEVEL = -23.0  # active speech level in dB below full scale: what telephone networks expect, and room for the peaks
CEILING = -3.0  # no peak is above this; G.711 clips at about -0.2
MARGIN = 0.1  # seconds left before and after the speech, so that joined prompts keep an even step
FRAME = RATE // 100  # samples; levels are measured over 10 ms
PAD = RATE // 2  # samples of silence that are put around a sound while it is worked on

Samples = NDArray[np.float64]


class Silent(ValueError):
    """There is no speech in what was given."""


def for_telephone(raw: NDArray[np.generic], rate: int) -> NDArray[np.int16]:
    """Samples of any rate, float or integer, one channel or several -> 16-bit samples at 8 kHz. Raises Silent."""
    samples = _as_float(raw)
    if samples.size < rate // 20 or not np.isfinite(samples).all():
        raise Silent("no sound came out")
    # np.asarray: soxr's types do not say what it returns
    samples = np.asarray(soxr.resample(samples - samples.mean(), rate, RATE, quality="HQ"))
    # With silence around it, for the margins, and so that the end does not ring into the beginning; slopes towards it,
    # for direct current that begins at once is a click.
    samples = _trim(_without_below(40, np.pad(samples, PAD, mode="linear_ramp")))
    for _ in range(3):  # a click that was turned down no longer counts in the level
        samples = _limit(samples * _ratio(LEVEL - active_level(samples)))
    return np.round(samples * 32767).astype(np.int16)


def active_level(samples: Samples) -> float:
    """Level of the speech in dB below full scale, pauses left out: the idea of ITU-T P.56.

    A stretch is active when it, or the 200 ms before it, is within 15.9 dB of the level sought; so the level is found
    by coming nearer to it, beginning with that of the whole.
    """
    energy = _energy(samples)
    level = energy.mean()
    for _ in range(20):
        loud = energy > level * _ratio(-15.9) ** 2
        active = np.convolve(loud, np.ones(21))[: len(loud)] > 0
        if not active.any():
            raise Silent("no speech came out")
        level = energy[active].mean()
    if level < _ratio(-80) ** 2:
        raise Silent("no speech came out")
    return float(10 * np.log10(level))


def open_folder(folder: Path) -> None:
    """Make a folder of sounds that others may look into, whatever this process's umask says."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(folder.stat().st_mode | 0o755)


def write(file: Path, samples: NDArray[np.int16]) -> None:
    """Write a WAV file at once and whole, also when the machine stops: half a sentence must never be played.

    Everybody may read it, for Asterisk is another user; the folder above says who comes that far.
    """
    open_folder(file.parent)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            with wave.open(stream, "wb") as sound:
                sound.setnchannels(1)
                sound.setsampwidth(2)
                sound.setframerate(RATE)
                sound.writeframes(samples.astype("<i2").tobytes())
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _as_float(raw: NDArray[np.generic]) -> Samples:
    full = float(np.iinfo(raw.dtype.name).max) if raw.dtype.kind == "i" else 1.0
    samples = raw.astype(np.float64) / full
    return samples.mean(axis=1) if samples.ndim == 2 else samples


def _without_below(hertz: float, samples: Samples) -> Samples:
    """Take out what lies below a frequency, direct current first of all; from twice that on, all stays.

    To take the mean away is not enough: where the pauses are truly silent, that puts direct current into them.
    """
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(samples.size, 1 / RATE)
    return np.fft.irfft(spectrum * np.clip((frequencies - hertz) / hertz, 0, 1), samples.size)


def _trim(samples: Samples) -> Samples:
    """Leave MARGIN before the first and after the last of the speech. Takes samples with PAD around them."""
    first, last = _speech(samples)
    margin = int(MARGIN * RATE)
    samples = samples[first * FRAME - margin : (last + 1) * FRAME + margin].copy()
    fade = np.linspace(0, 1, FRAME)
    samples[:FRAME] *= fade
    samples[-FRAME:] *= fade[::-1]
    return samples


def _speech(samples: Samples) -> tuple[int, int]:
    """The first and the last frame of the speech. Raises Silent.

    Rooms hum, hiss and click. So only what lies above the hum counts; it must stand out from the noise, which is what a
    twentieth of the frames do not exceed; and what has 200 ms of silence around it must be heard for 80 ms on end.
    """
    energy = _energy(_without_below(200, samples))
    loudest = np.lib.stride_tricks.sliding_window_view(energy, 5).min(axis=1).max()  # for 50 ms, so it is no click
    noise = np.percentile(energy[PAD // FRAME : -PAD // FRAME], 5)
    if loudest < noise * _ratio(8) ** 2:
        raise Silent("there is nothing but noise")
    # Where speech fills all of a sound, what seems to be noise is the speech itself.
    level = np.clip(noise * _ratio(8) ** 2, loudest * _ratio(-45) ** 2, loudest * _ratio(-25) ** 2)
    heard = np.flatnonzero(energy > max(level, _ratio(-75) ** 2))
    stretches = np.split(heard, np.flatnonzero(np.diff(heard) > 20) + 1)
    speech = [stretch for stretch in stretches if (stretch[7:] - stretch[:-7] == 7).any()]
    if not speech:
        raise Silent("no speech came out")
    return int(speech[0][0]), int(speech[-1][-1])


def _limit(samples: Samples) -> Samples:
    """Turn the sound down for some milliseconds around each peak above the ceiling, rather than cut the peak off."""
    gain = np.minimum(1, _ratio(CEILING) / np.maximum(np.abs(samples), 1e-9))
    if gain.min() == 1:
        return samples
    reach = RATE // 200  # 5 ms to each side
    padded = np.pad(gain, 2 * reach, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    return samples * np.convolve(lowest, np.ones(2 * reach + 1) / (2 * reach + 1), mode="valid")


def _energy(samples: Samples) -> Samples:
    """Mean square of each frame; what does not fill a last frame counts as one filled up with silence."""
    filled = np.pad(samples, (0, -len(samples) % FRAME))
    return np.square(filled).reshape(-1, FRAME).mean(axis=1)


def _ratio(decibels: float) -> float:
    return 10 ** (decibels / 20)
