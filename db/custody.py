"""Offenders, and what happened to them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from db.names import name_keys

STAFF = "staff"  # the source of what no feed told
NEVER = datetime.min.replace(tzinfo=UTC)
MISSING = "no longer listed"  # no file says so: it follows from two snapshots
AGAIN = "again"  # with how often: what is added to a key that a withdrawn event has
PLANS = ("release_planned", "release_date_changed")  # the kinds that tell on what day somebody is due to be released


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
    """What else an agency may say of an offender: what finds them, and what is planned."""

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
    aliases: Sequence[str]
    case_numbers: Sequence[str]
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

    ``own_times``: those of them that its agency gave under the event's own id. ``recorded_at``: since when it is known.
    ``denied_at``: when the first snapshot came, after that, that says otherwise.
    ``explains``: since when the person was no longer listed, which this explains.
    ``quiet``: staff said it, and had nobody called.
    """

    id: int
    kind: str
    status: str
    facility: str
    effective_at: datetime
    stated_times: list[datetime]
    source_key: str
    own_times: Collection[datetime] = ()
    recorded_at: datetime = NEVER
    denied_at: datetime | None = None
    planned_at: datetime | None = None  # of what was withdrawn: the time that it was about, where that was to come
    quiet: bool = False
    explains: datetime | None = None

    def has_id(self, event_id: str) -> bool:
        """Whether the agency gave it this id, under which it may have said before what was withdrawn."""
        return bool(event_id) and (self.source_key == event_id or self.source_key.startswith(f"{event_id}\t{AGAIN} "))

    @property
    def is_out(self) -> bool:
        return self.status not in ("in custody", MISSING)

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


# Who has a digest was said to be as they are by the feed's last snapshot; that is not written down for each of them.
OFFENDER = """
    select id, agency, number, first_name, middle_name, last_name, birth_date, status, facility, since,
           greatest(known_at, (select max(at) from roster join snapshot using (feed)
                               where offender_id = offender.id and digest is not null)) as known_at,
           booking_number, aliases, case_numbers, release_date, court_at, court_place
    from offender """
_EVENTS = """
    select offender_id, id, kind, status, facility, effective_at, stated_times, source_key, own_times, recorded_at,
           denied_at, planned_at, quiet
    from """


def get(conn: Connection, offender_id: int) -> Offender:
    cursor = conn.cursor(row_factory=class_row(Offender))
    found = cursor.execute(OFFENDER + "where id = %s", [offender_id]).fetchone()
    if found is None:
        raise LookupError(f"no offender {offender_id}")
    return found


def get_all(conn: Connection, offender_ids: Iterable[int]) -> list[Offender]:
    cursor = conn.cursor(row_factory=class_row(Offender))
    return cursor.execute(OFFENDER + "where id = any(%s) order by id", [list(offender_ids)]).fetchall()


def lock(conn: Connection, agency: str, numbers: Iterable[str]) -> dict[str, Offender]:
    """The agency's offenders of these numbers, kept from registrations and other feed runs until the transaction ends.

    They are locked in the order of their ids, so that two runs cannot wait for each other.
    """
    cursor = conn.cursor(row_factory=class_row(Offender))
    query = OFFENDER + "where agency = %s and number = any(%s) order by id for update"
    return {offender.number: offender for offender in cursor.execute(query, [agency, list(numbers)])}


def history(conn: Connection, offender_id: int) -> list[Event]:
    """What happened to the offender, oldest first; without what is only planned, was withdrawn, or is explained."""
    return histories(conn, [offender_id])[offender_id]


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


def keyed_alike(conn: Connection, agency: str, number: str) -> list[Offender]:
    """Whom of the agency callers find by the same keys as by this number, whether they have it or another."""
    cursor = conn.cursor(row_factory=class_row(Offender))
    query = OFFENDER + "where agency = %s and keys = keyed(%s) order by number"
    return cursor.execute(query, [agency, number]).fetchall()


def is_anybody_at(conn: Connection, agency: str, facility: str) -> bool:
    """Whether any of the agency's offenders is, or was last, at a facility of that name."""
    query = "select from offender where agency = %s and facility = %s limit 1"
    return conn.execute(query, [agency, facility]).rowcount > 0


def histories(conn: Connection, offender_ids: Iterable[int]) -> dict[int, list[Event]]:
    """What happened to each of the offenders, as ``history`` has it, in one query."""
    found: dict[int, list[Event]] = {offender_id: [] for offender_id in offender_ids}
    query = _EVENTS + "happened where offender_id = any(%s) order by effective_at, id"
    for offender_id, *event in conn.execute(query, [list(found)]):
        found[offender_id].append(Event(*event))
    return {offender_id: explained(events) for offender_id, events in found.items()}


def explained(history: Iterable[Event]) -> list[Event]:
    """What happened, without that somebody was no longer listed who had got out just before: that is why.

    Not where snapshots still had them after they had got out, and then had not: a denial that comes after somebody was
    missing says nothing of why they were.
    """
    found: list[Event] = []
    for event in history:
        before = found[-1] if found else None
        if (
            event.status == MISSING
            and before
            and before.is_out
            and (before.denied_at is None or event.effective_at <= before.denied_at)
        ):
            found[-1] = replace(before, explains=event.effective_at)
        else:
            found.append(event)
    return found


def withdrawn(conn: Connection, offender_ids: Iterable[int]) -> dict[int, list[Event]]:
    """What was said to have happened to some of the offenders, and was withdrawn."""
    found: dict[int, list[Event]] = {}
    query = _EVENTS + "custody_event where offender_id = any(%s) and retracted_at is not null order by effective_at, id"
    for offender_id, *event in conn.execute(query, [list(offender_ids)]):
        found.setdefault(offender_id, []).append(Event(*event))
    return found


@dataclass(frozen=True)
class Plan:
    """What was told of a release: when it is due, as an event's ``planned_at`` has it, and the day known before."""

    planned_at: datetime
    before: date | None
    is_withdrawn: bool


def plans(conn: Connection, offender_id: int) -> list[Plan]:
    """All days of release that were told of the offender, the newest first."""
    cursor = conn.cursor(row_factory=class_row(Plan))
    return cursor.execute(
        """select planned_at, release_date_before as before, retracted_at is not null as is_withdrawn
           from custody_event where offender_id = %s and kind = any(%s) order by id desc""",
        [offender_id, list(PLANS)],
    ).fetchall()


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


@dataclass(frozen=True)
class Latest:
    """What is written down of an offender, and as of when it is known."""

    person: Person
    custody: Custody
    details: Details
    known_at: datetime

    @property
    def columns(self) -> dict[str, Any]:
        return {**vars(self.person), **vars(self.custody), **vars(self.details), "known_at": self.known_at}

    def of(self, offender_id: int, agency: str, number: str) -> Offender:
        """The offender, of whom this is written down."""
        return Offender(offender_id, agency, number, **self.columns)


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
    ids = add_all(conn, {(agency, number): Latest(person, custody, details, now)})
    return get(conn, ids[agency, number])


def add_all(conn: Connection, new: Mapping[tuple[str, str], Latest]) -> dict[tuple[str, str], int]:
    """Add offenders, by agency and number; return their ids."""
    if not new:
        return {}
    rows = conn.execute(
        """insert into offender (agency, number, first_name, middle_name, last_name, birth_date,
                                 status, facility, since, known_at, booking_number, aliases, case_numbers,
                                 release_date, court_at, court_place, searchable)
           select agency, number, first_name, middle_name, last_name, birth_date,
                  status, facility, since, known_at, booking_number, aliases, case_numbers,
                  release_date, court_at, court_place, true from json_populate_recordset(null::offender, %s)
           returning agency, number, id""",
        [_json({"agency": key[0], "number": key[1], **latest.columns} for key, latest in new.items())],
    )
    ids = {(agency, number): offender_id for agency, number, offender_id in rows}
    _add_searched(conn, {ids[key]: _searched(latest.person, latest.details) for key, latest in new.items()})
    return ids


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
    update_all(conn, [(before, Latest(person, custody, before.details if details is None else details, now))])


def update_all(conn: Connection, latest: Collection[tuple[Offender, Latest]]) -> None:
    """Write down the latest that is known of each offender instead of what was, as they were read."""
    if not latest:
        return
    conn.execute(
        """update offender o set first_name = n.first_name, middle_name = n.middle_name, last_name = n.last_name,
                  birth_date = n.birth_date, status = n.status, facility = n.facility, since = n.since,
                  known_at = n.known_at, booking_number = n.booking_number, aliases = n.aliases,
                  case_numbers = n.case_numbers, release_date = n.release_date, court_at = n.court_at,
                  court_place = n.court_place
           from json_populate_recordset(null::offender, %s) n where o.id = n.id""",
        [_json({"id": before.id, **one.columns} for before, one in latest)],
    )
    searched: dict[int, _Searched] = {}
    for before, one in latest:
        if (before.person, before.details) != (one.person, one.details):
            by = _searched(one.person, one.details)
            if by != _searched(before.person, before.details):
                searched[before.id] = by
    _write_searched(conn, searched)


def make_searchable(conn: Connection, *, most: int) -> int:
    """Write what offenders are found by for whom it is not there, up to ``most`` of them; return how many it was."""
    cursor = conn.cursor(row_factory=class_row(Offender))
    waiting = cursor.execute(OFFENDER + "where not searchable order by id limit %s for update", [most]).fetchall()
    _write_searched(conn, {one.id: _searched(one.person, one.details) for one in waiting})
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
    planned_at: datetime | None = None,
    place: str = "",
    reported: bool = False,
    now: datetime,
) -> int:
    """Keep an event, as ``Happened`` has it; return its id. Raises UniqueViolation as ``record_all`` does."""
    happened = Happened(offender_id, kind, custody, source, source_key, feed_run_id, None, planned_at, place, reported)
    return record_all(conn, [happened], now=now)[0]


@dataclass(frozen=True)
class Happened:
    """An event that is to be kept.

    ``feed_run_id``: the import that brought it; ``who``: the person who said it instead.
    ``reported``: it is to be told as not yet confirmed. ``quiet``: that person has nobody called.

    ``planned_at`` and ``place`` are of what is to come, where the event is about that: a release, a court date.
    """

    offender_id: int
    kind: str
    custody: Custody
    source: str
    source_key: str
    feed_run_id: int | None
    who: str | None = None
    planned_at: datetime | None = None
    place: str = ""
    reported: bool = False
    release_date_before: date | None = None  # of a planned release: the day that was known
    apart_from: int | None = None  # the event of which it was taken, as it was another one
    apart_at: datetime | None = None  # since when that held before
    quiet: bool = False


def record_all(conn: Connection, events: Sequence[Happened], *, now: datetime) -> list[int]:
    """Keep events; return their ids. Raises UniqueViolation where a source gave the same key before."""
    if not events:
        return []
    rows = conn.execute(
        """insert into custody_event (offender_id, kind, status, facility, effective_at, stated_times, own_times,
                                      source, source_key, feed_run_id, who, planned_at, place, reported,
                                      release_date_before, apart_from, apart_at, quiet, recorded_at)
           select offender_id, kind, status, facility, effective_at, array[effective_at],
                  case when strpos(source_key, e'\t') = 0 then array[effective_at] else '{}' end,
                  source, source_key, feed_run_id, who, planned_at, place, reported, release_date_before,
                  apart_from, apart_at, quiet, %s
           from json_populate_recordset(null::custody_event, %s) returning source, source_key, id""",
        [now, _json({**vars(one), **vars(one.custody), "effective_at": one.custody.since} for one in events)],
    )
    ids = {(source, key): event_id for source, key, event_id in rows}
    return [ids[one.source, one.source_key] for one in events]


def amend(conn: Connection, event_id: int, custody: Custody, *, stated: datetime, by_id: bool) -> None:
    """Correct an event's time and facility; the times that were stated before stay known, and that which is now.

    ``by_id``: by its own id.
    """
    conn.execute(
        """update custody_event set effective_at = %(since)s, facility = %(facility)s, stated_times =
               case when %(stated)s = any(stated_times) then stated_times else stated_times || %(stated)s end,
               own_times = case when %(by_id)s then own_times || %(stated)s else own_times end
           where id = %(id)s""",
        {"since": custody.since, "facility": custody.facility, "stated": stated, "id": event_id, "by_id": by_id},
    )


def unhush(conn: Connection, event_id: int) -> None:
    """Note that people are told of an event after all that was quiet."""
    conn.execute("update custody_event set quiet = false where id = %s", [event_id])


def restate(conn: Connection, event_id: int, times: Sequence[datetime], *, at: datetime) -> None:
    """Have these be the times that were ever stated for an event, and that one the time at which it happened."""
    conn.execute(
        "update custody_event set effective_at = %s, stated_times = %s where id = %s", [at, list(times), event_id]
    )


def deny(conn: Connection, event_ids: Iterable[int], *, at: datetime) -> None:
    """Note when a file came that says otherwise than these, as ``denied_at`` has it."""
    query = "update custody_event set denied_at = %s where id = any(%s) and denied_at is null"
    conn.execute(query, [at, list(event_ids)])


def _searched(person: Person, details: Details) -> _Searched:
    names = name_keys(person.last_name, person.first_name).union(*map(name_keys, details.aliases))
    return _Searched(names, person.birth_date.year if person.birth_date else None, details.case_numbers)


def _write_searched(conn: Connection, searched: Mapping[int, _Searched]) -> None:
    """Write what offenders are found by, by their ids, instead of what there was."""
    if searched:
        ids = list(searched)
        conn.execute("delete from offender_name where offender_id = any(%s)", [ids])
        conn.execute("delete from offender_case where offender_id = any(%s)", [ids])
        _add_searched(conn, searched)
        conn.execute("update offender set searchable = true where id = any(%s) and not searchable", [ids])


def _add_searched(conn: Connection, searched: Mapping[int, _Searched]) -> None:
    names = [
        (offender_id, last, first, one.birth_year) for offender_id, one in searched.items() for last, first in one.names
    ]
    conn.execute(
        """insert into offender_name (offender_id, last_keys, first_keys, birth_year)
           select * from unnest(%s::bigint[], %s::text[], %s::text[], %s::int[])""",
        [list(column) for column in zip(*names, strict=True)] if names else [[]] * 4,
    )
    cases = [(offender_id, case) for offender_id, one in searched.items() for case in one.case_numbers]
    if cases:
        conn.execute(
            """insert into offender_case (offender_id, keys)
               select distinct id, keyed(number) from unnest(%s::bigint[], %s::text[]) as c (id, number)""",
            [list(column) for column in zip(*cases, strict=True)],
        )


def _json(rows: Iterable[Mapping[str, object]]) -> str:
    """Rows of a table, as PostgreSQL's json_populate_recordset takes them."""
    return json.dumps(list(rows), default=_plain)


def _plain(value: object) -> str | None:
    """A time or a day as text; of the other objects that stand beside what they hold, nothing."""
    return value.isoformat() if isinstance(value, date) else None
