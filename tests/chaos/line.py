"""The service behind a trunk, with the points of the outbound path in reach, and everything short."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOSPC
from pathlib import Path
from typing import Self

import psycopg

from movans import asterisk, postgres, supervision
from tests.chaos import injected
from tests.chaos.injected import Point
from tests.chaos.oracle import Attempt, Notification
from tests.chaos.telephones import Telephones
from tests.live import registered
from tests.live.line import CHECKOUT, KEPT_SOUNDS, Line
from tests.live.softphone import free_port

RING, LONGEST = 3, 20  # seconds
SOUND = 1.0  # seconds that each built prompt lasts here
DISKS, DISK_SIZE = ("asterisk", "journal"), "16m"  # in the state directory
PATIENCE = 60  # seconds in which all parts must work again


class NotReached(AssertionError):
    """No process came to the armed point: the cell has tested nothing."""


class ChaosLine(Line):
    """Used with `with`. What it is asked to do to the service, it does from outside."""

    as_long: Sequence[str] = ()  # what is not made shorter, of `injected.SHORTER`

    def __init__(self, telephones: Telephones, /, **changes: object) -> None:
        self.telephones, self.ahead, self.moved = telephones, 0.0, 0.0
        self._sound_ports = free_port(count=100)
        trunk = {"host": telephones.address, "port": telephones.port, "lines": 4, "rate": 50}
        super().__init__(**({"trunks": {"main": trunk}} | changes))

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            super().__enter__()
            opened.push(super().__exit__)
            self._shorten_sounds()
            self._inject()
            opened.pop_all()
        return self

    def _keep_sounds(self, source: Path, target: Path) -> None:
        """Sounds are taken, and none are left: several lines may start at once, and what they shorten is their own."""
        if target != KEPT_SOUNDS:
            super()._keep_sounds(source, target)

    def start(self) -> None:
        """On a disk of its own, so that it can be full: Asterisk's spool, and all else that Asterisk writes."""
        for name in DISKS:
            disk = self.directory / "state" / name
            if not disk.is_mount():
                disk.mkdir(parents=True, exist_ok=True)
                # A container may be forbidden to mount; then the disk is the machine's, and is not filled.
                subprocess.run(
                    ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=755", "movans-chaos", str(disk)],
                    check=False, capture_output=True,
                )  # fmt: skip
        super().start()

    def stop(self) -> None:
        super().stop()
        for name in DISKS:
            if (disk := self.settings.state / name).is_mount():
                subprocess.run(["umount", "--lazy", str(disk)], check=True)

    def has_small_disk(self, name: str) -> bool:
        return (self.settings.state / name.partition("/")[0]).is_mount()

    def __exit__(self, *_: object) -> None:
        with suppress(supervision.NoSupervisor):
            for part in supervision.processes(self.settings):
                self.signal(part, signal.SIGCONT)
        super().__exit__()

    def _content(self) -> dict[str, object]:
        content = super()._content()
        assert isinstance(content["calls"], dict)
        content["calls"] |= {"ring": RING, "longest": LONGEST}
        return content

    def _inject(self) -> None:
        app, self.orders = self.settings.state / "app", self.settings.state / "chaos"
        shutil.copyfile(injected.__file__, app / "sitecustomize.py")
        (app / "sitecustomize.py").chmod(0o644)
        shutil.rmtree(self.orders, ignore_errors=True)
        self.orders.mkdir()
        for constant in self.as_long:
            (self.orders / constant).touch()
        shutil.chown(self.orders, asterisk.SERVICE_USER, asterisk.SERVICE_USER)
        self.restart("dial", "serve")

    def _rtp(self) -> int:
        return self._sound_ports

    def _shorten_sounds(self) -> None:
        for path in (self.settings.state / "sounds").glob("*/*.wav"):
            with wave.open(str(path)) as whole:
                form, frames = whole.getparams(), whole.readframes(int(SOUND * whole.getframerate()))
            with path.open("r+b") as file:  # its owner and mode stay
                file.truncate()
                with wave.open(file, "wb") as short:
                    short.setparams(form)
                    short.writeframes(frames)

    # Processes

    def restart(self, *parts: str) -> None:
        before = {part: self.kill(part) for part in parts}
        for part, pid in before.items():
            self.is_up_again(part, pid)

    def pids(self, part: str) -> list[int]:
        """The processes of a part: PostgreSQL has one for each session."""
        parent = self.pid(part)
        if parent == 0 or part != "postgres":
            return [parent] if parent else []
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]

    def signal(self, part: str, number: int) -> list[int]:
        reached = self.pids(part)
        for pid in reached:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return reached

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """The watchdog, which counts its own looks, sees nothing of what stands still meanwhile."""
        self.signal("watchdog", signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal("watchdog", signal.SIGCONT)

    @contextmanager
    def full_disk(self, directory: Path) -> Iterator[None]:
        """Not a byte is free on the directory's disk, which is a small one of its own."""
        filler = directory / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError as error:
            if error.errno != ENOSPC:
                raise
        try:
            yield
        finally:
            filler.unlink()

    # Clocks

    @contextmanager
    def own_clock(self, ahead: float = 0) -> Iterator[None]:
        """The dialer and the FastAGI server have a clock of their own, which `set_clock` moves."""
        self.moved = 0
        self.set_clock(ahead)
        (self.orders / "faketime").symlink_to(faketime())
        self.restart("dial", "serve")
        try:
            self.is_well_again()
            yield
        finally:
            (self.orders / "faketime").unlink()
            self.restart("dial", "serve")
            self.ahead = 0

    def set_clock(self, ahead: float) -> None:
        """By how many seconds their clock is ahead of the true one, from now on."""
        new = self.orders / "clock.new"
        new.write_text(f"{ahead:+.0f}\n")
        new.chmod(0o644)
        new.rename(self.orders / "clock")
        self.ahead = ahead
        self.moved = ahead or self.moved

    def movans(self, *arguments: str, says: str = "") -> subprocess.CompletedProcess[str]:
        """With the same points in reach, and by the same clock, as the service."""
        environment = {"PYTHONPATH": str(self.settings.state / "app")}
        if self.ahead:
            environment |= injected.faketime(faketime(), self.orders / "clock")
        command = [sys.executable, "-m", "movans", "--settings", str(self.file), *arguments]
        return subprocess.run(
            command, cwd=CHECKOUT, input=says, capture_output=True, text=True, check=False, timeout=120,
            env=os.environ | environment,
        )  # fmt: skip

    def is_well(self) -> bool:
        try:
            states = supervision.states(self.settings)
            with socket.create_connection(("127.0.0.1", self.settings.agi_port), timeout=1):
                pass
            return (
                all(state == "RUNNING" for state in states.values())
                and asterisk.listens(self.settings)
                and postgres.answers(self.settings)
            )
        except (OSError, asterisk.NoAsterisk, supervision.NoSupervisor):
            return False

    def is_well_again(self) -> None:
        self.eventually(self.is_well, PATIENCE)

    # Points

    def arm(self, what: str, point: Point) -> None:
        order = self.orders / "new"
        order.write_text(f"{what} {point.name}")
        order.rename(self.orders / "armed")

    @contextmanager
    def disarmed(self) -> Iterator[None]:
        """After the block nothing is armed any more, and nobody is held."""
        for name in ("armed", "reached", "go"):
            (self.orders / name).unlink(missing_ok=True)
        try:
            yield
        finally:
            (self.orders / "armed").unlink(missing_ok=True)
            self.go_on()

    def has_reached(self) -> bool:
        return (self.orders / "reached").exists()

    def wait_reached(self, point: Point, within: float = 20) -> None:
        until = time.monotonic() + within
        while not self.has_reached():
            if time.monotonic() > until:
                raise NotReached(f"nothing came to {point.name!r} ({point.function}) within {within:g} s")
            time.sleep(0.005)

    def go_on(self) -> None:
        (self.orders / "go").touch()

    # People and records

    def register(self, offender: str, number: str) -> None:
        registered.register(self, offender, number=number)

    def release(self, *offenders: str) -> None:
        registered.release(self, *offenders)

    def notifications(self, numbers: dict[str, str]) -> list[Notification]:
        """Those about these offenders, each with its registrant's number."""
        rows = self.query(
            """select n.id, o.number, n.state, extract(epoch from n.ended_at)::float8, next_call_at is not null,
                      handed_over_at is not null
               from notification n join registration r on r.id = registration_id
               join offender o on o.id = offender_id where o.number = any(%s) order by n.id""",
            list(numbers),
        )
        return [
            Notification(
                int(str(row[0])), numbers[str(row[1])], str(row[2]), self._true(row[3]), bool(row[4]), bool(row[5])
            )
            for row in rows
        ]

    def attempts(self, numbers: dict[str, str]) -> list[Attempt]:
        keys = self.house.keyring()
        known = {keys.hash(number): number for number in numbers.values()}
        rows = self.query(
            """select distinct a.id, number_hash, extract(epoch from dialled_at)::float8,
                      extract(epoch from deadline)::float8, extract(epoch from confirmed_at)::float8
               from call_attempt a join attempt_carries on attempt_id = a.id
               join notification n on n.id = notification_id join registration r on r.id = registration_id
               join offender o on o.id = offender_id where o.number = any(%s) order by a.id""",
            list(numbers),
        )
        return [
            Attempt(
                int(str(row[0])),
                known[row[1]] if isinstance(row[1], bytes) else "",
                self._true(row[2]),
                self._true(row[3]) or 0,
                self._true(row[4]),
            )
            for row in rows
        ]

    def _true(self, at: object) -> float | None:
        """When a part did what it wrote down, be it before or after its clock was moved: what is nearer to now."""
        if at is None:
            return None
        written, now = float(str(at)), time.time()
        return min(written, written - self.moved, key=lambda each: abs(each - now))

    def seconds_to_deadline(self) -> float:
        """Of the live attempt that lasts longest; negative where there is none."""
        with psycopg.connect(self.house.dsn, connect_timeout=5) as conn:
            row = conn.execute(
                "select extract(epoch from max(deadline))::float8 from call_attempt where state <> 'ended'"
            )
            ((deadline,),) = row.fetchall()
        return -1 if deadline is None else deadline - time.time()

    def is_quiet(self) -> bool:
        """No attempt lives."""
        return self.query("select from call_attempt where state <> 'ended'") == []


def faketime() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise NotReached("libfaketime is not installed (package libfaketime)")
    return found[0]
