"""Objects: bytes addressed by their MD5, and what a store of them must do."""

import hashlib
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from gitops.model import Digests, Md5

CHUNK = 1024 * 1024


class Hasher:
    """MD5, SHA-256, CRC-32 and length of one stream in one pass."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._crc32 = 0
        self._size = 0

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._md5.update(chunk)
        self._sha256.update(chunk)
        self._crc32 = zlib.crc32(chunk, self._crc32)
        self._size += len(chunk)

    def digests(self) -> Digests:
        """Return the digests of everything taken so far."""
        return Digests(
            md5=Md5(self._md5.hexdigest()),
            sha256=self._sha256.hexdigest(),
            crc32=f"{self._crc32:08x}",
            size=self._size,
        )


def digest(content: bytes) -> Digests:
    """Return the digests of bytes in memory."""
    hasher = Hasher()
    hasher.update(content)
    return hasher.digests()


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes that have arrived whole but are not at their address yet.

    ``address`` differs from ``digests.md5`` only for text that DVC 2 addressed by its LF form.
    """

    digests: Digests
    address: Md5
    token: str


@dataclass(frozen=True, slots=True)
class SignedPut:
    """Where and how a client may write one object itself."""

    url: str
    headers: tuple[tuple[str, str], ...]


class ObjectStore(Protocol):
    """The objects of one dataset. Write-once: nothing here changes the bytes at an address."""

    def missing(self, md5s: Collection[Md5]) -> set[Md5]:
        """Return the addresses that hold nothing."""
        ...

    def size(self, md5: Md5) -> int:
        """Return an object's length in bytes. Raises ObjectNotFoundError."""
        ...

    def open(self, md5: Md5, *, start: int = 0) -> BinaryIO:
        """Return the object's bytes from ``start``. Raises ObjectNotFoundError."""
        ...

    def receive(self, chunks: Iterable[bytes], *, size: int | None = None) -> Staged:
        """Take bytes into staging, hashing them; ``size`` is what was announced.

        Raises:
            DigestMismatchError: more or fewer bytes than announced.
            StorageFullError: no room.
        """
        ...

    def keep(self, staged: Collection[Staged]) -> None:
        """Make staged bytes durable at their addresses; atomic for each object, synced for all."""
        ...

    def drop(self, staged: Collection[Staged]) -> None:
        """Forget staged bytes."""
        ...

    def open_staged(self, staged: Staged) -> BinaryIO:
        """Return bytes that have arrived but are not kept yet."""
        ...

    def sweep_staging(self, *, before: datetime) -> int:
        """Forget arrivals that nobody has added to since; return how many."""
        ...

    def addresses(self) -> Iterator[Md5]:
        """Yield every address that holds an object, for upkeep."""
        ...

    def delete(self, md5: Md5) -> None:
        """Remove an object; for garbage collection only."""
        ...

    def presign_get(self, md5: Md5, *, filename: str, media_type: str, seconds: int) -> str | None:
        """Return a short-lived address that serves the object, or None: stream it instead."""
        ...

    def presign_put(self, digests_md5: Md5, size: int, *, seconds: int) -> SignedPut | None:
        """Return where a client may write the object itself, or None: send it through the service."""
        ...

    def local_path(self, md5: Md5) -> Path | None:
        """Return the object's file where the store is a directory on this machine."""
        ...
