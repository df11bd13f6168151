"""The language of a call: chosen by callers, remembered for registrants, and known to the dialplan."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from agi import legs
from agi.channel import KEYS
from agi.hotline import hotline
from agi.notify import notify
from agi.service import Service
from db import attempts
from db.custody import Offender
from prompts.catalogue import Catalogue, Utterance
from tests.conftest import NOON, TRUNKS
from tests.flow.conftest import Silence
from tests.flow.telephone import Caller
from tests.flow.test_hotline import registrations
from tests.flow.test_legs import Leg

ENGLISH, SPANISH = "for English, press 1", "para español, oprima el 2"


@pytest.fixture
def ringing_in_spanish(
    smith: Offender, register: Callable[..., None], happens: Callable[..., int], ring: Callable[[], int]
) -> int:
    register(smith, language="es")
    happens(smith, "released")
    return ring()


@pytest.mark.usefixtures("smith")
def test_a_caller_chooses_spanish_hears_where_the_offender_is_and_registers(
    caller: Caller, bilingual: Service, conn: psycopg.Connection
):
    caller.hears(ENGLISH).hears(SPANISH).presses("2")
    caller.hears("le damos la bienvenida a MOVANS").hears("marque el 9 1 1").hears("plan de seguridad")
    caller.hears("oprima el 2").presses("2")
    caller.hears("marque el número de identificación").presses("100234#")
    caller.hears(
        "John Smith está bajo custodia en Boone County Jail, desde el martes tres de noviembre, a las dos y cinco de la"
        " tarde"
    )
    caller.hears("nos informaron el viernes veinte de noviembre, al mediodía")
    caller.hears("para que le llamemos").presses("1").hears("sobre las dos cosas, el 3").presses("3")
    caller.hears("empiece con el código de área").presses("5735550142#").hears("usted marcó")
    for digit in ["cinco", "siete", "tres", "cinco", "cinco", "cinco", "cero", "uno", "cuatro", "dos"]:
        caller.hears(digit)
    caller.hears("si está bien").presses("1").hears("contesta ese teléfono directamente").presses("1")
    caller.hears("cuatro números").presses("2580").hears("otra vez").presses("2580")
    caller.hears("primero pidamos su PIN").presses("1")
    caller.hears("su registro está listo. Le avisaremos sobre John Smith").hears("le llamaremos desde el 8 6 6")
    caller.hears("no le diremos a la persona detenida").hears("solo cuelgue").hangs_up()
    assert caller.calls(hotline, bilingual) == "hung up"
    assert registrations(conn) == 1
    assert conn.execute("select language from registrant").fetchall() == [("es",)]
    assert caller.dialplan == "es"


def test_a_registrant_is_called_in_the_language_of_the_registration(
    caller: Caller, bilingual: Service, conn: psycopg.Connection, ringing_in_spanish: int
):
    caller.hears("le llama MOVANS")
    caller.hears("John Smith salió en libertad de Boone County Jail el viernes veinte de noviembre, al mediodía.")
    caller.hears("marque ahora su PIN").presses("1111").hears("no es el PIN correcto")
    caller.hears("marque ahora su PIN").presses("2580").hears("queda confirmado").hears("adiós")
    assert caller.calls(notify, bilingual, ringing_in_spanish) == "over"
    assert conn.execute("select state from notification").fetchall() == [("confirmed",)]
    assert caller.dialplan == "es"


def test_what_is_prepared_while_it_rings_is_what_will_be_said(
    caller: Caller, bilingual: Service, conn: psycopg.Connection, smith: Offender, register: Callable[..., None],
    happens: Callable[..., int],
):  # fmt: skip
    class Prepared(Silence):
        def __init__(self) -> None:
            self.words: list[str] = []

        def prepare(self, utterances: Iterable[Utterance]) -> None:
            self.words += [utterance.words for utterance in utterances]

    class Answered(Leg):
        def dial(self, *_: object, **__: object) -> bool:
            caller.hears(sounds.words[0]).presses("2580").hears("queda confirmado")
            caller.calls(notify, bilingual, attempt)
            return True

    register(smith, language="es")
    happens(smith, "released")
    (attempt,) = attempts.claim(conn, trunks=TRUNKS, host="here", begin_within=timedelta(seconds=20), now=NOON)
    sounds = Prepared()
    legs.dial(Answered("ANSWER", "SIP 200 OK"), replace(bilingual, sounds=sounds), attempt)  # type: ignore[arg-type]
    assert conn.execute("select outcome from call_attempt").fetchone() == ("confirmed",)


def test_two_registrants_of_one_telephone_are_called_in_the_language_of_the_one_who_is_called(
    caller: Caller, bilingual: Service, smith: Offender, register: Callable[..., None], happens: Callable[..., int],
    ring: Callable[[], int], conn: psycopg.Connection,
):  # fmt: skip
    register(smith, "1470", language="es")
    register(smith, "2580", language="en")
    happens(smith, "released")
    attempt = ring()
    called = conn.execute(
        """select language from call_attempt a join telephone t on t.id = telephone_id
           join registrant r on r.id = registrant_id"""
    ).fetchone()
    caller.hears("MOVANS").presses("1470").hears("John Smith").hears("")
    caller.calls(notify, bilingual, attempt)
    assert called == (caller.dialplan,)
    assert len([words for words in caller.heard if "John Smith" in words]) == 1


def test_a_language_that_is_spoken_no_more_is_replaced_by_the_first(
    caller: Caller, service: Service, ringing_in_spanish: int
):
    caller.hears("this is MOVANS").hears("John Smith was released from the Boone County Jail on Friday, November")
    caller.hears("PIN now").presses("2580").hears("confirmed")
    caller.calls(notify, service, ringing_in_spanish)


def test_the_apology_of_a_call_to_somebody_who_speaks_spanish_is_in_spanish(
    caller: Caller, bilingual: Service, ringing_in_spanish: int
):
    caller.no_voice = True
    caller.hears("le llama MOVANS").presses("2580").hears("volveremos a llamar")
    assert caller.calls(notify, bilingual, ringing_in_spanish) == "over"


@pytest.mark.parametrize("keys", ["", "1", "7", "9", "#"])
def test_who_chooses_nothing_or_what_is_not_offered_is_spoken_to_in_the_first_language(
    keys: str, caller: Caller, bilingual: Service
):
    caller.hears(SPANISH).presses(keys).hears("welcome to MOVANS").hangs_up()
    caller.calls(hotline, bilingual)
    assert caller.dialplan == "en"


def test_the_question_can_be_heard_again_and_a_person_asked_for(caller: Caller, bilingual: Service):
    caller.hears(SPANISH).presses("*").hears(ENGLISH).hears(SPANISH).presses("0").hears("to reach a person, call")
    caller.hears(ENGLISH).hears(SPANISH).presses("2").hears("le damos la bienvenida").hangs_up()
    caller.calls(hotline, bilingual)


@pytest.mark.usefixtures("smith")
def test_who_knows_the_way_keys_everything_at_once_and_waits_for_nothing(caller: Caller, bilingual: Service):
    caller.hears(ENGLISH).presses("22100234#13").hears("empiece con el código de área").hangs_up()
    caller.calls(hotline, bilingual)
    assert [words.split()[0] for words in caller.heard] == ["For", "Le", "Marque", "John", "¿Qué", "Marque"]


def test_each_language_says_its_own_choice_in_its_own_voice_with_a_sound_built_in_advance(bilingual: Service):
    class Ear(Caller):
        played: list[Utterance]

        def play(self, utterance: Utterance, keys: str = KEYS) -> str:
            self.played = [*getattr(self, "played", []), utterance]
            return super().play(utterance, keys)

    ear = Ear(bilingual.catalogue())
    ear.hears("welcome").hangs_up()
    ear.calls(hotline, bilingual)
    assert [(one.language, one.prompt) for one in ear.played] == [
        ("en", "choose_language"), ("es", "choose_language"), ("en", "welcome"),
    ]  # fmt: skip


def test_where_one_language_is_set_nobody_is_asked(caller: Caller, service: Service):
    caller.hears("welcome").hangs_up()
    caller.calls(hotline, service)
    assert len(caller.heard) == 1


def test_the_first_language_is_the_one_that_the_settings_name_first(
    caller: Caller, service: Service, catalogues: dict[str, Catalogue]
):
    spanish_first = replace(service, catalogues={language: catalogues[language] for language in ("es", "en")})
    caller.hears("para español").hears("for English").hears("le damos la bienvenida").hangs_up()
    caller.calls(hotline, spanish_first)


@pytest.mark.parametrize(
    ("keys", "says", "kept"),
    [("1", "we speak English", "en"), ("2", "le hablamos en español", "es"), ("9", "una llamada de prueba", "es")],
)
def test_who_has_come_back_changes_the_language_or_leaves_it(
    keys: str, says: str, kept: str, caller: Caller, bilingual: Service, conn: psycopg.Connection, smith: Offender,
    register: Callable[..., None],
):  # fmt: skip
    register(smith, language="es")
    changes_language(caller).presses(keys).hears(says).hangs_up()
    caller.calls(hotline, bilingual)
    assert conn.execute("select language from registrant").fetchall() == [(kept,)]
    assert caller.dialplan == kept


@pytest.mark.parametrize("keys", ["", "7"])
def test_silence_and_other_keys_change_no_language(
    keys: str, caller: Caller, bilingual: Service, conn: psycopg.Connection, smith: Offender, register
):
    register(smith, language="es")
    changes_language(caller).presses(keys).hears(ENGLISH).hears(SPANISH).presses(keys)
    caller.hears(ENGLISH).hears(SPANISH).presses(keys).hears("adiós")
    assert caller.calls(hotline, bilingual) == "gave up"
    assert conn.execute("select language from registrant").fetchall() == [("es",)]


def changes_language(caller: Caller) -> Caller:
    caller.hears(SPANISH).presses("2").hears("oprima el 4").presses("4").hears("que nos dejó").presses("5735550142#")
    caller.hears("su PIN de cuatro números").presses("2580").hears("oprima el 4").presses("4")
    return caller.hears("cambiar de idioma, oprima el 4").presses("4").hears(ENGLISH).hears(SPANISH)
