"""Projects: repositories that pin datasets, each at one commit. Values and pure rules."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.access import UserId
from app.datasets.models import DatasetId
from gitops.imports import WHOLE, Imported, ImportSource
from gitops.model import CommitId, RefName

MAX_PARTS = 20
"""Names in a dataset's root up to which each gets a pointer of its own.

``dvc pull`` opens the other repository once for each imported pointer: 60 of them took 22 s, one for
all the same files 2.6 s (DVC 3.67.1, two cores).
"""

_GIT_SUFFIX = ".git"


class Template(StrEnum):
    """The code that a project starts with."""

    PYTHON = "python"
    MINIMAL = "minimal"


@dataclass(frozen=True, slots=True)
class Pin:
    """A dataset at the commit that a project started from.

    Attributes:
        dataset_id: None once the dataset is deleted for good.
        dataset_path: its full path when it was pinned.
        ref: what ``dvc update`` follows: a branch, a tag, or the commit itself if no tag leads to it.
    """

    dataset_id: DatasetId | None
    dataset_path: str
    ref: str
    commit: CommitId
    template: Template
    created_by: UserId
    created_at: datetime

    @property
    def folder(self) -> str:
        """Where the project has the dataset's files."""
        return f"data/{self.dataset_path.rpartition('/')[2]}"

    @property
    def name(self) -> str:
        """The ref as people read it."""
        return self.ref[:12] if self.ref == self.commit else self.ref


@dataclass(frozen=True, slots=True)
class Part:
    """What one pointer imports: a name in the dataset's root, or everything.

    ``content`` None means that only DVC itself can tell, when it pulls.
    """

    path: str
    content: Imported | None

    @property
    def is_whole(self) -> bool:
        """It imports the dataset as one folder."""
        return self.path == WHOLE

    def source(self, url: str, pin: Pin) -> ImportSource:
        """Return what its pointer names."""
        return ImportSource(url, self.path, pin.commit, pin.ref)


@dataclass(frozen=True, slots=True)
class PinnedVersion:
    """What a dataset holds at the pinned commit; ``size`` is in bytes.

    ``manifest_sha256`` is the SHA-256 of its list of checksums (``SHA256SUMS``), None where the list
    cannot be made because bytes are lost.
    """

    parts: tuple[Part, ...]
    files: int
    size: int
    manifest_sha256: str | None


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project as somebody asks for it."""

    name: str
    ref: str | None = None
    namespace: int | str | None = None
    path: str | None = None
    description: str = ""
    visibility: str | None = None
    template: Template = Template.PYTHON


def address_in(url: str, service: str) -> str | None:
    """Return the id or full path that a clone URL of this service names, None for any other URL."""
    if not url.startswith(f"{service}/"):
        return None
    return url.removeprefix(f"{service}/").removesuffix("/").removesuffix(_GIT_SUFFIX)


def followed(ref: str | None, *, default: RefName, is_name: bool, tag: str | None, commit: CommitId) -> str:
    """Return what ``dvc update`` is to follow: a branch or tag as typed, else the commit's tag or itself.

    ``latest``, ``~0.1``, ``main@{…}`` and abbreviated ids mean nothing to DVC.

    Args:
        ref: as typed, None for the default branch.
        default: the default branch.
        is_name: ``ref`` is a branch or tag.
        tag: a tag that leads to the commit.
        commit: what ``ref`` means.
    """
    if ref is None:
        return default
    return ref if is_name else tag or commit
