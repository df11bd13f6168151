"""The named points of the outbound path, and what holds a part of the service there.

The harness puts this file beside the service's code as ``sitecustomize.py``, which Python runs before the program: so
faults come from outside, and the service's own code knows nothing of them. It needs nothing but Python itself.

A process that comes to the armed point takes the order away, so that only one does, once; it says so in a file and
waits there until it is let go. A function that is no longer there stops the part with a sentence: a matrix that tests
nothing is not to look like one in which all is well.
"""

import functools
import importlib.abc
import importlib.machinery
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from errno import EINVAL
from pathlib import Path
from types import ModuleType
from typing import Any

LONGEST_HELD = 120  # seconds; then the harness has gone

# Deadlines that are constants, made short, so that a process can be stopped for longer than they last. The apology is
# a second long here, because the harness cuts all sounds. One stays as it is where its name is beside the orders.
SHORTER = {
    "dialer.loop:BEGIN_WITHIN": timedelta(seconds=4),
    "agi.notify:APOLOGY": timedelta(seconds=6),
}


@dataclass(frozen=True)
class Point:
    """A place between two steps. ``part`` gets there, ``before`` or after it calls ``function`` in a way that ``fits``.

    ``commit`` is the function whose transaction is the last one that is committed before it, by the same part unless
    another is named.
    """

    name: str
    part: str
    function: str
    before: bool = True
    fits: Callable[[Sequence[Any], Any], bool] = lambda _, __: True
    commit: str = ""
    committed_by: str = ""
    goes_on: bool = False  # it is not held there: something is under way that the fault shall meet


def _is_call_file(arguments: Sequence[Any], _: object) -> bool:
    return arguments[0].suffix == ".call"


def _prompt(name: str | None) -> Callable[[Sequence[Any], Any], bool]:
    return lambda arguments, _: arguments[1].prompt == name


# In the order of a call. News is a sentence that is made at call time, and so has no prompt of its own.
POINTS = (
    Point("event committed", "dial", "db.attempts:claim", commit="db.feed_runs:add", committed_by="feed"),
    Point("attempt committed", "dial", "dialer.callfile:write", commit="db.attempts:claim"),
    Point("file written", "dial", "pathlib:Path.rename", fits=_is_call_file),
    Point("renamed", "dial", "dialer.callfile:write", before=False),
    Point("dialling", "serve", "agi.channel:AsteriskChannel.dial", commit="db.attempts:begin"),
    Point("picked up", "serve", "db.attempts:answered"),
    Point("answered", "serve", "agi.call:Call.speak", commit="db.attempts:answered"),
    Point("message half spoken", "serve", "agi.channel:AsteriskChannel.play", fits=_prompt(None), goes_on=True),
    Point("PIN received", "serve", "agi.notify:Telling.check", before=False, fits=lambda _, wrong: wrong is None),
    Point("journal written", "serve", "db.journal:Journal.write", before=False),
    Point(
        "confirmed",
        "serve",
        "agi.channel:AsteriskChannel.play",
        fits=_prompt("confirmed"),
        commit="db.attempts:confirm",
    ),
    Point("hung up", "serve", "agi.legs:ended", commit="db.attempts:end"),
)

_cut = threading.local()


class Missing(Exception):
    """What a point hangs on is not in the service's code any more; the text names it."""


def resolve(module: ModuleType, function: str) -> tuple[Any, str]:
    """The module or class that has it, and its name there. Raises Missing."""
    owner: Any = module
    *classes, name = function.partition(":")[2].split(".")
    for each in classes:
        owner = getattr(owner, each, None)
    if not hasattr(owner, name):
        raise Missing(f"tests/chaos: {function} is no longer there; give its point or constant another place")
    return owner, name


class Injected:
    """In one process of the service: what is wrapped there, and what is done when it is called."""

    def __init__(self, part: str, orders: Path) -> None:
        self.orders = orders
        self.points = [point for point in POINTS if point.part == part]
        self.commits = [point for point in POINTS if point.commit and (point.committed_by or point.part) == part]

    def install(self) -> None:
        functions = [point.function for point in self.points] + [point.commit for point in self.commits]
        modules = {name.partition(":")[0] for name in (*functions, *SHORTER, "psycopg.connection:")}
        for name in modules:
            if name in sys.modules:
                self.wrap(sys.modules[name])
        sys.meta_path.insert(0, _Finder(modules, self.wrap))

    def wrap(self, module: ModuleType) -> None:
        name = module.__name__
        for constant, value in SHORTER.items():
            if constant.startswith(f"{name}:") and not (self.orders / constant).exists():
                owner, attribute = resolve(module, constant)
                setattr(owner, attribute, value)
        for point in self.points:
            if point.function.startswith(f"{name}:"):
                self._replace(module, point.function, lambda original, point=point: self._stop_at(point, original))
        for point in self.commits:
            if point.commit.startswith(f"{name}:"):
                self._replace(module, point.commit, lambda original, point=point: self._cut_after(point, original))
        if name == "psycopg.connection":
            self._replace(module, "psycopg.connection:Connection.commit", self._commit)

    @staticmethod
    def _replace(module: ModuleType, function: str, made: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        owner, name = resolve(module, function)
        setattr(owner, name, made(getattr(owner, name)))

    def _stop_at(self, point: Point, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if point.before and point.fits(arguments, None):
                self._hold(point)
            result = original(*arguments, **named)
            if not point.before and point.fits(arguments, result):
                self._hold(point)
            return result

        return wrapped

    def _hold(self, point: Point) -> None:
        if self._take(f"hold {point.name}"):
            self._reached()
            until = time.monotonic() + LONGEST_HELD
            while not point.goes_on and not (self.orders / "go").exists() and time.monotonic() < until:
                time.sleep(0.01)

    def _cut_after(self, point: Point, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            # An empty claim is committed twice a second.
            if result:
                for when in ("before", "after"):
                    if self._take(f"cut {when} {point.name}"):
                        _cut.when = when
            return result

        return wrapped

    def _commit(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapped(connection: Any) -> None:
            when = getattr(_cut, "when", None)
            if when is None:
                return original(connection)
            from psycopg import OperationalError

            _cut.when = None
            if when == "after":
                original(connection)
            connection.pgconn.finish()
            self._reached()
            raise OperationalError("the connection was cut at COMMIT")

        return wrapped

    def _take(self, order: str) -> bool:
        armed = self.orders / "armed"
        try:
            if armed.read_text() != order:
                return False
            armed.rename(self.orders / "taken")
        except OSError:
            return False  # nothing is armed, or another was quicker
        return True

    def _reached(self) -> None:
        (self.orders / "reached").write_text(str(os.getpid()))


class _Finder(importlib.abc.MetaPathFinder):
    """Lets modules be found as always, and calls `wrap` once they are loaded."""

    def __init__(self, modules: set[str], wrap: Callable[[ModuleType], None]) -> None:
        self._modules, self._wrap = modules, wrap

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> Any:  # noqa: ARG002
        if name not in self._modules:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_wrap(module: ModuleType) -> None:
                load(module)
                self._wrap(module)

            setattr(spec.loader, "exec_module", load_and_wrap)  # noqa: B010
        return spec


def faketime(library: Path, clock: Path) -> dict[str, str]:
    """The environment in which a program reads its clock from a file, and measures time as ever."""
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _sleep_in_another_time(sleep: Callable[[float], None]) -> Callable[[float], None]:
    """In libfaketime 0.9.10 nobody can sleep until a moment that has just passed, as for no time at all."""

    def sleep_in_another_time(seconds: float) -> None:
        try:
            sleep(seconds)
        except OSError as error:
            if error.errno != EINVAL:
                raise

    return sleep_in_another_time


def _install(app: Path) -> None:
    part = "feed" if "feed" in sys.orig_argv else sys.orig_argv[-1]
    orders = app.parent / "chaos"
    if part not in {"dial", "serve", "feed"}:
        return
    library = orders / "faketime"  # a link to libfaketime, there while clocks are to be moved
    if library.exists() and "LD_PRELOAD" not in os.environ:
        environment = os.environ | faketime(library.resolve(), orders / "clock")
        os.execve(sys.executable, sys.orig_argv, environment)  # noqa: S606
    if library.exists():
        time.sleep = _sleep_in_another_time(time.sleep)
    Injected(part, orders).install()


if __name__ == "sitecustomize":
    _install(Path(__file__).parent)
