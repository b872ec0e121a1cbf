"""What a ref means: the one place where a name becomes a commit."""

from datetime import UTC, datetime

from gitops.errors import InvalidRefError, RefNotFoundError
from gitops.folders import ReadCaches
from gitops.gitrepo import HEADS, TAGS, GitRepo
from gitops.model import (
    CommitId,
    RefName,
    is_abbreviated_id,
    is_commit_id,
    split_dated_branch,
    split_version_range,
)
from gitops.version_numbers import newest

LATEST = RefName("latest")
RESERVED_NAMES = frozenset({LATEST})
"""Names that no branch or tag may have, because they mean something computed."""


class Resolver:
    """Finds the commit that a ref means in one repository."""

    def __init__(self, git: GitRepo, caches: ReadCaches) -> None:
        self._git = git
        self._caches = caches

    def resolve(self, ref: RefName | CommitId) -> CommitId:
        """Return the commit a ref means: full id, tag, branch, abbreviated id, in this order."""
        if is_commit_id(ref):
            return self._visible(CommitId(ref))
        name = RefName(ref)
        found = self._computed(name) or self._git.find_ref(TAGS + name) or self._git.find_ref(HEADS + name)
        if found:
            return found
        if is_abbreviated_id(ref):
            matches = self._git.abbreviated(ref)
            if len(matches) > 1:
                raise InvalidRefError(f"{ref!r} abbreviates {len(matches)} commits; give more digits")
            if matches:
                return self._visible(matches[0])
        raise RefNotFoundError(f"there is no tag, branch or commit {ref!r}")

    def _computed(self, name: RefName) -> CommitId | None:
        """Return what ``latest``, ``~0.1`` and ``branch@{moment}`` mean; None for a plain name."""
        prefix = split_version_range(name)
        if name == LATEST or prefix is not None:
            tag = newest(self._git.tags(), prefix=prefix)
            if tag is None:
                raise RefNotFoundError(f"no tag with a version number matches {name!r}")
            return tag.commit
        dated = split_dated_branch(name)
        return self._before(*dated) if dated else None

    def _before(self, branch: RefName, moment: str) -> CommitId:
        when = _parse_moment(moment)
        head = self._git.branch(branch)
        if head is None:
            raise RefNotFoundError(f"there is no branch {branch!r}")
        for commit in self._git.first_parents(head):
            if commit.committer.when < when:
                return commit.id
        raise RefNotFoundError(f"the branch {branch!r} has no version before {moment}")

    def _visible(self, commit: CommitId) -> CommitId:
        """Refuse ids of objects that never were a version: a pack holds more than its branches show."""
        if self._caches.reachable.find((self._git.path, commit)):
            return commit
        self._git.read_commit(commit)
        if not self._git.is_reachable(commit, self._git.kept_heads()):
            raise RefNotFoundError(f"there is no commit {commit}")
        self._caches.reachable.keep((self._git.path, commit), value=True)
        return commit

    def remember(self, commit: CommitId) -> None:
        """Note that a commit has just become a version."""
        self._caches.reachable.keep((self._git.path, commit), value=True)


def _parse_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidRefError(f"{text!r} is not a date such as 2026-03-01 or 2026-03-01T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
