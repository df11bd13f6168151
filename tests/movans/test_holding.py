"""What a person decides of files that are held, on the command line and a real database."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.movans.conftest import Movans

HEADER = "agency,offender_number,last_name,first_name,date_of_birth,facility,status,changed_at\n"
MANY = range(201, 261)


def imports(movans: Movans, tmp_path: Path, status: str, at: str) -> "subprocess.CompletedProcess[str]":
    file = tmp_path / f"{status}.csv"
    rows = [f"boone,{number},DOE,JANE,,Boone County Jail,{status},{at}\n" for number in MANY]
    file.write_text(HEADER + f"boone,100234,SMITH,JOHN,1990-07-31,Boone County Jail,{status},{at}\n" + "".join(rows))
    return movans("feed", "import", str(file))


def acts(shared: psycopg.Connection) -> list[tuple[str, str]]:
    return shared.execute("select who, what from staff_act order by id").fetchall()


def test_a_file_that_is_held_is_shown_and_approved_by_a_person(
    movans: Movans, shared: psycopg.Connection, register: Callable[..., int], tmp_path: Path
):
    register("5735550142")
    assert "Nothing is held." in movans("feed", "held").stdout
    assert imports(movans, tmp_path, "in custody", "2026-11-03 14:05").returncode == 0
    done = imports(movans, tmp_path, "released", "2026-11-20 12:30")
    assert done.returncode == 1
    assert "the file is held as run 2 and nothing was changed: 61 releases, which is more than" in done.stderr
    shown = movans("feed", "held")
    assert shown.returncode == 0, shown.stderr
    assert "Run 2: released.csv, by hand" in shown.stdout
    assert "1 person would be called." in shown.stdout
    assert "SMITH, JOHN" in shown.stdout
    assert "none of these; it has released" in movans("feed", "approve", "2", "--why", "x", "--only", "died").stderr
    assert "say why" in movans("feed", "approve", "2", "--why", " ", "--yes").stderr
    asked = movans("feed", "approve", "2", "--why", "the jail burns", says="n\n")
    assert "Call 1 person of it?" in asked.stdout
    assert [what for _, what in acts(shared)] == ["imported in custody.csv", "imported released.csv"]
    approved = movans("feed", "approve", "2", "--why", "the jail burns", "--yes")
    assert "Run 2 has taken effect. 61 rows: 61 released" in approved.stdout
    assert acts(shared)[2:] == [("clerk", "approved feed run 2: the jail burns")]
    assert "run 2 is not held" in movans("feed", "reject", "2", "--why", "late").stderr


def test_a_file_that_is_held_is_rejected_by_a_person(movans: Movans, shared: psycopg.Connection, tmp_path: Path):
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    imports(movans, tmp_path, "released", "2026-11-20 12:30")
    assert "Run 2 is rejected." in movans("feed", "reject", "2", "--why", "a test file").stdout
    assert acts(shared)[2:] == [("clerk", "rejected feed run 2: a test file")]
    assert shared.execute("select count(*) from offender where status = 'released'").fetchone() == (0,)


def test_what_went_out_unconfirmed_of_a_file_that_is_not_held_any_more_is_shown_and_confirmed_by_a_person(
    movans: Movans, shared: psycopg.Connection, tmp_path: Path
):
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    imports(movans, tmp_path, "released", "2026-11-20 12:30")
    movans("feed", "approve", "2", "--why", "true", "--yes")
    shared.execute("update custody_event set reported = true where kind = 'released'")
    shared.execute("update held_run set reported_at = now()")
    shown = movans("feed", "held").stdout
    assert "not held any more, but 61 of these are neither confirmed nor withdrawn: movans feed approve 2" in shown
    asked = movans("feed", "approve", "2", "--why", "asked", says="y\n").stdout
    assert "Confirm 61 releases and escapes that went out of it?" in asked
    assert "What went out of run 2 is confirmed." in asked
    assert acts(shared)[-1] == ("clerk", "approved feed run 2: asked")
    assert "Nothing is held." in movans("feed", "held").stdout


def test_a_held_file_that_cannot_take_effect_says_why_and_what_to_do_and_the_others_are_shown_all_the_same(
    movans: Movans, shared: psycopg.Connection, tmp_path: Path
):
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    imports(movans, tmp_path, "released", "2026-11-20 12:30")
    shared.execute("update feed_run set feed = 'boone/renamed' where id = 2")
    file = tmp_path / "ids.csv"
    rows = [f"boone,{number},DOE,JANE,,Boone County Jail,released,2026-11-20 12:40,E{number}\n" for number in MANY]
    file.write_text(HEADER.replace("\n", ",event_id\n") + "".join(rows))
    assert "held as run 3" in movans("feed", "import", str(file)).stderr
    file.write_text(HEADER.replace("\n", ",event_id\n") + rows[0].replace("released", "escaped").replace("40", "50"))
    assert movans("feed", "import", str(file)).returncode == 0
    imports(movans, tmp_path, "escaped", "2026-11-20 12:50")

    shown = movans("feed", "held")
    assert shown.returncode == 0, shown.stderr
    unknown, _, rest = shown.stdout.partition("Run 3: ")
    refused, _, well = rest.partition("Run 5: ")
    renamed = "Run 2 cannot take effect: no feed boone/renamed is declared in the settings, under agencies"
    declare = "Declare its feed by that name again until the run is decided, or movans feed reject 2"
    for said in (renamed, declare):
        assert said in unknown
    assert "ids.csv, row 2: event_id 'E201' was given before" in refused
    assert "or movans feed reject 3 and import it anew" in refused
    assert "escaped" in well

    failed = movans("feed", "approve", "2", "--why", "true", "--yes")
    assert (failed.returncode, renamed in failed.stderr, declare in failed.stderr) == (1, True, True)
    failed = movans("feed", "approve", "3", "--why", "true", "--yes")
    assert (failed.returncode, "event_id 'E201' was given before" in failed.stderr) == (1, True)
    assert "Run 2 is rejected." in movans("feed", "reject", "2", "--why", "renamed").stdout


def test_what_was_approved_by_mistake_is_retracted_once(
    movans: Movans, shared: psycopg.Connection, register: Callable[..., int], tmp_path: Path
):
    register("5735550142")
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    imports(movans, tmp_path, "released", "2026-11-20 12:30")
    movans("feed", "approve", "2", "--why", "looked well", "--yes")
    asked = movans("feed", "retract", "2", "--why", "a test file", says="n\n")
    assert "Retract feed run 2: 61 events, 1 calls" in asked.stdout
    assert "Call 0 people with a correction?" in asked.stdout
    done = movans("feed", "retract", "2", "--why", "a test file", "--yes")
    assert "Retracted feed run 2: 1 notifications ended, 0 people to be called." in done.stdout
    assert acts(shared)[-1] == ("clerk", "retracted feed run 2: a test file")
    assert shared.execute("select count(*) from offender where status = 'released'").fetchone() == (0,)
    again = movans("feed", "retract", "2", "--why", "a test file", "--yes")
    assert (again.returncode, "there is nothing to retract of feed run 2" in again.stderr) == (1, True)


def test_one_event_of_a_run_can_be_retracted_alone(movans: Movans, shared: psycopg.Connection, tmp_path: Path):
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    imports(movans, tmp_path, "released", "2026-11-20 12:30")
    movans("feed", "approve", "2", "--why", "true", "--yes")
    (event_id,) = shared.execute("select min(id) from custody_event where kind = 'released'").fetchone() or (0,)
    movans("feed", "retract", "--event", str(event_id), "--why", "it was somebody else", "--yes")
    assert shared.execute("select count(*) from offender where status = 'released'").fetchone() == (60,)
