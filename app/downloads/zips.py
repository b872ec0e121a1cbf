"""The ZIP format with stored members (PKWARE APPNOTE 6.3.10), Zip64 where sizes or counts need it. Pure."""

import struct
from datetime import UTC, datetime

from app.downloads.archives import Measure
from app.downloads.models import File

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_TIMESTAMP = struct.Struct("<2sHBi")

_PLAIN, _ZIP64 = 20, 45
_UTF8_NAME = 0x800
_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16
_MAX32 = 0xFFFFFFFF
_MAX16 = 0xFFFF
_EXTRA64 = 0x0001


class ZipFormat:
    """Stored members: images and other compressed files gain nothing by being deflated again."""

    def __init__(self, modified: datetime) -> None:
        moment = modified.astimezone(UTC)
        self._time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
        self._date = (min(max(moment.year, 1980), 2107) - 1980) << 9 | moment.month << 5 | moment.day
        seconds = min(max(int(moment.timestamp()), 0), 0x7FFFFFFF)
        # Info-ZIP's extended timestamp: UTC, where the DOS fields above are anybody's local time.
        self._timestamp = _TIMESTAMP.pack(b"UT", 5, 1, seconds)

    def opening(self, file: File) -> bytes:
        """Return the local file header (APPNOTE 4.3.7)."""
        name, flags = _name(file.path)
        size, extra, version = file.size, self._timestamp, _PLAIN
        if size >= _MAX32:
            # Both sizes must stand here (4.5.3), even if only one of them needs the room.
            extra += struct.pack("<2H2Q", _EXTRA64, 16, size, size)
            size, version = _MAX32, _ZIP64
        head = _LOCAL.pack(
            b"PK\3\4",
            version,
            flags,
            0,
            self._time,
            self._date,
            file.crc32,
            size,
            size,
            len(name),
            len(extra),
        )
        return head + name + extra

    def closing(self, file: File) -> bytes:  # noqa: ARG002 - the protocol's
        """Return nothing: sizes and checksum stand before the content."""
        return b""

    def listing(self, file: File, offset: int) -> bytes:
        """Return the central directory header (APPNOTE 4.3.12)."""
        name, flags = _name(file.path)
        size, extra, version = file.size, self._timestamp, _PLAIN
        wide = [size, size] if size >= _MAX32 else []
        if offset >= _MAX32:
            wide.append(offset)
        if wide:
            extra += struct.pack(f"<2H{len(wide)}Q", _EXTRA64, 8 * len(wide), *wide)
            version = _ZIP64
        size, offset = min(size, _MAX32), min(offset, _MAX32)
        head = _CENTRAL.pack(
            *(b"PK\1\2", _UNIX | version, version, flags, 0, self._time, self._date, file.crc32),
            *(size, size, len(name), len(extra), 0, 0, 0, _REGULAR_FILE, offset),
        )
        return head + name + extra

    def ending(self, measure: Measure) -> bytes:
        """Return the end of central directory, with its Zip64 form where needed (4.3.14 to 4.3.16)."""
        count, offset = measure.count, measure.content_end
        size = measure.listing_end - offset
        wide = b""
        if count >= _MAX16 or offset >= _MAX32 or size >= _MAX32:
            wide = _END64.pack(
                b"PK\6\6", 44, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, offset
            ) + _LOCATOR64.pack(b"PK\6\7", 0, measure.listing_end, 1)
        count = min(count, _MAX16)
        return wide + _END.pack(b"PK\5\6", 0, 0, count, count, min(size, _MAX32), min(offset, _MAX32), 0)


def _name(path: str) -> tuple[bytes, int]:
    return (path.encode(), 0) if path.isascii() else (path.encode(), _UTF8_NAME)
