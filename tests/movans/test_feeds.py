"""What a reader is told of the feeds in the settings."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from db import feed_runs
from movans.feeds import rules, status
from movans.settings import Settings, WrongSettings
from tests.conftest import NOON, settings_for


def settings(tmp_path: Path, **feeds: Any) -> Settings:
    boone = {"name": "Boone", "interval": "24:00:00", "feeds": feeds}
    cole = {"name": "Cole", "interval": "24:00:00"}
    return settings_for(tmp_path, agencies={"boone": boone, "cole": cole})


JAIL = {"format": "niem", "interval": 900}


def test_without_a_feed_a_custody_file_may_be_of_any_agency(tmp_path: Path):
    found = rules(settings(tmp_path), "", NOON)
    assert (found.agencies, found.agency, found.format) == ({"boone", "cole"}, "", "custody changes")


def test_a_feed_is_of_its_agency_and_in_the_zone_of_the_service(tmp_path: Path):
    chosen = settings(tmp_path, jail=JAIL)
    found = rules(chosen, "boone/jail", NOON)
    assert (found.agencies, found.agency, found.format, found.feed) == ({"boone"}, "boone", "niem", "boone/jail")
    assert (found.zone.key, found.encoding, found.quarantine) == ("America/Chicago", "utf-8", 0)
    assert chosen.agencies["boone"].feeds["jail"].interval == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("its", "zone"), [({}, "America/Denver"), ({"time_zone": "America/New_York"}, "America/New_York")]
)
def test_a_feed_that_has_no_zone_of_its_own_is_in_its_agencys(its: dict[str, str], zone: str):
    west = {"name": "West", "interval": 900, "time_zone": "America/Denver", "feeds": {"jail": JAIL | its}}
    assert rules(settings_for(Path("/nowhere"), agencies={"west": west}), "west/jail", NOON).zone.key == zone


def test_what_the_settings_say_of_a_feed_holds(tmp_path: Path):
    how = {"time_zone": "America/Denver", "mistakes": 0.01, "encoding": "cp1252", "statuses": {"REL": "released"}}
    how |= {"columns": {"status": "Detention/Status"}, "facilities": {"J": "Jail"}, "always": {"facility": "Jail"}}
    found = rules(settings(tmp_path, jail=JAIL | how), "boone/jail", NOON)
    assert (found.zone.key, found.quarantine, found.encoding) == ("America/Denver", 0.01, "cp1252")
    assert (found.statuses, found.facilities) == (how["statuses"], how["facilities"])
    assert (found.columns, found.always) == (how["columns"], how["always"])


def test_a_feed_that_is_not_declared_is_named_with_those_that_are(tmp_path: Path):
    with pytest.raises(WrongSettings, match=r"no feed boone/prison is declared .*; there are boone/jail"):
        rules(settings(tmp_path, jail=JAIL), "boone/prison", NOON)
    with pytest.raises(
        WrongSettings, match="no feed boone/jail is declared in the settings, under agencies; there is no"
    ):
        rules(settings(tmp_path), "boone/jail", NOON)


def test_thousands_of_refused_files_are_counted_within_a_moment(conn: psycopg.Connection, tmp_path: Path):
    conn.execute(
        """insert into feed_run (file, feed, sha256, started_at, outcome, rows, events, notifications)
           select 'jail.csv', 'boone/jail', case when number <= 23000 then number else number - 3000 end,
                  %s + number * interval '1 second',
                  case when number between 20001 and 23000 then 'refused' else 'applied' end, 0, 0, 0
           from generate_series(1, 23100) as number""",
        [NOON],
    )
    feed_runs.tell_of_refused(conn, "boone/jail", "jail.csv", "refused", now=NOON)
    conn.execute("set local statement_timeout = '2s'")  # to compare each with each takes many
    jail = next(one for one in status(conn, settings(tmp_path, jail=JAIL), now=NOON) if one.feed.name == "boone/jail")
    assert jail.counts.refused == 2900, "a hundred have come again as they were"
