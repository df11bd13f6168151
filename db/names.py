"""How a name becomes keys of a telephone: pure functions, so that every rule can stand in a table of names.

Letters lie on the keys as ITU-T E.161 has them, with Q on 7 and Z on 9.
"""

import re
import unicodedata

WHOLE = 3  # keys; a last name that is shorter is found only where it is keyed in whole

_KEYS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
# Letters that are no plain letter with a mark on it, which Unicode takes apart.
_PLAIN = str.maketrans(
    {"ẞ": "SS", "Æ": "AE", "Œ": "OE", "Þ": "TH", "Ŋ": "NG", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Ħ": "H", "Ŧ": "T"}
)
_APOSTROPHES = re.compile("['`´‘’ʻʼ′]")
_SUFFIXES = {"JR", "SR", "II", "III", "IV"}


def name_keys(last: str, first: str = "") -> set[tuple[str, str]]:
    """What a name is found by: pairs of the keys of a last and a first name; none where it has no letter of a key.

    A last name of several words is found from each of its words on, whatever stood before it coming last, so the order
    of two surnames does not matter; and by each word of three letters or more. A whole name may stand in ``last``,
    with its comma, as an alias does: SMITH, JOHN PAUL. Its middle names are not searched.
    """
    if not first.strip() and "," in last:
        last, _, others = last.partition(",")
        first = "".join(words_of(others)[:1])
    words = words_of(last)
    forms = {"".join(words[at:] + words[:at]) for at in range(len(words))} | {w for w in words if len(w) >= WHOLE}
    first_keys = _keys("".join(words_of(first)))
    return {(_keys(form), first_keys) for form in forms}


def words_of(name: str) -> list[str]:
    """The words of a name in the letters A to Z, without Junior and the like unless nothing else is there."""
    plain = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", name).upper().translate(_PLAIN))
    letters = "".join(sign for sign in plain if not unicodedata.combining(sign))
    words = [word for word in re.findall("[A-Z0-9]+", letters) if word.isalpha()]  # 2ND is no name
    return [word for word in words if word not in _SUFFIXES] or words


def _keys(letters: str) -> str:
    return letters.translate(_KEYS)
