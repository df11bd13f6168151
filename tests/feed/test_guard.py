"""What a run may change: the rule, case by case; and runs that are held."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import LiteralString

import pytest
from psycopg import Connection
from psycopg.errors import CheckViolation
from psycopg_pool import ConnectionPool

from db import alerts, held, retractions
from feed import held as decisions
from feed.guard import excess
from feed.held import NotHeld
from feed.records import SNAPSHOT, Refused
from feed.report import Report
from feed.retraction import retract
from feed.run import run
from movans.settings import Limit
from tests.conftest import NOON, settings_for
from tests.feed.conftest import BOONE, CALENDAR, HEADER, SAMPLES, WITH_FEEDS, declared, row, rules

Imports = Callable[..., Report]
Register = Callable[..., int]

LIMIT = Limit(few=10, most=100, share=0.1)
HOUR = timedelta(hours=1)
SNAPSHOTS = {"format": SNAPSHOT, "interval": 900}

CASES = {
    "few, however large a share": (10, 0, 10, None, ""),
    "a small share": (30, 0, 1000, None, ""),
    "too large a share": (30, 0, 200, None, "30 releases, which is more than a share of 0.1 of the 200 held"),
    "more than ever": (1891, 0, 1_000_000, None, "1,891 releases, and at most 100 are usual"),
    "as usual": (50, 0, 1000, 5, ""),
    "far more than usual": (51, 0, 1000, 5, "51 releases, which is more than 10 times the median of the last runs, 5"),
    "few where none is usual": (10, 0, 1000, 0, ""),
    "some where none is usual": (11, 0, 1000, 0, "11 releases, which is more than 10 times the median of the last"),
    "few, with those before": (1, 9, 10, None, ""),
    "too large a share, with those before": (1, 10, 100, None, "11 releases within an hour, 1 by this file, which is"),
    "more than ever, with those before": (1, 100, 10_000, None, "101 releases within an hour, 1 by this file, and at"),
    "none, after too many": (0, 1891, 10_000, None, ""),
    "as usual, after many of those": (1, 50, 10_000, 1, ""),
}


@pytest.mark.parametrize(("count", "lately", "among", "usual", "says"), CASES.values(), ids=CASES)
def test_what_is_too_much(count: int, lately: int, among: int, usual: float | None, says: str):
    found = excess("releases", count, LIMIT, lately=lately, among=among, of="held", times=10, usual=usual)
    assert (found or "").startswith(says)
    assert bool(found) == bool(says)


MANY = 60  # more than few, and a large share


@pytest.fixture
def jail(imports: Imports, register: Register) -> None:
    """Many people in custody, of whom two have somebody registered."""
    imports(*(row(number=f"N{number}") for number in range(1, MANY + 1)), feed=declared())
    register("N1")
    register("N2", telephone="5735550143")


def test_quiet_files_make_no_others_unusual(imports: Imports):
    quiet = [imports(feed=declared(now=NOON)) for _ in range(25)]
    assert {(report.rows, bool(report.held)) for report in quiet} == {(0, False)}
    assert imports(*(row(number=f"N{number}") for number in range(200)), feed=declared()).held == []
    assert releases(imports, many=15).held == []


def releases(imports: Imports, *, hour: int = 1, many: int = MANY, at: str = "2026-11-20 12:30") -> Report:
    rows = [row("released", at, number=f"N{number}") for number in range(1, many + 1)]
    return imports(*rows, feed=declared(now=NOON + hour * HOUR))


def effects(shared: Connection) -> tuple[int, int, int]:
    """How many are out, how many events and how many notifications there are."""
    found = shared.execute(
        """select (select count(*) from offender where status <> 'in custody'),
                  (select count(*) from custody_event where kind <> 'listed'), (select count(*) from notification)"""
    ).fetchone()
    assert found
    return found


def outcomes(shared: Connection) -> list[str]:
    return [outcome for (outcome,) in shared.execute("select outcome from feed_run order by id")]


def alert(shared: Connection) -> list[str]:
    return [one.says for one in alerts.still(shared)]


@pytest.mark.usefixtures("jail")
def test_a_run_that_changes_too_much_is_held_and_nothing_of_it_takes_effect(imports: Imports, shared: Connection):
    report = releases(imports)
    assert report.held == [
        "60 releases, which is more than a share of 0.1 of the 60 in custody",
        "60 changes, which is more than a share of 0.3 of the 60 in custody",
    ]
    assert effects(shared) == (0, 0, 0)
    assert shared.execute("select outcome, events, releases, notifications from feed_run order by id").fetchall() == [
        ("applied", MANY, 0, 0),
        ("held", MANY, MANY, 2),  # what it would do
    ]
    assert alert(shared) == [
        f"Feed run {report.run_id} (boone/jail) is held, and nobody is called of it: {report.held[0]}. movans feed held"
    ]


@pytest.mark.usefixtures("jail")
def test_too_many_deaths_are_held_as_too_many_releases_are(imports: Imports, shared: Connection):
    dead = [row("deceased", "2026-11-20 12:30", number=f"N{number}") for number in range(1, 13)]
    report = imports(*dead, feed=declared(now=NOON + HOUR))
    assert report.held == ["12 releases, which is more than a share of 0.1 of the 60 in custody"]
    assert effects(shared) == (0, 0, 0)


@pytest.mark.usefixtures("jail")
def test_what_is_held_shows_what_it_would_do_and_does_nothing(db: ConnectionPool, imports: Imports, shared: Connection):
    run_id = releases(imports).run_id
    would = decisions.preview(db, run_id, settings=WITH_FEEDS, now=NOON + 2 * HOUR)
    assert (would.kinds, would.notifications, would.people) == ({"released": MANY}, 2, 2)
    assert effects(shared) == (0, 0, 0)
    assert outcomes(shared) == ["applied", "held"]


@pytest.mark.usefixtures("jail")
def test_an_approved_run_takes_effect_once_and_who_and_why_are_kept(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    run_id = releases(imports).run_id
    done = decisions.approve(db, run_id, settings=WITH_FEEDS, who="clerk", why="the jail burns", now=NOON + 2 * HOUR)
    assert (done.kinds, done.notifications) == ({"released": MANY}, 2)
    assert effects(shared) == (MANY, MANY, 2)
    assert (outcomes(shared), alert(shared)) == (["applied", "applied"], [])
    acts = shared.execute("select who, what from staff_act").fetchall()
    assert acts == [("clerk", f"approved feed run {run_id}: the jail burns")]
    known = shared.execute("select distinct known_at from offender").fetchall()
    assert known == [(NOON + HOUR,)]  # when the jail told us, not when somebody believed it
    with pytest.raises(NotHeld):
        decisions.approve(db, run_id, settings=WITH_FEEDS, who="clerk", why="again", now=NOON + 2 * HOUR)


@pytest.mark.usefixtures("jail")
def test_some_kinds_of_a_run_can_be_approved_alone(db: ConnectionPool, imports: Imports, shared: Connection):
    rows = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(2, MANY + 1)]
    run_id = imports(row("escaped", "2026-11-20 12:31", number="N1"), *rows, feed=declared(now=NOON + HOUR)).run_id
    done = decisions.approve(
        db, run_id, settings=WITH_FEEDS, only=["escaped"], who="clerk", why="seen", now=NOON + 2 * HOUR
    )
    assert (done.kinds, done.passed_over) == ({"escaped": 1}, MANY - 1)
    assert effects(shared) == (1, 1, 1)
    assert (outcomes(shared), len(alert(shared))) == (["applied", "held"], 1)
    done = decisions.approve(db, run_id, settings=WITH_FEEDS, who="clerk", why="all", now=NOON + 3 * HOUR)
    assert (done.kinds, done.people) == ({"released": MANY - 1}, 1)
    assert (outcomes(shared), alert(shared)) == (["applied", "applied"], [])


@pytest.mark.usefixtures("jail")
def test_an_approved_run_that_cannot_take_effect_any_more_changes_nothing_and_stays_held(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    rows = [row("released", "2026-11-20 12:30", number=f"N{n}", event_id=f"E{n}") for n in range(1, MANY + 1)]
    run_id = imports(*rows, feed=declared(now=NOON + HOUR)).run_id
    imports(row("escaped", "2026-11-20 12:40", number="N7", event_id="E60"), feed=declared(now=NOON + 2 * HOUR))
    before = effects(shared)
    with pytest.raises(Refused, match="event_id 'E60' was given before"):
        decisions.approve(db, run_id, settings=WITH_FEEDS, who="clerk", why="true", now=NOON + 3 * HOUR)
    assert (effects(shared), outcomes(shared)) == (before, ["applied", "held", "applied"])
    assert shared.execute("select from staff_act").fetchall() == []


@pytest.mark.usefixtures("jail")
def test_a_rejected_run_never_takes_effect(db: ConnectionPool, imports: Imports, shared: Connection):
    run_id = releases(imports).run_id
    decisions.reject(db, run_id, settings=WITH_FEEDS, who="clerk", why="a test file", now=NOON + 2 * HOUR)
    assert (effects(shared), outcomes(shared), alert(shared)) == ((0, 0, 0), ["applied", "rejected"], [])
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 50 * HOUR) == []


@pytest.mark.usefixtures("jail")
def test_what_was_rejected_and_is_said_again_is_no_news_and_a_person_is_told(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    rows = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(1, MANY + 1)]
    run_id = imports(*rows, row(number="X1"), feed=declared(now=NOON + HOUR)).run_id
    decisions.reject(db, run_id, settings=WITH_FEEDS, who="clerk", why="a test file", now=NOON + 2 * HOUR)
    new = row("in custody", "2026-11-20 14:30", number="N60", facility="Boone County Annex")
    again = imports(*rows, row(number="X1"), new, feed=declared(now=NOON + 3 * HOUR))
    assert (again.held, again.kinds, again.again) == ([], {"transferred": 1, "listed": 1}, {"rejected": MANY})
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 50 * HOUR) == []
    assert alert(shared)[0].startswith("A file of boone/jail says again 60 changes that were rejected")
    imports(*rows[:3], feed=declared(now=NOON + 4 * HOUR))
    assert [says[:48] for says in alert(shared)] == ["A file of boone/jail says again 3 changes that w"]
    later = row("released", "2026-11-20 16:00", number="N1")
    assert imports(later, feed=declared(now=NOON + 5 * HOUR)).kinds == {"released": 1}


@pytest.mark.usefixtures("jail")
def test_what_was_rejected_by_mistake_can_be_approved_after_all(db: ConnectionPool, imports: Imports):
    run_id = releases(imports).run_id
    decisions.reject(db, run_id, settings=WITH_FEEDS, who="clerk", why="a test file", now=NOON + 2 * HOUR)
    done = decisions.approve(db, run_id, settings=WITH_FEEDS, who="clerk", why="it was none", now=NOON + 3 * HOUR)
    assert (done.kinds, done.notifications) == ({"released": MANY}, 2)


@pytest.mark.usefixtures("jail")
def test_what_was_rejected_at_a_wrong_facility_is_news_at_the_right_one(db: ConnectionPool, imports: Imports):
    def moved(to: str, hour: int) -> Report:
        rows = [row("in custody", "2026-11-20 12:30", number=f"N{n}", facility=to) for n in range(1, MANY + 1)]
        return imports(*rows, feed=declared(now=NOON + hour * HOUR))

    wrong = moved("Bone Annex", 1).run_id
    decisions.reject(db, wrong, settings=WITH_FEEDS, who="clerk", why="the code is wrong", now=NOON + 2 * HOUR)
    right = moved("Boone County Annex", 3)
    assert (len(right.held) > 0, right.kinds, right.again) == (True, {"transferred": MANY}, {})


@pytest.mark.usefixtures("jail")
def test_what_is_left_of_a_rejected_run_that_is_approved_in_part_does_not_go_out_by_itself(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    rows = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(2, MANY + 1)]
    rows.append(row("escaped", "2026-11-20 12:31", number="N1"))
    run_id = imports(*rows, feed=declared(now=NOON + HOUR)).run_id
    decisions.reject(db, run_id, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 2 * HOUR)
    decisions.approve(db, run_id, settings=WITH_FEEDS, only=["escaped"], who="clerk", why="seen", now=NOON + 3 * HOUR)
    assert (effects(shared), outcomes(shared)) == ((1, 1, 1), ["applied", "rejected"])
    again = imports(*rows, feed=declared(now=NOON + 4 * HOUR))
    assert (again.held, again.again) == ([], {"rejected": MANY - 1})


@pytest.mark.usefixtures("prison")
def test_to_decide_on_one_file_decides_nothing_of_another(db: ConnectionPool, imports: Imports, shared: Connection):
    """The first goes out unanswered, and comes once more; the second is about others."""
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    rows = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(1, 102)]
    moved = row("in custody", "2026-11-20 12:30", number="N1200", facility="Boone County Annex")
    assert imports(*rows, moved, feed=declared(now=NOON + 6 * HOUR)).held
    others = [row("released", "2026-11-20 18:30", number=f"N{number}") for number in range(300, 500)]
    other = imports(*others, feed=declared(now=NOON + 7 * HOUR)).run_id
    decisions.reject(db, other, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 8 * HOUR)
    assert shared.execute("select count(*) from custody_event where retracted_at is not null").fetchone() == (0,)
    assert outcomes(shared) == ["applied", "overtaken", "held", "rejected"]


@pytest.mark.usefixtures("jail")
def test_what_is_left_of_a_run_that_was_approved_in_part_is_rejected_alone(db: ConnectionPool, imports: Imports):
    rows = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(2, MANY + 1)]
    rows.append(row("escaped", "2026-11-20 12:31", number="N1"))
    run_id = imports(*rows, feed=declared(now=NOON + HOUR)).run_id
    decisions.approve(db, run_id, settings=WITH_FEEDS, only=["escaped"], who="clerk", why="seen", now=NOON + 2 * HOUR)
    decisions.reject(db, run_id, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 2 * HOUR)
    again = imports(*rows, feed=declared(now=NOON + 3 * HOUR))
    assert (again.held, again.kinds, again.again) == ([], {}, {"rejected": MANY - 1})


@pytest.mark.usefixtures("jail")
def test_one_alert_names_all_that_is_held_of_a_feed_and_is_told_again_every_hour(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    first = releases(imports).run_id
    (told,) = alerts.untold(shared, most=9, now=NOON + HOUR)
    alerts.told(shared, told.id, now=NOON + HOUR)
    second = releases(imports, at="2026-11-20 12:45").run_id
    assert alerts.untold(shared, most=9, now=NOON + HOUR) == []
    (again,) = alerts.untold(shared, most=9, now=NOON + 2 * HOUR)
    assert again.says.startswith(f"Feed run {second} (boone/jail) is held")
    assert again.says.endswith("; and 1 more before it. movans feed held")
    decisions.reject(db, second, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 2 * HOUR)
    assert alert(shared)[0].startswith(f"Feed run {first} (boone/jail) is held")
    decisions.reject(db, first, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 2 * HOUR)
    assert alert(shared) == []


@pytest.mark.usefixtures("jail")
def test_the_same_file_again_is_held_once_and_waits_since_it_first_came(imports: Imports, shared: Connection):
    first, again = releases(imports, hour=1), releases(imports, hour=2)
    assert outcomes(shared) == ["applied", "overtaken", "held"]
    waiting = held.waiting(shared)
    assert [(one.id, one.since) for one in waiting] == [(again.run_id, NOON + HOUR)]
    assert alert(shared)[0].startswith(f"Feed run {first.run_id + 1} ")


@pytest.mark.usefixtures("jail")
def test_a_normal_file_takes_effect_while_another_is_held(imports: Imports, shared: Connection):
    releases(imports)
    assert releases(imports, hour=2, many=1, at="2026-11-20 13:30").held == []
    assert (effects(shared), outcomes(shared)) == ((1, 1, 1), ["applied", "held", "applied"])


@pytest.mark.usefixtures("jail")
def test_who_is_held_elsewhere_is_not_being_checked(imports: Imports, shared: Connection):
    releases(imports)
    assert held.is_being_checked(shared, "boone", "Boone County Jail")
    assert not held.is_being_checked(shared, "boone", "Boone County Annex")
    assert not held.is_being_checked(shared, "cole", "Boone County Jail")


@pytest.mark.usefixtures("jail")
def test_who_would_be_moved_is_being_checked_where_they_still_are(imports: Imports, shared: Connection):
    moved = [row(at="2026-11-20 12:30", number=f"N{n}", facility="Boone County Annex") for n in range(1, MANY + 1)]
    assert imports(*moved, feed=declared(now=NOON + HOUR)).held
    for facility in ("Boone County Jail", "Boone County Annex"):
        assert held.is_being_checked(shared, "boone", facility)


@pytest.fixture
def prison(imports: Imports, register: Register) -> int:
    """Of 1200 in custody 101 are released and one is moved: too many, and less than a tenth. Its run."""
    imports(*(row(number=f"N{number}") for number in range(1, 1201)), feed=declared())
    register("N1")
    register("N1200", telephone="5735550143")
    rows = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(1, 102)]
    moved = row("in custody", "2026-11-20 12:30", number="N1200", facility="Boone County Annex")
    return imports(*rows, moved, feed=declared(now=NOON + HOUR)).run_id


def test_unanswered_releases_go_out_as_not_yet_confirmed_and_nothing_else(
    prison: int, db: ConnectionPool, shared: Connection
):
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 4 * HOUR) == []
    assert effects(shared) == (0, 0, 0)
    (done,) = decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    assert (done.kinds, done.people, effects(shared)) == ({"released": 101}, 1, (101, 101, 1))
    assert shared.execute("select distinct kind, reported from custody_event where kind <> 'listed'").fetchall() == [
        ("released", True)
    ]
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 6 * HOUR) == []
    assert outcomes(shared) == ["applied", "held"]
    decisions.approve(db, prison, settings=WITH_FEEDS, who="clerk", why="true", now=NOON + 7 * HOUR)
    assert effects(shared) == (101, 102, 2)
    assert shared.execute("select from custody_event where reported").fetchall() == []


def test_what_went_out_unanswered_of_other_kinds_than_the_approved_stays_unconfirmed(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    imports(*(row(number=f"N{number}") for number in range(1, 1201)), feed=declared())
    rows = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(2, 103)]
    escaped = row("escaped", "2026-11-20 12:31", number="N1")
    run_id = imports(escaped, *rows, feed=declared(now=NOON + HOUR)).run_id
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    decisions.approve(db, run_id, settings=WITH_FEEDS, only=["escaped"], who="clerk", why="seen", now=NOON + 6 * HOUR)
    left = shared.execute("select kind, count(*) from custody_event where reported group by kind").fetchall()
    assert left == [("released", 101)]
    assert [(one.id, one.is_held, one.unconfirmed) for one in held.waiting(shared)] == [(run_id, True, 101)]
    assert len(alert(shared)) == 1
    assert outcomes(shared) == ["applied", "held"]  # until somebody says what is true of those
    decisions.approve(db, run_id, settings=WITH_FEEDS, who="clerk", why="true", now=NOON + 7 * HOUR)
    assert (held.waiting(shared), alert(shared)) == ([], [])
    assert (outcomes(shared), effects(shared)[1]) == (["applied", "applied"], 102)


def test_what_went_out_unanswered_and_was_retracted_is_not_told_again_where_the_run_is_approved(
    prison: int, db: ConnectionPool, shared: Connection
):
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    out = retractions.of_run(shared, prison)
    retract(db, out, "it", settings=WITH_FEEDS, who="clerk", why="not so", now=NOON + 6 * HOUR)
    assert shared.execute("select from offender where status <> 'in custody'").fetchall() == []
    assert outcomes(shared) == ["applied", "held"]
    done = decisions.approve(db, prison, settings=WITH_FEEDS, who="clerk", why="the move", now=NOON + 7 * HOUR)
    assert (done.kinds, done.people) == ({"transferred": 1}, 1)
    assert shared.execute("select from offender where status <> 'in custody'").fetchall() == []


def test_who_is_first_missing_in_a_snapshot_of_which_some_kinds_are_approved_is_so_once(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    def snapshot(hour: int, numbers: range, **how: str) -> Report:
        feed = declared(format=SNAPSHOT, now=NOON + hour * HOUR)
        return imports(*(row(number=f"N{number}", **how) for number in numbers), feed=feed)

    snapshot(0, range(1, 101))
    run_id = snapshot(1, range(6, 101), facility="Boone County Annex", at="2026-11-20 12:30").run_id
    settings = settings_for(Path("/nowhere"), agencies={"boone": BOONE | {"feeds": {"jail": SNAPSHOTS}}})
    for kinds in (["no_longer_listed"], ["transferred"]):
        decisions.approve(db, run_id, settings=settings, only=kinds, who="clerk", why="seen", now=NOON + 2 * HOUR)
    assert outcomes(shared) == ["applied", "applied"]
    assert shared.execute("select count(*) from roster where missing_since = %s", [NOON]).fetchone() == (5,)
    gone = "select count(*) from custody_event where kind = 'no_longer_listed'"
    assert shared.execute(gone).fetchone() == (0,)
    assert snapshot(3, range(6, 102), facility="Boone County Annex", at="2026-11-20 12:30").held == []
    assert shared.execute(gone).fetchone() == (5,)


def test_a_run_that_cannot_go_out_does_not_stop_the_later_ones(
    prison: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    shared.execute("update feed_run set feed = 'boone/renamed' where id = %s", [prison])
    rows = [row("released", "2026-11-20 12:40", number=f"N{number}") for number in range(2, 103)]
    later = imports(*rows, feed=declared(now=NOON + HOUR)).run_id
    for hour in (5, 6):
        reports = decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + hour * HOUR)
        assert [(done.run_id, done.kinds) for done in reports] == ([(later, {"released": 101})] if hour == 5 else [])
    (says,) = [says for says in alert(shared) if "cannot go out" in says]
    assert says.startswith(f"Nobody has answered of the held feed run {prison} (boone/renamed)")
    assert says.endswith("(WrongSettings): movans feed held says why")
    decisions.reject(db, prison, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 7 * HOUR)
    assert [says for says in alert(shared) if "cannot go out" in says] == []


def test_what_went_out_unanswered_is_withdrawn_where_the_run_is_rejected(
    prison: int, db: ConnectionPool, shared: Connection
):
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    decisions.reject(db, prison, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 6 * HOUR)
    assert shared.execute("select count(*) from offender where status <> 'in custody'").fetchone() == (0,)
    assert shared.execute("select distinct state from notification").fetchall() == [("retracted",)]


@pytest.mark.parametrize("fails", ["retracted_at", "corrected_at"])
def test_a_run_is_not_rejected_before_what_went_out_of_it_is_withdrawn(
    fails: LiteralString, prison: int, db: ConnectionPool, shared: Connection
):
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    shared.execute(f"alter table custody_event add constraint full_disk check ({fails} is null)")
    with pytest.raises(CheckViolation):
        decisions.reject(db, prison, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 6 * HOUR)
    assert outcomes(shared) == ["applied", "held"]
    shared.execute("alter table custody_event drop constraint full_disk")
    decisions.reject(db, prison, settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 7 * HOUR)
    assert outcomes(shared) == ["applied", "rejected"]
    assert shared.execute("select from custody_event where reported and corrected_at is null").fetchall() == []


def test_what_went_out_of_a_run_that_was_overtaken_is_confirmed_with_the_newer_one(
    prison: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    shared.execute("update feed_run set outcome = 'overtaken' where id = %s", [prison])
    rows = [row("released", "2026-11-20 14:30", number=f"N{number}") for number in range(102, 230)]
    newer = imports(*rows, feed=declared(now=NOON + 6 * HOUR)).run_id
    decisions.approve(db, newer, settings=WITH_FEEDS, who="clerk", why="true", now=NOON + 7 * HOUR)
    assert shared.execute("select from custody_event where reported").fetchall() == []


def released(*numbers: int) -> list[str]:
    return [row("released", "2026-11-20 12:30", number=f"N{number}") for number in numbers]


def unconfirmed(shared: Connection) -> int:
    found = shared.execute("select count(*) from custody_event where reported and retracted_at is null").fetchone()
    assert found
    return found[0]


def test_what_went_out_unanswered_is_not_confirmed_because_the_same_file_comes_again(
    prison: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    moved = row("in custody", "2026-11-20 12:30", number="N1200", facility="Boone County Annex")
    again = imports(*released(*range(1, 102)), moved, feed=declared(now=NOON + 6 * HOUR))
    assert again.held[0].startswith("101 releases, ")
    (waiting,) = held.waiting(shared)
    assert (waiting.id, waiting.since) == (again.run_id, NOON + HOUR)
    assert (outcomes(shared), unconfirmed(shared)) == (["applied", "overtaken", "held"], 101)
    decisions.approve(db, again.run_id, settings=WITH_FEEDS, who="clerk", why="true", now=NOON + 7 * HOUR)
    assert (unconfirmed(shared), held.waiting(shared), alert(shared)) == (0, [], [])
    assert prison < again.run_id


Decide = Callable[..., object]
LEFT = {"approved": decisions.approve, "rejected": decisions.reject}


@pytest.mark.parametrize("decide", LEFT.values(), ids=LEFT)
def test_a_newer_snapshot_confirms_what_it_says_again_and_the_rest_is_left_to_a_person(
    decide: Decide, prison: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    still_in = [row(number=f"N{number}") for number in range(4, 1201)]
    feed = declared(format=SNAPSHOT, now=NOON + 6 * HOUR)
    newer = imports(*released(1, 2, 3), *still_in, feed=feed)
    assert (newer.held, outcomes(shared), unconfirmed(shared)) == ([], ["applied", "overtaken", "applied"], 98)
    (left,) = held.waiting(shared)
    assert (left.id, left.is_held, left.unconfirmed) == (prison, False, 98)
    (says,) = alert(shared)
    assert says.startswith(f"98 releases or escapes went out of feed run {prison} as not yet confirmed, and nothing")
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 50 * HOUR) == []
    decide(db, prison, settings=WITH_FEEDS, who="clerk", why="asked", now=NOON + 51 * HOUR)
    assert (unconfirmed(shared), held.waiting(shared), alert(shared)) == (0, [], [])
    assert effects(shared)[0] == (101 if decide is decisions.approve else 3)
    assert outcomes(shared) == ["applied", "overtaken", "applied"]


def test_what_is_left_unconfirmed_of_a_run_can_be_retracted_and_the_alert_is_over(
    prison: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 5 * HOUR)
    still_in = [row(number=f"N{number}") for number in range(1, 1201)]
    imports(*still_in, feed=declared(format=SNAPSHOT, now=NOON + 6 * HOUR))
    assert len(alert(shared)) == 1
    events = retractions.of_run(shared, prison)
    retract(db, events, "it", settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 7 * HOUR)
    assert (unconfirmed(shared), held.waiting(shared), alert(shared)) == (0, [], [])


@pytest.mark.usefixtures("jail")
def test_nothing_goes_out_of_a_run_that_touches_a_large_share_however_long_it_waits(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    releases(imports)
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 500 * HOUR) == []
    assert effects(shared) == (0, 0, 0)


def test_a_cut_snapshot_is_held_and_who_is_missing_in_it_is_never_told(
    db: ConnectionPool, imports: Imports, register: Register, shared: Connection
):
    def snapshot(hour: int, *numbers: int) -> Report:
        feed = declared(format=SNAPSHOT, now=NOON + hour * HOUR)
        return imports(*(row(number=f"N{number}") for number in numbers), feed=feed)

    snapshot(0, *range(1, 101))
    register("N100")
    for hour in range(1, 5):
        cut = snapshot(hour, *range(1, 51), 200 + hour)
        assert cut.held == ["50 missing, which is more than a share of 0.2 of the 100 in the last snapshot"]
    assert held.is_being_checked(shared, "boone", "Boone County Jail")
    assert len(held.waiting(shared)) == 1
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 50 * HOUR) == []
    assert snapshot(60, *range(1, 101)).held == []
    assert (effects(shared), held.waiting(shared), alert(shared)) == ((0, 0, 0), [], [])


WITH_SNAPSHOTS = settings_for(
    Path("/nowhere"), agencies={"boone": BOONE | {"feeds": {"jail": SNAPSHOTS | {"guard": {"touches": 0.2}}}}}
)


@pytest.fixture
def states_an_escape(imports: Imports, register: Register) -> int:
    """A snapshot that says of 31 of 300 that they were let go, and that N1 has escaped. Its run, which is held."""
    imports(*(row(number=f"N{number}") for number in range(1, 301)), feed=declared(format=SNAPSHOT))
    register("N1")
    register("N2", telephone="5735550143")
    escaped = row("escaped", "2026-11-20 12:10", number="N1")
    out = [row("released", "2026-11-20 12:10", number=f"N{number}") for number in range(2, 33)]
    rest = [row(number=f"N{number}") for number in range(33, 301)]
    return held_by(imports(escaped, *out, *rest, feed=declared(format=SNAPSHOT, now=NOON + HOUR)))


def held_by(report: Report) -> int:
    assert report.held
    return report.run_id


def others_in(imports: Imports, hour: int, *also: str, of: int = 300) -> Report:
    """Everybody but N1 is in custody, as a snapshot of so many hours after noon has it."""
    rows = [row(number=f"N{number}") for number in range(2, of + 1)]
    return imports(*rows, *also, row(number=f"X{hour}"), feed=declared(format=SNAPSHOT, now=NOON + hour * HOUR))


def test_an_escape_that_a_held_snapshot_states_of_who_is_not_in_a_newer_one_stays_held(
    states_an_escape: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    newer = others_in(imports, 2)
    assert newer.held == []
    left = (
        f"1 person who got out, as it states, and of whom the newer snapshot of run {newer.run_id} says nothing; that"
        " took the place of all else in it"
    )
    (waiting,) = held.waiting(shared)
    assert (waiting.id, waiting.since, waiting.because) == (
        states_an_escape,
        NOON + HOUR,
        [left],
    )
    assert alert(shared)[0].startswith(f"Feed run {states_an_escape} (boone/jail) is held")
    would = decisions.preview(db, states_an_escape, settings=WITH_SNAPSHOTS, now=NOON + 3 * HOUR)
    assert [(line.record.number, line.record.row, line.change.kind) for line in would.lines] == [("N1", 2, "escaped")]
    others_in(imports, 3)
    assert [kind for (kind,) in shared.execute("select kind from custody_event order by id desc limit 1")] == [
        "no_longer_listed"
    ]
    done = decisions.approve(
        db, states_an_escape, settings=WITH_SNAPSHOTS, who="clerk", why="it is true", now=NOON + 4 * HOUR
    )
    assert (done.kinds, done.people, held.waiting(shared), alert(shared)) == ({"escaped": 1}, 1, [], [])
    assert shared.execute("select number, status from offender where status <> 'in custody'").fetchall() == [
        ("N1", "escaped")
    ]


def test_unanswered_what_is_left_of_a_snapshot_goes_out_unconfirmed(
    states_an_escape: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    others_in(imports, 2)
    (done,) = decisions.report_overdue(db, settings=WITH_SNAPSHOTS, now=NOON + 6 * HOUR)
    assert (done.run_id, done.kinds) == (states_an_escape, {"escaped": 1})
    assert shared.execute("select kind from custody_event where reported").fetchall() == [("escaped",)]
    others_in(imports, 7)
    assert [(one.is_held, one.unconfirmed) for one in held.waiting(shared)] == [(False, 1)]
    decisions.reject(db, states_an_escape, settings=WITH_SNAPSHOTS, who="clerk", why="false", now=NOON + 8 * HOUR)
    assert held.waiting(shared) == []


@pytest.mark.usefixtures("states_an_escape")
def test_but_nothing_where_the_snapshot_had_news_of_too_many(db: ConnectionPool, imports: Imports):
    others_in(imports, 2)
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 500 * HOUR) == []  # as without a touches of 0.2


@pytest.mark.parametrize(
    "says",
    [
        row(number="N1"),
        row("released", "2026-11-20 13:30", number="N1"),
        row("gone fishing", "2026-11-20 13:30", number="N1"),
    ],
    ids=["in custody", "let go later", "nobody knows what"],
)
def test_a_newer_snapshot_that_has_them_takes_the_place_of_all(
    says: str, states_an_escape: int, imports: Imports, shared: Connection
):
    others_in(imports, 2)
    assert [one.id for one in held.waiting(shared)] == [states_an_escape]
    rows = [row(number=f"N{number}") for number in range(2, 301)]
    now = NOON + 3 * HOUR
    assert imports(*rows, says, feed=declared(format=SNAPSHOT, now=now, quarantine=0.1)).held == []
    assert (held.waiting(shared), [one for one in alert(shared) if "held" in one]) == ([], [])


def test_a_newer_snapshot_that_is_held_leaves_what_an_older_one_states_of_others(
    states_an_escape: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    cut = held_by(others_in(imports, 2, of=150))
    assert [(one.id, one.since) for one in held.waiting(shared)] == [
        (states_an_escape, NOON + HOUR),
        (cut, NOON + HOUR),  # the time for an answer goes on
    ]
    would = decisions.preview(db, states_an_escape, settings=WITH_SNAPSHOTS, now=NOON + 3 * HOUR)
    assert (would.kinds, would.missing) == ({"escaped": 1}, ())
    decisions.reject(db, states_an_escape, settings=WITH_SNAPSHOTS, who="clerk", why="false", now=NOON + 3 * HOUR)
    assert [(number, status) for _, number, status, _, _ in held.rejected(shared, ["boone"])] == [("N1", "escaped")]


def test_what_was_approved_or_said_by_staff_is_not_left(
    states_an_escape: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    decisions.approve(
        db, states_an_escape, settings=WITH_SNAPSHOTS, only=["escaped"], who="clerk", why="true", now=NOON + 2 * HOUR
    )
    assert [one.id for one in held.waiting(shared)] == [states_an_escape]
    others_in(imports, 3)
    assert (held.waiting(shared), alert(shared)) == ([], [])


def test_the_same_snapshot_again_takes_the_place_of_all(states_an_escape: int, imports: Imports, shared: Connection):
    others_in(imports, 2)
    escaped = row("escaped", "2026-11-20 12:10", number="N1")
    out = [row("released", "2026-11-20 12:10", number=f"N{number}") for number in range(2, 33)]
    rest = [row(number=f"N{number}") for number in range(33, 301)]
    again = held_by(imports(escaped, *out, *rest, feed=declared(format=SNAPSHOT, now=NOON + 3 * HOUR)))
    assert [(one.id, one.since) for one in held.waiting(shared)] == [(again, NOON + 3 * HOUR)]
    assert states_an_escape != again


def test_what_is_left_of_a_snapshot_hands_its_time_for_an_answer_to_no_other_news(
    states_an_escape: int, db: ConnectionPool, imports: Imports, shared: Connection
):
    others_in(imports, 2)
    out = [row("released", "2026-11-20 12:10", number=f"N{number}") for number in range(100, 131)]
    rest = [row(number=f"N{number}") for number in range(1, 301) if not 100 <= number < 131]
    other = held_by(imports(*out, *rest, feed=declared(format=SNAPSHOT, now=NOON + 9 * HOUR)))
    assert [(one.id, one.since) for one in held.waiting(shared)] == [(other, NOON + 9 * HOUR)]
    assert decisions.report_overdue(db, settings=WITH_SNAPSHOTS, now=NOON + 9 * HOUR) == []
    assert states_an_escape != other


def test_what_went_out_of_a_snapshot_is_decided_with_the_newer_one_though_that_has_not_everybody(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    def snapshot(hour: int, *first: str) -> Report:
        gone = [row("released", "2026-11-20 12:10", number=f"N{number}") for number in range(2, 33)]
        rest = [row(number=f"N{number}") for number in range(33, 301)]
        return imports(*first, *gone, *rest, feed=declared(format=SNAPSHOT, now=NOON + hour * HOUR))

    imports(*(row(number=f"N{number}") for number in range(1, 301)), feed=declared(format=SNAPSHOT))
    held_by(snapshot(1, row("on furlough", "2026-11-20 12:10", number="N1")))
    (done,) = decisions.report_overdue(db, settings=WITH_SNAPSHOTS, now=NOON + 6 * HOUR)
    newer = held_by(snapshot(7))
    assert (done.kinds, [one.id for one in held.waiting(shared)]) == ({"released": 31}, [newer])
    assert decisions.would_withdraw(db, newer).events == 31


def test_to_reject_what_is_left_of_a_snapshot_withdraws_nothing_of_an_older_one(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    def snapshot(hour: int, *also: str, out: range, first: int = 2) -> Report:
        gone = [row("released", "2026-11-20 12:10", number=f"N{number}") for number in out]
        rest = [row(number=f"N{number}") for number in range(first, 301) if number not in out]
        return imports(*also, *gone, *rest, feed=declared(format=SNAPSHOT, now=NOON + hour * HOUR))

    snapshot(0, row(number="N1"), out=range(0))
    older = held_by(snapshot(1, row(number="N1"), out=range(2, 33)))
    decisions.report_overdue(db, settings=WITH_SNAPSHOTS, now=NOON + 5 * HOUR)
    escape = row("escaped", "2026-11-20 12:10", number="N1")
    left = held_by(snapshot(6, escape, out=range(2, 45)))
    assert [one.id for one in held.waiting(shared)] == [left]
    assert snapshot(7, out=range(33, 37), first=33).held == []
    assert [(one.id, one.is_held) for one in held.waiting(shared)] == [(older, False), (left, True)]
    assert decisions.would_withdraw(db, left).events == 0
    decisions.reject(db, left, settings=WITH_SNAPSHOTS, who="clerk", why="is here", now=NOON + 8 * HOUR)
    assert [(one.id, one.unconfirmed) for one in held.waiting(shared)] == [(older, 31)]


def test_a_jail_that_is_new_lists_as_many_as_it_has(imports: Imports):
    assert imports(*(row(number=f"N{number}") for number in range(1, 3001)), feed=declared()).held == []


@pytest.mark.usefixtures("jail")
def test_far_more_than_a_feed_usually_changes_is_held(imports: Imports, shared: Connection):
    shared.execute(
        """insert into feed_run (file, feed, sha256, started_at, outcome, rows, events, notifications, releases,
                                 changes)
           select 'j.csv', 'boone/jail', n, %s, 'applied', 60, 1, 1, 1, 1 from generate_series(1, 20) n""",
        [NOON],
    )
    feed = declared(now=NOON + HOUR)
    moved = [row("in custody", "2026-11-20 12:30", number=f"N{n}", facility="Boone County Annex") for n in range(1, 27)]
    assert "changes" in imports(*moved, feed=feed).held[0]
    assert imports(*moved[:5], feed=feed).held == []


def lets_one_go(imports: Imports, number: int, minute: int) -> Report:
    """One is released, so many minutes after noon."""
    at = NOON + timedelta(minutes=minute)
    return imports(row("released", at.isoformat(), number=f"N{number}"), feed=declared(now=at))


@pytest.mark.usefixtures("jail")
def test_a_flood_of_small_files_is_held_as_one_file_would_be(db: ConnectionPool, imports: Imports, shared: Connection):
    floods = [lets_one_go(imports, number, minute=number) for number in range(1, 31)]
    assert [not report.held for report in floods] == [True] * 10 + [False] * 20
    assert floods[10].held[0] == (
        "11 releases within an hour, 1 by this file, which is more than a share of 0.1 of the 50 in custody"
    )
    assert effects(shared)[0] == 10
    assert {one.touched for one in held.waiting(shared)} == {20}  # together they are too many to go out unanswered
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 6 * HOUR) == []
    # What is held was not done, and is not counted: an hour after the last that was, there is room again.
    assert lets_one_go(imports, 31, minute=75).held == []


@pytest.mark.usefixtures("jail")
def test_a_day_of_small_files_is_no_flood(imports: Imports):
    for number in range(1, 41):
        assert lets_one_go(imports, number, minute=30 * number).held == []


@pytest.mark.usefixtures("jail")
def test_what_a_person_has_approved_holds_up_no_later_file(db: ConnectionPool, imports: Imports):
    held_one = releases(imports, many=40, hour=0, at="2026-11-20 11:30")
    decisions.approve(db, held_one.run_id, settings=WITH_FEEDS, who="clerk", why="true", now=NOON)
    assert lets_one_go(imports, 50, minute=5).held == []


def test_a_file_by_hand_is_measured_against_those_of_whom_it_speaks(imports: Imports, shared: Connection):
    imports(*(row(number=f"N{number}", agency="boone") for number in range(1, MANY + 1)))
    imports(*(row(number=f"N{number}", agency="cole") for number in range(1, 1001)))
    shared.execute(
        """insert into feed_run (file, sha256, started_at, outcome, rows, events, notifications, releases, changes,
                                 agencies)
           select 'j.csv', n, %s, 'applied', 60, 60, 1, 60, 60, '{cole}' from generate_series(1, 20) n""",
        [NOON],
    )
    shared.execute(
        """insert into feed_run (file, sha256, started_at, outcome, rows, events, notifications, releases, changes,
                                 agencies)
           select 'j.csv', n, %s, 'applied', 60, 1, 1, 1, 1, '{boone}' from generate_series(1, 19) n""",
        [NOON],
    )
    out = [row("released", "2026-11-20 13:30", number=f"N{number}") for number in range(1, 13)]
    assert imports(*out, now=NOON + 2 * HOUR).held == [
        "12 releases, which is more than a share of 0.1 of the 60 in custody"
    ]
    moved = [row(at="2026-11-20 13:30", number=f"N{n}", facility="Annex", agency="cole") for n in range(1, 101)]
    assert imports(*moved, now=NOON + 2 * HOUR).held == []


COLE = {"agency": "cole", "facility": "Cole County Jail"}


@pytest.fixture
def two_jails(imports: Imports) -> None:
    """A small jail and a large one, told of by hand."""
    imports(
        *(row(number=f"N{number}") for number in range(1, MANY + 1)),
        *(row(number=f"C{number}", **COLE) for number in range(1, 901)),
        feed=rules(NOON - 2 * HOUR),
    )


@pytest.mark.usefixtures("two_jails")
def test_a_file_by_hand_of_several_agencies_is_measured_against_each(
    db: ConnectionPool, imports: Imports, register: Register, shared: Connection
):
    register("N1")
    out = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(1, MANY + 1)]
    report = imports(*out, row("released", "2026-11-20 12:30", number="C1", **COLE), now=NOON + HOUR)
    assert report.held == [
        "boone: 60 releases, which is more than a share of 0.1 of the 60 in custody",
        "boone: 60 changes, which is more than a share of 0.3 of the 60 in custody",
    ]
    # That is all of Boone, and not a sixteenth of both: it waits for a person.
    assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + 50 * HOUR) == []
    assert effects(shared) == (0, 0, 0)


@pytest.mark.usefixtures("two_jails")
def test_a_file_by_hand_is_added_to_what_others_changed_of_the_same_agency(imports: Imports):
    """The first is many for Boone, and as many as Cole may have."""
    out = [row("released", "2026-11-20 12:30", number=f"C{number}", **COLE) for number in range(1, 41)]
    assert imports(*out, row("released", "2026-11-20 12:30", number="N1"), now=NOON + HOUR).held == []
    few = [row("released", "2026-11-20 12:40", number=f"N{number}") for number in range(2, 11)]
    assert imports(*few, now=NOON + HOUR + timedelta(minutes=5)).held == []
    assert imports(
        row("released", "2026-11-20 12:45", number="N11"),
        row("released", "2026-11-20 12:45", number="C41", **COLE),
        now=NOON + HOUR + timedelta(minutes=10),
    ).held == [
        "boone: 11 releases within an hour, 1 by this file, which is more than a share of 0.1 of the 50 in custody"
    ]


@pytest.mark.usefixtures("jail")
def test_people_who_all_have_new_numbers_are_held_where_the_feed_has_told_of_others(imports: Imports):
    feed = declared(now=NOON + HOUR)
    assert imports(*(row(number=f"X{number}") for number in range(1, MANY + 1)), feed=feed).held == [
        "60 listed, which is more than a share of 0.3 of the 120 in custody or newly listed"
    ]
    assert imports(*(row(number=f"X{number}") for number in range(1, 21)), feed=feed).held == []


def lists(imports: Imports, *numbers: int, minute: int = 0) -> Report:
    """So many people are listed for the first time, so many minutes after noon."""
    feed = declared(now=NOON + timedelta(minutes=minute))
    return imports(*(row(number=f"X{number}") for number in numbers), feed=feed)


@pytest.mark.usefixtures("jail")
def test_people_who_all_have_new_numbers_are_held_in_pieces_as_they_are_at_once(db: ConnectionPool, imports: Imports):
    floods = [lists(imports, number, minute=60 + number) for number in range(1, 36)]
    assert [not report.held for report in floods] == [True] * 25 + [False] * 10
    assert floods[25].held[0] == (
        "26 listed within an hour, 1 by this file, which is more than a share of 0.3 of the 86 in custody or newly"
        " listed"
    )
    for report in floods[25:]:
        decisions.approve(db, report.run_id, settings=WITH_FEEDS, who="clerk", why="true", now=NOON + 2 * HOUR)
    # What a person approved is not added, and an hour after the last of the others there is room again.
    assert lists(imports, 36, minute=122).held == []
    assert lists(imports, *range(40, 64), minute=146).held == []


def test_a_feed_may_begin_in_pieces_and_these_are_not_added_to_what_comes_later(imports: Imports):
    assert lists(imports, *range(200)).held == []
    pieces = [lists(imports, *range(minute * 200, (minute + 1) * 200), minute=minute) for minute in range(1, 60, 7)]
    assert [report.held for report in pieces] == [[]] * 9
    assert lists(imports, *range(20_000, 20_020), minute=60).held == []
    assert lists(imports, *range(30_000, 32_000), minute=61).held == [
        "2,020 listed within an hour, 2,000 by this file, and at most 2,000 are usual"
    ]


def test_an_agency_may_begin_by_hand_beside_one_of_which_was_told_before(imports: Imports):
    def both(boone: int, cole: range, minute: int) -> Report:
        rows = [row(number=f"C{number}", **COLE) for number in cole]
        return imports(row(number=f"N{boone}"), *rows, now=NOON + timedelta(minutes=minute))

    imports(*(row(number=f"N{number}") for number in range(1, MANY + 1)), now=NOON)
    assert both(101, range(100), 120).held == []
    assert both(102, range(100, 150), 130).held == []
    assert both(103, range(150, 151), 185).held == []
    assert both(104, range(200, 300), 190).held[0] == (
        "cole: 101 listed within an hour, 100 by this file, which is more than a share of 0.3 of the 251 in custody or"
        " newly listed"
    )


def test_a_run_that_calls_too_many_is_held_however_few_it_is_of(imports: Imports, register: Register):
    imports(row(), *(row(number=f"N{number}") for number in range(1, MANY + 1)), feed=declared())
    for number in range(30):
        register(telephone=f"57355501{number:02}")
    for number in range(30, 50):
        register("N1", telephone=f"57355501{number:02}")
    told = imports(row("released", "2026-11-20 12:30"), feed=declared(now=NOON + HOUR))
    assert told.held == ["30 notifications, which is more than a share of 0.3 of the 50 registrations"]


@pytest.mark.parametrize(("most", "is_held"), [(5, True), (50, False)])
def test_a_feeds_own_guard_is_what_its_files_are_held_against(
    *, most: int, is_held: bool, db: ConnectionPool, imports: Imports, tmp_path: Path
):
    imports(*(row(number=f"N{number}") for number in range(1, MANY + 1)), feed=declared())
    own = {"releases": {"few": 2, "most": most, "share": 0.5}}
    feeds = {"jail": {"format": "custody changes", "interval": 900, "guard": own}}
    settings = settings_for(tmp_path, agencies={"boone": BOONE | {"feeds": feeds}})
    file = tmp_path / "jail.csv"
    file.write_text(HEADER + "".join(row("released", "2026-11-20 12:30", number=f"N{n}") for n in range(1, 7)))
    says = ["6 releases, and at most 5 are usual"] if is_held else []
    assert run(db, file, declared(now=NOON + HOUR), settings=settings).held == says


def calendar(
    db: ConnectionPool,
    tmp_path: Path,
    hour: float,
    many: int = MANY,
    at: str = "2026-12-04 09:30",
    first: int = 1,
) -> Report:
    """A court date for so many of the jail, from that one on, as it comes so many hours after noon."""
    of = range(first, first + many)
    file = tmp_path / "calendar.tsv"
    header = (SAMPLES / "calendar.tsv").read_text(encoding="utf-8").split("Case\t26BA", 1)[0]
    cases = "".join(f"Case\tC{n}\tSMITH\tJOHN\t\t1990-07-31\tN{n}\n" for n in of)
    dates = "".join(f"CourtEvent\tC{n}\tE{n}\t{at}\tDivision 3\tscheduled\n" for n in of)
    file.write_text(header + cases + dates, encoding="utf-8")
    feed = declared(**CALENDAR, feed="boone/court", now=NOON + hour * HOUR)
    return run(db, file, feed, settings=WITH_FEEDS)


@pytest.mark.usefixtures("jail")
def test_a_first_court_calendar_is_not_held_for_its_size(db: ConnectionPool, tmp_path: Path):
    first = calendar(db, tmp_path, hour=1)
    assert (first.held, first.kinds, first.notifications) == ([], {"court_scheduled": MANY}, 2)


@pytest.mark.usefixtures("jail")
def test_far_more_new_dates_than_a_court_has_told_of_are_held(db: ConnectionPool, tmp_path: Path):
    calendar(db, tmp_path, hour=1, many=1)
    assert calendar(db, tmp_path, hour=2).held == [
        "59 listed, which is more than a share of 0.3 of the 119 in custody or newly listed"
    ]


@pytest.mark.usefixtures("jail")
def test_far_more_new_dates_are_held_in_pieces_as_they_are_at_once(db: ConnectionPool, tmp_path: Path):
    calendar(db, tmp_path, hour=1, many=1, first=60)
    pieces = [calendar(db, tmp_path, hour=2 + n / 60, many=5, first=5 * n + 1) for n in range(8)]
    assert [not report.held for report in pieces] == [True] * 5 + [False] * 3
    assert pieces[5].held[0] == (
        "30 listed within an hour, 5 by this file, which is more than a share of 0.3 of the 90 in custody or newly"
        " listed"
    )


@pytest.mark.usefixtures("jail")
def test_a_court_may_begin_in_pieces(db: ConnectionPool, tmp_path: Path):
    pieces = [calendar(db, tmp_path, hour=1 + n / 20, many=5, first=5 * n + 1) for n in range(12)]
    assert [report.held for report in pieces] == [[]] * 12
    assert calendar(db, tmp_path, hour=2, many=MANY).held == []


@pytest.mark.usefixtures("jail")
def test_a_court_calendar_that_moves_too_much_is_held_and_its_people_are_being_checked_where_they_are(
    db: ConnectionPool, shared: Connection, tmp_path: Path
):
    calendar(db, tmp_path, hour=1)
    court = calendar(db, tmp_path, hour=2, at="2026-12-05 09:30")
    assert court.held == ["60 changes, which is more than a share of 0.3 of the 60 in custody"]
    days = "select distinct to_char(planned_at at time zone 'America/Chicago', 'DD') from court_event"
    assert shared.execute(days).fetchall() == [("04",)]
    assert held.is_being_checked(shared, "boone", "Boone County Jail")
    assert not held.is_being_checked(shared, "boone", "Division 3")


LENIENT = settings_for(
    Path("/nowhere"),
    agencies={"boone": BOONE | {"feeds": {"jail": {"format": "custody changes", "interval": 900, "mistakes": 0.5}}}},
)


def wrong_in_part(imports: Imports, hour: int, *others: str) -> Report:
    """Sixty are let go, one of them somebody else by now, one escapes, and a row is wrong."""
    rows = [row("released", "2026-11-20 12:30", number=f"N{number}") for number in range(2, MANY)]
    rows += [MARY, row("escaped", "2026-11-20 12:31", number="N1"), row("gone", number="N61"), *others]
    return imports(*rows, feed=declared(quarantine=0.5, now=NOON + hour * HOUR))


MARY = f"boone,N{MANY},JONES,MARY,1970-01-01,Boone County Jail,released,2026-11-20 12:30,\n"
ASIDE = (
    "1 of 61 rows of custody.csv, by the feed boone/jail, were put aside and have no effect; why stands in its report."
)


@pytest.mark.usefixtures("jail")
def test_a_person_is_told_of_rows_put_aside_and_of_who_a_number_is_when_a_held_file_is_approved(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    run_id = wrong_in_part(imports, hour=1).run_id
    assert [says.split(" (")[0] for says in alert(shared)] == [f"Feed run {run_id}"]
    decisions.approve(db, run_id, settings=LENIENT, who="clerk", why="true", now=NOON + 2 * HOUR)
    replaced, aside = alert(shared)
    assert aside.startswith(ASIDE)
    assert replaced.startswith(
        f"By run {run_id} of boone/jail, boone N60 was SMITH, JOHN, born 1990-07-31, and is JONES"
    )


@pytest.mark.usefixtures("jail")
def test_so_they_are_where_one_kind_after_the_other_of_it_is_approved_until_nothing_is_left(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    run_id = wrong_in_part(imports, hour=1).run_id
    for hour, kind in ((2, "escaped"), (3, "released")):
        decisions.approve(db, run_id, settings=LENIENT, only=[kind], who="clerk", why="true", now=NOON + hour * HOUR)
        assert len(alert(shared)) == hour - 1  # first that the rest is held, then both
    assert outcomes(shared) == ["applied", "applied"]
    assert [says[:9] for says in alert(shared)] == ["By run 2 ", "1 of 61 r"]


@pytest.mark.usefixtures("jail")
def test_a_person_is_told_of_who_a_number_is_where_it_is_called_unanswered(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    many = [row(number=f"M{number}") for number in range(1000)]
    run_id = wrong_in_part(imports, 1, *many).run_id
    shared.execute("update held_run set population = 10000, touched = 60")
    (done,) = decisions.report_overdue(db, settings=LENIENT, now=NOON + 6 * HOUR)
    assert done.kinds == {"released": MANY - 1, "escaped": 1, "replaced": 1}
    assert alert(shared)[1].startswith(f"By run {run_id} of boone/jail, boone N60 was SMITH, JOHN, born 1990-07-31")
    decisions.approve(db, run_id, settings=LENIENT, who="clerk", why="true", now=NOON + 7 * HOUR)
    assert [says[:9] for says in alert(shared)] == ["By run 2 ", "1 of 1,06"]


@pytest.mark.usefixtures("jail")
def test_files_of_which_rows_were_put_aside_are_counted_from_when_they_took_effect(
    db: ConnectionPool, imports: Imports, shared: Connection
):
    run_id = wrong_in_part(imports, hour=1).run_id
    imports(row(number="N3"), row("gone"), feed=declared(quarantine=0.5, now=NOON + 2 * HOUR))
    decisions.approve(db, run_id, settings=LENIENT, who="clerk", why="true", now=NOON + 3 * HOUR)
    assert alert(shared)[0].startswith(ASIDE.replace(";", ", as were some of 1 earlier file;"))
