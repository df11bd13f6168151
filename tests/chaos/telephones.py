"""A telephone network behind the service's trunk, whose telephones answer, enter their PIN, and keep a record."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.record import SECOND, Call
from tests.network import BUSY, Behaviour, Network

RINGS, THINKS = 0.3, 4.5  # seconds until somebody picks up, and from there until they enter the PIN


@dataclass
class Rang:
    """One call as its telephone saw it; times are of time.time(). `ended` is None while it lasts."""

    number: str
    invited: float
    answered: float | None = None
    ended: float | None = None
    heard_until: float | None = None  # when the last sound arrived
    hung_up_by: str = ""
    caller: str = ""  # the address that the call came from


class Telephones(Network):
    """Used with `with`. A telephone that is in a call is busy to any other.

    Who hears nothing for `patience` seconds puts it down: their caller is cut off, and is not told.
    """

    def __init__(
        self,
        port: int,
        *,
        address: str = "127.0.0.1",
        pin: str = "2580",
        thinks: float = THINKS,
        patience: float = Behaviour.patience,
    ) -> None:
        answers = Behaviour("answers", RINGS, keys=pin, keys_after=thinks, noise=0, patience=patience)
        super().__init__(
            lambda number: BUSY if self._in_call(number) else answers, address=address, port=port, listens=True
        )

    def __exit__(self, *problem: object) -> None:
        super().__exit__(*problem)
        self.caller_died()  # the network was switched off

    @contextmanager
    def nobody_picks_up(self) -> Iterator[None]:
        """Inside the block telephones ring, and are picked up after it."""
        self.picks_up = False
        try:
            yield
        finally:
            self.picks_up = True

    def ringing(self, number: str) -> bool:
        return any(call.answered is None for call in self._in_call(number))

    def talks(self, number: str) -> bool:
        return any(call.answered is not None for call in self._in_call(number))

    def record(self) -> list[Rang]:
        """Every call so far, oldest first."""
        return [
            Rang(
                call.number,
                call.invited / SECOND,
                answered=_seconds(call.answered),
                ended=_seconds(call.ended),
                heard_until=_seconds(call.heard_until),
                hung_up_by=call.hung_up_by,
                caller=call.caller,
            )
            for call in list(self.calls)
        ]

    def _in_call(self, number: str) -> list[Call]:
        return [call for call in list(self.calls) if call.number == number and call.ended is None]


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / SECOND
