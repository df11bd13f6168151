"""Callers made of SIPp, and the three numbers that they can dial: this service's and its two rivals."""

import csv
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from movans import asterisk
from tests.bench import stopping
from tests.live.line import Line

HOTLINE, BARE, FORKED = "hotline", "bare", "forked"
PATIENCE = 10  # seconds that a caller waits to be answered
AGI_SCRIPT = Path(__file__).parent / "forked_agi.py"

# What the benchmark adds to the service's own configuration, in the state directory of its own run only. The callers
# need no password, and each number leads to one of what is compared.
PJSIP = """
[bench]
type = endpoint
transport = transport
context = bench
identify_by = username
disallow = all
allow = ulaw,alaw
dtmf_mode = rfc4733
direct_media = no
rtp_symmetric = yes
force_rport = yes
media_address = 127.0.0.1
bind_rtp_to_media_address = yes
"""
EXTENSIONS = """
[bench]
exten => hotline,1,Goto(hotline,s,1)

exten => bare,1,Answer()
 same => n,Playback(${MOVANS_SOUNDS}/${MOVANS_LANGUAGE}/welcome)
 same => n,Wait(600)

exten => forked,1,AGI(%s)
"""

SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="caller">
<send retrans="500" start_rtd="1"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:bench@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:bench@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [field0] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="183" optional="true"/>
<recv response="200" rrs="true" rtd="1"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[last_From:]
[last_To:]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<pause milliseconds="%d"/>
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
[last_From:]
[last_To:]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""


class BenchLine(Line):
    """The service, and beside it in the same Asterisk what it is compared with. Room for a thousand calls at a time."""

    def __init__(self, languages: Sequence[str] = ("en",), /, **changes: object) -> None:
        from tests.live.softphone import free_port  # the ports of sound lie below those that it gives

        sip = {"address": "127.0.0.1", "port": free_port(), "rtp_ports": [12000, 15999]}
        super().__init__(languages, **({"sip": sip} | changes))

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._add_rivals()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with stopping.held():
            super().__exit__()

    def start(self) -> None:
        try:
            with stopping.held():
                super().start()
        except stopping.Stopped:
            self.stop()
            raise

    def _add_rivals(self) -> None:
        etc = self.settings.state / "asterisk" / "etc"
        for name, more in (("pjsip.conf", PJSIP), ("extensions.conf", EXTENSIONS % self._agi_launcher())):
            with (etc / name).open("a") as file:
                file.write(more)
        asterisk.cli(self.settings, "dialplan reload")
        asterisk.cli(self.settings, "module reload res_pjsip.so")
        self.eventually(lambda: " Endpoint:  bench " in asterisk.cli(self.settings, "pjsip show endpoint bench"), 10)

    def _agi_launcher(self) -> Path:
        """A script of two lines that Asterisk can start, and that becomes Python with the AGI script and pyst2.

        Asterisk's private root has no Python. There the machine's own is mounted, for this Asterisk alone: the mount
        ends with it.
        """
        folder = self.settings.state / "asterisk" / "bench"
        folder.mkdir(mode=0o755)
        shutil.copyfile(AGI_SCRIPT, folder / AGI_SCRIPT.name)
        libraries = sysconfig.get_path("purelib")
        command = f"PYTHONPATH={libraries} exec {sys.executable}"
        if asterisk.PRIVATE_ROOT.exists():
            root = asterisk.PRIVATE_ROOT / "mnt"
            mounts = {sys.base_prefix: "python", libraries: "libraries"}
            loader, where = _loader()
            mounts |= {str(path): f"lib{number}" for number, path in enumerate(where)}
            script = "".join(
                f"mkdir -p '{root}/bench/{target}' && mount --bind '{source}' '{root}/bench/{target}' && "
                for source, target in mounts.items()
            )
            inside = ["nsenter", "--mount", "--target", str(self.pid("asterisk")), "sh", "-c", script + "true"]
            subprocess.run(inside, check=True)
            places = {source: f"/bench/{target}" for source, target in mounts.items()}
            python = Path(sys.executable).resolve().relative_to(sys.base_prefix)
            command = (
                f"PYTHONHOME=/bench/python PYTHONPATH=/bench/libraries exec {places[str(loader.parent)]}/{loader.name}"
                f" --library-path {':'.join(places[str(path)] for path in where)} /bench/python/{python}"
            )
        launcher = folder / "forked"
        launcher.write_text(f"#!/bin/sh\n{command} {folder / AGI_SCRIPT.name}\n")
        launcher.chmod(0o755)
        return launcher

    def scripts(self) -> list[int]:
        """The process ids of the forked scripts that run."""
        pbx, found = self.pid("asterisk"), []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(status.read_text().rpartition(")")[2].split()[1])
                if parent == pbx and AGI_SCRIPT.name.encode() in (status.parent / "cmdline").read_bytes():
                    found.append(int(status.parent.name))
            except OSError:
                continue
        return found

    def is_quiet(self) -> None:
        """Wait until all calls are over; hang up what is not, as calls that were answered after SIPp gave them up."""

        def quiet() -> bool:
            return self.channels() == 0 and not self.scripts()

        try:
            self.eventually(quiet, 10)
        except AssertionError:
            asterisk.cli(self.settings, "channel request hangup all")
            self.eventually(quiet, 60)


def _loader() -> tuple[Path, list[Path]]:
    """The loader of shared libraries that this Python was started by, and the directories its libraries came from."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    files = {Path(line.split()[5]) for line in lines if ".so" in line}
    loader = next(file for file in files if file.name.startswith("ld-"))
    where = {file.parent for file in files if file.name.startswith(("libc.so", "libm.so", "libz.so", "libpython"))}
    return loader, sorted(where | {loader.parent})


class Stuck(Exception):
    """SIPp did not do what it was asked; the text is what it said."""


class Callers(AbstractContextManager["Callers"]):
    """So many calls at a steady rate, each held for so many seconds after it was answered. Used with `with`."""

    def __init__(self, line: Line, number: str, ports: Iterable[int], *, calls: int, rate: float, hold: float) -> None:
        self.line, self.number, self.ports = line, number, list(ports)
        self.calls, self.rate, self.hold = calls, rate, hold
        self.longest = calls / rate + hold + PATIENCE + 5

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="bench-"))
        (self._directory / "scenario.xml").write_text(SCENARIO % (self.hold * 1000))
        (self._directory / "ports").write_text("SEQUENTIAL\n" + "".join(f"{port}\n" for port in self.ports))
        command = (
            f"sipp -sf scenario.xml -inf ports -s {self.number} -i 127.0.0.1 -t u1 -nostdin -skip_rlimit"
            f" -r {self.rate:g} -m {self.calls} -l {self.calls} -deadcall_wait 0 -recv_timeout {PATIENCE * 1000}"
            f" -trace_stat -stf statistics -fd 1 -trace_err -error_file errors"
            f" 127.0.0.1:{self.line.settings.sip.port}"
        ).split()
        with (self._directory / "screen").open("wb") as screen:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                cwd=self._directory, stdin=subprocess.DEVNULL, stdout=screen, stderr=subprocess.STDOUT,
                env=os.environ | {"TERM": "dumb"}, start_new_session=True,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def wait(self, tell: Callable[[float], None]) -> int:
        """Wait until they are done, telling how far they are (0 to 1); return how many calls failed for SIPp."""
        began = time.monotonic()
        while self._process.poll() is None:
            if time.monotonic() > began + self.longest:  # SIPp itself may wait for ever for calls that it gave up
                self._process.kill()
                self._process.wait()
            tell(min(1, (time.monotonic() - began) / (self.calls / self.rate + self.hold)))
            time.sleep(0.1)
        statistics = self._directory / "statistics"  # a line every second, each ended by a line end
        lines = statistics.read_text().splitlines() if statistics.exists() else []
        if len(lines) < 2 or lines[-1].count(";") < lines[0].count(";"):
            raise Stuck((self._directory / "screen").read_text(errors="replace")[-1000:])
        return self.calls - int(list(csv.DictReader(lines, delimiter=";"))[-1]["SuccessfulCall(C)"])

    def errors(self) -> str:
        file = self._directory / "errors"
        return file.read_text(errors="replace") if file.exists() else ""
