"""The notification call: who calls, what happened, the PIN."""

import logging
from collections.abc import Callable
from datetime import timedelta

from agi import spelling
from agi.call import UNUSABLE, Back, Call, GaveUp
from agi.channel import Hangup, MissingSound
from agi.service import Service
from db import attempts, notifications, registrants
from db.notifications import News
from db.pool import Unreachable
from prompts import spoken
from prompts.catalogue import Utterance
from prompts.sounds import NoVoice

log = logging.getLogger(__name__)

APOLOGY = timedelta(seconds=75)  # the dialplan's limit on a call in which only the apology is still heard, and a margin


def notify(call: Call, service: Service, attempt_id: int) -> None:
    """Tell what waits for this telephone and ask for the PIN; the right one confirms what was heard to its end."""
    call.sorry = "apology_notify"
    with service.db.connection() as conn:
        telephone = attempts.answered(conn, attempt_id, now=service.clock())
        news = notifications.waiting(conn, attempt_id) if telephone else []
    if telephone is None:
        return  # this call comes too late: another may be on its way, and this one says and confirms nothing
    if not news:
        call.say_all("no_longer_needed")
        return
    call.farewell = ["will_call_again", "goodbye"]
    try:
        registrant_id, heard = Telling(call, service, news, telephone).until_pin()
        confirm(call, service, attempt_id, registrant_id, heard)
    except (Hangup, GaveUp):
        raise
    except Exception as error:
        # Whatever it was, it was our side: said to the person, and called again as soon as this call is over.
        log.exception("attempt %s: broke off", attempt_id)
        noted = broke_off(service, attempt_id, error)
        call.say_all("apology_notify")
        if not noted:  # the database was away, and may be back
            broke_off(service, attempt_id, error)


def broke_off(service: Service, attempt_id: int, error: Exception) -> bool:
    """Note that the call is lost, if that can be noted now."""
    try:
        with service.db.connection() as conn:
            why = f"broke off: {type(error).__name__}"
            attempts.broke_off(conn, attempt_id, why, over_within=APOLOGY, now=service.clock())
    except Unreachable:
        return False
    return True


class Telling:
    """Says the news and asks for the PIN, which may come at any moment; what was cut short is said afterwards."""

    def __init__(self, call: Call, service: Service, news: list[News], telephone: list[bytes]) -> None:
        self.call, self.service, self.news, self.telephone = call, service, news, telephone
        self.heard: set[int] = set()
        self.registrant_id = 0
        self.only_pin = False  # after a wrong PIN the news is not said again, unless it is asked for

    def until_pin(self) -> tuple[int, list[int]]:
        """Who answered, and the events that were heard. Raises GaveUp after three wrong or missing PINs."""
        self.call.say("who_calls")
        self.ask_pin()
        for item in self.news:
            if item.event_id not in self.heard:
                self.tell(item, self.call.say_all)
        return self.registrant_id, [item.event_id for item in self.news]

    def ask_pin(self) -> None:
        for _ in range(UNUSABLE):
            try:
                self.call.ask(self.question, exactly=4, check=self.check)
            except Back:
                continue  # there is nothing to go back to: the question is put again
            return
        raise self.call.give_up()

    def question(self) -> None:
        if not self.only_pin:
            for item in self.news:
                if self.tell(item, self.call.say):
                    self.heard.add(item.event_id)
        self.only_pin = False
        self.call.say("ask_your_pin")

    def tell(self, item: News, say: Callable[..., bool]) -> bool:
        """Say one piece of news; spell it where no voice speaks. True if all of it was heard."""
        try:
            return say(f"news_{item.kind}", **values(self.service, item))
        except (NoVoice, MissingSound) as error:
            log.error("news_%s: spelled: %s", item.kind, error)
            return all(say(prompt) for prompt in spelling.news(item))

    def check(self, pin: str) -> str | None:
        with self.service.db.connection() as conn:
            found = registrants.find(conn, self.service.keyring, self.telephone, pin)
        self.only_pin = found is None
        self.registrant_id = found or 0
        return None if found else "wrong_pin"


def confirm(call: Call, service: Service, attempt_id: int, registrant_id: int, heard: list[int]) -> None:
    with service.db.connection() as conn:
        ended = attempts.confirm(conn, attempt_id, registrant_id, heard, now=service.clock())
    if ended is None:
        call.say_all("not_noted")
    elif ended:
        log.info("attempt %s: confirmed", attempt_id)
        call.say_all("confirmed")
    else:
        call.say_all("nothing_to_confirm")
    call.say_all("goodbye")


def values(service: Service, item: News) -> dict[str, str]:
    return {
        "name": spoken.person(item.first_name, item.last_name),
        "facility": item.facility,
        "when": service.say_when(item.effective_at),
    }


def utterances(service: Service, news: list[News]) -> list[Utterance]:
    return [service.catalogue.utter(f"news_{item.kind}", **values(service, item)) for item in news]
