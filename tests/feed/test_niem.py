"""NIEM messages: what stands where, what may be missing, and what is not read at all."""

import io
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from db.custody import Custody, Person
from feed.checking import read
from feed.records import CustodyRecord, File, Refused
from feed.run import run
from movans.tables import summary
from tests.feed.conftest import NIEM, SAMPLES, WITH_FEEDS, declared

SAMPLE = (SAMPLES / "niem.xml").read_text(encoding="utf-8")
NS = re.findall(r'xmlns:\w+="[^"]+"', SAMPLE)


def message(kind: str) -> str:
    """One of the sample's messages, by itself."""
    found = re.search(rf"<x:{kind}>.*</x:{kind}>", SAMPLE, re.DOTALL)
    assert found
    return found[0].replace(f"<x:{kind}>", f"<x:{kind} {' '.join(NS)}>")


BOOKING, CHANGE, RELEASE = map(message, ("BookingReport", "CustodyStatusChangeReport", "CustodyReleaseReport"))


def reading(text: str | bytes, **how: Any) -> File:
    content = text.encode() if isinstance(text, str) else text
    return read("jail.xml", io.BytesIO(content), declared(**(NIEM | how)))


def one(text: str, **how: Any) -> CustodyRecord:
    (record,) = reading(text, **how).custody
    return record


def mistakes(text: str | bytes, **how: Any) -> list[str]:
    with pytest.raises(Refused) as refused:
        reading(text, **how)
    return refused.value.mistakes


def without(text: str, element: str) -> str:
    short, count = re.subn(rf"<(\w+:{element})>.*?</\1>", "", text, flags=re.DOTALL)
    assert count
    return short


def test_a_booking_report_says_who_is_held_where_and_since_when():
    record = one(BOOKING)
    assert (record.row, record.agency, record.number, record.event_id) == (1, "boone", "100234", "")
    assert record.person == Person("John", "Q", "Smith", date(1990, 7, 31))
    assert record.custody == Custody("in custody", "Boone County Jail", datetime(2026, 11, 3, 20, 5, tzinfo=UTC))
    assert record.details == {
        "booking_number": "B-2026-0031",
        "aliases": ("Smythe, Jon", "Shorty"),
        "release_date": date(2027, 2, 1),
        "court_at": datetime(2026, 12, 4, 15, 30, tzinfo=UTC),
        "court_place": "Boone County Courthouse",
    }


def test_a_release_report_says_who_was_let_go_and_when():
    record = one(RELEASE)
    assert record.custody == Custody("released", "Boone County Jail", datetime(2026, 11, 20, 15, 40, tzinfo=UTC))
    assert record.person == Person("John", "", "Smith", None)
    assert record.details == {"case_numbers": ("26BA-CR00123", "26BA-CR00124")}


def test_a_status_change_report_says_what_its_word_means_in_the_settings():
    record = one(CHANGE)
    assert record.custody == Custody("on furlough", "Boone County Jail", datetime(2026, 11, 10, 13, 30, tzinfo=UTC))
    assert record.person == Person("John", "", "Smith", date(1990, 7, 31))


def test_a_file_can_hold_many_messages_in_an_envelope():
    assert [(record.row, record.custody.status) for record in reading(SAMPLE).custody] == [
        (1, "in custody"), (2, "on furlough"), (3, "released"),
    ]  # fmt: skip


def test_namespaces_may_be_of_another_version_of_niem():
    assert one(BOOKING.replace("/niem-core/3.0/", "/niem-core/4.0/").replace("jxdm/5.1", "jxdm/6.1")) == one(BOOKING)


@pytest.mark.parametrize(
    "element",
    [
        "BookingAgencyRecordIdentification",
        "Detention",
        "NextCourtEvent",
        "PersonBirthDate",
        "PersonAliasIdentityAssociation",
    ],
)
def test_what_is_optional_may_be_missing(element: str):
    assert one(without(BOOKING, element)).number == "100234"


def test_what_is_missing_is_named_by_its_path():
    (mistake,) = mistakes(without(BOOKING, "SubjectIdentification"))
    path = "Booking/BookingSubject/SubjectIdentification/IdentificationID"
    assert mistake == f"jail.xml, message 1: {path} (offender_number) is missing"
    assert (
        "message 1: Release/ActivityDate/DateTime (changed_at) is missing"
        in mistakes(RELEASE.replace("nc:DateTime", "nc:Date"))[0]
    )


def test_what_is_wrong_is_named_by_message_and_path():
    found = mistakes(SAMPLE.replace("2026-11-20T15:40:00.0Z", "yesterday").replace("WREL", "WEEKENDS"))
    assert found == [
        (
            "jail.xml, message 2: Detention/SupervisionCustodyStatus/StatusDescriptionText (status) 'WEEKENDS' must be"
            " one of In Jail, WREL, or be added to the feed's statuses"
        ),
        (
            "jail.xml, message 3: Release/ActivityDate/DateTime (changed_at) 'yesterday' must be a time like"
            " 2026-11-15 09:40, or with its zone, 2026-11-15T09:40:00-06:00"
        ),
    ]


def test_the_settings_can_look_elsewhere():
    text = BOOKING.replace("x:SubjectLocationStatus", "x:Whereabouts")
    paths = {"BookingReport/status": "Booking/BookingSubject/Whereabouts/StatusDescriptionText"}
    assert one(text.replace("In Jail", "WREL"), columns=paths).custody.status == "on furlough"
    persons = {"offender_number": "Person/PersonName/PersonMiddleName"}
    assert one(BOOKING.replace(">Q<", ">Q1<"), columns=persons).number == "Q1"


def test_a_facility_can_be_what_it_always_is():
    text = without(RELEASE, "BookingDetentionFacility")
    assert "(facility) is missing" in mistakes(text)[0]
    assert one(text, always={"facility": "Boone County Jail"}).custody.facility == "Boone County Jail"


def test_a_reason_that_the_settings_know_says_how_somebody_left():
    assert one(RELEASE, statuses={"Bond posted": "released"}).custody.status == "released"
    assert one(RELEASE.replace("Bond posted", "Died"), statuses={"DIED": "deceased"}).custody.status == "deceased"


def test_a_reason_can_be_no_release_and_whoever_stays_is_in_custody():
    kept = one(RELEASE, statuses={"custodyreleasereport/bond posted": "in custody"})
    assert kept.custody == Custody("in custody", "Boone County Jail", datetime(2026, 11, 20, 15, 40, tzinfo=UTC))
    assert one(RELEASE, statuses={}).custody.status == "released", "a reason that nobody has listed is a release"


@pytest.mark.parametrize("means", ["in custody", "transferred", "ignored"])
def test_a_word_for_who_is_in_says_nothing_of_a_release_until_the_settings_say_that_it_does(means: str):
    (mistake,) = mistakes(RELEASE, statuses={"Bond posted": means})
    assert mistake == (
        f"jail.xml, message 1: Release/ActivityReasonText (status) 'Bond posted' means {means}, in a release report;"
        " where that is so, add CustodyReleaseReport/Bond posted to the feed's statuses"
    )
    both = {"Bond posted": means, "CustodyReleaseReport/Bond posted": "released"}
    assert one(RELEASE, statuses=both).custody.status == "released"


PLACE = "Release/ReleaseToLocation/LocationName (moved_to)"


@pytest.mark.parametrize("place", ["in place", "by reference", "always", "elsewhere"])
def test_who_is_transferred_is_in_custody_where_the_message_or_the_settings_say(place: str):
    to, how = (
        "<nc:LocationName>DOC</nc:LocationName>",
        {"statuses": {"CustodyReleaseReport/Bond posted": "transferred"}},
    )
    how["facilities"] = {"DOC": "Missouri Department of Corrections"}
    text = RELEASE
    if place == "in place":
        text = text.replace("<nc:ReleasePerson", f"<nc:ReleaseToLocation>{to}</nc:ReleaseToLocation><nc:ReleasePerson")
    elif place == "by reference":
        text = text.replace("<nc:ReleasePerson", '<nc:ReleaseToLocation s:ref="L1"/><nc:ReleasePerson')
        text = text.replace("</x:Custody>", f'<nc:Location s:id="L1">{to}</nc:Location></x:Custody>')
    elif place == "always":
        how["always"] = {"moved_to": "DOC"}
    else:
        text = text.replace("<nc:ReleasePerson", "<x:Next>DOC</x:Next><nc:ReleasePerson")
        how["columns"] = {"CustodyReleaseReport/moved_to": "Release/Next"}
    to_prison = one(text, **how).custody
    assert (to_prison.status, to_prison.facility) == ("in custody", "Missouri Department of Corrections")
    how["statuses"] = {}
    assert one(text, **how).custody.status == "released"


def test_a_transfer_to_nowhere_is_a_mistake_that_says_what_to_do():
    (mistake,) = mistakes(RELEASE, statuses={"CustodyReleaseReport/Bond posted": "transferred"})
    assert mistake == (
        f"jail.xml, message 1: {PLACE} is missing: Release/ActivityReasonText (status) 'Bond posted' means transferred,"
        " and where to must be known; let the feed's columns say where it stands, or always what it is"
    )
    to = "<nc:ReleaseToLocation><nc:LocationName>{}</nc:LocationName></nc:ReleaseToLocation>"
    two = RELEASE.replace("<nc:ReleasePerson", f"{to.format('A')}{to.format('B')}<nc:ReleasePerson")
    assert (
        f"{PLACE} says 'A and B'; send"
        in mistakes(two, statuses={"CustodyReleaseReport/Bond posted": "transferred"})[0]
    )


def test_a_word_that_the_settings_ignore_is_counted_and_no_news(db: ConnectionPool, tmp_path: Path):
    jail = tmp_path / "jail.xml"
    jail.write_text(SAMPLE, encoding="utf-8")
    how = declared(
        **NIEM | {"statuses": NIEM["statuses"] | {"custodyreleasereport/bond posted": "ignored", "WREL": "ignored"}}
    )
    report = run(db, jail, how, settings=WITH_FEEDS)
    assert (report.rows, dict(report.kinds), dict(report.ignored)) == (3, {"listed": 1}, {"Bond posted": 1, "WREL": 1})
    assert "; ignored are 1 'Bond posted', 1 'WREL'. 0 to be called." in summary(report)


def test_a_transfer_is_told_as_one_and_nobody_hears_of_a_release(db: ConnectionPool, tmp_path: Path):
    jail = tmp_path / "jail.xml"
    jail.write_text(SAMPLE.replace("WREL", "In Jail"), encoding="utf-8")
    words = NIEM["statuses"] | {"CustodyReleaseReport/Bond posted": "transferred"}
    how = declared(**NIEM | {"statuses": words, "always": {"moved_to": "Missouri Department of Corrections"}})
    report = run(db, jail, how, settings=WITH_FEEDS)
    assert report.kinds == {"listed": 1, "amended": 1, "transferred": 1}


def test_a_booking_whose_word_nobody_has_listed_is_a_mistake_and_one_without_is_in_custody():
    (mistake,) = mistakes(BOOKING.replace("In Jail", "Escaped"))
    path = "Booking/BookingSubject/SubjectLocationStatus/StatusDescriptionText"
    says = "'Escaped' must be one of In Jail, WREL, or be added to the feed's statuses"
    assert mistake == f"jail.xml, message 1: {path} (status) {says}"
    assert "(status) 'In Jail' means nothing yet; add it to the feed's statuses" in mistakes(BOOKING, statuses={})[0]
    assert one(without(BOOKING, "SubjectLocationStatus")).custody.status == "in custody"


def test_a_status_change_means_nothing_without_words_in_the_settings():
    assert "'WREL' means nothing yet; add it to the feed's statuses" in mistakes(CHANGE, statuses={})[0]


def test_another_persons_name_is_not_taken_for_the_subjects():
    two = RELEASE.replace('s:ref="P1"', 's:ref="P9"').replace(
        '<nc:Person s:id="P1">', "<nc:Person><nc:PersonName/></nc:Person><nc:Person>"
    )
    assert "Person/PersonName/PersonSurName (last_name) is missing" in mistakes(two)[0]


def test_a_message_about_two_people_is_a_mistake_and_not_half_of_it_believed():
    custody = re.search("<x:Custody>.*</x:Custody>", RELEASE, re.DOTALL)
    assert custody
    two = RELEASE.replace(custody[0], custody[0] + custody[0].replace("100234", "100561"))
    assert mistakes(two) == [
        (
            "jail.xml, message 1: Booking/BookingSubject/SubjectIdentification/IdentificationID (offender_number) says"
            " '100234 and 100561'; send a message for each"
        )
    ]


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'
)
NOT_READ = {
    "an entity bomb": (BOMB, "holds a document type (<!DOCTYPE)"),
    "an external entity": ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "holds a document type"),
    "a document type elsewhere": ('<!DOCTYPE a SYSTEM "http://example.net/a.dtd"><a/>', "holds a document type"),
    "an entity that nobody defined": ("<a>&x;</a>", "is not XML (undefined entity"),
    "nothing": ("", "is not XML (no element found"),
    "no XML": ("agency,offender_number", "is not XML (syntax error"),
    "a message that is cut": (BOOKING[:1500], "is not XML ("),
    "another message": ("<Invoice/>", "holds none of BookingReport, CustodyReleaseReport"),
    "a nought": ("<a>\0</a>", "is not XML (not well-formed"),
    "an encoding that nobody knows": ('<?xml version="1.0" encoding="klingon"?><a/>', "is in an encoding that cannot"),
    "elements without end": ("<a>" * 20_000, "has more than 100 elements within each other"),
    "a message without end": (BOOKING.replace("John", "John" * 500_000), "1,048,576 bytes without the end of a mess"),
    "an envelope without end": (SAMPLE.replace("<header>", "<header/>" * 200_000 + "<header>"), "without the end of a"),
}


@pytest.mark.parametrize(("text", "sentence"), NOT_READ.values(), ids=NOT_READ)
def test_what_is_not_such_xml_is_refused(text: str, sentence: str):
    (mistake,) = mistakes(text)
    assert mistake.startswith("jail.xml: ")
    assert sentence in mistake


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_xml_says_its_own_encoding(encoding: str):
    text = f'<?xml version="1.0" encoding="{encoding}"?>{BOOKING.replace("Smith", "Muñoz")}'
    (record,) = reading(text.encode(encoding)).custody
    assert record.person.last_name == "Muñoz"


def test_nothing_but_the_fields_is_kept_of_a_message_that_is_put_aside():
    secret = "<nc:PersonSSNIdentification>123-45-6789</nc:PersonSSNIdentification>"
    text = SAMPLE.replace("WREL", "WEEKENDS").replace('<nc:Person s:id="P1">', f'<nc:Person s:id="P1">{secret}')
    (bad,) = reading(text, quarantine=0.4).quarantined
    assert bad.row == 2
    assert bad.given["status"] == "WEEKENDS"
    assert "6789" not in str(bad)
