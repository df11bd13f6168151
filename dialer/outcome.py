"""The end of a call attempt, and what follows from it for the notifications that it carried."""

from datetime import datetime

from psycopg import Connection

from db import attempts, notifications, proofs
from dialer import policy
from dialer.schedule import next_call, waits
from movans.settings import Settings

# Asterisk's words for how a Dial ended (Dial application, DIALSTATUS); an answered call is judged by its confirmation.
OUTCOMES = {
    "ANSWER": None,
    "BUSY": "busy",
    "NOANSWER": "no answer",
    "CANCEL": "no answer",
    "CONGESTION": "congestion",
    "CHANUNAVAIL": "failed",
    "DONTCALL": "failed",
    "TORTURE": "failed",
    "INVALIDARGS": "failed",
}


def finish(
    conn: Connection,
    attempt_id: int,
    outcome: str | None,
    cause: str,
    *,
    settings: Settings,
    now: datetime,
) -> str | None:
    """End the attempt and schedule what it left open; return its outcome, None where it had ended already.

    Without an outcome the call was answered, and its confirmation decides.
    """
    ended = attempts.end(conn, attempt_id, outcome, cause, now=now)
    if ended is None:
        return None
    for item in ended.carried:
        if item.first_call_at > now:  # it came along with something else, and its own first call is still to come
            continue
        rules = policy.rules_of(settings, item)
        following = next_call(
            ended.outcome,
            ended_at=now,
            place=item.place,
            places=item.places,
            lost_in_a_row=item.lost_in_a_row,
            give_up_at=item.give_up_at,
            again=waits(rules, first_call_at=item.first_call_at, at=now),
            hours=rules.hours,
            zone=settings.zone(item.agency),
        )
        if following:
            notifications.call_next(conn, item.notification_id, following.at, following.place)
        else:
            policy.give_up(conn, item.notification_id, rules, now=now)
    _prove_again(conn, attempt_id, ended.outcome, settings, now=now)
    return ended.outcome


def _prove_again(conn: Connection, attempt_id: int, outcome: str, settings: Settings, *, now: datetime) -> None:
    """Call once more for what is still to be proven at this telephone, or give it up; nobody is troubled for a day."""
    for proof in proofs.due_after(conn, attempt_id):
        following = next_call(
            outcome,
            ended_at=now,
            place=1,
            places=1,
            lost_in_a_row=proof.lost_in_a_row,
            give_up_at=proof.created_at + proofs.DAY,
            again=settings.policy.proofs,
            hours=None,  # it follows a call of somebody who is awake
            zone=settings.service.zone,
        )
        if following and proof.calls < proofs.CALLS_A_DAY:
            proofs.call_next(conn, proof.id, following.at)
        else:
            proofs.give_up(conn, proof.id, now=now)
