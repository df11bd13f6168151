"""Offenders, and what happened to them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from psycopg import Connection
from psycopg.rows import class_row

from db.names import name_keys

STAFF = "staff"  # the source of what no feed told
AGAIN = "again"  # with how often: what is added to a key that a withdrawn event has


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
class Details:
    """What else an agency may say of an offender: what finds them, and what is planned. It makes no event."""

    booking_number: str = ""
    aliases: tuple[str, ...] = ()  # each as LAST, FIRST MIDDLE
    case_numbers: tuple[str, ...] = ()
    release_date: date | None = None
    court_at: datetime | None = None
    court_place: str = ""


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
    booking_number: str
    aliases: list[str]
    case_numbers: list[str]
    release_date: date | None
    court_at: datetime | None
    court_place: str

    @property
    def custody(self) -> Custody:
        return Custody(self.status, self.facility, self.since)

    @property
    def person(self) -> Person:
        return Person(self.first_name, self.middle_name, self.last_name, self.birth_date)

    @property
    def details(self) -> Details:
        return Details(
            self.booking_number,
            tuple(self.aliases),
            tuple(self.case_numbers),
            self.release_date,
            self.court_at,
            self.court_place,
        )


@dataclass(frozen=True)
class Event:
    """Something that happened; ``stated_times`` are all the times that were ever given for it.

    ``own_times``: those of them that its agency gave under the event's own id.
    """

    id: int
    kind: str
    status: str
    facility: str
    effective_at: datetime
    stated_times: list[datetime]
    source_key: str
    own_times: Collection[datetime] = ()

    def has_id(self, event_id: str) -> bool:
        """Whether the agency gave it this id, under which it may have said before what was withdrawn."""
        return bool(event_id) and (self.source_key == event_id or self.source_key.startswith(f"{event_id}\t{AGAIN} "))

    @property
    def by_staff(self) -> bool:
        return self.source_key.startswith(f"{STAFF}\t")


@dataclass(frozen=True)
class Told:
    """An event as it is shown: what happened, who told it, and how many were to be called."""

    id: int
    run_id: int | None
    is_withdrawn: bool
    is_confirmed: bool  # else it went out of a run that is held
    kind: str
    status: str
    facility: str
    effective_at: datetime
    planned_at: datetime | None
    place: str
    who: str | None
    feed: str
    file: str
    recorded_at: datetime
    notifications: int


@dataclass(frozen=True)
class _Searched:
    """What an offender is found by, besides the numbers in their own row."""

    names: set[tuple[str, str]]
    birth_year: int | None
    case_numbers: tuple[str, ...]


OFFENDER = """
    select id, agency, number, first_name, middle_name, last_name, birth_date, status, facility, since, known_at,
           booking_number, aliases, case_numbers, release_date, court_at, court_place
    from offender """
_EVENT = "select id, kind, status, facility, effective_at, stated_times, source_key, own_times from happened "


def get(conn: Connection, offender_id: int) -> Offender:
    cursor = conn.cursor(row_factory=class_row(Offender))
    found = cursor.execute(OFFENDER + "where id = %s", [offender_id]).fetchone()
    if found is None:
        raise LookupError(f"no offender {offender_id}")
    return found


def lock(conn: Connection, agency: str, numbers: Iterable[str]) -> dict[str, Offender]:
    """The agency's offenders of these numbers, kept from registrations and other feed runs until the transaction ends.

    They are locked in the order of their ids, so that two runs cannot wait for each other.
    """
    cursor = conn.cursor(row_factory=class_row(Offender))
    query = OFFENDER + "where agency = %s and number = any(%s) order by id for update"
    return {offender.number: offender for offender in cursor.execute(query, [agency, list(numbers)])}


def history(conn: Connection, offender_id: int) -> list[Event]:
    """What happened to the offender, oldest first; without what is only planned, and what was withdrawn."""
    cursor = conn.cursor(row_factory=class_row(Event))
    query = _EVENT + "where offender_id = %s order by effective_at, id"
    return cursor.execute(query, [offender_id]).fetchall()


def told(conn: Connection, offender_id: int) -> list[Told]:
    """All that was ever told of the offender, oldest first, and by whom."""
    cursor = conn.cursor(row_factory=class_row(Told))
    return cursor.execute(
        """select e.id, feed_run_id as run_id, retracted_at is not null as is_withdrawn, not reported as is_confirmed,
                  kind, status, facility, effective_at, planned_at, place, who, coalesce(feed, '') as feed,
                  coalesce(file, '') as file, recorded_at,
                  (select count(*) from notification where event_id = e.id) as notifications
           from custody_event e left join feed_run r on r.id = feed_run_id
           where offender_id = %s order by effective_at, e.id""",
        [offender_id],
    ).fetchall()


def find(conn: Connection, agency: str, number: str) -> Offender | None:
    cursor = conn.cursor(row_factory=class_row(Offender))
    return cursor.execute(OFFENDER + "where agency = %s and number = %s", [agency, number]).fetchone()


def is_anybody_at(conn: Connection, agency: str, facility: str) -> bool:
    """Whether any of the agency's offenders is, or was last, at a facility of that name."""
    query = "select from offender where agency = %s and facility = %s limit 1"
    return conn.execute(query, [agency, facility]).rowcount > 0


def histories(conn: Connection, offender_ids: Iterable[int]) -> dict[int, list[Event]]:
    """What happened to each of the offenders, as ``history`` has it, in one query."""
    found: dict[int, list[Event]] = {offender_id: [] for offender_id in offender_ids}
    rows = conn.execute(
        """select offender_id, id, kind, status, facility, effective_at, stated_times, source_key, own_times
           from happened where offender_id = any(%s) order by effective_at, id""",
        [list(found)],
    )
    for offender_id, *event in rows:
        found[offender_id].append(Event(*event))
    return found


def withdrawn(conn: Connection, offender_ids: Iterable[int]) -> dict[int, list[Event]]:
    """What was said to have happened to some of the offenders, and was withdrawn."""
    found: dict[int, list[Event]] = {}
    for offender_id, *event in conn.execute(
        """select offender_id, id, kind, status, facility, effective_at, stated_times, source_key, own_times
           from custody_event where offender_id = any(%s) and retracted_at is not null order by effective_at, id""",
        [list(offender_ids)],
    ):
        found.setdefault(offender_id, []).append(Event(*event))
    return found


def places(conn: Connection, offender_ids: Iterable[int]) -> set[tuple[str, str]]:
    """Agency and facility of each of the offenders."""
    return set(conn.execute("select agency, facility from offender where id = any(%s)", [list(offender_ids)]))


def places_of(conn: Connection, whose: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Agency and facility of each of the offenders of these agencies and numbers, of those who are known."""
    agencies, numbers = zip(*set(whose), strict=True) if whose else ((), ())
    rows = conn.execute(
        """select agency, facility from offender
           join unnest(%s::text[], %s::text[]) as of (agency, number) using (agency, number)""",
        [list(agencies), list(numbers)],
    )
    return set(rows)


def with_source_keys(conn: Connection, source: str, keys: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Of those of a source's keys that are known: whose event each is, and with what status."""
    rows = conn.execute(
        "select source_key, offender_id, status from custody_event where source = %s and source_key = any(%s)",
        [source, list(keys)],
    )
    return {key: (offender_id, status) for key, offender_id, status in rows}


def add(
    conn: Connection,
    agency: str,
    number: str,
    person: Person,
    custody: Custody,
    details: Details = Details(),
    *,
    now: datetime,
) -> Offender:
    row = conn.execute(
        """insert into offender (agency, number, first_name, middle_name, last_name, birth_date,
                                 status, facility, since, known_at, booking_number, aliases, case_numbers,
                                 release_date, court_at, court_place, searchable)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, true) returning id""",
        [agency, number, person.first_name, person.middle_name, person.last_name, person.birth_date,
         custody.status, custody.facility, custody.since, now,
         details.booking_number, list(details.aliases), list(details.case_numbers),
         details.release_date, details.court_at, details.court_place],
    ).fetchone()  # fmt: skip
    if row is None:
        raise LookupError(f"{agency} {number} was not kept")
    _add_searched(conn, row[0], _searched(person, details))
    return get(conn, row[0])


def update(
    conn: Connection,
    offender_id: int,
    person: Person,
    custody: Custody,
    details: Details | None = None,
    *,
    now: datetime,
) -> None:
    """Write down the latest that is known of an offender, and that it is known as of now; None: the details stay."""
    before = get(conn, offender_id)
    details = before.details if details is None else details
    conn.execute(
        """update offender set first_name = %s, middle_name = %s, last_name = %s, birth_date = %s,
                               status = %s, facility = %s, since = %s, known_at = %s,
                               booking_number = %s, aliases = %s, case_numbers = %s,
                               release_date = %s, court_at = %s, court_place = %s
           where id = %s""",
        [person.first_name, person.middle_name, person.last_name, person.birth_date,
         custody.status, custody.facility, custody.since, now,
         details.booking_number, list(details.aliases), list(details.case_numbers),
         details.release_date, details.court_at, details.court_place, offender_id],
    )  # fmt: skip
    if _searched(person, details) != _searched(before.person, before.details):
        _write_searched(conn, offender_id, person, details)


def make_searchable(conn: Connection, *, most: int) -> int:
    """Write what offenders are found by for whom it is not there, up to ``most`` of them; return how many it was."""
    cursor = conn.cursor(row_factory=class_row(Offender))
    waiting = cursor.execute(OFFENDER + "where not searchable order by id limit %s for update", [most]).fetchall()
    for offender in waiting:
        _write_searched(conn, offender.id, offender.person, offender.details)
    return len(waiting)


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
    feed_run_id: int | None,
    who: str | None = None,
    planned_at: datetime | None = None,
    place: str = "",
    reported: bool = False,
    now: datetime,
) -> int:
    """Keep an event; return its id. Raises UniqueViolation where the source gave the same key before.

    ``feed_run_id``: the import that brought it; ``who``: the person who said it instead.
    ``reported``: it is to be told as not yet confirmed.

    ``planned_at`` and ``place`` are of what is to come, where the event is about that: a release, a court date.
    """
    row = conn.execute(
        """insert into custody_event (offender_id, kind, status, facility, effective_at, stated_times, own_times,
                                      source, source_key, feed_run_id, who, planned_at, place, reported, recorded_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id""",
        [offender_id, kind, custody.status, custody.facility, custody.since, [custody.since],
         [] if "\t" in source_key else [custody.since],
         source, source_key, feed_run_id, who, planned_at, place, reported, now],
    ).fetchone()  # fmt: skip
    if row is None:
        raise LookupError(f"the event {source_key} was not kept")
    return row[0]


def amend(conn: Connection, event_id: int, custody: Custody, *, by_id: bool) -> None:
    """Correct an event's time and facility; the times that were stated before stay known. ``by_id``: by its own id."""
    conn.execute(
        """update custody_event set effective_at = %(since)s, facility = %(facility)s, stated_times =
               case when %(since)s = any(stated_times) then stated_times else stated_times || %(since)s end,
               own_times = case when %(by_id)s then own_times || %(since)s else own_times end
           where id = %(id)s""",
        {"since": custody.since, "facility": custody.facility, "id": event_id, "by_id": by_id},
    )


def set_apart(conn: Connection, event_id: int, at: datetime) -> None:
    """Of an event that was two, leave what was said of it up to that time."""
    conn.execute(
        """update custody_event e set effective_at = up_to.latest, stated_times = up_to.times
           from (select max(time) as latest, array_agg(time) as times
                 from custody_event, unnest(stated_times) as time where id = %(id)s and time <= %(at)s) up_to
           where id = %(id)s""",
        {"id": event_id, "at": at},
    )


def _searched(person: Person, details: Details) -> _Searched:
    names = name_keys(person.last_name, person.first_name).union(*map(name_keys, details.aliases))
    return _Searched(names, person.birth_date.year if person.birth_date else None, details.case_numbers)


def _write_searched(conn: Connection, offender_id: int, person: Person, details: Details) -> None:
    """Write what the offender is found by, instead of what there was."""
    conn.execute("delete from offender_name where offender_id = %s", [offender_id])
    conn.execute("delete from offender_case where offender_id = %s", [offender_id])
    _add_searched(conn, offender_id, _searched(person, details))
    conn.execute("update offender set searchable = true where id = %s and not searchable", [offender_id])


def _add_searched(conn: Connection, offender_id: int, searched: _Searched) -> None:
    last_keys, first_keys = [last for last, _ in searched.names], [first for _, first in searched.names]
    conn.execute(
        """insert into offender_name (offender_id, last_keys, first_keys, birth_year)
           select %s, last_keys, first_keys, %s from unnest(%s::text[], %s::text[]) as keys (last_keys, first_keys)""",
        [offender_id, searched.birth_year, last_keys, first_keys],
    )
    if searched.case_numbers:
        conn.execute(
            "insert into offender_case (offender_id, keys) select distinct %s::bigint, keyed(unnest(%s::text[]))",
            [offender_id, list(searched.case_numbers)],
        )
