"""JSON routes of datasets, their storage site and members."""

import base64
import binascii
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response

from app.access import AccessLevel, Action, allows
from app.datasets.models import Dataset, DatasetFilter, Member
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
from app.datasets.service import Overview
from app.errors import BadRequestError
from app.web.api import ApiBlueprint, created_answer, empty_answer, json_answer, page_answer
from app.web.context import actor, services

routes = ApiBlueprint("datasets", tag="Datasets")
MAX_ID = 1 << 63
_FOREIGN_CURSOR = "this cursor was not made by this service"


@routes.get("/datasets", role="anonymous", summary="Datasets that I may see", answers=[DatasetBrief])
def list_datasets(query: DatasetQuery) -> Response:
    """List datasets, filtered and sorted; private ones appear only to their members."""
    wanted = DatasetFilter(
        search=query.search,
        topic=query.topic,
        visibility=query.visibility,
        namespace_id=_namespace_id(query.namespace) if query.namespace else None,
        site_id=_site_id(query.storage_site) if query.storage_site else None,
    )
    key = query.sort.removeprefix("-")
    rows = services().datasets.page(
        actor(),
        wanted,
        sort=key,
        is_descending=query.sort.startswith("-"),
        after=_after(query.cursor, key),
        limit=query.per_page + 1,
    )
    shown = rows[: query.per_page]
    headers = {}
    if query.facets:
        headers["X-Facets"] = json.dumps(services().datasets.facets(actor(), wanted))
    cursor = _cursor(shown[-1], key) if len(rows) > len(shown) else None
    return page_answer([brief(row) for row in shown], cursor, headers=headers)


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


@routes.get("/datasets/<dataset:dataset>/members", role="reporter", summary="Members", answers=[MemberAnswer])
def list_dataset_members(path: DatasetPath) -> Response:
    """List own and inherited members."""
    return json_answer([_member(found) for found in services().datasets.members(actor(), path.dataset)])


@routes.post(
    "/datasets/<dataset:dataset>/members",
    role="maintainer",
    summary="Add or change a member",
    answers=MemberAnswer,
    status=201,
)
def set_dataset_member(path: DatasetPath, body: NewMember) -> Response:
    """Give a user a level, up to your own."""
    member = services().datasets.set_member(
        actor(), path.dataset, body.username, AccessLevel(body.access_level)
    )
    return created_answer(_member(member), f"/api/v1/datasets/{path.dataset}/members/{member.username}")


@routes.delete("/datasets/<dataset:dataset>/members/<username>", role="guest", summary="Remove a member")
def remove_dataset_member(path: MemberPath) -> Response:
    """Take a user's own level away; needs a maintainer, but everybody may leave."""
    services().datasets.remove_member(actor(), path.dataset, path.username)
    return empty_answer()


def brief(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset as a list shows it."""
    config = services().config
    clone_url = f"{config.public_url}/{dataset.full_path}.git"
    return {
        "id": dataset.id,
        "name": dataset.name,
        "path": dataset.path,
        "full_path": dataset.full_path,
        "path_with_namespace": dataset.full_path,
        "namespace": {
            "id": dataset.namespace_id,
            "path": dataset.namespace_path,
            "full_path": dataset.namespace_path,
        },
        "description": dataset.description,
        "visibility": dataset.visibility.value,
        "topics": list(dataset.topics),
        "default_branch": dataset.default_branch,
        "clone_url": clone_url,
        "http_url_to_repo": clone_url,
        "dvc_remote_url": services().datasets.dvc_url(dataset.id),
        "web_url": f"{config.public_url}/{dataset.full_path}",
        "storage_site_id": dataset.site_id,
        "created_at": dataset.created_at,
        "updated_at": dataset.updated_at,
    }


def full(shown: Overview) -> dict[str, Any]:
    """Return a dataset with counts and capabilities."""
    site = shown.site
    caller = actor()
    return {
        **brief(shown.dataset),
        "storage_site": {"id": site.id, "name": site.name, "provider": site.provider} if site else None,
        "push_level": int(shown.dataset.push_level),
        "files": shown.totals.files,
        "size": shown.totals.size,
        "stored_objects": shown.stored_objects,
        "stored_size": shown.stored_bytes,
        "head": shown.head,
        "access_level": int(shown.level),
        "capabilities": {
            "read": allows(caller, Action.READ, shown.level),
            "write": allows(caller, Action.WRITE, shown.level),
            "maintain": allows(caller, Action.MAINTAIN, shown.level),
            "own": allows(caller, Action.OWN, shown.level),
        },
        "problem": shown.problem,
        "deletion_due": shown.dataset.deletion_due,
    }


def _member(member: Member) -> dict[str, Any]:
    return {
        "username": member.username,
        "name": member.name,
        "access_level": int(member.level),
        "inherited": member.is_inherited,
    }


def _namespace_id(address: str) -> int:
    return services().namespaces.open(actor(), address, Action.SEE).namespace.id


def _site_id(address: str) -> int:
    return services().sites.resolve(actor(), address).id


def _cursor(dataset: Dataset, key: str) -> str:
    value = asdict(dataset)[key]
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return base64.urlsafe_b64encode(orjson.dumps([text, dataset.id])).decode()


def _after(cursor: str | None, key: str) -> tuple[Any, int] | None:
    if cursor is None:
        return None
    try:
        text, last_id = orjson.loads(base64.urlsafe_b64decode(cursor))
        value = text if key == "name" else datetime.fromisoformat(text).astimezone(UTC)
        if isinstance(text, str) and type(last_id) is int and 0 <= last_id < MAX_ID:
            return value, last_id
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise BadRequestError(_FOREIGN_CURSOR) from error
    raise BadRequestError(_FOREIGN_CURSOR)
