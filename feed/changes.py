"""Keeping what rows changed: events, whom they are told, and what holds of an offender from then on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from psycopg import Connection

from db import custody, registrations
from db.custody import Custody, Details, Event, Happened, Latest, Offender
from dialer import policy
from feed.compare import (
    Change,
    apart,
    corrected,
    own_key,
)
from feed.known import Known, Run, update
from feed.records import CustodyRecord
from feed.report import Line
from movans.settings import Settings


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
            key = own_key(record.event_id or _made_up(record, change.kind), here.withdrawn if here else ())
            happened.append(
                Happened(offender_id, change.kind, record.custody, record.agency, key, run.id, reported=run.reported)
            )
    event_ids = iter(custody.record_all(conn, happened, now=run.now))
    registered = registrations.of_offenders(conn, ids.values())
    lines: list[list[Line]] = []
    for record, change in changed:
        event_id = None if change.event else next(event_ids)
        made = 0
        if event_id is not None and ids[record.agency, record.number] in registered:
            made = policy.notify(conn, event_id, late=change.late, settings=run.settings, now=run.now)
        lines.append([Line(record, change, made)])
    for (record, change), said in zip(changed, lines, strict=True):
        if change.apart:
            said.append(
                set_apart(
                    conn,
                    ids[record.agency, record.number],
                    known[record.agency, record.number].history,
                    known[record.agency, record.number].withdrawn,
                    record,
                    change.apart,
                    run_id=run.id,
                    reported=run.reported,
                    settings=run.settings,
                    now=run.now,
                )
            )
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


def set_apart(
    conn: Connection,
    offender_id: int,
    before: Sequence[Event],
    withdrawn: Sequence[Event],
    record: CustodyRecord,
    event: Event,
    *,
    run_id: int | None,
    who: str | None = None,
    reported: bool = False,
    quiet: bool = False,
    settings: Settings,
    now: datetime,
) -> Line:
    """Make two events of one, between whose times a record says something else: the other one is news by now.

    ``before``: what was known to have happened before that record.
    """
    history = custody.history(conn, offender_id)
    parts = apart(event, record.custody, before)
    kind, other = parts.kind, replace(record, custody=parts.other, event_id="")
    custody.restate(conn, event.id, parts.times, at=parts.at)
    event_id = custody.record(
        conn,
        offender_id,
        kind,
        parts.other,
        source=record.agency,
        source_key=own_key(_made_up(other, kind), [*history, *withdrawn]),
        feed_run_id=run_id,
        who=who,
        reported=reported,
        quiet=quiet,
        now=now,
    )
    custody.restate(conn, event_id, parts.other_times, at=parts.other.since)
    late = history[-1].effective_at > parts.other.since
    made = 0 if quiet else policy.notify(conn, event_id, late=late, settings=settings, now=now)
    return Line(other, Change("news", kind, late=late), made)


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
