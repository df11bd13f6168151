"""The whole service, as `movans server` starts it, with a state directory and ports of its own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

import psycopg
import yaml

from movans import asterisk, supervision
from movans.settings import AGAIN, EXAMPLE, Settings, load
from movans.wiring import House, now
from prompts import spoken
from prompts.sounds import made_at
from tests.conftest import guard_of_nothing, policy_that_waits
from tests.live.conversation import Telephone
from tests.live.listening import Library
from tests.live.softphone import free_port

CHECKOUT = EXAMPLE.parent
# Sounds take a minute to build; they are kept from run to run, and built again where words or engines have changed.
KEPT_SOUNDS = Path("/var/cache/movans-tests/sounds")
SOON = dict.fromkeys(AGAIN, 3) | {"lost": 1}  # seconds
HEADER = "agency,offender_number,last_name,first_name,date_of_birth,facility,status,changed_at\n"


class Line:
    """Used with `with`: running inside the block, gone without a trace after it."""

    inside: Sequence[str] = ()  # what stands before the command that starts it, where it is to run elsewhere

    def __init__(self, languages: Sequence[str] = ("en",), /, **changes: object) -> None:
        self.languages = list(languages)
        self.changes = changes
        self.words: dict[
            str, str
        ] = {}  # of the sentences made at call time that tests expect, by the name of their file

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="movans-line-"))
        self.directory.chmod(0o755)
        self.file = self.directory / "movans.yaml"
        self.file.write_text(yaml.safe_dump(self._content()))
        self.file.chmod(0o644)
        self.settings: Settings = load(self.file)
        self.house = House.at(self.file)
        self._keep_sounds(KEPT_SOUNDS, self.settings.state / "sounds")
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        self._keep_sounds(self.settings.state / "sounds", KEPT_SOUNDS)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory)

    def _content(self) -> dict[str, object]:
        content = yaml.safe_load(EXAMPLE.read_text())
        content |= {"state": str(self.directory / "state"), "agi_port": free_port(socket.SOCK_STREAM), "demo": False}
        content["service"] |= {"languages": self.languages}
        content["sip"] |= {"port": free_port(), "rtp_ports": [self._rtp(), self._rtp() + 99]}
        content["calls"] |= {"ring": 5, "longest": 120}
        content["policy"] = policy_that_waits(SOON)
        content["guard"] = guard_of_nothing()  # all that the tests release within an hour is as much as a flood
        writes = ["sh", "-c", 'cat >>"$0"']
        content["alerts"] = {
            "command": [*writes, str(self.told)],
            "within": 30,
            "alive": {"command": [*writes, str(self.signs)], "every": 1},
        }
        return content | self.changes

    @property
    def told(self) -> Path:
        """What the alert command was given."""
        return self.directory / "state" / "run" / "told"

    @property
    def signs(self) -> Path:
        """What the command was given that is run as long as all is well."""
        return self.directory / "state" / "run" / "signs"

    def _rtp(self) -> int:
        return 22000 + os.getpid() % 40 * 100

    def _keep_sounds(self, source: Path, target: Path) -> None:
        # Built prompts only: what was said at call time belongs to the test that said it.
        for language in self.languages:
            if (source / language).is_dir():
                target.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(target / language, ignore_errors=True)
                subprocess.run(["cp", "-a", str(source / language), str(target)], check=True)

    def start(self) -> None:
        """Start the server, as its user does, and wait until it shows how to call."""
        command = [*self.inside, sys.executable, "-m", "movans", "--settings", str(self.file), "server"]
        self.screen = self.directory / "screen"
        with self.screen.open("w") as screen:
            self.server = subprocess.Popen(
                command, cwd=CHECKOUT, stdout=screen, stderr=screen, stdin=subprocess.DEVNULL
            )
        try:
            self.eventually(lambda: "Stop " in self.screen.read_text() or self.server.poll() is not None, 300)
            assert self.server.poll() is None, "the server did not start"
        except AssertionError as trouble:
            self.stop()
            raise AssertionError(f"{trouble}\n{self.screen.read_text()}\n{self.last_lines()}") from None

    def stop(self) -> None:
        """Ctrl-C."""
        if self.server.poll() is None:
            self.server.send_signal(signal.SIGINT)
        self.server.wait(120)

    @property
    def logs(self) -> list[Path]:
        parts = ("serve", "dial", "intake", "alarm", "voice", "watchdog", "asterisk")
        return [self.settings.state / "log" / f"{part}.log" for part in parts]

    def last_lines(self) -> str:
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            for log in self.logs
            if log.exists()
        )

    def phone(self, says: bytes = b"") -> Telephone:
        password = asterisk.phone_password(self.settings)
        library = Library(self.settings.state / "sounds", self.words)
        host, port = str(self.settings.sip.address), self.settings.sip.port
        return Telephone(password, library, logs=self.logs, host=host, port=port, says=says)

    def expects(self, prompt: str, /, language: str = "en", **values: str) -> None:
        """Let tests wait for some words of a sentence that is made at call time."""
        said = self.house.catalogues()[language].utter(prompt, **values)
        engine = self.settings.voices[said.language][0]
        self.words[made_at(self.house.sounds, said.language, said.words, engine).stem] = said.words

    def said_when(self, at: str, language: str = "en") -> str:
        """How a time of a custody file is said: with its year, once that is over."""
        zone = self.settings.service.zone
        return spoken.when(datetime.fromisoformat(at).replace(tzinfo=zone), zone, now(), language)

    def movans(self, *arguments: str, says: str = "") -> subprocess.CompletedProcess[str]:
        """The command line, as its user types it, and says what it asks."""
        command = [sys.executable, "-m", "movans", "--settings", str(self.file), *arguments]
        wide = os.environ | {"COLUMNS": "200"}
        return subprocess.run(
            command, cwd=CHECKOUT, input=says, capture_output=True, text=True, check=False, timeout=120, env=wide
        )

    def imports(self, *rows: str) -> str:
        """Import a custody file of these rows; return what was printed."""
        file = self.directory / "custody.csv"
        file.write_text(HEADER + "".join(f"{row}\n" for row in rows))
        done = self.movans("feed", "import", str(file))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.house.dsn) as conn:
            return conn.execute(sql, values).fetchall()  # type: ignore[arg-type]

    def pid(self, part: str) -> int:
        return supervision.processes(self.settings)[part].pid

    def kill(self, part: str, number: int = signal.SIGKILL) -> int:
        pid = self.pid(part)
        os.kill(pid, number)
        return pid

    def is_up_again(self, part: str, before: int, within: float = 30) -> None:
        def up() -> bool:
            process = supervision.processes(self.settings)[part]
            return process.state == "RUNNING" and process.pid not in (0, before)

        self.eventually(up, within)

    def channels(self) -> int:
        found = re.search(r"(\d+) active channels?", asterisk.cli(self.settings, "core show channels count"))
        assert found
        return int(found[1])

    @staticmethod
    def eventually(true: Callable[[], object], within: float) -> None:
        end = time.monotonic() + within
        while not true():
            assert time.monotonic() < end, f"not within {within} s"
            time.sleep(0.1)
