"""Telephones of the made-up network, rung by a caller who speaks SIP by hand."""

import socket
import struct
from collections.abc import Iterator

import pytest

from tests.bench.wire import KEY
from tests.network import Behaviour, Network

BEHAVIOURS = {
    "5735550101": Behaviour("busy", refusal="486 Busy Here"),
    "5735550102": Behaviour("unanswered", None),
    "5735550103": Behaviour("confirmed", keys="2580", keys_after=0.1, noise=0.06),
    "5735550104": Behaviour("unconfirmed", talks=0.1),
}


class Caller:
    """Somebody who calls through the network's trunk."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.sip, self.sound = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self.sip, self.sound):
            each.bind(("127.0.0.1", 0))
            each.settimeout(5)

    def sends(self, method: str, number: str, sequence: int = 1) -> None:
        own = self.sip.getsockname()[1]
        body = f"v=0\r\nm=audio {self.sound.getsockname()[1]} RTP/AVP 0 101\r\n" if method == "INVITE" else ""
        text = (
            f"{method} sip:{number}@127.0.0.1:{self.network.port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{number}\r\nFrom: <sip:service@127.0.0.1>;tag=service\r\n"
            f"To: <sip:{number}@127.0.0.1>\r\nCall-ID: {number}\r\nCSeq: {sequence} {method}\r\n"
            f"Contact: <sip:service@127.0.0.1:{own}>\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        self.sip.sendto(text.encode(), ("127.0.0.1", self.network.port))

    def hears(self, beginning: str) -> str:
        message = self.sip.recv(65535).decode()
        assert message.startswith(beginning)
        return message

    def hears_keys(self, many: int) -> str:
        """So many keys, each counted once however often its end was sent."""
        pressed: dict[int, str] = {}
        while len(pressed) < many:
            packet = self.sound.recv(2048)
            kind, at = packet[1] & 0x7F, struct.unpack("!I", packet[4:8])[0]
            if kind == KEY and packet[13] & 0x80:
                pressed[at] = "0123456789*#"[packet[12]]
        return "".join(pressed.values())


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Network(BEHAVIOURS.__getitem__) as network:
        caller = Caller(network)
        with caller.sip, caller.sound:
            yield caller


def test_a_busy_telephone_refuses_at_once(caller: Caller) -> None:
    caller.sends("INVITE", "5735550101")
    caller.hears("SIP/2.0 486 Busy Here")
    (call,) = caller.network.calls
    assert call.ended
    assert call.ended - call.invited < 10**9
    assert call.talked is None


def test_a_telephone_that_nobody_answers_rings_until_it_is_given_up(caller: Caller) -> None:
    caller.sends("INVITE", "5735550102")
    caller.hears("SIP/2.0 180")
    assert caller.network.calls[0].ended is None
    caller.sends("CANCEL", "5735550102")
    caller.hears("SIP/2.0 200")
    assert "CSeq: 1 INVITE" in caller.hears("SIP/2.0 487")
    assert caller.network.calls[0].ended


def test_who_answers_presses_the_keys_until_the_caller_hangs_up(caller: Caller) -> None:
    caller.sends("INVITE", "5735550103")
    caller.hears("SIP/2.0 180")
    assert "m=audio" in caller.hears("SIP/2.0 200")
    assert caller.hears_keys(4) == "2580"
    caller.sends("BYE", "5735550103", 2)
    while "CSeq: 2 BYE" not in caller.hears("SIP/2.0 200"):
        pass  # the answer to the INVITE, said again: nobody acknowledged it
    (call,) = caller.network.calls
    assert call.hung_up_by == "caller"
    assert call.talked
    assert call.talked > 4 * 0.1


def test_a_telephone_hangs_up_by_itself_and_says_so_until_it_is_heard(caller: Caller) -> None:
    caller.sends("INVITE", "5735550104")
    caller.hears("SIP/2.0 180")
    caller.hears("SIP/2.0 200")
    own = caller.sip.getsockname()[1]
    for _ in range(2):
        caller.hears(f"BYE sip:service@127.0.0.1:{own} SIP/2.0")
    assert caller.network.calls[0].hung_up_by == "telephone"


def test_an_invite_that_comes_again_is_the_same_call(caller: Caller) -> None:
    for _ in range(2):
        caller.sends("INVITE", "5735550101")
        caller.hears("SIP/2.0 486 Busy Here")
    assert len(caller.network.calls) == 1
    assert caller.network.asked_again == 1
