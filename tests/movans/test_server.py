"""What is looked at before anything is started."""

import errno
import shutil
import socket
from pathlib import Path

import pytest

from movans import postgres
from movans.server import CannotStart, _alone, _check_ports, _check_that_the_parts_can_read, reset, run
from movans.wiring import House
from tests.conftest import settings_for
from tests.live.softphone import free_port

SIP = {"address": "127.0.0.1", "rtp_ports": [10000, 10199]}


def test_a_port_that_another_program_has_stops_the_start_by_its_name(tmp_path: Path):
    sip, agi = free_port(), free_port(socket.SOCK_STREAM)
    settings = settings_for(tmp_path, sip=SIP | {"port": sip}, agi_port=agi)
    _check_ports(settings)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", sip))
        with pytest.raises(CannotStart, match=f"sip.port: port {sip} of 127.0.0.1"):
            _check_ports(settings)
    with socket.create_server(("127.0.0.1", agi)), pytest.raises(CannotStart, match=f"agi_port: port {agi}"):
        _check_ports(settings)


def test_an_address_of_another_machine_stops_the_start(tmp_path: Path):
    settings = settings_for(tmp_path, sip=SIP | {"address": "192.0.2.9", "port": free_port()}, agi_port=free_port())
    with pytest.raises(CannotStart, match=r"of 192\.0\.2\.9 cannot be used"):
        _check_ports(settings)


def test_settings_that_the_parts_cannot_read_stop_the_start_before_anything_is_made(tmp_path: Path):
    file = tmp_path / "movans.yaml"
    file.touch(mode=0o600)
    settings = settings_for(tmp_path / "state")
    with pytest.raises(CannotStart, match=r"user movans, who runs the parts, cannot read the settings.*sudo chgrp"):
        run(House(file, settings), prepared=print, ready=lambda: None, say=print)
    assert not settings.state.exists()


def test_settings_that_the_parts_can_read_are_accepted(state: Path):
    file = state / "movans.yaml"
    file.touch()
    file.chmod(0o644)
    _check_that_the_parts_can_read(file)


def test_a_settings_file_is_found_by_the_parts_wherever_the_server_was_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(Path(__file__).parent.parent.parent)
    assert House.at(Path("movans.yaml")).file.is_absolute()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A state directory with things in it, and a link to something that is none of its own."""
    state, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    (state / "sounds" / "en").mkdir(parents=True)
    elsewhere.mkdir()
    for file in (state / "keys", state / "sounds" / "en" / "welcome.wav", elsewhere / "precious"):
        file.touch()
    (state / "link").symlink_to(elsewhere)
    return state


def test_a_reset_removes_everything_of_its_own(kept: Path):
    reset(settings_for(kept))
    assert [path.name for path in kept.iterdir()] == ["lock"]
    assert (kept.parent / "elsewhere" / "precious").exists()


def test_no_server_can_start_while_a_reset_deletes(kept: Path, monkeypatch: pytest.MonkeyPatch):
    settings = settings_for(kept)
    tried: list[Path] = []

    def delete(path: Path) -> None:
        with pytest.raises(CannotStart, match="already runs"):
            _alone(settings)
        tried.append(path)

    monkeypatch.setattr(shutil, "rmtree", delete)
    reset(settings)
    assert tried == [kept / "sounds"]
    _alone(settings).close()


def test_a_reset_that_fails_names_what_stays_and_removes_the_rest(kept: Path, monkeypatch: pytest.MonkeyPatch):
    held = kept / "sounds" / "en"

    def delete(_: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(held))

    monkeypatch.setattr(shutil, "rmtree", delete)
    with pytest.raises(CannotStart) as failed:
        reset(settings_for(kept))
    assert f"could not be removed, so nothing was started: {held} (Device or resource busy)." in str(failed.value)
    assert sorted(path.name for path in kept.iterdir()) == ["lock", "sounds"]


def test_a_database_of_an_early_version_is_named_and_says_to_begin_anew(tmp_path: Path):
    cluster = tmp_path / "postgres"
    cluster.mkdir()
    (cluster / "complete").touch()
    (cluster / "pg_ident.conf").write_text("movans movans movans\nmovans root movans\n")
    with pytest.raises(postgres.NoPostgres, match=r"of an early version.*script/server --reset"):
        postgres.prepare(settings_for(tmp_path))
    (cluster / "pg_ident.conf").write_text("movans movans movans\nmovans root movans\nmovans root postgres\n")
    assert not postgres.prepare(settings_for(tmp_path))
