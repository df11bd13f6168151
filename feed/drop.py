"""The directory in which a feed's files appear, and what is taken from it: only whole files, each once."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from feed.aside import FOLDERS, TAKEN
from feed.checking import printable

STILL = timedelta(seconds=30)  # nobody writes to a file that has not changed for so long
BEING_WRITTEN = (".part", ".partial", ".filepart", ".tmp", ".temp")  # and what begins with a dot
LONGEST_NAME = 255  # bytes
Aside = Literal["done", "refused", "held"]
REMEDIES = {  # of a file that cannot be moved aside; else the directory's rights are looked at
    errno.ENOTDIR: "{where} is no directory: move it away",
    errno.EEXIST: "{where} is no directory: move it away",
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EXDEV: "let {where} be on the same file system",
    errno.ENOENT: "somebody else takes files away from there: let them not",
}

NO_FILE = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}

_Form = tuple[int, int, int]  # inode, size, time of the last change


class CannotMove(Exception):
    """A file cannot be moved aside; the text says which, and what to do."""


class WrittenTo(Exception):
    """A file was written to, or taken away, while it was read; if it is there, it is to be read again."""


@dataclass
class Drop:
    """A feed's directory. A file that is renamed in, from a name of those being written, is whole at once.

    It is known by its inode and by a change later than that of what it holds. By the inode alone a file would be taken
    for whole that is written anew, right after one of those being written was removed: it may get that one's inode.

    Of any other it counts for how long we have seen it unchanged, not when it was changed: the clock of who writes it
    may be slow, and a file that grows would seem to be old.
    """

    feed: str
    path: Path
    _seen: dict[str, tuple[_Form, datetime]] = field(default_factory=dict)  # in this form since then
    _being_written: set[int] = field(default_factory=set)  # inodes
    _strange: dict[str, str] = field(default_factory=dict)  # what is no file, and what it is instead
    _left: dict[_Form, tuple[Aside, str, datetime]] = field(default_factory=dict)
    """What could not be moved aside and shall not be taken again: where it belongs, its report, when it was taken."""

    def whole(self, now: datetime) -> Path | None:
        """The file that was changed first, once it is whole; None where it is not yet. Raises OSError."""
        entries = dict(self._entries())
        files = {name: found for name, found in entries.items() if stat.S_ISREG(found.st_mode)}
        self._strange = {
            name: NO_FILE.get(stat.S_IFMT(found.st_mode), "a device")
            for name, found in entries.items()
            if name not in files and name not in FOLDERS and not is_being_written(name)
        }
        found = {name: _form(status) for name, status in files.items()}
        self._seen = {
            name: self._seen[name] if name in self._seen and self._seen[name][0] == form else (form, now)
            for name, form in found.items()
        }
        self._left = {form: self._left[form] for form in found.values() if form in self._left}
        hidden = {form[0] for name, form in found.items() if is_being_written(name)}
        waiting = [
            (form[2], name, now >= since + STILL or self._is_renamed(files[name]))
            for name, (form, since) in self._seen.items()
            if not is_being_written(name) and form not in self._left
        ]
        self._being_written = hidden | (self._being_written & {form[0] for form in found.values()})
        _, first, is_whole = min(waiting, default=(0, "", False))  # what came later waits for it
        return self.path / first if is_whole else None

    def strange(self) -> str:
        """What lies there and is no file, the first by its name, and what to do; empty where all are files.

        A link is not followed: what it leads to may be written to meanwhile, or be none of the sender's.
        """
        for name, kind in sorted(self._strange.items()):
            says = f"{printable(str(self.path / name))}: is {kind} and no file, so nothing of it is taken in: let the"
            return f"{says} sender put the file itself there, and remove this and all else that is none"
        return ""

    def is_as_taken(self, file: Path) -> bool:
        """Whether a file still is what it was when it was found whole: else somebody wrote to it meanwhile."""
        try:
            return self._seen[file.name][0] == _form(file.lstat())
        except (OSError, KeyError):
            return False

    def place(self, file: Path, where: Aside, now: datetime) -> Path:
        """Where ``move_aside`` moves a file. Its name can be printed there; of a long one the beginning is left out."""
        name, room = printable(file.name), LONGEST_NAME - len(f"{now:{TAKEN}}-.txt")
        while len(name.encode()) > room:
            name = name[1:]
        return self.path / where / f"{now:{TAKEN}}-{name}"

    def move_aside(self, file: Path, where: Aside, report: str, now: datetime) -> Path:
        """Move a file away, with a report beside it. Raises CannotMove, and then it is ``left``, not taken again."""
        target = self.place(file, where, now)
        beside = target.with_name(f"{target.name}.txt")
        try:
            target.parent.mkdir(exist_ok=True)
            beside.write_text(f"{report}\n", encoding="utf-8")
            file.rename(target)
        except OSError as error:
            with suppress(OSError):
                beside.unlink()
            self._left[self._seen[file.name][0]] = where, report, now
            otherwise = "let the service's user write to {path} and {where}"
            remedy = REMEDIES.get(error.errno or 0, otherwise).format(path=self.path, where=target.parent)
            raise CannotMove(
                f"{printable(str(file))}: cannot be moved to {where}/ ({error.strerror}); {remedy}"
            ) from None
        self._left.pop(self._seen[file.name][0], None)
        return target

    def left(self) -> dict[Path, tuple[Aside, str, datetime]]:
        """The files that could not be moved aside and are still there, and what to move each by once that is mended."""
        return {self.path / name: self._left[form] for name, (form, _) in self._seen.items() if form in self._left}

    def _is_renamed(self, found: os.stat_result) -> bool:
        """Whether it had a name of those being written. Writing sets both times, renaming one."""
        return found.st_ino in self._being_written and found.st_ctime_ns > found.st_mtime_ns

    def _entries(self) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(self.path) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # it was taken away just now
                    continue
                if not stat.S_ISDIR(found.st_mode):
                    yield entry.name, found


def is_being_written(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(BEING_WRITTEN)


def _form(found: os.stat_result) -> _Form:
    return found.st_ino, found.st_size, found.st_mtime_ns
