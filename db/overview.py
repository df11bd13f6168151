"""What staff see of the work: who is waiting to be told, and the last call attempts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection
from psycopg.rows import class_row

from db import canary
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


@dataclass(frozen=True)
class ForStaff:
    id: int
    registrant_id: int
    kind: str
    first_name: str
    last_name: str
    agency: str
    number: str
    created_at: datetime
    handed_over_at: datetime | None
    next_call_at: datetime | None
    attempts: int
    ciphers: list[bytes]
    key_ids: list[str]


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
           where trunk <> %s order by a.id desc limit %s""",
        [canary.TRUNK, most],
    ).fetchall()


def for_staff(conn: Connection, *, now: datetime) -> list[ForStaff]:
    """What a person must see to: what was handed over, then what is called for so long that staff are to know."""
    cursor = conn.cursor(row_factory=class_row(ForStaff))
    return cursor.execute(
        """select n.id, r.registrant_id, kind, first_name, last_name, agency, number, n.created_at, n.handed_over_at,
                  n.next_call_at, (select count(*) from attempt_carries where notification_id = n.id) as attempts,
                  array(select number_cipher from telephone t
                        where t.registrant_id = r.registrant_id and t.ended_at is null order by place) as ciphers,
                  array(select key_id from telephone t
                        where t.registrant_id = r.registrant_id and t.ended_at is null order by place) as key_ids
           from notification n
           join registration r on r.id = registration_id
           join custody_event e on e.id = event_id
           join offender o on o.id = e.offender_id
           where n.state = 'open' and (n.handed_over_at is not null or n.staff_at <= %s)
           order by n.handed_over_at, n.created_at, n.id""",
        [now],
    ).fetchall()


def kinds(conn: Connection) -> dict[str, tuple[str, str]]:
    """The kinds of events: class and meaning of each."""
    return {
        kind: (urgency, meaning)
        for kind, urgency, meaning in conn.execute("select kind, class, meaning from event_kind order by kind")
    }


def clear(keyring: Keyring, cipher: bytes, key_id: str) -> str:
    """A telephone number in clear, for a person who will dial it: whoever shows it records that."""
    number = keyring.open(cipher, key_id)
    return f"{number[:3]}-{number[3:6]}-{number[6:]}"


def masked(keyring: Keyring, cipher: bytes, key_id: str) -> str:
    """A sealed telephone number as it may be shown."""
    return ending(keyring.open(cipher, key_id))


def ending(number: str) -> str:
    """A telephone number as it may be shown: its last two digits."""
    return "•••-•••-••" + number[-2:]


@dataclass(frozen=True)
class Load:
    """What one trunk carries: calls now, and calls begun within the last minute."""

    trunk: str
    live: int
    begun: int


@dataclass(frozen=True)
class Queue:
    """How many of one priority wait: due now, later, and with staff. Proofs have none."""

    priority: int | None
    due: int
    later: int
    with_staff: int
    oldest: datetime | None  # since when the one that is due waits


@dataclass(frozen=True)
class Failure:
    outcome: str
    cause: str
    trunk: str
    calls: int


@dataclass(frozen=True)
class Host:
    name: str
    beat_at: datetime
    live: int


def load(conn: Connection, *, now: datetime) -> list[Load]:
    cursor = conn.cursor(row_factory=class_row(Load))
    return cursor.execute(
        """select trunk, count(*) filter (where state <> 'ended') as live,
                  count(*) filter (where claimed_at > %(since)s) as begun
           from call_attempt
           where (state <> 'ended' or (claimed_at > %(since)s and claimed_at <= %(now)s)) and trunk <> %(canary)s
           group by trunk order by trunk""",
        {"canary": canary.TRUNK, "now": now, "since": now - timedelta(minutes=1)},
    ).fetchall()


def queues(conn: Connection, *, now: datetime) -> list[Queue]:
    """What waits, the lowest priority first, then the proofs."""
    cursor = conn.cursor(row_factory=class_row(Queue))
    return cursor.execute(
        """with waiting as (
               select priority::int, next_call_at from notification where state = 'open'
               union all
               select null, next_call_at from proof p join telephone t on t.id = telephone_id
               join registrant r on r.id = registrant_id where state = 'open' and not canary)
           select priority, count(*) filter (where next_call_at <= %(now)s) as due,
                  count(*) filter (where next_call_at > %(now)s) as later,
                  count(*) filter (where next_call_at is null) as with_staff,
                  min(next_call_at) filter (where next_call_at <= %(now)s) as oldest
           from waiting group by priority order by priority nulls last""",
        {"now": now},
    ).fetchall()


def failures(conn: Connection, *, now: datetime) -> list[Failure]:
    """Why calls of the last hour reached nobody, the most frequent first."""
    cursor = conn.cursor(row_factory=class_row(Failure))
    return cursor.execute(
        """select outcome, cause, trunk, count(*) as calls from call_attempt
           where ended_at > %(since)s and ended_at <= %(now)s and trunk <> %(canary)s
             and outcome not in ('confirmed', 'not confirmed', 'machine')
           group by outcome, cause, trunk order by calls desc, outcome, cause, trunk""",
        {"canary": canary.TRUNK, "now": now, "since": now - timedelta(hours=1)},
    ).fetchall()


def hosts(conn: Connection) -> list[Host]:
    cursor = conn.cursor(row_factory=class_row(Host))
    return cursor.execute(
        """select name, beat_at, (select count(*) from call_attempt where host = name and state <> 'ended') as live
           from host order by name"""
    ).fetchall()
