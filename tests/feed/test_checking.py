"""How much of a file may be wrong, and what becomes of it."""

import io

import pytest

from feed import checking
from feed.checking import read
from feed.records import File, Refused
from tests.feed.conftest import HEADER, declared, row, rules


def reading(*rows: str, share: float = 0.0) -> File:
    how = declared(quarantine=share)
    return read("jail.csv", io.BytesIO((HEADER + "".join(rows)).encode()), how)


def refused(*rows: str, share: float = 0.0) -> list[str]:
    with pytest.raises(Refused) as caught:
        reading(*rows, share=share)
    return caught.value.mistakes


GOOD = [row(number=str(number)) for number in range(11, 20)]
BAD = row("free", number="100")


def test_a_bad_row_refuses_the_file_where_nothing_else_is_said():
    assert refused(*GOOD, BAD) == [
        "jail.csv, row 11: status 'free' must be one of in custody, released, escaped, on furlough, deceased"
    ]


def test_up_to_a_share_bad_rows_are_put_aside_with_the_reason_and_what_stood_there():
    file = reading(*GOOD, BAD, share=0.1)
    assert (len(file.custody), file.rows) == (9, 10)
    (bad,) = file.quarantined
    assert (bad.row, bad.given["offender_number"], bad.given["status"]) == (11, "100", "free")
    assert bad.mistakes == refused(*GOOD, BAD)


def test_one_more_than_the_share_refuses_the_file_and_says_so():
    *mistakes, last = refused(*GOOD, BAD, BAD, share=0.1)
    assert len(mistakes) == 2
    assert last == (
        "jail.csv: 2 of 11 rows are wrong, and the settings allow a share of 0.1 to be put aside, 10,000 at most;"
        " correct the file, or the feed's settings"
    )


def test_of_rows_that_contradict_each_other_none_is_believed():
    file = reading(*GOOD, row("released", number="15"), share=0.5)
    assert [bad.row for bad in file.quarantined] == [6, 11]
    assert "contradicts row 11" in file.quarantined[0].mistakes[0]
    assert "contradicts row 6" in file.quarantined[1].mistakes[0]
    assert "15" not in {record.number for record in file.custody}


def test_both_rows_of_a_contradiction_count_for_the_share():
    assert "2 of 10 rows are wrong" in refused(*GOOD, row("released", number="15"), share=0.15)[-1]


def test_an_event_id_that_stands_twice_puts_both_rows_aside():
    twice = [row(number="100", event_id="E7"), row("released", "2026-11-04 08:00", number="101", event_id="E7")]
    assert [bad.row for bad in reading(*GOOD, *twice, share=0.5).quarantined] == [11, 12]


def test_a_wrong_header_or_a_lost_quote_is_never_put_aside():
    with pytest.raises(Refused, match="the column status is missing"):
        read(
            "jail.csv", io.BytesIO(HEADER.replace("status", "x").encode() + GOOD[0].encode()), declared(quarantine=0.9)
        )
    assert "is not CSV" in refused(*GOOD, row(last_name='"SMITH'), share=0.9)[0]


def test_a_file_of_mistakes_is_told_in_so_many_sentences(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checking, "MOST_MISTAKES", 3)
    found = refused(*[row("free", number=str(number)) for number in range(11, 20)])
    assert len(found) == 4
    assert found[-1] == "jail.csv: and 6 more mistakes in the rows after that"


def test_more_rows_than_can_be_kept_refuse_the_file_whatever_the_share(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checking, "MOST_ASIDE", 2)
    assert "3 of 12 rows are wrong" in refused(*GOOD, *[row("free", number=f"10{n}") for n in range(3)], share=0.9)[-1]


def test_more_records_than_fit_in_memory_are_to_be_sent_in_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checking, "MOST_TOGETHER", 2)
    two = [row(number="1"), row(number="2"), row(number="2")]
    assert reading(*two).repeated == 1
    assert refused(*two, row(number="3")) == [
        "jail.csv, row 5: holds more than 2 records that must be compared with each other; send it in parts"
    ]


def test_of_a_row_that_is_put_aside_no_cell_is_kept_beyond_what_anybody_reads():
    (bad,) = reading(*GOOD, row(last_name="X" * 1000), share=0.5).quarantined
    assert len(bad.given["last_name"]) == 200


def test_without_a_feed_nothing_is_put_aside():
    assert rules().quarantine == 0
