"""The telephones answer, enter their PIN, and note what an oracle can trust."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from tests.chaos.oracle import two_at_once
from tests.chaos.telephones import Telephones
from tests.live.softphone import free_port

SDP = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
END = 0x80  # of a key (RFC 4733, 2.3.3)


class Caller:
    """What Asterisk is to the telephones."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self.sip, self.sound = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self.sip, self.sound):
            each.bind(("127.0.0.1", 0))
            each.settimeout(3)

    def asks(self, method: str, call: str, body: str = "") -> None:
        head = f"{method} sip:5735550142@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch={call}{method}\r\n"
        same = f"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\n\r\n"
        self.sip.sendto((head + same + body).encode(), self._to)

    def invites(self, call: str) -> None:
        self.asks("INVITE", call, SDP.format(port=self.sound.getsockname()[1]))

    def is_told(self, call: str, method: str = "INVITE") -> str:
        """The next answer to this; what is said again of something else is passed over."""
        while True:
            answer, *fields = self.sip.recv(65536).decode().split("\r\n")
            if f"Call-ID: {call}" in fields and f"CSeq: 1 {method}" in fields:
                return answer.removeprefix("SIP/2.0 ")

    def keys(self, many: int) -> str:
        """The next keys, as they are at the first of their end packets."""
        found: dict[int, int] = {}
        while len(found) < many:
            packet = self.sound.recv(1000)
            if packet[1] & 0x7F == 101 and packet[13] & END:
                found.setdefault(struct.unpack("!I", packet[4:8])[0], packet[12])
        return "".join(map(str, found.values()))


@pytest.fixture
def telephones() -> Iterator[Telephones]:
    with Telephones(free_port(), thinks=0.1) as running:
        yield running


@pytest.fixture
def caller(telephones: Telephones) -> Iterator[Caller]:
    calling = Caller(telephones.port)
    with calling.sip, calling.sound:
        yield calling


def test_somebody_picks_up_enters_the_pin_and_is_hung_up_on(telephones: Telephones, caller: Caller):
    caller.invites("one")
    assert [caller.is_told("one") for _ in range(2)] == ["180 Ringing", "200 OK"]
    caller.asks("ACK", "one")
    assert caller.keys(4) == "2580"
    caller.asks("BYE", "one")
    assert caller.is_told("one", "BYE") == "200 OK"
    (call,) = telephones.record()
    assert (call.number, call.hung_up_by) == ("5735550142", "caller")
    assert call.answered is not None and call.ended is not None and call.invited < call.answered < call.ended


def test_a_telephone_in_a_call_is_busy_and_that_is_noted(telephones: Telephones, caller: Caller):
    caller.invites("one")
    assert [caller.is_told("one") for _ in range(2)][-1] == "200 OK"
    caller.invites("two")
    assert caller.is_told("two") == "486 Busy Here"
    assert len(two_at_once(telephones.record())) == 1


def test_an_answer_is_said_again_until_it_is_acknowledged(caller: Caller):
    caller.invites("one")
    assert [caller.is_told("one") for _ in range(3)][-2:] == ["200 OK", "200 OK"]


def test_who_gives_up_is_no_longer_rung(telephones: Telephones, caller: Caller):
    with telephones.nobody_picks_up():
        caller.invites("one")
        assert caller.is_told("one") == "180 Ringing"
        assert telephones.ringing("5735550142")
        caller.asks("CANCEL", "one")
        assert caller.is_told("one", "CANCEL") == "200 OK"
        assert caller.is_told("one") == "487 Request Terminated"
    assert not telephones.ringing("5735550142")


def test_calls_are_over_when_their_asterisk_has_died(telephones: Telephones, caller: Caller):
    caller.invites("one")
    assert [caller.is_told("one") for _ in range(2)][-1] == "200 OK"
    telephones.caller_died()
    caller.invites("two")
    assert caller.is_told("two") == "180 Ringing"
    assert two_at_once(telephones.record()) == []


def test_a_click_is_not_heard_as_words(telephones: Telephones, caller: Caller):
    caller.invites("one")
    assert [caller.is_told("one") for _ in range(2)][-1] == "200 OK"
    where = caller.sound.recvfrom(1000)[1]
    for _ in range(5):
        caller.sound.sendto(bytes(172), where)
        time.sleep(0.02)
    time.sleep(0.05)
    assert telephones.record()[0].heard_until is None
    until = time.monotonic() + 5
    while telephones.record()[0].heard_until is None:
        assert time.monotonic() < until
        caller.sound.sendto(bytes(172), where)
        time.sleep(0.02)
