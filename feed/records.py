"""What every reader returns, whatever the format, and what it is told of the feed that a file comes from."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, BinaryIO, Literal, Protocol
from zoneinfo import ZoneInfo

from db.custody import Custody, Details, Person

CHANGES = "custody changes"
COURT = "court calendar"  # the format that says when somebody must be in court
SNAPSHOT = "custody snapshot"  # the format that says of who is not in it that they are not there
KEPT = 200  # signs of a cell of a row that is put aside

Progress = Callable[[int, int, str], None]
"""Is told how far it is: so many, of how many, and of what: bytes while a file is read, then rows."""


def to_nobody(_done: int, _of: int, _what: str) -> None:
    """For whom it matters not how far it is."""


@dataclass(frozen=True)
class CustodyRecord:
    """One row: where a person is, as an agency says. ``changed_at`` is in ``custody.since``.

    ``details`` holds those of db.custody.Details of which the file says something; ``unsaid`` names those of ``person``
    of which it says nothing.
    """

    row: int
    agency: str
    number: str
    person: Person
    custody: Custody
    event_id: str
    details: dict[str, Any]
    unsaid: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """Whom two rows of the same moment must not say different things of."""
        return f"{self.agency} {self.number}"

    @property
    def at(self) -> datetime:
        return self.custody.since

    @property
    def where(self) -> str:
        return self.custody.facility

    @property
    def when(self) -> datetime:
        return self.custody.since

    @property
    def given(self) -> dict[str, str]:
        """What tells one row from another, as kept of a row that is put aside."""
        at = self.custody.since.isoformat(" ")
        who = {"offender_number": self.number, "last_name": self.person.last_name}
        return who | {"status": self.custody.status, "facility": self.custody.facility, "changed_at": at}

    def person_after(self, known: Person) -> Person:
        """Who it is: what the file says; of what it says nothing, what was known."""
        return replace(self.person, **{name: getattr(known, name) for name in self.unsaid})

    def details_after(self, known: Details) -> Details:
        """What holds of the details: what the file says; of what it says nothing, what was known."""
        return replace(known, **self.details)


@dataclass(frozen=True)
class CourtRecord:
    """One row: a court date that is set, or called off, or was taken out of the calendar as if it had never been.

    ``event_id`` is the court's own id of the date. ``number`` is the offender's at the agency, where the court knows
    it. A deleted one says neither whose it is nor when it would have been.
    """

    row: int
    agency: str
    event_id: str
    says: Literal["scheduled", "cancelled", "deleted"]
    case_number: str = ""
    number: str = ""
    person: Person | None = None
    planned_at: datetime | None = None
    place: str = ""
    changed_at: datetime | None = None  # when the court says that it became so

    @property
    def about(self) -> str:
        return f"{self.agency} court event {self.event_id}"

    @property
    def at(self) -> datetime | None:
        return self.changed_at

    @property
    def where(self) -> str:
        return self.place

    @property
    def when(self) -> datetime | None:
        return self.planned_at

    @property
    def given(self) -> dict[str, str]:
        at = self.planned_at.isoformat(" ") if self.planned_at else ""
        return {"event_id": self.event_id, "case_number": self.case_number, "says": self.says, "at": at}


Record = CustodyRecord | CourtRecord


@dataclass(frozen=True)
class Bad:
    """A row that cannot be believed. ``mistakes`` says what is wrong, ``given`` what stood in the fields we read.

    ``number``: the offender's whom it is about, where that can be read.
    """

    row: int
    mistakes: list[str]
    given: Mapping[str, str] = field(default_factory=dict)
    number: str = ""

    @classmethod
    def because(cls, where: str, row: int, mistakes: list[str], given: Mapping[str, str], number: str = "") -> "Bad":
        """A bad row, each mistake with where it stands, and of what stood there no more than anybody reads."""
        kept = {name: text[:KEPT] for name, text in given.items()}
        return cls(row, [f"{where}: {says}" for says in mistakes], kept, number)


@dataclass(frozen=True)
class Checked:
    """A row without news for anybody that was read and holds no mistake, as a charge."""

    row: int


@dataclass(frozen=True)
class Ignored:
    """A row of which the settings say by its word for a status that it is no news of anybody."""

    row: int
    word: str


class Refused(Exception):
    """The file cannot be believed. ``mistakes`` has a sentence for each, naming file and row."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True)
class Rules:
    """What a file is held against: the feed as the settings declare it, and the present time.

    ``agencies``: whose rows it may hold. ``agency``: whose they are where it does not say. ``columns``: our name of a
    field to theirs, or to its place, counted from 1. ``always``: what holds of every row. ``statuses``: their words to
    ours. ``facilities``: their codes to our names. ``ignore``: columns that are known and not read. ``dates`` and
    ``times``: how they are written, as strptime has it; empty for ISO 8601. ``quarantine``: the share of rows up to
    which bad ones are put aside. ``feed``: AGENCY/NAME of the settings; empty for a custody file by hand.
    """

    agencies: frozenset[str]
    zone: ZoneInfo
    now: datetime
    feed: str = ""
    agency: str = ""
    format: str = CHANGES
    encoding: str = "utf-8"
    columns: Mapping[str, str | int] = field(default_factory=dict)
    always: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    facilities: Mapping[str, str] = field(default_factory=dict)
    ignore: Collection[str] = ()
    dates: str = ""
    times: str = ""
    quarantine: float = 0.0

    @cached_property
    def meanings(self) -> dict[str, str]:
        """Our status by their word in small letters."""
        return {word.lower(): status for word, status in self.statuses.items()}

    def columns_of(self, kind: str = "") -> dict[str, str | int]:
        """Their names of the fields of a kind of record: what KIND/FIELD says goes before what FIELD says."""
        general = {field: name for field, name in self.columns.items() if "/" not in field}
        special = {field: name for field, name in self.columns.items() if kind and field.startswith(f"{kind}/")}
        return general | {field.partition("/")[2]: name for field, name in special.items()}


class Reader(Protocol):
    """A format: a module of its own, with one line in feed/formats.py.

    ``FIELDS``: what the settings can map; ``STATUSES``: what their words can mean.
    """

    FIELDS: frozenset[str]
    STATUSES: tuple[str, ...]

    def read(self, name: str, source: BinaryIO, rules: Rules) -> Iterator[Record | Checked | Ignored | Bad]:
        """Read row by row, holding no more than one. Raises Refused where the rest cannot be read either."""
        ...


@dataclass(frozen=True)
class File:
    """What was read of a file and holds no mistake. ``repeated`` rows said what another row had said.

    ``other_bookings``: rows of which nothing is left but details, as they are of another booking of the same person.
    ``held_on``: of these, releases of who is held on another booking. ``ignored``: how many rows by their word.

    ``quarantined`` rows had mistakes and were put aside, so few that the rest may be believed. ``rows`` counts all.
    """

    custody: list[CustodyRecord]
    court: list[CourtRecord]
    repeated: int
    quarantined: list[Bad]
    rows: int
    other_bookings: int = 0
    held_on: Collection[CustodyRecord] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
