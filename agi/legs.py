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
    the INVITE is shortest. Only Asterisk's own end in the middle is recorded here; ``ended`` says what else became of
    the call.
    """
    calls = service.settings.calls
    with service.db.connection() as conn:
        number = attempts.begin(
            conn, service.keyring, attempt_id, end_within=calls.ring + calls.longest + APOLOGY, now=service.clock()
        )
        if number is None:
            return
        attempt = attempts.get(conn, attempt_id)
        news = notifications.waiting(conn, attempt_id)
    service.sounds.prepare(utterances(service, news, service.catalogue(attempt.language)))
    where = f"PJSIP/{number}@trunk-{attempt.trunk}" if attempt.trunk else "PJSIP/testphone"
    if attempt.trunk == canary.TRUNK:
        where = f"Local/{number}@canary/n"
    telephone = service.keyring.hash(number).hex()[:16]
    at = time.monotonic() + min(attempt.at - service.clock(), attempts.READY).total_seconds()
    try:
        if not channel.dial(where, int(calls.ring.total_seconds()), telephone=telephone, at=at):
            log.warning("attempt %s: its telephone is still in a call that counted as lost", attempt_id)
    except Gone:
        _finish(service, attempt_id, "lost", "Asterisk went away")
        raise


def ended(channel: AsteriskChannel, service: Service, attempt_id: int) -> None:
    """Record what became of the call, from the leg that dialled it, after it has hung up."""
    status = channel.variable("DIALSTATUS")
    cause = verdict.without_numbers(channel.variable("HANGUPCAUSE(${HANGUPCAUSE_KEYS()},tech)"))
    q850 = channel.variable("HANGUPCAUSE")
    refused_as = verdict.verdict(cause, int(q850) if q850.isdigit() else None) if status != "ANSWER" else None

    def record() -> None:
        with service.db.connection() as conn:
            state = attempts.state(conn, attempt_id)
            attempts.note_answer(conn, attempt_id, verdict.sip_code(cause), refused_as)
        if state == "claimed" or not status:
            _finish(service, attempt_id, "lost", "was not dialled")
        elif status == "ANSWER" and state == "dialling":
            _finish(service, attempt_id, "lost", "was answered, and nobody spoke")
        else:
            _finish(service, attempt_id, OUTCOMES.get(status, "failed"), cause)

    _patiently(record)


def failed(_: AsteriskChannel, service: Service, attempt_id: int) -> None:
    """The call was not answered. Where its telephone was dialled, ``ended`` knows more; else it was lost."""

    def record() -> None:
        with service.db.connection() as conn:
            state = attempts.state(conn, attempt_id)
        if state == "claimed":
            _finish(service, attempt_id, "lost", "was not dialled")

    _patiently(record)


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


def _finish(service: Service, attempt_id: int, outcome: str | None, cause: str) -> None:
    service.journal.replay(service.db, attempt_id)
    with service.db.connection() as conn:
        known = finish(conn, attempt_id, outcome, cause, settings=service.settings, now=service.clock())
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
