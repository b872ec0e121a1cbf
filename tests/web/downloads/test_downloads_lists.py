import hashlib
import json
import shutil
import subprocess

import pytest


def rows(answer):
    return [json.loads(line) for line in answer.data.splitlines()]


def expected_row(path, content):
    return {
        "path": path,
        "size": len(content),
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_a_manifest_lists_every_file_once_with_its_hashes(settled):
    answer = settled.get("manifest")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["X-Commit-Id"] == settled.head
    assert rows(answer) == [expected_row(path, settled.contents[path]) for path in sorted(settled.contents)]


def test_a_second_manifest_says_the_same(settled):
    assert settled.get("manifest").data == settled.get(f"manifest?ref={settled.head}").data


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("path=images", ["images/a b.png", "images/empty.bin", "images/größe/細胞.tif"]),
        ("path=/images/größe/", ["images/größe/細胞.tif"]),
        ("path=README.md", ["README.md"]),
    ],
)
def test_a_manifest_of_a_folder_or_file(settled, query, paths):
    assert [row["path"] for row in rows(settled.get(f"manifest?{query}"))] == paths


def test_a_manifest_of_an_earlier_version_is_that_version(settled):
    assert [row["path"] for row in rows(settled.get(f"manifest?ref={settled.commits[0]}"))] == ["README.md"]


@pytest.mark.parametrize("route", ["manifest", "SHA256SUMS", "MD5SUMS", "archive.zip", "archive.tar"])
def test_a_path_that_is_not_there_is_404(settled, route):
    assert settled.get(f"{route}?path=none").json["error_code"] == "path_not_found"


@pytest.mark.parametrize("route", ["manifest", "SHA256SUMS", "MD5SUMS", "archive.zip", "archive.tar"])
def test_lists_and_archives_are_hidden_from_strangers_and_never_inline(settled, route):
    etag = settled.get(route).headers["ETag"]
    hidden = settled.get(route, token=settled.strangers_token, headers={"If-None-Match": etag})
    assert hidden.status_code == 404
    same = settled.get(route, headers={"If-None-Match": etag})
    assert (same.status_code, same.data) == (304, b"")
    assert settled.get(route).headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in settled.get(route).headers["Content-Security-Policy"]


@pytest.mark.parametrize("route", ["manifest", "SHA256SUMS", "MD5SUMS", "archive.zip", "archive.tar"])
def test_head_of_a_list_or_archive_has_no_body(settled, route):
    get, head = settled.get(route), settled.get(route, method="HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == get.headers["ETag"]


def test_a_manifest_is_never_cached_for_ever_since_damage_may_be_found(filled):
    before = filled.get(f"manifest?ref={filled.head}")
    assert before.headers["Cache-Control"] == "private, no-cache"
    filled.damage(filled.contents["images/a b.png"])
    answer = filled.get(f"manifest?ref={filled.head}", headers={"If-None-Match": before.headers["ETag"]})
    assert answer.status_code == 200
    problems = {row["path"]: row["problem"] for row in rows(answer) if "problem" in row}
    assert list(problems) == ["images/a b.png"]


@pytest.mark.parametrize(("route", "tool"), [("SHA256SUMS", "sha256sum"), ("MD5SUMS", "md5sum")])
@pytest.mark.skipif(not shutil.which("sha256sum"), reason="coreutils are not installed")
def test_coreutils_verify_a_copy_with_the_list(settled, tmp_path, route, tool):
    for path, content in settled.contents.items():
        target = tmp_path / "copy" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    (tmp_path / route).write_bytes(settled.get(route).data)
    done = subprocess.run(
        [tool, "--strict", "--quiet", "-c", tmp_path / route],
        check=False,
        cwd=tmp_path / "copy",
        capture_output=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("route", ["SHA256SUMS", "archive.zip", "archive.tar"])
@pytest.mark.parametrize("is_known_before", [True, False])
def test_what_cannot_be_complete_is_410_naming_the_paths(filled, route, is_known_before):
    if is_known_before:
        assert filled.get(route).status_code == 200
    filled.damage(filled.contents["images/a b.png"])
    filled.damage(filled.contents["labels/train.csv"])
    answer = filled.get(route)
    assert (answer.status_code, answer.json["error_code"]) == (410, "object_gone")
    assert answer.json["paths"] == ["images/a b.png", "labels/train.csv"]
