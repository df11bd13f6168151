"""Registrations that end by themselves, and what is forgotten: the duties, on a real database, and the command."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg_pool import ConnectionPool

from db import alerts, court_events, custody, feed_runs, guard, held, notifications, proofs, registrations, staff
from db.court_events import CourtEvent
from db.custody import Custody, Offender
from db.pool import open_pool
from dialer import policy
from movans import keeping
from tests import people
from tests.conftest import KEYS, NOON, SETTINGS, settings_for
from tests.movans.conftest import Movans

DAY = timedelta(days=1)
OUT = NOON + 14 * DAY

Happens = Callable[..., int]
Register = Callable[..., int]


@pytest.fixture
def db(database: str) -> Iterator[ConnectionPool]:
    with open_pool(database) as pool:
        yield pool


@pytest.fixture
def ends(db: ConnectionPool) -> Callable[[datetime], bool]:
    return keeping.end_registrations(db, SETTINGS)


@pytest.fixture
def becomes(shared: psycopg.Connection, offender: Offender, happens: Happens) -> Callable[..., int]:
    """Something happens to the offender, and they are known to be so."""

    def change(kind: str, status: str, at: datetime = NOON) -> int:
        event_id = happens(kind, status=status, at=at)
        custody.update(shared, offender.id, offender.person, Custody(status, "Boone County Jail", at), now=at)
        return event_id

    return change


@pytest.fixture
def released(register: Register, becomes: Callable[..., int], shared: psycopg.Connection) -> int:
    """Somebody is registered, and has confirmed that the offender was released at noon."""
    registration = register("5735550142")
    confirm(shared, becomes("released", "released"))
    return registration


def confirm(shared: psycopg.Connection, event_id: int, at: datetime = NOON) -> None:
    (registrant,) = shared.execute("select max(id) from registrant").fetchone() or (0,)
    assert notifications.confirm(shared, registrant, [event_id], now=at) == 1


def notices(shared: psycopg.Connection) -> list[tuple[int, str, int]]:
    """The last notices: whose, their state, and their event."""
    return shared.execute(
        """select registration_id, state, event_id from notification n join custody_event e on e.id = event_id
           where kind = 'registration_ending' order by n.id"""
    ).fetchall()


def live(shared: psycopg.Connection) -> list[int]:
    return [row[0] for row in shared.execute("select id from registration where ended_at is null order by id")]


def test_who_was_released_is_told_of_once_more_after_fourteen_days_and_then_it_ends(
    shared: psycopg.Connection, released: int, ends: Callable[[datetime], bool]
):
    ends(OUT - timedelta(seconds=1))
    assert notices(shared) == []
    for _ in range(2):
        ends(OUT)
    ((registration, state, event_id),) = notices(shared)
    assert (registration, state, live(shared)) == (released, "open", [released])
    due = shared.execute("select next_call_at, priority from notification where state = 'open'").fetchall()
    assert due == [(OUT, 2)]
    confirm(shared, event_id, OUT)
    ends(OUT + timedelta(minutes=5))
    assert live(shared) == []


def test_a_release_of_long_ago_that_becomes_known_now_leaves_fourteen_days(
    shared: psycopg.Connection, released: int, ends: Callable[[datetime], bool]
):
    shared.execute("update custody_event set recorded_at = %s", [NOON + 20 * DAY])
    ends(NOON + 20 * DAY)
    assert notices(shared) == []
    ends(NOON + 34 * DAY)
    assert [registration for registration, _, _ in notices(shared)] == [released]


@pytest.mark.usefixtures("released")
def test_it_ends_too_when_the_time_for_calling_is_up(shared: psycopg.Connection, ends: Callable[[datetime], bool]):
    ends(OUT)
    (notification,) = shared.execute("select id from notification where state = 'open'").fetchone() or (0,)
    subject = notifications.subject(shared, notices(shared)[0][2])
    policy.give_up(shared, notification, policy.rules_of(SETTINGS, subject), now=OUT + 2 * DAY)
    assert alerts.still(shared) == []  # nobody must be told at once that a last notice was not heard
    ends(OUT + 2 * DAY)
    assert live(shared) == []
    assert notifications.state(shared, notification) == "registration ended"


def test_it_does_not_end_while_other_news_is_to_be_told(
    shared: psycopg.Connection, released: int, happens: Happens, ends: Callable[[datetime], bool]
):
    ends(OUT)
    confirm(shared, notices(shared)[0][2], OUT)
    late = happens("transferred", late=True)
    ends(OUT + timedelta(minutes=5))
    assert live(shared) == [released]
    confirm(shared, late, OUT + timedelta(minutes=6))
    ends(OUT + timedelta(minutes=10))
    assert live(shared) == []


@pytest.mark.parametrize("feed", ["boone", "boone/jail"])
def test_it_waits_while_the_feed_of_custody_is_silent(
    feed: str, db: ConnectionPool, shared: psycopg.Connection, released: int
):
    its = {"jail": {"format": "niem", "interval": 900}} if feed == "boone/jail" else {}
    court = {"court": {"format": "court calendar", "interval": 900}}
    boone = {"name": "Boone County", "interval": "24:00:00", "feeds": its | court}
    ends = keeping.end_registrations(db, settings_for(Path("/nowhere"), agencies={"boone": boone}))
    feed_runs.watch(shared, [feed, "boone/court"], now=NOON)
    feed_runs.silent(shared, feed, NOON)
    ends(OUT)
    assert notices(shared) == []  # nobody knows whether they are back
    feed_runs.silent(shared, feed, None)
    feed_runs.silent(shared, "boone/court", NOON)  # which says nothing of where anybody is
    ends(OUT)
    confirm(shared, notices(shared)[0][2], OUT)
    feed_runs.silent(shared, feed, OUT)
    ends(OUT + DAY)
    assert live(shared) == [released]
    feed_runs.silent(shared, feed, None)
    ends(OUT + 2 * DAY)
    assert live(shared) == []


def test_it_waits_while_a_run_is_held_that_has_news_of_the_person(
    shared: psycopg.Connection, released: int, ends: Callable[[datetime], bool]
):
    def hold(number: str, at: datetime) -> int:
        run = feed_runs.add(shared, "jail.csv", "", "applied", feed="boone/jail", now=at)
        changes = [held.Changed("boone", number, "returned", "in custody", at, "Boone County Jail")]
        held.hold(shared, run, b"file", ["too many"], [], changes, touched=9, population=9, since=at, now=at)
        return run

    hold("100561", NOON + DAY)  # which is another's
    run = hold("100234", NOON + 13 * DAY)
    ends(OUT)
    assert notices(shared) == []
    held.decide(shared, run, "rejected", now=OUT)
    ends(OUT)
    confirm(shared, notices(shared)[0][2], OUT)
    run = hold("100234", OUT)
    ends(OUT + DAY)
    assert live(shared) == [released]
    held.decide(shared, run, "rejected", now=OUT + DAY)
    ends(OUT + DAY)
    assert live(shared) == []


def test_who_is_taken_into_custody_again_needs_no_new_registration(
    shared: psycopg.Connection, released: int, becomes: Callable[..., int], ends: Callable[[datetime], bool]
):
    ends(OUT)
    confirm(shared, notices(shared)[0][2], OUT)
    becomes("returned", "in custody", OUT + timedelta(minutes=1))
    ends(OUT + timedelta(minutes=5))
    assert live(shared) == [released]
    again = becomes("released", "released", OUT + DAY)  # supersedes that, and what was confirmed before does not count
    ends(OUT + DAY)
    assert live(shared) == [released]
    confirm(shared, again, OUT + DAY)
    ends(OUT + 15 * DAY)
    assert [state for _, state, _ in notices(shared)] == ["confirmed", "open"]


def test_a_notice_that_is_open_is_superseded_by_what_happens(
    shared: psycopg.Connection, released: int, becomes: Callable[..., int], ends: Callable[[datetime], bool]
):
    ends(OUT)
    becomes("returned", "in custody", OUT + timedelta(hours=1))
    ends(OUT + timedelta(hours=1))
    assert [state for _, state, _ in notices(shared)] == ["superseded"]
    assert live(shared) == [released]


def test_a_court_date_keeps_it_alive_and_withdraws_a_notice(
    shared: psycopg.Connection, released: int, offender: Offender, ends: Callable[[datetime], bool]
):
    ends(OUT)
    shared.execute("update offender set court_at = %s where id = %s", [OUT + 3 * DAY, offender.id])
    ends(OUT + timedelta(minutes=5))
    assert [state for _, state, _ in notices(shared)] == ["retracted"]
    assert live(shared) == [released]
    ends(OUT + 3 * DAY)
    assert [state for _, state, _ in notices(shared)] == ["retracted", "open"]


@pytest.mark.usefixtures("released")
def test_a_date_of_a_courts_calendar_keeps_it_alive(
    shared: psycopg.Connection, offender: Offender, ends: Callable[[datetime], bool]
):
    run = feed_runs.add(shared, "c.tsv", "", "applied", now=NOON)
    (date,) = shared.execute(
        """insert into court_event (agency, source_key, case_number, planned_at, place, state, feed_run_id, known_at)
           values ('boone', '1', '26CR1', %s, '', 'scheduled', %s, %s) returning id""",
        [OUT + DAY, run, NOON],
    ).fetchone() or (0,)
    shared.execute("insert into court_event_of values (%s, %s)", [date, offender.id])
    ends(OUT)
    assert notices(shared) == []
    ends(OUT + DAY)
    assert len(notices(shared)) == 1


@pytest.mark.parametrize("status", ["in custody", "escaped", "on furlough"])
def test_who_is_to_come_back_is_never_told_of_for_the_last_time(
    status: str,
    shared: psycopg.Connection,
    released: int,
    becomes: Callable[..., int],
    ends: Callable[[datetime], bool],
):
    becomes({"in custody": "returned", "escaped": "escaped", "on furlough": "furloughed"}[status], status)
    ends(OUT + 100 * DAY)
    assert notices(shared) == []
    assert live(shared) == [released]


def test_who_registers_later_has_the_whole_time_and_who_wants_court_dates_alone_is_told_too(
    shared: psycopg.Connection, released: int, offender: Offender, ends: Callable[[datetime], bool]
):
    shared.execute("update registration set custody = false, court = true where id = %s", [released])
    people.register(shared, KEYS, number="5735550143", offender_id=offender.id, now=OUT - DAY)
    ends(OUT)
    assert [registration for registration, _, _ in notices(shared)] == [released]
    ends(OUT + 13 * DAY)
    assert len(notices(shared)) == 2


def test_what_is_not_confirmed_yet_goes_first(
    shared: psycopg.Connection, register: Register, becomes: Callable[..., int], ends: Callable[[datetime], bool]
):
    register("5735550142")
    event_id = becomes("released", "released")
    ends(OUT)
    assert notices(shared) == []
    confirm(shared, event_id, OUT)
    ends(OUT)
    assert len(notices(shared)) == 1


# Forgetting


@pytest.fixture
def old(shared: psycopg.Connection, released: int, offender: Offender) -> None:
    """All of what is forgotten is there once: of one who had ended it, and whose telephone had been called."""
    (telephone,) = shared.execute("select max(id) from telephone").fetchone() or (0,)
    (notification,) = shared.execute("select max(id) from notification").fetchone() or (0,)
    (call,) = shared.execute(
        """insert into call_attempt (telephone_id, number_hash, host, state, outcome, claimed_at, ended_at, deadline)
           values (%s, '', 'here', 'ended', 'confirmed', %s, %s, %s) returning id""",
        [telephone, NOON, NOON, NOON],
    ).fetchone() or (0,)
    shared.execute("insert into attempt_carries values (%s, %s)", [call, notification])
    registrations.end(shared, released, now=NOON)
    guard.note_registering(shared, b"caller", now=NOON)
    guard.count_wrong_pin(shared, b"number", now=NOON)
    alerts.add(shared, "disk", "The disk is full.", now=NOON)
    alerts.over(shared, "disk", now=NOON)
    run = feed_runs.add(shared, "f.csv", "", "applied", now=NOON)
    feed_runs.put_aside(shared, run, [(3, ["wrong"], {"status": "gone"})])
    date = CourtEvent("E1", "26BA-CR1", NOON, "Division 3", "scheduled", offender_ids=[offender.id])
    court_events.keep(shared, "boone", date, feed_run_id=run, now=NOON - DAY)
    staff.record(shared, "clerk", "looked up by number", 1, now=NOON)


TABLES = {
    "registration": 90, "notification": 90, "call_attempt": 90, "attempt_carries": 90, "telephone": 90,
    "registrant": 90, "proof": 90, "registering": 30, "wrong_pin": 30, "feed_row_aside": 90, "court_said": 30,
    "alert": 365,
}  # fmt: skip
STAY = ("staff_act", "offender", "custody_event", "court_event", "court_event_of", "feed_run")


def counts(shared: psycopg.Connection) -> dict[str, int]:
    found: dict[str, int] = {}
    for table in (*TABLES, *STAY):
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(table))
        (found[table],) = shared.execute(query).fetchone() or (0,)
    return found


def all_forgotten(db: ConnectionPool, now: datetime) -> keeping.Forgetting:
    forgetting = keeping.Forgetting(db, SETTINGS)
    while not forgetting.remove(now):
        pass
    return forgetting


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("table", TABLES)
def test_each_is_kept_as_long_as_the_settings_say(table: str, db: ConnectionPool, shared: psycopg.Connection):
    days = TABLES[table] * DAY
    before = counts(shared)
    assert before[table] > 0
    all_forgotten(db, NOON + days)
    assert counts(shared)[table] == before[table]
    all_forgotten(db, NOON + days + timedelta(seconds=1))
    assert counts(shared)[table] == 0
    for kept in STAY:
        assert counts(shared)[kept] == before[kept]


@pytest.mark.usefixtures("released")
def test_what_is_needed_is_not_forgotten(db: ConnectionPool, shared: psycopg.Connection):
    before = counts(shared)
    all_forgotten(db, NOON + 1000 * DAY)
    after = counts(shared)
    over = "proof", "wrong_pin"  # it has ended, and a new number's PIN is one that was tried
    assert [after[table] for table in over] == [0, 0]
    assert {**after, **{table: before[table] for table in over}} == before


@pytest.mark.usefixtures("old")
def test_a_telephone_stays_as_long_as_a_call_to_it_and_a_bar_longer(db: ConnectionPool, shared: psycopg.Connection):
    (number_hash,) = shared.execute("select number_hash from telephone").fetchone() or (b"",)
    for at in range(3):
        shared.execute("update telephone set proven_once = false, ended_at = null")
        proofs.refuse(shared, number_hash, now=NOON + at * DAY)
    chosen = SETTINGS.model_copy(update={"keep": SETTINGS.keep.model_copy(update={"attempts": 200})})
    keeping.forget(db, chosen, now=NOON + 199 * DAY)
    assert (counts(shared)["registration"], counts(shared)["telephone"]) == (0, 1)
    keeping.forget(db, chosen, now=NOON + 201 * DAY)
    assert counts(shared)["telephone"] == 0
    assert guard.barred(shared, [number_hash])


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(
    "how",
    [
        "update court_event set known_at = %s",
        "update court_event set planned_at = %s",
        "update court_said set planned_at = %s",
    ],
    ids=["in a calendar since", "moved", "moved before"],
)
def test_what_was_said_of_a_court_date_that_is_to_come_or_still_in_a_calendar_is_kept(
    how: LiteralString, db: ConnectionPool, shared: psycopg.Connection
):
    shared.execute(how, [NOON + DAY])
    all_forgotten(db, NOON + 31 * DAY)
    assert counts(shared)["court_said"] > 0
    all_forgotten(db, NOON + 32 * DAY)
    assert counts(shared)["court_said"] == 0


def test_calls_about_what_is_open_are_kept(
    db: ConnectionPool, shared: psycopg.Connection, register: Register, becomes: Callable[..., int]
):
    register("5735550142")
    becomes("escaped", "escaped")
    (notification, telephone) = shared.execute(
        "select max(n.id), max(t.id) from notification n, telephone t"
    ).fetchone() or (0, 0)
    (call,) = shared.execute(
        """insert into call_attempt (telephone_id, number_hash, host, state, outcome, claimed_at, ended_at, deadline)
           values (%s, '', 'here', 'ended', 'no answer', %s, %s, %s) returning id""",
        [telephone, NOON, NOON, NOON],
    ).fetchone() or (0,)
    shared.execute("insert into attempt_carries values (%s, %s)", [call, notification])
    all_forgotten(db, NOON + 1000 * DAY)
    assert counts(shared)["call_attempt"] == 1


@pytest.mark.usefixtures("old")
def test_what_something_else_needs_is_said_and_holds_up_nothing_else(
    db: ConnectionPool, shared: psycopg.Connection, caplog: pytest.LogCaptureFixture
):
    shared.execute("create table needs as select id from registration")
    shared.execute("alter table needs add foreign key (id) references registration")
    all_forgotten(db, NOON + 1000 * DAY)
    assert caplog.text.count("ended registrations are not forgotten, something needs them: ForeignKeyViolation") == 1
    left = counts(shared)
    assert (left["registration"], left["call_attempt"], left["alert"]) == (1, 0, 0)


def test_much_is_removed_in_small_transactions_over_many_looks(
    db: ConnectionPool, shared: psycopg.Connection, caplog: pytest.LogCaptureFixture
):
    shared.execute("insert into registering (at) select %s from generate_series(1, 1200)", [NOON])
    forgetting = keeping.Forgetting(db, SETTINGS)
    now = NOON + 31 * DAY
    with caplog.at_level(logging.INFO):
        assert [forgetting.look(now) for _ in range(4)] == [False, False, False, True]
    assert "forgotten: 1200 callers' hashes" in caplog.text


def test_files_that_lie_aside_are_removed_by_when_they_were_taken(db: ConnectionPool, tmp_path: Path):
    old, new = "20261020T120000.000000Z-jail.csv", "20261023T120000.000000Z-jail.csv"
    for folder in ("done", "refused", "held", "theirs"):
        (tmp_path / folder).mkdir()
        for name in (old, f"{old}.txt", new, "by hand.csv"):
            (tmp_path / folder / name).touch()
    (tmp_path / old).touch()
    jail = {"format": "niem", "interval": 900, "drop": str(tmp_path)}
    boone = {"name": "Boone County", "interval": "24:00:00", "feeds": {"jail": jail}}
    settings = settings_for(tmp_path, agencies={"boone": boone})
    with db.connection() as conn:
        assert dict(keeping.would_forget(conn, settings, now=NOON + DAY))["files of feeds"] == 6
    assert keeping.forget(db, settings, now=NOON + DAY) == {"files of feeds": 6}
    left = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    kept = [f"{folder}/{name}" for folder in ("done", "held", "refused") for name in (new, "by hand.csv")]
    assert left == sorted([*kept, old, *(f"theirs/{name}" for name in (old, f"{old}.txt", new, "by hand.csv"))])


def test_a_file_that_cannot_be_removed_is_said_once_and_stays_and_keeps_no_other(
    db: ConnectionPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    names = [f"20261020T120000.000000Z-{name}" for name in ("a-is-a-directory", "b-is-a-directory", "c.csv")]
    for feed in ("jail", "court"):
        for name in names[:2] if feed == "jail" else ():
            (tmp_path / feed / "done" / name).mkdir(parents=True)
        (tmp_path / feed / "done").mkdir(parents=True, exist_ok=True)
        (tmp_path / feed / "done" / names[2]).touch()
    (tmp_path / "jail" / "held").touch()  # which cannot be listed
    drops = {name: {"format": "niem", "interval": 900, "drop": str(tmp_path / name)} for name in ("jail", "court")}
    boone = {"name": "Boone County", "interval": "24:00:00", "feeds": drops}
    forgetting = keeping.Forgetting(db, settings_for(tmp_path, agencies={"boone": boone}))
    for day in (1, 2):
        while not forgetting.look(NOON + day * DAY):
            pass
        (report,) = (done for done in caplog.messages[-2:] if "/done" in done)
        assert report.startswith(f"{tmp_path / 'jail' / 'done'}: what is old there cannot be removed (Is a directory);")
        assert len(caplog.messages) == 2 * day
    assert f"{tmp_path / 'jail' / 'held'}: what is old there cannot be removed (Not a directory)" in caplog.text
    assert [file.name for file in (tmp_path / "jail" / "done").iterdir() if file.is_file()] == []
    assert list((tmp_path / "court" / "done").iterdir()) == []


@pytest.mark.usefixtures("old")
def test_the_command_says_how_many_it_would_be_before_it_removes_them(movans: Movans, shared: psycopg.Connection):
    shared.execute("update registering set at = now() - interval '31 days'")
    before = counts(shared)
    shown = movans("forget", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "       1  callers' hashes" in shown.stdout.splitlines()
    assert "They would be removed." in shown.stdout
    assert counts(shared) == before
    done = movans("forget")
    assert "       1  callers' hashes" in done.stdout.splitlines()
    assert counts(shared)["registering"] == 0
    assert staff.acts(shared, since=None, who="clerk")[-1].what == "removed what is older than the settings say"


def test_the_file_of_a_run_that_was_held_is_forgotten_once_it_is_decided(
    shared: psycopg.Connection, db: ConnectionPool, offender: Offender
):
    for outcome in ("held", "rejected", "overtaken"):
        run = feed_runs.add(shared, "jail.csv", "", "applied", feed="boone/jail", now=NOON)
        because, places = ["it would release everybody"], [("boone", "Boone County Jail")]
        held.hold(shared, run, b"file", because, places, touched=9, population=9, since=NOON, now=NOON)
        shared.execute("update feed_run set outcome = %s where id = %s", [outcome, run])
    out = custody.record(
        shared, offender.id, "released", Custody("released", offender.facility, NOON),
        source="boone", source_key="E1", feed_run_id=run, reported=True, now=NOON,
    )  # fmt: skip
    held.note_reported(shared, run, now=NOON)  # and nobody has confirmed it since
    keeping.forget(db, SETTINGS, now=NOON + timedelta(days=SETTINGS.keep.files, seconds=-1))
    assert shared.execute("select count(*) from held_run").fetchone() == (3,)
    keeping.forget(db, SETTINGS, now=NOON + timedelta(days=SETTINGS.keep.files, seconds=1))
    kept = shared.execute(
        "select outcome from held_run join held_news using (feed_run_id) join feed_run on id = feed_run_id order by id"
    )
    assert kept.fetchall() == [("held",), ("overtaken",)]
    held.confirm(shared, [out])
    keeping.forget(db, SETTINGS, now=NOON + timedelta(days=SETTINGS.keep.files, seconds=1))
    assert shared.execute("select count(*) from held_run").fetchone() == (1,)
