"""The part that takes in what feeds drop: a real directory, a real database, and a clock that the test moves."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg_pool import ConnectionPool

from db import alerts, held
from db.pool import open_pool
from feed.drop import STILL, Drop
from movans.intake import Intake, drops
from movans.settings import EXAMPLE, Settings
from tests import people
from tests.conftest import KEYS, NOON, settings_for

HEADER = "offender_number,last_name,first_name,date_of_birth,facility,status,changed_at\n"
HOUR = timedelta(hours=1)


class Clock:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "drop").mkdir()
    jail = {"format": "custody changes", "interval": 900, "drop": str(tmp_path / "drop")}
    return settings_for(tmp_path, agencies={"boone": {"name": "Boone", "interval": 900, "feeds": {"jail": jail}}})


@pytest.fixture
def db(database: str) -> Iterator[ConnectionPool]:
    with open_pool(database) as pool:
        yield pool


@pytest.fixture
def intake(db: ConnectionPool, settings: Settings) -> Intake:
    return Intake(db, settings, drops(settings), Clock())


def put(tmp_path: Path, text: str, name: str = "jail.csv") -> Path:
    path = tmp_path / "drop" / name
    path.write_text(text, encoding="utf-8")
    long_ago = (NOON - 2 * STILL).timestamp()
    os.utime(path, (long_ago, long_ago))
    return path


def row(status: str, number: int = 1, at: str = "2026-11-20 09:40") -> str:
    return f"N{number},SMITH,JOHN,,Boone County Jail,{status},{at}\n"


def works_until(intake: Intake, what: Callable[[], object], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never came"
        intake.look()
        time.sleep(0.01)


def aside(tmp_path: Path, where: str) -> list[Path]:
    return sorted((tmp_path / "drop" / where).glob("*.csv"))


def report(file: Path) -> str:
    return file.with_name(f"{file.name}.txt").read_text()


def test_what_came_at_the_same_moment_is_taken_in_one_right_after_the_other(intake: Intake, tmp_path: Path):
    for number in (1, 2, 3):
        put(tmp_path, HEADER + row("in custody", number), f"jail{number}.csv")
    intake.look()
    until = time.monotonic() + 20
    while len(aside(tmp_path, "done")) < 3:
        assert time.monotonic() < until, "one is left, until somebody looks again"
        time.sleep(0.01)


def test_a_file_is_imported_and_lies_in_done_with_its_report(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    put(tmp_path, HEADER + row("in custody"))
    works_until(intake, lambda: aside(tmp_path, "done"))
    assert report(aside(tmp_path, "done")[0]) == "1 row: 1 listed; 0 as known. 0 to be called.\n"
    assert shared.execute("select feed, outcome from feed_run").fetchall() == [("boone/jail", "applied")]
    assert list((tmp_path / "drop").glob("*.csv")) == []


def test_the_part_itself_takes_a_file_that_is_renamed_in_and_ends_when_it_is_told_to(
    database: str, shared: psycopg.Connection, tmp_path: Path
):
    (tmp_path / "run").mkdir()
    (tmp_path / "drop").mkdir()
    jail = {"format": "custody changes", "interval": 900, "drop": str(tmp_path / "drop")}
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | {"database": database, "state": str(tmp_path)}
    content["agencies"]["boone"]["feeds"] = {"jail": jail}
    file = tmp_path / "movans.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    part = subprocess.Popen(
        [sys.executable, "-m", "movans", "--settings", str(file), "intake"],
        cwd=EXAMPLE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 30
        (tmp_path / "drop" / "jail.csv.part").write_text(HEADER + row("in custody"), encoding="utf-8")
        while not (tmp_path / "run" / "intake.beat").exists() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1)  # some looks
        (tmp_path / "drop" / "jail.csv.part").rename(tmp_path / "drop" / "jail.csv")
        while not aside(tmp_path, "done") and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        part.terminate()
        said, _ = part.communicate(timeout=20)
    assert (len(aside(tmp_path, "done")), part.returncode) == (1, 0), said
    assert shared.execute("select feed, outcome from feed_run").fetchall() == [("boone/jail", "applied")]


def test_a_refused_file_lies_in_refused_with_every_mistake_and_a_person_is_told_until_one_is_right(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    put(tmp_path, HEADER + row("free"))
    works_until(intake, lambda: aside(tmp_path, "refused"))
    assert "jail.csv, row 2: status 'free' must be one of" in report(aside(tmp_path, "refused")[0])
    assert [one.key for one in alerts.still(shared)] == ["refused: boone/jail"]
    put(tmp_path, HEADER + row("in custody"))
    works_until(intake, lambda: aside(tmp_path, "done"))
    assert alerts.still(shared) == []


def test_a_held_file_lies_in_held_and_unanswered_its_releases_go_out_as_not_yet_confirmed(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    put(tmp_path, HEADER + "".join(row("in custody", number, "2026-11-03 14:05") for number in range(1, 1201)))
    works_until(intake, lambda: aside(tmp_path, "done"), 60)
    (offender,) = shared.execute("select id from offender where number = 'N1'").fetchone() or (0,)
    people.register(shared, KEYS, number="5735550142", offender_id=offender, now=NOON)
    put(tmp_path, HEADER + "".join(row("released", number) for number in range(1, 102)))
    works_until(intake, lambda: aside(tmp_path, "held"))
    assert "101 releases, and at most 100 are usual" in report(aside(tmp_path, "held")[0])
    assert shared.execute("select count(*) from notification").fetchone() == (0,)
    assert isinstance(intake.clock, Clock)
    intake.clock.now = NOON + 5 * HOUR
    works_until(intake, lambda: shared.execute("select from notification").fetchall(), 60)
    works_until(intake, lambda: held.waiting(shared)[0].reported_at)


def test_a_directory_that_is_away_is_told_until_it_is_back(intake: Intake, shared: psycopg.Connection, tmp_path: Path):
    (tmp_path / "drop").rename(tmp_path / "away")
    works_until(intake, lambda: alerts.still(shared))
    assert "the directory of the feed boone/jail cannot be read" in alerts.still(shared)[0].says
    (tmp_path / "away").rename(tmp_path / "drop")
    works_until(intake, lambda: not alerts.still(shared))


def test_a_file_at_which_the_import_breaks_off_is_left_and_told_and_others_go_on(
    db: ConnectionPool, settings: Settings, shared: psycopg.Connection, tmp_path: Path
):
    (tmp_path / "other").mkdir()
    strange = Drop("boone/unknown", tmp_path / "other")  # a feed that the settings do not know
    intake = Intake(db, settings, [strange, *drops(settings)], Clock())
    put(tmp_path, HEADER + row("in custody"))
    left = (tmp_path / "drop" / "jail.csv").rename(tmp_path / "other" / "jail.csv")
    put(tmp_path, HEADER + row("in custody"))
    works_until(intake, lambda: aside(tmp_path, "done"))
    assert left.exists()
    assert [one.key for one in alerts.still(shared)] == ["drop: boone/unknown"]
    assert "its import broke off (WrongSettings), and it is not tried again" in alerts.still(shared)[0].says
