"""Names as jails write them, and what callers key in for them."""

import pytest

from db.names import name_keys

LAST_NAMES = {
    "SMITH": {"76484"},
    "Smith": {"76484"},
    "QUIZ": {"7849"},
    "NG": {"64"},
    "O'BRIEN": {"627436"},
    "O’Brien": {"627436"},
    "O´BRIEN": {"627436"},
    "ʻAKAHI": {"25244"},
    "O BRIEN": {"627436", "274366", "27436"},
    "ST. JOHN": {"785646", "564678", "5646"},
    "SMITH JR": {"76484"},
    "SMITH, Jr.": {"76484"},
    "SMITH III": {"76484"},
    "SMITH 2ND": {"76484"},
    "IV": {"48"},
    "  SMITH  ": {"76484"},
    "GARCIA LOPEZ": {"42724256739", "56739427242", "427242", "56739"},
    "GARCÍA-LÓPEZ": {"42724256739", "56739427242", "427242", "56739"},
    "GARCIA GARCIA": {"427242427242", "427242"},
    "DE LA CRUZ": {"33522789", "52278933", "27893352", "2789"},
    "LE NGUYEN": {"53648936", "64893653", "648936"},
    "MÜLLER": {"685537"},
    "MU\u0308LLER": {"685537"},
    "WEIß": {"93477"},
    "WEIẞ": {"93477"},
    "SØRENSEN": {"76736736"},
    "ŁUKASZ": {"585279"},
    "ĐORĐEVIĆ": {"36733842"},
    "ÆRØ": {"2376"},
    "ÞÓR": {"8467"},
    "ÇELIK": {"23545"},
    "IŞIK": {"4745"},
    "Işık": {"4745"},
    "NUÑEZ": {"68639"},
    "ﬁNN": {"3466"},
    "张伟": set(),
    "?": set(),
    "007": set(),
    "": set(),
}


@pytest.mark.parametrize(("name", "keys"), LAST_NAMES.items())
def test_a_last_name_is_found_by_these_keys(name: str, keys: set[str]):
    assert name_keys(name, "ANN") == {(each, "266") for each in keys}


FIRST_NAMES = {
    "JOHN": "5646",
    "JOHN PAUL": "56467285",
    "JEAN-PAUL": "53267285",
    "D'ANDRE": "326373",
    "JOHN JR": "5646",
    "JR": "57",
    "JOSÉ": "5673",
    "": "",
    "?": "",
}


@pytest.mark.parametrize(("name", "keys"), FIRST_NAMES.items())
def test_a_first_name_is_found_by_these_keys(name: str, keys: str):
    assert name_keys("SMITH", name) == {("76484", keys)}


WHOLE_NAMES = {
    "SMITH, JOHN": {("76484", "5646")},
    "SMITH, JOHN PAUL JR": {("76484", "5646")},
    "SMITH, JR, JOHN": {("76484", "5646")},
    "SMITH,": {("76484", "")},
    "SHORTY": {("746789", "")},
    "GARCIA LOPEZ, ANA": {(each, "262") for each in ("42724256739", "56739427242", "427242", "56739")},
    ", JOHN": set(),
    ",": set(),
}


@pytest.mark.parametrize(("name", "keys"), WHOLE_NAMES.items())
def test_a_whole_name_with_its_comma_is_found_by_its_last_and_its_first_word(name: str, keys: set[tuple[str, str]]):
    assert name_keys(name) == keys
