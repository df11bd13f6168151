"""One import: a file is read, compared with what is known, and applied in one transaction, or not at all."""

import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from psycopg import Connection, Rollback

from db import custody, feed_runs, held
from db.held import Held
from db.pool import Database, take_time
from feed import court, custody_csv, sieve
from feed.checking import opened, printable, read
from feed.compare import Change
from feed.guard import STATED
from feed.known import Run
from feed.measure import measure, what_was
from feed.records import CHANGES, CourtRecord, Progress, Refused, Rules, to_nobody
from feed.report import Line, Report
from feed.rows import apply, apply_rows, note_rows
from feed.sieve import Sieve
from feed.telling import tell_of_aside, tell_of_disagreement, tell_of_rejected, tell_of_replaced
from movans.settings import Settings

log = logging.getLogger(__name__)

_ONE_AT_A_TIME = 0x46454544  # "FEED": two imports at once would both find a new offender missing


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
                since = _overtake(this, source, name)
                if report.held:
                    source.seek(0)
                    _hold(this, report, source.read(), since or this.now)
                else:
                    held.tell(conn, rules.feed, now=this.now)
                    tell_of_aside(this, report, name)
                    tell_of_replaced(this, report)
                tell_of_rejected(this, report)
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
    (is_free,) = conn.execute("select pg_try_advisory_xact_lock(%s)", [_ONE_AT_A_TIME]).fetchone() or (False,)
    if not is_free:
        log.warning("an import is running; waiting for it to end")
        conn.execute("select pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])


def take_effect(run: Run, source: BinaryIO, name: str, progress: Progress = to_nobody) -> Report:
    """Apply a file, as far as the run lets it through. Raises Refused where it has mistakes; then undo all of it."""
    report = Report(agencies={run.rules.agency} if run.rules.agency else set())
    run = replace(run, rejected=held.rejected(run.conn, run.rules.agencies))
    if run.rules.format in sieve.FORMATS:
        apply_rows(run, Sieve(run.conn, name, source, run.rules, progress), name, report, progress)
    else:
        file = read(name, source, run.rules)
        note_rows(report, file)
        apply(run, file.custody, name, report)
        _apply_court(run, file.court, report)
        progress(file.rows, file.rows, "rows")
    if run.only is None:  # else the rest is to come, or not
        tell_of_disagreement(run, report)
        feed_runs.put_aside(run.conn, run.id, [(bad.row, bad.mistakes, bad.given) for bad in report.quarantined])
    report.run_id, report.people = run.id, feed_runs.people(run.conn, run.id, now=run.now)
    return report


def keep_counts(run: Run, report: Report) -> None:
    feed_runs.count(
        run.conn,
        run.id,
        rows=report.rows,
        events=report.events,
        releases=report.count("releases"),
        changes=report.count("changes"),
        listed=report.count("listed"),
        notifications=report.notifications,
        of_agencies={} if run.rules.feed else report.counts,
    )


def _guarded(run: Run, source: BinaryIO, name: str, progress: Progress) -> Report:
    """Let a file take effect and undo that again where it is more than the guard lets through."""
    before = what_was(run)
    report = Report()
    with run.conn.transaction() as effect:
        report = take_effect(run, source, name, progress)
        measure(run, report, before)
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
        _places(run.conn, report),
        report.changed,
        touched=report.touched,
        population=report.population,
        since=since,
        now=run.now,
    )


def _places(conn: Connection, report: Report) -> set[tuple[str, str]]:
    """Agency and facility of all of whom a run has news.

    Who is moved by it is still known to be where they were, and whose court date it is, in their jail.
    """
    known = custody.places_of(conn, {(change.agency, change.number) for change in report.changed})
    return report.places | known | custody.places(conn, report.missing)


def _overtake(run: Run, source: BinaryIO, name: str) -> datetime | None:
    """End what is held of the feed and says no more than this run: a snapshot each older one, any the same.

    But who got out, as an older snapshot says, and is in this one not at all, is not told of by it: their rows stay
    held, and no others. Return since when a person was waited for, for what this run says too; None where for nothing.
    """
    since: list[datetime] = []
    conn, feed = run.conn, run.rules.feed
    for older in held.older(conn, feed, run.sha256, before=run.id, is_snapshot=run.is_snapshot):
        gone = held.numbers(conn, older.id, STATED) if run.is_snapshot and older.sha256 != run.sha256 else set[str]()
        if gone:
            source.seek(0)
            gone.difference_update(custody_csv.numbers(name, source, run.rules))
        # What went out of it unanswered is decided as a whole, with what this run says, or by itself.
        if not gone or older.reported_at or not _leave(run, older, gone):
            held.overtake(conn, older.id, now=run.now)
        if older.overtaken_at is None:  # else it was little of what had come, and waited by itself
            since.append(older.since)
    return min(since, default=None)


def _leave(run: Run, older: Held, gone: Collection[str]) -> bool:
    """Leave the rows of these people held, and no others of an older run; False where they have no news any more."""
    conn, rules = run.conn, replace(run.rules, format=CHANGES)
    left = Report()
    try:
        content = custody_csv.only_of(gone, older.file, BytesIO(held.content(conn, older.id)), rules)
        with conn.transaction() as effect:
            this = Run(conn, older.id, older.sha256, rules, older.started_at, run.now, run.settings)
            left = take_effect(this, BytesIO(content), older.file)
            raise Rollback(effect)
    except Refused:  # the settings are others than when it came; movans feed held says what is in the way
        return True
    if is_news := not left.kinds.keys().isdisjoint(STATED):
        many = "1 person" if len(gone) == 1 else f"{len(gone):,} people"
        because = (
            f"{many} who got out, as it states, and of whom the newer snapshot of run {run.id} says nothing; that took"
            " the place of all else in it"
        )
        held.leave(conn, older.id, content, because, _places(conn, left), left.changed, now=run.now)
    return is_news


def _apply_court(run: Run, records: Sequence[CourtRecord], report: Report) -> None:
    """Apply what a court calendar says, and add to the report what came of it."""
    applied = court.apply(run.conn, run.id, records, only=run.only, now=run.now)
    report.add(
        [
            Line(
                news.record,
                Change("news", news.kind),
                run.teller.notify(run.conn, news.event_id, late=False),
            )
            for news in applied.news
        ]
    )
    report.agencies |= {record.agency for record in records}
    report.unchanged += applied.unchanged
    report.passed_over += applied.passed_over
    report.strangers = applied.strangers
