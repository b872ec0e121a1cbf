"""Rows of a folder as entries: pointers parsed, sizes found, what cannot be read marked with a reason."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from gitops import layout, pointers, trees
from gitops.errors import GitopsError, InvalidPointerError
from gitops.folders import POINTER, name_fault
from gitops.gitrepo import GitRepo
from gitops.model import ROOT, BlobId, Entry, EntryKind, Pointer, RepoPath
from gitops.objects import ObjectStore
from gitops.places import Place, Places

Row = tuple[str, trees.Node | None, bool, Pointer | None]
"""(name, git's node, the node is a pointer file, what DVC tracks where git has no node)."""


class EntryReader:
    """Reads the entries of folders. Readers tolerate: a broken row never breaks its folder."""

    def __init__(self, git: GitRepo, objects: ObjectStore | None, places: Places) -> None:
        self._git = git
        self._objects = objects
        self._places = places

    def page(self, place: Place, folder: RepoPath, after: str, limit: int) -> Sequence[Row]:
        """Return up to ``limit`` rows of a folder past ``after``, sorted by name."""
        rows: list[Row] = []
        if place.tree is not None:
            index = self._places.index(place.tree).rows
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

    def entries(self, folder: RepoPath, rows: Sequence[Row]) -> Iterator[Entry]:
        """Yield what each row stands for; all pointers are read in one go."""
        wanted = [node.id for _, node, is_pointer, _ in rows if node and is_pointer]
        texts = iter(self._git.read_blobs(wanted))
        for name, node, is_pointer, tracked in rows:
            path = RepoPath(f"{folder}/{name}" if folder else name)
            if node is None:
                yield self.tracked_entry(path, tracked)
            elif is_pointer:
                yield self._data_entry(path, name, next(texts), BlobId(node.id))
            else:
                yield self._git_entry(path, name, node)

    def tracked_entry(self, path: RepoPath, pointer: Pointer | None) -> Entry:
        """Return a file or folder that git does not hold."""
        if pointer is None or pointer.is_dir:
            return Entry(path, EntryKind.FOLDER, pointer=pointer)
        size = pointer.size if pointer.size is not None else self.stored_size(pointer)
        if size is None:
            return Entry(path, EntryKind.DATA, pointer=pointer, problem="the pool does not hold its bytes")
        return Entry(path, EntryKind.DATA, size=size, pointer=replace(pointer, size=size))

    def stored_size(self, pointer: Pointer) -> int | None:
        """Return the size that the pool knows, or None."""
        try:
            return self._objects.size(pointer.md5) if self._objects else None
        except GitopsError:
            return None

    def _data_entry(self, path: RepoPath, name: str, text: bytes, blob: BlobId) -> Entry:
        try:
            pointer = pointers.parse_single(text, name)
        except InvalidPointerError as error:
            return Entry(path, EntryKind.DATA, blob=blob, problem=f"broken pointer: {error}")
        fault = name_fault(name)
        if pointer.is_dir:
            return Entry(path, EntryKind.FOLDER, pointer=pointer, blob=blob, problem=fault)
        size = pointer.size if pointer.size is not None else self.stored_size(pointer)
        return Entry(path, EntryKind.DATA, size=size, pointer=pointer, blob=blob, problem=fault)

    def _git_entry(self, path: RepoPath, name: str, node: trees.Node) -> Entry:
        if node.is_tree:
            return Entry(path, EntryKind.FOLDER, problem=name_fault(name))
        if node.mode == trees.SYMLINK:
            return Entry(path, EntryKind.TEXT, problem="symbolic links are not followed")
        if node.mode == trees.GITLINK:
            return Entry(path, EntryKind.FOLDER, problem="submodules are not followed")
        size = self._git.blob_size(node.id)
        fault = name_fault(name)
        if name.endswith(layout.POINTER_SUFFIX):
            fault = "a pointer beside a file or folder of the same name"
        return Entry(path, EntryKind.TEXT, size=size, blob=BlobId(node.id), problem=fault)

    def find(self, place: Place, folder: RepoPath, name: str) -> Entry | None:
        """Return what a name in a folder stands for, or None."""
        row: Row | None = None
        if place.tree is not None:
            nodes = self._places.git_folder(place.tree)
            pointer, node = nodes.get(name.encode() + POINTER), nodes.get(name.encode())
            if node:
                row = (name, node, False, None)
            elif pointer and pointer.is_blob:
                row = (name, pointer, True, None)
        for over in place.virtual:
            if row is None and (name in over.files or name in over.folders):
                row = (name, None, False, over.files.get(name))
        return next(self.entries(folder, [row])) if row else None
