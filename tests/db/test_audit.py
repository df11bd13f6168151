"""What staff did stays: on the service's own PostgreSQL its role can add to it, and nothing else."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from db import staff
from db.migrate import migrate
from tests.conftest import NOON

EVIL = [
    "update staff_act set who = 'nobody'",
    "delete from staff_act",
    "truncate staff_act",
    "drop table staff_act",
    "alter table staff_act disable trigger all",
    "drop trigger only_added on staff_act",
    "create trigger lies before insert on staff_act for each row execute function only_added()",
    "alter table staff_act owner to movans",
    "alter table staff_act rename to other",
    "create rule lies as on insert to staff_act do instead nothing",
    "set role movans_audit",
    "set role postgres",
    "set session_replication_role = replica",
    "drop schema public cascade",
    "drop database movans",
    "alter role movans superuser",
    "grant movans_audit to movans",
    "drop function hand_over_acts",
    "copy staff_act to program 'true'",
]


def test_the_services_role_cannot_change_or_remove_what_staff_did(shared: psycopg.Connection):
    staff.record(shared, "clerk", "looked up by number", now=NOON)
    shared.execute("grant delete on staff_act to movans")  # only a warning
    for evil in EVIL:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shared.execute(evil.encode())
        assert [act.who for act in staff.acts(shared, since=None, who=None)] == ["clerk"], evil
    assert not staff.can_be_changed(shared)


def test_where_the_role_is_not_split_the_triggers_are_in_the_way(database: str):
    with psycopg.connect(database, user="postgres") as conn:
        staff.record(conn, "clerk", "looked up by number", now=NOON)
        assert staff.can_be_changed(conn)
        for evil in EVIL[:3]:
            with pytest.raises(psycopg.errors.CheckViolation, match="is only added to"), conn.transaction():
                conn.execute(evil.encode())
        conn.rollback()


def test_migrations_are_the_services_also_where_the_superuser_prepared_nothing(cluster: str):
    dsn = make_conninfo(cluster, dbname="movans_plain")
    with psycopg.connect(cluster, user="postgres", autocommit=True) as conn:
        conn.execute("create database movans_plain owner movans")
    try:
        with psycopg.connect(dsn) as conn:
            migrate(conn)
            assert staff.can_be_changed(conn)
    finally:
        with psycopg.connect(cluster, user="postgres", autocommit=True) as conn:
            conn.execute("drop database movans_plain with (force)")
