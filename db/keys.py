"""The keys that keep telephone numbers and PINs out of anybody's reach who has only the database.

Each key in the key file has an id and gives three keys of its own by HKDF (RFC 5869): for the AES-256-GCM of a
telephone number, for the hash by which it is found, for the hash of a PIN. New things use the newest key; older keys
stay, so that what they protect can still be read.
"""

import base64
import hmac
import json
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12  # bytes, as NIST SP 800-38D recommends for GCM


class NoKeys(Exception):
    """The key file is missing or cannot be used; the text says what to do."""


@dataclass(frozen=True)
class Sealed:
    """A telephone number as the database keeps it."""

    hash: bytes
    cipher: bytes
    key_id: str


@dataclass(frozen=True)
class Keyring:
    keys: dict[str, bytes] = field(repr=False)  # no traceback and no log shows them

    @property
    def newest(self) -> str:
        return max(self.keys, key=lambda key_id: int(key_id))

    def seal(self, number: str) -> Sealed:
        key_id, nonce = self.newest, secrets.token_bytes(_NONCE)
        cipher = nonce + AESGCM(self._key(key_id, "telephone cipher")).encrypt(nonce, number.encode(), key_id.encode())
        return Sealed(self.hash(number), cipher, key_id)

    def open(self, cipher: bytes, key_id: str) -> str:
        """The telephone number. Raises NoKeys where its key is gone, InvalidTag where the bytes were tampered with."""
        aes = AESGCM(self._key(key_id, "telephone cipher"))
        if len(cipher) < _NONCE:
            raise InvalidTag
        return aes.decrypt(cipher[:_NONCE], cipher[_NONCE:], key_id.encode()).decode()

    def hash(self, number: str) -> bytes:
        """Under the newest key, what the number is found by."""
        return self._number_hash(self.newest, number)

    def hashes(self, number: str) -> list[bytes]:
        """Under each key, what the number is found by."""
        return [self._number_hash(key_id, number) for key_id in self.keys]

    def pin_hash(self, key_id: str, registrant_id: int, pin: str) -> bytes:
        return _hmac(self._key(key_id, "pin"), f"{key_id}|{registrant_id}|{pin}")

    def pin_matches(self, key_id: str, registrant_id: int, pin: str, stored: bytes) -> bool:
        return hmac.compare_digest(self.pin_hash(key_id, registrant_id, pin), stored)

    def _number_hash(self, key_id: str, number: str) -> bytes:
        return _hmac(self._key(key_id, "telephone hash"), number)

    def _key(self, key_id: str, purpose: str) -> bytes:
        if key_id not in self.keys:
            raise NoKeys(f"key {key_id} is not in the key file: restore the file from its backup")
        return _derive(self.keys[key_id], purpose)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@lru_cache
def _derive(secret: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"movans {purpose}".encode()).derive(secret)


def make(path: Path) -> None:
    """Make the key file with a first key, readable by its owner only, unless there is one already."""
    if path.exists():
        return
    content = json.dumps({"1": base64.b64encode(secrets.token_bytes(32)).decode()})
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=".keys-")  # 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: whoever else makes the file at this moment may have used its key already.
        with suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        Path(beside).unlink()


def load(path: Path) -> Keyring:
    """Read the key file. Raises NoKeys."""
    try:
        content = json.loads(path.read_text())
        keys = {str(int(key_id)): base64.b64decode(secret, validate=True) for key_id, secret in content.items()}
    except OSError as error:
        raise NoKeys(f"{path}: cannot be read ({error.strerror}); without it no registrant can be called") from None
    except (ValueError, AttributeError, TypeError):
        raise NoKeys(f"{path}: is damaged: restore it from its backup") from None
    if not keys or any(len(secret) != 32 for secret in keys.values()):
        raise NoKeys(f"{path}: is damaged: restore it from its backup")
    return Keyring(keys)
