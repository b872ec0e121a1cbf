"""One git tree as a folder: names as users see them, nodes by name, and what processes remember of both."""

import unicodedata
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from gitops import layout, trees
from gitops.cache import ImmutableCache, MemoryCache
from gitops.model import CommitId, Entry, RepoPath, Totals, segment_fault
from gitops.tracked import VirtualFolder

POINTER = layout.POINTER_SUFFIX.encode()
_CACHED_ROWS = 150_000
_CACHED_ENTRIES = 20_000  # about a kilobyte each
_NEVER_LISTED = frozenset({".gitignore", ".gitattributes", ".gitmodules", ".dvcignore", ".mailmap"})

IndexRow = tuple[str, trees.Node, bool]
"""(name on screen, node, the node is a pointer file)."""


@dataclass(frozen=True, slots=True)
class FolderIndex:
    """The rows of one git tree sorted by the name that users see."""

    rows: tuple[IndexRow, ...]
    has_lock: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a folder: ``next_after`` is the cursor of the following page, None at the end."""

    entries: tuple[Entry, ...]
    next_after: str | None


PageKey = tuple[bytes, RepoPath, str, int]
"""(tree id, folder, name before the page, most rows)."""


class ReadCaches:
    """What readings of immutable trees share in one process; bounded by rows held."""

    def __init__(self, disk: ImmutableCache) -> None:
        self.disk = disk
        self.indexes: MemoryCache[bytes, FolderIndex] = MemoryCache(
            max_weight=_CACHED_ROWS, weigh=lambda index: len(index.rows) + 1
        )
        self.virtual: MemoryCache[str, VirtualFolder] = MemoryCache(
            max_weight=_CACHED_ROWS, weigh=lambda folder: len(folder) + 1
        )
        self.pages: MemoryCache[PageKey, Listing] = MemoryCache(
            max_weight=_CACHED_ENTRIES, weigh=lambda page: len(page.entries) + 1
        )
        self.totals: MemoryCache[bytes, Totals] = MemoryCache(max_weight=50_000)
        self.reachable: MemoryCache[tuple[Path, CommitId], bool] = MemoryCache(max_weight=20_000)


class Nodes:
    """Nodes of one folder by name, without building objects for those nobody asks for."""

    __slots__ = ("_by_name",)

    def __init__(self, folder: trees.Folder) -> None:
        self._by_name = {name: (mode, oid) for mode, name, oid in folder.rows}

    def get(self, name: bytes) -> trees.Node | None:
        """Return the node of a name, or None; one that git has in decomposed form is found too."""
        found = self._by_name.get(name)
        if found is None and not name.isascii():
            found = next((self._by_name[raw] for raw in self._by_name if _composed(raw) == name), None)
        return trees.Node(*found) if found else None


def _composed(raw: bytes) -> bytes:
    return _shown(raw).encode() if not raw.isascii() else raw


def _shown(raw: bytes) -> str:
    """Return a name as users see it: NFC, whatever a Mac wrote."""
    if raw.isascii():
        return raw.decode()
    return unicodedata.normalize("NFC", raw.decode(errors="replace"))


def name_fault(name: str) -> str | None:
    """Return why a name from git cannot be shown or stored safely, or None."""
    return "its name is not UTF-8" if "\ufffd" in name else segment_fault(name)


def index_of(folder: trees.Folder) -> FolderIndex:
    """Return a tree's rows as users see them; a pointer beside what it stands for stays a plain row."""
    rows: list[IndexRow] = []
    has_lock = False
    names = {raw for _, raw, _ in folder.rows if not raw.endswith(POINTER)}
    for mode, raw, oid in folder.rows:
        is_pointer = raw.endswith(POINTER) and mode in trees.FILES
        stem = raw[: -len(POINTER)] if is_pointer else raw
        if is_pointer and (not stem or stem in names):
            is_pointer, stem = False, raw
        name = _shown(stem)
        if raw == b"dvc.lock":
            has_lock = True
        if name not in _NEVER_LISTED:
            rows.append((name, trees.Node(mode, oid), is_pointer))
    rows.sort(key=itemgetter(0))
    return FolderIndex(tuple(rows), has_lock)
