"""What keeps others out: limits on wrong PINs, on registering from one telephone, and numbers that did not ask for it.

None of it ever stops a call with news. Numbers are known by their keyed hashes only, registered or not.
"""

from datetime import datetime, timedelta

from psycopg import Connection

WRONG_PINS = 5  # within LOCK, after which the management of a number is locked until they are that old
LOCK = timedelta(days=1)
REFUSALS = 3  # after which a number cannot be registered until staff lift it
REGISTRATIONS = ((timedelta(hours=1), 5), (timedelta(days=1), 20))  # at most, from one number that callers present


def locked(conn: Connection, number_hashes: list[bytes], *, now: datetime) -> bool:
    """Whether so many wrong PINs were tried for a number that nobody can manage what is registered there."""
    row = conn.execute(
        "select count(*) >= %s from wrong_pin where number_hash = any(%s) and not locked and at > %s",
        [WRONG_PINS, number_hashes, now - LOCK],
    ).fetchone()
    return bool(row and row[0])


def count_wrong_pin(conn: Connection, number_hash: bytes, *, locked: bool = False, now: datetime) -> None:
    """A PIN was tried that is not the number's; while that is locked it does not count for another lock."""
    conn.execute("insert into wrong_pin (number_hash, at, locked) values (%s, %s, %s)", [number_hash, now, locked])


def barred(conn: Connection, number_hashes: list[bytes]) -> bool:
    """Whether so many said of this number that they had not asked for calls that it cannot be registered."""
    row = conn.execute(
        """select count(distinct at) >= %s from refusal
           where number_hash = any(%s) and not proven and lifted_at is null""",
        [REFUSALS, number_hashes],
    ).fetchone()
    return bool(row and row[0])


def lift(conn: Connection, number_hashes: list[bytes], *, now: datetime) -> tuple[int, int]:
    """Let a number be registered and managed again; return how many refusals and wrong PINs no longer count."""
    refusals = conn.execute(
        "update refusal set lifted_at = %s where number_hash = any(%s) and lifted_at is null", [now, number_hashes]
    ).rowcount
    wrong_pins = conn.execute(
        "update wrong_pin set locked = true where number_hash = any(%s) and not locked", [number_hashes]
    ).rowcount
    return refusals, wrong_pins


def may_register(conn: Connection, caller_hash: bytes | None, *, now: datetime) -> bool:
    """Whether from this presented number, which proves nothing, so many may register; a withheld one always may."""
    if caller_hash is None:
        return True
    return all(_registered_from(conn, caller_hash, since=now - span) < most for span, most in REGISTRATIONS)


def note_registering(conn: Connection, caller_hash: bytes | None, *, now: datetime) -> None:
    conn.execute("insert into registering (caller_hash, at) values (%s, %s)", [caller_hash, now])


def alarms(conn: Connection, *, registrations: int, withheld: int, now: datetime) -> list[str]:
    """Sentences for staff where more than so many registered within an hour. Nobody is refused for it."""
    row = conn.execute(
        "select count(*), count(*) filter (where caller_hash is null) from registering where at > %s",
        [now - timedelta(hours=1)],
    ).fetchone()
    total, hidden = row or (0, 0)
    said = []
    if total > registrations:
        said.append(f"{total} registrations within an hour: is somebody registering others?")
    if hidden > withheld:
        said.append(f"{hidden} registrations within an hour from withheld numbers: is somebody registering others?")
    return said


def _registered_from(conn: Connection, caller_hash: bytes | None, *, since: datetime) -> int:
    """How many registered since then from a presented number, or with it withheld."""
    row = conn.execute(
        "select count(*) from registering where caller_hash is not distinct from %s and at > %s", [caller_hash, since]
    ).fetchone()
    return row[0] if row else 0
