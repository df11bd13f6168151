"""The key file, and what its keys protect."""

import base64
import json
import stat
from pathlib import Path
from threading import Barrier, Thread

import pytest
from cryptography.exceptions import InvalidTag

from db import keys
from db.keys import Keyring, NoKeys

OLD = bytes(range(32))
NEW = bytes(range(32, 64))
ONE = Keyring({"1": OLD})
BOTH = Keyring({"1": OLD, "2": NEW})
NUMBER = "5735550142"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def file_of(**secrets: bytes) -> str:
    return json.dumps({key_id[1:]: base64.b64encode(secret).decode() for key_id, secret in secrets.items()})


def test_the_file_is_made_once_for_its_owner_only_and_kept(path: Path):
    keys.make(path)
    first = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys.make(path)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["keys"]
    sealed = keys.load(path).seal(NUMBER)
    assert keys.load(path).open(sealed.cipher, sealed.key_id) == NUMBER


def test_two_files_have_two_keys(path: Path):
    keys.make(path)
    keys.make(path.with_name("others"))
    assert keys.load(path) != keys.load(path.with_name("others"))


def test_whoever_makes_it_at_the_same_time_finds_the_same_key(path: Path):
    found: list[Keyring] = []
    ready = Barrier(8)

    def start() -> None:
        ready.wait()
        keys.make(path)
        found.append(keys.load(path))

    for _ in range(20):
        starters = [Thread(target=start) for _ in range(8)]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
        assert [keyring == keys.load(path) for keyring in found] == [True] * 8
        assert [file.name for file in path.parent.iterdir()] == ["keys"]
        found.clear()
        path.unlink()


def test_a_missing_file_and_a_directory_are_named_and_why_it_matters(path: Path):
    with pytest.raises(NoKeys, match=r"keys: cannot be read \(No such file or directory\); without it no registrant"):
        keys.load(path)
    with pytest.raises(NoKeys, match=r"cannot be read \(Is a directory\)"):
        keys.load(path.parent)


SECRET = base64.b64encode(OLD).decode()
DAMAGED = {
    "nothing": "",
    "half of it": file_of(_1=OLD)[:30],
    "no keys": "{}",
    "a list": f'["{SECRET}"]',
    "a short key": file_of(_1=OLD[:16]),
    "a long key": file_of(_1=OLD + NEW),
    "an id of words": f'{{"first": "{SECRET}"}}',
    "a key that is a number": '{"1": 5}',
    "a key that is no base64": f'{{"1": "*{SECRET}"}}',
    "noughts": "\0" * 60,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named_and_its_backup_asked_for_and_no_key_is_shown(content: str, path: Path):
    path.write_text(content)
    with pytest.raises(NoKeys, match="keys: is damaged: restore it from its backup") as damaged:
        keys.load(path)
    assert SECRET not in str(damaged.value)
    assert damaged.value.__suppress_context__ or not damaged.value.__context__


def test_what_is_no_text_is_damaged_too(path: Path):
    path.write_bytes(b"\xff\xfe" + bytes(30))
    with pytest.raises(NoKeys, match="is damaged"):
        keys.load(path)


def test_a_keyring_shows_no_key_when_it_is_printed():
    assert "keys=" not in repr(ONE)
    assert repr(OLD)[2:-1] not in repr(ONE)


def test_a_sealed_number_differs_each_time_and_is_found_by_the_same_hash():
    one, other = ONE.seal(NUMBER), ONE.seal(NUMBER)
    assert one.cipher != other.cipher
    assert one.hash == other.hash == ONE.hashes(NUMBER)[0]
    assert NUMBER.encode() not in one.cipher + one.hash
    assert ONE.open(one.cipher, one.key_id) == ONE.open(other.cipher, other.key_id) == NUMBER


def test_a_tampered_cipher_is_not_opened():
    sealed = ONE.seal(NUMBER)
    for place in range(len(sealed.cipher)):
        tampered = bytearray(sealed.cipher)
        tampered[place] ^= 1
        with pytest.raises(InvalidTag):
            ONE.open(bytes(tampered), sealed.key_id)
    for end in (0, 5, 12, len(sealed.cipher) - 1):
        with pytest.raises(InvalidTag):
            ONE.open(sealed.cipher[:end], sealed.key_id)


def test_a_cipher_is_not_opened_with_another_key():
    sealed = BOTH.seal(NUMBER)
    with pytest.raises(InvalidTag):
        BOTH.open(sealed.cipher, "1")


def test_a_key_that_is_gone_is_named_and_its_backup_asked_for():
    sealed = BOTH.seal(NUMBER)
    with pytest.raises(NoKeys, match="key 2 is not in the key file: restore the file from its backup"):
        ONE.open(sealed.cipher, sealed.key_id)
    with pytest.raises(NoKeys, match="key 2 is not in the key file"):
        ONE.pin_matches("2", 7, "2580", b"")


def test_of_two_keys_the_newest_is_used_and_the_older_still_opens(path: Path):
    path.write_text(file_of(_9=OLD, _10=NEW))
    both = keys.load(path)
    assert both.newest == "10"
    before, now = Keyring({"9": OLD}).seal(NUMBER), both.seal(NUMBER)
    assert (before.key_id, now.key_id) == ("9", "10")
    assert both.open(before.cipher, "9") == both.open(now.cipher, "10") == NUMBER
    assert both.hashes(NUMBER) == [before.hash, now.hash]


def test_a_pin_matches_its_registrant_and_key_alone():
    stored = BOTH.pin_hash("1", 7, "2580")
    assert BOTH.pin_matches("1", 7, "2580", stored)
    assert not BOTH.pin_matches("1", 7, "2581", stored)
    assert not BOTH.pin_matches("1", 8, "2580", stored)
    assert not BOTH.pin_matches("2", 7, "2580", stored)
