"""What staff say of offenders, as it is typed, on a real database; and what the next feed makes of it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from db import registrants
from feed.run import one_at_a_time
from movans.settings import EXAMPLE
from tests import people
from tests.conftest import KEYS
from tests.feed.conftest import HEADER, row
from tests.movans.conftest import CLERK, Movans

HELD = "2026-11-03 14:05"


@pytest.fixture
def jail(movans: Movans, tmp_path: Path) -> Callable[..., str]:
    """A custody file is imported; what that prints."""

    def send(*rows: str) -> str:
        file = tmp_path / "custody.csv"
        file.write_text(HEADER + "".join(rows), encoding="utf-8")
        done = movans("feed", "import", str(file))
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return send


@pytest.fixture
def smith(jail: Callable[..., str], shared: psycopg.Connection) -> int:
    jail(row(at=HELD))
    (offender_id,) = shared.execute("select id from offender where number = '100234'").fetchone() or (0,)
    return offender_id


@pytest.fixture
def registered(smith: int, shared: psycopg.Connection) -> None:
    at = datetime.now(UTC)
    for number in ("5735550142", "5735550143"):
        people.register(shared, KEYS, number=number, offender_id=smith, now=at)


def state(shared: psycopg.Connection) -> tuple[object, ...]:
    row = shared.execute("select status, facility, since from offender where number = '100234'").fetchone()
    assert row
    return row


def acts(shared: psycopg.Connection) -> list[tuple[str, str]]:
    return shared.execute("select who, what from staff_act where what not like 'imported %' order by id").fetchall()


def released(movans: Movans, at: str = "2026-11-20 09:40", *more: str, says: str = "y\n") -> str:
    done = movans("custody", "set", "boone", "100234", "released", "--at", at, *more, says=says)
    return done.stdout + done.stderr


def made(shared: psycopg.Connection) -> int:
    (many,) = shared.execute("select count(*) from notification").fetchone() or (0,)
    return many


@pytest.mark.usefixtures("registered")
def test_staff_say_what_no_feed_does_and_whoever_is_registered_is_called(movans: Movans, shared: psycopg.Connection):
    asked = released(movans, says="n\n")
    assert "SMITH, JOHN (boone 100234)" in asked
    assert "known:  in custody, Boone County Jail, since Tue Nov 03 2026 14:05 CST" in asked
    assert "to be:  released, Boone County Jail, since Fri Nov 20 2026 09:40 CST" in asked
    assert "2 people are called. Is that right?" in asked
    assert (state(shared)[0], made(shared), acts(shared)) == ("in custody", 0, [])
    assert "Done. 2 people are called." in released(movans)
    assert state(shared) == ("released", "Boone County Jail", datetime(2026, 11, 20, 15, 40, tzinfo=UTC))
    assert made(shared) == 2
    assert acts(shared) == [(CLERK, "set boone 100234: released at Boone County Jail since 2026-11-20 15:40+00:00")]
    event = shared.execute("select kind, source, who, feed_run_id from custody_event order by id desc").fetchone()
    assert event == ("released", "staff", CLERK, None)
    assert "that is known already: released" in released(movans)


@pytest.mark.usefixtures("registered")
def test_quietly_nobody_is_called(movans: Movans, shared: psycopg.Connection):
    said = released(movans, "2026-11-20 09:40", "--quiet")
    assert "Nobody is called (--quiet), until a feed says it of a later time, or you say it without --quiet." in said
    assert "Done. No people are called." in said
    assert (state(shared)[0], made(shared)) == ("released", 0)
    assert acts(shared)[0][1].endswith(", calling nobody")
    assert "that is known already" in released(movans, "2026-11-20 09:40", "--quiet")
    said = released(movans)
    assert "This is known, but nobody was called of it (--quiet): now they are.\n2 people are called." in said
    assert "Done. 2 people are called." in said
    assert acts(shared)[1][1].startswith("called after all of boone 100234: released")


@pytest.mark.usefixtures("registered")
def test_the_next_feed_does_not_undo_it_and_says_that_it_disagrees(
    movans: Movans, shared: psycopg.Connection, jail: Callable[..., str]
):
    released(movans)
    for at in (HELD, "2026-11-19 10:00"):  # as it was known, and corrected
        said = jail(row(at=at))
        assert "boone 100234 is 'in custody' since" in said
        assert "but staff have said 'released' since Fri Nov 20 2026 09:40 CST, which is later and holds" in said
        assert (state(shared)[0], made(shared)) == ("released", 2)
    history = jail(row(at="2026-11-19 10:00"), row("released", "2026-11-20 09:50"))
    assert "staff have said" not in history


@pytest.mark.usefixtures("registered")
def test_a_feed_that_is_newer_holds(movans: Movans, shared: psycopg.Connection, jail: Callable[..., str]):
    released(movans)
    said = jail(row(at="2026-11-21 08:00"))
    assert "1 returned" in said
    assert "staff have said" not in said
    assert (state(shared)[0], made(shared)) == ("in custody", 4)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("event_id", ["", "E-77"])
def test_the_same_from_a_feed_corrects_the_time_and_calls_nobody_again(
    event_id: str, movans: Movans, shared: psycopg.Connection, jail: Callable[..., str]
):
    released(movans)
    for _ in range(2):
        jail(row("released", "2026-11-20 09:52", event_id=event_id))
        assert state(shared)[2] == datetime(2026, 11, 20, 15, 52, tzinfo=UTC)
        assert made(shared) == 2


@pytest.mark.usefixtures("smith")
def test_what_was_before_what_is_known_is_kept_as_history(movans: Movans, shared: psycopg.Connection):
    said = movans("custody", "set", "boone", "100234", "escaped", "--at", "2026-11-01 03:00", says="y\n").stdout
    assert "This was before what is known, which stays" in said
    assert state(shared)[0] == "in custody"


@pytest.mark.usefixtures("smith")
def test_what_was_between_two_times_of_what_is_known_comes_late(
    movans: Movans, shared: psycopg.Connection, jail: Callable[..., str]
):
    jail(row(at="2026-11-18 22:00"))
    jail(row(at="2026-11-04 09:00"))
    assert "This was before what is known, which stays" in released(movans, "2026-11-10 09:00")
    assert (state(shared)[0], state(shared)[2]) == ("in custody", datetime(2026, 11, 19, 4, 0, tzinfo=UTC))


@pytest.mark.usefixtures("registered")
def test_who_is_told_of_two_events_or_has_two_telephones_is_one_person(
    movans: Movans, shared: psycopg.Connection, jail: Callable[..., str]
):
    jail(row(at="2026-11-18 22:00"))
    jail(row(at="2026-11-04 09:00"))
    (registrant_id,) = shared.execute("select min(id) from registrant").fetchone() or (0,)
    at = datetime.now(UTC)
    assert registrants.add_telephone(shared, KEYS, registrant_id, number="5735550144", pin="2580", prove_at=at, now=at)
    said = released(movans, "2026-11-10 09:00")
    assert ("2 people are called. Is that right?" in said, "Done. 2 people are called." in said) == (True, True)
    assert made(shared) == 4


@pytest.mark.usefixtures("smith")
def test_time_is_by_the_agencys_clock_or_says_its_zone(movans: Movans, shared: psycopg.Connection):
    released(movans, "2026-11-20T09:40:00-05:00")
    assert state(shared)[2] == datetime(2026, 11, 20, 14, 40, tzinfo=UTC)


@pytest.mark.usefixtures("smith")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["boone", "1", "released", "--at", HELD],
            "boone has no offender 1, and the agencies are boone, cole; correct",
        ),
        (["gone", "100234", "released", "--at", HELD], "gone has no offender 100234, and the agencies are boone, cole"),
        (["boone", "100234", "gone", "--at", HELD], "STATUS 'gone' must be one of in custody, released, escaped,"),
        (["boone", "100234", "released", "--at", "noon"], "--at 'noon' must be a time like 2026-11-15 09:40, or with"),
        (["boone", "100234", "released", "--at", "2926-11-20 09:40"], "--at '2926-11-20 09:40' is in the future; corr"),
        (["boone", "100234", "released"], "Missing option '--at'"),
        (
            ["boone", "100234", "released", "--at", HELD, "--facility", "x" * 81],
            "--facility is longer than 80 characte",
        ),
    ],
)
def test_what_cannot_be_is_named_and_changes_nothing(
    words: list[str], says: str, movans: Movans, shared: psycopg.Connection
):
    done = movans("custody", "set", *words, "--yes")
    assert done.returncode
    assert says in done.stderr
    assert (state(shared)[0], acts(shared)) == ("in custody", [])


def add(movans: Movans, number: str = "200", born: str = "1980-01-31") -> str:
    words = ["boone", number, "in custody", "--at", HELD, "--facility", "Boone County Jail", "--last", "DOE"]
    done = movans("custody", "add", *words, "--first", "JANE", "--born", born, says="y\n")
    return done.stdout + done.stderr


def test_somebody_who_is_in_no_feed_yet_can_be_added_and_a_feed_takes_them_over(
    movans: Movans, shared: psycopg.Connection, jail: Callable[..., str]
):
    said = add(movans)
    assert "DOE, JANE (boone 200)" in said
    assert "Done. No people are called." in said
    assert "boone has an offender 200 already, DOE, JANE; movans custody set says where they are" in add(movans)
    assert "must be made of letters and digits" in add(movans, "#")
    assert f"--at '{HELD}' is before --born 2026-11-04; correct one of them" in add(movans, "300", "2026-11-04")
    assert "--born '31.1.80' must be a date like 1990-07-31" in add(movans, "300", "31.1.80")
    assert [what for _, what in acts(shared)] == [
        "added boone 200: in custody at Boone County Jail since 2026-11-03 20:05+00:00"
    ]
    said = jail(row(number="200", last_name="DOE-SMITH", at="2026-11-03 14:10"))
    assert "1 amended" in said
    assert "No people" not in said
    assert shared.execute("select last_name from offender").fetchall() == [("DOE-SMITH",)]


@pytest.mark.parametrize("written", ["a-123", "A 123", "a123"])
def test_a_number_that_is_written_otherwise_is_the_same_person(
    written: str, movans: Movans, shared: psycopg.Connection, jail: Callable[..., str]
):
    jail(row(number="A-123"))
    but = f"boone has no offender {written}, but has A-123, SMITH, JOHN; write the number as it is there"
    assert but in movans("custody", "set", "boone", written, "escaped", "--at", "2026-11-20 09:40", says="y\n").stderr
    assert but in movans("custody", "show", "boone", written).stderr
    already = "boone has an offender A-123 already, SMITH, JOHN; movans custody set says where they are"
    assert already in add(movans, written)
    assert shared.execute("select number, status from offender").fetchall() == [("A-123", "in custody")]


def test_a_number_that_only_has_the_same_keys_is_anothers_and_that_is_said(
    movans: Movans, shared: psycopg.Connection, jail: Callable[..., str]
):
    jail(row(number="A-123"))
    assert "but has A-123, SMITH, JOHN; write" in movans("custody", "show", "boone", "2123").stderr
    said = add(movans, "B-123")
    assert "Callers who key this number in find A-123, SMITH, JOHN, too." in said
    assert "Done." in said
    assert "find" not in add(movans, "200")
    assert shared.execute("select number from offender order by 1").fetchall() == [("200",), ("A-123",), ("B-123",)]


@pytest.mark.usefixtures("registered")
def test_the_history_says_who_told_what(movans: Movans):
    released(movans)
    shown = movans("custody", "show", "boone", "100234")
    assert shown.returncode == 0, shown.stderr
    assert "SMITH, JOHN (boone 100234, born 1990-07-31)" in shown.stdout
    assert "released, Boone County Jail, since Fri Nov 20 2026 09:40 CST; told last" in shown.stdout
    lines = [line for line in shown.stdout.splitlines() if "2026-" in line and "born" not in line]
    assert "listed" in lines[0]
    assert "custody.csv" in lines[0]
    assert f"staff: {CLERK}" in lines[1]
    assert lines[1].split()[-1] == "2"
    assert "boone has no offender 7; correct agency or number" in movans("custody", "show", "boone", "7").stderr


@pytest.mark.usefixtures("smith")
def test_what_staff_say_is_as_new_as_when_they_say_it(movans: Movans, shared: psycopg.Connection):
    shared.execute("update offender set known_at = known_at - interval '3 days'")
    released(movans)
    found = shared.execute("select known_at from offender").fetchone()
    assert found
    assert found[0] > datetime.now(UTC) - timedelta(minutes=5)


@pytest.mark.usefixtures("registered")
def test_what_staff_said_and_withdrew_can_be_said_again(movans: Movans, shared: psycopg.Connection):
    released(movans)
    (event_id,) = shared.execute("select id from custody_event where who is not null").fetchone() or (0,)
    movans("feed", "retract", "--event", str(event_id), "--why", "it was somebody else", "--yes")
    assert state(shared)[0] == "in custody"
    assert "Traceback" not in released(movans)
    assert state(shared)[0] == "released"


@pytest.mark.usefixtures("registered")
def test_a_facility_that_nobody_knows_is_named_before_it_is_asked(movans: Movans, shared: psycopg.Connection):
    unknown = "Nothing is known of a facility 'Boon County Jail' of boone, neither in the settings nor by its feeds"
    assert unknown in released(movans, "2026-11-20 09:40", "--facility", "Boon County Jail", says="n\n")
    assert state(shared)[0] == "in custody"
    shared.execute("update offender set facility = 'The Farm'")  # as a feed names it, though the settings do not
    for known in ([], ["--facility", "The Farm"], ["--facility", "Boone County Jail"]):
        assert "Nothing is known of" not in released(movans, "2026-11-20 09:40", *known, says="n\n")


@pytest.fixture
def missing(registered: None, shared: psycopg.Connection) -> None:  # noqa: ARG001
    """A snapshot has not had Smith, since three days after he came."""
    shared.execute("update offender set status = 'no longer listed', since = since + interval '3 days'")
    shared.execute(
        """insert into custody_event (offender_id, kind, status, facility, effective_at, stated_times, source,
                                      source_key, feed_run_id, recorded_at)
           select id, 'no_longer_listed', status, facility, since, array[since], agency, 'gone', 1, now()
           from offender"""
    )


@pytest.mark.usefixtures("missing")
def test_of_somebody_who_is_no_longer_listed_staff_say_what_became_of_them(movans: Movans, shared: psycopg.Connection):
    asked = released(movans)
    assert "known:  no longer listed, Boone County Jail, since Fri Nov 06 2026 14:05 CST" in asked
    assert "Done. 2 people are called." in asked
    assert state(shared) == ("released", "Boone County Jail", datetime(2026, 11, 20, 15, 40, tzinfo=UTC))
    refused = movans("custody", "set", "boone", "100234", "no longer listed", "--at", "2026-11-21 09:40", "--yes")
    assert "STATUS 'no longer listed' must be one of in custody" in refused.stderr


@pytest.mark.usefixtures("missing")
def test_of_what_is_newer_than_what_staff_say_it_is_said_that_it_stays(movans: Movans, shared: psycopg.Connection):
    stays = "no longer listed, Boone County Jail, since Fri Nov 06 2026 14:05 CST"
    words = ["custody", "set", "boone", "100234", "in custody", "--at"]
    known = movans(*words, HELD, says="y\n").stderr
    assert f"that they were in custody then; what holds is {stays}; give a time after that" in known
    asked = movans(*words, "2026-11-04 10:00", says="y\n").stdout
    assert "then:   in custody, Boone County Jail, since Wed Nov 04 2026 10:00 CST" in asked
    assert f"This was before what is known, which stays: {stays}. Give a time after that to change it." in asked
    assert f"Done. No people are called. What holds: {stays}." in asked
    assert state(shared)[0] == "no longer listed"
    assert "What holds" not in movans(*words, "2026-11-21 10:00", "--yes").stdout
    assert state(shared)[0] == "in custody"


@pytest.fixture
def clerk(tmp_path: Path, registered: None) -> Iterator[subprocess.Popen[str]]:  # noqa: ARG001
    """A person types that Smith was released, and has not answered yet."""
    words = ["custody", "set", "boone", "100234", "released", "--at", "2026-11-20 09:40"]
    with subprocess.Popen(
        ["timeout", "60", sys.executable, "-m", "movans", "--settings", str(tmp_path / "movans.yaml"), *words],
        cwd=EXAMPLE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as typing:
        yield typing
        typing.terminate()


def reads(typing: subprocess.Popen[str], until: str) -> str:
    """What stands on the screen once the last of it is that."""
    assert typing.stdout
    screen = ""
    while not screen.endswith(until):
        sign = typing.stdout.read(1)
        assert sign, screen
        screen += sign
    return screen


def test_what_becomes_something_else_while_it_is_asked_is_asked_anew(
    movans: Movans, clerk: subprocess.Popen[str], shared: psycopg.Connection
):
    reads(clerk, "[y/N]: ")
    movans("custody", "set", "boone", "100234", "escaped", "--at", "2026-11-21 08:00", "--yes")
    assert clerk.stdin
    clerk.stdin.write("y\n")
    clerk.stdin.flush()
    asked, _ = clerk.communicate("n\n")
    assert "something else has become known meanwhile" in asked
    stays = "escaped, Boone County Jail, since Sat Nov 21 2026 08:00 CST"
    assert f"This was before what is known, which stays: {stays}" in asked
    assert clerk.returncode == 1
    assert (state(shared)[0], made(shared)) == ("escaped", 2)


@pytest.mark.usefixtures("registered")
def test_that_an_import_is_waited_for_is_said(
    request: pytest.FixtureRequest,
    shared: psycopg.Connection,
):
    with shared.transaction():
        one_at_a_time(shared)
        clerk: subprocess.Popen[str] = request.getfixturevalue("clerk")
        reads(clerk, "an import is running; waiting for it to end\n")
    reads(clerk, "2 people are called. Is that right? [y/N]: ")
    asked, _ = clerk.communicate("y\n")
    assert "Done. 2 people are called." in asked
