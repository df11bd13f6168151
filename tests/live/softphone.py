"""A telephone that a test can use: Debian's baresip (1.0 and 1.1), driven over its control port.

It has no sound card. What it sends is what it is to say when a call begins, and then silence, so that keys have a
stream to travel in; what it receives is written, frame by frame as it arrives, to a WAV file that can be read while the
call goes on (see Recording).
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RATE = 8000
SILENCE = 1200  # seconds that can be sent; baresip 1.1 stops sending keys at the end of its source file
KEY_SECONDS = 0.24  # how long baresip needs for a key: nine packets of 20 ms and three end packets
MODULES = ("account", "g711", "aufile", "sndfile", "menu", "ctrl_tcp")


class NoSuchThing(AssertionError):
    """The telephone did not do in time what a test waited for."""


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM, count: int = 1, address: str = "127.0.0.1") -> int:
    """The first of `count` ports in a row that nothing listens on, below those that the kernel gives away by itself."""
    for _ in range(200):
        first = random.randrange(20000, 32000, 2)  # noqa: S311  not a secret
        sockets = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
        try:
            for number, each in enumerate(sockets):
                each.bind((address, first + number))
        except OSError:
            continue
        else:
            return first
        finally:
            for each in sockets:
                each.close()
    raise OSError("no free port between 20000 and 32000")


@dataclass
class Call:
    """One call of the telephone. `state`: calling, ringing, up, ended. Times are of time.monotonic()."""

    direction: str
    recording: Recording
    id: str | None = None
    peer: str = ""  # the other side's SIP address, as it said
    state: str = "calling"
    began: float = field(default_factory=time.monotonic)
    answered: float | None = None
    ended: float | None = None
    reason: str = (
        ""  # why it ended, as baresip says it: "486 Busy Here", "Connection reset by peer" is the other's hangup
    )


class Recording:
    """What one call has received so far, read from the file that baresip is still writing.

    The header's length is wrong until the file is closed, so it is skipped and everything behind it is sound: 16-bit,
    8 kHz, mono. Time in which nothing was received is not in it.
    """

    HEADER = 44

    def __init__(self, directory: Path, number: int) -> None:
        self._directory, self._number = directory, number
        self._files: list[BinaryIO] = []
        self._rest = b""

    def adopt(self) -> None:
        """Give baresip's new files names of our own: it names them by the second, and would overwrite them."""
        for path in sorted(self._directory.glob("dump-*-dec.wav"), key=lambda path: path.stat().st_mtime):
            mine = path.rename(self._directory / f"call-{self._number}-{len(self._files)}.wav")
            self._files.append(mine.open("rb", buffering=0))

    def read(self) -> bytes:
        """What arrived since the last time, whole samples only."""
        self.adopt()
        data = self._rest
        for file in self._files:  # more than one only after a new INVITE in mid-call
            if file.tell() == 0 and len(file.read(self.HEADER)) < self.HEADER:
                file.seek(0)
                continue
            data += file.read()
        even = len(data) & ~1
        self._rest = data[even:]
        return data[:even]

    def close(self) -> None:
        for file in self._files:
            file.close()


class Softphone:
    """Used with `with`: registered inside the block, gone with all its files after it."""

    def __init__(
        self,
        password: str,
        *,
        user: str = "testphone",
        host: str = "127.0.0.1",
        port: int = 5060,
        own_address: str = "127.0.0.1",
        auto_answer: bool = False,
        says: bytes = b"",  # samples, 16-bit, that it sends at the beginning of every call
        inside: Sequence[str] = (),  # a command that starts it elsewhere, as in ("ip", "netns", "exec", "lan")
    ) -> None:
        self._says = says
        self.user, self.host, self.port = user, host, port
        self._password = password
        self._own_address = own_address
        self._auto_answer = auto_answer
        self._inside = inside
        self._changed = threading.Condition()
        self._answers: dict[str, dict[str, Any]] = {}
        self._tokens = 0
        self._alive = False
        self._known = False  # an account exists
        self._numbers = 0
        self.registered = False
        self.calls_had: list[Call] = []  # every call since the start, oldest first

    # Start and end

    def __enter__(self) -> Self:
        # A short path of its own: baresip cuts long ones.
        self.directory = Path(tempfile.mkdtemp(prefix="phone-"))
        try:
            self._start()
            self.register()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for call in self.calls_had:
            call.recording.close()
        if process := getattr(self, "_process", None):
            if process.poll() is None:
                process.terminate()  # baresip says goodbye to the registrar, which may be gone
                try:
                    process.wait(1)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()
        if control := getattr(self, "_control", None):
            control.close()
            self._reader.join(5)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        control = free_port(socket.SOCK_STREAM)
        sip = free_port()
        rtp = free_port(count=20)
        with wave.open(str(self.directory / "silence.wav"), "wb") as silence:
            silence.setparams((1, 2, RATE, 0, "NONE", ""))
            silence.writeframes(self._says + bytes(SILENCE * RATE * 2))
        (self.directory / "accounts").touch()  # the account comes later, by a command, so that its answer is seen
        (self.directory / "contacts").touch()
        (self.directory / "config").write_text(
            "\n".join(
                (
                    f"sip_listen {self._own_address}:{sip}",
                    f"rtp_ports {rtp}-{rtp + 19}",
                    f"ctrl_tcp_listen {self._own_address}:{control}",
                    f"module_path {module_path()}",
                    *(f"module {name}.so" for name in MODULES[1:4]),
                    "module_tmp account.so",
                    *(f"module_app {name}.so" for name in MODULES[4:]),
                    f"audio_source aufile,{self.directory}/silence.wav",
                    "audio_player aufile,/dev/null",  # 1.1 must have one, 1.0 has none
                    "audio_alert none,none",
                    f"audio_path {self.directory}",  # no tones of its own
                    f"snd_path {self.directory}",
                    "jitter_buffer_type off",  # 1.1
                    "jitter_buffer_delay 0-0",  # 1.0: every frame is written as it arrives
                    "call_local_timeout 3600",
                    "call_max_calls 4",
                    "menu_bell no",
                    "statmode_default off",
                    "ringback_disabled yes",
                    "",
                )
            )
        )
        # setpriv: the telephone dies with the test, even if the test is killed.
        command = ["setpriv", "--pdeathsig", "KILL", *self._inside, "baresip", "-4", "-f", str(self.directory)]
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        until = time.monotonic() + 10
        while True:
            try:
                self._control = socket.create_connection((self._own_address, control), timeout=1)
                break
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    log = (self.directory / "log").read_text(errors="replace")[-2000:]
                    raise NoSuchThing(f"baresip did not start:\n{log}") from None
                time.sleep(0.02)
        self._control.settimeout(None)
        self._alive = True
        self._reader = threading.Thread(target=self._read_control, name="softphone", daemon=True)
        self._reader.start()

    # The control port: JSON in netstrings, "LENGTH:{…},"

    def _read_control(self) -> None:
        data = b""
        while True:
            try:
                new = self._control.recv(65536)
            except OSError:
                new = b""
            if not new:
                break
            data += new
            while b":" in data:
                length, rest = data.split(b":", 1)
                size = int(length)
                if len(rest) <= size:
                    break
                message, data = rest[:size], rest[size + 1 :]
                with self._changed:
                    self._happened(json.loads(message))
                    self._changed.notify_all()
        with self._changed:
            self._alive = False
            for call in self.calls_had:
                if call.state != "ended":
                    self._end(call, "the telephone itself ended")
            self._changed.notify_all()

    def _command(self, command: str, params: str | None = None) -> str:
        with self._changed:
            self._tokens += 1
            token = str(self._tokens)
        message = {"command": command, "token": token} | ({} if params is None else {"params": params})
        data = json.dumps(message).encode()
        self._control.sendall(b"%d:%b," % (len(data), data))
        self._wait(lambda: token in self._answers, 5, f"an answer to {command}")
        answer = self._answers.pop(token)
        if not answer.get("ok"):
            raise NoSuchThing(f"baresip refused {command}: {answer.get('data')}")
        return str(answer.get("data", ""))

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: condition() or not self._alive, timeout) or not condition():
                gone = "" if self._alive else " (baresip is gone)"
                raise NoSuchThing(f"waited {timeout:g} s for {what}{gone}")

    def _happened(self, event: dict[str, Any]) -> None:
        if event.get("response"):
            self._answers[event["token"]] = event
            return
        kind = str(event.get("type"))
        if kind == "REGISTER_OK":
            self.registered = True
        elif kind in {"REGISTER_FAIL", "UNREGISTERING"}:
            self.registered = False
        elif kind == "CALL_INCOMING":
            self._rings(event)
        elif event.get("class") == "call" and (call := self._find(event)):
            self._went_on(call, kind, event.get("param", ""))

    def _went_on(self, call: Call, kind: str, reason: str) -> None:
        if kind in {"CALL_RINGING", "CALL_PROGRESS"} and call.state == "calling":
            call.state = "ringing"
        elif kind == "CALL_ESTABLISHED":
            call.state, call.answered = "up", time.monotonic()
        elif kind == "CALL_CLOSED":
            self._end(call, reason)

    def _find(self, event: dict[str, Any]) -> Call | None:
        known = [call for call in self.calls_had if call.id is not None and call.id == event.get("id")]
        if known:
            return known[-1]
        # The first word of a call that we made: only now do we learn its id.
        mine = [call for call in self.calls_had if call.id is None and call.direction == event.get("direction")]
        if mine and mine[-1].state != "ended":
            mine[-1].id = event.get("id")
            return mine[-1]
        if event.get("direction") == "incoming" and event.get("type") == "CALL_ESTABLISHED":
            # 1.0 does not say that a call comes in when it answers by itself.
            return self._rings(event)
        return None

    def _rings(self, event: dict[str, Any]) -> Call:
        call = self._new_call("incoming")
        call.id, call.peer, call.state = event.get("id"), event.get("peeruri", ""), "ringing"
        return call

    def _new_call(self, direction: str) -> Call:
        self._numbers += 1
        call = Call(direction, Recording(self.directory, self._numbers))
        self.calls_had.append(call)
        return call

    @staticmethod
    def _end(call: Call, reason: str) -> None:
        call.recording.adopt()
        call.state, call.ended, call.reason = "ended", time.monotonic(), reason

    # What a person does

    def register(self, timeout: float = 10) -> None:
        """Register; also again, after the registrar was gone. Asks until the registrar answers."""
        until = time.monotonic() + timeout
        account = f"sip:{self.user}@{self.host}:{self.port}"
        mode = "auto" if self._auto_answer else "manual"
        while True:
            if self._known:
                self._forget(account)
            with self._changed:
                self.registered = False
            self._command(
                "uanew",
                f"<{account};transport=udp>;auth_user={self.user};auth_pass={self._password};answermode={mode}"
                ";audio_codecs=pcmu;ptime=20;regint=600;dtmfmode=rtpevent",
            )
            self._known = True
            try:
                self._wait(lambda: self.registered, min(1.5, max(0.1, until - time.monotonic())), "the registrar")
            except NoSuchThing:
                if time.monotonic() > until or not self._alive:
                    raise NoSuchThing(f"{self.user} could not register at port {self.port}") from None
            else:
                return

    def _forget(self, account: str) -> None:
        """Take the account away. baresip 1.0 now and then dies of that: then it is switched on again."""
        try:
            self._command("uadel", account)
        except NoSuchThing:
            if self._alive:
                raise
            self._process.kill()
            self._process.wait()
            self._control.close()
            self._reader.join(5)
            self._start()

    @property
    def current(self) -> Call | None:
        """The call that is not over yet, if there is one."""
        return next((call for call in reversed(self.calls_had) if call.state != "ended"), None)

    def call(self, number: str, timeout: float = 10) -> Call:
        """Dial and wait until it is answered; a call that is refused comes back ended, with the reason."""
        call = self.dial(number)
        self._wait(lambda: call.state in {"up", "ended"}, timeout, "an answer")
        return call

    def dial(self, number: str) -> Call:
        with self._changed:
            call = self._new_call("outgoing")
        self._command("dial", f"sip:{number}@{self.host}:{self.port}")
        return call

    def incoming(self) -> Call | None:
        """The call that rings here now."""
        call = self.current
        return call if call and call.direction == "incoming" and call.state == "ringing" else None

    def wait_ringing(self, timeout: float = 10) -> Call:
        self._wait(lambda: self.incoming() is not None, timeout, "the telephone to ring")
        call = self.incoming()
        assert call is not None
        return call

    def wait_call(self, timeout: float = 10) -> Call:
        """Wait for a call in whatever state, as an answering telephone has it: it may be up already."""
        self._wait(lambda: self.current is not None, timeout, "a call")
        call = self.current
        assert call is not None
        return call

    def answer(self, timeout: float = 5) -> Call:
        call = self.current
        if call is None or call.direction != "incoming":
            raise NoSuchThing("nobody calls")
        if call.state == "ringing":
            self._command("accept")
        self._wait(lambda: call.state in {"up", "ended"}, timeout, "the call to be up")
        return call

    def press(self, keys: str, gap: float = 0.0) -> None:
        """Press keys one after the other, as fast as a quick person (0.24 s each), with `gap` seconds between them.

        Comes back when the last one was sent. They are sent as RFC 4733 events, whatever is being heard meanwhile.
        """
        call = self.current
        if call is None or call.state != "up":
            raise NoSuchThing("there is no call to press keys in")
        for group in list(keys) if gap else [keys]:
            self._command("sndcode", group)
            with self._changed:
                self._changed.wait_for(lambda: call.state == "ended", KEY_SECONDS * len(group) + gap)

    def hang_up(self, timeout: float = 5) -> None:
        """End the call; one that still rings here is refused as busy (486)."""
        if call := self.current:
            self._command("hangup")
            self._wait(lambda: call.state == "ended", timeout, "the call to end")

    def wait_ended(self, timeout: float = 10) -> Call:
        """Wait until the other side has ended the newest call."""
        if not self.calls_had:
            raise NoSuchThing("there was no call")
        call = self.calls_had[-1]
        self._wait(lambda: call.state == "ended", timeout, "the other side to hang up")
        return call

    def wait_state(self, call: Call, state: str, timeout: float = 10) -> None:
        self._wait(lambda: call.state in {state, "ended"}, timeout, f"the call to be {state}")


def module_path() -> Path:
    found = [path for path in Path("/usr/lib").glob("**/baresip/modules") if path.is_dir()]
    if not found:
        raise NoSuchThing("baresip is not installed (package baresip-core)")
    return found[0]
