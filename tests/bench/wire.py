"""Times as the kernel saw them: when a SIP message or a packet of sound came in, whoever was busy reading it then."""

import ctypes
import re
import socket
import struct
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

SO_ATTACH_FILTER, SO_RCVBUFFORCE, SO_TIMESTAMPNS, ETH_P_IP = 26, 33, 35, 0x0800  # Linux's, not in the socket module
SOUND_PORTS = range(33000, 49000, 2)  # even ones: the control packets of a call go to the odd port above
SILENCE = bytes([0xFF]) * 160  # 20 ms, PCMU
KEY = 101  # the payload type of keys that softphones offer and Asterisk takes
PAUSE = 40_000_000  # nanoseconds without a packet of sound


@dataclass
class Call:
    """What was seen of a call that a telephone made. Times in nanoseconds of the kernel's clock."""

    port: int  # where it wants to hear
    invited: int
    answered: int | None = None
    heard: int | None = None
    refused: str = ""


def stamped(sock: socket.socket, size: int = 65535) -> tuple[bytes, int, tuple[str, int]]:
    """A packet, when the kernel received it, and from where."""
    data, extra, _, source = sock.recvmsg(size, 64)
    for level, kind, value in extra:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("ll", value[: struct.calcsize("ll")])
            return data, seconds * 10**9 + nanoseconds, source
    raise OSError("the kernel gave a packet no time")


class Telephones:
    """Many telephones on the loopback address, for whose SIP somebody else cares (SIPp). Used with `with`.

    They have an ear for each call: a socket that keeps the first packet of sound, with its time, and drops the rest in
    the kernel, so that hearing costs nothing while it is measured. As real telephones do, each sends sound as soon as
    it is answered: Asterisk's Answer waits for that, up to half a second.
    """

    def __init__(self, sip_port: int, ears: int) -> None:
        self._sip_port, self._count = sip_port, ears
        self.calls: dict[bytes, Call] = {}
        self.missed = 0  # messages for which the kernel had no room

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._ears = {}
            for port in SOUND_PORTS:
                if len(self._ears) == self._count:
                    break
                ear = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                ear.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                ear.settimeout(0)
                try:
                    ear.bind(("127.0.0.1", port))
                except OSError:
                    continue
                self._ears[port] = ear
            self._tap = stack.enter_context(tap(self._sip_port))
            self._stack = stack.pop_all()
        self._listening = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening = False
        self._thread.join()
        self._stack.close()

    @property
    def ports(self) -> list[int]:
        return list(self._ears)

    def hang_up(self) -> list[Call]:
        """Read what was heard; the calls in the order in which they were made."""
        self._listening = False
        self._thread.join()
        _, self.missed = struct.unpack("II", self._tap.getsockopt(263, 6, 8))  # SOL_PACKET, PACKET_STATISTICS
        for call in self.calls.values():
            call.heard = self._first_sound(self._ears[call.port])
        return sorted(self.calls.values(), key=lambda call: call.invited)

    @staticmethod
    def _first_sound(ear: socket.socket) -> int | None:
        while True:
            try:
                data, at, _ = stamped(ear)
            except BlockingIOError:
                return None
            if len(data) > 12 and data[1] & 0x7F == 0:  # PCMU
                return at

    def _listen(self) -> None:
        self._tap.settimeout(0.2)
        while self._listening:
            try:
                packet, at, _ = stamped(self._tap)
            except TimeoutError:
                continue
            self._note(packet[(packet[0] & 15) * 4 + 8 :], at)

    def _note(self, message: bytes, at: int) -> None:
        invite = message.startswith(b"INVITE ")
        if not invite and not (message.startswith(b"SIP/2.0 ") and re.search(rb"(?m)^CSeq: 1 INVITE", message)):
            return
        call_id = re.search(rb"(?m)^Call-ID: *(\S+)", message)
        media = re.search(rb"(?m)^m=audio (\d+)", message)
        if call_id is None:
            return
        if invite:
            if media and int(media[1]) in self._ears:
                self.calls.setdefault(call_id[1], Call(int(media[1]), at))
            return
        call, status = self.calls.get(call_id[1]), int(message[8:11])
        if call is None or call.answered or call.refused:
            return
        if status >= 300:
            call.refused = message[8:60].split(b"\r\n")[0].decode(errors="replace")
        elif status >= 200 and media:
            call.answered = at
            header = struct.pack("!BBHII", 0x80, 0, 1, 160, call.port)
            self._ears[call.port].sendto(header + SILENCE, ("127.0.0.1", int(media[1])))


class Reactions:
    """How long a caller waits: from the end of a key (RFC 4733) to the sound that answers it. Used with `with`.

    Of what was being said when the key came, a packet or two still follow; so it is the first sound after a silence.
    """

    def __init__(self, ports: range) -> None:
        self._ports = ports  # of the service's sound
        self.waits: list[float] = []  # milliseconds
        self._event = b""  # the RTP time of the key that was seen last
        self._key_at: int | None = None
        self._sound_at = 0
        self._silent = False

    def __enter__(self) -> Self:
        self._tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._tap.bind(("lo", ETH_P_IP))
        self._tap.settimeout(0.2)
        self._listening = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening = False
        self._thread.join()
        self._tap.close()

    def _listen(self) -> None:
        while self._listening:
            try:
                packet, at, _ = stamped(self._tap)
            except TimeoutError:
                continue
            if packet[9] == socket.IPPROTO_UDP:
                self._note(packet[(packet[0] & 15) * 4 :], at)

    def _note(self, datagram: bytes, at: int) -> None:
        source, target = struct.unpack("!HH", datagram[:4])
        sound, kind = datagram[20:], datagram[9] & 0x7F if len(datagram) > 20 else None
        if target in self._ports and kind == KEY and sound[1] & 0x80 and datagram[12:16] != self._event:
            self._event, self._key_at, self._silent = datagram[12:16], at, False
        elif source in self._ports and kind == 0:
            self._hear(sound, at)

    def _hear(self, sound: bytes, at: int) -> None:
        # Nothing is sent while nothing is said. Below 2 steps of PCMU's exponent it is silence: -38 dB of full scale.
        loud = any(~sample & 0x70 >= 0x20 for sample in sound)
        self._silent |= not loud or at - self._sound_at > PAUSE
        self._sound_at = at
        if loud and self._silent and self._key_at:
            self.waits.append((at - self._key_at) / 1e6)
            self._key_at = None


def tap(port: int) -> socket.socket:
    """What comes in over the loopback interface by UDP from or to a port, each packet with its IP header."""
    program = [  # in the language of the kernel's packet filter: (code, jump if true, jump if false, value)
        (0x30, 0, 0, 9),  # the protocol
        (0x15, 0, 8, 17),  # UDP?
        (0x28, 0, 0, 6),
        (0x45, 6, 0, 0x1FFF),  # a later fragment?
        (0xB1, 0, 0, 0),  # skip the IP header
        (0x48, 0, 0, 0),
        (0x15, 2, 0, port),  # from the port?
        (0x48, 0, 0, 2),
        (0x15, 0, 1, port),  # to the port?
        (0x06, 0, 0, 65535),  # take it
        (0x06, 0, 0, 0),  # leave it
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # deaf until it has its filter
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind(("lo", ETH_P_IP))
    except BaseException:
        sock.close()
        raise
    return sock
