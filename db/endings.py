"""Registrations that end by themselves: their offender is out of custody for long, and no court date is to come.

The last notice is a notification like others, of an event of the offender's. When it is confirmed, or the time for
calling is up, its registration ends, if all that still holds.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection, sql

from db import custody, registrations
from db.custody import Custody
from db.notifications import Plan

KIND = "registration_ending"
ITSELF = "movans"  # the source of what no agency told
_IS_KNOWN = sql.SQL(
    """o.agency <> all(%(silent)s) and not exists (
           select from held_change c join feed_run f on f.id = c.feed_run_id
           where (c.agency, c.number) = (o.agency, o.number) and f.outcome = 'held')"""
)
"""Where the offender is: no news of them is awaited from a silent agency, nor held."""


@dataclass(frozen=True)
class Due:
    """An offender, and those whose registrations for them are to end."""

    offender_id: int
    registration_ids: list[int]


def due(conn: Connection, *, silent: Collection[str], after: timedelta, most: int, now: datetime) -> list[Due]:
    """Whose registrations may be told that they end, locked against imports: nothing else waits to be told to them.

    Who registers later than that has the whole time from then on. So has everybody where news of the offender came
    later than that, as of a release that was long ago. Where it is not known whether they are back, it waits: because
    their agency is silent (``silent``: those that are), or a held run has news of them.
    """
    query = sql.SQL(
        """select o.id, registration_ids
           from (select offender_id, array_agg(r.id order by r.id) as registration_ids from registration r
                 where ended_at is null and created_at <= %(before)s and not exists (
                     select from notification where registration_id = r.id and state = 'open')
                 group by offender_id) waited
           join offender o on o.id = offender_id
           where o.since <= %(before)s and is_over(o, %(now)s) and not exists (
               select from custody_event e
               where e.offender_id = o.id and recorded_at > %(before)s and planned_at is null)
             and {is_known}
           order by o.id limit %(most)s for update of o skip locked"""
    )
    wanted = {"silent": list(silent), "before": now - after, "now": now, "most": most}
    rows = conn.execute(query.format(is_known=_IS_KNOWN), wanted)
    return [Due(*row) for row in rows]


def announce(conn: Connection, offender_id: int, *, now: datetime) -> int:
    """Keep the event that the last notices are of. It is no history of custody, as what is planned is none."""
    offender = custody.get(conn, offender_id)
    return custody.record(
        conn,
        offender.id,
        KIND,
        Custody(offender.status, offender.facility, offender.since),
        source=ITSELF,
        source_key=f"{KIND}\t{offender.id}\t{now.isoformat()}",
        feed_run_id=None,
        planned_at=now,
        now=now,
    )


def tell(conn: Connection, event_id: int, registration_ids: list[int], plan: Plan, *, now: datetime) -> None:
    """Make the last notices of these registrations, whatever they are to be told of. They supersede nothing."""
    conn.execute(
        """insert into notification (registration_id, event_id, created_at, called_as, priority, first_call_at,
                                     next_call_at, staff_at, give_up_at)
           select id, %(event)s, %(now)s, %(kind)s, %(priority)s, %(first_call_at)s,
                  %(first_call_at)s, %(staff_at)s, %(give_up_at)s
           from unnest(%(registrations)s::bigint[]) id""",
        {"event": event_id, "now": now, "kind": KIND, "registrations": registration_ids, **vars(plan)},
    )


def end(conn: Connection, *, silent: Collection[str], most: int, now: datetime) -> int:
    """End the registrations whose last notice was confirmed, or is no longer called; return how many.

    Not of whom something was heard since: it was told of another time out of custody, which is over. Nor while there is
    other news to be told, or it is not known whether they are back, as ``due`` says.
    """
    query = sql.SQL(
        """select r.id from custody_event e join notification n on n.event_id = e.id
           join registration r on r.id = n.registration_id join offender o on o.id = r.offender_id
           where e.kind = %(kind)s and r.ended_at is null and e.recorded_at > o.since and is_over(o, %(now)s)
             and (n.state in ('confirmed', 'closed') or n.state = 'open' and n.handed_over_at is not null)
             and not exists (select from notification other where other.registration_id = r.id
                             and other.state = 'open' and other.id <> n.id)
             and not exists (select from custody_event later where later.offender_id = o.id
                             and later.recorded_at > e.recorded_at and later.planned_at is null)
             and {is_known}
           order by o.id limit %(most)s for update of o skip locked"""
    )
    wanted = {"silent": list(silent), "kind": KIND, "most": most, "now": now}
    rows = conn.execute(query.format(is_known=_IS_KNOWN), wanted).fetchall()
    for (registration_id,) in rows:
        registrations.end(conn, registration_id, now=now)
    return len(rows)


def withdraw(conn: Connection, *, now: datetime) -> int:
    """What does not hold any more, because a court date was set, is not told; return how many notices that ended."""
    return conn.execute(
        """update notification n set state = 'retracted', ended_at = %(now)s, next_call_at = null
           from custody_event e join offender o on o.id = e.offender_id
           where e.kind = %(kind)s and n.event_id = e.id and n.state = 'open' and not is_over(o, %(now)s)""",
        {"kind": KIND, "now": now},
    ).rowcount
