"""Edits that are not committed yet: what a change set holds and how it is read. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from gitops import layout
from gitops.errors import InvalidPathError
from gitops.model import Pointer, RepoPath

Merge = Callable[[bytes | None, bytes | None, bytes], bytes | None]
"""(base, theirs, ours) -> merged text, or None for a conflict. Must be pure."""


@dataclass(frozen=True, slots=True)
class PutData:
    """Make the path a data file with these bytes."""

    pointer: Pointer


@dataclass(frozen=True, slots=True)
class WriteText:
    """Make the path a text file in git; ``merge`` joins it with a concurrent edit."""

    content: bytes
    merge: Merge | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the file or folder."""


@dataclass(frozen=True, slots=True)
class MoveFrom:
    """Put here what lies at ``source`` in the base version, whole folders included."""

    source: RepoPath


Edit = PutData | WriteText | Remove | MoveFrom


class ChangeSet:
    """Edits by path; the last edit of a path wins. Order of iteration is the order of edits.

    Every method refuses the root, ``.dvc`` and the dataset's own record with InvalidPathError: a
    dataset's site never changes. Only ``bind`` writes them.
    """

    def __init__(self) -> None:
        self._edits: dict[RepoPath, Edit] = {}
        self._replaced: set[RepoPath] = set()

    def put(self, path: RepoPath, pointer: Pointer) -> None:
        """Add or replace a data file."""
        self._set(path, PutData(pointer))

    def write(self, path: RepoPath, content: bytes, *, merge: Merge | None = None) -> None:
        """Add or replace a text file."""
        self._set(path, WriteText(content, merge))

    def remove(self, path: RepoPath) -> None:
        """Remove a file or a folder."""
        self._set(path, Remove())

    def move(self, old: RepoPath, new: RepoPath) -> None:
        """Rename a file or a folder; costs as much for a folder as for a file."""
        self._set(old, Remove())
        self._set(new, MoveFrom(old))

    def copy(self, old: RepoPath, new: RepoPath) -> None:
        """Put at ``new`` what lies at ``old`` in the base version, whatever becomes of ``old``."""
        self._set(new, MoveFrom(old))

    def bind(self, record: layout.DatasetRecord) -> None:
        """Write who the dataset is and which site it is bound to; for the registry of datasets only."""
        for path, content in layout.binding_files(record).items():
            self._edits[path] = WriteText(content, merge=lambda _base, _theirs, ours: ours)

    def _set(self, path: RepoPath, edit: Edit) -> None:
        if layout.is_binding(path):
            raise InvalidPathError(f"the path {path!r} is reserved", paths=[path])
        if isinstance(self._edits.pop(path, None), Remove):
            self._replaced.add(path)
        self._edits[path] = edit

    @property
    def edits(self) -> Mapping[RepoPath, Edit]:
        """The edits by path."""
        return self._edits

    @property
    def replaced(self) -> Collection[RepoPath]:
        """The paths that were removed before they were set: a file may take a folder's place there."""
        return self._replaced

    def merges(self) -> Iterator[tuple[RepoPath, Merge]]:
        """Yield the paths whose edits can be joined with a concurrent one."""
        for path, edit in self._edits.items():
            if isinstance(edit, WriteText) and edit.merge:
                yield path, edit.merge

    def __len__(self) -> int:
        return len(self._edits)
