"""Coming back: with telephone number and PIN, to hear what waits, and to change or end what was registered."""

from agi import telephone
from agi.call import UNUSABLE, Back, Call
from agi.find import name, say_or
from agi.language import offer
from agi.notify import for_one_call, tell
from agi.register import Visit, add_telephone, ask_pin, ask_telephone, count, is_too_many, prove_at
from agi.service import Service
from db import custody, notifications, registrants, registrations
from db.registrants import Registrant
from db.registrations import Registration


def manage(call: Call, service: Service, visit: Visit) -> None:
    """Who has come back chooses what to do, until they go back to the menu before or hang up."""
    registrant = come_back(call, service, visit)
    if not registrant.proven:
        call.say("not_proven_yet")
    while True:
        chosen = call.choose(
            "manage_menu", {"1": hear_news, "2": go_through_registrations, "3": None, "4": change, "5": test_call}
        )
        if chosen is None:
            return  # to the look-up, which knows the telephone and the PIN from now on
        try:
            chosen(call, service, visit)
        except Back:
            continue


def come_back(call: Call, service: Service, visit: Visit) -> Registrant:
    """Whose number and PIN these are. What is wrong is never said: nobody is to learn whether a number is known."""
    for _ in range(UNUSABLE):
        number = telephone.without_country_code(call.ask("ask_your_number", most=15))
        pin = call.ask("ask_the_pin", exactly=4)
        with service.db.connection() as conn:
            found = registrants.enter(conn, service.keyring, number=number, pin=pin, now=service.clock())
        if found:
            visit.number, visit.pin, visit.pin_first, visit.registrant_id = number, pin, found.pin_first, found.id
            return found
        call.say("no_match")
    raise call.give_up()


def hear_news(call: Call, service: Service, visit: Visit) -> None:
    """What waits to be told. Number and PIN were entered, so what was heard to its end can be confirmed here.

    It is confirmed a part at a time where it is much: a call that is over before all was told is not in vain.
    """
    with service.db.connection() as conn:
        waiting = notifications.open_for(conn, who(visit), now=service.clock())
    if not waiting:
        call.say("no_news")
        return
    news = for_one_call(service, waiting)
    heard: set[int] = set()

    def question() -> None:
        for item in news:
            if tell(call, service, item, call.say):
                heard.add(item.event_id)
        call.say("confirm_news")

    if call.choose(question, {"1": True, "2": False}):
        for item in news:
            if item.event_id not in heard:
                tell(call, service, item, call.say_all)
        with service.db.connection() as conn:
            confirmed = notifications.confirm(conn, who(visit), [item.event_id for item in news], now=service.clock())
        call.say("confirmed" if confirmed else "nothing_to_confirm")
        if len(news) < len(waiting):
            hear_news(call, service, visit)


def go_through_registrations(call: Call, service: Service, visit: Visit) -> None:
    """One after the other, each to be kept or ended; then all at once."""
    with service.db.connection() as conn:
        found = registrations.of(conn, who(visit))
        offenders = {one.offender_id: custody.get(conn, one.offender_id) for one in found}
    if not found:
        call.say("not_registered")
    kept = 0
    for one in found:
        spoken_name = name(call, offenders[one.offender_id])
        ends = call.choose(lambda: say_registration(call, spoken_name, one), {"1": False, "2": True})  # noqa: B023 - at once
        kept += not ends
        if ends:
            with service.db.connection() as conn:
                registrations.end(conn, one.id, now=service.clock())
            call.say("registration_ended")
    if kept > 1 and call.choose("ask_end_all", {"1": False, "2": True}):
        with service.db.connection() as conn:
            registrations.end_all(conn, who(visit), now=service.clock())
        call.say("all_ended")


def say_registration(call: Call, spoken_name: str, registration: Registration) -> None:
    """For whom, to be told of what, and the choice; where no voice speaks, the name is left out."""
    say_or(
        call, f"a_registration_{registration.about}_unnamed", f"a_registration_{registration.about}", name=spoken_name
    )
    call.say("keep_or_end")


def change(call: Call, service: Service, visit: Visit) -> None:
    choices = {"1": change_number, "2": add_another_telephone, "3": change_pin}
    if len(service.catalogues) == 1:
        call.choose("change_menu", choices)(call, service, visit)
    else:
        call.choose("change_menu_languages", choices | {"4": change_language})(call, service, visit)


def change_language(call: Call, service: Service, visit: Visit) -> None:
    """From now on in this call, and in all calls to them. Nothing is changed by silence, as it is at the beginning."""
    offered = service.catalogues.values()
    call.speak(call.choose(lambda: offer(call, offered), {one.key: one for one in offered}))
    with service.db.connection() as conn:
        registrants.change_language(conn, who(visit), call.language)
    call.say("language_changed")


def add_another_telephone(call: Call, service: Service, visit: Visit) -> None:
    """For who has come back, and may know how many there are."""
    with service.db.connection() as conn:
        full = registrants.telephones(conn, who(visit)) >= registrants.MOST_TELEPHONES
    if full:
        call.say("no_more_telephones")
    else:
        add_telephone(call, service, visit)


def change_number(call: Call, service: Service, visit: Visit) -> None:
    """Another number instead of the one that they came back with; said in the same words whether it could be or not."""
    if is_too_many(call, service):
        return
    new = ask_telephone(call, service)
    with service.db.connection() as conn:
        proof_id = registrants.change_number(
            conn,
            service.keyring,
            who(visit),
            old=visit.number,
            new=new,
            pin=visit.pin,
            prove_at=prove_at(service),
            now=service.clock(),
        )
        count(conn, call, service)
    if proof_id:
        visit.number = new
        visit.proves(proof_id)
    call.say("number_changed")
    call.say("call_comes")


def change_pin(call: Call, service: Service, visit: Visit) -> None:
    """One that somebody else has at the same telephone is refused as too easy; each counts as one that was tried."""
    with service.db.connection() as conn:
        numbers = registrants.numbers(conn, service.keyring, who(visit))
    for _ in range(UNUSABLE):
        pin = ask_pin(call, *numbers)
        with service.db.connection() as conn:
            changed = registrants.change_pin(conn, service.keyring, who(visit), pin, now=service.clock())
        if changed:
            visit.pin = pin
            call.say("pin_changed")
            return
        call.say("pin_common")
    raise call.give_up()


def test_call(call: Call, service: Service, visit: Visit) -> None:
    with service.db.connection() as conn:
        proof_id = registrants.prove_again(
            conn,
            service.keyring,
            who(visit),
            number=visit.number,
            prove_at=prove_at(service),
            now=service.clock(),
        )
    visit.proves(proof_id)
    call.say("call_comes")


def who(visit: Visit) -> int:
    if visit.registrant_id is None:
        raise LookupError("nobody has come back")
    return visit.registrant_id
