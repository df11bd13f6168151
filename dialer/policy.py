"""What the settings' policy makes of an event: whom to call when, by its kind and by the clock of its agency."""

from datetime import datetime

from psycopg import Connection

from db import notifications
from db.notifications import Subject
from dialer import schedule
from movans.settings import Rules, Settings


def notify(
    conn: Connection,
    event_id: int,
    *,
    late: bool,
    registrations: list[int] | None = None,
    settings: Settings,
    now: datetime,
) -> int:
    """Make the event's notifications, as the policy of its kind has it; return how many.

    ``registrations``: of whom alone they are made, where not all who want such hear of it.
    """
    subject = notifications.subject(conn, event_id)
    if subject.urgency == "untold":
        return 0
    plan = schedule.plan(rules_of(settings, subject), zone=settings.zone(subject.agency), now=now)
    return notifications.make(conn, event_id, late=late, registrations=registrations, plan=plan, now=now)


def keep_hours(conn: Connection, settings: Settings, *, now: datetime) -> None:
    """Put off what is due and may not be called at this time of day: it waited for a line until its hours were over."""
    for subject in notifications.due(conn, now=now):
        rules = rules_of(settings, subject)
        opening = schedule.opening(rules.hours, settings.zone(subject.agency), now)
        if opening > now:
            for notification_id in notifications.put_off(conn, subject, opening, now=now):
                give_up(conn, notification_id, rules, now=now)


def give_up(conn: Connection, notification_id: int, rules: Rules, *, now: datetime) -> None:
    """The time for calling is up: staff take over."""
    notifications.hand_over(conn, notification_id, alert=rules.then == "alert", now=now)


def rules_of(settings: Settings, subject: Subject) -> Rules:
    return settings.policy.rules(subject.kind, subject.urgency)
