"""Registering against what changes the same offender: a file, a file that is approved, and what staff say."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from db.custody import Custody, Person
from feed import held as decisions
from feed import override
from feed.records import CustodyRecord
from feed.run import run
from tests import people
from tests.conftest import KEYS, NOON, SETTINGS, guard_of_nothing, settings_for
from tests.feed.conftest import HEADER, row, rules

HOUR = timedelta(hours=1)
NOTHING = {"few": 0, "most": 0, "share": 0}
HOLDS_ALL = settings_for(
    Path("/nowhere"),
    guard=guard_of_nothing() | {"releases": NOTHING, "changes": NOTHING, "notifications": NOTHING},
)

Prepared = Callable[[], object]  # makes the offender's status that which was prepared


def by_a_file(db: ConnectionPool, file: Path, status: str, at: datetime) -> Prepared:
    file.write_text(HEADER + row(status, at.isoformat()), encoding="utf-8")
    return lambda: run(db, file, rules(at), settings=SETTINGS)


def by_approval(db: ConnectionPool, file: Path, status: str, at: datetime) -> Prepared:
    file.write_text(HEADER + row(status, at.isoformat()), encoding="utf-8")
    held = run(db, file, rules(at), settings=HOLDS_ALL)
    assert held.held
    return lambda: decisions.approve(db, held.run_id, settings=SETTINGS, who="clerk", why="true", now=at)


def by_staff(db: ConnectionPool, file: Path, status: str, at: datetime) -> Prepared:  # noqa: ARG001 - as the others
    told = Custody(status, "Boone County Jail", at)
    record = CustodyRecord(0, "boone", "100234", Person("JOHN", "", "SMITH", None), told, "", {})

    def say() -> None:
        with db.connection() as conn:
            override.say(conn, record, who="clerk", settings=SETTINGS, now=at)

    return say


WAYS = pytest.mark.parametrize("way", [by_a_file, by_approval, by_staff])


@pytest.fixture
def offender_id(db: ConnectionPool, shared: Connection, tmp_path: Path) -> int:
    by_a_file(db, tmp_path / "custody.csv", "in custody", NOON)()
    (found,) = shared.execute("select id from offender").fetchone() or (0,)
    return found


def waiting(shared: Connection) -> int:
    (many,) = shared.execute("select count(*) from pg_locks where not granted").fetchone() or (0,)
    return many


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def notified(shared: Connection) -> int:
    (many,) = shared.execute("select count(*) from notification").fetchone() or (0,)
    return many


@WAYS
def test_who_was_registering_when_it_changed_is_called(
    way: Callable[..., Prepared],
    db: ConnectionPool,
    database: str,
    shared: Connection,
    offender_id: int,
    tmp_path: Path,
):
    changes = Thread(target=way(db, tmp_path / "custody.csv", "released", NOON + HOUR))
    with psycopg.connect(database) as conn:
        done = people.register(conn, KEYS, number="5735550142", offender_id=offender_id, now=NOON)
        changes.start()
        until(lambda: waiting(shared) > 0)
    changes.join()
    assert (done.offender.status, notified(shared)) == ("in custody", 1)


@WAYS
def test_who_registers_while_it_changes_waits_and_hears_what_holds(
    way: Callable[..., Prepared],
    db: ConnectionPool,
    database: str,
    shared: Connection,
    offender_id: int,
    tmp_path: Path,
):
    """The change is stopped once it has looked who is to be called."""
    heard: list[str] = []

    def register() -> None:
        with psycopg.connect(database) as conn:
            done = people.register(conn, KEYS, number="5735550142", offender_id=offender_id, now=NOON)
            heard.append(done.offender.status)

    changes = Thread(target=way(db, tmp_path / "custody.csv", "released", NOON + HOUR))
    registers = Thread(target=register)
    shared.execute(
        """create function pause() returns trigger language plpgsql as
           $$ begin perform pg_advisory_xact_lock_shared(4711); return null; end $$;
           create trigger pause before update on offender execute function pause()"""
    )
    shared.execute("select pg_advisory_lock(%s)", [4711])
    changes.start()
    until(lambda: waiting(shared) > 0)
    registers.start()
    until(lambda: waiting(shared) > 1 or bool(heard))
    shared.execute("select pg_advisory_unlock(%s)", [4711])
    for one in (changes, registers):
        one.join()
    assert (heard, notified(shared)) == (["released"], 0)
