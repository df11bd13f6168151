"""What the command line says."""

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from movans import cli
from movans.asterisk import SERVICE_USER
from movans.settings import EXAMPLE
from movans.wiring import House
from tests.conftest import settings_for

SIP = {"port": 5070, "rtp_ports": [10000, 10199]}
EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize(
    ("address", "told"),
    [("192.0.2.10", "testphone at 192.0.2.10:5070 (UDP)"), (EVERYWHERE, "this machine's address, port 5070 (UDP)")],
)
def test_a_softphone_is_told_an_address_that_it_can_use(
    address: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    settings = settings_for(tmp_path, sip=SIP | {"address": address}, demo=False)
    cli._welcome(House(tmp_path / "movans.yaml", settings))
    shown = capsys.readouterr().out
    assert told in shown
    assert EVERYWHERE not in shown


@pytest.fixture
def built(state: Path) -> Path:
    """A state directory in which sounds can be built, whoever builds them."""
    home = Path(tempfile.mkdtemp(dir=state))
    home.chmod(0o755)
    (home / "sounds").mkdir()
    service = pwd.getpwnam(SERVICE_USER)
    os.chown(home / "sounds", service.pw_uid, service.pw_gid)
    return home


def build(home: Path, voices: dict[str, list[str]]) -> subprocess.CompletedProcess[str]:
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    content |= {"state": str(home), "voices": voices, "piper_voices": str(home / "voices")}
    (home / "movans.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    line = [sys.executable, "-m", "movans", "--settings", str(home / "movans.yaml"), "prompts", "build"]
    return subprocess.run(line, cwd=EXAMPLE.parent, capture_output=True, text=True, check=False)


def test_the_sounds_of_every_language_are_built_with_a_line_for_each(built: Path):
    made = build(built, {"en": ["espeak-ng"], "es": ["espeak-ng"]})
    english, spanish = made.stdout.splitlines()
    assert made.returncode == 0, made.stderr
    assert english.startswith("Sounds (en): ")
    assert spanish.startswith("Sounds (es): ")
    for line in (english, spanish):
        assert " made, 0 kept, 0 removed; " in line
        assert line.endswith(" by espeak-ng, 0 recordings.")
    assert len(list((built / "sounds" / "es").glob("*.wav"))) == int(spanish.split()[2])


def test_a_language_without_a_voice_stops_no_other_and_is_named_with_what_to_do(built: Path):
    made = build(built, {"en": ["espeak-ng"], "es": ["piper"]})
    assert made.returncode == 1
    assert made.stdout.startswith("Sounds (en): ")
    assert "es: prompt 'welcome' has no sound: piper: piper has no voice for the language 'es'" in made.stderr
    assert f"put es.onnx and es.onnx.json into {built / 'voices'}" in made.stderr


def test_whoever_may_not_read_something_is_told_to_use_sudo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/movans/sounds")

    monkeypatch.setattr(cli, "commands", refused)
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "movans: /var/lib/movans/sounds: Permission denied; run it with sudo\n"
