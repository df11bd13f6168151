"""What is taken from a feed's directory: whole files only, each once."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feed.drop import STILL, CannotMove, Drop

SECOND = timedelta(seconds=1)
NOW = datetime.now(UTC)


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    return Drop("boone/jail", tmp_path)


def write(path: Path, text: str = "A", *, changed: datetime = NOW) -> Path:
    path.write_text(text)
    os.utime(path, (changed.timestamp(), changed.timestamp()))
    return path


def test_a_file_that_was_not_written_to_for_long_is_whole_at_once(drop: Drop, tmp_path: Path):
    file = write(tmp_path / "a.csv", changed=NOW - 2 * STILL)
    assert drop.whole(NOW) == file


def test_a_file_is_whole_once_it_has_not_changed_for_a_time(drop: Drop, tmp_path: Path):
    file = write(tmp_path / "a.csv", changed=NOW + 1000 * STILL)  # whatever the clock of the one who writes it
    assert drop.whole(NOW) is None
    assert drop.whole(NOW + STILL - SECOND) is None
    write(file, "AB", changed=NOW + 1000 * STILL)
    assert drop.whole(NOW + STILL) is None
    assert drop.whole(NOW + 2 * STILL) == file


@pytest.mark.parametrize("name", ["a.csv.part", ".a.csv", "a.csv.TMP", "a.filepart"])
def test_what_is_renamed_in_is_whole_at_once_and_not_before(name: str, drop: Drop, tmp_path: Path):
    being_written = write(tmp_path / name)
    assert drop.whole(NOW) is None
    assert drop.whole(NOW + 10 * STILL) is None
    file = being_written.rename(tmp_path / "a.csv")
    assert drop.whole(NOW + SECOND) == file


def test_the_file_that_was_changed_first_is_first(drop: Drop, tmp_path: Path):
    write(tmp_path / "a.csv", changed=NOW - 2 * STILL)
    first = write(tmp_path / "b.csv", changed=NOW - 3 * STILL)
    assert drop.whole(NOW) == first


def test_what_is_no_file_is_let_lie(drop: Drop, tmp_path: Path):
    (tmp_path / "done").mkdir()
    (tmp_path / "a.csv").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "b.csv")
    assert drop.whole(NOW + 10 * STILL) is None


def test_what_is_done_lies_aside_with_its_report(drop: Drop, tmp_path: Path):
    write(tmp_path / "a.csv", changed=NOW - 2 * STILL)
    file = drop.whole(NOW)
    assert file
    moved = drop.move_aside(file, "refused", "row 3 is wrong", NOW)
    assert (moved.parent, moved.read_text()) == (tmp_path / "refused", "A")
    assert moved.with_name(f"{moved.name}.txt").read_text() == "row 3 is wrong\n"
    assert drop.whole(NOW) is None


def test_what_cannot_be_moved_aside_is_not_taken_again_until_it_changes(drop: Drop, tmp_path: Path):
    file = write(tmp_path / "a.csv", changed=NOW - 3 * STILL)
    assert drop.whole(NOW) == file
    (tmp_path / "done").write_text("in the way")
    with pytest.raises(CannotMove, match="let the service's user write to"):
        drop.move_aside(file, "done", "", NOW)
    assert drop.whole(NOW) is None
    write(file, "AB", changed=NOW - 2 * STILL)
    assert drop.whole(NOW) == file


def test_what_was_written_to_while_it_was_read_is_not_as_it_was_taken(drop: Drop, tmp_path: Path):
    file = write(tmp_path / "a.csv", changed=NOW - 2 * STILL)
    assert drop.whole(NOW) == file
    assert drop.is_as_taken(file)
    write(file, "AB")
    assert not drop.is_as_taken(file)
    file.unlink()
    assert not drop.is_as_taken(file)
