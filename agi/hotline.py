"""The hotline: find an offender, hear the custody status, register to be called."""

from collections.abc import Callable

from agi import find, telephone
from agi.call import UNUSABLE, Back, Call
from agi.find import name, say_custody, say_or
from agi.service import Service
from db import registrants
from db.custody import Offender
from db.pool import Unreachable


def hotline(call: Call, service: Service) -> None:
    call.say("welcome")
    call.say("in_danger")
    call.say("not_alone")
    while True:
        try:
            ask = call.choose("menu", {"1": find.by_name, "2": find.by_number, "3": find.by_case})
            look_up(call, service, ask)
        except Back:
            continue


def look_up(call: Call, service: Service, ask: Callable[[Call, Service], Offender]) -> None:
    """Find an offender and perhaps register for them; then the menu comes again."""
    offender = ask(call, service)
    if find.tell(call, service, offender):
        register(call, service, offender)
        call.choose("another_menu", {"1": None})


def register(call: Call, service: Service, offender: Offender) -> None:
    """Ask for a telephone and a PIN, and register. Nothing is kept before both are complete."""
    service.sounds.prepare([call.catalogue.utter("registered", name=name(call, offender))])
    number = ask_telephone(call)
    pin = ask_pin(call)
    known = keep(call, service, offender, number, pin)
    if known.custody != offender.custody:  # first, while no key can have cut it off
        call.say("changed_meanwhile")
        say_custody(call, service, known)
    say_or(call, "registered_unnamed", "registered", name=name(call, offender))
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
            language=call.language,
            now=service.clock(),
        )


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
