"""The loop against a real database and a spool of its own."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from db import attempts
from db.hosts import LEASE
from db.journal import Journal
from db.pool import open_pool
from dialer.loop import BEGIN_WITHIN, Dialer, run
from dialer.outcome import finish
from movans.settings import Outbound
from tests.conftest import KEYS, NOON, SETTINGS

TWO_LINES = SETTINGS.model_copy(update={"trunks": {"": Outbound(lines=2, rate=1000)}})

Register = Callable[..., int]
Happens = Callable[..., int]


@pytest.fixture
def pool(database: str) -> Iterator[ConnectionPool]:
    with open_pool(database) as opened:
        yield opened


@pytest.fixture
def dialer(pool: ConnectionPool, spool: Path) -> Dialer:
    asterisk = spool.parent / "asterisk.ctl"
    asterisk.touch()
    return Dialer(
        pool, TWO_LINES, spool, asterisk, "8665550182", "here", lambda: None, frozenset, Journal(spool.parent)
    )


def called(spool: Path) -> list[int]:
    return sorted(int(file.stem) for file in (spool / "outgoing").iterdir())


def tried(shared: psycopg.Connection) -> list[tuple[str, str | None]]:
    return shared.execute("select state, outcome from call_attempt order by id").fetchall()


def waits(shared: psycopg.Connection) -> list[timedelta]:
    return [at - NOON for (at,) in shared.execute("select next_call_at from notification order by id")]


def test_nothing_is_called_when_nothing_is_due(dialer: Dialer, spool: Path, register: Register):
    register("5735550142")
    assert dialer.look(NOON) == 0
    assert called(spool) == []


def test_what_is_due_is_called_once(dialer: Dialer, spool: Path, register: Register, happens: Happens, shared):
    register("5735550142")
    happens()
    assert dialer.look(NOON) == 1
    assert dialer.look(NOON) == 0
    (attempt,) = called(spool)
    assert tried(shared) == [("claimed", None)]
    assert shared.execute("select id, host, deadline from call_attempt").fetchall() == [
        (attempt, "here", NOON + BEGIN_WITHIN)
    ]
    begun = attempts.begin(shared, KEYS, attempt, end_within=timedelta(minutes=5), now=NOON)
    assert begun
    assert begun.number == "5735550142"


def test_while_asterisk_is_away_nothing_is_handed_to_it_and_nothing_is_lost(
    dialer: Dialer, spool: Path, register: Register, happens: Happens, shared
):
    register("5735550142")
    happens()
    dialer.asterisk.unlink()
    assert dialer.look(NOON) == 0
    assert tried(shared) == []
    dialer.asterisk.touch()
    assert dialer.look(NOON) == 1
    assert len(called(spool)) == 1


def test_no_number_stands_in_spool_or_log(
    dialer: Dialer, spool: Path, register: Register, happens: Happens, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    register("5735550142")
    happens()
    dialer.look(NOON)
    dialer.look(NOON + BEGIN_WITHIN)
    files = [file for file in spool.rglob("*") if file.is_file()]
    assert len(files) == 1
    assert "5550142" not in caplog.text + files[0].name + files[0].read_text()
    assert f"attempt {files[0].stem}: lost: its deadline passed" in caplog.text


def test_no_more_is_called_at_once_than_there_are_lines(
    dialer: Dialer, spool: Path, register: Register, happens: Happens, shared: psycopg.Connection
):
    for line in range(5):
        register(f"57355501{line:02}")
    happens()
    assert (dialer.look(NOON), dialer.look(NOON)) == (2, 0)
    finish(shared, called(spool)[0], "busy", "SIP 486 Busy Here", settings=SETTINGS, now=NOON)
    assert (dialer.look(NOON), dialer.look(NOON)) == (1, 0)
    assert len(called(spool)) == 3
    lines = shared.execute("select count(distinct number_hash) from call_attempt").fetchone()
    assert lines == (3,)


def test_a_call_that_nobody_began_is_lost_and_comes_again(
    dialer: Dialer, spool: Path, register: Register, happens: Happens, shared: psycopg.Connection
):
    """Asterisk deletes a call file that it cannot read, and says nothing."""
    register("5735550142")
    happens()
    dialer.look(NOON)
    late = NOON + BEGIN_WITHIN
    assert dialer.look(late - timedelta(seconds=1)) == 0
    assert dialer.look(late) == 0
    assert tried(shared) == [("ended", "lost")]
    assert waits(shared) == [BEGIN_WITHIN + timedelta(seconds=10)]
    assert dialer.look(late + timedelta(seconds=10)) == 1
    assert len(called(spool)) == 2


def test_a_call_that_never_ended_is_lost_after_its_own_deadline(
    dialer: Dialer, register: Register, happens: Happens, spool: Path, shared: psycopg.Connection
):
    register("5735550142")
    happens()
    dialer.look(NOON)
    attempts.begin(shared, KEYS, called(spool)[0], end_within=timedelta(minutes=6), now=NOON)
    dialer.look(NOON + timedelta(minutes=5))
    assert tried(shared) == [("dialling", None)]
    dialer.look(NOON + timedelta(minutes=6))
    assert tried(shared) == [("ended", "lost")]


@pytest.mark.parametrize("missing", ["tmp", "outgoing"])
def test_a_spool_that_cannot_be_written_loses_the_call_says_so_and_it_comes_again(
    missing: str,
    dialer: Dialer,
    spool: Path,
    register: Register,
    happens: Happens,
    shared: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
):
    register("5735550142")
    register("5735550143")
    happens()
    (spool / missing).rmdir()
    assert dialer.look(NOON) == 2
    assert tried(shared) == [("ended", "lost")] * 2
    assert caplog.text.count("no call file: No such file or directory") == 2
    assert waits(shared) == [timedelta(seconds=10)] * 2
    (spool / missing).mkdir()
    assert dialer.look(NOON + timedelta(seconds=9)) == 0
    assert dialer.look(NOON + timedelta(seconds=10)) == 2
    assert len(called(spool)) == 2


def test_when_the_time_for_calling_is_up_nobody_is_called_and_staff_take_over(
    dialer: Dialer, spool: Path, register: Register, happens: Happens, shared: psycopg.Connection
):
    register("5735550142")
    happens()
    (spool / "outgoing").rmdir()
    late = NOON + timedelta(days=2)
    dialer.look(late)
    row = shared.execute("select state, next_call_at, handed_over_at from notification").fetchone()
    assert row == ("open", None, late)
    assert dialer.look(late + timedelta(days=1)) == 0


@contextmanager
def running(dialer: Dialer, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[datetime]]:
    """Run the loop; yields the list of the looks that it has finished."""
    looks: list[datetime] = []
    stop = Event()
    look = Dialer.look

    def watched(self: Dialer, now: datetime) -> int:
        count = look(self, now)
        looks.append(now)
        return count

    monkeypatch.setattr(Dialer, "look", watched)
    options = {"clock": lambda: NOON, "stopping": stop.is_set}
    thread = Thread(target=run, args=[dialer, dsn], kwargs=options)
    thread.start()
    try:
        yield looks
    finally:
        stop.set()
        with psycopg.connect(dsn, autocommit=True) as conn:
            while thread.is_alive():
                conn.execute("notify movans_due")
                thread.join(0.1)


def becomes(what: Callable[[], object], seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_a_commit_wakes_the_loop_long_before_its_next_look(
    dialer: Dialer, database: str, spool: Path, register: Register, happens: Happens, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dialer.loop.TICK", 300)
    register("5735550142")
    with running(dialer, database, monkeypatch) as looks:
        assert becomes(lambda: looks)
        happens()
        assert becomes(lambda: called(spool))


def test_the_end_of_a_call_wakes_the_loop_for_whoever_waits_for_a_line(
    dialer: Dialer,
    database: str,
    spool: Path,
    register: Register,
    happens: Happens,
    shared: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("dialer.loop.TICK", 300)
    for line in range(3):
        register(f"57355501{line:02}")
    happens()
    with running(dialer, database, monkeypatch) as looks:
        assert becomes(lambda: looks)
        assert len(called(spool)) == 2
        with shared.transaction():
            finish(shared, called(spool)[0], "confirmed", "", settings=SETTINGS, now=NOON)
        assert becomes(lambda: len(called(spool)) == 3)


def test_without_a_wake_the_loop_looks_at_every_tick(dialer: Dialer, database: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dialer.loop.TICK", 0.01)
    with running(dialer, database, monkeypatch) as looks:
        assert becomes(lambda: len(looks) > 3)


def test_a_database_that_goes_away_and_comes_back_is_waited_for_and_no_secret_is_logged(
    dialer: Dialer,
    database: str,
    spool: Path,
    register: Register,
    happens: Happens,
    shared: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    monkeypatch.setattr("dialer.loop.TICK", 0.2)
    register("5735550142")
    with running(dialer, database, monkeypatch) as looks:
        assert becomes(lambda: looks)
        shared.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert becomes(lambda: "the database is away" in caplog.text)
        happens()
        assert becomes(lambda: called(spool))
    said = [record.getMessage() for record in caplog.records if record.name == "dialer.loop"]
    assert "host=" not in "".join(said)


@pytest.fixture
def elsewhere(dialer: Dialer) -> Dialer:
    """The dialer of another host on the same database."""
    return replace(dialer, host="there")


def alerts_of(shared: psycopg.Connection) -> list[tuple[str, bool]]:
    return shared.execute("select key, over_at is not null from alert order by id").fetchall()


def test_what_a_host_that_went_away_had_not_begun_is_called_by_another_within_the_lease(
    dialer: Dialer, elsewhere: Dialer, register: Register, happens: Happens, shared: psycopg.Connection
):
    register("5735550142")
    register("5735550143")
    happens()
    assert elsewhere.look(NOON) == 2
    begun, _ = called(dialer.spool)
    attempts.begin(shared, KEYS, begun, end_within=timedelta(minutes=6), now=NOON)
    assert dialer.look(NOON + LEASE - timedelta(seconds=3)) == 0
    assert tried(shared) == [("dialling", None), ("claimed", None)]
    assert dialer.look(NOON + LEASE) == 1  # at once: no telephone has rung
    assert tried(shared) == [("dialling", None), ("ended", "lost"), ("claimed", None)]  # what was begun has a deadline
    assert shared.execute("select host from call_attempt order by id").fetchall() == [("there",), ("there",), ("here",)]
    assert dialer.look(NOON + timedelta(minutes=6)) == 1  # at once as well: nobody knows whether it has rung


def test_a_host_that_is_away_is_an_alert_until_it_is_back(dialer: Dialer, elsewhere: Dialer, shared):
    elsewhere.look(NOON)
    dialer.look(NOON + timedelta(minutes=1))
    dialer.look(NOON + timedelta(minutes=2))
    assert alerts_of(shared) == [("host there", False)]
    elsewhere.look(NOON + timedelta(minutes=2))
    assert alerts_of(shared) == [("host there", True)]


def test_a_trunk_that_does_not_answer_is_an_alert_until_it_does(dialer: Dialer, shared: psycopg.Connection):
    down: set[str] = {"main"}
    two = {name: Outbound(lines=2, rate=1000) for name in ("main", "spare")}
    watching = replace(dialer, settings=SETTINGS.model_copy(update={"trunks": two}), down=lambda: frozenset(down))
    watching.look(NOON)
    watching.look(NOON)
    assert alerts_of(shared) == [("trunk main at here", False)]
    down.clear()
    watching.look(NOON)
    assert alerts_of(shared) == [("trunk main at here", True)]


def test_of_a_trunk_that_is_no_more_in_the_settings_nobody_is_told_any_more(dialer: Dialer, shared: psycopg.Connection):
    two = {name: Outbound(lines=2, rate=1000) for name in ("main", "old")}
    with_both = SETTINGS.model_copy(update={"trunks": two})
    replace(dialer, settings=with_both, down=lambda: frozenset({"old", "main"})).look(NOON)
    without = with_both.model_copy(update={"trunks": {"main": two["main"]}})
    replace(dialer, settings=without, down=lambda: frozenset({"main"})).look(NOON)
    assert alerts_of(shared) == [("trunk main at here", False), ("trunk old at here", True)]


def test_calls_are_handed_over_a_moment_before_their_rate_lets_them_ring(
    dialer: Dialer, register: Register, happens: Happens, shared: psycopg.Connection
):
    for line in range(5):
        register(f"57355501{line:02}")
    happens()
    steady = replace(dialer, settings=SETTINGS.model_copy(update={"trunks": {"": Outbound(lines=10, rate=10)}}))
    began = time.monotonic()
    assert steady.look(NOON) == 5
    assert 0.2 <= time.monotonic() - began < 10  # five files are written and kept
    begun = [at - NOON for (at,) in shared.execute("select claimed_at from call_attempt order by id")]
    assert begun == [turn * timedelta(milliseconds=100) for turn in range(5)]
