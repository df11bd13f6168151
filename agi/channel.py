"""The only seam to Asterisk: a channel that plays sounds and gives keys.

It speaks AGI (Asterisk documentation, "Asterisk Gateway Interface") through pyst2 and mends what that does not do:

- its constructor installs a signal handler, which only a main thread may, and logs every reply, keys pressed included;
- a connection that ends, or the bare ``HANGUP`` line of FastAGI, reaches it as a ValueError;
- it takes ``result=-1`` for an application error, though after STREAM FILE that is a hangup or a missing sound;
- it lays out all that Asterisk says of a call for a log, which took a third of the server's time;
- its quoting escapes nothing, and a line break in a value would be a command of its own;
- ``GET DATA`` loses its timeout flag: it is not used here, keys are read one at a time.
"""

import io
import time
from contextlib import suppress
from pathlib import PurePath
from typing import IO, Protocol

from asterisk.agi import AGI, AGIAppError, AGIUnknownError

from prompts.catalogue import Utterance

KEYS = "0123456789*#"
TALK = "talk"  # what listen() returns instead of a key
GREETING, PAUSE = 1500, 500  # ms: who talks longer than a hello, without such a pause, is taken for a machine
SYLLABLE, GAP = 80, 20  # ms: what is a sound of speech, and the gap after it
LONGEST_WITH_A_PERSON = 3600  # seconds
PRESENTATION, ALLOWED = 0x60, 0x00  # whether a calling number may be shown (ITU-T Q.931, 4.5.10)


class Hangup(Exception):
    """The other side has hung up; there is nobody left to talk to."""


class Gone(Hangup):
    """Asterisk itself has gone in the middle of the call."""


class MissingSound(Exception):
    """Asterisk could not play a file; the text names it."""


class Channel(Protocol):
    """What a conversation needs of a telephone. Each of these raises Hangup once the other side has hung up."""

    @property
    def caller(self) -> str:
        """The number that the other telephone presents, digits only; empty where it is withheld. Proves nothing."""
        ...

    def is_ready(self, utterance: Utterance, within: float) -> bool:
        """Whether there is a sound to play, now or ``within`` so many seconds; where not, it is being made."""
        ...

    def play(self, utterance: Utterance, keys: str = KEYS) -> str:
        """Play to the end, or until one of ``keys`` is pressed, which is returned; else the empty string."""
        ...

    def listen(self, utterance: Utterance | None) -> str:
        """Play, and listen to what whoever picked up says meanwhile; without an utterance, be quiet for a moment.

        Ends early with a key, which is returned, or with TALK: when they have come to the end of saying more than a
        hello; while it is quiet, of a single word. Else it returns the empty string.
        """
        ...

    def heard_special_tones(self) -> bool:
        """Whether the network's special information tones (ITU-T E.180) were heard since the answer: no such number."""
        ...

    def wait_key(self, seconds: float) -> str:
        """The next key, or the empty string if none comes in time."""
        ...

    def connect(self, where: str, seconds: int) -> None:
        """Ring another telephone, heard as a ringing tone; return when it is not answered.

        Where it is, this call ends with their conversation: then it raises Hangup.
        """
        ...

    def set_language(self, language: str) -> None:
        """Let the dialplan speak this language too."""
        ...


class SoundFinder(Protocol):
    def is_ready(self, utterance: Utterance, within: float) -> bool: ...

    def path(self, utterance: Utterance) -> str: ...


class _Lines:
    """Asterisk's side of the connection, as pyst2 reads it: an end is told as such, and a HANGUP line is remembered."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.hung_up = False

    def readline(self) -> str:
        while True:
            try:
                line = self._stream.readline()
            except OSError:
                raise Gone from None
            if not line:
                raise Gone
            if line.strip() != b"HANGUP":
                return line.decode("utf-8", "replace") if line.strip() else "\n"
            self.hung_up = True


class _Commands:
    """Our side of the connection. One whole line at a time: a part of one pins an Asterisk core (FACTS)."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        if "\n" in line[:-1] or "\r" in line or "\0" in line:
            raise ValueError("a line break or NUL in an AGI command")
        try:
            self._stream.write(line.encode())
        except OSError:
            raise Gone from None

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            raise Gone from None


class _Agi(AGI):
    def __init__(self, lines: _Lines, commands: _Commands) -> None:
        # Not pyst2's own constructor: it may run in the main thread only, and writes what it hears to stderr.
        self.stdin, self.stdout, self.stderr = lines, commands, _Nothing()
        self._got_sighup = False
        self.env: dict[str, str] = {}
        self._get_agi_env()

    def _get_agi_env(self) -> None:
        while line := self.stdin.readline().strip():
            name, _, value = line.partition(":")
            self.env[name.strip()] = value.strip()

    def _quote(self, string: object) -> str:
        return '"' + str(string).replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Nothing(io.TextIOBase):
    def write(self, text: str, /) -> int:
        return len(text)


class AsteriskChannel:
    """A call on Asterisk, for as long as its FastAGI connection lives."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes], sounds: SoundFinder) -> None:
        """Read the greeting of the connection. Raises Gone where there is none."""
        self._lines = _Lines(reader)
        self._agi = _Agi(self._lines, _Commands(writer))
        self._sounds = sounds
        self.script: str = self._agi.env.get("agi_network_script", "")
        self.arguments = [
            self._agi.env[name] for name in sorted(self._agi.env) if name.startswith("agi_arg_") and self._agi.env[name]
        ]

    @property
    def caller(self) -> str:
        withheld = int(self._agi.env.get("agi_callingpres") or 0) & PRESENTATION != ALLOWED
        presented = self._agi.env.get("agi_callerid", "").removeprefix("+")
        return presented if presented.isdigit() and not withheld else ""

    def is_ready(self, utterance: Utterance, within: float) -> bool:
        return self._sounds.is_ready(utterance, within)

    def play(self, utterance: Utterance, keys: str = KEYS) -> str:
        path = self._sounds.path(utterance)
        try:
            return self._command("STREAM FILE", self._agi._quote(path), self._agi._quote(keys))
        except AGIAppError:
            self._check_alive()
            raise MissingSound(PurePath(path).name) from None

    def listen(self, utterance: Utterance | None) -> str:
        if utterance:
            path, pause, longest = self._sounds.path(utterance), PAUSE, GREETING
        else:
            path, pause, longest = f"{self.variable('MOVANS_SOUNDS')}/quiet", GAP, SYLLABLE
        self._execute("SET VARIABLE", "TALK_DETECTED", self._agi._quote(""))
        try:
            result = self._execute("EXEC", "BackgroundDetect", self._agi._quote(f"{path},{pause},{longest}"))["result"]
        except AGIAppError:
            self._check_alive()
            raise MissingSound(PurePath(path).name) from None
        if result[0] == "-2":  # there is no such application in this Asterisk
            return self.play(utterance) if utterance else ""
        if result[0] != "0":
            return chr(int(result[0]))
        return TALK if self.variable("TALK_DETECTED") else ""

    def heard_special_tones(self) -> bool:
        return self.variable("TONE_DETECT(rx)") not in {"", "0"}

    def wait_key(self, seconds: float) -> str:
        try:
            return self._command("WAIT FOR DIGIT", round(seconds * 1000))
        except AGIAppError:
            raise Hangup from None

    def connect(self, where: str, seconds: int) -> None:
        limit = self.variable("MOVANS_LONGEST")
        self._execute("SET VARIABLE", "TIMEOUT(absolute)", LONGEST_WITH_A_PERSON)
        try:
            self._execute("EXEC", "Dial", self._agi._quote(f"{where},{seconds},r"))
        except AGIAppError:
            self.flow_ended()  # the other side may have hung up, and this one not: it is not to hear an apology
            raise Hangup from None
        self._execute("SET VARIABLE", "TIMEOUT(absolute)", limit)
        self._execute("SET VARIABLE", "MOVANS_ENDS", int(self.variable("EPOCH")) + int(limit))  # as in notify.conf

    def set_language(self, language: str) -> None:
        self._execute("SET VARIABLE", "MOVANS_LANGUAGE", language)

    def dial(self, where: str, seconds: int, *, telephone: str, at: float = 0) -> bool:
        """Ring a telephone and stay until that call is over; False where this Asterisk has an earlier call with it.

        It rings no sooner than ``at``, a time of the monotonic clock.

        Such a call has outlived its deadline: Asterisk was stopped for long, or a clock was moved. ``telephone`` tells
        one from another, and is seen by whoever asks Asterisk for its groups of channels.
        """
        self._execute("SET VARIABLE", "GROUP()", telephone)
        if self.variable(f"GROUP_COUNT({telephone})") != "1":
            return False
        time.sleep(max(0, at - time.monotonic()))
        with suppress(AGIAppError):  # it was hung up
            self._execute("EXEC", "Dial", self._agi._quote(f"{where},{seconds}"))
        self._execute("SET VARIABLE", "GROUP()", self._agi._quote(""))
        return True

    def became(self) -> tuple[str, str, str]:
        """Of this leg's Dial: its DIALSTATUS, the Q.850 cause, the network's words. Works after a hangup, too."""
        status, q850, said = self._evaluate(
            "${DIALSTATUS}|${HANGUPCAUSE}|${HANGUPCAUSE(${HANGUPCAUSE_KEYS()},tech)}"
        ).split("|", 2)
        return status, q850, said

    def variable(self, name: str) -> str:
        """The value of a channel variable or function, the empty string if it has none. Works after a hangup, too."""
        return self._evaluate("${" + name + "}")

    def flow_ended(self) -> None:
        """Tell the dialplan that the flow came to its own end; without that it apologises to the caller."""
        self._execute("SET VARIABLE", "FLOW_ENDED", "1")

    def _evaluate(self, expression: str) -> str:
        result = self._execute("GET FULL VARIABLE", self._agi._quote(expression))["result"]
        return result[1] if result[0] == "1" else ""

    def _check_alive(self) -> None:
        if self._lines.hung_up:
            raise Hangup
        try:
            self._execute("CHANNEL STATUS")
        except AGIAppError:
            raise Hangup from None

    def _command(self, command: str, *arguments: object) -> str:
        """A command whose result is a key's character code, or 0."""
        if self._lines.hung_up:
            raise Hangup
        code = int(self._execute(command, *arguments)["result"][0])
        return chr(code) if code else ""

    def _execute(self, command: str, *arguments: object) -> dict[str, tuple[str, str]]:
        try:
            return self._agi.execute(command, *arguments)
        except AGIUnknownError as error:
            if error.args and error.args[0] == 511:  # "Command Not Permitted on a dead channel or intercept routine"
                raise Hangup from None
            raise
