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


def found(drop: Drop) -> Path | None:
    """What is whole once everything has lain there for a time."""
    drop.whole(NOW)
    return drop.whole(NOW + STILL)


def write(path: Path, text: str = "A", *, changed: datetime = NOW) -> Path:
    path.write_text(text)
    os.utime(path, (changed.timestamp(), changed.timestamp()))
    return path


@pytest.mark.parametrize("clock", [-1000, 0, 1000])  # of the one who writes it: slow, right, fast
def test_a_file_is_whole_once_we_have_seen_it_unchanged_for_a_time(clock: int, drop: Drop, tmp_path: Path):
    file = write(tmp_path / "a.csv", changed=NOW + clock * STILL)
    assert drop.whole(NOW) is None
    assert drop.whole(NOW + STILL - SECOND) is None
    write(file, "AB", changed=NOW + clock * STILL)
    assert drop.whole(NOW + STILL) is None
    assert drop.whole(NOW + 2 * STILL) == file


@pytest.mark.parametrize("name", ["a.csv.part", ".a.csv", "a.csv.TMP", "a.filepart"])
def test_what_is_renamed_in_is_whole_at_once_and_not_before(name: str, drop: Drop, tmp_path: Path):
    being_written = write(tmp_path / name)
    assert drop.whole(NOW) is None
    assert drop.whole(NOW + 10 * STILL) is None
    file = being_written.rename(tmp_path / "a.csv")
    assert drop.whole(NOW + SECOND) == file


def test_what_is_written_anew_where_a_file_being_written_was_removed_is_not_renamed_in(tmp_path: Path):
    for number in range(20):  # until the file system gives the inode again, which one in memory never does
        (tmp_path / f"{number}").mkdir()
        drop = Drop("boone/jail", tmp_path / f"{number}")
        given_up = write(drop.path / "a.csv.part")
        was = given_up.stat().st_ino
        assert drop.whole(NOW) is None
        given_up.unlink()
        with (drop.path / "a.csv").open("w") as growing:
            growing.write("A")
            growing.flush()
            assert drop.whole(NOW + SECOND) is None
            is_same = (drop.path / "a.csv").stat().st_ino == was
            growing.write("B")
        assert drop.whole(NOW + 2 * SECOND) is None
        assert drop.whole(NOW + 2 * SECOND + STILL) == drop.path / "a.csv"
        if is_same:
            return
    pytest.skip("this file system gives no inode again")


def test_the_file_that_was_changed_first_is_first(drop: Drop, tmp_path: Path):
    write(tmp_path / "a.csv", changed=NOW - 2 * STILL)
    first = write(tmp_path / "b.csv", changed=NOW - 3 * STILL)
    assert found(drop) == first


def test_what_is_renamed_in_waits_for_a_file_that_was_changed_earlier(drop: Drop, tmp_path: Path):
    being_written = write(tmp_path / "b.csv.part", changed=NOW)
    first = write(tmp_path / "a.csv", changed=NOW - SECOND)
    assert drop.whole(NOW) is None
    being_written.rename(tmp_path / "b.csv")
    assert drop.whole(NOW + SECOND) is None
    assert drop.whole(NOW + STILL) == first


def test_what_is_no_file_is_let_lie_and_said_but_for_directories_and_what_is_being_written(drop: Drop, tmp_path: Path):
    (tmp_path / "done").mkdir()
    (tmp_path / "held").symlink_to(tmp_path / "done")
    os.mkfifo(tmp_path / "a.csv.part")
    assert (found(drop), drop.strange()) == (None, "")
    os.mkfifo(tmp_path / "c.csv")
    assert (found(drop), f"{tmp_path / 'c.csv'}: is a pipe and no file" in drop.strange()) == (None, True)
    (tmp_path / "b\n.csv").symlink_to("/etc/hostname")
    assert found(drop) is None
    assert drop.strange().startswith(
        f"{tmp_path / 'b%0A.csv'}: is a symbolic link and no file, so nothing of it is taken"
    )
    (tmp_path / "b\n.csv").unlink()
    (tmp_path / "c.csv").unlink()
    assert (found(drop), drop.strange()) == (None, "")


def test_what_is_done_lies_aside_with_its_report(drop: Drop, tmp_path: Path):
    write(tmp_path / "a.csv", changed=NOW - 2 * STILL)
    file = found(drop)
    assert file
    moved = drop.move_aside(file, "refused", "row 3 is wrong", NOW)
    assert (moved.parent, moved.read_text()) == (tmp_path / "refused", "A")
    assert moved.with_name(f"{moved.name}.txt").read_text() == "row 3 is wrong\n"
    assert drop.whole(NOW) is None


def test_what_cannot_be_moved_aside_is_not_taken_again_until_it_changes(drop: Drop, tmp_path: Path):
    file = write(tmp_path / "a.csv")
    assert found(drop) == file
    (tmp_path / "done").symlink_to("/etc/hostname")
    with pytest.raises(CannotMove, match="done is no directory: move it away"):
        drop.move_aside(file, "done", "", NOW)
    assert (found(drop), drop.left()) == (None, {file: ("done", "", NOW)})
    write(file, "AB")
    assert (found(drop), drop.left()) == (file, {})


def test_what_could_not_be_moved_aside_leaves_no_report_and_can_be_moved_later(drop: Drop, tmp_path: Path):
    file = write(tmp_path / "a.csv")
    assert found(drop) == file
    (tmp_path / "refused").mkdir()
    drop.place(file, "refused", NOW).mkdir()  # a file cannot take its place
    with pytest.raises(CannotMove):
        drop.move_aside(file, "refused", "row 3 is wrong", NOW)
    assert [one.name for one in (tmp_path / "refused").glob("*.txt")] == []
    drop.place(file, "refused", NOW).rmdir()
    moved = drop.move_aside(file, *drop.left()[file])
    assert (moved, drop.left()) == (drop.place(file, "refused", NOW), {})


@pytest.mark.parametrize(
    ("name", "then"),
    [
        (b"h\xe9l.csv", "-h%E9l.csv"),  # as windows-1252 writes it
        ("hél.csv".encode(), "-hél.csv"),
        (b"a\nb\x1b.csv", "-a%0Ab%1B.csv"),
        (b"a" * 251 + b".csv", f"-{'a' * 223}.csv"),
        ("é".encode() * 125 + b".csv", f"-{'é' * 111}.csv"),
        (b"\xe9" * 251 + b".csv", f"-9{'%E9' * 74}.csv"),
    ],
)
def test_it_lies_aside_under_a_name_that_can_be_printed_and_is_not_too_long(name: bytes, then: str, drop: Drop):
    write(drop.path / os.fsdecode(name))
    file = found(drop)
    assert file
    moved = drop.move_aside(file, "done", "told", NOW)
    assert moved.name.endswith(then)
    assert (moved.read_text(), moved.with_name(f"{moved.name}.txt").read_text()) == ("A", "told\n")
    assert drop.whole(NOW) is None


def test_what_was_written_to_while_it_was_read_is_not_as_it_was_taken(drop: Drop, tmp_path: Path):
    file = write(tmp_path / "a.csv")
    assert found(drop) == file
    assert drop.is_as_taken(file)
    write(file, "AB")
    assert not drop.is_as_taken(file)
    file.unlink()
    assert not drop.is_as_taken(file)
