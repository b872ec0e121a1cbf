"""Who may do what: promises.md §5 as data, asked of every route of datasets, versions and downloads.

A route that is not in ``TABLE`` fails a test; so does one whose ``x-min-role`` says something else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from itertools import count
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.access import LEAST_LEVEL, SYSTEM, AccessLevel, Action, Actor, Scope, Visibility
from app.accounts.models import actor_for
from app.config import Config
from app.datasets import api as datasets_api
from app.downloads import api as downloads_api
from app.downloads import tree_api
from app.services import Services, build
from app.versions import api as versions_api
from app.versions import content_api, uploads_api
from gitops.model import RepoPath
from tests.conftest import Clock, auth
from tests.steps import declared, make_dataset, md5, put

MEMBERS = {
    "guest": AccessLevel.GUEST,
    "reporter": AccessLevel.REPORTER,
    "developer": AccessLevel.DEVELOPER,
    "maintainer": AccessLevel.MAINTAINER,
    "owner": AccessLevel.OWNER,
}
INVALID = ("expired", "revoked", "blocked")
WHO = ("anonymous", "stranger", *MEMBERS, "admin", "reading", *INVALID)
ROUTES = (
    datasets_api.routes,
    versions_api.routes,
    content_api.routes,
    uploads_api.routes,
    downloads_api.routes,
    tree_api.routes,
)
ROLES = {
    Action.SEE: "guest",
    Action.READ: "reporter",
    Action.WRITE: "developer",
    Action.MAINTAIN: "maintainer",
    Action.OWN: "owner",
}
# Tags of the document whose routes other tests ask.
ELSEWHERE = frozenset(
    {"Accounts", "Namespaces", "Storage sites", "Service", "Jobs", "git", "DVC", "Projects", "Operations"}
)


@dataclass
class Place:
    """One service with a dataset of each visibility and people of every kind."""

    services: Services
    client: FlaskClient
    owner: Actor
    actors: dict[str, Actor] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    datasets: dict[Visibility, int] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def ask(self, who: str, method: str, path: str, **options: Any):
        headers = auth(self.tokens[who]) if who in self.tokens else {}
        return self.client.open(path, method=method, headers=headers, **options)

    def fresh(self, dataset: int) -> str:
        """Add a file of its own to a dataset and return its path."""
        path = f"fresh/{next(self.numbers)}.bin"
        put(self.services, self.owner, dataset, {path: path.encode()})
        return path

    def upload(self, dataset: int, who: str) -> str:
        """Open an upload of the one who asks, complete but for its commit."""
        actor = self.actors.get(who, self.owner)
        made = self.services.uploads.open(actor, dataset)
        files = {f"up/{next(self.numbers)}.bin": b"body"}
        self.services.uploads.declare(actor, dataset, made.id, declared(files))
        self.services.uploads.receive(actor, dataset, made.id, md5(b"body"), [b"body"])
        return made.id


@dataclass(frozen=True)
class Row:
    """What one route needs, what it answers when it may, and how to ask it.

    ``ready`` makes what the request is about, for those who may; ``after`` puts things right again.
    """

    action: Action | None
    status: int
    method: str
    path: str
    options: Callable[[Place, int, str], dict[str, Any]] = lambda *_: {}
    ready: Callable[[Place, int, str], str] | None = None
    after: Callable[[Place, int], object] | None = None
    role: str | None = None


def _json(**body: Any) -> Callable[[Place, int, str], dict[str, Any]]:
    return lambda *_: {"json": body}


def _undelete(place: Place, dataset: int) -> None:
    place.services.datasets.undo_deletion(place.owner, dataset)


def _scheduled(place: Place, dataset: int, _who: str) -> str:
    place.services.datasets.schedule_deletion(place.owner, dataset)
    return ""


def _member(place: Place, dataset: int, _who: str) -> str:
    place.services.memberships.set_member(place.owner, dataset, "extra-x", AccessLevel.GUEST)
    return "extra-x"


def _tag(place: Place, dataset: int, _who: str) -> str:
    name = f"t{next(place.numbers)}"
    place.services.names.create_tag(place.owner, dataset, name, "main", notes=None)
    return name


def _branch(place: Place, dataset: int, _who: str) -> str:
    name = f"b{next(place.numbers)}"
    place.services.names.create_branch(place.owner, dataset, name, "main")
    return name


def _fresh(place: Place, dataset: int, _who: str) -> str:
    return place.fresh(dataset)


def _fresh_commit(place: Place, dataset: int, _who: str) -> str:
    place.fresh(dataset)
    return place.services.datasets.open_for_upkeep(dataset).repo.head("main")


def _unique(place: Place, _dataset: int, _who: str) -> str:
    return f"n{next(place.numbers)}"


def _upload(place: Place, dataset: int, who: str) -> str:
    return place.upload(dataset, who)


def _form(place: Place, *_: object) -> dict[str, Any]:
    return {"data": {"files": (BytesIO(b"x"), f"form{next(place.numbers)}.bin")}}


def _parts(*_: object) -> dict[str, Any]:
    return {"data": {md5(b"body"): (BytesIO(b"body"), "x")}}


D = "/api/v1/datasets/{id}"
SEE, READ, WRITE, MAINTAIN, OWN = Action.SEE, Action.READ, Action.WRITE, Action.MAINTAIN, Action.OWN
ONE = _json(files=[{"path": "d.bin", "md5": md5(b"body"), "size": 4}])
ACTION = {"action": "create", "content": "x"}

TABLE: dict[str, Row] = {
    "list_datasets_get": Row(None, 200, "GET", "/api/v1/datasets", role="anonymous"),
    "create_dataset_post": Row(
        None,
        201,
        "POST",
        "/api/v1/datasets",
        lambda place, *_: {"json": {"name": f"made {next(place.numbers)}"}},
        role="user",
    ),
    "look_up_post": Row(None, 200, "POST", "/api/v1/lookup", _json(md5=["0" * 32]), role="user"),
    "show_dataset_get": Row(SEE, 200, "GET", D),
    "change_dataset_patch": Row(MAINTAIN, 200, "PATCH", D, _json(description="x")),
    "delete_dataset_delete": Row(OWN, 202, "DELETE", D, after=_undelete),
    "undelete_dataset_post": Row(OWN, 200, "POST", D + "/undelete", ready=_scheduled),
    "bind_storage_site_put": Row(MAINTAIN, 200, "PUT", D + "/storage-site", _json(storage_site="local")),
    "list_dataset_members_get": Row(READ, 200, "GET", D + "/members", role="user"),
    "set_dataset_member_post": Row(
        MAINTAIN, 201, "POST", D + "/members", _json(username="extra-x", access_level=10)
    ),
    "remove_dataset_member_delete": Row(
        MAINTAIN, 204, "DELETE", D + "/members/extra-x", ready=_member, role="guest"
    ),
    "list_commits_get": Row(READ, 200, "GET", D + "/commits"),
    "show_commit_get": Row(READ, 200, "GET", D + "/commits/main"),
    "show_commit_diff_get": Row(READ, 200, "GET", D + "/commits/{head}/diff"),
    "compare_versions_get": Row(READ, 200, "GET", D + "/compare?from={head}&to=main"),
    "revert_commit_post": Row(
        WRITE, 201, "POST", D + "/commits/{made}/revert", _json(branch="main"), ready=_fresh_commit
    ),
    "restore_content_post": Row(
        WRITE, 201, "POST", D + "/restore", lambda place, dataset, _: _restoring(place, dataset), ready=_fresh
    ),
    "list_tags_get": Row(READ, 200, "GET", D + "/tags"),
    "create_tag_post": Row(WRITE, 201, "POST", D + "/tags", lambda place, *_: _named(place, "t"), ready=None),
    "show_tag_get": Row(READ, 200, "GET", D + "/tags/v1"),
    "delete_tag_delete": Row(WRITE, 204, "DELETE", D + "/tags/{made}", ready=_tag),
    "list_branches_get": Row(READ, 200, "GET", D + "/branches"),
    "create_branch_post": Row(WRITE, 201, "POST", D + "/branches", lambda place, *_: _named(place, "b")),
    "show_branch_get": Row(READ, 200, "GET", D + "/branches/main"),
    "delete_branch_delete": Row(WRITE, 204, "DELETE", D + "/branches/{made}", ready=_branch),
    "put_file_put": Row(WRITE, 201, "PUT", D + "/files/{made}", lambda *_: {"data": b"x"}, ready=_unique),
    "post_files_post": Row(WRITE, 201, "POST", D + "/files", _form),
    "delete_file_delete": Row(WRITE, 200, "DELETE", D + "/files/{made}", ready=_fresh),
    "post_commit_post": Row(
        WRITE,
        201,
        "POST",
        D + "/commits",
        lambda place, *_: {
            "json": {"message": "x", "actions": [{**ACTION, "file_path": f"a{next(place.numbers)}"}]}
        },
    ),
    "begin_upload_post": Row(WRITE, 201, "POST", D + "/uploads", _json()),
    "show_upload_get": Row(WRITE, 200, "GET", D + "/uploads/{made}", ready=_upload),
    "abandon_upload_delete": Row(WRITE, 204, "DELETE", D + "/uploads/{made}", ready=_upload),
    "declare_files_post": Row(WRITE, 200, "POST", D + "/uploads/{made}/files", ONE, ready=_upload),
    "put_object_put": Row(
        WRITE,
        200,
        "PUT",
        D + "/uploads/{made}/objects/" + md5(b"body"),
        lambda *_: {"data": b"body"},
        ready=_upload,
    ),
    "post_objects_post": Row(WRITE, 200, "POST", D + "/uploads/{made}/objects", _parts, ready=_upload),
    "commit_upload_post": Row(
        WRITE, 201, "POST", D + "/uploads/{made}/commit", _json(message="x"), ready=_upload
    ),
    "read_file_get": Row(READ, 200, "GET", D + "/files/a.bin"),
    "read_manifest_get": Row(READ, 200, "GET", D + "/manifest"),
    "read_sha256_sums_get": Row(READ, 200, "GET", D + "/SHA256SUMS"),
    "read_md5_sums_get": Row(READ, 200, "GET", D + "/MD5SUMS"),
    "read_zip_get": Row(READ, 200, "GET", D + "/archive.zip?ref={head}"),
    "read_tar_get": Row(READ, 200, "GET", D + "/archive.tar?ref={head}"),
    "list_tree_get": Row(READ, 200, "GET", D + "/tree"),
}


def _named(place: Place, letter: str) -> dict[str, Any]:
    return {"json": {"name": f"{letter}{next(place.numbers)}", "ref": "main"}}


def _restoring(place: Place, dataset: int) -> dict[str, Any]:
    return {"json": {"ref": place.heads[dataset], "path": "", "branch": "main"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    clock = Clock()
    config = Config(home=tmp_path_factory.mktemp("authorisation") / "var", public_url="http://localhost")
    services = build(config, clock=clock)
    people = {}
    tokens = {}
    for name in ("stranger", *MEMBERS, "admin", "blocked", "extra"):
        user = services.accounts.create_user(SYSTEM, f"{name}-x", is_admin=name == "admin", password=None)
        _, tokens[name] = services.accounts.create_token(
            SYSTEM, name="x", scopes=frozenset(Scope), username=user.username
        )
        people[name] = actor_for(user, frozenset(Scope))
    founder = services.accounts.create_user(SYSTEM, "founder", password=None)
    place = Place(services, create_app(config, services).test_client(), actor_for(founder, frozenset(Scope)))
    place.actors, place.tokens = people, tokens
    make = services.accounts.create_token
    _, tokens["reading"] = make(SYSTEM, name="r", scopes=frozenset({Scope.READ_API}), username="owner-x")
    soon = clock() + timedelta(hours=1)
    _, tokens["expired"] = make(
        SYSTEM, name="e", scopes=frozenset(Scope), username="owner-x", expires_at=soon
    )
    clock.advance(hours=2)
    revoked, tokens["revoked"] = make(SYSTEM, name="d", scopes=frozenset(Scope), username="owner-x")
    services.accounts.revoke_token(people["owner"], revoked.id)
    for visibility in Visibility:
        dataset = make_dataset(services, place.owner, visibility.value, visibility=visibility).id
        for name, level in {**MEMBERS, "blocked": AccessLevel.OWNER}.items():
            services.memberships.set_member(place.owner, dataset, f"{name}-x", level)
        place.heads[dataset] = put(services, place.owner, dataset, {"a.bin": b"a"})
        services.names.create_tag(place.owner, dataset, "v1", "main", notes=None)
        place.datasets[visibility] = dataset
    services.accounts.set_blocked(SYSTEM, "blocked-x", is_blocked=True)
    yield place
    services.close()


def _level(who: str, visibility: Visibility) -> AccessLevel:
    """Return the level that promises.md §5 gives: membership, raised by what everybody may see."""
    if who == "admin":
        return AccessLevel.OWNER
    own = MEMBERS.get("owner" if who == "reading" else who, AccessLevel.NONE)
    is_open = visibility is Visibility.PUBLIC or (visibility is Visibility.INTERNAL and who != "anonymous")
    return max(own, AccessLevel.REPORTER) if is_open else own


def _expected(row: Row, who: str, visibility: Visibility, *, is_change: bool) -> int:
    role = row.role or ROLES[row.action]
    is_visitor = who == "anonymous"
    needs_name = is_visitor and role not in {"anonymous", "guest", "reporter"}
    level = _level(who, visibility)
    least = LEAST_LEVEL[row.action] if row.action else AccessLevel.NONE
    reads_only = who == "reading" and (is_change or row.action not in {None, SEE, READ})
    refusals = (
        (who in INVALID or needs_name, 401),
        (reads_only, 403),
        (row.action is not None and level < AccessLevel.GUEST, 404),
        (level < least, 401 if is_visitor else 403),
    )
    return next((status for holds, status in refusals if holds), row.status)


def _operations():
    return {operation.endpoint: operation for routes in ROUTES for operation in routes.operations}


def _answers(place: Place, row: Row, who: str, visibility: Visibility, *, expected: int):
    dataset = place.datasets[visibility]
    made = "0" * 32
    if row.ready and expected == row.status:
        made = row.ready(place, dataset, who)
    path = row.path.format(id=dataset, head=place.heads[dataset], made=made)
    answer = place.ask(who, row.method, path, **row.options(place, dataset, who))
    if row.after and answer.status_code == row.status:
        row.after(place, dataset)
    return answer


@pytest.mark.parametrize("endpoint", TABLE)
def test_every_cell_of_the_table(place, endpoint):
    """S5: role × visibility × operation, all cells tested."""
    row = TABLE[endpoint]
    is_change = _operations()[endpoint].is_change
    wrong = {}
    for visibility in Visibility:
        for who in WHO:
            expected = _expected(row, who, visibility, is_change=is_change)
            answer = _answers(place, row, who, visibility, expected=expected)
            if answer.status_code != expected:
                wrong[who, visibility.value] = (expected, answer.status_code, answer.text[:200])
            if expected == 404:
                assert answer.json["error_code"] == "dataset_not_found", answer.text
    assert not wrong


def test_every_route_of_these_features_is_in_the_table():
    """S5: every route in it."""
    assert set(_operations()) == set(TABLE)


def test_no_route_of_the_application_is_asked_by_nobody(place):
    """S5: a new route says who may use it: it enters TABLE, or its tag ELSEWHERE with a test of its own."""
    operations = place.client.application.extensions["cairn-operations"]
    own = {operation.endpoint for routes in ROUTES for operation in routes.operations}
    unknown = {f"{one.tag}: {one.method} {one.rule}" for one in operations if one.endpoint not in own}
    assert {one.partition(":")[0] for one in unknown} <= ELSEWHERE | {
        one.tag for one in operations if not one.rule.startswith("/api/v1/datasets")
    }, unknown


@pytest.mark.parametrize("endpoint", TABLE)
def test_the_document_names_the_role_that_the_table_asks_for(endpoint):
    row = TABLE[endpoint]
    assert _operations()[endpoint].role == (row.role or ROLES[row.action])


# Invisible is missing

_VARYING = {"X-Request-Id", "Date", "Content-Length"}


@pytest.mark.parametrize("endpoint", [name for name, row in TABLE.items() if row.action])
@pytest.mark.parametrize("who", ["anonymous", "stranger", "reading", "revoked"])
def test_an_invisible_dataset_answers_as_a_missing_one(place, endpoint, who):
    """S6: same status, body and headers, but for the request's id."""
    row = TABLE[endpoint]
    hidden, missing = place.datasets[Visibility.PRIVATE], 987_654
    if who == "reading":
        hidden = make_dataset(
            place.services, place.actors["stranger"], f"of a stranger {next(place.numbers)}"
        ).id
    seen = []
    for dataset in (hidden, missing):
        path = row.path.format(id=dataset, head="main", made="0" * 32)
        place.heads.setdefault(dataset, "main")
        options = row.options(place, dataset, who)
        answer = place.ask(who, row.method, path, **options)
        request_id = answer.headers["X-Request-Id"]
        body = answer.text.replace(request_id, "R").replace(f"'{dataset}'", "'D'")
        headers = {
            name: value.replace(f"'{dataset}'", "'D'")
            for name, value in answer.headers
            if name not in _VARYING
        }
        seen.append((answer.status_code, body, headers))
    assert seen[0] == seen[1]
    assert seen[0][0] in {401, 403, 404}


def test_lists_and_look_ups_do_not_tell_of_invisible_datasets(place):
    for who in ("anonymous", "stranger"):
        names = {row["name"] for row in place.ask(who, "GET", "/api/v1/datasets?per_page=1000").json}
        assert "private" not in names
    found = place.ask("stranger", "POST", "/api/v1/lookup", json={"md5": [md5(b"a")]}).json
    assert {row["dataset"] for row in found} == {"founder/internal", "founder/public"}


def test_a_removed_member_and_a_changed_visibility_take_effect_at_once(place):
    """S5: for every door, open session and cached answer: the check precedes each 304."""
    dataset = make_dataset(place.services, place.owner, "moving", visibility=Visibility.PUBLIC).id
    put(place.services, place.owner, dataset, {"a.bin": b"a"})
    address = f"/api/v1/datasets/{dataset}/files/a.bin"
    etag = place.ask("stranger", "GET", address).headers["ETag"]
    headers = {"If-None-Match": etag, **auth(place.tokens["stranger"])}
    assert place.client.get(address, headers=headers).status_code == 304
    place.services.datasets.update(place.owner, dataset, {"visibility": Visibility.PRIVATE})
    assert place.client.get(address, headers=headers).status_code == 404
    place.services.memberships.set_member(place.owner, dataset, "stranger-x", AccessLevel.REPORTER)
    assert place.client.get(address, headers=headers).status_code == 304
    place.services.memberships.remove_member(place.owner, dataset, "stranger-x")
    assert place.client.get(address, headers=headers).status_code == 404


def test_the_uploads_of_others_are_missing(place):
    dataset = place.datasets[Visibility.PUBLIC]
    upload = place.upload(dataset, "developer")
    base = f"/api/v1/datasets/{dataset}/uploads/{upload}"
    assert place.ask("maintainer", "GET", base).json["error_code"] == "upload_not_found"
    assert place.ask("maintainer", "POST", base + "/commit", json={"message": "x"}).status_code == 404
    assert place.ask("developer", "GET", base).status_code == 200
    assert RepoPath("a.bin")
