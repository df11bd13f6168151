"""A wrong setting stops the start with its name, what is wrong and an example; all at once."""

import re
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from movans.settings import EXAMPLE, Settings, WrongSettings, load

MISSING = object()
ANYWHERE = "0.0.0.0"  # noqa: S104
PASSWORD = "Tr0ub4dor&3"
TRUNK = {"host": "sip.example.net", "port": 5060, "username": "movans", "password": PASSWORD, "lines": 4, "rate": 2}
HERE = {"lines": 4, "rate": 2}

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Write the example's settings, changed at dotted places, as a settings file."""

    def write(changes: dict[str, Any]) -> Path:
        content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
        content["sip"]["address"] = "192.0.2.10"  # one that goes together with a trunk elsewhere
        for place, value in changes.items():
            part = content
            *outer, last = place.split(".")
            for name in outer:
                part = part[int(name) if name.isdigit() else name]
            if value is MISSING:
                del part[last]
            else:
                part[last] = deepcopy(value)
        path = tmp_path / "movans.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


def said(path: Path) -> list[str]:
    with pytest.raises(WrongSettings) as wrong:
        load(path)
    return str(wrong.value).splitlines()


def test_the_example_is_right():
    settings = load(EXAMPLE)
    assert settings.service.number == "8665550182"
    assert settings.policy.rules("released", "critical").phases[0].again["lost"] == timedelta(seconds=10)
    assert settings.service.zone.key == "America/Chicago"
    assert list(settings.outbound) == [""]


def test_the_examples_commented_settings_are_right_too(tmp_path: Path):
    text = EXAMPLE.read_text(encoding="utf-8").replace("trunks: {}\n", "").replace("# trunks:", "trunks:")
    text = text.replace("kinds: {registration_ending: {then: report}}", "")
    names = ("listen", "  main", *(f"    {name}" for name in TRUNK), "kinds", "  transferred", "  court_moved")
    for name in (*names, "time_zone", "command"):
        text = text.replace(f"# {name}:", f"{name}:").replace(f"#{name}:", f"{name}:")
    path = tmp_path / "movans.yaml"
    path.write_text(text.replace("127.0.0.1", "192.0.2.10"), encoding="utf-8")
    settings = load(path)
    assert (settings.trunks["main"].username, str(settings.sip.listen)) == ("movans", ANYWHERE)
    assert settings.policy.rules("transferred", "routine").hold == timedelta(hours=8)
    assert settings.policy.rules("court_moved", "routine").priority == 1
    assert settings.policy.rules("court_moved", "routine").phases == settings.policy.routine.phases
    assert settings.agencies["cole"].time_zone == "America/Chicago"
    assert (settings.alerts.command[0], settings.alerts.alive.command[0]) == ("mail", "curl")


PHASE = "policy.routine.phases.0"


def test_the_examples_commented_feed_is_right_too(tmp_path: Path):
    before, comment, rest = EXAMPLE.read_text(encoding="utf-8").partition("    # feeds:\n")
    lines, after = rest.split("  cole:\n", 1)
    path = tmp_path / "movans.yaml"
    declared = re.sub("^    # ", "    ", comment + lines, flags=re.MULTILINE)
    path.write_text(f"{before}{declared}  cole:\n{after}", encoding="utf-8")
    feed = load(path).agencies["boone"].feeds["jail"]
    assert (feed.interval, feed.mistakes, feed.statuses["REL"]) == (timedelta(minutes=15), 0.0, "released")


FEEDS = "agencies.boone.feeds"


def feed(**changes: object) -> dict[str, Any]:
    """Feeds, of which one is not right."""
    content = {"format": "custody changes", "interval": "00:15:00"} | changes
    return {"jail": {name: value for name, value in content.items() if value is not MISSING}}


HOURS = {"days": ["mon", "fri"], "from": "08:00", "until": "17:00"}
AGENCY = {"name": "X", "interval": "24:00:00"}
WRONG: dict[str, tuple[str, Any, str, str]] = {
    "no name": ("service.name", "", "must be some words (it says '')", "MOVANS"),
    "no words in the name": ("service.name", " ", "must be some words", "MOVANS"),
    "a number without area code": ("service.number", "555-0182", "not a US telephone number with area code", "866-555"),
    "a number of words": ("service.number", "call us", "not a US telephone number (it says 'call us')", "866-555-0182"),
    "a number abroad": ("service.operator", "+44 20 7946 0000", "not a US telephone number with area code", "573-555"),
    "no such zone": ("service.time_zone", "Missouri", "no such time zone (it says 'Missouri')", "America/Chicago"),
    "a zone that is a path": ("service.time_zone", "../etc", "no such time zone", "America/Chicago"),
    "a language by its name": ("service.languages", ["English"], "must be two small letters (it says 'Engli", "en"),
    "a language by itself": ("service.languages", "en", "should be a valid list (it says 'en')", "[en, es]"),
    "no language": ("service.languages", [], "should have at least 1 item", "[en, es]"),
    "a language twice": ("service.languages", ["en", "es", "en"], "names en more than once", "[en, es]"),
    "more languages than keys": ("service.languages", ["en", "es"] * 3, "should have at most 5 items", "[en, es]"),
    "no agencies": ("agencies", MISSING, "is missing", "{boone: {name: Boone County, interval:"),
    "agencies as a list": ("agencies", ["boone"], "must hold settings of its own", "{boone: {name: Boone County"),
    "an agency of two words": ("agencies.st louis", AGENCY, "must be one word of letters, digits", "boone"),
    "an agency without a name": ("agencies.boone.name", MISSING, "is missing", "Boone County"),
    "an agency that sends now and then": ("agencies.boone.interval", "daily", "must be hours:minutes", "'24:00:00'"),
    "a facility's number": (
        "agencies.boone.facilities.Farm", {"telephone": "1"}, "not a US telephone number", "573-555-0111",
    ),
    "a facility's address": (
        "agencies.boone.facilities.Farm", {"telephone": 5735550113, "address": " "}, "must be some words", "12 Court",
    ),
    "a feed of no format": (FEEDS, feed(format=MISSING), "jail.format: is missing", "custody changes"),
    "a feed of another format": (FEEDS, feed(format="xls"), "jail.format: must be one of custody changes", "custody"),
    "a feed without an interval": (FEEDS, feed(interval=MISSING), "jail.interval: is missing", "00:15:00"),
    "a feed in two words": (FEEDS, {"the jail": feed()["jail"]}, "must be one word of letters, digits", "jail"),
    "all mistakes put aside": (FEEDS, feed(mistakes=1), "mistakes: must be refuse, or the share of bad rows", "refuse"),
    "a feed's zone": (FEEDS, feed(time_zone="Missouri"), "time_zone: no such time zone", "America/Chicago"),
    "a feed's encoding": (FEEDS, feed(encoding="klingon"), "encoding: no such encoding", "windows-1252"),
    "an encoding that is none": (FEEDS, feed(encoding="hex"), "encoding: no such encoding", "windows-1252"),
    "a field that there is not": (
        FEEDS, feed(columns={"offendr": "NO"}), "columns: there is no field offendr in this format, but", "{offender_n",
    ),
    "a field of another format": (
        FEEDS, feed(always={"event_id": "1"}, format="court calendar", columns={"Case/place": "X"}),
        "columns: there is no field Case/place in this format, but CalendarDelete/", "{offender_number: INMATE_NO}",
    ),
    "a column before the first": (FEEDS, feed(columns={"status": 0}), "must be a column's name, or its", "INMATE_NO"),
    "a status that there is not": (
        FEEDS, feed(statuses={"REL": "free"}), "statuses: free is no status of ours; they are in custody, rel", "{REL:",
    ),
    "a word that YAML reads as no": (FEEDS, feed(statuses={False: "released"}), "should be a valid string", "REL"),
    "a day of two digits": (FEEDS, feed(dates="%m/%d/%y"), "dates: must say everything that there is to say", "'%m/%d"),
    "a time without minutes": (FEEDS, feed(times="%m/%d/%Y %H"), "times: must say everything", "'%m/%d/%Y %H:%M'"),
    "a relative path": ("state", "var/movans", "must be an absolute path, beginning with /", "/var/lib/movans"),
    "a database as a number": ("database", 5432, "should be a valid string", "host=db.example.net dbname=movans"),
    "a host as an address": ("sip.address", "localhost", "is not a valid IPv4 address (it says 'localhost')", "127.0"),
    "a host to listen at": ("sip.listen", "everywhere", "is not a valid IPv4 address", ANYWHERE),
    "a port that is none": ("sip.port", 70000, "should be less than or equal to 65535 (it says 70000)", "5060"),
    "a port of words": ("agi_port", "agi", "should be a valid integer", "4573"),
    "one port for sound": ("sip.rtp_ports", [10000, 10001], "the last must be at least 3 above the first", "[10000, 1"),
    "ports the wrong way round": ("sip.rtp_ports", [10199, 10000], "must be at least 3 above", "[10000, 10199]"),
    "half a pair of ports": ("sip.rtp_ports", [10000], "is missing", "10199"),
    "perhaps a test phone": ("test_phone", "perhaps", "should be a valid boolean", "true"),
    "a trunk's host with an option": ("trunks.main", TRUNK | {"host": "a;b"}, "must be one word of letters", "sip."),
    "a trunk without a host": ("trunks.main", HERE, "is missing", "sip.example.net"),
    "a trunk's port": ("trunks.main", TRUNK | {"port": 0}, "should be greater than or equal to 1 (it says 0)", "5060"),
    "a user of two lines": ("trunks.main", TRUNK | {"username": "a\nb"}, "must be one word of letters", "movans"),
    "a trunk in one word": ("trunks.main", "sip.example.net", "must hold settings of its own", "{host: sip."),
    "a trunk with a long name": ("trunks", {"a" * 17: TRUNK}, "must be at most 16 small letters, digits", "main"),
    "a trunk without lines": ("trunks.main", TRUNK | {"lines": 0}, "greater than or equal to 1 (it says 0)", "20"),
    "a trunk that is too slow": ("trunks.main", TRUNK | {"rate": 0}, "greater than or equal to 0.1 (it says 0)", "2"),
    "a host of two words": ("host", "my host", "must be a name of letters, digits and . _ -, or empty", "''"),
    "a database as a host": ("database", "db.example.net", "must be name=value pairs", "host=db.example.net dbname="),
    "ringing for no time": ("calls.ring", "00:00:00", "must be at least 1 second (it says '00:00:00')", "00:00:30"),
    "ringing for no seconds": ("calls.ring", 0, "must be at least 1 second (it says 0)", "00:00:30"),
    "ringing for a part of a second": ("calls.ring", "00:00:00.4", "must be hours:minutes:seconds", "00:00:30"),
    "ringing for half a minute, or an hour": ("calls.ring", "00:30", "must be hours:minutes:seconds", "00:00:30"),
    "ringing for hours": ("calls.ring", "00:05:01", "must be at most 5 minutes (it says '00:05:01')", "00:00:30"),
    "a call of words": ("calls.longest", "five minutes", "must be hours:minutes:seconds in quotes", "00:05:00"),
    "a call of half seconds": ("calls.longest", 90.5, "or whole seconds, less than 100 hours", "00:05:00"),
    "a call as long as it likes": ("calls.longest", True, "must be hours:minutes:seconds", "00:05:00"),
    "a call past its proof": ("calls.longest", "00:10:01", "must be at most 10 minutes", "00:05:00"),
    "a call of 90 minutes": ("calls.longest", "0:90:00", "must be hours:minutes:seconds", "00:05:00"),
    "calling on backwards": (f"{PHASE}.for", "-24:00:00", "must be hours:minutes:seconds", "'48:00:00'"),
    "calling on for ever": (f"{PHASE}.for", 10**20, "whole seconds, less than 100 hours", "'48:00:00'"),
    "calling on backwards for ever": (f"{PHASE}.for", -(10**20), "must be hours:minutes:seconds", "'48:00:00'"),
    "an outcome left out": (f"{PHASE}.again.busy", MISSING, "says nothing of busy", "{not confirmed: '02:00:00', mac"),
    "an outcome that is none": (f"{PHASE}.again.bored", "00:10:00", "knows no bored, but busy, congesti", "{not confi"),
    "a wait of words": (f"{PHASE}.again.busy", "soon", "must be hours:minutes:seconds", "00:30:00"),
    "no wait of a proof": ("policy.proofs.busy", MISSING, "says nothing of busy", "{not confirmed: '02:00:00', mac"),
    "no phase": ("policy.critical.phases", [], "should have at least 1 item", "[{for: '24:00:00', again: {not confir"),
    "a priority that is none": ("policy.critical.priority", 0, "should be greater than or equal to 1", "1"),
    "a class without hours": ("policy.routine.hours", MISSING, "is missing", "{from: '07:00', until: '21:00'}"),
    "hours of words": ("policy.critical.hours", {"from": "dawn", "until": "21:00"}, "must be hours:minutes", "07:00"),
    "half of the hours": ("policy.routine.hours", {"from": "07:00"}, "is missing", "'21:00'"),
    "holding for words": ("policy.routine.hold", "a while", "must be hours:minutes:seconds in quotes", "02:00:00"),
    "telling staff never": ("policy.critical.staff_after", "never", "must be hours:minutes:seconds", "02:00:00"),
    "an end that is none": ("policy.routine.then", "give up", "should be 'alert' or 'report' (it says 'give", "alert"),
    "a kind by words": ("policy.kinds.work release", {}, "must be a kind of event, as movans policy", "transferre"),
    "a kind that holds no rules": ("policy.kinds.transferred", 8, "must hold settings of its own", "{priority: 2,"),
    "a kind's wrong hold": ("policy.kinds.furloughed", {"hold": "long"}, "must be hours:minutes:sec", "02:00:00"),
    "a kind's wrong hours": ("policy.kinds.died", {"hours": {"from": 7, "until": "21:00"}}, "must be hours", "07:00"),
    "an agency's time zone": ("agencies.boone.time_zone", "Boone", "no such time zone (it says 'Boone", "America/Den"),
    "a command in one word": ("alerts.command", "mail", "should be a valid list (it says 'mail')", "[mail, -s,"),
    "a command with an empty word": ("alerts.command", ["mail", ""], "must be words, each not empty", "-s"),
    "a command that takes hours": ("alerts.within", "02:00:00", "must be at most 5 minutes", "00:00:30"),
    "a sign of life without a time": ("alerts.alive.every", MISSING, "is missing", "00:05:00"),
    "a sign of life in a word": ("alerts.alive.command", ["curl", 10], "should be a valid string", "-fsS"),
    "an engine that is none": ("voices.en", ["festival"], "should be 'piper', 'espeak-ng' or 'gtts' (it says", "piper"),
    "no engine": ("voices.en", [], "should have at least 1 item", "[piper, espeak-ng]"),
    "a relative folder of voices": ("piper_voices", "voices", "must be an absolute path", "/etc/movans/voices"),
    "an extension of words": ("operator.dial", "desk", "must be digits, as an extension of your PBX", "''"),
    "hours of one digit": ("operator.hours", HOURS | {"from": "8:00"}, "must be hours:minutes in quotes", "08:00"),
    "hours without quotes": ("operator.hours", HOURS | {"until": 1020}, "must be hours:minutes in quotes", "'17:00'"),
    "a day that is none": ("operator.hours", HOURS | {"days": ["monday"]}, "should be 'mon', 'tue'", "mon"),
    "hours of no day": ("operator.hours", HOURS | {"days": []}, "should have at least 1 item", "[mon, tue, wed"),
    "a relative folder of recordings": ("recordings", "mine", "must be an absolute path", "/etc/movans/recordings"),
    "no demo": ("demo", MISSING, "is missing", "true"),
}  # fmt: skip


@pytest.mark.parametrize(("place", "value", "what", "example"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named_with_what_is_wrong_and_an_example(
    place: str, value: object, what: str, example: str, written: Written
):
    path = written({place: value})
    (line,) = said(path)
    assert line.startswith(f"{path}: {place.removesuffix('.busy').removesuffix('.bored')}")
    assert what in line
    assert f"; for example: {example}" in line


def test_every_example_that_is_named_is_right_itself(written: Written):
    tried = 0
    for place, value, _, _ in WRONG.values():
        (line,) = said(written({place: value}))
        if f": {place}: " in line and place not in (
            "agencies.st louis",
            "policy.kinds.work release",
        ):  # there the name is what is wrong
            load(written({place: yaml.safe_load(line.split("; for example: ")[1])}))
            tried += 1
    assert tried > len(WRONG) / 2


def test_every_setting_that_is_left_out_is_named(written: Written):
    for part in Settings.model_fields:
        path = written({part: MISSING})
        assert said(path)[0].startswith(f"{path}: {part}: is missing; for example: ")


def test_a_setting_that_there_is_not_is_named(written: Written):
    path = written({"sip.prot": 5060, "colour": "blue"})
    assert said(path) == [
        f"{path}: sip.prot: there is no such setting; remove it, or correct its name",
        f"{path}: colour: there is no such setting; remove it, or correct its name",
    ]


BETWEEN: dict[str, tuple[dict[str, Any], str]] = {
    "a language without a voice": ({"service.languages": ["en", "fr"]}, "voices: no engine for the language fr; for e"),
    "nobody to call": ({"test_phone": False}, "trunks: there is neither a trunk nor a test phone, so nobody could be"),
    "a trunk elsewhere and an address for here": (
        {"trunks.main": TRUNK, "sip.address": "127.0.0.1"}, "sip.address: the trunk main is on another machine, w",
    ),
    "two feeds in a directory": (
        {FEEDS: {"a": feed(drop="/srv/jail")["jail"], "b": feed(drop="/srv/x/../jail/")["jail"]}},
        "agencies.boone.feeds.b.drop: is the directory of another feed (agencies.boone.feeds.a.drop); give each feed a",
    ),
    "a feed where another's files lie aside": (
        {
            FEEDS: feed(drop="/srv/jail/done"), "agencies.cole.feeds": feed(drop="/srv/jail"),
        },
        "agencies.boone.feeds.jail.drop: is where files of another feed lie aside (agencies.cole.feeds.jail.drop); g",
    ),
    "no address to tell": (
        {"sip.listen": ANYWHERE, "sip.address": ANYWHERE}, "sip.listen: where it is set, sip.address is told to tele",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), BETWEEN.values(), ids=BETWEEN)
def test_settings_that_do_not_go_together_are_named(changes: dict[str, Any], sentence: str, written: Written):
    path = written(changes)
    (line,) = said(path)
    assert line.startswith(f"{path}: {sentence}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_trunk_on_this_machine_reaches_the_loopback_address(host: str, written: Written):
    trunks = load(written({"trunks.main": HERE | {"host": host}, "sip.address": "127.0.0.1"})).trunks
    assert trunks["main"].host == host


def test_all_wrong_settings_are_named_at_once(written: Written):
    path = written(
        {
            "service.name": MISSING,
            "service.languages": ["fr"],
            "sip.port": 0,
            "sip.rtp_ports": [2, 1],
            f"{PHASE}.again.busy": MISSING,
            "test_phone": False,
            "colour": "blue",
        }
    )
    names = [line.removeprefix(f"{path}: ").split(":")[0] for line in said(path)]
    assert sorted(names) == sorted(
        ["service.name", "voices", "sip.port", "sip.rtp_ports", f"{PHASE}.again", "trunks", "colour"]
    )


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path):
    missing = tmp_path / "movans.yaml"
    assert said(missing) == [
        f"{missing}: cannot be read (No such file or directory). script/server makes it at its first start."
    ]
    assert said(tmp_path)[0].startswith(f"{tmp_path}: cannot be read (Is a directory)")


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "not YAML": (b"service:\n  name: [MOVANS\nsip: {}\n", ", line 3: is not YAML; look there for a missing quote"),
    "tabs": (b"service:\n\tname: MOVANS\n", ", line 2: is not YAML; look there"),
    "a nought": (b"service: \0\n", ": is not YAML; look there"),
    "a day that is none": (b"demo: 2026-13-45\n", ": is not YAML; look there"),
    "a tag": (b"demo: !!python/object:os.system {}\n", ", line 1: is not YAML; look there"),
    "Latin-1": ("service: Möbius\n".encode("latin-1"), ": is not UTF-8 text; save it as UTF-8"),
    "nothing": (b"", ": holds no settings; start from movans.yaml of the project"),
    "a word": (b"movans\n", ": holds no settings; start from movans.yaml of the project"),
    "a list": (b"- movans\n", ": holds no settings; start from movans.yaml of the project"),
}


@pytest.mark.parametrize(("content", "sentence"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_holds_no_settings_is_named(content: bytes, sentence: str, tmp_path: Path):
    path = tmp_path / "movans.yaml"
    path.write_bytes(content)
    assert said(path)[0].startswith(f"{path}{sentence}")


def test_a_number_may_be_written_as_people_write_it(written: Written):
    for number in ("866-555-0182", "(866) 555-0182", "+1 866 555 0182", 8665550182):
        assert load(written({"service.number": number})).service.number == "8665550182"


@pytest.mark.parametrize(("given", "seconds"), [("0:00:01", 1), ("00:05:00", 300), (1, 1), (300, 300)])
def test_a_duration_is_hours_minutes_and_seconds_or_whole_seconds(given: object, seconds: int, written: Written):
    assert load(written({"calls.ring": given})).calls.ring == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "database",
    [
        "host=db.example.net password=hunter 2secret",
        "host=db.example.net password='hunter 2secret",
        "postgresql://movans:hunter@2secret@db.example.net/movans",
        "postgresql://movans:hunter/2secret@db.example.net/movans",
        "postgresql://movans:hunter%2secret@db.example.net/movans",
    ],
)
def test_a_wrong_database_is_named_and_nothing_of_it_is_quoted(database: str, written: Written):
    path = written({"database": database})
    (line,) = said(path)
    assert line.startswith(f"{path}: database: must be name=value pairs")
    assert line.endswith("; for example: host=db.example.net dbname=movans user=movans")
    assert "hunter" not in line
    assert "2secret" not in line


@pytest.mark.parametrize(
    "database",
    [
        "",
        "host=db.example.net dbname=movans user=movans password='hunter 2@/secret'",
        "postgresql://movans:hunter%402%2Fsecret@one:5432,two:5433/movans?sslmode=require",
        "postgresql:///movans?host=/run/postgresql",
        "host=@abstract dbname=movans",
    ],
)
def test_a_database_may_be_named_in_every_way_that_libpq_knows(database: str, written: Written):
    assert load(written({"database": database})).database == database


@pytest.mark.parametrize(
    "trunks",
    [
        {"main": TRUNK | {"password": f"{PASSWORD} "}},
        {"main": TRUNK | {"password": f"{PASSWORD};"}},
        {"main": TRUNK | {"password": [PASSWORD]}},
        {"main": TRUNK | {"password": {PASSWORD: 1}}},
        {"main": TRUNK | {"host": None}},
        {"main": f"sip:movans:{PASSWORD}@sip.example.net"},
        {"main": [TRUNK]},
        f"sip:movans:{PASSWORD}@sip.example.net",
        [TRUNK],
        TRUNK,
    ],
)
def test_a_password_never_stands_in_what_is_said(trunks: object, written: Written):
    path = written({"trunks": trunks, "database": {"password": PASSWORD}})
    found = said(path)
    assert {line.removeprefix(f"{path}: ").split(":")[0].split(".")[0] for line in found} == {"trunks", "database"}
    assert PASSWORD not in "\n".join(found)


@pytest.mark.parametrize("line", ["'{}", "*{}", "!{}", "!x!{}", "{}: x: y", "|{}", "\t{}", '"\\q{}"', "[{}", "&{} *b"])
def test_a_password_never_stands_in_what_is_said_of_a_file_that_is_not_yaml(line: str, tmp_path: Path):
    path = tmp_path / "movans.yaml"
    path.write_text(f"trunks:\n  password: {line.format(PASSWORD)}\n")
    with pytest.raises(WrongSettings) as wrong:
        load(path)
    assert PASSWORD not in str(wrong.value)
    assert wrong.value.__suppress_context__
