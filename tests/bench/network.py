"""A telephone network in one thread: hundreds of telephones behind a trunk, each of which behaves in its own way.

SIPp plays one scenario for all of its calls, and cannot press keys at a moment that the number decides; so this is a
small answering side of SIP (RFC 3261) and of sound and keys (RFC 3550, RFC 4733), on the loopback address only.
"""

import heapq
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, repeat
from random import Random
from typing import Self

from tests.bench.record import Call
from tests.bench.wire import KEY, SILENCE, SO_RCVBUFFORCE, SO_TIMESTAMPNS, stamped

PACKET = 0.02  # seconds of sound in each
SAMPLES = 160  # in a packet
NOISE = [Random(turn).randbytes(SAMPLES) for turn in range(50)]  # noqa: S311  PCMU, as loud as speech
HELLO = 0.8  # seconds
KEY_PACKETS, KEY_PAUSE = 5, 8  # a key of 100 ms, and what a quick person takes until the next one
REPEAT = 0.5  # seconds without an answer after which a BYE is sent again (RFC 3261, T1)


@dataclass(frozen=True)
class Behaviour:
    """How a telephone behaves."""

    kind: str
    after: float | None = 0  # seconds until it is answered or refused; None: it rings until the caller gives up
    refusal: str = ""  # as "486 Busy Here"; empty: it is answered
    talks: float = 3600  # seconds from the answer until it hangs up, should the caller not have done so
    noise: float = HELLO  # seconds in which who answers speaks
    keys: str = ""  # pressed some time after the answer
    keys_after: float = 0


class Network:
    """Used with `with`. ``behave`` tells how the telephone of a number behaves, at each call to it."""

    def __init__(self, behave: Callable[[str], Behaviour]) -> None:
        self.behave = behave
        self.calls: list[Call] = []
        self.asked_again = 0  # messages that came a second time: somebody was too slow

    def __enter__(self) -> Self:
        self._sip, self._sound = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._sip.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._sip.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self._sound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # nobody listens: the kernel drops it
        for each in (self._sip, self._sound):
            each.bind(("127.0.0.1", 0))
        self.port: int = self._sip.getsockname()[1]
        self._legs: dict[bytes, _Leg] = {}  # by Call-ID
        self._talking: dict[bytes, _Leg] = {}
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._turn = count()
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()
        self._sip.close()
        self._sound.close()

    def forget(self) -> None:
        """Begin a new record."""
        self.calls = []

    def _run(self) -> None:
        speak_at = time.monotonic()
        while self._open:
            now = time.monotonic()
            due = min(speak_at, self._agenda[0][0]) if self._agenda else speak_at
            if select.select([self._sip], [], [], max(0, due - now))[0]:
                self._receive(*stamped(self._sip))
            now = time.monotonic()
            while self._agenda and self._agenda[0][0] <= now:
                heapq.heappop(self._agenda)[2]()
            if now >= speak_at:
                speak_at = max(speak_at + PACKET, now - 5 * PACKET)
                for leg in self._talking.values():
                    leg.speak(self._sound)

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._turn), do))

    def _receive(self, message: bytes, at: int, source: tuple[str, int]) -> None:
        call_id = _header(message, b"Call-ID")
        method = message.split(b" ", 1)[0]
        leg = self._legs.get(call_id)
        if method == b"INVITE":
            if leg:
                self.asked_again += 1
                self._sip.sendto(leg.last_answer, source)
            else:
                self._invited(_Leg(message, source), call_id, at)
        elif method == b"CANCEL" and leg:
            given_up = leg.call.answered is None and leg.call.ended is None
            if given_up:
                leg.call.ended = at
            self._sip.sendto(_answer(message, b"200 OK"), source)
            if given_up:
                self._answer(leg, "487 Request Terminated")
        elif method == b"BYE":
            if leg and leg.call.ended is None:
                leg.call.ended, leg.call.hung_up_by = at, "caller"
                self._talking.pop(call_id, None)
            self._sip.sendto(_answer(message, b"200 OK"), source)
        elif method == b"OPTIONS":
            self._sip.sendto(_answer(message, b"200 OK"), source)
        elif method == b"SIP/2.0" and leg:
            leg.goodbye_heard = True

    def _invited(self, leg: "_Leg", call_id: bytes, at: int) -> None:
        self._legs[call_id] = leg
        leg.call = Call(leg.number, at)
        self.calls.append(leg.call)
        behaviour = self.behave(leg.number)
        if behaviour.refusal and not behaviour.after:
            return self._refuse(leg, behaviour.refusal)
        self._answer(leg, "180 Ringing")
        if behaviour.after is None:
            return None
        if behaviour.refusal:
            self._later(behaviour.after, lambda: self._refuse(leg, behaviour.refusal))
        else:
            self._later(behaviour.after, lambda: self._pick_up(leg, call_id, behaviour))
        return None

    def _answer(self, leg: "_Leg", status: str, body: bytes = b"") -> None:
        leg.last_answer = _answer(leg.invite, status.encode(), self.port, body)
        self._sip.sendto(leg.last_answer, leg.source)

    def _refuse(self, leg: "_Leg", status: str) -> None:
        if leg.call.ended is None:
            leg.call.ended = time.time_ns()
            self._answer(leg, status)

    def _pick_up(self, leg: "_Leg", call_id: bytes, behaviour: Behaviour) -> None:
        if leg.call.ended is not None:
            return
        leg.voice = _voice(behaviour)
        self._answer(leg, "200 OK", _SDP % self._sound.getsockname()[1])
        leg.call.answered = time.time_ns()
        self._talking[call_id] = leg
        self._later(behaviour.talks, lambda: self._hang_up(leg, call_id))

    def _hang_up(self, leg: "_Leg", call_id: bytes) -> None:
        if leg.call.ended is None:
            leg.call.ended, leg.call.hung_up_by = time.time_ns(), "telephone"
            self._talking.pop(call_id, None)
            self._say_goodbye(leg)

    def _say_goodbye(self, leg: "_Leg") -> None:
        if not leg.goodbye_heard:
            self._sip.sendto(leg.bye(self.port), leg.source)
            self._later(REPEAT, lambda: self._say_goodbye(leg))


class _Leg:
    """The network's side of a call."""

    call: Call
    voice: "Iterator[_Packet]"

    def __init__(self, invite: bytes, source: tuple[str, int]) -> None:
        self.invite, self.source = invite, source
        number = re.match(rb"INVITE sip:(\d+)@", invite)
        self.number = number[1].decode() if number else ""
        media = re.search(rb"(?m)^m=audio (\d+)", invite)
        self._hears_at = ("127.0.0.1", int(media[1]) if media else 9)
        self.last_answer = b""
        self.goodbye_heard = False
        self._sent, self._source_id = 0, next(_SOURCE_IDS)

    def speak(self, sock: socket.socket) -> None:
        """Send the next 20 ms. A key keeps the time of its beginning (RFC 4733)."""
        self._sent += 1
        kind, payload, since = next(self.voice)
        at = (self._sent - since) * SAMPLES
        header = struct.pack("!BBHII", 0x80, kind, self._sent & 0xFFFF, at, self._source_id)
        sock.sendto(header + payload, self._hears_at)

    def bye(self, port: int) -> bytes:
        contact = re.search(rb"<([^>]*)>", _header(self.invite, b"Contact"))
        target = contact[1] if contact else b"sip:%s:%d" % (self.source[0].encode(), self.source[1])
        fields = (
            b"BYE %s SIP/2.0" % target,
            b"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%x;rport" % (port, self._source_id),
            b"From: %s;tag=%s" % (_header(self.invite, b"To"), TAG),
            b"To: " + _header(self.invite, b"From"),
            b"Call-ID: " + _header(self.invite, b"Call-ID"),
            b"CSeq: 1 BYE",
            b"Max-Forwards: 70",
            b"Content-Length: 0",
        )
        return b"\r\n".join(fields) + b"\r\n\r\n"


_Packet = tuple[int, bytes, int]  # the kind of payload, the payload, how many packets ago it began
TAG = b"network"
_SOURCE_IDS = count(1)
_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
)


def _voice(behaviour: Behaviour) -> "Iterator[_Packet]":
    """What is heard from a telephone, 20 ms at a time, without end: speech, keys, and silence between and after."""
    speech, until_keys = round(behaviour.noise / PACKET), round(behaviour.keys_after / PACKET)
    for turn in range(speech):
        yield 0, NOISE[turn % len(NOISE)], 0
    yield from repeat((0, SILENCE, 0), max(0, until_keys - speech) if behaviour.keys else 0)
    for key in behaviour.keys:
        event = "0123456789*#".index(key)
        for turn in range(KEY_PACKETS):
            marker = 0x80 if turn == 0 else 0
            yield marker | KEY, struct.pack("!BBH", event, 10, (turn + 1) * SAMPLES), turn
        for turn in range(3):  # its end, three times, as it may get lost
            yield KEY, struct.pack("!BBH", event, 0x8A, KEY_PACKETS * SAMPLES), KEY_PACKETS + turn
        yield from repeat((0, SILENCE, 0), KEY_PAUSE - 3)
    yield from repeat((0, SILENCE, 0))


def _header(message: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?mi)^%s: *(.*?)\r$" % name, message)
    return found[1] if found else b""


def _answer(request: bytes, status: bytes, port: int = 0, body: bytes = b"") -> bytes:
    same = re.findall(rb"(?m)^((?:Via|From|To|Call-ID|CSeq): .*?)\r$", request)
    same = [line + b";tag=" + TAG if line.startswith(b"To:") and b";tag=" not in line else line for line in same]
    if port:
        same.append(b"Contact: <sip:127.0.0.1:%d>" % port)
    if body:
        same.append(b"Content-Type: application/sdp")
    same.append(b"Content-Length: %d" % len(body))
    return b"SIP/2.0 " + status + b"\r\n" + b"\r\n".join(same) + b"\r\n\r\n" + body
