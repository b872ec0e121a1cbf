"""Which readable datasets hold given bytes, at which paths and in which named versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from app.access import Actor
from app.datasets.catalog import Catalog
from app.datasets.models import ObjectFacts
from app.datasets.service import OpenDataset
from app.errors import BadRequestError
from gitops.model import CommitId, Md5, RepoPath

_MAX_HASHES = 100
_MAX_REFS = 50
_MAX_ENTRIES = 2_000_000


@dataclass(frozen=True, slots=True)
class Holding:
    """One path of one dataset that holds the bytes, and the tags and branches that show it."""

    dataset_id: int
    dataset: str
    facts: ObjectFacts
    path: RepoPath
    refs: tuple[str, ...]

    def shown(self) -> dict[str, object]:
        """Return the holding as JSON."""
        return {
            "dataset_id": self.dataset_id,
            "dataset": self.dataset,
            "md5": self.facts.address,
            "sha256": self.facts.sha256,
            "size": self.facts.size,
            "path": self.path,
            "refs": list(self.refs),
        }


class LookupService:
    """Finds bytes by hash among what an actor may read."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find(self, actor: Actor, hashes: Sequence[str], *, by_sha256: bool) -> list[Holding]:
        """Return every path, in the branches and the newest tags, whose bytes have one of these hashes.

        Raises:
            BadRequestError: too many hashes.
        """
        if len(hashes) > _MAX_HASHES:
            raise BadRequestError(f"look up at most {_MAX_HASHES} hashes at once")
        wanted = [value.lower() for value in hashes]
        by_dataset: dict[int, tuple[OpenDataset, dict[Md5, ObjectFacts]]] = {}
        for opened, facts in self._catalog.holders(actor, wanted, by_sha256=by_sha256):
            by_dataset.setdefault(opened.dataset.id, (opened, {}))[1][facts.address] = facts
        return [row for opened, facts in by_dataset.values() for row in _holdings(opened, facts)]


def _holdings(opened: OpenDataset, facts: dict[Md5, ObjectFacts]) -> list[Holding]:
    named: dict[CommitId, list[str]] = {}
    for branch in opened.repo.branches():
        named.setdefault(branch.commit, []).append(branch.name)
    for tag in islice(opened.repo.tags(), _MAX_REFS):
        named.setdefault(tag.commit, []).append(tag.name)
    found: dict[tuple[RepoPath, Md5], list[str]] = {}
    for commit, refs in named.items():
        for entry in islice(opened.repo.snapshot(commit).walk(), _MAX_ENTRIES):
            if entry.pointer and entry.pointer.md5 in facts:
                found.setdefault((entry.path, entry.pointer.md5), []).extend(refs)
    return [
        Holding(opened.dataset.id, opened.dataset.full_path, facts[md5], path, tuple(refs))
        for (path, md5), refs in sorted(found.items())
    ]
