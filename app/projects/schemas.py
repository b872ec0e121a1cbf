"""Wire shapes of projects."""

from datetime import datetime

from pydantic import Field

from app.access import Visibility
from app.datasets.schemas import DatasetAnswer
from app.projects.models import Template
from app.web.schemas import AnswerModel, PathModel, RequestModel


class ProjectPath(PathModel):
    """Which project: its id, or its URL-encoded full path."""

    project: str = Field(description="Id, or URL-encoded full path such as `alice%2Fstudy`.")


class NewProject(RequestModel):
    """A project to start."""

    name: str
    namespace: int | str | None = Field(None, description="Full path or id; your own by default.")
    namespace_id: int | None = Field(None, description="GitLab's name for `namespace`.")
    path: str | None = Field(None, description="Last part of the address; made from the name by default.")
    description: str = ""
    visibility: Visibility | None = Field(None, description="`private` by default.")
    ref: str | None = Field(None, description="Branch, tag or commit to pin; the default branch by default.")
    template: Template = Field(
        Template.PYTHON, description="`python`: a script to begin with; `minimal`: none."
    )


class PinAnswer(AnswerModel):
    """A dataset that a project pins."""

    dataset_id: int | None = Field(description="Null once the dataset is deleted for good.")
    dataset_path: str
    clone_url: str
    web_url: str = Field(description="The page of the pinned version.")
    ref: str = Field(description="What `dvc update` follows: a branch, a tag, or the commit.")
    commit_id: str
    created_at: datetime


class ProjectAnswer(DatasetAnswer):
    """A project with what it pins, as far as the caller may know of it."""

    pins: list[PinAnswer]
