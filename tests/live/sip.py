"""A telephone network made of SIPp: what stands behind the service's trunk, and how the telephones there behave."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.live.softphone import NoSuchThing, free_port

# How a called telephone can behave. "no answer" rings until the caller gives up.
REFUSALS = {
    "busy": "486 Busy Here",
    "not found": "404 Not Found",
    "gone": "410 Gone",
    "declined": "603 Decline",
    "blocked": "603 Network Blocked",
    "unwanted": "607 Unwanted",
    "rejected": "608 Rejected",
    "no room": "503 Service Unavailable",
}
STARTS = 3  # of SIPp, before a test gives up
BEHAVIOURS = (*REFUSALS, "no answer", "answers", "answers and hangs up")

_SAME = (
    "[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\nContact: <sip:[local_ip]:[local_port]>"
)
_TAG = ";tag=[pid]t[call_number]"
_SDP = """v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000"""
_BYE = """BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From:[$to];tag=[pid]t[call_number]
To:[$from]
[last_Call-ID:]
CSeq: 1 BYE
Max-Forwards: 70
Content-Length: 0"""
_INVITED = r"""<recv request="OPTIONS" optional="true" next="options"/>
<recv request="INVITE" rrs="true"><action>
<ereg regexp="sip:([^@;&gt;]*)" search_in="msg" assign_to="all,user"/>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>
<log message="called [timestamp] [$user]"/></action></recv>"""


def _send(status: str, *, body: str = "", tag: str = _TAG, attributes: str = "") -> str:
    content = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{body}" if body else "Content-Length: 0\n\n"
    return f"<send{attributes}><![CDATA[\nSIP/2.0 {status}\n{_SAME.format(tag=tag)}\n{content}\n]]></send>"


def scenario(behaviour: str, seconds: float = 2) -> str:
    """The SIPp scenario of a telephone that behaves so."""
    steps = [_INVITED, _send("100 Trying", tag=""), _send("180 Ringing")]
    if behaviour in REFUSALS:
        steps += [_send(REFUSALS[behaviour], attributes=' retrans="500"'), '<recv request="ACK" next="end"/>']
    elif behaviour == "no answer":
        steps += [
            '<recv request="CANCEL"><action><log message="given up [timestamp]"/></action></recv>',
            _send("200 OK"),
            # 487 answers the INVITE, whose header lines are no longer the last ones.
            _send("487 Request Terminated").replace("[last_CSeq:]", "CSeq: [cseq] INVITE"),
            '<recv request="ACK" next="end"/>',
        ]
    else:
        steps += [_send("200 OK", body=_SDP, attributes=' retrans="500"'), '<recv request="ACK"/>']
        if behaviour == "answers":
            steps += ['<recv request="BYE"><action><log message="ended [timestamp]"/></action></recv>']
            steps += [_send("200 OK", tag=""), '<nop next="end"/>']
        else:
            steps += [
                f'<pause milliseconds="{round(seconds * 1000)}"/>',
                f'<send retrans="500"><![CDATA[\n{_BYE}\n]]></send>',
                '<recv response="200" next="end"/>',
            ]
    steps += ['<label id="options"/>', _send("200 OK"), '<label id="end"/>', '<Reference variables="all,from,to"/>']
    return "\n".join(('<?xml version="1.0" encoding="UTF-8"?>', '<scenario name="telephone">', *steps, "</scenario>\n"))


@dataclass(frozen=True)
class Rang:
    """A call that came in. `at` is of time.time(), `number` the user part of the address that was called."""

    at: float
    number: str


class Callee:
    """A telephone network in which every telephone behaves in one way; it also answers OPTIONS. Used with `with`."""

    def __init__(self, behaviour: str, *, port: int | None = None, seconds: float = 2) -> None:
        if behaviour not in BEHAVIOURS:
            raise ValueError(f"{behaviour!r} is none of {', '.join(BEHAVIOURS)}")
        self.behaviour, self.seconds = behaviour, seconds
        self.port = free_port() if port is None else port

    def __enter__(self) -> Self:
        for attempt in range(STARTS):
            try:
                self._start()
                break
            except NoSuchThing:
                if attempt == STARTS - 1:
                    raise
        return self

    def _start(self) -> None:
        """Raises NoSuchThing where SIPp ends at once, as it does now and then when its port was in use a moment ago."""
        self.directory = Path(tempfile.mkdtemp(prefix="callee-"))
        (self.directory / "scenario.xml").write_text(scenario(self.behaviour, self.seconds))
        media = free_port(count=4)
        command = (
            f"sipp -sf scenario.xml -i 127.0.0.1 -p {self.port} -mi 127.0.0.1 -mp {media} -nostdin -trace_logs".split()
        )
        command += ["-log_file", "calls", "-trace_err", "-error_file", "errors"]
        with (self.directory / "screen").open("wb") as screen:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=screen, stderr=subprocess.STDOUT,
                env=os.environ | {"TERM": "dumb"},
            )  # fmt: skip
        until = time.monotonic() + 10
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > until:
                told = [self.directory / name for name in ("errors", "screen")]
                said = "\n".join(file.read_text(errors="replace")[-1500:] for file in told if file.exists())
                self.__exit__()
                raise NoSuchThing(f"SIPp did not start:\n{said}")
            time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # calls that still ring are of no more interest
        self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _listens(self) -> bool:
        wanted = f":{self.port:04X}"
        return any(line.split()[1].endswith(wanted) for line in Path("/proc/net/udp").read_text().splitlines()[1:])

    def _log(self, what: str) -> list[list[str]]:
        path = self.directory / "calls"
        text = path.read_text() if path.exists() else ""
        return [
            line.split() for line in text.splitlines(keepends=True) if line.startswith(what) and line.endswith("\n")
        ]

    @property
    def rang(self) -> list[Rang]:
        """Every call so far, oldest first."""
        return [Rang(float(words[3]), words[4] if len(words) > 4 else "") for words in self._log("called ")]

    @property
    def given_up(self) -> list[float]:
        """When callers gave up ("no answer") or hung up ("answers")."""
        return [float(words[-1]) for words in self._log("given up ") + self._log("ended ")]

    def wait_rang(self, calls: int = 1, timeout: float = 10) -> Rang:
        """Wait until so many calls came in since the start; comes back with the last of them."""
        until = time.monotonic() + timeout
        while len(rang := self.rang) < calls:
            if self._process.poll() is not None:
                raise NoSuchThing("SIPp is gone")
            if time.monotonic() > until:
                raise NoSuchThing(f"{len(rang)} calls in {timeout:g} s, not {calls}")
            time.sleep(0.02)
        return rang[calls - 1]

    def stays_quiet(self, seconds: float) -> None:
        """No call comes in for so long."""
        before = len(self.rang)
        time.sleep(seconds)
        if more := len(self.rang) - before:
            raise NoSuchThing(f"{more} calls in {seconds:g} s, and none was expected")
