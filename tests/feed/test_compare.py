"""What a row means, case by case."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.custody import Custody, Event, explained
from feed.compare import (
    MISSING,
    Change,
    Parts,
    apart,
    back,
    compare,
    corrected,
    denies,
    missing,
    overtaking,
    present,
    says_again,
)

MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)
JAIL, ANNEX = "Boone County Jail", "Boone County Annex"
IN, OUT, GONE, LEAVE, DEAD = "in custody", "released", "escaped", "on furlough", "deceased"


def at(hour: int) -> datetime:
    return MIDNIGHT + timedelta(hours=hour)


def told(status: str, hour: int, facility: str = JAIL) -> Custody:
    return Custody(status, facility, at(hour))


def event(
    kind: str, status: str, hour: int, facility: str = JAIL, *, key: str = "", stated: tuple[int, ...] = ()
) -> Event:
    times = [at(each) for each in (*stated, hour)]
    return Event(hour, kind, status, facility, at(hour), times, key or f"{kind} {hour}")


LISTED = event("listed", IN, 9)
RELEASED = event("released", OUT, 12)
UNLISTED = event("no_longer_listed", MISSING, 12)
EXPLAINS = replace(event("released", OUT, 10), explains=MIDNIGHT + timedelta(hours=12))
RETURNED = event("returned", IN, 15)
TRANSFERRED = event("transferred", IN, 12, ANNEX)

NEWS = {
    "a person who is new is listed": ([], told(IN, 9), "listed"),
    "a person who is new and out already is listed": ([], told(OUT, 9), "listed"),
    "let go": ([LISTED], told(OUT, 12), "released"),
    "gone without leave": ([LISTED], told(GONE, 12), "escaped"),
    "out for a time": ([LISTED], told(LEAVE, 12), "furloughed"),
    "died": ([LISTED], told(DEAD, 12), "died"),
    "moved": ([LISTED], told(IN, 12, ANNEX), "transferred"),
    "moved back": ([LISTED, TRANSFERRED], told(IN, 15), "transferred"),
    "taken in again after release": ([LISTED, RELEASED], told(IN, 15), "returned"),
    "taken in again elsewhere": ([LISTED, RELEASED], told(IN, 15, ANNEX), "returned"),
    "taken in again after furlough": ([LISTED, event("furloughed", LEAVE, 12)], told(IN, 15), "returned"),
    "let go a second time": ([LISTED, RELEASED, RETURNED], told(OUT, 18), "released"),
    "escaped on furlough": ([LISTED, event("furloughed", LEAVE, 12)], told(GONE, 15), "escaped"),
    "listed again after being missing": ([LISTED, UNLISTED], told(IN, 15), "listed_again"),
    "listed again elsewhere": ([LISTED, UNLISTED], told(IN, 15, ANNEX), "listed_again"),
    "a release that explains why somebody is missing": ([LISTED, UNLISTED], told(OUT, 13), "released"),
    "a release just before somebody is missing, which explains it": ([LISTED, UNLISTED], told(OUT, 11), "released"),
    "an escape before that": ([LISTED, UNLISTED], told(GONE, 10), "escaped"),
    "taken in again after a release that explained it": ([LISTED, EXPLAINS], told(IN, 15), "returned"),
    "gone after a release that explains it, and before it": ([LISTED, EXPLAINS], told(GONE, 11), "escaped"),
    "two things at the same minute": ([LISTED], told(OUT, 9), "released"),
}


@pytest.mark.parametrize(("history", "row", "kind"), NEWS.values(), ids=NEWS)
def test_what_happened_is_news(history: list[Event], row: Custody, kind: str):
    assert compare(row, history) == Change("news", kind)


LATE = {
    "a release before the return that is known": ([LISTED, RETURNED], told(OUT, 12), "released"),
    "an escape between listing and release": ([LISTED, RELEASED], told(GONE, 10), "escaped"),
    "a move between listing and release": ([LISTED, RELEASED], told(IN, 10, ANNEX), "transferred"),
    "a return between two releases": ([RELEASED, event("released", OUT, 18)], told(IN, 15), "returned"),
    "a release before anything else that is known": ([LISTED, RELEASED], told(OUT, 6), "released"),
    "a release before somebody is missing and listed again": (
        [LISTED, UNLISTED, event("listed_again", IN, 15)],
        told(OUT, 11),
        "released",
    ),
    "a move before somebody is missing": ([LISTED, UNLISTED], told(IN, 11, ANNEX), "transferred"),
    "a return after a release, and before somebody is missing": ([LISTED, EXPLAINS], told(IN, 11), "returned"),
    "a return before somebody is missing, who came back after that": (
        [LISTED, EXPLAINS, RETURNED],
        told(IN, 11),
        "returned",
    ),
    "being held elsewhere before anything else that is known": ([RELEASED], told(IN, 6), "listed"),
}


@pytest.mark.parametrize(("history", "row", "kind"), LATE.values(), ids=LATE)
def test_what_happened_before_what_is_known_is_late_news(history: list[Event], row: Custody, kind: str):
    assert compare(row, history) == Change("news", kind, late=True)


AMENDED = {
    "the latest happened later": ([LISTED, RELEASED], told(OUT, 14), RELEASED),
    "the latest happened earlier": ([LISTED, RELEASED], told(OUT, 11), RELEASED),
    "the only one happened earlier": ([LISTED], told(IN, 6), LISTED),
    "an earlier one happened later, before what followed": ([RELEASED, RETURNED], told(OUT, 13), RELEASED),
    "still at the same place is no move": ([LISTED, RELEASED], told(IN, 10), LISTED),
    "a release that explains why somebody is missing": ([LISTED, EXPLAINS], told(OUT, 11), EXPLAINS),
    "a release after somebody was missing, which was before": (
        [LISTED, UNLISTED, event("released", OUT, 15)],
        told(OUT, 11),
        event("released", OUT, 15),
    ),
    "let go from another facility": ([LISTED, RELEASED], told(OUT, 12, ANNEX), RELEASED),
    "moved to another facility at the time of a move": ([LISTED, TRANSFERRED], told(IN, 12, "Farm"), TRANSFERRED),
}


@pytest.mark.parametrize(("history", "row", "corrected"), AMENDED.values(), ids=AMENDED)
def test_a_corrected_time_or_facility_amends_the_event(history: list[Event], row: Custody, corrected: Event):
    assert compare(row, history) == Change("amended", corrected.kind, event=corrected)


STILL_IN = event("listed", IN, 15, stated=(9,))
OUT_AGAIN = event("released", OUT, 18, stated=(12,))
IN_BEFORE = event("listed", IN, 9, stated=(15,))
OUT_BEFORE = event("released", OUT, 12, stated=(18,))
BACK_BEFORE = event("transferred", IN, 9, stated=(15,))
BY_STAFF = event("released", OUT, 12, key="staff\tboone", stated=(18,))
TOLD_LATER = replace(event("listed", IN, 9, key="A2", stated=(15,)), own_times=(at(15),))
LATER_WITHOUT_ID = replace(event("listed", IN, 15, key="A1", stated=(9,)), own_times=(at(9),))
LONG_IN = event("listed", IN, 6, stated=(18, 9, 15))

APART: dict[str, tuple[list[Event], Custody, str, Parts]] = {  # what was two is the last
    "a release between two times of being in": (
        [STILL_IN],
        told(OUT, 12),
        "released",
        Parts([at(9)], at(9), told(IN, 15), "returned", [at(15)]),
    ),
    "a move between two times of being in": (
        [STILL_IN],
        told(IN, 12, ANNEX),
        "transferred",
        Parts([at(9)], at(9), told(IN, 15), "transferred", [at(15)]),
    ),
    "a return between two releases": (
        [LISTED, OUT_AGAIN],
        told(IN, 15),
        "returned",
        Parts([at(12)], at(12), told(OUT, 18), "released", [at(18)]),
    ),
    "a release between two times of being in, of which the later came first": (
        [IN_BEFORE],
        told(OUT, 12),
        "released",
        Parts([at(9)], at(9), told(IN, 15), "returned", [at(15)]),
    ),
    "a return between two releases, of which the later was told first": (
        [LISTED, OUT_BEFORE],
        told(IN, 15),
        "returned",
        Parts([at(18)], at(18), told(OUT, 12), "released", [at(12)]),
    ),
    "a move between two moves, of which the later was told first": (
        [event("listed", IN, 6, ANNEX), BACK_BEFORE],
        told(IN, 12, ANNEX),
        "transferred",
        Parts([at(15)], at(15), told(IN, 9), "transferred", [at(9)]),
    ),
    "a return between what staff said and an older release of the agency": (
        [LISTED, BY_STAFF],
        told(IN, 15),
        "returned",
        Parts([at(18)], at(18), told(OUT, 12), "released", [at(12)]),
    ),
    "a release before what has an id, of which an older time came later": (
        [TOLD_LATER],
        told(OUT, 12),
        "released",
        Parts([at(15)], at(15), told(IN, 9), "listed", [at(9)]),
    ),
    "a release after what has an id, of which a later time came later": (
        [LATER_WITHOUT_ID],
        told(OUT, 12),
        "released",
        Parts([at(9)], at(9), told(IN, 15), "returned", [at(15)]),
    ),
    "a release among many times of being in": (
        [LONG_IN],
        told(OUT, 12),
        "released",
        Parts([at(9), at(6)], at(6), told(IN, 18), "returned", [at(18), at(15)]),
    ),
}


@pytest.mark.parametrize(("history", "row", "kind", "parts"), APART.values(), ids=APART)
def test_what_is_said_between_two_times_of_an_event_shows_that_it_was_two(
    history: list[Event], row: Custody, kind: str, parts: Parts
):
    assert compare(row, history) == Change("news", kind, late=True, apart=history[-1])
    assert apart(history[-1], row, history) == parts


WHOLE = {
    "what was corrected by its id": (
        [LISTED, replace(event("released", OUT, 18, key="E7", stated=(12,)), own_times=(at(12), at(18)))],
        told(IN, 15),
        Change("amended", "listed", event=LISTED),
    ),
    "what was corrected by its id, and back": (
        [LISTED, replace(event("released", OUT, 12, key="E7", stated=(18,)), own_times=(at(18), at(12)))],
        told(IN, 15),
        Change("news", "returned"),
    ),
    "what happened at the very time that holds": ([IN_BEFORE], told(OUT, 9), Change("news", "released")),
    "what is after both": ([IN_BEFORE], told(OUT, 16), Change("news", "released")),
    "what is before both": ([IN_BEFORE], told(OUT, 8), Change("news", "released", late=True)),
}


@pytest.mark.parametrize(("history", "row", "change"), WHOLE.values(), ids=WHOLE)
def test_an_event_stays_one(history: list[Event], row: Custody, change: Change):
    assert compare(row, history, "E9" if change.what == "amended" else "") == change


CORRECTED = {
    "without an id, to an earlier time": (LISTED, told(IN, 6), "", told(IN, 6)),
    "by its id": (event("returned", IN, 15, key="E8"), told(IN, 6), "E8", told(IN, 6)),
    "by another id, to a later time": (LISTED, told(IN, 12), "E8", told(IN, 12)),
    "by another id, at an older time, which takes not the newer's place": (LISTED, told(IN, 6), "E8", told(IN, 9)),
    "what staff said, by the agency's id": (BY_STAFF, told(OUT, 11), "E8", told(OUT, 11)),
}


@pytest.mark.parametrize(("known", "row", "event_id", "says"), CORRECTED.values(), ids=CORRECTED)
def test_what_an_event_says_once_it_was_corrected(known: Event, row: Custody, event_id: str, says: Custody):
    assert corrected(known, row, event_id) == says


def become_known(rows: Sequence[tuple[Custody, str]]) -> list[Event]:
    """What is known to have happened once rows have come one after the other, each with its event's id or none."""
    history: list[Event] = []
    for place, (row, event_id) in enumerate(rows):
        change = compare(row, history, event_id)
        if event := change.event:
            history.remove(event)
            says, own = corrected(event, row, event_id), event.has_id(event_id)
            times = event.stated_times if row.since in event.stated_times else [*event.stated_times, row.since]
            owns = [*event.own_times, *([row.since] if own else [])]
            history.append(
                replace(
                    event, facility=says.facility, effective_at=says.since, stated_times=list(times), own_times=owns
                )
            )
        elif change.what == "news":
            known = list(history)
            own = [row.since] if event_id else []
            key = event_id or f"made\tup {place}"
            history.append(
                Event(2 * place, change.kind, row.status, row.facility, row.since, [row.since], key, list(own))
            )
            if was_two := change.apart:
                parts = apart(was_two, row, known)
                history.remove(was_two)
                history.append(replace(was_two, effective_at=parts.at, stated_times=list(parts.times)))
                other = parts.other
                history.append(
                    Event(
                        2 * place + 1,
                        parts.kind,
                        other.status,
                        other.facility,
                        other.since,
                        list(parts.other_times),
                        f"made\tup {place}b",
                    )
                )
        history.sort(key=lambda one: (one.effective_at, one.id))
    return history


PLACES = st.sampled_from([(IN, JAIL), (IN, ANNEX), (OUT, JAIL), (GONE, JAIL), (LEAVE, JAIL)])
STAYS = st.lists(PLACES, min_size=1, max_size=7).filter(lambda stays: all(a != b for a, b in pairwise(stays)))


@given(stays=STAYS, with_ids=st.lists(st.booleans(), min_size=7, max_size=7), data=st.data())
@settings(max_examples=300, deadline=None)
def test_in_whatever_order_rows_come_and_how_often_the_same_happened(
    *, stays: list[tuple[str, str]], with_ids: list[bool], data: st.DataObject
):
    clean = [
        (told(status, hour, where), f"E{hour}" if with_ids[hour] else "") for hour, (status, where) in enumerate(stays)
    ]
    came = [*data.draw(st.permutations(clean)), *data.draw(st.lists(st.sampled_from(clean), max_size=5))]
    happened = [Custody(one.status, one.facility, one.effective_at) for one in become_known(came)]
    assert happened == [row for row, _ in clean]


MOVED_TO_13 = event("released", OUT, 13, stated=(12,))

UNCHANGED = {
    "the latest again": ([LISTED, RELEASED], told(OUT, 12)),
    "an old row after newer ones": ([LISTED, RELEASED, RETURNED], told(OUT, 12)),
    "the first row after all others": ([LISTED, RELEASED, RETURNED], told(IN, 9)),
    "the time before it was corrected": ([LISTED, MOVED_TO_13], told(OUT, 12)),
    "the time as it was corrected": ([LISTED, MOVED_TO_13], told(OUT, 13)),
    "an old row of another facility": ([LISTED, MOVED_TO_13], told(OUT, 12, ANNEX)),
}


@pytest.mark.parametrize(("history", "row"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_was_said_before_is_no_news(history: list[Event], row: Custody):
    assert compare(row, history) == Change("unchanged")


LET_GO = event("released", OUT, 12, key="E7")
BROUGHT_BACK = event("returned", IN, 15, key="E8")


def test_an_event_id_that_is_known_amends_its_event_wherever_it_stands():
    history = [LISTED, LET_GO, BROUGHT_BACK]
    assert compare(told(OUT, 18), history, "E7") == Change("amended", "released", event=LET_GO)
    assert compare(told(OUT, 3), history, "E7") == Change("amended", "released", event=LET_GO)
    assert compare(told(IN, 15, ANNEX), history, "E8") == Change("amended", "returned", event=BROUGHT_BACK)


def test_an_event_id_that_is_known_with_a_time_that_was_given_is_no_news():
    corrected = event("released", OUT, 13, key="E7", stated=(12,))
    assert compare(told(OUT, 12), [LISTED, corrected], "E7") == Change("unchanged")
    assert compare(told(OUT, 13), [LISTED, corrected], "E7") == Change("unchanged")


def test_another_event_id_is_another_event_though_it_says_the_same():
    assert compare(told(OUT, 18), [LISTED, LET_GO], "E9") == Change("news", "released")


def test_an_event_id_that_begins_to_be_given_makes_no_news_of_what_is_known():
    assert compare(told(OUT, 12), [LISTED, RELEASED], "E7") == Change("unchanged")


def test_another_event_id_moves_nobody_to_where_they_are_and_lets_nobody_die_twice():
    died = event("died", DEAD, 12, key="E7")
    assert compare(told(IN, 12), [LISTED], "E7").what == "amended"
    assert compare(told(DEAD, 13), [LISTED, died], "E9").what == "amended"


def test_an_event_id_that_was_withdrawn_is_that_of_what_was_said_under_it_since():
    again = event("released", OUT, 18, key="E7\tagain 1")
    assert compare(told(OUT, 19), [LISTED, again], "E7") == Change("amended", "released", event=again)
    assert compare(told(OUT, 19), [LISTED, again], "E") == Change("news", "released")


DENIES = {
    "who is known to be out since then": ([LISTED, RELEASED], told(IN, 9), True),
    "who is known to be out, by a row that is new": ([LISTED, RELEASED], told(IN, 10), True),
    "who is known to be out since the very same time": ([LISTED, event("released", OUT, 9)], told(IN, 9), True),
    "who is known to be on furlough": ([LISTED, event("furloughed", LEAVE, 12)], told(IN, 9), True),
    "but who came back after that": ([LISTED, RELEASED], told(IN, 15), False),
    "but who is no longer listed, and so listed again": ([LISTED, UNLISTED], told(IN, 9), False),
    "but who is known to be held": ([LISTED, TRANSFERRED], told(IN, 9), False),
    "but as somebody who is out": ([LISTED, RELEASED], told(GONE, 9), False),
    "but of whom nothing is known": ([], told(IN, 9), False),
}


@pytest.mark.parametrize(("history", "row", "does"), DENIES.values(), ids=DENIES)
def test_a_snapshot_has_somebody(*, history: list[Event], row: Custody, does: bool):
    assert denies(row, history) == does


DENIED = replace(RELEASED, denied_at=at(13))

AFTER_A_DENIAL = {
    "a release at a later time is another": (told(OUT, 14), "", Change("news", "released")),
    "so is one under an id": (told(OUT, 14), "E9", Change("news", "released")),
    "the same release is that": (told(OUT, 12), "", Change("unchanged")),
    "an older time is its correction": (told(OUT, 11), "", Change("amended", "released", event=DENIED)),
    "a row from before it is no news": (told(IN, 9), "", Change("unchanged")),
    "to be held since then is to be back": (told(IN, 13), "", Change("news", "returned")),
}


@pytest.mark.parametrize(("row", "event_id", "change"), AFTER_A_DENIAL.values(), ids=AFTER_A_DENIAL)
def test_after_a_snapshot_has_denied_a_release(row: Custody, event_id: str, change: Change):
    assert compare(row, [LISTED, DENIED], event_id) == change


def test_the_release_after_one_that_was_denied_is_corrected_as_any_other():
    truly = event("released", OUT, 15)
    assert compare(told(OUT, 16), [LISTED, DENIED, truly]) == Change("amended", "released", event=truly)
    assert compare(told(OUT, 14), [LISTED, DENIED, truly]) == Change("amended", "released", event=truly)


QUIET = replace(event("released", OUT, 12, key="staff\treleased"), quiet=True)

AFTER_A_QUIET_WORD = {
    "a release at a later time is another": (told(OUT, 14), "", Change("news", "released")),
    "so is one under an id": (told(OUT, 14), "E9", Change("news", "released")),
    "the same release is that": (told(OUT, 12), "", Change("unchanged")),
    "an older time is its correction": (told(OUT, 11), "", Change("amended", "released", event=QUIET)),
}


@pytest.mark.parametrize(("row", "event_id", "change"), AFTER_A_QUIET_WORD.values(), ids=AFTER_A_QUIET_WORD)
def test_after_staff_had_nobody_called_of_a_release(row: Custody, event_id: str, change: Change):
    assert compare(row, [LISTED, QUIET], event_id) == change


def test_who_is_back_at_a_later_time_than_staff_said_quietly_is_back_and_not_moved():
    back = replace(RETURNED, quiet=True)
    assert compare(told(IN, 16), [LISTED, RELEASED, back]) == Change("news", "returned")


def test_another_death_is_told_where_the_first_was_denied():
    died = replace(event("died", DEAD, 12, key="E7"), denied_at=at(13))
    assert compare(told(DEAD, 14), [LISTED, died], "E9") == Change("news", "died")


MOVED_AT_ONCE = event("transferred", IN, 9, ANNEX)

BACK = {
    "elsewhere since the very time of the move": ([LISTED, MOVED_AT_ONCE], told(IN, 9), MOVED_AT_ONCE),
    "where they are": ([LISTED, MOVED_AT_ONCE], told(IN, 9, ANNEX), None),
    "elsewhere before the move": ([LISTED, TRANSFERRED], told(IN, 9), None),
    "out at the time of the move": ([LISTED, MOVED_AT_ONCE], told(OUT, 9, "Farm"), None),
    "nowhere that is known": ([], told(IN, 9), None),
}


@pytest.mark.parametrize(("history", "row", "amended"), BACK.values(), ids=BACK)
def test_who_is_said_again_to_be(history: list[Event], row: Custody, amended: Event | None):
    assert back(row, history) == (amended and Change("amended", amended.kind, event=amended))


UNTIL_12 = replace(event("released", OUT, 10), explains=at(12))
DENIED_UNTIL_12 = replace(DENIED, explains=at(12))
UNLISTED_AT_14 = event("no_longer_listed", MISSING, 14)

EXPLAINED = {
    "by a release just before": ([LISTED, event("released", OUT, 10), UNLISTED], [LISTED, UNTIL_12]),
    "by nothing": ([LISTED, UNLISTED], [LISTED, UNLISTED]),
    "by nothing, as somebody was held again": (
        [LISTED, event("released", OUT, 10), event("returned", IN, 11), UNLISTED],
        [LISTED, event("released", OUT, 10), event("returned", IN, 11), UNLISTED],
    ),
    "by nothing, as snapshots still had them": ([LISTED, DENIED, UNLISTED_AT_14], [LISTED, DENIED, UNLISTED_AT_14]),
    "by a release that a snapshot has denied since": ([LISTED, DENIED, UNLISTED], [LISTED, DENIED_UNTIL_12]),
    "by a release that a snapshot has denied at the very time": (
        [LISTED, DENIED, event("no_longer_listed", MISSING, 13)],
        [LISTED, replace(DENIED, explains=at(13))],
    ),
    "once by a release that a snapshot has denied since, and then by nothing": (
        [LISTED, DENIED, UNLISTED, UNLISTED_AT_14],
        [LISTED, DENIED_UNTIL_12, UNLISTED_AT_14],
    ),
    "by nothing that is known": ([UNLISTED], [UNLISTED]),
}


@pytest.mark.parametrize(("history", "left"), EXPLAINED.values(), ids=EXPLAINED)
def test_why_somebody_is_no_longer_listed_is_explained(history: list[Event], left: list[Event]):
    assert explained(history) == left


TWINS = [
    LISTED,
    Event(1, "released", OUT, JAIL, at(12), [at(12)], "E1"),
    Event(2, "returned", IN, JAIL, at(12), [], "E2"),
]

LET_GO_AT_15 = event("released", OUT, 15, key="E7")

LATEST: dict[str, tuple[list[Event], dict[int, int], Event | None]] = {
    "nothing is corrected": ([LISTED, LET_GO, BROUGHT_BACK], {}, None),
    "one before the latest stays before it": ([LISTED, LET_GO, BROUGHT_BACK], {LET_GO.id: 14}, None),
    "the latest stays after the others": ([LISTED, LET_GO, BROUGHT_BACK], {BROUGHT_BACK.id: 13}, None),
    "one passes another, and both stay before the latest": ([LISTED, LET_GO, BROUGHT_BACK], {LET_GO.id: 3}, None),
    "all are moved by as much": (
        [LISTED, LET_GO, BROUGHT_BACK],
        {LISTED.id: 15, LET_GO.id: 18, BROUGHT_BACK.id: 21},
        None,
    ),
    "the only one": ([LISTED], {LISTED.id: 3}, None),
    "one passes the latest": ([LISTED, LET_GO, BROUGHT_BACK], {LET_GO.id: 18}, LET_GO),
    "the latest falls behind": ([LISTED, LET_GO, BROUGHT_BACK], {BROUGHT_BACK.id: 10}, LET_GO),
    "a release falls behind somebody's being missing, and explains it": (
        [LISTED, UNLISTED, LET_GO_AT_15],
        {LET_GO_AT_15.id: 11},
        None,
    ),
    "the latest of two at one time falls behind": (TWINS, {2: 11}, TWINS[1]),
    "a return falls behind somebody's being missing, which the release before explains no more": (
        [LISTED, EXPLAINS, BROUGHT_BACK],
        {BROUGHT_BACK.id: 11},
        Event(-EXPLAINS.id, "no_longer_listed", MISSING, JAIL, at(12), [at(12)], "\t"),
    ),
    "a return stays after somebody's being missing, which the release before explains": (
        [LISTED, EXPLAINS, BROUGHT_BACK],
        {BROUGHT_BACK.id: 13},
        None,
    ),
}


@pytest.mark.parametrize(("history", "corrected", "instead"), LATEST.values(), ids=LATEST)
def test_times_that_are_corrected_may_make_another_event_the_latest(
    history: list[Event], corrected: dict[int, int], instead: Event | None
):
    assert overtaking(history, {event_id: at(hour) for event_id, hour in corrected.items()}) == instead


ABSENT = {
    "for the first time": (told(IN, 9), 12, None, False, None),
    "for the second time running, from when they were last there": (told(IN, 9), 12, 12, False, told(MISSING, 12)),
    "but moved after that, as another file says": (told(IN, 14), 15, 12, False, None),
    "by the last snapshot that had them, whose clock was ahead": (told(IN, 13), 12, 12, False, told(MISSING, 13)),
    "and moved before that, as another file says late": (told(IN, 11), 15, 12, False, told(MISSING, 12)),
    "but in another feed's last snapshot": (told(IN, 9), 12, 12, True, None),
    "and released": (told(OUT, 11), 12, 12, False, None),
    "and escaped": (told(GONE, 11), 12, 12, False, None),
    "and out for a time": (told(LEAVE, 11), 12, 12, False, None),
    "and dead": (told(DEAD, 11), 12, 12, False, None),
    "and no longer listed already": (told(MISSING, 11), 12, 12, False, None),
}


def test_who_was_still_there_after_a_release_is_missing_as_if_it_had_not_been():
    def means(last: int | None, *, status: str = OUT, elsewhere: bool = False) -> Custody | None:
        since = None if last is None else at(last)
        return missing(told(status, 11), at(12), since, elsewhere=elsewhere, denied_at=at(13))

    assert means(14) == told(MISSING, 14)
    assert means(14, status=DEAD) == told(MISSING, 14)
    assert [means(13), means(None), means(14, elsewhere=True)] == [None, None, None]


@pytest.mark.parametrize(("known", "known_at", "last", "elsewhere", "means"), ABSENT.values(), ids=ABSENT)
def test_who_is_missing_in_a_snapshot(
    *, known: Custody, known_at: int, last: int | None, elsewhere: bool, means: Custody | None
):
    since = None if last is None else at(last)
    assert missing(known, at(known_at), since, elsewhere=elsewhere) == means


PRESENT = {
    "who was never missing is held since when the row says": ([LISTED], told(IN, 9), told(IN, 9)),
    "who was missing is held now, since whenever that was": ([LISTED, UNLISTED], told(IN, 9), told(IN, 18)),
    "who was missing and came back later is held since then": ([LISTED, UNLISTED], told(IN, 15), told(IN, 15)),
    "who was missing and is said to be out is out since then": ([LISTED, UNLISTED], told(OUT, 11), told(OUT, 11)),
    "who was let go and missing and is held from before that is held now": (
        [LISTED, EXPLAINS],
        told(IN, 11),
        told(IN, 18),
    ),
    "who was let go and missing and is held since then is so since then": (
        [LISTED, EXPLAINS],
        told(IN, 13),
        told(IN, 13),
    ),
    "who was let go and missing, and is back since then, is so since then": (
        [LISTED, EXPLAINS, RETURNED],
        told(IN, 11),
        told(IN, 15),
    ),
    "who was missing, and is back elsewhere since then, is so since then": (
        [LISTED, UNLISTED, event("listed_again", IN, 15, ANNEX)],
        told(IN, 11, ANNEX),
        told(IN, 15, ANNEX),
    ),
    "who was missing, and is back, has been held since when they were listed": (
        [LISTED, UNLISTED, event("listed_again", IN, 15)],
        told(IN, 9),
        told(IN, 9),
    ),
    "who was missing, and is back, but somewhere else by another row": (
        [LISTED, UNLISTED, event("listed_again", IN, 15)],
        told(IN, 11, ANNEX),
        told(IN, 11, ANNEX),
    ),
    "who was let go and missing, and has been held all along": ([LISTED, EXPLAINS], told(IN, 9), told(IN, 9)),
    "who is new is held since when the row says": ([], told(IN, 9), told(IN, 9)),
}


@pytest.mark.parametrize(("history", "row", "says"), PRESENT.values(), ids=PRESENT)
def test_who_stands_in_a_snapshot(history: list[Event], row: Custody, says: Custody):
    assert present(row, history, at(18)) == says


AGAIN = {
    "as it was said": (told(OUT, 12), "", True),
    "at a time that was given for it before": (told(OUT, 11), "", True),
    "by its id, at a time that was given for it": (told(OUT, 11, ANNEX), "E7", True),
    "by its id, at another time": (told(OUT, 18), "E7", False),
    "at another time": (told(OUT, 18), "", False),
    "another status at that time": (told(GONE, 12), "", False),
}


@pytest.mark.parametrize(("row", "event_id", "again"), AGAIN.values(), ids=AGAIN)
def test_what_was_withdrawn_is_said_again(*, row: Custody, event_id: str, again: bool):
    assert says_again(row, [event("released", OUT, 12, key="E7", stated=(11,))], event_id) == again
