"""The route that lists a folder at a ref."""

from typing import Any

from flask import Response
from pydantic import Field

from app.datasets.models import ObjectFacts
from app.datasets.schemas import DatasetPath
from app.web.api import ApiBlueprint, page_answer
from app.web.caching import Freshness, find_not_modified, stamped
from app.web.context import actor, services
from app.web.schemas import AnswerModel, PageQuery
from gitops.media_types import media_type
from gitops.model import Digests, Entry, EntryKind

routes = ApiBlueprint("tree", tag="Content at a ref")


class TreeQuery(PageQuery):
    """Which folder, at which ref."""

    path: str = Field("", description="Folder; empty means the root.")
    ref: str | None = Field(
        None, description="Branch, tag, commit id, `latest`, `~0.1`, `main@{2026-03-01}`."
    )
    recursive: bool = Field(default=False, description="List every file below instead of one folder.")


class TreeRow(AnswerModel):
    """One row of a folder."""

    path: str
    name: str
    type: str = Field(description="`folder` or `file`.")
    kind: str | None = Field(description="`data` (bytes in the pool) or `text` (in git); null for folders.")
    size: int | None
    md5: str | None
    sha256: str | None
    media_type: str | None
    problem: str | None = Field(description="Why the row cannot be read.")


@routes.get(
    "/datasets/<dataset:dataset>/tree",
    role="reporter",
    summary="List a folder",
    answers={200: [TreeRow], 304: None},
)
def list_tree(path: DatasetPath, query: TreeQuery) -> Response:
    """List a folder at a ref, sorted by name, a page at a time; pointers show as the files they stand for."""
    found = services().downloads.listing(
        actor(),
        path.dataset,
        ref=query.ref,
        path=query.path,
        after=query.cursor or "",
        limit=query.per_page,
        is_recursive=query.recursive,
    )
    freshness = Freshness(
        found.etag, found.at.commit, is_pinned=found.at.is_pinned, is_public=found.at.is_public
    )
    if not_modified := find_not_modified(freshness):
        return not_modified
    rows = [_row(entry, facts) for entry, facts in found.rows()]
    return stamped(page_answer(rows, found.next_after), freshness)


def _row(entry: Entry, facts: ObjectFacts | Digests | None) -> dict[str, Any]:
    is_folder = entry.kind is EntryKind.FOLDER
    return {
        "path": entry.path,
        "name": entry.name,
        "type": "folder" if is_folder else "file",
        "kind": None if is_folder else entry.kind.value,
        "size": entry.size,
        "md5": _md5(entry, facts),
        "sha256": facts.sha256 if facts else None,
        "media_type": None if is_folder else media_type(entry.name),
        "problem": entry.problem,
    }


def _md5(entry: Entry, facts: ObjectFacts | Digests | None) -> str | None:
    if isinstance(facts, Digests):
        return facts.md5
    return entry.pointer.md5 if entry.pointer else None
