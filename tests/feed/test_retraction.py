"""What was told and is withdrawn: exactly those who heard of it, or may have, are called with a correction."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from agi.notify import utterances
from agi.service import Service
from db import attempts, custody, notifications, retractions
from db.journal import Journal
from feed.report import Report
from feed.retraction import retract
from movans import tables
from prompts.catalogue import Catalogue
from tests.conftest import KEYS, NOON, SETTINGS, TRUNKS
from tests.feed.conftest import row
from tests.flow.conftest import Silence
from tests.flow.telephone import OneConnection

Imports = Callable[..., Report]
Register = Callable[..., int]

HOUR = timedelta(hours=1)
RELEASED = row("released", "2026-11-20 12:30")


def call(shared: Connection, outcome: str, now: datetime, *, pin: bool = False) -> None:
    """Make every call that is due; each ends so. An empty outcome is of one that was answered."""
    claimed = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=now)
    assert claimed
    for attempt_id in claimed:
        assert attempts.begin(shared, KEYS, attempt_id, end_within=HOUR, now=now)
        if outcome not in ("busy", "no answer"):
            assert attempts.answered(shared, attempt_id, now=now)
        if pin:
            (registrant_id,) = shared.execute(
                """select registrant_id from call_attempt a join telephone t on t.id = telephone_id
                   where a.id = %s""",
                [attempt_id],
            ).fetchone() or (0,)
            events = [item.event_id for item in notifications.waiting(shared, attempt_id, now=now)]
            assert attempts.confirm(shared, attempt_id, registrant_id, events, now=now).notifications
        attempts.end(shared, attempt_id, outcome or None, "", now=now)


def told(shared: Connection) -> list[tuple[int, str, str]]:
    """Whom each notification is for, of what kind it is, and its state."""
    return shared.execute(
        """select registration_id, kind, n.state from notification n join custody_event e on e.id = event_id
           order by registration_id, n.id"""
    ).fetchall()


def status(shared: Connection) -> str:
    found = shared.execute("select status from offender where number = '100234'").fetchone()
    assert found
    return found[0]


@pytest.fixture
def withdraw(db: ConnectionPool, shared: Connection) -> Callable[..., retractions.Extent]:
    def run(run_id: int, event: int | None = None) -> retractions.Extent:
        events = retractions.of_event(shared, event) if event else retractions.of_run(shared, run_id)
        return retract(db, events, "it", settings=SETTINGS, who="clerk", why="a test file", now=NOON + 5 * HOUR)

    return run


Withdraw = Callable[..., retractions.Extent]

HEARD = {
    "answered, and no PIN": ("not confirmed", False, "retracted"),
    "confirmed": ("", True, "confirmed"),
    "a machine": ("machine", False, "retracted"),
    "lost after it was answered": ("lost", False, "retracted"),
}


@pytest.mark.parametrize(("outcome", "pin", "ends"), HEARD.values(), ids=HEARD)
def test_who_heard_of_it_or_may_have_is_called_with_a_correction(
    *,
    outcome: str,
    pin: bool,
    ends: str,
    imports: Imports,
    register: Register,
    shared: Connection,
    withdraw: Withdraw,
):
    imports(row())
    who = register()
    report = imports(RELEASED, now=NOON + HOUR)
    call(shared, outcome, NOON + HOUR, pin=pin)
    done = withdraw(report.run_id)
    assert (done.events, done.people) == (1, 1)
    assert told(shared) == [(who, "released", ends), (who, "corrected", "open")]
    assert status(shared) == "in custody"
    called = shared.execute("select priority, next_call_at from notification where state = 'open'").fetchall()
    assert called == [(1, NOON + 5 * HOUR)]  # critical: at once


@pytest.fixture
def words(shared: Connection, english: Catalogue, tmp_path: Path) -> Callable[[], list[str]]:
    """The words of what a call would tell, five hours after noon."""

    def said() -> list[str]:
        now = NOON + 5 * HOUR
        (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=now)
        here = OneConnection(shared)
        service = Service(here, KEYS, SETTINGS, {"en": english}, Silence(), lambda: now, Journal(tmp_path), frozenset)
        return [one.words for one in utterances(service, notifications.waiting(shared, attempt, now=now), english)]

    return said


RIGHT = (
    "What we told you before about John Smith was wrong. This is right. John Smith is in custody at the"
    " Boone County Jail, since Tuesday, November third, at two oh five in the afternoon."
)


def test_a_correction_says_since_when_that_holds_which_is_right(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw, words: Callable[[], list[str]]
):
    imports(row())
    register()
    report = imports(RELEASED, now=NOON + HOUR)
    call(shared, "machine", NOON + HOUR)
    withdraw(report.run_id)
    assert words() == [RIGHT]


def test_where_two_runs_that_were_heard_are_withdrawn_it_is_said_once_what_is_right(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw, words: Callable[[], list[str]]
):
    imports(row())
    register()
    moved = imports(row("in custody", "2026-11-20 12:10", facility="Boone County Annex"), now=NOON + HOUR)
    call(shared, "", NOON + HOUR, pin=True)
    released = imports(RELEASED, now=NOON + 2 * HOUR)
    call(shared, "", NOON + 2 * HOUR, pin=True)
    withdraw(released.run_id)
    withdraw(moved.run_id)
    assert words() == [RIGHT]


def test_a_correction_that_was_superseded_by_news_is_told_before_it(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw, words: Callable[[], list[str]]
):
    imports(row())
    register()
    moved = imports(row("in custody", "2026-11-20 12:10", facility="Boone County Annex"), now=NOON + HOUR)
    call(shared, "", NOON + HOUR, pin=True)
    withdraw(moved.run_id)
    imports(row("released", "2026-11-20 12:30"), now=NOON + 5 * HOUR)
    corrected, released = words()
    assert (corrected, "was released" in released) == (RIGHT, True)


@pytest.mark.parametrize("outcome", ["busy", "no answer"])
def test_whose_telephone_was_not_answered_hears_nothing(
    outcome: str, imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    who = register()
    report = imports(RELEASED, now=NOON + HOUR)
    call(shared, outcome, NOON + HOUR)
    assert withdraw(report.run_id) == retractions.Extent(events=1, open=1, people=0)
    assert told(shared) == [(who, "released", "retracted")]
    assert attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=NOON + 99 * HOUR) == {}


def test_whom_staff_told_is_called_with_a_correction(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    who = register()
    report = imports(RELEASED, now=NOON + HOUR)
    call(shared, "no answer", NOON + HOUR)
    (notification_id,) = shared.execute("select id from notification").fetchone() or (0,)
    assert notifications.close(shared, notification_id, now=NOON + 2 * HOUR)
    assert withdraw(report.run_id).people == 1
    assert told(shared) == [(who, "released", "closed"), (who, "corrected", "open")]


def happened(shared: Connection) -> list[tuple[str, str, set[str]]]:
    """What is known to have happened: kind, since when, and all times that were given for it."""
    (offender_id,) = shared.execute("select id from offender where number = '100234'").fetchone() or (0,)
    return [
        (event.kind, _clock(event.effective_at), {_clock(time) for time in event.stated_times})
        for event in custody.history(shared, offender_id)
    ]


def _clock(at: datetime) -> str:
    return f"{at.astimezone(SETTINGS.service.zone):%H:%M}"


def said(status: str, at: str) -> str:
    return row(status, f"2026-11-20 {at}")


def event_of(shared: Connection, kind: str) -> int:
    (event_id,) = shared.execute("select max(id) from custody_event where kind = %s", [kind]).fetchone() or (0,)
    return event_id


CAME = {
    "the later time came later": ("08:00", "11:00"),
    "the later time came first": ("11:00", "08:00"),
}


@pytest.mark.parametrize("alone", [False, True], ids=["by its run", "by itself"])
@pytest.mark.parametrize("times", CAME.values(), ids=CAME)
def test_what_was_two_only_because_of_the_withdrawn_is_one_again(
    *,
    alone: bool,
    times: tuple[str, str],
    imports: Imports,
    register: Register,
    shared: Connection,
    withdraw: Withdraw,
):
    for time in times:
        imports(said("in custody", time))
    who = register()
    report = imports(said("released", "10:00"), now=NOON + HOUR)
    assert [kind for kind, _, _ in happened(shared)] == ["listed", "released", "returned"]
    call(shared, "machine", NOON + HOUR)
    event = event_of(shared, "released") if alone else None
    assert withdraw(report.run_id, event) == retractions.Extent(events=2, open=1, people=1)
    assert happened(shared) == [("listed", times[1], set(times))]
    assert told(shared) == [(who, "released", "superseded"), (who, "returned", "retracted"), (who, "corrected", "open")]
    for time in times:
        assert imports(said("in custody", time), now=NOON + 6 * HOUR).unchanged == 1
    assert imports(said("released", "10:00"), now=NOON + 6 * HOUR).again == {"withdrawn": 1}
    assert imports(said("released", "10:05"), now=NOON + 6 * HOUR).kinds == {"released": 1, "returned": 1}


def test_who_heard_of_the_other_half_is_called_where_the_retraction_was_cut_short(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(said("in custody", "08:00"))
    imports(said("in custody", "11:00"))
    register()
    report = imports(said("released", "10:00"), now=NOON + HOUR)
    released, returned = event_of(shared, "released"), event_of(shared, "returned")
    withdraw(report.run_id)
    shared.execute("update custody_event set corrected_at = null")  # as if the second of its transactions had failed
    assert retractions.of_event(shared, released) == retractions.of_run(shared, report.run_id) == [released, returned]
    withdraw(report.run_id)
    assert happened(shared) == [("listed", "11:00", {"08:00", "11:00"})]


def test_what_is_two_because_of_something_else_too_stays_two_until_that_is_withdrawn(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(said("in custody", "08:00"))
    imports(said("in custody", "11:00"))
    who = register()
    first = imports(said("released", "10:00"), now=NOON + HOUR)
    second = imports(said("escaped", "10:30"), now=NOON + 2 * HOUR)
    withdraw(first.run_id)
    assert [kind for kind, _, _ in happened(shared)] == ["listed", "escaped", "returned"]
    assert [state for _, kind, state in told(shared) if kind == "returned"] == ["open"]
    withdraw(second.run_id)
    assert happened(shared) == [("listed", "11:00", {"08:00", "11:00"})]
    assert (who, "returned", "retracted") in told(shared)


def test_half_of_what_was_two_can_be_withdrawn_by_itself_and_what_stands_between_stays(
    imports: Imports, shared: Connection, withdraw: Withdraw
):
    imports(said("in custody", "08:00"))
    imports(said("in custody", "11:00"))
    report = imports(said("released", "10:00"), now=NOON + HOUR)
    withdraw(report.run_id, event_of(shared, "returned"))
    assert [(kind, at) for kind, at, _ in happened(shared)] == [("listed", "08:00"), ("released", "10:00")]
    assert imports(said("in custody", "11:00"), now=NOON + 6 * HOUR).again == {"withdrawn": 1}
    withdraw(report.run_id)
    assert happened(shared) == [("listed", "08:00", {"08:00"})]


def test_half_of_what_does_not_stand_any_more_is_withdrawn_with_its_run(
    imports: Imports, shared: Connection, withdraw: Withdraw
):
    imports(said("in custody", "07:00"))
    whole = imports(said("released", "08:00"))
    imports(said("released", "11:00"))
    report = imports(said("in custody", "10:00"), now=NOON + HOUR)
    assert [kind for kind, _, _ in happened(shared)] == ["listed", "released", "returned", "released"]
    withdraw(whole.run_id)
    withdraw(report.run_id)
    assert happened(shared) == [("listed", "07:00", {"07:00"})]


def test_of_three_two_are_one_again_since_the_later_of_their_times(
    imports: Imports, shared: Connection, withdraw: Withdraw
):
    for time in ("07:00", "09:00", "11:00"):
        imports(said("in custody", time))
    first = imports(said("released", "08:00"), now=NOON + HOUR)
    imports(said("escaped", "10:00"), now=NOON + HOUR)
    withdraw(first.run_id)
    assert [(kind, at) for kind, at, _ in happened(shared)] == [
        ("listed", "09:00"),
        ("escaped", "10:00"),
        ("returned", "11:00"),
    ]


ORDERS = {"by one file": (0,), "by two, the older first": (0, 1), "by two, the newer first": (1, 0)}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_what_was_three_because_of_the_withdrawn_is_one_again(
    order: tuple[int, ...], imports: Imports, shared: Connection, withdraw: Withdraw
):
    for time in ("07:00", "09:00", "11:00"):
        imports(said("in custody", time))
    out = [said("released", "08:00"), said("escaped", "10:00")]
    runs = [imports(*rows, now=NOON + HOUR).run_id for rows in ([out] if len(order) == 1 else zip(out))]
    assert [kind for kind, _, _ in happened(shared)] == ["listed", "released", "returned", "escaped", "returned"]
    for place in order:
        withdraw(runs[place])
    assert happened(shared) == [("listed", "11:00", {"07:00", "09:00", "11:00"})]


def test_twice_retracted_is_once(imports: Imports, register: Register, shared: Connection, withdraw: Withdraw):
    imports(row())
    register()
    report = imports(RELEASED, now=NOON + HOUR)
    call(shared, "machine", NOON + HOUR)
    withdraw(report.run_id)
    before = told(shared)
    assert retractions.of_run(shared, report.run_id) == []
    (event_id,) = shared.execute("select id from custody_event where kind = 'released'").fetchone() or (0,)
    assert retractions.of_event(shared, event_id) == []
    assert told(shared) == before


def test_what_was_withdrawn_and_is_said_again_is_no_news(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    register()
    withdraw(imports(RELEASED, now=NOON + HOUR).run_id)
    again = imports(RELEASED, now=NOON + 6 * HOUR)
    assert (again.lines, again.unchanged, status(shared)) == ([], 0, "in custody")
    assert "1 withdrawn before" in tables.summary(again)
    assert imports(row("released", "2026-11-20 14:00"), now=NOON + 7 * HOUR).kinds == {"released": 1}
    assert status(shared) == "released"


def test_an_event_id_that_was_withdrawn_tells_what_happens_later(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    register()
    withdraw(imports(row("released", "2026-11-20 12:30", event_id="E7"), now=NOON + HOUR).run_id)
    assert imports(row("released", "2026-11-20 12:30", event_id="E7"), now=NOON + 6 * HOUR).again == {"withdrawn": 1}
    later = row("released", "2026-11-20 18:00", event_id="E7")
    assert imports(later, now=NOON + 7 * HOUR).kinds == {"released": 1}
    assert imports(later, now=NOON + 8 * HOUR).unchanged == 1
    assert imports(row("released", "2026-11-20 18:05", event_id="E7"), now=NOON + 9 * HOUR).kinds == {"amended": 1}
    assert [(kind, state) for _, kind, state in told(shared)] == [("released", "retracted"), ("released", "open")]


def test_what_is_said_instead_of_the_withdrawn_at_its_time_is_news(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    register()
    for hour, jail in enumerate(("Annex", "North Jail", "South Jail"), start=1):
        moved = imports(row("in custody", "2026-11-20 12:10", facility=f"Boone County {jail}"), now=NOON + hour * HOUR)
        assert moved.kinds == {"transferred": 1}
        withdraw(moved.run_id)
    keys = shared.execute("select source_key from custody_event where kind = 'transferred' order by id").fetchall()
    made_up = "100234\ttransferred\t2026-11-20T18:10:00+00:00"
    assert [key for (key,) in keys] == [made_up, f"{made_up}\tagain 1", f"{made_up}\tagain 2"]


def test_what_the_withdrawn_had_superseded_unheard_is_told_after_all(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    who = register()
    imports(row("in custody", "2026-11-20 12:10", facility="Boone County Annex"), now=NOON + HOUR)
    withdraw(imports(RELEASED, now=NOON + 2 * HOUR).run_id)
    assert told(shared) == [(who, "transferred", "open"), (who, "released", "retracted")]
    assert shared.execute("select status, facility from offender").fetchall() == [("in custody", "Boone County Annex")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["the older first", "the newer first"])
def test_what_was_superseded_by_more_than_one_that_were_withdrawn_is_told_after_all(
    order: tuple[int, int], imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    who = register()
    imports(row("in custody", "2026-11-20 12:10", facility="Boone County Annex"), now=NOON + HOUR)
    false = imports(RELEASED, now=NOON + 2 * HOUR), imports(row("escaped", "2026-11-20 12:40"), now=NOON + 3 * HOUR)
    for one in order:
        withdraw(false[one].run_id)
    assert [(one, kind) for one, kind, state in told(shared) if state == "open"] == [(who, "transferred")]


def test_what_was_superseded_before_a_policy_was_kept_is_told_after_all_by_its_own(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    register()
    imports(row("in custody", "2026-11-20 12:10", facility="Boone County Annex"), now=NOON + HOUR)
    false = imports(RELEASED, now=NOON + 2 * HOUR)
    shared.execute("alter table notification disable trigger stays_ended")
    shared.execute("update notification set called_as = null, first_call_at = null where state = 'superseded'")
    shared.execute("alter table notification enable trigger stays_ended")
    withdraw(false.run_id)
    again = shared.execute("select called_as, first_call_at, next_call_at from notification where state = 'open'")
    assert again.fetchall() == [("transferred", NOON + HOUR, NOON + 5 * HOUR)]


def test_what_was_told_as_history_is_corrected_too(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    who = register()
    false = imports(RELEASED, now=NOON + HOUR)
    imports(row("in custody", "2026-11-20 13:30"), now=NOON + 2 * HOUR)
    call(shared, "", NOON + 2 * HOUR, pin=True)
    withdraw(false.run_id)
    assert told(shared) == [(who, "released", "superseded"), (who, "returned", "confirmed"), (who, "corrected", "open")]


def test_a_call_that_is_answered_after_the_retraction_tells_nothing(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    register()
    report = imports(RELEASED, now=NOON + HOUR)
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=NOON + HOUR)
    attempts.begin(shared, KEYS, attempt, end_within=HOUR, now=NOON + HOUR)
    assert withdraw(report.run_id).people == 0
    attempts.answered(shared, attempt, now=NOON + HOUR)
    assert notifications.waiting(shared, attempt, now=NOON + HOUR) == []


def test_who_no_longer_wants_calls_is_not_called(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw
):
    imports(row())
    who = register()
    report = imports(RELEASED, now=NOON + HOUR)
    call(shared, "machine", NOON + HOUR)
    shared.execute("update registration set ended_at = %s where id = %s", [NOON + 2 * HOUR, who])
    assert withdraw(report.run_id).people == 0
    assert told(shared) == [(who, "released", "retracted")]


def test_a_call_that_was_just_picked_up_is_waited_for_and_corrected(
    imports: Imports, register: Register, shared: Connection, withdraw: Withdraw, db: ConnectionPool
):
    imports(row())
    who = register()
    report = imports(RELEASED, now=NOON + HOUR)
    (attempt,) = attempts.claim(shared, trunks=TRUNKS, host="here", begin_within=HOUR, now=NOON + HOUR)
    attempts.begin(shared, KEYS, attempt, end_within=HOUR, now=NOON + HOUR)
    with ThreadPoolExecutor(1) as beside:
        with db.connection() as call_in_progress:
            attempts.answered(call_in_progress, attempt, now=NOON + HOUR)
            (news,) = notifications.waiting(call_in_progress, attempt, now=NOON + HOUR)
            retracting = beside.submit(withdraw, report.run_id)
            with pytest.raises(TimeoutError):
                retracting.result(timeout=1)
        assert (news.kind, retracting.result(timeout=20).people) == ("released", 1)
    assert told(shared) == [(who, "released", "retracted"), (who, "corrected", "open")]
