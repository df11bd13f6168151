"""When to call again, and when to give up: functions of policy and history alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class NextCall:
    at: datetime
    place: int


def next_call(
    outcome: str,
    *,
    ended_at: datetime,
    place: int,
    places: int,
    lost_in_a_row: int,
    give_up_at: datetime,
    again: Mapping[str, timedelta],
) -> NextCall | None:
    """The call that follows one that left its notification open; None when the time for calling is up.

    A round tries a registrant's telephones in order, one right after the other; a lost call is the service's own fault
    and tries the same one again, soon, but twice as late each time in a row, so that a fault of ours that lasts does
    not ring somebody's telephone all night. ``again`` is the wait after each outcome, from the settings. A confirmed
    call leaves open only what was not heard in it, or is another registrant's: that waits like a call without a PIN.
    """
    if outcome == "lost":
        wait = again["lost"] * 2 ** min(lost_in_a_row - 1, 20)
        following = NextCall(ended_at + min(wait, max(again["lost"], again["not confirmed"])), place)
    elif place < places:
        following = NextCall(ended_at, place + 1)
    else:
        following = NextCall(ended_at + again["not confirmed" if outcome == "confirmed" else outcome], 1)
    return following if following.at <= give_up_at else None
