"""What is rendered for Asterisk and for the supervisor, without starting either."""

import configparser
import re
import socket
from pathlib import Path

import pytest
import yaml

from movans import asterisk, supervision
from movans.settings import EXAMPLE, Settings, WrongSettings

TRUNK = {
    "host": "sip.example.net", "port": 5070, "username": "movans@home", "password": ">a%b$c", "lines": 20, "rate": 2,
}  # fmt: skip


def settings(**changes: object) -> Settings:
    return Settings.model_validate(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | changes)


@pytest.fixture(autouse=True)
def _directories(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests need no Asterisk on the machine."""
    where = (Path("/usr/lib/asterisk/modules"), Path("/usr/share/asterisk"))
    monkeypatch.setattr(asterisk, "_directories", lambda: where)


def test_without_a_trunk_there_is_only_the_test_phone() -> None:
    pjsip = asterisk.configuration(settings(), "abc")["pjsip.conf"]
    assert "[trunk" not in pjsip
    assert "password = abc" in pjsip
    assert "bind = 127.0.0.1:5060" in pjsip


def test_without_a_test_phone_there_is_only_the_trunk() -> None:
    trunks = {"main": {"host": "192.0.2.1", "lines": 4, "rate": 1}}
    pjsip = asterisk.configuration(settings(test_phone=False, trunks=trunks), None)["pjsip.conf"]
    assert "[testphone]" not in pjsip
    assert "contact = sip:192.0.2.1:5060" in pjsip
    assert "registration" not in pjsip


def test_where_ports_are_forwarded_it_listens_here_and_tells_the_address_outside() -> None:
    sip = {"address": "192.0.2.1", "listen": "198.51.100.7", "port": 5060, "rtp_ports": [10000, 10199]}
    pjsip = asterisk.configuration(settings(sip=sip), "abc")["pjsip.conf"]
    assert "bind = 198.51.100.7:5060" in pjsip
    assert "external_media_address = 192.0.2.1" in pjsip
    assert "external_signaling_address = 192.0.2.1" in pjsip
    assert "\nmedia_address" not in pjsip
    assert "bind_rtp" not in pjsip


def test_a_trunk_with_an_account_registers_with_it() -> None:
    pjsip = asterisk.configuration(settings(trunks={"main": TRUNK}), "abc")["pjsip.conf"]
    assert "client_uri = sip:movans%40home@sip.example.net:5070" in pjsip
    # "=>" would be read as another operator.
    assert "password = >a%b$c" in pjsip


def test_each_trunk_has_its_own_account_and_is_asked_apart_from_where_it_is_dialled() -> None:
    spare = {"host": "192.0.2.1", "lines": 4, "rate": 1}
    pjsip = asterisk.configuration(settings(trunks={"main": TRUNK, "spare": spare}), "abc")["pjsip.conf"]
    sections = re.findall(r"\[(\S+)\]\ntype = (\w+)", pjsip)
    assert [kind for name, kind in sections if name == "trunk-main"] == [
        "endpoint", "aor", "identify", "auth", "registration",
    ]  # fmt: skip
    assert [kind for name, kind in sections if name == "trunk-spare"] == ["endpoint", "aor", "identify"]
    asked = re.findall(r"\[(\S+)\]\ntype = aor\ncontact = (\S+)\nqualify", pjsip)
    assert asked == [("watch-main", "sip:sip.example.net:5070"), ("watch-spare", "sip:192.0.2.1:5060")]


def test_a_service_name_cannot_say_anything_to_the_dialplan() -> None:
    service = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["service"] | {"name": 'A"; ${SHELL(x)}\nB = C, D'}
    text = asterisk.configuration(settings(service=service), "abc")["globals.conf"]
    assert text.splitlines()[-1] == "MOVANS_NAME = A SHELLxB  C D"


def test_the_dialplan_speaks_the_first_language_until_a_call_has_one() -> None:
    service = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["service"] | {"languages": ["es", "en"]}
    files = asterisk.configuration(settings(service=service), "abc")
    assert "MOVANS_LANGUAGE = es" in files["globals.conf"].splitlines()
    for name in ("hotline.conf", "notify.conf"):
        played = [line for line in files[name].splitlines() if "Playback" in line]
        assert played
        assert all("Playback(${MOVANS_SOUNDS}/${MOVANS_LANGUAGE}/" in line for line in played)


def test_the_machines_own_name_is_always_known() -> None:
    assert socket.gethostname() in asterisk.hosts().split()


@pytest.mark.parametrize("name", ["hotline", "notify", "trunk", "canary", "testphone"])
def test_the_dialplan_has_nothing_that_must_be_rendered(name: str) -> None:
    text = (asterisk.DIALPLAN / f"{name}.conf").read_text(encoding="utf-8")
    assert asterisk.configuration(settings(), "abc")[f"{name}.conf"] == text


def test_the_supervisor_starts_in_order_and_has_no_database_of_another_machine() -> None:
    read = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    read.read_string(supervision.configuration(settings(), Path("/etc/movans/movans.yaml"), Path("/a%b/app")))
    names = [section.removeprefix("program:") for section in read.sections() if section.startswith("program:")]
    assert names == ["postgres", "voice", "serve", "asterisk", "dial", "intake", "alarm", "watchdog"]
    assert [read[f"program:{name}"]["priority"] for name in names] == ["1", "2", "3", "4", "5", "6", "7", "8"]
    assert read["program:serve"]["environment"] == 'PYTHONPATH="/a%%b/app"'
    assert read["unix_http_server"]["chmod"] == "0600"
    elsewhere = supervision.configuration(settings(database="host=db.example.net"), Path("/m.yaml"), Path("/app"))
    assert "postgres" not in elsewhere


def test_a_path_that_would_begin_a_comment_is_refused() -> None:
    with pytest.raises(WrongSettings):
        supervision.configuration(settings(state="/var/lib/a ;b"), Path("/m.yaml"), Path("/app"))
