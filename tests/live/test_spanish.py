"""The main job in Spanish, on a line that speaks two languages."""

import os
from collections.abc import Iterator

import pytest

from tests.live.conversation import Telephone
from tests.live.line import Line
from tests.live.registered import ARRESTED, JAIL, NUMBER, PIN, RELEASED, states, without

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts the service, whose parts run as users of their own")

SILENCE = 3.5  # seconds of silence that a caller may hear, and half a second in which a sound is recognised


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    with Line(["en", "es"]) as running:
        yield running


def row(status: str, at: str) -> str:
    return f"boone,700100,PEREZ,JUAN,1990-07-31,{JAIL},{status},{at}"


def test_a_caller_chooses_spanish_registers_is_called_in_spanish_and_the_pin_ends_it(line: Line, phone: Telephone):
    since, when = (line.said_when(at, "es") for at in (ARRESTED, RELEASED))
    line.expects("status_in_custody", "es", name="Juan Perez", since=since, facility=JAIL)
    line.expects("news_released", "es", name="Juan Perez", when=when, facility=JAIL)
    line.imports(row("in custody", ARRESTED))
    with phone.calls("668267") as call:
        call.hears("en/choose_language", "es/choose_language").presses("2")
        call.hears("es/welcome", "es/in_danger", "es/not_alone", "es/menu", within=15).presses("2")
        call.hears("es/ask_offender").presses("700100#").hears("Juan Perez está bajo custodia")
        call.hears("es/status_menu", within=30).presses("1").hears("es/ask_about").presses("3")
        call.hears("es/ask_phone").presses(f"{NUMBER}#")
        call.hears("es/you_entered").hears_digits(NUMBER).hears("es/is_it_right").presses("1")
        call.hears("es/ask_direct").presses("1").hears("es/ask_pin").presses(PIN).hears("es/ask_pin_again").presses(PIN)
        call.hears("es/ask_pin_first").presses("1").hears("es/proof_comes", "es/what_will_happen", within=30)
        call.hears("es/never_told", "es/another_menu", within=30).is_never_silent().hangs_up()
    with phone.is_called() as call:
        call.hears("es/who_proves", "es/proof").hears("es/ask_your_pin", within=40).presses(PIN)
        call.hears("es/proven", "es/goodbye").is_hung_up()
    line.imports(row("released", RELEASED))
    with phone.is_called() as call:
        call.hears("es/who_calls").hears("es/custody_line", "Juan Perez salió en libertad").hears(
            "es/ask_your_pin", within=20
        )
        call.presses(PIN).hears("es/confirmed", "es/goodbye").is_hung_up()
        call.is_never_silent()
    assert states(line, "700100") == ["confirmed"]


def test_the_server_is_killed_in_mid_call_and_the_apology_is_in_spanish(line: Line, phone: Telephone):
    with phone.calls("668267") as call:
        call.hears("en/choose_language").presses("2").hears("es/welcome")
        killed = line.kill("serve")
        call.hears("es/apology", within=SILENCE).is_hung_up(within=40)
    line.is_up_again("serve", killed)


def test_with_no_server_the_apology_is_in_the_first_language(line: Line, phone: Telephone):
    with without(line, "serve"), phone.calls("668267") as call:
        call.hears("en/apology", within=SILENCE)
