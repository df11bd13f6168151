"""The database's kinds of events and statuses, the settings of a file, and the words for them belong together."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pytest

from agi import spelling
from agi.hotline import hotline
from agi.notify import is_past, utterances
from agi.service import Service
from db.custody import Offender
from db.notifications import News
from feed.compare import KINDS, MISSING
from feed.custody_csv import STATUSES
from prompts.catalogue import Catalogue
from tests.conftest import NOON
from tests.db import DAY
from tests.flow.telephone import Caller
from tests.prompts.test_languages import SHIPPED


@pytest.mark.parametrize("status", [*STATUSES, MISSING])
def test_every_status_is_said(status: str, caller: Caller, service: Service, jail: Callable[..., Offender]):
    jail("100234", "JOHN", "SMITH", status=status)
    caller.hears("press 2").presses("2").hears("offender number").presses("100234#")
    caller.hears("Boone County Jail").hears("this is what we were told").hears("to be called").hangs_up()
    assert caller.calls(hotline, service) == "hung up"


@pytest.mark.parametrize("status", [*STATUSES, MISSING])
def test_every_status_is_said_without_a_voice_too(
    status: str, caller: Caller, service: Service, jail: Callable[..., Offender]
):
    caller.no_voice = True
    jail("100234", "JOHN", "SMITH", status=status)
    caller.hears("press 2").presses("2").hears("offender number").presses("100234#").hears("We spell it")
    caller.hears("assume that this person is free").hears("to be called").hangs_up()
    assert caller.calls(hotline, service) == "hung up"
    said = service.catalogue().utter(f"status_{status.replace(' ', '_')}_spelled").words
    assert f"S M I T H {said} To be safe, assume that this person is free." in " ".join(caller.heard)


@pytest.mark.parametrize("language", SHIPPED)
@pytest.mark.parametrize("place", ["", "Division 3"], ids=["somewhere", "at a place"])
def test_every_kind_of_event_that_is_told_has_its_words(
    language: str, place: str, conn: psycopg.Connection, service: Service
):
    """So a new kind is a row of event_kind and its prompts."""
    catalogue = Catalogue.load(
        language, service="MOVANS", number="8665550182", operator="5735550100", crisis="8005550199"
    )
    told = [kind for (kind,) in conn.execute("select kind from event_kind where class <> 'untold'")]
    assert set(KINDS.values()) <= set(told)
    news = [
        News(1, kind, "JOHN", "SMITH", "Boone County Jail", NOON, planned_at=NOON + DAY, place=place) for kind in told
    ]
    assert all("John Smith" in utterance.words for utterance in utterances(service, news, catalogue))
    over = [replace(item, planned_at=NOON - 2 * DAY) for item in news]
    assert all("John Smith" in utterance.words for utterance in utterances(service, over, catalogue))
    spelled = {prompt for item in news for prompt in spelling.news(item)}
    spelled |= {prompt for item in over for prompt in spelling.news(item, past=is_past(service, item, catalogue))}
    assert len(spelled) > len(news)
    assert spelled <= set(catalogue.fixed())


@pytest.mark.parametrize(("language", "free", "why"), [("en", "releas", "not told why"), ("es", "libertad", "por qué")])
def test_who_is_no_longer_listed_is_never_said_to_be_released(
    language: str, free: str, why: str, catalogues: dict[str, Catalogue], service: Service
):
    catalogue = catalogues[language]
    item = News(1, "no_longer_listed", "JOHN", "SMITH", "Boone County Jail", NOON, status=MISSING)
    (told,) = utterances(service, [item], catalogue)
    spelled = [catalogue.utter(f"{prompt}_no_longer_listed_spelled").words for prompt in ("news", "status")]
    for words in (told.words, *spelled):
        assert free not in words
        assert why in words


HEARING_DAY = "Saturday, November twenty-first"
HEARING = f"{HEARING_DAY}, at noon"


@pytest.mark.parametrize(
    ("kind", "place", "said"),
    [
        ("court_scheduled", "", f"A court date for John Smith is set for {HEARING}."),
        ("court_scheduled", "Division 3", f"A court date for John Smith is set for {HEARING}, at Division 3."),
        ("court_moved", "Division 3", f"A court date of John Smith has changed. It is now {HEARING}, at Division 3."),
        ("court_cancelled", "", f"The court date of John Smith on {HEARING} is cancelled."),
        (
            "corrected_court",
            "",
            (
                "What we told you before about a court date of John Smith was wrong. The next court date that we know"
                f" of is {HEARING}."
            ),
        ),
        ("parole_hearing", "Division 3", f"A parole hearing for John Smith is set for {HEARING}."),
        (
            "release_planned",
            "",
            f"John Smith is due to be released from the Boone County Jail on {HEARING_DAY}. That day can change.",
        ),
        (
            "corrected",
            "",
            (
                "What we told you before about John Smith was wrong. This is right. John Smith is in custody at the "
                "Boone County Jail, since Friday, November twentieth, at noon."
            ),
        ),
    ],
)
def test_what_is_to_come_is_told_with_its_time_and_its_place_where_that_is_known(
    kind: str, place: str, said: str, service: Service
):
    news = News(1, kind, "JOHN", "SMITH", "Boone County Jail", NOON, planned_at=NOON + DAY, place=place)
    (utterance,) = utterances(service, [news], service.catalogue())
    assert utterance.words == said


@pytest.mark.parametrize(
    ("language", "kind", "at", "said"),
    [
        (
            "en", "release_date_changed", NOON + DAY,
            (
                "The release date of John Smith has changed. This person is now due to be released from the Boone"
                " County Jail on Saturday, November twenty-first. That day can change again."
            ),
        ),
        (
            "en", "release_date_changed", NOON - DAY,
            (
                "The release date of John Smith had changed. This person was then due to be released from the Boone"
                " County Jail on Thursday, November nineteenth."
            ),
        ),
        (
            "es", "release_planned", NOON + DAY,
            (
                "Está previsto que John Smith salga en libertad de Boone County Jail el sábado veintiuno de noviembre."
                " Esa fecha puede cambiar."
            ),
        ),
        (
            "es", "release_date_changed", NOON + DAY,
            (
                "Cambió la fecha de salida de John Smith. Ahora está previsto que salga en libertad de Boone County"
                " Jail el sábado veintiuno de noviembre. Esa fecha puede cambiar otra vez."
            ),
        ),
    ],
)  # fmt: skip
def test_a_day_of_release_is_told_in_each_language(
    language: str, kind: str, at: datetime, said: str, service: Service, catalogues: dict[str, Catalogue]
):
    news = News(1, kind, "JOHN", "SMITH", "Boone County Jail", NOON, planned_at=at)
    (utterance,) = utterances(service, [news], catalogues[language])
    assert utterance.words == said


MORNING = NOON - timedelta(hours=4)
TODAY = "Friday, November twentieth"
WAS = f"{TODAY}, at eight o'clock in the morning"
YESTERDAY = NOON - timedelta(days=1)


@pytest.mark.parametrize(
    ("kind", "at", "place", "said", "spelled"),
    [
        ("court_scheduled", MORNING, "", f"A court date for John Smith was set for {WAS}.", "had a court date set,"),
        (
            "court_scheduled", MORNING, "Division 3",
            f"A court date for John Smith was set for {WAS}, at Division 3.", "had a court date set,",
        ),
        (
            "court_moved", MORNING, "",
            f"A court date of John Smith had changed. It was then set for {WAS}.", "That time is over.",
        ),
        (
            "court_cancelled", MORNING, "",
            f"A court date of John Smith that was set for {WAS} was cancelled.", "had a court date that was cancelled.",
        ),
        (
            "release_planned", YESTERDAY, "",
            "John Smith was due to be released from the Boone County Jail on Thursday, November nineteenth.",
            "was due to be released",
        ),
        (
            "release_planned", MORNING, "",  # the same day
            f"John Smith is due to be released from the Boone County Jail on {TODAY}. That day can change.",
            "is due to be released",
        ),
    ],
)  # fmt: skip
def test_what_was_to_come_and_is_over_when_the_call_is_made_is_told_as_history(
    kind: str, at: datetime, place: str, said: str, spelled: str, service: Service
):
    news = News(1, kind, "JOHN", "SMITH", "Boone County Jail", NOON, planned_at=at, place=place)
    catalogue = service.catalogue()
    (utterance,) = utterances(service, [news], catalogue)
    assert utterance.words == said
    prompts = spelling.news(news, past=is_past(service, news, catalogue))
    assert spelled in " ".join(catalogue.utter(prompt).words for prompt in prompts)


def test_every_letter_and_digit_has_its_sound(service: Service):
    assert len(spelling.SPELLED) == 36
    assert set(spelling.letters(spelling.SPELLED)) <= set(service.catalogue().fixed())


@pytest.mark.parametrize(
    ("last_name", "said"),
    [
        ("SMITH", "We spell it. S M I T H"),
        ("O'Brien-Núñez", "We spell it. O B R I E N N U N E Z"),
        ("GROß", "We spell it. G R O S S"),
        ("DOE, JOHN Q JR", "We spell it. D O E"),
        ("DOE 3RD", "We spell it. D O E three R D"),
        ("李", "This person"),
        ("", "This person"),
    ],
)
def test_a_name_is_spelled_from_built_sounds(last_name: str, said: str, service: Service):
    prompts = [service.catalogue().utter(prompt) for prompt in spelling.person(last_name)]
    assert all(utterance.prompt for utterance in prompts)
    assert " ".join(utterance.words for utterance in prompts).removeprefix("We cannot say the name now. ") == said
