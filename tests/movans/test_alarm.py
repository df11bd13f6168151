"""The alarm part: real small commands, a real database, and a clock that the test moves."""

import base64
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg_pool import ConnectionPool

from db import alerts
from db.pool import open_pool
from feed.run import run as run_import
from movans import feeds, keeping
from movans.alarm import AT_ONCE, PAUSE, UNTOLD, Alive, Commands, Duty, Pulse, Teller, run, watch_duties
from movans.heartbeat import Heartbeat
from movans.settings import EXAMPLE
from tests.conftest import KEYS, NOON, SETTINGS
from tests.flow.telephone import Sometimes

SECOND = timedelta(seconds=1)
WITHIN = 30 * SECOND


@pytest.fixture
def db(database: str) -> Iterator[ConnectionPool]:
    with open_pool(database) as pool:
        yield pool


@pytest.fixture
def commands() -> Iterator[Commands]:
    made = Commands(WITHIN)
    yield made
    made.stop()


def script(tmp_path: Path, text: str) -> list[str]:
    """A command; $0 is a directory for what it leaves."""
    return ["sh", "-c", text, str(tmp_path)]


def tells(tmp_path: Path) -> list[str]:
    return script(tmp_path, 'cat >>"$0/said"; echo "$MOVANS_ALERT" >>"$0/keys"')


def said(tmp_path: Path) -> list[str]:
    file = tmp_path / "said"
    return file.read_text().splitlines() if file.exists() else []


def runs(process: int) -> bool:
    """Whether a process runs; one that was killed may lie there until whoever is the first process asks for it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def becomes(what: Callable[[], object], look: Callable[[], object], seconds: float = 20) -> bool:
    """Look until it is so, all at one time of the test's clock: real commands take a moment."""
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        look()
        time.sleep(0.01)
    return True


def looks(teller: Teller, now: datetime) -> Callable[[], None]:
    def look() -> None:
        teller.commands.look(now)
        teller.look(now)

    return look


def untold(shared: psycopg.Connection) -> list[str]:
    return [alert.key for alert in alerts.untold(shared, most=100, now=NOON)]


def test_each_alert_is_given_to_the_command_once(
    db: ConnectionPool, shared: psycopg.Connection, commands: Commands, tmp_path: Path
):
    alerts.add(shared, "trunk main", "The trunk is down.", now=NOON)
    alerts.add(shared, "disk", "The disk is full.", now=NOON)
    look = looks(Teller(db, tells(tmp_path), commands), NOON)
    assert becomes(lambda: not untold(shared), look)
    look()
    assert sorted(said(tmp_path)) == ["The disk is full.", "The trunk is down."]
    assert sorted((tmp_path / "keys").read_text().splitlines()) == ["disk", "trunk main"]
    told = shared.execute("select distinct told_at from alert").fetchall()
    assert told == [(NOON,)]


def test_a_file_that_is_held_reaches_the_command(
    db: ConnectionPool, shared: psycopg.Connection, commands: Commands, tmp_path: Path
):
    file = tmp_path / "jail.csv"
    header = "agency,offender_number,last_name,first_name,date_of_birth,facility,status,changed_at\n"
    for status, at in (("in custody", "2026-11-03 14:05"), ("released", "2026-11-20 02:30")):
        rows = [f"boone,{number},DOE,JANE,,Boone County Jail,{status},{at}\n" for number in range(100, 160)]
        file.write_text(header + "".join(rows))
        run_import(db, file, feeds.rules(SETTINGS, "", NOON), settings=SETTINGS)
    look = looks(Teller(db, tells(tmp_path), commands), NOON)
    assert becomes(lambda: not untold(shared), look)
    (says,) = said(tmp_path)
    assert says.startswith("Feed run 2 (jail.csv) is held, and nobody is called of it: 60 releases, which is more than")
    assert says.endswith("movans feed held")
    assert (tmp_path / "keys").read_text() == "held: by hand\n"


def test_what_fails_is_tried_again_after_pauses_that_grow(
    db: ConnectionPool,
    shared: psycopg.Connection,
    commands: Commands,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    alerts.add(shared, "disk", "The disk is full.", now=NOON)
    teller = Teller(db, script(tmp_path, 'cat >>"$0/said"; test -e "$0/well"'), commands)
    for count, at in enumerate((0, 15, 45, 105), start=1):
        if count > 1:
            looks(teller, NOON + (at - 0.1) * SECOND)()
            assert len(said(tmp_path)) == count - 1
        look = looks(teller, NOON + at * SECOND)
        assert becomes(lambda count=count: caplog.text.count("failed with exit code 1") == count, look)
    assert untold(shared) == ["disk"]
    (tmp_path / "well").touch()
    assert becomes(lambda: not untold(shared), looks(teller, NOON + 400 * SECOND))
    assert len(said(tmp_path)) == 5
    assert "the alert command for 'disk'" in caplog.text


def test_a_command_that_hangs_is_killed_with_what_it_started_and_holds_up_nobody(
    db: ConnectionPool,
    shared: psycopg.Connection,
    commands: Commands,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    hangs = 'case $MOVANS_ALERT in hang*) sleep 600 & echo $! >"$0/child"; wait;; *) cat >>"$0/said";; esac'
    alerts.add(shared, "hangs", "Nobody hears this.", now=NOON)
    alerts.add(shared, "disk", "The disk is full.", now=NOON + SECOND)
    teller = Teller(db, script(tmp_path, hangs), commands)
    number = tmp_path / "child"
    hanging = looks(teller, NOON)
    assert becomes(lambda: untold(shared) == ["hangs"] and number.exists() and number.read_text().strip(), hanging)
    child = int(number.read_text())
    assert said(tmp_path) == ["The disk is full."]
    commands.look(NOON + WITHIN - SECOND)
    assert runs(child)
    commands.look(NOON + WITHIN)
    assert becomes(lambda: not runs(child), lambda: None)
    assert "the alert command for 'hangs': killed, it took longer than 30 s" in caplog.text
    assert untold(shared) == ["hangs"]


def test_only_so_many_are_told_at_the_same_time_and_those_that_fail_let_others_go_first(
    db: ConnectionPool, shared: psycopg.Connection, commands: Commands, tmp_path: Path
):
    for number in range(AT_ONCE + 3):
        alerts.add(shared, f"{number}", f"{number}", now=NOON + number * SECOND)
    command = script(tmp_path, 'test "$MOVANS_ALERT" -ge 8 && cat >>"$0/said"')
    teller = Teller(db, command, commands)
    teller.look(NOON)
    assert len(commands._running) == AT_ONCE
    assert becomes(lambda: len(said(tmp_path)) == 3, looks(teller, NOON))


def test_without_a_command_the_log_is_all_that_can_be_told(
    db: ConnectionPool, shared: psycopg.Connection, commands: Commands, caplog: pytest.LogCaptureFixture
):
    alerts.add(shared, "disk", "The disk is full.", now=NOON)
    looks(Teller(db, [], commands), NOON)()
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "The disk is full.")
    ]
    assert untold(shared) == []


def test_a_command_that_is_not_there_is_a_failure(
    db: ConnectionPool,
    shared: psycopg.Connection,
    commands: Commands,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    alerts.add(shared, "disk", "The disk is full.", now=NOON)
    teller = Teller(db, [str(tmp_path / "nothing")], commands)
    assert becomes(lambda: "failed with exit code" in caplog.text, looks(teller, NOON))
    assert untold(shared) == ["disk"]


@pytest.fixture
def pulse(tmp_path: Path) -> Pulse:
    return Pulse({part: tmp_path / f"{part}.beat" for part in ("serve", "dial")})


def beat(pulse: Pulse, now: datetime, *parts: str) -> None:
    for part in parts:
        Heartbeat(pulse.beats[part]).beat()
        stamp = now.timestamp()
        os.utime(pulse.beats[part], (stamp, stamp))
    pulse.look(now)


def test_the_sign_that_all_is_well_is_given_as_long_as_every_part_lives(
    db: ConnectionPool, commands: Commands, pulse: Pulse, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    alive = Alive(db, script(tmp_path, 'cat >>"$0/said"'), commands, pulse)
    beat(pulse, NOON, "serve", "dial")
    assert not alive.look(NOON)  # they may be signs of long ago
    beat(pulse, NOON + SECOND, "serve", "dial")
    assert alive.look(NOON + SECOND)
    assert becomes(lambda: said(tmp_path) == ["All is well."], lambda: commands.look(NOON + SECOND))
    beat(pulse, NOON + 9 * SECOND, "serve")
    assert alive.look(NOON + 11 * SECOND)
    assert not alive.look(NOON + 12 * SECOND)
    assert not alive.look(NOON + 13 * SECOND)
    assert caplog.text.count("no sign of life from dial") == 1
    beat(pulse, NOON + 14 * SECOND, "serve", "dial")
    assert alive.look(NOON + 14 * SECOND)


def test_all_is_not_well_while_nobody_can_be_told_of_an_alert(
    db: ConnectionPool, commands: Commands, pulse: Pulse, shared: psycopg.Connection, tmp_path: Path
):
    alive = Alive(db, script(tmp_path, "true"), commands, pulse)

    def well(after: timedelta) -> bool:
        beat(pulse, NOON + after - SECOND, "serve", "dial")
        beat(pulse, NOON + after, "serve", "dial")
        return alive.look(NOON + after)

    alerts.add(shared, "disk", "The disk is full.", again_every=timedelta(hours=1), now=NOON)
    assert well(timedelta(minutes=19))
    assert not well(timedelta(minutes=20))
    (alert_id,) = shared.execute("select id from alert").fetchone() or (0,)
    alerts.told(shared, alert_id, now=NOON + timedelta(minutes=21))
    assert well(timedelta(minutes=90))
    assert not well(timedelta(minutes=101))  # it was to be told again


def test_a_duty_that_cannot_be_done_is_tried_at_every_look_and_one_that_was_done_has_time() -> None:
    done: list[datetime] = []
    well = False

    def do(now: datetime) -> bool:
        done.append(now)
        return well

    duty = Duty("it", timedelta(minutes=5), do)
    for second in range(3):
        duty.look(NOON + second * SECOND)
    assert len(done) == 3
    well = True
    for second in range(3, 303):
        duty.look(NOON + second * SECOND)
    assert done[3:] == [NOON + 3 * SECOND]
    duty.look(NOON + 303 * SECOND)
    assert len(done) == 5
    duty.look(NOON - timedelta(hours=1))  # the clock was set back
    assert len(done) == 6


def test_a_database_that_is_away_stops_no_other_duty_and_gives_no_sign_that_all_is_well(
    commands: Commands, pulse: Pulse, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    beat(pulse, NOON, "serve", "dial")
    beat(pulse, NOON + SECOND, "serve", "dial")
    others: list[datetime] = []
    with open_pool(f"host={tmp_path} dbname=movans") as nowhere:
        alive = Alive(nowhere, script(tmp_path, 'cat >>"$0/said"'), commands, pulse)
        duties = [Duty("the sign", SECOND, alive.look), Duty("the others", SECOND, others.append)]
        run(duties, beat=lambda: None, clock=lambda: NOON + SECOND, stopping=lambda: bool(others))
    assert others == [NOON + SECOND]
    assert "the database is away" in caplog.text
    assert not commands._running


def test_a_duty_that_breaks_off_is_logged_and_told_until_it_is_done_and_the_others_go_on(
    db: ConnectionPool,
    shared: psycopg.Connection,
    commands: Commands,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    shared.execute("insert into registering (at) values (%s)", [NOON - 99 * timedelta(days=1)])
    shared.execute(
        """create function stays() returns trigger language plpgsql as $$ begin raise exception 'it stays'; end $$;
           create trigger stays before delete on registering for each row execute function stays()"""
    )
    alerts.add(shared, "disk", "The disk is full.", now=NOON)
    clock = [NOON]
    duties = [
        Duty("forgetting", timedelta(days=1), keeping.Forgetting(db, SETTINGS).look),
        Duty("the commands", SECOND, commands.look),
        Duty("telling alerts", SECOND, Teller(db, tells(tmp_path), commands).look),
    ]
    duties.append(Duty("watching duties", SECOND, watch_duties(db, duties)))

    def look() -> None:
        for duty in duties:
            duty.look(clock[0])
        clock[0] += SECOND

    assert becomes(lambda: len(said(tmp_path)) == 2, look)
    of_the_duty, of_the_disk = sorted(said(tmp_path))
    assert of_the_duty.startswith("A duty of the part alarm is not done: forgetting (RaiseException). See alarm.log;")
    assert of_the_disk == "The disk is full."
    assert "forgetting broke off\nTraceback" in caplog.text
    assert "it stays" in caplog.text
    clock[0] = NOON + timedelta(days=1)
    assert becomes(lambda: "forgetting broke off again: RaiseException" in caplog.text, look)
    shared.execute("drop trigger stays on registering")
    clock[0] = NOON + timedelta(days=2, seconds=1)
    assert becomes(lambda: "duty: forgetting" not in [alert.key for alert in alerts.still(shared)], look)
    assert len(said(tmp_path)) == 2


def test_a_duty_for_which_alone_the_database_is_too_slow_is_told_and_one_that_waits_for_its_return_is_not(
    db: ConnectionPool, shared: psycopg.Connection
):
    seconds = 3  # the database gives up after two

    def takes_long(_: datetime) -> None:
        with db.connection() as conn:
            conn.execute("select pg_sleep(%s)", [seconds])

    slow = Duty("it", SECOND, takes_long)
    database = Sometimes(shared)
    database.goes()
    watch = Duty("watching duties", SECOND, watch_duties(database, [slow]))

    def raised(after: timedelta) -> bool:
        slow.look(NOON + after)
        watch.look(NOON + after)
        return bool(alerts.still(shared))

    assert not raised(0 * UNTOLD)
    assert not raised(UNTOLD)  # it was away for all
    database.comes_back()
    assert not raised(UNTOLD + SECOND)
    assert raised(2 * UNTOLD + SECOND)
    (alert,) = alerts.still(shared)
    assert alert.says.startswith("A duty of the part alarm is not done: it (the database is too slow for it). See")
    seconds = 0
    assert not raised(2 * UNTOLD + 2 * SECOND)


def test_a_duty_that_breaks_off_is_not_tried_twice_a_second(caplog: pytest.LogCaptureFixture):
    tried: list[datetime] = []

    def do(now: datetime) -> None:
        tried.append(now)
        raise RuntimeError

    duty = Duty("it", SECOND / 2, do)
    for halves in range(60):
        duty.look(NOON + halves * SECOND / 2)
    assert tried == [NOON, NOON + PAUSE]
    assert caplog.text.count("Traceback") == 1


def test_an_alert_whose_command_cannot_be_started_holds_up_no_other_and_is_tried_again(
    db: ConnectionPool, shared: psycopg.Connection, commands: Commands, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    alerts.add(shared, "k" * 200_000, "Its key is longer than a variable of a command may be.", now=NOON)
    alerts.add(shared, "disk", "The disk is full.", now=NOON + SECOND)
    look = looks(Teller(db, tells(tmp_path), commands), NOON + SECOND)
    assert becomes(lambda: said(tmp_path) == ["The disk is full."], look)
    assert caplog.text.count("cannot be started (Argument list too long)") == 1
    looks(Teller(db, tells(tmp_path), commands), NOON + SECOND + PAUSE)()
    assert caplog.text.count("cannot be started (Argument list too long)") == 2


def test_the_part_itself_tells_alerts_whatever_lies_where_files_of_a_feed_should(
    database: str, shared: psycopg.Connection, tmp_path: Path
):
    for name in ("drop", "run", "log"):
        (tmp_path / name).mkdir()
    (tmp_path / "drop" / "done").touch()  # a directory that cannot be listed
    jail = {"format": "custody changes", "interval": 900, "drop": str(tmp_path / "drop")}
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | {"database": database, "state": str(tmp_path)}
    content["agencies"]["boone"]["feeds"] = {"jail": jail}
    content["alerts"]["command"] = script(tmp_path, 'sleep 0.3; cat >>"$0/said"')
    (tmp_path / "movans.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "keys").write_text(json.dumps({key: base64.b64encode(it).decode() for key, it in KEYS.keys.items()}))
    alerts.add(shared, "disk", "The disk is full.", now=datetime.now(UTC))
    part = subprocess.Popen(
        [sys.executable, "-m", "movans", "--settings", str(tmp_path / "movans.yaml"), "alarm"],
        cwd=EXAMPLE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        becomes(lambda: said(tmp_path) or part.poll() is not None, lambda: None, 30)
        time.sleep(1)  # the duties that come after
    finally:
        part.terminate()
        output, _ = part.communicate(timeout=20)
    assert ("The disk is full." in said(tmp_path), part.returncode) == (True, 0), output
    assert "done: what is old there cannot be removed (Not a directory)" in output
    assert "Traceback" not in output
