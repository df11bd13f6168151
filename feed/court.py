"""What a court calendar means, given what is known, and its import, as a part of a feed run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from psycopg import Connection

from db import court_events, custody
from db.court_events import CourtEvent, Said
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


def is_older(told: CourtRecord, known: CourtEvent | None) -> bool:
    """Whether a record says what was before that which is known. Where one has no time, what comes last holds."""
    return bool(known and known.changed_at and told.changed_at and told.changed_at < known.changed_at)


def says_again(told: CourtRecord, withdrawn: Said | None) -> bool:
    """Whether a record says what the court said last, and a person has withdrawn; and not that it became so later."""
    if withdrawn is None or told.says != withdrawn.state:
        return False
    if told.changed_at and (withdrawn.changed_at is None or told.changed_at > withdrawn.changed_at):
        return False
    return told.planned_at is None or (told.planned_at, told.place) == (withdrawn.planned_at, withdrawn.place)


def after(told: CourtRecord, known: CourtEvent | None) -> CourtEvent | None:
    """What holds of the court date after a record; None where it says so of one that nobody has heard of.

    But where it says when it became so, that is kept: an older record, which has its time and place, may come late.
    """
    since = told.changed_at or (known.changed_at if known else None)
    if told.planned_at is not None:
        return CourtEvent(told.event_id, told.case_number, told.planned_at, told.place, told.says, since)
    if known is None and since is not None:
        return CourtEvent(told.event_id, told.case_number, since, told.place, told.says, since)
    return replace(known, state=told.says, changed_at=since) if known else None


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


@dataclass
class Applied:
    """What came of the records of a file. ``strangers``: court dates to come of people whom no jail has told us of."""

    news: list[News] = field(default_factory=list)
    unchanged: int = 0
    strangers: int = 0
    passed_over: int = 0


def apply(
    conn: Connection,
    run_id: int,
    records: Sequence[CourtRecord],
    *,
    only: Collection[str] | None = None,
    now: datetime,
) -> Applied:
    """Keep what the records say, in the order of their times, and an event for each offender for whom it is news.

    Where ``only`` some kinds of events are let through, other records and those without news are passed over.
    """
    applied = Applied()
    for agency in sorted({record.agency for record in records}):
        theirs = [record for record in records if record.agency == agency]
        known = court_events.known(conn, agency, [record.event_id for record in theirs])
        withdrawn = court_events.withdrawn(conn, agency, known)
        possible = _possible(conn, agency, theirs)
        told = [(*event.offender_ids, *event.not_theirs) for event in known.values()]
        offenders = court_events.lock(conn, set[int]().union(*possible.values(), *told))
        for record in sorted(theirs, key=lambda record: record.changed_at or now):
            event = known.get(record.event_id)
            holds = after(record, event)
            again = says_again(record, withdrawn.get(record.event_id))
            if holds is None or again or is_older(record, event):
                applied.unchanged += 1
                continue
            withdrawn.pop(record.event_id, None)
            already = set(event.offender_ids) if event else set[int]()
            not_theirs = set(event.not_theirs) if event and _is_as_it_was(holds, event) else set[int]()
            whose = {who for who in possible[record.row] if record.person and is_theirs(record.person, offenders[who])}
            holds = replace(holds, offender_ids=sorted((whose - not_theirs) | already), not_theirs=sorted(not_theirs))
            knows = {who: event if who in already else None for who in holds.offender_ids}
            kinds = {who: kind for who in holds.offender_ids if (kind := compare(record, knows[who], now))}
            if only is not None and not (kinds and set(kinds.values()) <= set(only)):
                applied.passed_over += 1
                continue
            for who, kind in kinds.items():
                applied.news.append(_keep_news(conn, run_id, kind, record, knows[who], offenders[who], now=now))
            applied.unchanged += not kinds
            applied.strangers += holds.state == "scheduled" and holds.planned_at > now and not holds.offender_ids
            court_events.keep(conn, agency, holds, news=bool(kinds), feed_run_id=run_id, now=now)
            known[record.event_id] = holds
    return applied


def _is_as_it_was(holds: CourtEvent, event: CourtEvent) -> bool:
    return (holds.state, holds.planned_at, holds.place) == (event.state, event.planned_at, event.place)


def _possible(conn: Connection, agency: str, records: Sequence[CourtRecord]) -> dict[int, set[int]]:
    """By the row of each record: the offenders who have its case number or its number of the person."""
    of_cases = court_events.of_cases(conn, {record.case_number for record in records})
    of_numbers = court_events.of_numbers(conn, agency, {record.number for record in records})
    return {
        record.row: {*of_cases.get(record.case_number, ()), *of_numbers.get(record.number, ())} for record in records
    }


def _keep_news(
    conn: Connection,
    run_id: int,
    kind: str,
    record: CourtRecord,
    knows: CourtEvent | None,
    offender: Offender,
    *,
    now: datetime,
) -> News:
    """Keep the event of an offender. What is off is named as they were told of it before."""
    about = replace(record, agency=offender.agency, number=offender.number, person=offender.person)
    if kind == "court_cancelled" and knows:
        about = replace(about, case_number=knows.case_number, planned_at=knows.planned_at, place=knows.place)
    event_id = custody.record(
        conn,
        offender.id,
        kind,
        Custody(offender.status, offender.facility, now),
        source=record.agency,
        # A tab is in no agency's own event ids, so that these cannot be mistaken for one.
        source_key=f"court\t{record.event_id}\t{offender.id}\t{run_id}\t{record.row}",
        feed_run_id=run_id,
        planned_at=about.planned_at,
        place=about.place,
        now=now,
    )
    return News(event_id, about, kind)
