"""Keeping what rows changed: events, whom they are told, and what holds of an offender from then on."""

from collections.abc import Sequence
from dataclasses import replace

from psycopg import Connection

from db import custody, registrations
from db.custody import Custody, Details, Event, Happened, Latest, Offender
from feed.compare import (
    Change,
    apart,
    corrected,
    own_key,
)
from feed.known import Known, Run, Teller, update
from feed.records import CustodyRecord
from feed.report import Line


def apply_changes(
    run: Run, changed: Sequence[tuple[CustodyRecord, Change]], known: dict[tuple[str, str], Known]
) -> list[list[Line]]:
    """Keep what rows changed, each of another offender; return what there is to say of each.

    What is known of an offender is always what the latest event says, whatever came late or was corrected. From then
    on ``known`` says so.
    """
    if not changed:
        return []
    conn = run.conn
    whose = {(record.agency, record.number): record for record, _ in changed}
    new = {
        key: Latest(record.person, record.custody, Details(**record.details), run.told_at)
        for key, record in whose.items()
        if key not in known
    }
    ids = {key: known[key].offender.id for key in whose if key in known} | custody.add_all(conn, new)
    happened: list[Happened] = []
    for record, change in changed:
        offender_id, here = ids[record.agency, record.number], known.get((record.agency, record.number))
        if change.event:
            custody.amend(
                conn,
                change.event.id,
                corrected(change.event, record.custody, record.event_id),
                stated=record.custody.since,
                by_id=change.event.has_id(record.event_id),
            )
        else:
            # What is taken apart may have been of this time, too.
            others = [*here.withdrawn, *(here.history if change.apart else ())] if here else []
            key = own_key(record.event_id or _made_up(record, change.kind), others)
            happened.append(run.teller.happened(offender_id, change.kind, record.custody, record.agency, key))
    event_ids = iter(custody.record_all(conn, happened, now=run.now))
    registered = registrations.of_offenders(conn, ids.values())
    lines: list[list[Line]] = []
    for record, change in changed:
        event_id = None if change.event else next(event_ids)
        made = 0
        if event_id is not None and ids[record.agency, record.number] in registered:
            made = run.teller.notify(conn, event_id, late=change.late)
        lines.append([Line(record, change, made)])
    for (record, change), said in zip(changed, lines, strict=True):
        if change.apart:
            said.append(set_apart(conn, run.teller, known[record.agency, record.number], record, change.apart))
    histories = custody.histories(conn, ids.values())
    known |= {key: Known(one.of(ids[key], *key), histories[ids[key]]) for key, one in new.items()}
    latest: dict[tuple[str, str], Latest] = {}
    for key in (key for key in whose if key not in new):
        here = known[key] = replace(known[key], history=histories[ids[key]])
        if here.history:
            latest[key] = _latest(run, here.offender, here.history[-1], whose[key])
    update(conn, latest, known)
    return lines


def _made_up(record: CustodyRecord, kind: str) -> str:
    """A key for an event. A tab is in no agency's own ids, so that it cannot be mistaken for one."""
    return f"{record.number}\t{kind}\t{record.custody.since.isoformat()}"


def set_apart(conn: Connection, teller: Teller, known: Known, record: CustodyRecord, event: Event) -> Line:
    """Make two events of one, between whose times a record says something else: the other one is news by now.

    ``known``: before that record.
    """
    offender_id = known.offender.id
    history = custody.history(conn, offender_id)
    parts = apart(event, record.custody, known.history)
    kind, other = parts.kind, replace(record, custody=parts.other, event_id="")
    custody.restate(conn, event.id, parts.times, at=parts.at)
    key = own_key(_made_up(other, kind), [*history, *known.withdrawn])
    happened = teller.happened(offender_id, kind, parts.other, record.agency, key)
    happened = replace(happened, apart_from=event.id, apart_at=event.effective_at)
    (event_id,) = custody.record_all(conn, [happened], now=teller.now)
    custody.restate(conn, event_id, parts.other_times, at=parts.other.since)
    late = history[-1].effective_at > parts.other.since
    return Line(other, Change("news", kind, late=late), teller.notify(conn, event_id, late=late))


def _latest(run: Run, offender: Offender, latest: Event, record: CustodyRecord) -> Latest:
    """What holds of an offender whose latest event this is, after a row of theirs."""
    state = Custody(latest.status, latest.facility, latest.effective_at)
    if record.custody.since < latest.effective_at:  # the row says nothing of the present
        return Latest(offender.person, state, offender.details, offender.known_at)
    person, details = record.person_after(offender.person), record.details_after(offender.details)
    return Latest(person, state, details, max(run.told_at, offender.known_at))


def corrected_person(run: Run, offender: Offender, record: CustodyRecord) -> Latest | None:
    """What holds once a name, a date of birth or one of the details is corrected; None where there is nothing."""
    person, details = record.person_after(offender.person), record.details_after(offender.details)
    if (person, details) == (offender.person, offender.details):
        return None
    return Latest(person, offender.custody, details, max(run.told_at, offender.known_at))
