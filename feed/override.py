"""What staff say of an offender where no feed does: an event like a feed's, with the name of who said it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection

from db import custody, notifications, staff
from db.custody import STAFF, Custody, Details, Event, Offender
from feed.changes import set_apart
from feed.compare import Change, compare, own_key
from feed.known import Known, Teller
from feed.records import CustodyRecord
from feed.run import one_at_a_time
from movans.settings import Settings


@dataclass(frozen=True)
class Said:
    """What came of it: the offender as known before, none where they were not, and how many people are called.

    ``holds``: where they are from then on, which may be something newer than what was said.
    ``was_quiet``: it was known, but nobody had been called of it.
    """

    before: Offender | None
    change: Change
    holds: Custody
    people: int = 0
    was_quiet: bool = False


def say(
    conn: Connection, record: CustodyRecord, *, who: str, quiet: bool = False, settings: Settings, now: datetime
) -> Said:
    """Keep what a person says of an offender, as if a feed had brought it, and that they did.

    It is compared as a feed's row is, and a feed's row is compared with it: what is of a later time holds. What was
    said quietly before, and is not now, is told after all.
    """
    one_at_a_time(conn)  # an import may be on its way
    before = custody.lock(conn, record.agency, [record.number]).get(record.number)
    history = custody.history(conn, before.id) if before else []
    change = compare(record.custody, history)
    untold = None if quiet else _untold(change, record.custody, history)
    if change.what == "unchanged" and untold is None:
        return Said(before, change, _holds(history))
    offender = before or custody.add(
        conn, record.agency, record.number, record.person, record.custody, record.details_after(Details()), now=now
    )
    teller = Teller(None, settings, now, who=who, quiet=quiet)
    if change.event:
        custody.amend(conn, change.event.id, record.custody, stated=record.custody.since, by_id=False)
    if untold:
        custody.unhush(conn, untold.id)
        teller.notify(conn, untold.id, late=untold.id != history[-1].id)
    if change.what == "news":
        made_up = "\t".join([STAFF, record.agency, record.number, change.kind, record.custody.since.isoformat()])
        withdrawn = custody.withdrawn(conn, [offender.id]).get(offender.id, [])
        others = [*withdrawn, *(history if change.apart else ())]
        happened = teller.happened(offender.id, change.kind, record.custody, STAFF, own_key(made_up, others))
        (event_id,) = custody.record_all(conn, [happened], now=now)
        teller.notify(conn, event_id, late=change.late)
        if change.apart:
            set_apart(conn, teller, Known(offender, history, withdrawn), record, change.apart)
    state = _holds(custody.history(conn, offender.id))
    is_latest = record.custody.since >= state.since
    custody.update(conn, offender.id, offender.person, state, now=now if is_latest else offender.known_at)
    staff.record(conn, who, _act(record, change, quiet=quiet, was_quiet=untold is not None), now=now)
    called = notifications.people(conn, offender.id, now=now)
    return Said(before, change, state, called, was_quiet=untold is not None)


def _untold(change: Change, told: Custody, history: Sequence[Event]) -> Event | None:
    """The event that this is about, where nobody was called of it."""
    as_said = (one for one in history if one.status == told.status and told.since in one.stated_times)
    event = change.event if change.what != "unchanged" else next(as_said, None)
    return event if event and event.quiet else None


def _holds(history: Sequence[Event]) -> Custody:
    latest = history[-1]
    return Custody(latest.status, latest.facility, latest.effective_at)


def _act(record: CustodyRecord, change: Change, *, quiet: bool, was_quiet: bool) -> str:
    what = (
        "called after all of"
        if was_quiet
        else "corrected"
        if change.event
        else "added"
        if change.kind == "listed"
        else "set"
    )
    said = f"{what} {record.agency} {record.number}: {record.custody.status} at {record.custody.facility}"
    return f"{said} since {record.custody.since.isoformat(' ', 'minutes')}{', calling nobody' if quiet else ''}"
