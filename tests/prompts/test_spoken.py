from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from prompts import spoken

CHICAGO = ZoneInfo("America/Chicago")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=CHICAGO)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("5735550142", "5 7 3, 5 5 5, 0 1 4 2"),
        ("(573) 555-0142", "5 7 3, 5 5 5, 0 1 4 2"),
        ("5550142", "5 5 5, 0 1 4 2"),
        ("100234", "1 0 0, 2 3 4"),
        ("12345", "1 2 3, 4 5"),
        ("1234", "1 2 3 4"),
        ("7", "7"),
        ("a-17", "A 1 7"),
        ("", ""),
    ],
)
def test_numbers_are_said_digit_by_digit_in_groups(number: str, said: str) -> None:
    assert spoken.digits(number) == said


def test_a_moment_is_said_with_its_day_and_time_in_the_services_zone() -> None:
    moment = datetime(2026, 11, 15, 15, 40, tzinfo=UTC)
    assert spoken.when(moment, CHICAGO, NOW) == "Sunday, November fifteenth, at nine forty in the morning"


def test_the_year_is_said_when_it_is_not_this_one() -> None:
    assert spoken.day(date(2025, 1, 1), date(2026, 1, 1)) == "Wednesday, January first, twenty twenty-five"
    assert spoken.day(date(2006, 7, 21), date(2026, 1, 1)) == "Friday, July twenty-first, two thousand six"
    moment = datetime(2027, 1, 3, 14, 0, tzinfo=CHICAGO)
    said = "Sunday, January third, twenty twenty-seven, at two o'clock in the afternoon"
    assert spoken.when(moment, CHICAGO, NOW) == said


def test_which_year_it_is_depends_on_the_zone() -> None:
    new_year_in_london = datetime(2027, 1, 1, 1, 0, tzinfo=UTC)
    said = "Thursday, December thirty-first, at seven o'clock in the evening"
    assert spoken.when(new_year_in_london, CHICAGO, new_year_in_london) == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (time(0, 0), "midnight"),
        (time(0, 1), "twelve oh one in the morning"),
        (time(5, 30), "five thirty in the morning"),
        (time(9, 0), "nine o'clock in the morning"),
        (time(9, 5), "nine oh five in the morning"),
        (time(11, 59), "eleven fifty nine in the morning"),
        (time(12, 0), "noon"),
        (time(12, 15), "twelve fifteen in the afternoon"),
        (time(17, 59), "five fifty nine in the afternoon"),
        (time(18, 0), "six o'clock in the evening"),
        (time(20, 20), "eight twenty in the evening"),
        (time(21, 45), "nine forty five at night"),
        (time(23, 0), "eleven o'clock at night"),
    ],
)
def test_times_are_said_as_people_say_them(at: time, said: str) -> None:
    assert spoken.clock(at) == said


def test_a_moment_in_spanish_is_said_with_its_article() -> None:
    moment = datetime(2026, 11, 15, 15, 40, tzinfo=UTC)
    said = "el domingo quince de noviembre, a las nueve y cuarenta de la mañana"
    assert spoken.when(moment, CHICAGO, NOW, "es") == said
    said = "el domingo tres de enero de dos mil veintisiete, al mediodía"
    assert spoken.when(datetime(2027, 1, 3, 12, 0, tzinfo=CHICAGO), CHICAGO, NOW, "es") == said


@pytest.mark.parametrize(
    ("that", "said"),
    [
        (date(2026, 1, 1), "el jueves primero de enero"),
        (date(2026, 2, 2), "el lunes dos de febrero"),
        (date(2026, 3, 16), "el lunes dieciséis de marzo"),
        (date(2026, 7, 21), "el martes veintiuno de julio"),
        (date(2026, 8, 22), "el sábado veintidós de agosto"),
        (date(2026, 12, 31), "el jueves treinta y uno de diciembre"),
        (date(1999, 5, 1), "el sábado primero de mayo de mil novecientos noventa y nueve"),
        (date(2000, 9, 30), "el sábado treinta de septiembre de dos mil"),
        (date(2031, 6, 4), "el miércoles cuatro de junio de dos mil treinta y uno"),
    ],
)
def test_spanish_dates(that: date, said: str) -> None:
    assert spoken.day(that, date(2026, 11, 22), "es") == said


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (time(0, 0), "a medianoche"),
        (time(0, 1), "a las doce y un minuto de la madrugada"),
        (time(1, 0), "a la una de la madrugada"),
        (time(5, 30), "a las cinco y media de la madrugada"),
        (time(6, 0), "a las seis de la mañana"),
        (time(9, 5), "a las nueve y cinco de la mañana"),
        (time(9, 40), "a las nueve y cuarenta de la mañana"),
        (time(11, 59), "a las once y cincuenta y nueve de la mañana"),
        (time(12, 0), "al mediodía"),
        (time(12, 15), "a las doce y cuarto de la tarde"),
        (time(13, 0), "a la una de la tarde"),
        (time(13, 22), "a la una y veintidós de la tarde"),
        (time(18, 59), "a las seis y cincuenta y nueve de la tarde"),
        (time(19, 0), "a las siete de la noche"),
        (time(21, 45), "a las nueve y cuarenta y cinco de la noche"),
        (time(23, 21), "a las once y veintiuno de la noche"),
    ],
)
def test_spanish_times(at: time, said: str) -> None:
    assert spoken.clock(at, "es") == said


def test_what_follows_a_name_is_said_in_the_language() -> None:
    assert spoken.person("JOHN Q JR", "SMITH", "es") == "John Q Smith Yúnior"
    assert spoken.person("JOSÉ", "NUÑEZ III", "es") == "José Nuñez tercero"
    assert spoken.person("MARIA SR", "DE LA CRUZ", "es") == "Maria De La Cruz Sénior"


@pytest.mark.parametrize("language", sorted(spoken.LANGUAGES))
def test_every_day_and_every_minute_can_be_said_in_every_language(language: str) -> None:
    days = {spoken.day(date.fromordinal(date(2026, 1, 1).toordinal() + n), NOW.date(), language) for n in range(365)}
    minutes = {spoken.clock(time(n // 60, n % 60), language) for n in range(24 * 60)}
    assert (len(days), len(minutes)) == (365, 24 * 60)


def test_a_time_without_a_zone_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="without its time zone"):
        spoken.when(datetime(2026, 11, 15, 9, 40), CHICAGO, NOW)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("JOHN", "SMITH", "John Smith"),
        ("JOHN Q JR", "SMITH", "John Q Smith Junior"),
        ("JOHN Q.", "SMITH, JR.", "John Q Smith Junior"),
        ("", "SMITH, JOHN Q JR", "John Q Smith Junior"),
        ("ROBERT", "MILLER III", "Robert Miller the third"),
        ("john", "smith", "John Smith"),
        ("DeShawn", "McBride", "DeShawn McBride"),
        ("SEAN", "O'BRIEN-MCCOY", "Sean O'Brien-McCoy"),
        ("MARIA", "DE LA CRUZ", "Maria De La Cruz"),
        ("JOSÉ", "NUÑEZ", "José Nuñez"),
        ("TJ", "NG", "T J Ng"),
        ("  JO   ANN ", "LEE", "Jo Ann Lee"),
        ("JOHN_[[x]] <b>", "DOE", "John X B Doe"),
        ("", "UNKNOWN", "Unknown"),
        ("", "", ""),
    ],
)
def test_names_come_out_as_names(first: str, last: str, said: str) -> None:
    assert spoken.person(first, last) == said
