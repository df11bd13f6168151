"""From what an engine gives to what a telephone plays: 8 kHz, 16 bit, mono, at the same loudness as everything else."""

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

Samples = NDArray[np.float64]


class Silent(ValueError):
    """There is no speech in what an engine gave."""


def for_telephone(raw: NDArray[np.generic], rate: int) -> NDArray[np.int16]:
    """Samples of any rate, float or integer, one channel or several -> 16-bit samples at 8 kHz. Raises Silent."""
    samples = _as_float(raw)
    if samples.size == 0 or not np.isfinite(samples).all():
        raise Silent("no sound came out")
    # np.asarray: soxr's types do not say what it returns
    samples = np.asarray(soxr.resample(samples - samples.mean(), rate, RATE, quality="HQ"))
    # With silence around it, for the margins, and so that the end does not ring into the beginning; slopes towards it,
    # for direct current that begins at once is a click.
    samples = _trim(_without_rumble(np.pad(samples, RATE // 2, mode="linear_ramp")))
    samples = _limit(samples * _ratio(LEVEL - active_level(samples)))
    return np.round(samples * 32767).astype(np.int16)


def active_level(samples: Samples) -> float:
    """Level of the speech in dB below full scale, pauses left out: the idea of ITU-T P.56.

    A stretch is active when it, or the 200 ms before it, is within 15.9 dB of the level sought; so the level is found
    by coming nearer to it, beginning with that of the whole.
    """
    energy = _energy(samples, frame=RATE // 100)
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


def _without_rumble(samples: Samples) -> Samples:
    """Take out what lies below the telephone's band, direct current first of all.

    To take the mean away is not enough: where the pauses are truly silent, that puts direct current into them.
    """
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(samples.size, 1 / RATE)
    return np.fft.irfft(spectrum * np.clip((frequencies - 40) / 40, 0, 1), samples.size)


def _trim(samples: Samples) -> Samples:
    """Leave MARGIN before the first and after the last frame that can be heard. Takes more silence than that."""
    frame = RATE // 100
    margin = int(MARGIN * RATE)
    energy = _energy(samples, frame)
    heard = np.flatnonzero(energy > max(energy.max() * _ratio(-45) ** 2, _ratio(-75) ** 2))
    if not heard.size:
        raise Silent("no speech came out")
    samples = samples[heard[0] * frame - margin : (heard[-1] + 1) * frame + margin].copy()
    fade = np.linspace(0, 1, frame)
    samples[:frame] *= fade
    samples[-frame:] *= fade[::-1]
    return samples


def _limit(samples: Samples) -> Samples:
    """Turn the sound down for some milliseconds around each peak above the ceiling, rather than cut the peak off."""
    gain = np.minimum(1, _ratio(CEILING) / np.maximum(np.abs(samples), 1e-9))
    if gain.min() == 1:
        return samples
    reach = RATE // 200  # 5 ms to each side
    padded = np.pad(gain, 2 * reach, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    return samples * np.convolve(lowest, np.ones(2 * reach + 1) / (2 * reach + 1), mode="valid")


def _energy(samples: Samples, frame: int) -> Samples:
    """Mean square of each frame; what does not fill a last frame counts as one filled up with silence."""
    filled = np.pad(samples, (0, -len(samples) % frame))
    return np.square(filled).reshape(-1, frame).mean(axis=1)


def _ratio(decibels: float) -> float:
    return 10 ** (decibels / 20)
