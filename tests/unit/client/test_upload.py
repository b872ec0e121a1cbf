import hashlib
import os
from concurrent.futures import CancelledError
from threading import Event

import pytest

from cairn.errors import ConflictError, LocalFileError
from cairn.scan import LocalFile, scan_folder
from cairn.store import digest_file
from cairn.upload import Upload


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def upload(http):
    return Upload(http, dataset="/datasets/vision%2Fcells", jobs=4)


def test_a_folder_becomes_one_commit(service, upload, tmp_path):
    files = {f"sub/{number:04}": os.urandom(50) + b"%d" % number for number in range(1500)} | {"empty": b""}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    done = upload.run(scan_folder(tmp_path, "/at/").files, message="m")
    assert service.files == {f"at/{path}": content for path, content in files.items()}
    assert done.sent_files == 1501
    assert len(service.requests("/commit")) == 1
    assert len(service.requests("/uploads/1/objects")) <= 3


def test_large_files_go_alone(service, upload, tmp_path):
    (tmp_path / "large").write_bytes(os.urandom(3 << 20))
    upload.run(scan_folder(tmp_path).files, message="m")
    assert [method for method, path, _ in service.log if "/objects/" in path] == ["PUT"]
    assert service.files["large"] == (tmp_path / "large").read_bytes()


def test_what_the_dataset_has_is_not_sent(service, upload, tmp_path):
    (tmp_path / "a").write_bytes(b"same")
    (tmp_path / "b").write_bytes(b"same")
    (tmp_path / "c").write_bytes(b"new")
    first = upload.run(scan_folder(tmp_path).files[:2], message="m")
    second = upload.run(scan_folder(tmp_path).files, message="m")
    assert (first.sent_files, second.sent_files - first.sent_files) == (1, 1)


def test_a_broken_batch_is_sent_again(service, upload, tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    service.faults = [("/objects", "502"), ("/commit", "503")]
    upload.run(scan_folder(tmp_path).files, message="m")
    assert service.files == {"a": b"content"}


def test_bytes_that_the_commit_finds_missing_are_sent_again(service, upload, tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    scan = scan_folder(tmp_path)
    upload._settled.add("9a0364b9e99bb480dd25e1f0284c8555")
    upload.run(scan.files, message="m")
    assert service.files == {"a": b"content"}
    assert len(service.requests("/commit")) == 2


def test_a_conflict_is_told(service, upload, tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    service.faults = [("/commit", "409")]
    with pytest.raises(ConflictError):
        upload.run(scan_folder(tmp_path).files, message="m")


def test_a_signed_address_gets_its_headers_and_no_token(service, other_host, upload, tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    service.signed_url = f"{other_host.url}/signed"
    service.objects = other_host.objects
    upload.run(scan_folder(tmp_path).files, message="m")
    method, _, headers = other_host.log[0]
    assert (method, headers["X-Signed"]) == ("PUT", "yes")
    assert "PRIVATE-TOKEN" not in headers
    assert service.files == {"a": b"content"}


def test_a_signed_address_that_expired_is_asked_for_again(service, other_host, upload, tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    service.signed_url = f"{other_host.url}/signed"
    service.objects = other_host.objects
    other_host.faults = [("/signed", "403")]
    upload.run(scan_folder(tmp_path).files, message="m")
    assert service.files == {"a": b"content"}
    assert len(service.requests("/uploads/1/files")) == 2


def test_nothing_to_upload_is_told_before_asking(service, upload):
    with pytest.raises(LocalFileError, match="no file"):
        upload.run([], message="m")
    assert service.log == []


@pytest.mark.parametrize("content", [b"123", b"123456789"])
def test_a_file_that_changes_meanwhile_commits_nothing(service, http, tmp_path, content):
    target = tmp_path / "a"
    target.write_bytes(b"12345")

    class Changing:
        """Changes the file when its declaration was answered: progress is told right before sending."""

        def expect(self, *, files, size):
            pass

        def advance(self, *, files=0, size=0):
            target.write_bytes(content)

    (tmp_path / "b").write_bytes(b"present")
    upload = Upload(http, dataset="/datasets/vision%2Fcells", jobs=1, progress=Changing())
    service.objects[md5_of(b"present")] = b"present"
    with pytest.raises(LocalFileError, match="changed"):
        upload.run(scan_folder(tmp_path).files, message="m")
    assert service.files == {}


def test_hashing_stops_when_told(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    stopped = Event()
    stopped.set()
    with pytest.raises(CancelledError):
        digest_file(tmp_path / "a", stopped=stopped)


def test_a_vanished_file_is_named(upload, tmp_path):
    with pytest.raises(LocalFileError, match="gone"):
        upload.run([LocalFile("gone", tmp_path / "gone", 1)], message="m")


def test_a_scan_leaves_out_what_must_not_travel(tmp_path):
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for folder in (".git", ".dvc", "sub/.cairn"):
        (root / folder).mkdir()
        (root / folder / "config").write_bytes(b"x")
    for name in ("a", "sub/b", "data.dvc", ".gitignore"):
        (root / name).write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"x")
    (root / "inside").symlink_to("a")
    (root / "outside").symlink_to(tmp_path / "secret")
    (root / "broken").symlink_to("nowhere")
    (root / "folder").symlink_to("sub")
    os.mkfifo(root / "pipe")
    scan = scan_folder(root)
    assert [file.path for file in scan.files] == ["a", "inside", "sub/b"]
    assert set(scan.skipped) == {
        ".git",
        ".dvc",
        "sub/.cairn",
        "data.dvc",
        ".gitignore",
        "outside",
        "broken",
        "folder",
        "pipe",
    }


@pytest.mark.parametrize("name", ["caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"])
def test_a_scan_names_files_as_the_service_keeps_them(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / name).write_bytes(b"x")

    assert [file.path for file in scan_folder(tmp_path).files] == ["caf\xe9/caf\xe9"]


@pytest.mark.parametrize(
    ("remote", "path"), [("", "a.txt"), ("b/c.txt", "b/c.txt"), ("b/", "b/a.txt"), ("/", "a.txt")]
)
def test_one_file_goes_where_it_is_told(tmp_path, remote, path):
    (tmp_path / "a.txt").write_bytes(b"x")
    assert [file.path for file in scan_folder(tmp_path / "a.txt", remote).files] == [path]


def test_a_relative_folder_keeps_relative_paths(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert [file.path for file in scan_folder(tmp_path.__class__()).files] == ["sub/a"]


def test_a_name_that_is_not_unicode_is_refused(tmp_path):
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"x")
    with pytest.raises(LocalFileError, match="Unicode"):
        scan_folder(tmp_path)
