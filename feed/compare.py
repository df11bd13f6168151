"""What a row means, given what is known: pure functions, so that every rule can stand in a table of cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, count
from typing import Literal

from db.custody import AGAIN, MISSING, Custody, Event, explained

KINDS = {
    "released": "released",
    "escaped": "escaped",
    "on furlough": "furloughed",
    "deceased": "died",
    MISSING: "no_longer_listed",
}
ONCE = ("in custody", "deceased")  # an agency may say so again under another id; nobody is moved to where they are


@dataclass(frozen=True)
class Change:
    """``news``: something happened, of this kind. ``late``: it happened before what is known already, which stays.

    ``withdrawn``, ``rejected``: the row says again what a person has withdrawn, or did not let take effect.

    ``amended``: time or facility of an event that is known was corrected; nobody is called again. ``unchanged``: no
    news.

    ``planned_at``: the time that news is about, where that is to come.

    ``apart``: an event that was taken for one thing said at two times, and was two, one before this and one after it.
    """

    what: Literal["news", "amended", "unchanged", "withdrawn", "rejected"]
    kind: str = ""
    late: bool = False
    event: Event | None = None
    apart: Event | None = None
    planned_at: datetime | None = None


def compare(told: Custody, history: Sequence[Event], event_id: str = "") -> Change:
    """Compare what a row says with what is known to have happened, oldest first.

    1. A row with a known event's id is about that event. So is one that says what an event says, at a time that was
       ever given for it: it is no news, or corrects where the person was last.
    2. A row that says the same as the event before or after it in time corrects that one's time, unless it has an
       event id of its own and that event is an agency's: what staff said first, the agency confirms. And unless a
       snapshot has denied the event since, or nobody was called of it, and the row is of a later time: that is another,
       and nobody knows of it. Who was no longer listed in between was held twice.
    3. Anything else happened, after the event before it in time. The same kind at the same time is the same event.
       Who gets out before they are no longer listed explains that, and is out.
    4. Where a row stands between two times that were given for an event, and says something else, that was no
       correction, whichever of them came first: it was two events, and what was in between comes late.
    """
    by_id = (event for event in history if event.has_id(event_id))
    as_said = (event for event in history if _same(event, told) and told.since in event.stated_times)
    if event := next(chain(by_id, as_said), None):
        return _about(event, told)
    for event in history:
        if _was_two(event, told, history):
            return Change("news", _kind(event, told), late=True, apart=event)
    before = [event for event in history if event.effective_at <= told.since]
    after = history[len(before) :]
    if told.status != "in custody" and after and after[0].status == MISSING:
        after = after[1:]  # that explains it
    was_missing = _was_missing_after(told, before)
    for event in [*before[-1:], *([] if was_missing else after[:1])]:
        if _same(event, told) and not _is_another(event, told, event_id):
            return _about(event, told)
    kind = _kind(before[-1] if before else None, told) if history else "listed"
    if before and before[-1].quiet and _same(before[-1], told):
        kind = before[-1].kind
    for event in history:
        if not event_id and event.kind == kind and told.since in event.stated_times:
            return _about(event, told)
    return Change("news", kind, late=bool(after) or was_missing)


@dataclass(frozen=True)
class Parts:
    """Of an event that was two: the times that stay with it, and the latest of them; then the other one, and its."""

    times: Sequence[datetime]
    at: datetime
    other: Custody
    kind: str
    other_times: Sequence[datetime]


def apart(event: Event, told: Custody, history: Sequence[Event]) -> Parts:
    """What becomes of an event that was two, one before a row and one after it.

    What was told of it stays the same event, so that nobody is told of it twice: that of the time that was given first,
    or under its own id. Of who was only listed nobody was told: that stays the first.
    """
    up_to, later = _sides(event, told.since)
    first = min(event.own_times) if event.own_times else event.stated_times[0]
    if first > told.since and (event.own_times or event.kind != "listed"):
        before = [one for one in history if one is not event and one.effective_at <= max(up_to)]
        stays, goes, kind = later, up_to, _kind(before[-1], event) if before else "listed"
    else:
        stays, goes, kind = up_to, later, _kind(told, event)
    at, other_at = (event.effective_at if event.effective_at in side else max(side) for side in (stays, goes))
    return Parts(stays, at, Custody(event.status, event.facility, other_at), kind, goes)


def corrected(event: Event, told: Custody, event_id: str = "") -> Custody:
    """What an event says once a row has amended it: under another id an older time does not take the newer's place."""
    if event_id and not event.has_id(event_id) and not event.by_staff and told.since < event.effective_at:
        return Custody(event.status, event.facility, event.effective_at)
    return told


def disagrees(told: Custody, history: Sequence[Event]) -> bool:
    """Whether a row says something else than staff did, who said what is later and so holds."""
    latest = history[-1] if history else None
    return latest is not None and latest.by_staff and told.since < latest.effective_at and not _same(latest, told)


def denies(told: Custody, history: Sequence[Event]) -> bool:
    """Whether a row of a snapshot, which says who is held now, has somebody who is known to have got out since then.

    What is known holds: one of the two is wrong, and to hear of a release that was none does less harm than not to hear
    of one that was.
    """
    latest = history[-1] if history else None
    if latest is None or not latest.is_out:
        return False
    return told.status == "in custody" and told.since <= latest.effective_at


def says_again(told: Custody, withdrawn: Sequence[Event], event_id: str = "") -> bool:
    """Whether a row says what a person has withdrawn, at a time that was ever given for it: another time is news."""
    return any(
        told.since in event.stated_times and (event.has_id(event_id) or _same(event, told))
        for event in withdrawn
        if event.planned_at is None
    )


def own_key(key: str, withdrawn: Sequence[Event]) -> str:
    """The key of an event, told from those of what was withdrawn of the same offender."""
    taken = {event.source_key for event in withdrawn}
    keys = chain([key], (f"{key}\t{AGAIN} {times}" for times in count(1)))
    return next(key for key in keys if key not in taken)


def missing(
    known: Custody, known_at: datetime, since: datetime | None, *, elsewhere: bool, denied_at: datetime | None = None
) -> Custody | None:
    """What it means that a snapshot has not somebody whom one of the same feed had before; None where it is no news.

    1. Who is known to be out was told of already. Of who is missing for the first time, ``since`` none, nothing is
       said yet: jails lose a row, and find it again. Whom another feed's last snapshot has is held there.
       And where something newer became known since, ``known_at``, than the last snapshot that had them, as a move, that
       says where they are. A time that is newer than the snapshot that gave it is a clock's that is ahead.
    2. Who is missing for the second time running is no longer listed, from when the last snapshot had them. A release
       that explains it is the newer news whenever it comes, also where it is of a time just before that.
    3. So is who is known to be out, but was still there in more than one snapshot that came after that was known, the
       first at ``denied_at``: the release was none. A single one may have crossed with it.
    """
    if since is None or elsewhere or since < min(known.since, known_at):
        return None
    is_held = known.status == "in custody" or (denied_at is not None and denied_at < since)
    return Custody(MISSING, known.facility, max(since, known.since)) if is_held else None


def present(told: Custody, history: Sequence[Event], seen_at: datetime) -> Custody:
    """What a snapshot that came at that time says by a row: who was no longer listed is held now, since whenever.

    So is who had got out before that, which explained it, and was held again in between. While they are where they were
    since then, the row says no more than that.
    """
    latest = history[-1] if history else None
    if latest is None or told.status != "in custody":
        return told
    was_missing = latest.status == MISSING and told.since <= latest.effective_at
    if was_missing or (latest.effective_at < told.since and _was_missing_after(told, history)):
        return Custody(told.status, told.facility, seen_at)
    absences = [one.effective_at if one.status == MISSING else one.explains for one in history]
    was_missing_since = any(at and told.since <= at <= latest.effective_at for at in absences)
    is_known = any(_same(one, told) and told.since in one.stated_times for one in history)
    return (
        replace(told, since=latest.effective_at) if was_missing_since and _same(latest, told) and not is_known else told
    )


def back(told: Custody, history: Sequence[Event]) -> Change | None:
    """What a row of a snapshot means that is no news, but has somebody elsewhere since the very time that holds.

    Where they are is what was said last, though it was said before; None where it is not so.
    """
    latest = history[-1] if history else None
    if latest is None or latest.facility == told.facility or latest.effective_at != told.since:
        return None
    is_held = latest.status == told.status == "in custody"
    return Change("amended", latest.kind, event=latest) if is_held else None


def overtaking(history: Sequence[Event], corrected: Mapping[int, datetime]) -> Event | None:
    """The event that would be the latest instead of the one that is, once some, by their ids, have other times.

    It may be that somebody was no longer listed, which a release explains until then.
    """
    all_of_them = [*history, *(_absence(event, event.explains) for event in history if event.explains)]
    moved = [replace(event, effective_at=corrected.get(event.id, event.effective_at)) for event in all_of_them]
    latest = explained(sorted(moved, key=lambda event: (event.effective_at, event.id)))[-1].id
    return None if latest == history[-1].id else next(event for event in all_of_them if event.id == latest)


def _absence(explains: Event, since: datetime) -> Event:
    """That somebody was no longer listed, as an event of its own."""
    return Event(-explains.id, KINDS[MISSING], MISSING, explains.facility, since, [since], "\t")


def _about(event: Event, told: Custody) -> Change:
    """An event's time was corrected, or its facility where the time is the one that is known; else there is no news."""
    repeated = told.since in event.stated_times and (
        told.facility == event.facility or told.since != event.effective_at
    )
    return Change("unchanged") if repeated else Change("amended", event.kind, event=event)


def _same(event: Event, told: Custody) -> bool:
    """Out of custody, the facility is only where the person was last: another one is a correction."""
    return event.status == told.status and (event.facility == told.facility or told.status != "in custody")


def _was_missing_after(told: Custody, before: Sequence[Event]) -> bool:
    """Whether somebody who was held again was no longer listed after that, which what is before does not explain."""
    explains = before[-1].explains if before else None
    return told.status == "in custody" and explains is not None and told.since < explains


def _is_another(event: Event, told: Custody, event_id: str) -> bool:
    """Whether a row that says the same as an event is of another one."""
    has_its_own = event_id and not event.by_staff and told.status not in ONCE
    is_unknown = event.quiet or event.denied_at is not None
    return bool(has_its_own) or (is_unknown and told.since > event.effective_at)


def _sides(event: Event, at: datetime) -> tuple[list[datetime], list[datetime]]:
    """The times that were given for an event, up to a time and after it."""
    return [time for time in event.stated_times if time <= at], [time for time in event.stated_times if time > at]


def _was_two(event: Event, told: Custody, history: Sequence[Event]) -> bool:
    """Whether a row says something else between the times that were given for an event, which then was no correction.

    What the agency gave under the event's own id is one, whatever stands in between. And what is said of the very time
    that holds is the newer word on it.
    """
    up_to, later = _sides(event, told.since)
    if not up_to or not later or _same(event, told) or told.since == event.effective_at:
        return False
    own = {time > told.since for time in event.own_times}
    between = [one for one in history if one is not event and max(up_to) < one.effective_at < min(later)]
    return len(own) < 2 and not between


def _kind(before: Event | Custody | None, told: Event | Custody) -> str:
    if told.status != "in custody":
        return KINDS[told.status]
    if before is None:
        return "listed"
    if before.status == MISSING:
        return "listed_again"
    return "transferred" if before.status == "in custody" else "returned"
