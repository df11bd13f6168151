"""A database of each test's own, and the command line on it."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from movans.settings import EXAMPLE
from movans.staff import LOGIN_UID, logged_in
from tests.conftest import KEYS
from tests.db.conftest import database, happens, offender, register, shared  # noqa: F401  (fixtures)

CLERK = logged_in(LOGIN_UID) or "clerk"  # who types here

Movans = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def movans(database: str, tmp_path: Path) -> Movans:  # noqa: F811
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | {"state": str(tmp_path), "database": database}
    (tmp_path / "movans.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    keys = {key: base64.b64encode(secret).decode() for key, secret in KEYS.keys.items()}
    (tmp_path / "keys").write_text(json.dumps(keys), encoding="utf-8")

    def run(*arguments: str, says: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "movans", "--settings", str(tmp_path / "movans.yaml"), *arguments],
            cwd=EXAMPLE.parent,
            input=says,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"COLUMNS": "200", "SUDO_USER": "clerk"},
        )

    return run
