"""Versions as people speak of them: what changed and how much; uploads on the way. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from app.access import UserId
from app.datasets.models import DatasetId, ObjectFacts
from gitops.model import Change, Commit, CommitId, Entry, EntryKind, Md5, RefName, RepoPath

UploadId = NewType("UploadId", str)

MAX_DECLARED = 1000
MAX_MESSAGE = 10_000


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of files and their bytes."""

    files: int = 0
    size: int = 0

    def plus(self, size: int | None) -> "Amount":
        """Return the amount with one more file."""
        return Amount(self.files + 1, self.size + (size or 0))


@dataclass(frozen=True, slots=True)
class Stats:
    """How much a version adds, removes and changes; ``changed`` counts the bytes of the new contents."""

    added: Amount = Amount()
    removed: Amount = Amount()
    changed: Amount = Amount()

    @classmethod
    def of(cls, changes: Iterable[Change]) -> "Stats":
        """Return the sums over changes."""
        added, removed, changed = Amount(), Amount(), Amount()
        for change in changes:
            if change.before is None and change.after is not None:
                added = added.plus(change.after.size)
            elif change.after is None and change.before is not None:
                removed = removed.plus(change.before.size)
            elif change.after is not None:
                changed = changed.plus(change.after.size)
        return cls(added, removed, changed)


@dataclass(frozen=True, slots=True)
class Version:
    """A commit with its sums."""

    commit: Commit
    stats: Stats


@dataclass(frozen=True, slots=True)
class Written:
    """What a change of content came to; ``is_unchanged`` if the dataset was exactly so before."""

    commit: CommitId
    branch: RefName
    is_unchanged: bool
    created: tuple[RepoPath, ...] = ()


class RowKind(StrEnum):
    """How a path differs between two versions."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


@dataclass(frozen=True, slots=True)
class CompareRow:
    """One path that differs; ``old_path`` only for a rename."""

    kind: RowKind
    path: RepoPath
    before: Entry | None
    after: Entry | None
    old_path: RepoPath | None = None

    def changes(self) -> tuple[Change, ...]:
        """Return what happened at each path: a rename is a removal and an addition."""
        if self.old_path is None:
            return (Change(self.path, self.before, self.after),)
        return Change(self.old_path, self.before, None), Change(self.path, None, self.after)

    def is_below(self, prefix: str) -> bool:
        """Tell whether any of its paths begins so."""
        return self.path.startswith(prefix) or bool(self.old_path and self.old_path.startswith(prefix))


@dataclass(frozen=True, slots=True)
class FolderSum:
    """Changes rolled up by folder."""

    path: str
    stats: Stats


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that differs between two versions, sorted by path."""

    old: CommitId | None
    new: CommitId
    rows: tuple[CompareRow, ...]
    stats: Stats

    def by_folder(self, prefix: str) -> list[FolderSum]:
        """Return the sums of each name directly below ``prefix``; a rename leaves one and enters another."""
        sums: dict[str, list[Change]] = {}
        for row in self.rows:
            for change in row.changes():
                if change.path.startswith(prefix):
                    name, slash, _ = change.path.removeprefix(prefix).partition("/")
                    sums.setdefault(prefix + name + slash, []).append(change)
        return [FolderSum(path, Stats.of(changes)) for path, changes in sorted(sums.items())]


def compared(old: CommitId | None, new: CommitId, changes: Iterable[Change]) -> Comparison:
    """Return changes with removals and additions of the same bytes paired as renames."""
    gone: dict[tuple[Md5, int | None], list[Change]] = {}
    kept: list[Change] = []
    for change in changes:
        kept.append(change)
        if change.after is None and change.before and change.before.pointer:
            gone.setdefault(_identity(change.before), []).append(change)
    rows: list[CompareRow] = []
    renamed: set[RepoPath] = set()
    for change in kept:
        if change.before is None and change.after and change.after.pointer:
            sources = gone.get(_identity(change.after))
            if sources:
                source = sources.pop(0)
                renamed.add(source.path)
                rows.append(
                    CompareRow(RowKind.RENAMED, change.path, source.before, change.after, source.path)
                )
                continue
        rows.append(CompareRow(_kind(change), change.path, change.before, change.after))
    remaining = [row for row in rows if row.kind is not RowKind.REMOVED or row.path not in renamed]
    return Comparison(old, new, tuple(sorted(remaining, key=lambda row: row.path)), Stats.of(kept))


def _identity(entry: Entry) -> tuple[Md5, int | None]:
    assert entry.pointer is not None
    return entry.pointer.md5, entry.size


def _kind(change: Change) -> RowKind:
    if change.before is None:
        return RowKind.ADDED
    return RowKind.REMOVED if change.after is None else RowKind.CHANGED


class ActionKind(StrEnum):
    """What one action of a commit does (GitLab's words)."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class FileAction:
    """One action of a commit: bytes by address, or content sent inline."""

    kind: ActionKind
    path: RepoPath
    previous: RepoPath | None = None
    md5: Md5 | None = None
    size: int | None = None
    content: bytes | None = None


class UploadState(StrEnum):
    """Where an upload stands."""

    OPEN = "open"
    COMMITTED = "committed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class DeclaredFile:
    """One file that an upload is going to bring."""

    path: RepoPath
    md5: Md5
    size: int
    sha256: str | None = None

    @property
    def claim(self) -> "Claim":
        """What it says of its bytes."""
        return Claim(self.path, self.md5, self.size, self.sha256)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a change says of the bytes at a path; what it does not say is None."""

    path: RepoPath
    md5: Md5
    size: int | None = None
    sha256: str | None = None

    def is_held(self, facts: ObjectFacts | None) -> bool:
        """Tell whether exactly these bytes are there, undamaged."""
        return facts is not None and facts.damaged_at is None and self.agrees_with(facts)

    def agrees_with(self, facts: ObjectFacts) -> bool:
        """Tell whether nothing said here contradicts the object of this MD5: two contents may share one."""
        return self.size in (None, facts.size) and self.sha256 in (None, facts.sha256)


@dataclass(frozen=True, slots=True)
class Upload:
    """An open change set whose objects are still arriving."""

    id: UploadId
    dataset_id: DatasetId
    user_id: UserId
    branch: RefName
    base: CommitId
    state: UploadState
    expires_at: datetime
    outcome: "Outcome | None" = None

    @property
    def commit(self) -> CommitId | None:
        """The version that it became."""
        return self.outcome.commit if self.outcome else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an upload came to, kept so that repeating its commit gives the same answer."""

    commit: CommitId
    branch: RefName
    is_unchanged: bool
    files: int
    size: int


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """An upload with what it still waits for."""

    upload: Upload
    files: int
    size: int
    missing_count: int
    missing: tuple[DeclaredFile, ...] = field(default=())


def is_file(entry: Entry) -> bool:
    """Tell whether an entry is something with bytes."""
    return entry.kind is not EntryKind.FOLDER
