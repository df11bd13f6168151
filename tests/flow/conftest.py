"""What flow tests need: a scripted caller, the service on a database that is rolled back, and a few offenders."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agi.service import Service
from db import attempts, custody, feed_runs
from db.custody import Custody, Details, Offender, Person
from db.journal import Journal
from dialer import policy
from prompts.catalogue import Catalogue, Utterance
from tests import people
from tests.conftest import KEYS, NOON, SETTINGS, TRUNKS
from tests.flow.telephone import Caller, OneConnection

SINCE = datetime(2026, 11, 3, 20, 5, tzinfo=UTC)
NO_DETAILS = Details()


class Silence:
    """Flows that are matched by their words need no sound."""

    def is_ready(self, utterance: Utterance, within: float) -> bool:
        return bool(utterance.words) and within > 0

    def path(self, utterance: Utterance) -> str:
        return utterance.words

    def prepare(self, utterances: Iterable[Utterance]) -> None:
        """Nothing is played here, so nothing is prepared."""


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(conn: psycopg.Connection, english: Catalogue, clock: Clock, tmp_path: Path) -> Service:
    """One that speaks English only, so that nobody is asked for the language."""
    return Service(OneConnection(conn), KEYS, SETTINGS, {"en": english}, Silence(), clock, Journal(tmp_path), frozenset)


@pytest.fixture
def bilingual(service: Service, catalogues: dict[str, Catalogue]) -> Service:
    return replace(service, catalogues=catalogues)


@pytest.fixture
def caller(english: Catalogue) -> Caller:
    return Caller(english)


@pytest.fixture
def jail(conn: psycopg.Connection) -> Callable[..., Offender]:
    def add(
        number: str,
        first: str,
        last: str,
        agency: str = "boone",
        status: str = "in custody",
        *,
        facility: str = "Boone County Jail",
        born: date | None = date(1990, 7, 31),
        details: Details = NO_DETAILS,
    ) -> Offender:
        person = Person(first, "", last, born)
        return custody.add(conn, agency, number, person, Custody(status, facility, SINCE), details, now=NOON)

    return add


@pytest.fixture
def smith(jail: Callable[..., Offender]) -> Offender:
    return jail("100234", "JOHN", "SMITH")


@pytest.fixture
def register(conn: psycopg.Connection) -> Callable[..., None]:
    def add(offender: Offender, pin: str = "2580", **choices: Any) -> None:
        people.register(conn, KEYS, number="5735550142", pin=pin, offender_id=offender.id, now=NOON, **choices)

    return add


@pytest.fixture
def leave(conn: psycopg.Connection) -> Callable[..., None]:
    """Somebody leaves a telephone number, and it is not proven yet."""

    def add(offender: Offender, pin: str = "2580", **choices: Any) -> None:
        people.leave(conn, KEYS, number="5735550142", pin=pin, offender_id=offender.id, now=NOON, **choices)

    return add


@pytest.fixture
def happens(conn: psycopg.Connection) -> Callable[..., int]:
    def event(
        offender: Offender,
        kind: str,
        status: str = "released",
        *,
        hour: int = 0,
        late: bool = False,
        planned_at: datetime | None = None,
    ) -> int:
        """It happens, or is planned, and is imported, so many hours after noon."""
        at = NOON + timedelta(hours=hour)
        run = feed_runs.add(conn, "test.csv", "", "applied", now=at)
        what = Custody(status, "Boone County Jail", at)
        key = f"{offender.number} {kind}"
        of = {"source": "boone", "source_key": key, "feed_run_id": run}
        event_id = custody.record(conn, offender.id, kind, what, **of, planned_at=planned_at, now=at)
        policy.notify(conn, event_id, late=late, settings=SETTINGS, now=at)
        conn.execute(
            "update notification set first_call_at = %(now)s, next_call_at = %(now)s where event_id = %(event)s",
            {"now": NOON, "event": event_id},
        )
        return event_id

    return event


@pytest.fixture
def ring(conn: psycopg.Connection) -> Callable[[], int]:
    def call_out() -> int:
        claimed = list(attempts.claim(conn, trunks=TRUNKS, host="here", begin_within=timedelta(seconds=20), now=NOON))
        assert len(claimed) == 1
        begun = attempts.begin(conn, KEYS, claimed[0], end_within=timedelta(minutes=5), now=NOON)
        assert begun
        assert begun.number == "5735550142"
        return claimed[0]

    return call_out


@pytest.fixture
def ringing(
    smith: Offender, register: Callable[..., None], happens: Callable[..., int], ring: Callable[[], int]
) -> int:
    """An attempt that rings the telephone of someone registered for Smith, who was released."""
    register(smith)
    happens(smith, "released")
    return ring()


@pytest.fixture
def crowded(jail: Callable[..., Offender], register: Callable[..., None], happens: Callable[..., int]) -> list[str]:
    """Somebody is registered for twelve people, who are all released; their first names in order."""
    names = ["ANN", "BEA", "CAL", "DAN", "EVE", "FAY", "GUS", "HAL", "IDA", "JOE", "KAY", "LEE"]
    for hour, name in enumerate(names):
        offender = jail(f"C{hour}", name, "CROWD")
        register(offender)
        happens(offender, "released", hour=hour)
    return [name.title() for name in names]
