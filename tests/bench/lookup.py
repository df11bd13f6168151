"""How soon somebody is found among millions, by name, number and case, and what two plainer searches take."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import LiteralString

import psycopg
from psycopg import Connection, sql
from rich.progress import Progress

from db import lookup
from db.names import name_keys
from db.pool import Database, open_pool
from movans import settings
from tests.bench import report
from tests.bench.load import Stuck
from tests.bench.people import SEED, people
from tests.cluster import make_run, running

AIM = 10  # milliseconds, for 99 of 100
RATE = 50  # look-ups a second
MOST = 5  # who can be offered to a caller
WARM_UP = 100  # look-ups that are not measured
EACH = 40  # look-ups of each kind of name, one after the other, by this service and each rival
ROOM = 1400  # bytes of disk for each offender
# For loading: look-ups use none of it.
OPTIONS = ("wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB", "maintenance_work_mem=1GB")
COLUMNS: dict[str, LiteralString] = {
    "offender": """(id, agency, number, first_name, middle_name, last_name, birth_date, status, facility, since,
                    known_at, booking_number, aliases, case_numbers, searchable)""",
    "offender_name": "(offender_id, last_keys, first_keys, birth_year)",
    "offender_case": "(offender_id, keys)",
}
# The plain way: the keys of both names in two columns, LIKE, and one of the two indexes that are usual for it.
OURS = "this service"
RIVALS: dict[str, LiteralString] = {
    "B-tree": "create index rival_names on rival (last_keys text_pattern_ops, first_keys text_pattern_ops)",
    "pg_trgm": "create index rival_names on rival using gin (last_keys gin_trgm_ops, first_keys gin_trgm_ops)",
}
_RIVAL = "select offender_id from rival where last_keys like %(last)s || '%%' and first_keys like %(first)s || '%%' "

Look = Callable[[Connection], object]


@dataclass(frozen=True)
class Name:
    """What a caller keys in of a name, and how that comes about."""

    kind: str
    last: str
    first: str = ""
    year: int | None = None

    def look(self, conn: Connection) -> object:
        return lookup.by_name(conn, self.last, self.first, self.year, most=MOST)

    def look_as_a_rival(self, conn: Connection) -> object:
        born = "and birth_year = %(year)s " if self.year else ""
        values = {"last": self.last, "first": self.first, "year": self.year, "rows": MOST + 1}
        return conn.execute(_RIVAL + born + "limit %(rows)s", values, prepare=False).fetchall()


@dataclass(frozen=True)
class Person:
    """Somebody of the database, as callers may look for them."""

    last: str
    first: str
    year: int | None
    number: str
    booking: str
    case: str


def run(offenders: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="movans-lookup-") as directory, report.progress() as progress:
        state = Path(directory)
        if shutil.disk_usage(state).free < offenders * ROOM:
            raise Stuck(f"{state} has not the {offenders * ROOM / 1e9:.0f} GB for this; give TMPDIR, or --offenders")
        state.chmod(0o755)
        make_run(state)
        with running(settings.load(settings.EXAMPLE).model_copy(update={"state": state}), *OPTIONS) as dsn:
            report.machine()
            load(dsn, offenders, progress)
            with psycopg.connect(dsn, user="postgres", autocommit=True) as conn:  # who may add an extension
                _print_sizes(conn)
                looks = _looks(sample(conn, offenders, 4000), round(RATE * seconds) + WARM_UP)
                with open_pool(dsn) as pool:
                    took = _at_rate(pool, [look for _, look in looks], progress)
                _print_looks([kind for kind, _ in looks][WARM_UP:], took[WARM_UP:])
                names = [look for _, look in looks if isinstance(look, Name)]
                _print_comparison(_compare(conn, names, progress))


def load(dsn: str, offenders: int, progress: Progress) -> None:
    """Fill the tables by COPY, with their indexes made afterwards, as one does with millions."""
    table = report.table(f"Loading {offenders:,} offenders, seconds", "", "")
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
        table.add_row("made up and copied", f"{time.monotonic() - began:.0f}")
        task = progress.add_task("making indexes", total=len(indexes) + len(COLUMNS))
        began = time.monotonic()
        for _, definition in indexes:
            conn.execute(definition)
            progress.advance(task)
        conn.execute("select setval(pg_get_serial_sequence('offender', 'id'), %s)", [offenders])
        for name in COLUMNS:
            conn.execute(sql.SQL("vacuum analyze {}").format(sql.Identifier(name)))
            progress.advance(task)
        table.add_row("indexes, vacuum and analyze", f"{time.monotonic() - began:.0f}")
        progress.remove_task(task)
    report.out.print(table)


def _copy(dsn: str, offenders: int, progress: Progress) -> None:
    now = datetime.now(UTC)
    task = progress.add_task(f"loading {offenders:,} offenders", total=offenders)
    with ExitStack() as stack:
        copies = []
        for table, columns in COLUMNS.items():
            conn = stack.enter_context(psycopg.connect(dsn, user="postgres"))
            conn.execute("set session_replication_role = replica")  # the keys hold by themselves
            statement = sql.SQL("copy {} {} from stdin").format(sql.Identifier(table), sql.SQL(columns))
            copies.append(stack.enter_context(conn.cursor().copy(statement)))
        offender, names, cases = copies
        for number, one in enumerate(people(offenders), start=1):
            offender.write_row(
                (number, one.agency, one.number, one.first_name, one.middle_name, one.last_name, one.birth_date,
                 "in custody", "County Jail", now, now, one.booking_number, list(one.aliases), list(one.case_numbers),
                 True)
            )  # fmt: skip
            year = one.birth_date.year if one.birth_date else None
            for last, first in name_keys(one.last_name, one.first_name).union(*map(name_keys, one.aliases)):
                names.write_row((number, last, first, year))
            for case in one.case_numbers:
                cases.write_row((number, _keyed(case)))
            if number % 1000 == 0:
                progress.update(task, completed=number)
    progress.remove_task(task)


def _keyed(number: str) -> str:
    return number.translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999", "-"))


def sample(conn: Connection, offenders: int, many: int) -> list[Person]:
    """Some by chance, so that frequent names are as frequent among them."""
    ids = Random(SEED).sample(range(1, offenders + 1), min(many, offenders))  # noqa: S311 - no secret
    rows = conn.execute(
        """select last_keys, first_keys, birth_year, o.keys, booking_keys,
                  coalesce((select min(c.keys) from offender_case c where c.offender_id = o.id), '')
           from offender o join offender_name on offender_id = o.id where o.id = any(%s) order by o.id, last_keys""",
        [ids],
    )
    return [Person(*row) for row in rows]


def _looks(known: Sequence[Person], many: int) -> list[tuple[str, Look | Name]]:
    """What callers key in: six in ten a name, of many kinds, the others a number or a case."""
    random = Random(SEED)  # noqa: S311 - no secret
    made: list[tuple[str, Look | Name]] = []
    while len(made) < many:
        one, other = random.choice(known), random.choice(known)
        chance = random.random()
        if chance < 0.6:
            name = random.choice(list(_names(one, other, random)))
            made.append((name.kind, name))
        elif chance < 0.85:
            number = random.choice([one.number, one.number, one.booking or one.number, "0" + one.number])
            made.append(("by number", partial(lookup.by_number, keys=number, most=MOST)))
        else:
            case = one.case or _keyed(f"99ZZ-CR{random.randrange(10**7)}")
            made.append(("by case", partial(lookup.by_case, keys=case, most=MOST)))
    return made


def _names(one: Person, other: Person, random: Random) -> Iterator[Name]:
    rare = random.choice(["93285866", "393435", "9466272", "789"])  # Zebulon, Ezekiel, Xiomara, Que…
    yield Name("last, first", one.last, one.first)
    yield Name("last, 1 letter", one.last, one.first[:1])
    yield Name("last", one.last)
    yield Name("last, another's first", one.last, other.first)
    yield Name("last, 1 letter, year", one.last, one.first[:1], one.year)
    yield Name("3 letters", one.last[:3])
    yield Name("3 letters, 1 letter", one.last[:3], one.first[:1])
    yield Name("3 letters, rare first", one.last[:3], rare)
    yield Name("3 letters, year", one.last[:3], "", one.year)
    yield Name("nobody's", "".join(random.choices("23456789", k=7)), one.first)


def _at_rate(db: Database, looks: Sequence[Look | Name], progress: Progress) -> list[float]:
    """Milliseconds from when each was due, at random times, until it was answered, as the service's flows ask."""
    random = Random(SEED)  # noqa: S311 - no secret
    task = progress.add_task(f"{RATE} look-ups a second", total=len(looks))

    def answer(look: Look | Name, due: float) -> float:
        with db.connection() as conn:
            look.look(conn) if isinstance(look, Name) else look(conn)
        return (time.monotonic() - due) * 1000

    with ThreadPoolExecutor(RATE) as callers:
        waiting, due = [], time.monotonic()
        for look in looks:
            due += random.expovariate(RATE)
            time.sleep(max(0, due - time.monotonic()))
            waiting.append(callers.submit(answer, look, due))
            progress.advance(task)
        took = [answered.result() for answered in waiting]
    progress.remove_task(task)
    return took


def _compare(conn: Connection, names: Sequence[Name], progress: Progress) -> dict[str, dict[str, list[float]]]:
    """Milliseconds by who looks and by kind of name, one look-up after the other while nobody else asks."""
    kinds = {name.kind: [each for each in names if each.kind == name.kind][:EACH] for name in names}
    task = progress.add_task("one after the other", total=(len(RIVALS) + 1) * sum(map(len, kinds.values())))

    def time_all(look: Callable[[Name, Connection], object]) -> dict[str, list[float]]:
        took: dict[str, list[float]] = {}
        for name in (name for entries in kinds.values() for name in entries):
            began = time.monotonic()
            look(name, conn)
            took.setdefault(name.kind, []).append((time.monotonic() - began) * 1000)
            progress.advance(task)
        return took

    found = {OURS: time_all(Name.look)}
    conn.execute("create extension pg_trgm")
    conn.execute("create table rival as select offender_id, last_keys, first_keys, birth_year from offender_name")
    for rival, index in RIVALS.items():
        progress.update(task, description=rival)
        conn.execute("drop index if exists rival_names")
        conn.execute(index)
        conn.execute("vacuum analyze rival")
        found[rival] = time_all(Name.look_as_a_rival)
    progress.remove_task(task)
    return found


def _print_sizes(conn: Connection) -> None:
    table = report.table("On disk", "", "rows", "size")
    relations = conn.execute(
        """select c.oid::regclass::text, c.reltuples::bigint, pg_size_pretty(pg_relation_size(c.oid))
           from pg_class c left join pg_index i on i.indexrelid = c.oid
           where coalesce(i.indrelid, c.oid) = any(%s::regclass[]) and pg_relation_size(c.oid) > 10000
           order by coalesce(i.indrelid, c.oid), c.relkind desc, c.relname""",
        [list(COLUMNS)],
    ).fetchall()
    for name, rows, size in relations:
        table.add_row(name if name in COLUMNS else f"  {name}", f"{rows:,}" if name in COLUMNS else "", size)
    total = conn.execute("select pg_size_pretty(pg_database_size(current_database()))").fetchone()
    table.add_row("the whole database", "", total[0] if total else "?")
    report.out.print(table)


def _print_looks(kinds: Sequence[str], took: Sequence[float]) -> None:
    columns = ("", "look-ups", "median", "p95", "p99", "worst", "aim")
    table = report.table(f"Look-ups at {RATE} a second, ms", *columns)

    def row(name: str, times: Sequence[float]) -> None:
        p99 = report.centile(times, 99)
        well = None if p99 is None else p99 < AIM
        table.add_row(name, str(len(times)), *report.spread(times, 50, 95, 99), report.reached(well))

    of_names = sorted(set(kinds) - {"by number", "by case"})
    row("by name", [each for kind, each in zip(kinds, took, strict=True) if kind in of_names])
    for group in ("by number", "by case", *of_names):
        if group == of_names[0]:
            table.add_section()
        row(group, [each for kind, each in zip(kinds, took, strict=True) if kind == group])
    report.out.print(table)


def _print_comparison(found: dict[str, dict[str, list[float]]]) -> None:
    columns = [column for who in found for column in (who, "worst")]
    table = report.table("Names, one after the other, median and worst in ms", "", *columns)
    for kind in sorted(found[OURS]):
        table.add_row(kind, *(cell for took in found.values() for cell in report.spread(took[kind], 50)))
    report.out.print(table)
    report.explain(
        f"""Offenders are made up, with names about as frequent as in the United States, a fifth of them Spanish, with
        second surnames, aliases and double entries. Callers key in names, numbers and cases of people who are there,
        as frequent as they are, and some of nobody. The clock starts when a look-up is due, at random times, and stops
        when its answer is there: a connection of the service's pool, up to three queries, the commit. PostgreSQL has
        its default settings. The aim: 99 of 100 under {AIM} ms.

        The rivals search the same rows by last_keys LIKE '…%' AND first_keys LIKE '…%' LIMIT {MOST + 1}, in a table of
        their own with one index: a B-tree over both, or a GIN of pg_trgm. Nobody else asks meanwhile. They do not put
        whole names first and do not fetch the offenders, which favours them."""
    )
