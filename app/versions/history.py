"""History: which versions there are, what each changed, what differs between two."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice

from app.access import Action, Actor
from app.datasets.service import DatasetService, OpenDataset
from app.versions.differences import Differences
from app.versions.models import Comparison, Stats, Version
from gitops.cache import ImmutableCache
from gitops.model import ROOT, Commit, CommitId, RefName, RepoPath


class HistoryService:
    """Reads the versions of datasets. Nothing here writes."""

    def __init__(self, datasets: DatasetService, cache: ImmutableCache) -> None:
        self._datasets = datasets
        self._differences = Differences(cache)

    def log(
        self,
        actor: Actor,
        dataset: int | str,
        *,
        ref: RefName | CommitId | None = None,
        path: RepoPath = ROOT,
        author: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        skip: int = 0,
    ) -> tuple[OpenDataset, CommitId, Iterator[Version]]:
        """Return versions, newest first, as an iterator that computes each one's sums when it is reached.

        ``skip`` leaves the first ones out, which costs a look at each but no sums. Moments are aware.
        """
        opened = self._datasets.open(actor, dataset, Action.READ)
        start = opened.repo.resolve(ref or opened.dataset.default_branch)
        wanted = (
            commit
            for commit in opened.repo.log(start, path=path)
            if _is_by(commit, author)
            and (since is None or commit.committer.when >= since)
            and (until is None or commit.committer.when <= until)
        )
        shown = islice(wanted, skip, None)
        return opened, start, (Version(commit, self.stats(opened, commit)) for commit in shown)

    def version(
        self, actor: Actor, dataset: int | str, ref: RefName | CommitId
    ) -> tuple[OpenDataset, Version]:
        """Return one version."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        commit = opened.repo.git.read_commit(opened.repo.resolve(ref))
        return opened, Version(commit, self.stats(opened, commit))

    def stats(self, opened: OpenDataset, commit: Commit) -> Stats:
        """Return a version's sums against its first parent; computed once per pair of commits."""
        return self._differences.stats(opened, commit)

    def changes(
        self, actor: Actor, dataset: int | str, ref: RefName | CommitId
    ) -> tuple[OpenDataset, Comparison]:
        """Return what one version changed against its first parent."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        commit = opened.repo.git.read_commit(opened.repo.resolve(ref))
        parent = commit.parents[0] if commit.parents else None
        return opened, self._differences.compare(opened, parent, commit.id)

    def compare(
        self,
        actor: Actor,
        dataset: int | str,
        old: RefName | CommitId,
        new: RefName | CommitId,
    ) -> tuple[OpenDataset, Comparison]:
        """Return everything that differs between two versions."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        before, after = opened.repo.resolve(old), opened.repo.resolve(new)
        return opened, self._differences.compare(opened, before, after)


def _is_by(commit: Commit, author: str | None) -> bool:
    if not author:
        return True
    wanted = author.casefold()
    return wanted in commit.author.name.casefold() or wanted == commit.author.email.casefold()
