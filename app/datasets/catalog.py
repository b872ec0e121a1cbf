"""Lists of datasets: what an actor may see, counted and sorted; who holds given bytes."""

from collections.abc import Sequence
from typing import Any

from app.access import AccessLevel, Action, Actor, Visibility, allows
from app.datasets import ledger, store
from app.datasets.gate import Gate, OpenDataset
from app.datasets.models import Dataset, DatasetFilter, DatasetId, ObjectFacts
from app.db import Database, Select
from app.errors import ForbiddenError, MissingError, UnauthenticatedError
from app.namespaces.service import NamespaceService
from gitops.errors import UnavailableError
from gitops.model import Md5, Totals


class Catalog:
    """Finds datasets; never says more than their gate would."""

    def __init__(self, gate: Gate, database: Database, namespaces: NamespaceService) -> None:
        self._gate = gate
        self._database = database
        self._namespaces = namespaces

    def page(
        self,
        actor: Actor,
        wanted: DatasetFilter,
        *,
        sort: str = "name",
        is_descending: bool = False,
        after: tuple[Any, int] | None = None,
        limit: int = 100,
        among: Select[tuple[int]] | None = None,
    ) -> list[Dataset]:
        """Return the datasets that the actor may see, in order; ``after`` is the last row's value and id.

        ``among`` is a query for the ids to choose from.
        """
        with self._database.reading() as connection:
            return store.page(
                connection,
                wanted,
                reader=self._reader(actor),
                sort=sort,
                is_descending=is_descending,
                after=after,
                limit=limit,
                among=among,
            )

    def totals(self, actor: Actor, datasets: Sequence[Dataset]) -> dict[DatasetId, Totals]:
        """Return files and bytes at the head of listed datasets that the actor may read.

        A head is counted once in each process; afterwards the cost is one look at its branch.
        """
        found: dict[DatasetId, Totals] = {}
        for dataset in datasets:
            level, visibility = self._gate.standing(actor, dataset)
            if not allows(actor, Action.READ, level):
                continue
            repo = self._gate.opened(dataset, actor, level, visibility).repo
            head = repo.git.branch(dataset.default_branch)
            found[dataset.id] = repo.snapshot(head).totals() if head else Totals()
        return found

    def facets(self, actor: Actor, wanted: DatasetFilter) -> dict[str, dict[str, int]]:
        """Return how many of the listed datasets have each topic, visibility and namespace."""
        with self._database.reading() as connection:
            return store.facets(connection, wanted, reader=self._reader(actor))

    def _reader(self, actor: Actor) -> store.Reader:
        with self._database.reading() as connection:
            levels = self._namespaces.levels_of_user(connection, actor.user)
        kinds = [Visibility.PUBLIC] if actor.is_anonymous else [Visibility.PUBLIC, Visibility.INTERNAL]
        return store.Reader(
            user=actor.user,
            is_all=actor.is_admin,
            joined=[namespace for namespace, level in levels.items() if level >= AccessLevel.GUEST],
            open_kinds=kinds,
            open_namespaces=self._namespaces.ids_with_visibility(kinds),
        )

    def holders(
        self, actor: Actor, hashes: Sequence[str], *, by_sha256: bool
    ) -> list[tuple[OpenDataset, ObjectFacts]]:
        """Return which readable datasets hold objects with these hashes."""
        with self._database.reading() as connection:
            found = ledger.holders(connection, hashes, by_sha256=by_sha256)
        by_dataset: dict[DatasetId, list[Md5]] = {}
        for dataset_id, address, _ in found:
            by_dataset.setdefault(dataset_id, []).append(address)
        result = []
        for dataset_id, addresses in by_dataset.items():
            try:
                opened = self._gate.open(actor, dataset_id, Action.READ)
            except (MissingError, ForbiddenError, UnauthenticatedError, UnavailableError):
                continue
            result += [(opened, facts) for facts in opened.pool.facts(addresses).values()]
        return result
