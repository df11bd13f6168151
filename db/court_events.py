"""Court dates, and whose they are."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection
from psycopg.rows import class_row

from db.custody import OFFENDER, Offender

State = Literal["scheduled", "cancelled", "deleted", "withdrawn"]


@dataclass(frozen=True)
class CourtEvent:
    """The latest that its court said of a court date, and when it says that it did.

    ``offender_ids``: whose it is, of those whom a jail has told us of. ``not_theirs``: of whom that was said and is
    withdrawn. Where all that was ever said of it is withdrawn, the state is so.
    """

    source_key: str
    case_number: str
    planned_at: datetime
    place: str
    state: State
    changed_at: datetime | None = None
    offender_ids: Collection[int] = ()
    not_theirs: Collection[int] = ()


@dataclass(frozen=True)
class CourtDate:
    """A court date that is to come. The place is empty where it is not known."""

    at: datetime
    place: str


@dataclass(frozen=True)
class Said:
    """What a court said of a date."""

    planned_at: datetime
    place: str
    state: State
    changed_at: datetime | None


def known(conn: Connection, agency: str, source_keys: Iterable[str]) -> dict[str, CourtEvent]:
    """Of the court dates of these ids: those that are known."""
    cursor = conn.cursor(row_factory=class_row(CourtEvent))
    found = cursor.execute(
        """select source_key, case_number, planned_at, place, state, changed_at,
                  array(select offender_id from court_event_of
                        where court_event_id = id and retracted_at is null) as offender_ids,
                  array(select offender_id from court_event_of
                        where court_event_id = id and retracted_at is not null) as not_theirs
           from court_event where agency = %s and source_key = any(%s)""",
        [agency, list(source_keys)],
    )
    return {event.source_key: event for event in found}


def withdrawn(conn: Connection, agency: str, source_keys: Iterable[str]) -> dict[str, Said]:
    """Of the court dates of these ids: what the court said last, where that is withdrawn and does not hold."""
    rows = conn.execute(
        """select source_key, last.planned_at, last.place, last.state, last.changed_at
           from court_event e cross join lateral (
               select * from court_said where court_event_id = e.id order by id desc limit 1) last
           where agency = %s and source_key = any(%s) and last.retracted_at is not null
             and (last.state, last.planned_at, last.place) is distinct from (e.state, e.planned_at, e.place)""",
        [agency, list(source_keys)],
    )
    return {key: Said(*said) for key, *said in rows}


def of_cases(conn: Connection, case_numbers: Iterable[str]) -> dict[str, list[int]]:
    """The offenders of each of these court cases, of whatever agency."""
    found: dict[str, list[int]] = {}
    for case_number, offender_id in conn.execute(
        """select distinct case_number, offender_id
           from unnest(%s::text[]) as of (case_number) join offender_case on keys = keyed(case_number)""",
        [list(case_numbers)],
    ):
        found.setdefault(case_number, []).append(offender_id)
    return found


def of_numbers(conn: Connection, agency: str, numbers: Iterable[str]) -> dict[str, list[int]]:
    """The agency's offender of each of these numbers."""
    rows = conn.execute(
        "select number, array[id] from offender where agency = %s and number = any(%s)", [agency, list(numbers)]
    )
    return dict(rows.fetchall())


def lock(conn: Connection, offender_ids: Iterable[int]) -> dict[int, Offender]:
    """These offenders, kept from registrations and other feed runs until the transaction ends."""
    cursor = conn.cursor(row_factory=class_row(Offender))
    found = cursor.execute(OFFENDER + "where id = any(%s) order by id for update", [list(offender_ids)])
    return {offender.id: offender for offender in found}


def next_of(conn: Connection, offender_id: int, *, now: datetime) -> CourtDate | None:
    """The court date of an offender that comes next after now, as whoever asks hears it."""
    cursor = conn.cursor(row_factory=class_row(CourtDate))
    return cursor.execute(
        """select next.planned_at as at, next.place from offender o, next_court_date(o, %s) next where o.id = %s""",
        [now, offender_id],
    ).fetchone()


def keep(
    conn: Connection, agency: str, event: CourtEvent, *, news: bool = True, feed_run_id: int, now: datetime
) -> None:
    """Keep what holds of a court date from now on, and whose it is; and that the run said so.

    Not the latter where it was the same as before and no ``news`` to anybody.
    """
    conn.execute(
        """with kept as (
               insert into court_event as e (agency, source_key, case_number, planned_at, place, state,
                                             changed_at, feed_run_id, known_at)
               values (%(agency)s, %(key)s, %(case)s, %(at)s, %(place)s, %(state)s, %(changed)s, %(run)s, %(now)s)
               on conflict (agency, source_key) do update set
                   case_number = excluded.case_number, planned_at = excluded.planned_at, place = excluded.place,
                   state = excluded.state, changed_at = excluded.changed_at,
                   feed_run_id = excluded.feed_run_id, known_at = excluded.known_at
               returning *),
           said as (
               insert into court_said (court_event_id, feed_run_id, case_number, planned_at, place, state, changed_at,
                                       known_at)
               select id, feed_run_id, case_number, planned_at, place, state, changed_at, known_at from kept
               where %(news)s or not exists (
                   select from (select * from court_said where court_event_id = kept.id order by id desc limit 1) last
                   where last.retracted_at is null
                     and (last.case_number, last.planned_at, last.place, last.state, last.changed_at)
                         is not distinct from
                         (kept.case_number, kept.planned_at, kept.place, kept.state, kept.changed_at)))
           insert into court_event_of as theirs (court_event_id, offender_id, feed_run_id)
           select id, unnest(%(offenders)s::bigint[]), feed_run_id from kept
           on conflict (court_event_id, offender_id) do update
               set feed_run_id = excluded.feed_run_id, retracted_at = null where theirs.retracted_at is not null""",
        {"agency": agency, "key": event.source_key, "case": event.case_number, "at": event.planned_at,
         "place": event.place, "state": event.state, "changed": event.changed_at, "run": feed_run_id, "now": now,
         "offenders": list(event.offender_ids), "news": news},
    )  # fmt: skip


def said_by(conn: Connection, feed_run_id: int) -> int:
    """Of how many court dates the run said something, or whose they are, that can be withdrawn."""
    row = conn.execute(
        """select count(distinct court_event_id) from (
               select court_event_id from court_said where feed_run_id = %(run)s and retracted_at is null
               union all
               select court_event_id from court_event_of where feed_run_id = %(run)s and retracted_at is null) said""",
        {"run": feed_run_id},
    ).fetchone()
    return row[0] if row else 0


def withdraw(conn: Connection, feed_run_id: int, event_ids: Collection[int] | None = None, *, now: datetime) -> None:
    """What the run said of court dates, it never said: what was said before holds, or what was said since.

    So it is with whose they are. What was said since stands where it is something else, or news came of it; what only
    says the same again is withdrawn with it.

    ``event_ids``: only so far as these events of it have told it. A date that was set, and that others have, too, stays
    theirs; only those of whom the events are have it no more, whatever was said of it since.
    """
    dates, whose = _of_run(conn, feed_run_id) if event_ids is None else _of_events(conn, feed_run_id, event_ids)
    what = {"run": feed_run_id, "dates": dates, "of": [date for date, _ in whose], "who": [who for _, who in whose]}
    what |= {"now": now, "whole": event_ids is None}
    conn.execute(
        """select from offender where id in (
               select offender_id from court_event_of where court_event_id = any(%(dates)s || %(of)s::bigint[]))
           order by id for update""",
        what,
    )
    conn.execute(
        """update court_event_of o set feed_run_id = coalesce(since.feed_run_id, o.feed_run_id),
               retracted_at = case when since.feed_run_id is null then %(now)s end
           from unnest(%(of)s::bigint[], %(who)s::bigint[]) as its (court_event_id, offender_id)
           left join lateral (
               select * from court_said where court_event_id = its.court_event_id and feed_run_id <= %(run)s
               order by id desc limit 1) told on true
           left join lateral (
               select feed_run_id from court_said s
               where s.court_event_id = its.court_event_id and s.retracted_at is null and s.feed_run_id > %(run)s
                 and (%(whole)s or s.court_event_id = any(%(dates)s))
                 and ((s.state, s.planned_at, s.place) is distinct from (told.state, told.planned_at, told.place)
                      or exists (select from court_told
                                 where court_said_id = s.id and offender_id = its.offender_id))
               order by s.id limit 1) since on true
           where (o.court_event_id, o.offender_id) = (its.court_event_id, its.offender_id)""",
        what,
    )
    conn.execute(
        """with told as (
               select distinct on (court_event_id) * from court_said
               where feed_run_id = %(run)s and court_event_id = any(%(dates)s) order by court_event_id, id desc)
           update court_said said set retracted_at = %(now)s
           from told left join lateral (
               select min(s.id) as id from court_said s
               where s.court_event_id = told.court_event_id and s.id > told.id and s.retracted_at is null
                 and ((s.state, s.planned_at, s.place) is distinct from (told.state, told.planned_at, told.place)
                      or exists (select from court_told where court_said_id = s.id))) since on true
           where said.court_event_id = told.court_event_id and said.retracted_at is null
             and (said.feed_run_id = %(run)s or (said.id > told.id and (said.id < since.id) is not false))""",
        what,
    )
    conn.execute(
        """update court_event e set case_number = coalesce(said.case_number, e.case_number),
               planned_at = coalesce(said.planned_at, e.planned_at), place = coalesce(said.place, e.place),
               state = coalesce(said.state, 'withdrawn'), changed_at = said.changed_at,
               feed_run_id = coalesce(said.feed_run_id, e.feed_run_id)
           from unnest(%(dates)s::bigint[]) as its (id)
           left join lateral (select * from court_said where court_event_id = its.id and retracted_at is null
                              order by court_said.id desc limit 1) said on true
           where e.id = its.id""",
        what,
    )


_Whose = list[tuple[int, int]]  # court dates, each with an offender whose it is


def _of_run(conn: Connection, feed_run_id: int) -> tuple[list[int], _Whose]:
    """Of which dates a run said something, and whose they became by it."""
    dates = conn.execute("select distinct court_event_id from court_said where feed_run_id = %s", [feed_run_id])
    whose = conn.execute(
        "select court_event_id, offender_id from court_event_of where feed_run_id = %s and retracted_at is null",
        [feed_run_id],
    )
    return [date for (date,) in dates], whose.fetchall()


def _of_events(conn: Connection, feed_run_id: int, event_ids: Collection[int]) -> tuple[list[int], _Whose]:
    """The same of some events of a run: of what they told it is withdrawn that it was said, or that it is theirs."""
    told = conn.execute(
        """with told as (
               select distinct c.id, offender_id, kind
               from custody_event e join court_event c
                    on c.agency = e.source and c.source_key = split_part(e.source_key, e'\t', 2)
               where e.id = any(%s) and e.feed_run_id = %s and starts_with(kind, 'court_'))
           select told.id, told.offender_id, l.feed_run_id, not exists (
                      select from told other where other.id = told.id and kind = 'court_scheduled')
                  or not exists (
                      select from court_event_of o where o.court_event_id = told.id and o.retracted_at is null
                        and o.offender_id not in (select offender_id from told other where other.id = told.id))
           from told join court_event_of l on l.court_event_id = told.id and l.offender_id = told.offender_id
                and l.retracted_at is null""",
        [list(event_ids), feed_run_id],
    ).fetchall()
    dates = {date for date, _, _, never_said in told if never_said}
    return list(dates), [(date, who) for date, who, by, _ in told if by == feed_run_id or date not in dates]
