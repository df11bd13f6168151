"""How soon an offender is found among millions, by name, number and case, and what two plainer searches take."""

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import LiteralString

import psycopg
from psycopg import Connection, sql
from psycopg_pool import ConnectionPool
from rich.progress import Progress

from db import lookup
from db.names import name_keys
from db.pool import open_pool
from movans import settings
from tests.bench import report
from tests.bench.people import Made, people
from tests.cluster import make_run, running

AIM = 10  # milliseconds
MOST = 5
SEED = 2026
# For loading only: look-ups use none of it.
OPTIONS = ("wal_level=minimal", "max_wal_senders=0", "max_wal_size=8GB", "maintenance_work_mem=1GB")
COLUMNS: dict[str, LiteralString] = {
    "offender": """(id, agency, number, first_name, middle_name, last_name, birth_date, status, facility, since, known_at,
                    booking_number, aliases, case_numbers, searchable)""",
    "offender_name": "(offender_id, last_keys, first_keys, birth_year)",
    "offender_case": "(offender_id, keys)",
}


def load(dsn: str, offenders: int, progress: Progress) -> dict[str, float]:
    """Fill the tables by COPY, with their indexes made afterwards; seconds that each step took."""
    took: dict[str, float] = {}
    with psycopg.connect(dsn, autocommit=True) as conn:
        indexes = conn.execute(
            """select indexname, indexdef from pg_indexes
               where tablename = any(%s) and indexname not in (select conname from pg_constraint)""",
            [list(COLUMNS)],
        ).fetchall()
        for name, _ in indexes:
            conn.execute(sql.SQL("drop index {}").format(sql.Identifier(name)))
        began = time.monotonic()
        _copy(dsn, offenders, progress)
        took["COPY"] = time.monotonic() - began
        task = progress.add_task("making indexes", total=len(indexes) + 1)
        for name, definition in indexes:
            began = time.monotonic()
            conn.execute(definition)
            took[name] = time.monotonic() - began
            progress.advance(task)
        began = time.monotonic()
        for table in COLUMNS:
            conn.execute(sql.SQL("vacuum analyze {}").format(sql.Identifier(table)))
        took["VACUUM ANALYZE"] = time.monotonic() - began
        progress.remove_task(task)
    return took


def _copy(dsn: str, offenders: int, progress: Progress) -> None:
    now = datetime.now(UTC)
    task = progress.add_task(f"loading {offenders:,} offenders", total=offenders)
    with ExitStack() as stack:
        copies = {}
        for table, columns in COLUMNS.items():
            conn = stack.enter_context(psycopg.connect(dsn))
            conn.execute("set session_replication_role = replica")  # foreign keys hold by themselves here
            copies[table] = stack.enter_context(conn.cursor().copy(f"copy {table} {columns} from stdin"))
        offender, names, cases = copies.values()
        for number, one in enumerate(people(Random(SEED), offenders), start=1):
            offender.write_row(
                (number, one.agency, one.number, one.first_name, one.middle_name, one.last_name, one.birth_date,
                 "in custody", "County Jail", now, now, one.booking_number, list(one.aliases), list(one.case_numbers),
                 True)
            )  # fmt: skip
            year = one.birth_date.year if one.birth_date else None
            for last, first in _names(one):
                names.write_row((number, last, first, year))
            for case in one.case_numbers:
                cases.write_row((number, keyed(case)))
            if number % 1000 == 0:
                progress.update(task, completed=number)
    progress.remove_task(task)


def _names(one: Made) -> set[tuple[str, str]]:
    return name_keys(one.last_name, one.first_name).union(*map(name_keys, one.aliases))


def keyed(number: str) -> str:
    """As callers key it, and as the function of that name in the database says."""
    letters = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999", " ./:-")
    return number.translate(letters)
