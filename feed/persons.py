"""Whether who a number is was corrected, or is somebody else by now: a pure function, with a table of cases."""

from datetime import date
from difflib import SequenceMatcher
from typing import Literal

from db.custody import Person
from db.names import words_of

ALIKE = 0.7  # of 1: how like two words must be to be one with a slip in it


def became(known: Person, told: Person) -> Literal["", "renamed", "replaced"]:
    """What a number's person became: empty, they stay who they were, whatever was corrected.

    1. Of last name, first name and date of birth, what is not given on one side, or is like what was known, is the
       same: a slip, an order of names, a name or a suffix that was added, an initial.
    2. Where two of the three are others, it is another person: ``replaced``.
    3. Where only one name is another, it may be a marriage or another person: ``renamed``. A date of birth that is
       another is a correction.
    """
    last = _is_other(words_of(known.last_name), words_of(told.last_name))
    first = _is_other(words_of(known.first_name), words_of(f"{told.first_name} {told.middle_name}")) and _is_other(
        words_of(told.first_name), words_of(f"{known.first_name} {known.middle_name}")
    )
    if last + first + _is_other_day(known.birth_date, told.birth_date) > 1:
        return "replaced"
    return "renamed" if last or first else ""


def _is_other(known: list[str], told: list[str]) -> bool:
    return bool(known and told) and not any(_is_like(one, other) for one in known for other in told)


def _is_like(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one) or SequenceMatcher(a=one, b=other).ratio() >= ALIKE


def _is_other_day(known: date | None, told: date | None) -> bool:
    """A slip is in one of year, month and day, or changes month and day for each other."""
    if known is None or told is None:
        return False
    same = [known.year == told.year, known.month == told.month, known.day == told.day]
    return sum(same) < 2 and not (same[0] and (known.month, known.day) == (told.day, told.month))
