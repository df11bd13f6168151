"""What a network's refusal says beyond the one call: that a number does not exist, or that we are blocked.

Sources: RFC 3261 (404, 410), ITU-T Q.850 (cause 1, unallocated number; 28, invalid number format), RFC 8197 (607), RFC
8688 (608), and ATIS-1000099 ("603+": 603 Network Blocked, where 603 Decline is a person's own refusal).
"""

import re

from db.numbers import BLOCKED, NO_SUCH_NUMBER

_ANSWER = re.compile(r"SIP ([1-6][0-9]{2})\b")
_GONE_BY_SIP, _GONE_BY_Q850 = {404, 410}, {1, 28}


def sip_code(said: str) -> int | None:
    """The code in the network's last answer as Asterisk gives it, as in SIP 486 Busy Here; None where there is none."""
    found = _ANSWER.match(said)
    return int(found[1]) if found else None


def without_numbers(said: str) -> str:
    """The network's last answer with what may be a telephone number in its words, which are free text, taken out."""
    code = _ANSWER.match(said)
    words = said[code.end() :] if code else said
    return (code[0] if code else "") + re.sub(r"\d(?:[-.() ]*\d){3,}", "…", words)


def verdict(said: str, q850: int | None) -> str | None:
    """What a refusal in these words, with this Q.850 cause, says beyond the call. Not for calls that were answered."""
    code = sip_code(said)
    if code in (607, 608) or (code == 603 and "network blocked" in said.lower()):
        return BLOCKED
    if code in _GONE_BY_SIP or q850 in _GONE_BY_Q850:
        return NO_SUCH_NUMBER
    return None
