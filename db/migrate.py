"""Applies the numbered SQL files of ``migrations/``, in order, each once, whoever else starts at the same time."""

from pathlib import Path

from psycopg import Connection

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x4D4F56  # "MOV": any number that nothing else in this database locks


def migrate(conn: Connection, directory: Path = MIGRATIONS) -> list[str]:
    """Bring the database up to date; return the names of the files that were applied now.

    All of it is one transaction: a file that fails leaves the database as it was. Raises psycopg.Error for SQL that
    fails, and ValueError where the database is newer than this program.
    """
    files = sorted(directory.glob("[0-9]*.sql"))
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        conn.execute("create table if not exists migration (name text primary key)")
        applied = {name for (name,) in conn.execute("select name from migration")}
        if unknown := applied - {file.name for file in files}:
            raise ValueError(f"the database is newer than this program: it knows {', '.join(sorted(unknown))}")
        due = [file for file in files if file.name not in applied]
        for file in due:
            conn.execute(file.read_bytes())
            conn.execute("insert into migration values (%s)", [file.name])
    return [file.name for file in due]
