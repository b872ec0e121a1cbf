import hashlib
from base64 import b64encode
from dataclasses import replace

import pytest

from app import create_app

FILE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Accept-Ranges": "bytes",
}


def quoted_md5(content):
    return f'"{hashlib.md5(content).hexdigest()}"'


# Bytes and headers


@pytest.mark.parametrize("path", ["README.md", "images/a b.png", "images/größe/細胞.tif", "images/empty.bin"])
def test_a_file_is_sent_with_all_its_headers(settled, path):
    content = settled.contents[path]
    answer = settled.get(f"files/{path}")
    assert answer.status_code == 200
    assert answer.data == content
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["ETag"] == quoted_md5(content)
    digest = b64encode(hashlib.sha256(content).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert answer.headers["X-Commit-Id"] == answer.headers["X-Repo-Commit"] == settled.head
    assert f'ref={settled.head}>; rel="canonical"' in answer.headers["Link"]
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert FILE_HEADERS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("path", ["README.md", "images/a b.png", "images/empty.bin"])
def test_head_answers_what_get_does_without_the_bytes(settled, path):
    get, head = settled.get(f"files/{path}"), settled.get(f"files/{path}", method="HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert without_request_id(head) == without_request_id(get)


def without_request_id(answer):
    return {
        name: value for name, value in answer.headers if name not in {"X-Request-Id", "Date", "Server-Timing"}
    }


def test_a_large_file_is_streamed_whole_and_in_part(place):
    content = bytes(range(251)) * 20_000
    place.put("large.bin", content)
    assert place.get("files/large.bin").data == content
    part = place.get("files/large.bin", headers={"Range": "bytes=1000000-4999999"})
    assert part.data == content[1_000_000:5_000_000]


@pytest.mark.parametrize(
    "typed",
    [
        "files/images/a%20b.png",
        "files//images/a%20b.png",
        "files/images%2Fa%20b.png",
        "files/%2Fimages/a%20b.png",
        "files/images/a%20b.png/",
    ],
)
def test_every_way_to_write_a_path_leads_to_the_file(settled, typed):
    assert settled.get(typed).data == settled.contents["images/a b.png"]


def test_a_dataset_is_found_by_its_path_too(settled):
    for address in ("alice%2Fcells", "alice/cells"):
        answer = settled.client.get(
            f"/api/v1/datasets/{address}/files/README.md", headers={"PRIVATE-TOKEN": settled.token}
        )
        assert answer.data == settled.contents["README.md"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("files/none.png", 404, "path_not_found"),
        ("files/images/none.png", 404, "path_not_found"),
        ("files/README.md/below", 404, "path_not_found"),
        ("files/images", 400, "is_folder"),
        ("files/", 400, "is_folder"),
        ("files/images/../README.md", 400, "invalid_path"),
        ("files/images/%2e%2e/README.md", 400, "invalid_path"),
        ("files/a%00b", 400, "invalid_path"),
        ("files/a%5Cb", 400, "invalid_path"),
        ("files/.git/config", 400, "invalid_path"),
        ("files/images//a%20b.png", 400, "invalid_path"),
        ("files/README.md?ref=none", 404, "ref_not_found"),
        ("files/README.md?ref=--upload-pack=x", 400, "invalid_ref"),
        ("files/README.md?ref=main~1", 400, "invalid_ref"),
        ("files/README.md?ref=refs/heads/main", 400, "invalid_ref"),
        ("files/README.md?ref=" + "1" * 40, 404, "ref_not_found"),
    ],
)
def test_what_is_not_there_or_malformed_is_refused_with_a_code(settled, path, status, code):
    answer = settled.get(path)
    assert (answer.status_code, answer.json["error_code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_refusal_of_a_folder_names_the_archive(settled):
    assert "archive.zip" in settled.get("files/images").json["detail"]


# Refs


def test_every_form_of_ref_is_pinned_to_its_commit(place):
    first = place.put("a.bin", b"one")
    place.tag("v0.1.0", first)
    second = place.put("a.bin", b"two")
    place.tag("v0.1.1", second)
    third = place.put("a.bin", b"three")
    expected = {
        "": (third, b"three"),
        "?ref=main": (third, b"three"),
        f"?ref={first}": (first, b"one"),
        f"?ref={second[:10]}": (second, b"two"),
        "?ref=v0.1.0": (first, b"one"),
        "?ref=latest": (second, b"two"),
        "?ref=~0.1": (second, b"two"),
        "?ref=main@{2999-01-01}": (third, b"three"),
    }
    found = {}
    for query in expected:
        answer = place.get(f"files/a.bin{query}")
        found[query] = (answer.headers["X-Commit-Id"], answer.data)
    assert found == expected


# Caching and conditions


def test_only_a_full_commit_id_is_cached_for_ever(settled):
    def control(query):
        return settled.get(f"files/README.md{query}").headers["Cache-Control"]

    assert control("") == control("?ref=main") == control(f"?ref={settled.head[:12]}") == "private, no-cache"
    assert control(f"?ref={settled.head}") == "private, max-age=31536000, immutable"


def test_a_public_dataset_may_be_cached_by_anybody(filled):
    filled.publish()
    answer = filled.get(f"files/README.md?ref={filled.head}", token=None)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in answer.headers
    assert "PRIVATE-TOKEN" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["README.md", "images/a b.png"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_holds_is_not_sent_again(settled, path, method):
    etag = quoted_md5(settled.contents[path])
    answer = settled.get(f"files/{path}", method=method, headers={"If-None-Match": f'"other", {etag}'})
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert answer.headers["X-Commit-Id"] == settled.head


def test_the_permission_is_checked_before_304(settled):
    etag = quoted_md5(settled.contents["README.md"])
    answer = settled.get("files/README.md", token=settled.strangers_token, headers={"If-None-Match": etag})
    assert answer.status_code == 404


@pytest.mark.parametrize("token", [None, "bob"])
def test_an_invisible_dataset_is_a_missing_one(settled, bob, token):
    as_bob = settled.strangers_token if token else None
    hidden = settled.get("files/README.md", token=as_bob)
    missing = settled.client.get(
        f"/api/v1/datasets/{settled.id + 999}/files/README.md",
        headers={"PRIVATE-TOKEN": as_bob} if as_bob else {},
    )
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json["error_code"] == missing.json["error_code"]


# Ranges


@pytest.mark.parametrize("path", ["README.md", "images/a b.png"])
@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, None),
        ("bytes=-7", -7, None),
        ("bytes=3-9", 3, 10),
        ("bytes=3-999999999", 3, None),
        ("bytes=3-4,8-9", 3, 5),
    ],
)
def test_a_range_is_answered_with_206(settled, path, header, start, stop):
    content = settled.contents[path]
    answer = settled.get(f"files/{path}", headers={"Range": header})
    expected = content[start:stop]
    assert (answer.status_code, answer.data) == (206, expected)
    first = start % len(content)
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(content)}"
    assert answer.headers["Content-Length"] == str(len(expected))
    assert answer.headers["ETag"] == quoted_md5(content)


@pytest.mark.parametrize("path", ["README.md", "images/empty.bin"])
def test_a_range_outside_is_416_with_the_size(settled, path):
    answer = settled.get(f"files/{path}", headers={"Range": "bytes=999999-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(settled.contents[path])}"
    assert answer.json["error_code"] == "range_not_satisfiable"


@pytest.mark.parametrize("header", ["bytes=9-3", "bytes=x-y", "pages=1-2", "bytes"])
def test_a_malformed_range_is_ignored(settled, header):
    answer = settled.get("files/README.md", headers={"Range": header})
    assert (answer.status_code, answer.data) == (200, settled.contents["README.md"])


def test_a_range_of_head_is_ignored(settled):
    answer = settled.get("files/README.md", method="HEAD", headers={"Range": "bytes=0-3"})
    assert answer.status_code == 200


def test_if_range_resumes_only_what_did_not_change(settled):
    content = settled.contents["images/a b.png"]
    same = settled.get("files/images/a b.png", headers={"Range": "bytes=9-", "If-Range": quoted_md5(content)})
    assert (same.status_code, same.data) == (206, content[9:])
    for other in ('"0123"', f"W/{quoted_md5(content)}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        whole = settled.get("files/images/a b.png", headers={"Range": "bytes=9-", "If-Range": other})
        assert (whole.status_code, whole.data) == (200, content)


# Names and active content


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("page.html", "application/octet-stream"),
        ("page.xhtml", "application/octet-stream"),
        ("drawing.svg", "application/octet-stream"),
        ("feed.xml", "application/octet-stream"),
        ("code.js", "application/octet-stream"),
        ("style.css", "application/octet-stream"),
        ("paper.pdf", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("noname", "application/octet-stream"),
        ("image.png", "image/png"),
        ("table.csv", "text/csv; charset=utf-8"),
    ],
)
def test_nothing_is_sent_as_a_type_that_a_browser_runs(place, name, media_type):
    place.put(name, b"<script>alert(1)</script>")
    answer = place.get(f"files/{name}")
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert FILE_HEADERS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ("größe.png", "attachment; filename=\"gr__e.png\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.png"),
        ('a";x="b.png', "attachment; filename=\"a_;x=_b.png\"; filename*=UTF-8''a%22%3Bx%3D%22b.png"),
        ("<b>.png", "attachment; filename=\"_b_.png\"; filename*=UTF-8''%3Cb%3E.png"),
    ],
)
def test_a_hostile_name_stays_in_its_header_field(place, name, disposition):
    place.put(f"folder/{name}", b"x")
    assert place.get(f"files/folder/{name}").headers["Content-Disposition"] == disposition


# Bytes that cannot be had


def test_known_damage_is_410_and_never_wrong_bytes(filled):
    content = filled.contents["images/a b.png"]
    filled.damage(content)
    for method in ("GET", "HEAD"):
        answer = filled.get("files/images/a b.png", method=method)
        assert answer.status_code == 410
        assert answer.headers["X-Error-Code"] == "object_gone"
        assert answer.headers["Cache-Control"] == "no-store"
    assert filled.get("files/images/a b.png").json["paths"] == ["images/a b.png"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_object_that_the_store_lost_is_410(filled, method):
    filled.object_path(filled.contents["images/a b.png"]).unlink()
    answer = filled.get("files/images/a b.png", method=method)
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (410, "object_gone")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_object_that_the_store_cut_short_is_410(filled, method):
    path = filled.object_path(filled.contents["images/a b.png"])
    path.chmod(0o644)
    path.write_bytes(b"cut")
    answer = filled.get("files/images/a b.png", method=method)
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (410, "object_gone")


def test_uploading_the_right_bytes_heals(filled):
    content = filled.contents["images/a b.png"]
    filled.object_path(content).unlink()
    filled.damage(content)
    filled.put("images/a b.png", content)
    assert filled.get("files/images/a b.png").data == content


# A web server in front


@pytest.fixture
def accelerated(config, services, filled):
    settings = replace(config, accel_prefix="/_objects")
    filled.client = create_app(settings, replace(services, config=settings)).test_client()
    return filled


def test_a_web_server_in_front_is_told_which_file_to_send(accelerated):
    content = accelerated.contents["images/a b.png"]
    address = hashlib.md5(content).hexdigest()
    answer = accelerated.get("files/images/a b.png")
    assert answer.data == b""
    expected = f"/_objects/{accelerated.id}/files/md5/{address[:2]}/{address[2:]}"
    assert answer.headers["X-Accel-Redirect"] == expected
    assert answer.headers["ETag"] == quoted_md5(content)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a b.png"'


def test_text_conditions_and_losses_are_answered_here_even_then(accelerated):
    content = accelerated.contents["images/a b.png"]
    assert accelerated.get("files/README.md").data == accelerated.contents["README.md"]
    resumed = {"Range": "bytes=9-", "If-Range": quoted_md5(content)}
    assert accelerated.get("files/images/a b.png", headers=resumed).data == content[9:]
    accelerated.object_path(content).unlink()
    assert accelerated.get("files/images/a b.png").status_code == 410


def test_an_unbound_dataset_has_text_but_no_bytes(client, alice):
    headers = {"PRIVATE-TOKEN": alice[1]}
    made = client.post("/api/v1/datasets", json={"name": "Unbound"}, headers=headers).json["id"]
    assert client.get(f"/api/v1/datasets/{made}/files/README.md", headers=headers).data == b"# Unbound\n"
    archive = client.get(f"/api/v1/datasets/{made}/archive.zip", headers=headers)
    assert archive.status_code == 200
