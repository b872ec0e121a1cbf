import io
import os
import tarfile
from pathlib import Path

import pytest

from cairn import Dataset, NotAllowedError, NotFoundError, PartialError, Selection, VerificationError
from cairn.archive import TarStream
from cairn.errors import LocalFileError, UnavailableError
from cairn.store import LocalFolder, RemoteFile
from cairn.transfer import plan_transfer


def file(path: str, size: int = 1000) -> RemoteFile:
    return RemoteFile(path, size, "0" * 32)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def snapshot(http):
    return Dataset(http, "vision/cells").at("v1")


def test_many_small_files_come_as_one_archive():
    files = [file(f"a/{number}") for number in range(100)]
    assert plan_transfer(files, files, [""]).folders == ("",)


def test_few_files_come_one_by_one():
    files = [file(f"a/{number}") for number in range(3)]
    assert plan_transfer(files, files, [""]).singles == tuple(files)


def test_an_archive_is_not_taken_for_a_small_part_of_a_folder():
    known = [file(f"a/{number}", 1 << 20) for number in range(1000)]
    needed = known[:20]
    assert plan_transfer(known, needed, [""]).folders == ()


def test_a_folder_of_large_files_does_not_spoil_its_neighbour():
    large = [file(f"large/{number}", 1 << 30) for number in range(20)]
    small = [file(f"small/{number}") for number in range(200)]
    plan = plan_transfer(large + small, large + small, [""])
    assert plan.folders == ("small",)
    assert set(plan.singles) == set(large)


def test_no_archive_outside_the_folders_that_are_known():
    files = [file(f"a/{number}") for number in range(100)]
    assert plan_transfer(files, files, []).folders == ()
    assert plan_transfer(files, files, ["a"]).folders == ("a",)


def test_a_version_arrives_whole_and_pinned(service, snapshot, tmp_path):
    service.files = {f"f/{number}.bin": os.urandom(number) for number in range(100)} | {"ä b/%.txt": b"x"}
    done = snapshot.download(tmp_path)
    assert tree(tmp_path) == service.files
    assert len(done.fetched) == 101
    assert all(f"ref={snapshot.commit_id}" in path for _, path, _ in service.log[1:])
    assert len(service.requests("/archive.tar")) == 1


def test_a_second_run_fetches_only_what_is_missing_or_damaged(service, snapshot, tmp_path):
    service.files = {"a": b"aaa", "b": b"bbb", "c": b"ccc"}
    snapshot.download(tmp_path)
    (tmp_path / "a").write_bytes(b"xxx")
    (tmp_path / "b").unlink()
    done = snapshot.download(tmp_path)
    assert {row.path for row in done.fetched} == {"a", "b"}
    assert {row.path for row in done.present} == {"c"}
    assert tree(tmp_path) == service.files


def test_a_part_of_an_earlier_run_is_continued(service, snapshot, tmp_path):
    service.files = {"big": os.urandom(100_000)}
    remote = snapshot.find(["big"])[0][0]
    with LocalFolder(tmp_path).resume(remote) as partial:
        partial.write(service.files["big"][:60_000])
    snapshot.download(tmp_path, ["big"])
    assert service.log[-1][2]["Range"] == "bytes=60000-"
    assert tree(tmp_path) == service.files


def test_a_damaged_part_of_an_earlier_run_is_fetched_anew(service, snapshot, tmp_path):
    service.files = {"big": os.urandom(100_000)}
    remote = snapshot.find(["big"])[0][0]
    with LocalFolder(tmp_path).resume(remote) as partial:
        partial.write(b"?" * 60_000)
    snapshot.download(tmp_path, ["big"])
    assert tree(tmp_path) == service.files


def test_wrong_bytes_are_never_left_under_the_name(service, snapshot, tmp_path):
    service.files = {"bad": b"what came", "good": b"fine"}
    service.claimed = {"bad": b"expected!"}
    with pytest.raises(PartialError) as caught:
        snapshot.download(tmp_path)
    assert set(caught.value.failures) == {"bad"}
    assert tree(tmp_path) == {"good": b"fine"}


def test_wrong_bytes_in_an_archive_are_never_left_under_the_name(service, snapshot, tmp_path):
    service.files = {f"{number:03}": b"12345" for number in range(50)}
    service.claimed = {"007": b"54321"}
    with pytest.raises(PartialError) as caught:
        snapshot.download(tmp_path)
    assert set(caught.value.failures) == {"007"}
    assert len(tree(tmp_path)) == 49


def test_an_archive_that_fails_is_replaced_by_single_files(service, snapshot, tmp_path):
    service.files = {f"{number:03}": b"12345" for number in range(30)}
    service.faults = [("/archive.tar", "500")]
    snapshot.download(tmp_path)
    assert tree(tmp_path) == service.files


def test_lost_files_are_named_and_do_not_cost_the_others_their_archive(service, snapshot, tmp_path):
    service.files = {f"{number:03}": b"12345" for number in range(50)}
    service.lost = {"007", "013"}
    with pytest.raises(PartialError) as caught:
        snapshot.download(tmp_path)
    assert caught.value.failures == {"007": "lost", "013": "lost"}
    assert len(tree(tmp_path)) == 48
    assert not service.requests("/files/")


def test_a_broken_archive_stream_is_continued(service, snapshot, tmp_path):
    service.files = {f"{number:03}": os.urandom(5000) for number in range(300)}
    service.faults = [("/archive.tar", "cut")]
    snapshot.download(tmp_path)
    assert tree(tmp_path) == service.files
    assert not service.requests("/files/")


def test_one_failing_file_does_not_stop_the_others(service, snapshot, tmp_path):
    service.files = {"a": b"a", "b": b"b", "c": b"c"}
    service.faults = [("/files/b", "410")]
    with pytest.raises(PartialError, match="1 of 3"):
        snapshot.download(tmp_path)
    assert set(tree(tmp_path)) == {"a", "c"}


def test_losing_the_right_to_read_stops_a_download(service, snapshot, tmp_path):
    service.files = {"a": b"a"}
    service.faults = [("/files/a", "403")]
    with pytest.raises(NotAllowedError):
        snapshot.download(tmp_path)


def test_files_and_folders_can_be_named_with_or_without_a_leading_slash(service, snapshot, tmp_path):
    service.files = {"a.txt": b"1", "b.txt": b"2", "deep/x/c.txt": b"3", "deep/d.txt": b"4"}
    snapshot.download(tmp_path, ["a.txt", "/deep/x"])
    assert set(tree(tmp_path)) == {"a.txt", "deep/x/c.txt"}


def test_many_named_paths_are_found_by_one_manifest(service, snapshot, tmp_path):
    service.files = {f"f/{number}": b"x" for number in range(60)}
    snapshot.download(tmp_path, [f"f/{number}" for number in range(40)])
    assert len(tree(tmp_path)) == 40
    assert [method for method, _, _ in service.requests("/manifest")] == ["HEAD", "GET"]


def test_a_path_that_does_not_exist_is_named_before_anything_is_fetched(service, snapshot, tmp_path):
    service.files = {"a": b"1"}
    with pytest.raises(NotFoundError, match="nowhere"):
        snapshot.download(tmp_path, ["a", "nowhere"])
    assert tree(tmp_path) == {}


def test_include_and_exclude_select_files(service, snapshot, tmp_path):
    service.files = {"a.jpg": b"1", "b/a.jpg": b"2", "b/a.txt": b"3", "c/a.jpg": b"4"}
    snapshot.download(tmp_path, selection=Selection(include=["*.jpg"], exclude=["c"]))
    assert set(tree(tmp_path)) == {"a.jpg", "b/a.jpg"}


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/x", "a//b", "", ".", "a\0b", ".git/hooks/x", "a/.GIT/x"]
)
def test_hostile_paths_are_not_written(tmp_path, path):
    with pytest.raises(LocalFileError):
        LocalFolder(tmp_path).save(file(path, 1), [b"x"])


@pytest.mark.parametrize("path", ["../evil", "/evil", "//evil", "a//evil", "evil/"])
def test_a_hostile_manifest_harms_only_its_own_rows(service, snapshot, tmp_path, path):
    service.files = {path: b"x", "good": b"y"}
    with pytest.raises(PartialError):
        snapshot.download(tmp_path / "in")
    assert tree(tmp_path) == {"in/good": b"y"}


def test_a_link_that_leads_out_is_not_followed(service, snapshot, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "out")
    service.files = {"folder/file": b"x"}
    with pytest.raises(PartialError):
        snapshot.download(tmp_path / "in")
    assert not any((tmp_path / "out").iterdir())


def test_a_linked_file_is_replaced_not_written_through(service, snapshot, tmp_path):
    (tmp_path / "precious").write_bytes(b"p")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").symlink_to(tmp_path / "precious")
    service.files = {"file": b"x"}
    snapshot.download(tmp_path / "in")
    assert (tmp_path / "precious").read_bytes() == b"p"
    assert (tmp_path / "in" / "file").read_bytes() == b"x"


def test_read_verifies(service, snapshot):
    service.files = {"a": b"came"}
    assert snapshot.read("a") == b"came"
    service.claimed = {"a": b"told"}
    with pytest.raises(VerificationError):
        snapshot.read("/a")


def test_names_of_255_bytes_download(service, snapshot, tmp_path):
    service.files = {"n" * 255: b"x"}
    snapshot.download(tmp_path)
    assert tree(tmp_path) == service.files


@pytest.mark.parametrize("size", ["-512", "1" * 40, "x"])
def test_an_archive_that_lies_about_a_size_is_damaged(size):
    header = tarfile.TarInfo("a")
    header.pax_headers = {"size": size}
    stream = io.BytesIO(header.tobuf(tarfile.PAX_FORMAT))

    with pytest.raises(UnavailableError, match="damaged"):
        list(TarStream(stream))
