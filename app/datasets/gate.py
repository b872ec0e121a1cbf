"""The one gate through which everything else reaches a dataset's content.

Who may, is decided here and nowhere else; what is handed out is a repository and a pool, opened for
one actor and one action.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from app.access import (
    READS,
    AccessLevel,
    Action,
    Actor,
    RoleSource,
    Scope,
    Visibility,
    allows,
    effective_level,
)
from app.config import Config
from app.datasets import store
from app.datasets.binding import Agreement, agreement
from app.datasets.models import Dataset, DatasetId
from app.datasets.pool import Pool
from app.db import Database
from app.errors import ForbiddenError, MissingError, TakenError, UnauthenticatedError
from app.namespaces.models import Namespace, NamespaceId
from app.namespaces.service import NamespaceService
from app.storage_sites.service import SiteService
from gitops import layout
from gitops.cache import MemoryCache
from gitops.changes import ChangeSet
from gitops.datarepo import DataRepo
from gitops.errors import IntegrityError, NothingToCommitError, UnavailableError
from gitops.folders import ReadCaches
from gitops.gitrepo import GitRepo
from gitops.model import CommitId, RefName, Signature

_SERVICE_NAME = "Cairn"
_SERVICE_EMAIL = "cairn@localhost"
_OPEN_REPOSITORIES = 256
MAX_ID_DIGITS = 18
MAX_SHOWN = 400

NEEDED = {
    Action.SEE: "guest",
    Action.READ: "reporter",
    Action.WRITE: "developer",
    Action.MAINTAIN: "maintainer",
    Action.OWN: "owner",
}


@dataclass(frozen=True, slots=True)
class OpenDataset:
    """A dataset that an actor was let into, for one action."""

    dataset: Dataset
    actor: Actor
    level: AccessLevel
    repo: DataRepo
    found_pool: Pool | None
    is_public: bool = False
    """Everybody may read it, so shared caches may keep answers."""

    @property
    def pool(self) -> Pool:
        """The dataset's bytes.

        Raises:
            TakenError: no storage site is bound yet (code ``storage_site_unbound``).
        """
        if self.found_pool is None:
            raise TakenError(
                f"{self.dataset.full_path} has no storage site yet; a maintainer chooses one, once",
                code="storage_site_unbound",
            )
        return self.found_pool

    def check_branch(self, branch: RefName) -> None:
        """Refuse a change of the default branch where its owners ask for a higher level.

        Raises:
            ForbiddenError: the actor's level is below the dataset's ``push_level``.
        """
        if branch == self.dataset.default_branch and self.level < self.dataset.push_level:
            needed = self.dataset.push_level.name.lower()
            raise ForbiddenError(f"changing {branch!r} needs the level {needed} in {self.dataset.full_path}")


class LocalRoles(RoleSource):
    """Membership from the local tables: on the dataset itself, or on its namespace."""

    def __init__(self, database: Database, namespaces: NamespaceService) -> None:
        self._database = database
        self._namespaces = namespaces

    def membership(self, actor: Actor, *, dataset: int, namespace: int) -> AccessLevel:
        """Return the higher of the two levels."""
        if actor.user is None:
            return AccessLevel.NONE
        with self._database.reading() as connection:
            own = store.member_level(connection, DatasetId(dataset), actor.user)
            inherited = self._namespaces.membership(connection, NamespaceId(namespace), actor.user)
        return max(own, inherited)


class Gate:
    """Lets actors in, and nobody else."""

    def __init__(
        self,
        *,
        config: Config,
        database: Database,
        clock: Callable[[], datetime],
        namespaces: NamespaceService,
        sites: SiteService,
        roles: RoleSource,
        caches: ReadCaches,
    ) -> None:
        self._config = config
        self._database = database
        self._clock = clock
        self._namespaces = namespaces
        self._sites = sites
        self._roles = roles
        self._caches = caches
        self._repositories: MemoryCache[DatasetId, GitRepo] = MemoryCache(max_weight=_OPEN_REPOSITORIES)
        self._checked: MemoryCache[tuple[DatasetId, int | None, CommitId], Agreement] = MemoryCache(
            max_weight=4096
        )

    def open(self, actor: Actor, dataset: int | str, action: Action) -> OpenDataset:
        """Return a dataset to an actor who may do ``action`` with it.

        Raises:
            MissingError: there is none, or the actor may not know that there is.
            UnauthenticatedError, ForbiddenError: the actor may see it but not do this.
            UnavailableError: it is still being created.
            IntegrityError: its content is to change, and the repository contradicts the registry.
        """
        with self._database.reading():
            found, level, visibility = self._visible(actor, dataset)
            if found.deletion_due and not (level >= AccessLevel.OWNER and action in (Action.SEE, Action.OWN)):
                raise missing(dataset)
            self._demand(actor, action, level, found)
            if not found.is_ready:
                raise UnavailableError(f"{found.full_path} is still being created; try again in a minute")
            opened = self.opened(found, actor, level, visibility)
        if action is Action.WRITE:
            self.refuse_contradiction(opened)
        return opened

    def refuse_contradiction(self, opened: OpenDataset) -> None:
        """Take no content where the repository names another site; write down a binding that it lacks."""
        problem = self.binding_problem(opened)
        if problem:
            raise IntegrityError(f"{opened.dataset.full_path} takes no changes: {problem}")
        if self._agreement(opened).is_unwritten:
            self.record_binding(opened.dataset.id)

    def open_for_upkeep(self, dataset: DatasetId) -> OpenDataset:
        """Return any dataset to the service itself: jobs and the administrator's commands."""
        with self._database.reading() as connection:
            found = store.find_by_id(connection, dataset)
        if found is None:
            raise missing(dataset)
        return self.opened(found, Actor(), AccessLevel.OWNER, found.visibility)

    def _visible(self, actor: Actor, dataset: int | str) -> tuple[Dataset, AccessLevel, Visibility]:
        with self._database.reading() as connection:
            if isinstance(dataset, int) or (dataset.isascii() and dataset.isdigit()):
                found = store.find_by_id(connection, int(dataset)) if _is_id(dataset) else None
            else:
                namespace, _, path = dataset.rpartition("/")
                found = store.find_by_path(connection, namespace, path)
        if found is None:
            # As long as it takes to find out that a dataset is not the actor's to know.
            self._roles.membership(actor, dataset=0, namespace=0)
            raise missing(dataset)
        level, visibility = self.standing(actor, found)
        if level < AccessLevel.GUEST:
            raise missing(dataset)
        return found, level, visibility

    def standing(self, actor: Actor, dataset: Dataset) -> tuple[AccessLevel, Visibility]:
        """Return what the actor's level is, and how visible the dataset effectively is."""
        visibility = self._effective_visibility(dataset)
        own = self._roles.membership(actor, dataset=dataset.id, namespace=dataset.namespace_id)
        return effective_level(actor, own, visibility), visibility

    def _effective_visibility(self, dataset: Dataset) -> Visibility:
        """A namespace that was closed later closes what lies in it."""
        if dataset.visibility is Visibility.PRIVATE:
            return dataset.visibility
        home = self.namespace(dataset)
        return min(dataset.visibility, home.visibility, key=lambda visibility: visibility.rank)

    def namespace(self, dataset: Dataset) -> Namespace:
        """Return the namespace of a dataset."""
        with self._database.reading() as connection:
            home = self._namespaces.find(connection, dataset.namespace_id)
        assert home is not None  # a foreign key holds it
        return home

    def _demand(self, actor: Actor, action: Action, level: AccessLevel, dataset: Dataset) -> None:
        if allows(actor, action, level):
            return
        if actor.is_anonymous:
            raise UnauthenticatedError(f"sign in to change {dataset.full_path}")
        if action not in READS and not actor.may_write:
            raise ForbiddenError(
                f"this token reads only; changing {dataset.full_path} needs the scope '{Scope.API}'",
                code="insufficient_scope",
            )
        raise ForbiddenError(f"this needs the level {NEEDED[action]} in {dataset.full_path}")

    def opened(
        self, dataset: Dataset, actor: Actor, level: AccessLevel, visibility: Visibility
    ) -> OpenDataset:
        """Return a dataset whose actor was judged already."""
        pool = None
        if dataset.site_id is not None:
            objects = self._sites.open_store(dataset.site_id, dataset.id)
            pool = Pool(dataset.id, objects, self._database, self._clock)
        repository = self._repositories.get_or_make(
            dataset.id, lambda: GitRepo(self.repository_path(dataset.id))
        )
        repo = DataRepo(
            repository, pool.store if pool else None, self._caches, default_branch=dataset.default_branch
        )
        return OpenDataset(dataset, actor, level, repo, pool, is_public=visibility is Visibility.PUBLIC)

    def repository_path(self, dataset: DatasetId) -> Path:
        """Return the folder of a dataset's bare repository."""
        return self._config.home.absolute() / "repos" / f"{dataset}.git"

    def record(self, dataset: Dataset) -> layout.DatasetRecord:
        """Return what a dataset's repository says about identity and site."""
        site = None
        if dataset.site_id is not None:
            bound = self._sites.find(dataset.site_id)
            url = self._sites.pool_url(bound, dataset.id)
            site = layout.SiteRecord(bound.id, bound.name, bound.provider, url)
        return layout.DatasetRecord(dataset.id, self.dvc_url(dataset.id), site)

    def dvc_url(self, dataset: DatasetId) -> str:
        """Return the address of the DVC remote."""
        return f"{self._config.public_url}/dvc/{dataset}"

    def record_binding(self, dataset_id: DatasetId, author: Signature | None = None) -> None:
        """Write the bound site into the repository; repeating it changes nothing."""
        opened = self.open_for_upkeep(DatasetId(dataset_id))
        if opened.dataset.site_id is None:
            return
        changes = ChangeSet()
        changes.bind(self.record(opened.dataset))
        branch = opened.dataset.default_branch
        try:
            opened.repo.commit(
                changes,
                branch=branch,
                base=opened.repo.head(branch),
                author=author or self.service_signature(),
                message=f"Bind storage site {self._sites.find(opened.dataset.site_id).name}",
            )
        except NothingToCommitError:
            return

    def binding_problem(self, opened: OpenDataset) -> str | None:
        """Return how the repository contradicts the registry about identity and site, or None."""
        if opened.repo.git.branch(opened.dataset.default_branch) is None:
            return "its default branch is missing"
        problem = self._agreement(opened).problem
        if problem and opened.dataset.site_id is None:
            # Bound by somebody since the registry was asked: the repository is ahead, not wrong.
            problem = self._agreement(self.open_for_upkeep(opened.dataset.id)).problem
        return problem or None

    def _agreement(self, opened: OpenDataset) -> Agreement:
        dataset = opened.dataset
        head = opened.repo.head(dataset.default_branch)

        def compare() -> Agreement:
            snapshot = opened.repo.snapshot(head)
            return agreement(
                snapshot.read_raw(layout.DATASET_FILE),
                snapshot.read_raw(layout.DVC_CONFIG),
                expected=layout.binding_files(self.record(dataset)),
                unbound=layout.binding_files(self.record(replace(dataset, site_id=None))),
            )

        return self._checked.get_or_make((dataset.id, dataset.site_id, head), compare)

    def signature(self, actor: Actor) -> Signature:
        """Return whom a change by this actor is attributed to."""
        return Signature(actor.name or actor.username, actor.email, self._clock())

    def service_signature(self) -> Signature:
        """Return the service itself as an author, for what no person asked for."""
        return Signature(_SERVICE_NAME, _SERVICE_EMAIL, self._clock())


def _is_id(address: int | str) -> bool:
    """Tell whether a number is one that the database can hold."""
    return len(address) <= MAX_ID_DIGITS if isinstance(address, str) else abs(address) < 10**MAX_ID_DIGITS


def missing(dataset: int | str) -> MissingError:
    """Return the same error for what does not exist and for what the actor may not know."""
    return MissingError(f"there is no dataset {str(dataset)[:MAX_SHOWN]!r}", code="dataset_not_found")
