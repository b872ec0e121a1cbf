"""What versions changed: sums, comparisons, both remembered because versions never change."""

from collections.abc import Iterator
from dataclasses import replace

import orjson

from app.datasets.service import OpenDataset
from app.errors import BadRequestError
from app.versions.models import Amount, Comparison, Stats, compared
from gitops.cache import ImmutableCache, MemoryCache
from gitops.model import Change, Commit, CommitId, Entry, EntryKind, Pointer

# A row takes about 400 bytes: 200 MB for the largest comparison, 20 MB for all that are remembered.
_MAX_COMPARED = 500_000
_REMEMBERED = 50_000


class Differences:
    """Differences between the versions of a dataset that its caller has opened."""

    def __init__(self, cache: ImmutableCache) -> None:
        self._cache = cache
        self._comparisons: MemoryCache[tuple[int, str, str], Comparison] = MemoryCache(
            max_weight=_REMEMBERED, weigh=lambda found: len(found.rows) + 1
        )

    def stats(self, opened: OpenDataset, commit: Commit) -> Stats:
        """Return a version's sums against its first parent; computed once per pair of commits."""
        parent = commit.parents[0] if commit.parents else None
        # The dataset is part of it: what a folder's manifest holds comes from the dataset's own pool.
        address = f"{commit.id}-{parent or 'nothing'}-{opened.dataset.id}"
        known = self._cache.find("stats-v1", address)
        if known is not None:
            return Stats(*(Amount(files, size) for files, size in orjson.loads(known)))
        seen = _Seen()
        found = Stats.of(seen.watch(opened.repo.diff(parent, commit.id)))
        if seen.is_whole:
            amounts = (found.added, found.removed, found.changed)
            content = orjson.dumps([[amount.files, amount.size] for amount in amounts])
            self._cache.keep("stats-v1", address, content)
        return found

    def compare(self, opened: OpenDataset, old: CommitId | None, new: CommitId) -> Comparison:
        """Return everything that differs between two versions.

        Raises:
            BadRequestError: it is too much to hold in memory.
        """
        key = (opened.dataset.id, old or "", new)
        known = self._comparisons.find(key)
        if known is not None:
            return known
        seen = _Seen()
        changes = [_slim(change) for change in seen.watch(_bounded(opened.repo.diff(old, new)))]
        found = compared(old, new, changes)
        if seen.is_whole:
            self._comparisons.keep(key, found)
        return found


class _Seen:
    """Notices folders whose manifest the pool lacked: once it has come, the answer will be another."""

    def __init__(self) -> None:
        self.is_whole = True

    def watch(self, changes: Iterator[Change]) -> Iterator[Change]:
        for change in changes:
            for side in (change.before, change.after):
                if side is not None and side.kind is EntryKind.FOLDER:
                    self.is_whole = False
            yield change


def _bounded(changes: Iterator[Change]) -> Iterator[Change]:
    for count, change in enumerate(changes):
        if count >= _MAX_COMPARED:
            raise BadRequestError(f"more than {_MAX_COMPARED} files differ; compare the manifests instead")
        yield change


def _slim(change: Change) -> Change:
    return Change(change.path, _side(change.before), _side(change.after))


def _side(entry: Entry | None) -> Entry | None:
    """Leave out what a comparison does not show, because there may be very many."""
    if entry is None or entry.pointer is None:
        return entry
    return replace(entry, blob=None, pointer=Pointer(entry.pointer.md5, entry.pointer.size))
