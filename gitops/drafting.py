"""Turning a change set into a git tree: what each edit means for names, pointers and folders.

Cost follows the change: only folders on an edited path are read. Nothing is written here; new
objects are collected in a PackWriter.
"""

from collections import defaultdict
from collections.abc import Callable

from gitops import layout, pointers, trees
from gitops.changes import ChangeSet, Edit, MoveFrom, PutData, Remove, WriteText
from gitops.errors import InvalidPointerError, PathClashError, PathNotFoundError
from gitops.model import RepoPath
from gitops.packs import PackWriter
from gitops.trees import Node, Patch

ReadBlob = Callable[[bytes], bytes]
"""Blob id (20 bytes) -> content."""


class Draft:
    """The tree that a change set makes of a base tree.

    Args:
        base: the base's root tree (20 bytes) or None for an empty dataset.
        read: reads a folder by id, from the repository or from ``pack``.
        read_blob: reads a blob by id.
        pack: takes the new objects.
    """

    def __init__(
        self, base: bytes | None, *, read: trees.ReadFolder, read_blob: ReadBlob, pack: PackWriter
    ) -> None:
        self._base = base
        self._read = read
        self._read_blob = read_blob
        self._pack = pack
        self._patch = Patch()
        self._folders: dict[bytes, dict[bytes, Node]] = {}
        self._removed: set[str] = set()
        self._added: dict[str, set[str]] = defaultdict(set)
        self._files: set[str] = set()

    def build(self, changes: ChangeSet) -> bytes | None:
        """Return the id of the new root tree, None if nothing is left.

        Raises:
            PathNotFoundError: an edit removes or moves what is not there.
            PathClashError: a file where a folder is needed, or names that differ only in case.
        """
        edits = changes.edits
        self._removed = {path for path, edit in edits.items() if isinstance(edit, Remove)}
        self._removed.update(changes.replaced)
        for path, edit in edits.items():
            if isinstance(edit, Remove):
                self._remove(path)
        for path, edit in edits.items():
            if not isinstance(edit, Remove):
                self._claim(path)
                self._put(path, edit)
        self._check_clashes()
        return trees.apply(self._base, self._patch, self._read, self._write)

    def _put(self, path: RepoPath, edit: Edit) -> None:
        if isinstance(edit, PutData):
            text = pointers.render(edit.pointer, path.rpartition("/")[2])
            self._set_pointer(path, text)
        elif isinstance(edit, WriteText):
            self._set_text(path, Node(trees.BLOB, self._pack.add("blob", edit.content)))
        elif isinstance(edit, MoveFrom):
            self._move(edit.source, path)

    def _set_pointer(self, path: RepoPath, text: bytes) -> None:
        self._patch.set(layout.pointer_path(path), Node(trees.BLOB, self._pack.add("blob", text)))
        if self._node(path):
            self._patch.set(path, None)

    def _set_text(self, path: RepoPath, node: Node) -> None:
        self._patch.set(path, node)
        if self._node(layout.pointer_path(path)):
            self._patch.set(layout.pointer_path(path), None)

    def _remove(self, path: RepoPath) -> None:
        found = [name for name in (path, layout.pointer_path(path)) if self._node(name)]
        if not found:
            self._refuse_tracked(path)
            raise PathNotFoundError(f"there is no {path!r} to remove", paths=[path])
        for name in found:
            self._patch.set(name, None)

    def _move(self, source: RepoPath, target: RepoPath) -> None:
        if target == source or target.startswith(source + "/"):
            raise PathClashError(f"{source!r} cannot be moved into itself", paths=[source, target])
        node = self._node(source)
        pointer = self._node(layout.pointer_path(source))
        if node is None and pointer is None:
            self._refuse_tracked(source)
            raise PathNotFoundError(f"there is no {source!r} to move", paths=[source])
        replaced = self._node(layout.pointer_path(target)) or self._node(target)
        if node is not None and node.is_tree and replaced is not None and not self._is_gone(target):
            raise PathClashError(f"{target!r} exists already; a folder cannot replace it", paths=[target])
        if node is not None:
            self._set_text(target, node)
        if pointer is not None:
            name = target.rpartition("/")[2]
            self._set_pointer(target, pointers.renamed(self._read_blob(pointer.oid), name))

    def _refuse_tracked(self, path: RepoPath) -> None:
        """Refuse to change single files of a folder that DVC tracks as one."""
        parent = path.rpartition("/")[0]
        while parent:
            node = self._node(layout.pointer_path(parent))
            if node and self._tracks_folder(node):
                raise PathClashError(
                    f"{parent!r} is tracked by DVC as one; {path!r} cannot be changed alone: "
                    f"run dvc add {parent!r} in a clone",
                    paths=[path],
                )
            parent = parent.rpartition("/")[0]

    def _tracks_folder(self, node: Node) -> bool:
        try:
            return any(out.pointer.is_dir for out in pointers.parse(self._read_blob(node.oid)))
        except InvalidPointerError:
            return False

    # Clashes

    def _claim(self, path: RepoPath) -> None:
        """Note which names an edit adds to which folders of the base."""
        self._files.add(path)
        folder = ""
        nodes = self._nodes_of(self._base)
        for segment in path.split("/"):
            node = nodes.get(segment.encode()) if nodes is not None else None
            is_pointer = nodes is not None and segment.encode() + b".dvc" in nodes
            if node is None and not is_pointer:
                self._added[folder].add(segment)
            folder = f"{folder}/{segment}" if folder else segment
            is_gone = folder in self._removed
            is_file = is_pointer or (node is not None and not node.is_tree)
            if folder != path and is_file and not is_gone:
                self._refuse_tracked(path)
                raise PathClashError(f"{folder!r} is a file, so {path!r} cannot lie in it", paths=[path])
            if folder == path and node is not None and node.is_tree and not is_gone:
                raise PathClashError(f"{path!r} is a folder", paths=[path])
            nodes = self._nodes_of(node.oid) if node and node.is_tree and not is_gone else None

    def _check_clashes(self) -> None:
        for path in self._files:
            parent = path.rpartition("/")[0]
            while parent:
                if parent in self._files:
                    raise PathClashError(f"{parent!r} cannot be a file and a folder", paths=[parent, path])
                parent = parent.rpartition("/")[0]
        for folder, added in self._added.items():
            node = self._node(RepoPath(folder)) if folder else None
            base = self._base if not folder else (node.oid if node and node.is_tree else None)
            names = {name.decode(errors="replace") for name in self._nodes_of(base) or {}}
            existing = {
                name.removesuffix(".dvc")
                for name in names
                if self._stays(f"{folder}/{name}" if folder else name)
            }
            for one, two in trees.twins([*(existing - added), *added]):
                if one in added or two in added:
                    where = f" in {folder!r}" if folder else ""
                    raise PathClashError(
                        f"{one!r} and {two!r}{where} differ only in case; many computers cannot hold both",
                        paths=[f"{folder}/{name}" if folder else name for name in (one, two)],
                    )

    def _stays(self, path: str) -> bool:
        return path.removesuffix(layout.POINTER_SUFFIX) in self._files or not self._is_gone(path)

    def _is_gone(self, path: str) -> bool:
        """Tell whether an edit removes a name of the base, alone or with a folder above it."""
        path = path.removesuffix(layout.POINTER_SUFFIX)
        while path and path not in self._removed:
            path = path.rpartition("/")[0]
        return bool(path)

    # Reading the base

    def _nodes_of(self, tree: bytes | None) -> dict[bytes, Node] | None:
        if tree is None:
            return None
        known = self._folders.get(tree)
        if known is None:
            known = dict(self._read(tree).nodes)
            self._folders[tree] = known
        return known

    def _node(self, path: RepoPath) -> Node | None:
        nodes = self._nodes_of(self._base)
        node: Node | None = None
        for segment in path.split("/"):
            if nodes is None:
                return None
            node = nodes.get(segment.encode())
            if node is None:
                return None
            nodes = self._nodes_of(node.oid) if node.is_tree else None
        return node

    def _write(self, content: bytes) -> bytes:
        return self._pack.add("tree", content)
