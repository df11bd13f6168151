"""What becomes of a run that is held: it is approved or rejected; unanswered, what is urgent in it goes out."""

import logging
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from io import BytesIO

from psycopg import Connection, OperationalError, Rollback

from db import feed_runs, held, retractions, staff
from db.held import Held
from db.pool import Database
from db.retractions import Extent
from feed.guard import is_small
from feed.known import Run
from feed.records import CHANGES, SNAPSHOT, Progress, to_nobody
from feed.report import Report
from feed.retraction import retract
from feed.run import keep_counts, one_at_a_time, take_effect
from feed.telling import tell_of_aside, tell_of_replaced
from movans import feeds
from movans.settings import Settings

log = logging.getLogger(__name__)

URGENT = frozenset({"released", "escaped"})  # what is told unconfirmed, where a record says so outright

_BECAME = {
    "applied": "it took effect",
    "rejected": "it was rejected",
    "refused": "it was refused",
    "overtaken": "a newer file, or the same once more, took its place",
}  # of a run that is not held


class NotHeld(Exception):
    """There is no such run, or it is decided already."""


def preview(
    db: Database,
    run_id: int,
    *,
    only: Collection[str] = (),
    settings: Settings,
    progress: Progress = to_nobody,
    now: datetime,
) -> Report:
    """What a run would do now; nothing of it takes effect. Raises NotHeld, Refused, WrongSettings."""
    report = Report()
    with db.connection() as conn:
        one_at_a_time(conn)
        with conn.transaction() as effect:
            this = _to_approve(conn, run_id)
            report = _apply(conn, this, only=_kinds(only), settings=settings, progress=progress, now=now)
            raise Rollback(effect)
    return report


def approve(
    db: Database,
    run_id: int,
    *,
    settings: Settings,
    only: Collection[str] = (),
    who: str,
    why: str,
    progress: Progress = to_nobody,
    now: datetime,
) -> Report:
    """Let a run take effect that is held, or was rejected; only some kinds of it, if given, and the rest stays held.

    What went out of it unconfirmed is confirmed; nothing else is done where a newer one took its place. Raises NotHeld,
    Refused, WrongSettings.
    """
    kinds = _kinds(only)
    with db.connection() as conn:
        one_at_a_time(conn)
        this = _to_approve(conn, run_id)
        report = _apply(conn, this, only=kinds, settings=settings, keep=not only, progress=progress, now=now)
        # The rest of what was rejected stays so: it is not to go out by itself when nobody answers.
        rest = "rejected" if this.outcome == "rejected" else "held"
        held.decide(conn, run_id, rest if only else "applied", only=kinds, now=now)
        ended = None if only else report
        if not only:
            held.rejected_no_more(conn, this.feed, now=now)
        elif rest == "held" and (ended := _end_where_nothing_is_left(conn, this, settings=settings, now=now)):
            held.decide(conn, run_id, "applied", now=now)
        _tell(conn, this, report, ended, settings=settings, now=now)
        of_it = f", only {', '.join(sorted(only))}" if only else ""
        staff.record(conn, who, f"approved feed run {run_id}{of_it}: {why}", now=now)
    return report


def _end_where_nothing_is_left(conn: Connection, this: Held, *, settings: Settings, now: datetime) -> Report | None:
    """Let the rest of a run take effect where no more of it could be told, or went out unconfirmed, than was approved.

    That is that the agency has said it, and who is missing for the first time. None where more is left.
    """
    with conn.transaction() as effect:
        rest = _apply(conn, this, settings=settings, now=now)
        if rest.events or held.reported(conn, this.id):
            raise Rollback(effect)
        return rest
    return None


def _tell(
    conn: Connection, this: Held, report: Report, ended: Report | None, *, settings: Settings, now: datetime
) -> None:
    """See that a person is told of what took effect as of a file that was never held.

    ``ended``: of all of the run, where nothing is left of it.
    """
    if this.outcome not in ("held", "rejected"):
        return
    run = _run(conn, this, settings=settings, now=now)
    tell_of_replaced(run, report)
    if ended:
        tell_of_aside(run, ended, this.file)


def would_withdraw(db: Database, run_id: int) -> Extent:
    """What went out of a held run unanswered, and is withdrawn where it is rejected. Raises NotHeld."""
    with db.connection() as conn:
        _get(conn, run_id)
        return retractions.extent(conn, retractions.with_halves(conn, held.reported(conn, run_id)))


def reject(db: Database, run_id: int, *, settings: Settings, who: str, why: str, now: datetime) -> None:
    """Nothing of a held run shall take effect; what went out of it unanswered is withdrawn. Raises NotHeld.

    First it is withdrawn: where that fails the run stays held, and the same again does what is left.
    """
    with db.connection() as conn:
        one_at_a_time(conn)
        this = _get(conn, run_id)
        out = retractions.with_halves(conn, held.reported(conn, run_id))
    if out:
        retract(db, out, f"feed run {run_id}", settings=settings, who=who, why=why, now=now)
    with db.connection() as conn:
        one_at_a_time(conn)
        if this.is_held:
            _get(conn, run_id)
        held.decide(conn, run_id, "rejected", now=now)
        staff.record(conn, who, f"rejected feed run {run_id}: {why}", now=now)


def report_overdue(db: Database, *, settings: Settings, now: datetime) -> list[Report]:
    """Let out, as not yet confirmed, the urgent of what nobody has answered in time. It stays held for the rest.

    Who is only missing is never told so, and nothing goes out of a run that has news of too many. Of one that cannot
    take effect a person is told, and the others go out.
    """
    with db.connection() as conn:
        due = [one.id for one in held.waiting(conn) if _is_overdue(one, settings, now)]
    done = []
    for run_id in due:
        try:
            with db.connection() as conn:
                report = _report(conn, run_id, settings=settings, now=now)
        except OperationalError:
            raise
        except Exception as error:
            with db.connection() as conn:
                if held.cannot_go_out(conn, run_id, type(error).__name__, now=now):
                    log.exception("run %s cannot go out", run_id)
        else:
            done += [report] if report else []
    return done


def _report(conn: Connection, run_id: int, *, settings: Settings, now: datetime) -> Report | None:
    """Let out what is urgent in a run; None where a person was faster. Raises Refused, WrongSettings."""
    one_at_a_time(conn)
    this = held.get(conn, run_id)
    if this is None or not _is_overdue(this, settings, now):
        return None
    report = _apply(conn, this, only=URGENT, reported=True, settings=settings, now=now)
    held.note_reported(conn, run_id, now=now)
    _tell(conn, this, report, None, settings=settings, now=now)
    return report


def _kinds(only: Collection[str]) -> frozenset[str] | None:
    return frozenset(only) if only else None


def _is_overdue(one: Held, settings: Settings, now: datetime) -> bool:
    guard = settings.guard_of(one.feed)
    late = guard.unanswered is not None and one.reported_at is None and now >= one.since + guard.unanswered
    return late and is_small(one.touched, one.population, guard.touches)


def _to_approve(conn: Connection, run_id: int) -> Held:
    """A run that can be approved: a person may change their mind, and then what was rejected of it is news."""
    found = held.get(conn, run_id, or_rejected=True)
    if found is None and feed_runs.outcome(conn, run_id) == "rejected":
        raise NotHeld(f"run {run_id} was rejected, and its file is not kept any more: import it anew")
    if found is None:
        raise _not_held(conn, run_id)
    held.unreject(conn, run_id)
    return found


def _get(conn: Connection, run_id: int) -> Held:
    found = held.get(conn, run_id)
    if found is None:
        raise _not_held(conn, run_id)
    return found


def _not_held(conn: Connection, run_id: int) -> NotHeld:
    became = _BECAME.get(feed_runs.outcome(conn, run_id))
    says = f"run {run_id} is not held: {became}" if became else f"there is no run {run_id}"
    return NotHeld(f"{says}; movans feed held lists those that are")


def _apply(
    conn: Connection,
    this: Held,
    *,
    settings: Settings,
    only: frozenset[str] | None = None,
    reported: bool = False,
    keep: bool = False,
    progress: Progress = to_nobody,
    now: datetime,
) -> Report:
    """Read the file again, as it came, and compare it with what is known by now.

    Of a run whose place another has taken nothing takes effect.
    """
    if this.outcome not in ("held", "rejected"):
        return Report(run_id=this.id)
    run = replace(_run(conn, this, settings=settings, now=now), only=only, reported=reported)
    report = take_effect(run, BytesIO(held.content(conn, this.id)), this.file, progress)
    if keep:
        keep_counts(run, report)
    return report


def _run(conn: Connection, this: Held, *, settings: Settings, now: datetime) -> Run:
    """The run as it is by now: who is there, a newer snapshot has told."""
    rules = feeds.rules(settings, this.feed, now)
    newest = feed_runs.came(conn, this.feed, applied=True)
    if rules.format == SNAPSHOT and (this.overtaken_at or (newest and newest.id > this.id)):
        rules = replace(rules, format=CHANGES)
    return Run(conn, this.id, this.sha256, rules, this.started_at, now, settings)
