"""Finding offenders as callers key them in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import psycopg
import pytest

from db import custody, lookup
from db.custody import Custody, Details, Offender, Person
from tests.conftest import NOON

MOST = 5
HELD = Custody("in custody", "Boone County Jail", NOON)

Jail = Callable[..., Offender]


@pytest.fixture
def jail(conn: psycopg.Connection) -> Jail:
    """Take somebody in, "LAST, FIRST"; numbers are given as they come unless one is named."""
    taken: list[Offender] = []

    def add(name: str, number: str = "", *, agency: str = "boone", born: int | None = 1990, **details: object):
        last, _, first = name.partition(", ")
        person = Person(first, "", last, date(born, 7, 31) if born else None)
        number = number or f"N{len(taken)}"
        taken.append(custody.add(conn, agency, number, person, HELD, Details(**details), now=NOON))  # type: ignore[arg-type]
        return taken[-1]

    return add


def keyed(letters: str) -> str:
    return letters.translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999"))


@pytest.fixture
def by_name(conn: psycopg.Connection) -> Callable[..., list[str]]:
    """Key in some letters of last and first name; who is found, and "…" where there are more."""

    def look(last: str, first: str = "", year: int | None = None) -> list[str]:
        found = lookup.by_name(conn, keyed(last), keyed(first), year, most=MOST)
        return [f"{one.last_name}, {one.first_name}" for one in found.people] + ["…"] * found.more

    return look


ByName = Callable[..., list[str]]


def test_a_name_is_found_by_letters_of_last_and_first_name(jail: Jail, by_name: ByName):
    jail("SMITH, JOHN")
    for last, first in (("SMI", ""), ("SMITH", ""), ("SMITH", "J"), ("SMI", "JOHN"), ("SMITH", "JOHN")):
        assert by_name(last, first) == ["SMITH, JOHN"]
    for last, first in (("SMITHE", ""), ("SMITH", "JOHNN"), ("SMY", "JOHN"), ("MITH", "JOHN"), ("SMITH", "OHN")):
        assert by_name(last, first) == []


def test_q_lies_on_seven_and_z_on_nine(conn: psycopg.Connection, jail: Jail):
    jail("QUIZON, ZOE")
    assert lookup.by_name(conn, "7849", "96", most=MOST).people


@pytest.mark.parametrize("keyed_in", ["GARCIALOPEZ", "GARCIA", "LOPEZ", "LOPEZGARCIA", "LOPEZGAR", "GAR"])
def test_either_of_two_surnames_and_either_order_finds_a_person_once(keyed_in: str, jail: Jail, by_name: ByName):
    jail("GARCÍA-LÓPEZ, JOSÉ")
    assert by_name(keyed_in, "JOS") == ["GARCÍA-LÓPEZ, JOSÉ"]


@pytest.mark.parametrize("keyed_in", [("MUELLER", "CARL"), ("SHORTY", ""), ("KOWALSKI", "K"), ("SMITH", "JOHN")])
def test_aliases_are_found_like_names(keyed_in: tuple[str, str], jail: Jail, by_name: ByName):
    jail("SMITH, JOHN", aliases=("MUELLER, CARL", "SHORTY", "KOWALSKI, KARL PETER"))
    assert by_name(*keyed_in) == ["SMITH, JOHN"]


def test_more_than_can_be_told_are_not_told(jail: Jail, by_name: ByName):
    for number in range(MOST):
        jail(f"SMITH{'ABCDEFG'[number]}, JOHN")
    assert len(by_name("SMITH", "JOHN")) == MOST
    jail("SMITHSON, JOHN")
    assert by_name("SMITH", "JOHN") == ["…"]
    assert by_name("SMITHS", "JOHN") == ["SMITHSON, JOHN"]


def test_exact_matches_come_first(jail: Jail, by_name: ByName):
    for name in ("LEEDS, KIM", "LEE, KIMBERLY", "LEE, KIM"):
        jail(name)
    assert by_name("LEE", "KIM") == ["LEE, KIM", "LEE, KIMBERLY", "LEEDS, KIM"]


def test_of_too_many_those_are_told_of_whom_there_are_no_more_letters(jail: Jail, by_name: ByName):
    for name in ("LEE, KIM", "LEE, KIMBERLY", *["LEEDS, KIM"] * 4):
        jail(name)
    assert by_name("LEE", "KIM") == ["LEE, KIM", "LEE, KIMBERLY", "…"]
    for _ in range(4):
        jail("LEE, KIMBERLY")
    assert by_name("LEE", "KIM") == ["LEE, KIM", "…"]
    assert by_name("LEE", "KI") == ["…"]
    for _ in range(5):
        jail("LEE, KIM")
    assert by_name("LEE", "KIM") == ["…"]


def test_a_year_of_birth_narrows_it_down_to_those_of_that_year(jail: Jail, by_name: ByName):
    for born in (1988, 1989, 1990, 1990, 1991, 1992, None):
        jail("SMITH, JOHN", born=born)
    assert by_name("SMITH", "JOHN") == ["…"]
    assert by_name("SMITH", "", 1990) == ["SMITH, JOHN"] * 2
    assert by_name("SMI", "J", 1988) == ["SMITH, JOHN"]
    assert by_name("SMITH", "JOHN", 1993) == []


def test_a_last_name_of_two_letters_is_found_as_a_whole_only(conn: psycopg.Connection, jail: Jail, by_name: ByName):
    jail("NG, LINH")
    jail("NGUYEN, LINH")
    assert by_name("NG", "L") == ["NG, LINH"]
    assert by_name("NGU", "L") == ["NGUYEN, LINH"]
    assert lookup.is_last_name(conn, keyed("NG"))
    assert not lookup.is_last_name(conn, keyed("NGU"))


def test_people_with_many_names_do_not_hide_others(jail: Jail, by_name: ByName):
    for number in range(3):
        jail("SMITH, JOHN", aliases=tuple(f"SMITH, JOHN{chr(65 + at)}{'ABC'[number]}" for at in range(20)))
    jail("SMITHSON, JOHN")
    assert by_name("SMITH", "JOHN") == ["SMITH, JOHN"] * 3 + ["SMITHSON, JOHN"]


def test_a_corrected_name_is_found_and_the_wrong_one_no_longer(conn: psycopg.Connection, jail: Jail, by_name: ByName):
    smith = jail("SMITH, JOHN", aliases=("MUELLER, CARL",))
    corrected = replace(smith.person, last_name="SMYTHE", birth_date=date(1980, 1, 1))
    custody.update(conn, smith.id, corrected, HELD, now=NOON)
    assert by_name("SMYTHE", "", 1980) == ["SMYTHE, JOHN"]
    assert by_name("MUELLER", "", 1980) == ["SMYTHE, JOHN"]
    assert by_name("SMITH", "JOHN", 1990) == []
    custody.update(conn, smith.id, corrected, HELD, Details(aliases=("LEE, KIM",)), now=NOON)
    assert (by_name("MUELLER"), by_name("LEE")) == ([], ["SMYTHE, JOHN"])


def test_a_name_without_a_letter_that_can_be_keyed_is_kept_and_found_by_its_number(
    conn: psycopg.Connection, jail: Jail
):
    jail("张, 伟", "77")
    assert [one.last_name for one in lookup.by_number(conn, "77", most=MOST).people] == ["张"]


def numbers(found: lookup.Found) -> list[str]:
    return [f"{one.agency} {one.number}" for one in found.people] + ["…"] * found.more


def test_an_offender_or_a_booking_number_is_found_across_agencies(conn: psycopg.Connection, jail: Jail):
    jail("SMITH, JOHN", "A-12", agency="cole")
    jail("JONES, MARY", "77", booking_number="2.12")
    jail("BROWN, ANN", "212", booking_number="A 12")
    jail("WHITE, TOM", "78")
    assert numbers(lookup.by_number(conn, "212", most=MOST)) == ["boone 212", "boone 77", "cole A-12"]
    assert numbers(lookup.by_number(conn, "78", most=MOST)) == ["boone 78"]
    assert numbers(lookup.by_number(conn, "12", most=MOST)) == []


def test_more_of_one_number_than_can_be_told_are_not_told(conn: psycopg.Connection, jail: Jail):
    for number in range(MOST):
        jail("SMITH, JOHN", str(number), booking_number="B1", case_numbers=("C1",))
    assert len(lookup.by_number(conn, "21", most=MOST).people) == MOST
    jail("SMITH, JOHN", "B-1", case_numbers=("C1",))
    assert numbers(lookup.by_number(conn, "21", most=MOST)) == ["…"]
    assert len(lookup.by_case(conn, "21", most=MOST).people) == 0
    assert numbers(lookup.by_case(conn, "21", most=MOST)) == ["…"]


def test_a_court_case_number_is_found_letters_on_their_keys(conn: psycopg.Connection, jail: Jail):
    smith = jail("SMITH, JOHN", case_numbers=("19BU-CR01234-01", "20BA-CR00007"))
    jail("JONES, MARY", case_numbers=("20BA-CR00007",))
    assert numbers(lookup.by_case(conn, "1928270123401", most=MOST)) == ["boone N0"]
    assert numbers(lookup.by_case(conn, "20222700007", most=MOST)) == ["boone N0", "boone N1"]
    custody.update(conn, smith.id, smith.person, HELD, replace(smith.details, case_numbers=("1",)), now=NOON)
    assert numbers(lookup.by_case(conn, "1928270123401", most=MOST)) == []
    assert numbers(lookup.by_case(conn, "1", most=MOST)) == ["boone N0"]


def test_offenders_from_before_a_migration_are_found_once_they_were_made_searchable(
    conn: psycopg.Connection, jail: Jail, by_name: ByName
):
    for number in range(3):
        jail("SMITH, JOHN", str(number), case_numbers=("C1",))
    conn.execute("delete from offender_name; delete from offender_case; update offender set searchable = false")
    assert [custody.make_searchable(conn, most=2) for _ in range(3)] == [2, 1, 0]
    assert by_name("SMITH") == ["SMITH, JOHN"] * 3
    assert len(lookup.by_case(conn, "21", most=MOST).people) == 3
