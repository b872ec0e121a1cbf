"""The commands against the real service."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def filled(cairn, dataset, sample):
    """A dataset with one commit of the sample, tagged v0.1.0."""
    assert cairn("upload", dataset, sample, "--message", "First").code == 0
    assert cairn("tag", dataset, "v0.1.0", "--message", "First release").code == 0
    return dataset


def test_what_is_uploaded_comes_back_identical(cairn, filled, sample, tmp_path):
    done = cairn("download", filled, "--output", tmp_path / "out")
    assert done.code == 0, done.stderr
    assert done.last_line == str(tmp_path / "out")
    assert tree(tmp_path / "out") == tree(sample)


def test_the_form_that_users_know_with_and_without_a_leading_slash(cairn, filled, sample, tmp_path):
    number = cairn("datasets", "info", filled, "--json").json()["id"]
    done = cairn(
        *("download", "--project-id", number, "--ref", "v0.1.0", "--output", tmp_path / "out"),
        *("a.jpg", "/dataset/x/a.jpg"),
    )
    assert done.code == 0, done.stderr
    wanted = ("a.jpg", "dataset/x/a.jpg")
    assert tree(tmp_path / "out") == {path: tree(sample)[path] for path in wanted}
    assert done.last_line == str(tmp_path / "out")


def test_many_small_files_arrive_through_one_archive(cairn, dataset, tmp_path):
    for number in range(300):
        path = tmp_path / "in" / str(number % 7) / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number))
    assert cairn("upload", dataset, tmp_path / "in", "-m", "many").code == 0
    done = cairn("download", dataset, "-o", tmp_path / "out", "--json")
    assert len(done.json()["fetched"]) == 300
    assert tree(tmp_path / "out") == tree(tmp_path / "in")


def test_a_tag_is_a_pin(cairn, filled, sample, tmp_path):
    (sample / "a.jpg").write_bytes(b"changed")
    assert cairn("upload", filled, sample, "-m", "Second").code == 0
    assert cairn("download", f"ds://{filled}@v0.1.0/a.jpg", "-o", tmp_path / "old").code == 0
    assert cairn("download", filled, "a.jpg", "-o", tmp_path / "new").code == 0
    assert (tmp_path / "old" / "a.jpg").stat().st_size == 3000
    assert (tmp_path / "new" / "a.jpg").read_bytes() == b"changed"


def test_a_second_upload_sends_only_what_is_new(cairn, filled, sample):
    (sample / "new.bin").write_bytes(b"new")
    done = cairn("upload", filled, sample, "-m", "Second", "--json")
    assert done.json()["sent"] == {"files": 1, "bytes": 3}


def test_an_upload_of_the_same_again_makes_no_commit(cairn, filled, sample):
    before = len(cairn("log", filled, "--json").json())
    assert cairn("upload", filled, sample, "-m", "Again").code == 0
    assert len(cairn("log", filled, "--json").json()) == before


def test_ls_log_diff_status_and_verify_agree(cairn, filled, sample, tmp_path):
    (sample / "a.jpg").write_bytes(b"changed")
    (sample / "new.bin").write_bytes(b"new")
    (sample / "empty.bin").unlink()
    assert cairn("status", filled, sample).stdout.splitlines() == ["M a.jpg", "D empty.bin", "A new.bin"]
    assert cairn("verify", filled, sample).code == 3
    assert cairn("upload", filled, sample, "-m", "Second").code == 0
    assert cairn("rm", filled, "empty.bin", "-m", "Third").code == 0
    assert cairn("verify", filled, sample).code == 0
    present = {"README.md", "a.jpg", "dataset/", "large.bin", "new.bin"}
    assert set(cairn("ls", filled).stdout.splitlines()) == present
    assert cairn("ls", filled, "dataset", "-r").stdout.splitlines()[0] == "dataset/x/a.jpg"
    assert cairn("diff", filled, "v0.1.0").stdout.splitlines() == ["M a.jpg", "D empty.bin", "A new.bin"]
    titles = [row["title"] for row in cairn("log", filled, "--json").json()]
    assert titles[:3] == ["Third", "Second", "First"]


def test_mv_renames_files_and_folders(cairn, filled, sample):
    assert cairn("mv", filled, "a.jpg", "moved/", "-m", "file").code == 0
    assert cairn("mv", filled, "dataset/x", "train", "-m", "folder").code == 0
    listed = cairn("ls", filled, "-r").stdout.splitlines()
    assert {"moved/a.jpg", "train/a.jpg", "train/\u00e4 % #?&+.jpg"} <= set(listed)
    assert "a.jpg" not in listed


def test_rm_of_several_paths_is_one_commit(cairn, filled):
    before = len(cairn("log", filled, "--json").json())
    assert cairn("rm", filled, "a.jpg", "dataset", "-m", "x").code == 2
    done = cairn("rm", filled, "a.jpg", "dataset", "-r", "-m", "x")
    assert done.code == 0, done.stderr
    assert set(cairn("ls", filled).stdout.splitlines()) == {"README.md", "empty.bin", "large.bin"}
    assert len(cairn("log", filled, "--json").json()) == before + 1


def test_revert_and_restore_bring_back(cairn, filled):
    removed = cairn("rm", filled, "dataset", "-r", "-m", "x").last_line
    assert cairn("restore", filled, "dataset", "--ref", "v0.1.0").code == 0
    assert "dataset/" in cairn("ls", filled).stdout
    assert cairn("rm", filled, "a.jpg", "-m", "y").code == 0
    last = cairn("log", filled, "--json").json()[0]["id"]
    assert cairn("revert", filled, last, "--dry-run").code == 0
    assert "a.jpg" not in cairn("ls", filled).stdout.splitlines()
    assert cairn("revert", filled, last).code == 0
    assert "a.jpg" in cairn("ls", filled).stdout.splitlines()
    assert removed


def test_tags_are_listed_made_and_deleted(cairn, filled):
    assert cairn("tag", filled, "draft").code == 0
    assert set(cairn("tag", filled).stdout.split()) == {"v0.1.0", "draft"}
    assert cairn("tag", filled, "draft", "--delete").code == 0
    assert cairn("tag", filled).stdout.split() == ["v0.1.0"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_unpacks_to_the_version(cairn, filled, sample, tmp_path, kind):
    target = tmp_path / f"all.{kind}"
    assert cairn("archive", filled, "-o", target, "--format", kind).last_line == str(target)
    shutil.unpack_archive(target, tmp_path / "out", **({"filter": "data"} if kind == "tar" else {}))
    assert status.stdout == b""
    subprocess.run(["dvc", "pull", "-q"], cwd=tmp_path / "clone", check=True, env=quiet)
    assert (tmp_path / "clone" / "a.jpg").read_bytes() == (sample / "a.jpg").read_bytes()
