"""Ctrl-C, and a polite kill: at once, or as soon as what may not be left half done is done."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """Somebody wants it to end."""


_held = 0
_told = False


def told() -> bool:
    return _told


def listen() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


@contextmanager
def held() -> Iterator[None]:
    """Inside the block nothing is interrupted; who wants it to end is heard after it."""
    global _held
    before, _held = _told, _held + 1
    try:
        yield
    finally:
        _held -= 1
    if _told and not before and not _held:
        raise Stopped


def _stop(*_: object) -> None:
    global _told
    if _held or _told:
        os.write(2, b"\nStopping; this takes a few seconds.\n")
    if _told:
        return
    _told = True
    if not _held:
        raise Stopped
