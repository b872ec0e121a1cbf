"""The objects of a repository together with the new ones of a change that is not written yet."""

from collections.abc import Callable, Mapping

from gitops import layout, trees
from gitops.changes import Merge
from gitops.errors import EditConflictError
from gitops.gitrepo import GitRepo
from gitops.model import Commit, RepoPath, TreeId
from gitops.packs import PackWriter

_NAMED = 5

Nodes = tuple[trees.Node | None, trees.Node | None]
"""What a path stands for in git: text or folder, and pointer."""


class Workbench:
    """Reads what is stored or drafted; collects what is new."""

    def __init__(self, git: GitRepo) -> None:
        self._git = git
        self.pack = PackWriter()

    def read_folder(self, oid: bytes) -> trees.Folder:
        """Return a folder, stored or drafted."""
        new = self.pack.find(oid)
        return trees.Folder(new) if new is not None else self._git.read_folder(oid)

    def read_blob(self, oid: bytes) -> bytes:
        """Return a blob's content, stored or drafted."""
        new = self.pack.find(oid)
        return new if new is not None else self._git.read(oid.hex()).content

    def write_folder(self, content: bytes) -> bytes:
        """Draft a folder and return its id."""
        return self.pack.add("tree", content)

    def write_blob(self, content: bytes) -> trees.Node:
        """Draft an ordinary file and return its node."""
        return trees.Node(trees.BLOB, self.pack.add("blob", content))

    def patched(self, tree: bytes | None, patch: trees.Patch) -> bytes | None:
        """Return the id of a tree with edits, None if nothing is left."""
        return trees.apply(tree, patch, self.read_folder, self.write_folder)

    def merged(
        self, base: Commit, ours: bytes | None, theirs: bytes | None, merges: Mapping[RepoPath, Merge]
    ) -> bytes | None:
        """Return the id of the tree that joins both sides path by path.

        Raises:
            EditConflictError: with every path that both sides changed and no merge joins.
        """

        def join(
            path: str, one: trees.Node | None, mine: trees.Node | None, other: trees.Node | None
        ) -> trees.Node | None:
            merge = merges.get(RepoPath(path))
            if merge is None or mine is None:
                return None
            texts = [self.read_blob(node.oid) if node else None for node in (one, other)]
            joined = merge(texts[0], texts[1], self.read_blob(mine.oid))
            return None if joined is None else self.write_blob(joined)

        merging = trees.TreeMerge(self.read_folder, self.write_folder, join)
        try:
            return merging.merge(bytes.fromhex(base.tree), ours, theirs)
        except trees.MergeConflict as conflict:
            paths = sorted({path.removesuffix(layout.POINTER_SUFFIX) for path in conflict.paths})
            shown = ", ".join(repr(path) for path in paths[:_NAMED]) + (" …" if len(paths) > _NAMED else "")
            raise EditConflictError(f"changed by somebody else meanwhile: {shown}", paths=paths) from conflict

    def leave_only_below(self, tree: bytes) -> None:
        """Drop drafts that a tree does not need: a merge leaves some behind."""
        self.pack.leave_only(self._new_below(tree))

    def _new_below(self, tree: bytes) -> set[bytes]:
        raw = self.pack.find(tree)
        if raw is None:
            return set()
        needed = {tree}
        for mode, _, oid in trees.Folder(raw).rows:
            needed |= self._new_below(oid) if mode == trees.TREE else {oid}
        return needed


def nodes_at(read: Callable[[bytes], trees.Folder], tree: TreeId, path: RepoPath) -> Nodes:
    """Return what a path stands for in a tree."""
    folder: bytes | None = bytes.fromhex(tree)
    *parents, name = path.split("/")
    for segment in parents:
        node = read(folder).nodes.get(segment.encode()) if folder else None
        folder = node.oid if node and node.is_tree else None
    if folder is None:
        return (None, None)
    nodes = read(folder).nodes
    return (nodes.get(name.encode()), nodes.get(layout.pointer_path(name).encode()))
