"""Secrets at rest: one secret key per installation, and keys derived from it for each purpose."""

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.config import Config, ConfigError
from gitops.errors import IntegrityError

KEY_FILE = "secret_key"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The secret key and earlier ones, newest first."""

    keys: tuple[bytes, ...] = field(repr=False)

    def derive(self, purpose: str) -> list[bytes]:
        """Return one 32-byte key per secret key, newest first, bound to a purpose (RFC 5869)."""
        return [
            HKDF(hashes.SHA256(), length=32, salt=b"cairn", info=purpose.encode()).derive(key)
            for key in self.keys
        ]


class Vault:
    """Encrypts small records with the newest key and decrypts what any known key encrypted."""

    def __init__(self, keyring: Keyring) -> None:
        keys = keyring.derive("credentials at rest")
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])

    def encrypt(self, record: Mapping[str, str]) -> bytes:
        """Return the record, encrypted and authenticated."""
        return self._fernet.encrypt(orjson.dumps(dict(record)))

    def decrypt(self, sealed: bytes) -> dict[str, str]:
        """Return what was encrypted.

        Raises:
            IntegrityError: no known key fits.
        """
        try:
            record: dict[str, str] = orjson.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise IntegrityError(
                "stored credentials cannot be decrypted: the secret key was replaced; "
                "set the earlier one as previous_secret_keys"
            ) from error
        return record

    def renew(self, sealed: bytes) -> bytes:
        """Return the same record under the newest key."""
        return self._fernet.rotate(sealed)


def load_keyring(config: Config) -> Keyring:
    """Return the configured keys, else the one kept in the home, made at the first start."""
    newest = config.secret_key or _kept_key(config.home / KEY_FILE)
    return Keyring((newest, *(key.encode() for key in config.previous_secret_keys)))


def _kept_key(file: Path) -> bytes:
    """Return the key in the file; several processes that start at once agree on one."""
    if not file.exists():
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_urlsafe(48).encode())
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    key = file.read_bytes().strip()
    if not key:
        raise ConfigError(f"{file} is empty; restore it from a backup")
    return key
