"""What lies aside of a feed's files, where they appear: done, refused or held, each by when it was taken."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

FOLDERS = ("done", "refused", "held")
TAKEN = "%Y%m%dT%H%M%S.%fZ"  # and a hyphen, before the file's own name


def folders(directories: Iterable[Path]) -> Iterator[Path]:
    return (directory / name for directory in directories for name in FOLDERS)


def older(folder: Path, before: datetime) -> Iterator[Path]:
    """The files, and the reports beside them, that were taken before then. Whatever else lies there is none of ours.

    Raises OSError where the folder is there and cannot be listed.
    """
    with suppress(FileNotFoundError):
        yield from (file for file in sorted(folder.iterdir()) if _taken_at(file.name, before) < before)


def _taken_at(name: str, otherwise: datetime) -> datetime:
    try:
        return datetime.strptime(name.partition("-")[0], TAKEN).replace(tzinfo=UTC)
    except ValueError:
        return otherwise
