"""Other machines: network namespaces, each with a cable to this one."""

import os
import subprocess
from collections.abc import Sequence
from typing import Self


def ip(*words: str, inside: Sequence[str] = ()) -> None:
    subprocess.run([*inside, "ip", *words], check=True, capture_output=True, text=True)


def may_be_made() -> bool:
    """Whether this one may make namespaces; a container may be forbidden to."""
    if os.geteuid() != 0:
        return False
    tried = f"movans-try-{os.getpid()}"
    try:
        ip("netns", "add", tried)
        ip("netns", "delete", tried)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


class Machine:
    """Used with `with`. It has one address, `there`, and reaches this one at `here`, which others may reach it by too.

    ``inside``, before a command, runs it there. It is not `ip netns exec`: that changes mounts too, which fails where
    / is no mount point, as in a chroot.
    """

    def __init__(self, name: str, *, here: str, there: str) -> None:
        self.name, self.here, self.there = name, here, there
        self.cable = f"mv{os.getpid()}{name}"[:15]
        self._namespace = f"movans-{name}-{os.getpid()}"
        self.inside = ("nsenter", f"--net=/run/netns/{self._namespace}")

    def __enter__(self) -> Self:
        ip("netns", "add", self._namespace)
        try:
            ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
            ip("address", "add", self.here, "peer", self.there, "dev", self.cable)
            ip("link", "set", self.cable, "up")
            ip("address", "add", self.there, "peer", self.here, "dev", "eth0", inside=self.inside)
            ip("link", "set", "eth0", "up", inside=self.inside)
            ip("link", "set", "lo", "up", inside=self.inside)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        ip("netns", "delete", self._namespace)  # and the cable with it

    def cut_off(self) -> None:
        """What it sends goes nowhere, and nobody tells it so; nor does anything reach it."""
        ip("link", "set", self.cable, "down")
        ip("route", "add", "blackhole", self.there)  # or it would go the way of all that is elsewhere

    def connect(self) -> None:
        ip("route", "delete", "blackhole", self.there)
        ip("link", "set", self.cable, "up")
