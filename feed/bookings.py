"""Several bookings of one person, whose rows stand in one file: pure functions.

Who has any booking in custody that has not been released is in custody.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from itertools import groupby
from typing import Any

from feed.records import CustodyRecord

JOINED = ("aliases", "case_numbers")


def together(one: CustodyRecord, other: CustodyRecord) -> CustodyRecord | None:
    """What two rows say of one person at one time; None where they contradict each other.

    Rows that differ in details only are merged. Where one releases a booking and another holds the person, that holds.
    """
    if _is_let_go_beside(one, other):
        return other
    if _is_let_go_beside(other, one):
        return one
    same = replace(other, row=one.row, details=one.details) == one and other.details.keys() == one.details.keys()
    return replace(one, details=_merged(one.details, other.details)) if same else None


def other_releases(records: Collection[CustodyRecord]) -> set[int]:
    """The rows that release somebody from one booking while another holds them since before that."""
    times = Counter(record.about for record in records)
    several = sorted(
        (record for record in records if times[record.about] > 1), key=lambda record: (record.about, record.at)
    )
    found: set[int] = set()
    for _, theirs in groupby(several, key=lambda record: record.about):
        latest: dict[str, CustodyRecord] = {}
        for record in theirs:
            if any(_is_let_go_beside(record, other) for other in latest.values()):
                found.add(record.row)
            latest[_booking(record)] = record
    return found


def _is_let_go_beside(record: CustodyRecord, other: CustodyRecord) -> bool:
    """Whether a record says of one booking that it is over, and the other of another that it holds the person."""
    bookings = {_booking(record), _booking(other)}
    return (record.custody.status, other.custody.status) == ("released", "in custody") and (
        len(bookings) > 1 and "" not in bookings
    )


def _booking(record: CustodyRecord) -> str:
    return record.details.get("booking_number", "")


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The first booking number; all aliases and cases; the later release, if each has one; the next court date."""
    merged = one | {field: tuple(dict.fromkeys((*one[field], *other[field]))) for field in JOINED if field in one}
    if "booking_number" in one:
        merged["booking_number"] = one["booking_number"] or other["booking_number"]
    if "release_date" in one:
        days = one["release_date"], other["release_date"]
        merged["release_date"] = None if None in days else max(days)
    if "court_at" in one:
        dated = [details for details in (one, other) if details["court_at"]]
        first = min(dated, key=lambda details: details["court_at"], default=one)
        merged |= {field: first[field] for field in ("court_at", "court_place") if field in first}
    return merged
