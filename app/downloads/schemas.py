"""Wire shapes of the download routes."""

from typing import Literal

from pydantic import Field

from app.downloads.models import ArchiveContent
from app.web.schemas import AnswerModel, PathModel, QueryModel

_MAX_PATTERNS = 50


class DatasetPath(PathModel):
    """A dataset in the address."""

    dataset: str = Field(description="Integer id, or URL-encoded full path.")


class FilePath(DatasetPath):
    """A file of a dataset in the address."""

    path: str = Field(description="Path in the dataset; raw slashes and `%2F` both work.")


class RefQuery(QueryModel):
    """Which version."""

    ref: str | None = Field(
        None,
        description="Branch, tag, full or abbreviated commit id, `latest`, `~0.1` or `main@{2026-03-01}`; "
        "the default branch if left out.",
    )


class FileQuery(RefQuery):
    """Which version of a file, and whether to be sent elsewhere for it."""

    redirect: Literal["0", "1"] = Field(
        "1", description="`0`: the service streams the bytes itself, even if the storage site can sign."
    )


class FolderQuery(RefQuery):
    """Which folder of which version."""

    path: str = Field("", description="Only what lies below this folder; a file's path means that file.")


class ArchiveQuery(FolderQuery):
    """What an archive holds."""

    include: list[str] = Field(
        default_factory=list,
        max_length=_MAX_PATTERNS,
        description="Repeatable. Take only files that match: a whole path, a file name, or a folder with all "
        "below it. `*` crosses slashes, `**/` also stands for no folder, `?` and `[…]` are as in a shell.",
    )
    exclude: list[str] = Field(
        default_factory=list, max_length=_MAX_PATTERNS, description="Repeatable; wins over `include`."
    )
    content: ArchiveContent = Field(
        ArchiveContent.DATA,
        description="`data`: the files. `pointers`: the repository with its DVC pointers.",
    )
    since: str | None = Field(
        None, alias="from", description="A ref: take only files that were added or changed after it."
    )


class ManifestRow(AnswerModel):
    """One line of a manifest."""

    path: str
    size: int | None = Field(description="Bytes; null if the file cannot be read.")
    md5: str | None
    sha256: str | None
