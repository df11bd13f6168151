"""Events that a person withdraws: they never happened. What is open of them ends, and who heard of them is told."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class Extent:
    """How many events are, or would be, withdrawn; how many open notifications end; how many people are called."""

    events: int
    open: int
    people: int


def of_run(conn: Connection, run_id: int) -> list[int]:
    """The events of a run that can be withdrawn, or of which not everybody has been told that they were.

    Not those by which somebody was listed: nobody was told of them, and they are how that person is known at all. Nor
    what it showed to be another event than was thought, where something else shows that, too.
    """
    rows = conn.execute(
        """select id from custody_event
           where feed_run_id = %s and kind not in ('listed', 'corrected', 'corrected_court') and corrected_at is null
           order by id""",
        [run_id],
    )
    event_ids = [event_id for (event_id,) in rows]
    stays = {half.id for half in _halves(conn, event_ids) if half.is_apart}
    return with_halves(conn, [event_id for event_id in event_ids if event_id not in stays])


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
    return with_halves(conn, [event_id for (event_id,) in rows])


def with_halves(conn: Connection, event_ids: list[int]) -> list[int]:
    """Events that are to be withdrawn, and then what was taken for another event only because of them."""
    return event_ids + [half.id for half in _halves(conn, event_ids) if not half.is_apart and half.id not in event_ids]


@dataclass(frozen=True)
class _Half:
    """An event that was taken for the same as another one that stands.

    ``is_apart``: something lies between the two that is not to be withdrawn; else only what is, does.
    """

    id: int
    whole: int
    is_apart: bool


def _halves(conn: Connection, event_ids: list[int]) -> list[_Half]:
    """Of whom these events are to be withdrawn: what was two and may be one again, the newest first.

    So is what is one again already, where who heard of it has not been told.
    """
    cursor = conn.cursor(row_factory=class_row(_Half))
    return cursor.execute(
        """select half.id, whole.id as whole, coalesce(is_apart, false) as is_apart
           from custody_event half join custody_event whole on whole.id = half.apart_from
           cross join lateral (
               select bool_or(id <> all(%(events)s)) as is_apart, bool_or(id = any(%(events)s)) as was
               from custody_event b
               where offender_id = half.offender_id and id not in (half.id, whole.id)
                 and (retracted_at is null or id = any(%(events)s))
                 and planned_at is null and kind not in ('corrected', 'corrected_court')
                 and ((effective_at, id) > (half.effective_at, half.id))
                     <> ((effective_at, id) > (whole.effective_at, whole.id))) between_them
           where half.apart_from is not null and half.corrected_at is null
             and half.offender_id in (select offender_id from custody_event where id = any(%(events)s))
             and whole.retracted_at is null and (whole.id <> all(%(events)s) or whole.apart_from is not null)
             and half.status = whole.status and (half.facility = whole.facility or half.status <> 'in custody')
             and (was or is_apart or half.stated_times = '{}')
           order by half.id desc""",
        {"events": event_ids},
    ).fetchall()


def join(conn: Connection, event_ids: list[int]) -> None:
    """Give back their times to events of which others had been taken only because of these, which were none.

    To be done before the events are withdrawn; of those that are already it does nothing.
    """
    for half in _halves(conn, event_ids):
        if half.is_apart or half.id not in event_ids:
            continue
        which = {"half": half.id, "whole": half.whole}
        conn.execute(
            """update custody_event whole set stated_times = whole.stated_times || half.stated_times,
                   effective_at = case when half.apart_at = any(half.stated_times) then half.effective_at
                                       when half.apart_at = any(whole.stated_times) then whole.effective_at
                                       else greatest(half.effective_at, whole.effective_at) end,
                   denied_at = coalesce(whole.denied_at, half.denied_at)
               from custody_event half
               where half.id = %(half)s and whole.id = %(whole)s and half.retracted_at is null""",
            which,
        )
        conn.execute("update custody_event set stated_times = '{}' where id = %(half)s and retracted_at is null", which)
        conn.execute("update custody_event set apart_from = %(whole)s where apart_from = %(half)s", which)


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
