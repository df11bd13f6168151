"""The host's journal: what a PIN has confirmed, on this host's disk before the caller is thanked.

So a confirmation that was thanked for is not forgotten when the database is away at that moment. Each is a file of its
own, whole or not there, and goes when the database has it; whatever wants to know what is confirmed replays it first.
There is no PIN and no telephone number in it.
"""

import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from db import attempts
from db.attempts import Confirmed
from db.pool import Database

YOUNG = 5.0  # seconds: db.pool.QUERY_LIMIT, and as much again for a machine that is busy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Confirmation:
    """Who confirmed in which call what they heard."""

    attempt_id: int
    registrant_id: int
    event_ids: list[int]
    at: datetime


class Journal:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, confirmation: Confirmation) -> Path:
        """Keep it; it is on the disk when this returns. Raises OSError, and then nothing is kept."""
        text = json.dumps(asdict(confirmation) | {"at": confirmation.at.isoformat()})
        path = self._directory / f"{confirmation.attempt_id}-{confirmation.registrant_id}.json"
        new = path.with_suffix(".new")
        try:
            with new.open("w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
        except OSError:
            with suppress(OSError):
                new.unlink()
            raise
        self._sync()
        return path

    def note(self, db: Database, confirmation: Confirmation, path: Path) -> Confirmed:
        """Let the database have it. Raises Unreachable, and then it waits in the journal to be replayed."""
        with db.connection() as conn:
            confirmed = attempts.confirm(
                conn,
                confirmation.attempt_id,
                confirmation.registrant_id,
                confirmation.event_ids,
                now=confirmation.at,
            )
        path.unlink(missing_ok=True)
        return confirmed

    def replay(self, db: Database, attempt_id: int | None = None) -> None:
        """Let the database have what it does not have yet, of one call that is over, or of all. Raises Unreachable.

        Several processes may do so at once: what is confirmed twice is confirmed once. What is so young that its call
        may be noting it, and waits for what the database says to that, is left to it.
        """
        of_call = "" if attempt_id is None else f"{attempt_id}-"
        for path in sorted(self._directory.iterdir()):
            if path.suffix != ".json" or not path.name.startswith(of_call):
                continue
            try:
                if attempt_id is None and abs(time.time() - path.stat().st_mtime) < YOUNG:
                    continue
                confirmation = self._read(path)
            except FileNotFoundError:  # another process was quicker
                continue
            except (ValueError, TypeError, KeyError):
                log.warning("%s: cannot be read, and is set aside", path.name)
                path.rename(path.with_suffix(".unreadable"))
                continue
            self.note(db, confirmation, path)
            log.info("attempt %s: confirmed from the journal", confirmation.attempt_id)

    def _read(self, path: Path) -> Confirmation:
        kept = json.loads(path.read_text(encoding="ascii"))
        return Confirmation(
            int(kept["attempt_id"]),
            int(kept["registrant_id"]),
            [int(event_id) for event_id in kept["event_ids"]],
            datetime.fromisoformat(kept["at"]),
        )

    def _sync(self) -> None:
        """A new name is on the disk only when its directory is."""
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
