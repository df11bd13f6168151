"""Notifications: the duty to tell one registrant of one event, until it ends."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

from db import alerts
from db.custody import PLANS, Custody

CORRECTIONS = ("corrected", "corrected_court")  # of what was told of custody, or of a court date


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
    planned_at: datetime | None = None  # of what is to come: a release, a hearing, a court date, if one is known
    place: str = ""  # where that will be, where it is known
    registrant_ids: tuple[int, ...] = ()  # those of this telephone whom it concerns
    openly: bool = True  # whether it may be said to whoever picks up, before a PIN was entered
    earlier: tuple["News", ...] = ()  # what it superseded before that could be confirmed, as it happened
    present: Custody | None = None  # what holds now, where the event came late and is older
    reported: bool = False  # it is not yet confirmed: it came by a file that changes too much to be believed


@dataclass(frozen=True)
class Subject:
    """What the policy goes by: a kind of event, its class, and whose offender it is about."""

    kind: str
    urgency: str
    agency: str


@dataclass(frozen=True)
class Plan:
    """What a notification begins with: its place among others, when it is called first, and when no more."""

    priority: int
    first_call_at: datetime
    staff_at: datetime | None  # from when staff are told of it while calls go on
    give_up_at: datetime


def subject(conn: Connection, event_id: int) -> Subject:
    cursor = conn.cursor(row_factory=class_row(Subject))
    found = cursor.execute(
        """select kind, class as urgency, agency from custody_event e join event_kind using (kind)
           join offender o on o.id = offender_id where e.id = %s""",
        [event_id],
    ).fetchone()
    if found is None:
        raise LookupError(f"there is no event {event_id}")
    return found


def make(
    conn: Connection,
    event_id: int,
    *,
    late: bool,
    registrations: list[int] | None = None,
    plan: Plan,
    now: datetime,
) -> int:
    """Make the event's notifications, one for each live registration of its offender that wants such; return how many.

    Where ``registrations`` are given, for those alone, whatever they want.
    What is open of the same registrations and about the same, custody or court, is superseded, unless the event came
    late and the others are the newer news. But what is only planned supersedes no more than what was planned for the
    same time: it says nothing of where somebody is, or of another court date. A day of release supersedes any other.
    A correction supersedes any other that is about the same, even where it came late: what is right now is said once.
    What supersedes is called no later than what it supersedes would have been, and by the policy of the more urgent of
    the two: news that is held is joined, and nobody who waits for a call waits longer because there is more to tell.
    Nobody is called of an event whose kind is untold.
    """
    made = [
        registration_id
        for (registration_id,) in conn.execute(
            """insert into notification (registration_id, event_id, created_at, called_as, priority, first_call_at,
                                         next_call_at, staff_at, give_up_at)
               select r.id, e.id, %(now)s, kind, %(priority)s, %(first_call_at)s,
                      %(first_call_at)s, %(staff_at)s, %(give_up_at)s
               from custody_event e
               join event_kind k using (kind)
               join registration r on r.offender_id = e.offender_id and r.ended_at is null
                    and case when %(registrations)s::bigint[] is not null then r.id = any(%(registrations)s)
                             when k.about = 'court' then r.court else r.custody end
               where e.id = %(event)s and class <> 'untold'
               returning registration_id""",
            {"event": event_id, "registrations": registrations, "now": now, **vars(plan)},
        )
    ]
    if made:
        conn.execute(
            """with superseded as (
                   update notification n set state = 'superseded', ended_at = %(now)s, next_call_at = null
                   from notification was,
                        custody_event e join event_kind k using (kind),
                        custody_event newer join event_kind by using (kind)
                   where was.id = n.id and n.state = 'open' and n.registration_id = any(%(made)s)
                     and n.event_id = e.id and newer.id = %(event)s and e.id <> newer.id and k.about = by.about
                     and (newer.kind = e.kind and e.kind = any(%(corrections)s) or not %(late)s and (
                          newer.planned_at is null or e.planned_at = newer.planned_at
                          or (newer.kind = any(%(plans)s) and e.kind = any(%(plans)s))))
                   returning n.registration_id, was.next_call_at, n.called_as, n.priority, n.staff_at),
               before as (
                   select registration_id, min(next_call_at) as next_call_at, min(staff_at) as staff_at,
                          min(priority) filter (where next_call_at is not null) as priority,
                          (array_agg(called_as order by next_call_at is null, priority))[1] as called_as
                   from superseded group by registration_id)
               update notification n set
                   called_as = case when before.priority < n.priority then before.called_as else n.called_as end,
                   priority = least(n.priority, before.priority),
                   first_call_at = least(n.first_call_at, before.next_call_at),
                   next_call_at = least(n.next_call_at, before.next_call_at),
                   staff_at = least(n.staff_at, before.staff_at)
               from before where n.event_id = %(event)s and n.registration_id = before.registration_id""",
            {
                "now": now,
                "made": made,
                "event": event_id,
                "plans": list(PLANS),
                "corrections": list(CORRECTIONS),
                "late": late,
            },
        )
    return len(made)


def people(conn: Connection, offender_id: int, *, now: datetime) -> int:
    """How many registrants are to be told of what has just become known of an offender."""
    row = conn.execute(
        """select count(distinct registrant_id) from notification n join registration r on r.id = registration_id
           where offender_id = %s and n.created_at = %s""",
        [offender_id, now],
    ).fetchone()
    return row[0] if row else 0


def waiting(conn: Connection, attempt_id: int, *, now: datetime) -> list[News]:
    """What waits for whoever is registered at the attempt's telephone, the most important first, then as it happened.

    An event is told once, however many registrants share the telephone, so that it does not tell how many there are.
    From now on the attempt carries all of it.
    """
    rows = conn.execute(
        """with waits as (
               select a.id as attempt_id, n.id, n.event_id, priority, g.id as registrant_id,
                      proven_at is not null and not pin_first as openly
               from call_attempt a
               join telephone t on t.number_hash = a.number_hash and t.ended_at is null
               join registrant g on g.id = t.registrant_id
               join registration r on r.registrant_id = g.id
               join notification n on n.registration_id = r.id and n.state = 'open'
               where a.id = %s),
           carried as (insert into attempt_carries select attempt_id, id from waits on conflict do nothing)
           select e.id, kind, first_name, last_name, e.facility, effective_at, e.status, planned_at, place,
                  registrant_ids, openly, reported
           from custody_event e join offender o on o.id = e.offender_id
           join (select event_id, array_agg(distinct registrant_id) as registrant_ids, min(priority) as priority,
                        bool_or(openly) as openly
                 from waits group by event_id) told on event_id = e.id
           order by priority, effective_at, e.id""",
        [attempt_id],
    )
    return _in_full(
        conn,
        [
            News(*row, registrant_ids=tuple(registrant_ids), openly=openly, reported=reported)
            for *row, registrant_ids, openly, reported in rows
        ],
        now=now,
    )


def open_for(conn: Connection, registrant_id: int, *, now: datetime) -> list[News]:
    """What waits to be told to a registrant, the most important first, then as it happened."""
    rows = conn.execute(
        """select e.id, kind, first_name, last_name, e.facility, effective_at, e.status, planned_at, place, reported
           from notification n join registration r on r.id = registration_id
           join custody_event e on e.id = event_id join offender o on o.id = e.offender_id
           where r.registrant_id = %s and n.state = 'open'
           order by n.priority, effective_at, e.id""",
        [registrant_id],
    )
    news = [News(*row, registrant_ids=(registrant_id,), reported=reported) for *row, reported in rows]
    return _in_full(conn, news, now=now)


def _in_full(conn: Connection, news: list[News], *, now: datetime) -> list[News]:
    """The same with what each leaves out: what it superseded unheard, and what holds now where it came late.

    What corrects a court date has the one that comes next after now.
    """
    by_event = {item.event_id: item for item in news}
    for event_id, came_late, may_supersede, of_court, court_at, court_place, *present in conn.execute(
        """select e.id, about = 'custody' and e.planned_at is null and effective_at < since,
                  exists (select from registration r join notification n on n.registration_id = r.id
                          where r.offender_id = o.id and registrant_id = any(%(registrants)s)
                            and n.state = 'superseded'),
                  kind = 'corrected_court', next.planned_at, coalesce(next.place, ''), o.status, o.facility, since
           from custody_event e join event_kind using (kind) join offender o on o.id = offender_id
           left join lateral next_court_date(o, %(now)s) next on kind = 'corrected_court'
           where e.id = any(%(events)s)""",
        {
            "events": list(by_event),
            "registrants": [registrant_id for item in news for registrant_id in item.registrant_ids],
            "now": now,
        },
    ).fetchall():
        by_event[event_id] = replace(
            by_event[event_id],
            earlier=_superseded(conn, by_event[event_id]) if may_supersede else (),
            present=Custody(*present) if came_late else None,
        )
        if of_court:
            by_event[event_id] = replace(by_event[event_id], planned_at=court_at, place=court_place)
    return list(by_event.values())


def _superseded(conn: Connection, item: News) -> tuple[News, ...]:
    """What it superseded unheard; of what was planned of somebody, what is not done with, as they are in custody.

    Of days of release, it is the one that holds; of corrections, the latest that was made.
    """
    return tuple(
        News(*row, reported=reported)
        for *row, reported in conn.execute(
            """select e.id, kind, first_name, last_name, e.facility, effective_at, e.status, planned_at, place, reported
               from custody_event e join offender o on o.id = e.offender_id join event_kind using (kind)
               where retracted_at is null
                 and (planned_at is null or (about = 'custody' and kind <> 'registration_ending' and exists (
                          select from custody_event where id = %(event)s and status = 'in custody')))
                 and (kind <> all(%(plans)s) or still_due(e, o))
                 and e.id in (
                   select before.event_id
                   from notification n
                   join registration r on r.id = n.registration_id and registrant_id = any(%(registrants)s)
                   join notification before on before.registration_id = r.id and before.state = 'superseded'
                   where n.event_id = %(event)s and n.state = 'open'
                     and not exists (select from notification later join custody_event l on l.id = later.event_id
                                     join custody_event e on e.id = before.event_id
                                     where later.registration_id = r.id and later.id > before.id
                                       and l.kind = e.kind and e.kind = any(%(corrections)s))
                     and n.id = (select o.id from notification o join custody_event e on e.id = o.event_id
                                 where o.registration_id = r.id and o.state = 'open' and planned_at is null
                                   and o.created_at >= before.ended_at order by o.created_at, o.id limit 1)
                     and not exists (select from notification told join custody_event e on e.id = told.event_id
                                     where told.registration_id = r.id and planned_at is null
                                       and told.state in ('confirmed', 'closed') and told.ended_at >= before.ended_at))
               order by effective_at, e.id""",
            {
                "event": item.event_id,
                "registrants": list(item.registrant_ids),
                "plans": list(PLANS),
                "corrections": list(CORRECTIONS),
            },
        )
    )


def end_plans(conn: Connection, offender_ids: Iterable[int], *, now: datetime) -> None:
    """What waits to be told of a release that is not due on that day any more is not told."""
    ids = list(offender_ids)
    if not ids:
        return
    conn.execute(
        """update notification n set state = 'retracted', ended_at = %s, next_call_at = null
           from custody_event e join offender o on o.id = e.offender_id
           where n.event_id = e.id and n.state = 'open' and o.id = any(%s) and e.kind = any(%s)
             and not still_due(e, o)""",
        [now, ids, list(PLANS)],
    )


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


def waiting_for(conn: Connection, offender_id: int, kind: str) -> list[int]:
    """The registrations for whom an event of this kind and offender is open."""
    rows = conn.execute(
        """select registration_id from notification n join custody_event e on e.id = n.event_id
           where n.state = 'open' and offender_id = %s and kind = %s order by 1""",
        [offender_id, kind],
    )
    return [registration_id for (registration_id,) in rows]


def confirm(conn: Connection, registrant_id: int, event_ids: Iterable[int], *, now: datetime) -> int:
    """End the registrant's open notifications of these events as confirmed; return how many."""
    return conn.execute(
        """update notification set state = 'confirmed', ended_at = %s, next_call_at = null
           where state = 'open' and event_id = any(%s)
             and registration_id in (select id from registration where registrant_id = %s)""",
        [now, list(event_ids), registrant_id],
    ).rowcount


def call_next(
    conn: Connection, notification_id: int, at: datetime, place: int, *, trunk: int = 1, rung: bool = True
) -> None:
    """Call it then; ``rung`` where the call before rang a telephone."""
    conn.execute(
        """update notification set next_call_at = %s, next_place = %s, next_trunk = %s, rung = rung or %s
           where id = %s and state = 'open'""",
        [at, place, trunk, rung, notification_id],
    )


def due(conn: Connection, *, now: datetime) -> list[Subject]:
    """By whose policies what is due is called."""
    cursor = conn.cursor(row_factory=class_row(Subject))
    return cursor.execute(
        """select distinct k.kind, class as urgency, agency
           from notification n join event_kind k on k.kind = called_as
           join custody_event e on e.id = event_id join offender o on o.id = offender_id where next_call_at <= %s""",
        [now],
    ).fetchall()


def put_off(conn: Connection, subject: Subject, until: datetime, *, now: datetime) -> list[int]:
    """Call what is due of the subject later; return that of which the time for calling is up by then.

    What an import holds at the moment stays: nobody waits here.
    """
    rows = conn.execute(
        """update notification set next_call_at = %(until)s
           where id in (select n.id from notification n join custody_event e on e.id = event_id
                        join offender o on o.id = offender_id
                        where called_as = %(kind)s and agency = %(agency)s and next_call_at <= %(now)s
                        for update of n skip locked)
           returning id, give_up_at""",
        {"until": until, "now": now, **vars(subject)},
    )
    return [notification_id for notification_id, give_up_at in rows if give_up_at < until]


def hand_over(conn: Connection, notification_id: int, *, alert: bool, now: datetime) -> None:
    """The time for calling is up: from now on it is the staff's, who are told at once, or find it when they look."""
    about = conn.execute(
        """update notification n set next_call_at = null, handed_over_at = %s
           from custody_event e join offender o on o.id = offender_id
           where n.id = %s and n.state = 'open' and e.id = event_id returning kind, agency, number""",
        [now, notification_id],
    ).fetchone()
    if about is None:
        return
    alerts.over(conn, alerts.UNCONFIRMED % notification_id, now=now)
    if alert:
        says = "Notification {} ({}, {} {}) was not confirmed, and is no longer called: movans report"
        alerts.add(conn, alerts.HANDED_OVER % notification_id, says.format(notification_id, *about), now=now)


def close(conn: Connection, notification_id: int, *, now: datetime) -> int | None:
    """A person has seen to it; return whose it was, None where it was not open."""
    row = conn.execute(
        """update notification n set state = 'closed', ended_at = %s, next_call_at = null from registration r
           where n.id = %s and n.state = 'open' and r.id = registration_id returning registrant_id""",
        [now, notification_id],
    ).fetchone()
    alerts.settle(conn, now=now)
    return row[0] if row else None


def state(conn: Connection, notification_id: int) -> str | None:
    row = conn.execute("select state from notification where id = %s", [notification_id]).fetchone()
    return row[0] if row else None
