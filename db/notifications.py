"""Notifications: the duty to tell one registrant of one event, until it ends."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class News:
    """What a registrant is told of one event. The facility is the offender's at the time of the event."""

    event_id: int
    kind: str
    first_name: str
    last_name: str
    facility: str
    effective_at: datetime


def make(conn: Connection, event_id: int, *, late: bool, keep_calling: timedelta, now: datetime) -> int:
    """Make the event's notifications, one for each live registration of its offender; return how many.

    What is open of the same registrations is superseded, unless the event came late and the others are the newer news.
    Nobody is called of an event whose kind is untold.
    """
    made = [
        registration_id
        for (registration_id,) in conn.execute(
            """insert into notification (registration_id, event_id, created_at, give_up_at, next_call_at)
               select r.id, e.id, %(now)s, %(now)s + %(keep_calling)s, %(now)s
               from custody_event e
               join event_kind using (kind)
               join registration r on r.offender_id = e.offender_id and r.ended_at is null
               where e.id = %(event)s and class <> 'untold'
               returning registration_id""",
            {"event": event_id, "now": now, "keep_calling": keep_calling},
        )
    ]
    if made and not late:
        conn.execute(
            """update notification set state = 'superseded', ended_at = %s, next_call_at = null
               where state = 'open' and registration_id = any(%s) and event_id <> %s""",
            [now, made, event_id],
        )
    return len(made)


def waiting(conn: Connection, attempt_id: int) -> list[News]:
    """What waits for whoever is registered at the attempt's telephone, the critical first, then as it happened.

    An event is told once, however many registrants share the telephone, so that it does not tell how many there are.
    From now on the attempt carries all of it.
    """
    carry(conn, [attempt_id])
    cursor = conn.cursor(row_factory=class_row(News))
    return cursor.execute(
        """select e.id as event_id, kind, first_name, last_name, e.facility, effective_at
           from custody_event e join event_kind using (kind) join offender o on o.id = e.offender_id
           where e.id in (select event_id from notification join attempt_carries on notification_id = id
                          where attempt_id = %s and state = 'open')
           order by class <> 'critical', effective_at, e.id""",
        [attempt_id],
    ).fetchall()


def carry(conn: Connection, attempt_ids: Iterable[int]) -> None:
    """Let the attempts carry what is open for whoever has their telephones."""
    conn.execute(
        """insert into attempt_carries
           select a.id, n.id from call_attempt a
           join telephone t using (number_hash)
           join registration r on r.registrant_id = t.registrant_id
           join notification n on n.registration_id = r.id and n.state = 'open'
           where a.id = any(%s)
           on conflict do nothing""",
        [list(attempt_ids)],
    )


def confirm(conn: Connection, registrant_id: int, event_ids: Iterable[int], *, now: datetime) -> int:
    """End the registrant's open notifications of these events as confirmed; return how many."""
    return conn.execute(
        """update notification set state = 'confirmed', ended_at = %s, next_call_at = null
           where state = 'open' and event_id = any(%s)
             and registration_id in (select id from registration where registrant_id = %s)""",
        [now, list(event_ids), registrant_id],
    ).rowcount


def call_next(conn: Connection, notification_id: int, at: datetime, place: int) -> None:
    conn.execute(
        "update notification set next_call_at = %s, next_place = %s where id = %s and state = 'open'",
        [at, place, notification_id],
    )


def hand_over(conn: Connection, notification_id: int, *, now: datetime) -> None:
    """The time for calling is up: from now on it is the staff's."""
    conn.execute(
        "update notification set next_call_at = null, handed_over_at = %s where id = %s and state = 'open'",
        [now, notification_id],
    )
