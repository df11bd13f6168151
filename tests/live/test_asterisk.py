"""Asterisk as it is started, and the dialplan where the FastAGI server is not there, hangs, or has done its work."""

import os
import pwd
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from movans import asterisk
from movans.settings import EXAMPLE, Settings, load

SIP, AGI, RTP, PHONE, SOUND, TRUNK = 25060, 24573, 22000, 25081, 23500, 25070
HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts Asterisk as another user, which only root can")


class Pbx:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log: list[str] = []
        code = (
            "import sys, pathlib; from movans import asterisk, settings; "
            "asterisk.run(settings.load(pathlib.Path(sys.argv[1])))"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(settings.state / "movans.yaml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=asterisk.DIALPLAN.parent,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.log.extend(line.rstrip() for line in self.process.stdout)

    def cli(self, line: str) -> str:
        return asterisk.cli(self.settings, line)

    def channels(self) -> str:
        return self.cli("core show channels concise")

    def wait_until_up(self) -> None:
        eventually(lambda: any("Asterisk Ready" in line for line in self.log), "Asterisk Ready", 60)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        finally:
            self.process.kill()
            self._reader.join()
            if self.process.stdout:
                self.process.stdout.close()


class Flow:
    """One FastAGI connection, from the server's side."""

    def __init__(self, file: socketserver.StreamRequestHandler) -> None:
        self._file = file
        self.environment = dict(line.split(": ", 1) for line in iter(self._line, "") if ": " in line)

    def _line(self) -> str:
        return self._file.rfile.readline().decode().rstrip("\n")

    @property
    def name(self) -> str:
        return self.environment["agi_network_script"]

    def command(self, text: str) -> str:
        self._file.wfile.write(text.encode() + b"\n")
        while (line := self._line()) == "HANGUP":
            pass
        return line

    def value(self, expression: str) -> str:
        said = re.search(r"\((.*)\)$", self.command(f'GET FULL VARIABLE "{expression}"'))
        return said[1] if said else ""

    def wait_for_end(self) -> None:
        self._file.rfile.read()


class Answering(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def flows(flow: Callable[[Flow], object]) -> Iterator[None]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            flow(Flow(self))

    with Answering(("127.0.0.1", AGI), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield
        server.shutdown()
        thread.join()


def eventually(true: Callable[[], object], what: str, timeout: float = 5) -> None:
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        time.sleep(0.02)


def settings_in(state: Path, **changes: object) -> Settings:
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | changes
    content |= {"state": str(state), "agi_port": AGI}
    content["sip"] = {"address": "127.0.0.1", "port": SIP, "rtp_ports": [RTP, RTP + 99]}
    (state / "movans.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return load(state / "movans.yaml")


@pytest.fixture
def state() -> Iterator[Path]:
    # Not pytest's own directory: Asterisk's user may not read that.
    directory = Path(tempfile.mkdtemp(prefix="movans-asterisk."))
    directory.chmod(0o755)
    sounds = directory / "sounds" / "en"
    sounds.mkdir(parents=True)
    for name in ("apology", "apology_notify", "time_up"):
        (sounds / f"{name}.sln").write_bytes(b"\x00\x10\x00\xf0" * 6000)  # a tone of 1.5 seconds
    yield directory
    shutil.rmtree(directory)


@contextmanager
def running(settings: Settings) -> Iterator[Pbx]:
    pbx = Pbx(settings)
    try:
        pbx.wait_until_up()
        yield pbx
        eventually(lambda: pbx.channels().strip() == "", "no channel left", 5)
    finally:
        pbx.stop()
    wrong = [line for line in pbx.log if "WARNING" in line or "ERROR" in line]
    assert [line for line in wrong if not any(known in line for known in EXPECTED)] == []


EXPECTED = (
    # Of a call file that belongs to another user. It is dialled once and deleted all the same.
    "Unable to set utime",
    # Of a FastAGI server that is not there.
    "Connecting to '127.0.0.1:",
    "FastAGI",
)


@pytest.fixture
def pbx(state: Path) -> Iterator[Pbx]:
    with running(settings_in(state)) as pbx:
        yield pbx


class Caller:
    """SIPp as the test phone; measures when the first sound comes, and for how long it comes, from its start on."""

    def __init__(self, pbx: Pbx, number: str, password: str | None = None) -> None:
        self._pbx = pbx
        self._ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ear.bind(("127.0.0.1", SOUND))
        self._ear.settimeout(0.2)
        self.heard: list[float] = []
        self.began = time.monotonic()
        password = password or asterisk.phone_password(pbx.settings)
        options = (
            f"-sf {HERE / 'call.xml'} -s {number} 127.0.0.1:{SIP} -i 127.0.0.1 -p {PHONE} -m 1 -nostdin "
            f"-au testphone -ap {password} -key media {SOUND} -timeout 20s -timeout_error"
        )
        self.process = subprocess.Popen(
            ["sipp", *options.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=pbx.settings.state,
            env=os.environ | {"TERM": "dumb"},
        )
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while self.process.poll() is None:
            try:
                self._ear.recv(2048)
            except TimeoutError:
                continue
            self.heard.append(time.monotonic() - self.began)

    def is_there(self) -> float:
        """Wait until its call has come to Asterisk; return when that was, at the latest."""
        eventually(lambda: self._pbx.channels().strip(), "a call", 15)
        return time.monotonic() - self.began

    def wait(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=25)
        self._thread.join()
        self._ear.close()
        return self.process.returncode, said


def test_it_starts_within_seconds_as_its_own_user_and_leaves_nothing(state: Path) -> None:
    began = time.monotonic()
    with running(settings_in(state)) as pbx:
        assert time.monotonic() - began < 15
        owner = Path(f"/proc/{pbx.process.pid}").stat().st_uid
        assert owner == pwd.getpwnam("movans-pbx").pw_uid
        assert Path(f"/proc/{pbx.process.pid}/comm").read_text().strip() == "asterisk"
        status = Path(f"/proc/{pbx.process.pid}/status").read_text().splitlines()
        assert [line.split()[1:] for line in status if line.startswith("Groups:")] == [[]]
        assert "testphone" in pbx.cli("pjsip show endpoints")
        assert "trunk" not in pbx.cli("pjsip show endpoints")
        loaded = re.findall(r"^\S+\.so", pbx.cli("module show"), re.MULTILINE)
        assert "res_agi.so" in loaded
        never = ("manager", "ari", "http", "cdr_", "cel_", "app_system", "func_shell", "voicemail", "anonymous")
        assert [name for name in loaded if any(part in name for part in never)] == []
        private = asterisk.PRIVATE_ROOT / "mnt"
    assert pbx.process.returncode == 0
    assert not private.exists() or list(private.iterdir()) == []


def test_the_test_phones_password_stays_and_is_only_roots(state: Path) -> None:
    settings = settings_in(state)
    asterisk.prepare(settings)
    password = asterisk.phone_password(settings)
    asterisk.prepare(settings)
    assert asterisk.phone_password(settings) == password
    assert (state / "test-phone").stat().st_mode & 0o777 == 0o600
    for file in (state / "asterisk" / "etc").iterdir():
        assert (file.stat().st_uid, file.stat().st_mode & 0o777, file.group()) == (0, 0o640, "movans-pbx")


def test_with_no_server_the_caller_hears_the_apology_within_3_seconds(pbx: Pbx) -> None:
    caller = Caller(pbx, "668267")
    called = caller.is_there()
    eventually(lambda: "/sounds/en/apology!" in pbx.channels(), "the apology", 10)
    status, said = caller.wait()
    assert status == 0, said
    assert caller.heard[0] - called < 3
    assert caller.heard[-1] - caller.heard[0] > 1


def test_a_server_that_hangs_is_given_up_when_the_time_is_over(state: Path) -> None:
    calls = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["calls"] | {"longest": "00:00:02"}
    with running(settings_in(state, calls=calls)) as pbx, flows(Flow.wait_for_end):
        caller = Caller(pbx, "668267")
        called = caller.is_there()
        eventually(lambda: "/sounds/en/time_up!" in pbx.channels(), "the apology", 10)
        status, said = caller.wait()
        assert status == 0, said
        assert caller.heard[0] > 1.5
        assert caller.heard[0] - called < 5


def test_a_server_that_dies_in_mid_call_leaves_an_apology(pbx: Pbx) -> None:
    with flows(lambda _flow: None):
        caller = Caller(pbx, "668267")
        eventually(lambda: "/sounds/en/apology!" in pbx.channels(), "the apology", 15)
        assert caller.wait()[0] == 0


def test_after_a_flow_that_ended_there_is_no_apology(pbx: Pbx) -> None:
    with flows(lambda flow: flow.command("SET VARIABLE FLOW_ENDED 1")):
        caller = Caller(pbx, "668267")
        status, said = caller.wait()
        assert status == 0, said
        assert caller.heard == []


def test_the_test_phone_can_dial_nothing_else(pbx: Pbx) -> None:
    for number in ("911", "5735550142", "s", "0", "h", "T"):
        status, said = Caller(pbx, number).wait()
        assert status != 0, number
        assert "404" in said, number


def test_a_wrong_password_is_refused(pbx: Pbx) -> None:
    status, said = Caller(pbx, "668267", password="wrong").wait()
    assert status != 0
    assert "401" in said


class Telephones:
    """The telephone network behind the trunk: answers every call with one status."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.invites: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", TRUNK))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            request, sender = self._socket.recvfrom(65536)
            if not request:
                return
            text = request.decode()
            method = text.split()[0]
            if method == "ACK":
                continue
            if method == "INVITE":
                self.invites.append(text)
            status = self.status if method == "INVITE" else "200 OK"
            kept = [
                line for line in text.split("\r\n") if line.startswith(("Via:", "From:", "To:", "Call-ID:", "CSeq:"))
            ]
            kept = [line + ";tag=1" if line.startswith("To:") and ";tag=" not in line else line for line in kept]
            answer = "\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""])
            self._socket.sendto(answer.encode(), sender)

    def close(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", TRUNK))
        self._thread.join()
        self._socket.close()


def place(pbx: Pbx, attempt: str) -> Path:
    """Write a call file as the dialer does: as its user, in the spool's tmp, then renamed."""
    spool = pbx.settings.state / "asterisk" / "spool"
    text = (
        f"Channel: Local/{attempt}@trunk/n\nContext: notify\nExtension: s\nPriority: 1\nMaxRetries: 0\nWaitTime: 10\n"
        f"Setvar: MOVANS_ATTEMPT={attempt}\n"
    )
    script = 'umask 027; cat > "$1/tmp/$2.call" && mv "$1/tmp/$2.call" "$1/outgoing/"'
    user = pwd.getpwnam("movans")
    subprocess.run(
        ["sh", "-c", script, "sh", str(spool), attempt],
        input=text, text=True, check=True, user=user.pw_uid, group=user.pw_gid, extra_groups=[],
    )  # fmt: skip
    return spool / "outgoing" / f"{attempt}.call"


@pytest.mark.parametrize(
    ("status", "dialled"),
    [
        ("486 Busy Here", "BUSY"),
        ("404 Not Found", "CONGESTION|CHANUNAVAIL"),
        ("603 Network Blocked", "BUSY|CONGESTION|CHANUNAVAIL"),
    ],
)
def test_the_dialling_leg_tells_what_became_of_a_call_file(state: Path, status: str, dialled: str) -> None:
    seen: list[tuple[str, str, str, str]] = []

    def flow(flow: Flow) -> None:
        """The flow that dials asks when its Dial is over, and only of the first call does it say so."""
        attempt = flow.environment["agi_arg_1"]
        if flow.name == "dial":
            flow.command('EXEC Dial "PJSIP/5735550142@trunk-main,5"')
        cause = flow.value("${HANGUPCAUSE(${HANGUPCAUSE_KEYS()},tech)}")
        seen.append((flow.name, attempt, flow.value("${DIALSTATUS}"), cause))
        if attempt == "7001":
            flow.command("SET VARIABLE FLOW_ENDED 1")

    telephones = Telephones(status)
    try:
        with (
            running(
                settings_in(state, trunks={"main": {"host": "127.0.0.1", "port": TRUNK, "lines": 4, "rate": 5}})
            ) as pbx,
            flows(flow),
        ):
            for calls, attempt in ((1, "7001"), (3, "7002")):
                file = place(pbx, attempt)
                eventually(lambda calls=calls: len(seen) == calls, "the leg asked", 8)
                eventually(lambda file=file: not file.exists(), "the call file is used", 2)
            time.sleep(1.5)  # a second dialling would come with the next look at the spool
    finally:
        telephones.close()
    assert [(name, attempt) for name, attempt, *_ in seen] == [("dial", "7001"), ("dial", "7002"), ("ended", "7002")]
    for _, _, became, cause in seen:
        assert re.fullmatch(dialled, became)
        assert cause == f"SIP {status}"
    assert len(telephones.invites) == 2
    assert re.search(r'^From: "MOVANS" <sip:8665550182@', telephones.invites[0], re.MULTILINE)
    log = "\n".join(pbx.log)
    assert "7001" in log
    assert "5550142" not in log


def test_an_answered_call_with_no_server_hears_an_apology_and_the_attempt_arrives(state: Path) -> None:
    """Both legs in one Asterisk: the dialling leg answers by itself, the notify flow dies."""
    seen: list[tuple[str, str]] = []
    ended = threading.Event()

    def flow(flow: Flow) -> None:
        seen.append((flow.name, flow.environment["agi_arg_1"]))
        if flow.name == "dial":
            flow.command("ANSWER")
            flow.command("EXEC Wait 30")  # until the other leg hangs up
        elif flow.name == "ended":
            ended.set()

    with running(settings_in(state)) as pbx, flows(flow):
        place(pbx, "7002")
        eventually(lambda: "/sounds/en/apology_notify!" in pbx.channels(), "the apology", 5)
        assert ended.wait(5)
    assert seen == [("dial", "7002"), ("notify", "7002"), ("ended", "7002")]


def test_what_waits_in_the_spool_is_purged_before_the_start(state: Path) -> None:
    settings = settings_in(state)
    asterisk.prepare(settings)
    old = settings.state / "asterisk" / "spool" / "outgoing" / "1.call"
    old.write_text("Channel: Local/1@trunk/n\nContext: notify\nExtension: s\n", encoding="ascii")
    asterisk.prepare(settings)
    assert not old.exists()
