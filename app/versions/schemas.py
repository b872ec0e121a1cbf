"""Wire shapes of versions: changes of content, history, comparisons, names, uploads."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field

from app.datasets.schemas import DatasetPath
from app.versions.models import MAX_DECLARED
from app.web.schemas import AnswerModel, PageQuery, QueryModel, RequestModel

MAX_ACTIONS = 10_000
MAX_SIZE = (1 << 63) - 1
Moment = Annotated[datetime, AfterValidator(lambda when: when if when.tzinfo else when.replace(tzinfo=UTC))]
"""A moment; without a zone it is UTC."""


class FilePath(DatasetPath):
    """A file of a dataset."""

    path: str = Field(description="Path in the dataset; slashes raw or as %2F, a leading one is ignored.")


class CommitPath(DatasetPath):
    """A version of a dataset."""

    sha: str = Field(description="Commit id, full or abbreviated, or any other ref.")


class NamePath(DatasetPath):
    """A tag or branch of a dataset."""

    name: str


class WriteQuery(QueryModel):
    """Where a change lands and why."""

    branch: str | None = Field(None, description="Branch to change; the default branch by default.")
    message: str | None = Field(None, description="Why; a plain sentence is made up by default.")
    parent_commit: str | None = Field(None, description="Refuse with 412 unless the branch leads to it.")


class DeleteQuery(WriteQuery):
    """How to delete."""

    recursive: bool = Field(default=False, description="Allow deleting a folder with everything in it.")


class WrittenAnswer(AnswerModel):
    """What a change came to."""

    commit_id: str
    branch: str
    unchanged: bool = Field(description="The dataset was exactly so before; no version was made.")


class FileWritten(WrittenAnswer):
    """What one file's change came to."""

    path: str
    size: int
    md5: str
    sha256: str


class StoredFile(AnswerModel):
    """One stored file."""

    path: str
    size: int
    md5: str
    sha256: str
    created: bool


class FilesWritten(WrittenAnswer):
    """What a change of several files came to."""

    files: list[StoredFile]


class Action(RequestModel):
    """One action of a commit (GitLab's shape)."""

    action: Literal["create", "update", "delete", "move"]
    file_path: str
    previous_path: str | None = None
    md5: str | None = Field(None, description="Bytes sent before by an upload.")
    size: int | None = Field(None, ge=0, le=MAX_SIZE)
    content: str | None = None
    encoding: Literal["text", "base64"] = "text"


class NewCommit(RequestModel):
    """A commit of several actions."""

    branch: str | None = None
    message: str = Field(validation_alias=AliasChoices("message", "commit_message"))
    parent_commit: str | None = Field(None, description="Refuse with 412 unless the branch leads to it.")
    actions: list[Action] = Field(min_length=1, max_length=MAX_ACTIONS)


class AmountAnswer(AnswerModel):
    """Files and bytes."""

    files: int
    bytes: int


class StatsAnswer(AnswerModel):
    """How much a version adds, removes and changes."""

    added: AmountAnswer
    removed: AmountAnswer
    changed: AmountAnswer


class CommitAnswer(AnswerModel):
    """A version."""

    id: str
    short_id: str
    title: str
    message: str
    author_name: str
    author_email: str
    authored_date: datetime
    committed_date: datetime
    created_at: datetime
    parent_ids: list[str]
    stats: StatsAnswer


class LogQuery(PageQuery):
    """Which versions."""

    ref: str | None = Field(None, validation_alias=AliasChoices("ref", "ref_name"))
    path: str = Field("", description="Only versions that changed this file or folder.")
    author: str | None = Field(None, max_length=255, description="Part of the name, or the e-mail address.")
    since: Moment | None = None
    until: Moment | None = None


class DiffSide(AnswerModel):
    """One side of a difference."""

    md5: str | None
    size: int | None
    kind: str
    problem: str | None = None


class DiffRow(AnswerModel):
    """One path that differs."""

    path: str
    status: Literal["added", "removed", "changed", "renamed"]
    old_path: str | None
    old: DiffSide | None
    new: DiffSide | None


class CompareQuery(PageQuery):
    """Which versions to compare."""

    from_: str = Field(alias="from", description="Ref of the earlier version.")
    to: str = Field(description="Ref of the later version.")
    prefix: str = Field("", description="Only paths that begin so.")
    delimiter: Literal["", "/"] = Field("", description="`/` rolls up what lies below the next slash.")


class FolderRow(AnswerModel):
    """Differences rolled up by folder."""

    path: str
    stats: StatsAnswer


class CompareAnswer(AnswerModel):
    """What differs between two versions; one page of it."""

    model_config = ConfigDict(populate_by_name=True)

    from_: str | None = Field(alias="from")
    to: str
    stats: StatsAnswer
    added: list[DiffRow]
    removed: list[DiffRow]
    changed: list[DiffRow]
    renamed: list[DiffRow]
    folders: list[FolderRow] | None = None


class Revert(RequestModel):
    """How to take a version back."""

    branch: str | None = None
    dry_run: bool = False


class Restore(RequestModel):
    """What to restore."""

    ref: str
    path: str = Field("", description="File or folder; empty means everything.")
    branch: str | None = None
    message: str | None = None
    dry_run: bool = False


class TakenBack(AnswerModel):
    """The version that takes something back, or with `dry_run` what it would change."""

    dry_run: bool
    id: str | None = Field(description="The new commit.")
    commit_id: str | None
    branch: str
    changes: list[DiffRow] | None


class NewTag(RequestModel):
    """A tag to create."""

    name: str = Field(validation_alias=AliasChoices("name", "tag_name"))
    ref: str
    message: str | None = Field(None, description="Release notes: with them the tag never moves.")


class NewBranch(RequestModel):
    """A branch to create."""

    name: str = Field(validation_alias=AliasChoices("name", "branch"))
    ref: str


class TagAnswer(AnswerModel):
    """A tag."""

    name: str
    commit_id: str
    target: str
    message: str | None
    release: bool
    tagger: str | None
    created_at: datetime | None


class BranchAnswer(AnswerModel):
    """A branch."""

    name: str
    commit_id: str
    default: bool


class NewUpload(RequestModel):
    """An upload to begin."""

    branch: str | None = None


class UploadPath(DatasetPath):
    """An upload."""

    upload: str


class ObjectPath(UploadPath):
    """One object of an upload."""

    md5: str


class Declaration(RequestModel):
    """One file that will come."""

    path: str
    size: int = Field(ge=0, le=MAX_SIZE)
    md5: str
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")


class Declarations(RequestModel):
    """Files that will come."""

    files: list[Declaration] = Field(min_length=1, max_length=MAX_DECLARED)


class UploadAnswer(AnswerModel):
    """An upload."""

    id: str
    branch: str
    base_commit: str
    state: str
    expires_at: datetime
    commit_id: str | None = None


class MissingFile(AnswerModel):
    """A declared file whose bytes have not come."""

    path: str
    md5: str
    size: int


class UploadProgressAnswer(UploadAnswer):
    """An upload and what it waits for."""

    files: int
    bytes: int
    missing_count: int
    missing: list[MissingFile]


class Target(AnswerModel):
    """Where to send an object."""

    method: str
    url: str
    headers: dict[str, str]


class TransferRow(AnswerModel):
    """Whether a declared file's bytes are needed."""

    path: str
    md5: str
    status: Literal["present", "needed"]
    upload: Target | None


class TransfersAnswer(AnswerModel):
    """The answer to a declaration."""

    files: list[TransferRow]


class StoredAnswer(AnswerModel):
    """Which objects of a batch are stored."""

    stored: list[str]


class ObjectAnswer(AnswerModel):
    """A stored object."""

    md5: str
    created: bool


class UploadCommit(RequestModel):
    """How to finish an upload."""

    message: str | None = None
    branch: str | None = None


class UploadCommitted(WrittenAnswer):
    """The version that an upload became."""

    files: int
    bytes: int


class Lookup(RequestModel):
    """Hashes to look for."""

    md5: list[str] = Field(default_factory=list, max_length=100)
    sha256: list[str] = Field(default_factory=list, max_length=100)


class Found(AnswerModel):
    """Where some bytes are."""

    dataset_id: int
    dataset: str
    md5: str
    sha256: str
    size: int
    path: str
    refs: list[str]
