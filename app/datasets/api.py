"""JSON routes of datasets, their storage site and members."""

from typing import Any

from flask import Response

from app.access import AccessLevel
from app.datasets.models import Kind, Member
from app.datasets.schemas import (
    Binding,
    DatasetAnswer,
    DatasetBrief,
    DatasetChange,
    DatasetPath,
    DatasetQuery,
    MemberAnswer,
    MemberPath,
    NewDataset,
    NewMember,
)
from app.datasets.shapes import brief, full, list_answer
from app.web.api import ApiBlueprint, created_answer, empty_answer, json_answer
from app.web.context import actor, services

routes = ApiBlueprint("datasets", tag="Datasets")


@routes.get("/datasets", role="anonymous", summary="Datasets that I may see", answers=[DatasetBrief])
def list_datasets(query: DatasetQuery) -> Response:
    """List datasets, filtered and sorted; private ones appear only to their members."""
    return list_answer(query, Kind.DATASET)


@routes.post("/datasets", role="user", summary="Create a dataset", answers=DatasetAnswer, status=201)
def create_dataset(body: NewDataset) -> Response:
    """Create a dataset: a repository with its card, and bound at once if a storage site is named."""
    created = services().datasets.create(
        actor(),
        name=body.name,
        namespace=body.namespace if body.namespace is not None else body.namespace_id,
        path=body.path,
        description=body.description,
        visibility=body.visibility,
        topics=body.topics,
        storage_site=body.storage_site,
    )
    shown = services().datasets.overview(actor(), created.id)
    return created_answer(full(shown), f"/api/v1/datasets/{created.id}")


@routes.get("/datasets/<dataset:dataset>", role="guest", summary="One dataset", answers=DatasetAnswer)
def show_dataset(path: DatasetPath) -> Response:
    """Show a dataset with its counts and what you may do with it."""
    return json_answer(full(services().datasets.overview(actor(), path.dataset)))


@routes.patch(
    "/datasets/<dataset:dataset>", role="maintainer", summary="Change a dataset", answers=DatasetAnswer
)
def change_dataset(path: DatasetPath, body: DatasetChange) -> Response:
    """Change the named fields; visibility needs an owner."""
    fields = body.model_dump(exclude_unset=True, exclude_none=True)
    changed = services().datasets.update(actor(), path.dataset, fields)
    return json_answer(full(services().datasets.overview(actor(), changed.id)))


@routes.delete(
    "/datasets/<dataset:dataset>",
    role="owner",
    summary="Delete a dataset",
    answers={202: DatasetBrief},
)
def delete_dataset(path: DatasetPath) -> Response:
    """Schedule the deletion; for 7 days it can be taken back."""
    scheduled = services().datasets.schedule_deletion(actor(), path.dataset)
    return json_answer({**brief(scheduled), "deletion_due": scheduled.deletion_due}, 202)


@routes.post(
    "/datasets/<dataset:dataset>/undelete",
    role="owner",
    summary="Take a deletion back",
    answers=DatasetAnswer,
)
def undelete_dataset(path: DatasetPath) -> Response:
    """Take a scheduled deletion back."""
    restored = services().datasets.undo_deletion(actor(), path.dataset)
    return json_answer(full(services().datasets.overview(actor(), restored.id)))


@routes.put(
    "/datasets/<dataset:dataset>/storage-site",
    role="maintainer",
    summary="Bind the storage site",
    answers=DatasetAnswer,
)
def bind_storage_site(path: DatasetPath, body: Binding) -> Response:
    """Bind the storage site, once and for ever; the same site again changes nothing."""
    bound = services().datasets.bind(actor(), path.dataset, body.storage_site)
    return json_answer(full(services().datasets.overview(actor(), bound.id)))


@routes.get("/datasets/<dataset:dataset>/members", role="user", summary="Members", answers=[MemberAnswer])
def list_dataset_members(path: DatasetPath) -> Response:
    """List own and inherited members, for people with a name who may read the dataset."""
    return json_answer([_member(found) for found in services().memberships.members(actor(), path.dataset)])


@routes.post(
    "/datasets/<dataset:dataset>/members",
    role="maintainer",
    summary="Add or change a member",
    answers=MemberAnswer,
    status=201,
)
def set_dataset_member(path: DatasetPath, body: NewMember) -> Response:
    """Give a user a level, up to your own."""
    member = services().memberships.set_member(
        actor(), path.dataset, body.username, AccessLevel(body.access_level)
    )
    return created_answer(_member(member), f"/api/v1/datasets/{path.dataset}/members/{member.username}")


@routes.delete("/datasets/<dataset:dataset>/members/<username>", role="guest", summary="Remove a member")
def remove_dataset_member(path: MemberPath) -> Response:
    """Take a user's own level away; needs a maintainer, but everybody may leave."""
    services().memberships.remove_member(actor(), path.dataset, path.username)
    return empty_answer()


def _member(member: Member) -> dict[str, Any]:
    return {
        "username": member.username,
        "name": member.name,
        "access_level": int(member.level),
        "inherited": member.is_inherited,
    }
