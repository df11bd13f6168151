"""Registrants, their telephones, and what they asked to be told."""

from datetime import datetime

from psycopg import Connection

from db import custody
from db.keys import Keyring


def register(
    conn: Connection, keyring: Keyring, *, number: str, pin: str, offender_id: int, language: str, now: datetime
) -> custody.Offender:
    """Register whoever has this number and PIN for an offender; a second time changes nothing.

    Returns the offender as known at the moment in which the registration began to hold.

    The offender's row is locked first, as a feed run does, so that an event is either known here or notified later.
    """
    conn.execute("select from offender where id = %s for update", [offender_id])
    # Two calls that register the same number and PIN at once, for two offenders, must find one registrant.
    number_lock = int.from_bytes(keyring.hashes(number)[0][:8], signed=True)
    conn.execute("select pg_advisory_xact_lock(%s)", [number_lock])
    registrant_id = find(conn, keyring, keyring.hashes(number), pin)
    if registrant_id is None:
        registrant_id = _add(conn, keyring, number, pin, language, now)
    conn.execute(
        """insert into registration (registrant_id, offender_id, created_at) values (%s, %s, %s)
           on conflict (registrant_id, offender_id) where ended_at is null do nothing""",
        [registrant_id, offender_id, now],
    )
    return custody.get(conn, offender_id)


def find(conn: Connection, keyring: Keyring, number_hashes: list[bytes], pin: str) -> int | None:
    """The registrant who has a telephone with one of these hashes and this PIN."""
    rows = conn.execute(
        """select id, pin_hash, pin_key_id from registrant
           where id in (select registrant_id from telephone where number_hash = any(%s)) order by id""",
        [number_hashes],
    ).fetchall()
    matching = [row[0] for row in rows if keyring.pin_matches(row[2], row[0], pin, row[1])]
    if not matching:
        return None
    _use_newest_key(conn, keyring, matching[0], pin)
    return matching[0]


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


def _use_newest_key(conn: Connection, keyring: Keyring, registrant_id: int, pin: str) -> None:
    """A PIN's hash can be moved to a new key only while the PIN is at hand."""
    conn.execute(
        "update registrant set pin_hash = %s, pin_key_id = %s where id = %s and pin_key_id <> %s",
        [keyring.pin_hash(keyring.newest, registrant_id, pin), keyring.newest, registrant_id, keyring.newest],
    )


def _add(conn: Connection, keyring: Keyring, number: str, pin: str, language: str, now: datetime) -> int:
    row = conn.execute("select nextval(pg_get_serial_sequence('registrant', 'id'))").fetchone()
    if row is None:
        raise LookupError("no id for a registrant")
    registrant_id, sealed = row[0], keyring.seal(number)
    conn.execute(
        """insert into registrant (id, language, pin_hash, pin_key_id, created_at)
           overriding system value values (%s, %s, %s, %s, %s)""",
        [registrant_id, language, keyring.pin_hash(keyring.newest, registrant_id, pin), keyring.newest, now],
    )
    conn.execute(
        "insert into telephone (registrant_id, number_hash, number_cipher, key_id) values (%s, %s, %s, %s)",
        [registrant_id, sealed.hash, sealed.cipher, sealed.key_id],
    )
    return registrant_id
