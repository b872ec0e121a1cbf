"""What differs between two versions: tree differences read as files that people mean."""

from collections.abc import Iterator, Mapping

from gitops import layout, pointers, trees
from gitops.errors import InvalidPointerError, PathNotFoundError
from gitops.gitrepo import GitRepo
from gitops.model import BlobId, Change, Entry, EntryKind, RepoPath
from gitops.snapshot import Snapshot

FolderDifference = tuple[str, list[tuple[str, trees.Node | None, trees.Node | None]]]
"""(folder with a trailing slash, files as (name, before, after)), as trees.differences yields it."""


class Differ:
    """Compares versions of one repository. Cost follows the change: equal folders are never read."""

    def __init__(self, git: GitRepo) -> None:
        self._git = git

    def changes(self, before: Snapshot | None, after: Snapshot, folder: RepoPath) -> Iterator[Change]:
        """Yield the files below a folder that differ, folder by folder; ``before`` None: nothing."""
        old, new = before.tree_oid if before else None, after.tree_oid
        prefix = ""
        below: tuple[bytes | None, bytes | None] = (old, new)
        for segment in folder.split("/") if folder else ():
            below = (self._below(below[0], segment), self._below(below[1], segment))
            prefix += segment + "/"
        for found in trees.differences(*below, self._git.read_folder, prefix):
            if not layout.is_hidden(found[0] or "x"):
                yield from self.changes_of(found, before, after)

    def _below(self, tree: bytes | None, segment: str) -> bytes | None:
        node = self._git.read_folder(tree).nodes.get(segment.encode()) if tree else None
        return node.oid if node and node.is_tree else None

    def changes_of(
        self, found: FolderDifference, before: Snapshot | None, after: Snapshot
    ) -> Iterator[Change]:
        """Yield the changes that one folder's differing names come to, sorted by name."""
        where, files = found
        sides: dict[str, list[Entry | None]] = {}
        for raw, was, now in files:
            name = raw.removesuffix(layout.POINTER_SUFFIX) if len(raw) > len(layout.POINTER_SUFFIX) else raw
            if layout.is_hidden(where + name):
                continue
            slot = sides.setdefault(name, [None, None])
            for side, node in enumerate((was, now)):
                if node is not None:
                    slot[side] = self._file_entry(RepoPath(where + name), node, is_pointer=name != raw)
        for name in sorted(sides):
            one, two = sides[name]
            yield from self._expanded(Change(RepoPath(where + name), one, two), before, after)

    def _file_entry(self, path: RepoPath, node: trees.Node, *, is_pointer: bool) -> Entry:
        blob = BlobId(node.id)
        if not node.is_blob:
            return Entry(path, EntryKind.TEXT, problem="symbolic links and submodules are not followed")
        if not is_pointer:
            return Entry(path, EntryKind.TEXT, size=self._git.blob_size(blob), blob=blob)
        try:
            pointer = pointers.parse_single(self._git.read(blob).content, path.rpartition("/")[2])
        except InvalidPointerError as error:
            return Entry(path, EntryKind.DATA, blob=blob, problem=f"broken pointer: {error}")
        kind = EntryKind.FOLDER if pointer.is_dir else EntryKind.DATA
        return Entry(path, kind, size=pointer.size, pointer=pointer, blob=blob)

    def _expanded(self, change: Change, before: Snapshot | None, after: Snapshot) -> Iterator[Change]:
        """Replace a change of a folder that DVC tracks as one by the changes of its files."""
        sides: list[Mapping[RepoPath, Entry]] = []
        for entry, snapshot in ((change.before, before), (change.after, after)):
            if entry is None:
                sides.append({})
            elif entry.kind is EntryKind.FOLDER and entry.pointer and snapshot:
                try:
                    sides.append(snapshot.manifest_entries(change.path, entry.pointer))
                except PathNotFoundError:
                    sides.append({change.path: entry})
            else:
                sides.append({change.path: entry})
        was, now = sides
        for path in sorted(was.keys() | now.keys()):
            one, two = was.get(path), now.get(path)
            same = one and two and one.pointer and two.pointer and one.pointer.md5 == two.pointer.md5
            if path == change.path or not same:
                yield Change(path, one, two)
