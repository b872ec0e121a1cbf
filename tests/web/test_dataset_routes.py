"""Routes of datasets, versions and uploads: status, shape, headers, conditions, repeats, hostile input."""

import json
import re
from io import BytesIO
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import create_app
from app.access import SYSTEM, Scope
from app.config import Config
from app.services import build
from tests.conftest import auth
from tests.steps import md5, sha256

API = "/api/v1"
PROBLEM = {"type", "title", "status", "detail", "instance", "message", "error_code"}


class Api:
    """Asks as alice about her dataset."""

    def __init__(self, client, token):
        self.client, self.token = client, token
        made = self.ask("POST", "/datasets", json={"name": "Cells", "storage_site": "local"})
        assert made.status_code == 201, made.text
        self.id = made.json["id"]

    def ask(self, method, path, **options):
        headers = {**auth(self.token), **options.pop("headers", {})}
        return self.client.open(API + path, method=method, headers=headers, **options)

    def on(self, method, path, **options):
        return self.ask(method, f"/datasets/{self.id}{path}", **options)

    def put(self, path, content, **options):
        return self.on("PUT", f"/files/{path}", data=content, **options)


@pytest.fixture
def api(client, alice):
    return Api(client, alice[1])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One service for all who only try to break it."""
    config = Config(home=tmp_path_factory.mktemp("shared") / "var", public_url="http://localhost")
    services = build(config)
    services.accounts.create_user(SYSTEM, "alice", password=None)
    _, token = services.accounts.create_token(SYSTEM, name="x", scopes=frozenset(Scope), username="alice")
    yield Api(create_app(config, services).test_client(), token)
    services.close()


def _next(answer):
    found = re.search(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
    if not found:
        return None
    parts = urlsplit(found[1])
    return f"{parts.path}?{parts.query}".removeprefix(API)


def _walk(api, path):
    pages = []
    while path:
        answer = api.ask("GET", path)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json)
        path = _next(answer)
    return pages


# Datasets


def test_a_created_dataset_says_where_it_is_and_how_to_reach_it(api):
    answer = api.ask("POST", "/datasets", json={"name": "Other Cells", "topics": ["Zürich"]})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{API}/datasets/{answer.json['id']}"
    assert answer.json["full_path"] == "alice/other-cells"
    assert answer.json["clone_url"] == "http://localhost/alice/other-cells.git"
    assert answer.json["dvc_remote_url"].endswith(f"/dvc/{answer.json['id']}")
    assert answer.json["capabilities"] == {"read": True, "write": True, "maintain": True, "own": True}
    assert answer.json["created_at"].endswith("Z")


@pytest.mark.parametrize("address", ["alice%2Fcells", "alice/cells", "ALICE%2fCells"])
def test_a_dataset_is_reached_by_its_path_too(api, address):
    assert api.ask("GET", f"/datasets/{address}").json["id"] == api.id
    assert api.ask("GET", f"/datasets/{address}/tree").status_code == 200


@pytest.mark.parametrize(
    "name",
    ["manifest", "tree", "commits", "tags", "SHA256SUMS", "archive.zip", "members", "files", "a/commits/b"],
)
@pytest.mark.parametrize("address", ["{id}", "alice%2Fcells", "alice/cells"])
def test_a_file_may_be_called_like_a_route(api, name, address):
    base = f"/datasets/{address.format(id=api.id)}/files/"
    assert api.ask("PUT", base + name, data=name.encode()).status_code == 201
    assert api.ask("GET", base + name).data == name.encode()


@pytest.mark.parametrize("name", ["tree", "manifest", "a/commits"])
@pytest.mark.parametrize("kind", ["tags", "branches"])
def test_a_tag_or_branch_may_be_called_like_a_route(api, name, kind):
    base = f"/datasets/alice/cells/{kind}"
    made = api.ask("POST", base, json={"name": name, "ref": "main"})
    assert made.status_code == 201
    assert api.ask("GET", f"{base}/{name}").json["name"] == name
    assert api.client.get(made.headers["Location"], headers=auth(api.token)).json["name"] == name


@pytest.mark.parametrize("name", ["größe", "50%", "a#b", "v1.0+x", "&"])
def test_the_address_of_a_new_tag_leads_to_it(api, name):
    made = api.on("POST", "/tags", json={"name": name, "ref": "main", "message": "Notes"})
    assert made.status_code == 201, made.text
    found = api.client.get(made.headers["Location"], headers=auth(api.token))
    assert found.json["name"] == name
    assert found.json["release"] is True


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"])
def test_pages_of_datasets_follow_their_links(api, sort):
    for name in ("Äb", "b", "a & b", "B", "ä+c"):
        assert (
            api.ask(
                "POST", "/datasets", json={"name": name, "path": f"p{ord(name[0])}x{len(name)}"}
            ).status_code
            == 201
        )
    whole = [row["id"] for row in api.ask("GET", f"/datasets?sort={sort}").json]
    pages = _walk(api, f"/datasets?sort={sort}&per_page=2")
    assert [row["id"] for page in pages for row in page] == whole
    assert [len(page) for page in pages] == [2, 2, 2]


def test_facets_fit_into_a_header_whatever_topics_are_called(api):
    for number in range(5):
        topics = [f"細胞 Zürich {number}-{n}" for n in range(30)]
        api.ask("POST", "/datasets", json={"name": f"n{number}", "topics": topics})
    answer = api.ask("GET", "/datasets?facets=1")
    facets = json.loads(answer.headers["X-Facets"])
    assert facets["visibility"] == {"private": 6}
    assert len(facets["topic"]) == 100


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%00",
        "ä",
        "W10=",
        "WzEsMl0=",
        "WyJhIiwgOTk5OTk5OTk5OTk5OTk5OTk5OTk5OV0=",
        "WyJhIiwiYiJd",
        "WyJhIiwtMV0=",
        "e30=",
        "bnVsbA==",
        "WyIyMDI2LTAxLTAxIiwxXQ==",
        "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5IiwxXQ==",
        "Wy" * 500,
    ],
)
@pytest.mark.parametrize("sort", ["name", "created_at"])
def test_a_foreign_cursor_is_refused_or_harmless(shared, cursor, sort):
    assert shared.ask("GET", f"/datasets?sort={sort}&cursor={cursor}").status_code in {200, 400}


def test_deletion_is_scheduled_and_taken_back(api):
    answer = api.on("DELETE", "")
    assert answer.status_code == 202
    assert answer.json["deletion_due"]
    assert api.on("GET", "/tree").status_code == 404
    assert api.on("POST", "/undelete").status_code == 200
    assert api.on("GET", "/tree").status_code == 200


def test_binding_again_is_fine_and_another_site_is_a_conflict(api, services, config, admin):
    from app.storage_sites.models import Provider
    from app.storage_sites.service import SiteDraft

    (config.home.absolute() / "two").mkdir()
    services.sites.register(admin[0], SiteDraft("two", Provider.LOCAL, str(config.home.absolute() / "two")))
    assert api.on("PUT", "/storage-site", json={"storage_site": "local"}).status_code == 200
    refused = api.on("PUT", "/storage-site", json={"storage_site": "two"})
    assert (refused.status_code, refused.json["error_code"]) == (409, "storage_site_bound")


# Writing


def test_a_file_is_put_replaced_and_left_alone(api):
    made = api.put("d/a.bin", b"one", query_string={"message": "Why"})
    assert made.status_code == 201
    assert made.json == {
        "path": "d/a.bin",
        "size": 3,
        "md5": md5(b"one"),
        "sha256": sha256(b"one"),
        "commit_id": made.json["commit_id"],
        "branch": "main",
        "unchanged": False,
    }
    assert made.headers["ETag"] == f'"{md5(b"one")}"'
    assert made.headers["X-Commit-Id"] == made.json["commit_id"]
    assert api.put("d/a.bin", b"two").status_code == 200
    same = api.put("d/a.bin", b"two")
    assert (same.status_code, same.json["unchanged"]) == (200, True)
    assert api.on("GET", "/files/d/a.bin").headers["ETag"] == f'"{md5(b"two")}"'


@pytest.mark.parametrize("path", ["/a.bin", "%2Fa.bin", "a.bin"])
def test_a_leading_slash_is_ignored(api, path):
    assert api.put(path, b"x").json["path"] == "a.bin"


def test_conditions_are_http_s(api):
    assert api.put("a", b"1", headers={"If-Match": "*"}).status_code == 412
    assert api.put("a", b"1", headers={"If-None-Match": "*"}).status_code == 201
    assert api.put("a", b"2", headers={"If-None-Match": "*"}).status_code == 412
    assert api.put("a", b"2", headers={"If-Match": '"0"'}).status_code == 412
    assert api.put("a", b"2", headers={"If-Match": f'"0", "{md5(b"1")}"'}).status_code == 200
    assert api.on("DELETE", "/files/a", headers={"If-Match": f'"{md5(b"1")}"'}).status_code == 412
    assert api.on("DELETE", "/files/a", headers={"If-Match": f'"{md5(b"2")}"'}).status_code == 200


def test_a_form_is_one_commit_in_any_order_of_its_parts(api):
    fields = [
        ("files", (BytesIO(b"1"), "a.bin")),
        ("folder", "in"),
        ("files", (BytesIO(b"2"), "sub/b.bin")),
        ("unknown", "field"),
        ("message", "By form"),
    ]
    from werkzeug.datastructures import MultiDict

    answer = api.on("POST", "/files", data=MultiDict(fields))
    assert answer.status_code == 201, answer.text
    assert [row["path"] for row in answer.json["files"]] == ["in/a.bin", "in/sub/b.bin"]
    assert api.on("GET", "/commits").json[0]["title"] == "By form"


def test_a_commit_of_actions_answers_with_its_sums(api):
    actions = [{"action": "create", "file_path": "a.bin", "content": "AAE=", "encoding": "base64"}]
    answer = api.on("POST", "/commits", json={"commit_message": "Several", "actions": actions})
    assert answer.status_code == 201
    assert answer.json["stats"]["added"] == {"files": 1, "bytes": 2}
    assert answer.headers["Location"].endswith(answer.json["id"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/commits", {"message": "x", "actions": [{"action": "create", "file_path": "a", "content": "x"}]}),
        ("/tags", {"name": "v1", "ref": "main"}),
        ("/branches", {"name": "b", "ref": "main"}),
        ("/uploads", {}),
        ("/restore", {"ref": "v0", "path": "x"}),
    ],
)
def test_a_post_repeated_with_its_key_is_answered_as_the_first_time(api, path, body):
    """Idempotency-Key: the same commit, not two."""
    api.put("x", b"1")
    api.on("POST", "/tags", json={"name": "v0", "ref": "main"})
    api.put("x", b"2")
    headers = {"Idempotency-Key": "once"}
    first = api.on("POST", path, json=body, headers=headers)
    commits = len(api.on("GET", "/commits").json)
    again = api.on("POST", path, json=body, headers=headers)
    assert first.status_code == again.status_code == 201
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api.on("GET", "/commits").json) == commits


def test_a_dataset_created_twice_with_one_key_is_one(api):
    headers = {"Idempotency-Key": "once"}
    made = [api.ask("POST", "/datasets", json={"name": "Once"}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json["id"] == made[1].json["id"]


# History


def test_pages_of_versions_follow_their_links(api):
    for number in range(7):
        api.put("a.bin", b"%d" % number)
    whole = [row["id"] for row in api.on("GET", "/commits").json]
    first = api.on("GET", "/commits?per_page=3")
    api.put("later.bin", b"x")
    pages = [first.json, *_walk(api, _next(first))]
    assert [row["id"] for page in pages for row in page] == whole
    assert first.headers["X-Commit-Id"] == whole[0]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=2026-01-01", 200),
        ("since=2026-01-01T00:00:00", 200),
        ("until=2026-01-01T00:00:00Z", 200),
        ("since=0001-01-01T00:00:00%2B23:59", 200),
        ("until=9999-12-31T23:59:59-23:59", 200),
        ("since=yesterday", 422),
        ("author=ä", 200),
        ("path=../x", 400),
        ("ref=-x", 400),
        ("ref=main..x", 400),
        ("ref=absent", 404),
        ("cursor=x", 400),
        ("cursor=~5", 400),
        ("cursor=" + "a" * 40 + "~5", 404),
        ("cursor=" + "a" * 40 + "~²", 400),
        ("cursor=" + "a" * 40 + "~" + "9" * 400, 400),
        ("per_page=0", 422),
        ("per_page=1001", 422),
        ("per_page=x", 422),
    ],
)
def test_a_log_query_is_answered_or_refused(shared, query, status):
    assert shared.on("GET", f"/commits?{query}").status_code == status


def test_a_comparison_is_paged_by_path_and_rolled_up_by_folder(api):
    old = api.put("x", b"x").json["commit_id"]
    actions = [
        {"action": "create", "file_path": f"d{n % 3}/f & {n}.bin", "content": str(n)} for n in range(7)
    ]
    api.on("POST", "/commits", json={"message": "m", "actions": actions})
    base = f"/datasets/{api.id}/compare?from={old}&to=main&per_page=2"
    rows = [row["path"] for page in _walk(api, base) for row in page["added"]]
    assert rows == sorted(action["file_path"] for action in actions)
    folders = [row["path"] for page in _walk(api, base + "&delimiter=/") for row in page["folders"]]
    assert folders == ["d0/", "d1/", "d2/"]
    only = [row["path"] for page in _walk(api, base + "&prefix=d1/") for row in page["added"]]
    assert only == sorted(action["file_path"] for action in actions if action["file_path"][:3] == "d1/")


def test_a_revert_is_previewed_made_and_refused(api):
    wrong = api.put("a", b"1").json["commit_id"]
    preview = api.on("POST", f"/commits/{wrong}/revert", json={"dry_run": True, "branch": "main"})
    assert (preview.status_code, preview.json["changes"][0]["status"]) == (200, "removed")
    api.put("a", b"2")
    refused = api.on("POST", f"/commits/{wrong}/revert", json={"branch": "main"})
    assert (refused.status_code, refused.json["error_code"], refused.json["paths"]) == (
        400,
        "conflict",
        ["a"],
    )
    last = api.on("GET", "/commits").json[0]["id"]
    assert api.on("POST", f"/commits/{last}/revert", json={}).status_code == 201
    empty = api.on("POST", f"/commits/{last}/revert", json={})
    assert (empty.status_code, empty.json["error_code"]) == (400, "empty")


def test_a_release_is_refused_another_version(api):
    api.on("POST", "/tags", json={"tag_name": "v1", "ref": "main", "message": "Notes"})
    api.put("a", b"1")
    assert api.on("DELETE", "/tags/v1").status_code == 204
    refused = api.on("POST", "/tags", json={"name": "v1", "ref": "main", "message": "Other"})
    assert (refused.status_code, refused.json["error_code"]) == (409, "release_immutable")


def test_a_tree_is_paged_cached_and_pinned(api):
    for number in range(5):
        api.put(f"d/{number}.bin", b"x")
    pages = _walk(api, f"/datasets/{api.id}/tree?path=d&per_page=2")
    assert [row["name"] for page in pages for row in page] == [f"{n}.bin" for n in range(5)]
    whole = _walk(api, f"/datasets/{api.id}/tree?recursive=1&per_page=2")
    assert [row["path"] for page in whole for row in page] == ["README.md", *(f"d/{n}.bin" for n in range(5))]
    first = api.on("GET", "/tree")
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert api.on("GET", "/tree", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    pinned = api.on("GET", f"/tree?ref={first.headers['X-Commit-Id']}")
    assert "immutable" in pinned.headers["Cache-Control"]
    assert f"ref={first.headers['X-Commit-Id']}" in first.headers["Link"]


# Uploads


def test_an_upload_by_its_routes(api):
    files = {"a.bin": b"aaa", "b.bin": b"bb"}
    made = api.on("POST", "/uploads", json={})
    assert made.status_code == 201
    base = f"/uploads/{made.json['id']}"
    declared = [{"path": path, "md5": md5(body), "size": len(body)} for path, body in files.items()]
    answer = api.on("POST", f"{base}/files", json={"files": declared})
    assert [row["status"] for row in answer.json["files"]] == ["needed", "needed"]
    target = urlsplit(answer.json["files"][0]["upload"]["url"]).path.removeprefix(API)
    assert api.ask("PUT", target, data=b"aaa").status_code == 201
    assert api.ask("PUT", target, data=b"aaa").status_code == 200
    missing = api.on("POST", f"{base}/commit", json={"message": "Both"})
    assert (missing.status_code, missing.json["error_code"], missing.json["paths"]) == (
        409,
        "bytes_missing",
        ["b.bin"],
    )
    assert [row["path"] for row in api.on("GET", base).json["missing"]] == ["b.bin"]
    parts = {md5(b"bb"): (BytesIO(b"bb"), "x"), "0" * 32: (BytesIO(b"?"), "y")}
    refused = api.on("POST", f"{base}/objects", data=parts)
    assert (refused.status_code, refused.json["paths"]) == (400, ["0" * 32])
    done = api.on("POST", f"{base}/commit", json={"message": "Both"})
    assert (done.status_code, done.json["files"], done.json["bytes"]) == (201, 2, 5)
    assert api.on("POST", f"{base}/commit", json={"message": "Again"}).json == done.json
    assert api.on("POST", f"{base}/files", json={"files": declared}).status_code == 410
    assert api.on("DELETE", base).status_code == 204


# Hostile input

HOSTILE_PATHS = [
    "..",
    "../x",
    "%2e%2e%2fx",
    "a/../../x",
    "a//b",
    "a/./b",
    ".git/config",
    "a/.GIT/x",
    "git~1/x",
    ".dvc/config",
    "a.dvc",
    "a%00b",
    "a%0Ab",
    "a%5Cb",
    "%ff%fe",
    "a%C0%AFb",
    "%ED%A0%80",
    "con%20",
    "x.",
    "%20x",
    "a" * 300,
    "/".join("a" * 70),
    "%E2%80%A8",
    "%",
    "%zz",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_hostile_paths_are_refused_by_every_method(shared, method, path):
    """S2: refused with a reason; nothing is written outside the pool."""
    answer = shared.on(method, f"/files/{path}", data=b"x" if method == "PUT" else None)
    assert answer.status_code < 500, answer.text
    if answer.status_code < 300:
        assert shared.on("GET", f"/files/{path}").status_code == (404 if method == "DELETE" else 200)
    else:
        assert set(answer.json) >= PROBLEM


HOSTILE_REFS = [
    "-x",
    "--upload-pack=x",
    "@",
    "HEAD",
    "main~1",
    "main^",
    ":/x",
    "a..b",
    "refs/heads/main",
    "a b",
    "main@{-1}",
    "main@{x}",
    "main@{99999999}",
    "main@{2026-13-01}",
    "a\0b",
    "a\nb",
    "~",
    "~9" * 40,
    "a" * 300,
    "ä" * 200,
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "x.lock",
    "",
    "/",
    "deadbee",
    "0" * 40,
]


@pytest.mark.parametrize("ref", HOSTILE_REFS)
def test_hostile_refs_never_reach_git(shared, ref):
    """S4: 400, or the documented resolution order."""
    quoted = quote(ref)
    asked = [
        ("GET", f"/tree?ref={quoted}", None),
        ("GET", f"/commits?ref={quoted}", None),
        ("GET", f"/commits/{quoted}", None),
        ("GET", f"/compare?from={quoted}&to=main", None),
        ("POST", f"/commits/{quoted}/revert", {}),
        ("POST", "/restore", {"ref": ref}),
        ("POST", "/tags", {"name": "t", "ref": ref}),
        ("POST", "/tags", {"name": ref, "ref": "main"}),
        ("POST", "/branches", {"name": ref, "ref": "main"}),
        ("DELETE", f"/tags/{quoted}", None),
        ("DELETE", f"/branches/{quoted}", None),
        ("PUT", f"/files/x?branch={quoted}", None),
        ("POST", "/uploads", {"branch": ref}),
    ]
    for method, path, body in asked:
        answer = shared.on(method, path, json=body) if body is not None else shared.on(method, path)
        assert answer.status_code < 500, (method, path, answer.text)


def _deep(levels):
    return "[" * levels + "]" * levels


HOSTILE_BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"NaN",
    b'{"name": NaN}',
    b'{"name": 1e999}',
    b'{"name": "\\ud800"}',
    b'{"name": "a\\u0000b", "path": "x"}',
    b"\xff\xfe",
    b'{"name": "a", "name": "b", "ref": "main", "ref": "absent"}',
    b'{"unknown": 1}',
    b'{"size": ' + b"9" * 5000 + b"}",
    b'{"actions": ' + _deep(5000).encode() + b"}",
    ('{"a":' * 3000 + "1" + "}" * 3000).encode(),
    b'{"files": [{"path": "a", "md5": "' + b"0" * 32 + b'", "size": 99999999999999999999}]}',
    b'{"files": [{"path": "a", "md5": "' + b"0" * 32 + b'", "size": -1}]}',
    b'{"files": [{"path": "a", "md5": "../../etc", "size": 1}]}',
    b'{"files": [{"path": "a", "md5": "' + b"0" * 32 + b'", "size": 1, "sha256": "x"}]}',
    b'{"message": "m", "actions": [{"action": "chmod", "file_path": "a"}]}',
    b'{"message": "m", "actions": [{"action": "create", "file_path": "a", "content": "", "encoding": "x"}]}',
    b'{"message": "m", "actions": [{"action": "update", "file_path": "README.md", "content": "x"}]}',
    b'{"message": "m", "actions": [{"action": "create", "file_path": "a\\u0000", "content": "x"}]}',
    b'{"message": "m", "actions": [{"action": "create", "file_path": "a", "md5": "' + b"0" * 32 + b'"}]}',
    b'{"message": "\\u0000", "actions": [{"action": "delete", "file_path": "README.md"}]}',
    b'{"message": "", "actions": [{"action": "delete", "file_path": "README.md"}]}',
    b'{"message": "m", "parent_commit": "main", "actions": [{"action": "delete", "file_path": "README.md"}]}',
    b'{"md5": [1, null, {}], "sha256": "x"}',
    b'{"md5": ["\\u0000"]}',
    b'{"username": "a\\u0000b", "access_level": 30}',
    b'{"username": "alice", "access_level": 9999999999999999999999}',
    b'{"storage_site": 99999999999999999999999}',
    b'{"storage_site": "\\u0000"}',
    b'{"name": "x", "namespace": 99999999999999999999999}',
    b'{"name": "x", "namespace": "\\u0000"}',
    b'{"name": "x", "topics": ["\\u0000"]}',
    b'{"name": "x", "topics": "x"}',
    b'{"description": "\\u0000"}',
    b'{"visibility": "secret"}',
]
JSON_ROUTES = [
    ("POST", "/datasets"),
    ("PATCH", "/datasets/{id}"),
    ("POST", "/datasets/{id}/members"),
    ("PUT", "/datasets/{id}/storage-site"),
    ("POST", "/datasets/{id}/commits"),
    ("POST", "/datasets/{id}/commits/main/revert"),
    ("POST", "/datasets/{id}/restore"),
    ("POST", "/datasets/{id}/tags"),
    ("POST", "/datasets/{id}/branches"),
    ("POST", "/datasets/{id}/uploads"),
    ("POST", "/datasets/{id}/uploads/{upload}/files"),
    ("POST", "/datasets/{id}/uploads/{upload}/commit"),
    ("POST", "/lookup"),
]


@pytest.mark.parametrize("route", JSON_ROUTES, ids=" ".join)
def test_hostile_bodies_are_refused_with_a_problem(shared, route):
    """S11: JSON depth, wrong types, huge numbers: never a failure of the service."""
    method, path = route
    upload = shared.on("POST", "/uploads", json={}).json["id"]
    for body in HOSTILE_BODIES:
        address = path.format(id=shared.id, upload=upload)
        answer = shared.ask(method, address, data=body, content_type="application/json")
        assert answer.status_code < 500, (body[:80], answer.text)
        if answer.status_code >= 400:
            assert set(answer.json) >= PROBLEM
            assert answer.content_type == "application/problem+json"
            assert answer.headers["X-Error-Code"] == answer.json["error_code"]


@pytest.mark.parametrize("path", ["/uploads", "/tags", "/commits"])
def test_a_body_of_another_kind_is_refused(shared, path):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = shared.on("POST", path, data=b"x=1", content_type=content_type)
        assert answer.status_code in {400, 413, 415, 422}, answer.text


def _multipart(parts):
    boundary = b"--x"
    body = b"".join(
        boundary
        + b'\r\nContent-Disposition: form-data; name="'
        + name
        + b'"'
        + extra
        + b"\r\n\r\n"
        + value
        + b"\r\n"
        for name, extra, value in parts
    )
    return body + boundary + b"--\r\n"


HOSTILE_FORMS = {
    "hundred thousand fields": _multipart([(b"f", b"", b"1")] * 100_000),
    "no file": _multipart([(b"message", b"", b"x")]),
    "no end": _multipart([(b"files", b'; filename="a"', b"x")])[:-10],
    "not a form": b"x" * 1000,
    "nothing": b"",
    "a long field": _multipart([(b"message", b"", b"x" * 100_000), (b"files", b'; filename="a"', b"x")]),
    "a field that is not utf-8": _multipart([(b"folder", b"", b"\xff"), (b"files", b'; filename="a"', b"x")]),
    "a name that is not utf-8": _multipart([(b"files", b'; filename="\xff\xfe"', b"x")]),
    "a name that climbs": _multipart([(b"files", b'; filename="../../x"', b"x")]),
    "a name with nul": _multipart([(b"files", b'; filename="a\0b"', b"x")]),
    "a long header": _multipart([(b"files", b'; filename="' + b"a" * 100_000 + b'"', b"x")]),
    "another part": _multipart([(b"other", b'; filename="a"', b"x")]),
    "a file without name": _multipart([(b"files", b"", b"x")]),
    "a bad branch": _multipart([(b"branch", b"", b"--x"), (b"files", b'; filename="a"', b"x")]),
}


@pytest.mark.parametrize("name", HOSTILE_FORMS)
@pytest.mark.parametrize("path", ["/files", "/uploads/{upload}/objects"])
def test_hostile_forms_change_nothing(shared, path, name):
    upload = shared.on("POST", "/uploads", json={}).json["id"]
    commits = shared.on("GET", "/commits").json
    answer = shared.on(
        "POST",
        path.format(upload=upload),
        data=HOSTILE_FORMS[name],
        content_type="multipart/form-data; boundary=x",
    )
    assert 400 <= answer.status_code < 500 or answer.json == {"stored": []}, answer.text
    assert shared.on("GET", "/commits").json == commits


@pytest.mark.parametrize(
    "query",
    [
        "path=%00",
        "path=%ff",
        "path=..",
        "per_page=99999999999999999999",
        "per_page=-1",
        "cursor=%00%ff",
        "cursor=../..",
        "recursive=maybe",
        "recursive=1&cursor=a/../../b",
        "recursive=1&cursor=README.md/x/y",
        "cursor=" + "a/" * 2000,
        "ref=%ff",
        "path=README.md",
    ],
)
def test_hostile_tree_queries_are_answered_or_refused(shared, query):
    assert shared.on("GET", f"/tree?{query}").status_code < 500


@pytest.mark.parametrize(
    "address", ["9" * 19, "9" * 5000, "0", "%00", "a%00/b", "%ff/x", "a/" + "b" * 3000, "²/x", "٣"]
)
def test_hostile_addresses_are_missing(shared, address):
    answer = shared.ask("GET", f"/datasets/{address}")
    assert answer.status_code == 404
    assert len(answer.headers["X-Error-Message"]) <= 200


@pytest.mark.parametrize(
    "query",
    [
        "search=%00",
        "search=" + "%25" * 150,
        "topic=%00",
        "visibility=x",
        "namespace=%00",
        "namespace=99999999999999999999",
        "storage_site=%00",
        "storage_site=99999999999999999999",
        "sort=x",
        "sort=name;drop",
        "facets=maybe",
        "search=%ff",
    ],
)
def test_hostile_list_queries_are_answered_or_refused(shared, query):
    assert shared.ask("GET", f"/datasets?{query}").status_code < 500


# Generated requests

_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        ["main", "a.bin", "..", "0" * 32, "0" * 40, "create", "base64", "local", "alice", "private"]
    ),
)
_NESTED = st.recursive(
    _VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _object_of(schema, schemas):
    """Return a strategy for what a schema describes, half right and half wrong."""
    name = schema.get("$ref", "").rpartition("/")[2]
    properties = schemas[name].get("properties", {}) if name else schema.get("properties", {})
    return st.fixed_dictionaries({}, optional=dict.fromkeys(properties, _NESTED)) | _NESTED


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_generated_requests_never_make_the_service_fail(shared, data):
    """promises.md §3: 0 answers >= 500; every operation of the document is asked with generated parts."""
    document = shared.ask("GET", "/openapi.json").json
    for path, operations in document["paths"].items():
        if not path.startswith(f"{API}/datasets") and not path.endswith("/lookup"):
            continue
        for method, operation in operations.items():
            if method not in {"get", "post", "put", "patch", "delete"} or (method, path.count("/")) == (
                "delete",
                4,
            ):
                continue
            _ask_generated(shared, data, method, path, operation, document["components"]["schemas"])


def _ask_generated(api, data, method, path, operation, schemas):
    address, query = path, {}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            part = (
                str(api.id) if parameter["name"] == "dataset" else data.draw(st.text(min_size=1, max_size=12))
            )
            address = address.replace("{" + parameter["name"] + "}", quote(part, safe=""))
        elif parameter["in"] == "query" and data.draw(st.booleans()):
            query[parameter["name"]] = str(data.draw(_VALUES))
    options = {}
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        options["data"] = json.dumps(data.draw(_object_of(content["application/json"]["schema"], schemas)))
        options["content_type"] = "application/json"
    answer = api.ask(method.upper(), address.removeprefix(API), query_string=query, **options)
    assert answer.status_code < 500, (method, address, query, options, answer.text)
