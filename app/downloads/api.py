"""Routes that send bytes: files, manifests, checksum lists and archives, all pinned by ``?ref=``."""

from collections.abc import Iterable, Iterator
from itertools import islice

import orjson
from flask import Response, request

from app.downloads.models import ArchiveKind, Listed, Selection
from app.downloads.schemas import ArchiveQuery, DatasetPath, FilePath, FileQuery, FolderQuery
from app.downloads.service import ArchiveRequest, FileDownload, Pinned
from app.web.api import ApiBlueprint
from app.web.caching import Freshness, find_not_modified, stamped
from app.web.content import SANDBOX, Content, attachment, content_answer, described, inert_media_type
from app.web.context import actor, services
from gitops import media_types

routes = ApiBlueprint("downloads", tag="Downloads")

_BYTES = "application/octet-stream"
_ROWS_A_CHUNK = 500
_MEDIA_TYPES = {ArchiveKind.ZIP: "application/zip", ArchiveKind.TAR: "application/x-tar"}


@routes.get(
    "/datasets/<dataset:dataset>/files/<anypath:path>",
    role="reporter",
    summary="Download a file",
    answers={200: _BYTES, 206: _BYTES, 304: None, 307: None},
)
def read_file(path: FilePath, query: FileQuery) -> Response:
    """Send a file's bytes at a ref. `Range`, `If-Range`, `If-None-Match` and HEAD work.

    A storage site that can sign answers 307 to an address that lives minutes; `redirect=0` streams.
    409 `storage_site_unbound`: the dataset has no place for bytes yet. 410 `object_gone`: the bytes are
    lost or known to be damaged. A folder is refused with 400: ask for an archive of it.
    """
    download = services().downloads.file(actor(), path.dataset, path.path, query.ref)
    freshness = _freshness(download.at, download.file.md5)
    if not_modified := find_not_modified(freshness):
        return not_modified
    media_type = inert_media_type(media_types.media_type(download.name))
    if query.redirect == "1" and request.method == "GET" and (url := download.signed_url(media_type)):
        return _redirected(url, freshness)
    content = Content(
        name=download.name,
        media_type=media_type,
        size=download.file.size,
        sha256=download.file.sha256,
        read=lambda span: download.read(span.start, span.stop),
    )
    if accelerated := _accelerated(download, content, freshness):
        return accelerated
    if request.method == "HEAD":
        download.check()
    return content_answer(content, freshness)


@routes.get(
    "/datasets/<dataset:dataset>/manifest",
    role="reporter",
    summary="List every file with size and hashes",
    answers={200: "application/x-ndjson", 304: None},
)
def read_manifest(path: DatasetPath, query: FolderQuery) -> Response:
    """Stream one JSON object a line: `path`, `size`, `md5`, `sha256`.

    A file that cannot be read is listed too, with what is known of it and a `problem`.
    """
    found = services().downloads.manifest(actor(), path.dataset, ref=query.ref, path=query.path)
    lines = (_row(row) for row in found.rows)
    # What can be read may change while the version stays, so no answer is good for ever.
    freshness = Freshness(found.etag, found.at.commit, is_pinned=False, is_public=found.at.is_public)
    return _listed("manifest.ndjson", "application/x-ndjson", lines, freshness)


@routes.get(
    "/datasets/<dataset:dataset>/SHA256SUMS",
    role="reporter",
    summary="List SHA-256 sums for sha256sum -c",
    answers={200: "text/plain", 304: None},
)
def read_sha256_sums(path: DatasetPath, query: FolderQuery) -> Response:
    """Stream one line a file as GNU coreutils writes them. 410 names the files that cannot be read."""
    return _checksums("sha256", path, query)


@routes.get(
    "/datasets/<dataset:dataset>/MD5SUMS",
    role="reporter",
    summary="List MD5 sums for md5sum -c",
    answers={200: "text/plain", 304: None},
)
def read_md5_sums(path: DatasetPath, query: FolderQuery) -> Response:
    """Stream one line a file as GNU coreutils writes them. 410 names the files that cannot be read."""
    return _checksums("md5", path, query)


@routes.get(
    "/datasets/<dataset:dataset>/archive.zip",
    role="reporter",
    summary="Download a version as one zip file",
    answers={200: "application/zip", 206: "application/zip", 304: None},
)
def read_zip(path: DatasetPath, query: ArchiveQuery) -> Response:
    """Send a folder or a whole version as one file that can be resumed: exact `Content-Length`, `Range`.

    Paths are those of the dataset, with no folder around them. Nothing is compressed: images are already.
    410 `object_gone` names the files that cannot be read, before the first byte is sent.
    """
    return _archive(ArchiveKind.ZIP, path, query)


@routes.get(
    "/datasets/<dataset:dataset>/archive.tar",
    role="reporter",
    summary="Download a version as one tar file",
    answers={200: "application/x-tar", 206: "application/x-tar", 304: None},
)
def read_tar(path: DatasetPath, query: ArchiveQuery) -> Response:
    """Send the same as `archive.zip` in a form that can be unpacked while it arrives."""
    return _archive(ArchiveKind.TAR, path, query)


def _archive(kind: ArchiveKind, path: DatasetPath, query: ArchiveQuery) -> Response:
    wanted = ArchiveRequest(
        kind,
        query.content,
        ref=query.ref,
        path=query.path,
        since=query.since,
        selection=Selection(query.include, query.exclude),
    )
    download = services().downloads.archive(actor(), path.dataset, wanted)
    freshness = _freshness(download.at, download.etag)
    if not_modified := find_not_modified(freshness):
        return not_modified
    content = Content(
        name=download.name,
        media_type=_MEDIA_TYPES[kind],
        size=download.archive.size,
        sha256=None,
        read=lambda span: download.read(span.start, span.stop),
    )
    return content_answer(content, freshness)


def _checksums(algorithm: str, path: DatasetPath, query: FolderQuery) -> Response:
    found = services().downloads.checksums(actor(), path.dataset, ref=query.ref, path=query.path)
    freshness = _freshness(found.at, f"{algorithm}-{found.etag}")
    name = f"{algorithm.upper()}SUMS"
    return _listed(name, "text/plain; charset=utf-8", found.lines(algorithm), freshness)


def _listed(name: str, media_type: str, lines: Iterator[bytes], freshness: Freshness) -> Response:
    if not_modified := find_not_modified(freshness):
        return not_modified
    body: Iterable[bytes] = () if request.method == "HEAD" else _led(lines)
    response = Response(body, content_type=media_type)
    response.headers["Content-Disposition"] = attachment(name)
    response.headers.update(SANDBOX)
    return stamped(response, freshness)


def _led(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines in chunks; the first is made at once, so that its errors become a problem, not a stub."""
    first = b"".join(islice(lines, _ROWS_A_CHUNK))

    def rest() -> Iterator[bytes]:
        yield first
        while chunk := b"".join(islice(lines, _ROWS_A_CHUNK)):
            yield chunk

    return rest()


def _row(row: Listed) -> bytes:
    fields = {"path": row.path, "size": row.size, "md5": row.md5, "sha256": row.sha256}
    if row.problem:
        fields["problem"] = row.problem
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _freshness(at: Pinned, etag: str) -> Freshness:
    return Freshness(etag, at.commit, is_pinned=at.is_pinned, is_public=at.is_public)


def _redirected(url: str, freshness: Freshness) -> Response:
    """Send the client to the storage site; nobody may keep an address that expires."""
    response = stamped(Response(b"", 307, {"Location": url}), freshness)
    response.headers["Cache-Control"] = "no-store"
    del response.headers["ETag"]
    return response


def _accelerated(download: FileDownload, content: Content, freshness: Freshness) -> Response | None:
    """Return an empty answer that tells the web server in front which file to send, where it is set up.

    ``If-Range`` is answered here: the web server does not know our ETags.
    """
    config = services().config
    if not config.accel_prefix or request.method != "GET" or "If-Range" in request.headers:
        return None
    path = download.local_path()
    if path is None or not path.is_relative_to(config.objects_root):
        return None
    download.check()
    response = Response(b"", 200)
    response.headers["X-Accel-Redirect"] = f"{config.accel_prefix}/{path.relative_to(config.objects_root)}"
    return described(response, content, freshness)
