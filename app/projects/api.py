"""JSON routes of projects."""

from typing import Any

from flask import Response

from app.datasets.models import Kind
from app.datasets.schemas import DatasetBrief, DatasetPath, DatasetQuery
from app.datasets.shapes import full, list_answer
from app.projects import models
from app.projects.models import Pin
from app.projects.schemas import NewProject, ProjectAnswer, ProjectPath
from app.web.api import ApiBlueprint, created_answer, json_answer
from app.web.context import actor, services
from app.web.schemas import PageQuery

routes = ApiBlueprint("projects", tag="Projects")


@routes.post(
    "/datasets/<dataset:dataset>/projects",
    role="reporter",
    summary="Start a project",
    answers=ProjectAnswer,
    status=201,
)
def start_project(path: DatasetPath, body: NewProject) -> Response:
    """Make a repository that pins this dataset at a commit.

    It holds `dvc import` pointers, `dataset.lock`, a README and starter code; the data stays where it is.
    Needs the role reporter here and developer in the namespace.
    """
    created = services().projects.start(
        actor(),
        path.dataset,
        models.NewProject(
            name=body.name,
            ref=body.ref or None,
            namespace=body.namespace if body.namespace is not None else body.namespace_id,
            path=body.path,
            description=body.description,
            visibility=body.visibility,
            template=body.template,
        ),
    )
    return created_answer(_shown(created.id), f"/api/v1/projects/{created.id}")


@routes.get(
    "/datasets/<dataset:dataset>/projects",
    role="guest",
    summary="Projects that pin this dataset",
    answers=[DatasetBrief],
)
def list_projects_of_dataset(path: DatasetPath, query: PageQuery) -> Response:
    """List the projects started from this dataset, by name; those that you may see."""
    pinning = services().projects.pinning(actor(), path.dataset)
    wanted = DatasetQuery.model_validate(query.model_dump())
    return list_answer(wanted, Kind.PROJECT, among=pinning)


@routes.get("/projects", role="anonymous", summary="Projects that I may see", answers=[DatasetBrief])
def list_projects(query: DatasetQuery) -> Response:
    """List projects, filtered and sorted as datasets are; private ones appear only to their members."""
    return list_answer(query, Kind.PROJECT)


@routes.get("/projects/<dataset:project>", role="guest", summary="One project", answers=ProjectAnswer)
def show_project(path: ProjectPath) -> Response:
    """Show a project with what it pins; everything else of a dataset's routes works with its id too."""
    return json_answer(_shown(path.project))


def _shown(project: int | str) -> dict[str, Any]:
    overview, pins = services().projects.overview(actor(), project)
    return {**full(overview), "pins": [_pin(pin) for pin in pins]}


def _pin(pin: Pin) -> dict[str, Any]:
    home = f"{services().config.public_url}/{pin.dataset_path}"
    return {
        "dataset_id": pin.dataset_id,
        "dataset_path": pin.dataset_path,
        "clone_url": f"{home}.git",
        "web_url": f"{home}?ref={pin.commit}",
        "ref": pin.ref,
        "commit_id": pin.commit,
        "created_at": pin.created_at,
    }
