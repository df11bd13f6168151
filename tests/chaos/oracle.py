"""What must be true after a fault, over two records: the database's, and the telephones' own.

Pure functions. Times are seconds since 1970 by the true clock, whatever clock a part was shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.telephones import Rang

ENDS = {"confirmed", "closed", "superseded", "retracted", "registration ended"}  # DESIGN: in one of five ways
SLACK = 0.5  # seconds between a step and its record


@dataclass(frozen=True)
class Notification:
    """A notification as the database has it. ``number`` is where its registrant is called."""

    id: int
    number: str
    state: str
    ended_at: float | None
    is_called: bool = False  # there is a next call
    is_staffs: bool = False  # it was handed over


@dataclass(frozen=True)
class Attempt:
    id: int
    number: str
    dialled_at: float | None
    deadline: float
    confirmed_at: float | None


def violations(
    notifications: Sequence[Notification],
    attempts: Sequence[Attempt],
    calls: Sequence[Rang],
    *,
    fault_at: float,
    only_in_journal: bool = False,
) -> list[str]:
    """Every rule that was broken, a sentence for each; nothing where all is as it must be.

    ``only_in_journal``: a host was away whose journal alone knew of a confirmation, which may cost one more call.
    """
    return [
        *ended_otherwise(notifications),
        *forgotten(notifications, calls, fault_at=fault_at),
        *two_at_once(calls),
        *called_again(notifications, calls, allowed=int(only_in_journal)),
        *confirmed_too_late(attempts),
        *spoke_too_late(attempts, calls),
    ]


def ended_otherwise(notifications: Iterable[Notification]) -> list[str]:
    """None ends in a way that DESIGN does not name; what is open is called again, or the staff's."""
    found = [
        f"notification {each.id} ended as {each.state!r}"
        for each in notifications
        if each.state != "open" and each.state not in ENDS
    ]
    return found + [
        f"notification {each.id} is open, and neither called again nor the staff's"
        for each in notifications
        if each.state == "open" and not each.is_called and not each.is_staffs
    ]


def forgotten(notifications: Iterable[Notification], calls: Iterable[Rang], *, fault_at: float) -> list[str]:
    """Every notification that was not confirmed before the fault gets a call after it, or is confirmed."""
    rung = {call.number for call in calls if call.invited > fault_at}
    return [
        f"notification {each.id} was open at the fault, and no call came after it"
        for each in notifications
        if each.state == "open" and each.number not in rung
    ]


def two_at_once(calls: Iterable[Rang]) -> list[str]:
    """No telephone has two calls at once."""
    found, latest = [], dict[str, Rang]()
    for call in sorted(calls, key=lambda call: call.invited):
        before = latest.get(call.number)
        if before is not None and (before.ended is None or before.ended > call.invited):
            found.append(
                f"a telephone was called at {_clock(call.invited)} while its call of {_clock(before.invited)} lasted"
            )
        if before is None or (before.ended is not None and (call.ended is None or call.ended > before.ended)):
            latest[call.number] = call
    return found


def called_again(notifications: Sequence[Notification], calls: Sequence[Rang], *, allowed: int = 0) -> list[str]:
    """Where all that waits for a telephone is confirmed, it is not called again."""
    found = []
    for number in {each.number for each in notifications}:
        theirs = [each for each in notifications if each.number == number]
        if any(each.state != "confirmed" or each.ended_at is None for each in theirs):
            continue
        last = max(each.ended_at for each in theirs if each.ended_at is not None)
        again = [call for call in calls if call.number == number and call.invited > last]
        if len(again) > allowed:
            found.append(f"a telephone was called {len(again)} times after it had confirmed all, at {_clock(last)}")
    return found


def confirmed_too_late(attempts: Iterable[Attempt]) -> list[str]:
    """Past its deadline an attempt confirms nothing."""
    return [
        f"attempt {each.id} confirmed at {_clock(each.confirmed_at)}, past its deadline, {_clock(each.deadline)}"
        for each in attempts
        if each.confirmed_at is not None and each.confirmed_at > each.deadline
    ]


def spoke_too_late(attempts: Sequence[Attempt], calls: Iterable[Rang]) -> list[str]:
    """Past its attempt's deadline a call says nothing."""
    found = []
    for call in calls:
        theirs = [
            each
            for each in attempts
            if each.number == call.number and each.dialled_at is not None and each.dialled_at < call.invited + SLACK
        ]
        if theirs and call.heard_until is not None:
            attempt = max(theirs, key=lambda each: each.dialled_at or 0)
            if call.heard_until > attempt.deadline + SLACK:
                found.append(f"attempt {attempt.id} was heard until {_clock(call.heard_until)}, past its deadline")
    return found


def _clock(at: float) -> str:
    return f"{at % 3600 // 60:02.0f}:{at % 60:04.1f}"
