"""What follows from a record of calls, as the telephone network kept it. Times in nanoseconds of one clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SECOND = 10**9
ON_ITS_WAY = SECOND // 10  # from when a call is given a line until its INVITE: more than script/bench ring's worst


@dataclass
class Call:
    """A call at the network, from its INVITE to its end: refused, given up, or hung up by either side."""

    number: str
    invited: int
    answered: int | None = None
    ended: int | None = None
    hung_up_by: str = ""  # "caller" or "telephone"; empty where it was not answered
    heard_until: int | None = None  # when the last sound came that was no click, where the network listens
    caller: str = ""  # the address that it came from

    @property
    def talked(self) -> float | None:
        """Seconds from the answer to the end; None where it was not answered, or lasts."""
        return None if self.answered is None or self.ended is None else (self.ended - self.answered) / SECOND


def most_at_once(calls: Iterable[Call]) -> int:
    """The most calls that lasted at the same moment; one that ends at the moment in which another begins is over."""
    most = now = 0
    for _, change in sorted(_changes(calls)):
        now += change
        most = max(most, now)
    return most


def most_in_a_second(calls: Iterable[Call]) -> int:
    """The most INVITEs in any second, wherever it begins; it ends before what comes just a second later."""
    times = sorted(call.invited for call in calls)
    most = first = 0
    for place, at in enumerate(times):
        while at - times[first] >= SECOND:
            first += 1
        most = max(most, place - first + 1)
    return most


def line_use(calls: Iterable[Call], lines: int, since: int, until: int) -> float:
    """The share of ``lines`` that were busy between the two times, 0 to 1."""
    busy = sum(max(0, min(until if call.ended is None else call.ended, until) - max(call.invited, since))
               for call in calls)  # fmt: skip
    return busy / (lines * (until - since))


def waits_for_a_line(
    calls: Sequence[Call], first: Iterable[str], lines: int, rate: float, since: int
) -> list[tuple[float, str]]:
    """How many seconds each number's first call was later than it could be, the longest first.

    It could be as soon as a line was free for it and the rate, calls a second one after the other, allowed one more.
    They all wait from ``since`` on, and go before all others: whatever line was free then or becomes free later was
    theirs to take, in the order in which they came. A line that another call took meanwhile counts as free all along,
    but not one that had been given to a call that was on its way just then; and so it is with the rate.
    """
    wanted = set(first)
    theirs: dict[str, int] = {}
    before: list[Call] = []  # and what was on its way
    for call in sorted(calls, key=lambda call: call.invited):
        if call.number in wanted and call.invited >= since:
            theirs.setdefault(call.number, call.invited)
        elif call.invited < since + ON_ITS_WAY:
            before.append(call)
    busy = sum(call.ended is None or call.ended > since for call in before)
    free = [since] * (lines - busy) + sorted(call.ended for call in calls if call.ended and call.ended > since)
    gap = round(SECOND / rate)
    allowed = before[-1].invited + gap if before else since
    waits: list[tuple[float, str]] = []
    for (number, at), there in zip(theirs.items(), free, strict=False):
        could = max(there, allowed)
        waits.append((max(0, at - could) / SECOND, number))
        allowed = could + gap
    return sorted(waits, reverse=True)


def _changes(calls: Iterable[Call]) -> Iterable[tuple[int, int]]:
    for call in calls:
        yield call.invited, 1
        if call.ended is not None:
            yield call.ended, -1
