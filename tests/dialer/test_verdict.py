"""What a refusal says beyond its call."""

import pytest

from db.numbers import BLOCKED, NO_SUCH_NUMBER
from dialer.verdict import sip_code, verdict, without_numbers


@pytest.mark.parametrize(
    ("said", "q850", "means"),
    [
        ("SIP 404 Not Found", 1, NO_SUCH_NUMBER),
        ("SIP 410 Gone", 22, NO_SUCH_NUMBER),
        ("SIP 480 Temporarily Unavailable", 1, NO_SUCH_NUMBER),
        ("SIP 484 Address Incomplete", 28, NO_SUCH_NUMBER),
        ("", 1, NO_SUCH_NUMBER),
        ("SIP 603 Network Blocked", 21, BLOCKED),
        ("SIP 603 NETWORK BLOCKED", None, BLOCKED),
        ("SIP 607 Unwanted", 127, BLOCKED),
        ("SIP 608 Rejected", 127, BLOCKED),
        ("SIP 603 Decline", 21, None),
        ("SIP 486 Busy Here", 17, None),
        ("SIP 480 Temporarily Unavailable", 18, None),
        ("SIP 503 Service Unavailable", 42, None),
        ("SIP 500 Gone to lunch at 404", 41, None),
        ("", None, None),
    ],
)
def test_what_it_means(said: str, q850: int | None, means: str | None):
    assert verdict(said, q850) == means


@pytest.mark.parametrize(
    ("said", "code"),
    [("SIP 486 Busy Here", 486), ("SIP 404 No route to …", 404), ("SIP 4040", None), ("", None), ("IAX2 17", None)],
)
def test_the_code_is_read_from_what_asterisk_says(said: str, code: int | None):
    assert sip_code(said) == code


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("SIP 404 No route to 5735550142", "SIP 404 No route to …"),
        ("SIP 404 573-555-0142 unknown", "SIP 404 … unknown"),
        ("SIP 480 +1 (573) 555.0142", "SIP 480 +…"),
        ("SIP 486 Busy Here", "SIP 486 Busy Here"),
        ("SIP 5035550142", "SIP …"),
        ("", ""),
    ],
)
def test_no_telephone_number_is_kept_of_what_the_network_says(said: str, kept: str):
    assert without_numbers(said) == kept
