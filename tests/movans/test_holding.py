"""What a person decides of files that are held, on the command line and a real database."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import yaml

from db import held
from tests.feed.conftest import SAMPLES
from tests.movans.conftest import CLERK, Movans

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
    assert "say why" in movans("feed", "approve", "2", "--why", " ", "--yes").stderr
    asked = movans("feed", "approve", "2", "--why", "the jail burns", says="n\n")
    assert "Call 1 person of it?" in asked.stdout
    assert [what for _, what in acts(shared)] == ["imported in custody.csv", "imported released.csv: held"]
    approved = movans("feed", "approve", "2", "--why", "the jail burns", "--yes")
    assert "It has taken effect. Run 2, 61 rows: 61 released" in approved.stdout
    assert acts(shared)[2:] == [(CLERK, "approved feed run 2: the jail burns")]
    assert "run 2 is not held" in movans("feed", "reject", "2", "--why", "late").stderr


def test_a_file_that_is_held_is_rejected_by_a_person(movans: Movans, shared: psycopg.Connection, tmp_path: Path):
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    imports(movans, tmp_path, "released", "2026-11-20 12:30")
    asked = movans("feed", "reject", "2", "--why", "a test file", says="n\n")
    assert "Reject run 2, so that no more of it takes effect? Nobody is called." in asked.stdout
    assert held.get(shared, 2)
    assert "Run 2 is rejected." in movans("feed", "reject", "2", "--why", "a test file", "--yes").stdout
    assert acts(shared)[2:] == [(CLERK, "rejected feed run 2: a test file")]
    assert shared.execute("select count(*) from offender where status = 'released'").fetchone() == (0,)


def test_many_small_files_that_are_held_are_decided_in_one_line(
    movans: Movans, shared: psycopg.Connection, tmp_path: Path
):
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    imports(movans, tmp_path, "released", "2026-11-20 12:30")
    imports(movans, tmp_path, "escaped", "2026-11-20 12:50")
    done = movans("feed", "approve", "2", "3", "9", "--why", "they were days behind", "--yes")
    assert "Run 2, 61 rows: 61 released" in done.stdout
    assert "Run 3, 61 rows: 61 escaped" in done.stdout
    assert (done.returncode, "there is no run 9" in done.stderr) == (1, True)
    assert [what for _, what in acts(shared)][3:] == [
        "approved feed run 2: they were days behind",
        "approved feed run 3: they were days behind",
    ]


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
    assert "Run 2 is rejected." in movans("feed", "reject", "2", "--why", "renamed", "--yes").stdout


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
    assert acts(shared)[-1] == (CLERK, "retracted feed run 2: a test file")
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


def mixed(movans: Movans, tmp_path: Path) -> None:
    """Sixty people are released and one escapes; run 2 is held."""
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    file = tmp_path / "mixed.csv"
    rows = [f"boone,{number},DOE,JANE,,Boone County Jail,released,2026-11-20 12:30\n" for number in MANY]
    file.write_text(HEADER + "boone,100234,SMITH,JOHN,,Boone County Jail,escaped,2026-11-20 12:31\n" + "".join(rows))
    assert "held as run 2" in movans("feed", "import", str(file)).stderr


def statuses(shared: psycopg.Connection) -> dict[str, int]:
    return dict(shared.execute("select status, count(*) from offender group by status").fetchall())


def test_some_kinds_of_a_file_are_approved_and_the_rest_stays_held_until_it_is_decided(
    movans: Movans, shared: psycopg.Connection, register: Callable[..., int], tmp_path: Path
):
    register("5735550142")
    mixed(movans, tmp_path)
    asked = movans("feed", "approve", "2", "--why", "seen", "--only", "escaped", says="n\n")
    assert "1 escaped" in asked.stdout
    assert "The other 60 changes stay held. Call 1 person of it?" in asked.stdout
    approved = movans("feed", "approve", "2", "--why", "seen", "--only", "escaped", "--yes")
    assert approved.returncode == 0, approved.stderr
    assert "The other 60 changes stay held." in approved.stdout
    assert statuses(shared) == {"escaped": 1, "in custody": 60}
    shown = movans("feed", "held").stdout
    assert "Run 2: mixed.csv" in shown
    assert "0 people would be called." in shown  # who has been called of the escape is not counted again
    last = movans("feed", "approve", "2", "--why", "now that too", "--only", "released", "--yes")
    assert "stay held" not in last.stdout
    assert statuses(shared) == {"escaped": 1, "released": 60}
    assert "Nothing is held." in movans("feed", "held").stdout
    assert [what for _, what in acts(shared)[-2:]] == [
        "approved feed run 2, only escaped: seen",
        "approved feed run 2, only released: now that too",
    ]


@pytest.mark.parametrize("kinds", [["escape"], ["escaped", "release"]], ids=["alone", "beside a right one"])
def test_a_kind_that_the_file_has_not_is_named_with_those_that_it_has_and_nothing_is_approved(
    kinds: list[str], movans: Movans, shared: psycopg.Connection, tmp_path: Path
):
    mixed(movans, tmp_path)
    options = [word for kind in kinds for word in ("--only", kind)]
    refused = movans("feed", "approve", "2", "--why", "seen", "--yes", *options)
    assert refused.returncode == 1
    assert f"run 2 has no {kinds[-1]}; it has escaped, released; nothing of it was approved" in refused.stderr
    assert statuses(shared) == {"in custody": 61}


def test_a_file_is_rejected_after_it_was_said_how_many_are_called_of_it(
    movans: Movans, shared: psycopg.Connection, register: Callable[..., int], tmp_path: Path
):
    register("5735550142")
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    imports(movans, tmp_path, "released", "2026-11-20 12:30")
    movans("feed", "approve", "2", "--why", "true", "--yes")
    # As it is where nobody has answered, and the one who is registered has heard of it since.
    shared.execute("update feed_run set outcome = 'held' where id = 2")
    shared.execute("update custody_event set reported = true where feed_run_id = 2")
    shared.execute("update notification set state = 'closed', ended_at = now(), next_call_at = null")
    asked = movans("feed", "reject", "2", "--why", "false", says="n\n").stdout
    assert "61 events went out of run 2 as not yet confirmed. Reject it, and call 1 person with a correction?" in asked
    shown = movans("custody", "show", "boone", "100234").stdout
    assert "released (not confirmed)" in shown
    some = movans("feed", "approve", "2", "--why", "true", "--only", "released", says="n\n").stdout
    assert "Call 0 people of it?" in some  # they have been called
    movans("feed", "reject", "2", "--why", "false", "--yes")
    assert statuses(shared) == {"in custody": 61}
    shown = movans("custody", "show", "boone", "100234").stdout
    assert "released (withdrawn)" in shown


def test_what_cannot_be_decided_says_why_and_what_was_not_decided_either(
    movans: Movans, shared: psycopg.Connection, tmp_path: Path
):
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    for at in ("30", "40", "50"):
        imports(movans, tmp_path, "released", f"2026-11-20 12:{at}")
    (tmp_path / "bad.csv").write_text("a,b\n")
    movans("feed", "import", str(tmp_path / "bad.csv"))
    movans("feed", "reject", "3", "--why", "false", "--yes")
    shared.execute("update feed_run set outcome = 'overtaken' where id = 4")
    listed = "; movans feed held lists those that are"
    for run, why in {
        "1": "run 1 is not held: it took effect",
        "4": "run 4 is not held: a newer file, or the same once more, took its place",
        "6": "run 6 is not held: it was refused",
        "9": "there is no run 9",
    }.items():
        for command in ("approve", "reject"):
            done = movans("feed", command, run, "2", "--why", "true", "--yes")
            assert done.stderr.endswith(f"Error: {why}{listed}. Not decided either: 2\n")
            assert done.returncode == 1
    done = movans("feed", "reject", "3", "--why", "true", "--yes")
    assert (done.returncode, f"Error: run 3 is not held: it was rejected{listed}\n" in done.stderr) == (1, True)
    done = movans("feed", "approve", "2", "3", "--only", "escaped", "--why", "true", "--yes")
    says = "run 2 has no escaped; it has released; nothing of it was approved. Not decided either: 3"
    assert (done.returncode, says in done.stderr) == (1, True)
    shared.execute("delete from held_news where feed_run_id = 3; delete from held_run where feed_run_id = 3")
    done = movans("feed", "approve", "3", "--why", "true", "--yes")
    assert "run 3 was rejected, and its file is not kept any more" in done.stderr
    for command in ("approve", "reject"):
        done = movans("feed", command, "2", "--yes")
        assert (done.returncode, "Missing option '--why'" in done.stderr) == (2, True)
    assert statuses(shared) == {"in custody": 61}


def calendar(movans: Movans, tmp_path: Path, at: str) -> None:
    """Everybody must be in court then."""
    header = (SAMPLES / "calendar.tsv").read_text(encoding="utf-8").split("Case\t26BA", 1)[0]
    cases = "".join(f"Case\tC{n}\tDOE\tJANE\t\t\t{n}\n" for n in MANY)
    dates = "".join(f"CourtEvent\tC{n}\tE{n}\t{at}\tDivision 3\tscheduled\n" for n in [*MANY, 1])
    smith = "Case\tC1\tSMITH\tJOHN\t\t1990-07-31\t100234\n"
    file = tmp_path / "calendar.tsv"
    file.write_text(header + smith + cases + dates, encoding="utf-8")
    movans("feed", "import", "--feed", "boone/court", str(file))


def test_held_court_dates_and_days_of_release_are_shown_by_kind_and_place_with_who_would_be_called(
    movans: Movans, register: Callable[..., int], tmp_path: Path
):
    register("5735550142")
    settings = tmp_path / "movans.yaml"
    content = yaml.safe_load(settings.read_text(encoding="utf-8"))
    content["agencies"]["boone"]["feeds"] = {"court": {"format": "court calendar", "interval": 900}}
    settings.write_text(yaml.safe_dump(content), encoding="utf-8")
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    calendar(movans, tmp_path, "2036-12-04 09:30")
    calendar(movans, tmp_path, "2036-12-05 09:30")
    shown = movans("feed", "held").stdout
    words = [line.split() for line in shown.splitlines()]
    assert ["court_moved", "Division", "3", "61", "1"] in words
    assert any(line[1:3] == ["boone", "201"] and line[-4:] == ["Dec", "05", "09:30", "0"] for line in words)
    assert "and 53 more" in shown
    assert "1 person would be called." in shown
    movans("feed", "reject", "3", "--why", "false", "--yes")

    file = tmp_path / "days.csv"
    rows = [f"boone,{number},DOE,JANE,,Boone County Jail,in custody,2026-11-03 14:05,2036-12-20\n" for number in MANY]
    rows.append("boone,100234,SMITH,JOHN,,Boone County Jail,in custody,2026-11-03 14:05,2036-12-20\n")
    file.write_text(HEADER.replace("\n", ",release_date\n") + "".join(rows))
    movans("feed", "import", str(file))
    shown = movans("feed", "held").stdout
    words = [line.split() for line in shown.splitlines()]
    assert ["release_planned", "Boone", "County", "Jail", "61", "1"] in words
    assert any(line[1:3] == ["boone", "201"] and line[-4:] == ["Dec", "20", "2036", "0"] for line in words)
    assert "1 person would be called." in shown


@pytest.mark.parametrize("command", ["approve", "reject", "retract"])
def test_a_telephone_number_is_not_kept_as_a_reason(command: str, movans: Movans, shared: psycopg.Connection):
    refused = movans("feed", command, "2", "--why", "called the jail, 573-555-0142", "--yes")
    assert refused.returncode == 1
    assert "leave the telephone number out of --why: what is recorded must not hold one" in refused.stderr
    assert acts(shared) == []


def test_runs_and_events_are_named_where_staff_look_so_that_they_can_be_retracted(
    movans: Movans, shared: psycopg.Connection, tmp_path: Path
):
    imported = imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    assert "Run 1, 61 rows: 61 listed" in imported.stdout
    file = tmp_path / "one.csv"
    file.write_text(HEADER + "boone,100234,SMITH,JOHN,,Boone County Jail,released,2026-11-20 12:30\n")
    movans("feed", "import", str(file))
    status = next(line for line in movans("feed", "status").stdout.splitlines() if "boone" in line)
    assert status.split()[:5] == ["boone", "(by", "hand)", "well", "2"]
    shown = movans("custody", "show", "boone", "100234").stdout.splitlines()
    event, run, *_ = next(line for line in shown if "one.csv" in line).split()
    assert (int(event), run) == (62, "2")
    movans("feed", "retract", "--event", event, "--why", "it was somebody else", "--yes")
    assert statuses(shared) == {"in custody": 61}


def test_rows_that_would_be_put_aside_are_shown_before_a_file_is_approved(
    movans: Movans, shared: psycopg.Connection, tmp_path: Path
):
    imports(movans, tmp_path, "in custody", "2026-11-03 14:05")
    settings = tmp_path / "movans.yaml"
    content = yaml.safe_load(settings.read_text(encoding="utf-8"))
    content["agencies"]["boone"]["feeds"] = {
        "jail": {"format": "custody changes", "interval": 900, "mistakes": 0.1},
    }
    settings.write_text(yaml.safe_dump(content), encoding="utf-8")
    file = tmp_path / "lenient.csv"
    rows = [f"boone,{number},DOE,JANE,,Boone County Jail,released,2026-11-20 12:30\n" for number in MANY]
    file.write_text(HEADER + "boone,100234,SMITH,JOHN,,Boone County Jail,free,2026-11-20 12:30\n" + "".join(rows))
    says = "lenient.csv, row 2: status 'free' must be one of"
    assert says in movans("feed", "import", "--feed", "boone/jail", str(file)).stderr
    shown = movans("feed", "held").stdout
    assert says in shown
    assert "1 row would be put aside and not applied, whatever is decided." in shown
    assert says in movans("feed", "approve", "2", "--why", "true", "--yes").stderr
    assert shared.execute("select feed_run_id, row from feed_row_aside").fetchall() == [(2, 2)]
