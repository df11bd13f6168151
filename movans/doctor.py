"""``movans doctor``: looks at every part as a stranger would, and says what to do where something is wrong."""

import os
import pwd
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg

from db import overview, staff
from db.keys import NoKeys
from db.migrate import MIGRATIONS
from movans import asterisk, supervision
from movans.wiring import House
from prompts.catalogue import WrongCatalogue
from prompts.sounds import NoVoice, Sounds, built_at

SECURE = (22, 10)
OLDEST = (18,)
MODULES = ("chan_pjsip", "res_agi", "pbx_spool", "pbx_config", "app_dial", "app_talkdetect", "format_wav", "codec_ulaw")
START = "start it: sudo script/server; if it runs, look into its log"


@dataclass(frozen=True)
class Finding:
    what: str
    well: bool
    found: str
    remedy: str


class Sick(Exception):
    """A check found something wrong; the text says what."""


# What these say is for people, and holds no secret.
FORESEEN = (
    Sick,
    OSError,
    KeyError,  # a user that is not there
    NoKeys,
    NoVoice,
    WrongCatalogue,
    asterisk.NoAsterisk,
    supervision.NoSupervisor,
    subprocess.SubprocessError,
    psycopg.Error,
)


def examine(house: House) -> Iterator[Finding]:
    """One finding after the other; a check that itself fails is a finding too."""
    for what, check, remedy in _checks(house):
        try:
            finding = Finding(what, well=True, found=check(), remedy=remedy)
        except Exception as error:  # noqa: BLE001 - whatever one check meets, the others are still to be made
            finding = Finding(what, well=False, found=_said(error), remedy=remedy)
        yield finding


def _said(error: Exception) -> str:
    """One line. Of what nobody foresaw only the kind is told: its text could hold anything."""
    if not isinstance(error, FORESEEN):
        return f"could not be checked ({type(error).__name__})"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _checks(house: House) -> list[tuple[str, Callable[[], str], str]]:
    state = house.settings.state
    return [
        ("parts", lambda: _parts(house), START),
        ("Asterisk's version", _version, "sudo script/bootstrap --upgrade"),
        ("Asterisk", lambda: _asterisk(house), f"{START}: {state / 'log' / 'asterisk.log'}"),
        ("Asterisk's modules", lambda: _modules(house), "sudo script/bootstrap --upgrade, then start again"),
        (
            "spool",
            lambda: _spool(house),
            "start again: the start sets owners and modes; keep the spool on one filesystem",
        ),
        ("database", lambda: _database(house), f"{START}: {state / 'log' / 'postgres.log'}"),
        (
            "acts of staff",
            lambda: _acts(house),
            "let the database's superuser prepare it, as README says (Data and backup)",
        ),
        ("alerts", lambda: _alerts(house), f"set alerts.command in {house.file}, and try what it does"),
        ("policy", lambda: _policy(house), f"correct the name under policy.kinds in {house.file}"),
        ("keys", lambda: _keys(house), f"restore {house.key_file} from its backup, owner movans, mode 0600"),
        ("prompts", lambda: _prompts(house), "script/movans prompts build"),
        ("voice", lambda: _voice(house), f"{START}: {state / 'log' / 'voice.log'}"),
        ("FastAGI server", lambda: _serve(house), f"{START}: {state / 'log' / 'serve.log'}"),
    ]


def _parts(house: House) -> str:
    states = supervision.states(house.settings)
    if down := [f"{name} is {state}" for name, state in states.items() if state != "RUNNING"]:
        raise Sick(", ".join(down))
    return f"{len(states)} run"


def _version() -> str:
    version = asterisk.version()
    parts = tuple(int(part) for part in version.split("."))
    if parts < OLDEST:
        raise Sick(f"{version} is too old")
    if parts < SECURE:
        raise Sick(f"{version} lacks security fixes that 22.10 has")
    return version


def _asterisk(house: House) -> str:
    if not asterisk.listens(house.settings):
        raise Sick(f"it could not take the SIP port {house.settings.sip.port}; something else has it")
    lines = asterisk.cli(house.settings, "core show uptime").splitlines()
    return lines[0] if lines else "answers"


def _modules(house: House) -> str:
    listed = asterisk.cli(house.settings, "module show")
    running = {line.split()[0].removesuffix(".so") for line in listed.splitlines() if " Running" in line}
    if missing := [module for module in MODULES if module not in running]:
        raise Sick(f"{', '.join(missing)} not running")
    return f"{len(running)} run"


def _spool(house: House) -> str:
    pbx = pwd.getpwnam(asterisk.PBX_USER)
    tmp, outgoing = (house.spool / name for name in ("tmp", "outgoing"))
    if tmp.stat().st_dev != outgoing.stat().st_dev:
        raise Sick("tmp and outgoing are on two filesystems, so no file can be renamed between them")
    for directory in (tmp, outgoing):
        found = directory.stat()
        if directory.owner() != asterisk.SERVICE_USER or found.st_gid != pbx.pw_gid or not found.st_mode & 0o2000:
            raise Sick(f"{directory} has the wrong owner, group or mode")
    space = os.statvfs(outgoing)
    if space.f_bavail * space.f_frsize < 50_000_000:
        raise Sick("less than 50 MB are free on its filesystem")
    return f"{sum(1 for _ in outgoing.iterdir())} waiting"


def _database(house: House) -> str:
    with psycopg.connect(house.dsn, connect_timeout=5) as conn:
        applied = {name for (name,) in conn.execute("select name from migration")}
        if missing := sorted({file.name for file in MIGRATIONS.glob("*.sql")} - applied):
            raise Sick(f"not applied: {', '.join(missing)}")
        return f"PostgreSQL {conn.info.server_version // 10000}, {len(applied)} migration(s)"


def _acts(house: House) -> str:
    with psycopg.connect(house.dsn, connect_timeout=5) as conn:
        if staff.can_be_changed(conn):
            raise Sick(f"the service's role ({conn.info.user}) could change or remove what is kept of them")
    return "can only be added to"


def _alerts(house: House) -> str:
    chosen = house.settings.alerts
    if not chosen.command:
        if house.settings.demo:
            return "nobody is told; for a demonstration that is enough"
        raise Sick("nobody is told of what they must know at once: they are only in alarm.log and movans report")
    alive = "a sign of life is given" if chosen.alive.command else "no sign of life is given (alerts.alive.command)"
    return f"told by {chosen.command[0]}; {alive}"


def _policy(house: House) -> str:
    with psycopg.connect(house.dsn, connect_timeout=5) as conn:
        known = overview.kinds(conn)
    if unknown := sorted(set(house.settings.policy.kinds) - set(known)):
        raise Sick(f"there is no kind of event {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return f"{len(known)} kinds of events"


def _keys(house: House) -> str:
    found = house.key_file.stat()
    if found.st_mode & 0o077 or house.key_file.owner() != asterisk.SERVICE_USER:
        raise Sick("others than the service can read the key file, or it is not the service's")
    keyring = house.keyring()
    query = "select key_id from telephone union select pin_key_id from registrant"
    try:
        with psycopg.connect(house.dsn, connect_timeout=5) as conn:
            used = {key_id for (key_id,) in conn.execute(query)}
    except psycopg.Error:  # nothing is wrong with the keys; the check of the database says what is
        return f"{len(keyring.keys)} key(s); not compared with the database, which could not be asked"
    if missing := used - set(keyring.keys):
        raise Sick(f"the database needs key {', '.join(sorted(missing))}, which is not in the key file")
    return f"{len(keyring.keys)} key(s)"


def _prompts(house: House) -> str:
    found, lacking = [], []
    for language, catalogue in house.catalogues().items():
        fixed = catalogue.fixed()
        found.append(f"{len(fixed)} sounds ({language})")
        if missing := [prompt for prompt in fixed if not built_at(house.sounds, language, prompt).exists()]:
            lacking.append(f"{', '.join(missing[:5])}{' and others' if len(missing) > 5 else ''} ({language})")
    if lacking:
        raise Sick(f"no sound for {'; '.join(lacking)}")
    return ", ".join(found)


def _voice(house: House) -> str:
    sounds = Sounds(house.sounds, house.voice_socket, house.settings.voices)
    languages = house.settings.service.languages
    for language in languages:
        try:
            sounds.try_voice(language)
        except NoVoice as error:
            raise Sick(f"{error} ({language})") from None
    return f"speaks ({', '.join(languages)})"


def _serve(house: House) -> str:
    with socket.create_connection(("127.0.0.1", house.settings.agi_port), timeout=2) as line:
        line.sendall(b"agi_network_script: ping\n\n")
        if line.recv(1):
            raise Sick(f"something else than the FastAGI server answers on port {house.settings.agi_port}")
    return f"answers on port {house.settings.agi_port}"
