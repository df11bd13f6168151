"""Custody files as other people's systems write them: their columns, words, codes, zones, encodings."""

import io
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from db.custody import Custody, Person
from feed.checking import read
from feed.custody_csv import only_of
from feed.records import CustodyRecord, File, Refused
from tests.feed.conftest import JAIL, SAMPLES, declared

SAMPLE = (SAMPLES / "jail.csv").read_bytes()
OURS = "offender_number,last_name,first_name,date_of_birth,facility,status,changed_at"
ROW = "100234,SMITH,JOHN,1990-07-31,Boone County Jail,released,2026-11-15 09:40"


def reading(text: str | bytes, **how: Any) -> File:
    return read("jail.csv", io.BytesIO(text.encode() if isinstance(text, str) else text), declared(**how))


def one(text: str, **how: Any) -> CustodyRecord:
    (record,) = reading(text, **how).custody
    return record


def mistakes(text: str | bytes, **how: Any) -> list[str]:
    with pytest.raises(Refused) as refused:
        reading(text, **how)
    return refused.value.mistakes


def test_a_file_with_its_own_columns_words_codes_and_encoding_is_read():
    first, second = reading(SAMPLE, **JAIL).custody
    assert (first.agency, first.number) == ("boone", "100234")
    assert first.custody == Custody("in custody", "Boone County Jail", datetime(2026, 11, 3, 20, 5, tzinfo=UTC))
    assert second.person == Person("LUÍS", "", "MUÑOZ", date(1985, 1, 2))
    assert second.custody.status == "released"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_rows_of_some_people_alone_are_the_rows_that_they_were(encoding: str, end: str):
    lines = [OURS, ROW, "", ROW.replace("100234", "2").replace("Boone County Jail", '"Boone\nCounty Jail"'), ROW]
    lines += [ROW.replace("100234", number).replace("SMITH", "MUÑOZ") for number in ("3", " 4 ", "3")]
    feed = declared(encoding=encoding)
    some = only_of({"3", "9"}, "jail.csv", io.BytesIO(end.join(lines).encode(encoding)), feed)
    records = read("jail.csv", io.BytesIO(some), feed)
    assert (records.repeated, [(one.row, one.number, one.person.last_name) for one in records.custody]) == (
        1,
        [(6, "3", "MUÑOZ")],
    )


def test_the_first_row_stays_the_first_where_there_is_no_header():
    fields = OURS.split(",")
    feed = declared(columns={name: place for place, name in enumerate(fields, start=1)})
    some = only_of({"2"}, "jail.csv", io.BytesIO(f"{ROW}\n{ROW.replace('100234', '2')}\n".encode()), feed)
    assert [(one.row, one.number) for one in read("jail.csv", io.BytesIO(some), feed).custody] == [(2, "2")]


def test_with_our_own_names_a_feed_needs_nothing_but_its_format():
    assert one(f"{OURS}\n{ROW}").agency == "boone"


def test_a_feed_may_name_its_agency_but_no_other():
    assert one(f"agency,{OURS}\nboone,{ROW}").agency == "boone"
    (mistake,) = mistakes(f"agency,{OURS}\ncole,{ROW}")
    assert "row 2: agency 'cole' is not boone, whose feed this is" in mistake


def test_a_mistake_names_the_column_as_the_file_does():
    found = mistakes(SAMPLE.replace(b",REL,", b",GONE,").replace(b"07/31/1990", b"1990-07-31"), **JAIL)
    assert found == [
        "jail.csv, row 2: DOB '1990-07-31' must be a date like 07/31/1990, or empty if it is not known",
        "jail.csv, row 3: STAT 'GONE' must be one of IN, REL, or be added to the feed's statuses",
    ]


def test_a_wrong_time_is_told_how_this_feed_writes_it():
    (mistake,) = mistakes(SAMPLE.replace(b"11/20/2026 09:40", b"2026-11-20 09:40"), **JAIL)
    assert "SINCE '2026-11-20 09:40' must be a time like 11/15/2026 09:40" in mistake


def test_their_words_go_instead_of_ours_and_capitals_do_not_matter():
    words = {"statuses": {"Out": "released"}}
    assert one(f"{OURS}\n{ROW}".replace("released", "OUT"), **words).custody.status == "released"
    assert "status 'released' must be one of Out, or" in mistakes(f"{OURS}\n{ROW}", **words)[0]


def test_a_time_without_a_zone_is_in_the_zone_of_the_feed():
    record = one(f"{OURS}\n{ROW}", zone=ZoneInfo("America/Los_Angeles"))
    assert record.custody.since == datetime(2026, 11, 15, 17, 40, tzinfo=UTC)


def test_what_always_holds_needs_no_column():
    text = f"{OURS}\n{ROW}".replace("facility,", "").replace("Boone County Jail,", "")
    assert "the column facility is missing" in mistakes(text)[0]
    assert one(text, always={"facility": "Boone County Jail"}).custody.facility == "Boone County Jail"


def test_a_code_without_a_name_stays_as_it_is():
    assert one(f"{OURS}\n{ROW}", facilities={"BCJ": "Annex"}).custody.facility == "Boone County Jail"


def test_a_column_that_is_not_read_must_be_known():
    text = f"{OURS},HAIR\n{ROW},BRO"
    assert "there is no column named 'hair'" in mistakes(text)[0]
    assert one(text, ignore=["Hair"])


def test_an_optional_column_that_the_settings_name_must_be_there():
    assert "the column BOOKNO is missing" in mistakes(f"{OURS}\n{ROW}", columns={"booking_number": "BOOKNO"})[0]


def test_one_column_can_be_two_fields():
    record = one(f"{OURS}\n{ROW}", columns={"booking_number": "offender_number"})
    assert (record.number, record.details) == ("100234", {"booking_number": "100234"})


PLACES = {name: place for place, name in enumerate(OURS.split(","), start=1)}


def test_without_a_header_the_settings_say_the_place_of_each_column():
    found = reading(f"{ROW}\n{ROW.replace('100234', '100561')}", columns=PLACES)
    assert [(record.row, record.number) for record in found.custody] == [(1, "100234"), (2, "100561")]


def test_a_place_that_no_row_has_is_named():
    (mistake,) = mistakes(ROW, columns=PLACES | {"event_id": 9})
    assert mistake == (
        "jail.csv, row 1: has 7 columns, and the settings speak of 9 for event_id; correct the feed's columns in the"
        " settings"
    )
    places = {field: place for field, place in PLACES.items() if field != "status"}
    assert "give the place of some columns, but not of status" in mistakes(ROW, columns=places)[0]


def test_without_a_header_a_mistake_names_the_place():
    assert mistakes(ROW.replace("SMITH", ""), columns=PLACES) == [
        "jail.csv, row 1: column 2 (last_name) is empty: it must not be empty"
    ]
    assert "row 2: has too few columns (6, not 7)" in mistakes(f"{ROW}\n{ROW.replace('JOHN,', '')}", columns=PLACES)[0]


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "windows-1252", "cp437"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_is_read_that_the_settings_name(encoding: str):
    text = f"{OURS}\n{ROW}".replace("SMITH", "MUÑOZ")
    (record,) = reading(text.encode(encoding), encoding=encoding).custody
    assert record.person.last_name == "MUÑOZ"


@pytest.mark.parametrize(
    ("encoding", "line", "called"), [("utf-8", 3, "UTF-8"), ("utf-16", 1, "utf-16"), ("ascii", 3, "ascii")]
)
def test_text_in_another_encoding_is_named_with_its_line(encoding: str, line: int, called: str):
    text = f"{OURS}\n{ROW}\n{ROW.replace('SMITH', 'MUÑOZ')}".encode("latin-1")
    (mistake,) = mistakes(text + b"\n", encoding=encoding)
    assert mistake.startswith(f"jail.csv, line {line}: is not {called} text; save the file as CSV {called}")
