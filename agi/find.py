"""Finding an offender, by number, by court case or by name, and telling what is known of them."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from agi import freshness, spelling
from agi.call import UNUSABLE, Back, Call
from agi.channel import MissingSound
from agi.service import Service
from db import lookup
from db.custody import Offender
from db.lookup import Found
from db.names import WHOLE, name_keys
from prompts import spoken
from prompts.sounds import NoVoice

log = logging.getLogger(__name__)

CHOICES = 5  # more offenders than this are not read out
LONGEST_NAME = 40  # keys
OLDEST = 1900  # year of birth

Sentence = tuple[str, dict[str, str]]  # a prompt and its values


@dataclass(frozen=True)
class Name:
    """What was keyed in of a name: the keys of its letters, and perhaps the year of birth."""

    last: str
    first: str
    year: int | None = None

    def may_mean(self, last: str, first: str = "") -> bool:
        keys = name_keys(last, first)
        return any(ours.startswith(self.last) and theirs.startswith(self.first) for ours, theirs in keys)


def by_number(call: Call, service: Service) -> Offender:
    while True:
        people = ask_number(call, service, "ask_offender", "nobody_found", lookup.by_number)
        if len(people) == 1:
            return people[0]  # the number says who it is
        if person := pick(call, service, people):
            return person


def by_case(call: Call, service: Service) -> Offender:
    while True:
        people = ask_number(call, service, "ask_case", "nobody_in_case", lookup.by_case)
        if person := pick(call, service, people):
            return person


def by_name(call: Call, service: Service) -> Offender:
    """Ask for a name until it is one person's; after three that nobody has, how to reach a person. Raises Back."""
    nobody = 0
    while nobody < UNUSABLE:
        keyed = ask_name(call, service)
        found = look(service, keyed)
        if not found.people and not found.more:
            nobody += 1
            call.say("nobody_named")
        elif person := narrow_down(call, service, keyed, found):
            return person
    call.say("operator")
    raise Back


def narrow_down(call: Call, service: Service, keyed: Name, found: Found) -> Offender | None:
    """Offer those who were found, and ask for more where they are too many; None: another name is to be asked for."""
    says = "too_many_named"
    while True:
        if found.people and (person := pick(call, service, found.people, keyed)):
            return person
        if not found.more:
            return None
        call.say(says)
        ask_more = call.choose("narrow_menu", {"1": ask_more_letters, "2": ask_year, "3": None})
        if ask_more is None:
            return None
        try:
            narrower = ask_more(call, service, keyed)
        except Back:
            found, says = Found([], more=True), "too_many_named"
            continue
        left = look(service, narrower)
        if left.people or left.more:
            keyed, found, says = narrower, left, "still_too_many"
        else:
            found, says = Found([], more=True), "nobody_left"


def look(service: Service, keyed: Name) -> Found:
    with service.db.connection() as conn:
        return lookup.by_name(conn, keyed.last, keyed.first, keyed.year, most=CHOICES)


def ask_number(
    call: Call, service: Service, question: str, nobody: str, look_up: Callable[..., Found]
) -> list[Offender]:
    """Who has the number that is keyed in: at least one, and not too many."""
    people: list[Offender] = []

    def check(keys: str) -> str | None:
        with service.db.connection() as conn:
            found = look_up(conn, keys, most=CHOICES)
        people[:] = found.people
        if found.more:
            return "too_many_found"
        return None if people else nobody

    call.ask(question, check=check)
    return people


def ask_name(call: Call, service: Service) -> Name:
    def check(keys: str) -> str | None:
        wrong = no_letters(keys)
        if wrong or len(keys) >= WHOLE:
            return wrong
        with service.db.connection() as conn:
            return None if lookup.is_last_name(conn, keys) else "last_name_too_short"

    while True:
        last = call.ask("ask_last_name", most=LONGEST_NAME, check=check)
        try:
            return Name(last, call.ask("ask_first_name", most=LONGEST_NAME, check=no_letters, blank=True))
        except Back:
            call.say("nine_alone")


def ask_more_letters(call: Call, _: Service, keyed: Name) -> Name:
    return replace(keyed, first=call.ask("ask_more_letters", most=LONGEST_NAME, check=no_letters))


def ask_year(call: Call, service: Service, keyed: Name) -> Name:
    def check(digits: str) -> str | None:
        return None if OLDEST <= int(digits) <= service.today().year else "no_such_year"

    return replace(keyed, year=int(call.ask("ask_year", exactly=4, check=check)))


def no_letters(keys: str) -> str | None:
    return "no_letters" if set(keys) & set("01") else None


def pick(call: Call, service: Service, people: list[Offender], keyed: Name | None = None) -> Offender | None:
    """Read out who was found, to be confirmed or chosen by a key; None: it is none of them."""
    described = describe(call, service, people, keyed)
    if len(people) == 1:
        who, place = described[0]
        sentences: list[Sentence] = [("found_one", {"person": who, "place": place}), ("is_it_this_person", {})]
        choices: dict[str, Offender | None] = {"1": people[0], "2": None}
    else:
        sentences = [("several_found", {})]
        for key, (who, place) in enumerate(described, start=1):
            sentences.append(("offered", {"person": who, "place": place, "key": str(key)}))
        sentences.append(("none_of_these", {}))
        choices = {str(key): one for key, one in enumerate(people, start=1)} | {"9": None}

    def question() -> None:
        try:
            say_each(call, service, sentences)
        except (NoVoice, MissingSound) as error:  # nobody can say who it is
            log.error("who was found is not said: %s", error)
            call.say("cannot_say")
            raise Back from None

    return call.choose(question, choices)


def describe(call: Call, service: Service, people: list[Offender], keyed: Name | None) -> list[tuple[str, str]]:
    """Who each of them is and where; with the agency, and then the number, where some would sound alike."""
    said = [(describe_person(call, service, one, keyed), one.facility) for one in people]
    for further in (lambda one: service.agency_name(one.agency), lambda one: spoken.digits(one.number)):
        said = [
            (who, f"{place}, {further(one)}" if said.count((who, place)) > 1 else place)
            for one, (who, place) in zip(people, said, strict=True)
        ]
    return said


def describe_person(call: Call, service: Service, one: Offender, keyed: Name | None) -> str:
    """The name, the other name that was keyed if it was, and the age if it is known."""
    said = name(call, one)
    if keyed and not keyed.may_mean(one.last_name, one.first_name):
        alias = spoken.person("", next(filter(keyed.may_mean, one.aliases), ""), call.language)
        said = call.catalogue.utter("known_as", person=said, alias=alias).words
    if one.birth_date:
        said = call.catalogue.utter("aged", person=said, age=str(age(one.birth_date, service.today()))).words
    return said


def age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def tell(call: Call, service: Service, offender: Offender) -> bool:
    """Say what is known, and more of the facility if that is asked for. True: the caller wants to be called."""
    wanted = say_and_ask(call, service, offender, say_custody)
    while wanted is None:
        wanted = say_and_ask(call, service, offender, say_facility)
    return wanted


def say_and_ask(
    call: Call, service: Service, offender: Offender, say: Callable[[Call, Service, Offender], None]
) -> bool | None:
    def question() -> None:
        say(call, service, offender)
        call.say("status_menu")

    return call.choose(question, {"1": True, "2": None, "3": False})


def say_custody(call: Call, service: Service, offender: Offender) -> None:
    """Say where the offender is and what is planned; without a voice, spell what built sounds can say of it."""
    try:
        say_each(call, service, list(custody_sentences(call, service, offender)))
    except (NoVoice, MissingSound) as error:
        log.error("the status is spelled: %s", error)
        for prompt in spelling.status(offender.last_name, offender.status):
            call.say(prompt)


def custody_sentences(call: Call, service: Service, offender: Offender) -> Iterator[Sentence]:
    """The most important first."""
    known = freshness.known(service, offender)
    since, facility = service.say_when(offender.since, call.language), offender.facility
    status = "status_" + offender.status.replace(" ", "_")
    yield status, {"name": name(call, offender), "since": since, "facility": facility}
    if offender.status not in ("in custody", "deceased"):
        yield "assume_free", {}
    elif offender.status == "in custody" and known.old:
        yield "old_news", {}
    if known.being_checked:
        yield "being_checked", {}
    release, court = offender.release_date, known.court
    if offender.status == "in custody" and release and release >= service.today():
        yield "release_planned", {"name": name(call, offender), "day": service.say_day(release, call.language)}
    if offender.status != "deceased" and court:
        when = service.say_when(court.at, call.language)
        if court.place:
            yield "court_at_place", {"when": when, "place": court.place}
        else:
            yield "court_at", {"when": when}
    yield "as_of", {"when": service.say_when(known.at, call.language)}


def say_facility(call: Call, service: Service, offender: Offender) -> None:
    agency = service.settings.agencies.get(offender.agency)
    known = agency and agency.facilities.get(offender.facility)
    if not known:
        call.say("facility_unknown")
        return
    sentences = [("facility", {"facility": offender.facility, "telephone": spoken.digits(known.telephone)})]
    if known.address:
        sentences.append(("facility_address", {"address": known.address}))
    try:
        say_each(call, service, sentences)
    except (NoVoice, MissingSound) as error:
        log.error("the facility's number is spelled: %s", error)
        call.say("facility_spelled")
        call.spell(known.telephone, 3, 6)


def say_each(call: Call, service: Service, sentences: list[Sentence]) -> None:
    """Say one after the other, and put the next into sound meanwhile. Raises NoVoice, MissingSound."""
    # The first as well: else the second might be put into sound before it.
    service.sounds.prepare(call.catalogue.utter(prompt, **values) for prompt, values in sentences)
    for prompt, values in sentences:
        call.say(prompt, **values)


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
