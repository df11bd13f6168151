"""Reads NIEM messages: BookingReport, CustodyReleaseReport, CustodyStatusChangeReport. docs/niem.md describes it.

A file holds one message or many, in whatever envelope. Elements are known by their local names, so that versions of
NIEM, which differ in namespaces, and a county's extensions are read alike.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, iterparse

from feed.cells import LONGEST, Wrong, one_line
from feed.custody import FIELDS as CUSTODY_FIELDS
from feed.custody import STATUSES as CUSTODY_STATUSES
from feed.custody import custody_record
from feed.records import Bad, CustodyRecord, Ignored, Refused, Rules

__all__ = ["FIELDS", "STATUSES", "read"]

LONGEST_MESSAGE = 1 << 20  # bytes; real ones have some ten thousand
DEEPEST = 100  # elements within each other; real ones have ten
MEANS = {"BookingReport": "in custody", "CustodyReleaseReport": "released", "CustodyStatusChangeReport": ""}
RELEASE = "CustodyReleaseReport"
IGNORED, TRANSFERRED = "ignored", "transferred"
WAYS_OUT = [status for status in CUSTODY_STATUSES if status != "in custody"]
STATUSES: tuple[str, ...] = (*CUSTODY_STATUSES, TRANSFERRED, IGNORED)
FIELDS: frozenset[str] = frozenset(
    name for field in (*CUSTODY_FIELDS, "moved_to") for name in (field, *(f"{kind}/{field}" for kind in MEANS))
)
_SUBJECT = "Person/"  # a path that begins so is looked up in the person whom the message is about
_PATHS = {
    "offender_number": "Booking/BookingSubject/SubjectIdentification/IdentificationID",
    "booking_number": "Booking/BookingAgencyRecordIdentification/IdentificationID",
    "last_name": "Person/PersonName/PersonSurName",
    "first_name": "Person/PersonName/PersonGivenName",
    "middle_name": "Person/PersonName/PersonMiddleName",
    "date_of_birth": "Person/PersonBirthDate/Date",
    "facility": "Booking/BookingDetentionFacility/FacilityIdentification/IdentificationID",
    "case_numbers": "Case/CaseDocketID",
    "release_date": "Detention/SupervisionAugmentation/SupervisionReleaseDate/Date",
    "court_at": "NextCourtEvent/ActivityDate/DateTime",
    "court_place": "NextCourtEvent/CourtEventCourt/CourtName",
    "BookingReport/status": "Booking/BookingSubject/SubjectLocationStatus/StatusDescriptionText",
    "BookingReport/changed_at": "Booking/ActivityDate/DateTime",
    "CustodyReleaseReport/status": "Release/ActivityReasonText",
    "CustodyReleaseReport/changed_at": "Release/ActivityDate/DateTime",
    "CustodyReleaseReport/moved_to": "Release/ReleaseToLocation/LocationName",
    "CustodyStatusChangeReport/status": "Detention/SupervisionCustodyStatus/StatusDescriptionText",
    "CustodyStatusChangeReport/changed_at": "DocumentCreationDate/DateTime",
}
_SINGLE = ("offender_number", "facility", "status", "changed_at")
_SEVERAL = ("aliases", "case_numbers")
_DAYS = ("date_of_birth", "release_date")
_DAY_OF = re.compile(r"(\d{4}-\d\d-\d\d)(T.*|Z|[+-]\d\d:\d\d)")  # as xs:dateTime and xs:date may have it


def read(name: str, source: BinaryIO, rules: Rules) -> Iterator[CustodyRecord | Ignored | Bad]:
    """Read message by message. Raises Refused where it is not XML, or not the XML of such messages."""
    rules = replace(rules, columns=_PATHS | dict(rules.columns))
    number = 0
    for number, report in enumerate(_messages(name, source, rules), start=1):
        message = _Message(report, rules)
        fields = message.fields()
        try:
            yield _meant(number, message, fields)
        except Wrong as wrong:
            yield Bad.because(f"{name}, message {number}", number, wrong.mistakes, fields)
    if not number:
        raise Refused([f"{name}: holds none of {', '.join(MEANS)}; is it another system's message?"])


def _meant(number: int, message: "_Message", fields: dict[str, str]) -> CustodyRecord | Ignored:
    """What a message says, given what stands in its fields. Raises Wrong with every mistake of it."""
    message.check_single()
    word = fields.get("status", "")
    status = message.status(word)
    if status == IGNORED:
        return Ignored(number, word)
    if status == TRANSFERRED:
        status, fields = "in custody", fields | {"facility": message.moved_to(word)}
    if not status:
        return custody_record(number, fields, message.rules, message.called)
    rules = replace(message.rules, statuses={status: status})
    return custody_record(number, fields | {"status": status}, rules, message.called)


class _Source:
    """Counts what is read for one message, so that none, nor an envelope, fills the memory."""

    def __init__(self, name: str, source: BinaryIO) -> None:
        self._name, self._source, self._taken = name, source, 0

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._source.read(size)
        self._taken += len(chunk)
        if self._taken > LONGEST_MESSAGE:
            raise Refused([f"{self._name}: holds {LONGEST_MESSAGE:,} bytes without the end of a message; is it cut?"])
        return chunk

    def fresh(self) -> None:
        self._taken = 0


def _messages(name: str, source: BinaryIO, rules: Rules) -> Iterator[Element]:
    """The messages, each whole; what was read before is forgotten."""
    counted = _Source(name, source)
    above: list[Element] = []
    inside = 0  # of how many messages within each other
    parser = DefusedXMLParser(encoding=None if rules.encoding == "utf-8" else rules.encoding, forbid_dtd=True)
    try:
        for event, element in iterparse(counted, events=("start", "end"), parser=parser):
            is_message = _local(element.tag) in MEANS
            if event == "start":
                above.append(element)
                inside += is_message
                if len(above) > DEEPEST:
                    raise Refused(
                        [f"{name}: has more than {DEEPEST} elements within each other; it is no such message"]
                    )
                continue
            above.pop()
            inside -= is_message
            if is_message and not inside:
                yield element
                counted.fresh()
            if not inside and above:
                above[-1].remove(element)
    except DefusedXmlException:
        raise Refused(
            [f"{name}: holds a document type (<!DOCTYPE), which can define entities and is not read; leave it out"]
        ) from None
    except ParseError as error:
        raise Refused([f"{name}: is not XML ({error}); write it again where it comes from"]) from None
    except (LookupError, ValueError):
        raise Refused([f"{name}: is in an encoding that cannot be read; write it in UTF-8"]) from None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _below(element: Element, path: str, by_id: Mapping[str, Element] = MappingProxyType({})) -> list[Element]:
    """The elements at a path of local names, as Booking/BookingSubject; some on the way may refer to others by id."""
    found = [element]
    for name in path.split("/"):
        whole = (by_id.get(_attribute(parent, "ref", "uri"), parent) for parent in found)
        found = [child for parent in whole for child in parent if _local(child.tag) == name]
    return found


def _attribute(element: Element, *names: str) -> str:
    return next((text.removeprefix("#") for name, text in element.items() if _local(name) in names), "")


class _Message:
    """One message: what stands in it at the feed's paths."""

    def __init__(self, report: Element, rules: Rules) -> None:
        self.kind = _local(report.tag)
        always = dict(rules.always)
        self._always_to = always.pop("moved_to", "")
        self._words, self.rules = rules.meanings, replace(rules, always=always)
        self._paths = {field: str(path) for field, path in rules.columns_of(self.kind).items()}
        self._report, self._custody = report, _below(report, "Custody")
        self._by_id = {name: element for element in report.iter() if (name := _attribute(element, "id"))}
        self._subject = self._whom()

    def called(self, field: str) -> str:
        return f"{self._paths[field]} ({field})" if field in self._paths else field

    def check_single(self) -> None:
        """Raises Wrong where a message says several things of what can be one only: it may be about several people."""
        found = {field: sorted(set(self._texts(field))) for field in _SINGLE if field in self._paths}
        if mistakes := [
            f"{self.called(field)} says {' and '.join(texts)[:LONGEST]!r}; send a message for each"
            for field, texts in found.items()
            if len(texts) > 1
        ]:
            raise Wrong(mistakes)

    def fields(self) -> dict[str, str]:
        """The texts by our names; those of optional parts that are not there are left out, and so not changed."""
        found = {field: texts for field in self._paths if field != "moved_to" and (texts := self._texts(field))}
        if "aliases" not in self._paths and (aliases := self._aliases()):
            found["aliases"] = aliases
        fields = {field: "; ".join(texts) if field in _SEVERAL else texts[0] for field, texts in found.items()}
        if "court_at" not in fields:
            fields.pop("court_place", None)
        return fields

    def status(self, word: str) -> str:
        """What its word for it means in the settings; empty where it means nothing, and so is a mistake.

        Whatever the reason of a release, it is one, unless the settings say otherwise of it by the name of the message:
        the same word may mean something else where a jail says who is in. Raises Wrong where they do not.
        """
        usual, own = MEANS[self.kind], f"{self.kind}/{word}"
        if not word or own.lower() in self._words:
            return self._words[own.lower()] if word else usual
        means = self._words.get(word.lower(), usual if self.kind == RELEASE else "")
        if self.kind == RELEASE and means not in WAYS_OUT:
            says = f"means {means}, in a release report; where that is so, add {own} to the feed's statuses"
            raise Wrong([f"{self.called('status')} {word!r} {says}"])
        return means

    def moved_to(self, word: str) -> str:
        """Where somebody is transferred to, as the word for the status has it. Raises Wrong where that is not known."""
        places = set(self._texts("moved_to")) if "moved_to" in self._paths else set[str]()
        if len(places) > 1:
            texts = " and ".join(sorted(places))[:LONGEST]
            raise Wrong([f"{self.called('moved_to')} says {texts!r}; send a message for each"])
        if not (place := next(iter(places), self._always_to)):
            why = f"{self.called('status')} {word!r} means {TRANSFERRED}, and where to must be known"
            says = "let the feed's columns say where it stands, or always what it is"
            raise Wrong([f"{self.called('moved_to')} is missing: {why}; {says}"])
        return place

    def _texts(self, field: str) -> list[str]:
        path = self._paths[field]
        texts = self._at(path)
        if field in _DAYS:
            texts = texts or self._at(f"{path}Time")
            texts = [day[1] if (day := _DAY_OF.fullmatch(text)) else text for text in texts]
        return texts

    def _at(self, path: str) -> list[str]:
        return [one_line("".join(element.itertext())) for element in self._elements(path)]

    def _elements(self, path: str) -> list[Element]:
        if path.startswith(_SUBJECT):
            return [] if self._subject is None else _below(self._subject, path.removeprefix(_SUBJECT), self._by_id)
        found = [element for custody in self._custody for element in _below(custody, path, self._by_id)]
        return found or _below(self._report, path, self._by_id)

    def _whom(self) -> Element | None:
        """The person whom it is about, by reference or in place; else the only one there is."""
        for role in (*self._elements("Booking/BookingSubject/RoleOfPerson"), *self._elements("Release/ReleasePerson")):
            person = self._by_id.get(_attribute(role, "ref", "uri"), role)
            if len(person):
                return person
        everybody = self._elements("Person")
        return everybody[0] if len(everybody) == 1 else None

    def _aliases(self) -> list[str]:
        aliases = []
        for association in self._elements("PersonAliasIdentityAssociation"):
            whose = [self._by_id.get(_attribute(person, "ref", "uri")) for person in _below(association, "Person")]
            if self._subject not in whose:
                continue
            for identity in _below(association, "Identity"):
                known_as = self._by_id.get(_attribute(identity, "ref", "uri"), identity)
                aliases += map(_alias, _below(known_as, "IdentityPersonRepresentation/PersonName"))
        return aliases


def _alias(name: Element) -> str:
    """As custody files have it: LAST, FIRST MIDDLE."""
    last, first, middle = (
        " ".join(one_line("".join(element.itertext())) for element in _below(name, part))
        for part in ("PersonSurName", "PersonGivenName", "PersonMiddleName")
    )
    return f"{last}, {first} {middle}".strip().removesuffix(",").replace(";", " ")
