"""HTML routes of history: the timeline, one version, comparisons, releases and branches."""

from itertools import islice

from flask import Blueprint, Response, request, url_for

from app.access import Action
from app.datasets.service import OpenDataset
from app.datasets.views import DatasetFrame, Tab
from app.errors import AppError
from app.versions import shapes
from app.versions.views import (
    ComparePage,
    Diff,
    NamePage,
    RefOptions,
    ReleasesPage,
    VersionPage,
    VersionRow,
    VersionsPage,
    by_day,
)
from app.web.context import actor, services
from app.web.cursors import number_of
from app.web.rendering import FormFault, here, page, see_other
from gitops.errors import GitopsError
from gitops.model import is_commit_id, parse_name, parse_path, parse_ref

pages = Blueprint("history", __name__, url_prefix="/<namespace:namespace>/<slug:name>")

_ROWS = 50


@pages.get("/versions")
def versions(namespace: str, name: str) -> Response:
    """Show what happened, when, by whom and how much; of everything or of one path."""
    query = request.args
    start_text, _, skipped = query.get("cursor", "").partition("~")
    skip = number_of(skipped or None)
    ref = start_text if is_commit_id(start_text) else query.get("ref")
    path = parse_path(query.get("path", ""))
    opened, start, found = services().history.log(
        actor(),
        f"{namespace}/{name}",
        ref=shapes.ref_of(ref),
        path=path,
        author=query.get("author") or None,
    )
    rows = list(islice(found, skip, skip + _ROWS + 1))
    shown = rows[:_ROWS]
    tags = opened.repo.tags()
    model = VersionsPage(
        DatasetFrame.of(opened, Tab.VERSIONS),
        query.get("ref") or opened.dataset.default_branch,
        path,
        query.get("author", ""),
        by_day(
            tuple(
                VersionRow(version, tuple(tag for tag in tags if tag.commit == version.commit.id))
                for version in shown
            )
        ),
        f"{start}~{skip + len(shown)}" if len(rows) > len(shown) else None,
        tuple(opened.repo.branches()),
    )
    return page("versions/index.html", model)


@pages.get("/versions/<sha>")
def version(namespace: str, name: str, sha: str) -> Response:
    """Show one version and what it changed."""
    opened, found = services().history.version(actor(), f"{namespace}/{name}", parse_ref(sha))
    _, changes = services().history.changes(actor(), opened.dataset.id, found.commit.id)
    parents = found.commit.parents
    model = VersionPage(
        DatasetFrame.of(opened, Tab.VERSIONS),
        found,
        Diff.of(changes, after=request.args.get("after", "")),
        tuple(tag for tag in opened.repo.tags() if tag.commit == found.commit.id),
        opened.repo.git.read_commit(parents[0]) if parents else None,
    )
    return page("versions/version.html", model)


@pages.get("/compare")
def compare(namespace: str, name: str) -> Response:
    """Show what differs between two versions, by folder and by file."""
    opened = services().datasets.open(actor(), f"{namespace}/{name}", Action.READ)
    frame = DatasetFrame.of(opened, Tab.VERSIONS)
    refs = _refs(opened)
    old, new = request.args.get("from", "").strip(), request.args.get("to", "").strip()
    picked = request.args.getlist("v")
    if len(picked) == 2:  # noqa: PLR2004 - a pair: the timeline shows the newer one first
        new, old = picked
        return see_other(here(**{"from": old, "to": new, "v": None}))
    if picked:
        fault = FormFault("Choose two versions to compare.", 422)
        model = ComparePage(frame, refs, picked[-1], _default(opened), fault=fault)
        return page("versions/compare.html", model, status=fault.status)
    if not (old and new):
        before = next((tag.name for tag in refs.tags), "")
        return page("versions/compare.html", ComparePage(frame, refs, old or before, new or _default(opened)))
    prefix = request.args.get("path", "")
    try:
        _, found = services().history.compare(actor(), opened.dataset.id, parse_ref(old), parse_ref(new))
    except (AppError, GitopsError) as error:
        fault = FormFault.of(error)
        return page(
            "versions/compare.html", ComparePage(frame, refs, old, new, fault=fault), status=fault.status
        )
    diff = Diff.of(found, prefix=prefix, after=request.args.get("after", ""))
    was, now = (opened.repo.git.read_commit(one) for one in (found.old or found.new, found.new))
    return page("versions/compare.html", ComparePage(frame, refs, old, new, prefix, diff, was, now))


@pages.get("/releases")
def releases(namespace: str, name: str) -> Response:
    """Show the names of versions."""
    opened = services().datasets.open(actor(), f"{namespace}/{name}", Action.READ)
    return _releases_page(opened)


@pages.get("/releases/new")
def new_release(namespace: str, name: str) -> Response:
    """Show the form that makes a release or tag."""
    return _name_page(namespace, name, is_branch=False)


@pages.post("/releases/new")
def create_release(namespace: str, name: str) -> Response:
    """Name a version; with notes the name is a release."""
    form = request.form
    notes = form.get("notes", "").strip()
    try:
        made = services().names.create_tag(
            actor(),
            f"{namespace}/{name}",
            parse_name(form.get("tag", "").strip()),
            parse_ref(form.get("ref", "").strip()),
            notes=notes or None,
        )
    except (AppError, GitopsError) as error:
        return _name_page(namespace, name, is_branch=False, fault=FormFault.of(error))
    kind = "release" if made.is_release else "tag"
    target = url_for("history.releases", namespace=namespace, name=name)
    return see_other(target, f"The {kind} {made.name} now names version {made.commit[:8]}.")


@pages.post("/releases/delete")
def delete_release(namespace: str, name: str) -> Response:
    """Remove a tag; the version that it named stays."""
    raw = request.form.get("tag", "")
    try:
        services().names.delete_tag(actor(), f"{namespace}/{name}", parse_name(raw))
    except (AppError, GitopsError) as error:
        opened = services().datasets.open(actor(), f"{namespace}/{name}", Action.READ)
        return _releases_page(opened, FormFault.of(error))
    return see_other(url_for("history.releases", namespace=namespace, name=name), f"{raw} was deleted.")


@pages.get("/branches/new")
def new_branch(namespace: str, name: str) -> Response:
    """Show the form that starts a branch."""
    return _name_page(namespace, name, is_branch=True)


@pages.post("/branches/new")
def create_branch(namespace: str, name: str) -> Response:
    """Start a branch at a version."""
    form = request.form
    try:
        made = services().names.create_branch(
            actor(),
            f"{namespace}/{name}",
            parse_name(form.get("tag", "").strip()),
            parse_ref(form.get("ref", "").strip()),
        )
    except (AppError, GitopsError) as error:
        return _name_page(namespace, name, is_branch=True, fault=FormFault.of(error))
    target = url_for("reading.files", namespace=namespace, name=name, ref=made.name)
    return see_other(target, f"The branch {made.name} was started.")


@pages.post("/branches/delete")
def delete_branch(namespace: str, name: str) -> Response:
    """Remove a branch; its versions stay."""
    raw = request.form.get("branch", "")
    try:
        services().names.delete_branch(actor(), f"{namespace}/{name}", parse_name(raw))
    except (AppError, GitopsError) as error:
        opened = services().datasets.open(actor(), f"{namespace}/{name}", Action.READ)
        return _releases_page(opened, FormFault.of(error))
    return see_other(
        url_for("history.releases", namespace=namespace, name=name), f"The branch {raw} was deleted."
    )


def _releases_page(opened: OpenDataset, fault: FormFault | None = None) -> Response:
    frame = DatasetFrame.of(opened, Tab.RELEASES)
    model = ReleasesPage(frame, tuple(opened.repo.tags()), tuple(opened.repo.branches()), fault)
    return page("versions/releases.html", model, status=fault.status if fault else 200)


def _name_page(namespace: str, name: str, *, is_branch: bool, fault: FormFault | None = None) -> Response:
    opened = services().datasets.open(actor(), f"{namespace}/{name}", Action.WRITE)
    typed = request.form if fault else request.args
    model = NamePage(
        DatasetFrame.of(opened, Tab.RELEASES),
        _refs(opened),
        is_branch,
        typed.get("tag", ""),
        typed.get("ref", "") or _default(opened),
        typed.get("notes", ""),
        fault,
    )
    return page("versions/new_name.html", model, status=fault.status if fault else 200)


def _refs(opened: OpenDataset) -> RefOptions:
    return RefOptions(tuple(opened.repo.branches()), tuple(opened.repo.tags()))


def _default(opened: OpenDataset) -> str:
    return opened.dataset.default_branch
