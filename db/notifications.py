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
    status: str = "in custody"  # the offender's at the time of the event
    planned_at: datetime | None = None  # of what is to come: a release, a hearing, a court date
    place: str = ""  # where that will be, where it is known
    registrant_ids: tuple[int, ...] = ()  # those of this telephone whom it concerns
    openly: bool = True  # whether it may be said to whoever picks up, before a PIN was entered


def make(conn: Connection, event_id: int, *, late: bool, keep_calling: timedelta, now: datetime) -> int:
    """Make the event's notifications, one for each live registration of its offender that wants such; return how many.

    What is open of the same registrations and about the same, custody or court, is superseded, unless the event came
    late and the others are the newer news. But what is only planned supersedes no more than what was planned for the
    same time: it says nothing of where somebody is, or of another court date. Nobody is called of an event whose kind
    is untold.
    """
    made = [
        registration_id
        for (registration_id,) in conn.execute(
            """insert into notification (registration_id, event_id, created_at, give_up_at, next_call_at)
               select r.id, e.id, %(now)s, %(now)s + %(keep_calling)s, %(now)s
               from custody_event e
               join event_kind k using (kind)
               join registration r on r.offender_id = e.offender_id and r.ended_at is null
                    and case k.about when 'court' then r.court else r.custody end
               where e.id = %(event)s and class <> 'untold'
               returning registration_id""",
            {"event": event_id, "now": now, "keep_calling": keep_calling},
        )
    ]
    if made and not late:
        conn.execute(
            """update notification n set state = 'superseded', ended_at = %(now)s, next_call_at = null
               from custody_event e join event_kind k using (kind),
                    custody_event newer join event_kind by using (kind)
               where n.state = 'open' and registration_id = any(%(made)s) and n.event_id = e.id
                 and newer.id = %(event)s and e.id <> newer.id and k.about = by.about
                 and (newer.planned_at is null or e.planned_at = newer.planned_at)""",
            {"now": now, "made": made, "event": event_id},
        )
    return len(made)


def waiting(conn: Connection, attempt_id: int) -> list[News]:
    """What waits for whoever is registered at the attempt's telephone, the critical first, then as it happened.

    An event is told once, however many registrants share the telephone, so that it does not tell how many there are.
    From now on the attempt carries all of it.
    """
    carry(conn, [attempt_id])
    rows = conn.execute(
        """select e.id, kind, first_name, last_name, e.facility, effective_at, e.status, planned_at, place,
                  registrant_ids, openly
           from custody_event e join event_kind using (kind) join offender o on o.id = e.offender_id
           join (select n.event_id, array_agg(distinct g.id) as registrant_ids,
                        bool_or(proven_at is not null and not pin_first) as openly
                 from call_attempt a join attempt_carries on attempt_id = a.id
                 join notification n on n.id = notification_id and n.state = 'open'
                 join registration r on r.id = n.registration_id join registrant g on g.id = r.registrant_id
                 join telephone t on t.registrant_id = g.id and t.number_hash = a.number_hash and t.ended_at is null
                 where a.id = %s group by n.event_id) carried on event_id = e.id
           order by class <> 'critical', effective_at, e.id""",
        [attempt_id],
    )
    return [News(*row[:-2], registrant_ids=tuple(row[-2]), openly=row[-1]) for row in rows]


def open_for(conn: Connection, registrant_id: int) -> list[News]:
    """What waits to be told to a registrant, the critical first, then as it happened."""
    cursor = conn.cursor(row_factory=class_row(News))
    return cursor.execute(
        """select e.id as event_id, kind, first_name, last_name, e.facility, effective_at, e.status, planned_at, place
           from notification n join registration r on r.id = registration_id
           join custody_event e on e.id = event_id join event_kind using (kind) join offender o on o.id = e.offender_id
           where r.registrant_id = %s and n.state = 'open'
           order by class <> 'critical', effective_at, e.id""",
        [registrant_id],
    ).fetchall()


def carry(conn: Connection, attempt_ids: Iterable[int]) -> None:
    """Let the attempts carry what is open for whoever has their telephones."""
    conn.execute(
        """insert into attempt_carries
           select a.id, n.id from call_attempt a
           join telephone t on t.number_hash = a.number_hash and t.ended_at is null
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
