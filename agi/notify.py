"""The notification call: who calls, what happened, the PIN. The call that proves a telephone is one without news."""

import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from psycopg import Connection

from agi import spelling
from agi.call import UNUSABLE, Back, Call, GaveUp
from agi.channel import Hangup, MissingSound
from agi.person import reach_person
from agi.service import Service
from db import attempts, notifications, proofs, registrants
from db.custody import Custody
from db.journal import Confirmation
from db.notifications import News
from db.numbers import NO_SUCH_NUMBER
from db.pool import Unreachable
from db.registrants import Candidate
from prompts import spoken
from prompts.catalogue import Catalogue, Utterance
from prompts.sounds import NoVoice

log = logging.getLogger(__name__)

TELLINGS = 2  # to somebody who presses nothing
SENTENCE = timedelta(seconds=30)  # of the longest call, for each sentence of news: some last 16 s, and are heard twice
LISTENINGS = 8  # of about four seconds each: what talks longer than a greeting is spoken over
APOLOGY = timedelta(seconds=75)  # the dialplan's limit on a call in which only the apology is still heard, and a margin


def notify(call: Call, service: Service, attempt_id: int) -> None:
    """Tell what waits for this telephone and ask for the PIN; the right one confirms what was heard to its end."""
    call.sorry = "apology_notify"
    with service.db.connection() as conn:
        answered = attempts.answered(conn, attempt_id, now=service.clock())
        if answered is None:
            return  # this call comes too late: another may be on its way, and this one says and confirms nothing
        telephone = answered.telephone
        candidates = registrants.candidates(conn, [telephone])
        news = notifications.waiting(conn, attempt_id, now=service.clock())
        to_prove, unproven = proofs.waiting(conn, telephone)
    call.speak(service.catalogue(answered.language))
    if not news and not to_prove:
        call.say_all("no_longer_needed")
        return
    call.farewell = ["will_call_again", "goodbye"] if news else ["not_proven", "goodbye"]
    telling = Telling(
        call, service, attempt_id, news, telephone, candidates, deadline=answered.deadline, unproven=unproven
    )
    call.reach_person = telling.reach_person
    try:
        told = telling.until_pin()
        if told is not None:
            confirm(call, service, attempt_id, telling.deadline, *told, more=telling.more)
    except (Hangup, GaveUp):
        raise
    except Exception as error:
        # Whatever it was, it was our side: said to the person, and called again as soon as this call is over.
        log.exception("attempt %s: broke off", attempt_id)
        noted = broke_off(service, attempt_id, error)
        call.say_all("apology_notify")
        if not noted:  # the database was away, and may be back
            broke_off(service, attempt_id, error)
    finally:
        telling.note(lambda conn: attempts.note_heard(conn, attempt_id, until=service.clock()))


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
        self,
        call: Call,
        service: Service,
        attempt_id: int,
        news: list[News],
        telephone: bytes,
        candidates: list[Candidate],
        *,
        deadline: datetime,
        unproven: bool,
    ) -> None:
        self.call, self.service, self.attempt_id, self.telephone = call, service, attempt_id, telephone
        self.deadline = deadline  # from then on this call counts as lost
        self.waiting, self.news = news, for_one_call(service, news)
        self.more = False  # whether whoever answered has more news than one call can tell
        self.candidates = candidates  # read when the call was answered: a PIN is known also while the database is away
        self.unproven = unproven
        self.heard: set[int] = set()
        self.registrant_id = 0
        self.only_pin = False  # after a wrong PIN the news is not said again, unless it is asked for
        self.wrong_pins = 0  # in the whole call
        self.on_machines = service.settings.calls.machine_message

    def until_pin(self) -> tuple[int, list[int]] | None:
        """Who answered, and the events that they heard; None where it is nobody who asked for this.

        Raises GaveUp after three wrong PINs, or where nobody presses a key.
        """
        if self.is_machine() and not self.is_somebody_there():
            self.call.farewell = [] if self.on_machines == "none" else ["goodbye"]
            raise self.call.give_up()
        if not self.ask_pin():
            return None
        theirs = [item for item in self.waiting if self.registrant_id in item.registrant_ids]
        told = for_one_call(self.service, theirs)
        self.more = len(told) < len(theirs)
        for item in told:
            if item.event_id not in self.heard:
                tell(self.call, self.service, item, self.call.say_all)
        return self.registrant_id, [item.event_id for item in told]

    def is_machine(self) -> bool:
        """Say who calls, whatever picked up. People fall silent when they are spoken to; a machine talks on."""
        talks_on = self.call.listen("who_calls" if self.news else "who_proves") or self.call.listen()
        if self.call.channel.heard_special_tones():
            talks_on = True
            self.note(lambda conn: attempts.note_refusal(conn, self.attempt_id, NO_SUCH_NUMBER))
        self.note_answered_by("machine" if talks_on else "person" if self.call.key_waits else "unknown")
        return talks_on

    def is_somebody_there(self) -> bool:
        """Wait for the end of a machine's greeting, leave a message, and ask for the PIN all the same.

        It may be a person after all: nobody waits in silence, unless nothing may be left on machines, and any key leads
        on as if nothing else had been thought.
        """
        if self.on_machines != "none":
            for _ in range(LISTENINGS):
                if not self.call.listen():
                    break
                self.call.say("press_any_key")
            self.leave_message()
            self.call.say("ask_your_pin")
        if not self.call.key_comes():
            return False
        self.note_answered_by("person")
        return True

    def leave_message(self) -> None:
        """As the settings say. It counts as told to no one."""
        if not self.news:
            return
        if self.on_machines == "full" and all(item.openly for item in self.news):
            self.call.say("who_calls")
            self.call.say("custody_line")
            for item in self.news:
                tell(self.call, self.service, item, self.call.say)
        # Who calls back where there are several languages is asked for one first.
        self.call.say("machine_callback" if len(self.service.catalogues) == 1 else "machine_callback_languages")

    def reach_person(self) -> None:
        """As on the hotline. Where the attempt cannot be kept alive meanwhile, the person's number is said."""
        try:
            reach_person(self.call, self.service, self.lasts)
        except Unreachable as error:
            log.warning("attempt %s: nobody was rung: %s", self.attempt_id, type(error).__name__)
            self.call.say_number()

    def lasts(self, time: timedelta) -> None:
        """The call may go on for so long. Raises GaveUp where it counts as lost already, and another is on its way."""
        now = self.service.clock()
        with self.service.db.connection() as conn:
            if not attempts.goes_on(conn, self.attempt_id, until=now + time + APOLOGY, now=now):
                raise GaveUp
        self.deadline = now + time + APOLOGY

    def note_answered_by(self, who: str) -> None:
        self.note(lambda conn: attempts.note_answered_by(conn, self.attempt_id, who))

    def note(self, write: Callable[[Connection], None]) -> None:
        """Keep something of the call that is good to know; where that cannot be kept, the call goes on."""
        try:
            with self.service.db.connection() as conn:
                write(conn)
        except Unreachable as error:
            log.warning("attempt %s: not noted: %s", self.attempt_id, type(error).__name__)

    def ask_pin(self) -> bool:
        """Until the right PIN; False where whoever picked up did not ask for this."""
        for _ in range(UNUSABLE):
            try:
                self.call.ask(self.question, exactly=4, check=self.check, silences=TELLINGS)
            except Back:  # there is nothing to go back to
                if self.is_not_wanted():
                    self.end_unwanted()
                    return False
                continue
            return True
        raise self.call.give_up()

    def question(self) -> None:
        if not self.only_pin:
            if any(item.openly for item in self.news):
                self.call.say("custody_line")
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
        """Whose PIN it is. Raises Back where it is 9s alone, GaveUp at the third wrong one of the call."""
        if pin == "99":
            raise Back  # it may be the beginning of a PIN, so it is asked once more, as one 9 is
        self.only_pin = True
        if len(pin) < 4:
            return "too_few_digits"
        keyring = self.service.keyring
        found = registrants.whose(keyring, self.candidates, pin)
        self.registrant_id = found.id if found else 0
        if found is None:
            self.note(lambda conn: attempts.count_wrong_pin(conn, self.attempt_id, now=self.service.clock()))
            self.wrong_pins += 1
            if self.wrong_pins == UNUSABLE:
                raise self.call.give_up()
        elif found.pin_key_id != keyring.newest:
            self.note(lambda conn: registrants.use_newest_key(conn, keyring, found.id, pin))
        return None if found else "wrong_pin"

    def is_not_wanted(self) -> bool:
        """Somebody says that they did not ask for this; asked once more, because it ends what is not proven."""
        return self.call.choose("ask_not_you", {"9": True, "1": False})

    def end_unwanted(self) -> None:
        with self.service.db.connection() as conn:
            all_ended = proofs.refuse(conn, self.telephone, now=self.service.clock())
        log.warning("attempt %s: who was called says that they did not ask for it", self.attempt_id)
        self.call.say_all("not_you_ended" if all_ended else "not_you_told")
        self.call.say_all("goodbye")


def for_one_call(service: Service, news: list[News]) -> list[News]:
    """The first of these, as many as can be told and confirmed before the longest call is over; at least one."""
    room = service.settings.calls.longest // SENTENCE
    told: list[News] = []
    for item in news:
        room -= 1 + len(item.earlier) + (item.present is not None)
        if told and room < 0:
            break
        told.append(item)
    return told


def confirm(
    call: Call,
    service: Service,
    attempt_id: int,
    deadline: datetime,
    registrant_id: int,
    heard: list[int],
    *,
    more: bool = False,
) -> None:
    """Note it on this host's disk, then in the database, and thank for it, also where only the disk was there."""
    now = service.clock()
    if now >= deadline:
        return  # this process was stopped for long: another call is on its way, and this one says and confirms nothing
    confirmation = Confirmation(attempt_id, registrant_id, heard, now)
    try:
        kept = service.journal.write(confirmation)
    except OSError as error:
        log.error("attempt %s: not noted: %s", attempt_id, os.strerror(error.errno or 0))
        broke_off(service, attempt_id, error)
        call.say_all("not_noted")
    else:
        call.say_all(noted(service, confirmation, kept))
        if more:
            call.say_all("more_news")
    call.say_all("goodbye")


def noted(service: Service, confirmation: Confirmation, kept: Path) -> str:
    """What the caller is told of a confirmation that is in the journal."""
    told = "confirmed" if confirmation.event_ids else "proven"
    try:
        ended = service.journal.note(service.db, confirmation, kept)
    except Unreachable as error:
        log.warning("attempt %s: confirmed in the journal: %s", confirmation.attempt_id, type(error).__name__)
        return told
    if ended.notifications or (ended.proofs and not confirmation.event_ids):
        log.info("attempt %s: confirmed", confirmation.attempt_id)
        return told
    return "nothing_to_confirm"


def tell(call: Call, service: Service, item: News, say: Callable[..., bool]) -> bool:
    """Say one piece of news, after what was superseded unheard and before what holds now. True if all was heard."""
    parts: list[Callable[[], bool]] = [lambda: tell_event(call, service, item, say)]
    if item.earlier:
        before = [partial(tell_event, call, service, one, say) for one in item.earlier]
        parts = [lambda: say("earlier_news"), *before, lambda: say("latest_news"), *parts]
    if item.present:
        parts += [lambda: say("came_late"), partial(tell_present, call, service, item, item.present, say)]
    return all(part() for part in parts)


def tell_event(call: Call, service: Service, item: News, say: Callable[..., bool]) -> bool:
    """Say what happened, and whether that is certain; spell it where no voice speaks."""
    prompt, values = sentence(service, item, call.catalogue)
    try:
        told = say(prompt, **values)
    except (NoVoice, MissingSound) as error:
        log.error("%s: spelled: %s", prompt, error)
        told = all(say(prompt) for prompt in spelling.news(item, past=is_past(service, item, call.catalogue)))
    return told and (not item.reported or say("not_yet_confirmed"))


def tell_present(call: Call, service: Service, item: News, present: Custody, say: Callable[..., bool]) -> bool:
    prompt, known = status(service, item, present, call.language)
    try:
        return say(prompt, **known)
    except (NoVoice, MissingSound) as error:
        log.error("%s: spelled: %s", prompt, error)
        return all(say(prompt) for prompt in spelling.status(item.last_name, present.status))


def status(service: Service, item: News, present: Custody, language: str) -> tuple[str, dict[str, str]]:
    """The prompt for what holds now, and its values."""
    return f"status_{present.status.replace(' ', '_')}", {
        "name": spoken.person(item.first_name, item.last_name, language),
        "facility": present.facility,
        "since": service.say_when(present.since, language),
    }


def sentence(service: Service, item: News, catalogue: Catalogue) -> tuple[str, dict[str, str]]:
    """The prompt for a piece of news and what it asks for, of all that is known; with the place, if there is one.

    Of what was to come and whose time is over by now, or of which nothing is known, it is the one that says so.
    """
    language, prompt = catalogue.language, f"news_{item.kind}"
    if is_past(service, item, catalogue):
        prompt = f"{prompt}_past"
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


def is_past(service: Service, item: News, catalogue: Catalogue) -> bool:
    """Whether what was to come has its time behind it: the day, where no more than that is said; or nothing is."""
    prompt = f"news_{item.kind}"
    if f"{prompt}_past" not in catalogue.wanted:
        return False
    if item.planned_at is None:
        return True
    now = service.clock()
    if "planned" in catalogue.wanted[prompt]:
        return item.planned_at < now
    return service.local_day(item.planned_at) < service.local_day(now)


def utterances(service: Service, news: list[News], catalogue: Catalogue) -> list[Utterance]:
    """All that telling these takes a voice for."""
    made: list[Utterance] = []
    for item in news:
        sentences = [sentence(service, one, catalogue) for one in (*item.earlier, item)]
        if item.present:
            sentences.append(status(service, item, item.present, catalogue.language))
        made += [catalogue.utter(prompt, **values) for prompt, values in sentences]
    return made
