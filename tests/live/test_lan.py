"""A softphone on another machine: a network namespace with a cable to this one."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import pytest
import yaml

from movans import asterisk
from movans.settings import EXAMPLE
from tests.live.conversation import Telephone
from tests.live.line import Line
from tests.live.listening import Library
from tests.live.machines import Machine, ip, may_be_made
from tests.live.softphone import NoSuchThing, free_port

# Addresses for documentation (RFC 5737): they are nobody's.
HERE, THERE, FORWARDED = "203.0.113.1", "203.0.113.2", "198.51.100.7"
ETH_P_ALL = 3  # only so what this machine itself sends is seen too
LAN = Machine("lan", here=HERE, there=THERE)

pytestmark = pytest.mark.skipif(not may_be_made(), reason="needs root and network namespaces")


@pytest.fixture(scope="module")
def _lan() -> Iterator[None]:
    with LAN:
        yield


def on_the_lan(line: Line) -> Telephone:
    """A telephone of the other machine."""
    return Telephone(
        asterisk.phone_password(line.settings),
        Library(line.settings.state / "sounds"),
        logs=line.logs,
        host=HERE,
        port=line.settings.sip.port,
        own_address=THERE,
        inside=LAN.inside,
    )


def reaching(**addresses: str) -> Line:
    sip = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["sip"]
    first = free_port(count=40)
    return Line(sip=sip | {"port": free_port(), "rtp_ports": [first, first + 39]} | addresses)


class Cable:
    """What goes over the cable."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind((LAN.cable, 0))
        self._socket.settimeout(0.2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self.packets: list[bytes] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                self.packets.append(self._socket.recv(65536))
            except TimeoutError:
                continue

    def said(self, first_line: str) -> str:
        """The SIP message of this machine that begins so."""
        for packet in self.packets:
            source, text = socket.inet_ntoa(packet[26:30]), packet[42:].decode(errors="replace")
            if source == HERE and text.startswith(first_line) and "m=audio" in text:
                return text
        raise NoSuchThing(f"{first_line!r} was not on the cable")


@contextmanager
def forwarded() -> Iterator[None]:
    """As where ports of another address are forwarded to here: its packets arrive, whatever listens."""
    ip("route", "add", f"{FORWARDED}/32", "via", HERE, inside=LAN.inside)
    ip("address", "add", f"{FORWARDED}/32", "dev", LAN.cable)
    try:
        yield
    finally:
        ip("address", "delete", f"{FORWARDED}/32", "dev", LAN.cable)


@pytest.mark.usefixtures("_lan")
def test_a_telephone_on_the_lan_calls_where_the_settings_name_an_address():
    with reaching(address=HERE) as line, on_the_lan(line) as phone, phone.calls("668267") as call:
        call.hears("welcome").presses("2").hears("ask_offender").presses("999999#").hears("nobody_found")


@pytest.mark.usefixtures("_lan")
def test_by_default_no_telephone_of_another_machine_reaches_it(line: Line):
    with pytest.raises(NoSuchThing, match="could not register"), on_the_lan(line):
        pass


@pytest.mark.usefixtures("_lan")
def test_where_ports_are_forwarded_telephones_are_told_the_address_outside():
    with forwarded(), reaching(address=FORWARDED, listen="0.0.0.0") as line, Cable() as cable:  # noqa: S104
        with on_the_lan(line) as phone, phone.calls("668267") as call:
            call.hears("welcome").presses("2").hears("ask_offender")
        answer = cable.said("SIP/2.0 200")
    assert re.search(rf"^Contact: <sip:{re.escape(FORWARDED)}:{line.settings.sip.port}>", answer, re.MULTILINE)
    assert f"c=IN IP4 {FORWARDED}" in answer
    assert HERE not in answer.partition("\r\n\r\n")[2]
