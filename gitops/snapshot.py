"""A dataset at one commit: list, look up, read, walk, count. No method takes a ref.

What git holds (pointers, small text) and what DVC tracks in other ways (whole folders, pipeline
outputs) appear as one tree of files. Readers tolerate: what cannot be read is a row with a problem.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from gitops import layout, pointers, trees
from gitops.cache import ImmutableCache, MemoryCache
from gitops.errors import (
    GitopsError,
    IntegrityError,
    InvalidPointerError,
    ObjectNotFoundError,
    PathNotFoundError,
)
from gitops.gitrepo import GitRepo
from gitops.model import (
    ROOT,
    BlobId,
    Commit,
    CommitId,
    Entry,
    EntryKind,
    Pointer,
    RepoPath,
    Totals,
    segment_fault,
)
from gitops.objects import ObjectStore
from gitops.tracked import VirtualFolder

MAX_WALK_DEPTH = 256
MAX_WALK_ENTRIES = 50_000_000
_BATCH = 1000
_POINTER = layout.POINTER_SUFFIX.encode()
_CACHED_ROWS = 150_000
_RECENT_FOLDERS = 8

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
        self.totals: MemoryCache[bytes, Totals] = MemoryCache(max_weight=50_000)
        self.reachable: MemoryCache[tuple[Path, CommitId], bool] = MemoryCache(max_weight=20_000)


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder: its git tree, if git has one, and the virtual folders laid over it."""

    tree: bytes | None
    virtual: tuple[VirtualFolder, ...] = ()


class Snapshot:
    """A dataset frozen at one commit. Cheap to make; safe to share between threads."""

    def __init__(self, commit: Commit, git: GitRepo, objects: ObjectStore | None, caches: ReadCaches) -> None:
        self.commit = commit
        self._git = git
        self._objects = objects
        self._caches = caches
        self._recent: dict[bytes, _Nodes] = {}

    # Looking up

    def entry(self, path: RepoPath) -> Entry:
        """Return what lies at a path.

        Raises:
            PathNotFoundError: nothing does.
        """
        if path == ROOT:
            return Entry(ROOT, EntryKind.FOLDER)
        parent, _, name = path.rpartition("/")
        place = self._locate(RepoPath(parent))
        found = self._find(place, RepoPath(parent), name)
        if found is None:
            raise PathNotFoundError(f"there is no {path!r} in this version", paths=[path])
        return found

    def list(self, folder: RepoPath, *, after: str = "", limit: int = 1000) -> Listing:
        """Return up to ``limit`` rows of a folder whose names come after ``after``, sorted by name."""
        place = self._locate(folder)
        rows = self._page(place, folder, after, limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        entries = tuple(self._entries(folder, rows))
        return Listing(entries, next_after=rows[-1][0] if more else None)

    def walk(self, folder: RepoPath = ROOT, *, after: RepoPath = ROOT) -> Iterator[Entry]:
        """Yield every file below a folder in path order, segment by segment, past ``after``.

        Memory holds one page of each folder on the way down, never the dataset.
        """
        tail = tuple(after.split("/")) if after else ()
        below = tuple(folder.split("/")) if folder else ()
        resume = tail[len(below) :] if tail[: len(below)] == below else ()
        yield from islice(self._walk(self._locate(folder), folder, resume, len(below)), MAX_WALK_ENTRIES)

    def read(self, path: RepoPath) -> bytes:
        """Return a text file's content.

        Raises:
            PathNotFoundError: no text file lies there.
        """
        found = self.entry(path)
        if found.kind is not EntryKind.TEXT or found.blob is None:
            raise PathNotFoundError(f"{path!r} is not a text file in this version", paths=[path])
        return self._git.read(found.blob).content

    def read_raw(self, path: RepoPath) -> bytes | None:
        """Return what git itself holds at a path, reserved files included, or None."""
        node = self._node(path)
        return self._git.read(node.id).content if node and node.is_blob else None

    def raw_walk(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield (path, size, blob id) of every file that git holds: the repository with its pointers."""
        yield from self._raw_walk(self.tree_oid, "", 0)

    def read_blob(self, oid: bytes) -> bytes:
        """Return a blob's content by id."""
        return self._git.read(oid.hex()).content

    @property
    def tree_oid(self) -> bytes:
        """The id of the root tree (20 bytes)."""
        return bytes.fromhex(self.commit.tree)

    def folder_tag(self, folder: RepoPath) -> str:
        """Return a text that changes whenever a folder's listing may: for an ETag."""
        place = self._locate(folder)
        if place.virtual or place.tree is None:
            return f"{self.commit.tree}-{len(folder)}"
        return place.tree.hex()

    def totals(self, folder: RepoPath = ROOT) -> Totals:
        """Return files and bytes below a folder; folders counted once are never read again."""
        place = self._locate(folder)
        total = Totals()
        if place.tree is not None:
            total += self._tree_totals(place.tree, is_root=folder == ROOT, depth=0)
        for virtual in place.virtual:
            total += self._overlay_totals(virtual, place.tree)
        return total

    # Places

    def _locate(self, folder: RepoPath) -> _Place:
        place = self._with_lock(_Place(self.tree_oid))
        if folder == ROOT:
            return place
        walked = ""
        for segment in folder.split("/"):
            inner = self._descend(place, segment)
            walked = f"{walked}/{segment}" if walked else segment
            if inner is None:
                raise PathNotFoundError(f"there is no folder {walked!r} in this version", paths=[walked])
            place = inner
        return place

    def _descend(self, place: _Place, segment: str) -> _Place | None:
        tree: bytes | None = None
        virtual: list[VirtualFolder] = []
        for over in place.virtual:
            if segment in over.folders:
                virtual.append(over.folders[segment])
            tracked = over.files.get(segment)
            if tracked and tracked.is_dir:
                virtual.append(self._manifest(tracked))
        if place.tree is not None:
            nodes = self._git_folder(place.tree)
            node = nodes.get(segment.encode())
            if node and node.is_tree:
                tree = node.oid
            pointer_node = nodes.get(segment.encode() + _POINTER)
            if pointer_node and pointer_node.is_blob and not tree:
                pointer = self._pointer(pointer_node, segment)
                if pointer and pointer.is_dir:
                    virtual.append(self._manifest(pointer))
        if tree is None and not virtual:
            return None
        return self._with_lock(_Place(tree, tuple(virtual)))

    def _with_lock(self, place: _Place) -> _Place:
        """Lay the outputs of a ``dvc.lock`` in this folder over it."""
        if place.tree is None or not self._index(place.tree).has_lock:
            return place
        lock = self._lock_outputs(place.tree)
        return _Place(place.tree, (*place.virtual, lock)) if lock else place

    def _lock_outputs(self, tree: bytes) -> VirtualFolder | None:
        key = f"lock-{tree.hex()}"
        found = self._caches.virtual.find(key)
        if found is not None:
            return found
        nodes = self._git_folder(tree)
        lock, pipeline = nodes.get(layout.LOCK_FILE.encode()), nodes.get(layout.PIPELINE_FILE.encode())
        if lock is None or not lock.is_blob:
            return None
        text = self._git.read(pipeline.id).content if pipeline and pipeline.is_blob else None
        try:
            folder = VirtualFolder.from_outs(pointers.parse_lock(self._git.read(lock.id).content, text))
        except InvalidPointerError:
            folder = VirtualFolder()
        self._caches.virtual.keep(key, folder)
        return folder

    def _manifest(self, pointer: Pointer) -> VirtualFolder:
        def load() -> VirtualFolder:
            if self._objects is None:
                raise ObjectNotFoundError("the dataset has no storage site yet")
            if self._objects.size(pointer.md5) > pointers.MAX_MANIFEST_BYTES:
                raise InvalidPointerError("the folder's manifest is too large")
            with self._objects.open(pointer.md5) as stream:
                rows = pointers.parse_manifest(stream.read())
            return VirtualFolder.from_manifest(rows, is_legacy=pointer.is_legacy)

        try:
            return self._caches.virtual.get_or_make(f"dir-{pointer.md5}-{pointer.is_legacy}", load)
        except (ObjectNotFoundError, InvalidPointerError) as error:
            raise PathNotFoundError(f"the folder's manifest cannot be read: {error}") from error

    # Rows and entries

    def _git_folder(self, tree: bytes) -> "_Nodes":
        """Return a folder's nodes; the last few are kept, for those who look up one path after another."""
        found = self._recent.get(tree)
        if found is None:
            found = _Nodes(self._git.read_folder(tree))
            if len(self._recent) >= _RECENT_FOLDERS:
                self._recent = {}
            self._recent[tree] = found
        return found

    def _index(self, tree: bytes) -> FolderIndex:
        return self._caches.indexes.get_or_make(tree, lambda: _index(self._git.read_folder(tree)))

    def _page(self, place: _Place, folder: RepoPath, after: str, limit: int) -> Sequence["_Row"]:
        rows: list[_Row] = []
        if place.tree is not None:
            index = self._index(place.tree).rows
            start = bisect_right(index, after, key=lambda row: row[0]) if after else 0
            for name, node, is_pointer in islice(index, start, None):
                if folder == ROOT and layout.is_hidden(name):
                    continue
                rows.append((name, node, is_pointer, None))
                if len(rows) >= limit:
                    break
        if not place.virtual:
            return rows
        known = {row[0] for row in rows}
        for over in place.virtual:
            for name in over.files.keys() | over.folders.keys():
                if folder == ROOT and layout.is_hidden(name):
                    continue
                if name > after and name not in known:
                    rows.append((name, None, False, over.files.get(name)))
                    known.add(name)
        return sorted(rows, key=lambda row: row[0])[:limit]

    def _entries(self, folder: RepoPath, rows: Sequence["_Row"]) -> Iterator[Entry]:
        wanted = [node.id for _, node, is_pointer, _ in rows if node and is_pointer]
        texts = iter(self._git.read_blobs(wanted))
        for name, node, is_pointer, tracked in rows:
            path = RepoPath(f"{folder}/{name}" if folder else name)
            if node is None:
                yield self._tracked_entry(path, tracked)
            elif is_pointer:
                yield self._data_entry(path, name, next(texts), BlobId(node.id))
            else:
                yield self._git_entry(path, name, node)

    def _tracked_entry(self, path: RepoPath, pointer: Pointer | None) -> Entry:
        if pointer is None or pointer.is_dir:
            return Entry(path, EntryKind.FOLDER, pointer=pointer)
        size = pointer.size if pointer.size is not None else self._stored_size(pointer)
        if size is None:
            return Entry(path, EntryKind.DATA, pointer=pointer, problem="the pool does not hold its bytes")
        return Entry(path, EntryKind.DATA, size=size, pointer=replace(pointer, size=size))

    def _stored_size(self, pointer: Pointer) -> int | None:
        try:
            return self._objects.size(pointer.md5) if self._objects else None
        except GitopsError:
            return None

    def _data_entry(self, path: RepoPath, name: str, text: bytes, blob: BlobId) -> Entry:
        try:
            pointer = pointers.parse_single(text, name)
        except InvalidPointerError as error:
            return Entry(path, EntryKind.DATA, blob=blob, problem=f"broken pointer: {error}")
        fault = _name_fault(name)
        if pointer.is_dir:
            return Entry(path, EntryKind.FOLDER, pointer=pointer, blob=blob, problem=fault)
        size = pointer.size if pointer.size is not None else self._stored_size(pointer)
        return Entry(path, EntryKind.DATA, size=size, pointer=pointer, blob=blob, problem=fault)

    def _git_entry(self, path: RepoPath, name: str, node: trees.Node) -> Entry:
        if node.is_tree:
            return Entry(path, EntryKind.FOLDER, problem=_name_fault(name))
        if node.mode == trees.SYMLINK:
            return Entry(path, EntryKind.TEXT, problem="symbolic links are not followed")
        if node.mode == trees.GITLINK:
            return Entry(path, EntryKind.FOLDER, problem="submodules are not followed")
        size = self._git.blob_size(node.id)
        fault = _name_fault(name)
        if name.endswith(layout.POINTER_SUFFIX):
            fault = "a pointer beside a file or folder of the same name"
        return Entry(path, EntryKind.TEXT, size=size, blob=BlobId(node.id), problem=fault)

    def _find(self, place: _Place, folder: RepoPath, name: str) -> Entry | None:
        row: _Row | None = None
        if place.tree is not None:
            nodes = self._git_folder(place.tree)
            pointer, node = nodes.get(name.encode() + _POINTER), nodes.get(name.encode())
            if node:
                row = (name, node, False, None)
            elif pointer and pointer.is_blob:
                row = (name, pointer, True, None)
        for over in place.virtual:
            if row is None and (name in over.files or name in over.folders):
                row = (name, None, False, over.files.get(name))
        return next(self._entries(folder, [row])) if row else None

    def _node(self, path: RepoPath) -> trees.Node | None:
        node = trees.Node(trees.TREE, self.tree_oid)
        for segment in path.split("/"):
            if not node.is_tree:
                return None
            found = self._git_folder(node.oid).get(segment.encode())
            if found is None:
                return None
            node = found
        return node

    def _pointer(self, node: trees.Node, name: str) -> Pointer | None:
        try:
            return pointers.parse_single(self._git.read(node.id).content, name)
        except InvalidPointerError:
            return None

    # Walking and counting

    def _walk(self, place: _Place, folder: RepoPath, resume: tuple[str, ...], depth: int) -> Iterator[Entry]:
        if depth > MAX_WALK_DEPTH:
            yield Entry(folder, EntryKind.FOLDER, problem=f"nested deeper than {MAX_WALK_DEPTH} folders")
            return
        if resume:
            inner = self._descend(place, resume[0])
            if inner and len(resume) > 1:
                below = RepoPath(f"{folder}/{resume[0]}" if folder else resume[0])
                yield from self._walk(inner, below, resume[1:], depth + 1)
        after = resume[0] if resume else ""
        while True:
            rows = self._page(place, folder, after, _BATCH)
            for entry in self._entries(folder, rows):
                if entry.kind is not EntryKind.FOLDER:
                    yield entry
                    continue
                inner = self._descend_or_none(place, entry.name)
                if inner is None:
                    yield entry
                else:
                    yield from self._walk(inner, entry.path, (), depth + 1)
            if len(rows) < _BATCH:
                return
            after = rows[-1][0]

    def _descend_or_none(self, place: _Place, name: str) -> _Place | None:
        try:
            return self._descend(place, name)
        except PathNotFoundError:
            return None

    def _raw_walk(self, tree: bytes, prefix: str, depth: int) -> Iterator[tuple[str, int, bytes]]:
        if depth > MAX_WALK_DEPTH:
            raise IntegrityError(f"{prefix[:80]!r}… is nested deeper than {MAX_WALK_DEPTH} folders")
        for mode, name, oid in self._git.read_folder(tree).rows:
            path = prefix + name.decode(errors="replace")
            if mode == trees.TREE:
                yield from self._raw_walk(oid, path + "/", depth + 1)
            elif mode in (trees.BLOB, trees.EXECUTABLE):
                yield path, self._git.blob_size(oid.hex()), oid

    def _tree_totals(self, tree: bytes, *, is_root: bool, depth: int) -> Totals:
        key = tree + (b"r" if is_root else b"")
        known = self._caches.totals.find(key)
        if known is not None:
            return known
        if depth > MAX_WALK_DEPTH:
            return Totals()
        rows = self._index(tree).rows
        total = Totals()
        for start in range(0, len(rows), _BATCH):
            batch = [
                row for row in rows[start : start + _BATCH] if not (is_root and layout.is_hidden(row[0]))
            ]
            for entry in self._entries(ROOT, [(name, node, pointer, None) for name, node, pointer in batch]):
                total += self._entry_totals(entry)
            for _, node, is_pointer in batch:
                if node.is_tree and not is_pointer:
                    total += self._tree_totals(node.oid, is_root=False, depth=depth + 1)
                    total += self._lock_totals(node.oid)
        self._caches.totals.keep(key, total)
        return total

    def _entry_totals(self, entry: Entry) -> Totals:
        if entry.kind is EntryKind.FOLDER:
            return self._manifest_totals(entry.pointer) if entry.pointer else Totals()
        return Totals(1, entry.size or 0, int(entry.size is None))

    def _manifest_totals(self, pointer: Pointer) -> Totals:
        folder = self._manifest_or_none(pointer)
        if folder is None:
            return Totals(unsized=1)
        if pointer.size is not None:
            return Totals(len(folder), pointer.size)
        return self._overlay_totals(folder, None)

    def _lock_totals(self, tree: bytes) -> Totals:
        lock = self._lock_outputs(tree) if self._index(tree).has_lock else None
        return self._overlay_totals(lock, tree) if lock else Totals()

    def _overlay_totals(self, over: VirtualFolder, tree: bytes | None) -> Totals:
        """Count what lies over a git folder; what git holds itself (``cache: false``) counts there."""
        nodes = self._git_folder(tree) if tree else _Nodes(trees.EMPTY)
        total = Totals()
        for name in over.files.keys() | over.folders.keys():
            node, tracked = nodes.get(name.encode()), over.files.get(name)
            if (node and not node.is_tree) or (node is None and nodes.get(name.encode() + _POINTER)):
                continue
            if tracked and not tracked.is_dir:
                total += Totals() if node else self._file_totals(tracked)
                continue
            inner = over.folders.get(name) if tracked is None else self._manifest_or_none(tracked)
            below = node.oid if node else None
            total += self._overlay_totals(inner, below) if inner else Totals(unsized=1)
        return total

    def _file_totals(self, pointer: Pointer) -> Totals:
        size = pointer.size if pointer.size is not None else self._stored_size(pointer)
        return Totals(1, size or 0, int(size is None))

    def _manifest_or_none(self, pointer: Pointer) -> VirtualFolder | None:
        try:
            return self._manifest(pointer)
        except PathNotFoundError:
            return None

    # Other views of a pointer

    def manifest_entries(self, path: RepoPath, pointer: Pointer) -> dict[RepoPath, Entry]:
        """Return the files of a folder that DVC tracks as one, by path."""
        folder = self._manifest(pointer)
        rows = ((RepoPath(f"{path}/{name}"), found) for name, found in folder.pointers())
        return {below: self._tracked_entry(below, found) for below, found in rows}


_Row = tuple[str, trees.Node | None, bool, Pointer | None]


class _Nodes:
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
    return unicodedata.normalize("NFC", raw.decode(errors="replace"))


def _name_fault(name: str) -> str | None:
    return "its name is not UTF-8" if "\ufffd" in name else segment_fault(name)


def _index(folder: trees.Folder) -> FolderIndex:
    rows: list[IndexRow] = []
    has_lock = False
    names = {raw for _, raw, _ in folder.rows if not raw.endswith(_POINTER)}
    for mode, raw, oid in folder.rows:
        is_pointer = raw.endswith(_POINTER) and mode in trees.FILES and len(raw) > len(_POINTER)
        if is_pointer and raw[: -len(_POINTER)] in names:
            is_pointer = False
        name = _shown(raw[: -len(_POINTER)] if is_pointer else raw)
        if raw == b"dvc.lock":
            has_lock = True
        if name in _NEVER_LISTED:
            continue
        rows.append((name, trees.Node(mode, oid), is_pointer))
    rows.sort(key=lambda row: row[0])
    return FolderIndex(tuple(rows), has_lock)


_NEVER_LISTED = frozenset({".gitignore", ".gitattributes", ".gitmodules", ".dvcignore", ".mailmap"})
