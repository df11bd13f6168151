"""Who a number is after a row, case by case; and what comes of a number that is somebody else by now."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from db import alerts, held
from db.custody import Person
from feed import held as decisions
from feed.persons import became
from feed.records import SNAPSHOT
from feed.report import Report
from movans.tables import replaced, summary
from tests.conftest import NOON
from tests.feed.conftest import WITH_FEEDS, declared, row

Imports = Callable[..., Report]
HOUR = timedelta(hours=1)


def person(last: str, first: str, born: str = "1990-07-31", middle: str = "") -> Person:
    return Person(first, middle, last, date.fromisoformat(born) if born else None)


JOHN = person("SMITH", "JOHN")
CASES = {
    "as known": (JOHN, JOHN, ""),
    "other capitals": (JOHN, person("Smith", "John"), ""),
    "accents": (person("MUÑOZ", "JOSÉ"), person("MUNOZ", "JOSE"), ""),
    "a slip in the last name": (JOHN, person("SMYTHE", "JOHN"), ""),
    "a slip in everything": (JOHN, person("SMIHT", "JON", "1990-07-30"), ""),
    "month and day for each other": (person("SMITH", "JOHN", "1990-03-07"), person("SMITH", "JOHN", "1990-07-03"), ""),
    "another date of birth": (JOHN, person("SMITH", "JOHN", "1970-01-01"), ""),
    "a suffix that was added": (JOHN, person("SMITH JR", "JOHN"), ""),
    "a middle name that was added": (JOHN, person("SMITH", "JOHN", middle="PAUL"), ""),
    "a middle name in the column of the first": (JOHN, person("SMITH", "JOHN PAUL"), ""),
    "first and middle name for each other": (
        person("SMITH", "MARY", middle="ANN"),
        person("SMITH", "ANN", middle="MARY"),
        "",
    ),
    "an initial": (JOHN, person("SMITH", "J"), ""),
    "a name that is cut": (person("FITZGERALD", "JOHN"), person("FITZGER", "JOHN"), ""),
    "two last names in another order": (person("GARCIA LOPEZ", "ANA"), person("LOPEZ-GARCIA", "ANA"), ""),
    "a double name by marriage": (person("SMITH", "MARY"), person("JONES-SMITH", "MARY"), ""),
    "no date of birth before": (person("SMITH", "JOHN", ""), JOHN, ""),
    "no date of birth by now": (JOHN, person("SMITH", "JOHN", ""), ""),
    "no first name before": (person("SMITH", "", ""), JOHN, ""),
    "a marriage": (person("SMITH", "MARY"), person("JONES", "MARY"), "renamed"),
    "a marriage, where nobody says when she was born": (
        person("SMITH", "MARY", ""),
        person("JONES", "MARY"),
        "renamed",
    ),
    "a short form": (person("SMITH", "ROBERT"), person("SMITH", "BOB"), "renamed"),
    "somebody else": (JOHN, person("JONES", "MARY", "1970-01-01"), "replaced"),
    "somebody else of the same birthday": (JOHN, person("JONES", "MARY"), "replaced"),
    "somebody else of the same first name": (JOHN, person("JONES", "JOHN", "1970-01-01"), "replaced"),
    "somebody else of the same last name": (JOHN, person("SMITH", "MARY", "1970-01-01"), "replaced"),
    "somebody else, where nobody says when they were born": (
        person("SMITH", "JOHN", ""),
        person("JONES", "MARY", ""),
        "replaced",
    ),
    "somebody else with the same middle name": (
        person("SMITH", "JOHN", middle="LEE"),
        person("JONES", "MARY", middle="LEE"),
        "replaced",
    ),
}


@pytest.mark.parametrize(("known", "told", "is_now"), CASES.values(), ids=CASES)
def test_who_a_number_is_by_now(known: Person, told: Person, is_now: str):
    assert became(known, told) == is_now


MARY = "boone,100234,JONES,MARY,1970-01-01,Boone County Jail,"
SAYS = "boone 100234 was SMITH, JOHN, born 1990-07-31, and is JONES, MARY, born 1970-01-01"


@pytest.mark.parametrize("news", ["in custody,2026-11-03 14:05,\n", "released,2026-11-20 12:30,\n"])
def test_a_number_that_is_somebody_else_is_counted_and_a_person_is_told(
    news: str, imports: Imports, shared: Connection
):
    imports(row(), feed=declared())
    report = imports(MARY + news, feed=declared(now=NOON + HOUR))
    assert (report.kinds["replaced"], report.count("changes")) == (1, 1 + report.kinds["released"])
    assert "1 replaced" in summary(report)
    assert replaced(report) == [f"row 2: {SAYS}: whoever is registered for the one is called of the other"]
    (alert,) = alerts.still(shared)
    assert alert.says.startswith(f"By run {report.run_id} of boone/jail, {SAYS}. Whoever")
    imports(MARY + news, row(number="N2"), feed=declared(now=NOON + 2 * HOUR))
    assert [one.id for one in alerts.still(shared)] == [alert.id]  # it stays until somebody has seen to it


def test_numbers_that_are_somebody_else_are_one_alert_of_their_feed_that_a_person_ends(
    imports: Imports, shared: Connection
):
    def somebody_else(*numbers: int, hour: int) -> Report:
        rows = [MARY.replace("100234", f"N{number}") + "in custody,2026-11-03 14:05,\n" for number in numbers]
        return imports(*rows, feed=declared(now=NOON + hour * HOUR))

    imports(*(row(number=f"N{number}") for number in range(20)), feed=declared())
    somebody_else(1, hour=1)
    (first,) = alerts.untold(shared, most=9, now=NOON + HOUR)
    alerts.told(shared, first.id, now=NOON + HOUR)
    somebody_else(2, hour=2)
    last = somebody_else(3, 4, 5, hour=3).run_id
    assert alerts.untold(shared, most=9, now=NOON + 24 * HOUR) == []
    (again,) = alerts.untold(shared, most=9, now=NOON + 25 * HOUR)
    assert again.id == first.id
    assert again.says.startswith(
        f"By run {last} of boone/jail, boone N3 was SMITH, JOHN, born 1990-07-31, and is JONES"
    )
    assert "; 2 more numbers of it are somebody else, too; and so are 2 of before. Whoever" in again.says
    alerts.end(shared, again.id, now=NOON + 26 * HOUR)
    somebody_else(1, 2, 3, 4, 5, hour=27)
    assert alerts.still(shared) == []  # it is no news
    somebody_else(6, hour=28)
    (anew,) = alerts.untold(shared, most=9, now=NOON + 28 * HOUR)
    assert " of before" not in anew.says


def test_a_marriage_is_shown_and_no_alert(imports: Imports, shared: Connection):
    imports(row(), feed=declared())
    report = imports(row(last_name="JONES"), feed=declared(now=NOON + HOUR))
    assert (report.kinds, report.count("changes"), alerts.still(shared)) == ({"renamed": 1}, 1, [])
    says = "row 2: boone 100234 was SMITH, JOHN, born 1990-07-31, and is JONES, JOHN, born 1990-07-31"
    assert replaced(report) == [says]


@pytest.mark.parametrize("format", ["custody changes", SNAPSHOT])
def test_a_file_whose_names_are_shifted_by_a_row_is_held(
    format: str,  # noqa: A002
    db: ConnectionPool,
    imports: Imports,
    shared: Connection,
):
    names = ["SMITH", "JONES", "BROWN", "LEE", "GARCIA"] * 12
    feed = declared(format=format)
    imports(*(row(number=f"N{n}", last_name=name) for n, name in enumerate(names)), feed=feed)
    shifted = [row(number=f"N{n}", last_name=name) for n, name in enumerate([*names[1:], names[0]])]
    report = imports(*shifted, feed=declared(format=format, now=NOON + HOUR))
    assert report.held == ["60 changes, which is more than a share of 0.3 of the 60 in custody"]
    assert shared.execute("select last_name from offender where number = 'N0'").fetchall() == [("SMITH",)]
    assert [one.touched for one in held.waiting(shared)] == [60]
    would = decisions.preview(db, report.run_id, settings=WITH_FEEDS, now=NOON + 2 * HOUR)
    assert (would.kinds, would.effects["renamed", "Boone County Jail"].people) == ({"renamed": 60}, 60)
    decisions.reject(db, report.run_id, settings=WITH_FEEDS, who="clerk", why="shifted", now=NOON + 2 * HOUR)
    right = [
        row("released", "2026-11-20 12:30", number="N0"),
        *(row(number=f"N{n}", last_name=names[n]) for n in range(1, 60)),
    ]
    after = imports(*right, feed=declared(format=format, now=NOON + 3 * HOUR))
    assert (after.held, after.kinds) == ([], {"released": 1})


def test_who_is_somebody_else_is_named_before_all_who_have_another_name(
    imports: Imports, shared: Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("feed.rows.MOST_LINES", 2)
    imports(*(row(number=f"N{number}") for number in range(20)), feed=declared())
    married = [row(number=f"N{number}", last_name="JONES") for number in range(3)]
    other = row(number="N3", last_name="JONES").replace("JOHN", "MARY").replace("1990-07-31", "1970-01-01")
    report = imports(*married, other, feed=declared(now=NOON + HOUR))
    assert (report.held, report.kinds, len(report.replaced)) == ([], {"renamed": 3, "replaced": 1}, 2)
    assert "boone N3 was SMITH, JOHN" in alerts.still(shared)[0].says
