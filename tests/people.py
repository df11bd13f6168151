"""Registrants who are there before a test begins."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from psycopg import Connection

from db import proofs, registrants
from db.keys import Keyring
from db.registrants import Registered
from db.registrations import COURT, CUSTODY


def leave(
    conn: Connection,
    keyring: Keyring,
    *,
    number: str,
    offender_id: int,
    now: datetime,
    pin: str = "2580",
    about: Collection[str] = (CUSTODY, COURT),
    language: str = "en",
    pin_first: bool = False,
) -> Registered:
    """Somebody leaves a telephone number, which is to be called for its proof now."""
    return registrants.register(
        conn,
        keyring,
        number=number,
        pin=pin,
        offender_id=offender_id,
        about=about,
        language=language,
        pin_first=pin_first,
        prove_at=now,
        now=now,
    )


def register(
    conn: Connection, keyring: Keyring, *, number: str, offender_id: int, now: datetime, **choices: Any
) -> Registered:
    """Somebody leaves a telephone number, and has proven it."""
    done = leave(conn, keyring, number=number, offender_id=offender_id, now=now, **choices)
    if done.registrant_id is not None:
        proofs.prove(conn, done.registrant_id, keyring.hash(number), now=now)
    return done
