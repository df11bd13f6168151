"""What the doctor finds where a check itself fails."""

import os
import pwd
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from db import keys
from movans import doctor
from movans.asterisk import SERVICE_USER
from movans.doctor import Finding, examine
from movans.settings import OfKind
from movans.wiring import House
from prompts.catalogue import WrongCatalogue
from prompts.sounds import built_at
from tests.conftest import NOON, settings_for
from tests.db.conftest import database  # noqa: F401  (fixture)

NOBODY_THERE = "host=/nowhere dbname=movans user=movans"


@pytest.fixture
def house(tmp_path: Path) -> Callable[[str], House]:
    """A house with a key file as it must be, on a database."""

    def at(dsn: str) -> House:
        made = House(tmp_path / "movans.yaml", settings_for(tmp_path, database=dsn))
        keys.make(made.key_file)
        service = pwd.getpwnam(SERVICE_USER)
        os.chown(made.key_file, service.pw_uid, service.pw_gid)
        return made

    return at


def found(house: House, what: str) -> Finding:
    return next(finding for finding in examine(house) if finding.what == what)


def test_keys_are_well_though_the_database_is_away(house: Callable[[str], House]):
    away = house(NOBODY_THERE)
    assert not found(away, "database").well
    keys_found = found(away, "keys")
    assert keys_found.well
    assert keys_found.found == "1 key(s); not compared with the database, which could not be asked"


def test_a_damaged_key_file_is_found_though_the_database_is_away(house: Callable[[str], House]):
    away = house(NOBODY_THERE)
    away.key_file.write_text("{}")
    finding = found(away, "keys")
    assert not finding.well
    assert "is damaged" in finding.found


def test_keys_are_compared_with_a_database_that_answers(house: Callable[[str], House], database: str):  # noqa: F811
    at_home = house(database)
    assert found(at_home, "keys").found == "1 key(s)"
    with psycopg.connect(database) as conn:
        conn.execute(
            "insert into registrant (language, pin_hash, pin_key_id, created_at) values ('en', '', '7', %s)", [NOON]
        )
    finding = found(at_home, "keys")
    assert not finding.well
    assert finding.found == "the database needs key 7, which is not in the key file"


def test_a_kind_of_the_policy_that_there_is_not_is_named(house: Callable[[str], House], database: str):  # noqa: F811
    at_home = house(database)
    assert found(at_home, "policy").well
    policy = at_home.settings.policy.model_copy(update={"kinds": {"moved": OfKind(), "died": OfKind()}})
    finding = found(replace(at_home, settings=at_home.settings.model_copy(update={"policy": policy})), "policy")
    assert not finding.well
    assert finding.found.startswith("there is no kind of event moved; known are corrected, corrected_court,")


def test_a_real_service_that_tells_nobody_of_what_they_must_know_is_named(house: Callable[[str], House]):
    demo = house(NOBODY_THERE)
    assert found(demo, "alerts").well
    real = replace(demo, settings=demo.settings.model_copy(update={"demo": False}))
    finding = found(real, "alerts")
    assert not finding.well
    assert "nobody is told" in finding.found
    command = real.settings.alerts.model_copy(update={"command": ["mail", "duty"]})
    telling = replace(real, settings=real.settings.model_copy(update={"alerts": command}))
    assert found(telling, "alerts").found == "told by mail; no sign of life is given (alerts.alive.command)"


def test_a_database_whose_acts_of_staff_could_be_removed_is_named(
    house: Callable[[str], House],
    database: str,  # noqa: F811
):
    assert found(house(database), "acts of staff").found == "can only be added to"
    finding = found(house(make_conninfo(database, user="postgres")), "acts of staff")
    assert not finding.well
    assert finding.found == "the service's role (postgres) could change or remove what is kept of them"


def test_missing_sounds_are_named_for_each_language(house: Callable[[str], House]):
    at_home = house(NOBODY_THERE)
    counts = {}
    for language, catalogue in at_home.catalogues().items():
        counts[language] = len(catalogue.fixed())
        for prompt in catalogue.fixed():
            sound = built_at(at_home.sounds, language, prompt)
            sound.parent.mkdir(parents=True, exist_ok=True)
            sound.touch()
    assert found(at_home, "prompts").found == f"{counts['en']} sounds (en), {counts['es']} sounds (es)"
    for language, prompt in (("en", "welcome"), ("es", "welcome"), ("es", "goodbye")):
        built_at(at_home.sounds, language, prompt).unlink()
    finding = found(at_home, "prompts")
    assert not finding.well
    assert finding.found == "no sound for welcome (en); goodbye, welcome (es)"


class Unforeseen(Exception):
    pass


FAILURES: dict[str, tuple[Exception, str]] = {
    "a user that is missing": (KeyError("getpwnam(): name not found: 'movans-pbx'"), "name not found"),
    "a program that hangs": (subprocess.TimeoutExpired(["asterisk", "-V"], 30), "timed out after 30 seconds"),
    "words that are wrong": (WrongCatalogue("en.yaml: welcome: is missing\nen.yaml: bye: is missing"), "welcome"),
    "a database without a word": (psycopg.OperationalError(), "OperationalError"),
    "what nobody foresaw": (Unforeseen("password=hunter"), "could not be checked (Unforeseen)"),
}


@pytest.mark.parametrize(("failure", "said"), FAILURES.values(), ids=FAILURES)
def test_a_check_that_fails_is_a_finding_of_one_line_and_the_others_are_made(
    failure: Exception, said: str, house: Callable[[str], House], monkeypatch: pytest.MonkeyPatch
):
    def fail() -> str:
        raise failure

    monkeypatch.setattr(doctor, "_version", fail)
    findings = list(examine(house(NOBODY_THERE)))
    assert [finding.what for finding in findings][-1] == "FastAGI server"
    finding = findings[1]
    assert (finding.what, finding.well) == ("Asterisk's version", False)
    assert said in finding.found
    assert "\n" not in finding.found
    assert "hunter" not in finding.found
