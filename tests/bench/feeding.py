"""How fast files of feeds take effect: a snapshot of a million people beside PostgreSQL's COPY, and many at once."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import yaml
from rich.progress import Progress

from db.pool import open_pool
from feed.records import SNAPSHOT
from movans import intake, settings
from movans.settings import Settings
from tests.bench import report
from tests.bench.load import Stuck
from tests.bench.people import people
from tests.cluster import make_run, running
from tests.conftest import guard_of_nothing, settings_for

AIM = 1 / 3  # of the rows a second of COPY
MEMORY = 500  # MB
MINUTE = 60  # seconds, for all feeds that come at the same time
CHANGED = 100  # one row in so many
REGISTERED = 20  # somebody is registered for one offender in so many
ROOM = 2500  # bytes of disk for each person
JAILS = 115  # Missouri's counties, and St. Louis city
STEP = timedelta(minutes=15)
COLUMNS = (
    *("offender_number", "last_name", "first_name", "middle_name", "date_of_birth", "booking_number", "aliases"),
    *("case_numbers", "facility", "status", "changed_at"),
)


@dataclass(frozen=True)
class Import:
    """One run of ``movans feed import``, as a process of its own."""

    seconds: float
    memory: float  # MB, the most that it had
    says: str


def run(many: int, jails: int, each: int) -> None:
    with tempfile.TemporaryDirectory(prefix="movans-feed-") as directory, report.progress() as progress:
        state = Path(directory)
        if shutil.disk_usage(state).free < many * ROOM:
            raise Stuck(f"{state} has not the {many * ROOM / 1e9:.0f} GB for this; give TMPDIR, or --people")
        state.chmod(0o755)
        make_run(state)
        chosen, file = house(state, jails)
        with running(chosen, "max_wal_size=4GB") as dsn:
            report.machine()
            _snapshots(dsn, file, many, progress)
            _at_once(dsn, chosen, each, progress)
    report.explain(
        f"""The snapshot is a CSV file of made-up people with names, aliases and case numbers. First nobody of them is
        known. Then one in {CHANGED} is released, moved, or has another name, and one in {10 * CHANGED} is somebody else
        than before; for one in {REGISTERED} somebody is registered. Each time movans feed import runs as a process of
        its own, whose most memory is read from /proc; its time is counted from its start to its end. COPY is
        PostgreSQL's own, of the same last file into a table whose key is the offender number. Then {jails} feeds drop
        a snapshot at the same moment, of {each} people each, of whom one in twenty is moved, and the part intake takes
        them in; the time is until the last one lies aside.

        The aims: a third of the rows a second of COPY with 1 % changes, less than {MEMORY} MB, and {JAILS} feeds within
        {MINUTE} seconds."""
    )


def house(state: Path, jails: int) -> tuple[Settings, Path]:
    """Settings with one feed for a large file and one for each jail, that hold nothing back, and their file."""
    agencies: dict[str, Any] = {}
    for name in ("state", *(f"county{number}" for number in range(jails))):
        feed: dict[str, Any] = {"format": SNAPSHOT, "interval": 900}
        if name != "state":
            feed["drop"] = str(state / "drop" / name)
            (state / "drop" / name).mkdir(parents=True)
        agencies[name] = {"name": name, "interval": 900, "feeds": {"jail": feed}}
    free = guard_of_nothing() | {"missing": {"few": 1_000_000, "most": 1_000_000, "share": 1.0}, "times": 1e6}
    chosen = settings_for(state, agencies=agencies, guard=free)
    content = yaml.safe_load(settings.EXAMPLE.read_text(encoding="utf-8"))
    file = state / "movans.yaml"
    file.write_text(yaml.safe_dump(content | {"state": str(state), "agencies": agencies, "guard": free}))
    return chosen, file


def rows(many: int, *, changed: bool, now: datetime) -> Iterator[tuple[str, ...]]:
    """The same people each time; ``changed``: with what has happened to some since."""
    since = f"{now - timedelta(days=30):%Y-%m-%d %H:%M}"
    lately = f"{now - timedelta(minutes=20):%Y-%m-%d %H:%M}"
    for place, one in enumerate(people(many)):
        number, last, status, facility, at = f"N{one.number}", one.last_name, "in custody", f"Jail {place % 40}", since
        if changed and place % CHANGED == 0:
            what = place // CHANGED % 10
            if what == 0:
                number = f"M{place}"
            elif what == 1:
                last = f"{last} JR"
            elif what % 2:
                status, at = "released", lately
            else:
                facility, at = "Annex", lately
        yield (
            number, last, one.first_name, one.middle_name, str(one.birth_date or ""), one.booking_number,
            "; ".join(alias for alias in one.aliases), "; ".join(one.case_numbers), facility, status, at,
        )  # fmt: skip


def write(path: Path, made: Iterator[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(made)


def _snapshots(dsn: str, house: Path, many: int, progress: Progress) -> None:
    now = datetime.now(settings.load(house).service.zone)
    task = progress.add_task("making up people", total=2)
    first, second = house.with_name("first.csv"), house.with_name("second.csv")
    for path in (first, second):
        write(path, rows(many, changed=path is second, now=now))
        progress.advance(task)
    progress.remove_task(task)
    done = {"nobody was known": _import(house, first, progress)}
    with psycopg.connect(dsn, autocommit=True) as conn:
        _register(conn)
        conn.execute("vacuum analyze")
    done["1 % has changed"] = _import(house, second, progress)
    done["the same once more"] = _import(house, second, progress)
    copied = _copy(dsn, second, progress)
    table = report.table(f"A snapshot of {many:,} people", "", "seconds", "rows/s", "of COPY", "memory, MB", "aim")
    for name, one in done.items():
        share, is_aim = copied / one.seconds, name == "1 % has changed"
        well = report.reached(share >= AIM and one.memory < MEMORY) if is_aim else ""
        table.add_row(
            name, f"{one.seconds:.1f}", f"{many / one.seconds:,.0f}", f"{share:.2f}", f"{one.memory:.0f}", well
        )
    table.add_row("COPY", f"{copied:.1f}", f"{many / copied:,.0f}", "1.00", "", "")
    report.out.print(table)
    for name, one in done.items():
        report.out.print(f"{name}: {one.says}", markup=False)
    report.out.print()


def _import(house: Path, file: Path, progress: Progress) -> Import:
    task = progress.add_task(f"importing {file.name}", total=None)
    command = [sys.executable, "-m", "movans", "--settings", str(house), "feed", "import", "--feed", "state/jail"]
    began, most = time.monotonic(), 0
    with subprocess.Popen([*command, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            with suppress(OSError, StopIteration):
                status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                most = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
            time.sleep(0.05)
        seconds = time.monotonic() - began
        said, wrong = process.communicate()
    progress.remove_task(task)
    if process.returncode:
        raise Stuck(f"movans feed import: {wrong.strip()[-1000:]}")
    return Import(seconds, most / 1024, said.strip().splitlines()[-1])


def _register(conn: psycopg.Connection) -> None:
    conn.execute(
        """with one as (insert into registrant (language, pin_hash, pin_key_id, created_at)
                        values ('en', '', '', now()) returning id)
           insert into registration (registrant_id, offender_id, custody, court, created_at)
           select one.id, o.id, true, true, now() from one, offender o where hashint8(o.id) %% %s = 0""",
        [REGISTERED],
    )


def _copy(dsn: str, file: Path, progress: Progress) -> float:
    """Seconds that PostgreSQL takes for the same file and a table with the same key."""
    task = progress.add_task("COPY", total=None)
    with psycopg.connect(dsn) as conn:
        columns = ", ".join(f"{name} text" for name in COLUMNS)
        conn.execute(f"create table copied ({columns}, primary key (offender_number))")  # type: ignore[arg-type]
        conn.commit()
        began = time.monotonic()
        with file.open("rb") as source, conn.cursor().copy("copy copied from stdin (format csv, header)") as copy:
            while block := source.read(1 << 18):
                copy.write(block)
        conn.commit()
        seconds = time.monotonic() - began
        conn.execute("drop table copied")
    progress.remove_task(task)
    return seconds


def _at_once(dsn: str, chosen: Settings, each: int, progress: Progress) -> None:
    drops, now = intake.drops(chosen), datetime.now(UTC)
    took: list[float] = []
    with open_pool(dsn) as pool:
        for changed in (False, True):
            made = list(rows(each, changed=False, now=now.astimezone(chosen.service.zone)))
            moved = f"{(now - timedelta(minutes=20)).astimezone(chosen.service.zone):%Y-%m-%d %H:%M}"
            for drop in drops:
                theirs = [
                    (*one[:-3], "Annex", "in custody", moved) if changed and place % 20 == 0 else one
                    for place, one in enumerate(made)
                ]
                path = drop.path / "jail.csv"
                write(path, iter(theirs))
                long_ago = time.time() - 3600
                os.utime(path, (long_ago, long_ago))
            began, clock = time.monotonic(), lambda: datetime.now(UTC)
            part = intake.Intake(pool, chosen, drops, clock)
            task = progress.add_task(f"{len(drops)} feeds at once", total=len(drops))

            def there(task: Any = task) -> bool:
                left = sum((drop.path / "jail.csv").exists() for drop in drops)
                progress.update(task, completed=len(drops) - left)
                return not left

            intake.run(part, beat=lambda: None, stopping=there)
            took.append(time.monotonic() - began)
            progress.remove_task(task)
    if wrong := [drop.feed for drop in drops if len(list((drop.path / "done").glob("*.csv"))) != len(took)]:
        raise Stuck(f"the files of {', '.join(wrong)} were not applied")
    table = report.table(f"{len(drops)} feeds at the same moment, {each:,} people each", "", "seconds", "rows/s", "aim")
    for name, seconds in zip(("nobody was known", "one in 20 was moved"), took, strict=True):
        table.add_row(name, f"{seconds:.1f}", f"{len(drops) * each / seconds:,.0f}", report.reached(seconds < MINUTE))
    report.out.print(table)
