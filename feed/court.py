"""What a court calendar means, given what is known, and its import, as a part of a feed run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg import Connection

from db import court_events, custody
from db.court_events import CourtEvent
from db.custody import Custody, Offender, Person
from db.names import name_keys
from feed.records import CourtRecord


def compare(told: CourtRecord, known: CourtEvent | None, now: datetime) -> str:
    """The kind of event that a record is, for somebody who knows so much of the court date; empty where it is no news.

    Nobody is told of what is past, nor that something is off of which they had not heard.
    """
    stood = known if known and known.state == "scheduled" else None
    if told.says != "scheduled" or told.planned_at is None:
        return "court_cancelled" if stood and stood.planned_at > now else ""
    if stood is None:
        return "court_scheduled" if told.planned_at > now else ""
    if (told.planned_at, told.place) == (stood.planned_at, stood.place):
        return ""
    return "court_moved" if max(told.planned_at, stood.planned_at) > now else ""


def after(told: CourtRecord, known: CourtEvent | None) -> CourtEvent | None:
    """What holds of the court date after a record; None where it says so of one that nobody has heard of."""
    if told.planned_at is not None:
        return CourtEvent(told.event_id, told.case_number, told.planned_at, told.place, told.says)
    return replace(known, state=told.says) if known else None


def is_theirs(party: Person, offender: Offender) -> bool:
    """Whether a case's party can be an offender with its number, which co-defendants have, too, or which is mistyped.

    Where both dates of birth are known, they must be the same, and a last name, aliases included. Where one is not, the
    first name must be the same, too.
    """
    theirs = name_keys(offender.last_name, offender.first_name).union(*map(name_keys, offender.aliases))
    named = name_keys(party.last_name, party.first_name)
    if party.birth_date and offender.birth_date:
        lasts = {last for last, _ in theirs} & {last for last, _ in named}
        return party.birth_date == offender.birth_date and bool(lasts)
    return bool(theirs & named)


@dataclass(frozen=True)
class News:
    """An event of an offender that is to be told, and the record that it came by, with whose it is and when."""

    event_id: int
    record: CourtRecord
    kind: str


@dataclass(frozen=True)
class Applied:
    """What came of the records of a file. ``strangers``: court dates to come of people whom no jail has told us of."""

    news: list[News]
    unchanged: int
    strangers: int


def apply(conn: Connection, run_id: int, records: Sequence[CourtRecord], *, now: datetime) -> Applied:
    """Keep what the records say, and an event for each offender for whom it is news."""
    applied, unchanged, strangers = list[News](), 0, 0
    for agency in sorted({record.agency for record in records}):
        theirs = [record for record in records if record.agency == agency]
        known = court_events.known(conn, agency, [record.event_id for record in theirs])
        offenders = _offenders(conn, agency, theirs, known)
        for record in theirs:
            before = known.get(record.event_id)
            holds = after(record, before)
            whose = offenders[record.row]
            strangers += holds is not None and holds.state == "scheduled" and holds.planned_at > now and not whose
            news = _told_to_each(conn, run_id, record, before, whose, now)
            applied += news
            unchanged += not news
            if holds:
                holds = replace(holds, offender_ids=[offender.id for offender in whose])
                court_events.keep(conn, agency, holds, feed_run_id=run_id, now=now)
    return Applied(applied, unchanged, strangers)


def _offenders(
    conn: Connection, agency: str, records: Sequence[CourtRecord], known: dict[str, CourtEvent]
) -> dict[int, list[Offender]]:
    """By the row of each record: those whose court date it is, locked."""
    of_cases = court_events.of_cases(conn, {record.case_number for record in records if record.person})
    of_numbers = court_events.of_numbers(conn, agency, {record.number for record in records if record.number})
    possible: dict[int, set[int]] = {}
    for record in records:
        found = set(of_cases.get(record.case_number, ())) if record.person else set[int]()
        if record.number in of_numbers:
            found.add(of_numbers[record.number])
        possible[record.row] = found
    before = {record.row: set(known[record.event_id].offender_ids) for record in records if record.event_id in known}
    locked = court_events.lock(conn, set().union(*possible.values(), *before.values()))
    return {
        record.row: [
            locked[offender_id]
            for offender_id in sorted(possible[record.row] | before.get(record.row, set()))
            if offender_id in before.get(record.row, ())
            or (record.person and is_theirs(record.person, locked[offender_id]))
        ]
        for record in records
    }


def _told_to_each(
    conn: Connection, run_id: int, record: CourtRecord, before: CourtEvent | None, whose: list[Offender], now: datetime
) -> list[News]:
    news = []
    for offender in whose:
        knows = before if before and offender.id in before.offender_ids else None
        if not (kind := compare(record, knows, now)):
            continue
        about = record if kind != "court_cancelled" or knows is None else _as_known(record, knows)
        at_whom = replace(about, agency=offender.agency, number=offender.number, person=offender.person)
        # A tab is in no agency's own event ids, so that these cannot be mistaken for one.
        made_up = f"court\t{record.agency}\t{record.event_id}\t{offender.id}\t{run_id}"
        event_id = custody.record(
            conn,
            offender.id,
            kind,
            Custody(offender.status, offender.facility, now),
            source=record.agency,
            source_key=made_up,
            feed_run_id=run_id,
            planned_at=about.planned_at,
            place=about.place,
            now=now,
        )
        news.append(News(event_id, at_whom, kind))
    return news


def _as_known(record: CourtRecord, known: CourtEvent) -> CourtRecord:
    """What is off is named as it was told before."""
    return replace(record, case_number=known.case_number, planned_at=known.planned_at, place=known.place)
