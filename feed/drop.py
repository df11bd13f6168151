"""The directory in which a feed's files appear, and what is taken from it: only whole files, each once."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

STILL = timedelta(seconds=60)  # nobody writes to a file that has not changed for so long
BEING_WRITTEN = (".part", ".partial", ".filepart", ".tmp", ".temp")  # and what begins with a dot
Aside = Literal["done", "refused", "held"]

_Form = tuple[int, int, int]  # inode, size, time of the last change


class CannotMove(Exception):
    """A file cannot be moved aside; the text says which, and what to do."""


@dataclass
class Drop:
    """A feed's directory. A file that is renamed in, from a name of those being written, is whole at once."""

    feed: str
    path: Path
    _seen: dict[str, tuple[_Form, datetime]] = field(default_factory=dict)  # in this form since then
    _being_written: set[int] = field(default_factory=set)  # inodes
    _left: set[_Form] = field(default_factory=set)  # what could not be moved aside, and shall not be taken again

    def whole(self, now: datetime) -> Path | None:
        """The whole file that was changed first; None where there is none. Raises OSError."""
        found = dict(self._files())
        self._seen = {
            name: self._seen[name] if name in self._seen and self._seen[name][0] == form else (form, now)
            for name, form in found.items()
        }
        hidden = {form[0] for name, form in found.items() if is_being_written(name)}
        ready = [
            (form[2], name)
            for name, (form, since) in self._seen.items()
            if not is_being_written(name)
            and form not in self._left
            and (form[0] in self._being_written or now >= since + STILL or _changed_at(form) + STILL <= now)
        ]
        self._being_written = hidden | (self._being_written & {form[0] for form in found.values()})
        return self.path / min(ready)[1] if ready else None

    def is_as_taken(self, file: Path) -> bool:
        """Whether a file still is what it was when it was found whole: else somebody wrote to it meanwhile."""
        try:
            return self._seen[file.name][0] == _form(file.lstat())
        except (OSError, KeyError):
            return False

    def move_aside(self, file: Path, where: Aside, report: str, now: datetime) -> Path:
        """Move a file away, with a report beside it. Raises CannotMove, after which it is not taken again."""
        target = self.path / where / f"{now:%Y%m%dT%H%M%S.%fZ}-{file.name}"
        try:
            target.parent.mkdir(exist_ok=True)
            target.with_name(f"{target.name}.txt").write_text(f"{report}\n", encoding="utf-8")
            file.rename(target)
        except OSError as error:
            self.leave(file)
            raise CannotMove(
                f"{file}: cannot be moved to {where}/ ({error.strerror}); let the service's user write to {self.path}"
            ) from None
        return target

    def leave(self, file: Path) -> None:
        """Do not take this file again, as it is."""
        self._left.add(self._seen[file.name][0])

    def _files(self) -> Iterator[tuple[str, _Form]]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # it was taken away just now
                    continue
                if stat.S_ISREG(found.st_mode):
                    yield entry.name, _form(found)


def is_being_written(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(BEING_WRITTEN)


def _form(found: os.stat_result) -> _Form:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _changed_at(form: _Form) -> datetime:
    return datetime.fromtimestamp(form[2] / 1e9, UTC)
