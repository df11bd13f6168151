"""When to call first, when to call again, and when to give up: functions of policy and history alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from db.notifications import Plan
from movans.settings import Daytime, Rules

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class NextCall:
    at: datetime
    place: int


def plan(rules: Rules, *, zone: ZoneInfo, now: datetime) -> Plan:
    """What a notification that is made now begins with.

    The time for calling is counted from the first call, so that a night takes nothing away from it.
    """
    first = opening(rules.hours, zone, now + (rules.hold or timedelta(0)))
    return Plan(
        priority=rules.priority,
        first_call_at=first,
        staff_at=None if rules.staff_after is None else first + rules.staff_after,
        give_up_at=first + sum((phase.length for phase in rules.phases), timedelta(0)),
    )


def opening(hours: Daytime | None, zone: ZoneInfo, at: datetime) -> datetime:
    """The first moment from ``at`` on at which a local clock shows a time within the hours.

    Minute by minute, as clocks are moved: so it is right in a local time that does not come, or comes twice.
    """
    while hours and not hours.hold(at.astimezone(zone).time()):
        at = at.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
    return at


def waits(rules: Rules, *, first_call_at: datetime, at: datetime) -> Mapping[str, timedelta]:
    """The waits after each outcome in the phase that it is ``at`` that time; after the last one, still its."""
    until = first_call_at
    for phase in rules.phases:
        until += phase.length
        if at < until:
            return phase.again
    return rules.phases[-1].again


def next_call(
    outcome: str,
    *,
    ended_at: datetime,
    place: int,
    places: int,
    lost_in_a_row: int,
    give_up_at: datetime,
    again: Mapping[str, timedelta],
    hours: Daytime | None,
    zone: ZoneInfo,
) -> NextCall | None:
    """The call that follows one that left its notification open; None when the time for calling is up.

    A round tries a registrant's telephones in order, one right after the other; a lost call is the service's own fault
    and tries the same one again, soon, but twice as late each time in a row, so that a fault of ours that lasts does
    not ring somebody's telephone all night. ``again`` is the wait after each outcome, from the settings. A confirmed
    call leaves open only what was not heard in it, or is another registrant's: that waits like a call without a PIN.
    What would come outside the hours comes when they begin.
    """
    if outcome == "lost":
        wait = again["lost"] * 2 ** min(lost_in_a_row - 1, 20)
        following = NextCall(ended_at + min(wait, max(again["lost"], again["not confirmed"])), place)
    elif place < places:
        following = NextCall(ended_at, place + 1)
    else:
        following = NextCall(ended_at + again["not confirmed" if outcome == "confirmed" else outcome], 1)
    following = NextCall(opening(hours, zone, following.at), following.place)
    return following if following.at <= give_up_at else None


def course(
    rules: Rules, outcome: str, *, places: int, zone: ZoneInfo, now: datetime
) -> tuple[Plan, Sequence[NextCall]]:
    """The calls about what becomes known now, as if each ended at once, and always with this outcome."""
    begin = plan(rules, zone=zone, now=now)
    calls: list[NextCall] = []
    following: NextCall | None = NextCall(begin.first_call_at, 1)
    while following:
        calls.append(following)
        following = next_call(
            outcome,
            ended_at=following.at,
            place=following.place,
            places=places,
            lost_in_a_row=len(calls),
            give_up_at=begin.give_up_at,
            again=waits(rules, first_call_at=begin.first_call_at, at=following.at),
            hours=rules.hours,
            zone=zone,
        )
    return begin, calls
