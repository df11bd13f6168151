"""The parts of the feeds' benchmark that need no database: the people of its files, and its settings."""

from datetime import datetime, timedelta
from pathlib import Path

from feed.checking import read
from feed.records import SNAPSHOT, Rules
from movans import intake, settings
from tests.bench.feeding import CHANGED, house, rows, write

ZONE = settings.load(settings.EXAMPLE).service.zone
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=ZONE)


def test_the_same_people_stand_in_both_files_and_one_in_a_hundred_has_changed() -> None:
    before, after = (list(rows(5000, changed=changed, now=NOON)) for changed in (False, True))
    different = [place for place, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]
    assert different == list(range(0, 5000, CHANGED))
    assert len({row[0] for row in after}) == 5000


def test_every_row_can_be_believed(tmp_path: Path) -> None:
    path = tmp_path / "jail.csv"
    write(path, rows(2000, changed=True, now=NOON))
    now = NOON + timedelta(hours=1)
    how = Rules(frozenset(["state"]), ZONE, now, agency="state", format=SNAPSHOT)
    with path.open("rb") as source:
        assert len(read("jail.csv", source, how).custody) == 2000


def test_each_jail_has_a_directory_and_the_settings_are_such(tmp_path: Path) -> None:
    chosen, file = house(tmp_path, 3)
    assert [drop.feed for drop in intake.drops(chosen)] == ["county0/jail", "county1/jail", "county2/jail"]
    assert all(drop.path.is_dir() for drop in intake.drops(chosen))
    assert settings.load(file) == chosen
