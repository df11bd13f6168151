"""What a custody record must hold, whatever format it comes in."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC

from db.custody import Custody, Person
from feed.cells import (
    Aliases,
    Day,
    Number,
    NumberOrNone,
    Numbers,
    Row,
    Some,
    Status,
    Time,
    TimeOrNone,
    Wrong,
    birth,
    checked,
    is_number,
    is_to_come,
    plans,
    with_zone,
)
from feed.records import CustodyRecord, Rules

REQUIRED = ("agency", "offender_number", "last_name", "first_name", "date_of_birth", "facility", "status", "changed_at")
DETAILS = ("booking_number", "aliases", "case_numbers", "release_date", "court_at", "court_place")
OPTIONAL = ("middle_name", "event_id", *DETAILS)
_OF_PERSON = {"first_name": "first_name", "middle_name": "middle_name", "date_of_birth": "birth_date"}
FIELDS: frozenset[str] = frozenset(REQUIRED + OPTIONAL)
STATUSES: tuple[str, ...] = ("in custody", "released", "escaped", "on furlough", "deceased")


class _CustodyRow(Row):
    agency: str
    offender_number: Number
    last_name: Some
    first_name: str = ""
    middle_name: str = ""
    date_of_birth: Day = None
    facility: Some
    status: Status
    changed_at: Time
    event_id: str = ""
    booking_number: NumberOrNone = ""
    aliases: Aliases = ()
    case_numbers: Numbers = ()
    release_date: Day = None
    court_at: TimeOrNone = None
    court_place: str = ""


def in_our_words(rules: Rules) -> Rules:
    """The rules, with our own words for a status where the feed declares none of its own."""
    return rules if rules.statuses else replace(rules, statuses={status: status for status in STATUSES})


def number_of(fields: Mapping[str, str]) -> str:
    """The offender's number that stands in the fields; empty where none that can be one does."""
    number = fields.get("offender_number", "")
    return number if is_number(number) else ""


def custody_record(
    number: int, fields: Mapping[str, str], rules: Rules, called: Callable[[str], str] = str
) -> CustodyRecord:
    """A record of what stands in the fields, by our names. Raises Wrong with every mistake of the row."""
    given = {"agency": rules.agency, **rules.always, **fields} if rules.agency else {**rules.always, **fields}
    row = checked(_CustodyRow, given, rules, called)
    since = with_zone(row.changed_at, rules.zone)
    mistakes = []
    if row.agency not in rules.agencies:
        known = ", ".join(sorted(rules.agencies))
        says = f"is not in the settings; known are {known}; correct it or add it there"
        if rules.agency:
            says = f"is not {known}, whose feed this is; correct it, or send it by a feed of its own"
        mistakes.append(f"{called('agency')} {row.agency!r} {says}")
    if is_to_come(since, rules.now):
        mistakes.append(f"{called('changed_at')} {given['changed_at']!r} is in the future; correct it or its zone")
    born = birth(called("date_of_birth"), row.date_of_birth, rules.now)
    if not born and row.date_of_birth and row.changed_at.date() < row.date_of_birth:
        says = f"is before {called('date_of_birth')} {row.date_of_birth}; correct one of them"
        born = [f"{called('changed_at')} {given['changed_at']!r} {says}"]
    mistakes += born
    mistakes += plans({called(name): getattr(row, name) for name in ("release_date", "court_at")}, rules.now)
    if mistakes:
        raise Wrong(mistakes)
    person = Person(row.first_name, row.middle_name, row.last_name, row.date_of_birth)
    facility = rules.facilities.get(row.facility, row.facility)
    details = {name: getattr(row, name) for name in DETAILS if name in given}
    if row.court_at:
        details["court_at"] = with_zone(row.court_at, rules.zone).astimezone(UTC)
    custody = Custody(row.status, facility, since.astimezone(UTC))
    unsaid = tuple(ours for field, ours in _OF_PERSON.items() if field not in given)
    return CustodyRecord(number, row.agency, row.offender_number, person, custody, row.event_id, details, unsaid)
