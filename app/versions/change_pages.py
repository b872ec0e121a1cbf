"""HTML routes that change content, each by one new version: upload, delete, revert, restore."""

from collections.abc import Iterator, Mapping

from flask import Blueprint, Response, request, url_for

from app.access import Action
from app.datasets.service import OpenDataset
from app.datasets.views import DatasetFrame, Tab
from app.errors import AppError
from app.versions import shapes
from app.versions.forms import files_of_form
from app.versions.models import Amount, Written
from app.versions.service import FormUpload
from app.versions.views import DeletePage, Diff, PreviewPage, UploadPage
from app.web.context import actor, services
from app.web.multipart_stream import Part
from app.web.rendering import FormFault, page, plural, see_other
from app.web.streamed_forms import StreamedForm
from gitops.errors import GitopsError
from gitops.model import EntryKind, RefName, parse_path, parse_ref

pages = Blueprint("writing", __name__, url_prefix="/<namespace:namespace>/<slug:name>")


@pages.get("/upload")
def upload(namespace: str, name: str) -> Response:
    """Show the upload form on a page of its own."""
    opened = _open(namespace, name)
    folder = parse_path(request.args.get("folder", ""))
    return page("versions/upload.html", UploadPage(_frame(opened), folder, _branch(opened, request.args)))


def send(parts: Iterator[Part], namespace: str, name: str) -> Response:
    """Take the files of the form as they arrive and make them one version."""
    form = FormUpload()
    try:
        services().versions.put_form(actor(), f"{namespace}/{name}", form, files_of_form(form, parts))
    except (AppError, GitopsError) as error:
        fault = FormFault.of(error)
        opened = _open(namespace, name)
        branch = form.branch or opened.dataset.default_branch
        model = UploadPage(_frame(opened), form.folder, branch, form.message or "", fault)
        return page("versions/upload.html", model, status=fault.status)
    assert form.written is not None
    if form.written.is_unchanged:
        target = url_for("reading.files", namespace=namespace, name=name, path=form.folder, ref=form.branch)
        return see_other(target, "Nothing changed: the dataset holds exactly these files already.")
    return _to_version(namespace, name, form.written, f"{plural(len(form.stored), 'file')} uploaded.")


pages.add_url_rule("/upload", endpoint="send", view_func=StreamedForm(send), methods=["POST"])


@pages.get("/delete")
def delete(namespace: str, name: str) -> Response:
    """Show what a deletion would remove."""
    return _delete_page(namespace, name)


@pages.post("/delete")
def confirm_delete(namespace: str, name: str) -> Response:
    """Remove a file or folder by a new version."""
    opened = _open(namespace, name)
    path = parse_path(request.form.get("path", ""))
    try:
        written = services().versions.delete(
            actor(),
            opened.dataset.id,
            path,
            is_recursive=True,
            branch=_branch(opened, request.form),
            message=request.form.get("message", "").strip() or None,
        )
    except (AppError, GitopsError) as error:
        return _delete_page(namespace, name, FormFault.of(error))
    return _to_version(namespace, name, written, f"{path} was deleted. Earlier versions still hold it.")


@pages.get("/versions/<sha>/revert")
def revert(namespace: str, name: str, sha: str) -> Response:
    """Show what taking a version back would change; nothing is written."""
    return _revert_page(namespace, name, sha)


@pages.post("/versions/<sha>/revert")
def confirm_revert(namespace: str, name: str, sha: str) -> Response:
    """Take back what a version changed, by a new version."""
    opened = _open(namespace, name)
    try:
        written = services().versions.revert(
            actor(), opened.dataset.id, parse_ref(sha), branch=_branch(opened, request.form)
        )
    except (AppError, GitopsError) as error:
        return _revert_page(namespace, name, sha, FormFault.of(error))
    return _to_version(namespace, name, written, f"Version {sha[:8]} was taken back by this one.")


@pages.get("/restore")
def restore(namespace: str, name: str) -> Response:
    """Show what bringing back a file, a folder or everything would change."""
    return _restore_page(namespace, name)


@pages.post("/restore")
def confirm_restore(namespace: str, name: str) -> Response:
    """Make a file, a folder or everything as it was, by a new version."""
    opened = _open(namespace, name)
    form = request.form
    try:
        written = services().versions.restore(
            actor(),
            opened.dataset.id,
            parse_ref(form.get("ref", "")),
            parse_path(form.get("path", "")),
            branch=_branch(opened, form),
            message=form.get("message", "").strip() or None,
        )
    except (AppError, GitopsError) as error:
        return _restore_page(namespace, name, FormFault.of(error))
    return _to_version(namespace, name, written, "Brought back. The versions in between stay in the history.")


def _open(namespace: str, name: str) -> OpenDataset:
    return services().datasets.open(actor(), f"{namespace}/{name}", Action.WRITE)


def _frame(opened: OpenDataset, tab: Tab = Tab.FILES) -> DatasetFrame:
    return DatasetFrame.of(opened, tab)


def _branch(opened: OpenDataset, typed: Mapping[str, str]) -> RefName:
    """Return the branch that the request names, the default one if none."""
    return shapes.branch_of(typed.get("branch")) or opened.dataset.default_branch


def _delete_page(namespace: str, name: str, fault: FormFault | None = None) -> Response:
    opened = _open(namespace, name)
    branch = _branch(opened, request.values)
    snapshot = opened.repo.snapshot(opened.repo.head(branch))
    entry = snapshot.entry(parse_path(request.values.get("path", "")))
    amount = Amount(1, entry.size or 0)
    if entry.kind is EntryKind.FOLDER:
        totals = snapshot.totals(entry.path)
        amount = Amount(totals.files, totals.size)
    model = DeletePage(_frame(opened), entry, branch, amount, request.values.get("message", ""), fault)
    return page("versions/delete.html", model, status=fault.status if fault else 200)


def _revert_page(namespace: str, name: str, sha: str, fault: FormFault | None = None) -> Response:
    opened, found = services().history.version(actor(), f"{namespace}/{name}", parse_ref(sha))
    branch = _branch(opened, request.values)
    diff = None
    if fault is None:
        try:
            changes = services().versions.preview_revert(
                actor(), opened.dataset.id, found.commit.id, branch=branch
            )
            diff = Diff.of_changes(opened.repo.head(branch), changes)
        except (AppError, GitopsError) as error:
            fault = FormFault.of(error)
    model = PreviewPage(_frame(opened, Tab.VERSIONS), branch, found.commit, diff=diff, fault=fault)
    return page("versions/revert.html", model, status=fault.status if fault else 200)


def _restore_page(namespace: str, name: str, fault: FormFault | None = None) -> Response:
    opened = _open(namespace, name)
    typed = request.values
    ref, path = typed.get("ref", ""), parse_path(typed.get("path", ""))
    branch = _branch(opened, typed)
    source = opened.repo.git.read_commit(opened.repo.resolve(parse_ref(ref)))
    diff = None
    if fault is None:
        try:
            changes = services().versions.preview_restore(
                actor(), opened.dataset.id, source.id, path, branch=branch
            )
            diff = Diff.of_changes(opened.repo.head(branch), changes)
        except (AppError, GitopsError) as error:
            fault = FormFault.of(error)
    model = PreviewPage(
        _frame(opened, Tab.VERSIONS), branch, source, path, ref, typed.get("message", ""), diff, fault
    )
    return page("versions/restore.html", model, status=fault.status if fault else 200)


def _to_version(namespace: str, name: str, written: Written, notice: str) -> Response:
    target = url_for("history.version", namespace=namespace, name=name, sha=written.commit)
    if written.is_unchanged:
        return see_other(target, "Nothing changed: the dataset was exactly so already.")
    return see_other(target, notice)
