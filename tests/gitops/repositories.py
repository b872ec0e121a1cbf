"""Datasets to try things on: real repositories in a temporary folder, and trees that git would take."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gitops import layout, pointers, trees
from gitops.cache import ImmutableCache
from gitops.changes import ChangeSet
from gitops.commit_text import render_commit
from gitops.datarepo import DataRepo, Landed
from gitops.folders import ReadCaches
from gitops.gitrepo import HEADS, GitRepo
from gitops.local_store import LocalStore
from gitops.model import CommitId, Md5, Pointer, RefName, RepoPath, Signature, TreeId, parse_path
from gitops.objects import digest
from gitops.packs import PackWriter
from gitops.trees import BLOB, Node

MAIN = RefName("main")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SITE = layout.SiteRecord(1, "local", "local", "/srv/pool/1")
RECORD = layout.DatasetRecord(1, "http://localhost/dvc/1", SITE)

STOCK_GIT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "LC_ALL": "C.UTF-8",
}


def by(name: str = "Ada", *, minute: int = 0) -> Signature:
    """Return a signature; a later minute is a later commit."""
    return Signature(name, f"{name.casefold()}@example.org", START + timedelta(minutes=minute))


def pointer(content: str) -> Pointer:
    """Return the pointer of some text's bytes."""
    found = digest(content.encode())
    return Pointer(found.md5, found.size)


def open_repo(folder: Path) -> DataRepo:
    """Return the dataset in a folder as a new process would open it."""
    store = LocalStore(folder / "pool")
    caches = ReadCaches(ImmutableCache(folder / "cache", max_bytes=10**8))
    return DataRepo(GitRepo(folder / "repo.git"), store, caches, default_branch=MAIN)


def make_repo(folder: Path) -> DataRepo:
    """Return a new dataset with its first commit."""
    GitRepo.create(folder / "repo.git", branch=MAIN)
    repo = open_repo(folder)
    repo.start(layout.first_files(RECORD, name="Cells", description=""), author=by(), message="Create")
    return repo


def change_set(**edits: str | bytes | None) -> ChangeSet:
    """Return edits by path: text becomes a data file, bytes a text file in git, None a removal."""
    return changes_of(edits)


def changes_of(edits: Mapping[str, str | bytes | None]) -> ChangeSet:
    """Return edits by path: text becomes a data file, bytes a text file in git, None a removal."""
    changes = ChangeSet()
    for raw, content in edits.items():
        path = parse_path(raw)
        if content is None:
            changes.remove(path)
        elif isinstance(content, bytes):
            changes.write(path, content)
        else:
            changes.put(path, pointer(content))
    return changes


def land(
    repo: DataRepo,
    edits: Mapping[str, str | bytes | None] | ChangeSet,
    *,
    base: CommitId | None = None,
    branch: RefName = MAIN,
    minute: int = 0,
    message: str = "Change",
) -> Landed:
    """Commit edits on the branch's head, or as somebody who saw ``base`` last."""
    changes = edits if isinstance(edits, ChangeSet) else changes_of(edits)
    return repo.commit(
        changes, branch=branch, base=base or repo.head(branch), author=by(minute=minute), message=message
    )


def git(repo: DataRepo, *arguments: str, given: bytes = b"") -> str:
    """Run stock git on a dataset's repository."""
    done = subprocess.run(
        ["git", "--git-dir", str(repo.git.path), *arguments],
        env=STOCK_GIT,
        input=given,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode(errors="surrogateescape")


def fsck(repo: DataRepo) -> list[str]:
    """Return what stock ``git fsck --strict`` complains about."""
    done = subprocess.run(
        ["git", "--git-dir", str(repo.git.path), "fsck", "--strict", "--no-dangling", "--no-progress"],
        env=STOCK_GIT,
        capture_output=True,
        check=False,
    )
    return (done.stdout + done.stderr).decode().splitlines()


def tracked_by_git(repo: DataRepo, ref: str = "main") -> dict[str, str]:
    """Return blob id by path as stock ``git ls-tree -r`` shows them."""
    rows = git(repo, "ls-tree", "-r", "-z", ref).split("\0")[:-1]
    return {path: facts.split()[2] for facts, _, path in (row.partition("\t") for row in rows)}


def files(repo: DataRepo, ref: str = "main") -> dict[str, str]:
    """Return md5 (data) or content (text) by path of every file of a version."""
    snapshot = repo.at(RefName(ref))
    return {
        entry.path: entry.pointer.md5 if entry.pointer else snapshot.read(entry.path).decode()
        for entry in snapshot.walk()
    }


@dataclass
class Foreign:
    """Commits as anybody may push them: any tree that git accepts."""

    repo: DataRepo

    def __post_init__(self) -> None:
        self.pack = PackWriter()

    def blob(self, content: bytes, mode: bytes = BLOB) -> Node:
        return Node(mode, self.pack.add("blob", content))

    def pointer(self, name: str, content: str) -> Node:
        return self.blob(pointers.render(pointer(content), name))

    def tree(self, nodes: Mapping[bytes, Node]) -> Node:
        return Node(trees.TREE, self.pack.add("tree", trees.build(nodes)))

    def add(self, nodes: Mapping[bytes, Node], *, message: str = "Push") -> CommitId:
        """Commit the head's root with these nodes set."""
        head = self.repo.git.read_commit(self.repo.head(MAIN))
        root = dict(self.repo.git.read_folder(bytes.fromhex(head.tree)).nodes) | dict(nodes)
        raw = render_commit(
            tree=TreeId(self.tree(root).id), parents=[head.id], author=by(), committer=by(), message=message
        )
        return self.raw(raw)

    def raw(self, content: bytes) -> CommitId:
        """Make main lead to a commit with exactly these bytes."""
        commit = CommitId(self.pack.add("commit", content).hex())
        self.repo.git.write_pack(self.pack)
        self.repo.git.move_ref(HEADS + MAIN, commit, expected=self.repo.head(MAIN))
        return commit


def store(repo: DataRepo, content: bytes, *, suffix: str = "") -> Md5:
    """Put bytes into the pool and return their address."""
    assert repo.objects is not None
    staged = repo.objects.receive([content])
    address = Md5(staged.digests.md5 + suffix)
    repo.objects.keep([type(staged)(staged.digests, address, staged.token)])
    return address


def path(raw: str) -> RepoPath:
    """Return a path."""
    return parse_path(raw)
