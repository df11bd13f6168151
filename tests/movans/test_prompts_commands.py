"""The commands around prompts, as their user types them: real engines, and users who may read less than root."""

import csv
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile
import yaml

from movans.asterisk import SERVICE_USER
from movans.settings import EXAMPLE
from prompts.catalogue import Catalogue
from prompts.engines import Espeak
from tests.prompts.conftest import in_a_room

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the sounds belong to a user of their own")

Movans = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A settings file, recordings beside it, a state directory, and everything built by espeak-ng, which is quick."""
    with tempfile.TemporaryDirectory(prefix="movans-test-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
        content |= {"state": str(path / "state"), "voices": {"en": ["espeak-ng"]}}
        content |= {"recordings": str(path / "recordings")}
        content["service"]["languages"] = ["en"]
        (path / "movans.yaml").write_text(yaml.safe_dump(content))
        (path / "state" / "sounds").mkdir(parents=True)
        shutil.chown(path / "state" / "sounds", SERVICE_USER)
        (path / "recordings" / "en").mkdir(parents=True)
        done = run(path, "prompts", "build")
        assert done.returncode == 0, done.stderr
        yield path


def run(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "movans", "--settings", str(place / "movans.yaml"), *arguments]
    return subprocess.run(
        command,
        cwd=EXAMPLE.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"COLUMNS": "120"} | environment,
    )


@pytest.fixture
def movans(place: Path) -> Movans:
    return lambda *arguments, **environment: run(place, *arguments, **environment)


@pytest.fixture
def welcome(place: Path) -> Iterator[Path]:
    """Somebody recorded the welcome."""
    file = place / "recordings" / "en" / "welcome.wav"
    speech, rate = Espeak("en").speak("Welcome to this line.")
    soundfile.write(file, in_a_room(speech, rate), rate)
    yield file
    file.unlink()


@pytest.fixture
def nothing_but_python(tmp_path: Path) -> str:
    """A PATH without any program that plays sounds."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "espeak-ng").symlink_to(shutil.which("espeak-ng") or "")
    return str(tmp_path / "bin")


def english(place: Path) -> Catalogue:
    service = yaml.safe_load((place / "movans.yaml").read_text())["service"]
    number, operator, crisis = (service[name].replace("-", "") for name in ("number", "operator", "crisis_line"))
    return Catalogue.load("en", service=service["name"], number=number, operator=operator, crisis=crisis)


def test_build_says_how_many_are_recordings_and_gives_the_sound_to_the_service(
    place: Path, movans: Movans, welcome: Path
):
    fixed = len(english(place).fixed())
    assert welcome.exists()
    done = movans("prompts", "build")
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert done.stdout == (
        f"Sounds (en): 1 made, {fixed - 1} kept, 0 removed; {fixed - 1} by espeak-ng, 1 recording.\n"
    )
    sound = place / "state" / "sounds" / "en" / "welcome.wav"
    assert pwd.getpwuid(sound.stat().st_uid).pw_name == SERVICE_USER
    aside = welcome.rename(place / "aside.wav")
    assert movans("prompts", "build").stdout == (
        f"Sounds (en): 1 made, {fixed - 1} kept, 0 removed; {fixed} by espeak-ng, 0 recordings.\n"
    )
    aside.rename(welcome)


@pytest.mark.parametrize("kept_from", ["the file", "its directory"])
def test_a_recording_that_the_services_user_cannot_read_is_named_and_the_engine_speaks(
    kept_from: str, movans: Movans, welcome: Path
):
    locked = welcome if kept_from == "the file" else welcome.parent
    mode = locked.stat().st_mode
    locked.chmod(0o700)
    try:
        done = movans("prompts", "build")
    finally:
        locked.chmod(mode)
    said = " ".join(done.stderr.split())
    assert f"{locked}: cannot be read by the service (Permission denied); let everybody read it (chmod a+r)" in said
    assert done.returncode == 0
    assert done.stdout.endswith("by espeak-ng, 0 recordings.\n")


def test_the_script_is_printed_with_every_prompt_that_can_be_recorded(place: Path, movans: Movans, welcome: Path):
    assert welcome.exists()
    done = movans("prompts", "script")
    assert done.returncode == 0, done.stderr
    catalogue = english(place)
    shown = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert set(catalogue.fixed()) <= set(shown)
    assert "Welcome to MOVANS, the custody notification line." in shown["welcome"]
    assert shown["welcome"].rstrip().endswith("not in use")
    assert "~" not in shown["goodbye"]
    fixed, others = len(catalogue.fixed()), len(catalogue.prompts) - len(catalogue.fixed())
    assert done.stdout.splitlines()[-1] == (
        f"{fixed} prompts, 1 recording. {others} others cannot be recorded: names, places or times are filled in when"
        " they are said."
    )


def test_the_script_is_written_as_csv(place: Path, movans: Movans, tmp_path: Path):
    done = movans("prompts", "script", "--language", "en", "--csv", str(tmp_path / "script.csv"))
    assert done.returncode == 0, done.stderr
    assert f"written to {tmp_path / 'script.csv'}, 0 recordings." in done.stdout
    with (tmp_path / "script.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert {prompt: row["words"] for prompt, row in rows.items()} == english(place).fixed()
    assert all(0.3 < float(row["seconds"]) < 30 and not row["estimated"] for row in rows.values())


def test_a_prompt_is_written_to_a_file_as_callers_hear_it(place: Path, movans: Movans, tmp_path: Path):
    done = movans("prompts", "listen", "goodbye", "--to", str(tmp_path / "goodbye.wav"))
    assert (done.returncode, done.stdout) == (0, "Goodbye.\n")
    sound = place / "state" / "sounds" / "en" / "goodbye.wav"
    assert (tmp_path / "goodbye.wav").read_bytes() == sound.read_bytes()


def test_a_prompt_with_values_is_spoken_by_an_engine(movans: Movans, tmp_path: Path):
    values = ["--value", "name=John Smith", "--value", "since=Monday", "--value", "facility=Jail"]
    done = movans("prompts", "listen", "status_released", *values, "--to", str(tmp_path / "released.wav"))
    assert (done.returncode, done.stdout) == (0, "John Smith was released from the Jail on Monday.\n")
    with wave.open(str(tmp_path / "released.wav"), "rb") as sound:
        assert 1.5 < sound.getnframes() / sound.getframerate() < 4


def test_the_first_player_that_can_plays_it(place: Path, movans: Movans, nothing_but_python: str):
    programs = Path(nothing_but_python)
    for program, code in (("aplay", 1), ("play", 0)):
        (programs / program).write_text(f'#!/bin/sh\necho "{program} $@" >>{programs}/asked\nexit {code}\n')
        (programs / program).chmod(0o755)
    done = movans("prompts", "listen", "goodbye", PATH=nothing_but_python)
    assert (done.returncode, done.stdout) == (0, "Goodbye.\n")
    sound = place / "state" / "sounds" / "en" / "goodbye.wav"
    assert (programs / "asked").read_text() == f"aplay -q {sound}\nplay -q {sound}\n"


WRONG: dict[str, tuple[list[str], str]] = {
    "no player": (
        ["goodbye"],
        "none of aplay (package alsa-utils), paplay (pulseaudio-utils), ffplay (ffmpeg) and play",
    ),
    "an unknown id": (["welcom", "--to", "x"], "there is no prompt 'welcom' in the language 'en'; the ids st"),
    "a missing value": (
        ["offered", "--value", "key=1"],
        "prompt 'offered' was given no {person}, {place}; what is fill",
    ),
    "a surplus value": (["goodbye", "--value", "name=x"], "prompt 'goodbye' was given {name}, which it does not say"),
    "a value without a name": (
        ["goodbye", "--value", "Smith"],
        "'Smith': give each name once, as in name='John Smith'",
    ),
    "a value twice": (["offered", "--value", "key=1", "--value", "key=2"], "'key=2': give each name once, as in name="),
    "an unknown language": (
        ["goodbye", "--language", "xx"],
        "the language 'xx' is not spoken (setting service.languages): en",
    ),
    "no such directory": (
        ["goodbye", "--to", "/nowhere/x.wav"],
        "/nowhere/x.wav: cannot be written (No such file or d",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_heard_is_said_with_the_reason(
    arguments: list[str], said: str, movans: Movans, nothing_but_python: str
):
    done = movans("prompts", "listen", *arguments, PATH=nothing_but_python)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prompt_that_is_not_built_is_said_with_what_to_do(place: Path, movans: Movans):
    sound = place / "state" / "sounds" / "en" / "goodbye.wav"
    aside = sound.rename(place / "aside.wav")
    done = movans("prompts", "listen", "goodbye")
    aside.rename(sound)
    assert done.returncode == 1
    assert "prompt 'goodbye' has no sound yet; make it with: sudo script/movans prompts build" in done.stderr
