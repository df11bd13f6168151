"""The hotline: find an offender, hear the custody status, register to be called, and come back to change it."""

from agi.call import Back, Call
from agi.find import ask_offender, tell
from agi.language import choose_language
from agi.manage import manage
from agi.person import reach_person
from agi.register import Visit, add_telephone, call_for_proof, register
from agi.service import Service


def hotline(call: Call, service: Service) -> None:
    visit = Visit()
    call.reach_person = lambda: reach_person(call, service)
    try:
        choose_language(call, service)
        call.say("welcome")
        call.say("in_danger")
        call.say("not_alone")
        while True:
            try:
                call.choose("menu", {"1": look_up, "2": come_back})(call, service, visit)
            except Back:
                continue
    finally:
        call_for_proof(service, visit)


def look_up(call: Call, service: Service, visit: Visit) -> None:
    """Find offenders and register for them, until the caller goes back or hangs up."""
    while True:
        offender = ask_offender(call, service)
        wanted = call.choose(lambda: tell(call, service, offender), {"1": True, "2": False})  # noqa: B023 - used at once
        if wanted:
            register(call, service, offender, visit)
            while call.choose("another_menu", {"1": False, "2": True}):
                add_telephone(call, service, visit)


def come_back(call: Call, service: Service, visit: Visit) -> None:
    """Change what was registered; to register for another person leads to the look-up."""
    manage(call, service, visit)
    look_up(call, service, visit)
