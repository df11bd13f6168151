"""What the dialplan asks besides conversations: dialling an attempt's telephone, and what became of it."""

import logging
import time
from collections.abc import Callable

from agi.channel import AsteriskChannel, Gone
from agi.notify import APOLOGY, utterances
from agi.service import Service
from db import attempts, canary, notifications
from db.pool import Unreachable
from dialer import verdict
from dialer.outcome import OUTCOMES, finish

log = logging.getLogger(__name__)

PATIENCE = 30  # seconds for which a call's end is kept, and tried to be recorded, while the database is away


def dial(channel: AsteriskChannel, service: Service, attempt_id: int) -> None:
    """Ring the attempt's telephone, and stay on the line until that call is over.

    The number goes from here into the Dial application; it is in no variable and no file. While it rings, the news is
    put into sound. It comes a moment before its trunk's rate lets it ring, and waits for that where the way to
    the INVITE is shortest. What became of the call is recorded here too, so that the dialplan need not ask ``ended``.
    """
    calls = service.settings.calls
    with service.db.connection() as conn:
        begun = attempts.begin(
            conn, service.keyring, attempt_id, end_within=calls.ring + calls.longest + APOLOGY, now=service.clock()
        )
        if begun is None:
            return
        news = notifications.waiting(conn, attempt_id, now=service.clock())
    service.sounds.prepare(utterances(service, news, service.catalogue(begun.language)))
    where = f"PJSIP/{begun.number}@trunk-{begun.trunk}" if begun.trunk else "PJSIP/testphone"
    if begun.trunk == canary.TRUNK:
        where = f"Local/{begun.number}@canary/n"
    telephone = service.keyring.hash(begun.number).hex()[:16]
    at = time.monotonic() + min(begun.at - service.clock(), attempts.READY).total_seconds()
    try:
        if channel.dial(where, int(calls.ring.total_seconds()), telephone=telephone, at=at):
            ended(channel, service, attempt_id)
            channel.flow_ended()
        else:
            log.warning("attempt %s: its telephone is still in a call that counted as lost", attempt_id)
    except Gone:
        _finish(service, attempt_id, "lost", "Asterisk went away")
        raise


def ended(channel: AsteriskChannel, service: Service, attempt_id: int) -> None:
    """Record what became of the call, from the leg that dialled it: after its Dial, or after it has hung up."""
    status, q850, said = channel.became()
    cause = verdict.without_numbers(said)
    refused_as = verdict.verdict(cause, int(q850) if q850.isdigit() else None) if status != "ANSWER" else None
    if status:
        _patiently(lambda: _finish(service, attempt_id, OUTCOMES.get(status, "failed"), cause, refused_as))
    else:
        _patiently(lambda: _finish(service, attempt_id, "lost", "was not dialled"))


def ping(_: AsteriskChannel, __: Service) -> None:
    """Asked by the doctor, to see that flows are run."""


def _patiently(record: Callable[[], None]) -> None:
    """Nobody is on the line any more, so there is time; a line and a telephone are taken until it is recorded."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return record()
        except Unreachable:
            if time.monotonic() > until:
                raise
            time.sleep(1)


def _finish(service: Service, attempt_id: int, outcome: str | None, cause: str, refused_as: str | None = None) -> None:
    service.journal.replay(service.db, attempt_id)
    with service.db.connection() as conn:
        known = finish(
            conn, attempt_id, outcome, cause, refused_as=refused_as, settings=service.settings, now=service.clock()
        )
    if known:
        log.info("attempt %s: %s %s", attempt_id, known, cause)


def lose_interrupted(service: Service, host: str) -> None:
    """At the start: what was being spoken when this host's server last went away was lost on our side.

    Whoever was told still hears the dialplan's apology; once that is over, ``ended`` comes, and then the next call.
    """
    service.journal.replay(service.db)
    with service.db.connection() as conn:
        for attempt_id in attempts.being_spoken(conn, host):
            log.info("attempt %s: broke off", attempt_id)
            attempts.broke_off(
                conn, attempt_id, "the FastAGI server went away", over_within=APOLOGY, now=service.clock()
            )
