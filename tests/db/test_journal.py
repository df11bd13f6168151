"""The journal on a disk of its own, replayed by several processes."""

import logging
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from db import attempts
from db.journal import YOUNG, Confirmation, Journal
from db.pool import Unreachable, open_pool
from tests.conftest import KEYS, NOON, TRUNKS
from tests.db import DAY


@pytest.fixture
def pool(database: str) -> Iterator[ConnectionPool]:
    with open_pool(database) as opened:
        yield opened


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture
def confirmation(shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]) -> Confirmation:
    """Of a call that somebody has answered."""
    register("5735550142")
    event = happens()
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=DAY, now=NOON)
    attempts.begin(shared, KEYS, attempt, end_within=DAY, now=NOON)
    attempts.answered(shared, attempt, now=NOON)
    row = shared.execute("select id from registrant").fetchone()
    assert row
    return Confirmation(attempt, row[0], [event], NOON + timedelta(seconds=30))


def grows_old(path: Path) -> None:
    past = path.stat().st_mtime - YOUNG - 1
    os.utime(path, (past, past))


def test_what_waits_is_replayed_once_and_the_journal_is_empty(
    journal: Journal, pool: ConnectionPool, confirmation: Confirmation, shared: psycopg.Connection, tmp_path: Path
):
    grows_old(journal.write(confirmation))
    for _ in range(2):
        journal.replay(pool)
    assert shared.execute("select state, ended_at from notification").fetchall() == [("confirmed", confirmation.at)]
    assert list(tmp_path.iterdir()) == []


def test_what_its_call_may_be_noting_at_this_moment_is_left_to_it(
    journal: Journal, pool: ConnectionPool, confirmation: Confirmation
):
    path = journal.write(confirmation)
    journal.replay(pool)
    assert path.exists()
    assert journal.note(pool, confirmation, path).notifications == 1


def test_several_processes_replay_at_once(
    journal: Journal, pool: ConnectionPool, confirmation: Confirmation, shared: psycopg.Connection, tmp_path: Path
):
    grows_old(journal.write(confirmation))
    ready = Barrier(4)
    failed: list[Exception] = []

    def replay() -> None:
        ready.wait()
        try:
            Journal(tmp_path).replay(pool)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to show it
            failed.append(error)

    threads = [Thread(target=replay) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert shared.execute("select state from notification").fetchall() == [("confirmed",)]


def test_while_the_database_is_away_it_waits(journal: Journal, confirmation: Confirmation, tmp_path: Path):
    grows_old(journal.write(confirmation))
    with open_pool("host=/nowhere dbname=movans") as away, pytest.raises(Unreachable):
        journal.replay(away)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "torn",
    [
        "",
        '{"attempt_id": 1, "regis',
        "[]",
        '{"attempt_id": 1, "at": "soon"}',
        '{"attempt_id": 1, "registrant_id": 1, "event_ids": ["x"], "at": "2026-11-20T18:00:00+00:00"}',
    ],
)
def test_what_is_torn_is_set_aside_with_a_warning_and_the_rest_is_replayed(
    torn: str,
    journal: Journal,
    pool: ConnectionPool,
    confirmation: Confirmation,
    shared: psycopg.Connection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.WARNING)
    (tmp_path / "0-1.json").write_text(torn)
    grows_old(tmp_path / "0-1.json")
    grows_old(journal.write(confirmation))
    journal.replay(pool)
    assert "0-1.json: cannot be read" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["0-1.unreadable"]
    assert shared.execute("select state from notification").fetchall() == [("confirmed",)]


def test_a_disk_that_cannot_be_written_keeps_nothing(tmp_path: Path, confirmation: Confirmation):
    with pytest.raises(OSError, match="No such file"):
        Journal(tmp_path / "gone").write(confirmation)
