"""The call to a registrant, as people take it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from agi.channel import KEYS, MissingSound
from agi.hotline import hotline
from agi.legs import lose_interrupted
from agi.notify import notify
from agi.service import Service
from db import attempts, custody, guard
from db.custody import Custody, Offender
from dialer.outcome import finish
from movans.keeping import end_registrations
from prompts.catalogue import Catalogue, Utterance
from tests.conftest import KEYS as SECRETS
from tests.conftest import NOON, TRUNKS
from tests.flow.conftest import Clock
from tests.flow.telephone import Caller, HangsUpAt, Sometimes

DAY = timedelta(days=1)


def states(conn: psycopg.Connection) -> list[str]:
    return [state for (state,) in conn.execute("select state from notification order by id")]


def outcome(conn: psycopg.Connection, service: Service, attempt_id: int) -> str | None:
    return finish(conn, attempt_id, None, "", settings=service.settings, now=NOON)


def next_calls(conn: psycopg.Connection) -> list[timedelta]:
    return [at - NOON for (at,) in conn.execute("select next_call_at from notification where state = 'open'")]


def test_the_message_then_the_right_pin_confirms(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("this is MOVANS").hears(
        "John Smith was released from the Boone County Jail on Friday, November twentieth"
    )
    caller.hears("four digit PIN").presses("2580").hears("confirmed").hears("goodbye")
    assert caller.calls(notify, service, ringing) == "over"
    assert states(conn) == ["confirmed"]
    assert outcome(conn, service, ringing) == "confirmed"
    assert attempts.claim(conn, trunks=TRUNKS, host="here", begin_within=DAY, now=NOON + 2 * DAY) == {}


def test_the_last_notice_before_a_registration_ends_is_told_like_any_news(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    ring: Callable[[], int],
):
    register(smith)
    custody.update(conn, smith.id, smith.person, Custody("released", smith.facility, NOON - 14 * DAY), now=NOON)
    conn.execute("update registration set created_at = %s", [NOON - 20 * DAY])
    end_registrations(service.db, service.settings)(NOON)
    caller.hears(
        "this is our last call about John Smith. John Smith was released from the Boone County Jail on Friday,"
    )
    caller.hears("PIN").presses("2580").hears("confirmed").hears("goodbye")
    assert caller.calls(notify, service, ring()) == "over"
    end_registrations(service.db, service.settings)(NOON)
    assert conn.execute("select ended_at from registration").fetchall() == [(NOON,)]


def test_a_pin_keyed_early_is_taken_and_the_rest_is_spoken_before_the_thanks(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("this is MOVANS").presses("2580").hears("John Smith was released").hears("confirmed")
    caller.calls(notify, service, ringing)
    assert states(conn) == ["confirmed"]


def test_an_interrupted_message_is_spoken_again_before_the_thanks(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("John Smith was released").presses("2580").hears("John Smith was released").hears("confirmed")
    caller.calls(notify, service, ringing)
    assert states(conn) == ["confirmed"]


def test_hanging_up_before_the_message_was_heard_confirms_nothing_though_the_pin_was_right(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("this is MOVANS").presses("2580").hears("John Smith was released").hangs_up()
    assert caller.calls(notify, service, ringing) == "hung up"
    assert states(conn) == ["open"]


def test_after_a_wrong_pin_there_are_two_more_tries(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("John Smith").hears("PIN now").presses("1111").hears("not the right PIN")
    caller.hears("PIN now").presses("2222").hears("not the right PIN").hears("PIN now").presses("2580")
    caller.hears("confirmed")
    caller.calls(notify, service, ringing)
    assert states(conn) == ["confirmed"]


def test_three_wrong_pins_end_the_call_and_it_comes_again_on_schedule(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("John Smith").hears("PIN now").presses("1111").hears("PIN now").presses("2222")
    caller.hears("PIN now").presses("3333").hears("we will call you again").hears("goodbye")
    assert caller.calls(notify, service, ringing) == "gave up"
    assert outcome(conn, service, ringing) == "not confirmed"
    assert next_calls(conn) == [timedelta(hours=2)]


def test_three_wrong_pins_are_three_in_the_whole_call(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    """Taking a 9 back does not begin the count anew."""
    caller.hears("PIN now").presses("1111").hears("PIN now").presses("9#").hears("press 9 again").presses("1")
    caller.hears("PIN now").presses("2222").hears("PIN now").presses("9#").hears("press 9 again").presses("1")
    caller.hears("PIN now").presses("3333").hears("we will call you again").hears("goodbye")
    assert caller.calls(notify, service, ringing) == "gave up"
    assert sum("PIN now" in words for words in caller.heard) == 5
    assert conn.execute("select wrong_pins from call_attempt").fetchall() == [(3,)]


def test_an_entry_that_is_too_short_is_no_wrong_pin(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("PIN now").presses("25#").hears("too short").hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ringing)
    assert conn.execute("select wrong_pins from call_attempt").fetchall() == [(0,)]
    assert sum("John Smith" in words for words in caller.heard) == 1


def test_a_silent_human_hears_the_message_twice(caller: Caller, service: Service, ringing: int):
    caller.hears("John Smith").hears("did not get that").hears("John Smith").hears("we will call you again")
    assert caller.calls(notify, service, ringing) == "gave up"
    assert sum("John Smith" in words for words in caller.heard) == 2


def test_a_star_repeats_the_message(caller: Caller, service: Service, ringing: int):
    caller.hears("John Smith").hears("PIN now").presses("*").hears("John Smith").hears("PIN now").presses("2580")
    caller.hears("confirmed")
    caller.calls(notify, service, ringing)


def test_zero_tells_how_to_reach_a_person(caller: Caller, service: Service, ringing: int):
    caller.hears("PIN now").presses("0#").hears("to reach a person, call 5 7 3").hears("PIN now").hangs_up()
    caller.calls(notify, service, ringing)


def test_what_was_settled_while_it_rang_is_not_told(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    conn.execute("update notification set state = 'closed', ended_at = %s, next_call_at = null", [NOON])
    caller.hears("settled now")
    assert caller.calls(notify, service, ringing) == "over"


def test_a_call_that_is_answered_after_its_deadline_says_and_confirms_nothing(
    caller: Caller, service: Service, conn: psycopg.Connection, clock: Clock, ringing: int
):
    clock.now = NOON + timedelta(minutes=6)
    assert caller.calls(notify, service, ringing) == "over"
    assert caller.heard == []
    assert states(conn) == ["open"]


def test_after_its_deadline_a_call_that_woke_up_says_and_confirms_nothing_more(
    caller: Caller, service: Service, conn: psycopg.Connection, clock: Clock, ringing: int
):
    def an_hour_passes() -> None:
        clock.now = NOON + timedelta(hours=1)

    caller.hears("PIN now").meanwhile(an_hour_passes).presses("2580")
    assert caller.calls(notify, service, ringing) == "over"
    assert "PIN now" in caller.heard[-1]
    assert states(conn) == ["open"]


def test_one_call_tells_all_that_waits_the_critical_first(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    jail: Callable[..., Offender],
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    doe = jail("55", "JANE", "DOE")
    register(doe)
    register(smith)
    happens(doe, "transferred", "in custody")
    happens(smith, "escaped", "escaped")
    caller.hears("John Smith escaped").hears("Jane Doe was moved").hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ring())
    assert states(conn) == ["confirmed", "confirmed"]


def test_two_registrants_of_one_telephone_each_confirm_with_their_own_pin_and_hear_nothing_of_the_other(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith, "2580")
    register(smith, "1470")
    happens(smith, "released")
    attempt = ring()
    caller.hears("John Smith was released").hears("PIN now").presses("1470").hears("confirmed")
    caller.calls(notify, service, attempt)
    assert [words for words in caller.heard if "released" in words] == [caller.heard[2]]
    assert sorted(states(conn)) == ["confirmed", "open"]
    outcome(conn, service, attempt)
    assert next_calls(conn) == [timedelta(hours=2)]


def test_newer_news_during_a_call_supersedes_the_old_and_gets_a_call_of_its_own(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    happens: Callable[..., int],
    ringing: int,
):
    caller.hears("PIN now").meanwhile(lambda: happens(smith, "returned", "in custody")).presses("2580").hears("goodbye")
    caller.calls(notify, service, ringing)
    assert "confirmed" not in " ".join(caller.heard)
    assert states(conn) == ["superseded", "open"]
    outcome(conn, service, ringing)
    assert next_calls(conn) == [timedelta(0)]


SPELLED = "We spell it. S M I T H was released. We cannot say when and where now."


def test_without_a_voice_the_news_is_spelled_and_confirmed(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.no_voice = True
    caller.hears("this is MOVANS").hears("We spell it").hears("PIN now").presses("2580").hears("confirmed")
    assert caller.calls(notify, service, ringing) == "over"
    assert SPELLED in " ".join(caller.heard)
    assert outcome(conn, service, ringing) == "confirmed"
    assert states(conn) == ["confirmed"]


def test_what_an_early_pin_cut_short_is_spelled_again_before_the_thanks(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.no_voice = True
    caller.hears("We spell it").hears("S").hears("M").presses("2580").hears("We spell it").hears("confirmed")
    caller.calls(notify, service, ringing)
    assert SPELLED in " ".join(caller.heard)
    assert states(conn) == ["confirmed"]


def test_hanging_up_while_it_is_spelled_confirms_nothing_though_the_pin_was_right(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.no_voice = True
    caller.hears("this is MOVANS").presses("2580").hears("We spell it").hears("S").hears("M").hangs_up()
    assert caller.calls(notify, service, ringing) == "hung up"
    assert states(conn) == ["open"]


class OneSoundIsMissing(Caller):
    def play(self, utterance: Utterance, keys: str = KEYS) -> str:
        if utterance.prompt == "ask_your_pin":
            raise MissingSound("ask_your_pin")
        return super().play(utterance, keys)


def test_when_something_is_broken_the_person_is_told_so_and_the_call_comes_again_soon_after_it_is_over(
    english: Catalogue, service: Service, conn: psycopg.Connection, ringing: int
):
    caller = OneSoundIsMissing(english)
    caller.hears("John Smith was released").hears("this call must end. We will call you again")
    assert caller.calls(notify, service, ringing) == "over"
    assert conn.execute("select state, outcome from call_attempt").fetchall() == [("answered", None)]
    assert outcome(conn, service, ringing) == "lost"
    assert conn.execute("select cause from call_attempt").fetchall() == [("broke off: MissingSound",)]
    assert next_calls(conn) == [timedelta(seconds=10)]


def test_what_was_being_told_when_the_server_went_away_is_lost_once_the_call_is_over(
    service: Service, conn: psycopg.Connection, ringing: int
):
    attempts.answered(conn, ringing, now=NOON)
    lose_interrupted(service, "elsewhere")
    assert attempts.overdue(conn, now=NOON + timedelta(minutes=2)) == []
    lose_interrupted(service, "here")
    assert attempts.overdue(conn, now=NOON + timedelta(minutes=2)) == [ringing]
    assert outcome(conn, service, ringing) == "lost"
    assert next_calls(conn) == [timedelta(seconds=10)]


def test_a_confirmed_call_stays_confirmed_though_the_server_went_away_afterwards(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ringing)
    lose_interrupted(service, "here")
    assert outcome(conn, service, ringing) == "confirmed"


def test_nine_by_mistake_is_taken_back_and_the_question_comes_again(caller: Caller, service: Service, ringing: int):
    caller.hears("PIN now").presses("9#").hears("did not ask for these calls, press 9 again").presses("1")
    caller.hears("John Smith").hears("PIN now").presses("2580").hears("confirmed")
    assert caller.calls(notify, service, ringing) == "over"


def test_on_a_proven_telephone_nine_tells_staff_and_stops_no_call(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.hears("PIN now").presses("9#").hears("press 9 again").presses("9").hears("told our staff").hears("goodbye")
    assert caller.calls(notify, service, ringing) == "over"
    assert outcome(conn, service, ringing) == "not confirmed"
    assert next_calls(conn) == [timedelta(hours=2)]
    assert conn.execute("select proven from refusal").fetchall() == [(True,)]
    (alert,) = conn.execute("select says from alert where over_at is null").fetchall()
    assert "5735550142" not in alert[0]
    guard.lift(conn, SECRETS.hashes("5735550142"), now=NOON)
    assert conn.execute("select from alert where over_at is null").fetchall() == []


def test_only_nines_taken_back_end_the_call_in_words(caller: Caller, service: Service, ringing: int):
    for _ in range(3):
        caller.hears("PIN now").presses("9#").hears("press 9 again").presses("1")
    caller.hears("we will call you again").hears("goodbye")
    assert caller.calls(notify, service, ringing) == "gave up"


def test_who_chose_so_is_asked_for_the_pin_before_anything_is_said(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith, pin_first=True)
    happens(smith, "released")
    caller.hears("this is MOVANS").hears("enter your PIN to hear it").hears("PIN now").presses("1111")
    caller.hears("not the right PIN").hears("PIN now").presses("2580").hears("John Smith was released")
    caller.hears("confirmed")
    caller.calls(notify, service, ring())
    assert [words for words in caller.heard if "did not ask" in words] == []
    assert states(conn) == ["confirmed"]


def test_of_two_at_one_telephone_one_asks_for_the_pin_first_and_hears_only_their_own_news(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    jail: Callable[..., Offender],
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    doe = jail("55", "JANE", "DOE")
    register(smith, "2580", pin_first=True)
    register(doe, "1470")
    happens(smith, "released")
    happens(doe, "escaped", "escaped")
    caller.hears("Jane Doe escaped").hears("enter your PIN to hear it").hears("PIN now").presses("1470")
    caller.hears("confirmed")
    caller.calls(notify, service, ring())
    assert "John Smith" not in " ".join(caller.heard)
    assert states(conn) == ["open", "confirmed"]


def test_a_database_that_goes_away_in_the_middle_makes_the_call_a_lost_one(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    """It is back while the apology is heard, and the telephone rings again soon."""
    away = Sometimes(conn)
    caller.hears("PIN now").presses("9#").hears("press 9 again").meanwhile(away.goes).presses("9")
    caller.hears("this call must end. We will call you again").meanwhile(away.comes_back)
    assert caller.calls(notify, replace(service, db=away), ringing) == "over"
    assert outcome(conn, service, ringing) == "lost"
    assert next_calls(conn) == [service.settings.policy.critical.phases[0].again["lost"]]


def test_a_pin_that_has_nothing_more_to_confirm_is_thanked_for_and_confirms_nothing(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    happens: Callable[..., int],
    ringing: int,
):
    caller.hears("PIN now").meanwhile(lambda: happens(smith, "returned", "in custody")).presses("2580")
    caller.hears("that PIN is right")
    caller.calls(notify, service, ringing)
    assert outcome(conn, service, ringing) == "not confirmed"


@pytest.mark.parametrize("sound", range(6))
def test_hanging_up_at_any_sound_confirms_only_what_was_heard_with_the_right_pin(
    sound: int, english: Catalogue, service: Service, conn: psycopg.Connection, ringing: int
):
    caller = HangsUpAt(english, sound)
    caller.hears("PIN now").presses("2580").hears("confirmed").hears("goodbye")
    with pytest.raises(AssertionError, match="never heard"):
        caller.calls(notify, service, ringing)
    # Who calls, that it is news, the news, the PIN; then it is confirmed before it is thanked for.
    assert states(conn) == ["confirmed" if sound >= 4 else "open"]


def confirmed_at(conn: psycopg.Connection, hours: int) -> None:
    """What is open by then is confirmed, by a call elsewhere."""
    conn.execute(
        "update notification set state = 'confirmed', ended_at = %s, next_call_at = null where state = 'open'",
        [NOON + timedelta(hours=hours)],
    )


def test_what_was_superseded_unheard_is_told_first_as_it_happened_and_the_pin_confirms_all_of_it(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith)
    for hour, (kind, status) in enumerate(
        (("escaped", "escaped"), ("returned", "in custody"), ("released", "released")), start=1
    ):
        happens(smith, kind, status, hour=hour)
    caller.hears("this is MOVANS").hears("what happened before").hears("John Smith escaped")
    caller.hears("John Smith was taken into custody again").hears("now the latest")
    caller.hears("John Smith was released").hears("PIN now").presses("2580").hears("this is confirmed")
    caller.calls(notify, service, ring())
    assert states(conn) == ["superseded", "superseded", "confirmed"]


@pytest.mark.parametrize(
    ("status", "days", "said"),
    [
        ("in custody", 0, "John Smith is due to be released from the Boone County Jail on Saturday"),
        ("in custody", 2, "John Smith was due to be released from the Boone County Jail on Saturday"),
        ("released", 2, ""),
    ],
    ids=["it is to come", "its day is over", "it came"],
)
def test_a_release_that_was_planned_is_told_with_the_move_that_superseded_it_as_what_it_is_by_then(
    status: str,
    days: int,
    said: str,
    caller: Caller,
    service: Service,
    clock: Clock,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith)
    conn.execute("update offender set release_date = %s", [NOON + DAY])
    happens(smith, "release_planned", "in custody", planned_at=NOON + DAY)
    happens(smith, "transferred" if said else "released", status, hour=1)
    attempt = ring()
    conn.execute("update call_attempt set deadline = deadline + interval '3 days'")
    clock.now = NOON + days * DAY
    caller.hears("this is MOVANS")
    if said:
        caller.hears("what happened before").hears(said).hears("now the latest").hears("John Smith was moved")
    else:
        caller.hears("John Smith was released")
    caller.hears("PIN now").presses("2580").hears("this is confirmed")
    caller.calls(notify, service, attempt)
    assert states(conn) == ["superseded", "confirmed"]
    assert ("what happened before" in " ".join(caller.heard)) is bool(said)


def test_a_day_of_release_that_was_superseded_and_holds_no_more_is_no_history(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith)
    happens(smith, "release_planned", "in custody", planned_at=NOON + DAY)
    happens(smith, "transferred", "in custody", hour=1)
    conn.execute("update offender set release_date = %s", [NOON + 2 * DAY])
    happens(smith, "release_date_changed", "in custody", planned_at=NOON + 2 * DAY, hour=2)
    caller.hears("this is MOVANS").hears("John Smith was moved")
    caller.hears("now due to be released from the Boone County Jail on Sunday").hears("PIN now").presses("2580")
    caller.hears("this is confirmed")
    caller.calls(notify, service, ring())
    assert "what happened before" not in " ".join(caller.heard)
    assert states(conn) == ["superseded", "confirmed", "confirmed"]


def test_history_that_was_confirmed_with_newer_news_is_not_told_again(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith)
    happens(smith, "escaped", "escaped", hour=1)
    happens(smith, "returned", "in custody", hour=2)
    confirmed_at(conn, 3)
    happens(smith, "released", "released", hour=4)
    caller.hears("this is MOVANS").hears("John Smith was released").hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ring())
    assert "what happened before" not in " ".join(caller.heard)


def test_an_early_pin_hears_the_history_too_before_the_thanks(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith)
    happens(smith, "escaped", "escaped", hour=1)
    happens(smith, "returned", "in custody", hour=2)
    caller.hears("John Smith escaped").presses("2580").hears("what happened before").hears("John Smith escaped")
    caller.hears("now the latest").hears("taken into custody again").hears("confirmed")
    caller.calls(notify, service, ring())
    assert states(conn) == ["superseded", "confirmed"]


def test_after_a_late_event_it_is_said_what_holds_now(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith)
    happens(smith, "returned", "in custody", hour=2)
    confirmed_at(conn, 3)
    conn.execute("update offender set since = %s where id = %s", [NOON + timedelta(hours=2), smith.id])
    happens(smith, "escaped", "escaped", hour=1, late=True)
    caller.hears("John Smith escaped").hears("told of this late")
    caller.hears("John Smith is in custody at the Boone County Jail, since Friday").hears("PIN now").presses("2580")
    caller.hears("confirmed")
    caller.calls(notify, service, ring())
    assert states(conn) == ["confirmed", "confirmed"]


def test_without_a_voice_what_holds_now_is_spelled(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith)
    conn.execute("update offender set since = %s where id = %s", [NOON + timedelta(hours=2), smith.id])
    happens(smith, "escaped", "escaped", hour=1, late=True)
    caller.no_voice = True
    caller.hears("escaped").hears("told of this late").hears("We spell it").hears("is in custody")
    caller.hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ring())


def test_what_waits_is_told_by_its_priority(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    jail: Callable[..., Offender],
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    doe = jail("55", "JANE", "DOE")
    register(doe)
    register(smith)
    happens(doe, "transferred", "in custody", hour=1)
    happens(smith, "released", hour=2)
    conn.execute(
        "update notification set priority = 3 from custody_event e where e.id = event_id and kind = 'released'"
    )
    caller.hears("Jane Doe was moved").hears("John Smith was released").hears("PIN now").presses("2580")
    caller.hears("confirmed")
    caller.calls(notify, service, ring())


def test_after_ten_wrong_pins_for_one_event_a_person_is_told_once_and_calls_go_on(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int, ring: Callable[[], int]
):
    attempt, told = ringing, []
    for _ in range(5):
        caller.heard.clear()
        for pin in ("1111", "2222", "3333"):
            caller.hears("PIN now").presses(pin)
        caller.hears("we will call you again")
        assert caller.calls(notify, service, attempt) == "gave up"
        outcome(conn, service, attempt)
        told.append([says for (says,) in conn.execute("select says from alert")])
        conn.execute("update notification set next_call_at = %s", [NOON])
        attempt = ring()
    assert [len(says) for says in told] == [0, 0, 0, 1, 1]
    assert "10 wrong PINs" in told[-1][0]
    assert "5550142" not in told[-1][0]
    assert conn.execute("select wrong_pins from call_attempt where state = 'ended'").fetchall() == [(3,)] * 5


def seen(conn: psycopg.Connection) -> object:
    return conn.execute("select answered_by, outcome from call_attempt").fetchone()


def test_on_a_machine_a_number_is_left_without_name_or_detail_and_the_call_comes_again(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.talks = 3  # while it is told who calls, and twice after
    caller.hears("this is MOVANS").hears("press any key").hears("press any key")
    caller.hears("call 8 6 6").hears("PIN now").hears("goodbye")
    assert caller.calls(notify, service, ringing) == "gave up"
    assert [words for words in caller.heard if "John" in words or "released" in words] == []
    assert outcome(conn, service, ringing) == "machine"
    assert seen(conn) == ("machine", "machine")
    assert states(conn) == ["open"]
    assert next_calls(conn) == [service.settings.policy.critical.phases[0].again["machine"]]


def test_the_networks_tones_for_no_such_number_are_noted_and_whoever_is_there_can_press_a_key_all_the_same(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.special_tones = True
    caller.hears("this is MOVANS").hears("call 8 6 6").hears("PIN now").hears("goodbye")
    caller.calls(notify, service, ringing)
    assert finish(conn, ringing, None, "SIP 200 OK", settings=service.settings, now=NOON) == "machine"
    assert conn.execute("select refused_as, sip_code from call_attempt").fetchone() == ("no such number", 200)


@pytest.mark.parametrize("at", ["press any key", "call 8 6 6", "PIN now"])
def test_who_was_taken_for_a_machine_presses_a_key_and_hears_and_confirms_everything(
    at: str, caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.talks = 2
    caller.hears("this is MOVANS").hears(at).presses("2580").hears("John Smith was released").hears("confirmed")
    assert caller.calls(notify, service, ringing) == "over"
    assert outcome(conn, service, ringing) == "confirmed"
    assert seen(conn) == ("person", "confirmed")


def test_who_was_taken_for_a_machine_has_three_tries_too(caller: Caller, service: Service, ringing: int):
    caller.talks = 1
    caller.hears("PIN now").presses("1111").hears("not the right PIN").hears("PIN now").presses("*")
    caller.hears("John Smith was released").hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ringing)


def test_what_never_stops_talking_is_spoken_over_in_the_end(caller: Caller, service: Service, ringing: int):
    caller.talks = 1000
    caller.hears("press any key").hears("call 8 6 6").hears("goodbye")
    assert caller.calls(notify, service, ringing) == "gave up"


def leaving(service: Service, content: str) -> Service:
    calls = service.settings.calls.model_copy(update={"machine_message": content})
    return replace(service, settings=service.settings.model_copy(update={"calls": calls}))


def test_the_news_is_left_on_a_machine_where_the_settings_say_so_and_counts_as_told_to_no_one(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.talks = 1
    caller.hears("John Smith was released").hears("call 8 6 6").hears("goodbye")
    assert caller.calls(notify, leaving(service, "full"), ringing) == "gave up"
    assert states(conn) == ["open"]


def test_what_is_not_told_openly_is_left_on_no_machine(
    caller: Caller,
    service: Service,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith, pin_first=True)
    happens(smith, "released")
    caller.talks = 1
    caller.hears("call 8 6 6").hears("goodbye")
    assert caller.calls(notify, leaving(service, "full"), ring()) == "gave up"
    assert "John Smith" not in " ".join(caller.heard)


def test_where_the_settings_say_so_nothing_is_left_but_silence_and_any_key_leads_on(
    english: Catalogue, service: Service, ringing: int
):
    caller = Caller(english)
    caller.talks = 1000
    assert caller.calls(notify, leaving(service, "none"), ringing) == "gave up"
    assert caller.heard == ["This is MOVANS, with a call that you asked for."]


class KeysIntoSilence(Caller):
    def wait_key(self, seconds: float) -> str:
        self._keys = self._keys or "2580" * (len(self.heard) == 1)
        return super().wait_key(seconds)


def test_where_nothing_is_left_on_machines_who_was_taken_for_one_presses_a_key(
    english: Catalogue, service: Service, conn: psycopg.Connection, ringing: int
):
    caller = KeysIntoSilence(english)
    caller.talks = 1
    caller.hears("this is MOVANS").hears("John Smith was released").hears("confirmed")
    caller.calls(notify, leaving(service, "none"), ringing)
    assert states(conn) == ["confirmed"]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("registered", ["openly", "pin first", "unproven", "to be proven"])
def test_no_recording_of_a_machine_holds_custody_or_a_name(
    registered: str,
    language: str,
    caller: Caller,
    bilingual: Service,
    smith: Offender,
    register: Callable[..., None],
    leave: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    if registered in ("openly", "pin first"):
        register(smith, pin_first=registered == "pin first", language=language)
    else:
        leave(smith, language=language)
    if registered != "to be proven":
        happens(smith, "released")
    caller.talks = 2
    assert caller.calls(notify, bilingual, ring()) == "gave up"
    recorded = " ".join(caller.heard).lower()
    assert "movans" in recorded
    assert [word for word in ("custod", "detenid", "news", "noticia", "smith", "releas") if word in recorded] == []


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Press 1 for English, and then 4."), ("es", "Oprima el 2 para español, y después el 4.")],
)
def test_a_machine_is_told_the_key_of_the_language_too_where_callers_are_asked_for_it(
    language: str,
    said: str,
    caller: Caller,
    bilingual: Service,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith, language=language)
    happens(smith, "released")
    caller.talks = 1
    caller.hears(said)
    caller.calls(notify, bilingual, ring())


@pytest.mark.parametrize("first", [True, False], ids=["pin first", "unproven"])
def test_where_the_pin_comes_first_nothing_of_custody_is_said_before_it(
    caller: Caller,
    service: Service,
    smith: Offender,
    register: Callable[..., None],
    leave: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
    *,
    first: bool,
):
    register(smith, pin_first=True) if first else leave(smith)
    happens(smith, "released")
    caller.hears("enter your PIN to hear it").hears("PIN now").hangs_up()
    caller.calls(notify, service, ring())
    assert "custody" not in " ".join(caller.heard)


def test_what_was_left_on_a_machine_is_confirmed_by_calling_back(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.talks = 1
    caller.hears("press 4").hears("goodbye")
    caller.calls(notify, service, ringing)
    assert outcome(conn, service, ringing) == "machine"
    caller.hears("press 4").presses("4").hears("number that you left").presses("5735550142#")
    caller.hears("your four digit PIN").presses("2580").hears("news that waits").presses("1")
    caller.hears("John Smith was released").hears("to confirm").presses("1").hears("confirmed").hangs_up()
    caller.calls(hotline, service)
    assert states(conn) == ["confirmed"]


def test_until_when_somebody_was_spoken_to_is_kept(
    caller: Caller, service: Service, conn: psycopg.Connection, clock: Clock, ringing: int
):
    def a_minute_passes() -> None:
        clock.now = NOON + timedelta(minutes=1)

    caller.hears("PIN now").meanwhile(a_minute_passes).presses("2580").hears("confirmed")
    caller.calls(notify, service, ringing)
    finish(conn, ringing, None, "", settings=service.settings, now=NOON + timedelta(minutes=2))
    assert conn.execute("select heard_until - answered_at from call_attempt").fetchone() == (timedelta(minutes=1),)


def test_who_presses_a_key_is_a_person_though_no_pin_follows(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    caller.talks = 1
    caller.hears("PIN now").presses("*").hears("John Smith was released").hangs_up()
    caller.calls(notify, service, ringing)
    assert outcome(conn, service, ringing) == "not confirmed"
    assert seen(conn) == ("person", "not confirmed")


def test_more_news_than_fits_one_call_is_told_in_part_confirmed_and_the_rest_is_called_about_soon(
    caller: Caller, service: Service, conn: psycopg.Connection, crowded: list[str], ring: Callable[[], int]
):
    attempt = ring()
    caller.hears("Ann Crowd").hears("Joe Crowd").hears("PIN now").presses("2580")
    caller.hears("this is confirmed").hears("there is more news for you").hears("goodbye")
    caller.calls(notify, service, attempt)
    assert [name for name in crowded if f"{name} Crowd" in " ".join(caller.heard)] == crowded[:10]
    assert sorted(states(conn)) == ["confirmed"] * 10 + ["open"] * 2
    assert outcome(conn, service, attempt) == "confirmed"
    assert next_calls(conn) == [timedelta(seconds=10)] * 2
    conn.execute("update notification set next_call_at = %s where state = 'open'", [NOON])
    caller.hears("Kay Crowd").hears("Lee Crowd").hears("PIN now").presses("2580").hears("confirmed").hears("goodbye")
    caller.calls(notify, service, ring())
    assert set(states(conn)) == {"confirmed"}


@pytest.mark.usefixtures("crowded")
def test_much_news_of_one_registrant_does_not_keep_anothers_at_the_same_telephone_waiting(
    caller: Caller,
    service: Service,
    conn: psycopg.Connection,
    smith: Offender,
    register: Callable[..., None],
    happens: Callable[..., int],
    ring: Callable[[], int],
):
    register(smith, "1470")
    happens(smith, "released", hour=20)
    attempt = ring()
    caller.hears("Joe Crowd").hears("PIN now").presses("1470").hears("John Smith was released").hears("confirmed")
    caller.hears("goodbye")
    caller.calls(notify, service, attempt)
    assert "more news" not in " ".join(caller.heard)
    assert outcome(conn, service, attempt) == "confirmed"
    assert next_calls(conn) == [timedelta(hours=2)] * 12


def test_where_calls_are_short_one_piece_of_news_is_told_all_the_same(
    caller: Caller, service: Service, crowded: list[str], ring: Callable[[], int]
):
    calls = service.settings.calls.model_copy(update={"longest": timedelta(seconds=20)})
    short = replace(service, settings=service.settings.model_copy(update={"calls": calls}))
    caller.hears("Ann Crowd").hears("PIN now").presses("2580").hears("confirmed").hears("more news")
    caller.calls(notify, short, ring())
    assert f"{crowded[1]} Crowd" not in " ".join(caller.heard)


def test_what_is_not_yet_confirmed_is_said_to_be_so(
    caller: Caller, service: Service, conn: psycopg.Connection, ringing: int
):
    conn.execute("update custody_event set reported = true")
    caller.hears("John Smith was released").hears("This was reported to us, and is not yet confirmed.")
    caller.hears("four digit PIN").presses("2580").hears("this is confirmed")
    assert caller.calls(notify, service, ringing) == "over"
    assert states(conn) == ["confirmed"]
