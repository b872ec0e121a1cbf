"""The store on a directory: the contract, a full disk, the order of system calls."""

import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from object_store_contract import ObjectStoreContract, kept, stored

from gitops.errors import InvalidError, ObjectClashError, StorageFullError, UnavailableError
from gitops.local_store import LocalStore
from gitops.model import Md5
from gitops.objects import Staged
from gitops.sites import SiteSpec, open_object_store, pool_url

ROOM = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "pool")


@pytest.fixture
def damage(store: LocalStore) -> Callable[[Md5, bytes], None]:
    def write(address: Md5, content: bytes) -> None:
        path = store.local_path(address)
        assert path
        path.chmod(0o644)
        path.write_bytes(content)

    return write


class TestLocalStore(ObjectStoreContract):
    """LocalStore keeps the contract."""


def _leftovers(root: Path) -> list[Path]:
    return [path for path in (root / "staging").rglob("*") if path.is_file()]


def test_objects_lie_where_dvc_3_looks_for_them(store: LocalStore, tmp_path: Path) -> None:
    address = kept(store, b"x")
    path = tmp_path / "pool" / "files" / "md5" / address[:2] / address[2:]
    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == 0o444
    assert store.local_path(address) == path
    assert store.presign_get(address, filename="x", media_type="", seconds=1) is None
    assert store.presign_put(address, 1, seconds=1) is None


def test_nothing_is_left_in_staging(store: LocalStore, tmp_path: Path) -> None:
    kept(store, b"x")
    kept(store, b"x")
    store.drop([store.receive([b"y"])])
    with pytest.raises(InvalidError):
        store.receive([b"z"], size=5)
    assert _leftovers(tmp_path / "pool") == []


def test_foreign_files_in_the_pool_are_no_addresses(store: LocalStore, tmp_path: Path) -> None:
    address = kept(store, b"x")
    for name in ("ab/short", "ab/" + "Z" * 30, "ab/" + "0" * 30 + ".tmp"):
        path = tmp_path / "pool" / "files" / "md5" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert list(store.addresses()) == [address]


def test_a_text_that_dvc_2_addressed_by_its_lf_form_is_not_taken_for_damage(store: LocalStore) -> None:
    """Invariant 2: no overwrite of an object, ever."""
    content = b"a\r\nb\rc\r\n" * 1000
    address = Md5(hashlib.md5(content.replace(b"\r\n", b"\n")).hexdigest())
    staged = store.receive([content])
    store.keep([Staged(staged.digests, address, staged.token)])
    with pytest.raises(ObjectClashError):
        kept(store, content.replace(b"\r\n", b"\n"))
    assert stored(store, address) == content


def test_a_pool_lies_in_a_folder_of_its_own_below_the_site(tmp_path: Path) -> None:
    site = SiteSpec("local", str(tmp_path))
    kept(open_object_store(site, 7), b"x")
    assert (tmp_path / "7" / "files").is_dir()
    assert pool_url(site, 7) == f"{tmp_path}/7"
    with pytest.raises(InvalidError):
        open_object_store(SiteSpec("ftp", ""), 7)


def test_a_pool_that_is_no_directory_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "pool").write_bytes(b"")
    with pytest.raises(UnavailableError):
        LocalStore(tmp_path / "pool").receive([b"x"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    mount = shutil.which("mount") and subprocess.run(command, check=False, capture_output=True)
    if not mount or mount.returncode:
        pytest.skip("a small file system needs the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("chunk", [1000, ROOM + 4096, 3 * ROOM])
def test_a_full_disk_is_said_to_be_full_and_nothing_half_is_kept(small_disk: Path, chunk: int) -> None:
    """Promise D7, and D1: what is acknowledged is whole. A write may stop short where the disk fills up."""
    store = LocalStore(small_disk)
    small = kept(store, b"small")
    content = os.urandom(max(chunk, 2 * ROOM))
    with pytest.raises(StorageFullError):
        kept_in_chunks(store, content, chunk)
    assert _leftovers(small_disk) == []
    assert list(store.addresses()) == [small]
    assert stored(store, small) == b"small"
    assert stored(store, kept(store, b"after")) == b"after"


def kept_in_chunks(store: LocalStore, content: bytes, chunk: int) -> None:
    chunks = [content[start : start + chunk] for start in range(0, len(content), chunk)]
    store.keep([store.receive(chunks)])


def test_one_chunk_that_fits_only_in_part_is_refused(small_disk: Path) -> None:
    """Promise D1: the last write of a stream may be the short one."""
    store = LocalStore(small_disk)
    with pytest.raises(StorageFullError):
        store.receive([os.urandom(ROOM + 1)])
    assert _leftovers(small_disk) == []


def test_a_file_size_limit_is_a_full_disk_too(store: LocalStore, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        with pytest.raises(StorageFullError):
            store.receive([os.urandom(ROOM + 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _leftovers(tmp_path / "pool") == []


# The order of system calls

STORE_AND_COMMIT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
sys.path.insert(0, {here!r})
from gitops.gitrepo import prepare_libgit2
from repositories import change_set, land, open_repo, store
prepare_libgit2()
repo = open_repo(Path({folder!r}))
print("BEGIN", file=sys.stderr, flush=True)
staged = [repo.objects.receive([bytes([n])]) for n in range({count})]
repo.objects.keep(staged)
print("KEPT", file=sys.stderr, flush=True)
land(repo, change_set(a="x"))
print("LANDED", file=sys.stderr, flush=True)
"""

CALL = re.compile(r"(?:\d+ )?(\w+)\((.*)\) += (-?\d+)")


def _trace(folder: Path, *, count: int) -> list[tuple[str, str]]:
    """Return (system call, arguments) of storing objects and committing, in order; descriptors as paths."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    script = STORE_AND_COMMIT.format(here=str(Path(__file__).parent), folder=str(folder), count=count)
    log = folder / "strace"
    calls = "trace=fsync,fdatasync,syncfs,rename,renameat,renameat2,write"
    done = subprocess.run(
        ["strace", "-f", "-y", "-s", "64", "-e", calls, "-o", str(log), sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found = [CALL.search(line) for line in log.read_text().splitlines()]
    return [(match[1], match[2]) for match in found if match]


def _index(calls: list[tuple[str, str]], pattern: str, *, after: int = 0) -> int:
    for number, (name, arguments) in enumerate(calls[after:], after):
        if re.search(pattern, f"{name} {arguments}"):
            return number
    raise AssertionError(f"no {pattern} after call {after}")


@pytest.mark.parametrize("count", [1, 12])
def test_bytes_are_synced_before_they_get_their_address_and_before_the_commit(
    tmp_path: Path, count: int
) -> None:
    """Invariant 1: objects, then commit. Promise D1, D2: each is on disk before the next step begins."""
    from repositories import make_repo

    make_repo(tmp_path)
    calls = _trace(tmp_path, count=count)
    sync = r"fsync \d+<.*/staging/" if count == 1 else r"syncfs \d+<.*/staging"
    synced = _index(calls, sync)
    renamed = _index(calls, r"rename.*staging/.*files/md5/", after=synced)
    folder = _index(
        calls, r"fsync \d+<.*/files/md5/" if count == 1 else r"syncfs \d+<.*/files/md5", after=renamed
    )
    kept_at = _index(calls, r"write 2<.*KEPT", after=folder)
    pack = _index(calls, r"fsync \d+<.*objects/pack/tmp_", after=kept_at)
    packed = _index(calls, r"rename.*tmp_.*pack-[0-9a-f]+\.pack", after=pack)
    index = _index(calls, r"rename.*tmp_.*pack-[0-9a-f]+\.idx", after=packed)
    pack_folder = _index(calls, r"fsync \d+<.*objects/pack>", after=index)
    ref = _index(calls, r"fsync \d+<.*refs/heads/main\.lock", after=pack_folder)
    moved = _index(calls, r"rename.*refs/heads/main\.lock", after=ref)
    assert _index(calls, r"write 2<.*LANDED", after=moved) > moved
    early = [call for call in calls[:synced] if "rename" in call[0] and "files/md5" in call[1]]
    assert early == []
