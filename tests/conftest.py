"""What the layers of tests share: a settings file, a PostgreSQL of their own, the words."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import yaml

from db.keys import Keyring
from db.migrate import migrate
from movans import postgres, settings
from movans.asterisk import SERVICE_USER
from movans.settings import Settings
from movans.supervision import postgres_program
from prompts.catalogue import Catalogue, load_all

NOON = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)  # a Friday, noon in Missouri
KEYS = Keyring({"1": bytes(range(32))})


def settings_for(state: Path, **changes: object) -> Settings:
    """The commented example's settings, with another state directory and whatever else is changed."""
    content = yaml.safe_load(settings.EXAMPLE.read_text(encoding="utf-8")) | {"state": str(state)} | changes
    return Settings.model_validate(content)


@pytest.fixture(scope="session")
def state() -> Iterator[Path]:
    """A state directory that the service's users can reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="movans-test-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        run = path / "run"
        run.mkdir()
        service = pwd.getpwnam(SERVICE_USER)
        os.chown(run, service.pw_uid, service.pw_gid)
        yield path


@pytest.fixture(scope="session")
def cluster(state: Path) -> Iterator[str]:
    """A real PostgreSQL with the migrations applied: its DSN."""
    chosen = settings_for(state)
    postgres.prepare(chosen)
    command = [postgres_program(), "-D", str(state / "postgres"), "-k", str(state / "run"), "-c", "listen_addresses="]
    drop = ["setpriv", f"--reuid={SERVICE_USER}", f"--regid={SERVICE_USER}", "--clear-groups", "--pdeathsig=INT"]
    with (state / "postgres.log").open("w") as log:
        server = subprocess.Popen([*drop, *command, "-c", "fsync=off"], stdout=log, stderr=log, cwd="/")
        try:
            while not postgres.answers(chosen):
                assert server.poll() is None, (state / "postgres.log").read_text()
            with psycopg.connect(postgres.dsn(chosen), autocommit=True) as conn:
                migrate(conn)
            yield postgres.dsn(chosen)
        finally:
            server.send_signal(2)
            server.wait(30)


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
