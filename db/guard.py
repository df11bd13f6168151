"""What keeps others out: limits on wrong PINs, on registering from one telephone, and numbers that did not ask for it.

None of it ever stops a call with news. Numbers are known by their keyed hashes only, registered or not.
"""

from datetime import datetime, timedelta

from psycopg import Connection

from db import alerts

WRONG_PINS = 5  # within LOCK, after which the management of a number is locked for as long, from the last of them
LOCK = timedelta(days=1)
REFUSALS = 3  # after which a number cannot be registered until staff lift it
REGISTRATIONS = ((timedelta(hours=1), 5), (timedelta(days=1), 20))  # at most, from one number that callers present


def locked(conn: Connection, number_hashes: list[bytes], *, now: datetime) -> bool:
    """Whether so many wrong PINs were tried for a number that nobody can manage what is registered there."""
    row = conn.execute(
        """with tried as (
               select at from wrong_pin
               where number_hash = any(%(hashes)s) and not locked and at > %(now)s - 2 * %(lock)s)
           select exists (
               select from tried last where at > %(now)s - %(lock)s
                 and (select count(*) from tried where at > last.at - %(lock)s and at <= last.at) >= %(most)s)""",
        {"hashes": number_hashes, "lock": LOCK, "most": WRONG_PINS, "now": now},
    ).fetchone()
    return bool(row and row[0])


def count_wrong_pin(conn: Connection, number_hash: bytes, *, locked: bool = False, now: datetime) -> None:
    """A PIN was tried that is not proven to be the number's; while that is locked it counts for no other lock."""
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
        """update refusal set lifted_at = %s where number_hash = any(%s) and lifted_at is null
           returning (select registrant_id from telephone where id = telephone_id)""",
        [now, number_hashes],
    ).fetchall()
    for (registrant_id,) in refusals:
        alerts.over(conn, _refused(registrant_id), now=now)
        alerts.over(conn, _barred(registrant_id), now=now)
    wrong_pins = conn.execute(
        "update wrong_pin set locked = true where number_hash = any(%s) and not locked", [number_hashes]
    ).rowcount
    return len(refusals), wrong_pins


def tell_of_refusal(conn: Connection, registrant_id: int, *, now: datetime) -> None:
    """Somebody at a proven telephone says that they did not ask for the calls: staff look at it, and lift it."""
    says = (
        f"Somebody at a proven telephone of registrant {registrant_id} says that they did not ask for these calls. They"
        f" go on. movans registrant end {registrant_id} ends them; movans registrant lift, when all is well"
    )
    alerts.add(conn, _refused(registrant_id), says, now=now)


def tell_of_bar(conn: Connection, registrant_id: int, *, now: datetime) -> None:
    """A number that this registrant left is barred from now on: only staff can let it in again."""
    says = (
        f"The number that registrant {registrant_id} left is barred: {REFUSALS} times somebody there said that they did"
        " not ask for these calls. It is not called, and nobody can register it. Should who has it want calls, movans"
        " registrant lift, which asks for the number, lets it in again"
    )
    alerts.add(conn, _barred(registrant_id), says, now=now)


def _refused(registrant_id: int) -> str:
    return f"registrant {registrant_id} refused"


def _barred(registrant_id: int) -> str:
    return f"registrant {registrant_id} barred"


def too_many_within(conn: Connection, caller_hash: bytes | None, *, now: datetime) -> timedelta | None:
    """The longest time within which too many registered from this presented number, which proves nothing.

    None where they may register; whose number is withheld always may.
    """
    if caller_hash is None:
        return None
    spans = (span for span, most in REGISTRATIONS if _registered_from(conn, caller_hash, since=now - span) >= most)
    return max(spans, default=None)


def note_registering(conn: Connection, caller_hash: bytes | None, *, now: datetime) -> None:
    conn.execute("insert into registering (caller_hash, at) values (%s, %s)", [caller_hash, now])


def raise_alarms(conn: Connection, *, registrations: int, withheld: int, now: datetime) -> list[str]:
    """Tell staff when more than so many registered within an hour; return what is new. Nobody is refused for it."""
    row = conn.execute(
        "select count(*), count(*) filter (where caller_hash is null) from registering where at > %s",
        [now - timedelta(hours=1)],
    ).fetchone()
    total, hidden = row or (0, 0)
    said = []
    for key, many, most, where in (
        ("registrations", total, registrations, ""),
        ("withheld numbers", hidden, withheld, " from withheld numbers"),
    ):
        says = (
            f"{many} registrations within an hour{where}: is somebody registering others? Look into serve.log, and ask"
            " your provider who calls; nobody is refused for it."
        )
        if many <= most:
            alerts.over(conn, key, now=now)
        elif alerts.add(conn, key, says, now=now):
            said.append(says)
    return said


def _registered_from(conn: Connection, caller_hash: bytes | None, *, since: datetime) -> int:
    """How many registered since then from a presented number, or with it withheld."""
    row = conn.execute(
        "select count(*) from registering where caller_hash is not distinct from %s and at > %s", [caller_hash, since]
    ).fetchone()
    return row[0] if row else 0
