"""The end of a call attempt, and what follows from it for the notifications that it carried."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from psycopg import Connection

from db import attempts, notifications, numbers, proofs
from dialer import policy, verdict
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

# Answers of a trunk that will not or cannot carry the call, and say nothing of the telephone (RFC 3261): it wants to be
# paid, to know us, or does not let us; it was not reached in time. So does every 5xx.
TRUNK_REFUSES = {401, 402, 403, 407, 408}


def finish(
    conn: Connection,
    attempt_id: int,
    outcome: str | None,
    cause: str,
    *,
    refused_as: str | None = None,
    settings: Settings,
    now: datetime,
    keeps_place: bool = False,
) -> str | None:
    """End the attempt and schedule what it left open; return its outcome, None where it had ended already.

    Without an outcome the call was answered, and its confirmation decides. One that its trunk refused is made again at
    once by the next trunk of the settings; where there is none, it is an outcome like others. What was left over in a
    confirmed one is told soon, by a call of its own, and not as late as after a failed one.

    After any outcome but a lost call and a trunk's refusal somebody was called, and the next call is a repeat. What was
    lost with its host ``keeps_place``: it is due again at once and has its turn, as if it had not been claimed. But of
    what was begun only the first in a row: should a call be what stops hosts, the next one waits as after any fault of
    ours, longer each time.
    """
    ended = attempts.end(
        conn,
        attempt_id,
        outcome,
        cause,
        sip_code=verdict.sip_code(cause),
        refused_as=refused_as,
        now=now,
        unless_it_lasts=keeps_place,
    )
    if ended is None:
        return None
    with_host = keeps_place and ended.outcome == "lost"
    if with_host:
        attempts.give_turn_back(conn, attempt_id)
        if not ended.begun:
            return ended.outcome
    refused = refused_by_trunk(ended.outcome, cause)
    trunks = list(settings.outbound)
    spare = trunks.index(ended.trunk) + 2 if refused and ended.trunk in trunks[:-1] else None
    unreachable = numbers.judge(conn, attempt_id, ended.trunk, ended.refused_as, answered=ended.answered, now=now)
    for item in ended.carried:
        is_due_again = with_host and item.lost_in_a_row == 1 and now <= item.give_up_at
        came_along = item.first_call_at > now  # with something else, and its own first call is still to come
        if is_due_again or came_along:
            continue
        if spare and now <= item.give_up_at:
            notifications.call_next(conn, item.notification_id, now, item.place, trunk=spare, rung=False)
            continue
        rules = policy.rules_of(settings, item)
        again = waits(rules, first_call_at=item.first_call_at, at=now)
        if item.left_over and (soon := now + again["lost"]) <= item.give_up_at:
            notifications.call_next(conn, item.notification_id, soon, item.place, rung=False)
            continue
        following = next_call(
            ended.outcome,
            ended_at=now,
            place=item.place,
            places=item.places,
            lost_in_a_row=item.lost_in_a_row,
            give_up_at=item.give_up_at,
            again=again,
            hours=rules.hours,
            zone=settings.zone(item.agency),
        )
        if following and item.notification_id not in unreachable:
            rung = ended.outcome != "lost" and not refused
            notifications.call_next(conn, item.notification_id, following.at, following.place, rung=rung)
        else:
            policy.give_up(conn, item.notification_id, rules, now=now)
    if ended.proof_waits:
        _prove_again(conn, attempt_id, ended.outcome, spare, settings.policy.proofs, settings.service.zone, now=now)
    return ended.outcome


def refused_by_trunk(outcome: str, cause: str) -> bool:
    """Whether the trunk did not carry the call, so that another may.

    So it is where the network gave no answer at all: a telephone that rings has one, "SIP 180 Ringing".
    """
    code = verdict.sip_code(cause)
    if code is None:
        return outcome in {"congestion", "failed", "no answer"}
    return code in TRUNK_REFUSES or 500 <= code < 600


def _prove_again(
    conn: Connection,
    attempt_id: int,
    outcome: str,
    spare: int | None,
    again: Mapping[str, timedelta],
    zone: ZoneInfo,
    *,
    now: datetime,
) -> None:
    """Call once more for what is still to be proven at this telephone, or give it up; nobody is troubled for a day."""
    for proof in proofs.due_after(conn, attempt_id):
        if spare:
            proofs.call_next(conn, proof.id, now, trunk=spare)
            continue
        following = next_call(
            outcome,
            ended_at=now,
            place=1,
            places=1,
            lost_in_a_row=proof.lost_in_a_row,
            give_up_at=proof.created_at + proofs.DAY,
            again=again,
            hours=None,  # it follows a call of somebody who is awake
            zone=zone,
        )
        if following and proof.calls < proofs.CALLS_A_DAY:
            proofs.call_next(conn, proof.id, following.at)
        else:
            proofs.give_up(conn, proof.id, now=now)
