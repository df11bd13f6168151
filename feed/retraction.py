"""Withdrawing what a file told and what was not so: by the run, or a single event of it."""

from dataclasses import replace
from datetime import datetime

from psycopg import Connection

from db import alerts, court_events, custody, held, notifications, retractions, rosters, staff
from db.custody import Custody
from db.pool import Database
from db.registrations import COURT, CUSTODY
from db.retractions import Extent
from dialer import policy
from feed import planned
from feed.run import one_at_a_time
from movans.settings import Settings

KINDS = {CUSTODY: "corrected", COURT: "corrected_court"}


def retract(
    db: Database,
    event_ids: list[int],
    what: str,
    *,
    run_id: int | None = None,
    settings: Settings,
    who: str,
    why: str,
    now: datetime,
) -> Extent:
    """Withdraw events, and have those who were called of them called with a correction.

    ``run_id``: where they are all of a run, what else it said of court dates is withdrawn with them. Else the events
    are of one run as far as they are of court dates, and so much of these is as it was.

    In two transactions, each whole: once the first is committed, no call that begins tells of them; then it is certain
    who has heard of them. Where the second fails, the same again does what is left.
    """
    with db.connection() as conn:
        one_at_a_time(conn)
        whose = retractions.offenders(conn, event_ids)
        rosters.put_back(conn, event_ids)
        retractions.join(conn, event_ids)
        ended = retractions.withdraw(conn, event_ids, now=now)
        for offender_id in whose:
            _restore(conn, offender_id)
        notifications.end_plans(conn, whose, now=now)
        if run_id is not None:
            court_events.withdraw(conn, run_id, now=now)
        elif brought_by := retractions.run_of(conn, event_ids[0]):
            court_events.withdraw(conn, brought_by, event_ids, now=now)
        alerts.settle(conn, now=now)
        staff.record(conn, who, f"retracted {what}: {why}", now=now)
    with db.connection() as conn:
        one_at_a_time(conn)
        retractions.offenders(conn, event_ids)
        heard = retractions.heard(conn, event_ids)
        people = retractions.extent(conn, event_ids).people
        for (offender_id, about), registrations in heard.items():
            _correct(conn, offender_id, about, registrations, event_ids, settings=settings, now=now)
        retractions.note_corrected(conn, event_ids, now=now)
        held.settle_those_of(conn, event_ids, now=now)
    return Extent(len(event_ids), ended, people)


def _restore(conn: Connection, offender_id: int) -> None:
    """The offender is again where the latest of the events that are left has them, and due to be released as before."""
    offender, history = custody.get(conn, offender_id), custody.history(conn, offender_id)
    if history:
        state = Custody(history[-1].status, history[-1].facility, history[-1].effective_at)
        day = planned.restored(offender.release_date, custody.plans(conn, offender_id))
        details = replace(offender.details, release_date=day)
        custody.update(conn, offender_id, offender.person, state, details, now=offender.known_at)


def _correct(
    conn: Connection,
    offender_id: int,
    about: str,
    registrations: list[int],
    event_ids: list[int],
    *,
    settings: Settings,
    now: datetime,
) -> None:
    """Tell these what holds: a critical event, of which nobody else hears.

    Of a court date that is the next one, as it is known when they are told. It takes the place of no other news of a
    court date, which may be of another one. Who waits for an earlier correction is told this one instead, so that all
    at one telephone hear it once.
    """
    offender = custody.get(conn, offender_id)
    kind = KINDS[about]
    registrations = sorted({*registrations, *notifications.waiting_for(conn, offender_id, kind)})
    event_id = custody.record(
        conn,
        offender_id,
        kind,
        offender.custody,
        source=offender.agency,
        # A tab is in no agency's own event ids, so that these cannot be mistaken for one.
        source_key=f"{kind}\t{event_ids[0]}\t{offender_id}",
        feed_run_id=retractions.run_of(conn, event_ids[0]),
        now=now,
    )
    policy.notify(conn, event_id, late=about == COURT, registrations=registrations, settings=settings, now=now)
