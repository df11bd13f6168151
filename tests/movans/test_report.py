"""What staff see and do of what is theirs, and the timeline of a policy, on the command line and a real database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from db import alerts, hosts, notifications
from tests.movans.conftest import CLERK, Movans


def ago(**how_long: int) -> datetime:
    """Before this moment, not before that in which the tests were collected: half an hour lies between."""
    return datetime.now(UTC) - timedelta(**how_long)


@pytest.fixture
def handed_over(shared: psycopg.Connection, register: Callable[..., int], happens: Callable[..., int]) -> int:
    register("5735550142")
    happens("released", at=ago(days=2))
    (notification,) = shared.execute("select id from notification").fetchone() or (0,)
    notifications.hand_over(shared, notification, alert=True, now=ago())
    return notification


def acts(shared: psycopg.Connection) -> list[tuple[str, str]]:
    return shared.execute("select who, what from staff_act order by id").fetchall()


def test_the_report_lists_what_was_handed_over_until_a_person_closes_it(
    movans: Movans, shared: psycopg.Connection, handed_over: int
):
    shown = movans("report")
    assert shown.returncode == 0, shown.stderr
    assert "SMITH, JOHN (boone 100234)" in shown.stdout
    assert "none: handed over" in shown.stdout
    assert "•••-•••-••42" in shown.stdout
    assert "Alerts" not in shown.stdout  # it is listed already
    assert acts(shared) == []
    asked = movans("report", "close", str(handed_over), "--how", "told in person", says="n\n")
    assert "Nobody is called about it any more" in asked.stdout
    assert notifications.state(shared, handed_over) == "open"
    closed = movans("report", "close", str(handed_over), "--how", " told in\nperson ", says="y\n")
    assert f"Notification {handed_over} is closed." in closed.stdout
    assert notifications.state(shared, handed_over) == "closed"
    assert acts(shared) == [(CLERK, f"closed notification {handed_over}: told in person")]
    assert "There is nothing to do." in movans("report").stdout


def test_a_number_in_clear_is_recorded(movans: Movans, shared: psycopg.Connection, handed_over: int):
    assert "573-555-0142" in movans("report", "--reveal").stdout
    assert acts(shared) == [(CLERK, f"saw the telephone numbers of notification {handed_over}")]


def test_what_is_critical_and_unconfirmed_is_listed_while_calls_go_on(
    movans: Movans, register: Callable[..., int], happens: Callable[..., int]
):
    register("5735550142")
    happens("escaped", at=ago(hours=1, minutes=50))
    assert "There is nothing to do." in movans("report").stdout
    register("5735550143")
    happens("died", at=ago(hours=2, minutes=10))
    shown = movans("report").stdout
    assert "died" in shown
    assert "handed over" not in shown


def test_what_cannot_be_closed_is_said_with_what_to_do(movans: Movans, handed_over: int):
    number = str(handed_over)
    for arguments, said in (
        (("999", "--how", "told"), "there is no notification 999; movans report lists them"),
        ((number, "--how", " "), "say how, as in --how"),
        ((number, "--how", "told\x1b[1A\x1b[2K"), "--how holds a sign that cannot be seen; type it anew"),
        ((number, "--how", "called 573 555 0142"), "leave the telephone number out"),
        ((number,), "Missing option '--how'"),
    ):
        done = movans("report", "close", *arguments, "--yes")
        assert done.returncode
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert movans("report", "close", number, "--how", "on 2026-11-25 at 12:30, in person", "--yes").returncode == 0
    again = movans("report", "close", number, "--how", "once more", "--yes")
    assert f"notification {number} has ended already: closed" in again.stderr


def test_alerts_are_listed_until_a_person_says_that_they_are_over(movans: Movans, shared: psycopg.Connection):
    alerts.add(shared, "trunk main", "The trunk [main] is down.", now=ago())
    (alert,) = alerts.still(shared)
    for command in (("report",), ("report", "alerts")):
        shown = movans(*command).stdout
        assert "The trunk [main] is down." in shown
        assert "not yet" in shown
    assert f"Alert {alert.id} is over." in movans("report", "over", str(alert.id)).stdout
    assert acts(shared) == [(CLERK, f"ended alert {alert.id}")]
    assert "There is none." in movans("report", "alerts").stdout
    assert "movans report alerts lists them" in movans("report", "over", str(alert.id)).stderr


def lines(shown: str) -> list[list[str]]:
    return [line.split() for line in shown.splitlines() if line.strip()]


def test_a_policy_is_explained_as_a_timeline_of_calls(movans: Movans, database: str):
    assert database
    done = movans("policy", "explain", "released", "--at", "2026-11-20 22:15")
    assert done.returncode == 0, done.stderr
    rows = lines(done.stdout)
    assert rows[0] == ["released:", "let", "go", "(critical)"]
    assert ["1", "Fri", "Nov", "20", "2026", "22:15", "CST", "0:00", "1"] in rows
    assert ["2", "Fri", "Nov", "20", "2026", "22:45", "CST", "0:30", "1"] in rows
    assert ["Sat", "Nov", "21", "2026", "00:15", "CST", "2:00", "staff", "are", "told;", "calls", "go", "on"] in rows
    assert ["61", "Sun", "Nov", "22", "2026", "22:15", "CST", "48:00", "1"] in rows
    assert not any(row[0] == "62" for row in rows)
    assert "staff take over. An alert tells them at once." in done.stdout


def test_a_routine_policy_keeps_to_the_day_on_the_night_on_which_clocks_go_forward(movans: Movans, database: str):
    assert database
    rows = lines(movans("policy", "explain", "transferred", "--at", "2026-03-07T23:00", "--telephones", "2").stdout)
    assert rows[3] == ["1", "Sun", "Mar", "08", "2026", "07:00", "CDT", "7:00", "1"]
    assert rows[4] == ["2", "Sun", "Mar", "08", "2026", "07:00", "CDT", "7:00", "2"]
    assert rows[5] == ["3", "Sun", "Mar", "08", "2026", "09:00", "CDT", "9:00", "1"]
    assert "staff are told; calls go on" not in str(rows)


def test_an_outcome_may_be_chosen_and_a_kind_that_nobody_is_told_of_is_called_so(movans: Movans, database: str):
    assert database
    rows = lines(movans("policy", "explain", "died", "--outcome", "machine", "--at", "2026-11-20 12:00").stdout)
    assert rows[4][:8] == ["2", "Fri", "Nov", "20", "2026", "14:00", "CST", "2:00"]
    assert "Nobody is called" in movans("policy", "explain", "listed").stdout


def test_a_kind_is_a_row_of_the_database_and_an_unknown_one_is_named_with_those_that_are(
    movans: Movans, shared: psycopg.Connection
):
    unknown = movans("policy", "explain", "pardoned")
    assert unknown.returncode == 1
    assert "there is no kind of event 'pardoned'; known are corrected, corrected_court," in unknown.stderr
    shared.execute("insert into event_kind (kind, class, meaning) values ('pardoned', 'routine', 'pardoned')")
    assert "pardoned: pardoned (routine)" in movans("policy", "explain", "pardoned").stdout
    elsewhere = movans("policy", "explain", "pardoned", "--agency", "adair")
    assert "there is no agency 'adair' in the settings; known are boone, cole" in elsewhere.stderr


def test_a_machine_that_is_gone_for_good_is_missed_no_more(movans: Movans, shared: psycopg.Connection):
    hosts.beat(shared, "old", now=ago(days=1))
    alerts.add(shared, hosts.AWAY % "old", "The machine old makes no calls any more.", now=ago(hours=1))
    (number,) = shared.execute("select id from alert").fetchone() or (0,)
    assert hosts.away(shared, now=ago()) == ["old"]
    assert movans("report", "over", str(number)).returncode == 0
    assert hosts.away(shared, now=ago()) == []
