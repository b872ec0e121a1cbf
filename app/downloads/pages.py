"""HTML routes that read a dataset: overview, folders and files, each true of one version."""

from itertools import islice
from urllib.parse import quote

from flask import Blueprint, Response, request, url_for
from markupsafe import Markup

from app.datasets.service import Overview
from app.datasets.views import DatasetFrame, Tab
from app.downloads.models import FilesGoneError
from app.downloads.readme import MAX_README_CHARACTERS, Addresses, render_readme
from app.downloads.service import Pinned
from app.downloads.views import (
    MAX_PREVIEW_BYTES,
    RASTER,
    Command,
    Endpoints,
    FilePage,
    FileRow,
    FilesPage,
    OverviewPage,
    VersionBar,
    is_textual,
)
from app.errors import TakenError
from app.storage_sites.models import Site, SiteId
from app.versions.models import Version
from app.web.context import actor, services
from app.web.rendering import page, see_other
from gitops.errors import PathNotFoundError
from gitops.media_types import media_type
from gitops.model import Entry, EntryKind, RepoPath, parse_path, parse_ref

pages = Blueprint("reading", __name__, url_prefix="/<namespace:namespace>/<slug:name>")

_ROWS = 500
_HISTORY = 10
_SITES = 1000
_SAMPLE = 6
_LOOKED_AT = 400
_READMES = ("README.md", "README", "README.txt", "README.rst", "readme.md")


@pages.get("")
def overview(namespace: str, name: str) -> Response:
    """Show what the dataset is, its README, and how to start."""
    found = services().datasets.overview(actor(), f"{namespace}/{name}")
    frame = DatasetFrame(found.dataset, Tab.OVERVIEW, actor(), found.level)
    if not frame.may_read or found.head is None:
        return page("downloads/overview.html", _closed_overview(frame, found))
    at = services().downloads.at(actor(), found.dataset.id, request.args.get("ref"))
    bar = VersionBar.of(at)
    readme_path = _readme_path(at)
    model = OverviewPage(
        frame,
        found.site,
        found.problem,
        found.stored_bytes,
        bar,
        _readme(at, readme_path, bar) if readme_path else None,
        readme_path or "",
        _whole_commands(at, bar),
        _sample(at) if frame.is_bound else (),
        _sites() if frame.may_maintain and not frame.is_bound else (),
    )
    return page("downloads/overview.html", model)


@pages.get("/files")
@pages.get("/files/<anypath:path>")
def files(namespace: str, name: str, path: str = "") -> Response:
    """Show a folder at a version; a file's address leads to the file."""
    at = services().downloads.at(actor(), f"{namespace}/{name}", request.args.get("ref"))
    folder = parse_path(path)
    if at.snapshot.entry(folder).kind is not EntryKind.FOLDER:
        return see_other(
            url_for("reading.file", namespace=namespace, name=name, path=folder, ref=request.args.get("ref"))
        )
    listing = at.snapshot.list(folder, after=request.args.get("after", ""), limit=_ROWS)
    rows = tuple(
        FileRow(entry, at.snapshot.totals(entry.path) if _is_countable(entry) else None)
        for entry in listing.entries
    )
    model = FilesPage(
        DatasetFrame.of(at.opened, Tab.FILES),
        VersionBar.of(at),
        folder,
        _folders_first(rows),
        listing.next_after,
        at.snapshot.totals(folder),
        is_grid=request.args.get("view") == "grid",
    )
    return page("downloads/files.html", model)


@pages.get("/file/<anypath:path>")
def file(namespace: str, name: str, path: str) -> Response:
    """Show one file at a version: what it is, its hashes, its history, how to get exactly this."""
    at = services().downloads.at(actor(), f"{namespace}/{name}", request.args.get("ref"))
    entry = at.snapshot.entry(parse_path(path))
    if entry.kind is EntryKind.FOLDER:
        return see_other(
            url_for(
                "reading.files", namespace=namespace, name=name, path=entry.path, ref=request.args.get("ref")
            )
        )
    return page("downloads/file.html", _file_page(at, entry))


def _file_page(at: Pinned, entry: Entry) -> FilePage:
    bar = VersionBar.of(at)
    size = entry.size
    md5: str | None = entry.pointer.md5 if entry.pointer else None
    sha256 = text = trouble = None
    try:
        download = services().downloads.file(actor(), at.opened.dataset.id, entry.path, at.commit)
        size, md5, sha256 = download.file.size, download.file.md5, download.file.sha256
        download.check()
        if size <= MAX_PREVIEW_BYTES and (entry.kind is EntryKind.TEXT or is_textual(media_type(entry.name))):
            text = _decoded(b"".join(download.read(0, size)))
    except (FilesGoneError, TakenError) as error:
        trouble = str(error)
    endpoints = _endpoints(at)
    return FilePage(
        DatasetFrame.of(at.opened, Tab.FILES),
        bar,
        entry,
        size,
        md5,
        sha256,
        _history(at, entry.path),
        (
            endpoints.curl(entry.path, bar.exact_ref, quote(entry.path)),
            endpoints.client(bar.exact_ref, entry.path),
        ),
        text,
        entry.problem or trouble,
    )


def _history(at: Pinned, path: RepoPath) -> tuple[Version, ...]:
    _, _, versions = services().history.log(
        actor(), at.opened.dataset.id, ref=parse_ref(at.commit), path=path
    )
    return tuple(islice(versions, _HISTORY))


def _decoded(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _closed_overview(frame: DatasetFrame, found: Overview) -> OverviewPage:
    """Return what those see who may know of the dataset but not read it, or while it has no version."""
    return OverviewPage(frame, found.site, found.problem, found.stored_bytes)


def _readme_path(at: Pinned) -> RepoPath | None:
    for name in _READMES:
        try:
            found = at.snapshot.entry(RepoPath(name))
        except PathNotFoundError:
            continue
        if found.kind is EntryKind.TEXT and not found.problem:
            return found.path
    return None


def _readme(at: Pinned, path: RepoPath, bar: VersionBar) -> Markup | None:
    text = at.snapshot.read(path)[: MAX_README_CHARACTERS * 4].decode(errors="replace")
    dataset = at.opened.dataset

    def picture(inside: str) -> str | None:
        if media_type(inside) not in RASTER:
            return None
        return f"/api/v1/datasets/{dataset.id}/files/{quote(inside)}?ref={at.commit}&redirect=0"

    def link(inside: str) -> str:
        return url_for(
            "reading.files",
            namespace=dataset.namespace_path,
            name=dataset.path,
            path=inside,
            ref=bar.query_ref,
        )

    return render_readme(text, Addresses(link, picture))


def _whole_commands(at: Pinned, bar: VersionBar) -> tuple[Command, ...]:
    endpoints, ref = _endpoints(at), bar.exact_ref
    first = next(iter(at.snapshot.walk()), None)
    one = (endpoints.curl(first.path, ref, quote(first.path)),) if first else ()
    return (endpoints.client(ref), *one, endpoints.archive(ref), endpoints.clone(ref))


def _endpoints(at: Pinned) -> Endpoints:
    dataset = at.opened.dataset
    return Endpoints(services().config.public_url, dataset.id, dataset.full_path, at.is_public)


def _sample(at: Pinned) -> tuple[Entry, ...]:
    """Return some small pictures from across the beginning of the dataset."""
    seen = [entry for entry in islice(at.snapshot.walk(), _LOOKED_AT) if FileRow(entry).has_thumbnail]
    step = max(1, len(seen) // _SAMPLE)
    return tuple(seen[::step][:_SAMPLE])


def _sites() -> tuple[Site, ...]:
    return tuple(services().sites.page(actor(), after=SiteId(0), limit=_SITES))


def _is_countable(entry: Entry) -> bool:
    return entry.kind is EntryKind.FOLDER and not entry.problem


def _folders_first(rows: tuple[FileRow, ...]) -> tuple[FileRow, ...]:
    return tuple(sorted(rows, key=lambda row: not row.is_folder))
