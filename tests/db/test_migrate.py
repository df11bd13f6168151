from pathlib import Path
from threading import Thread

import psycopg
import pytest

from db.migrate import MIGRATIONS, migrate
from movans import postgres


@pytest.fixture
def empty(database: str) -> str:
    with psycopg.connect(database, user="postgres", autocommit=True) as conn:
        conn.execute("drop schema public cascade; create schema public; grant usage on schema public to public")
        conn.execute(postgres.SUPERUSER.read_bytes())
    return database


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as conn:
        return {name for (name,) in conn.execute("select tablename from pg_tables where schemaname = 'public'")}


def test_each_file_is_applied_once_in_order_whoever_starts_at_the_same_time(empty: str):
    applied: list[list[str]] = []

    def start() -> None:
        with psycopg.connect(empty) as conn:
            applied.append(migrate(conn))

    threads = [Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == [[], [], [], [file.name for file in sorted(MIGRATIONS.glob("*.sql"))]]


def test_a_file_that_fails_leaves_the_database_as_it_was(empty: str, tmp_path: Path):
    (tmp_path / "0001_good.sql").write_text("create table good (id int)")
    (tmp_path / "0002_bad.sql").write_text("create table bad (id int); select nonsense")
    with psycopg.connect(empty) as conn, pytest.raises(psycopg.Error):
        migrate(conn, tmp_path)
    assert tables(empty) == set()


def test_a_database_that_is_newer_than_the_program_is_refused(empty: str, tmp_path: Path):
    with psycopg.connect(empty) as conn:
        migrate(conn)
    with psycopg.connect(empty) as conn, pytest.raises(ValueError, match="newer than this program"):
        migrate(conn, tmp_path)


def test_every_table_and_every_column_with_states_says_what_it_is(conn: psycopg.Connection):
    silent = conn.execute(
        """select relname, null from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
             and relname <> 'migration' and obj_description(oid, 'pg_class') is null
           union all
           select attrelid::regclass::text, attname from pg_attribute
           where attname in ('state', 'status', 'outcome', 'class') and col_description(attrelid, attnum) is null
             and attrelid::regclass::text in ('offender', 'event_kind', 'notification', 'call_attempt', 'feed_run')"""
    ).fetchall()
    assert silent == []
