"""JSON routes of history: versions, comparisons, taking back, tags and branches."""

import re
from bisect import bisect_right
from itertools import islice
from urllib.parse import quote

from flask import Response

from app.datasets.schemas import DatasetPath
from app.datasets.service import OpenDataset
from app.errors import BadRequestError
from app.versions import shapes
from app.versions.models import Comparison, Written
from app.versions.schemas import (
    BranchAnswer,
    CommitAnswer,
    CommitPath,
    CompareAnswer,
    CompareQuery,
    DiffRow,
    Found,
    LogQuery,
    Lookup,
    NamePath,
    NewBranch,
    NewTag,
    Restore,
    Revert,
    TagAnswer,
    TakenBack,
)
from app.web.api import ApiBlueprint, address_with, created_answer, empty_answer, json_answer, page_answer
from app.web.context import actor, services
from app.web.schemas import PageQuery
from gitops.errors import RefNotFoundError
from gitops.model import Change, CommitId, is_commit_id, parse_name, parse_path, parse_ref

routes = ApiBlueprint("versions", tag="Versions")
_COUNT = re.compile(r"[0-9]{1,9}")


@routes.get(
    "/datasets/<dataset:dataset>/commits", role="reporter", summary="Versions", answers=[CommitAnswer]
)
def list_commits(path: DatasetPath, query: LogQuery) -> Response:
    """List versions, newest first, each with files and bytes added, removed and changed."""
    skip = _skip(query.cursor)
    _, start, versions = services().history.log(
        actor(),
        path.dataset,
        ref=shapes.ref_of(query.cursor.partition("~")[0] if query.cursor else query.ref),
        path=parse_path(query.path),
        author=query.author,
        since=query.since,
        until=query.until,
        skip=skip,
    )
    rows = list(islice(versions, query.per_page + 1))
    shown = rows[: query.per_page]
    cursor = f"{start}~{skip + len(shown)}" if len(rows) > len(shown) else None
    headers = _about(start, address_with(ref=start))
    return page_answer([shapes.version(found) for found in shown], cursor, headers=headers)


@routes.get(
    "/datasets/<dataset:dataset>/commits/<sha>",
    role="reporter",
    summary="One version",
    answers=CommitAnswer,
)
def show_commit(path: CommitPath) -> Response:
    """Show a version."""
    opened, found = services().history.version(actor(), path.dataset, parse_ref(path.sha))
    headers = _about(found.commit.id, _commit_address(opened, found.commit.id))
    return json_answer(shapes.version(found), headers=headers)


@routes.get(
    "/datasets/<dataset:dataset>/commits/<sha>/diff",
    role="reporter",
    summary="What a version changed",
    answers=[DiffRow],
)
def show_commit_diff(path: CommitPath, query: PageQuery) -> Response:
    """List the files that a version added, removed, changed or renamed, against its first parent."""
    opened, found = services().history.changes(actor(), path.dataset, parse_ref(path.sha))
    rows, cursor = _page(found, "", query)
    shown = [shapes.compare_row(found.rows[index]) for index in rows]
    return page_answer(shown, cursor, headers=_about(found.new, f"{_commit_address(opened, found.new)}/diff"))


@routes.get(
    "/datasets/<dataset:dataset>/compare",
    role="reporter",
    summary="Compare two versions",
    answers=CompareAnswer,
)
def compare_versions(path: DatasetPath, query: CompareQuery) -> Response:
    """Say what differs from one version to another; `delimiter=/` rolls it up by folder."""
    _, found = services().history.compare(actor(), path.dataset, parse_ref(query.from_), parse_ref(query.to))
    headers = _about(found.new, address_with(**{"from": found.old or "", "to": found.new}))
    if query.delimiter:
        folders = [one for one in found.by_folder(query.prefix) if one.path > (query.cursor or "")]
        shown = folders[: query.per_page]
        if len(folders) > len(shown):
            headers["Link"] += f', <{address_with(cursor=shown[-1].path)}>; rel="next"'
        rolled_up = [{"path": one.path, "stats": shapes.stats(one.stats)} for one in shown]
        return json_answer({**shapes.comparison(found, []), "folders": rolled_up}, headers=headers)
    rows, cursor = _page(found, query.prefix, query)
    if cursor:
        headers["Link"] += f', <{address_with(cursor=cursor)}>; rel="next"'
    return json_answer(shapes.comparison(found, [found.rows[index] for index in rows]), headers=headers)


@routes.post(
    "/datasets/<dataset:dataset>/commits/<sha>/revert",
    role="developer",
    summary="Revert a version",
    answers={200: TakenBack, 201: TakenBack},
)
def revert_commit(path: CommitPath, body: Revert) -> Response:
    """Take back what a version changed by a new version; `dry_run` only says what would happen."""
    service, branch, sha = services().versions, shapes.branch_of(body.branch), parse_ref(path.sha)
    if body.dry_run:
        changes = service.preview_revert(actor(), path.dataset, sha, branch=branch)
        return _previewed(changes, body.branch)
    return _taken_back(service.revert(actor(), path.dataset, sha, branch=branch))


@routes.post(
    "/datasets/<dataset:dataset>/restore",
    role="developer",
    summary="Restore a file, a folder or everything",
    answers={200: TakenBack, 201: TakenBack},
)
def restore_content(path: DatasetPath, body: Restore) -> Response:
    """Make something as it was at `ref`, by a new version; history is never rewritten."""
    service, branch = services().versions, shapes.branch_of(body.branch)
    ref, what = parse_ref(body.ref), parse_path(body.path)
    if body.dry_run:
        changes = service.preview_restore(actor(), path.dataset, ref, what, branch=branch)
        return _previewed(changes, body.branch)
    written = service.restore(actor(), path.dataset, ref, what, branch=branch, message=body.message)
    return _taken_back(written)


@routes.get("/datasets/<dataset:dataset>/tags", role="reporter", summary="Tags", answers=[TagAnswer])
def list_tags(path: DatasetPath) -> Response:
    """List tags, the newest version number first."""
    return json_answer([shapes.tag(found) for found in services().names.tags(actor(), path.dataset)])


@routes.post(
    "/datasets/<dataset:dataset>/tags",
    role="developer",
    summary="Create a tag or release",
    answers=TagAnswer,
    status=201,
)
def create_tag(path: DatasetPath, body: NewTag) -> Response:
    """Name a version; with a message the tag is a release and never moves."""
    notes = body.message if body.message and body.message.strip() else None
    found = services().names.create_tag(
        actor(), path.dataset, parse_name(body.name), parse_ref(body.ref), notes=notes
    )
    return created_answer(shapes.tag(found), _address(path, f"tags/{found.name}"))


@routes.get(
    "/datasets/<dataset:dataset>/tags/<anypath:name>", role="reporter", summary="One tag", answers=TagAnswer
)
def show_tag(path: NamePath) -> Response:
    """Show a tag."""
    for found in services().names.tags(actor(), path.dataset):
        if found.name == path.name:
            return json_answer(shapes.tag(found), headers={"X-Commit-Id": found.commit})
    raise RefNotFoundError(f"there is no tag {path.name!r}")


@routes.delete("/datasets/<dataset:dataset>/tags/<anypath:name>", role="developer", summary="Delete a tag")
def delete_tag(path: NamePath) -> Response:
    """Delete a tag; deleting a release needs a maintainer, and its name stays given to its version."""
    services().names.delete_tag(actor(), path.dataset, parse_name(path.name))
    return empty_answer()


@routes.get(
    "/datasets/<dataset:dataset>/branches", role="reporter", summary="Branches", answers=[BranchAnswer]
)
def list_branches(path: DatasetPath) -> Response:
    """List branches."""
    opened, found = services().names.branches(actor(), path.dataset)
    return json_answer([shapes.branch(one, opened.dataset.default_branch) for one in found])


@routes.post(
    "/datasets/<dataset:dataset>/branches",
    role="developer",
    summary="Create a branch",
    answers=BranchAnswer,
    status=201,
)
def create_branch(path: DatasetPath, body: NewBranch) -> Response:
    """Start a branch at a version."""
    made = services().names.create_branch(actor(), path.dataset, parse_name(body.name), parse_ref(body.ref))
    return created_answer(shapes.branch(made, ""), _address(path, f"branches/{made.name}"))


@routes.get(
    "/datasets/<dataset:dataset>/branches/<anypath:name>",
    role="reporter",
    summary="One branch",
    answers=BranchAnswer,
)
def show_branch(path: NamePath) -> Response:
    """Show a branch."""
    opened, found = services().names.branches(actor(), path.dataset)
    for one in found:
        if one.name == path.name:
            return json_answer(shapes.branch(one, opened.dataset.default_branch))
    raise RefNotFoundError(f"there is no branch {path.name!r}")


@routes.delete(
    "/datasets/<dataset:dataset>/branches/<anypath:name>", role="developer", summary="Delete a branch"
)
def delete_branch(path: NamePath) -> Response:
    """Delete a branch; its versions stay readable by their ids."""
    services().names.delete_branch(actor(), path.dataset, parse_name(path.name))
    return empty_answer()


@routes.post("/lookup", role="user", summary="Where are these bytes?", answers=[Found], is_change=False)
def look_up(body: Lookup) -> Response:
    """Say which of the datasets that you may read hold these bytes, at which paths and in which versions."""
    if bool(body.md5) == bool(body.sha256):
        raise BadRequestError("send either 'md5' or 'sha256'")
    rows = services().lookup.find(actor(), body.md5 or body.sha256, by_sha256=bool(body.sha256))
    return json_answer([row.shown() for row in rows])


def _address(path: DatasetPath, what: str) -> str:
    return f"/api/v1/datasets/{quote(path.dataset, safe='')}/{quote(what)}"


def _about(commit: CommitId, canonical: str) -> dict[str, str]:
    """Return the headers that say which version an answer is about, and its address for ever."""
    return {"X-Commit-Id": commit, "Link": f'<{canonical}>; rel="canonical"'}


def _commit_address(opened: OpenDataset, commit: CommitId) -> str:
    return f"{services().config.public_url}/api/v1/datasets/{opened.dataset.id}/commits/{commit}"


def _taken_back(written: Written) -> Response:
    answer = {
        "dry_run": False,
        "id": written.commit,
        "commit_id": written.commit,
        "branch": written.branch,
        "changes": None,
    }
    return json_answer(answer, 201, {"X-Commit-Id": written.commit})


def _previewed(changes: list[Change], branch: str | None) -> Response:
    answer = {
        "dry_run": True,
        "id": None,
        "commit_id": None,
        "branch": branch or "",
        "changes": [shapes.change_row(change) for change in changes],
    }
    return json_answer(answer)


def _page(found: Comparison, prefix: str, query: PageQuery) -> tuple[list[int], str | None]:
    """Return the indexes of one page of a comparison's rows, and the cursor of the next."""
    start = bisect_right(found.rows, query.cursor, key=lambda row: row.path) if query.cursor else 0
    matching = (i for i in range(start, len(found.rows)) if found.rows[i].is_below(prefix))
    indexes = list(islice(matching, query.per_page + 1))
    if len(indexes) <= query.per_page:
        return indexes, None
    return indexes[:-1], found.rows[indexes[-2]].path


def _skip(cursor: str | None) -> int:
    """Return how many versions the pages before held; a log's cursor is ``<commit>~<count>``."""
    if not cursor:
        return 0
    commit, _, count = cursor.partition("~")
    if not is_commit_id(commit) or not _COUNT.fullmatch(count):
        raise BadRequestError("this cursor was not made by this service")
    return int(count)
