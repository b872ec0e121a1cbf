"""How much a folder holds: files and bytes, each git tree counted once and never read again."""

from gitops import layout, trees
from gitops.cache import MemoryCache
from gitops.entries import EntryReader
from gitops.folders import POINTER, Nodes
from gitops.model import ROOT, Entry, EntryKind, Pointer, Totals
from gitops.places import Place, Places
from gitops.tracked import VirtualFolder

MAX_WALK_DEPTH = 256
_BATCH = 1000


class Counter:
    """Sums folders of one version."""

    def __init__(self, places: Places, reader: EntryReader, known: MemoryCache[bytes, Totals]) -> None:
        self._places = places
        self._reader = reader
        self._known = known

    def totals(self, place: Place, *, is_root: bool) -> Totals:
        """Return files and bytes of a folder, what git does not hold included."""
        total = Totals()
        if place.tree is not None:
            total += self._tree_totals(place.tree, is_root=is_root, depth=0)
        for virtual in place.virtual:
            total += self._overlay_totals(virtual, place.tree)
        return total

    def _tree_totals(self, tree: bytes, *, is_root: bool, depth: int) -> Totals:
        key = tree + (b"r" if is_root else b"")
        known = self._known.find(key)
        if known is not None:
            return known
        if depth > MAX_WALK_DEPTH:
            return Totals()
        rows = self._places.index(tree).rows
        total = Totals()
        for start in range(0, len(rows), _BATCH):
            batch = [
                row for row in rows[start : start + _BATCH] if not (is_root and layout.is_hidden(row[0]))
            ]
            for entry in self._reader.entries(
                ROOT, [(name, node, pointer, None) for name, node, pointer in batch]
            ):
                total += self._entry_totals(entry)
            for _, node, is_pointer in batch:
                if node.is_tree and not is_pointer:
                    total += self._tree_totals(node.oid, is_root=False, depth=depth + 1)
                    total += self._lock_totals(node.oid)
        self._known.keep(key, total)
        return total

    def _entry_totals(self, entry: Entry) -> Totals:
        if entry.kind is EntryKind.FOLDER:
            return self._manifest_totals(entry.pointer) if entry.pointer else Totals()
        return Totals(1, entry.size or 0, int(entry.size is None))

    def _manifest_totals(self, pointer: Pointer) -> Totals:
        folder = self._places.find_manifest(pointer)
        if folder is None:
            return Totals(unsized=1)
        if pointer.size is not None:
            return Totals(len(folder), pointer.size)
        return self._overlay_totals(folder, None)

    def _lock_totals(self, tree: bytes) -> Totals:
        lock = self._places.lock_outputs(tree) if self._places.index(tree).has_lock else None
        return self._overlay_totals(lock, tree) if lock else Totals()

    def _overlay_totals(self, over: VirtualFolder, tree: bytes | None) -> Totals:
        """Count what lies over a git folder; what git holds itself (``cache: false``) counts there."""
        nodes = self._places.git_folder(tree) if tree else Nodes(trees.EMPTY)
        total = Totals()
        for name in over.files.keys() | over.folders.keys():
            node, tracked = nodes.get(name.encode()), over.files.get(name)
            if (node and not node.is_tree) or (node is None and nodes.get(name.encode() + POINTER)):
                continue
            if tracked and not tracked.is_dir:
                total += Totals() if node else self._file_totals(tracked)
                continue
            inner = over.folders.get(name) if tracked is None else self._places.find_manifest(tracked)
            below = node.oid if node else None
            total += self._overlay_totals(inner, below) if inner else Totals(unsized=1)
        return total

    def _file_totals(self, pointer: Pointer) -> Totals:
        size = pointer.size if pointer.size is not None else self._reader.stored_size(pointer)
        return Totals(1, size or 0, int(size is None))
