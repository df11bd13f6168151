"""What a person must be told of a run, whether or not anybody looks: alerts."""

from db import alerts, feed_runs, held
from feed.known import Run, local
from feed.report import Report


def tell_of_aside(run: Run, report: Report, name: str) -> None:
    if run.rules.feed:  # else whoever imports it by hand reads it
        many = len(report.quarantined)
        feed_runs.tell_of_aside(
            run.conn, run.rules.feed, name, many, report.rows, is_snapshot=run.is_snapshot, now=run.now
        )


def tell_of_replaced(run: Run, report: Report) -> None:
    if many := report.kinds["replaced"]:
        first = next(str(other) for other in report.replaced if other.what == "replaced")
        feed_runs.tell_of_replaced(run.conn, run.id, run.rules.feed, many, first, now=run.now)


def tell_of_rejected(run: Run, report: Report) -> None:
    if many := report.again["rejected"]:
        held.tell_of_rejected(run.conn, run.rules.feed, many, now=run.now)
    elif run.is_snapshot:
        held.rejected_no_more(run.conn, run.rules.feed, now=run.now)


def tell_of_disagreement(run: Run, report: Report) -> None:
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
        if one.is_missing:
            says = f"{agency} {number} is not in the last two snapshots of {feed}; but staff have said {holds.status!r}"
            says += f" since {local(holds.effective_at, zone)}, which holds."
        else:
            says = (
                f"{agency} {number} is {told.status!r} since {local(told.since, zone)}, as {run.rules.feed or 'a file'}"
                f" says; but {said} {holds.status!r} since {local(holds.effective_at, zone)}, which is later and"
                " holds."
            )
        says += f" Find out what is true: movans custody show {agency} {number}"
        alerts.add_once(run.conn, alerts.DISAGREES % (holds.id, feed), says, now=run.now)
