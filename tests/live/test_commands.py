"""The command line on a running service, and the start of the server itself."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from db import lookup
from movans.wiring import now
from tests import people
from tests.conftest import EVERYTHING
from tests.live.line import CHECKOUT, Line
from tests.live.registered import without

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts the service, whose parts run as users of their own")

JAIL = "Boone County Jail"


@pytest.fixture
def registered(line: Line) -> None:
    """Somebody registered for an offender who was then released; the test phone is away, so calls go on."""
    line.imports(f"boone,300100,GREEN,PAT,1990-07-31,{JAIL},in custody,2026-09-02 16:20")
    with line.house.database() as db, db.connection() as conn:
        offender = lookup.by_number(conn, "300100", most=1).people[0].id
        people.register(conn, line.house.keyring(), number="5735550187", offender_id=offender, now=now())
    line.imports(f"boone,300100,GREEN,PAT,1990-07-31,{JAIL},released,2026-11-20 09:40")


@pytest.mark.usefixtures("registered")
def test_status_shows_who_waits_and_what_was_tried_and_no_number(line: Line):
    line.eventually(lambda: line.query("select 1 from call_attempt where state = 'ended'"), 20)
    shown = line.movans("status").stdout
    assert "GREEN, PAT" in shown
    assert "released" in shown
    assert "failed" in shown  # no test phone is registered
    assert "•••-•••-••87" in shown
    assert "5735550187" not in shown.replace("-", "")


@pytest.mark.usefixtures("registered")
def test_what_nobody_confirms_in_time_is_told_and_listed_until_a_person_closes_it(line: Line):
    ((number,),) = line.query(
        """select n.id from notification n join custody_event e on e.id = event_id join offender o on o.id = offender_id
           where o.number = '300100' and n.state = 'open'"""
    )
    with line.house.database() as db, db.connection() as conn:
        conn.execute("update notification set give_up_at = %s where id = %s", [now(), number])
    said = f"Notification {number} (released, boone 300100) was not confirmed, and is no longer called"
    line.eventually(lambda: line.told.exists() and said in line.told.read_text(), 30)
    assert line.query("select 1 from notification where id = %s and handed_over_at is not null", number)
    assert "GREEN, PAT (boone 300100)" in line.movans("report").stdout
    assert line.movans("report", "close", str(number), "--how", "told in person", "--yes").returncode == 0
    assert "GREEN, PAT" not in line.movans("report").stdout
    assert line.query("select 1 from alert where key = %s and over_at is null", f"notification {number}") == []


def test_the_sign_that_all_is_well_is_given_again_and_again_by_an_alarm_part_that_was_killed_too(line: Line):
    def comes() -> None:
        line.signs.unlink(missing_ok=True)
        line.eventually(lambda: line.signs.exists() and line.signs.read_text().count("All is well.") > 2, 30)

    comes()
    line.is_up_again("alarm", line.kill("alarm"))
    comes()


def test_doctor_finds_a_healthy_service_well(line: Line):
    done = line.movans("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All is well" in done.stdout
    assert "WRONG" not in done.stdout


def test_doctor_names_what_is_wrong_and_what_to_do(line: Line):
    keys, sound = line.house.key_file, line.house.sounds / "en" / "welcome.wav"
    outgoing = line.house.spool / "outgoing"
    mode, group = outgoing.stat().st_mode, outgoing.stat().st_gid
    content = sound.read_bytes()
    # A first call has gone out: Asterisk has the spool open. If it may not read it at its start, it never tries again.
    line.eventually(lambda: line.query("select from call_attempt where dialled_at is not null"), 30)
    try:
        keys.chmod(0o644)
        sound.unlink()
        os.chown(outgoing, -1, 0)
        line.kill("watchdog", signal.SIGSTOP)  # else it replaces the voice, perhaps before the doctor asks it
        line.kill("voice", signal.SIGSTOP)  # the doctor must not hang
        done = line.movans("doctor")
    finally:
        line.kill("watchdog", signal.SIGCONT)
        keys.chmod(0o600)
        sound.write_bytes(content)
        os.chown(outgoing, -1, group)
        outgoing.chmod(mode)
    assert done.returncode == 1
    for said in ("WRONG keys", "WRONG prompts", "WRONG spool", "WRONG voice", "no sound for welcome", "prompts build"):
        assert said in done.stdout, done.stdout


def test_doctor_of_a_service_that_does_not_run_says_how_to_start_it(line: Line, tmp_path: Path):
    settings = tmp_path / "movans.yaml"
    settings.write_text(line.file.read_text().replace(str(line.settings.state), str(tmp_path / "nowhere")))
    done = subprocess.run(
        [sys.executable, "-m", "movans", "--settings", str(settings), "doctor"],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "sudo script/server" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_second_server_on_the_same_state_is_refused_and_so_is_a_reset(line: Line):
    for arguments in (["server"], ["server", "--reset", "--yes"]):
        done = line.movans(*arguments)
        assert done.returncode == 1
        assert "already runs" in done.stderr
    assert line.query("select 1 from migration")


def test_a_reset_is_asked_for_first(line: Line):
    done = subprocess.run(
        [sys.executable, "-m", "movans", "--settings", str(line.file), "server", "--reset"],
        cwd=CHECKOUT, input="n\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Delete all registrations" in done.stdout
    assert line.house.key_file.exists()


def test_wrong_settings_stop_the_start_with_their_names(line: Line, tmp_path: Path):
    settings = tmp_path / "movans.yaml"
    settings.write_text(line.file.read_text().replace("longest: 120", "longest: ages").replace("ring: 5", "ring: soon"))
    done = subprocess.run(
        [sys.executable, "-m", "movans", "--settings", str(settings), "server"],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "calls.longest" in done.stderr
    assert "calls.ring" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("agency,offender_number\nboone,1\n", "the column last_name is missing"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_believed_is_refused_with_what_to_do(
    line: Line, tmp_path: Path, content: str | None, said: str
):
    file = tmp_path / "custody.csv"
    if content is not None:
        file.write_text(content)
    done = line.movans("feed", "import", str(file))
    assert done.returncode == 1
    assert said in done.stderr
    assert "nothing was changed" in done.stderr
    assert "Traceback" not in done.stderr


def test_sounds_are_built_once(line: Line):
    done = line.movans("prompts", "build")
    assert done.returncode == 0, done.stderr
    assert " 0 made" in done.stdout


def test_staff_find_a_registrant_set_a_pin_end_it_and_every_act_is_kept(line: Line):
    line.imports(f"boone,300300,WHITE,LEE,1990-07-31,{JAIL},in custody,2026-09-02 16:20")
    with line.house.database() as db, db.connection() as conn:
        offender = lookup.by_number(conn, "300300", most=1).people[0].id
        who = people.register(conn, line.house.keyring(), number="5735550188", offender_id=offender, now=now())
    shown = line.movans("registrant", "show", says="573-555-0188\n")
    assert "WHITE, LEE (boone 300300)" in shown.stdout
    assert "0188" not in shown.stdout.replace("573-555-0188", "")
    registrant = str(who.registrant_id)
    assert "easy to guess" in line.movans("registrant", "pin", registrant, says="1111\n1111\n").stderr
    assert line.movans("registrant", "pin", registrant, says="7391\n7391\n").returncode == 0
    assert "1 ended" in line.movans("registrant", "end", registrant, "--yes").stdout
    assert "nothing to end" in line.movans("registrant", "end", registrant, "--yes").stderr
    assert "no registrant 999999" in line.movans("registrant", "end", "999999", "--yes").stderr
    assert "ten digits" in line.movans("registrant", "show", says="555\n").stderr
    assert "0 refusals" in line.movans("registrant", "lift", says="573-555-0188\n").stdout
    acts = line.query("select what from staff_act where registrant_id = %s order by id", who.registrant_id)
    assert [what for (what,) in acts] == [
        "looked up by number",
        "set a new PIN",
        f"ended registration {acts_of(line)}",
        "lifted 0 refusals and 1 wrong PINs of a number",
    ]
    for written in [str(table) for (table,) in line.query(EVERYTHING)] + [log.read_text() for log in line.logs]:
        assert re.findall(r"555\D?0188|(?:>|\b)7391(?:<|\b)", written) == []


def acts_of(line: Line) -> object:
    return line.query("select max(id) from registration")[0][0]


def test_a_test_call_goes_through_the_whole_chain_and_each_step_is_shown(line: Line):
    done = line.movans("doctor", "--call")
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r"^ +[0-9]+\.[0-9]{3} s  (.*)$", done.stdout, re.MULTILINE)
    assert [step.split()[0] for step in steps] == ["claimed", "dialled", "picked", "PIN", "said"]
    assert "The test call went through all of it" in done.stdout


def test_a_test_call_that_is_missed_says_how_far_it_came(line: Line):
    with without(line, "dial"):
        done = line.movans("doctor", "--call")
    assert done.returncode == 1
    assert "the test call was missed: no dialer took the call" in done.stderr


def test_the_work_is_watched_until_ctrl_c(line: Line, tmp_path: Path):
    screen = tmp_path / "screen"
    command = [sys.executable, "-m", "movans", "--settings", str(line.file), "status", "--watch"]
    terminal = os.environ | {"FORCE_COLOR": "1"}  # elsewhere only what comes last is shown, at the end
    with (
        screen.open("w") as shown,
        subprocess.Popen(command, cwd=CHECKOUT, stdout=shown, stderr=shown, env=terminal) as watching,
    ):
        try:
            line.eventually(lambda: "test phone" in screen.read_text(), 60)
        finally:
            watching.send_signal(signal.SIGINT)
            watching.wait(60)
    assert watching.returncode == 0, screen.read_text()
    assert "Traceback" not in screen.read_text()
