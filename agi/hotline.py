"""The hotline: find an offender, hear the custody status, register to be called."""

import logging
from collections.abc import Iterator

from agi import spelling, telephone
from agi.call import UNUSABLE, Back, Call
from agi.channel import MissingSound
from agi.service import Service
from db import custody, registrants
from db.custody import Offender
from db.pool import Unreachable
from prompts import spoken
from prompts.sounds import NoVoice

log = logging.getLogger(__name__)

CHOICES = 5  # more offenders than this are not read out


def hotline(call: Call, service: Service) -> None:
    call.say("welcome")
    call.say("in_danger")
    call.say("not_alone")
    while True:
        try:
            call.choose("menu", {"1": look_up})(call, service)
        except Back:
            continue


def look_up(call: Call, service: Service) -> None:
    """Find offenders and register for them, until the caller goes back or hangs up."""
    while True:
        offender = ask_offender(call, service)
        wanted = call.choose(lambda: tell(call, service, offender), {"1": True, "2": False})  # noqa: B023 - used at once
        if wanted:
            register(call, service, offender)
            call.choose("another_menu", {"1": None})


def ask_offender(call: Call, service: Service) -> Offender:
    found: list[Offender] = []

    def check(keys: str) -> str | None:
        with service.db.connection() as conn:
            found[:] = custody.by_keys(conn, keys, most=CHOICES + 1)
        if len(found) > CHOICES:
            return "too_many_found"
        return None if found else "nobody_found"

    call.ask("ask_offender", check=check)
    if len(found) == 1:
        return found[0]
    return call.choose(lambda: offer(call, service, found), {str(key): one for key, one in enumerate(found, start=1)})


def offer(call: Call, service: Service, found: list[Offender]) -> None:
    """The same number at several agencies: which of them is it?"""
    call.say("several_found")
    for key, one in enumerate(found, start=1):
        say_or(call, "cannot_say", "offered", name=name(one), agency=service.agency_name(one.agency), key=str(key))


def tell(call: Call, service: Service, offender: Offender) -> None:
    say_custody(call, service, offender)
    call.say("status_menu")


def say_custody(call: Call, service: Service, offender: Offender) -> None:
    """Say where the offender is; while one sentence is heard, the next is put into sound."""
    sentences = list(custody_sentences(service, offender))
    service.sounds.prepare(call.catalogue.utter(prompt, **values) for prompt, values in sentences[1:])
    try:
        for prompt, values in sentences:
            call.say(prompt, **values)
    except (NoVoice, MissingSound) as error:
        log.error("the status is spelled: %s", error)
        spell_custody(call, service, offender)


def spell_custody(call: Call, service: Service, offender: Offender) -> None:
    """Say where the offender is from built sounds only."""
    for prompt in spelling.status(offender):
        call.say(prompt)
    number = service.telephone(offender.agency, offender.facility)
    if number:
        call.say("facility_spelled")
        call.spell(number, 3, 6)
    else:
        call.say("facility_unknown")


def custody_sentences(service: Service, offender: Offender) -> Iterator[tuple[str, dict[str, str]]]:
    since, facility = service.say_when(offender.since), offender.facility
    status = "status_" + offender.status.replace(" ", "_")
    yield status, {"name": name(offender), "since": since, "facility": facility}
    if offender.status not in ("in custody", "deceased"):
        yield "assume_free", {}
    number = service.telephone(offender.agency, facility)
    if number:
        yield "facility", {"facility": facility, "telephone": spoken.digits(number)}
    else:
        yield "facility_unknown", {}


def register(call: Call, service: Service, offender: Offender) -> None:
    """Ask for a telephone and a PIN, and register. Nothing is kept before both are complete."""
    service.sounds.prepare([call.catalogue.utter("registered", name=name(offender))])
    number = ask_telephone(call)
    pin = ask_pin(call)
    known = keep(call, service, offender, number, pin)
    if known.custody != offender.custody:  # first, while no key can have cut it off
        call.say("changed_meanwhile")
        say_custody(call, service, known)
    say_or(call, "registered_unnamed", "registered", name=name(offender))
    call.say("what_will_happen")
    call.say("never_told")


def keep(call: Call, service: Service, offender: Offender, number: str, pin: str) -> Offender:
    """Keep the registration; the offender as known then. An import may hold the offender: wait for it, with words."""
    for _ in range(UNUSABLE - 1):
        try:
            return register_now(call, service, offender, number, pin)
        except Unreachable:
            call.say_all("one_moment")
    return register_now(call, service, offender, number, pin)


def register_now(call: Call, service: Service, offender: Offender, number: str, pin: str) -> Offender:
    with service.db.connection() as conn:
        return registrants.register(
            conn,
            service.keyring,
            number=number,
            pin=pin,
            offender_id=offender.id,
            language=call.catalogue.language,
            now=service.clock(),
        )


def say_or(call: Call, instead: str, prompt: str, **values: str) -> bool:
    """Say what is put into sound only now; without a voice say something built in advance. False if it was so."""
    try:
        call.say(prompt, **values)
    except (NoVoice, MissingSound) as error:
        log.error("%s: not said: %s", prompt, error)
        call.say(instead)
        return False
    return True


def ask_telephone(call: Call) -> str:
    for _ in range(UNUSABLE):
        number = telephone.without_country_code(call.ask("ask_phone", most=15, check=telephone.problem))
        if call.choose(lambda: read_back(call, number), {"1": True, "2": False}):  # noqa: B023 - used at once
            return number
    raise call.give_up()


def read_back(call: Call, number: str) -> None:
    call.say("you_entered")
    call.spell(number, 3, 6)
    call.say("is_it_right")


def ask_pin(call: Call) -> str:
    for _ in range(UNUSABLE):
        pin = call.ask("ask_pin", exactly=4)
        if call.ask("ask_pin_again", exactly=4) == pin:
            return pin
        call.say("pins_differ")
    raise call.give_up()


def name(offender: Offender) -> str:
    return spoken.person(f"{offender.first_name} {offender.middle_name}", offender.last_name)
