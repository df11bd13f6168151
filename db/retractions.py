"""Events that a person withdraws: they never happened. What is open of them ends, and who heard of them is told."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection


@dataclass(frozen=True)
class Extent:
    """How many events are, or would be, withdrawn; how many open notifications end; how many people are called."""

    events: int
    open: int
    people: int


def of_run(conn: Connection, run_id: int) -> list[int]:
    """The events of a run that can be withdrawn, or of which not everybody has been told that they were.

    Not those by which somebody was listed: nobody was told of them, and they are how that person is known at all.
    """
    rows = conn.execute(
        """select id from custody_event
           where feed_run_id = %s and kind not in ('listed', 'corrected', 'corrected_court') and corrected_at is null
           order by id""",
        [run_id],
    )
    return [event_id for (event_id,) in rows]


def of_event(conn: Connection, event_id: int) -> list[int]:
    """The event, where it can be withdrawn as one of a run can.

    Of a court date, with it what else its run told of that date: to the same offender, where the event is that it was
    set; else to anybody, as it cannot be moved or cancelled for one alone. Where it was set and others have it, too, it
    was told of the wrong person: then with it what was told of that date and offender since.
    """
    rows = conn.execute(
        """select o.id from custody_event e join custody_event o on o.id = e.id
               or (starts_with(e.kind, 'court_') and starts_with(o.kind, 'court_')
                   and (o.feed_run_id, o.source, split_part(o.source_key, e'\t', 2))
                       = (e.feed_run_id, e.source, split_part(e.source_key, e'\t', 2))
                   and (o.offender_id = e.offender_id or e.kind <> 'court_scheduled'))
               or (e.kind = 'court_scheduled' and starts_with(o.kind, 'court_') and o.id > e.id
                   and (o.offender_id, o.source, split_part(o.source_key, e'\t', 2))
                       = (e.offender_id, e.source, split_part(e.source_key, e'\t', 2))
                   and exists (
                       select from court_event c join court_event_of l on l.court_event_id = c.id
                       where (c.agency, c.source_key) = (e.source, split_part(e.source_key, e'\t', 2))
                         and l.offender_id <> e.offender_id and l.retracted_at is null))
           where e.id = %s and e.kind not in ('listed', 'corrected', 'corrected_court')
             and e.corrected_at is null and o.corrected_at is null order by o.id""",
        [event_id],
    )
    return [event_id for (event_id,) in rows]


def extent(conn: Connection, event_ids: list[int]) -> Extent:
    row = conn.execute(
        """select (select count(*) from notification where state = 'open' and event_id = any(%(events)s)),
                  (select count(distinct h.registrant_id) from heard h join registration r on r.id = registration_id
                   where h.event_id = any(%(events)s) and ended_at is null)""",
        {"events": event_ids},
    ).fetchone()
    return Extent(len(event_ids), *(row or (0, 0)))


def offenders(conn: Connection, event_ids: list[int]) -> list[int]:
    """Whose events these are, locked as offenders are."""
    rows = conn.execute(
        """select id from offender where id in (select offender_id from custody_event where id = any(%s))
           order by id for update""",
        [event_ids],
    )
    return [offender_id for (offender_id,) in rows]


def withdraw(conn: Connection, event_ids: list[int], *, now: datetime) -> int:
    """End what is open of the events; return how many. What they had superseded and nobody has heard is open again.

    So is what was superseded by something that was withdrawn earlier, which these had superseded.
    """
    conn.execute(
        "update custody_event set retracted_at = %s where id = any(%s) and retracted_at is null", [now, event_ids]
    )
    ended = conn.execute(
        """update notification set state = 'retracted', ended_at = %s, next_call_at = null
           where state = 'open' and event_id = any(%s) returning id""",
        [now, event_ids],
    ).fetchall()
    conn.execute(
        """with recursive unheard (id, registration_id, created_at) as (
               select n.id, n.registration_id, n.created_at from notification n
               where n.id = any(%(ended)s) and not exists (select from heard h where h.notification_id = n.id)
               union
               select s.id, s.registration_id, s.created_at from unheard n
               join notification s on s.registration_id = n.registration_id
                    and s.state = 'superseded' and s.ended_at = n.created_at
               join custody_event e on e.id = s.event_id and e.retracted_at is not null
               where not exists (select from heard h where h.notification_id = s.id))
           update notification s set state = 'open', ended_at = null, handed_over_at = null, next_call_at = %(now)s,
               called_as = coalesce(s.called_as, e.kind), first_call_at = coalesce(s.first_call_at, s.created_at)
           from unheard n, registration r, custody_event e
           where r.id = n.registration_id and r.ended_at is null
             and s.registration_id = n.registration_id and s.state = 'superseded' and s.ended_at = n.created_at
             and e.id = s.event_id and e.retracted_at is null""",
        {"now": now, "ended": [notification_id for (notification_id,) in ended]},
    )
    return len(ended)


def heard(conn: Connection, event_ids: list[int]) -> dict[tuple[int, str], list[int]]:
    """By the offender and what it was about, custody or court: the registrations that heard of the events, or may have.

    A call that was picked up just before they were withdrawn is waited for: it has read what it tells.
    """
    conn.execute("select from call_attempt where state <> 'ended' order by id for update")
    found: dict[tuple[int, str], list[int]] = {}
    for offender_id, about, registration_id in conn.execute(
        """select distinct h.offender_id, k.about, r.id from heard h join registration r on r.id = registration_id
           join custody_event e on e.id = event_id join event_kind k using (kind)
           where h.event_id = any(%s) and r.ended_at is null order by 1, 2, 3""",
        [event_ids],
    ):
        found.setdefault((offender_id, about), []).append(registration_id)
    return found


def note_corrected(conn: Connection, event_ids: Iterable[int], *, now: datetime) -> None:
    conn.execute("update custody_event set corrected_at = %s where id = any(%s)", [now, list(event_ids)])


def run_of(conn: Connection, event_id: int) -> int | None:
    """By which run an event came; None where no run brought it."""
    row = conn.execute("select feed_run_id from custody_event where id = %s", [event_id]).fetchone()
    if row is None:
        raise LookupError(f"there is no event {event_id}")
    return row[0]
