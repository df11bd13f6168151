"""Finding an offender, and saying what is known of them."""

import logging
from collections.abc import Iterator

from agi.call import Call
from agi.channel import MissingSound
from agi.service import Service
from db import custody
from db.custody import Offender
from prompts import spoken
from prompts.sounds import NoVoice

log = logging.getLogger(__name__)

CHOICES = 5  # more offenders than this are not read out


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
        say_or(
            call, "cannot_say", "offered", name=name(call, one), agency=service.agency_name(one.agency), key=str(key)
        )


def tell(call: Call, service: Service, offender: Offender) -> None:
    say_custody(call, service, offender)
    call.say("status_menu")


def say_custody(call: Call, service: Service, offender: Offender) -> None:
    """Say where the offender is; while one sentence is heard, the next is put into sound."""
    sentences = list(custody_sentences(call, service, offender))
    service.sounds.prepare(call.catalogue.utter(prompt, **values) for prompt, values in sentences[1:])
    for prompt, values in sentences:
        if not say_or(call, "cannot_say", prompt, **values):
            if prompt.startswith("status_"):
                call.say("assume_free")
            return


def custody_sentences(call: Call, service: Service, offender: Offender) -> Iterator[tuple[str, dict[str, str]]]:
    since, facility = service.say_when(offender.since, call.language), offender.facility
    status = "status_" + offender.status.replace(" ", "_")
    yield status, {"name": name(call, offender), "since": since, "facility": facility}
    if offender.status not in ("in custody", "deceased"):
        yield "assume_free", {}
    agency = service.settings.agencies.get(offender.agency)
    known = agency and agency.facilities.get(facility)
    if known:
        yield "facility", {"facility": facility, "telephone": spoken.digits(known.telephone)}
    else:
        yield "facility_unknown", {}


def say_or(call: Call, instead: str, prompt: str, **values: str) -> bool:
    """Say what is put into sound only now; without a voice say something built in advance. False if it was so."""
    try:
        call.say(prompt, **values)
    except (NoVoice, MissingSound) as error:
        log.error("%s: not said: %s", prompt, error)
        call.say(instead)
        return False
    return True


def name(call: Call, offender: Offender) -> str:
    return spoken.person(f"{offender.first_name} {offender.middle_name}", offender.last_name, call.language)
