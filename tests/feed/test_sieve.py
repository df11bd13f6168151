"""Rows of a snapshot that are as they were are not read again, and what comes of it is the same as if they were."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection
from psycopg_pool import ConnectionPool

from db import custody, held, retractions
from db.custody import Custody, Person
from feed import custody_csv, override
from feed import held as decisions
from feed.records import SNAPSHOT, CustodyRecord, Refused, Rules
from feed.report import Report
from feed.retraction import retract
from feed.run import run
from tests.conftest import NOON, guard_of_nothing, settings_for
from tests.feed.conftest import BOONE, HEADER, declared, row

Imports = Callable[..., Report]

HOUR = timedelta(hours=1)
NOBODY = {"few": 0, "most": 0, "share": 0.0}
FEEDS = {
    name: {"format": SNAPSHOT if name != "moves" else "custody changes", "interval": 900}
    for name in ("jail", "annex", "moves")
}
EASY, STRICT = (
    settings_for(Path("/nowhere"), agencies={"boone": BOONE | {"feeds": FEEDS}}, guard=guard_of_nothing() | limits)
    for limits in ({}, {"releases": NOBODY, "changes": NOBODY})
)
NUMBERS = ("11", "12", "13")


def jail(hour: int, name: str = "jail") -> Rules:
    how = "custody changes" if name == "moves" else SNAPSHOT
    return declared(format=how, feed=f"boone/{name}", now=NOON + hour * HOUR, quarantine=0.5)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that were taken apart."""
    found: list[int] = []
    record = custody_csv.Table.record

    def noted(table: custody_csv.Table, number: int, cells: list[str]) -> object:
        found.append(number)
        return record(table, number, cells)

    monkeypatch.setattr(custody_csv.Table, "record", noted)
    return found


def test_only_rows_that_are_new_are_read(imports: Imports, read: list[int]):
    imports(row(number="11"), row(number="12"), feed=jail(0))
    read.clear()
    report = imports(row(number="12"), row("released", "2026-11-20 12:30", number="11"), feed=jail(1))
    assert (read, report.rows, report.unchanged, report.kinds) == ([3], 2, 1, {"released": 1})
    read.clear()
    imports(row(number="12"), row("released", "2026-11-20 12:30", number="11"), feed=jail(2))
    assert read == []


def test_a_row_of_several_lines_that_is_as_it_was_is_not_read_again(imports: Imports, read: list[int]):
    rows = row(number="11", last_name='"SMITH\nJONES"'), row(number="12", last_name='"\n"'), row(number="13")
    imports(*rows, feed=jail(0))
    read.clear()
    report = imports(*rows[::2], feed=jail(1))
    assert (read, report.rows, report.unchanged) == ([], 2, 2)


AS_IT_WAS = [row(number=str(number), event_id=f"E{number}") for number in range(11, 17)]


@pytest.mark.parametrize(
    "more",
    [
        row(number="11", event_id="E11"),
        row("released", "2026-11-20 12:30", number="11", event_id="E21"),
        row(number=" 11 ", facility="Annex"),
        row(number="14", event_id="E12"),
        row(number="14", event_id=" E12 ", at="2026-11-20 12:30") + row(number="11", facility="Annex"),
        row(number="11") + row(number="11", last_name="\0", event_id="\0"),
    ],
)
@pytest.mark.parametrize("place", [0, 6])
def test_a_row_that_is_as_it_was_is_read_where_another_is_about_the_same(
    more: str, place: int, imports: Imports, shared: Connection
):
    came: list[object] = []
    for anew in (False, True):
        shared.execute("truncate offender, feed_run, snapshot, roster, alert restart identity cascade")
        imports(*AS_IT_WAS, feed=jail(0))
        if anew:
            shared.execute("select look_again(array(select id from offender))")
        report = imports(*AS_IT_WAS[:place], more, *AS_IT_WAS[place:], feed=jail(1))
        came.append((report.rows, report.unchanged, report.repeated, report.kinds, sorted(report.quarantined, key=str)))
        came.append(shared.execute("select offender_id, digest is null from roster order by 1").fetchall())
    assert came[:2] == came[2:]


def test_every_row_is_read_again_once_the_settings_have_changed(imports: Imports, read: list[int]):
    imports(row(number="11"), feed=jail(0))
    read.clear()
    report = imports(row(number="11"), feed=replace(jail(1), facilities={"Boone County Jail": "Jail"}))
    assert (read, report.events) == ([2], 1)


def test_what_staff_say_and_a_file_contradicts_is_said_each_time(
    imports: Imports, db: ConnectionPool, shared: Connection
):
    imports(row(number="11"), row(number="12"), feed=jail(0))
    say(db, "11", "released", 1)
    for hour in (2, 3):
        assert len(imports(row(number="11"), row(number="12"), feed=jail(hour)).disagreeing) == 1
    known = custody.find(shared, "boone", "12")
    assert known
    assert known.known_at == NOON + 3 * HOUR


def test_as_of_when_it_is_known_stays_known_when_a_row_is_to_be_looked_at_again(imports: Imports, shared: Connection):
    for hour in (0, 1):
        imports(row(number="11"), row(number="12"), feed=jail(hour))
    imports(row("escaped", "2026-11-01 08:00", number="11"), feed=jail(2, "moves"))  # late: it says nothing of now
    for number in ("11", "12"):
        known = custody.find(shared, "boone", number)
        assert known
        assert known.known_at == NOON + HOUR


def test_a_refused_or_held_file_leaves_no_row_that_is_not_looked_at(
    db: ConnectionPool, tmp_path: Path, imports: Imports, read: list[int]
):
    imports(row(number="11"), row(number="12"), feed=jail(0))
    path = tmp_path / "held.csv"
    path.write_text(HEADER + row("released", "2026-11-20 12:30", number="11") + row(number="12"))
    assert run(db, path, jail(1), settings=STRICT).held
    read.clear()
    assert run(db, path, jail(2), settings=STRICT).held
    assert read == [2]


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feed.rows.CHUNK", 2)


@pytest.mark.usefixtures("chunks")
def test_rows_that_belong_together_are_compared_however_far_apart_they_stand(imports: Imports, shared: Connection):
    rows = [row(number=str(number), event_id=f"E{number}") for number in range(11, 20)]
    twice = row("released", number="11", event_id="E30"), row(number="30", event_id="E12")
    report = imports(*rows, *twice, rows[-1], feed=jail(0))
    assert (report.rows, report.repeated, report.kinds) == (12, 1, {"listed": 7})
    assert [bad.row for bad in report.quarantined] == [2, 3, 11, 12]
    assert shared.execute("select count(*) from roster").fetchone() == (7,)


@pytest.mark.usefixtures("chunks")
def test_rows_of_one_offender_are_applied_in_the_order_of_their_times(imports: Imports, shared: Connection):
    others = [row(number=str(number)) for number in range(12, 17)]
    report = imports(row("released", "2026-11-20 09:40"), *others, row(), row(at="2026-11-20 10:00", facility="Annex"))
    assert report.kinds == {"listed": 6, "released": 1, "returned": 1}
    assert shared.execute("select status, facility from offender where number = '100234'").fetchall() == [
        ("in custody", "Annex")
    ]


@pytest.mark.usefixtures("chunks")
def test_every_mistake_is_told_and_nothing_changes_whatever_was_applied_before(imports: Imports, shared: Connection):
    imports(row(number="1", event_id="E1"), row(number="2", event_id="E2"))
    fresh = [row(number=str(number)) for number in range(11, 16)]
    with pytest.raises(Refused) as refused:
        imports(*fresh, row(number="3", event_id="E1"), *fresh[:2], row(number="4"), row(number="5", event_id="E2"))
    assert [mistake.split(":")[0] for mistake in refused.value.mistakes] == [
        "custody.csv, row 7",
        "custody.csv, row 11",
    ]
    assert shared.execute("select count(*) from offender").fetchone() == (2,)


def say(db: ConnectionPool, number: str, status: str, hour: int) -> None:
    told = Custody(status, "Boone County Jail", NOON + hour * HOUR)
    record = CustodyRecord(0, "boone", number, Person("JOHN", "", "SMITH", None), told, "", {})
    with db.connection() as conn:
        override.say(conn, record, who="clerk", settings=EASY, now=NOON + hour * HOUR)


@dataclass(frozen=True)
class Act:
    """What happens: by which feed or by whom, of whom, and what they say."""

    what: Literal["jail", "annex", "moves", "staff", "retract", "decide"]
    number: str
    status: str
    facility: str
    last_name: str
    day: str  # of release
    ago: int  # hours
    gone: bool
    strict: bool


FIRST = Act("jail", "11", "in custody", "Annex", "SMITH", "2027-05-01", 9, gone=False, strict=False)
ACTS = st.lists(
    st.builds(
        Act,
        st.sampled_from(["jail", "jail", "jail", "annex", "moves", "staff", "retract", "decide"]),
        st.sampled_from(NUMBERS),
        st.sampled_from(["in custody", "in custody", "released", "free"]),
        st.sampled_from(["Boone County Jail", "Annex"]),
        st.sampled_from(["SMITH", "SMYTH"]),
        st.sampled_from(["2027-05-01", "2027-06-01", ""]),
        st.integers(0, 4),
        st.booleans(),
        st.booleans(),
    ),
    min_size=3,
    max_size=14,
)


def due(plain: str, day: str = "2027-05-01") -> str:
    return plain.replace("\n", f",{day}\n")


def happen(db: ConnectionPool, shared: Connection, path: Path, acts: Sequence[Act], *, anew: bool) -> Iterator[object]:
    """What came of each act; ``anew``: with every row looked at."""
    shared.execute("truncate offender, feed_run, snapshot, roster, alert restart identity cascade")
    there = {feed: {number: due(row(number=number)) for number in NUMBERS} for feed in ("jail", "annex")}
    for hour, act in enumerate([FIRST, *acts], start=1):
        if anew:
            shared.execute("select look_again(array(select id from offender))")
        yield came(db, shared, path, act, hour, there)
        for table in (
            """select number, e.kind, e.status, e.facility, effective_at, stated_times, retracted_at,
                      planned_at, denied_at
               from custody_event e join offender o on o.id = offender_id order by number, e.id""",
            "select feed, number, missing_since from roster join offender on id = offender_id order by 1, 2",
            "select outcome, rows, events from feed_run order by id",
        ):
            yield shared.execute(table).fetchall()
        yield [custody.find(shared, "boone", number) for number in NUMBERS]


def came(
    db: ConnectionPool, shared: Connection, path: Path, act: Act, hour: int, there: dict[str, dict[str, str]]
) -> object:
    now = NOON + hour * HOUR
    at = f"2026-11-20 {12 + hour - act.ago}:00" if hour - act.ago < 12 else f"2026-11-21 0{hour - act.ago - 12}:00"
    said = due(row(act.status, at, number=act.number, facility=act.facility, last_name=act.last_name), act.day)
    if act.what == "staff":
        known = custody.find(shared, "boone", act.number)
        return say(db, act.number, "released", hour - act.ago) if known else None
    if act.what == "retract":
        last = shared.execute("select max(feed_run_id) from custody_event where kind <> 'listed'").fetchone()
        events = retractions.of_run(shared, last[0]) if last and last[0] else []
        return events and retract(db, events, "it", settings=EASY, who="clerk", why="wrong", now=now)
    if act.what == "decide":
        return [decided(db, one.id, act, now) for one in held.waiting(shared)[:1]]
    rows = [said]
    if act.what != "moves":
        rows = list(there[act.what].values())
        if act.gone:
            there[act.what].pop(act.number, None)
        else:
            there[act.what][act.number] = said
        rows = [*there[act.what].values(), due(row(number="99"))]
    path.write_text(HEADER.replace("\n", ",release_date\n") + "".join(rows))
    return counted(lambda: run(db, path, jail(hour, act.what), settings=STRICT if act.strict else EASY))


def decided(db: ConnectionPool, run_id: int, act: Act, now: object) -> object:
    how: dict[str, object] = {"settings": EASY, "who": "clerk", "why": "so", "now": now}
    if act.gone:
        return decisions.reject(db, run_id, **how)  # type: ignore[arg-type]
    only = ["released"] if act.strict else []
    return counted(lambda: decisions.approve(db, run_id, only=only, **how))  # type: ignore[arg-type]


def counted(work: Callable[[], Report]) -> object:
    try:
        report = work()
    except Refused as refused:
        return refused.mistakes
    told = [(line.record.number, line.change.what, line.change.kind, line.notifications) for line in report.lines]
    counts = report.rows, report.unchanged, report.passed_over, report.repeated, report.touched, report.events
    return told, counts, sorted(report.disagreeing), len(report.missing), report.held, len(report.quarantined)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_whatever_happens_the_same_comes_of_it_as_if_every_row_were_read(
    acts: list[Act], db: ConnectionPool, shared: Connection, tmp_path: Path
):
    path = tmp_path / "jail.csv"
    as_it_is = list(happen(db, shared, path, acts, anew=False))
    assert as_it_is == list(happen(db, shared, path, acts, anew=True))
