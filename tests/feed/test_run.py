"""Imports into a real database: applied as a whole, or not at all."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from db import custody, feed_runs, lookup
from db.custody import Details
from feed.records import Refused
from feed.report import Report
from feed.run import run
from movans import settings, tables
from tests.conftest import NOON, SETTINGS
from tests.feed.conftest import HEADER, JAIL, NIEM, SAMPLES, declared, row, rules

Imports = Callable[..., Report]
Register = Callable[..., int]

RELEASED = row("released", "2026-11-20 09:40")
CHECKOUT = settings.EXAMPLE.parent


def known(shared: Connection, number: str = "100234") -> tuple[str, str, str]:
    found = shared.execute("select status, facility, since from offender where number = %s", [number]).fetchone()
    assert found
    status, facility, since = found
    return status, facility, local(since)


def events(shared: Connection) -> list[tuple[str, str]]:
    rows = shared.execute("select kind, effective_at from custody_event order by effective_at, id")
    return [(kind, local(at)) for kind, at in rows]


def notifications(shared: Connection) -> list[tuple[str, str]]:
    return shared.execute(
        "select kind, state from notification n join custody_event e on e.id = event_id order by n.id"
    ).fetchall()


def runs(shared: Connection) -> list[tuple[str, int, int, int]]:
    return shared.execute("select outcome, rows, events, notifications from feed_run order by id").fetchall()


def everything(shared: Connection) -> list[object]:
    tables = ("offender", "custody_event", "notification", "court_event", "court_said")
    return [shared.execute(f"select * from {table} order by id").fetchall() for table in tables]  # noqa: S608


def local(at: datetime) -> str:
    return at.astimezone(rules().zone).strftime("%m-%d %H:%M")


def test_a_file_is_applied_and_says_what_changed_and_how_many_are_called(
    imports: Imports, register: Register, shared: Connection
):
    imports(row(), row(number="100561"))
    register()
    register(telephone="5735550143")
    register("100561", telephone="5735550144")
    report = imports(RELEASED, row(number="100561"), RELEASED, row(number="100777"))
    assert [(line.record.number, line.change.kind, line.notifications) for line in report.lines] == [
        ("100777", "listed", 0),
        ("100234", "released", 2),
    ]
    assert (report.rows, report.repeated, report.unchanged, report.notifications) == (4, 1, 1, 2)
    assert report.kinds == {"listed": 1, "released": 1}
    assert known(shared) == ("released", "Boone County Jail", "11-20 09:40")
    assert notifications(shared) == [("released", "open")] * 2
    assert runs(shared) == [("applied", 2, 2, 0), ("applied", 4, 2, 2)]


def test_what_is_due_is_due_at_once(imports: Imports, register: Register, shared: Connection):
    imports(row())
    register()
    imports(RELEASED)
    due = shared.execute("select next_call_at, give_up_at from notification").fetchone()
    assert due == (NOON, NOON + timedelta(days=2))


def test_the_same_file_again_changes_nothing(imports: Imports, register: Register, shared: Connection):
    imports(row(), row(number="100561"))
    register()
    imports(RELEASED)
    before = everything(shared)
    report = imports(RELEASED)
    assert (report.lines, report.unchanged, report.notifications) == ([], 1, 0)
    assert everything(shared) == before
    assert runs(shared)[-1] == ("applied", 1, 0, 0)


def test_a_file_of_changes_with_a_header_alone_is_a_run_without_changes(imports: Imports, shared: Connection):
    report = imports(feed=declared())
    assert tables.summary(report) == "Run 1, 0 rows: nothing changed; 0 as known. 0 to be called."
    came = feed_runs.came(shared, "boone/jail")
    assert came
    assert (came.outcome, came.rows, came.started_at) == ("applied", 0, NOON)


def test_who_stands_in_a_file_again_is_known_as_of_then(imports: Imports, shared: Connection):
    imports(row(), row(number="100561"))
    imports(row(), now=NOON + timedelta(minutes=15))
    told = shared.execute("select number, known_at - %s from offender order by number", [NOON]).fetchall()
    assert told == [("100234", timedelta(minutes=15)), ("100561", timedelta(0))]


def test_one_bad_row_refuses_the_file_and_changes_nothing(imports: Imports, register: Register, shared: Connection):
    imports(row())
    register()
    before = everything(shared)
    with pytest.raises(Refused, match=r"custody.csv, row 3: status 'free' must be one of"):
        imports(RELEASED, row("free", number="100561"), row(number="100777"))
    assert everything(shared) == before
    assert runs(shared) == [("applied", 1, 1, 0), ("refused", 0, 0, 0)]


def test_rows_that_are_put_aside_are_kept_with_the_reason_and_change_nothing(imports: Imports, shared: Connection):
    report = imports(row(), row("free", number="100561"), feed=declared(quarantine=0.5))
    assert (report.rows, report.kinds, [bad.row for bad in report.quarantined]) == (2, {"listed": 1}, [3])
    assert shared.execute("select number from offender").fetchall() == [("100234",)]
    kept = shared.execute(
        """select feed, put_aside, row, mistakes[1], given ->> 'status'
           from feed_row_aside join feed_run on id = feed_run_id"""
    ).fetchall()
    sentence = "custody.csv, row 3: status 'free' must be one of in custody, released, escaped, on furlough, deceased"
    assert kept == [("boone/jail", 1, 3, sentence, "free")]


def test_a_nought_in_a_row_that_is_put_aside_does_no_harm(imports: Imports, shared: Connection):
    imports(row(), row(number="100561", last_name="SMI\0TH"), feed=declared(quarantine=0.5))
    assert shared.execute("select given ->> 'last_name' from feed_row_aside").fetchall() == [("SMITH",)]


def test_what_a_feed_writes_its_own_way_is_applied(db: ConnectionPool, shared: Connection):
    report = run(db, SAMPLES / "jail.csv", declared(**JAIL), settings=SETTINGS)
    assert report.kinds == {"listed": 2}
    assert known(shared, "100561") == ("released", "Boone County Jail", "11-20 09:40")


def test_messages_of_niem_are_applied(db: ConnectionPool, shared: Connection):
    run(db, SAMPLES / "niem.xml", declared(**NIEM), settings=SETTINGS)
    assert events(shared) == [
        ("listed", "11-03 14:05"),
        ("furloughed", "11-10 07:30"),
        ("released", "11-20 09:40"),
    ]


def test_what_a_later_message_leaves_out_stays_known(db: ConnectionPool, shared: Connection):
    run(db, SAMPLES / "niem.xml", declared(**NIEM), settings=SETTINGS)
    (kept,) = shared.execute("select middle_name, birth_date, booking_number, case_numbers from offender").fetchall()
    assert kept == ("Q", date(1990, 7, 31), "B-2026-0031", ["26BA-CR00123", "26BA-CR00124"])


def test_a_column_that_is_left_out_takes_no_middle_name_away(imports: Imports, shared: Connection):
    imports(row().replace("JOHN,", "JOHN,Q,"), header=HEADER.replace("first_name,", "first_name,middle_name,"))
    imports(row("released", "2026-11-20 09:40"))
    assert shared.execute("select middle_name, status from offender").fetchall() == [("Q", "released")]


def test_a_failure_half_way_changes_nothing(
    imports: Imports, shared: Connection, db: ConnectionPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("feed.rows.CHUNK", 1)
    path = tmp_path / "half.csv"
    path.write_text(HEADER + row() + row(number="100561"), encoding="utf-8")

    def stop_at_the_first(done: int, of: int, what: str) -> None:
        assert (done, of, what) == (1, 2, "rows")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(db, path, rules(), settings=SETTINGS, progress=stop_at_the_first)
    assert everything(shared) == [[], [], [], [], []]
    assert runs(shared) == []
    assert imports(row()).kinds == {"listed": 1}


def test_progress_is_told_every_so_many_rows_while_they_are_read_and_while_they_take_effect_and_at_the_end(
    db: ConnectionPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("feed.rows.CHUNK", 2)
    monkeypatch.setattr("feed.sieve.TOLD_EVERY", 4)
    path = tmp_path / "five.csv"
    path.write_text(HEADER + "".join(row(number=str(number)) for number in range(1, 6)), encoding="utf-8")
    told: list[tuple[int, int, str]] = []
    run(db, path, rules(), settings=SETTINGS, progress=lambda *how_far: told.append(how_far))
    size = path.stat().st_size
    assert told == [(size, size, "bytes"), (2, 5, "rows"), (4, 5, "rows"), (5, 5, "rows")]


def test_a_missing_file_is_refused_and_leaves_no_trace(db: ConnectionPool, tmp_path: Path, shared: Connection):
    with pytest.raises(Refused, match="cannot be read"):
        run(db, tmp_path / "none.csv", rules(), settings=SETTINGS)
    assert runs(shared) == []


def test_a_late_event_still_notifies_and_does_not_overwrite_what_is_newer(
    imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    imports(row("in custody", "2026-11-18 10:00", facility="Boone County Annex"))
    report = imports(row("escaped", "2026-11-17 03:00"))
    assert [(line.change.kind, line.change.late, line.notifications) for line in report.lines] == [("escaped", True, 1)]
    assert known(shared) == ("in custody", "Boone County Annex", "11-18 10:00")
    assert notifications(shared) == [("transferred", "open"), ("escaped", "open")]
    assert imports(row("escaped", "2026-11-17 03:00")).unchanged == 1


def test_newer_news_supersedes_what_is_open_of_the_same_registration(
    imports: Imports, register: Register, shared: Connection
):
    imports(row(), row(number="100561"))
    register()
    register("100561")
    imports(RELEASED, row("released", number="100561", at="2026-11-19 08:00"))
    imports(row("in custody", "2026-11-20 11:00"))
    assert notifications(shared) == [("released", "open"), ("released", "superseded"), ("returned", "open")]


def test_a_corrected_time_amends_the_event_and_makes_no_new_call(
    imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    imports(RELEASED)
    report = imports(row("released", "2026-11-20 10:15"))
    assert (report.kinds, report.notifications) == ({"amended": 1}, 0)
    assert events(shared) == [("listed", "11-03 14:05"), ("released", "11-20 10:15")]
    assert known(shared) == ("released", "Boone County Jail", "11-20 10:15")
    assert notifications(shared) == [("released", "open")]
    assert imports(row("released", "2026-11-20 10:15")).unchanged == 1


def test_the_time_from_before_its_correction_is_no_news(imports: Imports, shared: Connection):
    imports(row())
    imports(RELEASED)
    imports(row("released", "2026-11-20 08:00"))
    assert imports(RELEASED).unchanged == 1
    assert known(shared) == ("released", "Boone County Jail", "11-20 08:00")


TURNS_ROUND = {
    "a release moves past the return": (
        row("released", "2026-11-18 14:00", event_id="E1"),
        "event_id 'E1' would move past event_id 'E2', 'in custody' since 2026-11-18 12:00:00-06:00, so",
    ),
    "the return moves before the release": (
        row("in custody", "2026-11-18 08:00", event_id="E2"),
        "event_id 'E2' would move past event_id 'E1', 'released' since 2026-11-18 10:00:00-06:00, so",
    ),
    "the return moves before everything": (row("in custody", "2026-11-02 08:00", event_id="E2"), "event_id 'E2' would"),
}


@pytest.mark.parametrize(("corrected", "sentence"), TURNS_ROUND.values(), ids=TURNS_ROUND)
def test_a_correction_that_would_make_another_event_the_latest_refuses_the_file(
    corrected: str, sentence: str, imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    imports(row("released", "2026-11-18 10:00", event_id="E1"), row("in custody", "2026-11-18 12:00", event_id="E2"))
    before = everything(shared)
    with pytest.raises(Refused) as refused:
        imports(row(number="100777"), corrected)
    (mistake,) = refused.value.mistakes
    assert mistake.startswith(f"custody.csv, row 3: {sentence}")
    assert mistake.endswith("with an event_id of its own and a time after 2026-11-18 12:00:00-06:00")
    assert everything(shared) == before
    assert runs(shared)[-1] == ("refused", 0, 0, 0)


def test_what_a_refused_correction_advises_calls_everybody(imports: Imports, register: Register, shared: Connection):
    imports(row())
    register()
    imports(row("released", "2026-11-18 10:00", event_id="E1"), row("in custody", "2026-11-18 12:00", event_id="E2"))
    report = imports(row("released", "2026-11-18 12:01", event_id="E3"))
    assert (report.kinds, report.notifications) == ({"released": 1}, 1)
    assert known(shared)[0] == "released"
    assert notifications(shared)[-1] == ("released", "open")


def test_an_event_whose_id_is_not_given_is_named_by_what_it_said(imports: Imports):
    imports(row(), row("released", "2026-11-18 10:00", event_id="E1"), row("in custody", "2026-11-18 12:00"))
    with pytest.raises(Refused, match="event_id 'E1' would move past 'in custody' since 2026-11-18 12:00"):
        imports(row("released", "2026-11-18 14:00", event_id="E1"))


def test_events_that_all_move_by_an_hour_keep_their_order_and_are_amended(
    imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    imports(row("released", "2026-11-18 10:00", event_id="E1"), row("in custody", "2026-11-18 10:30", event_id="E2"))
    report = imports(
        row("released", "2026-11-18 11:00", event_id="E1"), row("in custody", "2026-11-18 11:30", event_id="E2")
    )
    assert (report.kinds, report.notifications) == ({"amended": 2}, 0)
    assert events(shared)[1:] == [("released", "11-18 11:00"), ("returned", "11-18 11:30")]
    assert known(shared) == ("in custody", "Boone County Jail", "11-18 11:30")
    assert notifications(shared) == [("released", "superseded"), ("returned", "open")]


def test_what_is_new_is_compared_with_the_times_that_its_file_corrects(
    imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    imports(row("released", "2026-11-18 09:00"), row("in custody", "2026-11-18 12:00", event_id="E2"))
    report = imports(row("escaped", "2026-11-18 13:00"), row("in custody", "2026-11-18 14:00", event_id="E2"))
    assert [(line.change.what, line.change.late) for line in report.lines] == [("amended", False), ("news", True)]
    assert known(shared) == ("in custody", "Boone County Jail", "11-18 14:00")
    assert notifications(shared) == [("released", "superseded"), ("returned", "open"), ("escaped", "open")]


def test_a_time_from_before_its_correction_refuses_nothing_though_it_lies_before_another_event(imports: Imports):
    imports(row(), row("released", "2026-11-18 10:00", event_id="E1"))
    imports(row("released", "2026-11-18 14:00", event_id="E1"))
    imports(row("in custody", "2026-11-18 16:00", event_id="E2"))
    assert imports(row("released", "2026-11-18 10:00", event_id="E1")).unchanged == 1


def test_the_facility_of_a_release_can_be_corrected(imports: Imports, register: Register, shared: Connection):
    imports(row())
    register()
    imports(RELEASED)
    annex = row("released", "2026-11-20 09:40", facility="Boone County Annex")
    assert imports(annex).kinds == {"amended": 1}
    assert known(shared) == ("released", "Boone County Annex", "11-20 09:40")
    assert imports(annex).unchanged == 1
    times = shared.execute("select cardinality(stated_times) from custody_event where kind = 'released'").fetchone()
    assert times == (1,)


def test_the_facility_of_a_move_can_be_corrected_without_another_call(
    imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    imports(row(at="2026-11-10 08:00", facility="Boone Anex"))
    report = imports(row(at="2026-11-10 08:00", facility="Boone County Annex"))
    assert (report.kinds, report.notifications) == ({"amended": 1}, 0)
    assert known(shared) == ("in custody", "Boone County Annex", "11-10 08:00")
    assert notifications(shared) == [("transferred", "open")]


def test_an_older_file_after_a_newer_one_changes_nothing_that_is_newer(
    imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    imports(RELEASED)
    before = everything(shared)
    assert imports(row(last_name="SMYTHE"), now=NOON + timedelta(hours=1)).unchanged == 1
    assert everything(shared) == before


HELD, LET_GO, MOVED = row(at="AT"), row("released", "AT"), row(at="AT", facility="Boone County Annex")
STAYS = {
    "held, let go, held again": (HELD, LET_GO, HELD),
    "let go, held again, let go": (LET_GO, HELD, LET_GO),
    "moved and back": (HELD, MOVED, HELD),
}


@pytest.mark.parametrize("with_ids", [False, True], ids=["without ids", "with ids"])
@pytest.mark.parametrize("stays", STAYS.values(), ids=STAYS)
def test_an_older_file_after_a_newer_one_does_not_turn_round_what_holds(
    *, stays: tuple[str, ...], with_ids: bool, imports: Imports, register: Register, shared: Connection
):
    times = ["2026-11-04 09:00", "2026-11-10 09:00", "2026-11-18 22:00"]
    oldest, between, latest = (
        stay.replace("AT", at).replace(",\n", f",E{at[8:10]}\n" if with_ids else ",\n")
        for stay, at in zip(stays, times, strict=True)
    )
    imports(latest)
    register()
    holds = known(shared)
    for one in (oldest, between, latest, oldest, oldest + between + latest):
        imports(one)
    assert [at for _, at in events(shared)] == [at[5:] for at in times]
    assert known(shared) == holds
    between_is_told = "select from notification n join custody_event e on e.id = event_id where effective_at = %s"
    assert shared.execute(between_is_told, ["2026-11-10 09:00-06:00"]).rowcount == 1


def test_what_was_told_of_two_events_is_told_once(imports: Imports, register: Register, shared: Connection):
    imports(row())
    register()
    imports(row("released", "2026-11-18 22:00"))
    imports(row("released", "2026-11-10 09:00"))
    report = imports(row(at="2026-11-14 09:00"))
    assert [(line.change.kind, line.change.late, line.notifications) for line in report.lines] == [
        ("returned", True, 1),
        ("released", True, 1),
    ]
    assert known(shared) == ("released", "Boone County Jail", "11-18 22:00")
    told = "select effective_at from notification n join custody_event e on e.id = event_id order by n.id"
    assert [local(at) for (at,) in shared.execute(told)] == ["11-18 22:00", "11-14 09:00", "11-10 09:00"]


@pytest.mark.parametrize("format", ["custody changes", "custody snapshot"])
def test_a_third_place_at_the_first_time_of_a_move_that_was_corrected_breaks_nothing_off(
    format: str,  # noqa: A002
    imports: Imports,
):
    def day(day: int, *rows: str) -> Report:
        return imports(*rows, feed=declared(format=format, now=NOON + timedelta(days=day)))

    day(0, row(at="2026-11-10 10:00"), row(number="2"))
    day(1, row(at="2026-11-15 10:00", facility="Annex"), row(number="2"))
    day(2, row(at="2026-11-16 10:00", facility="Annex"), row(number="2"))
    third = row(at="2026-11-15 10:00", facility="Third")
    out = row("released", "2026-11-17 10:00", number="2")
    assert day(3, third, out).kinds["released"] == 1
    assert day(4, third, out, row(number="3")).kinds == {"listed": 1}


def test_a_name_is_corrected_without_a_call(imports: Imports, register: Register, shared: Connection):
    imports(row())
    register()
    report = imports(row(last_name="SMYTHE"))
    assert (report.lines, report.notifications) == ([], 0)
    assert shared.execute("select last_name from offender").fetchall() == [("SMYTHE",)]


DETAILED = HEADER.replace("\n", ",booking_number,aliases,case_numbers,release_date,court_at,court_place\n")


def detailed(plain: str, *cells: str) -> str:
    return plain.replace("\n", f",{','.join(cells)}\n")


def details(shared: Connection) -> Details:
    found = shared.execute("select id from offender").fetchone()
    assert found
    return custody.get(shared, found[0]).details


def test_details_are_kept_changed_and_taken_away_without_a_call_but_for_another_day_of_release(
    imports: Imports, register: Register, shared: Connection
):
    some = ("B-1", '"LEE, KIM;SHORTY"', "26BA-CR00123", "2027-02-01", "2026-12-04 09:30", "Division 3")
    imports(detailed(row(), *some), header=DETAILED)
    register()
    kept = Details(
        "B-1", ("LEE, KIM", "SHORTY"), ("26BA-CR00123",), date(2027, 2, 1),
        datetime(2026, 12, 4, 15, 30, tzinfo=UTC), "Division 3",
    )  # fmt: skip
    assert details(shared) == kept
    imports(row())
    assert details(shared) == kept  # a file without the columns says nothing of them
    report = imports(detailed(row(), "B-2", "", "26BA-CR00123;C2", "2027-01-04", "", ""), header=DETAILED)
    assert details(shared) == Details("B-2", (), ("26BA-CR00123", "C2"), date(2027, 1, 4))
    assert (report.kinds, report.notifications) == ({"release_date_changed": 1}, 1)
    report = imports(detailed(row(), "B-3", "SHORTY", "", "", "", ""), header=DETAILED)
    assert details(shared) == Details("B-3", ("SHORTY",))
    assert (report.lines, report.unchanged, report.notifications) == ([], 1, 0)


def test_details_come_with_an_event_too(imports: Imports, register: Register, shared: Connection):
    imports(row())
    register()
    report = imports(detailed(RELEASED, "", "", "C2", "", "2026-12-04 09:30", "Hall"), header=DETAILED)
    assert report.kinds == {"released": 1}
    assert (details(shared).case_numbers, details(shared).court_place) == (("C2",), "Hall")


def test_details_of_a_row_that_is_not_the_present_say_nothing(imports: Imports, shared: Connection):
    imports(detailed(row(at="2026-11-10 08:00"), "B-2", "", "", "", "", ""), header=DETAILED)
    imports(detailed(row("released", at="2026-11-05 08:00"), "B-1", "", "", "", "", ""), header=DETAILED)
    assert details(shared).booking_number == "B-2"


def test_who_was_imported_is_found_by_name_and_by_case(imports: Imports, shared: Connection):
    imports(detailed(row(), "", '"LEE, KIM"', "26BA-CR00123", "", "", ""), header=DETAILED)
    imports(row(last_name="SMYTHE"))
    assert lookup.by_name(shared, "769843", "5646", 1990, most=5).people
    assert lookup.by_name(shared, "533", "546", most=5).people
    assert lookup.by_case(shared, "26222700123", most=5).people
    assert not lookup.by_name(shared, "76484", most=5).people


def test_two_rows_of_one_offender_are_two_events_in_the_order_of_their_times(
    imports: Imports, register: Register, shared: Connection
):
    imports(row())
    register()
    report = imports(row("in custody", "2026-11-19 21:00"), row("released", "2026-11-18 09:00"))
    assert [line.change.kind for line in report.lines] == ["released", "returned"]
    assert known(shared) == ("in custody", "Boone County Jail", "11-19 21:00")
    assert notifications(shared) == [("released", "superseded"), ("returned", "open")]


def test_a_person_who_is_new_can_have_a_history_at_once(imports: Imports, shared: Connection):
    imports(row(), row("released", "2026-11-18 09:00"), row("in custody", "2026-11-19 21:00"))
    assert [kind for kind, _ in events(shared)] == ["listed", "released", "returned"]
    assert known(shared)[0] == "in custody"


def test_a_release_is_of_its_agencys_offender_alone(imports: Imports, register: Register):
    imports(row())
    register()
    report = imports(row("released", "2026-11-20 09:40", agency="cole"))
    assert (report.kinds, report.notifications) == ({"listed": 1}, 0)


def test_an_event_id_keeps_an_event_known_whatever_its_time(imports: Imports, register: Register, shared: Connection):
    imports(row(event_id="A1"))
    register()
    imports(row("released", "2026-11-18 09:00", event_id="A2"), row("in custody", "2026-11-19 10:00", event_id="A3"))
    report = imports(row("released", "2026-11-18 09:30", event_id="A2"))
    assert (report.kinds, report.notifications) == ({"amended": 1}, 0)
    assert shared.execute("select source_key from custody_event order by id").fetchall() == [("A1",), ("A2",), ("A3",)]
    assert known(shared)[0] == "in custody"


def test_event_ids_that_were_given_for_something_else_refuse_the_file_and_are_all_named(
    imports: Imports, register: Register, shared: Connection
):
    imports(row(event_id="A1"), row(number="100561", event_id="B1"))
    register()
    before = everything(shared)
    with pytest.raises(Refused) as refused:
        imports(
            row("escaped", "2026-11-18 09:00", event_id="A1"),
            row("in custody", number="5", event_id="B1"),
        )
    assert [mistake.split(" was")[0] for mistake in refused.value.mistakes] == [
        "custody.csv, row 2: event_id 'A1'",
        "custody.csv, row 3: event_id 'B1'",
    ]
    assert everything(shared) == before
    assert runs(shared)[-1] == ("refused", 0, 0, 0)


def test_racing_imports_of_the_same_file_make_one_event(
    imports: Imports, register: Register, shared: Connection, db: ConnectionPool, tmp_path: Path
):
    imports(row())
    register()
    path = tmp_path / "release.csv"
    path.write_text(HEADER + RELEASED + row(number="100999"), encoding="utf-8")
    ready = Barrier(4)
    reports: list[Report] = []

    def race() -> None:
        ready.wait()
        reports.append(run(db, path, rules(), settings=SETTINGS))

    racers = [Thread(target=race) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(report.unchanged for report in reports) == [0, 2, 2, 2]
    assert [kind for kind, _ in events(shared)] == ["listed", "listed", "released"]
    assert notifications(shared) == [("released", "open")]


def test_an_import_may_take_longer_than_a_caller_may_wait_and_only_it(
    imports: Imports, db: ConnectionPool, monkeypatch: pytest.MonkeyPatch
):
    limits: list[str] = []
    monkeypatch.setattr(
        "feed.rows.custody.heard_of",
        lambda conn, *_, **__: limits.append(conn.execute("show statement_timeout").fetchone()[0]),
    )
    imports(row())
    with db.connection() as conn:
        after = conn.execute("show statement_timeout").fetchone()
    assert (limits, after) == (["0"], ("2s",))


def test_the_demo_files_are_imported_and_release_somebody(db: ConnectionPool, shared: Connection, register: Register):
    first = run(db, CHECKOUT / "demo" / "custody.csv", rules(), settings=SETTINGS)
    assert set(first.kinds) == {"listed"}
    assert 8 <= first.rows <= 12
    facilities = {
        (agency, facility)
        for agency, chosen in settings.load(settings.EXAMPLE).agencies.items()
        for facility in chosen.facilities
    }
    assert set(shared.execute("select agency, facility from offender").fetchall()) <= facilities
    assert known(shared, "100561")[0] == "in custody"
    register()
    second = run(db, CHECKOUT / "demo" / "release.csv", rules(), settings=SETTINGS)
    assert (second.kinds, second.notifications) == ({"released": 1}, 1)
