"""A database that says nothing is given up in time, and used again when it speaks."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from db.pool import QUERY_LIMIT, Impatient, Unreachable, open_pool, take_time

ENDS = 2 * QUERY_LIMIT + 2  # seconds, on a machine that has much else to do


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def pid(cluster: str) -> int:
    """The process of the server that opens its connections."""
    with psycopg.connect(cluster, user="postgres") as conn:
        row = conn.execute("select pg_read_file('postmaster.pid')").fetchone()
    assert row
    return int(row[0].split()[0])


def test_a_query_that_is_not_answered_is_given_up_and_its_connection_is_gone(cluster: str):
    with Impatient.connect(cluster) as conn, stopped(conn.info.backend_pid):
        began = time.monotonic()
        with pytest.raises(Unreachable):
            conn.execute("select 1")
        assert time.monotonic() - began < ENDS
        assert conn.closed


def test_the_first_caller_after_a_long_absence_is_served(cluster: str, state: Path, tmp_path: Path):
    place = tmp_path / "run"  # where the database will answer when it is back
    with open_pool(cluster.replace(str(state / "run"), str(place))) as pool:
        for _ in range(2):
            with pytest.raises(Unreachable), pool.connection():
                pass
        place.symlink_to(state / "run")
        with pool.connection() as conn:
            assert conn.execute("select 1").fetchone() == (1,)


def test_what_nobody_waits_for_may_take_its_time_and_the_next_query_may_not(cluster: str):
    with open_pool(cluster, most=1) as pool:
        with pool.connection() as conn:
            take_time(conn)
            conn.execute("select pg_sleep(%s)", [QUERY_LIMIT + 0.5])
        with pool.connection() as conn, pytest.raises(Unreachable):
            conn.execute("select pg_sleep(%s)", [QUERY_LIMIT + 0.5])


def test_a_connection_that_hung_in_the_pool_is_replaced_while_the_caller_waits(cluster: str):
    with open_pool(cluster) as pool:
        with pool.connection() as conn:
            backend = conn.info.backend_pid
        with stopped(backend), pool.connection() as conn:
            assert conn.info.backend_pid != backend
            assert conn.execute("select 1").fetchone() == (1,)


def test_a_database_that_hangs_as_a_whole_is_given_up_in_time_and_found_again(cluster: str, pid: int):
    with open_pool(cluster, most=1) as pool:
        with pool.connection() as conn:
            backend = conn.info.backend_pid
        with stopped(pid), stopped(backend):
            began = time.monotonic()
            with pytest.raises(Unreachable), pool.connection():
                pass
            assert time.monotonic() - began < ENDS
        until = time.monotonic() + 10
        while True:
            try:
                with pool.connection() as conn:
                    assert conn.execute("select 1").fetchone() == (1,)
                break
            except Unreachable:
                assert time.monotonic() < until
