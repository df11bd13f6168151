"""What the command line says."""

from pathlib import Path

import pytest

from movans import cli
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


def test_whoever_may_not_read_something_is_told_to_use_sudo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied", "/var/lib/movans/sounds")

    monkeypatch.setattr(cli, "commands", refused)
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == "movans: /var/lib/movans/sounds: Permission denied; run it with sudo\n"
