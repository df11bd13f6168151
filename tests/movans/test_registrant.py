"""What staff do for people who registered, as it is typed."""

from collections.abc import Callable

import psycopg

from tests.movans.conftest import Movans


def acts(shared: psycopg.Connection) -> list[tuple[str, int | None]]:
    return shared.execute("select what, registrant_id from staff_act order by id").fetchall()


def test_a_number_that_is_asked_for_is_on_record_whoever_has_it(
    movans: Movans, shared: psycopg.Connection, register: Callable[..., int]
):
    register("5735550142")
    ((registrant,),) = shared.execute("select id from registrant").fetchall()
    for number in ("573-555-0142", "573-555-0188"):
        movans("registrant", "show", says=f"{number}\n")
        assert "1 wrong PINs" in movans("registrant", "lift", says=f"{number}\n").stdout or number.endswith("88")
    assert acts(shared) == [
        ("looked up by number", registrant),
        ("lifted 0 refusals and 1 wrong PINs of a number", registrant),
        ("looked up by number •••-•••-••88, which is nobody's", None),
        ("lifted 0 refusals and 0 wrong PINs of a number •••-•••-••88, which is nobody's", None),
    ]


def test_a_pin_that_is_part_of_a_number_of_theirs_is_not_set(
    movans: Movans, shared: psycopg.Connection, register: Callable[..., int]
):
    register("5735550142")
    ((registrant,),) = shared.execute("select id from registrant").fetchall()
    for pin in ("0142", "0234"):
        assert "easy to guess" in movans("registrant", "pin", str(registrant), says=f"{pin}\n{pin}\n").stderr
    assert acts(shared) == []
    assert "is set" in movans("registrant", "pin", str(registrant), says="1470\n1470\n").stdout
    assert acts(shared) == [("set a new PIN", registrant)]
