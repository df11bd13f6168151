"""Recordings by people, preferred to every engine: LANGUAGE/ID.wav, of any rate, width and number of channels.

Of what cannot be used the log tells file, what is wrong and what to do, and an engine speaks: nobody is left without a
sound.
"""

import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from prompts.catalogue import Catalogue
from prompts.sound import Silent, for_telephone

log = logging.getLogger(__name__)

LONGEST = 120  # seconds; more is no prompt, but a recorder that was not stopped
LARGEST = 200_000_000  # bytes


class WrongRecording(Exception):
    """A recording cannot be used; the text names the file, what is wrong and what to do."""


@dataclass(frozen=True)
class Recording:
    file: Path
    content: bytes

    @classmethod
    def read(cls, file: Path) -> "Recording":
        """Raises WrongRecording."""
        try:
            if not file.is_file():
                raise WrongRecording(f"{file}: is not a file; remove it, or put the recording there")
            if file.stat().st_size > LARGEST:
                raise WrongRecording(f"{file}: is larger than {LARGEST // 1_000_000} MB; record this prompt alone")
            return cls(file, file.read_bytes())
        except OSError as error:
            raise WrongRecording(_unreadable(file, error)) from None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def for_telephone(self) -> NDArray[np.int16]:
        """Raises WrongRecording."""
        if not self.content:
            raise WrongRecording(f"{self.file}: is empty; record it again")
        try:
            with soundfile.SoundFile(io.BytesIO(self.content)) as sound:
                seconds = sound.frames / sound.samplerate
                if seconds > LONGEST:
                    raise WrongRecording(f"{self.file}: lasts {seconds:.0f} s, at most {LONGEST} are used; shorten it")
                return for_telephone(sound.read(dtype="float32"), sound.samplerate)
        except soundfile.SoundFileError:
            raise WrongRecording(f"{self.file}: is not audio; save the recording as a WAV file") from None
        except Silent:
            raise WrongRecording(f"{self.file}: nobody speaks in it; look at the microphone, record it again") from None


def find(directory: Path, catalogue: Catalogue) -> dict[str, Path]:
    """The recordings for the catalogue's language, by prompt. The log tells what else lies there."""
    fixed = catalogue.fixed()
    found: dict[str, Path] = {}
    for file in _listed(directory / catalogue.language):
        prompt = file.stem
        if file.suffix != ".wav":
            log.warning("%s: is not used; a recording is a WAV file that is named ID.wav after its prompt", file)
        elif prompt in fixed:
            found[prompt] = file
        elif prompt in catalogue.prompts:
            log.warning("%s: is not used, for this prompt says something else each time; remove it", file)
        else:
            log.warning("%s: there is no prompt %r; rename it (movans prompts script lists the ids)", file, prompt)
    return found


def check(directory: Path, languages: Sequence[str]) -> None:
    """Let the log tell what lies beside the directories of the languages, where nobody looks for it."""
    for path in _listed(directory):
        if path.name not in languages:
            where = directory / languages[0] / "welcome.wav"
            log.warning("%s: is not used; each language has a directory, as in %s", path, where)


def _listed(directory: Path) -> list[Path]:
    """What lies in a directory, where there is one; hidden files left out."""
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning(_unreadable(directory, error))
        return []


def _unreadable(path: Path, error: OSError) -> str:
    return (
        f"{path}: cannot be read by the service ({error.strerror}); let everybody read it (chmod a+r) and"
        " enter the directories above it (chmod a+x)"
    )
