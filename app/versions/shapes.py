"""Versions as JSON: from models to what the wire carries, and back."""

import base64
import binascii
from typing import Any

from app.errors import BadRequestError
from app.versions.models import ActionKind, CompareRow, Comparison, FileAction, Stats, Version
from app.versions.schemas import Action
from gitops.model import (
    Branch,
    Change,
    CommitId,
    Entry,
    RefName,
    Tag,
    parse_md5,
    parse_name,
    parse_path,
    parse_ref,
)


def branch_of(raw: str | None) -> RefName | None:
    """Return a branch as typed, or None for the default. Raises InvalidRefError."""
    return parse_name(raw) if raw else None


def ref_of(raw: str | None) -> RefName | CommitId | None:
    """Return a ref as typed, or None for the default. Raises InvalidRefError."""
    return parse_ref(raw) if raw else None


def parent_of(raw: str | None) -> CommitId | None:
    """Return a full commit id or None. Raises BadRequestError."""
    if not raw:
        return None
    parsed = parse_ref(raw)
    if len(parsed) != 40:  # noqa: PLR2004 - a commit id's length
        raise BadRequestError("parent_commit needs a full commit id of 40 digits")
    return CommitId(parsed)


def action_of(sent: Action) -> FileAction:
    """Return an action with its parts checked.

    Raises:
        BadRequestError: content that is not what its encoding says.
        InvalidPathError, InvalidPointerError: a bad path or MD5.
    """
    content = None
    if sent.content is not None:
        try:
            content = (
                base64.b64decode(sent.content, validate=True)
                if sent.encoding == "base64"
                else sent.content.encode()
            )
        except (binascii.Error, ValueError) as error:
            raise BadRequestError(
                f"the content of {sent.file_path!r} is not valid {sent.encoding}"
            ) from error
    return FileAction(
        kind=ActionKind(sent.action),
        path=parse_path(sent.file_path),
        previous=parse_path(sent.previous_path) if sent.previous_path else None,
        md5=parse_md5(sent.md5) if sent.md5 else None,
        size=sent.size,
        content=content,
    )


def stats(found: Stats) -> dict[str, dict[str, int]]:
    """Return sums as JSON."""
    amounts = {"added": found.added, "removed": found.removed, "changed": found.changed}
    return {name: {"files": amount.files, "bytes": amount.size} for name, amount in amounts.items()}


def version(found: Version) -> dict[str, Any]:
    """Return a version as JSON."""
    commit = found.commit
    return {
        "id": commit.id,
        "short_id": commit.id[:8],
        "title": commit.title,
        "message": commit.message,
        "author_name": commit.author.name,
        "author_email": commit.author.email,
        "authored_date": commit.author.when,
        "committed_date": commit.committer.when,
        "created_at": commit.committer.when,
        "parent_ids": list(commit.parents),
        "stats": stats(found.stats),
    }


def compare_row(row: CompareRow) -> dict[str, Any]:
    """Return one difference as JSON."""
    return {
        "path": row.path,
        "status": row.kind.value,
        "old_path": row.old_path,
        "old": _side(row.before),
        "new": _side(row.after),
    }


def change_row(change: Change) -> dict[str, Any]:
    """Return one change of a preview as JSON."""
    status = "added" if change.before is None else "removed" if change.after is None else "changed"
    return {
        "path": change.path,
        "status": status,
        "old_path": None,
        "old": _side(change.before),
        "new": _side(change.after),
    }


def _side(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "md5": entry.pointer.md5 if entry.pointer else None,
        "size": entry.size,
        "kind": entry.kind.value,
        "problem": entry.problem,
    }


def comparison(found: Comparison, rows: list[CompareRow]) -> dict[str, Any]:
    """Return one page of a comparison as JSON, by status."""
    by_status: dict[str, list[dict[str, Any]]] = {"added": [], "removed": [], "changed": [], "renamed": []}
    for row in rows:
        by_status[row.kind.value].append(compare_row(row))
    return {"from": found.old, "to": found.new, "stats": stats(found.stats), **by_status}


def tag(found: Tag) -> dict[str, Any]:
    """Return a tag as JSON."""
    return {
        "name": found.name,
        "commit_id": found.commit,
        "target": found.commit,
        "message": found.notes,
        "release": found.is_release,
        "tagger": found.tagger.name if found.tagger else None,
        "created_at": found.tagger.when if found.tagger else None,
    }


def branch(found: Branch, default: str) -> dict[str, Any]:
    """Return a branch as JSON."""
    return {"name": found.name, "commit_id": found.commit, "default": found.name == default}
