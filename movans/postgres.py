"""The service's own PostgreSQL: a cluster in the state directory, reached over a Unix socket only.

Source: PostgreSQL documentation, "Creating a Database Cluster", "Peer Authentication", "User Name Maps".
"""

import os
import pwd
import subprocess
from pathlib import Path

import psycopg

from movans.asterisk import SERVICE_USER
from movans.settings import Settings
from movans.supervision import postgres_program

OLDEST = 15

SUPERUSER = Path(__file__).parent.parent / "db" / "superuser.sql"

# Whoever may be the service, and root, who runs the command line, are the service's role, which owns all but what its
# staff did; root can also be the superuser. Nobody else gets in.
_HBA = "local all all peer map=movans\n"
_IDENT = "movans movans movans\nmovans root movans\nmovans root postgres\n"


class NoPostgres(Exception):
    """PostgreSQL is missing, too old, or could not make its cluster; the text says what to do."""


def dsn(settings: Settings) -> str:
    """How the database is reached: the one in the settings, or the service's own."""
    return settings.database or f"host={settings.state / 'run'} dbname=movans user=movans"


def prepare(settings: Settings) -> bool:
    """Make the cluster with its empty database, unless there is one; True if it was made now. Raises NoPostgres."""
    cluster = settings.state / "postgres"
    if (cluster / "complete").exists():
        if "movans root postgres" not in (cluster / "pg_ident.conf").read_text():
            raise NoPostgres(
                f"the database in {cluster} is of an early version, whose service could change what its staff did, and"
                " cannot be converted. Begin anew with script/server --reset: all that is in it is lost"
            )
        return False
    program = Path(postgres_program())
    if not program.is_absolute():
        raise NoPostgres("PostgreSQL's server is not installed. script/bootstrap installs it.")
    if int(program.parts[-3]) < OLDEST:
        raise NoPostgres(f"PostgreSQL {program.parts[-3]} is too old: {OLDEST} or later is needed")
    service = pwd.getpwnam(SERVICE_USER)
    _remove_part_of_one(cluster)
    cluster.mkdir(mode=0o700)
    os.chown(cluster, service.pw_uid, service.pw_gid)
    initdb = [str(program.with_name("initdb")), "-D", str(cluster), "-U", "postgres", "-A", "peer", "-E", "UTF8"]
    _as_service([*initdb, "--locale=C.UTF-8", "--no-instructions"])
    (cluster / "pg_hba.conf").write_text(_HBA)
    (cluster / "pg_ident.conf").write_text(_IDENT)
    single = [str(program), "--single", "-j", "-D", str(cluster)]  # -j: a blank line after each command
    _as_service([*single, "postgres"], said="create role movans login;\n\ncreate database movans;\n\n")
    _as_service([*single, "movans"], said=SUPERUSER.read_text(encoding="utf-8"))
    (cluster / "complete").touch()
    return True


def answers(settings: Settings) -> bool:
    """Whether a query is answered within two seconds."""
    try:
        with psycopg.connect(dsn(settings), connect_timeout=2, options="-c statement_timeout=2s") as conn:
            conn.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def _remove_part_of_one(cluster: Path) -> None:
    """What an interrupted initdb left; a complete cluster is never touched."""
    if cluster.exists():
        subprocess.run(["rm", "-rf", "--", str(cluster)], check=True)


def _as_service(command: list[str], said: str = "") -> None:
    done = subprocess.run(
        ["setpriv", f"--reuid={SERVICE_USER}", f"--regid={SERVICE_USER}", "--clear-groups", *command],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise NoPostgres(f"{Path(command[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")
