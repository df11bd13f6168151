"""What went wrong elsewhere, once more: a bulk refresh, false releases in it, and their approval by mistake."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from db import held, retractions
from feed import held as decisions
from feed.report import Report
from feed.retraction import retract
from feed.run import run
from tests.conftest import NOON
from tests.feed.conftest import HEADER, WITH_FEEDS, declared, row
from tests.feed.test_retraction import call

PEOPLE = 15_000
FALSE = 1_891
REGISTERED = range(1, PEOPLE, 300)  # every so many have somebody who is registered for them
HOUR = timedelta(hours=1)


def name(number: int) -> str:
    return f"N{number:05}"


@pytest.fixture
def prison(shared: Connection, register: Callable[..., int]) -> None:
    """So many people in custody, as a file had listed them."""
    shared.execute(
        """with run as (
               insert into feed_run (file, feed, sha256, started_at, outcome, rows, events, notifications)
               values ('first.csv', 'boone/jail', '', %(now)s, 'applied', %(many)s, %(many)s, 0) returning id),
           people as (
               insert into offender (agency, number, first_name, last_name, birth_date, status, facility, since,
                                     known_at, searchable)
               select 'boone', 'N' || lpad(n::text, 5, '0'), 'JOHN', 'SMITH', '1990-07-31', 'in custody',
                      'Boone County Jail', '2026-11-03 14:05-06', %(now)s, true
               from generate_series(1, %(many)s) n returning *)
           insert into custody_event (offender_id, kind, status, facility, effective_at, stated_times, source,
                                      source_key, feed_run_id, recorded_at)
           select p.id, 'listed', status, facility, since, array[since], agency, number, run.id, %(now)s
           from people p, run""",
        {"now": NOON, "many": PEOPLE},
    )
    for place, number in enumerate(REGISTERED):
        register(name(number), telephone=f"57355501{place:02}")


def refresh(false: int = 0) -> Iterator[str]:
    """Every row is written anew: other capitals, another booking time format, and so many who are let go."""
    yield HEADER
    for number in range(PEOPLE, 0, -1):
        gone = number <= false
        at = "2026-11-20 12:30" if gone else "2026-11-03T14:05:00-06:00"
        yield row("released" if gone else "in custody", at, number=name(number), last_name="Smith")


def effects(shared: Connection) -> tuple[int, int]:
    found = shared.execute(
        """select (select count(*) from offender where status <> 'in custody'), (select count(*) from notification)"""
    ).fetchone()
    assert found
    return found


@pytest.mark.usefixtures("prison")
def test_false_releases_in_a_bulk_refresh_call_nobody_and_approved_by_mistake_they_are_corrected(
    db: ConnectionPool, shared: Connection, tmp_path: Path
):
    file = tmp_path / "refresh.csv"
    file.write_text("".join(refresh()), encoding="utf-8")
    done = run(db, file, declared(now=NOON + HOUR), settings=WITH_FEEDS)
    assert (done.rows, done.unchanged, done.lines, done.held) == (PEOPLE, PEOPLE, [], [])
    assert effects(shared) == (0, 0)

    file.write_text("".join(refresh(FALSE)), encoding="utf-8")
    bad = run(db, file, declared(now=NOON + 2 * HOUR), settings=WITH_FEEDS)
    assert bad.held[0] == "1,891 releases, and at most 100 are usual"
    for hour in range(3, 200, 24):
        assert decisions.report_overdue(db, settings=WITH_FEEDS, now=NOON + hour * HOUR) == []
        assert effects(shared) == (0, 0)

    approved = decisions.approve(
        db, bad.run_id, settings=WITH_FEEDS, who="clerk", why="looked well", now=NOON + 3 * HOUR
    )
    concerned = len([number for number in REGISTERED if number <= FALSE])
    assert (approved.kinds, approved.people, held.waiting(shared)) == ({"released": FALSE}, concerned, [])
    assert effects(shared) == (FALSE, concerned)
    shared.execute("update notification set next_call_at = %s where id %% 2 = 0", [NOON + 99 * HOUR])
    call(shared, "machine", NOON + 3 * HOUR)
    called = shared.execute("select registration_id from notification where id %% 2 = 1 order by 1", []).fetchall()
    assert 0 < len(called) < concerned

    events = retractions.of_run(shared, bad.run_id)
    undone = retract(db, events, "it", settings=WITH_FEEDS, who="clerk", why="false", now=NOON + 4 * HOUR)
    assert undone == retractions.Extent(events=FALSE, open=concerned, people=len(called))
    corrected = shared.execute("select registration_id from notification where state = 'open' order by 1").fetchall()
    assert corrected == called
    assert effects(shared)[0] == 0
    again = run(db, file, declared(now=NOON + 5 * HOUR), settings=WITH_FEEDS)
    assert (again.lines, again.held) == ([], [])


def test_a_feed_that_was_cut_off_for_three_days_tells_each_event_once_with_its_own_time(
    imports: Callable[..., Report], register: Callable[..., int], shared: Connection
):
    imports(row(number="N1"), row(number="N2"), feed=declared())
    register("N1", telephone="5735550142")
    register("N2", telephone="5735550143")
    meanwhile = [
        row("released", "2026-11-21 08:00", number="N1"),
        row("in custody", "2026-11-22 21:00", number="N1"),
        row("released", "2026-11-23 07:00", number="N1"),
        row("escaped", "2026-11-22 03:00", number="N2"),
    ]
    for hour in (72, 73):  # the second time it is no news
        imports(*meanwhile, feed=declared(now=NOON + hour * HOUR))
    told = shared.execute(
        """select number, kind, to_char(effective_at at time zone 'America/Chicago', 'DD HH24:MI'), n.state
           from notification n join custody_event e on e.id = event_id join offender o on o.id = offender_id
           order by number, effective_at"""
    ).fetchall()
    assert told == [
        ("N1", "released", "21 08:00", "superseded"),
        ("N1", "returned", "22 21:00", "superseded"),
        ("N1", "released", "23 07:00", "open"),
        ("N2", "escaped", "22 03:00", "open"),
    ]


def test_three_days_of_small_files_after_an_outage_tell_each_event_once_with_its_own_time_though_some_are_held(
    db: ConnectionPool, imports: Callable[..., Report], register: Callable[..., int], shared: Connection
):
    imports(*(row(number=f"N{number}") for number in range(200)), feed=declared())
    watched = [*range(0, 36, 5), 100]
    for place, number in enumerate(watched):
        register(f"N{number}", telephone=f"57355501{place:02}")
    begun = datetime.fromisoformat("2026-11-21 00:00-06:00")
    happened = [
        line
        for number in range(36)  # one is let go every two hours, and then somebody is booked who is new
        for at in [begun + 2 * HOUR * number]
        for line in [
            row("released", f"{at:%Y-%m-%d %H:%M}", number=f"N{number}"),
            row("in custody", f"{at + HOUR:%Y-%m-%d %H:%M}", number=f"B{number}"),
        ]
    ]
    happened.insert(10, row("escaped", "2026-11-21 09:00", number="N100"))
    happened.insert(60, row("in custody", "2026-11-23 09:00", number="N100"))
    back = begun + 75 * HOUR
    came = [
        imports(line, feed=declared(now=back + timedelta(seconds=10 * place))) for place, line in enumerate(happened)
    ]
    waiting = [report.run_id for report in came if report.held]
    assert len(waiting) == 16
    assert all(report.kinds["listed"] == 0 for report in came if report.held)
    for run_id in waiting:
        decisions.approve(db, run_id, settings=WITH_FEEDS, who="clerk", why="they were cut off", now=back + HOUR)
    for place, line in enumerate(happened):  # once more, none of it is news
        again = imports(line, feed=declared(now=back + 2 * HOUR + timedelta(seconds=10 * place)))
        assert (again.events, again.held) == (0, [])
    told = shared.execute(
        """select number, kind, effective_at, count(*) from notification n join custody_event e on e.id = event_id
           join offender o on o.id = offender_id group by 1, 2, 3 order by 3, 1"""
    ).fetchall()
    of_releases = [(f"N{number}", "released", begun + 2 * HOUR * number, 1) for number in watched[:-1]]
    of_n100 = [("N100", "escaped", begun + 9 * HOUR, 1), ("N100", "returned", begun + 57 * HOUR, 1)]
    assert told == sorted([*of_releases, *of_n100], key=lambda one: one[2])
