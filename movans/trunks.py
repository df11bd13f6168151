"""Which trunks do not answer.

The watchdog sees it in Asterisk and notes it; the dialer, who may not ask Asterisk, reads it.
"""

import os
import re
import time
from collections.abc import Collection
from pathlib import Path

STALE = 10.0  # seconds after which nobody knows: then every trunk counts as well


def unavailable(contacts: str) -> list[str]:
    """The trunks that did not answer OPTIONS, from what Asterisk's CLI says to ``pjsip show contacts``."""
    return re.findall(r"Contact: +watch-([^/ ]+)/.* Unavail ", contacts)


def note(path: Path, down: Collection[str]) -> None:
    """Keep it for the service's user, as seen now."""
    new = path.with_suffix(".new")
    new.write_text("\n".join(down), encoding="ascii")
    new.chmod(0o644)
    new.rename(path)


def down(path: Path) -> frozenset[str]:
    """The trunks that were last seen not to answer."""
    try:
        with path.open(encoding="ascii") as file:
            fresh = time.time() - os.fstat(file.fileno()).st_mtime < STALE
            return frozenset(file.read().split()) if fresh else frozenset()
    except OSError:
        return frozenset()
