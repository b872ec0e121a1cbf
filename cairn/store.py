"""Files below one local folder: verified when they arrive, whole or absent under their own name.

There is no second copy in a cache: the files in the folder are the cache, each proves itself by its hash.
"""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol, Self

from cairn.errors import LocalFileError, VerificationError

CHUNK = 1 << 20
LONGEST_NAME = 255


class Hash(Protocol):
    """The part of a ``hashlib`` object that is used here."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest so far, in hex."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a version.

    Attributes:
        sha256: "" where the version records none.
        problem: why the file cannot be read; "" if it can. Then size and hashes mean nothing.
    """

    path: str
    size: int
    md5: str
    sha256: str = ""
    problem: str = ""

    def hasher(self) -> Hash:
        """Return a hash object of the strongest kind that the version records."""
        return hashlib.sha256() if self.sha256 else hashlib.md5(usedforsecurity=False)

    def matches(self, hasher: Hash, size: int) -> bool:
        """Tell whether bytes of this hash and size are this file's."""
        return not self.problem and size == self.size and hasher.hexdigest() == (self.sha256 or self.md5)


@dataclass(frozen=True, slots=True)
class Digests:
    """What identifies a local file's bytes."""

    size: int
    md5: str
    sha256: str


def digest_file(path: Path, *, stopped: Event | None = None) -> Digests:
    """Return size and hashes of a file, reading it once.

    Raises:
        CancelledError: ``stopped`` was set meanwhile.
    """
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(CHUNK):
            if stopped is not None and stopped.is_set():
                raise CancelledError
            md5.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return Digests(size, md5.hexdigest(), sha256.hexdigest())


class LocalFolder:
    """A folder that files of a version are written to, never outside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real_root = os.path.realpath(root)
        self._known: set[Path] = set()

    def target(self, path: str) -> Path:
        """Return where a file of the version belongs.

        Raises:
            LocalFileError: the path is hostile or not representable here.
        """
        parts = path.split("/")
        if "\0" in path or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
            raise LocalFileError(f"{path!r} is not a path inside a dataset; it is not written.")
        if os.sep == "\\" and ("\\" in path or ":" in path):
            raise LocalFileError(f"{path!r} cannot be a file name on this system.")
        return self.root.joinpath(*parts)

    def holds(self, file: RemoteFile) -> bool:
        """Tell whether the file is here already, byte for byte."""
        try:
            target = self.target(file.path)
            if target.is_symlink() or target.stat().st_size != file.size:
                return False
            hasher = file.hasher()
            with target.open("rb", buffering=0) as stream:
                while chunk := stream.read(CHUNK):
                    hasher.update(chunk)
        except (OSError, LocalFileError):
            return False
        return file.matches(hasher, file.size)

    def resume(self, file: RemoteFile) -> "Partial":
        """Return the file's unfinished part, hashed, to be written on from where it ends."""
        return self._partial(file, os.O_RDWR)

    def save(self, file: RemoteFile, content: Iterable[bytes]) -> None:
        """Write a whole file; it appears under its name only if the bytes are right.

        Raises:
            VerificationError: they are not; nothing is left behind.
        """
        with self._partial(file, os.O_RDWR | os.O_TRUNC) as partial:
            for chunk in content:
                partial.write(chunk)
            partial.finish()

    def _partial(self, file: RemoteFile, flags: int) -> "Partial":
        target = self.target(file.path)
        self._make_folder(target.parent)
        # The hash in the name keeps a part of one version from being continued with bytes of another.
        tail = f".{file.md5[:8]}.partial"
        name = target.name
        if len(os.fsencode(name)) + len(tail) > LONGEST_NAME:
            name = hashlib.md5(os.fsencode(name), usedforsecurity=False).hexdigest()
        path = target.with_name(f"{name}{tail}")
        try:
            descriptor = os.open(path, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            raise LocalFileError(f"Cannot write {path}: {error.strerror}.") from error
        return Partial(file, target, path, descriptor)

    def _make_folder(self, folder: Path) -> None:
        if folder in self._known:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalFileError(f"Cannot make the folder {folder}: {error.strerror}.") from error
        real = os.path.realpath(folder)
        if real != self._real_root and not real.startswith(os.path.join(self._real_root, "")):  # noqa: PTH118 - adds the separator only where the root lacks it
            raise LocalFileError(f"{folder} leads out of {self.root} by a symbolic link; nothing is written.")
        self._known.add(folder)


class Partial:
    """A file that is still arriving; bytes are hashed as they are written."""

    def __init__(self, file: RemoteFile, target: Path, path: Path, descriptor: int) -> None:
        self._file = file
        self._target = target
        self._path = path
        self._stream = os.fdopen(descriptor, "r+b", buffering=0)
        self._hasher = file.hasher()
        self.size = 0
        while chunk := self._stream.read(CHUNK):
            self._hasher.update(chunk)
            self.size += len(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()
        if not self.size:
            self._path.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        view = memoryview(chunk)
        while view:
            view = view[self._stream.write(view) :]
        self._hasher.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Throw away what has arrived."""
        self._stream.seek(0)
        self._stream.truncate()
        self._hasher = self._file.hasher()
        self.size = 0

    def finish(self) -> None:
        """Give the file its name if its bytes are right, else remove it.

        Raises:
            VerificationError: they are not.
        """
        self._stream.close()
        if not self._file.matches(self._hasher, self.size):
            self._path.unlink(missing_ok=True)
            raise VerificationError(
                f"{self._file.path!r} arrived damaged: its hash or size is not the version's.",
                paths=[self._file.path],
            )
        try:
            self._path.replace(self._target)
        except OSError as error:
            raise LocalFileError(f"Cannot write {self._target}: {error.strerror}.") from error
