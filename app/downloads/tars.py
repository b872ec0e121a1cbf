"""The tar format: ustar headers, with pax records where a name or size does not fit (POSIX.1-2001). Pure."""

from datetime import UTC, datetime

from app.downloads.archives import Measure
from app.downloads.models import File

_BLOCK = 512
_RECORD = 20 * _BLOCK
_MAX_NAME = 100
_MAX_PREFIX = 155
_MAX_OCTAL = 8**11
_PAX_NAME = b"././@PaxHeader"
_REGULAR, _EXTENDED = b"0", b"x"


class TarFormat:
    """Regular files owned by nobody in particular, readable by all."""

    def __init__(self, modified: datetime) -> None:
        seconds = int(modified.astimezone(UTC).timestamp())
        self._modified = min(max(seconds, 0), _MAX_OCTAL - 1)

    def opening(self, file: File) -> bytes:
        """Return the header block, after a pax header where ustar cannot say it all."""
        place = _ustar_place(file.path)
        size = file.size if file.size < _MAX_OCTAL else 0
        if place and (size or not file.size):
            return self._header(*place, size, _REGULAR)
        records = b""
        if place is None:
            records += _record("path", file.path)
            place = (b"", file.path.encode("ascii", "replace")[-_MAX_NAME:].lstrip(b"/"))
        if size != file.size:
            records += _record("size", str(file.size))
        extended = self._header(b"", _PAX_NAME, len(records), _EXTENDED) + _padded(records)
        return extended + self._header(*place, size, _REGULAR)

    def closing(self, file: File) -> bytes:
        """Return the zeros that fill the member's last block."""
        return bytes(-file.size % _BLOCK)

    def listing(self, file: File, offset: int) -> bytes:  # noqa: ARG002 - the protocol's
        """Return nothing: tar has no directory."""
        return b""

    def ending(self, measure: Measure) -> bytes:
        """Return two zero blocks and the zeros that fill the last record of twenty."""
        return bytes(2 * _BLOCK + -(measure.listing_end + 2 * _BLOCK) % _RECORD)

    def _header(self, prefix: bytes, name: bytes, size: int, kind: bytes) -> bytes:
        head = b"%b0000644\x000000000\x000000000\x00%011o\x00%011o\x00" % (
            name.ljust(_MAX_NAME, b"\0"),
            size,
            self._modified,
        )
        rest = b"%b%bustar\x0000%b%b" % (kind, bytes(100), bytes(80), prefix.ljust(_MAX_PREFIX, b"\0"))
        checksum = sum(head) + sum(rest) + 8 * ord(" ")
        return b"%b%06o\0 %b%b" % (head, checksum, rest, bytes(12))


def _ustar_place(path: str) -> tuple[bytes, bytes] | None:
    """Return prefix and name of a path in a ustar header, or None if it does not fit."""
    if not path.isascii():
        return None
    raw = path.encode()
    if len(raw) <= _MAX_NAME:
        return b"", raw
    cut = raw.find(b"/", len(raw) - _MAX_NAME - 1)
    if cut < 1 or cut > _MAX_PREFIX or cut == len(raw) - 1:
        return None
    return raw[:cut], raw[cut + 1 :]


def _record(keyword: str, value: str) -> bytes:
    """Return a pax record, whose length counts its own digits."""
    body = f" {keyword}={value}\n".encode()
    length = len(body)
    while len(body) + len(str(length)) != length:
        length = len(body) + len(str(length))
    return str(length).encode() + body


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % _BLOCK)
