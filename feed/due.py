"""Days of release that rows give: what is told of them, and what holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from db import custody, notifications, registrations
from db.custody import PLANS, Custody, Happened, Latest, Offender
from feed import planned
from feed.compare import (
    Change,
    own_key,
)
from feed.known import Known, Run, is_of_now, update
from feed.records import CustodyRecord
from feed.report import Line, Report


def apply_dates(
    run: Run,
    in_order: Sequence[CustodyRecord],
    before: Mapping[tuple[str, str], Offender],
    known: dict[tuple[str, str], Known],
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
    update(run.conn, {key: _with_date(known[key].offender, before[key].release_date) for key in stays}, known)
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
    known: dict[tuple[str, str], Known],
) -> None:
    """Who is held on several bookings is due when the last of them is over."""
    days: dict[tuple[str, str], Latest] = {}
    for key, day in planned.of_bookings(in_order).items():
        offender = known[key].offender if key in known else None  # a row that is passed over makes nobody known
        if offender and offender.release_date != day and is_of_now(run, in_order[last[key]], offender):
            days[key] = _with_date(offender, day)
    update(run.conn, days, known)


def _date_means(run: Run, was: Offender, here: Known) -> Change | None:
    """What it is that somebody is due on another day; None where it stays at the one that was known.

    A file that was held says nothing newer than what came meanwhile, unless it has them moved, or back.
    """
    offender, day = here.offender, here.offender.release_date
    today = run.now.astimezone(run.settings.zone(offender.agency)).date()
    # A release that explains why they were no longer listed, as was known, is newer, though its time is not.
    since = [event.status for event in here.history if event.effective_at > was.since or event.explains == was.since]
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
    known: Mapping[tuple[str, str], Known],
) -> dict[tuple[str, str], int]:
    """Keep the events of days of release, and return how many notifications each makes."""
    if not told:
        return {}
    happened: list[Happened] = []
    for key, (record, change) in told.items():
        offender = known[key].offender
        happened.append(
            replace(
                run.teller.happened(
                    offender.id,
                    change.kind,
                    Custody(offender.status, offender.facility, run.now),
                    offender.agency,
                    # One event of a row of a run: the same change again is another run's, or no change.
                    own_key(f"{offender.number}\trelease date\t{run.id}\t{record.row}", known[key].withdrawn),
                ),
                planned_at=change.planned_at,
                release_date_before=before[key].release_date,
            )
        )
    event_ids = custody.record_all(run.conn, happened, now=run.now)
    registered = registrations.of_offenders(run.conn, [event.offender_id for event in happened])
    return {
        key: run.teller.notify(run.conn, event_id, late=False) if event.offender_id in registered else 0
        for key, event, event_id in zip(told, happened, event_ids, strict=True)
    }


def _note_denied(run: Run, last: Iterable[CustodyRecord], known: Mapping[tuple[str, str], Known]) -> None:
    """Note where the last row of somebody says another day of release than one that was withdrawn, or none."""
    denied: list[int] = []
    for record in last:
        here = known.get((record.agency, record.number))
        withdrawn = planned.in_force(here.withdrawn) if here else []
        if here and withdrawn and "release_date" in record.details and is_of_now(run, record, here.offender):
            if run.is_older_than(here.offender.known_at):
                continue
            day = here.offender.release_date
            denied += [event.id for event in withdrawn if day is None or event.planned_at != planned.at(day)]
    if denied:
        custody.deny(run.conn, denied, at=run.now)


def corrected_date(run: Run, offender: Offender, record: CustodyRecord) -> Latest | None:
    """What holds once the day of release alone is another, of a run of which only such may take effect."""
    day = record.details_after(offender.details).release_date
    if day == offender.release_date or not run.lets_through(*PLANS) or not is_of_now(run, record, offender):
        return None
    return _with_date(offender, day)


def _with_date(offender: Offender, day: date | None) -> Latest:
    details = replace(offender.details, release_date=day)
    return Latest(offender.person, offender.custody, details, offender.known_at)
