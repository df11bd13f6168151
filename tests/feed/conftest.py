"""A database of each test's own behind a real pool, and files to import into it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from db.pool import open_pool
from feed.records import Rules
from feed.report import Report
from feed.run import run
from movans import settings
from tests import people
from tests.conftest import KEYS, NOON, SETTINGS, settings_for
from tests.db.conftest import database, shared  # noqa: F401  (fixtures)

HEADER = "agency,offender_number,last_name,first_name,date_of_birth,facility,status,changed_at,event_id\n"


SAMPLES = Path(__file__).parent / "samples"
JAIL: dict[str, Any] = {  # as samples/jail.csv comes
    "encoding": "windows-1252",
    "columns": {
        "offender_number": "INMATE_NO",
        "last_name": "LAST",
        "first_name": "FIRST",
        "date_of_birth": "DOB",
        "status": "STAT",
        "changed_at": "SINCE",
        "facility": "FAC",
    },
    "ignore": ["HAIR"],
    "statuses": {"IN": "in custody", "REL": "released"},
    "facilities": {"BCJ": "Boone County Jail"},
    "dates": "%m/%d/%Y",
    "times": "%m/%d/%Y %H:%M",
}
NIEM: dict[str, Any] = {  # as samples/niem.xml comes
    "format": "niem",
    "statuses": {"In Jail": "in custody", "WREL": "on furlough"},
    "facilities": {"BCJ": "Boone County Jail"},
}
CALENDAR: dict[str, Any] = {"format": "court calendar"}  # as samples/calendar.tsv comes
BOONE: dict[str, Any] = {
    "name": "Boone County",
    "interval": "24:00:00",
    "feeds": {"jail": {"format": "custody changes", "interval": 900}},
}
WITH_FEEDS = settings_for(Path("/nowhere"), agencies={"boone": BOONE})


def rules(now: datetime = NOON) -> Rules:
    """Of a custody file by hand."""
    chosen = settings.load(settings.EXAMPLE)
    return Rules(frozenset(chosen.agencies), chosen.service.zone, now)


def declared(**how: Any) -> Rules:
    """Of a feed of Boone County."""
    boone: dict[str, Any] = {"agencies": frozenset(["boone"]), "agency": "boone", "feed": "boone/jail"}
    return replace(rules(), **boone | how)


def row(
    status: str = "in custody",
    at: str = "2026-11-03 14:05",
    *,
    number: str = "100234",
    facility: str = "Boone County Jail",
    agency: str = "boone",
    last_name: str = "SMITH",
    event_id: str = "",
) -> str:
    return f"{agency},{number},{last_name},JOHN,1990-07-31,{facility},{status},{at},{event_id}\n"


@pytest.fixture
def db(database: str) -> Iterator[ConnectionPool]:  # noqa: F811
    with open_pool(database) as pool:
        pool.wait()  # a connection draws lots when it is made, which hypothesis takes for its own strategies' doing
        yield pool


@pytest.fixture
def imports(db: ConnectionPool, tmp_path: Path) -> Callable[..., Report]:
    """Write rows to a file and import it."""

    def write_and_run(
        *rows: str,
        header: str = HEADER,
        now: datetime = NOON,
        feed: Rules | None = None,
        chosen: settings.Settings = SETTINGS,
    ) -> Report:
        path = tmp_path / "custody.csv"
        path.write_text(header + "".join(rows), encoding="utf-8")
        return run(db, path, feed or rules(now), settings=chosen)

    return write_and_run


@pytest.fixture
def register(shared: Connection) -> Callable[..., int]:  # noqa: F811
    """Register a telephone for an offender that is known by now."""

    def add(number: str = "100234", telephone: str = "5735550142", **choices: Any) -> int:
        found = shared.execute("select id from offender where number = %s", [number]).fetchone()
        assert found
        people.register(shared, KEYS, number=telephone, offender_id=found[0], now=NOON, **choices)
        row = shared.execute("select max(id) from registration").fetchone()
        assert row
        return row[0]

    return add
