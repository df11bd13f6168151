"""The hotline: find an offender, hear the custody status, register to be called, and come back to change it."""

from collections.abc import Callable

from agi import find
from agi.call import Back, Call
from agi.language import choose_language
from agi.manage import manage
from agi.person import farewell, reach_person
from agi.register import Visit, add_telephone, call_for_proof, put_off_proof, register
from agi.service import Service
from db.custody import Offender


def hotline(call: Call, service: Service) -> None:
    visit = Visit()
    call.reach_person = lambda: reach_person(call, service, lambda time: put_off_proof(service, visit, time))
    try:
        choose_language(call, service)
        call.say("welcome")
        call.say("in_danger")
        call.say("not_alone")
        while True:
            call.farewell = farewell(service)
            try:
                ask = call.choose("menu", {"1": find.by_name, "2": find.by_number, "3": find.by_case, "4": None})
                if ask:
                    look_up(call, service, visit, ask)
                else:
                    manage(call, service, visit)
            except Back:
                continue
    finally:
        call_for_proof(service, visit)


def look_up(call: Call, service: Service, visit: Visit, ask: Callable[[Call, Service], Offender]) -> None:
    """Find an offender and perhaps register for them; then the menu comes again."""
    offender = ask(call, service)
    if find.tell(call, service, offender) and register(call, service, offender, visit):
        while call.choose("another_menu", {"1": False, "2": True}):
            add_telephone(call, service, visit)
