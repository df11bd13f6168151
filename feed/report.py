"""What an import reports: what it changed, of whom, and what somebody must hear of it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from db.custody import MISSING, Event, Person
from db.held import Changed
from feed import planned
from feed.compare import (
    Change,
)
from feed.guard import FIRST, OUT
from feed.records import Bad, CustodyRecord, Record

MOST_LINES = 1000  # changes that are kept to be shown; the others are counted


@dataclass(frozen=True)
class Line:
    """One change, as it is printed: of whom, what, and how many will be called."""

    record: Record
    change: Change
    notifications: int


@dataclass(frozen=True)
class Disagreeing:
    """A row that says something else than what holds: what staff said later, or a release where a snapshot has them.

    Or somebody who is in no snapshot, and staff have said that they are in custody: then it is no row of a file.
    """

    record: CustodyRecord
    holds: Event

    @property
    def is_missing(self) -> bool:
        return self.record.custody.status == MISSING


@dataclass(frozen=True)
class Replaced:
    """A number whose person has another name, or is somebody else, and who it was."""

    record: CustodyRecord
    was: Person
    what: str  # renamed, replaced

    def __str__(self) -> str:
        return f"{self.record.about} was {_who(self.was)}, and is {_who(self.record.person)}"


def _who(person: Person) -> str:
    born = f", born {person.birth_date}" if person.birth_date else ""
    return f"{person.last_name}, {person.first_name}{born}"


@dataclass
class Effect:
    """What changed alike at a facility: of how many people, and how many notifications it makes."""

    people: int = 0
    notifications: int = 0


@dataclass
class Report:
    rows: int = 0
    repeated: int = 0
    other_bookings: int = 0
    held_on: Collection[CustodyRecord] = ()  # releases of who is held on another booking
    unchanged: int = 0
    again: Counter[str] = field(default_factory=Counter)  # rows that say again what a person has withdrawn, or rejected
    lines: list[Line] = field(default_factory=list)  # the first of what changed
    events: int = 0  # all that changed
    effects: dict[tuple[str, str], Effect] = field(default_factory=dict)  # by what changed and the facility
    kinds: Counter[str] = field(default_factory=Counter)
    notifications: int = 0
    counts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # of each agency
    changed: list[Changed] = field(default_factory=list)  # all that changed but those
    quarantined: Sequence[Bad] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)  # rows that the settings have ignored, by their word
    strangers: int = 0  # court dates of people whom no jail has told us of
    replaced: list[Replaced] = field(default_factory=list)  # some of them, and of these first who is somebody else
    disagreeing: dict[tuple[str, str], Disagreeing] = field(default_factory=dict)  # by agency and number
    agreeing: set[int] = field(default_factory=set)  # events that were, or could be, denied, and are not by these rows
    missing: Sequence[int] = ()  # offenders who are not in a snapshot and were in the one before
    unnamed: int = 0  # rows of a snapshot that were put aside and may be anybody's, so that nobody is missing in it
    places: set[tuple[str, str]] = field(default_factory=set)  # agency and facility of what changed
    agencies: set[str] = field(default_factory=set)  # whose rows were looked at
    passed_over: int = 0  # rows that were not let through
    said_again: set[int] = field(default_factory=set)  # events that went out unconfirmed, and a row says too
    people: int = 0  # registrants who will be called
    run_id: int = 0
    population: int = 0  # how many were in custody before
    held: Sequence[str] = ()  # why nothing of it took effect; empty: it did

    def count(self, what: str, of: Collection[str] | None = None) -> int:
        """How many there are of what the guard measures, of some agencies or all.

        ``releases``, ``changes`` and ``touched`` have what went out unconfirmed and is said again: it is not less to be
        believed than the first time. ``changes`` are all but who, or which court date, was ``listed`` for the first
        time. ``touched``: of how many offenders there is something new.
        """
        return sum(counts[what] for agency, counts in self.counts.items() if of is None or agency in of)

    @property
    def touched(self) -> int:
        return self.count("touched") + len(self.missing)

    def add(self, lines: Collection[Line]) -> None:
        """Add what changed; of nobody of these was anything added before."""
        self.lines += list(lines)[: MOST_LINES - len(self.lines)]
        self.events += len(lines)
        for agency, _ in {(line.record.agency, line.record.about) for line in lines if line.record.row}:
            self.counts[agency]["touched"] += 1
        for line in lines:
            change, record = line.change, line.record
            counts = self.counts[record.agency]
            is_news = change.what == "news"
            effect = self.effects.setdefault(
                (change.kind if is_news else f"{change.kind}: corrected", record.where), Effect()
            )
            effect.people += 1
            effect.notifications += line.notifications
            kind = change.kind if is_news else "amended"
            self.kinds[kind] += 1
            self.notifications += line.notifications
            counts["notifications"] += line.notifications
            counts["releases"] += is_news and change.kind in OUT
            counts["listed" if kind in FIRST else "changes"] += 1
            status, at = "", record.when
            if change.planned_at:
                status, at = planned.DUE, change.planned_at
            elif isinstance(record, CustodyRecord):
                status = record.custody.status
            if isinstance(record, CustodyRecord):
                self.places.add((record.agency, record.where))
            if kind != "listed":
                self.changed.append(Changed(record.agency, record.number, kind, status, at, record.where))
