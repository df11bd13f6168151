"""Measuring a run by the guard: against what its agencies and its feed had before."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from db import feed_runs, rosters
from db.feed_runs import LATELY
from feed.guard import excess
from feed.known import Run
from feed.records import COURT
from feed.report import Report


@dataclass(frozen=True)
class Before:
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


def what_was(run: Run) -> Before:
    return Before(feed_runs.reach(run.conn, run.rules.agencies), rosters.size(run.conn, run.rules.feed))


def measure(run: Run, report: Report, before: Before) -> None:
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


def _excesses(run: Run, report: Report, before: Before, agencies: Collection[str]) -> Iterator[str]:
    """What a run changes too much of these agencies, a sentence each."""
    conn, feed = run.conn, run.rules.feed
    guard = run.settings.guard_of(feed)
    population, registrations = before.among(agencies)
    usual = feed_runs.usual(conn, feed, agencies=agencies, before=run.id)
    lately = feed_runs.lately(conn, feed, agencies=agencies, before=run.id, now=run.now)
    counts = {what: report.count(what, agencies) for what in ("releases", "changes", "notifications")}
    counts["missing"] = len(report.missing)
    measures = [
        ("releases", guard.releases, population, "in custody"),
        ("changes", guard.changes, population, "in custody"),
        ("notifications", guard.notifications, registrations, "registrations"),
        ("missing", guard.missing, before.on_roster, "in the last snapshot"),
    ]
    # Where others were told of before, these may be the same, by new numbers: nobody would hear of them again.
    of_others = _told_of_others(run, agencies)
    counts["listed"] = report.count("listed", of_others)
    lately["listed"] = sum(
        feed_runs.lately(conn, feed, agencies=[agency], before=run.id, since=since, now=run.now)["listed"]
        for agency, since in of_others.items()
    )
    by_then = population + counts["listed"]
    if run.rules.format == COURT:  # else they are in custody already
        by_then += lately["listed"]
    measures.append(("listed", guard.changes, by_then, "in custody or newly listed"))
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


def _told_of_others(run: Run, agencies: Collection[str]) -> dict[str, datetime]:
    """Of which of these agencies the feed has told others than it began with, and since when.

    What comes in pieces counts as a whole, so all of the hour after a first file is the beginning.
    """
    began = feed_runs.began(run.conn, run.rules.feed, agencies=agencies, before=run.id)
    return {agency: at + LATELY for agency, at in began.items() if at + LATELY <= run.now}
