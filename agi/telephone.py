"""Which telephone numbers a caller may leave, and why not the others.

``phonenumbers`` knows the numbering plan; it lets pass some numbers that nobody can be reached at (FACTS), which the
rules here refuse. Source: North American Numbering Plan Administration, on N11, 900, 976 and toll-free codes.
"""

from collections.abc import Collection

import phonenumbers

US_REGIONS = {"US", "PR", "VI", "GU", "AS", "MP"}
TOLL_FREE = {"800", "833", "844", "855", "866", "877", "888"}


def without_country_code(digits: str) -> str:
    """Some people dial the 1 before the area code."""
    return digits[1:] if len(digits) == 11 and digits.startswith("1") else digits


def problem(digits: str, ours: Collection[str]) -> str | None:
    """The prompt that says what is wrong with a number as keyed, or None. ``ours`` are the service's and the jails'."""
    digits = without_country_code(digits)
    if len(digits) < 10:
        return "phone_too_short"
    if len(digits) > 10:
        return "phone_too_long"
    if digits in ours:
        return "phone_ours"
    area, exchange, line = digits[:3], digits[3:6], digits[6:]
    if area == "900" or exchange == "976":
        return "phone_premium"
    if area in TOLL_FREE:
        return "phone_toll_free"
    if area.endswith("11") or exchange.endswith("11") or (exchange, line) == ("555", "1212"):
        return "phone_service"
    parsed = phonenumbers.parse("+1" + digits)
    if not phonenumbers.is_valid_number(parsed) or phonenumbers.region_code_for_number(parsed) not in US_REGIONS:
        return "phone_impossible"
    return None
