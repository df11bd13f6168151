"""A telephone network in one thread: hundreds of telephones behind a trunk, each of which behaves in its own way.

SIPp plays one scenario for all of its calls, and cannot press keys at a moment that the number decides; so this is a
small answering side of SIP (RFC 3261) and of sound and keys (RFC 3550, RFC 4733).
"""

import heapq
import re
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, repeat
from random import Random
from typing import Self

from tests.bench.record import SECOND, Call
from tests.bench.wire import KEY, SILENCE, SO_RCVBUFFORCE, SO_TIMESTAMPNS, stamped

PACKET = 0.02  # seconds of sound in each
SAMPLES = 160  # in a packet
NOISE = [Random(turn).randbytes(SAMPLES) for turn in range(50)]  # noqa: S311  PCMU, as loud as speech
HELLO = 0.8  # seconds
KEY_PACKETS, KEY_PAUSE = 5, 8  # a key of 100 ms, and what a quick person takes until the next one
REPEAT, REPEAT_AT_MOST = 0.5, 4  # seconds until what nobody answered is sent again, at first and at last (RFC 3261)
GIVES_UP = 32  # seconds that an answer waits for its ACK: 64 x T1 (RFC 3261, 13.3.1.4)
WORD = 10  # packets of sound, a fifth of a second: less is a click, as when a call is cut off


@dataclass(frozen=True)
class Behaviour:
    """How a telephone behaves."""

    kind: str
    after: float | None = 0  # seconds until it is answered or refused; None: it rings until the caller gives up
    refusal: str = ""  # as "486 Busy Here"; empty: it is answered
    talks: float = 3600  # seconds from the answer until it hangs up, should the caller not have done so
    patience: float = 3600  # seconds in which it hears nothing, until it puts the telephone down and tells nobody
    noise: float = HELLO  # seconds in which who answers speaks
    keys: str = ""  # pressed some time after the answer
    keys_after: float = 0


BUSY = Behaviour("busy", refusal="486 Busy Here")


class Network:
    """Used with `with`. ``behave`` tells how the telephone of a number behaves, at each call to it.

    Only where the network ``listens`` its telephones hear: what nobody reads costs nothing. Port 0 is any that is free.
    """

    def __init__(
        self, behave: Callable[[str], Behaviour], *, address: str = "127.0.0.1", port: int = 0, listens: bool = False
    ) -> None:
        self.behave, self.address, self.port, self._listens = behave, address, port, listens
        self.calls: list[Call] = []
        self.asked_again = 0  # INVITEs that came a second time: somebody was too slow
        self.picks_up = True  # else telephones ring until it is

    def __enter__(self) -> Self:
        self._sip, self._sound = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._sip.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._sip.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        if not self._listens:
            self._sound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the kernel drops it
        for each, port in ((self._sip, self.port), (self._sound, 0)):
            each.bind((self.address, port))
        self.port = self._sip.getsockname()[1]
        self._legs: dict[bytes, _Leg] = {}  # by Call-ID
        self._talking: dict[tuple[str, int], _Leg] = {}  # by where they send their sound
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

    def caller_died(self) -> None:
        """Every call is over: the Asterisk that made them is no more, and can say so to nobody."""
        for leg in list(self._legs.values()):
            self._end(leg, time.time_ns())

    def _run(self) -> None:
        speak_at = time.monotonic()
        heard = [self._sip, self._sound] if self._listens else [self._sip]
        while self._open:
            now = time.monotonic()
            due = min(speak_at, self._agenda[0][0]) if self._agenda else speak_at
            ready = select.select(heard, [], [], max(0, due - now))[0]
            if self._sip in ready:
                self._receive(*stamped(self._sip))
            if self._sound in ready:
                source = self._sound.recvfrom(2048)[1]
                if leg := self._talking.get(source):
                    leg.hear(time.time_ns())
            now = time.monotonic()
            while self._agenda and self._agenda[0][0] <= now:
                heapq.heappop(self._agenda)[2]()
            if now >= speak_at:
                speak_at = max(speak_at + PACKET, now - 5 * PACKET)
                for leg in list(self._talking.values()):
                    self._send(leg.says(), leg.sound, self._sound)

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._turn), do))

    def _send(self, message: bytes, to: tuple[str, int], by: socket.socket | None = None) -> None:
        with suppress(OSError):  # they are cut off: what matters is asked for again
            (by or self._sip).sendto(message, to)

    def _receive(self, message: bytes, at: int, source: tuple[str, int]) -> None:
        method = message.split(b" ", 1)[0]
        leg = self._legs.get(_header(message, b"Call-ID"))
        if method == b"INVITE":
            if leg:
                self.asked_again += 1
                self._send(leg.last_answer, source)
            else:
                self._invited(_Leg(message, source), at)
        elif method == b"OPTIONS":
            self._send(_answer(message, b"200 OK"), source)
        elif method in {b"BYE", b"CANCEL"}:
            ends = leg and leg.call.ended is None and (method == b"BYE" or leg.call.answered is None)
            if leg and ends:  # on record before the other side can know
                self._end(leg, at, "caller" if leg.call.answered else "")
            self._send(_answer(message, b"200 OK" if leg else b"481 Call/Transaction Does Not Exist"), source)
            if leg and ends and method == b"CANCEL":
                self._answer(leg, "487 Request Terminated")
        elif leg:
            leg.acknowledged |= method == b"ACK"
            leg.goodbye_heard |= method == b"SIP/2.0"

    def _invited(self, leg: "_Leg", at: int) -> None:
        behaviour = self.behave(leg.number)
        self._legs[_header(leg.invite, b"Call-ID")] = leg
        leg.call = Call(leg.number, at, caller=leg.source[0])
        self.calls.append(leg.call)
        if behaviour.refusal and not behaviour.after:
            return self._refuse(leg, behaviour.refusal)
        self._answer(leg, "180 Ringing")
        if behaviour.after is None:
            return None
        if behaviour.refusal:
            self._later(behaviour.after, lambda: self._refuse(leg, behaviour.refusal))
        else:
            self._later(behaviour.after, lambda: self._pick_up(leg, behaviour))
        return None

    def _answer(self, leg: "_Leg", status: str, body: bytes = b"") -> None:
        leg.last_answer = _answer(leg.invite, status.encode(), (self.address, self.port), body)
        self._send(leg.last_answer, leg.source)

    def _refuse(self, leg: "_Leg", status: str) -> None:
        if leg.call.ended is None:
            self._end(leg, time.time_ns())
            self._answer(leg, status)

    def _pick_up(self, leg: "_Leg", behaviour: Behaviour) -> None:
        if leg.call.ended is not None:
            return
        if not self.picks_up:
            self._later(PACKET, lambda: self._pick_up(leg, behaviour))
            return
        leg.voice = _voice(behaviour)
        self._answer(leg, "200 OK", _SDP % (self.address.encode(), self.address.encode(), self._sound.getsockname()[1]))
        leg.call.answered = time.time_ns()
        self._talking[leg.sound] = leg
        self._later(behaviour.talks, lambda: self._hang_up(leg))
        self._later(REPEAT, lambda: self._answer_again(leg, REPEAT))
        if self._listens:
            self._later(behaviour.patience, lambda: self._grow_impatient(leg, behaviour.patience))

    def _answer_again(self, leg: "_Leg", after: float) -> None:
        if leg.acknowledged or leg.call.ended is not None or leg.call.answered is None:
            return
        if time.time_ns() > leg.call.answered + GIVES_UP * SECOND:
            self._end(leg, time.time_ns(), "telephone")
            return
        self._send(leg.last_answer, leg.source)
        again = min(REPEAT_AT_MOST, 2 * after)
        self._later(again, lambda: self._answer_again(leg, again))

    def _grow_impatient(self, leg: "_Leg", patience: float) -> None:
        if leg.call.ended is not None:
            return
        silent = (time.time_ns() - max(leg.call.answered or 0, *leg.sounds, 0)) / SECOND
        if silent >= patience:
            self._end(leg, time.time_ns(), "telephone")
        else:
            self._later(patience - silent, lambda: self._grow_impatient(leg, patience))

    def _hang_up(self, leg: "_Leg") -> None:
        if leg.call.ended is None:
            self._end(leg, time.time_ns(), "telephone")
            self._say_goodbye(leg)

    def _end(self, leg: "_Leg", at: int, by: str = "") -> None:
        self._talking.pop(leg.sound, None)
        if leg.call.ended is None:
            leg.call.hung_up_by, leg.call.ended = by, at

    def _say_goodbye(self, leg: "_Leg") -> None:
        if not leg.goodbye_heard:
            self._send(leg.bye((self.address, self.port)), leg.source)
            self._later(REPEAT, lambda: self._say_goodbye(leg))


class _Leg:
    """The network's side of a call."""

    call: Call
    voice: "Iterator[_Packet]"

    def __init__(self, invite: bytes, source: tuple[str, int]) -> None:
        self.invite, self.source = invite, source
        number = re.match(rb"INVITE sip:(\d+)@", invite)
        self.number = number[1].decode() if number else ""
        address, media = re.search(rb"(?m)^c=IN IP4 (\S+)", invite), re.search(rb"(?m)^m=audio (\d+)", invite)
        self.sound = (address[1].decode() if address else source[0], int(media[1]) if media else 9)
        self.last_answer = b""
        self.acknowledged = self.goodbye_heard = False
        self.sounds: deque[int] = deque(maxlen=WORD)  # when the last of them came
        self._sent, self._source_id = 0, next(_SOURCE_IDS)

    def hear(self, at: int) -> None:
        self.sounds.append(at)
        if len(self.sounds) == WORD and at - self.sounds[0] < 2 * WORD * PACKET * SECOND:
            self.call.heard_until = at

    def says(self) -> bytes:
        """The next 20 ms. A key keeps the time of its beginning (RFC 4733)."""
        self._sent += 1
        kind, payload, since = next(self.voice)
        at = (self._sent - since) * SAMPLES
        return struct.pack("!BBHII", 0x80, kind, self._sent & 0xFFFF, at, self._source_id) + payload

    def bye(self, own: tuple[str, int]) -> bytes:
        contact = re.search(rb"<([^>]*)>", _header(self.invite, b"Contact"))
        target = contact[1] if contact else b"sip:%s:%d" % (self.source[0].encode(), self.source[1])
        fields = (
            b"BYE %s SIP/2.0" % target,
            b"Via: SIP/2.0/UDP %s:%d;branch=z9hG4bK%x;rport" % (own[0].encode(), own[1], self._source_id),
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
    b"v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 101\r\n"
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


def _answer(request: bytes, status: bytes, own: tuple[str, int] | None = None, body: bytes = b"") -> bytes:
    same = re.findall(rb"(?m)^((?:Via|From|To|Call-ID|CSeq): .*?)\r$", request)
    same = [line + b";tag=" + TAG if line.startswith(b"To:") and b";tag=" not in line else line for line in same]
    if own:
        same.append(b"Contact: <sip:%s:%d>" % (own[0].encode(), own[1]))
    if body:
        same.append(b"Content-Type: application/sdp")
    same.append(b"Content-Length: %d" % len(body))
    return b"SIP/2.0 " + status + b"\r\n" + b"\r\n".join(same) + b"\r\n\r\n" + body
