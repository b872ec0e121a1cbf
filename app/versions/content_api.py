"""JSON routes that change content: each request is exactly one commit."""

from flask import Response, request

from app.datasets.models import ObjectFacts
from app.datasets.pool import chunks_of
from app.datasets.schemas import DatasetPath
from app.versions import shapes
from app.versions.forms import files_of_form
from app.versions.models import Written
from app.versions.schemas import (
    DeleteQuery,
    FilePath,
    FilesWritten,
    FileWritten,
    NewCommit,
    WriteQuery,
    WrittenAnswer,
)
from app.versions.service import Condition, FormUpload, Incoming
from app.web.api import ApiBlueprint, json_answer
from app.web.bodies import raw_body
from app.web.caching import edit_condition_holds
from app.web.context import actor, services
from app.web.multipart_stream import multipart_parts
from gitops.model import RepoPath, parse_path

routes = ApiBlueprint("content", tag="Changing content")


@routes.put(
    "/datasets/<dataset:dataset>/files/<anypath:path>",
    role="developer",
    summary="Add or replace a file",
    answers={200: FileWritten, 201: FileWritten},
    consumes=("*/*",),
)
def put_file(path: FilePath, query: WriteQuery) -> Response:
    """Send the bytes as the body. `If-Match` and `If-None-Match: *` answer 412 to what you did not expect."""
    target = parse_path(path.path)
    body = raw_body()
    incoming = Incoming(target, chunks_of(body), request.content_length or 0)
    written, stored = services().versions.put_files(
        actor(),
        path.dataset,
        [incoming],
        branch=shapes.branch_of(query.branch),
        message=query.message,
        condition=_condition(query.parent_commit),
    )
    _, facts = stored[0]
    answer = {**_file(target, facts), **_written(written)}
    headers = {"ETag": f'"{facts.address}"', "X-Commit-Id": written.commit}
    return json_answer(answer, 201 if written.created else 200, headers)


@routes.post(
    "/datasets/<dataset:dataset>/files",
    role="developer",
    summary="Add or replace several files",
    answers={201: FilesWritten, 200: FilesWritten},
    consumes=("multipart/form-data",),
)
def post_files(path: DatasetPath) -> Response:
    """Send a form with `files` (each with its relative path as file name), `folder`, `message`, `branch`."""
    form = FormUpload()
    services().versions.put_form(actor(), path.dataset, form, files_of_form(form, multipart_parts()))
    assert form.written is not None
    created = set(form.written.created)
    rows = [{**_file(where, facts), "created": where in created} for where, facts in form.stored]
    answer = {"files": rows, **_written(form.written)}
    return json_answer(answer, 201 if created else 200, {"X-Commit-Id": form.written.commit})


@routes.delete(
    "/datasets/<dataset:dataset>/files/<anypath:path>",
    role="developer",
    summary="Delete a file or folder",
    answers=WrittenAnswer,
)
def delete_file(path: FilePath, query: DeleteQuery) -> Response:
    """Remove a file, or a folder with `recursive=1`, by a new version; nothing is lost."""
    written = services().versions.delete(
        actor(),
        path.dataset,
        parse_path(path.path),
        is_recursive=query.recursive,
        branch=shapes.branch_of(query.branch),
        message=query.message,
        condition=_condition(query.parent_commit),
    )
    return json_answer(_written(written), headers={"X-Commit-Id": written.commit})


@routes.post(
    "/datasets/<dataset:dataset>/commits",
    role="developer",
    summary="Commit several actions",
    answers=WrittenAnswer,
    status=201,
)
def post_commit(path: DatasetPath, body: NewCommit) -> Response:
    """Create, update, delete and move files as one version; all of it lands or nothing."""
    written = services().versions.commit_actions(
        actor(),
        path.dataset,
        [shapes.action_of(sent) for sent in body.actions],
        branch=shapes.branch_of(body.branch),
        message=body.message,
        parent=shapes.parent_of(body.parent_commit),
    )
    opened, version = services().history.version(actor(), path.dataset, written.commit)
    answer = {**shapes.version(version), **_written(written)}
    location = f"/api/v1/datasets/{opened.dataset.id}/commits/{written.commit}"
    return json_answer(answer, 201, {"X-Commit-Id": written.commit, "Location": location})


def _condition(parent_commit: str | None) -> Condition:
    parent = shapes.parent_of(parent_commit)
    is_conditional = "If-Match" in request.headers or "If-None-Match" in request.headers
    return Condition(parent=parent, holds=edit_condition_holds if is_conditional else None)


def _file(path: RepoPath, facts: ObjectFacts) -> dict[str, object]:
    return {"path": path, "size": facts.size, "md5": facts.address, "sha256": facts.sha256}


def _written(written: Written) -> dict[str, object]:
    return {
        "commit_id": written.commit,
        "branch": written.branch,
        "unchanged": written.is_unchanged,
    }
