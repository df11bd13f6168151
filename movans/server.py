"""``movans server``: prepares the state, starts the parts, shows how to call, and stops everything at Ctrl-C."""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

import psycopg

from db import keys
from movans import asterisk, postgres, supervision
from movans.settings import INSTALLED, Settings
from movans.wiring import House

CHECKOUT = Path(__file__).parent.parent
# What the services run: a copy that they may read, wherever the checkout lies.
CODE = ("agi", "db", "demo", "dialer", "dialplan", "feed", "movans", "prompts", "movans.yaml")

Say = Callable[[str], None]


class CannotStart(Exception):
    """The server cannot start; the text says why and what to do."""


def reset(settings: Settings) -> None:
    """Remove everything that the service keeps. Raises CannotStart while it runs, or where something stays.

    The lock is held meanwhile, and its file stays: nobody can take another one of the same name.
    """
    stayed: list[str] = []
    with _alone(settings) as lock:
        for path in sorted(settings.state.iterdir()):
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path != Path(lock.name):
                    path.unlink()
            except OSError as error:
                stayed.append(f"{error.filename or path} ({error.strerror})")
    if stayed:
        raise CannotStart(
            f"these could not be removed, so nothing was started: {', '.join(stayed)}. See what holds them, remove"
            " them, and reset again"
        )


def prepare(house: House, say: Say) -> None:
    """Make what is missing in the state directory; a second time there is little to do."""
    settings = house.settings
    say("directories and Asterisk's configuration")
    supervision.prepare(settings)
    asterisk.prepare(settings)
    _copy_code(settings.state / "app")
    say("keys")
    service = pwd.getpwnam(asterisk.SERVICE_USER)
    keys.make(house.key_file)
    os.chown(house.key_file, service.pw_uid, service.pw_gid)
    if settings.database == "":
        say("database")
        postgres.prepare(settings)
    say("sounds")
    build = [sys.executable, "-m", "movans", "--settings", str(house.file), "prompts", "build"]
    if subprocess.run(build, check=False).returncode:
        raise CannotStart("some prompts have no sound, so callers would hear gaps; what is wrong is said above")


def run(house: House, *, prepared: Say, ready: Callable[[], None], say: Say) -> None:
    """Start the parts and stay until SIGINT or SIGTERM, then stop them in order. Raises CannotStart."""
    settings = house.settings
    _check_that_the_parts_can_read(house.file)
    lock = _alone(settings)
    _check_ports(settings)
    prepare(house, prepared)
    told_to_stop: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        told_to_stop.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    prepared("the parts")
    supervisor = supervision.start(settings, house.file)
    try:
        states = supervision.wait_for(settings, timeout=60)
        if failed := sorted(name for name, state in states.items() if state != "RUNNING") or (
            [] if states else ["all"]
        ):
            raise CannotStart(f"these parts do not run: {', '.join(failed)}; see {settings.state / 'log'}")
        _wait_for_calls(settings, told_to_stop)
        if not told_to_stop:
            ready()
        while not told_to_stop and supervisor.poll() is None:
            time.sleep(0.2)
        say("Stopping…")
    finally:
        supervision.stop(supervisor, settings)
        lock.close()
    if not told_to_stop:
        raise CannotStart(f"the supervisor ended by itself; see {settings.state / 'log' / 'supervisor.log'}")


def is_new(house: House) -> bool:
    """Whether no file was ever imported."""
    with psycopg.connect(house.dsn, connect_timeout=5) as conn:
        return conn.execute("select from feed_run limit 1").fetchone() is None


def _alone(settings: Settings) -> IO[str]:
    """A lock that lasts as long as the returned file is open: one server to a state directory."""
    settings.state.mkdir(mode=0o755, parents=True, exist_ok=True)
    lock = (settings.state / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise CannotStart(
            f"a server already runs with {settings.state}: stop it first (Ctrl-C where it runs)"
        ) from None
    return lock


def _check_that_the_parts_can_read(file: Path) -> None:
    """Root can read every file, but the parts are not root. Raises CannotStart."""
    user = asterisk.SERVICE_USER
    drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    if subprocess.run([*drop, "test", "-r", str(file)], check=False, cwd="/").returncode:
        raise CannotStart(
            f"{file}: user {user}, who runs the parts, cannot read the settings. Let its group read them:"
            f" sudo chgrp {user} {file} && sudo chmod 640 {file}; and they must lie where {user} may enter, as in"
            f" {INSTALLED.parent}"
        )


def _check_ports(settings: Settings) -> None:
    """Asterisk starts also where another program has its port, and then nobody could call. Raises CannotStart."""
    sip = settings.sip
    for kind, address, port, setting in (
        (socket.SOCK_DGRAM, str(sip.listen or sip.address), sip.port, "sip.port"),
        (socket.SOCK_STREAM, "127.0.0.1", settings.agi_port, "agi_port"),
    ):
        with socket.socket(socket.AF_INET, kind) as line:
            if kind == socket.SOCK_STREAM:  # as the server itself does: connections that have just ended do not count
                line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                line.bind((address, port))
            except OSError as error:
                raise CannotStart(
                    f"{setting}: port {port} of {address} cannot be used ({error.strerror})."
                    " Another program, perhaps another Asterisk, has it, or the address is not this machine's"
                ) from None


def _wait_for_calls(settings: Settings, told_to_stop: list[int]) -> None:
    """Wait until Asterisk answers and every part shows signs of life."""
    until = time.monotonic() + 60
    beats = [settings.state / "run" / f"{part}.beat" for part in ("voice", "serve", "dial")]
    while time.monotonic() < until and not told_to_stop:
        try:
            if all(beat.exists() for beat in beats) and asterisk.cli(settings, "core waitfullybooted"):
                if not asterisk.listens(settings):
                    raise CannotStart(
                        f"sip.port: Asterisk could not take port {settings.sip.port}; is another using it?"
                    )
                return
        except asterisk.NoAsterisk:
            pass
        time.sleep(0.1)
    if not told_to_stop:
        raise CannotStart(f"the parts run, but do not answer; see {settings.state / 'log'}")


def _copy_code(app: Path) -> None:
    part = app.with_suffix(".new")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o755)
    leave_out = shutil.ignore_patterns("__pycache__")
    for name in CODE:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, part / name, ignore=leave_out, copy_function=_copy_readable)
        else:
            _copy_readable(str(source), str(part / name))
    for directory in [part, *(path for path in part.rglob("*") if path.is_dir())]:
        directory.chmod(0o755)
    shutil.rmtree(app, ignore_errors=True)
    part.rename(app)


def _copy_readable(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    Path(target).chmod(0o644)
