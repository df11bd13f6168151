"""The notification call: who calls, what happened, the PIN. The call that proves a telephone is one without news."""

import logging
from collections.abc import Callable
from datetime import timedelta

from agi import spelling
from agi.call import UNUSABLE, Back, Call, GaveUp
from agi.channel import Hangup, MissingSound
from agi.service import Service
from db import attempts, notifications, proofs, registrants
from db.notifications import News
from db.pool import Unreachable
from prompts import spoken
from prompts.catalogue import Catalogue, Utterance
from prompts.sounds import NoVoice

log = logging.getLogger(__name__)

APOLOGY = timedelta(seconds=75)  # the dialplan's limit on a call in which only the apology is still heard, and a margin


def notify(call: Call, service: Service, attempt_id: int) -> None:
    """Tell what waits for this telephone and ask for the PIN; the right one confirms what was heard to its end."""
    call.sorry = "apology_notify"
    with service.db.connection() as conn:
        telephone = attempts.answered(conn, attempt_id, now=service.clock())
        if telephone is None:
            return  # this call comes too late: another may be on its way, and this one says and confirms nothing
        news = notifications.waiting(conn, attempt_id)
        to_prove, unproven = proofs.waiting(conn, telephone)
        language = attempts.language(conn, attempt_id)
    call.speak(service.catalogue(language))
    if not news and not to_prove:
        call.say_all("no_longer_needed")
        return
    call.farewell = ["will_call_again", "goodbye"] if news else ["not_proven", "goodbye"]
    try:
        told = Telling(call, service, attempt_id, news, telephone, unproven=unproven).until_pin()
        if told is not None:
            confirm(call, service, attempt_id, *told)
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
    """Says the news and asks for the PIN, which may come at any moment; what was cut short is said afterwards.

    What may not be said to whoever picks up is said once the PIN has told who that is: where a registrant chose so, or
    their telephone is not proven yet.
    """

    def __init__(
        self, call: Call, service: Service, attempt_id: int, news: list[News], telephone: bytes, *, unproven: bool
    ) -> None:
        self.call, self.service, self.attempt_id, self.news, self.telephone = call, service, attempt_id, news, telephone
        self.unproven = unproven
        self.heard: set[int] = set()
        self.registrant_id = 0
        self.only_pin = False  # after a wrong PIN the news is not said again, unless it is asked for

    def until_pin(self) -> tuple[int, list[int]] | None:
        """Who answered, and the events that they heard; None where it is nobody who asked for this.

        Raises GaveUp after three wrong or missing PINs.
        """
        self.call.say("who_calls" if self.news else "who_proves")
        if not self.ask_pin():
            return None
        theirs = [item for item in self.news if self.registrant_id in item.registrant_ids]
        for item in theirs:
            if item.event_id not in self.heard:
                tell(self.call, self.service, item, self.call.say_all)
        return self.registrant_id, [item.event_id for item in theirs]

    def ask_pin(self) -> bool:
        """Until the right PIN; False where whoever picked up did not ask for this."""
        for _ in range(UNUSABLE):
            try:
                self.call.ask(self.question, exactly=4, check=self.check)
            except Back:  # there is nothing to go back to
                if self.is_not_wanted():
                    return False
                continue
            return True
        raise self.call.give_up()

    def question(self) -> None:
        if not self.only_pin:
            for item in self.news:
                if item.openly and tell(self.call, self.service, item, self.call.say):
                    self.heard.add(item.event_id)
            if not self.news:
                self.call.say("proof")
            elif not all(item.openly for item in self.news):
                self.call.say("news_after_pin")
            if self.unproven:
                self.call.say("not_you")
        self.only_pin = False
        self.call.say("ask_your_pin")

    def check(self, pin: str) -> str | None:
        with self.service.db.connection() as conn:
            found = registrants.find(conn, self.service.keyring, [self.telephone], pin)
        self.only_pin = found is None
        self.registrant_id = found or 0
        return None if found else "wrong_pin"

    def is_not_wanted(self) -> bool:
        """Somebody says that they did not ask for this; asked once more, because it ends what is not proven."""
        if not self.call.choose("ask_not_you", {"9": True, "1": False}):
            return False
        with self.service.db.connection() as conn:
            all_ended = proofs.refuse(conn, self.telephone, now=self.service.clock())
        log.warning("attempt %s: who was called says that they did not ask for it", self.attempt_id)
        self.call.say_all("not_you_ended" if all_ended else "not_you_told")
        self.call.say_all("goodbye")
        return True


def confirm(call: Call, service: Service, attempt_id: int, registrant_id: int, heard: list[int]) -> None:
    with service.db.connection() as conn:
        ended = attempts.confirm(conn, attempt_id, registrant_id, heard, now=service.clock())
    if ended is None:
        call.say_all("not_noted")
    elif ended.notifications or (ended.proofs and not heard):
        log.info("attempt %s: confirmed", attempt_id)
        call.say_all("confirmed" if heard else "proven")
    else:
        call.say_all("nothing_to_confirm")
    call.say_all("goodbye")


def tell(call: Call, service: Service, item: News, say: Callable[..., bool]) -> bool:
    """Say one piece of news; spell it where no voice speaks. True if all of it was heard."""
    prompt, values = sentence(service, item, call.catalogue)
    try:
        return say(prompt, **values)
    except (NoVoice, MissingSound) as error:
        log.error("%s: spelled: %s", prompt, error)
        return all(say(prompt) for prompt in spelling.news(item))


def sentence(service: Service, item: News, catalogue: Catalogue) -> tuple[str, dict[str, str]]:
    """The prompt for a piece of news and what it asks for, of all that is known; with the place, if there is one."""
    language, prompt = catalogue.language, f"news_{item.kind}"
    if item.place and f"{prompt}_at_place" in catalogue.wanted:
        prompt = f"{prompt}_at_place"
    name = spoken.person(item.first_name, item.last_name, language)
    when = service.say_when(item.effective_at, language)
    status = f"status_{item.status.replace(' ', '_')}"
    known = {
        "name": name,
        "facility": item.facility,
        "when": when,
        "status": catalogue.utter(status, name=name, facility=item.facility, since=when).words,
        "place": item.place,
    }
    if item.planned_at:
        known["planned"] = service.say_when(item.planned_at, language)
        known["day"] = service.say_day(service.local_day(item.planned_at), language)
    return prompt, {asked: said for asked, said in known.items() if asked in catalogue.wanted[prompt]}


def utterances(service: Service, news: list[News], catalogue: Catalogue) -> list[Utterance]:
    sentences = [sentence(service, item, catalogue) for item in news]
    return [catalogue.utter(prompt, **values) for prompt, values in sentences]
