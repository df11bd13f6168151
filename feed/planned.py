"""The day on which somebody is due to be released, where a custody file gives another than is known: pure functions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time

from db.custody import PLANS, Event, Plan
from feed.records import CustodyRecord

PLANNED, CHANGED = PLANS
DUE = "due for release"  # stands in the place of a status where it is kept what a person has rejected
OVER = ("released", "deceased")  # what was planned before is of a time in custody that is over


def compare(told: date | None, known: date | None, *, was: str, status: str, today: date) -> str:
    """The kind of event that a day of release is, by the status before and now; empty where it is no news.

    ``was``: the status before, or the one in between by which that time in custody was over.

    1. Only who is in custody waits for a release. Who comes back after one has a date of another time in custody: the
       day that is told now is a first one.
    2. Nobody is told of a day that is past, nor of the same day again.
    3. Nor that a day is taken away: there is no other, and who was told of it was told that it can change.
    """
    if status != "in custody" or told is None or told == known or told < today:
        return ""
    return PLANNED if known is None or was in OVER else CHANGED


def at(day: date) -> datetime:
    """The time that stands for a day of release: it is on that day wherever in America it is looked at."""
    return datetime.combine(day, time(12), UTC)


def is_withdrawn(told: date, withdrawn: Iterable[Event]) -> bool:
    """Whether a person has withdrawn that day, and the agency has said no other since."""
    return any(event.planned_at == at(told) for event in in_force(withdrawn))


def in_force(withdrawn: Iterable[Event]) -> list[Event]:
    """Of what was withdrawn, the days of release that are no news when they are said again."""
    return [event for event in withdrawn if event.kind in PLANS and event.denied_at is None]


def restored(known: date | None, plans: Sequence[Plan]) -> date | None:
    """The day that holds without those that were withdrawn, of all that were told, the newest first."""
    for plan in plans:
        if not plan.is_withdrawn:
            break
        if known is not None and plan.planned_at == at(known):
            known = plan.before
    return known


def of_bookings(records: Iterable[CustodyRecord]) -> dict[tuple[str, str], date | None]:
    """The days of those whom rows, in the order of their times, hold on several bookings, by agency and number.

    It is the last of the bookings' days, and none where one of them has none.
    """
    latest: dict[tuple[str, str], dict[str, CustodyRecord]] = defaultdict(dict)
    for record in records:
        latest[record.agency, record.number][record.details.get("booking_number", "")] = record
    days: dict[tuple[str, str], date | None] = {}
    for key, bookings in latest.items():
        held = [
            one.details["release_date"]
            for booking, one in bookings.items()
            if booking and one.custody.status == "in custody" and "release_date" in one.details
        ]
        if len(held) > 1:
            days[key] = None if None in held else max(held)
    return days
