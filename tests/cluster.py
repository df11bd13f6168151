"""A real PostgreSQL that is there for as long as it is used."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from db.migrate import migrate
from movans import postgres
from movans.asterisk import SERVICE_USER
from movans.settings import Settings
from movans.supervision import postgres_program


def make_run(state: Path) -> None:
    """The directory of its socket, in a state directory that the service's users can reach."""
    run = state / "run"
    run.mkdir()
    service = pwd.getpwnam(SERVICE_USER)
    os.chown(run, service.pw_uid, service.pw_gid)


def make_database(cluster: str, name: str) -> str:
    """One more database, as the service's own is: its DSN."""
    with psycopg.connect(cluster, user="postgres", autocommit=True) as conn:
        conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    dsn = make_conninfo(cluster, dbname=name)
    with psycopg.connect(dsn, user="postgres") as conn:
        conn.execute(postgres.SUPERUSER.read_bytes())
    return dsn


def drop_database(cluster: str, name: str) -> None:
    with psycopg.connect(cluster, user="postgres", autocommit=True) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextmanager
def running(chosen: Settings, *options: str) -> Iterator[str]:
    """PostgreSQL as the service starts it, with the migrations applied and some settings of its own: its DSN."""
    state = chosen.state
    postgres.prepare(chosen)
    command = [postgres_program(), "-D", str(state / "postgres"), "-k", str(state / "run"), "-c", "listen_addresses="]
    drop = ["setpriv", f"--reuid={SERVICE_USER}", f"--regid={SERVICE_USER}", "--clear-groups", "--pdeathsig=INT"]
    more = [word for option in ("fsync=off", *options) for word in ("-c", option)]
    with (state / "postgres.log").open("w") as log:
        server = subprocess.Popen([*drop, *command, *more], stdout=log, stderr=log, cwd="/")
        try:
            while not postgres.answers(chosen):
                assert server.poll() is None, (state / "postgres.log").read_text()
            with psycopg.connect(postgres.dsn(chosen), autocommit=True) as conn:
                migrate(conn)
            yield postgres.dsn(chosen)
        finally:
            server.send_signal(2)
            server.wait(30)
