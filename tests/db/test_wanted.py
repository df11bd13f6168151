"""Who is told of what: custody, court dates or both, and what newer news makes superfluous."""

from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
import pytest

from db import custody, feed_runs
from db.custody import Custody, Offender
from dialer import policy
from tests import people
from tests.conftest import KEYS, NOON, SETTINGS
from tests.db import DAY

HEARING = NOON + timedelta(days=7)


@pytest.fixture
def happens(shared: psycopg.Connection, offender: Offender) -> Callable[..., int]:
    """Something happens or is planned; returns how many are to be told."""

    def event(kind: str, planned_at: datetime | None = None) -> int:
        run = feed_runs.add(shared, "test.csv", "", "applied", now=NOON)
        event_id = custody.record(
            shared, offender.id, kind, Custody("in custody", "Boone County Jail", NOON), source="boone",
            source_key=f"{kind} {run}", feed_run_id=run, planned_at=planned_at, now=NOON,
        )  # fmt: skip
        return policy.notify(shared, event_id, late=False, settings=SETTINGS, now=NOON)

    return event


@pytest.fixture
def told(shared: psycopg.Connection, offender: Offender) -> Callable[[], list[str]]:
    """Somebody registers for both; returns of what they are still to be told."""
    people.register(shared, KEYS, number="5735550142", offender_id=offender.id, now=NOON)

    def kinds() -> list[str]:
        rows = shared.execute(
            """select kind from notification n join custody_event e on e.id = event_id
               where state = 'open' order by e.id"""
        )
        return [kind for (kind,) in rows]

    return kinds


@pytest.mark.parametrize(
    ("about", "custody_calls", "court_calls"),
    [({"custody"}, 1, 0), ({"court"}, 0, 1), ({"custody", "court"}, 1, 1)],
    ids=["custody", "court", "both"],
)
def test_only_who_wants_such_news_is_told(
    about: set[str], custody_calls: int, court_calls: int, shared: psycopg.Connection, offender: Offender, happens
):
    people.register(shared, KEYS, number="5735550142", offender_id=offender.id, about=about, now=NOON)
    assert happens("released") == custody_calls
    assert happens("parole_hearing", HEARING) == custody_calls
    assert happens("court_scheduled", HEARING) == court_calls


def test_a_court_date_supersedes_no_release_and_a_return_no_court_date(told: Callable[[], list[str]], happens):
    happens("released")
    happens("court_scheduled", HEARING)
    assert told() == ["released", "court_scheduled"]
    happens("returned")
    assert told() == ["court_scheduled", "returned"]


def test_what_is_planned_supersedes_nothing_that_happened_and_nothing_else_that_is_planned(
    told: Callable[[], list[str]], happens
):
    happens("transferred")
    happens("parole_hearing", HEARING)
    happens("court_scheduled", HEARING)
    happens("court_scheduled", HEARING + DAY)
    assert told() == ["transferred", "parole_hearing", "court_scheduled", "court_scheduled"]


def test_what_becomes_of_a_plan_supersedes_it(told: Callable[[], list[str]], happens):
    happens("release_planned", HEARING)
    happens("released")
    happens("court_scheduled", HEARING)
    happens("court_cancelled", HEARING)
    assert told() == ["released", "court_cancelled"]


def test_a_plan_without_its_time_is_refused(happens):
    with pytest.raises(psycopg.errors.CheckViolation, match="planned_has_its_time"):
        happens("court_scheduled")
