"""Who is missing in a snapshot."""

from collections.abc import Collection
from datetime import datetime

from db import custody, feed_runs, rosters
from db.custody import MISSING, Custody
from feed.changes import apply_changes
from feed.compare import (
    KINDS,
    Change,
    missing,
)
from feed.known import Known, Run, known_of
from feed.records import CustodyRecord
from feed.report import Disagreeing, Report
from movans import feeds

CHUNK = 2000  # who is missing, so many together


def in_rows_aside(run: Run, report: Report) -> set[int]:
    """Note who stands in a snapshot by a row that was put aside, whatever is wrong with it: they are not missing."""
    report.unnamed = sum(not bad.number for bad in report.quarantined)
    numbers = {bad.number for bad in report.quarantined if bad.number}
    there = {offender.id for offender in custody.lock(run.conn, run.rules.agency, numbers).values()}
    rosters.present(run.conn, run.rules.feed, dict.fromkeys(there))
    return there


def apply_missing(run: Run, absent: Collection[int], report: Report) -> None:
    """Note who is missing in a snapshot, of whom the roster has: for the second time running is news.

    The same bytes once more are the same snapshot. Where it is not known of whom a row is, it may be anybody's who
    seems to be missing: nobody is by that file.
    """
    if report.unnamed:
        rosters.look_again(run.conn, absent)
        return
    conn, feed = run.conn, run.rules.feed
    others = feeds.snapshots(conn, run.settings, run.rules.agency, now=run.now)
    gone = rosters.missing(conn, feed, absent, others=others)
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
        known = known_of(conn, custody.get_all(conn, some))
        changed: list[tuple[CustodyRecord, Change]] = []
        for (agency, number), here in known.items():
            one = some[here.offender.id]
            denied_at = here.history[-1].denied_at if here.history else None
            if _say_staff(here, since=one.since):
                continue
            is_now, known_at = here.offender.custody, here.offender.known_at
            if news := missing(is_now, known_at, one.since, elsewhere=one.elsewhere, denied_at=denied_at):
                record = CustodyRecord(0, agency, number, here.offender.person, news, "", {})
                changed.append((record, Change("news", KINDS[news.status])))
            elif here.history and here.history[-1].is_out and not one.elsewhere:
                report.agreeing.add(here.history[-1].id)
        report.add([line for lines in apply_changes(run, changed, known) for line in lines])
    rosters.leave(conn, feed, [one.offender_id for one in again if not one.elsewhere])
    if run.only is None:
        were_there = {one.offender_id for one in gone if one.since in (None, before.started_at)}
        _note_staffs(run, report, were_there, before.started_at, others)


def _say_staff(here: Known, *, since: datetime | None) -> bool:
    """Whether staff have said, since then, that somebody is in custody, and that is what holds."""
    latest = here.history[-1] if here.history else None
    return bool(latest and since and latest.by_staff and latest.status == "in custody" and latest.recorded_at > since)


def _note_staffs(
    run: Run, report: Report, were_there: Collection[int], before: datetime, others: Collection[str]
) -> None:
    """Note whom neither this snapshot has nor the one ``before``, though staff had said that they are in custody.

    That holds: no more is known than that. Who never stood in the feed may be where another feed of the agency tells
    of them, where there is one. ``were_there``: who was in the one before.
    """
    agency, feed = run.rules.agency, run.rules.feed
    found = rosters.without(run.conn, feed, agency, before=before, others=others)
    is_only_feed = set(feeds.custody_feeds(run.settings, agency)) <= {feed}
    for (_, number), here in known_of(run.conn, custody.get_all(run.conn, found.keys() - were_there)).items():
        latest, (elsewhere, ever) = here.history[-1], found[here.offender.id]
        if not (latest.by_staff and latest.recorded_at < before):
            continue
        if elsewhere:
            report.agreeing.add(latest.id)
        elif ever or is_only_feed:
            gone = Custody(MISSING, latest.facility, latest.effective_at)
            record = CustodyRecord(0, agency, number, here.offender.person, gone, "", {})
            report.disagreeing[agency, number] = Disagreeing(record, latest)
