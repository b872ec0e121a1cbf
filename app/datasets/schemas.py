"""Wire shapes of datasets."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.access import AccessLevel, Visibility
from app.datasets.models import Kind
from app.web.schemas import AnswerModel, PageQuery, PathModel, RequestModel


class DatasetPath(PathModel):
    """Which dataset: its id, or its URL-encoded full path."""

    dataset: str = Field(description="Id, or URL-encoded full path such as `vision%2Fcells`.")


class MemberPath(DatasetPath):
    """Which member of which dataset."""

    username: str


class DatasetQuery(PageQuery):
    """Filters of the list."""

    search: str | None = Field(None, max_length=200, description="Words in name, path, description, topics.")
    topic: str | None = Field(None, max_length=100)
    visibility: Visibility | None = None
    namespace: str | None = Field(None, max_length=255, description="Id or full path.")
    storage_site: str | None = Field(None, max_length=255, description="Id or name.")
    sort: Literal["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"] = "name"
    facets: bool = Field(default=False, description="Answer counts per facet in `X-Facets` as JSON.")


class NewDataset(RequestModel):
    """A dataset to create."""

    name: str
    namespace: int | str | None = Field(None, description="Full path or id; your own by default.")
    namespace_id: int | None = Field(None, description="GitLab's name for `namespace`.")
    path: str | None = Field(None, description="Last part of the address; made from the name by default.")
    description: str = ""
    visibility: Visibility | None = Field(None, description="`private` by default.")
    topics: list[str] = Field(default_factory=list)
    storage_site: int | str | None = Field(None, description="Id or name; binds at once and for ever.")


class DatasetChange(RequestModel):
    """Fields to change; absent ones stay."""

    name: str | None = None
    description: str | None = None
    visibility: Visibility | None = None
    topics: list[str] | None = None
    push_level: Literal[30, 40] | None = Field(
        None, description="Least level that may change the default branch: 30 developer, 40 maintainer."
    )


class Binding(RequestModel):
    """A storage site to bind."""

    storage_site: int | str = Field(description="Id or name.")


class NewMember(RequestModel):
    """A member and the level to give."""

    username: str
    access_level: Literal[10, 20, 30, 40, 50] = Field(
        description="10 guest, 20 reporter, 30 developer, 40 maintainer, 50 owner."
    )


class MemberAnswer(AnswerModel):
    """A member of a dataset."""

    username: str
    name: str
    access_level: AccessLevel
    inherited: bool


class NamespaceBrief(AnswerModel):
    """The namespace of a dataset."""

    id: int
    path: str
    full_path: str


class SiteBrief(AnswerModel):
    """The storage site of a dataset."""

    id: int
    name: str
    provider: str


class Capabilities(AnswerModel):
    """What the caller may do, so that clients need not know the table of levels."""

    read: bool
    write: bool
    maintain: bool
    own: bool


class DatasetBrief(AnswerModel):
    """A dataset or project in a list."""

    id: int
    kind: Kind
    name: str
    path: str
    full_path: str
    path_with_namespace: str
    namespace: NamespaceBrief
    description: str
    visibility: Visibility
    topics: list[str]
    default_branch: str
    clone_url: str
    http_url_to_repo: str
    dvc_remote_url: str
    web_url: str
    storage_site_id: int | None
    created_at: datetime
    updated_at: datetime


class DatasetAnswer(DatasetBrief):
    """A dataset with its counts and what the caller may do."""

    storage_site: SiteBrief | None
    push_level: int
    files: int
    size: int = Field(description="Bytes of all files at the head of the default branch.")
    stored_objects: int
    stored_size: int = Field(description="Bytes in the pool, over all versions, each content once.")
    head: str | None = Field(description="Commit id of the default branch.")
    access_level: AccessLevel
    capabilities: Capabilities
    problem: str | None = Field(description="Why the dataset takes no changes at the moment.")
    deletion_due: datetime | None
