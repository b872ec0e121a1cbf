"""Datasets and projects as JSON: from models to what the wire carries, and their lists."""

import json
from typing import Any

from flask import Response

from app.access import Action, allows
from app.datasets.cursors import cursor_of, position_of
from app.datasets.models import Dataset, DatasetFilter, Kind
from app.datasets.schemas import DatasetQuery
from app.datasets.service import Overview
from app.db import Select
from app.web.api import page_answer
from app.web.context import actor, services


def list_answer(query: DatasetQuery, kind: Kind, *, among: Select[tuple[int]] | None = None) -> Response:
    """Return one page of what the caller may see; ``among`` is a query for the ids to choose from."""
    wanted = DatasetFilter(
        kind=kind,
        search=query.search,
        topic=query.topic,
        visibility=query.visibility,
        namespace_id=_namespace_id(query.namespace) if query.namespace else None,
        site_id=_site_id(query.storage_site) if query.storage_site else None,
    )
    key = query.sort.removeprefix("-")
    rows = services().catalog.page(
        actor(),
        wanted,
        sort=key,
        is_descending=query.sort.startswith("-"),
        after=position_of(query.cursor, key),
        limit=query.per_page + 1,
        among=among,
    )
    shown = rows[: query.per_page]
    headers = {}
    if query.facets:
        headers["X-Facets"] = json.dumps(services().catalog.facets(actor(), wanted))
    cursor = cursor_of(shown[-1], key) if len(rows) > len(shown) else None
    return page_answer([brief(row) for row in shown], cursor, headers=headers)


def brief(dataset: Dataset) -> dict[str, Any]:
    """Return a dataset as a list shows it."""
    config = services().config
    clone_url = f"{config.public_url}/{dataset.full_path}.git"
    return {
        "id": dataset.id,
        "kind": dataset.kind.value,
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


def _namespace_id(address: str) -> int:
    return services().namespaces.open(actor(), address, Action.SEE).namespace.id


def _site_id(address: str) -> int:
    return services().sites.resolve(actor(), address).id
