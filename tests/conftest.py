"""What the layers of tests share: a settings file, a PostgreSQL of their own, the words."""

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import yaml

from db.keys import Keyring
from movans import settings
from movans.settings import Outbound, Settings
from prompts.catalogue import Catalogue, load_all
from tests.cluster import make_run, running

NOON = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)  # a Friday, noon in Missouri
TRUNKS = {"": Outbound(lines=10, rate=1000)}
# What stands in all plain columns.
EVERYTHING = """select query_to_xml('select * from ' || quote_ident(table_name), true, false, '')::text
                from information_schema.tables where table_schema = 'public'"""
KEYS = Keyring({"1": bytes(range(32))})


def settings_for(state: Path, **changes: object) -> Settings:
    """The commented example's settings, with another state directory and whatever else is changed."""
    content = yaml.safe_load(settings.EXAMPLE.read_text(encoding="utf-8")) | {"state": str(state)} | changes
    return Settings.model_validate(content)


SETTINGS = settings_for(Path("/nowhere"))


def policy_that_waits(waits: Mapping[str, object]) -> dict[str, object]:
    """The example's policy, as it stands in a settings file, but at any hour and with these waits throughout."""
    policy = yaml.safe_load(settings.EXAMPLE.read_text(encoding="utf-8"))["policy"]
    for rules in (policy["critical"], policy["routine"]):
        rules["hours"] = None
        for phase in rules["phases"]:
            phase["again"] = dict(waits)
    return policy | {"proofs": dict(waits)}


def guard_of_nothing() -> dict[str, object]:
    """The example's guard, as it stands in a settings file, but files may release as many as they like."""
    guard: dict[str, object] = yaml.safe_load(settings.EXAMPLE.read_text(encoding="utf-8"))["guard"]
    any_number = {"few": 1_000_000, "most": 1_000_000, "share": 1.0}
    return guard | {"releases": any_number, "changes": any_number, "notifications": any_number}


@pytest.fixture(scope="session")
def state() -> Iterator[Path]:
    """A state directory that the service's users can reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="movans-test-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        make_run(path)
        yield path


@pytest.fixture(scope="session")
def cluster(state: Path) -> Iterator[str]:
    """A real PostgreSQL with the migrations applied: its DSN."""
    with running(settings_for(state)) as dsn:
        yield dsn


@pytest.fixture
def conn(cluster: str) -> Iterator[psycopg.Connection]:
    """A connection whose work is rolled back."""
    with psycopg.connect(cluster, options="-c timezone=UTC") as connection:
        yield connection
        connection.rollback()


@pytest.fixture(scope="session")
def catalogues() -> dict[str, Catalogue]:
    return load_all(["en", "es"], service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199")


@pytest.fixture(scope="session")
def english(catalogues: dict[str, Catalogue]) -> Catalogue:
    return catalogues["en"]
