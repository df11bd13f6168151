"""One import: a file is read, compared with what is known, and applied in one transaction, or not at all."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from psycopg import Connection, Rollback

from db import custody, feed_runs, held, rosters
from db.custody import Custody, Details, Event, Offender
from db.held import Changed
from db.pool import Database, take_time
from dialer import policy
from feed import court
from feed.checking import opened, read
from feed.compare import (
    KINDS,
    MISSING,
    Change,
    apart,
    compare,
    disagrees,
    missing,
    overtaking,
    own_key,
    present,
    says_again,
)
from feed.guard import OUT, excess
from feed.records import Bad, CustodyRecord, File, Record, Refused, Rules
from movans.settings import Settings

_ONE_AT_A_TIME = 0x46454544  # "FEED": two imports at once would both find a new offender missing
CHUNK = 500  # rows between two reports of progress
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
class Report:
    rows: int = 0
    repeated: int = 0
    other_bookings: int = 0
    unchanged: int = 0
    again: Counter[str] = field(default_factory=Counter)  # rows that say again what a person has withdrawn, or rejected
    lines: list[Line] = field(default_factory=list)
    quarantined: Sequence[Bad] = ()
    strangers: int = 0  # court dates of people whom no jail has told us of
    disagreeing: dict[tuple[str, str], Disagreeing] = field(default_factory=dict)  # by agency and number
    missing: Sequence[int] = ()  # offenders who are not in a snapshot and were in the one before
    unnamed: int = 0  # rows of a snapshot that were put aside and may be anybody's, so that nobody is missing in it
    passed_over: int = 0  # rows that were not let through
    said_again: set[int] = field(default_factory=set)  # events that went out unconfirmed, and a row says too
    people: int = 0  # registrants who will be called
    run_id: int = 0
    population: int = 0  # how many were in custody before
    held: Sequence[str] = ()  # why nothing of it took effect; empty: it did

    @property
    def notifications(self) -> int:
        return sum(line.notifications for line in self.lines)

    @property
    def releases(self) -> int:
        """What went out unconfirmed and is said again included: it is not less to be believed than the first time."""
        made = sum(line.change.what == "news" and line.change.kind in OUT for line in self.lines)
        return made + len(self.said_again)

    @property
    def listed(self) -> int:
        """Who is known for the first time."""
        return sum(line.change.what == "news" and line.change.kind == "listed" for line in self.lines)

    @property
    def changes(self) -> int:
        """All but who was listed for the first time."""
        return len(self.lines) - self.listed + len(self.said_again)

    @property
    def touched(self) -> int:
        """Of how many offenders there is something new."""
        return len({line.record.about for line in self.lines if line.record.row}) + len(self.missing)

    @property
    def kinds(self) -> Counter[str]:
        return Counter(line.change.kind if line.change.what == "news" else "amended" for line in self.lines)


@dataclass(frozen=True)
class _Known:
    """An offender, and what happened to them, oldest first."""

    offender: Offender
    history: Sequence[Event]
    withdrawn: Sequence[Event] = ()


@dataclass(frozen=True)
class _Before:
    """What there was before a run, which is measured against it; ``usual`` and ``lately`` by the names of measures."""

    population: int
    registrations: int
    on_roster: int
    is_first: bool  # nothing that came this way has taken effect before
    usual: dict[str, float]
    lately: dict[str, int]


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
    last: Callable[[Connection, str], None] = lambda _conn, _outcome: None,
) -> Report:
    """Import a file in the format of its feed. Raises Refused where it has mistakes; then nothing of it took effect.

    Nothing of it takes effect either where it changes more than the guard lets through: it is held, until a person
    decides.

    ``last`` is called at the end of the transaction, with what became of the file: applied, held or refused. Where it
    raises, nothing became of it.
    """
    with opened(path) as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        try:
            file = read(path.name, source, rules)
            with db.connection() as conn:
                one_at_a_time(conn)
                run_id = feed_runs.add(conn, path.name, sha256, "applied", feed=rules.feed, now=rules.now)
                this = Run(conn, run_id, sha256, rules, rules.now, rules.now, settings)
                out = held.unconfirmed(conn, rules.feed, sha256, before=run_id, is_snapshot=this.is_snapshot)
                this = replace(this, unconfirmed=out)
                report = _guarded(this, file, path.name, progress)
                feed_runs.of_agencies(conn, run_id, {record.agency for record in (*file.custody, *file.court)})
                if not report.held:
                    held.confirm(conn, report.said_again)
                since = held.overtake(conn, rules.feed, sha256, by=run_id, is_snapshot=this.is_snapshot, now=this.now)
                if report.held:
                    source.seek(0)
                    _hold(this, report, source.read(), since or this.now)
                else:
                    held.tell(conn, rules.feed, now=this.now)
                _tell_of_rejected(this, report)
                last(conn, "held" if report.held else "applied")
                return report
        except Refused:
            with db.connection() as conn:
                feed_runs.add(conn, path.name, sha256, "refused", feed=rules.feed, now=rules.now)
                last(conn, "refused")
            raise


def one_at_a_time(conn: Connection) -> None:
    """Wait until no other import runs, and take as long as it takes."""
    take_time(conn)
    conn.execute("select pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])


def take_effect(
    run: Run, file: File, name: str, progress: Callable[[int, int], None] = lambda _done, _rows: None
) -> Report:
    """Apply what was read of a file, as far as the run lets it through."""
    if run.only is None:  # else the rest is to come, or not
        feed_runs.put_aside(run.conn, run.id, [(bad.row, bad.mistakes, bad.given) for bad in file.quarantined])
    report = _apply(run, file, name, progress)
    _apply_court(run, file, report)
    report.run_id, report.people = run.id, feed_runs.people(run.conn, run.id, now=run.now)
    return report


def keep_counts(run: Run, report: Report) -> None:
    feed_runs.count(
        run.conn,
        run.id,
        rows=report.rows,
        events=len(report.lines),
        releases=report.releases,
        changes=report.changes,
        notifications=report.notifications,
    )


def _guarded(run: Run, file: File, name: str, progress: Callable[[int, int], None]) -> Report:
    """Let a file take effect and undo that again where it is more than the guard lets through."""
    before = _before(run, file)
    report = Report()
    with run.conn.transaction() as effect:
        report = take_effect(run, file, name, progress)
        report.population = before.population
        report.held = _excesses(run, report, before)
        if report.held:
            raise Rollback(effect)
    keep_counts(run, report)
    return report


def _before(run: Run, file: File) -> _Before:
    conn, feed = run.conn, run.rules.feed
    # A file by hand may be of any agency, but it is measured against those of whom it speaks.
    agencies = run.rules.agencies if feed else {record.agency for record in (*file.custody, *file.court)}
    population, registrations = feed_runs.reach(conn, agencies)
    return _Before(
        population,
        registrations,
        on_roster=rosters.size(conn, feed),
        is_first=feed_runs.last_applied(conn, feed, agencies=agencies, before=run.id) is None,
        usual=feed_runs.usual(conn, feed, agencies=agencies, before=run.id),
        lately=feed_runs.lately(conn, feed, agencies=agencies, before=run.id, now=run.now),
    )


def _excesses(run: Run, report: Report, before: _Before) -> Sequence[str]:
    """Why a person must look at what a run does; empty where none needs to."""
    guard, held_now = run.settings.guard_of(run.rules.feed), before.population
    measures = [
        ("releases", report.releases, guard.releases, held_now, "in custody"),
        ("changes", report.changes, guard.changes, held_now, "in custody"),
        ("notifications", report.notifications, guard.notifications, before.registrations, "registrations"),
        ("missing", len(report.missing), guard.missing, before.on_roster, "in the last snapshot"),
    ]
    if not before.is_first:  # then they may be the people whom we know, by new numbers: nobody would hear of them again
        measures.append(("listed", report.listed, guard.changes, held_now + report.listed, "in custody by then"))
    return [
        says
        for what, count, limit, among, of in measures
        if (
            says := excess(
                what,
                count,
                limit,
                lately=before.lately.get(what, 0),
                among=among,
                of=of,
                times=guard.times,
                usual=before.usual.get(what),
            )
        )
    ]


def _hold(run: Run, report: Report, content: bytes, since: datetime) -> None:
    records = [line.record for line in report.lines]
    places = {(record.agency, record.where) for record in records if isinstance(record, CustodyRecord)}
    # Who is moved by it is still known to be where they were, and whose court date it is, in their jail.
    known = custody.places_of(run.conn, {(record.agency, record.number) for record in records})
    held.hold(
        run.conn,
        run.id,
        content,
        list(report.held),
        places | known | custody.places(run.conn, report.missing),
        map(_changed, report.lines),
        touched=report.touched,
        population=report.population,
        since=since,
        now=run.now,
    )


def _tell_of_rejected(run: Run, report: Report) -> None:
    if many := report.again["rejected"]:
        held.tell_of_rejected(run.conn, run.rules.feed, many, now=run.now)
    elif run.is_snapshot:
        held.rejected_no_more(run.conn, run.rules.feed, now=run.now)


def _changed(line: Line) -> Changed:
    status = line.record.custody.status if isinstance(line.record, CustodyRecord) else ""
    kind = line.change.kind if line.change.what == "news" else "amended"
    return Changed(line.record.agency, line.record.number, kind, status, line.record.when)


def _apply(run: Run, file: File, name: str, progress: Callable[[int, int], None]) -> Report:
    """Apply row by row, in the order of their times, but first those that correct an event by its id.

    So what is new is compared with times that hold. Who only stayed as they were is noted at the end, at once.
    The offenders are locked meanwhile and registrations wait, so a row that is no news costs no query of its own.
    """
    report = Report(file.rows, file.repeated, file.other_bookings, quarantined=file.quarantined)
    known = _lock_all(run.conn, file.custody)
    _check_event_ids(run.conn, file.custody, known, name)
    corrections = _corrections(file.custody, known)
    _check_latest(corrections, known, name, run.zone)
    corrected = {record.row for record, _ in corrections}
    in_order = sorted(file.custody, key=lambda record: (record.row not in corrected, record.custody.since))
    as_they_were: set[int] = set()
    rejected = held.rejected(run.conn, {record.agency for record in file.custody})
    for done, record in enumerate(in_order, start=1):
        key = (record.agency, record.number)
        here = known.get(key)
        if run.is_snapshot and here:
            record = _as_seen(run, here, record)
        _note_disagreement(run, report, record, here)
        change = _means(record, here, rejected)
        _note_said_again(run, report, record, here, change)
        if run.only is not None and not (change.what == "news" and run.lets_through(change.kind)):
            report.passed_over += 1
        elif change.what in ("withdrawn", "rejected"):
            report.again[change.what] += 1
        elif here is None or change.what != "unchanged":
            known[key], lines = _apply_change(run, here, record, change)
            report.lines += lines
        else:
            report.unchanged += 1
            if record.custody.since >= here.offender.since or (run.is_snapshot and _is_now(record, here.offender)):
                if run.told_at >= here.offender.known_at:  # else it was held, and something newer came meanwhile
                    as_they_were.add(here.offender.id)
                known[key] = replace(here, offender=_apply_person(run, here.offender, record))
        if done % CHUNK == 0 or done == len(file.custody):
            progress(done, len(file.custody))
    custody.heard_of(run.conn, as_they_were, now=run.told_at)
    if run.is_snapshot and run.lets_through(KINDS[MISSING]):
        present_ids = {here.offender.id for here in known.values()}
        _apply_missing(run, present_ids | _in_rows_aside(run, file, report), report)
    return report


def _note_disagreement(run: Run, report: Report, record: CustodyRecord, here: _Known | None) -> None:
    """Of the rows of one person, the last says what the feed says."""
    key = (record.agency, record.number)
    report.disagreeing.pop(key, None)
    if here and run.only is None and disagrees(record.custody, here.history):
        report.disagreeing[key] = Disagreeing(record, here.history[-1])


def _note_said_again(run: Run, report: Report, record: CustodyRecord, here: _Known | None, change: Change) -> None:
    for event in here.history if here and run.unconfirmed else ():
        if event.id in run.unconfirmed and (
            event == change.event or says_again(record.custody, [event], record.event_id)
        ):
            report.said_again.add(event.id)


def _means(record: CustodyRecord, here: _Known | None, rejected: Collection[tuple[str, str, str, datetime]]) -> Change:
    if here and says_again(record.custody, here.withdrawn, record.event_id):
        return Change("withdrawn")
    change = compare(record.custody, here.history if here else [], record.event_id)
    same = (record.agency, record.number, record.custody.status, record.custody.since)
    return Change("rejected") if change.what == "news" and same in rejected else change


def _as_seen(run: Run, here: _Known, record: CustodyRecord) -> CustodyRecord:
    """A row of a snapshot, as what it says at the time at which that came."""
    seen = present(record.custody, here.history, run.told_at)
    return record if seen == record.custody else replace(record, custody=seen, event_id="")


def _is_now(record: CustodyRecord, offender: Offender) -> bool:
    """Whether a row says what holds, though since an older time: who was missing for a while is listed again since."""
    return (record.custody.status, record.custody.facility) == (offender.status, offender.facility)


def _in_rows_aside(run: Run, file: File, report: Report) -> set[int]:
    """Who stands in a snapshot by a row that was put aside: whatever is wrong with it, they are not missing."""
    report.unnamed = sum(not bad.number for bad in file.quarantined)
    numbers = {bad.number for bad in file.quarantined if bad.number}
    return {offender.id for offender in custody.lock(run.conn, run.rules.agency, numbers).values()}


def _apply_missing(run: Run, present_ids: Collection[int], report: Report) -> None:
    """Note who stands in a snapshot, and who is missing in it: for the second time running is news.

    The same bytes once more are the same snapshot. Where it is not known of whom a row is, it may be anybody's who
    seems to be missing: nobody is by that file.
    """
    conn, feed = run.conn, run.rules.feed
    rosters.present(conn, feed, present_ids)
    if report.unnamed:
        return
    before = feed_runs.last_applied(conn, feed, before=run.id)
    if before is None or before.sha256 == run.sha256:
        return
    gone = rosters.missing(conn, feed, present_ids)
    report.missing = [one.offender_id for one in gone if one.since is None or not one.elsewhere]
    first = [one.offender_id for one in gone if one.since is None]
    rosters.first_missing(conn, feed, first, since=before.started_at)
    # Who was first missing in this very snapshot, of which only some kinds took effect until now, is so once.
    again = [one for one in gone if one.since and one.since != before.started_at]
    histories = custody.histories(conn, [one.offender_id for one in again])
    withdrawn = custody.withdrawn(conn, histories)
    for one in again:
        offender = custody.get(conn, one.offender_id)
        news = missing(offender.custody, offender.known_at, one.since, elsewhere=one.elsewhere)
        if news:
            record = CustodyRecord(0, offender.agency, offender.number, offender.person, news, "", {})
            change = Change("news", KINDS[news.status])
            here = _Known(offender, histories[offender.id], withdrawn.get(offender.id, ()))
            report.lines += _apply_change(run, here, record, change)[1]
    rosters.leave(conn, feed, [one.offender_id for one in again if not one.elsewhere])


def _apply_court(run: Run, file: File, report: Report) -> None:
    """Apply what a court calendar says, and add to the report what came of it."""
    applied = court.apply(run.conn, run.id, file.court, only=run.only, now=run.now)
    for news in applied.news:
        made = policy.notify(run.conn, news.event_id, late=False, settings=run.settings, now=run.now)
        report.lines.append(Line(news.record, Change("news", news.kind), made))
    report.unchanged += applied.unchanged
    report.passed_over += applied.passed_over
    report.strangers = applied.strangers


def _lock_all(conn: Connection, records: Sequence[CustodyRecord]) -> dict[tuple[str, str], _Known]:
    known: dict[tuple[str, str], _Known] = {}
    for agency in sorted({record.agency for record in records}):
        numbers = {record.number for record in records if record.agency == agency}
        offenders = custody.lock(conn, agency, numbers)
        histories = custody.histories(conn, [offender.id for offender in offenders.values()])
        withdrawn = custody.withdrawn(conn, histories)
        known |= {
            (agency, number): _Known(found, histories[found.id], withdrawn.get(found.id, ()))
            for number, found in offenders.items()
        }
    return known


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


def _apply_change(run: Run, here: _Known | None, record: CustodyRecord, change: Change) -> tuple[_Known, list[Line]]:
    """Keep what a row changed; return what is known from now on, and what to say of it.

    What is known of an offender is always what the latest event says, whatever came late or was corrected.
    """
    conn, now, made = run.conn, run.now, 0
    known_at = max(run.told_at, here.offender.known_at) if here else run.told_at
    if here:
        offender = here.offender
    else:
        details = record.details_after(Details())
        offender = custody.add(conn, record.agency, record.number, record.person, record.custody, details, now=known_at)
    if change.event:
        by_id = record.event_id == change.event.source_key
        custody.amend(conn, change.event.id, record.custody, by_id=by_id)
    else:
        # A tab is in no agency's own event ids, so that these cannot be mistaken for one.
        made_up = f"{record.number}\t{change.kind}\t{record.custody.since.isoformat()}"
        event_id = custody.record(
            conn,
            offender.id,
            change.kind,
            record.custody,
            source=record.agency,
            source_key=own_key(record.event_id or made_up, here.withdrawn if here else ()),
            feed_run_id=run.id,
            reported=run.reported,
            now=now,
        )
        made = policy.notify(conn, event_id, late=change.late, settings=run.settings, now=now)
    history = custody.history(conn, offender.id)
    if here:
        latest = history[-1]
        current = record.custody.since >= latest.effective_at  # else the row says nothing of the present
        state = Custody(latest.status, latest.facility, latest.effective_at)
        if current:
            details = record.details_after(offender.details)
            custody.update(conn, offender.id, record.person_after(offender.person), state, details, now=known_at)
        else:
            custody.update(conn, offender.id, offender.person, state, now=offender.known_at)
        offender = custody.get(conn, offender.id)
    known, lines = _Known(offender, history, here.withdrawn if here else ()), [Line(record, change, made)]
    if change.apart:
        known, later = _set_apart(run, known, record, change.apart)
        lines.append(later)
    return known, lines


def _set_apart(run: Run, here: _Known, record: CustodyRecord, event: Event) -> tuple[_Known, Line]:
    """Make two events of one, between whose times a row says something else: the later one is news by now."""
    conn = run.conn
    after, kind = apart(event, record.custody)
    custody.set_apart(conn, event.id, record.custody.since)
    made_up = f"{record.number}\t{kind}\t{after.since.isoformat()}"
    event_id = custody.record(
        conn,
        here.offender.id,
        kind,
        after,
        source=record.agency,
        source_key=own_key(made_up, [*here.history, *here.withdrawn]),
        feed_run_id=run.id,
        now=run.now,
    )
    late = here.history[-1].effective_at > after.since
    made = policy.notify(conn, event_id, late=late, settings=run.settings, now=run.now)
    later = Line(replace(record, custody=after, event_id=""), Change("news", kind, late=late), made)
    return replace(here, history=custody.history(conn, here.offender.id)), later


def _apply_person(run: Run, offender: Offender, record: CustodyRecord) -> Offender:
    """Correct a name, a date of birth or one of the details."""
    person, details = record.person_after(offender.person), record.details_after(offender.details)
    if (person, details) == (offender.person, offender.details):
        return offender
    known_at = max(run.told_at, offender.known_at)
    custody.update(run.conn, offender.id, person, offender.custody, details, now=known_at)
    return custody.get(run.conn, offender.id)
