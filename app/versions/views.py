"""What the pages of versions show."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby

from app.datasets.views import DatasetFrame
from app.versions.models import Amount, CompareRow, Comparison, FolderSum, RowKind, Stats, Version, compared
from app.web.rendering import FormFault
from gitops.model import Branch, Change, Commit, CommitId, Entry, RefName, Tag

SIGNS = {RowKind.ADDED: "+", RowKind.REMOVED: "−", RowKind.CHANGED: "~", RowKind.RENAMED: "→"}
MAX_ROWS = 300


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of the timeline, with the names that lead to it."""

    version: Version
    tags: tuple[Tag, ...]

    @property
    def has_release(self) -> bool:
        """A release or tag names it."""
        return bool(self.tags)


@dataclass(frozen=True, slots=True)
class Day:
    """The versions of one day."""

    date: date
    rows: tuple[VersionRow, ...]


def by_day(rows: tuple[VersionRow, ...]) -> tuple[Day, ...]:
    """Return versions grouped by the day (UTC) on which they were made, in their order."""
    keyed = groupby(rows, key=lambda row: row.version.commit.author.when.date())
    return tuple(Day(day, tuple(group)) for day, group in keyed)


@dataclass(frozen=True, slots=True)
class VersionsPage:
    """The timeline of a dataset, or of one path."""

    frame: DatasetFrame
    ref: str
    path: str
    author: str
    days: tuple[Day, ...]
    next_cursor: str | None
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One path that differs, in the words of a page."""

    row: CompareRow

    @property
    def kind(self) -> str:
        """``added``, ``removed``, ``changed`` or ``renamed``."""
        return self.row.kind.value

    @property
    def sign(self) -> str:
        """The sign that stands beside the colour."""
        return SIGNS[self.row.kind]

    @property
    def is_there(self) -> bool:
        """The path exists in the newer version."""
        return self.row.after is not None

    @property
    def sizes(self) -> tuple[int | None, int | None]:
        """Bytes before and after; None where there is nothing."""
        return _size(self.row.before), _size(self.row.after)


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs: sums, sums by folder, and one page of paths."""

    stats: Stats
    folders: tuple[FolderSum, ...]
    rows: tuple[DiffRow, ...]
    next_after: str | None = None

    @classmethod
    def of(cls, found: Comparison, *, prefix: str = "", after: str = "") -> "Diff":
        """Return one page of a comparison below a prefix."""
        matching = [row for row in found.rows if row.path.startswith(prefix) and row.path > after]
        shown = matching[:MAX_ROWS]
        folders = tuple(found.by_folder(prefix))
        has_more = len(matching) > MAX_ROWS
        return cls(
            found.stats,
            folders if len(folders) > 1 and any(one.path.endswith("/") for one in folders) else (),
            tuple(DiffRow(row) for row in shown),
            shown[-1].path if has_more else None,
        )

    @classmethod
    def of_changes(cls, base: CommitId, changes: list[Change]) -> "Diff":
        """Return what a preview would change."""
        return cls.of(compared(None, base, changes))


@dataclass(frozen=True, slots=True)
class VersionPage:
    """One version: who, when, why, and what it changed."""

    frame: DatasetFrame
    version: Version
    diff: Diff
    tags: tuple[Tag, ...]
    parent: Commit | None

    @property
    def commit(self) -> Commit:
        """The commit."""
        return self.version.commit

    @property
    def body(self) -> str:
        """The message after its first line."""
        return self.commit.message.partition("\n")[2].strip()


@dataclass(frozen=True, slots=True)
class RefOptions:
    """The refs that a form offers."""

    branches: tuple[Branch, ...]
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class ComparePage:
    """Two versions side by side; ``diff`` is None until both are named."""

    frame: DatasetFrame
    refs: RefOptions
    old: str
    new: str
    prefix: str = ""
    diff: Diff | None = None
    old_commit: Commit | None = None
    new_commit: Commit | None = None
    fault: FormFault | None = None


@dataclass(frozen=True, slots=True)
class ReleasesPage:
    """The names of versions: releases, tags and branches."""

    frame: DatasetFrame
    tags: tuple[Tag, ...]
    branches: tuple[Branch, ...]
    fault: FormFault | None = None


@dataclass(frozen=True, slots=True)
class NamePage:
    """The form that makes a release, tag or branch."""

    frame: DatasetFrame
    refs: RefOptions
    is_branch: bool
    name: str = ""
    ref: str = ""
    notes: str = ""
    fault: FormFault | None = None


@dataclass(frozen=True, slots=True)
class UploadPage:
    """The upload form on a page of its own."""

    frame: DatasetFrame
    folder: str
    branch: RefName
    message: str = ""
    fault: FormFault | None = None


@dataclass(frozen=True, slots=True)
class DeletePage:
    """What a deletion would remove, before it does."""

    frame: DatasetFrame
    entry: Entry
    branch: RefName
    amount: Amount
    message: str = ""
    fault: FormFault | None = None


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """What a revert or restore would change, before it does; ``diff`` None when nothing would or may."""

    frame: DatasetFrame
    branch: RefName
    source: Commit
    path: str = ""
    ref: str = ""
    message: str = ""
    diff: Diff | None = None
    fault: FormFault | None = None


def _size(entry: Entry | None) -> int | None:
    return entry.size if entry else None
