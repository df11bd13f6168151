"""The supervisor: its configuration, its start, its stop, and what it says of the parts.

It is supervisord. It starts the parts in the order of PARTS, restarts what dies, and stops them in the opposite order,
each one gone before the next is told to go.

Nothing outlives it: the kernel kills every part when supervisord dies, and asks supervisord to stop when the process
that started it dies.
"""

import http.client
import os
import pwd
import re
import resource
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path

from supervisor.xmlrpc import SupervisorTransport

from movans.asterisk import SERVICE_USER
from movans.settings import Settings, WrongSettings

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Part:
    name: str
    user: str
    seconds_to_stop: int
    # The kernel's signal when supervisord dies.
    at_death: str = "KILL"


POSTGRES = Part("postgres", SERVICE_USER, seconds_to_stop=60, at_death="INT")
PARTS = (
    POSTGRES,
    Part("voice", SERVICE_USER, seconds_to_stop=10),
    Part("serve", SERVICE_USER, seconds_to_stop=10),
    # Root only to change the root directory and the user; Asterisk itself runs as movans-pbx.
    Part("asterisk", "root", seconds_to_stop=20),
    Part("dial", SERVICE_USER, seconds_to_stop=10),
    Part("intake", SERVICE_USER, seconds_to_stop=10),
    Part("alarm", SERVICE_USER, seconds_to_stop=5),
    # Root, because it kills processes of both users.
    Part("watchdog", "root", seconds_to_stop=5),
)


@dataclass(frozen=True)
class Process:
    state: str  # STARTING, RUNNING, BACKOFF, STOPPING, STOPPED, EXITED, FATAL
    pid: int  # 0 where there is none


class NoSupervisor(Exception):
    """The supervisor does not run, or does not answer."""


def parts(settings: Settings) -> tuple[Part, ...]:
    """The parts that are started with these settings: no postgres where the database is elsewhere."""
    return tuple(part for part in PARTS if part is not POSTGRES or settings.database == "")


def prepare(settings: Settings) -> None:
    """Make the directories of the supervisor, and of the parts' sockets, heartbeats, logs and journal."""
    service = pwd.getpwnam(SERVICE_USER)
    for directory, owner, group, mode in (
        (settings.state, 0, 0, 0o755),
        # Parts make their own files there, and cannot replace those of others.
        (settings.state / "run", 0, service.pw_gid, 0o1770),
        (settings.state / "run" / "supervisor", 0, 0, 0o700),
        (settings.state / "log", 0, 0, 0o750),
        (settings.state / "journal", service.pw_uid, service.pw_gid, 0o700),
    ):
        directory.mkdir(parents=True, exist_ok=True)
        os.chown(directory, owner, group)
        directory.chmod(mode)


def configuration(settings: Settings, file: Path, app: Path) -> str:
    """supervisord.conf. `file` is the settings file that the parts read, `app` the directory of their code."""
    run = settings.state / "run" / "supervisor"
    log = settings.state / "log"
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = 65536 if limit == resource.RLIM_INFINITY else min(65536, limit)
    sections = [
        f"""[supervisord]
nodaemon=true
silent=true
user=root
umask=027
; Each call takes Asterisk about a dozen open files.
minfds={files}
loglevel=info
logfile={_value(log / "supervisor.log")}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={_value(run / "supervisord.pid")}
childlogdir={_value(log)}
directory=/

[unix_http_server]
file={_value(socket_path(settings))}
chmod=0600
chown=root:root

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    ]
    for priority, part in enumerate(parts(settings), start=1):
        if part is POSTGRES:
            start = [
                postgres_program(),
                "-D",
                str(settings.state / "postgres"),
                "-k",
                str(settings.state / "run"),
                "-c",
                "listen_addresses=",
            ]
        else:
            start = [sys.executable, "-m", "movans", "--settings", str(file), part.name]
        line = shlex.join(["setpriv", "--pdeathsig", part.at_death, *start])
        sections.append(f"""[program:{part.name}]
command={_value(line)}
priority={priority}
user={part.user}
environment=PYTHONPATH="{_value(app)}"
autostart=true
autorestart=true
startsecs=1
; What cannot start is tried for a while, then given up; the watchdog starts it again later.
startretries={100000 if part.name == "watchdog" else 5}
; INT makes PostgreSQL end its sessions and stop; TERM would have it wait for them.
stopsignal={"INT" if part is POSTGRES else "TERM"}
stopwaitsecs={part.seconds_to_stop}
redirect_stderr=true
stdout_logfile={_value(log / part.name)}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
""")
    return "\n".join(sections)


def start(settings: Settings, file: Path, app: Path | None = None) -> subprocess.Popen[bytes]:
    """Start supervisord, which starts the parts; call it from the main thread of a process that stays until the stop.

    It is in a session of its own: Ctrl-C reaches the caller only, who then calls `stop`.
    """
    prepare(settings)
    conf = settings.state / "run" / "supervisor" / "supervisord.conf"
    text = configuration(settings, file, app or settings.state / "app")
    with tempfile.NamedTemporaryFile("w", dir=conf.parent, delete=False, encoding="utf-8") as new:  # mode 0600
        new.write(text)
    Path(new.name).rename(conf)
    program = "from supervisor.supervisord import main; main()"
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", sys.executable, "-c", program, "--configuration", str(conf)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        env={
            "PATH": _PATH,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONSAFEPATH": "1",
        },
    )


def stop(supervisord: subprocess.Popen[bytes], settings: Settings) -> None:
    """Stop the parts, the last first, then supervisord; returns when all are gone."""
    supervisord.terminate()
    try:
        supervisord.wait(sum(part.seconds_to_stop + 2 for part in parts(settings)))
    except subprocess.TimeoutExpired:
        supervisord.kill()  # and the kernel kills the parts
        supervisord.wait()


def socket_path(settings: Settings) -> Path:
    return settings.state / "run" / "supervisor" / "supervisor.sock"


def processes(settings: Settings) -> dict[str, Process]:
    """What supervisord says of each part. Raises NoSupervisor where none answers within 5 seconds."""
    said = _call(settings, "getAllProcessInfo")
    assert isinstance(said, list)  # noqa: S101
    return {process["name"]: Process(process["statename"], process["pid"]) for process in said}


def states(settings: Settings) -> dict[str, str]:
    """The state of each part, as RUNNING, by its name. Raises NoSupervisor as `processes` does."""
    return {name: process.state for name, process in processes(settings).items()}


def start_part(settings: Settings, name: str) -> None:
    """Start a part that supervisord has given up; does not wait for it."""
    _call(settings, "startProcess", name, False)  # noqa: FBT003


def wait_for(settings: Settings, timeout: float = 30) -> dict[str, str]:
    """Wait until every part runs, or one is given up, or the time is over; returns what `states` says then."""
    end = time.monotonic() + timeout
    while True:
        try:
            now = states(settings)
        except NoSupervisor:
            now = {}
        settled = now and (all(state == "RUNNING" for state in now.values()) or "FATAL" in now.values())
        if settled or time.monotonic() > end:
            return now
        time.sleep(0.1)


def postgres_program() -> str:
    """The newest PostgreSQL server of this machine, from where Debian keeps them, else from the PATH."""
    versions = {int(path.parts[-3]): path for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin/postgres")}
    return str(versions[max(versions)]) if versions else "postgres"


class _Connection(http.client.HTTPConnection):
    """Supervisor's own connects without a time limit; a stopped supervisord would hold its caller for ever."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(str(self._path))


def _call(settings: Settings, method: str, *arguments: str | bool) -> object:
    path = socket_path(settings)
    transport = SupervisorTransport(serverurl=f"unix://{path}")
    setattr(transport, "_get_connection", lambda: _Connection(path))  # noqa: B010
    proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
    try:
        return getattr(proxy.supervisor, method)(*arguments)
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise NoSupervisor(f"The supervisor does not answer: {error}. Is the server running?") from None
    finally:
        transport.close()


def _value(text: object) -> str:
    """As it may stand in supervisord.conf, where % begins an expression and a blank with ; or # a comment."""
    if re.search(r"\s[;#]|\n", str(text)):
        raise WrongSettings(f"{text}: a blank before ; or # cannot be part of a path")
    return str(text).replace("%", "%%")
