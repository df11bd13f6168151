"""Builds the sounds of all prompts whose words are known in advance; only those that changed.

A manifest beside the sounds says from which words, and by which engine, each was made, or from which recording. It is
written after every sound, so a build that was killed goes on where it was.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from prompts.engines import Voices
from prompts.recordings import Recording, WrongRecording
from prompts.sound import open_folder, write
from prompts.sounds import PIPELINE, NoVoice, built_at

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
RECORDING = "recording"  # stands in the manifest where an engine's name would

# prompt -> {"made_from": hash, "engine": name}; where there is a recording, {"recording": hash, "words": when it came}.
Manifest = dict[str, dict[str, str]]


class NotBuilt(Exception):
    """Some prompts have no sound; the text has a line for each, with its id and what every engine said."""


@dataclass
class Built:
    made: list[str] = field(default_factory=list)
    kept: int = 0
    removed: list[str] = field(default_factory=list)
    # Engine, or RECORDING -> how many prompts it speaks, those of earlier builds too.
    engines: dict[str, int] = field(default_factory=dict)


def _nothing(done: int, of: int, prompt: str) -> None:
    pass


def build(
    fixed: Mapping[str, str],
    voices: Voices,
    directory: Path,
    progress: Callable[[int, int, str], None] = _nothing,
    recordings: Mapping[str, Path] = MappingProxyType({}),
) -> Built:
    """Make every sound of one language that is missing or not from these words; remove those whose prompt is gone.

    ``fixed`` is Catalogue.fixed(), ``directory`` the state's sounds/, ``recordings`` recordings.find(). ``progress`` is
    told how many are done, of how many, and the prompt that comes next (at the end: nothing). What a second choice of
    engine spoke is spoken again when a better one can. All prompts are tried before NotBuilt is raised; a sound that
    could not be made anew stays.
    """
    folder = directory / voices.language
    open_folder(folder)
    with _alone(folder):
        manifest = _read(folder / MANIFEST)
        built = Built(removed=_clear(folder, manifest, fixed))
        recorded = _record(fixed, recordings, folder, manifest, built)
        todo = {
            prompt: _engines(voices, manifest.get(prompt), words, folder, prompt)
            for prompt, words in fixed.items()
            if prompt not in recorded
        }
        todo = {prompt: engines for prompt, engines in todo.items() if engines}
        missing: dict[str, str] = {}
        away: set[str] = set()
        for done, (prompt, engines) in enumerate(todo.items()):
            progress(done, len(todo), prompt)
            better = len(engines) < len(voices.names)
            if better and away.issuperset(engines):
                continue
            try:
                samples, engine = voices.speak(fixed[prompt], engines)
            except NoVoice as error:
                if better:
                    away.update(engines)  # the second choice's sound stays, and the others' need not be tried
                else:
                    missing[prompt] = str(error)
                continue
            write(built_at(directory, voices.language, prompt), samples)
            entry = {"made_from": _made_from(voices.names, fixed[prompt]), "engine": engine}
            manifest[prompt] = manifest.get(prompt, {}) | entry
            _save(folder / MANIFEST, manifest)
            built.made.append(prompt)
        progress(len(todo), len(todo), "")
    if missing:
        raise NotBuilt("\n".join(f"prompt {prompt!r} has no sound: {reason}" for prompt, reason in missing.items()))
    built.kept = len(fixed) - len(built.made)
    for entry in manifest.values():
        built.engines[entry["engine"]] = built.engines.get(entry["engine"], 0) + 1
    return built


def speakers(fixed: Mapping[str, str], voices: Voices, directory: Path) -> dict[str, str]:
    """Who speaks each prompt whose sound is as a build would make it: an engine, or RECORDING."""
    folder = directory / voices.language
    return {
        prompt: entry["engine"]
        for prompt, entry in _read(folder / MANIFEST).items()
        if prompt in fixed and (folder / f"{prompt}.wav").exists() and _is_made_from(entry, fixed[prompt], voices)
    }


def _is_made_from(entry: dict[str, str], words: str, voices: Voices) -> bool:
    if entry.get("engine") == RECORDING:
        return _heard(entry.get("words", "")) == _heard(words)
    return entry.get("made_from") == _made_from(voices.names, words)


def _record(
    fixed: Mapping[str, str], recordings: Mapping[str, Path], folder: Path, manifest: Manifest, built: Built
) -> set[str]:
    """Make the sounds of what people recorded, and return those prompts. Of wrong recordings the log tells."""
    for prompt in set(manifest) - set(recordings):
        for known in ("recording", "words"):
            manifest[prompt].pop(known, None)
    recorded: set[str] = set()
    for prompt, file in recordings.items():
        entry, sound = manifest.setdefault(prompt, {}), folder / f"{prompt}.wav"
        try:
            recording = Recording.read(file)
            if entry.get("recording") != recording.digest:
                entry |= {"recording": recording.digest, "words": fixed[prompt]}
            if _heard(entry.get("words", "")) != _heard(fixed[prompt]):
                raise WrongRecording(
                    f"{file}: was recorded when the words were others; record what they are now. If it says that"
                    " already, take it away, build, put it back and build again"
                )
            if entry.get("made_from") != (made_from := _made_from(recording.digest)) or not sound.exists():
                write(sound, recording.for_telephone())
                entry |= {"made_from": made_from, "engine": RECORDING}
                _save(folder / MANIFEST, manifest)
                built.made.append(prompt)
            recorded.add(prompt)
        except WrongRecording as error:
            log.warning("%s", error)
    _save(folder / MANIFEST, manifest)
    return recorded


def _heard(words: str) -> list[str]:
    """Another comma needs no other recording."""
    return re.findall(r"\w+", words.lower())


def _engines(voices: Voices, entry: dict[str, str] | None, words: str, folder: Path, prompt: str) -> list[str]:
    """The engines to be asked for a sound: all, those better than the one that spoke it, or none."""
    names = voices.names
    if entry is None or not _is_made_from(entry, words, voices) or not (folder / f"{prompt}.wav").exists():
        return names
    return names[: names.index(entry["engine"])] if entry.get("engine") in names else names


def _made_from(*what: object) -> str:
    return hashlib.sha256(json.dumps([PIPELINE, *what]).encode()).hexdigest()


def _clear(folder: Path, manifest: Manifest, fixed: Mapping[str, str]) -> list[str]:
    """Remove sounds whose prompt is gone, and what a killed build left half-written."""
    for prompt in set(manifest) - set(fixed):
        del manifest[prompt]
    _save(folder / MANIFEST, manifest)
    for rest in folder.glob(".*.tmp"):
        rest.unlink()
    gone = [sound for sound in sorted(folder.glob("*.wav")) if sound.stem not in fixed]
    for sound in gone:
        sound.unlink()
    return [sound.stem for sound in gone]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One build at a time; another waits. The lock goes with its process."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(file: Path) -> Manifest:
    """The manifest; one that cannot be read is worth nothing, and everything is built again."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {prompt: entry for prompt, entry in content.items() if isinstance(entry, dict)}


def _save(file: Path, manifest: Manifest) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".manifest.", suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1, sort_keys=True)
    Path(name).replace(file)
