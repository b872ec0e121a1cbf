"""Writing one git pack for one change: pure bytes, then two synced files.

A loose object costs a file, 4 KB and an fsync each; one pack of undeltified objects costs two files
and three fsyncs whatever the number. Formats: gitformat-pack(5) of git 2.39, pack version 2, index
version 2.
"""

import hashlib
import os
import secrets
import struct
import zlib
from pathlib import Path

_TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
_MAX_SMALL_OFFSET = 0x7FFFFFFF


def object_id(kind: str, content: bytes) -> bytes:
    """Return git's id (20 bytes) of an object."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content).digest()


class PackWriter:
    """Collects new objects; ``write`` puts them into the repository as one pack."""

    def __init__(self) -> None:
        self._objects: dict[bytes, tuple[str, bytes]] = {}

    def add(self, kind: str, content: bytes) -> bytes:
        """Take an object and return its id (20 bytes)."""
        oid = object_id(kind, content)
        self._objects.setdefault(oid, (kind, content))
        return oid

    def find(self, oid: bytes) -> bytes | None:
        """Return the content of an object taken before, or None."""
        found = self._objects.get(oid)
        return found[1] if found else None

    def leave_only(self, oids: set[bytes]) -> None:
        """Drop every other object, because nothing will refer to it."""
        self._objects = {oid: found for oid, found in self._objects.items() if oid in oids}

    def __len__(self) -> int:
        return len(self._objects)

    def write(self, pack_folder: Path) -> None:
        """Write ``pack-<id>.pack`` and then its index, both synced; nothing for no objects."""
        if not self._objects:
            return
        body = bytearray(struct.pack(">4sII", b"PACK", 2, len(self._objects)))
        index: list[tuple[bytes, int, int]] = []
        for oid, (kind, content) in self._objects.items():
            entry = _header(_TYPES[kind], len(content)) + zlib.compress(content, 1)
            index.append((oid, zlib.crc32(entry), len(body)))
            body += entry
        checksum = hashlib.sha1(body).digest()
        body += checksum
        name = f"pack-{checksum.hex()}"
        _write_synced(pack_folder / f"{name}.pack", bytes(body))
        _write_synced(pack_folder / f"{name}.idx", _index(sorted(index), checksum))
        descriptor = os.open(pack_folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _header(kind: int, size: int) -> bytes:
    first = (kind << 4) | (size & 0x0F)
    size >>= 4
    out = bytearray()
    while size:
        out.append(first | 0x80)
        first = size & 0x7F
        size >>= 7
    out.append(first)
    return bytes(out)


def _index(rows: list[tuple[bytes, int, int]], checksum: bytes) -> bytes:
    counts = [0] * 256
    for oid, _, _ in rows:
        counts[oid[0]] += 1
    total = 0
    fanout = []
    for count in counts:
        total += count
        fanout.append(total)
    small: list[int] = []
    large: list[int] = []
    for _, _, offset in rows:
        if offset <= _MAX_SMALL_OFFSET:
            small.append(offset)
        else:
            small.append(0x80000000 | len(large))
            large.append(offset)
    body = b"".join(
        [
            b"\377tOc",
            struct.pack(">I256I", 2, *fanout),
            b"".join(oid for oid, _, _ in rows),
            struct.pack(f">{len(rows)}I", *(crc for _, crc, _ in rows)),
            struct.pack(f">{len(rows)}I", *small),
            struct.pack(f">{len(large)}Q", *large),
            checksum,
        ]
    )
    return body + hashlib.sha1(body).digest()


def _write_synced(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"tmp_{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o444)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
