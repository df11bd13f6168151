"""A database of each test's own, committed for real, for what only shows between connections."""

from collections.abc import Callable, Iterator
from datetime import date, datetime

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from db import custody, feed_runs
from db.custody import Custody, Offender, Person
from db.migrate import migrate
from dialer import policy
from movans.settings import Settings
from tests import people
from tests.cluster import drop_database, make_database
from tests.conftest import KEYS, NOON, SETTINGS


@pytest.fixture
def database(cluster: str) -> Iterator[str]:
    dsn = make_conninfo(make_database(cluster, "movans_race"), options="-c timezone=UTC")
    with psycopg.connect(dsn) as conn:
        migrate(conn)
    yield dsn
    drop_database(cluster, "movans_race")


@pytest.fixture
def shared(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as conn:
        yield conn


@pytest.fixture
def offender(shared: psycopg.Connection) -> Offender:
    person = Person("JOHN", "", "SMITH", date(1990, 7, 31))
    return custody.add(shared, "boone", "100234", person, Custody("in custody", "Boone County Jail", NOON), now=NOON)


@pytest.fixture
def register(shared: psycopg.Connection, offender: Offender) -> Callable[..., int]:
    def add(number: str, pin: str = "2580") -> int:
        people.register(shared, KEYS, number=number, pin=pin, offender_id=offender.id, now=NOON)
        row = shared.execute("select max(id) from registration").fetchone()
        assert row
        return row[0]

    return add


@pytest.fixture
def happens(shared: psycopg.Connection, offender: Offender) -> Callable[..., int]:
    def event(
        kind: str = "released",
        *,
        late: bool = False,
        status: str = "released",
        at: datetime = NOON,
        settings: Settings = SETTINGS,
    ) -> int:
        with shared.transaction():
            run = feed_runs.add(shared, "test.csv", "", "applied", now=NOON)
            event_id = custody.record(
                shared, offender.id, kind, Custody(status, "Boone County Jail", at),
                source="boone", source_key=f"{kind} {run}", feed_run_id=run, now=at,
            )  # fmt: skip
            policy.notify(shared, event_id, late=late, settings=settings, now=at)
        return event_id

    return event
