"""Steps that the tests of datasets and versions share."""

import hashlib
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any

from app.access import Action, Actor
from app.datasets.models import Dataset
from app.services import Services
from app.versions.models import DeclaredFile
from app.versions.service import Incoming
from gitops.changes import ChangeSet, Remove, WriteText
from gitops.datarepo import DataRepo
from gitops.model import CommitId, Md5, RepoPath, parse_path

MAIN = "main"


def md5(content: bytes) -> Md5:
    return Md5(hashlib.md5(content).hexdigest())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_dataset(services: Services, actor: Actor, name: str = "Cells", **options: Any) -> Dataset:
    """Create a dataset, bound to the built-in site unless told otherwise."""
    options.setdefault("storage_site", "local")
    return services.datasets.create(actor, name=name, **options)


def put(
    services: Services, actor: Actor, dataset: int, files: Mapping[str, bytes], **options: Any
) -> CommitId:
    """Store files as one version and return it."""
    incoming = [Incoming(parse_path(path), [content], len(content)) for path, content in files.items()]
    written, _ = services.versions.put_files(actor, dataset, incoming, **options)
    return written.commit


def delete(services: Services, actor: Actor, dataset: int, path: str, **options: Any) -> CommitId:
    return services.versions.delete(actor, dataset, parse_path(path), **options).commit


def contents(services: Services, actor: Actor, dataset: int, ref: str | None = None) -> dict[str, bytes]:
    """Return every file at a ref with its bytes, read the way that everybody reads them."""
    found = {}
    manifest = services.downloads.manifest(actor, dataset, ref=ref, path="")
    for row in manifest.rows:
        assert row.problem is None, row
        file = services.downloads.file(actor, dataset, row.path, ref)
        found[row.path] = b"".join(file.read(0, file.file.size))
    return found


def declared(files: Mapping[str, bytes]) -> list[DeclaredFile]:
    return [DeclaredFile(parse_path(path), md5(content), len(content)) for path, content in files.items()]


def titles(services: Services, actor: Actor, dataset: int, **filters: Any) -> list[str]:
    _, _, versions = services.history.log(actor, dataset, **filters)
    return [found.commit.title for found in versions]


def repo_of(services: Services, dataset: int) -> DataRepo:
    return services.datasets.open_for_upkeep(dataset).repo


def commit_behind(services: Services, dataset: int, files: Mapping[str, bytes | None]) -> CommitId:
    """Commit to the default branch as somebody would who has the repository's folder in hand."""
    repo = repo_of(services, dataset)
    head = repo.head(repo.default_branch)
    signature = services.datasets.service_signature()
    changes = ChangeSet()
    for path, content in files.items():
        changes._edits[RepoPath(path)] = Remove() if content is None else WriteText(content)
    landed = repo.commit(changes, branch=repo.default_branch, base=head, author=signature, message="Behind")
    return landed.commit.id


def race(count: int, act: Callable[[int], Any]) -> tuple[list[Any], list[Exception]]:
    """Run ``act`` in threads that start together; return results and errors."""
    barrier = threading.Barrier(count)
    results: list[Any] = []
    errors: list[Exception] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            results.append(act(number))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, errors


def fsck(services: Services, dataset: int) -> str:
    """Return what ``git fsck --strict`` complains about."""
    path = services.datasets.repository_path(dataset)
    done = subprocess.run(
        ["git", "--git-dir", str(path), "fsck", "--strict", "--no-dangling"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def dangling(services: Services, actor: Actor, dataset: int) -> list[str]:
    """Return ``commit:path`` of every data file of the whole history whose bytes are not in the pool."""
    opened = services.datasets.open(actor, dataset, Action.READ)
    lost = []
    for branch in opened.repo.branches():
        for commit in opened.repo.log(branch.commit):
            entries = [entry for entry in opened.repo.snapshot(commit.id).walk() if entry.pointer]
            missing = opened.pool.store.missing({entry.pointer.md5 for entry in entries})
            lost += [f"{commit.id}:{entry.path}" for entry in entries if entry.pointer.md5 in missing]
    return lost
