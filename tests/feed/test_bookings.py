"""Two bookings of one person in one file, and one person in two jails, case by case."""

import io
from datetime import date

import pytest

from feed.checking import read
from feed.records import File, Refused
from feed.report import Report
from movans.tables import disagreements
from tests.feed.conftest import HEADER, declared, row

BOOKED = HEADER.replace("\n", ",booking_number,case_numbers,release_date\n")


def booked(
    booking: str,
    status: str = "in custody",
    at: str = "2026-11-20 10:00",
    *,
    facility: str = "Boone County Jail",
    cases: str = "",
    until: str = "",
) -> str:
    return row(status, at, facility=facility).replace("\n", f",{booking},{cases},{until}\n")


def reading(*rows: str) -> File:
    return read("jail.csv", io.BytesIO((BOOKED + "".join(rows)).encode()), declared())


NOON, NINE = "2026-11-20 12:00", "2026-11-20 09:00"

CASES = {
    "both hold": ([booked("A1"), booked("B2", at=NINE)], ["in custody 09", "in custody 10"], 0),
    "both hold since one time": ([booked("A1"), booked("B2")], ["in custody 10"], 1),
    "one is over while the other holds": (
        [booked("A1", "released", NOON), booked("B2")],
        ["in custody 10"],
        1,
    ),
    "the same, the other way round": ([booked("B2"), booked("A1", "released", NOON)], ["in custody 10"], 1),
    "one is over at the time at which the other begins": (
        [booked("A1", "released"), booked("B2")],
        ["in custody 10"],
        1,
    ),
    "one is over before the other begins": (
        [booked("A1", "released", NINE), booked("B2")],
        ["released 09", "in custody 10"],
        0,
    ),
    "one is over, then the other": (
        [booked("A1", "released", "2026-11-20 11:00"), booked("B2"), booked("B2", "released", NOON)],
        ["in custody 10", "released 12"],
        1,
    ),
    "both are over at one time": ([booked("A1", "released"), booked("B2", "released")], ["released 10"], 1),
    "an escape is none of one booking": (
        [booked("A1", "escaped", NOON), booked("B2")],
        ["in custody 10", "escaped 12"],
        0,
    ),
    "one booking that is over": (
        [booked("A1", "released", NOON), booked("A1")],
        ["in custody 10", "released 12"],
        0,
    ),
    "who has no booking number": (
        [booked("", "released", NOON), booked("B2")],
        ["in custody 10", "released 12"],
        0,
    ),
    "in two jails, one after the other": (
        [booked("A1"), booked("B2", at=NOON, facility="Boone County Annex")],
        ["in custody 10", "in custody 12"],
        0,
    ),
}


@pytest.mark.parametrize(("rows", "says", "others"), CASES.values(), ids=CASES)
def test_who_has_any_booking_that_holds_them_is_in_custody(rows: list[str], says: list[str], others: int):
    file = reading(*rows)
    found = sorted(file.custody, key=lambda record: record.at)
    assert [f"{one.custody.status} {one.at.astimezone(declared().zone):%H}" for one in found] == says
    assert (file.other_bookings, file.rows) == (others, len(rows))


CONTRADICTIONS = {
    "in two jails at one time": [booked("A1"), booked("B2", facility="Boone County Annex")],
    "one booking is over and holds": [booked("A1"), booked("A1", "released")],
    "escaped and held": [booked("A1"), booked("B2", "escaped")],
    "another name": [booked("A1"), booked("B2").replace("SMITH", "SMYTHE")],
}


@pytest.mark.parametrize("rows", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_cannot_both_be_is_refused(rows: list[str]):
    with pytest.raises(Refused, match="contradicts row"):
        reading(*rows)


@pytest.mark.parametrize(("until", "day"), [("2027-03-01", date(2027, 3, 1)), ("", None)])
def test_rows_that_differ_in_details_only_are_merged(until: str, day: date | None):
    rows = booked("A1", cases="C1;C2", until="2027-02-01"), booked("B2", cases="C2;C3", until=until)
    (record,) = reading(*rows, *rows).custody
    assert record.details == {"booking_number": "A1", "case_numbers": ("C1", "C2", "C3"), "release_date": day}


def test_a_release_that_does_not_count_is_named():
    file = reading(booked("A1"), booked("B2", "released", NOON))
    (said,) = disagreements(Report(held_on=file.held_on), declared().zone)
    assert said.startswith("row 3: boone 100234 is released from booking B2; but a booking in the same file holds them")
