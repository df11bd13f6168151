"""What staff see of the work: who is waiting to be told, and the last call attempts."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

from db.keys import Keyring


@dataclass(frozen=True)
class Waiting:
    kind: str
    first_name: str
    last_name: str
    agency: str
    number_cipher: bytes
    key_id: str
    created_at: datetime
    attempts: int
    live: bool
    next_call_at: datetime | None


@dataclass(frozen=True)
class Tried:
    id: int
    number_cipher: bytes
    key_id: str
    claimed_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    heard_until: datetime | None
    answered_by: str | None
    wrong_pins: int
    state: str
    outcome: str | None
    refused_as: str | None
    cause: str


def waiting(conn: Connection, *, most: int) -> list[Waiting]:
    """The open notifications, in the order in which they will be called; those handed to staff first."""
    cursor = conn.cursor(row_factory=class_row(Waiting))
    return cursor.execute(
        """select kind, first_name, last_name, agency, number_cipher, key_id, n.created_at, n.next_call_at,
                  (select count(*) from attempt_carries where notification_id = n.id) as attempts,
                  exists (select from call_attempt a where a.number_hash = t.number_hash and a.state <> 'ended') as live
           from to_call t
           join notification n on n.id = notification_id
           join custody_event e on e.id = t.event_id
           join offender o on o.id = offender_id
           order by n.next_call_at nulls first, n.id limit %s""",
        [most],
    ).fetchall()


def tried(conn: Connection, *, most: int) -> list[Tried]:
    """The last call attempts, the newest first."""
    cursor = conn.cursor(row_factory=class_row(Tried))
    return cursor.execute(
        """select a.id, number_cipher, key_id, claimed_at, answered_at, a.ended_at, heard_until,
                  answered_by, wrong_pins, state, outcome, refused_as, cause
           from call_attempt a join telephone t on t.id = telephone_id
           order by a.id desc limit %s""",
        [most],
    ).fetchall()


def masked(keyring: Keyring, cipher: bytes, key_id: str) -> str:
    """A telephone number as it may be shown: its last two digits."""
    return "•••-•••-••" + keyring.open(cipher, key_id)[-2:]
