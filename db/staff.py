"""What people of the service see and do of registrants; every act is recorded, and stays."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

from db import proofs, registrants, registrations
from db.keys import Keyring


@dataclass(frozen=True)
class Known:
    """A registrant who has, or had, a telephone."""

    id: int
    created_at: datetime
    language: str
    pin_first: bool
    proven_at: datetime | None
    ended_at: datetime | None
    refused: int


@dataclass(frozen=True)
class Wanted:
    id: int
    registrant_id: int
    agency: str
    number: str
    first_name: str
    last_name: str
    created_at: datetime
    about: str  # custody, court or both


@dataclass(frozen=True)
class Act:
    at: datetime
    who: str
    what: str
    registrant_id: int | None


def record(conn: Connection, who: str, what: str, registrant_id: int | None = None, *, now: datetime) -> None:
    conn.execute(
        "insert into staff_act (at, who, what, registrant_id) values (%s, %s, %s, %s)", [now, who, what, registrant_id]
    )


def acts(conn: Connection, *, since: datetime | None, who: str | None) -> list[Act]:
    """What staff did since then, or one of them, the oldest first."""
    cursor = conn.cursor(row_factory=class_row(Act))
    return cursor.execute(
        """select at, who, what, registrant_id from staff_act
           where (%(since)s::timestamptz is null or at >= %(since)s) and (%(who)s::text is null or who = %(who)s)
           order by at, id""",
        {"since": since, "who": who},
    ).fetchall()


def can_be_changed(conn: Connection) -> bool:
    """Whether this connection's role could change or remove what is kept, or take away what is in the way of that."""
    row = conn.execute(
        """select has_table_privilege(c.oid, 'update, delete, truncate, trigger')
                  or pg_has_role(relowner, 'member') or pg_has_role(nspowner, 'member')
           from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = 'staff_act'::regclass"""
    ).fetchone()
    return row is None or row[0]


def known_at(conn: Connection, number_hashes: list[bytes]) -> list[Known]:
    """Who is, or was, registered with a telephone, the oldest first."""
    cursor = conn.cursor(row_factory=class_row(Known))
    return cursor.execute(
        """select r.id, r.created_at, language, pin_first, proven_at, ended_at,
                  (select count(*) from refusal where telephone_id = t.id) as refused
           from registrant r join telephone t on t.registrant_id = r.id
           where number_hash = any(%s) order by r.id""",
        [number_hashes],
    ).fetchall()


def wanted(conn: Connection, registrant_ids: list[int]) -> list[Wanted]:
    """What these are registered for."""
    cursor = conn.cursor(row_factory=class_row(Wanted))
    return cursor.execute(
        """select r.id, registrant_id, agency, number, first_name, last_name, created_at, about
           from registration r join offender o on o.id = offender_id
           where registrant_id = any(%s) and ended_at is null order by registrant_id, r.id""",
        [registrant_ids],
    ).fetchall()


def exists(conn: Connection, registrant_id: int) -> bool:
    return conn.execute("select from registrant where id = %s", [registrant_id]).fetchone() is not None


def end(conn: Connection, registrant_id: int, registration_id: int | None, *, who: str, now: datetime) -> int:
    """End one registration of a registrant, or all; return how many ended."""
    ended = [
        one.id for one in registrations.of(conn, registrant_id) if registration_id is None or one.id == registration_id
    ]
    for one in ended:
        registrations.end(conn, one, now=now)
        record(conn, who, f"ended registration {one}", registrant_id, now=now)
    return len(ended)


def set_pin(conn: Connection, keyring: Keyring, registrant_id: int, pin: str, *, who: str, now: datetime) -> bool:
    """Give a registrant another PIN, which is to be proven by a call; False where somebody else there has it already.

    Until then nothing is said at their telephones before it was entered.
    """
    if not registrants.set_pin(conn, keyring, registrant_id, pin):
        return False
    for (telephone_id,) in conn.execute(
        "update telephone set proven_at = null where registrant_id = %s and ended_at is null returning id",
        [registrant_id],
    ).fetchall():
        proofs.ask(conn, telephone_id, call_at=now, now=now)
    record(conn, who, "set a new PIN", registrant_id, now=now)
    return True
