"""Registering: a telephone that is answered by a person, a PIN that is not guessed, and a call that proves both."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from psycopg import Connection

from agi import telephone
from agi.call import UNUSABLE, Call
from agi.find import name, say_custody, say_or
from agi.pin import weakness
from agi.service import Service
from db import guard, proofs, registrants
from db.custody import Offender
from db.pool import Unreachable
from db.registrants import Registered
from db.registrations import COURT, CUSTODY

log = logging.getLogger(__name__)

ABOUT = {"1": {CUSTODY}, "2": {COURT}, "3": {CUSTODY, COURT}}  # what callers can be told of, by key


@dataclass
class Visit:
    """What a caller told in this call, so that nothing is asked twice, and the proofs that wait until they hang up."""

    number: str = field(default="", repr=False)
    pin: str = field(default="", repr=False)
    pin_first: bool = False
    registrant_id: int | None = None
    proof_ids: set[int] = field(default_factory=set)

    def proves(self, proof_id: int | None) -> None:
        if proof_id is not None:
            self.proof_ids.add(proof_id)


def register(call: Call, service: Service, offender: Offender, visit: Visit) -> bool:
    """Ask what for, for a telephone and a PIN, and register; False where the caller is refused and heard so.

    Nothing is kept before all is complete.
    """
    if is_too_many(call, service):
        return False
    service.sounds.prepare([call.catalogue.utter("registered", name=name(call, offender))])
    about = call.choose("ask_about", ABOUT)
    if not (visit.number and call.choose("ask_same_telephone", {"1": True, "2": False})):
        number = ask_telephone(call, service)
        pin = ask_pin(call, number, offender.number)
        pin_first = call.choose("ask_pin_first", {"1": False, "2": True})
        visit.number, visit.pin, visit.pin_first = number, pin, pin_first  # only now, when all is complete
    kept = keep(call, service, offender, about, visit)
    visit.registrant_id = kept.registrant_id
    visit.proves(kept.proof_id)
    if kept.offender.custody != offender.custody:  # first, while no key can have cut it off
        call.say("changed_meanwhile")
        say_custody(call, service, kept.offender)
    say_or(call, "registered_unnamed", "registered", name=name(call, offender))
    say_what_follows(call)
    return True


def say_what_follows(call: Call) -> None:
    """In the same words for everyone: nothing tells whether the number, or who has it, was known before."""
    for prompt in ("proof_comes", "what_will_happen", "never_told"):
        call.say(prompt)


def add_telephone(call: Call, service: Service, visit: Visit) -> None:
    """One more telephone for who has just registered, or has come back.

    Their PIN may be part of its number, or of another offender's whom they register for later. That is let pass: they
    would have to give up the number, or learn another PIN for the sake of a number that few people know.
    """
    number = ask_telephone(call, service)
    if visit.registrant_id is not None:
        with service.db.connection() as conn:
            visit.proves(
                registrants.add_telephone(
                    conn,
                    service.keyring,
                    visit.registrant_id,
                    number=number,
                    pin=visit.pin,
                    prove_at=prove_at(service),
                    now=service.clock(),
                )
            )
    call.say("telephone_added")
    call.say("call_comes")


def is_too_many(call: Call, service: Service) -> bool:
    """Whether so many numbers were left from this telephone that the caller is refused, and hears it.

    Only a number that is presented, and often, is ever refused.
    """
    with service.db.connection() as conn:
        within = guard.too_many_within(conn, presented(call, service), now=service.clock())
    if within is None:
        return False
    log.warning("somebody registers again and again from one number, and was refused")
    call.say("too_many_in_an_hour" if within <= timedelta(hours=1) else "too_many_in_a_day")
    return True


def count(conn: Connection, call: Call, service: Service) -> None:
    """A number was left from this telephone; staff are told where that is too often."""
    guard.note_registering(conn, presented(call, service), now=service.clock())
    alarms = service.settings.alarms
    for alarm in guard.raise_alarms(
        conn, registrations=alarms.registrations, withheld=alarms.withheld, now=service.clock()
    ):
        log.warning("%s", alarm)


def presented(call: Call, service: Service) -> bytes | None:
    """What the number is known by that the caller's telephone presents; None where it is withheld."""
    return service.keyring.hash(call.channel.caller) if call.channel.caller else None


def prove_at(service: Service) -> datetime:
    """At the latest then; as soon as the caller has hung up, if that is noted."""
    return service.clock() + service.settings.calls.longest


def call_for_proof(service: Service, visit: Visit) -> None:
    """The caller has hung up: their telephone is free to be called. Where that cannot be noted, it is called later."""
    put_off_proof(service, visit, timedelta(0))


def put_off_proof(service: Service, visit: Visit, time: timedelta) -> None:
    """The call goes on for so long at most, and not until ``prove_at``: to ring its telephone meanwhile is in vain."""
    if not visit.proof_ids:
        return
    try:
        with service.db.connection() as conn:
            proofs.call_at(conn, visit.proof_ids, service.clock() + time)
    except Unreachable as error:
        log.error("a call for a proof is not made at its time: the database is away: %s", type(error).__name__)


def keep(call: Call, service: Service, offender: Offender, about: Collection[str], visit: Visit) -> Registered:
    """Keep the registration. An import may hold the offender: wait for it, with words."""
    for _ in range(UNUSABLE - 1):
        try:
            return register_now(call, service, offender, about, visit)
        except Unreachable:
            call.say_all("one_moment")
    return register_now(call, service, offender, about, visit)


def register_now(call: Call, service: Service, offender: Offender, about: Collection[str], visit: Visit) -> Registered:
    with service.db.connection() as conn:
        kept = registrants.register(
            conn,
            service.keyring,
            number=visit.number,
            pin=visit.pin,
            offender_id=offender.id,
            about=about,
            language=call.language,
            pin_first=visit.pin_first,
            prove_at=prove_at(service),
            now=service.clock(),
            known=visit.registrant_id,
        )
        count(conn, call, service)
    return kept


def ask_telephone(call: Call, service: Service) -> str:
    """A telephone that a person answers."""

    def check(keys: str) -> str | None:
        return telephone.problem(keys, service.settings.own_telephones)

    for _ in range(UNUSABLE):
        number = telephone.without_country_code(call.ask("ask_phone", most=15, check=check))
        if not call.choose(lambda: read_back(call, number), {"1": True, "2": False}):  # noqa: B023 - used at once
            continue
        if call.choose("ask_direct", {"1": True, "2": False}):
            return number
        call.say("phone_not_direct")
    raise call.give_up()


def read_back(call: Call, number: str) -> None:
    call.say("you_entered")
    call.spell(number, 3, 6)
    call.say("is_it_right")


def ask_pin(call: Call, *numbers: str) -> str:
    """A new PIN, twice the same; none that is part of these numbers."""
    for _ in range(UNUSABLE):
        pin = call.ask("ask_pin", exactly=4, check=lambda pin: weakness(pin, *numbers) if len(pin) == 4 else None)
        if call.ask("ask_pin_again", exactly=4) == pin:
            return pin
        call.say("pins_differ")
    raise call.give_up()
