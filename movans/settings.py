"""The settings file: its shape, its rules, and sentences for every mistake in it.

``movans.yaml`` at the top of the project is the commented example. All mistakes are reported at once, each with its
name, what is wrong and an example.
"""

import codecs
import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import phonenumbers
import psycopg
import yaml
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
)

from feed.aside import FOLDERS
from feed.formats import FORMATS

EXAMPLE = Path(__file__).parent.parent / "movans.yaml"
INSTALLED = Path("/etc/movans/movans.yaml")

Engine = Literal["piper", "espeak-ng", "gtts"]
_TRUNK = {
    "host": "sip.example.net", "port": 5060, "username": "movans", "password": "secret", "lines": 20, "rate": 2,
}  # fmt: skip
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MAIL = ["mail", "-s", "MOVANS", "duty@example.net"]
_PING = ["curl", "-fsS", "-m", "10", "-o", "/dev/null", "https://ping.example.net/movans"]
_HOURS = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "until": "17:00"}
AGAIN = {"not confirmed", "machine", "busy", "no answer", "congestion", "failed", "lost"}
_FEED = {
    "format": "custody changes",
    "interval": "00:15:00",
    "same_for": "24:00:00",
    "mistakes": "refuse",
    "time_zone": "America/Chicago",
    "encoding": "windows-1252",
    "columns": {"offender_number": "INMATE_NO"},
    "ignore": ["HAIR"],
    "always": {"facility": "Boone County Jail"},
    "statuses": {"REL": "released"},
    "facilities": {"BCJ": "Boone County Jail"},
    "guard": {"releases": {"few": 10, "most": 100, "share": 0.1}, "unanswered": "04:00:00"},
    "dates": "%m/%d/%Y",
    "times": "%m/%d/%Y %H:%M",
}


class WrongSettings(Exception):
    """The settings file cannot be used; the text names every wrong setting, what is wrong and an example."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("no such time zone") from error
    return name


def _telephone(number: Any) -> str:
    """Ten digits. YAML reads 5735550100 as an integer, so integers are accepted."""
    try:
        parsed = phonenumbers.parse(str(number), "US")
    except phonenumbers.NumberParseException:
        raise ValueError("not a US telephone number") from None
    ten = len(str(parsed.national_number)) == 10  # fewer are possible too, within an area
    if parsed.country_code != 1 or not ten or not phonenumbers.is_possible_number(parsed):
        raise ValueError("not a US telephone number with area code")
    return str(parsed.national_number)


def _duration(given: Any) -> timedelta:
    """Text is H:MM:SS, a number is seconds: nothing is guessed of what 00:30 could mean."""
    if isinstance(given, str) and re.fullmatch("[0-9]{1,2}:[0-5][0-9]:[0-5][0-9]", given):
        hours, minutes, seconds = (int(part) for part in given.split(":"))
        value = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    elif isinstance(given, int) and not isinstance(given, bool) and abs(given) < 100 * 3600:
        value = timedelta(seconds=given)
    else:
        raise ValueError("must be hours:minutes:seconds in quotes, or whole seconds, less than 100 hours")
    if value < timedelta(seconds=1):
        raise ValueError("must be at least 1 second")
    return value


def _clock(given: Any) -> time:
    """Text only: YAML reads 08:00 without quotes as a number."""
    if not isinstance(given, str) or not re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", given):
        raise ValueError("must be hours:minutes in quotes")
    return time.fromisoformat(given)


def _as_long_as_somebody_waits(ring: timedelta) -> timedelta:
    if ring > timedelta(minutes=5):
        raise ValueError("must be at most 5 minutes")
    return ring


def _over_when_the_proof_is_due(longest: timedelta) -> timedelta:
    if longest > timedelta(minutes=10):
        raise ValueError(
            "must be at most 10 minutes, within which callers are promised the call that proves their number"
        )
    return longest


def _connection(text: str) -> str:
    """What libpq says of a wrong one quotes a piece of it, and a password may stand there; so it must be right here."""
    try:
        found = conninfo_to_dict(text)
    except psycopg.Error:
        found = None
    # A password with @ or / that was not encoded in a URI goes on in what is taken for host, port or name.
    uri = text.startswith(("postgresql://", "postgres://"))
    places = [str(found.get(name, "")) for name in ("host", "port", "dbname")] if found and uri else []
    if found is None or any("@" in place for place in places) or (uri and not re.fullmatch("[0-9,]*", places[1])):
        raise ValueError(
            "must be name=value pairs with blanks between, a value with blanks in '…'; in a URI, @ and / of a password"
            " are %40 and %2F"
        )
    return text


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path, beginning with /")
    return path


def _once_each(languages: list[str]) -> list[str]:
    if twice := {language for language in languages if languages.count(language) > 1}:
        raise ValueError(f"names {', '.join(sorted(twice))} more than once")
    return languages


def _looks(pattern: str, shape: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {shape}")
        return text

    return AfterValidator(check)


def _every_outcome(again: dict[str, timedelta]) -> dict[str, timedelta]:
    if missing := AGAIN - set(again):
        raise ValueError(f"says nothing of {', '.join(sorted(missing))}")
    if surplus := set(again) - AGAIN:
        raise ValueError(f"knows no {', '.join(sorted(surplus))}, but {', '.join(sorted(AGAIN))}")
    return again


def _format(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(f"must be one of {', '.join(FORMATS)}")
    return name


def _share(given: Any) -> float:
    """Of the rows: how many bad ones may be put aside. 0: none, the file is refused."""
    if given == "refuse":
        return 0.0
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1:
        raise ValueError("must be refuse, or the share of bad rows that may be put aside, as 0.01")
    return float(given)


def _encoding(name: str) -> str:
    try:
        codecs.getincrementaldecoder(name)
        right = "A,1\n".encode(name).decode(name) == "A,1\n"
    except (LookupError, UnicodeError):
        right = False
    if not right:
        raise ValueError("no such encoding")
    return name


def _column(given: Any) -> str | int:
    """A name, or a place in rows without a header."""
    if (
        isinstance(given, bool)
        or not isinstance(given, str | int)
        or not given
        or (isinstance(given, int) and given < 1)
    ):
        raise ValueError("must be a column's name, or its place, counted from 1")
    return given


def _known_fields(fields: Mapping[str, Any], others: ValidationInfo) -> Mapping[str, Any]:
    known = FORMATS[others.data["format"]].FIELDS if "format" in others.data else set(fields)
    if unknown := sorted(set(fields) - known):
        raise ValueError(f"there is no field {', '.join(unknown)} in this format, but {', '.join(sorted(known))}")
    return fields


def _our_statuses(words: Mapping[str, str], others: ValidationInfo) -> Mapping[str, str]:
    ours = FORMATS[others.data["format"]].STATUSES if "format" in others.data else tuple(words.values())
    if unknown := sorted(set(words.values()) - set(ours)):
        raise ValueError(f"{', '.join(unknown)} is no status of ours; they are {', '.join(ours)}")
    return words


def _says(*moments: datetime) -> AfterValidator:
    """A form of strptime in which each of these moments can be written."""

    def check(form: str) -> str:
        try:
            right = all(datetime.strptime(moment.strftime(form), form) == moment for moment in moments)  # noqa: DTZ007
        except ValueError:
            right = False
        if form and not right:
            raise ValueError("must say everything that there is to say, the year with four digits (%Y)")
        return form

    return AfterValidator(check)


def _room_for_a_call(ports: tuple[int, int]) -> tuple[int, int]:
    if ports[1] - ports[0] < 3:
        raise ValueError("the last must be at least 3 above the first")
    return ports


def _beside_a_real_address(listen: IPv4Address | None, others: ValidationInfo) -> IPv4Address | None:
    address = others.data.get("address")
    if listen is not None and address is not None and address.is_unspecified:
        raise ValueError("where it is set, sip.address is told to telephones, so that must be one, as in 192.0.2.10")
    return listen


Telephone = Annotated[str, BeforeValidator(_telephone)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Clock = Annotated[time, BeforeValidator(_clock)]
Days = Annotated[int, Field(ge=1, le=36500)]
Since = Annotated[Clock, Field(alias="from")]
Waits = Annotated[dict[str, Duration], AfterValidator(_every_outcome)]
Command = list[Annotated[str, _looks(r"(?s)[^\0]+", "words, each not empty")]]
Port = Annotated[int, Field(ge=1, le=65535)]
# What is written into Asterisk's configuration must not be able to end a line or a value there.
Plain = Annotated[str, _looks(r"[A-Za-z0-9._@+-]+", "one word of letters, digits and . _ @ + -")]
Secret = Annotated[str, _looks(r"[!-:<-~]+", "of signs of the English keyboard, without blanks and without ;")]
# It stands in names of Asterisk's, which its tables cut off when they are long.
TrunkName = Annotated[str, _looks("[a-z0-9][a-z0-9-]{0,15}", "at most 16 small letters, digits and -")]
Text = Annotated[str, _looks(r"(?s).*\S.*", "some words")]
Language = Annotated[str, _looks("[a-z]{2}", "two small letters")]


Share = Annotated[float, Field(ge=0, le=1)]
Times = Annotated[float, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(_Part):
    name: Text
    number: Telephone
    operator: Telephone
    crisis_line: Telephone
    time_zone: Annotated[str, AfterValidator(_zone)]
    # The caller chooses by one key, and a menu has at most five.
    languages: Annotated[list[Language], Field(min_length=1, max_length=5), AfterValidator(_once_each)]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Hours(_Part):
    """When somebody is there, by the service's clock; until the next day where ``until`` is before ``from``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1)]
    since: Since
    until: Clock

    def hold(self, at: datetime) -> bool:
        """Whether they hold at this local time."""
        if self.since < self.until:
            return DAYS[at.weekday()] in self.days and self.since <= at.time() < self.until
        evening = DAYS[at.weekday()] in self.days and at.time() >= self.since
        return evening or (DAYS[at.weekday() - 1] in self.days and at.time() < self.until)


class Operator(_Part):
    dial: Annotated[str, _looks("[0-9*#]{0,20}", "digits, as an extension of your PBX, or empty")]
    ring: Annotated[Duration, AfterValidator(_as_long_as_somebody_waits)]
    hours: Hours | None

    def is_there(self, now: datetime, zone: ZoneInfo) -> bool:
        return self.hours is None or self.hours.hold(now.astimezone(zone))


class Facility(_Part):
    telephone: Telephone
    address: Text | None = None  # as it shall be spoken


class Limit(_Part):
    """Up to ``few`` are never too many, more than ``most`` always; between them it is the share that decides."""

    few: Annotated[int, Field(ge=0)]
    most: Annotated[int, Field(ge=0)]
    share: Share


class Guard(_Part):
    """What a file may change before a person has looked at it."""

    releases: Limit  # of those in custody
    changes: Limit
    notifications: Limit  # of the registrations
    missing: Limit  # of those in the last snapshot
    times: Times
    unanswered: Duration | None
    touches: Share


_NONE = Limit(few=0, most=0, share=0)


class OfFeed(_Part):
    """What is different for one feed: only what is given counts."""

    releases: Limit = _NONE
    changes: Limit = _NONE
    notifications: Limit = _NONE
    missing: Limit = _NONE
    times: Times = 1
    unanswered: Duration | None = None
    touches: Share = 0


class Feed(_Part):
    """How files of an agency come, and how they are to be read."""

    format: Annotated[str, AfterValidator(_format)]
    interval: Duration  # from one file to the next
    same_for: Duration | None = None  # how long a file may come again as it was
    mistakes: Annotated[float, BeforeValidator(_share)] = 0.0
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None  # where it is not the agency's
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    columns: Annotated[dict[str, Annotated[str | int, PlainValidator(_column)]], AfterValidator(_known_fields)] = {}
    ignore: list[Text] = []
    always: Annotated[dict[str, str], AfterValidator(_known_fields)] = {}
    statuses: Annotated[dict[Text, str], AfterValidator(_our_statuses)] = {}
    facilities: dict[Text, Text] = {}
    drop: Annotated[Path, AfterValidator(_absolute)] | None = None  # where its files appear
    guard: OfFeed = OfFeed()
    dates: Annotated[str, _says(datetime(1938, 7, 31), datetime(2026, 11, 5))] = ""  # noqa: DTZ001
    times: Annotated[str, _says(datetime(2026, 11, 15, 21, 40), datetime(2026, 7, 4, 0, 5))] = ""  # noqa: DTZ001


class Agency(_Part):
    name: Text
    interval: Duration  # how often it sends a file
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None  # where it is not the service's
    facilities: dict[str, Facility] = {}
    feeds: dict[Plain, Feed] = {}


class Sip(_Part):
    address: IPv4Address  # where telephones reach it, and what they are told
    # This machine's own address, where ports of that one are forwarded to it.
    listen: Annotated[IPv4Address | None, AfterValidator(_beside_a_real_address)] = None
    port: Port
    rtp_ports: Annotated[tuple[Port, Port], AfterValidator(_room_for_a_call)]


class Outbound(_Part):
    """What carries calls out, how many at the same time, and how many begin within a second."""

    lines: Annotated[int, Field(ge=1, le=10000)]
    rate: Annotated[float, Field(ge=0.1, le=1000)]


class Trunk(Outbound):
    host: Plain
    port: Port = 5060
    username: Plain | None = None
    password: Secret | None = None


TEST_PHONE = Outbound(lines=4, rate=50)


class Calls(_Part):
    ring: Annotated[Duration, AfterValidator(_as_long_as_somebody_waits)]
    longest: Annotated[Duration, AfterValidator(_over_when_the_proof_is_due)]
    machine_message: Literal["callback", "full", "none"]


class Daytime(_Part):
    """When calls may begin, by a local clock; until the next day where ``until`` is not after ``from``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    since: Since
    until: Clock

    def hold(self, at: time) -> bool:
        if self.since < self.until:
            return self.since <= at < self.until
        return at >= self.since or at < self.until


class Phase(_Part):
    """How long it lasts, and the wait after each outcome in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    length: Annotated[Duration, Field(alias="for")]
    again: Waits


Priority = Annotated[int, Field(ge=1, le=9)]
Phases = Annotated[list[Phase], Field(min_length=1)]
End = Literal["alert", "report"]


class Rules(_Part):
    """How a registrant is called about an event."""

    priority: Priority
    hours: Daytime | None
    hold: Duration | None
    phases: Phases
    staff_after: Duration | None
    then: End


class OfKind(_Part):
    """What is different for one kind of event: only what is given counts."""

    priority: Priority = 1
    hours: Daytime | None = None
    hold: Duration | None = None
    phases: Phases = []
    staff_after: Duration | None = None
    then: End = "alert"


class Policy(_Part):
    critical: Rules
    routine: Rules
    kinds: dict[Annotated[str, _looks("[a-z_]+", "a kind of event, as movans policy explain names them")], OfKind]
    proofs: Waits

    def rules(self, kind: str, urgency: str) -> Rules:
        """What holds for a kind of event of this class."""
        rules = self.critical if urgency == "critical" else self.routine
        own = self.kinds.get(kind)
        return rules.model_copy(update={name: getattr(own, name) for name in own.model_fields_set}) if own else rules


class Alarms(_Part):
    registrations: Annotated[int, Field(ge=1)]
    withheld: Annotated[int, Field(ge=1)]


class Keep(_Part):
    """How many days something is kept; ``released``: how long somebody is registered for who is out of custody."""

    released: Days
    registrations: Days
    attempts: Days
    caller_hashes: Annotated[Days, Field(ge=2)]  # what is counted is counted over a day
    rows_aside: Days
    files: Days
    alerts: Days


class Alive(_Part):
    command: Command
    every: Duration


class Alerts(_Part):
    command: Command
    within: Annotated[Duration, AfterValidator(_as_long_as_somebody_waits)]
    alive: Alive


class Settings(_Part):
    service: Service
    operator: Operator
    agencies: dict[Plain, Agency]
    state: Annotated[Path, AfterValidator(_absolute)]
    host: Annotated[str, _looks("[A-Za-z0-9._-]{0,64}", "a name of letters, digits and . _ -, or empty")]
    database: Annotated[str, AfterValidator(_connection)]
    sip: Sip
    agi_port: Port
    test_phone: bool
    trunks: dict[TrunkName, Trunk]
    calls: Calls
    policy: Policy
    guard: Guard
    alarms: Alarms
    alerts: Alerts
    keep: Keep
    canary: Duration
    voices: dict[str, Annotated[list[Engine], Field(min_length=1)]]
    piper_voices: Annotated[Path, AfterValidator(_absolute)]
    recordings: Annotated[Path, AfterValidator(_absolute)]
    demo: bool

    def zone(self, agency: str) -> ZoneInfo:
        """An agency's clock: of what its feeds and staff say of it, and of the hours in which its news is told."""
        known = self.agencies.get(agency)
        return ZoneInfo(known.time_zone) if known and known.time_zone else self.service.zone

    def guard_of(self, feed: str) -> Guard:
        """What files of a feed, AGENCY/NAME, may change; of a file by hand, where it is empty."""
        agency, _, name = feed.partition("/")
        known = self.agencies[agency].feeds.get(name) if agency in self.agencies else None
        own = known.guard if known else OfFeed()
        return self.guard.model_copy(update={field: getattr(own, field) for field in own.model_fields_set})

    @property
    def outbound(self) -> dict[str, Outbound]:
        """What carries calls out, by name, the preferred first; without a trunk the test phone, which has none."""
        return dict(self.trunks) or {"": TEST_PHONE}

    @property
    def own_telephones(self) -> set[str]:
        """Numbers that nobody can be called at: the service's own, those of who helps, and the jails'."""
        jails = {facility.telephone for agency in self.agencies.values() for facility in agency.facilities.values()}
        # What is dialled for the operator may have another digit before it, for an outside line or the country.
        return jails | {
            self.service.number,
            self.service.operator,
            self.service.crisis_line,
            self.operator.dial[-10:],
        }


def load(path: Path) -> Settings:
    """Read the settings file.

    Raises WrongSettings, whose text has one line for each wrong setting.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongSettings(
            f"{path}: cannot be read ({error.strerror}). script/server makes it at its first start."
        ) from None
    except UnicodeDecodeError:
        raise WrongSettings(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except (yaml.YAMLError, ValueError) as error:
        # Not what the library says: it quotes the line, and a password may stand there.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise WrongSettings(
            f"{path}{where}: is not YAML; look there for a missing quote or colon, or a line that begins too far left"
        ) from None
    if not isinstance(content, dict):
        raise WrongSettings(f"{path}: holds no settings; start from {EXAMPLE.name} of the project")
    lines = _between(content)
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        lines = [_sentence(problem) for problem in error.errors(include_url=False, include_context=False)] + lines
    else:
        if not lines:
            return settings
    raise WrongSettings("\n".join(f"{path}: {line}" for line in lines))


def _between(content: dict[Any, Any]) -> list[str]:
    """What is wrong between settings that stand far from each other, though others may be wrong by themselves."""
    problems = []
    service, voices = content.get("service"), content.get("voices")
    languages = service.get("languages") if isinstance(service, dict) else None
    if isinstance(languages, list) and isinstance(voices, dict):
        problems += [
            f"voices: no engine for the language {language}; for example: {language}: [espeak-ng]"
            for language in languages
            if isinstance(language, str) and re.fullmatch("[a-z]{2}", language) and language not in voices
        ]
    trunks, sip = content.get("trunks"), content.get("sip")
    if trunks == {} and content.get("test_phone") is False:
        problems.append(
            "trunks: there is neither a trunk nor a test phone, so nobody could be called; for example:"
            " test_phone: true"
        )
    if isinstance(trunks, dict) and isinstance(sip, dict) and _is_this_machine(here := str(sip.get("address"))):
        problems += [
            f"sip.address: the trunk {name} is on another machine, which cannot reach {here}; give the address of this"
            " machine that it reaches; for example: 192.0.2.10"
            for name, trunk in trunks.items()
            if isinstance(trunk, dict) and not _is_this_machine(str(trunk.get("host", "localhost")))
        ][:1]
    return problems + _drops(content.get("agencies"))


def _drops(agencies: object) -> list[str]:
    """The feeds of whose files nobody could tell by which of two they came."""
    found: list[tuple[str, Path]] = []
    for key, agency in agencies.items() if isinstance(agencies, dict) else ():
        feeds = agency.get("feeds") if isinstance(agency, dict) else None
        for name, feed in feeds.items() if isinstance(feeds, dict) else ():
            if isinstance(feed, dict) and isinstance(feed.get("drop"), str):
                found.append((f"agencies.{key}.feeds.{name}.drop", Path(os.path.normpath(feed["drop"]))))
    problems = []
    for here, drop in found:
        for other, theirs in found:
            aside = any(drop.is_relative_to(theirs / folder) for folder in FOLDERS)
            if here != other and (aside or (drop == theirs and here > other)):
                where = "where files of another feed lie aside" if aside else "the directory of another feed"
                problems.append(f"{here}: is {where} ({other}); give each feed a directory of its own")
    return problems


def _is_this_machine(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sentence(problem: Any) -> str:
    where = [str(part) for part in problem["loc"] if part != "[key]"]
    said = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    given = problem["input"]
    secret = "password" in where or where == ["database"] or (where[0] == "trunks" and len(where) < 3)
    if problem["type"] == "missing":
        said = "is missing"
    elif problem["type"] in ("model_type", "dict_type"):
        said = "must hold settings of its own"
    elif problem["type"] == "extra_forbidden":
        return f"{'.'.join(where)}: there is no such setting; remove it, or correct its name"
    elif not isinstance(given, dict | list) and not secret:
        said = f"{said[0].lower()}{said[1:]} (it says {given!r})"
    return f"{'.'.join(where)}: {said}; for example: {_example(problem['loc'])}"


def _example(where: Sequence[str | int]) -> str:
    """What the commented example file says in the same place; a name that it does not know is read as its first one."""
    value = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    value |= {"trunks": {"main": _TRUNK}, "database": "host=db.example.net dbname=movans user=movans"}
    value["operator"]["hours"] = _HOURS
    value["agencies"]["boone"]["time_zone"] = "America/Denver"
    policy = value["policy"]
    policy["critical"] |= {"hours": policy["routine"]["hours"], "hold": "02:00:00"}
    policy["routine"] |= {"hold": "02:00:00", "staff_after": "24:00:00"}
    policy["kinds"] = {"transferred": policy["routine"]}
    value["alerts"] |= {"command": _MAIL, "alive": {"command": _PING, "every": "00:05:00"}}
    for key, agency in value["agencies"].items():
        agency["feeds"] = {"jail": _FEED | {"drop": f"/srv/movans/{key}-jail"}}
    value["sip"]["listen"] = "0.0.0.0"  # noqa: S104  an example
    for number, part in enumerate(where):
        if isinstance(value, dict):
            name = part if part in value else next(iter(value))
            value = name if where[number + 1 :] == ("[key]",) else value[name]
        elif isinstance(value, list) and isinstance(part, int):
            value = value[min(part, len(value) - 1)]
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
