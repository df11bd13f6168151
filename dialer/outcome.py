"""The end of a call attempt, and what follows from it for the notifications that it carried."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from psycopg import Connection

from db import attempts, notifications, numbers, proofs
from dialer.schedule import next_call

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
    again: Mapping[str, timedelta],
    now: datetime,
) -> str | None:
    """End the attempt and schedule what it left open; return its outcome, None where it had ended already.

    Without an outcome the call was answered, and its confirmation decides.
    """
    ended = attempts.end(conn, attempt_id, outcome, cause, now=now)
    if ended is None:
        return None
    unreachable = numbers.judge(conn, attempt_id, now=now)
    for item in ended.carried:
        following = next_call(
            ended.outcome,
            ended_at=now,
            place=item.place,
            places=item.places,
            lost_in_a_row=item.lost_in_a_row,
            give_up_at=item.give_up_at,
            again=again,
        )
        if following and item.notification_id not in unreachable:
            notifications.call_next(conn, item.notification_id, following.at, following.place)
        else:
            notifications.hand_over(conn, item.notification_id, now=now)
    _prove_again(conn, attempt_id, ended.outcome, again=again, now=now)
    return ended.outcome


def _prove_again(
    conn: Connection, attempt_id: int, outcome: str, *, again: Mapping[str, timedelta], now: datetime
) -> None:
    """Call once more for what is still to be proven at this telephone, or give it up; nobody is troubled for a day."""
    for proof in proofs.due_after(conn, attempt_id):
        following = next_call(
            outcome,
            ended_at=now,
            place=1,
            places=1,
            lost_in_a_row=proof.lost_in_a_row,
            give_up_at=proof.created_at + proofs.DAY,
            again=again,
        )
        if following and proof.calls < proofs.CALLS_A_DAY:
            proofs.call_next(conn, proof.id, following.at)
        else:
            proofs.give_up(conn, proof.id, now=now)
