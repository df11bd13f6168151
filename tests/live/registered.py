"""People who registered before a story begins: put into the database, because registering by voice takes a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from movans import asterisk, supervision
from movans.wiring import now
from tests import people
from tests.live.conversation import Telephone
from tests.live.line import Line
from tests.live.softphone import Call

JAIL = "Boone County Jail"
ARRESTED, RELEASED = "2026-09-02 16:20", "2026-11-20 09:40"
NUMBER, PIN = "5735550142", "2580"


def in_custody(line: Line, *offenders: str, last: str = "SMITH") -> None:
    """So that callers hear "John Smith is in custody"."""
    since = line.said_when(ARRESTED)
    line.expects("status_in_custody", name=f"John {last.title()}", since=since, facility=JAIL)
    line.imports(*(f"boone,{number},{last},JOHN,1990-07-31,{JAIL},in custody,{ARRESTED}" for number in offenders))


def release(line: Line, *offenders: str, last: str = "SMITH") -> None:
    line.imports(*(f"boone,{number},{last},JOHN,1990-07-31,{JAIL},released,{RELEASED}" for number in offenders))


def register(line: Line, offender: str, *, number: str = NUMBER, last: str = "SMITH") -> None:
    """Somebody is registered for an offender who is in custody."""
    register_each(line, {offender: number}, last=last)


def register_each(line: Line, numbers: Mapping[str, str], *, last: str = "SMITH") -> None:
    """For each of these offenders, who are in custody, somebody with this number is registered."""
    in_custody(line, *numbers, last=last)
    found = line.query("select number, id from offender where number = any(%s)", list(numbers))
    keys = line.house.keyring()
    with line.house.database() as db, db.connection() as conn:
        for offender, who in found:
            people.register(conn, keys, number=numbers[str(offender)], pin=PIN, offender_id=int(str(who)), now=now())


def is_registered(line: Line, offender: str) -> bool:
    sql = "select from registration join offender o on o.id = offender_id where number = %s and ended_at is null"
    return bool(line.query(sql, offender))


def outcomes(line: Line, offender: str) -> list[tuple[object, ...]]:
    """Outcome and cause of every call about an offender, oldest first; no outcome while it lasts."""
    return line.query(
        """select outcome, cause from call_attempt a join attempt_carries on attempt_id = a.id
           join notification n on n.id = notification_id join registration r on r.id = registration_id
           join offender o on o.id = offender_id where o.number = %s order by a.id""",
        offender,
    )


def states(line: Line, offender: str) -> list[object]:
    """The notifications about an offender, oldest first."""
    sql = """select state from notification n join registration r on r.id = registration_id
             join offender o on o.id = offender_id where o.number = %s order by n.id"""
    return [state for (state,) in line.query(sql, offender)]


def confirms(phone: Telephone, within: float = 15) -> None:
    """Pick up, and enter the PIN at once: the news is spoken to its end all the same."""
    with phone.is_called(within) as call:
        call.hears("who_calls").presses(PIN).hears("confirmed", within=25)


def proves(phone: Telephone, pin: str = PIN, within: float = 15) -> None:
    """The call that comes after somebody has left their number."""
    with phone.is_called(within) as call:
        call.hears("who_proves").presses(pin).hears("proven", "goodbye", within=15).is_hung_up()


def sent_away(phone: Telephone, within: float = 15) -> Call:
    """It rings, and is refused."""
    call = phone.wait_ringing(within)
    phone.hang_up()
    return call


def close_all(line: Line) -> None:
    """Nobody waits to be called any more, so that a story begins in silence whatever became of the one before."""
    with line.house.database() as db, db.connection() as conn:
        conn.execute(
            "update notification set state = 'closed', ended_at = %s, next_call_at = null where state = 'open'", [now()]
        )
        conn.execute(
            "update proof set state = 'given up', ended_at = %s, next_call_at = null where state = 'open'", [now()]
        )
    asterisk.cli(line.settings, "channel request hangup all")
    line.eventually(lambda: line.channels() == 0, 40)
    line.eventually(lambda: line.query("select from call_attempt where state <> 'ended'") == [], 30)


def stop_part(line: Line, part: str) -> None:
    """Stop a part of the service, until it is started again or the whole is. One that has just died starts first."""

    def told_to_stop() -> bool:
        try:
            supervision._call(line.settings, "stopProcess", part, False)  # noqa: FBT003 - a recovery takes a while
        except supervision.NoSupervisor:
            return False
        return True

    line.eventually(told_to_stop, 10)
    line.eventually(lambda: line.pid(part) == 0, 60)


@contextmanager
def without(line: Line, part: str) -> Iterator[None]:
    """One part of the service is stopped, and started again afterwards."""
    stop_part(line, part)
    try:
        yield
    finally:
        supervision.start_part(line.settings, part)
        line.is_up_again(part, 0)
