"""A local folder against a version of a dataset."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cairn.scan import LocalFile
from cairn.store import LocalFolder, RemoteFile, digest_file


@dataclass(frozen=True, slots=True)
class Comparison:
    """Dataset paths by what an upload of the folder would do; ``missing`` are not in the folder."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    unchanged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """Paths of a version by how they lie in a folder."""

    right: tuple[str, ...]
    damaged: tuple[str, ...]
    missing: tuple[str, ...]


def compare_folder(local: Sequence[LocalFile], remote: Iterable[RemoteFile], *, jobs: int) -> Comparison:
    """Compare by size, then by hash; nothing is changed."""
    there = {file.path: file for file in remote}
    known = [file for file in local if file.path in there]

    def is_same(file: LocalFile) -> bool:
        other = there[file.path]
        if other.problem or file.size != other.size:
            return False
        digests = digest_file(file.source)
        return digests.sha256 == other.sha256 if other.sha256 else digests.md5 == other.md5

    with ThreadPoolExecutor(jobs) as pool:
        same = dict(zip((file.path for file in known), pool.map(is_same, known), strict=True))
    here = {file.path for file in local}
    return Comparison(
        added=tuple(file.path for file in local if file.path not in there),
        changed=tuple(path for path, is_equal in same.items() if not is_equal),
        missing=tuple(path for path in there if path not in here),
        unchanged=tuple(path for path, is_equal in same.items() if is_equal),
    )


def verify_folder(folder: Path, files: Sequence[RemoteFile], *, jobs: int) -> Verification:
    """Hash every file of a version as it lies in a folder; other files there do not matter."""
    store = LocalFolder(folder)
    with ThreadPoolExecutor(jobs) as pool:
        right = dict(zip((file.path for file in files), pool.map(store.holds, files), strict=True))
    wrong = [path for path, is_right in right.items() if not is_right]
    return Verification(
        right=tuple(path for path, is_right in right.items() if is_right),
        damaged=tuple(path for path in wrong if (folder / path).exists()),
        missing=tuple(path for path in wrong if not (folder / path).exists()),
    )
