"""JSON routes of uploads: many and large files, resumable, one version at the end."""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from flask import Response, request

from app.datasets.pool import chunks_of
from app.datasets.schemas import DatasetPath
from app.errors import BadRequestError
from app.versions import shapes
from app.versions.models import MAX_DECLARED, DeclaredFile, Upload
from app.versions.schemas import (
    Declarations,
    NewUpload,
    ObjectAnswer,
    ObjectPath,
    StoredAnswer,
    TransfersAnswer,
    UploadAnswer,
    UploadCommit,
    UploadCommitted,
    UploadPath,
    UploadProgressAnswer,
)
from app.versions.uploads import Transfer
from app.web.api import ApiBlueprint, created_answer, empty_answer, json_answer
from app.web.bodies import self_checking_body
from app.web.context import actor, services
from app.web.multipart_stream import multipart_parts
from gitops.errors import DigestMismatchError
from gitops.model import Md5, parse_md5, parse_path

routes = ApiBlueprint("uploads", tag="Uploads")
_BASE = "/datasets/<dataset:dataset>/uploads"


@routes.post(_BASE, role="developer", summary="Begin an upload", answers=UploadAnswer, status=201)
def begin_upload(path: DatasetPath, body: NewUpload) -> Response:
    """Begin an upload; it lives until 7 days pass without traffic."""
    upload = services().uploads.open(actor(), path.dataset, branch=shapes.branch_of(body.branch))
    return created_answer(_upload(upload), f"/api/v1/datasets/{upload.dataset_id}/uploads/{upload.id}")


@routes.get(
    _BASE + "/<upload>", role="developer", summary="Where an upload stands", answers=UploadProgressAnswer
)
def show_upload(path: UploadPath) -> Response:
    """Show an upload and what it still waits for; asking again is how a broken one resumes."""
    found = services().uploads.progress(actor(), path.dataset, path.upload)
    missing = [{"path": file.path, "md5": file.md5, "size": file.size} for file in found.missing]
    answer = {
        **_upload(found.upload),
        "files": found.files,
        "bytes": found.size,
        "missing_count": found.missing_count,
        "missing": missing,
    }
    return json_answer(answer)


@routes.delete(_BASE + "/<upload>", role="developer", summary="Give an upload up")
def abandon_upload(path: UploadPath) -> Response:
    """Give an upload up; repeating it changes nothing."""
    services().uploads.abandon(actor(), path.dataset, path.upload)
    return empty_answer()


@routes.post(_BASE + "/<upload>/files", role="developer", summary="Declare files", answers=TransfersAnswer)
def declare_files(path: UploadPath, body: Declarations) -> Response:
    """Say which files will come; content that the dataset has already is never sent."""
    files = [
        DeclaredFile(parse_path(file.path), parse_md5(file.md5), file.size, file.sha256)
        for file in body.files
    ]
    transfers = services().uploads.declare(actor(), path.dataset, path.upload, files)
    return json_answer({"files": [_transfer(transfer) for transfer in transfers]})


@routes.put(
    _BASE + "/<upload>/objects/<md5>",
    role="developer",
    summary="Send one object",
    answers={200: ObjectAnswer, 201: ObjectAnswer},
    consumes=("*/*",),
)
def put_object(path: ObjectPath) -> Response:
    """Send the bytes as the body; they must hash to the MD5 in the address, or nothing is kept."""
    md5 = parse_md5(path.md5)
    is_new = services().uploads.receive(
        actor(), path.dataset, path.upload, md5, chunks_of(self_checking_body())
    )
    return json_answer({"md5": md5, "created": is_new}, 201 if is_new else 200)


@routes.post(
    _BASE + "/<upload>/objects",
    role="developer",
    summary="Send many small objects",
    answers=StoredAnswer,
    consumes=("multipart/form-data",),
)
def post_objects(path: UploadPath) -> Response:
    """Send up to 1000 objects as parts of a form, each named by its MD5."""
    received = services().uploads.receive_many(actor(), path.dataset, path.upload, _objects())
    if received.refused:
        md5, reason = received.refused[0]
        raise DigestMismatchError(
            f"{len(received.refused)} object(s) were refused, {md5!r} first: {reason}; the others are kept",
            paths=[md5 for md5, _ in received.refused],
        )
    return json_answer({"stored": [facts.address for facts in received.stored]})


@routes.post(
    _BASE + "/<upload>/commit",
    role="developer",
    summary="Make the upload one version",
    answers=UploadCommitted,
    status=201,
)
def commit_upload(path: UploadPath, body: UploadCommit) -> Response:
    """Make one version of everything declared; repeating it answers the same version."""
    written, files, size = services().uploads.commit(
        actor(), path.dataset, path.upload, message=body.message, branch=shapes.branch_of(body.branch)
    )
    answer = {
        "commit_id": written.commit,
        "branch": written.branch,
        "unchanged": written.is_unchanged,
        "files": files,
        "bytes": size,
    }
    location = f"/api/v1/datasets/{quote(path.dataset, safe='')}/commits/{written.commit}"
    return json_answer(answer, 201, {"X-Commit-Id": written.commit, "Location": location})


def _objects() -> Iterator[tuple[Md5, Iterable[bytes]]]:
    for part in multipart_parts(max_parts=MAX_DECLARED):
        if not part.name:
            raise BadRequestError("each part must be named by the MD5 of its bytes")
        yield Md5(part.name), part.chunks


def _transfer(transfer: Transfer) -> dict[str, Any]:
    target = None
    if transfer.signed:
        target = {"method": "PUT", "url": transfer.signed.url, "headers": dict(transfer.signed.headers)}
    elif not transfer.is_present:
        base = request.base_url.removesuffix("/files")
        target = {"method": "PUT", "url": f"{base}/objects/{transfer.file.md5}", "headers": {}}
    return {
        "path": transfer.file.path,
        "md5": transfer.file.md5,
        "status": "present" if transfer.is_present else "needed",
        "upload": target,
    }


def _upload(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "branch": upload.branch,
        "base_commit": upload.base,
        "state": upload.state.value,
        "expires_at": upload.expires_at,
        "commit_id": upload.commit,
    }
