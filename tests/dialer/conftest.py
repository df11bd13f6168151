"""A spool that no Asterisk watches, beside a real database."""

from pathlib import Path

import pytest

from tests.db.conftest import database, happens, offender, register, shared  # noqa: F401  (fixtures)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    for name in ("tmp", "outgoing"):
        (tmp_path / name).mkdir()
    return tmp_path
