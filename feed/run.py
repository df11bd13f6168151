"""One import: a file is read, compared with what is known, and applied in one transaction, or not at all."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO
from zoneinfo import ZoneInfo

from psycopg import Connection, Rollback

from db import custody, feed_runs, held, registrations, rosters
from db.custody import Custody, Details, Event, Happened, Latest, Offender
from db.pool import Database, take_time
from dialer import policy
from feed import court, sieve
from feed.checking import MOST_MISTAKES, Seen, opened, read
from feed.compare import KINDS, MISSING, Change, compare, disagrees, missing, overtaking, own_key, present, says_again
from feed.guard import OUT, excess
from feed.records import Bad, CourtRecord, CustodyRecord, Record, Refused, Rules
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
    """A row that says something else than staff did, and what they said, which is later and so holds."""

    record: CustodyRecord
    holds: Event


@dataclass
class Effect:
    """What changed alike at a facility: of how many people, and how many notifications it makes."""

    people: int = 0
    notifications: int = 0


@dataclass
class Report:
    rows: int = 0
    repeated: int = 0
    unchanged: int = 0
    lines: list[Line] = field(default_factory=list)  # the first of what changed
    events: int = 0  # all that changed
    effects: dict[tuple[str, str], Effect] = field(default_factory=dict)  # by what changed and the facility
    kinds: Counter[str] = field(default_factory=Counter)
    notifications: int = 0
    releases: int = 0
    changes: int = 0  # all but who was listed for the first time
    quarantined: Sequence[Bad] = ()
    strangers: int = 0  # court dates of people whom no jail has told us of
    disagreeing: dict[tuple[str, str], Disagreeing] = field(default_factory=dict)  # by agency and number
    missing: Sequence[int] = ()  # offenders who are not in a snapshot and were in the one before
    told_of: int = 0  # of how many offenders rows say something new
    places: set[tuple[str, str]] = field(default_factory=set)  # agency and facility of what changed
    agencies: set[str] = field(default_factory=set)  # whose rows were looked at
    passed_over: int = 0  # rows that were not let through
    people: int = 0  # registrants who will be called
    run_id: int = 0
    population: int = 0  # how many were in custody before
    held: Sequence[str] = ()  # why nothing of it took effect; empty: it did

    @property
    def touched(self) -> int:
        """Of how many offenders there is something new."""
        return self.told_of + len(self.missing)

    def add(self, lines: Collection[Line]) -> None:
        """Add what changed; of nobody of these was anything added before."""
        self.lines += list(lines)[: MOST_LINES - len(self.lines)]
        self.events += len(lines)
        self.told_of += len({line.record.about for line in lines if line.record.row})
        for line in lines:
            change, record = line.change, line.record
            is_news = change.what == "news"
            effect = self.effects.setdefault(
                (change.kind if is_news else f"{change.kind}: corrected", record.where), Effect()
            )
            effect.people += 1
            effect.notifications += line.notifications
            self.kinds[change.kind if is_news else "amended"] += 1
            self.notifications += line.notifications
            self.releases += is_news and change.kind in OUT
            self.changes += not is_news or change.kind != "listed"
            self.places.add((record.agency, record.where))


@dataclass(frozen=True)
class _Known:
    """An offender, and what happened to them, oldest first."""

    offender: Offender
    history: Sequence[Event]
    withdrawn: Sequence[Event] = ()


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

    def lets_through(self, kind: str) -> bool:
        return self.only is None or kind in self.only

    @property
    def zone(self) -> ZoneInfo:
        return self.rules.zone

    @property
    def is_snapshot(self) -> bool:
        return self.rules.format == SNAPSHOT


def run(
    db: Database,
    path: Path,
    rules: Rules,
    *,
    settings: Settings,
    progress: Callable[[int, int], None] = lambda _done, _rows: None,
) -> Report:
    """Import a file in the format of its feed. Raises Refused where it has mistakes; then nothing of it took effect.

    Nothing of it takes effect either where it changes more than the guard lets through: it is held, until a person
    decides.
    """
    with opened(path) as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        try:
            with db.connection() as conn:
                one_at_a_time(conn)
                run_id = feed_runs.add(conn, path.name, sha256, "applied", feed=rules.feed, now=rules.now)
                this = Run(conn, run_id, sha256, rules, rules.now, rules.now, settings)
                report = _guarded(this, source, path.name, progress)
                feed_runs.of_agencies(conn, run_id, report.agencies)
                since = held.overtake(conn, rules.feed, sha256, by=run_id, is_snapshot=this.is_snapshot, now=this.now)
                if report.held:
                    source.seek(0)
                    _hold(this, report, source.read(), since or this.now)
                return report
        except Refused:
            with db.connection() as conn:
                feed_runs.add(conn, path.name, sha256, "refused", feed=rules.feed, now=rules.now)
            raise


def one_at_a_time(conn: Connection) -> None:
    """Wait until no other import runs, and take as long as it takes."""
    take_time(conn)
    conn.execute("select pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])


def take_effect(
    run: Run, source: BinaryIO, name: str, progress: Callable[[int, int], None] = lambda _done, _rows: None
) -> Report:
    """Apply a file, as far as the run lets it through. Raises Refused where it has mistakes; then undo all of it."""
    report = Report()
    if run.rules.format in sieve.FORMATS:
        _apply_rows(run, Sieve(run.conn, name, source, run.rules), name, report, progress)
    else:
        file = read(name, source, run.rules)
        report.rows, report.repeated, report.quarantined = file.rows, file.repeated, file.quarantined
        _apply(run, file.custody, name, report)
        _apply_court(run, file.court, report)
        progress(file.rows, file.rows)
    if not run.reported:
        feed_runs.put_aside(run.conn, run.id, [(bad.row, bad.mistakes, bad.given) for bad in report.quarantined])
    report.run_id, report.people = run.id, feed_runs.people(run.conn, run.id)
    return report


def keep_counts(run: Run, report: Report) -> None:
    feed_runs.count(
        run.conn,
        run.id,
        rows=report.rows,
        events=report.events,
        releases=report.releases,
        changes=report.changes,
        notifications=report.notifications,
    )


def _guarded(run: Run, source: BinaryIO, name: str, progress: Callable[[int, int], None]) -> Report:
    """Let a file take effect and undo that again where it is more than the guard lets through."""
    guard = run.settings.guard_of(run.rules.feed)
    population, registrations = feed_runs.reach(run.conn, run.rules.agencies)
    listed = rosters.size(run.conn, run.rules.feed)
    usual = feed_runs.usual(run.conn, run.rules.feed, before=run.id)
    report = Report()
    with run.conn.transaction() as effect:
        report = take_effect(run, source, name, progress)
        measures = (
            ("releases", report.releases, guard.releases, population, "in custody"),
            ("changes", report.changes, guard.changes, population, "in custody"),
            ("notifications", report.notifications, guard.notifications, registrations, "registrations"),
            ("missing", len(report.missing), guard.missing, listed, "in the last snapshot"),
        )
        report.held = [
            says
            for what, count, limit, among, of in measures
            if (says := excess(what, count, limit, among=among, of=of, times=guard.times, usual=usual.get(what)))
        ]
        report.population = population
        if report.held:
            raise Rollback(effect)
    keep_counts(run, report)
    return report


def _hold(run: Run, report: Report, content: bytes, since: datetime) -> None:
    held.hold(
        run.conn,
        run.id,
        content,
        list(report.held),
        report.places | custody.places(run.conn, report.missing),
        touched=report.touched,
        population=report.population,
        since=since,
        now=run.now,
    )


def _apply_rows(run: Run, rows: Sieve, name: str, report: Report, progress: Callable[[int, int], None]) -> None:
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
        _apply_missing(run, absent, report)
        if run.only is None:
            rosters.came(run.conn, run.rules.feed, at=run.told_at)


def _chunks(
    run: Run, rows: Sieve, seen: Seen, report: Report, progress: Callable[[int, int], None]
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
            progress(skipped + looked_at, rows.rows)
    file = seen.file(run.rules.quarantine)
    report.rows, report.repeated, report.quarantined = file.rows, file.repeated, file.quarantined
    if run.only is None:
        report.unchanged += skipped
    else:
        report.passed_over += skipped
    yield [*alone, *file.custody], digests
    if rows.many_to_look_at % CHUNK or not rows.many_to_look_at:
        progress(rows.rows, rows.rows)


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
    in_order = sorted(records, key=lambda record: (record.row not in corrected, record.custody.since))
    lines: dict[int, Line] = {}
    as_they_were: set[int] = set()
    for turn in _turns(in_order):
        lines |= _apply_turn(run, turn, known, as_they_were, report)
    report.add([lines[place] for place in sorted(lines)])
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


def _apply_turn(
    run: Run,
    turn: Sequence[tuple[int, CustodyRecord]],
    known: dict[tuple[str, str], _Known],
    as_they_were: set[int],
    report: Report,
) -> dict[int, Line]:
    """Apply rows with their places, each of another offender; return what changed.

    From then on ``known`` says what is known. Who is as they were is added to those ``as_they_were``.
    """
    changed: dict[int, tuple[CustodyRecord, Change]] = {}
    people: dict[int, Latest] = {}
    anew: list[CustodyRecord] = []
    for place, told in turn:
        here = known.get((told.agency, told.number))
        record = _as_seen(run, here, told) if run.is_snapshot and here else told
        _note_disagreement(run, report, record, here)
        change = _means(record, here)
        if run.only is not None and not (change.what == "news" and run.lets_through(change.kind)):
            report.passed_over += 1
        elif change.what == "withdrawn":
            report.unchanged += 1
        elif here is None or change.what != "unchanged":
            changed[place] = record, change
            anew.append(record)
        else:
            report.unchanged += 1
            if not _is_of_now(run, record, here.offender):
                continue
            if run.told_at >= here.offender.known_at:  # else it was held, and something newer came meanwhile
                as_they_were.add(here.offender.id)
            if person := _corrected_person(run, here.offender, record):
                people[here.offender.id] = person
                anew.append(record)
    made = _apply_changes(run, list(changed.values()), known)
    custody.update_all(run.conn, people)
    known |= _lock_all(run.conn, anew)
    return {place: Line(*changed[place], many) for place, many in zip(changed, made, strict=True)}


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
        and _means(record, here).what == "unchanged"
        and _is_of_now(run, record, offender)
        and _corrected_person(run, offender, record) is None
    )


def _is_of_now(run: Run, record: CustodyRecord, offender: Offender) -> bool:
    """Whether a row without news says what holds, and so as of when it holds."""
    return record.custody.since >= offender.since or (run.is_snapshot and _is_now(record, offender))


def _note_disagreement(run: Run, report: Report, record: CustodyRecord, here: _Known | None) -> None:
    """Of the rows of one person, the last says what the feed says."""
    key = (record.agency, record.number)
    report.disagreeing.pop(key, None)
    if here and run.only is None and disagrees(record.custody, here.history):
        report.disagreeing[key] = Disagreeing(record, here.history[-1])


def _means(record: CustodyRecord, here: _Known | None) -> Change:
    if here and says_again(record.custody, here.withdrawn, record.event_id):
        return Change("withdrawn")
    return compare(record.custody, here.history if here else [], record.event_id)


def _as_seen(run: Run, here: _Known, record: CustodyRecord) -> CustodyRecord:
    """A row of a snapshot, as what it says at the time at which that came."""
    seen = present(record.custody, here.history, run.told_at)
    return record if seen == record.custody else replace(record, custody=seen, event_id="")


def _is_now(record: CustodyRecord, offender: Offender) -> bool:
    """Whether a row says what holds, though since an older time: who was missing for a while is listed again since."""
    return (record.custody.status, record.custody.facility) == (offender.status, offender.facility)


def _apply_missing(run: Run, absent: Collection[int], report: Report) -> None:
    """Note who is missing in a snapshot, of whom the roster has: for the second time running is news.

    The same bytes once more are the same snapshot.
    """
    conn, feed = run.conn, run.rules.feed
    gone = rosters.missing(conn, feed, absent)
    before = feed_runs.last_applied(conn, feed, before=run.id)
    if before is None or before.sha256 == run.sha256:
        return
    report.missing = [one.offender_id for one in gone if one.since is None or not one.elsewhere]
    first = [one.offender_id for one in gone if one.since is None]
    rosters.first_missing(conn, feed, first, since=before.started_at)
    again = [one for one in gone if one.since]
    for start in range(0, len(again), CHUNK):
        some = {one.offender_id: one for one in again[start : start + CHUNK]}
        known = _known_of(conn, custody.get_all(conn, some))
        changed: list[tuple[CustodyRecord, Change]] = []
        for (agency, number), here in known.items():
            one = some[here.offender.id]
            if news := missing(here.offender.custody, one.since, elsewhere=one.elsewhere):
                record = CustodyRecord(0, agency, number, here.offender.person, news, "", {})
                changed.append((record, Change("news", KINDS[news.status])))
        made = _apply_changes(run, changed, known)
        report.add([Line(*one, many) for one, many in zip(changed, made, strict=True)])
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
        if here and record.event_id:
            event = compare(record.custody, here.history, record.event_id).event
            if event and event.source_key == record.event_id:
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
    run: Run, changed: Sequence[tuple[CustodyRecord, Change]], known: Mapping[tuple[str, str], _Known]
) -> list[int]:
    """Keep what rows changed, each of another offender; return how many will be called of each.

    What is known of an offender is always what the latest event says, whatever came late or was corrected.
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
            custody.amend(conn, change.event.id, record.custody)
        else:
            # A tab is in no agency's own event ids, so that these cannot be mistaken for one.
            made_up = f"{record.number}\t{change.kind}\t{record.custody.since.isoformat()}"
            key = record.event_id or own_key(made_up, here.withdrawn if here else ())
            happened.append(
                Happened(offender_id, change.kind, record.custody, record.agency, key, run.id, reported=run.reported)
            )
    event_ids = iter(custody.record_all(conn, happened, now=run.now))
    registered = registrations.of_offenders(conn, ids.values())
    made: list[int] = []
    for record, change in changed:
        event_id = None if change.event else next(event_ids)
        if event_id is None or ids[record.agency, record.number] not in registered:
            made.append(0)
        else:
            made.append(policy.notify(conn, event_id, late=change.late, settings=run.settings, now=run.now))
    histories = custody.histories(conn, [ids[key] for key in whose if key in known])
    custody.update_all(
        conn,
        {
            offender_id: _latest(run, known[key].offender, history[-1], whose[key])
            for key in whose
            if key in known and (history := histories[offender_id := ids[key]])
        },
    )
    return made


def _latest(run: Run, offender: Offender, latest: Event, record: CustodyRecord) -> Latest:
    """What holds of an offender whose latest event this is, after a row of theirs."""
    state = Custody(latest.status, latest.facility, latest.effective_at)
    if record.custody.since < latest.effective_at:  # the row says nothing of the present
        return Latest(offender.person, state, offender.details, offender.known_at)
    person, details = record.person_after(offender.person), record.details_after(offender.details)
    return Latest(person, state, details, max(run.told_at, offender.known_at))


def _corrected_person(run: Run, offender: Offender, record: CustodyRecord) -> Latest | None:
    """What holds once a name, a date of birth or one of the details is corrected; None where there is nothing."""
    person, details = record.person_after(offender.person), record.details_after(offender.details)
    if (person, details) == (offender.person, offender.details):
        return None
    return Latest(person, offender.custody, details, max(run.told_at, offender.known_at))
