"""The porcelain: a dataset's versions. Two verbs carry everything: ``at`` and ``commit``.

Every change lands through ``_land``: the new tree is drafted on the version that the caller saw,
merged path by path if the branch moved on meanwhile, made durable, and then the branch is moved by
compare-and-swap under the repository's lock.
"""

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gitops import trees, upkeep
from gitops.changes import ChangeSet, Merge
from gitops.commit_text import render_commit
from gitops.differing import Differ
from gitops.drafting import Draft
from gitops.errors import (
    ConflictError,
    InvalidRefError,
    NothingToCommitError,
    RefExistsError,
    RefMovedError,
    RefNotFoundError,
    ReleaseImmutableError,
)
from gitops.folders import ReadCaches
from gitops.gitrepo import HEADS, RELEASES, TAGS, GitRepo
from gitops.model import (
    ROOT,
    Branch,
    Change,
    Commit,
    CommitId,
    RefName,
    RepoPath,
    Signature,
    Tag,
    TreeId,
    is_commit_id,
)
from gitops.objects import ObjectStore
from gitops.resolving import RESERVED_NAMES, Resolver
from gitops.snapshot import Snapshot
from gitops.taking_back import Build, restoring, reverting
from gitops.version_numbers import parse_version
from gitops.workbench import Workbench, nodes_at

_ATTEMPTS = 8
_NAMED = 5
_BACK_OFF_S = 0.02
MAX_PREVIEW = 10_000


@dataclass(frozen=True, slots=True)
class Landed:
    """A commit that a branch now leads to, and the version it followed."""

    commit: Commit
    parent: Commit


class DataRepo:
    """One dataset: its repository and its pool. Safe to share between threads.

    Args:
        git: the local bare repository.
        objects: the pool, or None while the dataset has no storage site.
        caches: what readings of immutable trees share in this process.
        default_branch: where refs default to.
    """

    def __init__(
        self, git: GitRepo, objects: ObjectStore | None, caches: ReadCaches, *, default_branch: RefName
    ) -> None:
        self.git = git
        self.objects = objects
        self.default_branch = default_branch
        self._caches = caches
        self._resolver = Resolver(git, caches)
        self._differ = Differ(git)

    # Reading

    def at(self, ref: RefName | CommitId | None = None) -> Snapshot:
        """Return the dataset at a ref, frozen: the last time that a name matters.

        Raises:
            RefNotFoundError: no tag, branch or reachable commit is meant.
            InvalidRefError: an abbreviated id that several commits share.
        """
        return self.snapshot(self.resolve(ref or self.default_branch))

    def snapshot(self, commit: CommitId) -> Snapshot:
        """Return the dataset at a commit that is known to be one of its versions."""
        return Snapshot(self.git.read_commit(commit), self.git, self.objects, self._caches)

    def resolve(self, ref: RefName | CommitId) -> CommitId:
        """Return the commit a ref means: full id, tag, branch, abbreviated id, in this order."""
        return self._resolver.resolve(ref)

    def log(self, start: CommitId, *, path: RepoPath = ROOT) -> Iterator[Commit]:
        """Yield versions, newest first; with a path only those that changed what lies there."""
        for commit in self.git.log(start):
            if path == ROOT or self._touched(commit, path):
                yield commit

    def _touched(self, commit: Commit, path: RepoPath) -> bool:
        mine = self._deciding(commit.tree, path)
        if not commit.parents:
            return any(mine)
        return all(
            mine != self._deciding(self.git.read_commit(parent).tree, path) for parent in commit.parents
        )

    def _deciding(self, tree: TreeId, path: RepoPath) -> tuple[trees.Node | None, ...]:
        """Return the nodes that decide what a path shows: its own, or the pointer of a tracked folder."""
        nodes = nodes_at(self.git.read_folder, tree, path)
        while not any(nodes) and "/" in path:
            path = RepoPath(path.rpartition("/")[0])
            nodes = (None, nodes_at(self.git.read_folder, tree, path)[1])
        return nodes

    def diff(self, old: CommitId | None, new: CommitId, *, folder: RepoPath = ROOT) -> Iterator[Change]:
        """Yield the files that differ, folder by folder; ``old`` None compares with nothing."""
        yield from self._differ.changes(self.snapshot(old) if old else None, self.snapshot(new), folder)

    def branches(self) -> list[Branch]:
        """Return all branches, sorted by name."""
        return self.git.branches()

    def tags(self) -> list[Tag]:
        """Return all tags, newest version number first, others after them by name."""
        numbered = [tag for tag in self.git.tags() if parse_version(tag.name)]
        numbered.sort(key=lambda tag: parse_version(tag.name) or (), reverse=True)
        return numbered + [tag for tag in self.git.tags() if not parse_version(tag.name)]

    def head(self, branch: RefName) -> CommitId:
        """Return a branch's newest version. Raises RefNotFoundError."""
        found = self.git.branch(branch)
        if found is None:
            raise RefNotFoundError(f"there is no branch {branch!r}")
        return found

    # Writing

    def start(self, files: Mapping[RepoPath, bytes], *, author: Signature, message: str) -> Commit:
        """Write the first commit of an empty dataset; an existing history is returned as it is."""
        with self.git.lock():
            head = self.git.branch(self.default_branch)
            if head:
                return self.git.read_commit(head)
            bench = Workbench(self.git)
            patch = trees.Patch()
            for path, content in files.items():
                patch.set(path, bench.write_blob(content))
            commit = self._write_commit(bench, bench.patched(None, patch), (), author, message)
            self.git.move_ref(HEADS + self.default_branch, commit.id, expected=None)
            self._resolver.remember(commit.id)
            return commit

    def commit(
        self,
        changes: ChangeSet,
        *,
        branch: RefName,
        base: CommitId,
        author: Signature,
        message: str,
        only_on_base: bool = False,
    ) -> Landed:
        """Make one version of a change set drafted on ``base``.

        Args:
            changes: the edits.
            branch: the branch to move.
            base: the version that the caller saw.
            author: who did it and when.
            message: why.
            only_on_base: refuse if anything at all landed on the branch since ``base``.

        Raises:
            RefMovedError: ``only_on_base``, and the branch has moved on.
            EditConflictError: somebody changed the same paths since ``base``; it names them.
            NothingToCommitError: the branch would stay exactly as it is.
            PathNotFoundError, PathClashError: an edit does not fit the base.
        """
        merges = dict(changes.merges())
        build = _drafting(changes)
        return self._land(
            build,
            branch=branch,
            base=base,
            author=author,
            message=message,
            merges=merges,
            only_on_base=only_on_base,
        )

    def revert(self, undone: CommitId, *, branch: RefName, author: Signature, message: str) -> Landed:
        """Take back what one version changed, by a new version.

        Raises:
            EditConflictError: later versions changed the same paths; it names them.
            NothingToCommitError: nothing of it is left to take back.
        """
        build = reverting(self.git, undone)
        return self._land(build, branch=branch, base=self.head(branch), author=author, message=message)

    def restore(
        self, source: CommitId, path: RepoPath, *, branch: RefName, author: Signature, message: str
    ) -> Landed:
        """Make a file, a folder or everything (``ROOT``) as it was at ``source``, by a new version."""
        build = restoring(self.git, source, path)
        return self._land(build, branch=branch, base=self.head(branch), author=author, message=message)

    def preview_revert(self, undone: CommitId, *, branch: RefName) -> list[Change]:
        """Return what ``revert`` would change, writing nothing. Raises like ``revert``.

        Past ``MAX_PREVIEW`` changes the rest is left out.
        """
        return self._preview(reverting(self.git, undone), branch)

    def preview_restore(self, source: CommitId, path: RepoPath, *, branch: RefName) -> list[Change]:
        """Return what ``restore`` would change, writing nothing. Raises like ``restore``."""
        return self._preview(restoring(self.git, source, path), branch)

    def _preview(self, build: Build, branch: RefName) -> list[Change]:
        head = self.git.read_commit(self.head(branch))
        bench = Workbench(self.git)
        tree = build(head, bench)
        changes: list[Change] = []
        snapshot = self.snapshot(head.id)
        for found in trees.differences(bytes.fromhex(head.tree), tree, bench.read_folder):
            changes.extend(self._differ.changes_of(found, snapshot, snapshot))
            if len(changes) > MAX_PREVIEW:
                break
        if not changes:
            raise NothingToCommitError("nothing would change", head=head.id)
        return changes

    def _land(
        self,
        build: Build,
        *,
        branch: RefName,
        base: CommitId,
        author: Signature,
        message: str,
        merges: Mapping[RepoPath, Merge] | None = None,
        only_on_base: bool = False,
    ) -> Landed:
        saw = self.git.read_commit(base)
        with self.git.lock():
            for attempt in range(_ATTEMPTS):
                head = self.git.read_commit(self.head(branch))
                if only_on_base and head.id != base:
                    raise RefMovedError(f"the branch {branch!r} has moved on to {head.id}", head=head.id)
                bench = Workbench(self.git)
                ours = build(saw, bench)
                tree = ours
                if head.tree != saw.tree:
                    tree = bench.merged(saw, ours, bytes.fromhex(head.tree), merges or {})
                if tree == bytes.fromhex(head.tree):
                    raise NothingToCommitError("nothing would change", head=head.id)
                commit = self._write_commit(bench, tree, (head.id,), author, message)
                try:
                    self.git.move_ref(HEADS + branch, commit.id, expected=head.id)
                except RefMovedError:
                    # Under our lock nobody is at the branch: git's own lock on it was left by the dead.
                    upkeep.sweep_under_lock(self.git, now=datetime.now(UTC), older_than=upkeep.LEFT_OVER)
                    time.sleep(_BACK_OFF_S * attempt * random.random())  # noqa: S311 - jitter, not a secret
                    continue
                self._resolver.remember(commit.id)
                return Landed(commit, head)
        raise RefMovedError(f"the branch {branch!r} kept moving; try again")

    def _write_commit(
        self,
        bench: Workbench,
        tree: bytes | None,
        parents: tuple[CommitId, ...],
        author: Signature,
        message: str,
    ) -> Commit:
        oid = tree if tree is not None else bench.write_folder(b"")
        bench.leave_only_below(oid)
        content = render_commit(
            tree=TreeId(oid.hex()), parents=parents, author=author, committer=author, message=message
        )
        commit = bench.pack.add("commit", content).hex()
        self.git.write_pack(bench.pack)
        return self.git.read_commit(commit)

    # Names

    def create_branch(self, name: RefName, commit: CommitId) -> Branch:
        """Start a branch at a version. Raises RefExistsError."""
        _refuse_reserved(name)
        with self.git.lock():
            if self.git.branch(name):
                raise RefExistsError(f"the branch {name!r} exists already")
            self._move_new(HEADS + name, commit)
        return Branch(name, commit)

    def delete_branch(self, name: RefName) -> None:
        """Remove a branch; its versions stay readable by their ids."""
        if name == self.default_branch:
            raise ConflictError(f"{name!r} is the default branch and cannot be deleted")
        with self.git.lock():
            self.git.delete_ref(HEADS + name)

    def tag(self, name: RefName, commit: CommitId, *, author: Signature, notes: str | None) -> Tag:
        """Name a version; with notes the tag is a release and its name is given for ever.

        Raises:
            RefExistsError: the tag exists.
            ReleaseImmutableError: a release of this name exists or existed for another version.
        """
        _refuse_reserved(name)
        with self.git.lock():
            existing = self.git.find_tag(name)
            released = self.git.find_ref(RELEASES + name)
            if released and released != commit:
                raise ReleaseImmutableError(f"{name!r} is a release and never moves", head=released)
            if existing:
                raise RefExistsError(f"the tag {name!r} exists already", head=existing.commit)
            if notes is not None:
                self.git.create_release(name, commit, author, notes)
            else:
                self._move_new(TAGS + name, commit)
            found = self.git.find_tag(name)
        assert found is not None
        return found

    def _move_new(self, full_name: str, commit: CommitId) -> None:
        try:
            self.git.move_ref(full_name, commit, expected=None)
        except RefMovedError as error:
            shown = full_name.split("/", 2)[-1]
            raise RefExistsError(f"{shown!r} exists already, or a part of it does") from error

    def delete_tag(self, name: RefName) -> None:
        """Remove a tag; the name of a release stays reserved for its version."""
        with self.git.lock():
            self.git.delete_ref(TAGS + name)


def _drafting(changes: ChangeSet) -> Build:
    def build(base: Commit, bench: Workbench) -> bytes | None:
        draft = Draft(
            bytes.fromhex(base.tree), read=bench.read_folder, read_blob=bench.read_blob, pack=bench.pack
        )
        return draft.build(changes)

    return build


def _refuse_reserved(name: RefName) -> None:
    if name in RESERVED_NAMES:
        raise InvalidRefError(f"the name {name!r} has a meaning of its own")
    if is_commit_id(name):
        raise InvalidRefError("a name may not look like a commit id")
