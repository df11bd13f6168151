"""What Asterisk is given, and that it never sees a part of it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dialer import callfile

SERVICE = "8665550182"


@pytest.fixture
def narrow_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def write(spool: Path, attempt: int = 7, caller: str = SERVICE) -> None:
    callfile.write(spool, attempt, caller=caller, ring_seconds=30)


def names(spool: Path) -> list[str]:
    return sorted(str(path.relative_to(spool)) for path in spool.rglob("*") if path.is_file())


def test_it_says_all_that_asterisk_needs_and_nothing_else(spool: Path):
    write(spool)
    assert names(spool) == ["outgoing/7.call"]
    assert (spool / "outgoing" / "7.call").read_text().splitlines() == [
        "Channel: Local/7@trunk/n",
        "Context: notify",
        "Extension: s",
        "Priority: 1",
        "CallerID: <8665550182>",
        "WaitTime: 40",
        "MaxRetries: 0",
        "Archive: no",
        "Setvar: MOVANS_ATTEMPT=7",
    ]


def test_the_group_may_read_it_and_others_may_not_whatever_the_umask(spool: Path, narrow_umask: None):  # noqa: ARG001
    write(spool)
    assert stat.S_IMODE((spool / "outgoing" / "7.call").stat().st_mode) == 0o640


def test_it_appears_whole_and_on_the_disk(spool: Path, monkeypatch: pytest.MonkeyPatch):
    """It is synced before it is renamed, and until then nothing is in the directory that Asterisk watches."""
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        assert os.fstat(descriptor).st_size > 100
        assert list((spool / "outgoing").iterdir()) == []
        fsync(descriptor)
        done.append("fsync")

    def renamed(self: Path, target: Path) -> Any:
        assert (self.parent, target.parent) == (spool / "tmp", spool / "outgoing")
        assert self.read_text().endswith("MOVANS_ATTEMPT=7\n")
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    write(spool)
    assert done == ["fsync", "rename"]


@pytest.mark.parametrize("place", ["tmp", "outgoing"])
def test_a_name_is_never_used_twice(place: str, spool: Path):
    (spool / place / "7.call").write_text("an older one")
    with pytest.raises(FileExistsError):
        write(spool)
    assert names(spool) == [f"{place}/7.call"]
    assert (spool / place / "7.call").read_text() == "an older one"
    write(spool, attempt=8)
    assert names(spool) == sorted(["outgoing/8.call", f"{place}/7.call"])


@pytest.mark.parametrize(
    "caller", ["", "866-555-0182", "8665550182\nContext: other", "8665550182;x", "٨٦٦٥٥٥٠١٨٢", "²"]
)
def test_what_is_not_digits_is_refused_before_anything_is_written(caller: str, spool: Path):
    with pytest.raises(ValueError, match="must be digits only"):
        write(spool, caller=caller)
    assert names(spool) == []


def test_an_attempt_that_is_no_number_is_refused_before_anything_is_written(spool: Path):
    attempt: Any = "7\nContext: other"
    with pytest.raises(ValueError, match="invalid literal"):
        write(spool, attempt=attempt)
    assert names(spool) == []


@pytest.mark.parametrize("place", ["tmp", "outgoing"])
def test_where_it_cannot_be_written_nothing_is_left_behind(place: str, spool: Path):
    (spool / place).rmdir()
    with pytest.raises(FileNotFoundError):
        write(spool)
    assert names(spool) == []


def test_on_a_full_disk_nothing_is_left_behind(spool: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(spool)
    assert names(spool) == []
