"""What a single cell must hold, whatever the format, and the sentence about one that does not."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails

from db.names import name_keys
from feed.records import Rules

DAY = timedelta(days=1)
AHEAD = timedelta(minutes=10)  # how far a jail's clock may be ahead of ours
OLDEST = date(1900, 1, 1)  # a year before this is a slip of the keyboard, as in 0206 for 2026
LAST_YEAR = 100  # years ahead; a later one is no plan, but a way to say that there is none
LONGEST = 80  # characters of a name, a facility
SEVERAL = 20  # aliases, case numbers of a person
MOST_KEYS = 20  # of one entry on the line
COMMANDS = ("0", "9")  # on the line, standing alone
_EXAMPLE = datetime(2026, 11, 15, 9, 40)  # noqa: DTZ001 - of how a time is written


def _some(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _number(text: str) -> str:
    if not any(sign.isdigit() for sign in text) or not re.fullmatch(r"[A-Za-z0-9 ./:-]+", text):
        raise ValueError("must be made of letters and digits, with at least one digit, so that it can be keyed in")
    keys = re.sub("[ ./:-]", "", text)
    if len(keys) > MOST_KEYS:
        raise ValueError(f"has more than {MOST_KEYS} letters and digits, which callers cannot key in; shorten it")
    if keys in COMMANDS:
        raise ValueError("cannot be keyed in: 0 and 9 alone are commands on the line; give another, as in 00")
    return text


def is_number(text: str) -> bool:
    try:
        return bool(_number(text))
    except ValueError:
        return False


def _number_or_none(text: str) -> str:
    return _number(text) if text else text


def _alias(text: str) -> str:
    keys = {last for last, _ in name_keys(text)}
    if not keys or keys <= set(COMMANDS):
        raise ValueError("must be LAST, FIRST MIDDLE, with a last name whose letters can be keyed in")
    return text


def _several(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip() for part in text.split(";") if part.strip()))
    if len(found) > SEVERAL:
        raise ValueError(f"holds {len(found)}, and at most {SEVERAL} are kept; leave the others out")
    return found


def _status(text: str, info: ValidationInfo) -> str:
    found = _rules(info).meanings.get(text.lower())
    if found is None:
        words = _rules(info).statuses
        if not words:
            raise ValueError("means nothing yet; add it to the feed's statuses in the settings")
        theirs = "" if set(words) <= set(words.values()) else ", or be added to the feed's statuses"
        raise ValueError(f"must be one of {', '.join(words)}{theirs}")
    return found


def _rules(info: ValidationInfo) -> Rules:
    if not isinstance(info.context, Rules):
        raise TypeError("a row is checked against rules")
    return info.context


def _date(text: str, info: ValidationInfo) -> date | None:
    if not text:
        return None
    form = _rules(info).dates
    try:
        found = datetime.strptime(text, form).date() if form else date.fromisoformat(text)  # noqa: DTZ007 - a day
    except ValueError:
        found = None
    if found is None or found < OLDEST:
        example = date(1990, 7, 31).strftime(form or "%Y-%m-%d")
        raise ValueError(f"must be a date like {example}, or empty if it is not known")
    return found


def _time(text: str, info: ValidationInfo) -> datetime:
    form = _rules(info).times
    try:
        found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007 - see with_zone
    except ValueError:
        found = None
    if found is None or found.date() < OLDEST or (not form and len(text) < len("2026-11-15 09:40")):
        if form:
            raise ValueError(f"must be a time like {_EXAMPLE.strftime(form)}")
        raise ValueError("must be a time like 2026-11-15 09:40, or with its zone, 2026-11-15T09:40:00-06:00")
    return found


def _time_or_none(text: str, info: ValidationInfo) -> datetime | None:
    return _time(text, info) if text else None


Some = Annotated[str, AfterValidator(_some)]
Number = Annotated[str, AfterValidator(_number)]
NumberOrNone = Annotated[str, AfterValidator(_number_or_none)]
Numbers = Annotated[tuple[Number, ...], BeforeValidator(_several)]
Aliases = Annotated[tuple[Annotated[str, AfterValidator(_alias)], ...], BeforeValidator(_several)]
Status = Annotated[str, AfterValidator(_status)]
Day = Annotated[date | None, BeforeValidator(_date)]
Time = Annotated[datetime, BeforeValidator(_time)]
TimeOrNone = Annotated[datetime | None, BeforeValidator(_time_or_none)]


class Row(BaseModel):
    """What each field of a row must hold. A time stays without its zone until the whole row is known to be one."""

    model_config = ConfigDict(extra="forbid", str_max_length=LONGEST)


class Wrong(Exception):
    """A row that cannot be believed. ``mistakes`` has a sentence for each, naming the column."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


AnyRow = TypeVar("AnyRow", bound=Row)


def checked(schema: type[AnyRow], fields: Mapping[str, str], rules: Rules, called: Callable[[str], str]) -> AnyRow:
    """Hold a row's cells, with single blanks, against its schema. Raises Wrong with every mistake.

    ``called`` says what the file itself calls a field.
    """
    if strange := [name for name, cell in fields.items() if not cell.isprintable()]:
        raise Wrong([f"{called(name)} holds a sign that cannot be seen; type it anew" for name in strange])
    try:
        return schema.model_validate(dict(fields), context=rules)
    except ValidationError as error:
        raise Wrong([_sentence(problem, called) for problem in error.errors(include_url=False)]) from None


def with_zone(at: datetime, zone: ZoneInfo) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=zone)


def is_to_come(at: datetime, now: datetime) -> bool:
    """Whether a time with its zone is further ahead than clocks can be apart."""
    # Compared without zones first: the last days of the year 9999 cannot be converted.
    return at.replace(tzinfo=UTC) > now + 2 * DAY or at > now + AHEAD


def plans(planned: Mapping[str, date | None], now: datetime) -> list[str]:
    """What is wrong with days that are to come, by what the file calls them."""
    return [
        f"{name} {day:%Y-%m-%d} is more than {LAST_YEAR} years ahead; leave it empty if there is none"
        for name, day in planned.items()
        if day and day.year > now.year + LAST_YEAR
    ]


def birth(name: str, born: date | None, now: datetime) -> list[str]:
    """What is wrong with a date of birth."""
    return [f"{name} {born} is in the future; correct it"] if born and born > (now + DAY).date() else []


def one_line(text: str) -> str:
    return " ".join(text.split())


def _sentence(problem: ErrorDetails, called: Callable[[str], str]) -> str:
    field, given = str(problem["loc"][0]), str(problem["input"])
    column, said = called(field), problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{column} is missing"
    if field in ("aliases", "case_numbers") and len(problem["loc"]) == 1:
        return f"{column} {said}"  # of all of them
    if problem["type"] == "string_too_long" or len(given) > LONGEST:
        return f"{column} is longer than {LONGEST} characters; shorten it"
    return f"{column} {given!r} {said}" if given else f"{column} is empty: it {said}"
