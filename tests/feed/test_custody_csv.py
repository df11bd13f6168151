"""Files as they come: every mistake is named by file and row, all at once, and nothing of the file is believed."""

import io
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from db.custody import Custody, Details, Person
from feed.checking import opened, read
from feed.records import File, Refused
from tests.feed.conftest import HEADER, row, rules

COLUMNS = "agency,offender_number,last_name,first_name,date_of_birth,facility,status,changed_at"
GOOD = f"{COLUMNS}\nboone,100234,SMITH,JOHN,1990-07-31,Boone County Jail,released,2026-11-15 09:40\n"


def reading(text: str | bytes) -> File:
    return read("jail.csv", io.BytesIO(text if isinstance(text, bytes) else text.encode()), rules())


def mistakes(text: str | bytes) -> list[str]:
    with pytest.raises(Refused) as refused:
        reading(text)
    assert str(refused.value) == "\n".join(refused.value.mistakes)
    return refused.value.mistakes


def changed(before: str, after: str) -> str:
    assert before in GOOD
    return GOOD.replace(before, after)


def test_a_row_says_who_where_and_since_when():
    record = reading(GOOD).custody[0]
    assert (record.row, record.agency, record.number, record.event_id) == (2, "boone", "100234", "")
    assert record.person == Person("JOHN", "", "SMITH", date(1990, 7, 31))
    assert record.custody == Custody("released", "Boone County Jail", datetime(2026, 11, 15, 15, 40, tzinfo=UTC))


GOOD_FILES: dict[str, str | bytes] = {
    "a byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "Windows line ends": GOOD.replace("\n", "\r\n"),
    "line ends of an old Mac": GOOD.replace("\n", "\r"),
    "no line end at the end": GOOD.rstrip("\n"),
    "blank lines": GOOD.replace("\n", "\n\n ,,,,,,,\n"),
    "blanks around cells": GOOD.replace(",", " , "),
    "a blank that does not break": changed("Boone County Jail", "Boone\u00a0County Jail"),
    "a line end in a cell": changed("Boone County Jail", '"Boone County\nJail"'),
    "capitals in header and status": changed(COLUMNS, COLUMNS.upper()).replace("released", "Released"),
    "quotes": changed("Boone County Jail", '"Boone County Jail"'),
    "seconds and a T": changed("2026-11-15 09:40", "2026-11-15T09:40:00"),
    "a zone of its own": changed("2026-11-15 09:40", "2026-11-15T15:40Z"),
    "another zone": changed("2026-11-15 09:40", "2026-11-15 10:40-05:00"),
}


@pytest.mark.parametrize("text", GOOD_FILES.values(), ids=GOOD_FILES)
def test_what_spreadsheets_and_systems_do_to_a_file_does_it_no_harm(text: str | bytes):
    (record,), (plain,) = reading(text).custody, reading(GOOD).custody
    assert (record.person, record.custody, record.number) == (plain.person, plain.custody, plain.number)


def test_columns_come_in_any_order_and_some_may_be_left_out():
    header = "event_id,status,changed_at,middle_name,first_name,last_name,facility,date_of_birth,offender_number,agency"
    text = f"{header}\nE7,escaped,2026-11-15 09:40,Q,JOHN,SMITH,Boone County Jail,,100234,boone\n"
    record = reading(text).custody[0]
    assert record.person == Person("JOHN", "Q", "SMITH", None)
    assert (record.event_id, record.custody.status) == ("E7", "escaped")


@pytest.mark.parametrize("number", ["1", "00", "99", "W9", "12345-67890 12345.6789/A"])
def test_a_number_that_can_be_keyed_in_is_accepted(number: str):
    assert reading(changed("100234", number)).custody[0].number == number


def test_names_keep_their_letters():
    assert reading(changed("SMITH", "MÜLLER-O’BRIEN")).custody[0].person.last_name == "MÜLLER-O’BRIEN"


def test_a_row_number_counts_what_a_spreadsheet_counts():
    text = GOOD + "\n" + row(number="2", facility='"Boone\nJail"').rsplit(",", 1)[0] + "\n" + "x\n"
    assert mistakes(text) == ["jail.csv, row 5: has too few columns (1, not 8); is a comma wrong, or a quote missing?"]


BAD_ROWS = {
    "a wrong day": ("1990-07-31", "1990-02-30", "row 2: date_of_birth '1990-02-30' must be a date like 1990-07-31"),
    "a day written another way": ("1990-07-31", "7/31/1990", "row 2: date_of_birth '7/31/1990' must be a date like"),
    "a birth to come": ("1990-07-31", "2027-01-01", "row 2: date_of_birth 2027-01-01 is in the future; correct it"),
    "a birth in the middle ages": ("1990-07-31", "0990-07-31", "row 2: date_of_birth '0990-07-31' must be a date"),
    "no time": ("2026-11-15 09:40", "", "row 2: changed_at is empty: it must be a time like 2026-11-15 09:40"),
    "a date without a time": ("2026-11-15 09:40", "2026-11-15", "row 2: changed_at '2026-11-15' must be a time like"),
    "a wrong time": ("09:40", "25:40", "row 2: changed_at '2026-11-15 25:40' must be a time like 2026-11-15 09:40"),
    "a time with am": ("09:40", "9:40 AM", "row 2: changed_at '2026-11-15 9:40 AM' must be a time like"),
    "a year with a slip": ("2026-11-15", "0206-11-15", "row 2: changed_at '0206-11-15 09:40' must be a time like"),
    "a time before the birth": (
        "2026-11-15",
        "1985-11-15",
        "changed_at '1985-11-15 09:40' is before date_of_birth 1990-07-31; correct one of them",
    ),
    "a time to come": ("2026-11-15", "2026-12-15", "changed_at '2026-12-15 09:40' is in the future; correct it or"),
    "the end of time": ("2026-11-15", "9999-12-31", "row 2: changed_at '9999-12-31 09:40' is in the future"),
    "the beginning of time": ("2026-11-15 09:40", "0001-01-01 00:00+14:00", "changed_at '0001-01-01 00:00+14:00' must"),
    "an unknown status": ("released", "free", "row 2: status 'free' must be one of in custody, released, escaped,"),
    "no status": ("released", "", "row 2: status is empty: it must be one of in custody, released"),
    "an unknown agency": ("boone,", "bone,", "agency 'bone' is not in the settings; known are boone, cole; correct it"),
    "no agency": ("boone,", ",", "row 2: agency '' is not in the settings; known are boone, cole"),
    "a number of no digit": ("100234", "NONE", "row 2: offender_number 'NONE' must be made of letters and digits"),
    "a number that cannot be keyed": ("100234", "100*34", "row 2: offender_number '100*34' must be made of letters"),
    "a number too long to be keyed": (
        "100234",
        "A-12345 67890.12345/67890",
        "has more than 20 letters and digits, whi",
    ),
    "a number that asks for a person": ("100234", "0", "row 2: offender_number '0' cannot be keyed in: 0 and 9 alone"),
    "a number that goes back": ("100234", "-9-", "row 2: offender_number '-9-' cannot be keyed in: 0 and 9 alone"),
    "digits of another alphabet": ("100234", "١٢٣", "row 2: offender_number '١٢٣' must be made of letters"),
    "no number": ("100234", "", "row 2: offender_number is empty: it must be made of letters and digits"),
    "no name": ("SMITH", "", "row 2: last_name is empty: it must not be empty"),
    "no facility": ("Boone County Jail", "", "row 2: facility is empty: it must not be empty"),
    "a name without end": ("SMITH", "SMITH" * 99, "row 2: last_name is longer than 80 characters; shorten it"),
    "a time without end": ("09:40", "09:40" * 99, "row 2: changed_at is longer than 80 characters; shorten it"),
    "an unseen sign": ("SMITH", "SMI\u200bTH", "row 2: last_name holds a sign that cannot be seen; type it anew"),
    "a nought": ("SMITH", "SMI\0TH", "row 2: last_name holds a sign that cannot be seen; type it anew"),
    "too many columns": ("SMITH", "SMITH,JR", "row 2: has too many columns (9, not 8); is a comma wrong"),
    "too few columns": ("SMITH,", "", "row 2: has too few columns (7, not 8); is a comma wrong, or a quote missing?"),
    "a quote that is not closed": ("SMITH", '"SMITH', "row 2: is not CSV (unexpected end of data); is a quote missing"),
    "a quote within a quote": ("SMITH", '"SM"ITH"', "row 2: is not CSV (',' expected after '\"'); is a quote missing"),
    "a cell without end": ("SMITH", '"' + "SMITH\n" * 30000, "row 2: is not CSV (field larger than field limit"),
}


@pytest.mark.parametrize(("before", "after", "sentence"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_wrong_row_is_named_with_what_is_wrong_and_what_to_do(before: str, after: str, sentence: str):
    (mistake,) = mistakes(changed(before, after))
    assert mistake.startswith("jail.csv, row 2: ")
    assert sentence in mistake


BAD_HEADERS = {
    "a missing column": ("facility,", "", ["the column facility is missing"]),
    "an unknown column": ("facility,", "prison,", ["the column facility is missing", "no column named 'prison'"]),
    "a column twice": ("last_name,first", "last_name,last_name,first", ["the column last_name stands there twice"]),
    "a column without a name": ("changed_at", "changed_at,", ["column 9 has no name"]),
}


@pytest.mark.parametrize(("before", "after", "sentences"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_a_wrong_header_is_named_with_the_columns_that_there_are(before: str, after: str, sentences: list[str]):
    found = mistakes(changed(before, after))
    assert len(found) == len(sentences)
    for mistake, sentence in zip(found, sentences, strict=True):
        assert mistake.startswith("jail.csv, row 1: ")
        assert sentence in mistake
        assert "the columns are agency, offender_number, last_name" in mistake


BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", f"jail.csv: is empty; its first line must be {COLUMNS}"),
    "a byte order mark alone": (b"\xef\xbb\xbf", "jail.csv: is empty; its first line must be "),
    "blank lines alone": ("\n \n,,\n", "jail.csv: is empty; its first line must be "),
    "semicolons": (
        GOOD.replace(",", ";"),
        "jail.csv, row 1: has one column; is it separated by semicolons? Save the file as CSV, with commas",
    ),
    "tabs": (GOOD.replace(",", "\t"), "jail.csv, row 1: has one column; is it separated by tabs? Save the file as CSV"),
    "noughts": (b"\0" * 100, "jail.csv, row 1: holds NUL signs; is it no text, or in another encoding, as utf-16?"),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), "jail.csv, row 1: holds NUL signs; is it no text, or in"),
    "Latin-1": (changed("SMITH", "MÜLLER").encode("latin-1"), "jail.csv, line 2: is not UTF-8 text; save the file as"),
    "UTF-16": (GOOD.encode("utf-16"), "jail.csv, line 1: is not UTF-8 text; save the file as CSV UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "jail.csv, line 1: is not UTF-8 text; save the file as CSV UTF-8"),
}


@pytest.mark.parametrize(("text", "sentence"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_none_is_named(text: str | bytes, sentence: str):
    (mistake,) = mistakes(text)
    assert mistake.startswith(sentence)


def a_directory(where: Path) -> Path:
    return where


def a_pipe(where: Path) -> Path:
    os.mkfifo(where / "pipe")
    return where / "pipe"


def a_missing_file(where: Path) -> Path:
    return where / "custody.csv"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (a_directory, "{}: is a directory; name a file in it"),
        (a_pipe, "{}: is no file; write what it holds to one"),
        (a_missing_file, "{}: cannot be read (No such file or directory); check its name and its rights"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_path(place: Callable[[Path], Path], sentence: str, tmp_path: Path):
    path = place(tmp_path)
    with pytest.raises(Refused) as refused:
        opened(path)
    assert refused.value.mistakes == [sentence.format(path)]


def test_two_rows_that_contradict_each_other_are_named_both():
    text = HEADER + row("in custody") + row(number="100561") + row("released")
    assert mistakes(text) == [
        "jail.csv, row 4: contradicts row 2 about boone 100234 at the same time; correct or remove one of them"
    ]


def test_the_same_moment_in_two_zones_is_the_same_time():
    text = HEADER + row("in custody", "2026-11-03 14:05") + row("released", "2026-11-03T20:05Z")
    assert "contradicts row 2" in mistakes(text)[0]


@pytest.mark.parametrize("other", [row(facility="Boone County Annex"), row(last_name="SMYTH"), row(event_id="E7")])
def test_rows_of_one_time_must_agree_in_everything(other: str):
    assert "row 3: contradicts row 2" in mistakes(HEADER + row() + other)[0]


def test_identical_rows_are_counted_and_ignored():
    found = reading(HEADER + row() + row() + row(number="100561") + row())
    assert ([record.row for record in found.custody], found.repeated) == ([2, 4], 2)


def test_the_same_number_at_two_agencies_is_two_people():
    assert len(reading(HEADER + row() + row("released", agency="cole")).custody) == 2


def test_one_event_id_for_two_things_is_a_mistake():
    text = HEADER + row(event_id="E7") + row("released", "2026-11-04 08:00", event_id="E7") + row(number="5")
    assert mistakes(text) == [
        (
            "jail.csv, row 3: event_id 'E7' stands in row 2 too, which says something else;"
            " give each event an id of its own"
        )
    ]


def test_an_event_id_may_be_another_agencys_too():
    assert len(reading(HEADER + row(event_id="E7") + row(agency="cole", event_id="E7")).custody) == 2


def test_all_mistakes_of_a_file_are_named_at_once():
    text = (
        HEADER + row("free", "yesterday") + row() + row(agency="bone", at="2027-01-01 00:00") + "x\n" + row("escaped")
    )
    found = mistakes(text)
    assert [mistake.split(":")[0] for mistake in found] == [f"jail.csv, row {number}" for number in (2, 2, 4, 4, 5, 6)]
    for mistake, word in zip(found, ("status", "changed_at", "agency", "future", "few", "contradicts"), strict=True):
        assert word in mistake


@pytest.mark.parametrize(
    ("at", "utc"),
    [
        ("2026-07-01 12:00", "17:00"),  # summer time
        ("2026-01-01 12:00", "18:00"),
        ("2026-11-01 01:30", "06:30"),  # comes twice that night: the first
        ("2026-03-08 02:30", "08:30"),  # never comes that night: of a clock that was not put forward
    ],
)
def test_a_time_without_a_zone_is_in_the_settings_zone(at: str, utc: str):
    assert reading(changed("2026-11-15 09:40", at)).custody[0].custody.since.strftime("%H:%M") == utc


def test_a_clock_that_is_a_little_ahead_is_forgiven():
    assert reading(changed("2026-11-15 09:40", "2026-11-20 12:09")).custody
    assert "is in the future" in mistakes(changed("2026-11-15 09:40", "2026-11-20 12:11"))[0]


def detailed(**cells: str) -> str:
    """The good row, with a column for each of the cells."""
    header, row, _ = GOOD.split("\n")
    quoted = ",".join(f'"{cell}"' for cell in cells.values())
    return f"{header},{','.join(cells)}\n{row},{quoted}\n"


def details(**cells: str) -> dict[str, object]:
    return reading(detailed(**cells)).custody[0].details


def test_details_are_read_where_they_have_a_column():
    assert details(
        booking_number="2026-0031",
        aliases="SMYTHE, JON;SHORTY ; SMITH, JACK LEE",
        case_numbers="26BA-CR00123-01; 4:26-cr-00077",
        release_date="2027-02-01",
        court_at="2026-12-04 09:30",
        court_place="Boone County Courthouse, Division 3",
    ) == {
        "booking_number": "2026-0031",
        "aliases": ("SMYTHE, JON", "SHORTY", "SMITH, JACK LEE"),
        "case_numbers": ("26BA-CR00123-01", "4:26-cr-00077"),
        "release_date": date(2027, 2, 1),
        "court_at": datetime(2026, 12, 4, 15, 30, tzinfo=UTC),
        "court_place": "Boone County Courthouse, Division 3",
    }


def test_an_empty_cell_says_that_there_is_none_and_a_column_that_is_left_out_says_nothing():
    assert reading(GOOD).custody[0].details == {}
    assert details(aliases="", case_numbers=" ; ", release_date="", court_at="") == {
        "aliases": (),
        "case_numbers": (),
        "release_date": None,
        "court_at": None,
    }
    known = Details("B1", ("LEE, KIM",), (), date(2027, 2, 1), None, "Annex")
    record = reading(detailed(booking_number="", case_numbers="C1")).custody[0]
    assert record.details_after(known) == Details("", ("LEE, KIM",), ("C1",), date(2027, 2, 1), None, "Annex")


def test_what_stands_there_twice_is_kept_once():
    assert details(aliases="LEE, KIM;LEE, KIM", case_numbers="C1;C1")["aliases"] == ("LEE, KIM",)


BAD_DETAILS = {
    "a booking number of no digit": ("booking_number", "NONE", "booking_number 'NONE' must be made of letters and di"),
    "a booking number that goes back": ("booking_number", "9", "booking_number '9' cannot be keyed in: 0 and 9 alone"),
    "an alias of no letter": ("aliases", "LEE, KIM; ?", "aliases '?' must be LAST, FIRST MIDDLE, with a last name who"),
    "an alias of no last name": ("aliases", ", KIM", "aliases ', KIM' must be LAST, FIRST MIDDLE, with a last name"),
    "an alias that goes back": ("aliases", "X, MALCOLM", "aliases 'X, MALCOLM' must be LAST, FIRST MIDDLE, with a la"),
    "an alias without end": ("aliases", "LEE, " + "KIM" * 99, "aliases is longer than 80 characters; shorten it"),
    "more aliases than anybody has": (
        "aliases",
        ";".join(f"SMITH, {letter}" for letter in "ABCDEFGHIJKLMNOPQRSTU"),
        "aliases holds 21, and at most 20 are kept; leave the others out",
    ),
    "a case number of no digit": ("case_numbers", "C1;NONE", "case_numbers 'NONE' must be made of letters and digits"),
    "a case number too long": ("case_numbers", "C" + "1" * 20, "has more than 20 letters and digits, which callers"),
    "a release on no day": ("release_date", "2027-02-30", "release_date '2027-02-30' must be a date like 1990-07-31"),
    "a release that never comes": (
        "release_date",
        "9999-12-31",
        "release_date 9999-12-31 is more than 100 years ahead; leave it empty if there is none",
    ),
    "a court date without its time": ("court_at", "2026-12-04", "court_at '2026-12-04' must be a time like 2026-11-15"),
    "a court date at the end of time": ("court_at", "9999-12-31 23:59", "court_at 9999-12-31 is more than 100 years"),
    "a place without end": ("court_place", "HALL" * 99, "court_place is longer than 80 characters; shorten it"),
}


@pytest.mark.parametrize(("column", "cell", "sentence"), BAD_DETAILS.values(), ids=BAD_DETAILS)
def test_a_wrong_detail_is_named_with_what_is_wrong_and_what_to_do(column: str, cell: str, sentence: str):
    (mistake,) = mistakes(detailed(**{column: cell}))
    assert mistake.startswith("jail.csv, row 2: ")
    assert sentence in mistake


def test_a_row_for_each_case_is_one_row_with_all_cases():
    good = detailed(case_numbers="C1")
    assert len(reading(good + good.split("\n")[1]).custody) == 1
    (record,) = reading(good + good.split("\n")[1].replace("C1", "C2")).custody
    assert record.details["case_numbers"] == ("C1", "C2")
