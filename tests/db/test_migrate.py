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


def test_a_jails_court_date_that_a_calendars_had_replaced_is_known_again_and_a_calendars_is_no_jails(
    empty: str, tmp_path: Path
):
    for file in MIGRATIONS.glob("*.sql"):
        if file.name < "0020":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with psycopg.connect(empty) as conn:
        migrate(conn, tmp_path)
        conn.execute(
            """with run as (
                   insert into feed_run (file, sha256, started_at, outcome, rows, events, notifications)
                   values ('f', '', now(), 'applied', 1, 1, 1) returning id),
               who as (
                   insert into offender (agency, number, first_name, middle_name, last_name, status, facility, since,
                                         known_at, court_at, court_place)
                   select 'boone', number, 'J', '', 'S', 'in custody', 'Jail', now(), now(), at::timestamptz, place
                   from (values ('replaced', '2030-01-01Z', 'Division 3'), ('only', '2030-01-01Z', 'Division 3'),
                                ('jail', '2030-03-01Z', 'Annex')) as of (number, at, place)
                   returning id, number),
               date as (
                   insert into court_event (agency, source_key, case_number, planned_at, place, state, feed_run_id,
                                            known_at)
                   select 'boone', 'E1', '26CR1', '2030-01-01Z', 'Division 3', 'scheduled', id, now() from run
                   returning id, feed_run_id),
               said as (
                   insert into court_said (court_event_id, feed_run_id, case_number, planned_at, place, state, known_at)
                   select id, feed_run_id, '26CR1', '2030-01-01Z', 'Division 3', 'scheduled', now() from date),
               theirs as (
                   insert into court_event_of (court_event_id, offender_id) select date.id, who.id from date, who)
               insert into court_spoken_before
               select run.id, who.id, '2030-02-01Z', 'Annex' from run, who where number = 'replaced'"""
        )
        migrate(conn)
        found = conn.execute(
            "select number, (court_at at time zone 'UTC')::date::text, court_place from offender order by id"
        ).fetchall()
    assert found == [("replaced", "2030-02-01", "Annex"), ("only", None, ""), ("jail", "2030-03-01", "Annex")]
