"""Court dates, and whose they are."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection
from psycopg.rows import class_row

from db.custody import OFFENDER, Offender

State = Literal["scheduled", "cancelled", "deleted"]


@dataclass(frozen=True)
class CourtEvent:
    """The latest that its court said of a court date, and when it says that it did.

    ``offender_ids``: whose it is, of those whom a jail has told us of.
    """

    source_key: str
    case_number: str
    planned_at: datetime
    place: str
    state: State
    changed_at: datetime | None = None
    offender_ids: Collection[int] = ()


def known(conn: Connection, agency: str, source_keys: Iterable[str]) -> dict[str, CourtEvent]:
    """Of the court dates of these ids: those that are known."""
    cursor = conn.cursor(row_factory=class_row(CourtEvent))
    found = cursor.execute(
        """select source_key, case_number, planned_at, place, state, changed_at,
                  array(select offender_id from court_event_of where court_event_id = id) as offender_ids
           from court_event where agency = %s and source_key = any(%s)""",
        [agency, list(source_keys)],
    )
    return {event.source_key: event for event in found}


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


def speak_of_next(conn: Connection, offender_ids: Iterable[int], *, now: datetime) -> None:
    """Let callers hear of these offenders the court date that comes next, if there is one."""
    conn.execute(
        """update offender o set court_at = next.planned_at, court_place = coalesce(next.place, '')
           from unnest(%s::bigint[]) as of (id) left join lateral (
               select planned_at, place from court_event_of join court_event e on e.id = court_event_id
               where offender_id = of.id and state = 'scheduled' and planned_at > %s
               order by planned_at limit 1) next on true
           where o.id = of.id""",
        [list(offender_ids), now],
    )


def keep(conn: Connection, agency: str, event: CourtEvent, *, feed_run_id: int, now: datetime) -> None:
    """Keep what holds of a court date from now on, and whose it is."""
    conn.execute(
        """with kept as (
               insert into court_event as e (agency, source_key, case_number, planned_at, place, state,
                                             changed_at, feed_run_id, known_at)
               values (%(agency)s, %(key)s, %(case)s, %(at)s, %(place)s, %(state)s, %(changed)s, %(run)s, %(now)s)
               on conflict (agency, source_key) do update set
                   case_number = excluded.case_number, planned_at = excluded.planned_at, place = excluded.place,
                   state = excluded.state, changed_at = excluded.changed_at,
                   feed_run_id = excluded.feed_run_id, known_at = excluded.known_at
               returning id)
           insert into court_event_of select id, unnest(%(offenders)s::bigint[]) from kept on conflict do nothing""",
        {"agency": agency, "key": event.source_key, "case": event.case_number, "at": event.planned_at,
         "place": event.place, "state": event.state, "changed": event.changed_at, "run": feed_run_id, "now": now,
         "offenders": list(event.offender_ids)},
    )  # fmt: skip
