"""Reads a custody file: CSV with a header line that names its columns. docs/custody-file.md describes it.

Every mistake is found before anything is believed: a file with one bad row is refused as a whole.
"""

import csv
import io
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from db.custody import Custody, Details, Person
from db.names import name_keys

REQUIRED = ("agency", "offender_number", "last_name", "first_name", "date_of_birth", "facility", "status", "changed_at")
DETAILS = ("booking_number", "aliases", "case_numbers", "release_date", "court_at", "court_place")
OPTIONAL = ("middle_name", "event_id", *DETAILS)
STATUSES = ("in custody", "released", "escaped", "on furlough", "deceased")
DAY = timedelta(days=1)
AHEAD = timedelta(minutes=10)  # how far a jail's clock may be ahead of ours
OLDEST = date(1900, 1, 1)  # a year before this is a slip of the keyboard, as in 0206 for 2026
LAST_YEAR = 100  # years ahead; a later one is no plan, but a way to say that there is none
LONGEST = 80  # characters of a name, a facility
SEVERAL = 20  # aliases, case numbers of a person
MOST_KEYS = 20  # of one entry on the line
COMMANDS = ("0", "9")  # on the line, standing alone


@dataclass(frozen=True)
class Record:
    """One row: where a person is, as an agency says. ``changed_at`` is in ``custody.since``.

    ``details`` holds those of db.custody.Details for which the file has a column.
    """

    row: int
    agency: str
    number: str
    person: Person
    custody: Custody
    event_id: str
    details: dict[str, Any]

    def details_after(self, known: Details) -> Details:
        """What holds of the details: what the file says; of what it says nothing, what was known."""
        return replace(known, **self.details)


class Refused(Exception):
    """The file cannot be believed. ``mistakes`` has a sentence for each, naming file and row."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True)
class File:
    """A custody file that was read and holds no mistake. ``repeated`` rows said what another row had said."""

    records: list[Record]
    repeated: int


@dataclass(frozen=True)
class Rules:
    """What a row is held against: the agencies of the settings, the zone of times without one, the present time."""

    agencies: frozenset[str]
    zone: ZoneInfo
    now: datetime


def content(path: Path) -> bytes:
    """What the file holds. Raises Refused where it is none that can be read."""
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise Refused([f"{path}: is a directory; name a file in it"]) from None
    except OSError as error:
        raise Refused([f"{path}: cannot be read ({error.strerror}); check its name and its rights"]) from None


def read(name: str, given: bytes, rules: Rules) -> File:
    """Read what a custody file of this name holds. Raises Refused with every mistake in it."""
    records: dict[tuple[str, str, datetime], Record] = {}
    identified: dict[tuple[str, str], Record] = {}
    mistakes: list[str] = []
    repeated = 0
    header, rows = _rows(name, given)
    for number, cells in rows:
        try:
            record = _record(name, number, cells, header, rules)
        except Refused as refused:
            mistakes += refused.mistakes
            continue
        earlier = records.setdefault((record.agency, record.number, record.custody.since), record)
        if earlier is not record and _says_the_same(earlier, record):
            repeated += 1
        elif earlier is not record:
            mistakes.append(
                f"{name}, row {number}: contradicts row {earlier.row} about {record.agency} {record.number} at the"
                " same time; correct or remove one of them"
            )
        elif record.event_id and identified.setdefault((record.agency, record.event_id), record) is not record:
            other = identified[record.agency, record.event_id].row
            mistakes.append(
                f"{name}, row {number}: event_id {record.event_id!r} stands in row {other} too, which says something"
                " else; give each event an id of its own"
            )
    if mistakes:
        raise Refused(mistakes)
    return File(list(records.values()), repeated)


def _says_the_same(one: Record, other: Record) -> bool:
    return replace(one, row=other.row) == other


def _rows(name: str, given: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the rows under it, numbered as a spreadsheet numbers them; the header is row 1."""
    reader = csv.reader(io.StringIO(_text(name, given), newline=""), strict=True)
    table: list[tuple[int, list[str]]] = []
    number = 0
    try:
        for number, row in enumerate(reader, start=1):  # where it fails, it was the row after this
            cells = [" ".join(cell.split()) for cell in row]
            if any(cells):
                table.append((number, cells))
    except csv.Error as error:
        mistake = f"row {number + 1}: is not CSV ({error}); is a quote missing or one too many?"
        raise Refused([f"{name}, {mistake}"]) from None
    if not table:
        raise Refused([f"{name}: is empty; its first line must be {','.join(REQUIRED)}"])
    (place, names), rows = table[0], table[1:]
    header = [column.lower() for column in names]
    _check_header(f"{name}, row {place}", header)
    if not rows:
        raise Refused([f"{name}: has a header and no rows; write it again where it comes from"])
    return header, rows


def _check_header(where: str, header: list[str]) -> None:
    mistakes = [f"the column {name} is missing" for name in REQUIRED if name not in header]
    mistakes += [f"there is no column named {name!r}" for name in header if name and name not in REQUIRED + OPTIONAL]
    mistakes += [f"column {place} has no name" for place, name in enumerate(header, start=1) if not name]
    mistakes += [
        f"the column {name} stands there twice" for name in sorted(set(header)) if name and header.count(name) > 1
    ]
    if mistakes:
        known = f"the columns are {', '.join(REQUIRED)}; optional are {', '.join(OPTIONAL)}"
        raise Refused([f"{where}: {mistake}; {known}" for mistake in mistakes])


def _text(name: str, given: bytes) -> str:
    try:
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = given[: error.start].count(b"\n") + 1
        raise Refused([f"{name}, line {line}: is not UTF-8 text; save the file as CSV UTF-8"]) from None


def _some(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _number(text: str) -> str:
    if not any(sign.isdigit() for sign in text) or not re.fullmatch(r"[A-Za-z0-9 ./:-]+", text):
        raise ValueError("must be made of letters and digits, with at least one digit, so that it can be keyed in")
    keys = re.sub("[ ./:-]", "", text)
    if len(keys) > MOST_KEYS:
        raise ValueError(f"has more than {MOST_KEYS} letters and digits, which callers cannot key in; shorten it")
    if keys in COMMANDS:
        raise ValueError("cannot be keyed in: 0 and 9 alone are commands on the line; give another, as in 00")
    return text


def _alias(text: str) -> str:
    keys = {last for last, _ in name_keys(text)}
    if not keys or keys <= set(COMMANDS):
        raise ValueError("must be LAST, FIRST MIDDLE, with a last name whose letters can be keyed in")
    return text


def _several(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(";") if part.strip()))
    if len(found) > SEVERAL:
        raise ValueError(f"holds {len(found)}, and at most {SEVERAL} are kept; leave the others out")
    return found


def _status(text: str) -> str:
    if text.lower() not in STATUSES:
        raise ValueError(f"must be one of {', '.join(STATUSES)}")
    return text.lower()


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found < OLDEST:
        raise ValueError("must be a date like 1990-07-31, or empty if it is not known")
    return found


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.date() < OLDEST or len(text) < len("2026-11-15 09:40"):
        raise ValueError("must be a time like 2026-11-15 09:40, or with its zone, 2026-11-15T09:40:00-06:00")
    return found


def _number_or_none(text: str) -> str:
    return _number(text) if text else text


def _time_or_none(text: str) -> datetime | None:
    return _time(text) if text else None


class _Row(BaseModel):
    """What each column must hold. The time stays text until the whole row is known to be one."""

    model_config = ConfigDict(extra="forbid", str_max_length=LONGEST)

    agency: str
    offender_number: Annotated[str, AfterValidator(_number)]
    last_name: Annotated[str, AfterValidator(_some)]
    first_name: str
    middle_name: str = ""
    date_of_birth: Annotated[date | None, BeforeValidator(_date)]
    facility: Annotated[str, AfterValidator(_some)]
    status: Annotated[str, AfterValidator(_status)]
    changed_at: Annotated[datetime, BeforeValidator(_time)]
    event_id: str = ""
    booking_number: Annotated[str, AfterValidator(_number_or_none)] = ""
    aliases: Annotated[tuple[Annotated[str, AfterValidator(_alias)], ...], BeforeValidator(_several)] = ()
    case_numbers: Annotated[tuple[Annotated[str, AfterValidator(_number)], ...], BeforeValidator(_several)] = ()
    release_date: Annotated[date | None, BeforeValidator(_date)] = None
    court_at: Annotated[datetime | None, BeforeValidator(_time_or_none)] = None
    court_place: str = ""


def _record(name: str, number: int, cells: list[str], header: list[str], rules: Rules) -> Record:
    """Raises Refused with every mistake of the row."""
    where = f"{name}, row {number}"
    if len(cells) != len(header):
        many = "too many" if len(cells) > len(header) else "too few"
        raise Refused(
            [f"{where}: has {many} columns ({len(cells)}, not {len(header)}); is a comma wrong, or a quote missing?"]
        )
    if strange := [column for column, cell in zip(header, cells, strict=True) if not cell.isprintable()]:
        raise Refused([f"{where}: {column} holds a sign that cannot be seen; type it anew" for column in strange])
    try:
        row = _Row.model_validate(dict(zip(header, cells, strict=True)))
    except ValidationError as error:
        raise Refused([f"{where}: {_sentence(problem)}" for problem in error.errors(include_url=False)]) from None
    since = _with_zone(row.changed_at, rules.zone)
    mistakes = []
    if row.agency not in rules.agencies:
        known = ", ".join(sorted(rules.agencies))
        mistakes.append(f"agency {row.agency!r} is not in the settings; known are {known}; correct it or add it there")
    # Compared without zones first: the last days of the year 9999 cannot be converted.
    if since.replace(tzinfo=UTC) > rules.now + 2 * DAY or since > rules.now + AHEAD:
        mistakes.append(f"changed_at {cells[header.index('changed_at')]!r} is in the future; correct it or its zone")
    if row.date_of_birth and row.date_of_birth > (rules.now + DAY).date():
        mistakes.append(f"date_of_birth {row.date_of_birth} is in the future; correct it")
    mistakes += [
        f"{column} {planned:%Y-%m-%d} is more than {LAST_YEAR} years ahead; leave it empty if there is none"
        for column, planned in (("release_date", row.release_date), ("court_at", row.court_at))
        if planned and planned.year > rules.now.year + LAST_YEAR
    ]
    if mistakes:
        raise Refused([f"{where}: {mistake}" for mistake in mistakes])
    person = Person(row.first_name, row.middle_name, row.last_name, row.date_of_birth)
    custody = Custody(row.status, row.facility, since.astimezone(UTC))
    details = {column: getattr(row, column) for column in DETAILS if column in header}
    if row.court_at:
        details["court_at"] = _with_zone(row.court_at, rules.zone).astimezone(UTC)
    return Record(number, row.agency, row.offender_number, person, custody, row.event_id, details)


def _with_zone(at: datetime, zone: ZoneInfo) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _sentence(problem: ErrorDetails) -> str:
    column, given = problem["loc"][0], str(problem["input"])
    said = problem["msg"].removeprefix("Value error, ")
    if column in ("aliases", "case_numbers") and len(problem["loc"]) == 1:
        return f"{column} {said}"  # of all of them
    if problem["type"] == "string_too_long" or len(given) > LONGEST:
        return f"{column} is longer than {LONGEST} characters; shorten it"
    return f"{column} {given!r} {said}" if given else f"{column} is empty: it {said}"
