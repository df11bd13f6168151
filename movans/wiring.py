"""The one wiring place: reads the settings, opens what is open to the outside, and hands each part what it needs."""

import logging
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import ConnectionPool

from db import custody, hosts, keys, registrants
from db.journal import Journal
from db.keys import Keyring
from db.migrate import migrate
from db.pool import Database, Unreachable, open_pool, take_time
from movans import asterisk, canary, feeds, postgres, settings, supervision, trunks
from movans.heartbeat import Heartbeat
from movans.settings import Settings
from prompts.catalogue import Catalogue, load_all

if TYPE_CHECKING:
    from prompts.engines import Voices

log = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds that a starting part waits for the database


@dataclass(frozen=True)
class House:
    """A settings file, and everything that follows from it."""

    file: Path
    settings: Settings

    @classmethod
    def at(cls, file: Path) -> "House":
        """Raises WrongSettings."""
        return cls(file.absolute(), settings.load(file))  # the parts do not start where this did

    @property
    def dsn(self) -> str:
        return postgres.dsn(self.settings)

    @property
    def host(self) -> str:
        """The name of this machine among those that share the database."""
        return self.settings.host or socket.gethostname()

    @property
    def key_file(self) -> Path:
        return self.settings.state / "keys"

    @property
    def sounds(self) -> Path:
        return self.settings.state / "sounds"

    @property
    def voice_socket(self) -> Path:
        return self.settings.state / "run" / "voice.sock"

    @property
    def journal(self) -> Journal:
        return Journal(self.settings.state / "journal")

    @property
    def spool(self) -> Path:
        return self.settings.state / "asterisk" / "spool"

    def down(self) -> frozenset[str]:
        """The trunks that were last seen not to answer."""
        return trunks.down(self.settings.state / "run" / "trunks")

    def heartbeat(self, part: str) -> Heartbeat:
        return Heartbeat(self.settings.state / "run" / f"{part}.beat")

    def keyring(self) -> Keyring:
        """Raises NoKeys."""
        return keys.load(self.key_file)

    def catalogues(self) -> dict[str, Catalogue]:
        """The words of every language, the first one first. Raises WrongCatalogue."""
        service = self.settings.service
        return load_all(
            service.languages,
            service=service.name,
            number=service.number,
            operator=service.operator,
            crisis=service.crisis_line,
        )

    def voices(self, language: str) -> "Voices":
        from prompts.engines import Voices

        return Voices(language, self.settings.voices[language], self.settings.piper_voices)

    def database(self) -> ConnectionPool:
        """A pool on a database that answers and is up to date. Raises OperationalError where none does in time.

        To be used with `with`: one that is left to the end of its process can hold that up for many seconds.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with psycopg.connect(self.dsn, connect_timeout=2) as conn:
                    for name in migrate(conn):
                        log.info("applied %s", name)
                return open_pool(self.dsn)
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)


def now() -> datetime:
    return datetime.now(UTC)


def serve(house: House) -> None:
    """The FastAGI server, until SIGTERM."""
    from agi.legs import lose_interrupted
    from agi.server import Server
    from agi.service import Service
    from prompts.sounds import Sounds

    sounds = Sounds(house.sounds, house.voice_socket, house.settings.voices)
    with house.database() as db:
        service = Service(
            db, house.keyring(), house.settings, house.catalogues(), sounds, now, house.journal, house.down
        )
        _end_at_sigterm()
        with db.connection() as conn:
            if moved := registrants.reseal(conn, service.keyring):
                log.info("%s telephone numbers moved to key %s", moved, service.keyring.newest)
        make_searchable(db)
        lose_interrupted(service, house.host)
        with Server(house.settings.agi_port, service, house.heartbeat("serve").beat) as server:
            log.info("answering on port %s", house.settings.agi_port)
            server.serve_forever(poll_interval=0.25)


def make_searchable(db: Database) -> None:
    """After a migration that asks for it: let offenders be found by the present rules."""
    while True:
        with db.connection() as conn:
            take_time(conn)
            if not (made := custody.make_searchable(conn, most=1000)):
                return
        log.info("%s offenders can be looked up by name", made)


def dial(house: House) -> None:
    """The outbound loop, until SIGTERM; a call that it has begun to hand over is handed over."""
    from dialer.loop import Dialer, run

    told_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told_to_stop.append(number))
    with house.database() as db:
        dialer = Dialer(
            db,
            house.settings,
            house.spool,
            asterisk.control_socket(house.settings),
            house.settings.service.number,
            house.host,
            house.heartbeat("dial").beat,
            house.down,
            house.journal,
        )
        run(dialer, house.dsn, clock=now, stopping=lambda: bool(told_to_stop))
        with suppress(Unreachable), db.connection() as conn:
            hosts.leave(conn, house.host)


def intake(house: House) -> None:
    """What feeds drop is taken in, until SIGTERM; what was half way then has done nothing."""
    from movans.intake import Intake, drops, run

    told_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told_to_stop.append(number))
    with house.database() as db:
        at_work = Intake(db, house.settings, drops(house.settings), now)
        run(at_work, beat=house.heartbeat("intake").beat, stopping=lambda: bool(told_to_stop))


def alarm(house: House) -> None:
    """What is done again and again beside the calls, until SIGTERM."""
    from movans import keeping
    from movans.alarm import TICK, Alive, Commands, Duty, Pulse, Teller, run, watch_duties, watch_notifications

    told_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told_to_stop.append(number))
    chosen = house.settings.alerts
    commands = Commands(chosen.within)
    others = [part.name for part in supervision.parts(house.settings) if part.name != "alarm"]
    pulse = Pulse({part: house.heartbeat(part).path for part in others})
    tick = timedelta(seconds=TICK)
    keyring = house.keyring()
    with house.database() as db:

        def watch_canary(at: datetime) -> None:
            with db.connection() as conn:
                first = house.settings.service.languages[0]
                canary.duty(conn, keyring, language=first, every=house.settings.canary, now=at)

        duties = [
            Duty("the commands", tick, commands.look),
            Duty("the parts' signs of life", tick, pulse.look),
            Duty("telling alerts", tick, Teller(db, chosen.command, commands).look),
            Duty("watching notifications", timedelta(seconds=5), watch_notifications(db)),
            Duty("test calls", timedelta(seconds=5), watch_canary),
            Duty("watching feeds", timedelta(seconds=30), feeds.watch(db, house.settings)),
            Duty("ending registrations", timedelta(minutes=5), keeping.end_registrations(db, house.settings)),
            Duty("forgetting", timedelta(days=1), keeping.Forgetting(db, house.settings).look),
        ]
        if chosen.alive.command:
            alive = Alive(db, chosen.alive.command, commands, pulse)
            duties.append(Duty("the sign that all is well", chosen.alive.every, alive.look))
        duties.append(Duty("watching duties", timedelta(seconds=5), watch_duties(db, duties)))
        try:
            run(duties, beat=house.heartbeat("alarm").beat, clock=now, stopping=lambda: bool(told_to_stop))
        finally:
            commands.stop()


def voice(house: House) -> None:
    """The voice process, until SIGTERM."""
    from prompts import voice as process

    voices = {language: house.voices(language) for language in house.settings.voices}
    process.run(house.voice_socket, house.sounds, voices, house.heartbeat("voice").beat)


def _end_at_sigterm() -> None:
    def end(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, end)


PARTS: dict[str, Callable[[House], None]] = {
    "serve": serve,
    "dial": dial,
    "intake": intake,
    "alarm": alarm,
    "voice": voice,
}
