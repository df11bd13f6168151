"""One import: a file is read, compared with what is known, and applied in one transaction, or not at all."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO
from zoneinfo import ZoneInfo

from psycopg import Connection, Rollback

from db import alerts, custody, feed_runs, held, notifications, registrations, rosters
from db.custody import PLANS, Custody, Details, Event, Happened, Latest, Offender, Person
from db.held import Changed, Rejected
from db.pool import Database, take_time
from dialer import policy
from feed import court, planned, sieve
from feed.checking import MOST_MISTAKES, Seen, opened, printable, read
from feed.compare import (
    KINDS,
    MISSING,
    Change,
    apart,
    back,
    compare,
    corrected,
    denies,
    disagrees,
    missing,
    overtaking,
    own_key,
    present,
    says_again,
)
from feed.guard import FIRST, OUT, excess
from feed.persons import became
from feed.records import Bad, CourtRecord, CustodyRecord, File, Progress, Record, Refused, Rules, to_nobody
from feed.sieve import Sieve
from movans.settings import Settings

_ONE_AT_A_TIME = 0x46454544  # "FEED": two imports at once would both find a new offender missing
CHUNK = 2000  # rows that take effect together; after each so many it is told how far it is
MOST_LINES = 1000  # changes that are kept to be shown; the others are counted
SNAPSHOT = "custody snapshot"  # the format that says of who is not in it that they are not there


@dataclass(frozen=True)
class Line:
    """One change, as it is printed: of whom, what, and how many will be called."""

    record: Record
    change: Change
    notifications: int


@dataclass(frozen=True)
class Disagreeing:
    """A row that says something else than what holds: what staff said later, or a release where a snapshot has them."""

    record: CustodyRecord
    holds: Event


@dataclass(frozen=True)
class Replaced:
    """A number whose person has another name, or is somebody else, and who it was."""

    record: CustodyRecord
    was: Person
    what: str  # renamed, replaced

    def __str__(self) -> str:
        return f"{self.record.about} was {_who(self.was)}, and is {_who(self.record.person)}"


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
    strangers: int = 0  # court dates of people whom no jail has told us of
    replaced: list[Replaced] = field(default_factory=list)  # the first of them
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


@dataclass(frozen=True)
class _Known:
    """An offender, and what happened to them, oldest first."""

    offender: Offender
    history: Sequence[Event]
    withdrawn: Sequence[Event] = ()


@dataclass(frozen=True)
class _Before:
    """What there was before a run, which is measured against it: in custody, and registrations, by agency."""

    reach: dict[str, tuple[int, int]]
    on_roster: int

    def among(self, agencies: Collection[str]) -> tuple[int, int]:
        """How many these agencies have in custody, and how many live registrations there are for their offenders."""
        held, registrations = zip((0, 0), *(self.reach[agency] for agency in agencies), strict=True)
        return sum(held), sum(registrations)

    def population(self, report: Report) -> int:
        """How many the agencies of a run have in custody.

        Of several, so many that the share that it touches is that of the one of which it touches most.
        """
        touched = {agency: report.count("touched", [agency]) for agency in report.agencies}
        each = [self.reach[agency][0] * report.touched // many for agency, many in touched.items() if many]
        return min(each) if len(touched) > 1 and each else self.among(touched)[0]


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
    def zone(self) -> ZoneInfo:
        return self.rules.zone

    def is_older_than(self, known_at: datetime) -> bool:
        """Whether its file was held, and something newer came meanwhile."""
        return self.told_at < min(known_at, self.now)

    @property
    def is_snapshot(self) -> bool:
        return self.rules.format == SNAPSHOT


def run(
    db: Database,
    path: Path,
    rules: Rules,
    *,
    settings: Settings,
    progress: Progress = to_nobody,
    last: Callable[[Connection, str], None] = lambda _conn, _outcome: None,
) -> Report:
    """Import a file in the format of its feed. Raises Refused where it has mistakes; then nothing of it took effect.

    Nothing of it takes effect either where it changes more than the guard lets through: it is held, until a person
    decides.

    ``last`` is called at the end of the transaction, with what became of the file: applied, held or refused. Where it
    raises, nothing became of it.
    """
    name = printable(path.name)
    with opened(path) as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        try:
            with db.connection() as conn:
                one_at_a_time(conn)
                run_id = feed_runs.add(conn, name, sha256, "applied", feed=rules.feed, now=rules.now)
                this = Run(conn, run_id, sha256, rules, rules.now, rules.now, settings)
                out = held.unconfirmed(conn, rules.feed, sha256, before=run_id, is_snapshot=this.is_snapshot)
                this = replace(this, unconfirmed=out)
                report = _guarded(this, source, name, progress)
                feed_runs.of_agencies(conn, run_id, report.agencies)
                if not report.held:
                    held.confirm(conn, report.said_again)
                since = held.overtake(conn, rules.feed, sha256, by=run_id, is_snapshot=this.is_snapshot, now=this.now)
                if report.held:
                    source.seek(0)
                    _hold(this, report, source.read(), since or this.now)
                else:
                    held.tell(conn, rules.feed, now=this.now)
                    _tell_of_aside(this, report, name)
                    _tell_of_replaced(this, report)
                _tell_of_rejected(this, report)
                has_all = this.is_snapshot and not report.held
                feed_runs.made_good(conn, rules.feed, has_all=has_all, now=this.now)
                if this.is_snapshot:
                    held.tell_of_unnamed(conn, rules.feed, report.unnamed, now=this.now)
                last(conn, "held" if report.held else "applied")
                return report
        except Refused:
            with db.connection() as conn:
                feed_runs.add(conn, name, sha256, "refused", feed=rules.feed, now=rules.now)
                last(conn, "refused")
            raise


def one_at_a_time(conn: Connection) -> None:
    """Wait until no other import runs, and take as long as it takes."""
    take_time(conn)
    conn.execute("select pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])


def take_effect(run: Run, source: BinaryIO, name: str, progress: Progress = to_nobody) -> Report:
    """Apply a file, as far as the run lets it through. Raises Refused where it has mistakes; then undo all of it."""
    report = Report(agencies={run.rules.agency} if run.rules.agency else set())
    run = replace(run, rejected=held.rejected(run.conn, run.rules.agencies))
    if run.rules.format in sieve.FORMATS:
        _apply_rows(run, Sieve(run.conn, name, source, run.rules, progress), name, report, progress)
    else:
        file = read(name, source, run.rules)
        _count(report, file)
        _apply(run, file.custody, name, report)
        _apply_court(run, file.court, report)
        progress(file.rows, file.rows, "rows")
    if run.only is None:  # else the rest is to come, or not
        _tell_of_disagreement(run, report)
        feed_runs.put_aside(run.conn, run.id, [(bad.row, bad.mistakes, bad.given) for bad in report.quarantined])
    report.run_id, report.people = run.id, feed_runs.people(run.conn, run.id, now=run.now)
    return report


def _count(report: Report, file: File) -> None:
    report.rows, report.repeated, report.other_bookings = file.rows, file.repeated, file.other_bookings
    report.quarantined, report.held_on = file.quarantined, file.held_on


def keep_counts(run: Run, report: Report) -> None:
    feed_runs.count(
        run.conn,
        run.id,
        rows=report.rows,
        events=report.events,
        releases=report.count("releases"),
        changes=report.count("changes"),
        notifications=report.notifications,
        of_agencies={} if run.rules.feed else report.counts,
    )


def _guarded(run: Run, source: BinaryIO, name: str, progress: Progress) -> Report:
    """Let a file take effect and undo that again where it is more than the guard lets through."""
    before = _before(run)
    report = Report()
    with run.conn.transaction() as effect:
        report = take_effect(run, source, name, progress)
        _measure(run, report, before)
        if report.held:
            raise Rollback(effect)
    keep_counts(run, report)
    return report


def _before(run: Run) -> _Before:
    return _Before(feed_runs.reach(run.conn, run.rules.agencies), rosters.size(run.conn, run.rules.feed))


def _measure(run: Run, report: Report, before: _Before) -> None:
    """Note why a person must look at what a run does; nothing where none needs to.

    A file by hand may be of any agency: it is measured against each of whom it speaks, and against all of these.
    """
    report.population = before.population(report)
    parts = [([agency], f"{agency}: ") for agency in sorted(report.agencies)] if len(report.agencies) > 1 else []
    report.held = [
        of_whom + says
        for agencies, of_whom in [*parts, (report.agencies, "")]
        for says in _excesses(run, report, before, agencies)
    ]


def _excesses(run: Run, report: Report, before: _Before, agencies: Collection[str]) -> Iterator[str]:
    """What a run changes too much of these agencies, a sentence each."""
    conn, feed = run.conn, run.rules.feed
    guard = run.settings.guard_of(feed)
    population, registrations = before.among(agencies)
    usual = feed_runs.usual(conn, feed, agencies=agencies, before=run.id)
    lately = feed_runs.lately(conn, feed, agencies=agencies, before=run.id, now=run.now)
    counts = {what: report.count(what, agencies) for what in ("releases", "changes", "notifications", "listed")}
    counts["missing"] = len(report.missing)
    measures = [
        ("releases", guard.releases, population, "in custody"),
        ("changes", guard.changes, population, "in custody"),
        ("notifications", guard.notifications, registrations, "registrations"),
        ("missing", guard.missing, before.on_roster, "in the last snapshot"),
    ]
    # Where others were told of before, these may be the same, by new numbers: nobody would hear of them again.
    if feed_runs.last_applied(conn, feed, agencies=agencies, before=run.id):
        measures.append(("listed", guard.changes, population + counts["listed"], "in custody by then"))
    for what, limit, among, of in measures:
        says = excess(
            what,
            counts[what],
            limit,
            lately=lately.get(what, 0),
            among=among,
            of=of,
            times=guard.times,
            usual=usual.get(what),
        )
        if says:
            yield says


def _hold(run: Run, report: Report, content: bytes, since: datetime) -> None:
    # Who is moved by it is still known to be where they were, and whose court date it is, in their jail.
    known = custody.places_of(run.conn, {(change.agency, change.number) for change in report.changed})
    held.hold(
        run.conn,
        run.id,
        content,
        list(report.held),
        report.places | known | custody.places(run.conn, report.missing),
        report.changed,
        touched=report.touched,
        population=report.population,
        since=since,
        now=run.now,
    )


def _tell_of_aside(run: Run, report: Report, name: str) -> None:
    if run.rules.feed:  # else whoever imports it by hand reads it
        many = len(report.quarantined)
        feed_runs.tell_of_aside(
            run.conn, run.rules.feed, name, many, report.rows, is_snapshot=run.is_snapshot, now=run.now
        )


def _who(person: Person) -> str:
    born = f", born {person.birth_date}" if person.birth_date else ""
    return f"{person.last_name}, {person.first_name}{born}"


def _tell_of_replaced(run: Run, report: Report) -> None:
    if many := report.kinds["replaced"]:
        first = next(str(other) for other in report.replaced if other.what == "replaced")
        held.tell_of_replaced(run.conn, run.id, run.rules.feed, many, first, now=run.now)


def _tell_of_rejected(run: Run, report: Report) -> None:
    if many := report.again["rejected"]:
        held.tell_of_rejected(run.conn, run.rules.feed, many, now=run.now)
    elif run.is_snapshot:
        held.rejected_no_more(run.conn, run.rules.feed, now=run.now)


def _tell_of_disagreement(run: Run, report: Report) -> None:
    """See that a person is told of whom a feed says something else than what holds; where it agrees, that is over.

    A release and one snapshot may cross on their way: the second that still has somebody says otherwise.
    """
    feed = run.rules.feed or "by hand"
    for event_id in report.agreeing:
        alerts.over(run.conn, alerts.DISAGREES % (event_id, feed), now=run.now)
    for (agency, number), one in report.disagreeing.items():
        told, holds, zone = one.record.custody, one.holds, run.settings.zone(agency)
        if not (holds.by_staff or holds.denied_at):
            continue
        said = "staff have said" if holds.by_staff else "before it was said"
        says = (
            f"{agency} {number} is {told.status!r} since {_local(told.since, zone)}, as {run.rules.feed or 'a file'}"
            f" says; but {said} {holds.status!r} since {_local(holds.effective_at, zone)}, which is later and"
            f" holds. Find out what is true: movans custody show {agency} {number}"
        )
        alerts.add_once(run.conn, alerts.DISAGREES % (holds.id, feed), says, now=run.now)


def _apply_rows(run: Run, rows: Sieve, name: str, report: Report, progress: Progress) -> None:
    """Apply the rows that can be news, so many at a time, and then note who is missing."""
    seen, refused = Seen(name), list[str]()
    absent = rows.absent() if run.is_snapshot else set[int]()
    for records, digests in _chunks(run, rows, seen, report, progress):
        try:
            if refused:
                _checked(run, records, name)
            elif not seen.is_too_wrong(run.rules.quarantine, rows.rows):
                absent.difference_update(_apply(run, records, name, report, digests))
        except Refused as error:
            refused.extend(error.mistakes[: MOST_MISTAKES - len(refused)])
    if refused:
        raise Refused(refused)
    if run.is_snapshot and run.lets_through(KINDS[MISSING]):
        _apply_missing(run, absent - _in_rows_aside(run, report), report)
        if run.only is None:
            rosters.came(run.conn, run.rules.feed, at=run.told_at)


def _chunks(
    run: Run, rows: Sieve, seen: Seen, report: Report, progress: Progress
) -> Iterator[tuple[list[CustodyRecord], dict[int, bytes]]]:
    """The rows that can be news, with the digests of those that are the only ones of their offenders.

    The last has all that belong together; before it the file is judged as a whole. Raises Refused. The others can be
    applied in whatever order: one offender's rows have nothing to do with another's.
    """
    alone, digests = list[CustodyRecord](), dict[int, bytes]()
    skipped = rows.rows - rows.many_to_look_at
    seen.pass_over(skipped)
    for looked_at, (said, digest, together) in enumerate(rows.to_look_at(), start=1):
        if together or isinstance(said, Bad):
            seen.take(said)
        else:
            seen.pass_over(1)
            alone.append(said)
            digests[said.row] = digest
        if len(alone) == CHUNK:
            yield alone, digests
            alone, digests = [], {}
        if looked_at % CHUNK == 0:
            progress(skipped + looked_at, rows.rows, "rows")
    file = seen.file(run.rules)
    _count(report, file)
    if run.only is None:
        report.unchanged += skipped
    else:
        report.passed_over += skipped
    yield [*alone, *file.custody], digests
    if rows.many_to_look_at % CHUNK or not rows.many_to_look_at:
        progress(rows.rows, rows.rows, "rows")


def _apply(
    run: Run,
    records: Sequence[CustodyRecord],
    name: str,
    report: Report,
    digests: Mapping[int, bytes] = MappingProxyType({}),
) -> Collection[int]:
    """Apply rows in the order of their times, but first those that correct an event by its id; return whose they are.

    So what is new is compared with times that hold. Who only stayed as they were is noted at the end, at once.
    The offenders are locked meanwhile, and registrations wait. ``digests``: of the rows that no other one belongs to.
    """
    known, corrected = _checked(run, records, name)
    before = {key: here.offender for key, here in known.items()}
    in_order = sorted(records, key=lambda record: (record.row not in corrected, record.custody.since))
    lines: dict[int, list[Line]] = {}
    as_they_were: set[int] = set()
    for turn in _turns(in_order):
        lines |= _apply_turn(run, turn, known, as_they_were, report)
    _apply_dates(run, in_order, before, known, lines, report)
    others = _replaced(records, before, known)
    report.replaced += others[: MOST_LINES - len(report.replaced)]
    report.add(
        [line for place in sorted(lines) for line in lines[place]]
        + [Line(other.record, Change("news", other.what), 0) for other in others]
    )
    if run.only is None:
        _note_disagreements(run, report, records, known)
    report.agencies |= {record.agency for record in records}
    found = [(here.offender.id, record) for record in records if (here := known.get((record.agency, record.number)))]
    if run.is_snapshot and run.lets_through(KINDS[MISSING]):
        present: dict[int, bytes | None] = {}
        for offender_id, record in found:
            settled = run.only is None and _is_settled(run, known[record.agency, record.number], record)
            present[offender_id] = digests.get(record.row) if settled else None
        rosters.present(run.conn, run.rules.feed, present)
        as_they_were -= {offender_id for offender_id, digest in present.items() if digest}
    custody.heard_of(run.conn, as_they_were, now=run.told_at)
    return {offender_id for offender_id, _ in found}


def _replaced(
    records: Sequence[CustodyRecord],
    before: Mapping[tuple[str, str], Offender],
    known: Mapping[tuple[str, str], _Known],
) -> list[Replaced]:
    """The numbers that are not who they were before these rows took effect."""
    others = {
        key: (was, person)
        for key, offender in before.items()
        if (was := offender.person) != (person := known[key].offender.person)
    }
    rows = {key: record for record in records if (key := (record.agency, record.number)) in others}
    return [
        Replaced(replace(rows[key], person=person), was, what)
        for key, (was, person) in others.items()
        if (what := became(was, person))
    ]


def _apply_turn(
    run: Run,
    turn: Sequence[tuple[int, CustodyRecord]],
    known: dict[tuple[str, str], _Known],
    as_they_were: set[int],
    report: Report,
) -> dict[int, list[Line]]:
    """Apply rows with their places, each of another offender; return what changed.

    From then on ``known`` says what is known. Who is as they were is added to those ``as_they_were``.
    """
    changed: dict[int, tuple[CustodyRecord, Change]] = {}
    people: dict[tuple[str, str], Latest] = {}
    for place, told in turn:
        here = known.get((told.agency, told.number))
        record = _as_seen(run, here, told) if run.is_snapshot and here else told
        change = _means(run, record, here)
        _note_said_again(run, report, record, here, change)
        if run.only is not None and not (change.what == "news" and run.lets_through(change.kind)):
            report.passed_over += 1
            if here and change.what == "unchanged" and (due := _corrected_date(run, here.offender, record)):
                people[told.agency, told.number] = due
        elif change.what in ("withdrawn", "rejected"):
            report.again[change.what] += 1
        elif here is None or change.what != "unchanged":
            changed[place] = record, change
        else:
            report.unchanged += 1
            if not _is_of_now(run, record, here.offender):
                continue
            if run.told_at >= here.offender.known_at:  # else it was held, and something newer came meanwhile
                as_they_were.add(here.offender.id)
            if person := _corrected_person(run, here.offender, record):
                people[told.agency, told.number] = person
    lines = _apply_changes(run, list(changed.values()), known)
    _update(run.conn, people, known)
    return dict(zip(changed, lines, strict=True))


def _apply_dates(
    run: Run,
    in_order: Sequence[CustodyRecord],
    before: Mapping[tuple[str, str], Offender],
    known: dict[tuple[str, str], _Known],
    lines: dict[int, list[Line]],
    report: Report,
) -> None:
    """Tell of whom rows give another day of release than was known ``before`` them, all rows of one person together.

    Whether a row says what holds now was decided when it was applied, and with it whether its day was taken over. A day
    that is not to be told is taken back: what callers hear is what was told.
    """
    last = {(record.agency, record.number): place for place, record in enumerate(in_order)}
    if len(last) < len(in_order):
        _join_bookings(run, in_order, last, known)
    if run.only is None:
        _note_denied(run, [in_order[place] for place in last.values()], known)
    moved = [key for key, was in before.items() if known[key].offender.release_date != was.release_date]
    means = {key: _date_means(run, before[key], known[key]) for key in moved}
    stays = {key for key, change in means.items() if change is None or change.what in ("withdrawn", "rejected")}
    _update(run.conn, {key: _with_date(known[key].offender, before[key].release_date) for key in stays}, known)
    notifications.end_plans(
        run.conn,
        [known[key].offender.id for key, change in means.items() if change and change.what == "unchanged"],
        now=run.now,
    )
    told = {key: change for key, change in means.items() if change and change.what == "news"}
    made = _tell_dates(run, {key: (in_order[last[key]], told[key]) for key in told}, before, known)
    for key, change in means.items():
        was_counted = last[key] not in lines
        if change and change.what in ("withdrawn", "rejected"):
            report.again[change.what] += 1
            report.unchanged -= was_counted
        elif change and change.what == "news":
            report.unchanged -= was_counted and run.only is None
            report.passed_over -= was_counted and run.only is not None
            lines.setdefault(last[key], []).append(Line(in_order[last[key]], change, made[key]))


def _join_bookings(
    run: Run,
    in_order: Sequence[CustodyRecord],
    last: Mapping[tuple[str, str], int],
    known: dict[tuple[str, str], _Known],
) -> None:
    """Who is held on several bookings is due when the last of them is over."""
    days: dict[tuple[str, str], Latest] = {}
    for key, day in planned.of_bookings(in_order).items():
        offender = known[key].offender if key in known else None  # a row that is passed over makes nobody known
        if offender and offender.release_date != day and _is_of_now(run, in_order[last[key]], offender):
            days[key] = _with_date(offender, day)
    _update(run.conn, days, known)


def _date_means(run: Run, was: Offender, here: _Known) -> Change | None:
    """What it is that somebody is due on another day; None where it stays at the one that was known.

    A file that was held says nothing newer than what came meanwhile, unless it has them moved, or back.
    """
    offender, day = here.offender, here.offender.release_date
    today = run.now.astimezone(run.settings.zone(offender.agency)).date()
    since = [event.status for event in here.history if event.effective_at > was.since]
    over = next((status for status in since if status in planned.OVER), was.status)
    kind = planned.compare(day, was.release_date, was=over, status=offender.status, today=today)
    is_older = run.is_older_than(was.known_at) and offender.custody == was.custody
    if is_older or not (run.only is None or kind in run.only):
        return None
    if not kind or day is None:
        return Change("unchanged")
    if planned.is_withdrawn(day, here.withdrawn):
        return Change("withdrawn")
    if (offender.agency, offender.number, planned.DUE, planned.at(day), "") in run.rejected:
        return Change("rejected")
    return Change("news", kind, planned_at=planned.at(day))


def _tell_dates(
    run: Run,
    told: Mapping[tuple[str, str], tuple[CustodyRecord, Change]],
    before: Mapping[tuple[str, str], Offender],
    known: Mapping[tuple[str, str], _Known],
) -> dict[tuple[str, str], int]:
    """Keep the events of days of release, and return how many notifications each makes."""
    if not told:
        return {}
    happened: list[Happened] = []
    for key, (record, change) in told.items():
        offender = known[key].offender
        happened.append(
            Happened(
                offender.id,
                change.kind,
                Custody(offender.status, offender.facility, run.now),
                offender.agency,
                # One event of a row of a run: the same change again is another run's, or no change.
                own_key(f"{offender.number}\trelease date\t{run.id}\t{record.row}", known[key].withdrawn),
                run.id,
                planned_at=change.planned_at,
                reported=run.reported,
                release_date_before=before[key].release_date,
            )
        )
    event_ids = custody.record_all(run.conn, happened, now=run.now)
    registered = registrations.of_offenders(run.conn, [event.offender_id for event in happened])
    return {
        key: policy.notify(run.conn, event_id, late=False, settings=run.settings, now=run.now)
        if event.offender_id in registered
        else 0
        for key, event, event_id in zip(told, happened, event_ids, strict=True)
    }


def _note_denied(run: Run, last: Iterable[CustodyRecord], known: Mapping[tuple[str, str], _Known]) -> None:
    """Note where the last row of somebody says another day of release than one that was withdrawn, or none."""
    denied: list[int] = []
    for record in last:
        here = known.get((record.agency, record.number))
        withdrawn = planned.in_force(here.withdrawn) if here else []
        if here and withdrawn and "release_date" in record.details and _is_of_now(run, record, here.offender):
            if run.is_older_than(here.offender.known_at):
                continue
            day = here.offender.release_date
            denied += [event.id for event in withdrawn if day is None or event.planned_at != planned.at(day)]
    if denied:
        custody.deny(run.conn, denied, at=run.now)


def _update(conn: Connection, latest: Mapping[tuple[str, str], Latest], known: dict[tuple[str, str], _Known]) -> None:
    """Write down the latest that is known of offenders, who are known already."""
    custody.update_all(conn, [(known[key].offender, one) for key, one in latest.items()])
    known |= {key: replace(known[key], offender=one.of(known[key].offender.id, *key)) for key, one in latest.items()}


def _turns(in_order: Sequence[CustodyRecord]) -> Iterable[list[tuple[int, CustodyRecord]]]:
    """The rows with their places, in turns: of each offender the first, then of each that has one the second…"""
    turns: list[list[tuple[int, CustodyRecord]]] = []
    had = Counter[str]()
    for place, record in enumerate(in_order):
        if had[record.about] == len(turns):
            turns.append([])
        turns[had[record.about]].append((place, record))
        had[record.about] += 1
    return turns


def _checked(run: Run, records: Sequence[CustodyRecord], name: str) -> tuple[dict[tuple[str, str], _Known], set[int]]:
    """What is known of whom rows speak of, locked, and the rows that correct an event by its id. Raises Refused."""
    known = _lock_all(run.conn, records)
    _check_event_ids(run.conn, records, known, name)
    corrections = _corrections(records, known)
    _check_latest(corrections, known, name, run.zone)
    return known, {record.row for record, _ in corrections}


def _is_settled(run: Run, here: _Known, record: CustodyRecord) -> bool:
    """Whether a row would be no news if it came once more, nor anything else that is to be told or noted again."""
    offender = here.offender
    return (
        _as_seen(run, here, record) is record
        and not disagrees(record.custody, here.history)
        and not (run.is_snapshot and denies(record.custody, here.history))
        and _means(run, record, here).what == "unchanged"
        and _is_of_now(run, record, offender)
        and _corrected_person(run, offender, record) is None
    )


def _is_of_now(run: Run, record: CustodyRecord, offender: Offender) -> bool:
    """Whether a row without news says what holds, and so as of when it holds."""
    return record.custody.since >= offender.since or (run.is_snapshot and _is_now(record, offender))


def _note_disagreements(
    run: Run, report: Report, records: Sequence[CustodyRecord], known: Mapping[tuple[str, str], _Known]
) -> None:
    """Note whose last row says something else than what holds, and that a snapshot has denied it."""
    last = {(one.agency, one.number): one for one in sorted(records, key=lambda one: one.custody.since)}
    denied: list[int] = []
    for key, record in last.items():
        history = known[key].history if key in known else []
        latest = history[-1] if history else None
        if latest is None:
            continue
        is_denied = run.is_snapshot and denies(record.custody, history) and latest.recorded_at < run.told_at
        if is_denied or disagrees(record.custody, history):
            report.disagreeing[key] = Disagreeing(record, latest)
        elif (latest.by_staff or latest.denied_at) and not denies(record.custody, history):
            report.agreeing.add(latest.id)
        if is_denied and not latest.by_staff and latest.denied_at is None:
            denied.append(latest.id)
    if denied:
        custody.deny(run.conn, denied, at=run.told_at)


def _note_said_again(run: Run, report: Report, record: CustodyRecord, here: _Known | None, change: Change) -> None:
    for event in here.history if here and run.unconfirmed else ():
        if event.id in run.unconfirmed - report.said_again and (
            event == change.event or says_again(record.custody, [event], record.event_id)
        ):
            report.said_again.add(event.id)
            report.counts[record.agency].update(["releases", "changes", "touched"])


def _means(run: Run, record: CustodyRecord, here: _Known | None) -> Change:
    if here and says_again(record.custody, here.withdrawn, record.event_id):
        return Change("withdrawn")
    history = here.history if here else []
    change = compare(record.custody, history, record.event_id)
    if run.is_snapshot and change.what == "unchanged":
        change = back(record.custody, history) or change
    told = record.custody
    where = told.facility if told.status == "in custody" else ""
    same = (record.agency, record.number, told.status, told.since, where)
    return Change("rejected") if change.what == "news" and same in run.rejected else change


def _as_seen(run: Run, here: _Known, record: CustodyRecord) -> CustodyRecord:
    """A row of a snapshot, as what it says at the time at which that came."""
    seen = present(record.custody, here.history, run.told_at)
    return record if seen == record.custody else replace(record, custody=seen, event_id="")


def _is_now(record: CustodyRecord, offender: Offender) -> bool:
    """Whether a row says what holds, though since an older time: who was missing for a while is listed again since."""
    return (record.custody.status, record.custody.facility) == (offender.status, offender.facility)


def _in_rows_aside(run: Run, report: Report) -> set[int]:
    """Note who stands in a snapshot by a row that was put aside, whatever is wrong with it: they are not missing."""
    report.unnamed = sum(not bad.number for bad in report.quarantined)
    numbers = {bad.number for bad in report.quarantined if bad.number}
    there = {offender.id for offender in custody.lock(run.conn, run.rules.agency, numbers).values()}
    rosters.present(run.conn, run.rules.feed, dict.fromkeys(there))
    return there


def _apply_missing(run: Run, absent: Collection[int], report: Report) -> None:
    """Note who is missing in a snapshot, of whom the roster has: for the second time running is news.

    The same bytes once more are the same snapshot. Where it is not known of whom a row is, it may be anybody's who
    seems to be missing: nobody is by that file.
    """
    if report.unnamed:
        rosters.look_again(run.conn, absent)
        return
    conn, feed = run.conn, run.rules.feed
    gone = rosters.missing(conn, feed, absent)
    before = feed_runs.last_applied(conn, feed, before=run.id)
    if before is None or before.sha256 == run.sha256:
        return
    report.missing = [one.offender_id for one in gone if one.since is None or not one.elsewhere]
    first = [one.offender_id for one in gone if one.since is None]
    rosters.first_missing(conn, feed, first, since=before.started_at)
    # Who was first missing in this very snapshot, of which only some kinds took effect until now, is so once.
    again = [one for one in gone if one.since and one.since != before.started_at]
    for start in range(0, len(again), CHUNK):
        some = {one.offender_id: one for one in again[start : start + CHUNK]}
        known = _known_of(conn, custody.get_all(conn, some))
        changed: list[tuple[CustodyRecord, Change]] = []
        for (agency, number), here in known.items():
            one = some[here.offender.id]
            denied_at = here.history[-1].denied_at if here.history else None
            is_now, known_at = here.offender.custody, here.offender.known_at
            if news := missing(is_now, known_at, one.since, elsewhere=one.elsewhere, denied_at=denied_at):
                record = CustodyRecord(0, agency, number, here.offender.person, news, "", {})
                changed.append((record, Change("news", KINDS[news.status])))
            elif here.history and here.history[-1].is_out and not one.elsewhere:
                report.agreeing.add(here.history[-1].id)
        report.add([line for lines in _apply_changes(run, changed, known) for line in lines])
    rosters.leave(conn, feed, [one.offender_id for one in again if not one.elsewhere])


def _apply_court(run: Run, records: Sequence[CourtRecord], report: Report) -> None:
    """Apply what a court calendar says, and add to the report what came of it."""
    applied = court.apply(run.conn, run.id, records, only=run.only, now=run.now)
    report.add(
        [
            Line(
                news.record,
                Change("news", news.kind),
                policy.notify(run.conn, news.event_id, late=False, settings=run.settings, now=run.now),
            )
            for news in applied.news
        ]
    )
    report.agencies |= {record.agency for record in records}
    report.unchanged += applied.unchanged
    report.passed_over += applied.passed_over
    report.strangers = applied.strangers


def _lock_all(conn: Connection, records: Iterable[CustodyRecord]) -> dict[tuple[str, str], _Known]:
    numbers: dict[str, set[str]] = {}
    for record in records:
        numbers.setdefault(record.agency, set()).add(record.number)
    locked = [custody.lock(conn, agency, numbers[agency]) for agency in sorted(numbers)]
    return _known_of(conn, [offender for found in locked for offender in found.values()])


def _known_of(conn: Connection, offenders: Collection[Offender]) -> dict[tuple[str, str], _Known]:
    histories = custody.histories(conn, [offender.id for offender in offenders])
    withdrawn = custody.withdrawn(conn, histories)
    return {(one.agency, one.number): _Known(one, histories[one.id], withdrawn.get(one.id, ())) for one in offenders}


def _check_event_ids(
    conn: Connection, records: Sequence[CustodyRecord], known: dict[tuple[str, str], _Known], name: str
) -> None:
    """An event's id that comes again must be of the same offender and say the same status. Raises Refused."""
    mistakes = []
    for agency in sorted({record.agency for record in records}):
        given = [record for record in records if record.agency == agency and record.event_id]
        events = custody.with_source_keys(conn, agency, [record.event_id for record in given])
        for record in given:
            here = known.get((agency, record.number))
            says = (here.offender.id if here else None, record.custody.status)
            if events.get(record.event_id, says) != says:
                mistakes.append(
                    f"{name}, row {record.row}: event_id {record.event_id!r} was given before, for another offender or"
                    " status; give each event an id of its own"
                )
    if mistakes:
        raise Refused(mistakes)


def _corrections(
    records: Sequence[CustodyRecord], known: dict[tuple[str, str], _Known]
) -> Sequence[tuple[CustodyRecord, Event]]:
    """The rows that correct an event by its id, each with what is known of that."""
    found = []
    for record in records:
        here = known.get((record.agency, record.number))
        if here and record.event_id and not says_again(record.custody, here.withdrawn, record.event_id):
            event = compare(record.custody, here.history, record.event_id).event
            if event and event.has_id(record.event_id):
                found.append((record, event))
    return found


def _check_latest(
    corrections: Sequence[tuple[CustodyRecord, Event]], known: dict[tuple[str, str], _Known], name: str, zone: ZoneInfo
) -> None:
    """A correction must not make another event the latest: status would turn round, and nobody be called.

    Raises Refused.
    """
    times: dict[tuple[str, str], dict[int, datetime]] = {}
    for record, event in corrections:
        times.setdefault((record.agency, record.number), {})[event.id] = record.custody.since
    mistakes = []
    for record, event in corrections:
        key = (record.agency, record.number)
        latest = known[key].history[-1]
        instead = overtaking(known[key].history, times[key])
        if instead and event.id in (latest.id, instead.id):
            other = instead if event.id == latest.id else latest
            mistakes.append(
                f"{name}, row {record.row}: event_id {record.event_id!r} would move past {_named(other, zone)}, so that"
                " another event would be the latest and nobody would be called; send what holds now as a new event,"
                f" with an event_id of its own and a time after {_local(latest.effective_at, zone)}"
            )
    if mistakes:
        raise Refused(mistakes)


def _named(event: Event, zone: ZoneInfo) -> str:
    own = "" if "\t" in event.source_key else f"event_id {event.source_key!r}, "
    return f"{own}{event.status!r} since {_local(event.effective_at, zone)}"


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(" ", "seconds")


def _apply_changes(
    run: Run, changed: Sequence[tuple[CustodyRecord, Change]], known: dict[tuple[str, str], _Known]
) -> list[list[Line]]:
    """Keep what rows changed, each of another offender; return what there is to say of each.

    What is known of an offender is always what the latest event says, whatever came late or was corrected. From then
    on ``known`` says so.
    """
    if not changed:
        return []
    conn = run.conn
    whose = {(record.agency, record.number): record for record, _ in changed}
    new = {
        key: Latest(record.person, record.custody, Details(**record.details), run.told_at)
        for key, record in whose.items()
        if key not in known
    }
    ids = {key: known[key].offender.id for key in whose if key in known} | custody.add_all(conn, new)
    happened: list[Happened] = []
    for record, change in changed:
        offender_id, here = ids[record.agency, record.number], known.get((record.agency, record.number))
        if change.event:
            custody.amend(
                conn,
                change.event.id,
                corrected(change.event, record.custody, record.event_id),
                stated=record.custody.since,
                by_id=change.event.has_id(record.event_id),
            )
        else:
            key = own_key(record.event_id or _made_up(record, change.kind), here.withdrawn if here else ())
            happened.append(
                Happened(offender_id, change.kind, record.custody, record.agency, key, run.id, reported=run.reported)
            )
    event_ids = iter(custody.record_all(conn, happened, now=run.now))
    registered = registrations.of_offenders(conn, ids.values())
    lines: list[list[Line]] = []
    for record, change in changed:
        event_id = None if change.event else next(event_ids)
        made = 0
        if event_id is not None and ids[record.agency, record.number] in registered:
            made = policy.notify(conn, event_id, late=change.late, settings=run.settings, now=run.now)
        lines.append([Line(record, change, made)])
    for (record, change), said in zip(changed, lines, strict=True):
        if change.apart:
            said.append(
                set_apart(
                    conn,
                    ids[record.agency, record.number],
                    known[record.agency, record.number].history,
                    known[record.agency, record.number].withdrawn,
                    record,
                    change.apart,
                    run_id=run.id,
                    reported=run.reported,
                    settings=run.settings,
                    now=run.now,
                )
            )
    histories = custody.histories(conn, ids.values())
    known |= {key: _Known(one.of(ids[key], *key), histories[ids[key]]) for key, one in new.items()}
    latest: dict[tuple[str, str], Latest] = {}
    for key in (key for key in whose if key not in new):
        here = known[key] = replace(known[key], history=histories[ids[key]])
        if here.history:
            latest[key] = _latest(run, here.offender, here.history[-1], whose[key])
    _update(conn, latest, known)
    return lines


def _made_up(record: CustodyRecord, kind: str) -> str:
    """A key for an event. A tab is in no agency's own ids, so that it cannot be mistaken for one."""
    return f"{record.number}\t{kind}\t{record.custody.since.isoformat()}"


def set_apart(
    conn: Connection,
    offender_id: int,
    before: Sequence[Event],
    withdrawn: Sequence[Event],
    record: CustodyRecord,
    event: Event,
    *,
    run_id: int | None,
    who: str | None = None,
    reported: bool = False,
    quiet: bool = False,
    settings: Settings,
    now: datetime,
) -> Line:
    """Make two events of one, between whose times a record says something else: the other one is news by now.

    ``before``: what was known to have happened before that record.
    """
    history = custody.history(conn, offender_id)
    parts = apart(event, record.custody, before)
    kind, other = parts.kind, replace(record, custody=parts.other, event_id="")
    custody.restate(conn, event.id, parts.times, at=parts.at)
    event_id = custody.record(
        conn,
        offender_id,
        kind,
        parts.other,
        source=record.agency,
        source_key=own_key(_made_up(other, kind), [*history, *withdrawn]),
        feed_run_id=run_id,
        who=who,
        reported=reported,
        now=now,
    )
    custody.restate(conn, event_id, parts.other_times, at=parts.other.since)
    late = history[-1].effective_at > parts.other.since
    made = 0 if quiet else policy.notify(conn, event_id, late=late, settings=settings, now=now)
    return Line(other, Change("news", kind, late=late), made)


def _latest(run: Run, offender: Offender, latest: Event, record: CustodyRecord) -> Latest:
    """What holds of an offender whose latest event this is, after a row of theirs."""
    state = Custody(latest.status, latest.facility, latest.effective_at)
    if record.custody.since < latest.effective_at:  # the row says nothing of the present
        return Latest(offender.person, state, offender.details, offender.known_at)
    person, details = record.person_after(offender.person), record.details_after(offender.details)
    return Latest(person, state, details, max(run.told_at, offender.known_at))


def _corrected_date(run: Run, offender: Offender, record: CustodyRecord) -> Latest | None:
    """What holds once the day of release alone is another, of a run of which only such may take effect."""
    day = record.details_after(offender.details).release_date
    if day == offender.release_date or not run.lets_through(*PLANS) or not _is_of_now(run, record, offender):
        return None
    return _with_date(offender, day)


def _with_date(offender: Offender, day: date | None) -> Latest:
    details = replace(offender.details, release_date=day)
    return Latest(offender.person, offender.custody, details, offender.known_at)


def _corrected_person(run: Run, offender: Offender, record: CustodyRecord) -> Latest | None:
    """What holds once a name, a date of birth or one of the details is corrected; None where there is nothing."""
    person, details = record.person_after(offender.person), record.details_after(offender.details)
    if (person, details) == (offender.person, offender.details):
        return None
    return Latest(person, offender.custody, details, max(run.told_at, offender.known_at))
