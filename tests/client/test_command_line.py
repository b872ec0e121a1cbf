"""The commands against the real service."""

import os
import shutil
import subprocess
import sys
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
    assert done.code == 0, done.stderr
    # A new dataset may have a README of its own.
    assert tree(tmp_path / "out").items() >= tree(tmp_path / "in").items()


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
    assert tree(tmp_path / "out") == tree(sample)


def test_whence_finds_the_dataset(cairn, filled, sample):
    done = cairn("whence", sample / "a.jpg")
    assert done.code == 0, done.stderr
    assert f"{filled}\ta.jpg" in done.stdout


def test_sites_are_listed_and_checked(cairn):
    assert "local" in cairn("sites", "ls").stdout
    assert cairn("sites", "check", "local").code == 0


def test_a_dataset_is_bound_once(cairn):
    path = cairn("datasets", "create", "unbound", "--json").json()["path_with_namespace"]
    assert cairn("sites", "bind", path, "local").code == 0
    assert cairn("sites", "bind", path, "local").code == 0
    assert path in cairn("datasets", "ls").stdout


def test_a_project_pins_the_dataset(cairn, filled):
    done = cairn("project", "start", filled, "study", "--ref", "v0.1.0", "--json")
    assert done.code == 0, done.stderr


def test_login_is_remembered(cairn, live):
    environ = {"CAIRN_ENDPOINT": live.url}
    assert cairn("whoami", environ=environ).code == 4
    assert cairn("login", environ=environ, stdin=f"{live.token}\n").code == 0
    assert cairn("whoami", environ={}).stdout == "admin\n"


def test_a_wrong_token_is_not_allowed(cairn, live):
    wrong = {"CAIRN_ENDPOINT": live.url, "CAIRN_TOKEN": "wrong"}
    assert cairn("whoami", environ=wrong).code == 4
    assert cairn("login", environ={"CAIRN_ENDPOINT": live.url}, stdin="wrong\n").code == 4


def test_what_does_not_exist_is_exit_code_5(cairn, filled, tmp_path):
    out = tmp_path / "out"
    assert cairn("download", "nobody/nothing", "-o", out).code == 5
    assert cairn("download", filled, "no/such/file", "-o", out).code == 5
    assert cairn("download", filled, "--ref", "no-such-tag", "-o", out).code == 5
    assert not out.exists()


def test_dvc_pulls_a_clone_after_dvc_login(cairn, live, filled, sample, tmp_path):
    url = cairn("datasets", "info", filled, "--json").json()["clone_url"]
    authorised = url.replace("://", f"://user:{live.token}@")
    quiet = {**os.environ, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "DVC_NO_ANALYTICS": "1"}
    subprocess.run(["git", "clone", "-q", authorised, tmp_path / "clone"], check=True, env=quiet)
    assert cairn("dvc-login", tmp_path / "clone").code == 0
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path / "clone", env=quiet, capture_output=True, check=True
    )
    assert status.stdout == b""
    pull = [sys.executable, "-m", "dvc", "pull", "-q"]
    subprocess.run(pull, cwd=tmp_path / "clone", check=True, env=quiet)
    assert (tmp_path / "clone" / "a.jpg").read_bytes() == (sample / "a.jpg").read_bytes()
