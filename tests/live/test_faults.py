"""Something dies or hangs in the middle: whoever is on the line hears it in words, and nobody is forgotten."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from db import attempts
from dialer.loop import BEGIN_WITHIN
from movans import asterisk, postgres
from movans.wiring import now
from tests.live import registered
from tests.live.conversation import Conversation, Telephone
from tests.live.line import Line
from tests.live.registered import NUMBER, PIN, confirms, is_registered, outcomes, release, states, stop_part, without
from tests.live.softphone import NoSuchThing

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts the service, whose parts run as users of their own")

SILENCE = 3.5  # seconds of silence that a caller may hear, and half a second in which a sound is recognised


@pytest.fixture(autouse=True)
def _nothing_is_left(line: Line) -> Iterator[None]:
    yield
    registered.close_all(line)


def registers(call: Conversation, offender: str) -> Conversation:
    """Register, up to the last question, whether the PIN is to be asked for first."""
    call.hears("welcome").presses("2").hears("ask_offender").presses(f"{offender}#")
    call.hears("is in custody").presses("1").hears("ask_about").presses("3")
    call.hears("ask_phone").presses(f"{NUMBER}#").hears("you_entered").presses("1").hears("ask_direct").presses("1")
    return call.hears("ask_pin").presses(PIN).hears("ask_pin_again").presses(PIN).hears("ask_pin_first")


def rings_not(phone: Telephone, seconds: float) -> None:
    with pytest.raises(NoSuchThing):
        phone.wait_ringing(seconds)


# The FastAGI server


def test_the_server_is_killed_in_mid_call_and_the_caller_hears_an_apology(line: Line, phone: Telephone):
    with phone.calls("668267") as call:
        call.hears("welcome")
        killed = line.kill("serve")
        call.hears("apology", within=SILENCE).is_hung_up(within=30)
    line.is_up_again("serve", killed)


def test_the_server_is_away_and_the_caller_hears_an_apology(line: Line, phone: Telephone):
    with without(line, "serve"), phone.calls("668267") as call:
        call.hears("apology", within=SILENCE)


def test_the_server_hangs_is_replaced_and_the_next_call_works(line: Line, phone: Telephone):
    with phone.calls("668267") as call:
        call.hears("welcome", "in_danger")
        hung = line.kill("serve", signal.SIGSTOP)
        call.hears("apology", within=8)
    line.is_up_again("serve", hung)
    with phone.calls("668267") as call:
        call.hears("welcome")


def test_the_server_is_killed_while_somebody_is_told_and_they_are_called_again(line: Line, phone: Telephone):
    registered.register(line, "600100")
    release(line, "600100")
    with phone.is_called() as call:
        call.hears("who_calls")
        line.is_up_again("serve", line.kill("serve"))
        call.hears("apology_notify", within=10)  # who_calls is played to its end: Asterisk listens meanwhile, not we
        rings_not(phone, 4)  # not while they still listen to that
    confirms(phone)
    line.eventually(lambda: [outcome for outcome, _ in outcomes(line, "600100")] == ["lost", "confirmed"], 30)
    assert outcomes(line, "600100")[0] == ("lost", "the FastAGI server went away")


# Asterisk


def test_asterisk_is_killed_while_somebody_is_told_and_they_are_called_again(line: Line, phone: Telephone):
    registered.register(line, "600200")
    release(line, "600200")
    with phone.is_called() as call:
        call.hears("who_calls")
        line.is_up_again("asterisk", line.kill("asterisk"))
    phone.register(timeout=20)
    confirms(phone, within=40)
    rings_not(phone, 4)
    assert outcomes(line, "600200")[0] == ("lost", "Asterisk went away")
    assert [outcome for outcome, _ in outcomes(line, "600200")].count("confirmed") == 1
    assert states(line, "600200") == ["confirmed"]


def test_asterisk_is_killed_while_somebody_registers_and_nothing_is_half_done(line: Line, phone: Telephone):
    registered.in_custody(line, "600300")
    with phone.calls("668267") as call:
        registers(call, "600300")
        line.is_up_again("asterisk", line.kill("asterisk"))
    assert not is_registered(line, "600300")
    phone.register(timeout=20)
    with phone.calls("668267") as call:
        call.hears("welcome")


# PostgreSQL


def processes_of_postgres(line: Line) -> list[int]:
    parent = line.pid("postgres")
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *(int(child) for child in children)]


@contextmanager
def hanging(line: Line) -> Iterator[None]:
    stopped = processes_of_postgres(line)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):  # the watchdog was quicker
                os.kill(pid, signal.SIGCONT)


def test_postgres_hangs_while_somebody_registers(line: Line, phone: Telephone):
    registered.in_custody(line, "600400")
    with phone.calls("668267") as call:
        registers(call, "600400")
        with hanging(line):
            call.presses("1").hears("one_moment", within=SILENCE).waits(12)
        heard = call.transcript()
    # The watchdog starts it again meanwhile, perhaps in time for the last try. What was said is what is true.
    line.eventually(lambda: postgres.answers(line.settings), 20)
    assert is_registered(line, "600400") == ("proof_comes" in heard), heard
    assert is_registered(line, "600400") != ("records_away" in heard), heard
    registered.close_all(line)  # no call for the proof comes between
    with phone.calls("668267") as call:
        registers(call, "600400").presses("1").hears("proof_comes", within=15)
    assert is_registered(line, "600400")


def test_postgres_is_killed_while_somebody_registers(line: Line, phone: Telephone):
    registered.in_custody(line, "600500")
    with phone.calls("668267") as call:
        registers(call, "600500")
        line.kill("postgres")
        with without(line, "postgres"):
            call.presses("1").hears("one_moment", within=SILENCE).hears("records_away", within=15)
    line.eventually(lambda: postgres.answers(line.settings), 20)
    assert not is_registered(line, "600500")


def test_postgres_is_killed_before_the_pin_comes_and_the_call_still_confirms(line: Line, phone: Telephone):
    registered.register(line, "600650")
    release(line, "600650")
    with phone.is_called() as call:
        call.hears("who_calls").hears("ask_your_pin", within=25)
        line.kill("postgres")
        with without(line, "postgres"):
            call.presses(PIN).hears("confirmed", within=SILENCE).hears("goodbye").is_hung_up()
            assert len(list((line.settings.state / "journal").glob("*.json"))) == 1
    line.eventually(lambda: postgres.answers(line.settings) and states(line, "600650") == ["confirmed"], 30)
    rings_not(phone, 4)
    line.eventually(lambda: [outcome for outcome, _ in outcomes(line, "600650")] == ["confirmed"], 30)
    assert list((line.settings.state / "journal").iterdir()) == []


def test_postgres_goes_while_the_dialer_waits_and_the_next_event_is_told(line: Line, phone: Telephone):
    registered.register(line, "600600")
    dialer = line.pid("dial")
    line.is_up_again("postgres", line.kill("postgres"))
    release(line, "600600")
    confirms(phone)
    assert line.pid("dial") == dialer


# The voice


def letters(name: str) -> list[str]:
    return ["spelled_name", *(f"letter_{letter}" for letter in name)]


def test_the_voice_hangs_and_the_status_is_spelled(line: Line, phone: Telephone):
    registered.in_custody(line, "600700", last="QUIET")
    with phone.calls("668267") as call:
        call.hears("welcome").presses("2").hears("ask_offender")
        hung = line.kill("voice", signal.SIGSTOP)
        call.presses("600700#").hears("one_moment", within=SILENCE, whole=True)
        call.hears(*letters("quiet"), within=SILENCE)
        call.hears("status_in_custody_spelled", "assume_free", "status_menu")
    line.is_up_again("voice", hung)


def test_without_a_voice_the_news_is_spelled_and_confirmed_and_nobody_is_called_again(line: Line, phone: Telephone):
    registered.register(line, "600800", last="HUSH")
    with without(line, "voice"):
        release(line, "600800", last="HUSH")
        with phone.is_called() as call:
            call.hears("who_calls", *letters("hush"), "news_released_spelled", "details_unsaid", "ask_your_pin")
            call.presses(PIN).hears("confirmed").is_hung_up()
        rings_not(phone, 4)
    assert states(line, "600800") == ["confirmed"]
    assert [outcome for outcome, _ in outcomes(line, "600800")] == ["confirmed"]


# The dialer


def test_what_a_killed_dialer_had_taken_and_not_dialled_is_found_again(line: Line, phone: Telephone):
    registered.register(line, "600900")
    with without(line, "dial"):
        release(line, "600900")
        trunks = line.settings.outbound
        with line.house.database() as db, db.connection() as conn:  # as far as it comes before it is killed
            assert attempts.claim(conn, trunks=trunks, host=line.house.host, begin_within=BEGIN_WITHIN, now=now())
        claimed = time.monotonic()
    rings_not(phone, claimed + BEGIN_WITHIN.total_seconds() - 5 - time.monotonic())
    registered.sent_away(phone, within=30)
    assert outcomes(line, "600900")[0] == ("lost", "its deadline passed")


# The whole


def traces(line: Line) -> list[str]:
    """What is left of the service: its processes, mounts and ports."""
    state = str(line.settings.state)
    found = [mount for mount in Path("/proc/mounts").read_text().splitlines() if state in mount]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if state in title or str(line.file) in title:
            found.append(title)
    ports = {f":{port:04X}" for port in (line.settings.sip.port, line.settings.agi_port)}
    for protocol in ("udp", "tcp"):
        rows = [row.split() for row in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]]
        # 06: a closed connection that the kernel remembers for a minute.
        found += [f"{protocol} {row[1]}" for row in rows if row[1][-5:] in ports and row[3] != "06"]
    return found


# Whatever became of a first attempt while all was starting, its deadline (ring, longest call, apology) finds it.
AT_THE_LATEST = 5 + 120 + 75 + 30


@pytest.mark.timeout(420)
def test_ctrl_c_in_mid_call_stops_everything_and_the_next_start_knows_it_all(line: Line, phone: Telephone):
    registered.register(line, "601000")
    password = asterisk.phone_password(line.settings)
    with phone.calls("668267") as call:
        call.hears("welcome")
        stop_part(line, "dial")
        release(line, "601000")
        began = time.monotonic()
        line.stop()
        try:
            assert time.monotonic() - began < 60
            call.is_hung_up()
            assert traces(line) == []
            assert line.server.returncode == 0
        finally:
            line.start()
    assert asterisk.phone_password(line.settings) == password
    phone.register(timeout=20)
    try:
        confirms(phone, within=AT_THE_LATEST)
    except NoSuchThing as silent:
        tried = line.query("select id, state, outcome, cause, claimed_at, deadline from call_attempt order by id desc")
        pytest.fail(f"{silent}\n{tried[:4]}\n{line.last_lines()}")
    assert states(line, "601000") == ["confirmed"]
