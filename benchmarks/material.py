"""The files that are measured with: as large as small photographs, and as incompressible."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from gitops.model import Pointer, PointerMeta, RepoPath, parse_md5

FILES_PER_FOLDER = 1000
SMALLEST, LARGEST = 40_000, 80_000  # bytes; 60 KB on average
PINNED = "pinned.bin"
PINNED_SIZE = 100_000
CHANGED = 10


def paths(count: int) -> Iterator[str]:
    """Yield the paths of a dataset of this size, a thousand to a folder."""
    for number in range(count):
        yield f"part-{number // FILES_PER_FOLDER:03d}/image-{number:06d}.jpg"


def write_files(folder: Path, count: int) -> None:
    """Write the files of a dataset; the same bytes in every run."""
    source = random.Random(count)
    for path in paths(count):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.randbytes(source.randint(SMALLEST, LARGEST)))
    (folder / PINNED).write_bytes(source.randbytes(PINNED_SIZE))


def change_files(folder: Path, count: int, *, salt: int) -> list[str]:
    """Give ten files, spread over the dataset, other bytes; return their paths."""
    source = random.Random(salt)
    changed = [path for number, path in enumerate(paths(count)) if number % (count // CHANGED) == 0]
    for path in changed:
        (folder / path).write_bytes(source.randbytes(LARGEST))
    return changed


def pointer(path: str, *, salt: int = 0) -> Pointer:
    """Return a pointer to bytes that nobody has, for datasets of which only the listing is measured."""
    digest = hashlib.sha256(f"{salt} {path}".encode()).hexdigest()
    meta = PointerMeta(sha256=digest, crc32=digest[:8], media_type="image/jpeg")
    return Pointer(parse_md5(digest[:32]), LARGEST, meta=meta)


def repo_path(path: str) -> RepoPath:
    """Return a path that is known to be fine as the engine's type."""
    return RepoPath(path)
