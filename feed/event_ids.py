"""Rows with an agency's own event ids: what such a row may say, and what it corrects."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from psycopg import Connection

from db import custody
from db.custody import Event
from feed.compare import (
    compare,
    overtaking,
    says_again,
)
from feed.known import Known, Run, local, lock_all
from feed.records import CustodyRecord, Refused


def checked(run: Run, records: Sequence[CustodyRecord], name: str) -> tuple[dict[tuple[str, str], Known], set[int]]:
    """What is known of whom rows speak of, locked, and the rows that correct an event by its id. Raises Refused."""
    known = lock_all(run.conn, records)
    _check_event_ids(run.conn, records, known, name)
    corrections = _corrections(records, known)
    _check_latest(corrections, known, name, run.zone)
    return known, {record.row for record, _ in corrections}


def _check_event_ids(
    conn: Connection, records: Sequence[CustodyRecord], known: dict[tuple[str, str], Known], name: str
) -> None:
    """An event's id that comes again must be of the same offender and say the same status. Raises Refused."""
    mistakes = []
    for agency in sorted({record.agency for record in records}):
        given = [record for record in records if record.agency == agency and record.event_id]
        events = custody.with_source_keys(conn, agency, [record.event_id for record in given])
        for record in given:
            here = known.get((agency, record.number))
            says = (here.offender.id if here else None, record.custody.status)
            if events.get(record.event_id, says) != says:
                mistakes.append(
                    f"{name}, row {record.row}: event_id {record.event_id!r} was given before, for another offender or"
                    " status; give each event an id of its own"
                )
    if mistakes:
        raise Refused(mistakes)


def _corrections(
    records: Sequence[CustodyRecord], known: dict[tuple[str, str], Known]
) -> Sequence[tuple[CustodyRecord, Event]]:
    """The rows that correct an event by its id, each with what is known of that."""
    found = []
    for record in records:
        here = known.get((record.agency, record.number))
        if here and record.event_id and not says_again(record.custody, here.withdrawn, record.event_id):
            event = compare(record.custody, here.history, record.event_id).event
            if event and event.has_id(record.event_id):
                found.append((record, event))
    return found


def _check_latest(
    corrections: Sequence[tuple[CustodyRecord, Event]], known: dict[tuple[str, str], Known], name: str, zone: ZoneInfo
) -> None:
    """A correction must not make another event the latest: status would turn round, and nobody be called.

    Raises Refused.
    """
    times: dict[tuple[str, str], dict[int, datetime]] = {}
    for record, event in corrections:
        times.setdefault((record.agency, record.number), {})[event.id] = record.custody.since
    mistakes = []
    for record, event in corrections:
        key = (record.agency, record.number)
        latest = known[key].history[-1]
        instead = overtaking(known[key].history, times[key])
        if instead and event.id in (latest.id, instead.id):
            other = instead if event.id == latest.id else latest
            mistakes.append(
                f"{name}, row {record.row}: event_id {record.event_id!r} would move past {_named(other, zone)}, so that"
                " another event would be the latest and nobody would be called; send what holds now as a new event,"
                f" with an event_id of its own and a time after {local(latest.effective_at, zone)}"
            )
    if mistakes:
        raise Refused(mistakes)


def _named(event: Event, zone: ZoneInfo) -> str:
    own = "" if "\t" in event.source_key else f"event_id {event.source_key!r}, "
    return f"{own}{event.status!r} since {local(event.effective_at, zone)}"
