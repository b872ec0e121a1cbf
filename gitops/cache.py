"""Caches of things that never change: on disk by (kind, address), in memory by weight.

Nothing here is ever invalidated: an address names one content for ever, and a changed algorithm
gets a new kind (``listing-v1`` → ``listing-v2``).
"""

import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class MemoryCache(Generic[Key, Value]):
    """Least recently used values, bounded by their total weight. Safe to share between threads."""

    def __init__(self, *, max_weight: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self._max_weight = max_weight
        self._weigh = weigh
        self._weight = 0
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Key) -> Value | None:
        """Return the value or None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def keep(self, key: Key, value: Value) -> None:
        """Remember a value; one heavier than the whole cache is not kept."""
        weight = self._weigh(value)
        if weight > self._max_weight:
            return
        with self._lock:
            old = self._values.pop(key, None)
            self._weight += weight - (self._weigh(old) if old is not None else 0)
            self._values[key] = value
            while self._weight > self._max_weight:
                _, dropped = self._values.popitem(last=False)
                self._weight -= self._weigh(dropped)

    def get_or_make(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value, made now if it is not known; two threads may make it twice."""
        value = self.find(key)
        if value is None:
            value = make()
            self.keep(key, value)
        return value


class ImmutableCache:
    """Bytes under ``<root>/<kind>/<ab>/<address>``; losing any of them costs time only."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def get_or_make(self, kind: str, address: str, make: Callable[[], bytes]) -> bytes:
        """Return the cached bytes, made and written atomically if absent."""
        found = self.find(kind, address)
        if found is None:
            found = make()
            self.keep(kind, address, found)
        return found

    def find(self, kind: str, address: str) -> bytes | None:
        """Return the cached bytes or None."""
        try:
            return self._path(kind, address).read_bytes()
        except OSError:
            return None

    def keep(self, kind: str, address: str, content: bytes) -> None:
        """Write the bytes; a full disk is no reason to fail, the cache just stays empty."""
        path = self._path(kind, address)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())  # or a power cut leaves an empty file, believed for ever
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()

    def trim(self) -> int:
        """Remove the least recently read files until the cache fits; return the bytes freed."""
        files = []
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder, name)
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue
                files.append((stat.st_atime, stat.st_size, path))
        excess = sum(size for _, size, _ in files) - self._max_bytes
        freed = 0
        for _, size, path in sorted(files):
            if freed >= excess:
                break
            path.unlink(missing_ok=True)
            freed += size
        return freed

    def _path(self, kind: str, address: str) -> Path:
        return self._root / kind / address[:2] / address
