"""Registrants, their telephones, and what they asked to be told."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

from db import custody, guard, proofs, registrations
from db.custody import Offender
from db.keys import Keyring

MOST_TELEPHONES = 3  # of one registrant


@dataclass(frozen=True)
class Registered:
    """The offender as known when the registration began to hold, and the proof to be called for, where there is one.

    Without a registrant the caller cannot go on as anybody, and does not hear so.
    """

    offender: Offender
    registrant_id: int | None = None
    proof_id: int | None = None


@dataclass(frozen=True)
class Registrant:
    id: int
    pin_first: bool
    proven: bool  # the telephone by which they were found


@dataclass(frozen=True)
class Candidate:
    """Somebody whose PIN may be entered."""

    id: int
    pin_hash: bytes
    pin_key_id: str


def register(
    conn: Connection,
    keyring: Keyring,
    *,
    number: str,
    pin: str,
    offender_id: int,
    about: Collection[str],
    language: str,
    pin_first: bool,
    prove_at: datetime,
    now: datetime,
    known: int | None = None,
) -> Registered:
    """Register whoever has this number and PIN for an offender; a second time only adds what they want to be told of.

    A barred number is not registered, but by who has proven it; the caller is not to hear that, so it is no error. The
    number is called for its proof at ``prove_at``, or as soon as the caller has hung up, also where it is proven: else
    who hears of a call or not would know who is registered there.

    The PIN counts as one that was tried (see ``_try``), unless the caller is ``known`` to be this registrant. While the
    number is locked, all of this is the same, but the registrant is not returned: nothing of theirs can be changed.

    The offender's row is locked first, as a feed run does, so that an event is either known here or notified later.
    """
    conn.execute("select from offender where id = %s for update", [offender_id])
    found, may_go_on = _try(conn, keyring, number, pin, known=known, now=now)
    if guard.barred(conn, keyring.hashes(number)) and not (found and found.proven):
        return Registered(custody.get(conn, offender_id))
    if found:  # what they chose before is only ever changed towards the safer side: other people may listen
        registrant_id = found.id
        conn.execute("update registrant set pin_first = pin_first or %s where id = %s", [pin_first, registrant_id])
    else:
        registrant_id = _add(conn, keyring, pin, language, pin_first=pin_first, now=now)
        _add_telephone(conn, keyring, registrant_id, number)
    registrations.add(conn, registrant_id, offender_id, about, now=now)
    telephone_id = _telephone(conn, keyring, registrant_id, number)
    proof_id = proofs.ask(conn, telephone_id, call_at=prove_at, now=now)
    return Registered(custody.get(conn, offender_id), registrant_id if may_go_on else None, proof_id)


def add_telephone(
    conn: Connection, keyring: Keyring, registrant_id: int, *, number: str, pin: str, prove_at: datetime, now: datetime
) -> int | None:
    """Give a registrant one more telephone; return the proof to be called for.

    None where that cannot be, and the caller is not to hear why: the number is barred or locked, it is somebody's with
    the same PIN, so that a PIN would no longer tell who answers, or there are as many as there may be.
    """
    if not _is_free(conn, keyring, registrant_id, number, pin, now=now):
        return None
    if _has_telephone(conn, keyring, registrant_id, number) is None:
        if telephones(conn, registrant_id) >= MOST_TELEPHONES:
            return None
        _add_telephone(conn, keyring, registrant_id, number)
    return proofs.ask(conn, _telephone(conn, keyring, registrant_id, number), call_at=prove_at, now=now)


def change_number(
    conn: Connection,
    keyring: Keyring,
    registrant_id: int,
    *,
    old: str,
    new: str,
    pin: str,
    prove_at: datetime,
    now: datetime,
) -> int | None:
    """Call another number instead of an old one; the proof to be called for. None as above.

    An old one that was proven is called as well until the new one is: the new one may have been keyed in wrong, and
    then the old one is asked for again.
    """
    telephone_id = _telephone(conn, keyring, registrant_id, old)
    row = conn.execute(
        "select case when proven_once then id else replaces end from telephone where id = %s", [telephone_id]
    ).fetchone()
    stays = row[0] if row else None
    changed_before = conn.execute("select id from telephone where replaces = %s", [stays]).fetchall()
    own = _has_telephone(conn, keyring, registrant_id, new)
    if own is not None and own == stays and changed_before:
        proofs.stop_calling(conn, [other for (other,) in changed_before], "given up", now=now)
        return proofs.ask(conn, own, call_at=prove_at, now=now)
    if own is not None or not _is_free(conn, keyring, registrant_id, new, pin, now=now):
        return None
    given_up = {other for (other,) in changed_before} | {telephone_id} - {stays}
    proofs.stop_calling(conn, list(given_up), "given up", now=now)
    _add_telephone(conn, keyring, registrant_id, new, replaces=stays)
    return proofs.ask(conn, _telephone(conn, keyring, registrant_id, new), call_at=prove_at, now=now)


def telephones(conn: Connection, registrant_id: int) -> int:
    """How many telephones a registrant has, once those that are to replace others do."""
    row = conn.execute(
        "select count(*) from telephone where registrant_id = %s and ended_at is null and replaces is null",
        [registrant_id],
    ).fetchone()
    return row[0] if row else 0


def numbers(conn: Connection, keyring: Keyring, registrant_id: int) -> list[str]:
    """What others may know of a registrant, so that no PIN is to be part of it: telephones and offender numbers."""
    own = conn.execute(
        "select number_cipher, key_id from telephone where registrant_id = %s and ended_at is null", [registrant_id]
    ).fetchall()
    offenders = conn.execute(
        """select number from registration r join offender o on o.id = offender_id
           where registrant_id = %s and ended_at is null""",
        [registrant_id],
    ).fetchall()
    return [keyring.open(cipher, key_id) for cipher, key_id in own] + [number for (number,) in offenders]


def prove_again(
    conn: Connection, keyring: Keyring, registrant_id: int, *, number: str, prove_at: datetime, now: datetime
) -> int:
    """A test call: the telephone is called as for its proof."""
    return proofs.ask(conn, _telephone(conn, keyring, registrant_id, number), call_at=prove_at, now=now)


def change_pin(conn: Connection, keyring: Keyring, registrant_id: int, pin: str, *, now: datetime) -> bool:
    """A registrant wants another PIN; False also where one of the telephones is locked.

    Each counts as tried at every telephone: who adds somebody's number and changes their own PIN again and again would
    hear which one is taken there.
    """
    hashes = _lock_telephones(conn, registrant_id)
    locked = {number_hash: guard.locked(conn, [number_hash], now=now) for number_hash in hashes}
    for number_hash in hashes:
        guard.count_wrong_pin(conn, number_hash, locked=locked[number_hash], now=now)
    return not any(locked.values()) and set_pin(conn, keyring, registrant_id, pin)


def set_pin(conn: Connection, keyring: Keyring, registrant_id: int, pin: str) -> bool:
    """Give a registrant another PIN; False where somebody else at one of the telephones has it already."""
    hashes = _lock_telephones(conn, registrant_id)
    if find(conn, keyring, hashes, pin) not in (None, registrant_id):
        return False
    key_id = keyring.newest
    conn.execute(
        "update registrant set pin_hash = %s, pin_key_id = %s where id = %s",
        [keyring.pin_hash(key_id, registrant_id, pin), key_id, registrant_id],
    )
    return True


def change_language(conn: Connection, registrant_id: int, language: str) -> None:
    conn.execute("update registrant set language = %s where id = %s", [language, registrant_id])


def enter(conn: Connection, keyring: Keyring, *, number: str, pin: str, now: datetime) -> Registrant | None:
    """Who comes back with this number and PIN. None for a wrong PIN, an unknown number and a locked one alike.

    What is wrong is counted for any number, registered or not: nothing is to tell them apart.
    """
    found, may_go_on = _try(conn, keyring, number, pin, now=now)
    return found if may_go_on else None


def _try(
    conn: Connection, keyring: Keyring, number: str, pin: str, *, known: int | None = None, now: datetime
) -> tuple[Registrant | None, bool]:
    """Who has this number and PIN, and whether the caller may go on as they: not while the number is locked.

    Whatever does not prove to be the PIN of somebody at this number counts as tried, wherever it is entered, and also
    where it is new or not proven yet. Otherwise who registers somebody's number with guessed PINs could come back with
    each, and hear from what they are then offered which of these is not their own. Who is ``known`` has said it before.
    """
    hashes = keyring.hashes(number)
    _lock_number(conn, keyring, number)
    locked = guard.locked(conn, hashes, now=now)
    registrant_id = find(conn, keyring, hashes, pin)
    found = None if registrant_id is None else get(conn, registrant_id, hashes)
    if found and found.id == known:
        return found, True
    if locked or found is None or not found.proven:
        guard.count_wrong_pin(conn, keyring.hash(number), locked=locked, now=now)
    return found, not locked


def get(conn: Connection, registrant_id: int, number_hashes: list[bytes]) -> Registrant | None:
    cursor = conn.cursor(row_factory=class_row(Registrant))
    return cursor.execute(
        """select r.id, pin_first,
                  coalesce(bool_or(proven_at is not null) filter (where number_hash = any(%s)), false) as proven
           from registrant r left join telephone t on t.registrant_id = r.id and t.ended_at is null
           where r.id = %s group by r.id""",
        [number_hashes, registrant_id],
    ).fetchone()


def find(conn: Connection, keyring: Keyring, number_hashes: list[bytes], pin: str) -> int | None:
    """The registrant who has a telephone with one of these hashes and this PIN."""
    found = whose(keyring, candidates(conn, number_hashes), pin)
    if found is None:
        return None
    use_newest_key(conn, keyring, found.id, pin)
    return found.id


def candidates(conn: Connection, number_hashes: list[bytes]) -> list[Candidate]:
    """Those who have a telephone with one of these hashes."""
    cursor = conn.cursor(row_factory=class_row(Candidate))
    return cursor.execute(
        """select id, pin_hash, pin_key_id from registrant
           where id in (select registrant_id from telephone where number_hash = any(%s) and ended_at is null)
           order by id""",
        [number_hashes],
    ).fetchall()


def whose(keyring: Keyring, among: list[Candidate], pin: str) -> Candidate | None:
    """Whose PIN this is. It takes no database."""
    matching = [one for one in among if keyring.pin_matches(one.pin_key_id, one.id, pin, one.pin_hash)]
    return matching[0] if matching else None


def reseal(conn: Connection, keyring: Keyring) -> int:
    """Move all telephone numbers to the newest key; return how many. One number has one hash only under one key."""
    old = conn.execute(
        "select id, number_cipher, key_id from telephone where key_id <> %s for update", [keyring.newest]
    ).fetchall()
    for telephone_id, cipher, key_id in old:
        sealed = keyring.seal(keyring.open(cipher, key_id))
        conn.execute(
            "update telephone set number_hash = %s, number_cipher = %s, key_id = %s where id = %s",
            [sealed.hash, sealed.cipher, sealed.key_id, telephone_id],
        )
        conn.execute(
            "update call_attempt set number_hash = %s where telephone_id = %s and state <> 'ended'",
            [sealed.hash, telephone_id],
        )
    return len(old)


def use_newest_key(conn: Connection, keyring: Keyring, registrant_id: int, pin: str) -> None:
    """A PIN's hash can be moved to a new key only while the PIN is at hand."""
    conn.execute(
        "update registrant set pin_hash = %s, pin_key_id = %s where id = %s and pin_key_id <> %s",
        [keyring.pin_hash(keyring.newest, registrant_id, pin), keyring.newest, registrant_id, keyring.newest],
    )


def _is_free(conn: Connection, keyring: Keyring, registrant_id: int, number: str, pin: str, *, now: datetime) -> bool:
    """Whether this registrant may have this number, so that number and PIN still tell who it is."""
    found, may_go_on = _try(conn, keyring, number, pin, known=registrant_id, now=now)
    theirs = found is None or found.id == registrant_id
    return theirs and may_go_on and not guard.barred(conn, keyring.hashes(number))


def _lock_telephones(conn: Connection, registrant_id: int) -> list[bytes]:
    """The hashes of a registrant's telephones, locked."""
    hashes = [
        row[0]
        for row in conn.execute(
            "select number_hash from telephone where registrant_id = %s and ended_at is null order by number_hash",
            [registrant_id],
        )
    ]
    for number_hash in hashes:
        _lock_hash(conn, number_hash)
    return hashes


def _lock_number(conn: Connection, keyring: Keyring, number: str) -> None:
    """Two calls at once that register the same number and PIN must find one registrant."""
    _lock_hash(conn, keyring.hash(number))


def _lock_hash(conn: Connection, number_hash: bytes) -> None:
    conn.execute("select pg_advisory_xact_lock(%s)", [int.from_bytes(number_hash[:8], signed=True)])


def _add(conn: Connection, keyring: Keyring, pin: str, language: str, *, pin_first: bool, now: datetime) -> int:
    row = conn.execute("select nextval(pg_get_serial_sequence('registrant', 'id'))").fetchone()
    if row is None:
        raise LookupError("no id for a registrant")
    registrant_id = row[0]
    conn.execute(
        """insert into registrant (id, language, pin_first, pin_hash, pin_key_id, created_at)
           overriding system value values (%s, %s, %s, %s, %s, %s)""",
        [registrant_id, language, pin_first, keyring.pin_hash(keyring.newest, registrant_id, pin), keyring.newest, now],
    )
    return registrant_id


def _add_telephone(
    conn: Connection, keyring: Keyring, registrant_id: int, number: str, *, replaces: int | None = None
) -> None:
    """In the place after the last, ended ones counted: a place is never given twice."""
    sealed = keyring.seal(number)
    conn.execute(
        """insert into telephone (registrant_id, place, number_hash, number_cipher, key_id, replaces)
           select %(id)s, coalesce(max(place), 0) + 1, %(hash)s, %(cipher)s, %(key)s, %(replaces)s
           from telephone where registrant_id = %(id)s""",
        {
            "id": registrant_id,
            "hash": sealed.hash,
            "cipher": sealed.cipher,
            "key": sealed.key_id,
            "replaces": replaces,
        },
    )


def _telephone(conn: Connection, keyring: Keyring, registrant_id: int, number: str) -> int:
    telephone_id = _has_telephone(conn, keyring, registrant_id, number)
    if telephone_id is None:
        raise LookupError("the registrant has no such telephone")
    return telephone_id


def _has_telephone(conn: Connection, keyring: Keyring, registrant_id: int, number: str) -> int | None:
    """The registrant's telephone with this number, as long as it is called."""
    row = conn.execute(
        "select id from telephone where registrant_id = %s and number_hash = any(%s) and ended_at is null",
        [registrant_id, keyring.hashes(number)],
    ).fetchone()
    return row[0] if row else None
