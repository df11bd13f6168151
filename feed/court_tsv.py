"""Reads a court calendar: tab-separated Case, CourtEvent, Charge and CalendarDelete records.

docs/court-calendar.md describes it.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO

from db.custody import Person
from feed.cells import (
    Day,
    Number,
    NumberOrNone,
    Row,
    Some,
    Status,
    Time,
    TimeOrNone,
    Wrong,
    birth,
    checked,
    is_to_come,
    plans,
    with_zone,
)
from feed.records import Bad, Checked, CourtRecord, Refused, Rules
from feed.table import Columns, columns, rows

STATUSES: tuple[str, ...] = ("scheduled", "cancelled")


class _Case(Row):
    case_number: Number
    last_name: Some
    first_name: str
    middle_name: str = ""
    date_of_birth: Day = None
    offender_number: NumberOrNone = ""


class _CourtEvent(Row):
    case_number: Number
    event_id: Some
    starts_at: Time
    place: Some
    status: Status = "scheduled"
    changed_at: TimeOrNone = None


class _Charge(Row):
    case_number: Number
    charge: Some
    statute: str = ""


class _CalendarDelete(Row):
    event_id: Some
    case_number: NumberOrNone = ""
    changed_at: TimeOrNone = None


_TABS = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
_KINDS: dict[str, type[Row]] = {
    "Case": _Case,
    "CourtEvent": _CourtEvent,
    "Charge": _Charge,
    "CalendarDelete": _CalendarDelete,
}
FIELDS: frozenset[str] = frozenset(
    name for kind, row in _KINDS.items() for field in row.model_fields for name in (field, f"{kind}/{field}")
)


@dataclass(frozen=True)
class _Party:
    """Whose case it is, as the Case record of its number says."""

    person: Person
    number: str


def read(name: str, source: BinaryIO, rules: Rules) -> Iterator[CourtRecord | Checked | Bad]:
    """Read line by line, remembering whose each case is. Raises Refused where a header is wrong or it is no text."""
    if not rules.statuses:
        rules = replace(rules, statuses={status: status for status in STATUSES})
    kinds = {kind.lower(): kind for kind in _KINDS}
    headers: dict[str, Columns] = {}
    parties: dict[str, _Party] = {}
    empty = True
    for number, (first, *cells) in rows(name, source, rules.encoding, "text with tabs", **_TABS):
        empty, where = False, f"{name}, row {number}"
        kind = kinds.get(first.lower())
        if kind is None:
            says = f"a record of the kind {first[:80]!r}; it must be one of {', '.join(_KINDS)}"
            yield Bad.because(where, number, [says], {})
            continue
        if kind not in headers:
            headers[kind], is_header = _columns(kind, cells, rules, where)
            if is_header:
                continue
        fields, called = headers[kind].fields(cells), headers[kind].called
        try:
            headers[kind].check_width(cells)
            yield _record(number, _checked(kind, fields, rules, called), rules, parties, called)
        except Wrong as wrong:
            yield Bad.because(f"{where}: {kind}", number, wrong.mistakes, fields)
    if empty:
        raise Refused([f"{name}: is empty; its first lines must name the columns of {', '.join(_KINDS)}"])


def _columns(kind: str, cells: list[str], rules: Rules, where: str) -> tuple[Columns, bool]:
    fields = _KINDS[kind].model_fields
    required = [field for field, holds in fields.items() if holds.is_required()]
    optional = [field for field in fields if field not in required]
    found, is_header = columns(cells, required, optional, rules, f"{where}: {kind}", kind)
    return replace(found, separator="tab"), is_header


def _checked(kind: str, fields: Mapping[str, str], rules: Rules, called: Callable[[str], str]) -> Row:
    holds = {field: value for field, value in rules.always.items() if field in _KINDS[kind].model_fields}
    return checked(_KINDS[kind], {**holds, **fields}, rules, called)


def _record(
    number: int, row: Row, rules: Rules, parties: dict[str, _Party], called: Callable[[str], str]
) -> CourtRecord | Checked:
    """What a row says, once it is known to be one. Raises Wrong."""
    if isinstance(row, _CalendarDelete):
        changed_at = _changed_at(row.changed_at, rules, called)
        return CourtRecord(number, rules.agency, row.event_id, "deleted", row.case_number, changed_at=changed_at)
    if isinstance(row, _Case):
        if mistakes := birth(called("date_of_birth"), row.date_of_birth, rules.now):
            raise Wrong(mistakes)
        person = Person(row.first_name, row.middle_name, row.last_name, row.date_of_birth)
        party = _Party(person, row.offender_number)
        if parties.setdefault(row.case_number, party) != party:
            number_of = f"{called('case_number')} {row.case_number!r}"
            raise Wrong([f"{number_of} is somebody else's in a Case before it; give each person a case number"])
    if not isinstance(row, _CourtEvent):
        return Checked(number)
    party = parties.get(row.case_number)
    mistakes = plans({called("starts_at"): row.starts_at}, rules.now)
    if party is None:
        says = "has no Case record before it that is right; send whose case it is"
        mistakes.append(f"{called('case_number')} {row.case_number!r} {says}")
    if party is None or mistakes:
        raise Wrong(mistakes)
    at = with_zone(row.starts_at, rules.zone).astimezone(UTC)
    says = "cancelled" if row.status == "cancelled" else "scheduled"
    return CourtRecord(
        number,
        rules.agency,
        row.event_id,
        says,
        row.case_number,
        party.number,
        party.person,
        at,
        row.place,
        _changed_at(row.changed_at, rules, called),
    )


def _changed_at(given: datetime | None, rules: Rules, called: Callable[[str], str]) -> datetime | None:
    """Raises Wrong where it is to come."""
    at = with_zone(given, rules.zone) if given else None
    if at and is_to_come(at, rules.now):
        raise Wrong([f"{called('changed_at')} {given} is in the future; correct it or its zone"])
    return at.astimezone(UTC) if at else None
