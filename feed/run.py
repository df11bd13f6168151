"""One import: a file is read, compared with what is known, and applied in one transaction, or not at all."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from psycopg import Connection, Rollback

from db import custody, feed_runs, held
from db.pool import Database, take_time
from feed import court, sieve
from feed.checking import opened, printable, read
from feed.compare import (
    Change,
)
from feed.known import Run
from feed.measure import measure, what_was
from feed.records import CourtRecord, Progress, Refused, Rules, to_nobody
from feed.report import Line, Report
from feed.rows import apply, apply_rows, note_rows
from feed.sieve import Sieve
from feed.telling import tell_of_aside, tell_of_disagreement, tell_of_rejected, tell_of_replaced
from movans.settings import Settings

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
                since = held.overtake(conn, rules.feed, sha256, by=run_id, is_snapshot=this.is_snapshot, now=this.now)
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
