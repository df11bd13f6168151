"""What is said where no voice speaks: a last name letter by letter, and what there is to say in prompts without values.

All of these are built in advance. A function here returns the prompts to be said, one after the other.
"""

import string
import unicodedata

from db.notifications import News

SPELLED = string.ascii_lowercase + string.digits


def letters(text: str) -> list[str]:
    """Letters, without their accents, and digits; other signs are left out."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return [f"{'digit' if sign in string.digits else 'letter'}_{sign}" for sign in plain if sign in SPELLED]


def person(last_name: str) -> list[str]:
    """A whole name may stand in ``last_name``, with its comma."""
    spelled = letters(last_name.partition(",")[0])
    return ["spelled_name", *spelled] if spelled else ["this_person"]


def status(last_name: str, custody_status: str) -> list[str]:
    """A last name alone may be somebody else's: whoever it is, nobody is to feel safe."""
    return [*person(last_name), f"status_{custody_status.replace(' ', '_')}_spelled", "assume_free"]


def news(item: News, *, past: bool = False) -> list[str]:
    """``past``: it was to come, and its time is over."""
    return [*person(item.last_name), f"news_{item.kind}{'_past' if past else ''}_spelled", "details_unsaid"]
