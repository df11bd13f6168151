"""Registrations: a registrant's wish to be told of an offender's custody, court dates or both."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row

CUSTODY, COURT = "custody", "court"  # as event_kind.about


@dataclass(frozen=True)
class Registration:
    id: int
    offender_id: int
    created_at: datetime
    about: str  # custody, court or both


def add(conn: Connection, registrant_id: int, offender_id: int, about: Collection[str], *, now: datetime) -> None:
    """Register somebody for an offender, to be told ``about`` custody, court or both; what they wanted before stays."""
    conn.execute(
        """insert into registration (registrant_id, offender_id, custody, court, created_at) values (%s, %s, %s, %s, %s)
           on conflict (registrant_id, offender_id) where ended_at is null do update
           set custody = registration.custody or excluded.custody, court = registration.court or excluded.court""",
        [registrant_id, offender_id, CUSTODY in about, COURT in about, now],
    )


def of(conn: Connection, registrant_id: int) -> list[Registration]:
    """What a registrant is registered for, the oldest first."""
    cursor = conn.cursor(row_factory=class_row(Registration))
    return cursor.execute(
        """select id, offender_id, created_at, about from registration
           where registrant_id = %s and ended_at is null order by id""",
        [registrant_id],
    ).fetchall()


def of_offenders(conn: Connection, offender_ids: Iterable[int]) -> set[int]:
    """Those of the offenders for whom somebody is registered."""
    rows = conn.execute(
        "select distinct offender_id from registration where offender_id = any(%s) and ended_at is null",
        [list(offender_ids)],
    )
    return {offender_id for (offender_id,) in rows}


def end(conn: Connection, registration_id: int, *, now: datetime) -> None:
    """The registrant no longer wants it: nobody is called about it any more; after the last, not for a proof either."""
    conn.execute("update registration set ended_at = %s where id = %s and ended_at is null", [now, registration_id])
    conn.execute(
        """update notification set state = 'registration ended', ended_at = %s, next_call_at = null
           where registration_id = %s and state = 'open'""",
        [now, registration_id],
    )
    conn.execute(
        """update proof p set state = 'given up', ended_at = %s, next_call_at = null
           from telephone t join registration ended using (registrant_id)
           where t.id = p.telephone_id and ended.id = %s and p.state = 'open' and not exists (
               select from registration r where r.registrant_id = t.registrant_id and r.ended_at is null)""",
        [now, registration_id],
    )


def end_all(conn: Connection, registrant_id: int, *, now: datetime) -> None:
    for registration in of(conn, registrant_id):
        end(conn, registration.id, now=now)
