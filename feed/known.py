"""What rows are looked at with: the run itself, who tells what they say, and what is known of whom they speak."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from psycopg import Connection

from db import custody
from db.custody import Custody, Event, Happened, Latest, Offender
from db.held import Rejected
from dialer import policy
from feed.records import SNAPSHOT, CustodyRecord, Rules
from movans.settings import Settings


@dataclass(frozen=True)
class Teller:
    """Who tells what happened, an import or a person, and how those who are registered hear of it."""

    run_id: int | None
    settings: Settings
    now: datetime
    who: str | None = None  # the person
    reported: bool = False  # it is to be told as not yet confirmed
    quiet: bool = False  # it is to be told to nobody

    def happened(self, offender_id: int, kind: str, told: Custody, source: str, key: str) -> Happened:
        """An event that is to be kept."""
        return Happened(
            offender_id, kind, told, source, key, self.run_id, self.who, reported=self.reported, quiet=self.quiet
        )

    def notify(self, conn: Connection, event_id: int, *, late: bool) -> int:
        """Make the notifications of an event that was kept; return how many."""
        if self.quiet:
            return 0
        return policy.notify(conn, event_id, late=late, settings=self.settings, now=self.now)


@dataclass(frozen=True)
class Run:
    """What every row of an import needs to know of it."""

    conn: Connection
    id: int
    sha256: str
    rules: Rules
    told_at: datetime  # when the file came
    now: datetime
    settings: Settings
    only: frozenset[str] | None = None  # kinds of events that may take effect, and nothing else; None: all
    reported: bool = False  # what takes effect is to be told as not yet confirmed
    unconfirmed: frozenset[int] = frozenset()  # events that went out so, of the runs that this one overtakes
    rejected: Collection[Rejected] = ()  # what a person has said that it shall not take effect

    def lets_through(self, *kinds: str) -> bool:
        """Whether events of any of the kinds may take effect."""
        return self.only is None or not self.only.isdisjoint(kinds)

    @property
    def teller(self) -> Teller:
        return Teller(self.id, self.settings, self.now, reported=self.reported)

    @property
    def zone(self) -> ZoneInfo:
        return self.rules.zone

    def is_older_than(self, known_at: datetime) -> bool:
        """Whether its file was held, and something newer came meanwhile."""
        return self.told_at < min(known_at, self.now)

    @property
    def is_snapshot(self) -> bool:
        return self.rules.format == SNAPSHOT


@dataclass(frozen=True)
class Known:
    """An offender, and what happened to them, oldest first."""

    offender: Offender
    history: Sequence[Event]
    withdrawn: Sequence[Event] = ()


def lock_all(conn: Connection, records: Iterable[CustodyRecord]) -> dict[tuple[str, str], Known]:
    numbers: dict[str, set[str]] = {}
    for record in records:
        numbers.setdefault(record.agency, set()).add(record.number)
    locked = [custody.lock(conn, agency, numbers[agency]) for agency in sorted(numbers)]
    return known_of(conn, [offender for found in locked for offender in found.values()])


def known_of(conn: Connection, offenders: Collection[Offender]) -> dict[tuple[str, str], Known]:
    histories = custody.histories(conn, [offender.id for offender in offenders])
    withdrawn = custody.withdrawn(conn, histories)
    return {(one.agency, one.number): Known(one, histories[one.id], withdrawn.get(one.id, ())) for one in offenders}


def update(conn: Connection, latest: Mapping[tuple[str, str], Latest], known: dict[tuple[str, str], Known]) -> None:
    """Write down the latest that is known of offenders, who are known already."""
    custody.update_all(conn, [(known[key].offender, one) for key, one in latest.items()])
    known |= {key: replace(known[key], offender=one.of(known[key].offender.id, *key)) for key, one in latest.items()}


def is_of_now(run: Run, record: CustodyRecord, offender: Offender) -> bool:
    """Whether a row without news says what holds, and so as of when it holds."""
    return record.custody.since >= offender.since or (run.is_snapshot and _is_now(record, offender))


def _is_now(record: CustodyRecord, offender: Offender) -> bool:
    """Whether a row says what holds, though since an older time: who was missing for a while is listed again since."""
    return (record.custody.status, record.custody.facility) == (offender.status, offender.facility)


def local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(" ", "seconds")
