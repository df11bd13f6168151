"""Court calendars: whose case it is, when and where it is heard, and what was taken out again."""

import io
from datetime import UTC, date, datetime
from typing import Any

import pytest

from db.custody import Person
from feed.checking import read
from feed.records import CourtRecord, File, Refused
from tests.feed.conftest import CALENDAR, SAMPLES, declared

SAMPLE = (SAMPLES / "calendar.tsv").read_text(encoding="utf-8")
JOHN = Person("JOHN", "Q", "SMITH", date(1990, 7, 31))


def reading(text: str | bytes, **how: Any) -> File:
    content = text.encode() if isinstance(text, str) else text
    return read("court.tsv", io.BytesIO(content), declared(**(CALENDAR | how)))


def mistakes(text: str | bytes, **how: Any) -> list[str]:
    with pytest.raises(Refused) as refused:
        reading(text, **how)
    return refused.value.mistakes


def changed(before: str, after: str) -> str:
    assert before in SAMPLE
    return SAMPLE.replace(before, after)


def test_a_calendar_says_what_is_set_what_is_called_off_and_what_was_taken_out():
    file = reading(SAMPLE)
    assert file.court == [
        CourtRecord(
            7, "boone", "E-7001", "scheduled", "26BA-CR00123", "100234", JOHN,
            datetime(2026, 12, 4, 15, 30, tzinfo=UTC), "Boone County Courthouse, Division 3",
        ),
        CourtRecord(
            8, "boone", "E-7002", "cancelled", "26BA-CR00123", "100234", JOHN,
            datetime(2027, 1, 15, 19, 0, tzinfo=UTC), "Boone County Courthouse, Division 1",
        ),
        CourtRecord(9, "boone", "E-6990", "deleted"),
    ]  # fmt: skip
    assert (file.rows, file.custody) == (5, [])


def test_quotes_are_letters_as_any_other():
    (record, *_) = reading(changed("SMITH", '"RED" SMITH')).court
    assert record.person
    assert record.person.last_name == '"RED" SMITH'


def test_records_may_come_kind_by_kind_or_case_by_case_but_a_case_before_its_events():
    lines = SAMPLE.splitlines(keepends=True)
    assert len(reading("".join([*lines[:4], *sorted(lines[4:])])).court) == 3
    (mistake,) = mistakes("".join([*lines[:4], lines[6], lines[4]]))
    assert mistake == (
        "court.tsv, row 5: CourtEvent: case_number '26BA-CR00123' has no Case record before it that is right;"
        " send whose case it is"
    )


WRONG = {
    "a kind that nobody knows": (
        "Charge\t26",
        "Warrant\t26",
        "row 6: a record of the kind 'Warrant'; it must be one of Cas",
    ),
    "a time that is none": (
        "2026-12-04 09:30",
        "2026-12-04",
        "row 7: CourtEvent: starts_at '2026-12-04' must be a time",
    ),
    "a time that never comes": ("2026-12-04", "9999-12-04", "row 7: CourtEvent: starts_at 9999-12-04 is more than 100"),
    "a status that nobody knows": (
        "\tcancelled",
        "\tperhaps",
        "row 8: CourtEvent: status 'perhaps' must be one of schedu",
    ),
    "no place": ("Boone County Courthouse, Division 3", "", "row 7: CourtEvent: place is empty: it must not be empty"),
    "no event": ("CalendarDelete\tE-6990", "CalendarDelete\t", "row 9: CalendarDelete: event_id is empty: it must not"),
    "a charge of nothing": ("ASSAULT 1ST DEGREE", "", "row 6: Charge: charge is empty: it must not be empty"),
    "a case of no number": (
        "Charge\t26BA-CR00123",
        "Charge\tNONE",
        "row 6: Charge: case_number 'NONE' must be made of",
    ),
    "a cell too few": (
        "\t565.050",
        "",
        "row 6: Charge: has too few columns (2, not 3); is a tab wrong, or a quote mis",
    ),
    "a case of two people": (
        "Charge\t26BA-CR00123\tASSAULT 1ST DEGREE\t565.050",
        "Case\t26BA-CR00123\tDOE\tJIM\t\t\t",
        "row 6: Case: case_number '26BA-CR00123' is somebody else's in a Case before it; give each person a case nu",
    ),
    "a change to come": (
        "place\tstatus\n",
        "place\tchanged_at\n",
        "row 7: CourtEvent: changed_at 'scheduled' must be a time like",
    ),
    "a birth to come": (
        "1990-07-31",
        "2030-07-31",
        "row 5: Case: date_of_birth 2030-07-31 is in the future; correct it",
    ),
    "a header without a column": (
        "\tplace\tstatus",
        "\troom\tstatus",
        "row 2: CourtEvent: the column place is missing",
    ),
    "two times for one date": (
        "E-7002\t2027",
        "E-7001\t2027",
        "row 8: contradicts row 7 about boone court event E-7001",
    ),
    "set and deleted in one file": ("E-6990", "E-7001", "row 9: contradicts row 7 about boone court event E-7001;"),
}


@pytest.mark.parametrize(("before", "after", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_record_is_named_with_what_is_wrong(before: str, after: str, sentence: str):
    assert mistakes(changed(before, after))[0].startswith(f"court.tsv, {sentence}")


def test_a_calendar_with_its_own_columns_words_and_times_is_read():
    text = changed("case_number\tevent_id\tstarts_at", "CASENO\tHEARING\tWHEN").replace(
        "2026-12-04 09:30", "12/4/26 9:30 AM"
    )
    text = text.replace("2027-01-15 13:00", "1/15/27 1:00 PM").replace("\tscheduled", "\tRESET")
    columns = {"CourtEvent/case_number": "CASENO", "CourtEvent/event_id": "HEARING", "starts_at": "WHEN"}
    words = {"RESET": "scheduled", "cancelled": "cancelled"}
    file = reading(text, columns=columns, statuses=words, times="%m/%d/%y %I:%M %p")
    assert file.court == reading(SAMPLE).court


def test_without_headers_the_settings_say_the_place_of_each_column():
    rows = "".join(SAMPLE.splitlines(keepends=True)[4:])
    places = {
        f"{kind}/{field}": place
        for kind, *fields in (line.split("\t") for line in SAMPLE.splitlines()[:4])
        for place, field in enumerate(fields, start=1)
    }
    found = reading(rows, columns=places).court
    assert [(record.row, record.says) for record in found] == [(3, "scheduled"), (4, "cancelled"), (5, "deleted")]


def test_a_file_of_nothing_is_named():
    assert mistakes("") == [
        "court.tsv: is empty; its first lines must name the columns of Case, CourtEvent, Charge, CalendarDelete"
    ]
    assert mistakes("".join(SAMPLE.splitlines(keepends=True)[:4])) == [
        "court.tsv: has a header and no rows; write it again where it comes from"
    ]
