"""Objects in a directory of this machine, laid out as DVC 3 does: ``files/md5/ab/cdef…``.

Bytes are hashed in one pass while they arrive in a staging file and reach their address only whole,
verified and synced.
"""

import ctypes
import errno
import hashlib
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from gitops.errors import (
    DigestMismatchError,
    ObjectClashError,
    ObjectNotFoundError,
    StorageFullError,
    UnavailableError,
)
from gitops.model import Md5
from gitops.objects import CHUNK, Hasher, SignedPut, Staged

_SYNC_TOGETHER = 4
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
# File systems and kernels that cannot.
_NO_SUCH_RENAME = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
_NAME = re.compile(r"[0-9a-f]{30}(\.dir)?")
_libc = ctypes.CDLL(None, use_errno=True)


class LocalStore:
    """Objects in a directory of this machine.

    Args:
        root: the pool; objects lie under ``root/files/md5``, arrivals under ``root/staging``.
    """

    def __init__(self, root: Path) -> None:
        self._objects = root / "files" / "md5"
        self._staging = root / "staging"

    def missing(self, md5s: Collection[Md5]) -> set[Md5]:
        """Return the addresses that hold nothing."""
        return {md5 for md5 in md5s if not self._path(md5).exists()}

    def size(self, md5: Md5) -> int:
        """Return an object's length in bytes."""
        try:
            return self._path(md5).stat().st_size
        except FileNotFoundError as error:
            raise ObjectNotFoundError(f"the object {md5} is not in the pool") from error

    def open(self, md5: Md5, *, start: int = 0) -> BinaryIO:
        """Return the object's bytes from ``start``."""
        try:
            stream = self._path(md5).open("rb")
        except FileNotFoundError as error:
            raise ObjectNotFoundError(f"the object {md5} is not in the pool") from error
        stream.seek(start)
        return stream

    def receive(self, chunks: Iterable[bytes], *, size: int | None = None) -> Staged:
        """Take bytes into a staging file, hashing them."""
        token = secrets.token_hex(16)
        path = self._staging / token
        hasher = Hasher()
        try:
            with self._create(path) as stream:
                for chunk in _announced(chunks, size):
                    hasher.update(chunk)
                    _write_all(stream, chunk)
        except BaseException as error:
            with suppress(OSError):
                path.unlink()
            if isinstance(error, OSError):
                raise _translated(error) from error
            raise
        digests = hasher.digests()
        return Staged(digests=digests, address=digests.md5, token=token)

    def keep(self, staged: Collection[Staged]) -> None:
        """Sync the bytes, then give them their addresses, then sync the folders.

        Damaged bytes at an address are replaced; sound ones never are, by ObjectClashError.

        Many objects share two ``syncfs`` calls: one ``fsync`` each costs 0.4 ms and more.
        """
        together = len(staged) > _SYNC_TOGETHER
        try:
            for one in staged:
                path = self._staging / one.token
                path.chmod(0o444)
                if not together:
                    _sync(path)
            if together:
                _sync_file_system(self._staging)
            folders = {self._place(one) for one in staged}
            if together:
                _sync_file_system(self._objects)
            else:
                for folder in folders:
                    _sync(folder)
        except OSError as error:
            raise _translated(error) from error

    def _place(self, one: Staged) -> Path:
        """Give staged bytes their address, never in the place of other sound bytes."""
        path = self._path(one.address)
        try:
            self._take_place(path, one)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sync(self._objects)
            self._take_place(path, one)
        return path.parent

    def _take_place(self, path: Path, one: Staged) -> None:
        source = self._staging / one.token
        try:
            _rename_to_nothing(source, path)
        except FileExistsError:
            if self._same(path, one):
                source.unlink()
            else:
                source.rename(path)

    def _same(self, path: Path, one: Staged) -> bool:
        """Tell whether an address holds the very bytes (True) or damaged ones (False).

        Raises:
            ObjectClashError: it holds other bytes with the same MD5; such pairs are published.
        """
        stored, text = Hasher(), _LineFeeds()
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                stored.update(chunk)
                text.update(chunk)
        held = stored.digests()
        if held.sha256 == one.digests.sha256 and held.size == one.digests.size:
            return True
        if one.address.removesuffix(".dir") in (held.md5, text.md5()):
            raise ObjectClashError(f"other bytes with the MD5 {one.address} are stored already")
        return False

    def drop(self, staged: Collection[Staged]) -> None:
        """Remove staging files."""
        for one in staged:
            (self._staging / one.token).unlink(missing_ok=True)

    def open_staged(self, staged: Staged) -> BinaryIO:
        """Return the bytes of a staging file."""
        return (self._staging / staged.token).open("rb")

    def sweep_staging(self, *, before: datetime) -> int:
        """Remove staging files last written to before a moment: their process was killed."""
        swept = 0
        for path in self._staging.glob("*"):
            try:
                is_left = path.stat().st_mtime < before.timestamp()
            except FileNotFoundError:
                continue
            if is_left:
                path.unlink(missing_ok=True)
                swept += 1
        return swept

    def addresses(self) -> Iterator[Md5]:
        """Yield every address in the pool, folder by folder."""
        for folder in sorted(self._objects.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(folder.iterdir()):
                if _NAME.fullmatch(path.name):
                    yield Md5(folder.name + path.name)

    def delete(self, md5: Md5) -> None:
        """Remove an object; absent is fine."""
        self._path(md5).unlink(missing_ok=True)

    def presign_get(self, md5: Md5, *, filename: str, media_type: str, seconds: int) -> str | None:  # noqa: ARG002 - the protocol's
        """A directory cannot sign."""
        return None

    def presign_put(self, digests_md5: Md5, size: int, *, seconds: int) -> SignedPut | None:  # noqa: ARG002 - the protocol's
        """A directory cannot sign."""
        return None

    def local_path(self, md5: Md5) -> Path | None:
        """Return the object's file."""
        return self._path(md5)

    def _create(self, path: Path) -> BinaryIO:
        try:
            return path.open("xb", buffering=0)
        except FileNotFoundError:
            self._staging.mkdir(parents=True, exist_ok=True)
            self._objects.mkdir(parents=True, exist_ok=True)
            root = self._staging.parent
            for folder in (self._objects.parent, root, root.parent):
                _sync(folder)
            return path.open("xb", buffering=0)

    def _path(self, md5: Md5) -> Path:
        return self._objects / md5[:2] / md5[2:]


class _LineFeeds:
    """The MD5 that DVC 2 gives a text: of its bytes with CRLF read as LF, as they stream by."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._held = b""

    def update(self, chunk: bytes) -> None:
        """Take the next bytes; a CR at the end waits for what follows it."""
        chunk = self._held + chunk
        self._held = b"\r" if chunk.endswith(b"\r") else b""
        self._md5.update(chunk.removesuffix(b"\r").replace(b"\r\n", b"\n"))

    def md5(self) -> str:
        """Return the digest of everything taken."""
        whole = self._md5.copy()
        whole.update(self._held)
        return whole.hexdigest()


def _announced(chunks: Iterable[bytes], size: int | None) -> Iterator[bytes]:
    """Yield the chunks; raise DigestMismatchError as soon as they are not ``size`` bytes long."""
    arrived = 0
    for chunk in chunks:
        arrived += len(chunk)
        if size is not None and arrived > size:
            raise DigestMismatchError(f"more than the announced {size} bytes arrived")
        yield chunk
    if size is not None and arrived != size:
        raise DigestMismatchError(f"{arrived} bytes arrived where {size} were announced")


def _write_all(stream: BinaryIO, chunk: bytes) -> None:
    """Write every byte: a raw write may stop short, as it does where the disk fills up."""
    left = memoryview(chunk)
    while left:
        left = left[stream.write(left) :]


def _rename_to_nothing(source: Path, target: Path) -> None:
    """Rename a file where nothing is (renameat2(2)): two contents with one MD5 may race for an address.

    Raises:
        FileExistsError: something is there.
    """
    arguments = (_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if _libc.renameat2(*arguments) == 0:
        return
    number = ctypes.get_errno()
    if number not in _NO_SUCH_RENAME:
        raise OSError(number, os.strerror(number), str(target))
    if target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file_system(path: Path) -> None:
    """Write everything of the file system that holds ``path`` to disk (syncfs(2))."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed")
    finally:
        os.close(descriptor)


def _translated(error: OSError) -> StorageFullError | UnavailableError:
    if error.errno in _FULL:
        return StorageFullError("the storage site has no room left")
    return UnavailableError("the storage site could not be written")
