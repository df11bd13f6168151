"""The canary: one call through the whole chain, from the database to a PIN that is entered and back.

``movans doctor --call`` waits for it and shows its way. ``duty`` has one made regularly; it never waits, so that it can
stand among others: call it every few seconds.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta

from psycopg import Connection

from db import alerts, canary, hosts, proofs
from db.canary import Flight
from db.keys import Keyring
from db.pool import Database

AT_THE_LATEST = timedelta(seconds=60)
"""A canary that is not confirmed by then is missed: picked up and keyed in it takes some ten seconds."""
ALERT = "canary"
LOOK = 0.2  # seconds
JUDGED = 8  # canaries, among which those that each machine took are looked at


class Missed(Exception):
    """The canary did not come back; the text says how far it came."""


def fly(
    db: Database,
    keyring: Keyring,
    language: str,
    clock: Callable[[], datetime],
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, timedelta]]:
    """Have a call made and follow it: each step, and how long it took. Raises Missed."""
    with db.connection() as conn:
        proof_id = canary.send(conn, keyring, language=language, now=clock())
    seen = 0
    while True:
        with db.connection() as conn:
            flight = canary.flights(conn, most=1)[0]
        if flight.id != proof_id:
            raise Missed("another one was sent meanwhile; try again")
        done = steps(flight)
        yield from done[seen:]
        seen = len(done)
        if flight.state == "proven" and flight.ended_at:
            return
        if clock() - flight.asked_at >= AT_THE_LATEST:
            with db.connection() as conn:
                proofs.give_up(conn, proof_id, now=clock())
            raise Missed(stopped(flight))
        wait(LOOK)


def steps(flight: Flight) -> list[tuple[str, timedelta]]:
    """What was done of its way so far, and how long each step took."""
    way = [
        (f"claimed by the dialer of {flight.host}", flight.claimed_at),
        ("dialled by Asterisk", flight.dialled_at),
        ("picked up, and the conversation begun", flight.answered_at),
        ("PIN entered and confirmed", flight.confirmed_at),
        ("said goodbye and hung up", flight.ended_at),
    ]
    done: list[tuple[str, timedelta]] = []
    before = flight.asked_at
    for what, at in way:
        if at is None:
            break
        done.append((what, at - before))
        before = at
    return done


def stopped(flight: Flight) -> str:
    """Where it ended, in a sentence."""
    if flight.claimed_at is None:
        return "no dialer took the call: see dial.log, and whether Asterisk runs"
    if flight.outcome is not None:
        return f"the call ended without the PIN: {flight.outcome} {flight.cause}".rstrip()
    if flight.dialled_at is None:
        return "the call was handed to Asterisk, which did not dial it: see asterisk.log and serve.log"
    if flight.answered_at is None:
        return "Asterisk dialled, and the conversation did not begin: see serve.log"
    if flight.confirmed_at is None:
        return "it was picked up, and the PIN was not heard: see serve.log, and whether the prompts have their sounds"
    return "it was confirmed, and the call did not end: see serve.log"


def duty(conn: Connection, keyring: Keyring, *, language: str, every: timedelta, now: datetime) -> None:
    """Judge the last canaries and send the next when it is time: two misses in a row are told, until one comes back.

    Any machine may take one, so each is judged by those that it took: a good one hides none that is broken.
    """
    last = canary.flights(conn, most=JUDGED)
    if last and last[0].state == "open":
        if now - last[0].asked_at < AT_THE_LATEST:
            return
        proofs.give_up(conn, last[0].id, now=now)
        last = canary.flights(conn, most=JUDGED)
    if missed := _missed(last, hosts.known(conn)):
        where = f" on the machine {missed.host}" if missed.host else ""
        alerts.add(conn, ALERT, f"Two test calls in a row failed{where}: {stopped(missed)}.", now=now)
    elif last and last[0].state == "proven":
        alerts.over(conn, ALERT, now=now)
    if not last or now - last[0].asked_at >= every:
        canary.send(conn, keyring, language=language, now=now)


def _missed(last: Sequence[Flight], there: Collection[str]) -> Flight | None:
    """The newer of two in a row that were missed, of all or of those that one of the machines took that are there."""
    machines = sorted({flight.host for flight in last if flight.host} & set(there))
    for row in (last, *([flight for flight in last if flight.host == machine] for machine in machines)):
        if len(row) > 1 and row[0].state != "proven" and row[1].state != "proven":
            return row[0]
    return None
