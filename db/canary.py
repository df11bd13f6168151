"""The canary: a test registrant of ours, who is called through the whole chain to see that it works.

What is asked for is the proof of a telephone that is an extension of our own Asterisk (dialplan/canary.conf). It is no
number that anybody could key in, stands for nobody, and is counted among no registrants.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

from db import proofs
from db.keys import Keyring

TRUNK = "CANARY"  # its calls take no line of a trunk of the settings, whose names are in small letters
EXTENSION = "canary"  # and its telephone "number"
PIN = "7391"


@dataclass(frozen=True)
class Flight:
    """One canary: when each step of its way was done."""

    id: int
    state: str
    asked_at: datetime
    host: str | None
    claimed_at: datetime | None
    dialled_at: datetime | None
    answered_at: datetime | None
    confirmed_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    cause: str | None


def send(conn: Connection, keyring: Keyring, *, language: str, now: datetime) -> int:
    """Ask for a call now; return the proof's id. One that is still asked for is given up first."""
    telephone_id = _telephone(conn, keyring, language=language, now=now)
    for (proof_id,) in conn.execute("select id from proof where telephone_id = %s and state = 'open'", [telephone_id]):
        proofs.give_up(conn, proof_id, now=now)
    return proofs.ask(conn, telephone_id, call_at=now, now=now)


def flights(conn: Connection, *, most: int) -> list[Flight]:
    """The last ones, the newest first, each with the last call that was made for it."""
    cursor = conn.cursor(row_factory=class_row(Flight))
    return cursor.execute(
        """select p.id, p.state, p.created_at as asked_at, host, claimed_at, dialled_at, answered_at, confirmed_at,
                  a.ended_at, outcome, cause
           from proof p join telephone t on t.id = p.telephone_id join registrant r on r.id = t.registrant_id
           left join lateral (select * from call_attempt where proof_id = p.id order by id desc limit 1) a on true
           where canary order by p.id desc limit %s""",
        [most],
    ).fetchall()


def _telephone(conn: Connection, keyring: Keyring, *, language: str, now: datetime) -> int:
    row = conn.execute(
        "select t.id from telephone t join registrant r on r.id = registrant_id where canary and t.ended_at is null"
    ).fetchone()
    return row[0] if row else _add(conn, keyring, language=language, now=now)


def _add(conn: Connection, keyring: Keyring, *, language: str, now: datetime) -> int:
    row = conn.execute(
        """insert into registrant (language, pin_hash, pin_key_id, created_at, canary) values (%s, '', %s, %s, true)
           returning id""",
        [language, keyring.newest, now],
    ).fetchone()
    if row is None:
        raise LookupError("the canary was not kept")
    conn.execute(
        "update registrant set pin_hash = %s where id = %s", [keyring.pin_hash(keyring.newest, row[0], PIN), row[0]]
    )
    sealed = keyring.seal(EXTENSION)
    row = conn.execute(
        """insert into telephone (registrant_id, number_hash, number_cipher, key_id) values (%s, %s, %s, %s)
           returning id""",
        [row[0], sealed.hash, sealed.cipher, sealed.key_id],
    ).fetchone()
    if row is None:
        raise LookupError("the canary's telephone was not kept")
    return row[0]
