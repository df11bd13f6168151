"""Offenders, and what happened to them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class Custody:
    """Where someone is held, or not, and since when."""

    status: str
    facility: str
    since: datetime


@dataclass(frozen=True)
class Person:
    first_name: str
    middle_name: str
    last_name: str
    birth_date: date | None


@dataclass(frozen=True)
class Offender:
    id: int
    agency: str
    number: str
    first_name: str
    middle_name: str
    last_name: str
    birth_date: date | None
    status: str
    facility: str
    since: datetime
    known_at: datetime

    @property
    def custody(self) -> Custody:
        return Custody(self.status, self.facility, self.since)

    @property
    def person(self) -> Person:
        return Person(self.first_name, self.middle_name, self.last_name, self.birth_date)


@dataclass(frozen=True)
class Event:
    """Something that happened; ``stated_times`` are all the times that were ever given for it."""

    id: int
    kind: str
    status: str
    facility: str
    effective_at: datetime
    stated_times: list[datetime]
    source_key: str


_OFFENDER = """
    select id, agency, number, first_name, middle_name, last_name, birth_date, status, facility, since, known_at
    from offender """
_EVENT = "select id, kind, status, facility, effective_at, stated_times, source_key from custody_event "


def by_keys(conn: Connection, keys: str, *, most: int) -> list[Offender]:
    """Up to ``most`` offenders whose number, keyed on a telephone, is ``keys``, of whatever agency."""
    cursor = conn.cursor(row_factory=class_row(Offender))
    return cursor.execute(_OFFENDER + "where keys = %s order by agency, number limit %s", [keys, most]).fetchall()


def get(conn: Connection, offender_id: int) -> Offender:
    cursor = conn.cursor(row_factory=class_row(Offender))
    found = cursor.execute(_OFFENDER + "where id = %s", [offender_id]).fetchone()
    if found is None:
        raise LookupError(f"no offender {offender_id}")
    return found


def lock(conn: Connection, agency: str, numbers: Iterable[str]) -> dict[str, Offender]:
    """The agency's offenders of these numbers, kept from registrations and other feed runs until the transaction ends.

    They are locked in the order of their ids, so that two runs cannot wait for each other.
    """
    cursor = conn.cursor(row_factory=class_row(Offender))
    query = _OFFENDER + "where agency = %s and number = any(%s) order by id for update"
    return {offender.number: offender for offender in cursor.execute(query, [agency, list(numbers)])}


def history(conn: Connection, offender_id: int) -> list[Event]:
    """What happened to the offender, oldest first."""
    cursor = conn.cursor(row_factory=class_row(Event))
    return cursor.execute(_EVENT + "where offender_id = %s order by effective_at, id", [offender_id]).fetchall()


def histories(conn: Connection, offender_ids: Iterable[int]) -> dict[int, list[Event]]:
    """What happened to each of the offenders, oldest first, in one query."""
    found: dict[int, list[Event]] = {offender_id: [] for offender_id in offender_ids}
    rows = conn.execute(
        """select offender_id, id, kind, status, facility, effective_at, stated_times, source_key
           from custody_event where offender_id = any(%s) order by effective_at, id""",
        [list(found)],
    )
    for offender_id, *event in rows:
        found[offender_id].append(Event(*event))
    return found


def with_source_keys(conn: Connection, source: str, keys: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Of those of a source's keys that are known: whose event each is, and with what status."""
    rows = conn.execute(
        "select source_key, offender_id, status from custody_event where source = %s and source_key = any(%s)",
        [source, list(keys)],
    )
    return {key: (offender_id, status) for key, offender_id, status in rows}


def add(conn: Connection, agency: str, number: str, person: Person, custody: Custody, *, now: datetime) -> Offender:
    row = conn.execute(
        """insert into offender (agency, number, first_name, middle_name, last_name, birth_date,
                                 status, facility, since, known_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id""",
        [agency, number, person.first_name, person.middle_name, person.last_name, person.birth_date,
         custody.status, custody.facility, custody.since, now],
    ).fetchone()  # fmt: skip
    if row is None:
        raise LookupError(f"{agency} {number} was not kept")
    return get(conn, row[0])


def update(conn: Connection, offender_id: int, person: Person, custody: Custody, *, now: datetime) -> None:
    """Write down the latest that is known of an offender, and that it is known as of now."""
    conn.execute(
        """update offender set first_name = %s, middle_name = %s, last_name = %s, birth_date = %s,
                               status = %s, facility = %s, since = %s, known_at = %s
           where id = %s""",
        [person.first_name, person.middle_name, person.last_name, person.birth_date,
         custody.status, custody.facility, custody.since, now, offender_id],
    )  # fmt: skip


def heard_of(conn: Connection, offender_ids: Iterable[int], *, now: datetime) -> None:
    """Note that the agency has just said again what is known of these."""
    conn.execute("update offender set known_at = %s where id = any(%s)", [now, list(offender_ids)])


def record(
    conn: Connection,
    offender_id: int,
    kind: str,
    custody: Custody,
    *,
    source: str,
    source_key: str,
    feed_run_id: int,
    now: datetime,
) -> int:
    """Keep an event; return its id. Raises UniqueViolation where the source gave the same key before."""
    row = conn.execute(
        """insert into custody_event (offender_id, kind, status, facility, effective_at, stated_times,
                                      source, source_key, feed_run_id, recorded_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id""",
        [offender_id, kind, custody.status, custody.facility, custody.since, [custody.since],
         source, source_key, feed_run_id, now],
    ).fetchone()  # fmt: skip
    if row is None:
        raise LookupError(f"the event {source_key} was not kept")
    return row[0]


def amend(conn: Connection, event_id: int, custody: Custody) -> None:
    """Correct an event's time and facility; the times that were stated before stay known."""
    conn.execute(
        """update custody_event set effective_at = %(since)s, facility = %(facility)s, stated_times =
               case when %(since)s = any(stated_times) then stated_times else stated_times || %(since)s end
           where id = %(id)s""",
        {"since": custody.since, "facility": custody.facility, "id": event_id},
    )
