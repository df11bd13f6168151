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
from db.custody import Custody, Person
from db.pool import open_pool
from feed import override
from feed.drop import Drop
from feed.records import CustodyRecord, Refused
from movans import feeds
from movans.intake import EVERY, TRIES, Intake, drops
from movans.settings import EXAMPLE, Settings
from tests import people
from tests.conftest import KEYS, NOON, settings_for
from tests.flow.telephone import Sometimes, Unreachable

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
    return path


def row(status: str, number: int = 1, at: str = "2026-11-20 09:40") -> str:
    return f"N{number},SMITH,JOHN,,Boone County Jail,{status},{at}\n"


def works_until(intake: Intake, what: Callable[[], object], seconds: float = 20) -> None:
    """Look again and again, while the service's clock is faster than ours: a file is waited for until it is whole."""
    until = time.monotonic() + seconds
    assert isinstance(intake.clock, Clock)
    while not what():
        assert time.monotonic() < until, "it never came"
        intake.look()
        intake.clock.now += timedelta(seconds=2)
        time.sleep(0.01)


def aside(tmp_path: Path, where: str) -> list[Path]:
    return sorted((tmp_path / "drop" / where).glob("*.csv"))


def report(file: Path) -> str:
    return file.with_name(f"{file.name}.txt").read_text()


def test_what_came_at_the_same_moment_is_taken_in_one_right_after_the_other(intake: Intake, tmp_path: Path):
    for number in (1, 2, 3):
        hidden = put(tmp_path, HEADER + row("in custody", number), f"jail{number}.csv.tmp")
        os.utime(hidden, (NOON.timestamp(), NOON.timestamp()))  # not written to in the moment before
    intake.drops[0].whole(NOON)
    for number in (1, 2, 3):
        hidden.with_name(f"jail{number}.csv.tmp").rename(hidden.with_name(f"jail{number}.csv"))
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
    (said,) = [line for line in report(aside(tmp_path, "done")[0]).splitlines() if "SMITH, JOHN" in line]
    assert "boone N1" in said
    assert report(aside(tmp_path, "done")[0]).endswith("\nRun 1, 1 row: 1 listed; 0 as known. 0 to be called.\n")
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


def works_off(intake: Intake, tmp_path: Path) -> None:
    """Take in all that lies there, one right after the other."""
    works_until(intake, lambda: not list((tmp_path / "drop").glob("*.csv")))


def told(shared: psycopg.Connection) -> list[str]:
    """What the part alarm tells now."""
    found = alerts.untold(shared, most=9, now=NOON)
    for alert in found:
        alerts.told(shared, alert.id, now=NOON)
    return [alert.says for alert in found]


def refused(shared: psycopg.Connection, settings: Settings) -> int:
    return next(one.counts.refused for one in feeds.status(shared, settings, now=NOON) if one.feed.name == "boone/jail")


def test_a_refused_file_lies_in_refused_with_every_mistake_and_is_told_until_a_person_has_seen_to_it(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    put(tmp_path, HEADER + row("free"))
    works_until(intake, lambda: aside(tmp_path, "refused"))
    assert "jail.csv, row 2: status 'free' must be one of" in report(aside(tmp_path, "refused")[0])
    put(tmp_path, HEADER + row("in custody", 2))
    works_until(intake, lambda: aside(tmp_path, "done"))
    (alert,) = alerts.still(shared)
    assert alert.key == "refused: boone/jail"
    assert told(shared)[0].startswith("jail.csv of the feed boone/jail was refused, and nothing of it took effect; why")
    assert alerts.untold(shared, most=9, now=NOON + HOUR), "what it told of is lost until somebody acts"
    assert refused(shared, intake.settings) == 1
    alerts.end(shared, alert.id, now=NOON + HOUR)
    assert refused(shared, intake.settings) == 0


def test_refused_files_are_counted_in_one_alert_until_each_has_come_again_as_it_was(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    shared.execute(  # what refuses these is mended later
        """create function full_up() returns trigger language plpgsql as $$ begin raise exception 'full'; end $$;
           create trigger full_up before insert on offender for each row when (new.number = 'N1')
               execute function full_up()"""
    )
    for name, what in (("a", row("in custody")), ("b", row("free")), ("c", row("in custody", 2))):
        put(tmp_path, HEADER + what, f"{name}.csv")
    works_off(intake, tmp_path)
    assert refused(shared, intake.settings) == 2
    assert [says.partition(",")[0] for says in told(shared)] == ["2 files of the feed boone/jail were refused"]
    shared.execute("drop trigger full_up on offender")
    broke_off, wrong = aside(tmp_path, "refused")
    assert f"movans feed import --feed boone/jail {broke_off}" in report(broke_off)
    broke_off.rename(tmp_path / "drop" / "again.csv")
    works_off(intake, tmp_path)
    assert (len(alerts.still(shared)), refused(shared, intake.settings)) == (1, 1)
    wrong.write_text(wrong.read_text().replace("free", "out"), encoding="utf-8")  # it is other bytes, and wrong again
    wrong.rename(tmp_path / "drop" / "again.csv")
    works_off(intake, tmp_path)
    assert refused(shared, intake.settings) == 2
    (alert,) = alerts.still(shared)
    assert "2 files of the feed boone/jail were refused, the last again.csv, and nothing of them" in alert.says


def of_snapshots(tmp_path: Path) -> Settings:
    (tmp_path / "drop").mkdir()
    jail = {"format": "custody snapshot", "interval": 900, "drop": str(tmp_path / "drop")}
    return settings_for(tmp_path, agencies={"boone": {"name": "Boone", "interval": 900, "feeds": {"jail": jail}}})


def test_a_right_snapshot_takes_the_place_of_refused_ones_but_a_person_is_told_first(
    db: ConnectionPool, shared: psycopg.Connection, tmp_path: Path
):
    settings = of_snapshots(tmp_path)
    intake = Intake(db, settings, drops(settings), Clock())
    put(tmp_path, HEADER + row("free"), "a.csv")
    put(tmp_path, HEADER + row("in custody"), "b.csv")
    works_off(intake, tmp_path)
    assert [says.partition(",")[0] for says in told(shared)] == ["a.csv of the feed boone/jail was refused"]
    assert (alerts.still(shared), refused(shared, settings)) == ([], 0)
    put(tmp_path, HEADER + row("free"), "c.csv")
    put(tmp_path, HEADER + row("in custody"), "d.csv")
    put(tmp_path, HEADER + row("gone"), "e.csv")
    works_off(intake, tmp_path)
    assert [says.partition(",")[0] for says in told(shared)] == ["2 files of the feed boone/jail were refused"]
    assert len(alerts.still(shared)) == 1, "the last that came was refused"
    put(tmp_path, HEADER + row("in custody", 2), "f.csv")
    works_off(intake, tmp_path)
    assert (alerts.still(shared), refused(shared, settings)) == ([], 0)


def test_a_held_snapshot_takes_the_place_of_no_refused_one(
    db: ConnectionPool, shared: psycopg.Connection, tmp_path: Path
):
    settings = of_snapshots(tmp_path)
    intake = Intake(db, settings, drops(settings), Clock())
    everybody = [row("in custody", number, "2026-11-03 14:05") for number in range(1, 401)]
    for content in (everybody, [row("free")], everybody[:200]):
        put(tmp_path, HEADER + "".join(content))
        works_until(intake, lambda: not list((tmp_path / "drop").glob("*.csv")), 60)
    assert aside(tmp_path, "held")
    assert refused(shared, settings) == 1


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


def test_what_is_wrong_with_a_directory_is_told_though_the_database_was_away_when_it_was_seen(
    settings: Settings, shared: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    database = Sometimes(shared)
    database.goes()
    intake = Intake(database, settings, drops(settings), Clock())
    (tmp_path / "drop").rename(tmp_path / "away")
    works_until(intake, lambda: caplog.text.count("the database is away") == 4)
    assert alerts.still(shared) == []
    database.comes_back()
    works_until(intake, lambda: alerts.still(shared))
    database.goes()
    (tmp_path / "away").rename(tmp_path / "drop")
    works_until(intake, lambda: caplog.text.count("the database is away") == 8)
    assert alerts.still(shared)
    database.comes_back()
    works_until(intake, lambda: not alerts.still(shared))


def test_a_link_in_a_directory_is_told_once_until_it_is_gone_and_files_beside_it_are_taken_in(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    theirs = put(tmp_path, HEADER + row("in custody")).rename(tmp_path / "theirs.csv")
    (tmp_path / "drop" / "a.csv").symlink_to(theirs)
    works_until(intake, lambda: alerts.still(shared))
    (alert,) = alerts.still(shared)
    assert (alert.key, "drop/a.csv: is a symbolic link" in alert.says) == ("drop: boone/jail", True)
    (tmp_path / "drop" / "b.csv").symlink_to(theirs)
    put(tmp_path, HEADER + row("in custody", 2))
    works_until(intake, lambda: aside(tmp_path, "done"))
    assert [one.id for one in alerts.still(shared)] == [alert.id]
    for name in ("a.csv", "b.csv"):
        (tmp_path / "drop" / name).unlink()
    works_until(intake, lambda: not alerts.still(shared))
    assert shared.execute("select number from offender").fetchall() == [("N2",)]


def test_what_was_wrong_with_a_directory_is_over_where_it_is_back_or_not_in_the_settings_after_a_start(
    intake: Intake, db: ConnectionPool, settings: Settings, shared: psycopg.Connection, tmp_path: Path
):
    for key in ("drop: boone/old", "drop: boone/old: a.csv", "refused: boone/old"):
        alerts.add(shared, key, key, now=NOON)
    (tmp_path / "drop").rename(tmp_path / "away")
    works_until(intake, lambda: [one.key for one in alerts.still(shared)] == ["refused: boone/old", "drop: boone/jail"])
    (tmp_path / "away").rename(tmp_path / "drop")
    started_anew = Intake(db, settings, drops(settings), Clock())
    works_until(started_anew, lambda: [one.key for one in alerts.still(shared)] == ["refused: boone/old"])


def test_a_file_that_cannot_be_moved_aside_is_told_and_moved_once_it_can_be_without_being_read_again(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    (tmp_path / "drop" / "done").symlink_to("/etc/hostname")
    put(tmp_path, HEADER + row("in custody"))
    works_until(intake, lambda: alerts.still(shared))
    (alert,) = alerts.still(shared)
    assert (alert.key, "done is no directory: move it away" in alert.says) == ("drop: boone/jail: jail.csv", True)
    assert isinstance(intake.clock, Clock)
    at = intake.clock.now
    works_until(intake, lambda: intake.clock() > at + 3 * EVERY)
    assert [one.id for one in alerts.still(shared)] == [alert.id], "nobody is told again of what they know"
    (tmp_path / "drop" / "done").unlink()
    works_until(intake, lambda: not alerts.still(shared))
    (moved,) = aside(tmp_path, "done")
    assert report(moved).endswith("\nRun 1, 1 row: 1 listed; 0 as known. 0 to be called.\n")
    assert shared.execute("select count(*) from feed_run").fetchone() == (1,)


def test_of_a_file_that_could_not_be_moved_and_that_somebody_has_taken_away_nothing_is_told_any_more(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    (tmp_path / "drop" / "done").symlink_to("/etc/hostname")
    file = put(tmp_path, HEADER + row("in custody"))
    works_until(intake, lambda: alerts.still(shared))
    file.unlink()
    works_until(intake, lambda: not alerts.still(shared))


def test_a_file_at_which_the_import_breaks_off_lies_in_refused_and_is_told_and_others_go_on(
    db: ConnectionPool, settings: Settings, shared: psycopg.Connection, tmp_path: Path
):
    (tmp_path / "other").mkdir()
    strange = Drop("boone/unknown", tmp_path / "other")  # a feed that the settings do not know
    intake = Intake(db, settings, [strange, *drops(settings)], Clock())
    put(tmp_path, HEADER + row("in custody"))
    (tmp_path / "drop" / "jail.csv").rename(tmp_path / "other" / "jail.csv")
    put(tmp_path, HEADER + row("in custody"))
    works_until(intake, lambda: aside(tmp_path, "done") and list((tmp_path / "other" / "refused").glob("*.csv")))
    (alert,) = alerts.still(shared)
    assert alert.key == "refused: boone/unknown"
    (moved,) = (tmp_path / "other" / "refused").glob("*.csv")
    assert report(moved).startswith("The import broke off (WrongSettings); the reason is in intake.log. It is not")
    assert report(moved).endswith(f"movans feed import --feed boone/unknown {moved}\n")


def test_a_file_at_which_the_database_gives_up_holds_up_neither_other_feeds_nor_itself_for_ever(
    db: ConnectionPool, settings: Settings, shared: psycopg.Connection, tmp_path: Path
):
    shared.execute(
        """create function gives_up() returns trigger language plpgsql as $$ begin
               raise exception 'too slow' using errcode = 'query_canceled';
           end $$;
           create trigger gives_up before insert on offender for each row when (new.number = 'N7')
               execute function gives_up()"""
    )
    (tmp_path / "other").mkdir()
    (hard,) = drops(settings)
    intake = Intake(db, settings, [hard, Drop("boone/jail", tmp_path / "other")], Clock())
    put(tmp_path, HEADER + row("in custody", 7), "seven.csv")
    put(tmp_path, HEADER + row("in custody", 8), "later.csv")
    put(tmp_path, HEADER + row("in custody"), "one.csv").rename(tmp_path / "other" / "one.csv")
    works_until(intake, lambda: list((tmp_path / "other" / "done").glob("*.csv")))
    assert (tmp_path / "drop" / "seven.csv").exists()
    works_until(intake, lambda: aside(tmp_path, "refused"))
    assert report(aside(tmp_path, "refused")[0]).startswith("The import broke off (QueryCanceled)")
    works_until(intake, lambda: aside(tmp_path, "done"))
    assert [one.key for one in alerts.still(shared)] == ["refused: boone/jail"]  # though the next file is right
    assert shared.execute("select count(*) from offender").fetchone() == (2,)


def test_a_file_that_is_written_to_while_it_is_read_takes_effect_once_and_whole(
    db: ConnectionPool, settings: Settings, shared: psycopg.Connection, tmp_path: Path
):
    file = put(tmp_path, HEADER + row("in custody"))
    (drop,) = drops(settings)
    intake = Intake(db, settings, [drop], Clock())
    drop.whole(NOON)
    with file.open("a") as growing:  # after it was found whole, before it has taken effect
        growing.write(row("in custody", 2))
    intake.take(drop, file)
    assert shared.execute("select (select count(*) from offender), (select count(*) from feed_run)").fetchone() == (
        0,
        0,
    )
    works_until(intake, lambda: aside(tmp_path, "done"))
    assert shared.execute("select rows from feed_run").fetchall() == [(2,)]


def test_a_file_that_is_taken_away_before_it_is_opened_is_no_refused_one(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    file = put(tmp_path, HEADER + row("in custody"))
    intake.drops[0].whole(NOON)
    file.rename(tmp_path / "theirs.csv")
    intake.take(intake.drops[0], file)
    assert "or taken away" in caplog.text
    assert (alerts.still(shared), refused(shared, intake.settings)) == ([], 0)
    assert shared.execute("select from feed_run").fetchall() == []


def test_a_file_that_disagrees_with_staff_says_so_in_its_report_and_in_the_log(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    put(tmp_path, HEADER + row("in custody", at="2026-11-03 14:05"))
    works_until(intake, lambda: aside(tmp_path, "done"))
    said = CustodyRecord(
        0, "boone", "N1", Person("JOHN", "", "SMITH", None), Custody("released", "Boone County Jail", NOON), "", {}
    )
    override.say(shared, said, who="clerk", settings=intake.settings, now=NOON)
    put(tmp_path, HEADER + row("in custody", at="2026-11-03 14:06"))
    works_until(intake, lambda: len(aside(tmp_path, "done")) == 2)
    assert "but staff have said 'released' since" in report(aside(tmp_path, "done")[1])
    assert "but staff have said 'released' since" in caplog.text


def test_rows_that_are_put_aside_stand_in_the_report_of_a_held_file_too(
    db: ConnectionPool, shared: psycopg.Connection, tmp_path: Path
):
    (tmp_path / "drop").mkdir()
    jail = {"format": "custody changes", "interval": 900, "drop": str(tmp_path / "drop"), "mistakes": 0.1}
    agencies = {"boone": {"name": "Boone", "interval": 900, "feeds": {"jail": jail}}}
    settings = settings_for(tmp_path, agencies=agencies)
    intake = Intake(db, settings, drops(settings), Clock())
    put(tmp_path, HEADER + "".join(row("in custody", number, "2026-11-03 14:05") for number in range(1, 51)))
    works_until(intake, lambda: aside(tmp_path, "done"), 60)
    put(tmp_path, HEADER + row("free", 99) + "".join(row("released", number) for number in range(1, 51)))
    works_until(intake, lambda: aside(tmp_path, "held"), 60)
    said = report(aside(tmp_path, "held")[0])
    assert "jail.csv, row 2: status 'free' must be one of" in said
    assert "1 row would be put aside and not applied, whatever is decided." in said
    assert shared.execute("select from feed_row_aside").fetchall() == []


def deny(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can be read, until that is undone; whoever runs the tests may be allowed to read everything."""

    def denied(path: Path) -> None:
        raise Refused([f"{path}: cannot be read (Permission denied); check its name and its rights"])

    monkeypatch.setattr("feed.run.opened", denied)
    monkeypatch.setattr("movans.intake._sha256", lambda _file: "")


def test_files_that_cannot_be_opened_are_told_as_refused_until_each_is_moved_back_and_right(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    deny(monkeypatch)
    for number in (1, 2):
        put(tmp_path, HEADER + row("in custody", number))
        works_off(intake, tmp_path)
    assert "cannot be read (Permission denied)" in report(aside(tmp_path, "refused")[0])
    assert [one.key for one in alerts.still(shared)] == ["refused: boone/jail"]
    assert refused(shared, intake.settings) == 2
    assert [says.partition(",")[0] for says in told(shared)] == ["2 files of the feed boone/jail were refused"]
    first, second = aside(tmp_path, "refused")
    first.rename(tmp_path / "drop" / first.name)
    works_off(intake, tmp_path)
    assert refused(shared, intake.settings) == 2, "it is the same file, and still cannot be read"
    monkeypatch.undo()
    put(tmp_path, HEADER + row("in custody", 3))
    works_off(intake, tmp_path)
    assert refused(shared, intake.settings) == 2, "it is another file of the same name"
    for left, file in ((1, aside(tmp_path, "refused")[-1]), (0, second)):
        file.rename(tmp_path / "drop" / file.name)
        works_off(intake, tmp_path)
        assert (len(alerts.still(shared)), refused(shared, intake.settings)) == (left, left)


def test_a_file_that_could_not_be_opened_is_wrong_once_where_it_is_moved_back_and_wrong(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    deny(monkeypatch)
    put(tmp_path, HEADER + row("free"))
    works_off(intake, tmp_path)
    monkeypatch.undo()
    (file,) = aside(tmp_path, "refused")
    file.rename(tmp_path / "drop" / file.name)
    works_off(intake, tmp_path)
    assert refused(shared, intake.settings) == 1


def test_a_right_snapshot_takes_the_place_of_one_that_could_not_be_opened(
    db: ConnectionPool, shared: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = of_snapshots(tmp_path)
    intake = Intake(db, settings, drops(settings), Clock())
    deny(monkeypatch)
    put(tmp_path, HEADER + row("in custody"))
    works_off(intake, tmp_path)
    assert told(shared)
    monkeypatch.undo()
    put(tmp_path, HEADER + row("in custody", 2))
    works_off(intake, tmp_path)
    assert (alerts.still(shared), refused(shared, settings)) == ([], 0)


@pytest.mark.parametrize("kind", ["changes", "snapshot"])
def test_rows_that_are_put_aside_are_told_once_while_they_come_again_and_again(
    kind: str, db: ConnectionPool, shared: psycopg.Connection, tmp_path: Path
):
    (tmp_path / "drop").mkdir()
    jail = {"format": f"custody {kind}", "interval": 900, "drop": str(tmp_path / "drop"), "mistakes": 0.5}
    settings = settings_for(tmp_path, agencies={"boone": {"name": "Boone", "interval": 900, "feeds": {"jail": jail}}})
    intake = Intake(db, settings, drops(settings), Clock())

    def comes(name: str, *rows: str) -> int:
        put(tmp_path, HEADER + "".join(rows), name)
        works_off(intake, tmp_path)
        came = next(one.came for one in feeds.status(shared, settings, now=NOON) if one.feed.name == "boone/jail")
        return came.put_aside if came else 0

    assert comes("a.csv", row("in custody"), row("gone", 2)) == 1
    (says,) = told(shared)
    assert says.startswith("1 of 2 rows of a.csv, by the feed boone/jail, were put aside and have no effect; why")
    assert comes("b.csv", row("in custody"), row("gone", 2), row("in custody", 3)) == 1
    assert told(shared) == []
    (alert,) = alerts.untold(shared, most=9, now=NOON + 24 * HOUR)
    assert "1 of 3 rows of b.csv" in alert.says
    assert "have no effect, as were some of 1 earlier file;" in alert.says
    assert comes("c.csv", row("in custody"), row("in custody", 3)) == 0
    if kind == "changes":  # the row of a.csv is in no later file
        assert [one.id for one in alerts.still(shared)] == [alert.id]
        alerts.end(shared, alert.id, now=NOON)
    assert alerts.still(shared) == []


def test_whatever_the_name_of_a_file_it_is_taken_in_and_holds_up_no_other(
    intake: Intake, shared: psycopg.Connection, tmp_path: Path
):
    for name, what in ((b"h\xe9l", "in custody"), (b"h\xe9m", "free"), (b"a\n1", "in custody"), (b"o" * 240, "free")):
        put(tmp_path, HEADER + row(what), os.fsdecode(name + b".csv"))
    put(tmp_path, HEADER + row("in custody"), "plain.csv")
    works_off(intake, tmp_path)
    assert (len(aside(tmp_path, "done")), len(aside(tmp_path, "refused"))) == (3, 2)
    names = [name for (name,) in shared.execute("select file from feed_run where file <> 'plain.csv' order by file")]
    assert names == ["a%0A1.csv", "h%E9l.csv", "h%E9m.csv", f"{'o' * 240}.csv"]
    assert {report(file).partition(", row")[0] for file in aside(tmp_path, "refused")} == set(names[2:])


def test_while_the_database_is_away_a_file_waits_however_often_it_was_tried(settings: Settings, tmp_path: Path):
    file = put(tmp_path, HEADER + row("in custody"))
    (drop,) = drops(settings)
    drop.whole(NOON)
    intake = Intake(Unreachable(), settings, [drop], Clock())
    for _ in range(2 * TRIES):
        with pytest.raises(psycopg.OperationalError):
            intake.take(drop, file)
    assert file.exists()
