"""What a caller heard.

There is no speech recognition: every sound that the service plays is a file, and through G.711 on the loopback it
arrives as it left, so each sound is found again by comparing waveforms.

A sound's first 0.3 s of speech, its probe, are sought in what is new (normalised cross-correlation). Where a probe
fits, the file is followed frame by frame for as long as it fits: that tells how much of it was heard, and which of
several sounds with the same beginning it is. While a sound is being followed nothing else is sought, so listening
costs next to nothing. A sound that is interrupted within its first 0.3 s is not recognised.
"""

from __future__ import annotations

import threading
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tests.live.softphone import RATE, NoSuchThing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

TICK = 0.05  # seconds between two looks at the recording
FRAME = 160  # samples that are compared at once; also what one packet carries
PROBE = 2400  # samples
FFT = 8192
NEAR = 200  # samples within which a probe's best place is sought: two periods of a deep voice
FITS = 0.8  # correlation of a probe; a sound that is truly there gives 0.99 and more
STRAY = 0.1  # part of a frame's energy that may differ (G.711 makes 0.001)
QUIET = 60.0  # amplitude below which there is nothing to hear
SPEECH = 200.0  # amplitude (RMS of a frame) above which somebody or something is speaking
LOST = 10  # packets in a row that may be missing inside a sound


@dataclass(eq=False)
class Sound:
    """One waveform, and the names of the files that hold it."""

    samples: Samples
    start: int  # where speech begins
    end: int  # where it ends
    names: list[str]  # "en/welcome", "said/3f0c…"

    @property
    def probe(self) -> Samples:
        return self.samples[self.start : self.start + PROBE]


class Library:
    """All sounds below a directory, DIRECTORY/LANGUAGE/ID.wav; looks again whenever a folder changes.

    `words` (name of the file, without folder and extension, to words) tells what is in the files of sentences made at
    call time, whose names are hashes. More can be added to it while a call goes on.
    """

    def __init__(self, directory: Path, words: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.words = {} if words is None else words
        self.sounds: list[Sound] = []
        self.spectra = np.zeros((0, FFT // 2 + 1), np.complex64)
        self.lengths = np.zeros(0, np.int64)
        self._lock = threading.Lock()
        self._folders: dict[Path, int] = {}
        self._files: dict[Path, int] = {}
        self.refresh()

    def refresh(self) -> None:
        with self._lock:
            folders = {
                path: path.stat().st_mtime_ns for path in (self.directory, *self.directory.iterdir()) if path.is_dir()
            }
            if folders == self._folders:
                return
            self._folders = folders
            new = False
            for path in sorted(self.directory.glob("*/*.wav")):
                changed = path.stat().st_mtime_ns
                if self._files.get(path) != changed:
                    self._files[path] = changed
                    new = self._add(path) or new
            if new:
                self._prepare()

    def _add(self, path: Path) -> bool:
        name = f"{path.parent.name}/{path.stem}"
        for sound in self.sounds:
            if name in sound.names:  # built anew
                sound.names.remove(name)
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
                raise ValueError(f"{name} is not 16-bit mono of {RATE} Hz")
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
        loud = np.flatnonzero(np.abs(samples) > SPEECH)
        if not loud.size:
            return False  # silence cannot be recognised
        for sound in self.sounds:
            if np.array_equal(sound.samples, samples):
                sound.names.append(name)
                return False
        self.sounds.append(Sound(samples, int(loud[0]), int(loud[-1]) + 1, [name]))
        return True

    def _prepare(self) -> None:
        self.sounds = [sound for sound in self.sounds if sound.names]
        probes = np.zeros((len(self.sounds), FFT), np.float32)
        for row, sound in zip(probes, self.sounds, strict=True):
            probe = sound.probe
            row[: probe.size] = probe / np.linalg.norm(probe)
        self.spectra = np.conj(np.fft.rfft(probes, axis=1)).astype(np.complex64)
        self.lengths = np.array([sound.probe.size for sound in self.sounds], np.int64)

    def called(self, sound: Sound) -> str:
        """What a person would call it: its words where they are known, else its id, else its hash."""
        stems = [name.split("/")[1] for name in sound.names]
        return next((f'"{self.words[stem]}"' for stem in stems if stem in self.words), " = ".join(dict.fromkeys(stems)))

    def is_meant(self, sound: Sound, what: str) -> bool:
        """Whether `what` is this sound: an id ("welcome"), one of a language ("es/welcome"), or some of its words."""
        for name in sound.names:
            stem = name.split("/")[1]
            if what in (name, stem) or what.lower() in self.words.get(stem, "").lower():
                return True
        return False


@dataclass(eq=False)
class _Fit:
    """A sound that seems to be in the recording, its first sample at `origin`, followed up to its sample `upto`."""

    sound: Sound
    origin: int
    upto: int
    spoken: int = 0  # end of the last frame with something to hear that fitted
    over: bool = False  # it came to its end, or something else came

    @property
    def whole(self) -> bool:
        return self.spoken > self.sound.end - FRAME


@dataclass(eq=False)
class Passage:
    """One sound that was heard, or several that cannot be told apart by what was heard of them."""

    at: float  # seconds since the recording began
    fits: list[_Fit] = field(repr=False)
    over: bool = False

    @property
    def seconds(self) -> float:
        """How much of the sound was heard, from the beginning of its file."""
        return max(fit.spoken for fit in self.fits) / RATE

    @property
    def length(self) -> float:
        return max(fit.sound.end for fit in self.fits) / RATE

    @property
    def whole(self) -> bool:
        return any(fit.whole for fit in self.fits)


class Line(NamedTuple):
    """A line of a transcript."""

    at: float
    what: str  # id, words, hash, or "(unknown sound)"
    seconds: float
    length: float  # of the whole sound; of an unknown one, the same as seconds

    def __str__(self) -> str:
        cut = f" of {self.length:.1f} s" if self.length - self.seconds > 0.3 else ""
        return f"{self.at:7.2f} s  {self.what}  ({self.seconds:.1f} s{cut})"


class Level(NamedTuple):
    what: str
    peak: float  # dB below full scale
    speech: float  # RMS of the frames in which something is spoken, dB below full scale
    clipped: int  # samples at G.711's limits


class Heard:
    """Listens to a recording that grows, in a thread of its own, until close() or until `ended` says so."""

    def __init__(
        self, read: Callable[[], bytes], library: Library, *, ended: Callable[[], bool] = lambda: False
    ) -> None:
        self.library = library
        self.passages: list[Passage] = []  # of what is certain
        self.cpu_seconds = 0.0
        self._read, self._ended = read, ended
        self._audio = np.zeros(60 * RATE, np.float32)
        self._size = 0
        self._searched = 0
        self._fits: list[_Fit] = []
        self._passage: Passage | None = None
        self._arrivals: list[tuple[int, float]] = []  # samples received so far, when
        self._stall_seen = -1
        self._began = time.monotonic()
        self._finished = False
        self._trouble: Exception | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listening", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)

    # Questions

    def wait_for(self, what: str, timeout: float = 10, *, after: int = 0, whole: bool = False) -> int:
        """Wait until `what` is heard in passages[after:]; comes back, with its place, while it is still being spoken.

        With `whole`, waits until it has been spoken to its end.
        """

        def there() -> bool:
            return self._place(what, after, whole=whole) is not None

        with self._changed:
            self._changed.wait_for(lambda: there() or self._finished, timeout)
            if self._trouble:
                raise self._trouble
            place = self._place(what, after, whole=whole)
            if place is None:
                why = "the call was over" if self._finished else f"waited {timeout:g} s"
                raise NoSuchThing(f"did not hear {what!r}{' to its end' if whole else ''} ({why})")
            return place

    def _place(self, what: str, after: int, *, whole: bool) -> int | None:
        for number, passage in enumerate(self.passages[after:], after):
            if any(self.library.is_meant(fit.sound, what) for fit in passage.fits) and (not whole or passage.whole):
                return number
        return None

    def wait_more(self, count: int, timeout: float) -> bool:
        """Wait until more than `count` passages were heard; False when the time or the call is over before."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.passages) > count or self._finished, timeout)
            return len(self.passages) > count

    def named(self, passage: Passage) -> str:
        return " or ".join(self.library.called(fit.sound) for fit in passage.fits)

    def transcript(self) -> list[Line]:
        with self._changed:
            lines = [
                (each.fits[0].origin, Line(each.at, self.named(each), each.seconds, each.length))
                for each in self.passages
            ]
            covered = [(fit.origin, fit.origin + fit.upto) for each in self.passages for fit in each.fits]
            until = self._size if self._finished else self._searched
            for first, last in self._spoken(until, covered):
                if last - first > RATE // 5:
                    seconds = (last - first) / RATE
                    lines.append((first, Line(self._when(first), "(unknown sound)", seconds, seconds)))
        return [line for _, line in sorted(lines)]

    def silences(self, longest: float = 3.0) -> list[tuple[float, float]]:
        """(begin, seconds), on the clock, of every stretch of more than `longest` seconds without a sound."""
        with self._changed:
            edges = [0.0]
            for first, last in self._spoken(self._size, []):
                edges += [self._when(first), self._when(last - 1)]
            edges.append(self._now())
        return [
            (begin, end - begin) for begin, end in zip(edges[::2], edges[1::2], strict=True) if end - begin > longest
        ]

    def levels(self) -> list[Level]:
        """How loud each sound was that was heard."""
        levels = []
        with self._changed:
            for passage in self.passages:
                fit = passage.fits[0]
                samples = self._audio[max(fit.origin, 0) : max(fit.origin + fit.spoken, 0)]
                frames = samples[: samples.size // FRAME * FRAME].reshape(-1, FRAME)
                loudness = np.sqrt(np.square(frames).mean(axis=1))
                speech = loudness[loudness > SPEECH]
                if speech.size:
                    peak, rms = float(np.abs(samples).max()), float(np.sqrt(np.square(speech).mean()))
                    clipped = int((np.abs(samples) >= 32124).sum())
                    levels.append(Level(self.named(passage), _decibels(peak), _decibels(rms), clipped))
        return levels

    # The clock. What arrived is contiguous in the recording, but not in time: who says nothing sends nothing.

    def _when(self, sample: int) -> float:
        """When a sample arrived, in seconds since the beginning."""
        low, high = 0, len(self._arrivals)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._arrivals[middle][0] <= sample else (low, middle)
        if low == len(self._arrivals):
            return self._now()
        size, at = self._arrivals[low]
        return max(0.0, at - (size - sample) / RATE)

    def _now(self) -> float:
        return self._arrivals[-1][1] if self._finished and self._arrivals else time.monotonic() - self._began

    # The thread

    def _listen(self) -> None:
        try:
            over = False
            while not over:
                over = (
                    self._stop.is_set() or self._ended()
                )  # asked before the last read, so that nothing is left unread
                data = self._read()
                with self._changed:
                    begun = time.thread_time()
                    if data:
                        self._take(np.frombuffer(data, "<i2").astype(np.float32))
                    self._follow(over=over)
                    self.cpu_seconds += time.thread_time() - begun
                    self._changed.notify_all()
                self._stop.wait(0 if over else TICK)
        except Exception as error:  # noqa: BLE001  whoever waits is told
            self._trouble = error
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def _take(self, new: Samples) -> None:
        while self._size + new.size > self._audio.size:
            self._audio = np.concatenate([self._audio, np.zeros_like(self._audio)])
        self._audio[self._size : self._size + new.size] = new
        self._size += new.size
        self._arrivals.append((self._size, time.monotonic() - self._began))

    def _follow(self, *, over: bool) -> None:
        while True:
            if self._fits:
                if not self._still_fits(over=over):
                    return
            elif not self._seek(over=over):
                return

    def _seek(self, *, over: bool) -> bool:
        """Look for probes in what is new. False when more must come first."""
        stalled = over or (bool(self._arrivals) and time.monotonic() - self._began - self._arrivals[-1][1] > 0.15)
        # A probe can begin anywhere up to `last`. When nothing more comes, a short sound at the end is looked for too,
        # but that place stays to be searched again.
        last = self._size - (0 if stalled else PROBE)
        if last <= self._searched or (stalled and self._stall_seen == self._size):
            return False
        self.library.refresh()
        count = min(last - self._searched, FFT - PROBE)
        window = np.zeros(FFT, np.float32)
        part = self._audio[self._searched : min(self._searched + count + PROBE, self._size)]
        window[: part.size] = part
        if self.library.sounds and np.abs(part).max() > QUIET:
            edge, found = self._correlate(window, count)
            if found and edge + NEAR > count and not stalled:
                if count < FFT - PROBE:
                    return False  # the best place may be in what comes next
                self._searched += edge
                return True
            if found:
                self._fits = found
                return True
        if stalled and self._searched + count + PROBE > self._size:
            self._stall_seen = self._size
            self._searched = max(self._searched, min(self._searched + count, self._size - PROBE))
            return False
        self._searched += count
        return True

    def _correlate(self, window: Samples, count: int) -> tuple[int, list[_Fit]]:
        """Where a probe first fits, and the sounds whose probes fit best about there."""
        library = self.library
        sounds, lengths = library.sounds, library.lengths
        energy = np.concatenate([[0.0], np.cumsum(np.square(window, dtype=np.float64))])
        raw = np.fft.irfft(np.fft.rfft(window) * library.spectra, FFT, axis=1)[:, :count]
        for length in np.unique(lengths):
            norms = np.sqrt(np.maximum(energy[length : length + count] - energy[:count], length * QUIET**2))
            raw[lengths == length] /= norms
        fitting = raw >= FITS
        hits = np.flatnonzero(fitting.any(axis=1))
        edges: list[int] = []
        found: list[tuple[int, Sound]] = []
        for hit in hits:
            # Of the first place, for the same sound may come again and again; and the best about there, for a vowel
            # fits itself almost as well a period of the voice too early.
            edge = int(fitting[hit].argmax())
            edges.append(edge)
            found.append((edge + int(raw[hit, edge : edge + NEAR].argmax()), sounds[hit]))
        first = min((place for place, _ in found), default=0)
        # Those that begin later are found when this one is over.
        return min(edges, default=0), [
            _Fit(sound, self._searched + place - sound.start, sound.start)
            for place, sound in found
            if place - first <= RATE // 20
        ]

    def _still_fits(self, *, over: bool) -> bool:
        """Follow the sounds that may be the one. False when more must come first."""
        for fit in self._fits:
            self._extend(fit)
            fit.over = fit.over or over
        longest = max(fit.spoken for fit in self._fits)
        likely = [fit for fit in self._fits if fit.spoken >= longest - FRAME]
        alive = not all(fit.over for fit in self._fits)
        if not alive and any(fit.whole for fit in likely):
            likely = [fit for fit in likely if fit.whole]  # "one" was heard, not the beginning of "one hundred"
        first = self._fits[0]
        if not alive and longest - first.sound.start < min(PROBE, first.sound.samples.size - first.sound.start) // 2:
            # Too little: something that only resembles the beginning. Go on a little later.
            self._searched = max(self._searched, first.origin + first.sound.start) + FRAME
            self._fits = []
            return True
        enough = longest - first.sound.start >= PROBE * 3 // 4 or not alive
        if enough and self._passage is None and (len(likely) == 1 or not alive):
            self._passage = Passage(self._when(max(likely[0].origin, 0)), likely)
            self.passages.append(self._passage)
        if self._passage is not None:
            self._passage.fits = likely
        if alive:
            return False
        assert self._passage is not None
        self._passage.over = True
        self._searched = max(self._searched + 1, max(fit.origin + fit.spoken for fit in likely))
        self._passage, self._fits = None, []
        return True

    def _extend(self, fit: _Fit) -> None:
        file = fit.sound.samples
        while not fit.over:
            if fit.upto >= file.size:
                fit.over = True
                return
            frame = file[fit.upto : fit.upto + FRAME]
            place = fit.origin + fit.upto
            if place + frame.size > self._size:
                return
            if self._same(frame, place):
                fit.upto += frame.size
                if np.abs(frame).max() > QUIET:
                    fit.spoken = fit.upto
                continue
            if self._size - place < 2 * FRAME:
                return  # one more frame, to see whether a packet was lost
            for lost in range(1, LOST + 1):
                skipped = file[fit.upto + lost * FRAME :][: 2 * FRAME]
                if skipped.size == 2 * FRAME and np.abs(skipped).max() > SPEECH and self._same(skipped, place):
                    fit.origin -= lost * FRAME
                    fit.upto += lost * FRAME
                    break
            else:
                fit.over = True

    def _same(self, wanted: Samples, place: int) -> bool:
        got = self._audio[place : place + wanted.size]
        allowed = STRAY * float(np.dot(wanted, wanted)) + wanted.size * QUIET**2
        stray = got - wanted
        return float(np.dot(stray, stray)) <= allowed

    def _spoken(self, until: int, covered: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """(first, last) sample of each stretch with something to hear, leaving out what is covered."""
        frames = self._audio[: until // FRAME * FRAME].reshape(-1, FRAME)
        loud = np.sqrt(np.square(frames).mean(axis=1)) > SPEECH
        for first, last in covered:
            loud[max(first, 0) // FRAME : -(-max(last, 0) // FRAME)] = False
        stretches: list[tuple[int, int]] = []
        for number in np.flatnonzero(loud):
            first, last = int(number) * FRAME, int(number + 1) * FRAME
            # Pauses between words are part of speech, unless they were long on the clock.
            if (
                stretches
                and first - stretches[-1][1] < RATE // 3
                and self._when(first) - self._when(stretches[-1][1]) < 0.5
            ):
                stretches[-1] = (stretches[-1][0], last)
            else:
                stretches.append((first, last))
        return stretches


def _decibels(amplitude: float) -> float:
    return 20 * float(np.log10(max(amplitude, 1e-3) / 32768))
