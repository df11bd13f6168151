"""Plays a sound on this machine, with a program that is installed for that."""

import shutil
import subprocess
from pathlib import Path

PLAYERS = (
    ("aplay", "-q"),
    ("paplay",),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("play", "-q"),
)


class NotPlayed(Exception):
    """A sound could not be played; the text says why."""


def play(sound: Path) -> None:
    """Play a sound to its end, with the first program that can. Raises NotPlayed."""
    failed: list[str] = []
    for program, *options in PLAYERS:
        if shutil.which(program) is None:
            continue
        done = subprocess.run(
            [program, *options, str(sound)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        failed.append(f"{program} could not play it ({said[-1]})")
    raise NotPlayed(
        "; ".join(failed)
        or "none of aplay (package alsa-utils), paplay (pulseaudio-utils), ffplay (ffmpeg) and play (sox) is installed"
    )
