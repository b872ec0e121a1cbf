"""Which pushes may move refs: the rules, ref by ref, and the judge that applies them.

A push is taken whole or not at all. Contents are looked at before the writer lock is taken; what
depends on other refs is looked at again under it.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from gitops import layout, upkeep
from gitops.errors import InvalidRefError
from gitops.gitrepo import HEADS, RELEASES, TAGS, GitRepo
from gitops.model import CommitId, RefName, is_commit_id, parse_name
from gitops.push_contents import ContentCheck
from gitops.push_hook import Question, RefChange
from gitops.push_limits import PushLimits, Refusals, TooMuchError
from gitops.push_pointers import ImportCheck, Ledger
from gitops.resolving import RESERVED_NAMES

MAX_SHOWN = 20
_GUARDED_SECTIONS = ("core", "remote cairn", "remote site")
_TAG_TARGET = re.compile(rb"object (?P<oid>[0-9a-f]{40})\ntype (?P<kind>[a-z]+)\n")


class DatasetJudge:
    """Decides about one push into one dataset.

    Args:
        git: the dataset's repository.
        ledger: its objects, or None while it has no storage site.
        imports: what pointers of ``dvc import`` may name, for a project; None for a dataset.
    """

    def __init__(
        self,
        git: GitRepo,
        ledger: Ledger | None,
        *,
        default_branch: RefName,
        limits: PushLimits,
        imports: ImportCheck | None = None,
    ) -> None:
        self._git = git
        self._ledger = ledger
        self._default_branch = default_branch
        self._limits = limits
        self._imports = imports
        self.moved: tuple[RefChange, ...] = ()
        """The refs that the push has moved, once it is over."""

    def refusals(self, question: Question) -> Sequence[str]:
        """Return the reasons against the push, at most about twenty lines."""
        repo = self._reader(question)
        found = self._ref_faults(repo, question)
        if not found:
            found = self._content_faults(repo, question)
        return shortened(found)

    def last_refusals(self, question: Question) -> Sequence[str]:
        """Look at the refs again under the lock; keep what a deletion would leave unreachable."""
        found = self._ref_faults(self._reader(question), question)
        if found:
            return shortened(found)
        self._sweep_locks(question)
        for change in question.changes:
            if change.new is None and change.old is not None:
                commit = commit_of(self._git, change.old)
                if commit:
                    self._git.keep(commit)
        return []

    def _sweep_locks(self, question: Question) -> None:
        """Under the writer lock nobody is at these refs: git's own locks on them were left by the dead."""
        names = ("packed-refs", *(change.name for change in question.changes))
        if any((self._git.path / f"{name}.lock").exists() for name in names):
            upkeep.sweep_under_lock(self._git, now=datetime.now(UTC), older_than=upkeep.LEFT_OVER)

    def completed(self, question: Question) -> None:
        """Remember the refs that moved, and the names of new releases for ever."""
        self.moved = tuple(change for change in question.changes if self._has_moved(change))
        for change in self.moved:
            if change.name.startswith(TAGS) and change.new and self._git.find_kind(change.new) == "tag":
                self._record_release(
                    RefName(change.name.removeprefix(TAGS)), commit_of(self._git, change.new)
                )

    def _record_release(self, name: RefName, commit: CommitId | None) -> None:
        if commit is None or self._git.find_ref(RELEASES + name) == commit:
            return
        self._git.move_ref(RELEASES + name, commit, expected=None)

    def _has_moved(self, change: RefChange) -> bool:
        now = self._git.find_ref(change.name)
        return now == (commit_of(self._git, change.new) if change.new else None)

    def _reader(self, question: Question) -> GitRepo:
        folders = [question.quarantine] if question.quarantine else []
        return GitRepo(self._git.path, alternates=folders)

    # Refs

    def _ref_faults(self, repo: GitRepo, question: Question) -> list[str]:
        found = []
        for change in question.changes:
            found += [f"{change.name}: {fault}" for fault in self._faults_of_ref(repo, change)]
        return found

    def _faults_of_ref(self, repo: GitRepo, change: RefChange) -> Iterator[str]:
        prefix = next((prefix for prefix in (HEADS, TAGS) if change.name.startswith(prefix)), None)
        if prefix is None:
            yield "only branches and tags can be pushed"
            return
        name = change.name.removeprefix(prefix)
        if change.old is None:
            yield from _name_faults(name)
        if change.old != self._git.find_target(change.name):
            # git itself deletes whatever is there if it does not know the id that the client claims.
            yield "it does not hold what the push says; fetch and try again"
            return
        if prefix == HEADS:
            yield from self._branch_faults(repo, name, change)
        else:
            yield from self._tag_faults(repo, RefName(name), change)

    def _branch_faults(self, repo: GitRepo, name: str, change: RefChange) -> Iterator[str]:
        if change.new is None:
            if name == self._default_branch:
                yield "it is the default branch and cannot be deleted"
        elif repo.find_kind(change.new) != "commit":
            yield "a branch must lead to a commit"
        elif change.old and not repo.is_reachable(CommitId(change.old), [CommitId(change.new)]):
            yield "not a fast-forward: it would lose versions; fetch and merge first"

    def _tag_faults(self, repo: GitRepo, name: RefName, change: RefChange) -> Iterator[str]:
        released = self._git.find_ref(RELEASES + name)
        is_release = released is not None or (
            change.old is not None and self._git.find_kind(change.old) == "tag"
        )
        commit = commit_of(repo, change.new) if change.new else None
        if change.new is None:
            if is_release:
                yield "it is a release and cannot be deleted by a push"
        elif change.old is not None:
            yield "it is a release and never moves" if is_release else "a tag never moves; delete it first"
        elif commit is None:
            yield "a tag must lead to a commit"
        elif released is not None and released != commit:
            yield "a release of this name existed for another version, and a release never moves"

    # Contents

    def _content_faults(self, repo: GitRepo, question: Question) -> list[str]:
        refusals = Refusals(self._limits.refusals)
        try:
            self._look(repo, question, refusals)
        except TooMuchError as error:
            return [*refusals.lines(), str(error)]
        return refusals.lines()

    def _look(self, repo: GitRepo, question: Question, refusals: Refusals) -> None:
        tips = [
            commit for change in question.changes if change.new and (commit := commit_of(repo, change.new))
        ]
        commits = repo.new_commits(tips, limit=self._limits.commits + 1)
        if len(commits) > self._limits.commits:
            raise TooMuchError(f"more than {self._limits.commits} new commits; push in smaller steps")
        check = ContentCheck(repo, self._ledger, self._limits, refusals, imports=self._imports)
        for commit in commits:
            check.check(commit)
        check.finish()
        for change in question.changes:
            if change.new and change.name.startswith(HEADS):
                self._check_identity(repo, change, set(commits), refusals)

    def _check_identity(
        self, repo: GitRepo, change: RefChange, new: set[CommitId], refusals: Refusals
    ) -> None:
        """A branch keeps saying which dataset it is and where its bytes lie."""
        tip = CommitId(str(change.new))
        accepted = [found for found in (self._base(repo, change, tip, new), self._default_head()) if found]
        if not accepted or tip in accepted:
            return
        branch = change.name.removeprefix(HEADS)
        record = read_path(repo, tip, layout.DATASET_FILE)
        if all(record != read_path(repo, commit, layout.DATASET_FILE) for commit in accepted):
            refusals.add(
                layout.DATASET_FILE, f"changed or removed on {branch!r}: the service alone writes this file"
            )
        config = guarded_config(read_path(repo, tip, layout.DVC_CONFIG))
        if all(config != guarded_config(read_path(repo, commit, layout.DVC_CONFIG)) for commit in accepted):
            refusals.add(
                layout.DVC_CONFIG,
                f"the settings 'core', 'cairn' or 'site' changed on {branch!r}: a dataset's storage never "
                "changes (your own settings belong into .dvc/config.local)",
            )

    def _default_head(self) -> CommitId | None:
        return self._git.branch(self._default_branch)

    def _base(self, repo: GitRepo, change: RefChange, tip: CommitId, new: set[CommitId]) -> CommitId | None:
        """Return what the branch was, or the version that a new branch starts from."""
        if change.old:
            return CommitId(change.old)
        for _ in range(len(new) + 1):
            if tip not in new:
                return tip
            parents = repo.read_commit(tip).parents
            if not parents:
                return None
            tip = parents[0]
        return None


def _name_faults(name: str) -> Iterator[str]:
    try:
        parse_name(name)
    except InvalidRefError as error:
        yield str(error)
        return
    if name in RESERVED_NAMES:
        yield f"the name {name!r} has a meaning of its own"
    if is_commit_id(name):
        yield "a name may not look like a commit id"


def commit_of(repo: GitRepo, oid: str) -> CommitId | None:
    """Return the commit that an object is or that a tag object names directly; else None."""
    kind = repo.find_kind(oid)
    if kind == "commit":
        return CommitId(oid)
    found = _TAG_TARGET.match(repo.read(oid).content) if kind == "tag" else None
    return CommitId(found["oid"].decode()) if found and found["kind"] == b"commit" else None


def read_path(repo: GitRepo, commit: CommitId, path: str) -> bytes | None:
    """Return what git holds at a path in a commit, or None; a large file counts as none."""
    folder = bytes.fromhex(repo.read_commit(commit).tree)
    *parents, name = path.split("/")
    for parent in parents:
        node = repo.read_folder(folder).nodes.get(parent.encode())
        if node is None or not node.is_tree:
            return None
        folder = node.oid
    node = repo.read_folder(folder).nodes.get(name.encode())
    if node is None or not node.is_blob or repo.blob_size(node.id) > layout.MAX_TEXT_BYTES:
        return None
    return repo.read(node.id).content


def guarded_config(text: bytes | None) -> dict[str, list[str]] | None:
    """Return the lines of ``.dvc/config`` that decide where bytes lie, by section; None for no file.

    Compared, never obeyed. Every line that could belong to one of the sections counts, however it is
    quoted; a text in triple quotes could hide lines, so it is never equal to what the service wrote.
    """
    if text is None:
        return None
    sections: dict[str, list[str]] = {}
    section = ""
    for raw in text.decode(errors="replace").splitlines():
        line = raw.strip()
        if line.startswith("["):
            header = line.partition("]")[0]
            section = " ".join(re.sub(r"""[\['"]""", "", header).casefold().split())
            if section in _GUARDED_SECTIONS:
                sections.setdefault(section, [])
        elif line and not line.startswith("#") and section in sections:
            key, _, value = line.partition("=")
            sections[section].append(f"{key.strip().casefold()}={value.strip()}")
    if b'"""' in text or b"'''" in text:
        sections["hidden"] = []
    return sections


def shortened(reasons: Sequence[str]) -> list[str]:
    """Return at most MAX_SHOWN reasons and the number of the others."""
    if len(reasons) <= MAX_SHOWN:
        return list(reasons)
    return [*reasons[:MAX_SHOWN], f"and {len(reasons) - MAX_SHOWN} more"]
