"""Proofs: the duty to call a telephone that was left with us, so that who answers shows that it is theirs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection
from psycopg.rows import class_row

from db import guard, registrations

DAY = timedelta(days=1)
PATIENCE = timedelta(minutes=5)  # for which it lets all others go first; who registers is told that it comes within ten
CALLS_A_DAY = 3  # to one number, whoever leaves it how often: nobody is to be rung up by way of us


@dataclass(frozen=True)
class Due:
    """A proof that is still open after a call to its telephone."""

    id: int
    created_at: datetime
    calls: int
    lost_in_a_row: int


def ask(conn: Connection, telephone_id: int, *, call_at: datetime, now: datetime) -> int:
    """See that the telephone is called for its proof; return the proof's id. One that is open already will do."""
    row = conn.execute(
        """insert into proof (telephone_id, created_at, next_call_at) values (%s, %s, %s)
           on conflict (telephone_id) where state = 'open' do update set next_call_at = excluded.next_call_at
           returning id""",
        [telephone_id, now, call_at],
    ).fetchone()
    if row is None:
        raise LookupError("the proof was not kept")
    return row[0]


def call_at(conn: Connection, proof_ids: Iterable[int], at: datetime) -> None:
    """When the caller who asked for these will have hung up, or has."""
    conn.execute("update proof set next_call_at = %s where id = any(%s) and state = 'open'", [at, list(proof_ids)])


def prove(conn: Connection, registrant_id: int, number_hash: bytes, *, now: datetime) -> int:
    """The registrant's PIN was entered on a call to this telephone; return how many open proofs that ended."""
    telephones = [
        telephone_id
        for (telephone_id,) in conn.execute(
            """update telephone set proven_at = %s, proven_once = true
               where registrant_id = %s and number_hash = %s and ended_at is null returning id""",
            [now, registrant_id, number_hash],
        )
    ]
    replaced = conn.execute(
        "select replaces from telephone where id = any(%s) and replaces is not null", [telephones]
    ).fetchall()
    conn.execute("update telephone set replaces = null where id = any(%s)", [telephones])
    stop_calling(conn, [telephone_id for (telephone_id,) in replaced], "given up", now=now)
    return conn.execute(
        """update proof set state = 'proven', ended_at = %s, next_call_at = null
           where state = 'open' and telephone_id = any(%s)""",
        [now, telephones],
    ).rowcount


def waiting(conn: Connection, number_hash: bytes) -> tuple[bool, bool]:
    """Whether a telephone is to be proven now, and whether it is not proven yet for somebody who left it."""
    row = conn.execute(
        """select coalesce(bool_or(p.id is not null), false), coalesce(bool_or(proven_at is null), false)
           from telephone t left join proof p on p.telephone_id = t.id and p.state = 'open'
           where number_hash = %s and t.ended_at is null""",
        [number_hash],
    ).fetchone()
    return row or (False, False)


def stop_calling(conn: Connection, telephone_ids: list[int], proof_state: str, *, now: datetime) -> None:
    """These telephones are not called any more, and what was to be proven there ends."""
    conn.execute("update telephone set ended_at = %s where id = any(%s) and ended_at is null", [now, telephone_ids])
    conn.execute(
        """update proof set state = %s, ended_at = %s, next_call_at = null
           where state = 'open' and telephone_id = any(%s)""",
        [proof_state, now, telephone_ids],
    )


def refuse(conn: Connection, number_hash: bytes, *, now: datetime) -> bool:
    """Whoever picked up did not ask for this: what was never proven there ends. Returns whether that is all there is.

    What was proven once goes on, also where staff have set a new PIN since, and staff are told. A registrant who has no
    other telephone is not called any more at all.
    """
    telephones = conn.execute(
        """insert into refusal (telephone_id, number_hash, at, proven)
           select id, number_hash, %(now)s, proven_once from telephone
           where number_hash = %(hash)s and ended_at is null
           returning telephone_id, proven, (select registrant_id from telephone where id = telephone_id)""",
        {"hash": number_hash, "now": now},
    ).fetchall()
    unproven = [telephone_id for telephone_id, proven, _ in telephones if not proven]
    for registrant_id in [registrant_id for _, proven, registrant_id in telephones if proven]:
        guard.tell_of_refusal(conn, registrant_id, now=now)
    stop_calling(conn, unproven, "not wanted", now=now)
    if unproven and guard.barred(conn, [number_hash]):
        guard.tell_of_bar(conn, min(registrant_id for _, proven, registrant_id in telephones if not proven), now=now)
    for (registrant_id,) in conn.execute(
        """select distinct registrant_id from telephone t where id = any(%s) and not exists (
               select from telephone o where o.registrant_id = t.registrant_id and o.ended_at is null)""",
        [unproven],
    ).fetchall():
        registrations.end_all(conn, registrant_id, now=now)
    return len(unproven) == len(telephones)


def due_after(conn: Connection, attempt_id: int) -> list[Due]:
    """The open proofs of the telephone that an attempt called."""
    cursor = conn.cursor(row_factory=class_row(Due))
    return cursor.execute(
        """select p.id, p.created_at,
                  (select count(*) from call_attempt where proof_id = p.id and outcome <> 'lost') as calls,
                  (select count(*) from call_attempt c where proof_id = p.id and outcome = 'lost' and c.id > coalesce(
                      (select max(id) from call_attempt where proof_id = p.id and outcome <> 'lost'),
                      0)) as lost_in_a_row
           from call_attempt a
           join telephone t on t.number_hash = a.number_hash and t.ended_at is null
           join proof p on p.telephone_id = t.id
           where a.id = %s and p.state = 'open' order by p.id for update of p""",
        [attempt_id],
    ).fetchall()


def call_next(conn: Connection, proof_id: int, at: datetime, *, trunk: int = 1) -> None:
    conn.execute(
        "update proof set next_call_at = %s, next_trunk = %s where id = %s and state = 'open'", [at, trunk, proof_id]
    )


def give_up(conn: Connection, proof_id: int, *, now: datetime) -> None:
    """It was called often enough. Its registrations stay: what happens is told all the same, with the PIN first."""
    conn.execute(
        "update proof set state = 'given up', ended_at = %s, next_call_at = null where id = %s and state = 'open'",
        [now, proof_id],
    )
