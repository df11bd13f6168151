"""`movans feed import`, as it is typed: what it prints, and how it ends."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from movans.settings import EXAMPLE
from tests.feed.conftest import JAIL, SAMPLES

Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def typed(database: str, tmp_path: Path) -> Typed:
    """Type the command, with Boone County's feeds in the settings."""
    feeds: dict[str, Any] = {
        "jail": JAIL | {"format": "custody changes", "interval": 900},
        "lenient": JAIL | {"format": "custody changes", "interval": 900, "mistakes": 0.5},
        "court": {"format": "court calendar", "interval": "24:00:00"},
    }
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | {"database": database, "state": str(tmp_path)}
    content["agencies"]["boone"]["feeds"] = feeds
    file = tmp_path / "movans.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "movans", "--settings", str(file), "feed", "import", *arguments]
        return subprocess.run(line, cwd=EXAMPLE.parent, capture_output=True, text=True, check=False)

    return run


def test_a_file_of_a_feed_is_imported_and_says_what_changed(typed: Typed):
    done = typed("--feed", "boone/jail", str(SAMPLES / "jail.csv"))
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert "MUÑOZ" in done.stdout
    assert "2 rows: 2 listed; 0 as known. 0 to be called." in done.stdout


def test_a_file_is_imported_whatever_its_name(typed: Typed, database: str, tmp_path: Path):
    strange = tmp_path / os.fsdecode(b"h\xe9l.csv")
    done = typed("--feed", "boone/jail", str(strange))
    assert f"{tmp_path}/h%E9l.csv: cannot be read (No such file or directory)" in done.stderr
    strange.write_bytes((SAMPLES / "jail.csv").read_bytes())
    assert typed("--feed", "boone/jail", str(strange)).returncode == 0
    with psycopg.connect(database) as conn:
        assert conn.execute("select file from feed_run").fetchall() == [("h%E9l.csv",)]


def test_a_feed_that_is_back_says_how_long_it_was_gone(typed: Typed, database: str, tmp_path: Path):
    typed("--feed", "boone/jail", str(SAMPLES / "jail.csv"))
    with psycopg.connect(database) as conn:
        conn.execute("update feed_run set started_at = started_at - interval '75 hours 30 minutes'")
    assert "is back" not in typed("--feed", "boone/jail", str(SAMPLES / "jail.csv")).stdout  # the very same bytes
    file = tmp_path / "jail.csv"
    file.write_bytes((SAMPLES / "jail.csv").read_bytes().replace(b"MU\xd1OZ", b"MUNOZ"))
    back = "The feed boone/jail is back after 3 days and 3 hours."
    assert back in typed("--feed", "boone/jail", str(file)).stdout
    assert "is back" not in typed("--feed", "boone/jail", str(file)).stdout


def test_rows_that_are_put_aside_are_printed_with_the_reason(typed: Typed, tmp_path: Path):
    file = tmp_path / "bad.csv"
    file.write_bytes((SAMPLES / "jail.csv").read_bytes().replace(b",IN,", b",HELD,"))
    done = typed("--feed", "boone/lenient", str(file))
    assert done.returncode == 0
    assert done.stderr.strip().splitlines() == [
        "bad.csv, row 2: STAT 'HELD' must be one of IN, REL, or be added to the feed's statuses",
        "1 row was put aside and not applied; all are in the table feed_row_aside. Correct them and send them again.",
    ]
    assert "2 rows: 1 listed; 0 as known; 1 put aside. 0 to be called." in done.stdout
    refused = typed("--feed", "boone/jail", str(file))
    assert refused.returncode == 1
    assert "the file was refused and nothing was changed: 1 mistake" in refused.stderr


def test_a_calendar_of_people_whom_nobody_holds_says_so(typed: Typed):
    done = typed("--feed", "boone/court", str(SAMPLES / "calendar.tsv"))
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert "5 rows: nothing changed; 3 as known" in done.stdout


def test_a_feed_that_is_not_declared_is_named_with_those_that_are(typed: Typed):
    done = typed("--feed", "boone/prison", str(SAMPLES / "jail.csv"))
    assert done.returncode == 1
    assert done.stderr.startswith(
        "movans: no feed boone/prison is declared in the settings, under agencies; there are bo"
    )
    assert "Traceback" not in done.stderr
