"""A telephone network behind the service's trunk, whose telephones answer, enter their PIN, and keep a record.

Sources: RFC 3261 (SIP, the called side), RFC 3550 (RTP), RFC 4733 (keys). One thread; times are of time.time().
"""

from __future__ import annotations

import math
import random
import re
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

FRAME = 0.02  # seconds of sound in a packet
SAMPLES = 160
SILENCE = b"\xff" * SAMPLES  # PCMU
KEY_FRAMES, END_FRAMES, GAP_FRAMES = 5, 3, 4
GIVES_UP = 32  # seconds that an answer waits for its ACK: 64 x T1 (RFC 3261, 13.3.1.4)
WORD = 10  # packets, a fifth of a second: less is a click, as when a call is cut off
RINGS, THINKS = 0.3, 4.5  # seconds until somebody picks up, and from there until they enter the PIN


@dataclass
class Rang:
    """One call as its telephone saw it. `ended` is None while it lasts."""

    number: str
    invited: float
    answered: float | None = None
    ended: float | None = None
    heard_until: float | None = None  # when the last sound arrived
    why: str = ""
    caller: str = ""  # the address that the call came from


@dataclass
class _Line:
    rang: Rang
    invite: bytes
    source: tuple[str, int]
    tag: str = field(default_factory=lambda: f"{random.getrandbits(32):x}")
    media: socket.socket | None = None
    sound_to: tuple[str, int] | None = None
    key_type: int = 101
    response: bytes = b""
    acknowledged: bool = False
    resend_at: float = 0
    resend_after: float = 0.5
    next_frame: float = 0
    sequence: int = 0
    stamp: int = 0
    keys: list[bytes | None] = field(default_factory=list)  # frames of keys that are still to be sent
    sounds: deque[float] = field(default_factory=lambda: deque(maxlen=WORD))  # when the last of them arrived

    def hears(self) -> None:
        now = time.time()
        self.sounds.append(now)
        if len(self.sounds) == WORD and self.sounds[0] > now - 2 * WORD * FRAME:
            self.rang.heard_until = now


class Telephones:
    """Used with `with`. A telephone that is in a call is busy to any other.

    Who hears nothing for `patience` seconds puts it down: their caller is cut off, and is not told.
    """

    def __init__(
        self,
        port: int,
        *,
        address: str = "127.0.0.1",
        pin: str = "2580",
        thinks: float = THINKS,
        patience: float = math.inf,
    ) -> None:
        self.port, self.address, self._pin, self._thinks, self._patience = port, address, pin, thinks, patience
        self._picks_up = True
        self.record: list[Rang] = []
        self._lines: dict[str, _Line] = {}  # by Call-ID
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sip.bind((self.address, self.port))
        self._open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()
        for line in self._lines.values():
            self._end(line, "the network was switched off")
            if line.media is not None:
                line.media.close()
        self._sip.close()

    @contextmanager
    def nobody_picks_up(self) -> Iterator[None]:
        """Inside the block telephones ring, and are picked up after it."""
        self._picks_up = False
        try:
            yield
        finally:
            self._picks_up = True

    def ringing(self, number: str) -> bool:
        with self._lock:
            return any(rang.number == number and rang.answered is rang.ended is None for rang in self.record)

    def talks(self, number: str) -> bool:
        with self._lock:
            return any(rang.number == number and rang.answered and rang.ended is None for rang in self.record)

    def caller_died(self) -> None:
        """Every call is over: the Asterisk that made them is no more, and can say so to nobody."""
        with self._lock:
            for line in self._lines.values():
                self._end(line, "the caller died")

    def calls(self) -> list[Rang]:
        """Every call so far, oldest first."""
        with self._lock:
            return [Rang(**vars(rang)) for rang in self.record]

    # What happens

    def _run(self) -> None:
        while self._open:
            media = {line.media: line for line in self._lines.values() if line.media is not None}
            ready, _, _ = select.select([self._sip, *media], [], [], FRAME / 2 if media else FRAME)
            with self._lock:
                for each in ready:
                    try:
                        message, source = each.recvfrom(65536)
                    except OSError:  # an ICMP error: nobody listens there any more
                        continue
                    if each is self._sip:
                        self._asked(message, source)
                    else:
                        media[each].hears()
                for line in list(self._lines.values()):
                    self._goes_on(line)

    def _asked(self, message: bytes, source: tuple[str, int]) -> None:
        method = message.split(b" ", 1)[0]
        line = self._lines.get(_header(message, b"Call-ID"))
        if method == b"OPTIONS":
            self._send(source, _response(message, "200 OK"))
        elif method == b"INVITE":
            if line is None:
                self._rings(message, source)
            elif line.response:  # it was sent again
                self._send(source, line.response)
        elif line is None:
            if method != b"ACK":
                self._send(source, _response(message, "481 Call/Transaction Does Not Exist"))
        elif method == b"ACK":
            line.acknowledged = True
        elif method in {b"BYE", b"CANCEL"}:
            self._send(source, _response(message, "200 OK"))
            if method == b"CANCEL" and line.rang.answered is None and line.rang.ended is None:
                self._respond(line, "487 Request Terminated")
            self._end(line, method.decode())

    def _rings(self, message: bytes, source: tuple[str, int]) -> None:
        called = re.match(rb"INVITE sip:([^@;>]*)", message)
        number = called[1].decode() if called else ""
        busy = any(rang.number == number and rang.ended is None for rang in self.record)
        line = _Line(Rang(number, time.time(), caller=source[0]), message, source)
        self.record.append(line.rang)
        self._lines[_header(message, b"Call-ID")] = line
        self._send(source, _response(message, "100 Trying"))
        if busy:
            self._respond(line, "486 Busy Here")
            self._end(line, "was busy")
        else:
            self._respond(line, "180 Ringing")

    def _goes_on(self, line: _Line) -> None:
        now, rang = time.time(), line.rang
        if rang.ended is not None:
            if line.media is not None:
                line.media.close()
                line.media = None
            return
        if rang.answered is None:
            if self._picks_up and now > rang.invited + RINGS:
                self._answer(line)
            return
        if not line.acknowledged and now > line.resend_at:
            if now > rang.answered + GIVES_UP:
                self._end(line, "its answer was never acknowledged")
                return
            self._send(line.source, line.response)
            line.resend_at, line.resend_after = now + line.resend_after, min(4, 2 * line.resend_after)
        if now > max(rang.answered, line.sounds[-1] if line.sounds else 0) + self._patience:
            self._end(line, "heard nothing")
            return
        while now > line.next_frame:
            self._send_frame(line)
            line.next_frame += FRAME

    def _answer(self, line: _Line) -> None:
        media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        media.bind((self.address, 0))
        address = re.search(rb"c=IN IP4 (\S+)", line.invite)
        port = re.search(rb"m=audio (\d+)", line.invite)
        if not (address and port):
            raise ValueError("an INVITE without sound")
        if keys := re.search(rb"a=rtpmap:(\d+) telephone-event/8000", line.invite):
            line.key_type = int(keys[1])
        line.media, line.sound_to = media, (address[1].decode(), int(port[1]))
        sdp = (
            f"v=0\r\no=- 1 1 IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {self.address}\r\nt=0 0\r\n"
            f"m=audio {media.getsockname()[1]} RTP/AVP 0 {line.key_type}\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=rtpmap:{line.key_type} telephone-event/8000\r\n"
        )
        line.rang.answered = line.next_frame = time.time()
        line.resend_at = line.rang.answered + line.resend_after
        waiting = round(self._thinks / FRAME)
        line.keys = [None] * waiting + [frame for key in self._pin for frame in _key(int(key))]
        self._respond(line, "200 OK", sdp)

    def _send_frame(self, line: _Line) -> None:
        """Twenty milliseconds of silence, or a piece of a key."""
        frame = line.keys.pop(0) if line.keys else None
        line.sequence = line.sequence + 1 & 0xFFFF
        kind, payload = (0, SILENCE) if frame is None else (line.key_type, frame[1:])
        stamp = line.stamp
        if frame is not None:  # all packets of a key have the time at which it began
            stamp -= frame[0] * SAMPLES
        packet = struct.pack("!BBHII", 0x80, kind, line.sequence, stamp & 0xFFFFFFFF, 1) + payload
        line.stamp += SAMPLES
        if line.media is not None and line.sound_to is not None:
            with suppress(OSError):  # nobody listens there any more
                line.media.sendto(packet, line.sound_to)

    def _end(self, line: _Line, why: str) -> None:
        if line.rang.ended is None:
            line.rang.ended, line.rang.why = time.time(), why

    def _respond(self, line: _Line, status: str, sdp: str = "") -> None:
        line.response = _response(line.invite, status, line.tag, sdp)
        self._send(line.source, line.response)

    def _send(self, to: tuple[str, int], message: bytes) -> None:
        with suppress(OSError):  # the caller is gone; it will ask again
            self._sip.sendto(message, to)


def _key(digit: int) -> list[bytes | None]:
    """A key's packets, each with the number of frames since it began before it; then a pause."""
    frames = [bytes((number, digit, 10)) + struct.pack("!H", (number + 1) * SAMPLES) for number in range(KEY_FRAMES)]
    length = struct.pack("!H", KEY_FRAMES * SAMPLES)
    frames += [bytes((KEY_FRAMES + number, digit, 0x80 | 10)) + length for number in range(END_FRAMES)]
    return [*frames, *[None] * GAP_FRAMES]


def _header(message: bytes, name: bytes) -> str:
    found = re.search(rb"(?mi)^" + name + rb":\s*(.*?)\r?$", message)
    return found[1].decode() if found else ""


def _asked_for(request: bytes) -> bytes:
    """The address that a request goes to, which is the telephone's own."""
    return request.split(b" ", 2)[1].partition(b";")[0]


def _response(request: bytes, status: str, tag: str = "network", sdp: str = "") -> bytes:
    same = re.findall(rb"(?mi)^(?:Via|From|To|Call-ID|CSeq|Record-Route):.*?\r?$", request)
    lines = [line.strip() for line in same]
    if not status.startswith("100"):
        lines = [
            line + f";tag={tag}".encode() if line.lower().startswith(b"to:") and b"tag=" not in line else line
            for line in lines
        ]
    head = [f"SIP/2.0 {status}".encode(), *lines, b"Contact: <" + _asked_for(request) + b">"]
    if sdp:
        head.append(b"Content-Type: application/sdp")
    return b"\r\n".join([*head, f"Content-Length: {len(sdp)}".encode(), b"", sdp.encode()])
