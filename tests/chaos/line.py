"""The service behind a trunk, with the points of the outbound path in reach, and everything short."""

import os
import shutil
import signal
import socket
import subprocess
import time
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import psycopg

from movans import asterisk, postgres, supervision
from tests.chaos import injected
from tests.chaos.injected import Point
from tests.chaos.oracle import Attempt, Notification
from tests.chaos.telephones import Telephones
from tests.live import registered
from tests.live.line import Line
from tests.live.softphone import free_port

RING, LONGEST = 3, 20  # seconds
SOUND = 1.0  # seconds that each built prompt lasts here
PATIENCE = 60  # seconds in which all parts must work again
PARTS = ("dial", "serve", "asterisk", "postgres")


class NotReached(AssertionError):
    """No process came to the armed point: the cell has tested nothing."""


class ChaosLine(Line):
    """Used with `with`. What it is asked to do to the service, it does from outside."""

    def __init__(self) -> None:
        self.port = free_port()
        super().__init__(trunk={"host": "127.0.0.1", "port": self.port})

    def __enter__(self) -> Self:
        self.telephones = Telephones(self.port)
        with ExitStack() as opened:
            opened.enter_context(self.telephones)
            super().__enter__()
            opened.push(super().__exit__)
            self._shorten_sounds()
            self._inject()
            opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for part in (*PARTS, "watchdog"):
            with suppress(supervision.NoSupervisor):
                self.signal(part, signal.SIGCONT)
        super().__exit__()
        self.telephones.__exit__()

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
        shutil.chown(self.orders, asterisk.SERVICE_USER, asterisk.SERVICE_USER)
        self.restart("dial", "serve")

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
        for name in ("armed", "taken", "reached", "go"):
            (self.orders / name).unlink(missing_ok=True)
        order = self.orders / "new"
        order.write_text(f"{what} {point.name}")
        order.rename(self.orders / "armed")

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

    def notifications(self, numbers: dict[str, str], *, ahead: float = 0) -> list[Notification]:
        """Those about these offenders, each with its registrant's number. `ahead`: how far the parts' clock was."""
        rows = self.query(
            """select n.id, o.number, n.state, extract(epoch from n.ended_at)::float8, next_call_at is not null,
                      handed_over_at is not null
               from notification n join registration r on r.id = registration_id
               join offender o on o.id = offender_id where o.number = any(%s) order by n.id""",
            list(numbers),
        )
        return [
            Notification(
                int(str(row[0])), numbers[str(row[1])], str(row[2]), _true(row[3], ahead), bool(row[4]), bool(row[5])
            )
            for row in rows
        ]

    def attempts(self, numbers: dict[str, str], *, ahead: float = 0) -> list[Attempt]:
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
                _true(row[2], ahead),
                _true(row[3], ahead) or 0,
                _true(row[4], ahead),
            )
            for row in rows
        ]

    def seconds_to_deadline(self) -> float:
        """Of the live attempt that lasts longest; negative where there is none."""
        with psycopg.connect(self.house.dsn, connect_timeout=5) as conn:
            row = conn.execute("select extract(epoch from max(deadline))::float8 from call_attempt where state <> 'ended'")
            ((deadline,),) = row.fetchall()
        return -1 if deadline is None else deadline - time.time()

    def is_quiet(self) -> bool:
        """No attempt lives."""
        return self.query("select from call_attempt where state <> 'ended'") == []


def _true(at: object, ahead: float) -> float | None:
    return None if at is None else float(str(at)) - ahead
