"""Reading a tar stream as it arrives, member by member, without seeking.

POSIX.1-2001 pax interchange format (the ``path`` and ``size`` records) and GNU long names. ``tarfile`` reads
streams in 10 KiB pieces through several Python layers, which costs more than hashing the files.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cairn.errors import UnavailableError

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20
_SIZE_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file of an archive."""

    path: str
    size: int


class TarStream:
    """The regular files of a tar stream, in order; ``chunks`` reads the current one."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """Yield each regular file; what was not read of it is skipped.

        Raises:
            UnavailableError: the stream ends early or is not a tar archive.
        """
        records: dict[str, str] = {}
        while (block := self._exactly(BLOCK)).strip(b"\0"):
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise UnavailableError("The archive is damaged.") from error
            size = _size(records.get("size"), header.size)
            self._left, self._padding = size, -size % BLOCK
            if header.type == tarfile.XHDTYPE:
                records |= _pax_records(self.read())
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                records["path"] = self.read().rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif header.isreg():
                yield Member(records.get("path", header.name), size)
                records = {}
            elif header.type != tarfile.XGLTYPE:
                records = {}
            for _ in self.chunks():
                pass
            self._exactly(self._padding)

    def read(self) -> bytes:
        """Return what is left of the current file."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left of the current file in pieces of at most 1 MiB."""
        while self._left:
            chunk = self._exactly(min(self._left, CHUNK))
            self._left -= len(chunk)
            yield chunk

    def _exactly(self, size: int) -> bytes:
        content = self._stream.read(size)
        if len(content) < size:
            raise UnavailableError("The archive ends early.")
        return content


def _size(recorded: str | None, in_header: int) -> int:
    if recorded is None:
        recorded = str(in_header)
    if not (recorded.isascii() and recorded.isdigit() and len(recorded) < _SIZE_DIGITS):
        raise UnavailableError("The archive is damaged.")
    return int(recorded)


def _pax_records(content: bytes) -> dict[str, str]:
    # "%d %s=%s\n": the length counts the whole record.
    records = {}
    while content:
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(content):
            raise UnavailableError("The archive is damaged.")
        name, _, value = content[len(length) + 1 : int(length) - 1].partition(b"=")
        records[name.decode()] = value.decode("utf-8", "surrogateescape")
        content = content[int(length) :]
    return records
