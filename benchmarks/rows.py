"""The rows of the table: which of our operations is set against which of theirs."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from benchmarks.cairn_side import Service, write_pointers
from benchmarks.dvc_side import DvcRepository
from benchmarks.material import PINNED, change_files, paths, write_files
from benchmarks.measures import Measure, Row, Shell, repeat, side_by_side

RUNS = 3
QUICK_RUNS = 15
REQUESTS = 1000
FOLDER = "part-000"
POINTERS = "one pointer a file"
DIRECTORY = "directory form"


@dataclass(frozen=True, slots=True)
class Bench:
    """What one run of the benchmarks works with.

    Attributes:
        folder: everything happens below it.
        cap_s: seconds after which a command of dvc at 10,000 files is broken off; None lets it end.
    """

    folder: Path
    service: Service
    cap_s: float | None

    def source(self, count: int) -> Path:
        """Return a folder with so many files, written on first use."""
        folder = self.folder / f"source-{count}"
        if not folder.exists():
            say(f"writing {count:,} files")
            write_files(folder, count)
        return folder

    def dvc(self, name: str, count: int, *, is_directory: bool) -> DvcRepository:
        """Return a prepared dvc repository; commands on many pointers are capped."""
        cap_s = self.cap_s if count >= 10_000 and not is_directory else None
        repository = DvcRepository(self.folder / name, is_directory, cap_s)
        repository.prepare()
        return repository


def say(text: str) -> None:
    """Tell on standard error what is going on."""
    print(text, file=sys.stderr, flush=True)


def upload_rows(bench: Bench, count: int) -> Iterator[Row]:
    """P1: many files into one commit."""
    source = bench.source(count)
    serial = iter(range(1000))

    def ours() -> float:
        dataset = bench.service.create_dataset(f"p1-{count}-{next(serial)}")
        return bench.service.cairn("upload", str(dataset), source, "-m", "Add data", "-q")

    def theirs(*, is_directory: bool) -> float:
        repository = bench.dvc(f"p1-dvc-{count}", count, is_directory=is_directory)
        repository.copy_in(source)
        try:
            return repository.publish()
        finally:
            shutil.rmtree(repository.root)

    mine, folder = side_by_side(RUNS, ours, lambda: theirs(is_directory=True))
    operation = "upload, one commit, synced to disk"
    peer = "dvc add, push, git commit, push"
    yield Row("P1", count, operation, mine, f"{peer}; {DIRECTORY}", folder)
    pointers = repeat(lambda: theirs(is_directory=False), RUNS if count < 10_000 else 1)
    yield Row("P1", count, operation, mine, f"{peer}; {POINTERS}", pointers)


def download_rows(bench: Bench, count: int) -> Iterator[Row]:
    """P5: a whole dataset, verified. P3: one file of it. Both need a dataset with bytes on both sides."""
    source = bench.source(count)
    dataset = bench.service.create_dataset(f"p5-{count}")
    bench.service.cairn("upload", str(dataset), source, "-m", "Add data", "-q")
    bench.service.call("POST", f"/datasets/{dataset}/tags", {"name": "v1", "ref": "main"})
    whole = bench.dvc(f"p5-directory-{count}", count, is_directory=True)
    whole.copy_in(source)
    whole.publish()
    output = bench.folder / "downloaded"

    def ours() -> float:
        shutil.rmtree(output, ignore_errors=True)
        return bench.service.cairn("download", str(dataset), "--ref", "v1", "-o", output, "-q")

    mine, folder = side_by_side(RUNS, ours, whole.pull)
    operation = "download everything, verified"
    yield Row("P5", count, operation, mine, f"dvc pull; {DIRECTORY}", folder)
    shutil.rmtree(whole.root)
    single = bench.dvc(f"planted-{count}", count, is_directory=False)
    single.plant(source)
    pulled = repeat(single.pull, RUNS if count < 10_000 else 1)
    yield Row("P5", count, operation, mine, f"dvc pull; {POINTERS}", pulled)
    yield from _pinned_rows(bench, count, dataset, single)
    yield from _dvc_listing_rows(bench, count, dataset, single)


def _pinned_rows(bench: Bench, count: int, dataset: int, single: DvcRepository) -> Iterator[Row]:
    address = f"/datasets/{dataset}/files/{PINNED}?ref=v1"
    got = bench.folder / "got.bin"
    curl = repeat(lambda: bench.service.curl(f"/api/v1{address}", got), QUICK_RUNS)
    assert got.read_bytes() == (bench.source(count) / PINNED).read_bytes()
    fetched = repeat(lambda: single.get(f"data/{PINNED}", "v1"), RUNS)
    yield Row("P3", count, "one pinned file of 100 KB, curl process", curl, "dvc get", fetched)
    names = list(islice(paths(count), 0, None, count // QUICK_RUNS))
    addresses = [f"/datasets/{dataset}/files/{name}?ref=v1" for name in names]
    bench.service.keep_alive(addresses)
    requests = bench.service.keep_alive(addresses)
    warm = single.open_warm([f"data/{name}" for name in names], "v1")
    operation = "one pinned file of 60 KB, keep-alive, warm"
    if warm:
        yield Row("P3", count, operation, requests, "DVCFileSystem.open, in process, warm", warm)


def _dvc_listing_rows(bench: Bench, count: int, dataset: int, single: DvcRepository) -> Iterator[Row]:
    source = bench.folder / "changed"
    shutil.copytree(bench.source(count), source, dirs_exist_ok=True)
    changed = change_files(source, count, salt=count)
    bench.service.cairn("upload", str(dataset), source, "-m", "Change data", "-q")
    bench.service.call("POST", f"/datasets/{dataset}/tags", {"name": "v2", "ref": "main"})
    single.plant_change(source, changed)
    shutil.rmtree(source)
    page = f"/api/v1/datasets/{dataset}/tree?path={FOLDER}&ref=v1&per_page=100"
    curl = repeat(lambda: bench.service.curl(page), QUICK_RUNS)
    listed = repeat(lambda: single.list_folder(f"data/{FOLDER}", "v1"), RUNS)
    yield Row("P4", count, "first page of a folder, curl process", curl, "dvc list", listed)
    compared = f"/api/v1/datasets/{dataset}/compare?from=v1&to=v2"
    curl = repeat(lambda: bench.service.curl(compared), QUICK_RUNS)
    differed = repeat(lambda: single.diff("v1", "v2"), RUNS)
    yield Row("P7", count, "compare two versions, 10 changed, curl process", curl, "dvc diff", differed)


def git_rows(bench: Bench, count: int) -> Iterator[Row]:
    """P4 and P7 against git itself, on pointers without bytes; P3 at this size."""
    dataset = bench.service.create_dataset(f"pointers-{count}")
    versions = write_pointers(bench.service, dataset, count, versions=7)
    bare = bench.service.home / "repos" / f"{dataset}.git"
    git = Shell(bench.service.environment)
    first = versions[0]
    folders = [f"part-{number:03d}" for number in range(max(1, count // 1000))]
    pages = [f"/datasets/{dataset}/tree?path={name}&ref={first}&per_page=100" for name in folders]
    ours = bench.service.keep_alive(pages)
    theirs = repeat(lambda: git.run("git", "-C", bare, "ls-tree", "-l", f"{first}:{FOLDER}"), QUICK_RUNS)
    yield Row("P4", count, "first page of a folder, first time", ours, "git ls-tree -l, process", theirs)
    again = bench.service.keep_alive([pages[0]] * QUICK_RUNS)
    yield Row("P4", count, "the same again", again, "git ls-tree -l, process", theirs)
    pairs = list(pairwise(versions[1:]))
    ours = bench.service.keep_alive(
        [f"/datasets/{dataset}/compare?from={old}&to={new}" for old, new in pairs]
    )
    command = ("git", "-C", bare, "diff", "--name-status")
    theirs = Measure(tuple(git.run(*command, old, new) for old, new in pairs))
    yield Row("P7", count, "compare, 10 changed, first time", ours, "git diff --name-status, process", theirs)


def serving_measure(bench: Bench, count: int) -> Measure:
    """Return the seconds of each of many requests for one pinned file of 100 KB over keep-alive."""
    dataset = bench.service.create_dataset(f"serving-{count}")
    write_pointers(bench.service, dataset, count, versions=1)
    content = (bench.source(1000) / PINNED).read_bytes()
    stored = bench.service.call("PUT", f"/datasets/{dataset}/files/{PINNED}?branch=main", content)
    address = f"/datasets/{dataset}/files/{PINNED}?ref={stored['commit_id']}"
    bench.service.keep_alive([address] * 50)
    return bench.service.keep_alive([address] * REQUESTS)


Part = Callable[[Bench, int], Iterator[Row]]
PARTS: dict[str, tuple[Part, tuple[int, ...]]] = {
    "git": (git_rows, (1000, 10_000, 100_000)),
    "upload": (upload_rows, (1000, 10_000)),
    "download": (download_rows, (1000, 10_000)),
}

__all__ = ["PARTS", "Bench", "Part", "say", "serving_measure"]
