"""Wire shapes of namespaces."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.access import AccessLevel, Visibility
from app.web.schemas import AnswerModel, PageQuery, PathModel, RequestModel

Level = Literal[10, 20, 30, 40, 50]


class NamespaceAnswer(AnswerModel):
    """A group or personal namespace."""

    id: int
    path: str
    full_path: str
    name: str
    description: str
    kind: str = Field(description="`group` or `user`.")
    visibility: Visibility
    access_level: int = Field(description="The caller's level.")
    created_at: datetime


class NamespaceRow(AnswerModel):
    """A namespace in a list."""

    id: int
    path: str
    full_path: str
    name: str
    description: str
    kind: str
    visibility: Visibility
    created_at: datetime


class NewNamespace(RequestModel):
    """A new group."""

    path: str = Field(min_length=1, max_length=64)
    name: str = Field("", max_length=255)
    description: str = Field("", max_length=2000)
    visibility: Visibility = Visibility.PRIVATE


class NamespaceChange(RequestModel):
    """Fields to change."""

    name: str | None = Field(None, min_length=1, max_length=255)
    description: str | None = Field(None, max_length=2000)
    visibility: Visibility | None = None


class NamespacePath(PathModel):
    """A namespace by id or path."""

    namespace: str


class NamespaceQuery(PageQuery):
    """Which namespaces."""

    search: str = Field("", max_length=64, description="Part of the path.")


class MemberAnswer(AnswerModel):
    """A person in a namespace or dataset."""

    id: int
    username: str
    name: str
    access_level: int
    created_at: datetime


class NewMember(RequestModel):
    """Who, and at which level: 10 guest, 20 reporter, 30 developer, 40 maintainer, 50 owner."""

    username: str = Field(min_length=1, max_length=64)
    access_level: Level

    @property
    def level(self) -> AccessLevel:
        """The level as the policy's type."""
        return AccessLevel(self.access_level)


class MemberPath(PathModel):
    """A member of a namespace."""

    namespace: str
    username: str
