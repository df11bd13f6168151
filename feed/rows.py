"""Applying custody rows: in turns, each compared with what is known by then."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from db import custody, rosters
from db.custody import Latest, Offender
from feed.absence import apply_missing, in_rows_aside
from feed.changes import apply_changes, corrected_person
from feed.checking import MOST_MISTAKES, Seen
from feed.compare import (
    KINDS,
    MISSING,
    Change,
    back,
    compare,
    denies,
    disagrees,
    present,
    says_again,
)
from feed.due import apply_dates, corrected_date
from feed.event_ids import checked
from feed.known import Known, Run, is_of_now, update
from feed.persons import became
from feed.records import Bad, CustodyRecord, File, Progress, Refused
from feed.report import MOST_LINES, Disagreeing, Line, Replaced, Report
from feed.sieve import Sieve

CHUNK = 2000  # rows that take effect together; after each so many it is told how far it is


def apply_rows(run: Run, rows: Sieve, name: str, report: Report, progress: Progress) -> None:
    """Apply the rows that can be news, so many at a time, and then note who is missing."""
    seen, refused = Seen(name), list[str]()
    absent = rows.absent() if run.is_snapshot else set[int]()
    for records, digests in _chunks(run, rows, seen, report, progress):
        try:
            if refused:
                checked(run, records, name)
            elif not seen.is_too_wrong(run.rules.quarantine, rows.rows):
                absent.difference_update(apply(run, records, name, report, digests))
        except Refused as error:
            refused.extend(error.mistakes[: MOST_MISTAKES - len(refused)])
    if refused:
        raise Refused(refused)
    if run.is_snapshot and run.lets_through(KINDS[MISSING]):
        apply_missing(run, absent - in_rows_aside(run, report), report)
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
    note_rows(report, file)
    if run.only is None:
        report.unchanged += skipped
    else:
        report.passed_over += skipped
    yield [*alone, *file.custody], digests
    if rows.many_to_look_at % CHUNK or not rows.many_to_look_at:
        progress(rows.rows, rows.rows, "rows")


def note_rows(report: Report, file: File) -> None:
    report.rows, report.repeated, report.other_bookings = file.rows, file.repeated, file.other_bookings
    report.quarantined, report.held_on, report.ignored = file.quarantined, file.held_on, file.ignored


def apply(
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
    known, corrected = checked(run, records, name)
    before = {key: here.offender for key, here in known.items()}
    in_order = sorted(records, key=lambda record: (record.row not in corrected, record.custody.since))
    lines: dict[int, list[Line]] = {}
    as_they_were: set[int] = set()
    for turn in _turns(in_order):
        lines |= _apply_turn(run, turn, known, as_they_were, report)
    apply_dates(run, in_order, before, known, lines, report)
    others = _replaced(records, before, known)
    report.replaced = sorted([*report.replaced, *others], key=lambda one: one.what == "renamed")[:MOST_LINES]
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
    known: Mapping[tuple[str, str], Known],
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
    known: dict[tuple[str, str], Known],
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
            if here and change.what == "unchanged" and (due := corrected_date(run, here.offender, record)):
                people[told.agency, told.number] = due
        elif change.what in ("withdrawn", "rejected"):
            report.again[change.what] += 1
        elif here is None or change.what != "unchanged":
            changed[place] = record, change
        else:
            report.unchanged += 1
            if not is_of_now(run, record, here.offender):
                continue
            if run.told_at >= here.offender.known_at:  # else it was held, and something newer came meanwhile
                as_they_were.add(here.offender.id)
            if person := corrected_person(run, here.offender, record):
                people[told.agency, told.number] = person
    lines = apply_changes(run, list(changed.values()), known)
    update(run.conn, people, known)
    return dict(zip(changed, lines, strict=True))


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


def _is_settled(run: Run, here: Known, record: CustodyRecord) -> bool:
    """Whether a row would be no news if it came once more, nor anything else that is to be told or noted again."""
    offender = here.offender
    return (
        _as_seen(run, here, record) is record
        and not disagrees(record.custody, here.history)
        and not (run.is_snapshot and denies(record.custody, here.history))
        and _means(run, record, here).what == "unchanged"
        and is_of_now(run, record, offender)
        and corrected_person(run, offender, record) is None
    )


def _note_disagreements(
    run: Run, report: Report, records: Sequence[CustodyRecord], known: Mapping[tuple[str, str], Known]
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
        if is_denied and latest.denied_at is None:
            denied.append(latest.id)
    if denied:
        custody.deny(run.conn, denied, at=run.told_at)


def _note_said_again(run: Run, report: Report, record: CustodyRecord, here: Known | None, change: Change) -> None:
    for event in here.history if here and run.unconfirmed else ():
        if event.id in run.unconfirmed - report.said_again and (
            event == change.event or says_again(record.custody, [event], record.event_id)
        ):
            report.said_again.add(event.id)
            report.counts[record.agency].update(["releases", "changes", "touched"])


def _means(run: Run, record: CustodyRecord, here: Known | None) -> Change:
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


def _as_seen(run: Run, here: Known, record: CustodyRecord) -> CustodyRecord:
    """A row of a snapshot, as what it says at the time at which that came."""
    seen = present(record.custody, here.history, run.told_at)
    return record if seen == record.custody else replace(record, custody=seen, event_id="")
