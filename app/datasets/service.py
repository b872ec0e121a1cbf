"""Datasets: create, find, bind, and the one gate through which everything else reaches a repository."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

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
from app.accounts.service import find_user, users_by_id
from app.config import Config
from app.datasets import ledger, store
from app.datasets.binding import Agreement, agreement
from app.datasets.models import (
    DEFAULT_BRANCH,
    Dataset,
    DatasetFilter,
    DatasetId,
    Kind,
    Member,
    ObjectFacts,
    checked_description,
    checked_name,
    checked_path,
    checked_topics,
    path_of_name,
)
from app.datasets.pool import Pool
from app.db import Connection, Database, Select
from app.errors import (
    BadRequestError,
    ForbiddenError,
    GoneError,
    MissingError,
    TakenError,
    UnauthenticatedError,
)
from app.jobs import Jobs
from app.namespaces.models import Namespace, NamespaceId
from app.namespaces.service import NamespaceService
from app.storage_sites.models import Site
from app.storage_sites.service import SiteService
from gitops import layout
from gitops.cache import MemoryCache
from gitops.changes import ChangeSet
from gitops.datarepo import DataRepo
from gitops.errors import GitopsError, IntegrityError, NothingToCommitError, UnavailableError
from gitops.folders import ReadCaches
from gitops.forge import Forge
from gitops.gitrepo import GitRepo
from gitops.model import CommitId, Md5, RefName, RepoPath, Signature, Totals

log = logging.getLogger("cairn.datasets")

CREATE = "dataset.create"
BIND = "dataset.bind"
PURGE = "dataset.purge"
_SERVICE_NAME = "Cairn"
_SERVICE_EMAIL = "cairn@localhost"
_OPEN_REPOSITORIES = 256
_MEMBERS_SHOWN = 1000
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


@dataclass(frozen=True, slots=True)
class Registration:
    """A dataset or project that may be created: checked, and not yet a row."""

    values: Mapping[str, Any]
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """What a dataset's page and JSON say beside the dataset itself."""

    dataset: Dataset
    level: AccessLevel
    site: Site | None
    head: CommitId | None
    totals: Totals
    stored_objects: int
    stored_bytes: int
    problem: str | None


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


class DatasetService:
    """The registry of datasets and the single gate to their contents."""

    def __init__(
        self,
        *,
        config: Config,
        database: Database,
        jobs: Jobs,
        clock: Callable[[], datetime],
        namespaces: NamespaceService,
        sites: SiteService,
        roles: RoleSource,
        forge: Forge,
        caches: ReadCaches,
    ) -> None:
        self._config = config
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._namespaces = namespaces
        self._sites = sites
        self._roles = roles
        self._forge = forge
        self._caches = caches
        self._repositories: MemoryCache[DatasetId, GitRepo] = MemoryCache(max_weight=_OPEN_REPOSITORIES)
        self._checked: MemoryCache[tuple[DatasetId, int | None, CommitId], Agreement] = MemoryCache(
            max_weight=4096
        )

    # The gate

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
                raise _missing(dataset)
            self._demand(actor, action, level, found)
            if not found.is_ready:
                raise UnavailableError(f"{found.full_path} is still being created; try again in a minute")
            opened = self._opened(found, actor, level, visibility)
        if action is Action.WRITE:
            self._refuse_contradiction(opened)
        return opened

    def _refuse_contradiction(self, opened: OpenDataset) -> None:
        """Take no content where the repository names another site; write down a binding that it lacks."""
        problem = self._binding_problem(opened)
        if problem:
            raise IntegrityError(f"{opened.dataset.full_path} takes no changes: {problem}")
        if self._agreement(opened).is_unwritten:
            self.record_binding(opened.dataset.id)

    def open_for_upkeep(self, dataset: DatasetId) -> OpenDataset:
        """Return any dataset to the service itself: jobs and the administrator's commands."""
        with self._database.reading() as connection:
            found = store.find_by_id(connection, dataset)
        if found is None:
            raise _missing(dataset)
        return self._opened(found, Actor(), AccessLevel.OWNER, found.visibility)

    def all_ids(self) -> list[DatasetId]:
        """Return the ids of all datasets, for upkeep."""
        with self._database.reading() as connection:
            return store.living_ids(connection)

    def _visible(self, actor: Actor, dataset: int | str) -> tuple[Dataset, AccessLevel, Visibility]:
        with self._database.reading() as connection:
            if isinstance(dataset, int) or (dataset.isascii() and dataset.isdigit()):
                found = store.find_by_id(connection, int(dataset)) if _is_id(dataset) else None
            else:
                namespace, _, path = dataset.rpartition("/")
                found = store.find_by_path(connection, namespace, path)
        if found is None:
            raise _missing(dataset)
        level, visibility = self._standing(actor, found)
        if level < AccessLevel.GUEST:
            raise _missing(dataset)
        return found, level, visibility

    def _standing(self, actor: Actor, dataset: Dataset) -> tuple[AccessLevel, Visibility]:
        """Return what the actor's level is, and how visible the dataset effectively is."""
        visibility = self._effective_visibility(dataset)
        own = self._roles.membership(actor, dataset=dataset.id, namespace=dataset.namespace_id)
        return effective_level(actor, own, visibility), visibility

    def _effective_visibility(self, dataset: Dataset) -> Visibility:
        """A namespace that was closed later closes what lies in it."""
        if dataset.visibility is Visibility.PRIVATE:
            return dataset.visibility
        home = self._namespace(dataset)
        return min(dataset.visibility, home.visibility, key=lambda visibility: visibility.rank)

    def _namespace(self, dataset: Dataset) -> Namespace:
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

    def _opened(
        self, dataset: Dataset, actor: Actor, level: AccessLevel, visibility: Visibility
    ) -> OpenDataset:
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

    # Creating

    def create(
        self,
        actor: Actor,
        *,
        name: str,
        namespace: int | str | None = None,
        path: str | None = None,
        description: str = "",
        visibility: Visibility | None = None,
        topics: Sequence[str] = (),
        storage_site: int | str | None = None,
    ) -> Dataset:
        """Create a dataset, bound at once if a site is named.

        Raises:
            BadRequestError: the namespace does not exist, or is less visible than asked for.
            ForbiddenError: the actor may not create datasets there.
            TakenError: the path is taken.
        """
        planned = self.prepare(
            actor,
            name=name,
            namespace=namespace,
            path=path,
            description=description,
            visibility=visibility,
            topics=topics,
            storage_site=storage_site,
        )
        with self._database.transaction() as connection:
            dataset_id = self.register(connection, planned, finished_by=CREATE)
        return self.finish_creation(dataset_id, self.signature(actor))

    def prepare(
        self,
        actor: Actor,
        *,
        name: str,
        kind: Kind = Kind.DATASET,
        namespace: int | str | None = None,
        path: str | None = None,
        description: str = "",
        visibility: Visibility | None = None,
        topics: Sequence[str] = (),
        storage_site: int | str | None = None,
    ) -> Registration:
        """Return what ``register`` will enter, if the actor may create it there. Raises like ``create``."""
        if actor.user is None:
            raise UnauthenticatedError(f"sign in to create a {kind}")
        if not actor.may_write:
            raise ForbiddenError(f"this token reads only; creating a {kind} needs the scope 'api'")
        home = self._home(actor, namespace)
        wanted = visibility or Visibility.PRIVATE
        _refuse_wider(wanted, home)
        site = self._sites.resolve(actor, storage_site) if storage_site is not None else None
        title = checked_name(name)
        now = self._clock()
        values = {
            "namespace_id": home.id,
            "namespace_path": home.path,
            "path": checked_path(path if path is not None else path_of_name(title)),
            "name": title,
            "description": checked_description(description),
            "visibility": wanted.value,
            "default_branch": DEFAULT_BRANCH,
            "push_level": int(AccessLevel.DEVELOPER),
            "site_id": site.id if site else None,
            "created_at": now,
            "updated_at": now,
            "created_by": actor.user,
            "is_ready": False,
            "kind": kind.value,
        }
        return Registration(values, checked_topics(list(topics)))

    def register(self, connection: Connection, planned: Registration, *, finished_by: str) -> DatasetId:
        """Enter a dataset; the job ``finished_by`` finishes its creation after a crash.

        Raises:
            TakenError: the path is taken.
        """
        dataset_id = store.insert_dataset(connection, planned.values, planned.topics)
        payload = {"dataset": dataset_id}
        self._jobs.enqueue(connection, finished_by, str(dataset_id), payload, delay=timedelta(minutes=1))
        return dataset_id

    def finish_creation(
        self,
        dataset_id: DatasetId,
        author: Signature | None = None,
        *,
        files: Callable[[Dataset], Mapping[RepoPath, bytes]] | None = None,
        message: str = "Create dataset",
    ) -> Dataset:
        """Give a registered dataset its repository; repeating it changes nothing.

        ``files`` returns what is added to every first commit, or stands in the place of its files.
        """
        with self._database.reading() as connection:
            dataset = store.find_by_id(connection, dataset_id)
        if dataset is None:
            raise _missing(dataset_id)
        if dataset.is_ready:
            return dataset
        self._forge.create(dataset.full_path, description=dataset.description)
        GitRepo.create(self.repository_path(dataset.id), branch=dataset.default_branch)
        opened = self._opened(dataset, Actor(), AccessLevel.OWNER, dataset.visibility)
        first = layout.first_files(self._record(dataset), name=dataset.name, description=dataset.description)
        first |= files(dataset) if files else {}
        opened.repo.start(first, author=author or self.service_signature(), message=message)
        with self._database.transaction() as connection:
            store.update_dataset(connection, dataset.id, {"is_ready": True})
        return replace(dataset, is_ready=True)

    def abandon_creation(self, dataset_id: DatasetId) -> None:
        """Take a registration back whose creation can never be finished; a finished one stays."""
        with self._database.transaction() as connection:
            found = store.find_by_id(connection, dataset_id)
            if found is None or found.is_ready or found.deletion_due:
                return
            store.delete_dataset(connection, dataset_id)
        shutil.rmtree(self.repository_path(dataset_id), ignore_errors=True)

    def _home(self, actor: Actor, namespace: int | str | None) -> Namespace:
        try:
            address = actor.username if namespace is None else str(namespace)
            return self._namespaces.open(actor, address, Action.WRITE).namespace
        except MissingError as error:
            raise BadRequestError(
                f"there is no namespace {str(namespace)!r}", code="namespace_not_found"
            ) from error

    def _record(self, dataset: Dataset) -> layout.DatasetRecord:
        site = None
        if dataset.site_id is not None:
            bound = self._sites.find(dataset.site_id)
            url = self._sites.pool_url(bound, dataset.id)
            site = layout.SiteRecord(bound.id, bound.name, bound.provider, url)
        return layout.DatasetRecord(dataset.id, self.dvc_url(dataset.id), site)

    def dvc_url(self, dataset: DatasetId) -> str:
        """Return the address of the DVC remote."""
        return f"{self._config.public_url}/dvc/{dataset}"

    # Binding

    def bind(self, actor: Actor, dataset: int | str, storage_site: int | str) -> Dataset:
        """Bind the storage site, once and for ever; the same site again changes nothing.

        Raises:
            TakenError: another site is bound (code ``storage_site_bound``).
        """
        opened = self.open(actor, dataset, Action.MAINTAIN)
        site = self._sites.resolve(actor, storage_site)
        self._refuse_contradiction(opened)
        with self._database.transaction() as connection:
            won = store.bind_site(connection, opened.dataset.id, site.id, now=self._clock())
            bound = store.find_by_id(connection, opened.dataset.id)
            if won:
                payload = {"dataset": opened.dataset.id}
                self._jobs.enqueue(
                    connection, BIND, str(opened.dataset.id), payload, delay=timedelta(minutes=1)
                )
        assert bound is not None
        if bound.site_id != site.id:
            raise TakenError(
                f"{bound.full_path} is bound to another storage site; the choice is made once and for ever",
                code="storage_site_bound",
            )
        self.record_binding(bound.id, self.signature(actor))
        return bound

    def record_binding(self, dataset_id: DatasetId, author: Signature | None = None) -> None:
        """Write the bound site into the repository; repeating it changes nothing."""
        opened = self.open_for_upkeep(DatasetId(dataset_id))
        if opened.dataset.site_id is None:
            return
        changes = ChangeSet()
        changes.bind(self._record(opened.dataset))
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

    def _binding_problem(self, opened: OpenDataset) -> str | None:
        """Return how the repository contradicts the registry about identity and site, or None."""
        if opened.repo.git.branch(opened.dataset.default_branch) is None:
            return "its default branch is missing"
        return self._agreement(opened).problem or None

    def _agreement(self, opened: OpenDataset) -> Agreement:
        dataset = opened.dataset
        head = opened.repo.head(dataset.default_branch)

        def compare() -> Agreement:
            snapshot = opened.repo.snapshot(head)
            return agreement(
                snapshot.read_raw(layout.DATASET_FILE),
                snapshot.read_raw(layout.DVC_CONFIG),
                expected=layout.binding_files(self._record(dataset)),
                unbound=layout.binding_files(self._record(replace(dataset, site_id=None))),
            )

        return self._checked.get_or_make((dataset.id, dataset.site_id, head), compare)

    # Showing and changing

    def overview(self, actor: Actor, dataset: int | str) -> Overview:
        """Return what a dataset's page says; counts only for those who may read its content."""
        opened = self.open(actor, dataset, Action.SEE)
        head, totals, problem, stored = None, Totals(), None, (0, 0)
        if allows(actor, Action.READ, opened.level):
            head = opened.repo.git.branch(opened.dataset.default_branch)
            totals = opened.repo.snapshot(head).totals() if head else Totals()
            problem = self._binding_problem(opened)
            with self._database.reading() as connection:
                stored = ledger.stored(connection, opened.dataset.id)
        site = self._sites.find(opened.dataset.site_id) if opened.dataset.site_id is not None else None
        return Overview(opened.dataset, opened.level, site, head, totals, *stored, problem)

    def update(self, actor: Actor, dataset: int | str, fields: Mapping[str, Any]) -> Dataset:
        """Change name, description, visibility, topics or push level; the site never."""
        is_owners = "visibility" in fields
        opened = self.open(actor, dataset, Action.OWN if is_owners else Action.MAINTAIN)
        values: dict[str, Any] = {"updated_at": self._clock()}
        if "name" in fields:
            values["name"] = checked_name(fields["name"])
        if "description" in fields:
            values["description"] = checked_description(fields["description"])
        if "visibility" in fields:
            wanted = Visibility(fields["visibility"])
            _refuse_wider(wanted, self._namespace(opened.dataset))
            values["visibility"] = wanted.value
        if "push_level" in fields:
            values["push_level"] = int(AccessLevel(fields["push_level"]))
        with self._database.transaction() as connection:
            store.update_dataset(connection, opened.dataset.id, values)
            if "topics" in fields:
                store.replace_topics(connection, opened.dataset.id, checked_topics(fields["topics"]))
            changed = store.find_by_id(connection, opened.dataset.id)
        assert changed is not None
        return changed

    def touch(self, connection: Connection, dataset: DatasetId) -> None:
        """Note that a dataset's content changed now."""
        store.update_dataset(connection, dataset, {"updated_at": self._clock()})

    def schedule_deletion(self, actor: Actor, dataset: int | str) -> Dataset:
        """Hide a dataset and delete it for good after the days that the settings give."""
        opened = self.open(actor, dataset, Action.OWN)
        due = opened.dataset.deletion_due or self._clock() + timedelta(days=self._config.deletion_days)
        with self._database.transaction() as connection:
            store.update_dataset(connection, opened.dataset.id, {"deletion_due": due})
        return replace(opened.dataset, deletion_due=due)

    def undo_deletion(self, actor: Actor, dataset: int | str) -> Dataset:
        """Take a scheduled deletion back."""
        opened = self.open(actor, dataset, Action.OWN)
        with self._database.transaction() as connection:
            if not store.cancel_deletion(connection, opened.dataset.id):
                raise GoneError(f"{opened.dataset.full_path} is being deleted for good already")
        return replace(opened.dataset, deletion_due=None)

    def purge_due(self) -> list[DatasetId]:
        """Delete for good what was scheduled and whose time has come; an interrupted purge goes on.

        A storage site that does not answer keeps its own datasets waiting, no others.
        """
        with self._database.reading() as connection:
            due = store.due_deletions(connection, self._clock())
        purged = []
        for dataset in due:
            try:
                if self._purge(dataset):
                    purged.append(dataset.id)
            except GitopsError:
                log.exception("dataset.purge_failed", extra={"dataset": dataset.id})
        return purged

    def _purge(self, dataset: Dataset) -> bool:
        """Claim first: a deletion that is taken back at this very moment must keep every object."""
        with self._database.transaction() as connection:
            if not store.claim_purge(connection, dataset.id, self._clock()):
                return False
        if dataset.site_id is not None:
            self._sites.delete_pool(dataset.site_id, dataset.id)
        with self._database.transaction() as connection:
            store.delete_dataset(connection, dataset.id)
        shutil.rmtree(self.repository_path(dataset.id), ignore_errors=True)
        return True

    def resume_creations(self) -> None:
        """Finish what a crash interrupted."""
        with self._database.reading() as connection:
            waiting = store.unready(connection, self._clock())
        for dataset in waiting:
            self.finish_creation(dataset.id)

    # Lists

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
            level, visibility = self._standing(actor, dataset)
            if not allows(actor, Action.READ, level):
                continue
            repo = self._opened(dataset, actor, level, visibility).repo
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

    def count_bound(self, site_id: int) -> int:
        """Return how many datasets are bound to a storage site."""
        with self._database.reading() as connection:
            return store.count_bound(connection, site_id)

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
                opened = self.open(actor, dataset_id, Action.READ)
            except (MissingError, ForbiddenError, UnauthenticatedError, UnavailableError):
                continue
            result += [(opened, facts) for facts in opened.pool.facts(addresses).values()]
        return result

    # Members

    def members(self, actor: Actor, dataset: int | str) -> list[Member]:
        """Return own and inherited members; readers see them as GitLab's do."""
        opened = self.open(actor, dataset, Action.READ)
        with self._database.reading() as connection:
            own = dict(store.members(connection, opened.dataset.id))
            people = users_by_id(connection, list(own))
            above = self._namespaces.inherited_members(
                connection, opened.dataset.namespace_id, limit=_MEMBERS_SHOWN
            )
        rows = [Member(user, people[user].username, people[user].name, level) for user, level in own.items()]
        return rows + [
            Member(
                found.membership.user, found.username, found.name, found.membership.level, is_inherited=True
            )
            for found in above
            if found.membership.user not in own
        ]

    def set_member(self, actor: Actor, dataset: int | str, username: str, level: AccessLevel) -> Member:
        """Give a user a level, up to the actor's own; granting owner needs an owner."""
        opened = self.open(actor, dataset, Action.MAINTAIN)
        if level > opened.level or level is AccessLevel.NONE:
            raise ForbiddenError("nobody grants a level above their own")
        with self._database.transaction() as connection:
            user = find_user(connection, username)
            if user is None:
                raise BadRequestError(f"there is no user {username!r}", code="user_not_found")
            if store.member_level(connection, opened.dataset.id, user.id) > opened.level:
                raise ForbiddenError(f"{username!r} has a higher level than you")
            store.set_member(connection, opened.dataset.id, user.id, level)
        return Member(user.id, user.username, user.name, level)

    def remove_member(self, actor: Actor, dataset: int | str, username: str) -> None:
        """Take a user's own level away; everybody may leave."""
        is_self = actor.may_write and username.casefold() == actor.username.casefold()
        opened = self.open(actor, dataset, Action.SEE if is_self else Action.MAINTAIN)
        with self._database.transaction() as connection:
            user = find_user(connection, username)
            own = store.member_level(connection, opened.dataset.id, user.id) if user else AccessLevel.NONE
            if user is None or own is AccessLevel.NONE:
                raise MissingError(f"{username!r} is not a member of {opened.dataset.full_path} itself")
            if own > opened.level:
                raise ForbiddenError(f"{username!r} has a higher level than you")
            store.remove_member(connection, opened.dataset.id, user.id)

    # People

    def signature(self, actor: Actor) -> Signature:
        """Return whom a change by this actor is attributed to."""
        return Signature(actor.name or actor.username, actor.email, self._clock())

    def service_signature(self) -> Signature:
        """Return the service itself as an author, for what no person asked for."""
        return Signature(_SERVICE_NAME, _SERVICE_EMAIL, self._clock())


def _is_id(address: int | str) -> bool:
    """Tell whether a number is one that the database can hold."""
    return len(address) <= MAX_ID_DIGITS if isinstance(address, str) else abs(address) < 10**MAX_ID_DIGITS


def _missing(dataset: int | str) -> MissingError:
    return MissingError(f"there is no dataset {str(dataset)[:MAX_SHOWN]!r}", code="dataset_not_found")


def _refuse_wider(wanted: Visibility, home: Namespace) -> None:
    if wanted.rank > home.visibility.rank:
        raise BadRequestError(
            f"the visibility {wanted} is higher than {home.visibility}, that of the namespace {home.path!r}",
            code="visibility_above_namespace",
        )
