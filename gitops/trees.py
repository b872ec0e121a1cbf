"""Git trees as bytes, pure: parse, build, edit and merge folders without touching the rest.

Trees are edited as text because cost must follow the change: only folders on a changed path are
parsed and rebuilt, and two sides are compared by id before anything below them is read. The format
is git's ("tree" objects, gitformat-pack(5) and git-mktree(1) of git 2.39).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from gitops.model import TreeId

TREE = b"40000"
BLOB = b"100644"
GROUP_WRITABLE = b"100664"
"""What git before 2005 wrote; git fsck tolerates it still."""
EXECUTABLE = b"100755"
SYMLINK = b"120000"
GITLINK = b"160000"
FILES = (BLOB, EXECUTABLE, GROUP_WRITABLE)

MAX_DEPTH = 256

_ROW = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{20})", re.DOTALL)
_WHOLE_ROW = re.compile(rb"[0-7]{5,6} [^\0]+\0.{20}", re.DOTALL)


class Node(NamedTuple):
    """What a name in a folder stands for: git's mode and object id (20 bytes).

    A tuple, not a dataclass: folders make thousands of them, and a tuple is made in a third of the time.
    """

    mode: bytes
    oid: bytes

    @property
    def is_tree(self) -> bool:
        """The name is a folder."""
        return self.mode == TREE

    @property
    def is_blob(self) -> bool:
        """The name is an ordinary file."""
        return self.mode in FILES

    @property
    def id(self) -> str:
        """The object id in hexadecimal digits."""
        return self.oid.hex()


class Folder:
    """One tree: its nodes by name (bytes), in git's order; parsed when it is looked at."""

    __slots__ = ("__dict__", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @cached_property
    def nodes(self) -> Mapping[bytes, Node]:
        """Nodes by name."""
        return {name: Node(mode, oid) for mode, name, oid in self.rows}

    @cached_property
    def rows(self) -> list[tuple[bytes, bytes, bytes]]:
        """(mode, name, oid) in git's order, cheaper than ``nodes`` where all are needed once."""
        return _ROW.findall(self._raw)

    def rows_unlike(self, other: "Folder") -> dict[bytes, Node]:
        """Return the nodes of the rows that another folder does not hold just so.

        Whole rows are compared before any is taken apart: half the cost where few differ.
        """
        unlike = self.whole_rows - other.whole_rows
        return {name: Node(mode, oid) for row in unlike for mode, name, oid in _ROW.findall(row)}

    @cached_property
    def whole_rows(self) -> frozenset[bytes]:
        """Rows as git writes them: mode, name and id in one piece."""
        return frozenset(_WHOLE_ROW.findall(self._raw))

    def __len__(self) -> int:
        return len(self.rows)


EMPTY = Folder(b"")


def build(nodes: Mapping[bytes, Node]) -> bytes:
    """Return the bytes of a tree object; git sorts a folder as if its name ended in '/'."""
    ordered = sorted(nodes.items(), key=lambda item: item[0] + b"/" if item[1].is_tree else item[0])
    return b"".join(b"%s %s\0%s" % (node.mode, name, node.oid) for name, node in ordered)


ReadFolder = Callable[[bytes], Folder]
"""Tree id (20 bytes) -> folder."""
WriteFolder = Callable[[bytes], bytes]
"""Bytes of a tree object -> its id (20 bytes)."""


class Patch:
    """Edits of one folder: a node (or None for removed) by name, and patches of sub-folders."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, Node | None] = {}
        self.folders: dict[bytes, Patch] = {}

    def set(self, path: str, node: Node | None) -> None:
        """Set what a path stands for; a node set for a folder replaces it whole."""
        head, _, rest = path.partition("/")
        name = head.encode()
        if rest:
            self.folders.setdefault(name, Patch()).set(rest, node)
        else:
            self.nodes[name] = node
            self.folders.pop(name, None)

    def __bool__(self) -> bool:
        return bool(self.nodes or self.folders)


def apply(tree: bytes | None, patch: Patch, read: ReadFolder, write: WriteFolder) -> bytes | None:
    """Return the id of the patched tree, or None if nothing is left in it (git has no empty folder)."""
    nodes = dict(read(tree).nodes) if tree else {}
    for name, node in patch.nodes.items():
        if node is None:
            nodes.pop(name, None)
        else:
            nodes[name] = node
    for name, below in patch.folders.items():
        old = nodes.get(name)
        patched = apply(old.oid if old and old.is_tree else None, below, read, write)
        if patched is not None:
            nodes[name] = Node(TREE, patched)
        elif old is not None and old.is_tree:
            del nodes[name]
    return write(build(nodes)) if nodes else None


class MergeConflict(Exception):  # noqa: N818 - carries paths to the caller, never shown
    """Both sides changed the same paths."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = paths


JoinText = Callable[[str, Node | None, Node | None, Node | None], Node | None]
"""(path, base, ours, theirs) -> the joined node, or None for a conflict."""


@dataclass(frozen=True, slots=True)
class TreeMerge:
    """A three-way merge of trees by path; folders equal on two sides are never read.

    Attributes:
        join: asked where both sides changed the same file.
    """

    read: ReadFolder
    write: WriteFolder
    join: JoinText

    def merge(self, base: bytes | None, ours: bytes | None, theirs: bytes | None) -> bytes | None:
        """Return the id of the merged root tree, None for an empty one.

        Raises:
            MergeConflict: with every path that both sides changed differently.
        """
        conflicts: list[str] = []
        merged = self._node("", _root(base), _root(ours), _root(theirs), conflicts)
        if conflicts:
            raise MergeConflict(conflicts)
        return merged.oid if merged else None

    def _node(
        self, path: str, base: Node | None, ours: Node | None, theirs: Node | None, conflicts: list[str]
    ) -> Node | None:
        if ours in (theirs, base):
            return theirs
        if theirs == base:
            return ours
        sides = (base, ours, theirs)
        if any(side and side.is_tree for side in sides) and not any(s and not s.is_tree for s in sides):
            return self._folder(path, base, ours, theirs, conflicts)
        joined = self.join(path, base, ours, theirs)
        if joined is None:
            conflicts.append(path)
        return joined

    def _folder(
        self, path: str, base: Node | None, ours: Node | None, theirs: Node | None, conflicts: list[str]
    ) -> Node | None:
        sides = [self.read(side.oid).nodes if side else {} for side in (base, ours, theirs)]
        nodes: dict[bytes, Node] = {}
        for name in sides[0].keys() | sides[1].keys() | sides[2].keys():
            shown = name.decode(errors="replace")
            below = f"{path}/{shown}" if path else shown
            node = self._node(below, sides[0].get(name), sides[1].get(name), sides[2].get(name), conflicts)
            if node:
                nodes[name] = node
        alone = (nodes.keys() - sides[2].keys(), nodes.keys() - sides[1].keys())
        conflicts += [f"{path}/{name}" if path else name for name in _meeting(*alone)]
        return Node(TREE, self.write(build(nodes))) if nodes else None


def _meeting(ours: set[bytes], theirs: set[bytes]) -> list[str]:
    """Return names that one side each has alone and that must not meet: ``a`` and ``A``, ``x``, ``x.dvc``."""
    if not ours or not theirs:
        return []
    mine, other = (
        {
            (name, portable(name.removesuffix(".dvc")))
            for name in (raw.decode(errors="replace") for raw in side)
        }
        for side in (ours, theirs)
    )
    shared = {key for _, key in mine} & {key for _, key in other}
    return sorted({name for name, key in mine ^ other if key in shared})


def _root(tree: bytes | None) -> Node | None:
    return Node(TREE, tree) if tree else None


def differences(
    old: bytes | None, new: bytes | None, read: ReadFolder, prefix: str = ""
) -> Iterator[tuple[str, list[tuple[str, Node | None, Node | None]]]]:
    """Yield (folder, files that differ in it as (name, before, after)), folder by folder.

    A folder's own files come before its sub-folders, both sorted by name; equal trees are skipped
    unread, and so is what lies deeper than any path may. Names that are not UTF-8 are shown with
    replacement characters.
    """
    if old == new or prefix.count("/") > MAX_DEPTH:
        return
    before = read(old) if old else EMPTY
    after = read(new) if new else EMPTY
    was, now = before.rows_unlike(after), after.rows_unlike(before)
    changed = sorted(was.keys() | now.keys())
    files = [
        (name.decode(errors="replace"), _file(was.get(name)), _file(now.get(name)))
        for name in changed
        if _file(was.get(name)) or _file(now.get(name))
    ]
    if files:
        yield prefix, files
    for name in changed:
        below = prefix + name.decode(errors="replace") + "/"
        yield from differences(_tree(was.get(name)), _tree(now.get(name)), read, below)


def _file(node: Node | None) -> Node | None:
    return node if node and not node.is_tree else None


def _tree(node: Node | None) -> bytes | None:
    return node.oid if node and node.is_tree else None


def twins(names: list[str]) -> list[tuple[str, str]]:
    """Return pairs of names that a case-insensitive file system cannot hold side by side."""
    folded = sorted((portable(name), name) for name in names)
    return [(one[1], two[1]) for one, two in pairwise(folded) if one[0] == two[0]]


def portable(name: str) -> str:
    """Return the form in which file systems that fold case or normalise compare a name."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def tree_id(oid: bytes) -> TreeId:
    """Return the hexadecimal form of a tree id."""
    return TreeId(oid.hex())
