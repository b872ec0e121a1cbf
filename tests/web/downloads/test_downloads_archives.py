import io
import subprocess
import tarfile
import zipfile

import pytest


def unzipped(answer):
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}


def untarred(answer):
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.data)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}


UNPACK = {"zip": unzipped, "tar": untarred}


@pytest.mark.parametrize("kind", UNPACK)
def test_an_archive_holds_the_version_at_its_own_paths(settled, kind):
    assert UNPACK[kind](settled.get(f"archive.{kind}")) == settled.contents


@pytest.mark.parametrize(("kind", "media_type"), [("zip", "application/zip"), ("tar", "application/x-tar")])
def test_an_archive_says_its_size_name_and_commit(settled, kind, media_type):
    answer = settled.get(f"archive.{kind}")
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Content-Disposition"] == f'attachment; filename="cells-main.{kind}"'
    assert answer.headers["X-Commit-Id"] == settled.head
    assert answer.headers["Cache-Control"] == "private, no-cache"
    head = settled.get(f"archive.{kind}", method="HEAD")
    assert head.headers["Content-Length"] == str(len(answer.data))
    pinned = settled.get(f"archive.{kind}?ref={settled.head}")
    assert pinned.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert pinned.data == answer.data


@pytest.mark.parametrize("kind", UNPACK)
def test_a_broken_download_resumes(settled, kind):
    whole = settled.get(f"archive.{kind}")
    etag = whole.headers["ETag"]
    for start in (1, 100, len(whole.data) // 2, len(whole.data) - 1):
        rest = settled.get(f"archive.{kind}", headers={"Range": f"bytes={start}-", "If-Range": etag})
        assert rest.status_code == 206
        assert rest.data == whole.data[start:]
        assert rest.headers["Content-Range"] == f"bytes {start}-{len(whole.data) - 1}/{len(whole.data)}"


def test_another_version_is_not_resumed(settled):
    etag = settled.get(f"archive.tar?ref={settled.commits[0]}").headers["ETag"]
    answer = settled.get("archive.tar", headers={"Range": "bytes=9-", "If-Range": etag})
    assert answer.status_code == 200


def test_a_range_outside_of_an_archive_is_416(settled):
    answer = settled.get("archive.zip", headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"].startswith("bytes */")


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("path=images", ["images/a b.png", "images/empty.bin", "images/größe/細胞.tif"]),
        ("path=README.md", ["README.md"]),
        ("include=*.png", ["images/a b.png"]),
        ("include=*.png&include=labels", ["images/a b.png", "labels/train.csv"]),
        ("include=images/**&exclude=*.tif", ["images/a b.png", "images/empty.bin"]),
        ("exclude=images", ["README.md", "labels/train.csv"]),
        ("path=images&include=größe", []),
        ("include=none", []),
    ],
)
@pytest.mark.parametrize("kind", UNPACK)
def test_an_archive_takes_what_was_asked_for(settled, kind, query, paths):
    found = UNPACK[kind](settled.get(f"archive.{kind}?{query}"))
    assert found == {path: settled.contents[path] for path in paths}


@pytest.mark.parametrize("kind", UNPACK)
def test_from_packs_only_what_was_added_or_changed(place, kind):
    place.put("same.bin", b"same")
    place.put("gone.bin", b"gone")
    place.put("notes.md", b"old")
    since = place.put("folder/changed.bin", b"old")
    place.put("folder/changed.bin", b"new")
    place.put("folder/added.bin", b"added")
    place.put("notes.md", b"new")
    place.delete("gone.bin")
    expected = {"folder/changed.bin": b"new", "folder/added.bin": b"added", "notes.md": b"new"}
    assert UNPACK[kind](place.get(f"archive.{kind}?from={since}")) == expected
    below = UNPACK[kind](place.get(f"archive.{kind}?from={since}&path=folder&exclude=added.bin"))
    assert below == {"folder/changed.bin": b"new"}
    assert UNPACK[kind](place.get(f"archive.{kind}?from=main")) == {}


def test_from_a_version_that_is_not_there_is_404(settled):
    assert settled.get("archive.zip?from=none").json["error_code"] == "ref_not_found"


def test_an_unknown_content_is_refused(settled):
    assert settled.get("archive.zip?content=everything").status_code == 422


def test_pointers_are_the_repository_itself(settled):
    found = unzipped(settled.get("archive.zip?content=pointers"))
    assert found["README.md"] == settled.contents["README.md"]
    assert b"outs:" in found["images/a b.png.dvc"]
    assert b"url = " in found[".dvc/config"]
    assert "images/a b.png" not in found


def test_pointers_of_a_selection_bring_dvcs_settings_along(settled):
    found = unzipped(settled.get("archive.zip?content=pointers&path=images&include=*.png"))
    assert {path for path in found if not path.startswith(".dvc/")} == {"images/a b.png.dvc"}
    assert ".dvc/config" in found


def test_pointers_since_a_version_are_those_that_changed(settled):
    found = unzipped(settled.get(f"archive.zip?content=pointers&from={settled.commits[0]}"))
    assert "README.md" not in found
    assert "labels/train.csv.dvc" in found


def test_pointers_unpacked_are_a_repository_that_git_takes(settled, tmp_path):
    (tmp_path / "a.tar").write_bytes(settled.get("archive.tar?content=pointers").data)
    (tmp_path / "copy").mkdir()
    subprocess.run(["tar", "xf", tmp_path / "a.tar", "-C", tmp_path / "copy"], check=True)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=tmp_path / "copy", check=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=tmp_path / "copy", check=True, capture_output=True
    ).stdout.decode()
    assert "images/größe/細胞.tif.dvc" in listed.split("\0")


def test_an_archive_of_bytes_that_the_store_lost_is_410(filled):
    filled.object_path(filled.contents["images/a b.png"]).unlink()
    answer = filled.get("archive.tar")
    assert (answer.status_code, answer.json["error_code"]) == (410, "object_gone")
    assert answer.json["paths"] == ["images/a b.png"]
    without = filled.get("archive.tar?exclude=*.png")
    assert "images/a b.png" not in untarred(without)


def test_the_same_archive_from_another_process_is_the_same(filled, config):
    from app import create_app
    from app.services import build

    first = filled.get("archive.zip")
    other = build(config)
    filled.client = create_app(config, other).test_client()
    second = filled.get("archive.zip")
    other.close()
    assert (second.data, second.headers["ETag"]) == (first.data, first.headers["ETag"])
