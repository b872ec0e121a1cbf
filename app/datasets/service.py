"""Datasets: create, bind, show, change, delete."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app.access import (
    AccessLevel,
    Action,
    Actor,
    Visibility,
    allows,
)
from app.config import Config
from app.datasets import ledger, store
from app.datasets.gate import Gate, OpenDataset, missing
from app.datasets.models import (
    DEFAULT_BRANCH,
    Dataset,
    DatasetId,
    Kind,
    checked_description,
    checked_name,
    checked_path,
    checked_topics,
    path_of_name,
)
from app.db import Connection, Database
from app.errors import (
    BadRequestError,
    ForbiddenError,
    GoneError,
    MissingError,
    TakenError,
    UnauthenticatedError,
)
from app.jobs import Jobs
from app.namespaces.models import Namespace
from app.namespaces.service import NamespaceService
from app.storage_sites.models import Site
from app.storage_sites.service import SiteService
from gitops import layout
from gitops.errors import GitopsError
from gitops.forge import Forge
from gitops.gitrepo import GitRepo
from gitops.model import CommitId, RepoPath, Signature, Totals

log = logging.getLogger("cairn.datasets")

CREATE = "dataset.create"
BIND = "dataset.bind"
PURGE = "dataset.purge"

__all__ = ["BIND", "CREATE", "PURGE", "DatasetService", "OpenDataset", "Overview", "Registration"]


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
        forge: Forge,
        gate: Gate,
    ) -> None:
        self._config = config
        self._database = database
        self._jobs = jobs
        self._clock = clock
        self._namespaces = namespaces
        self._sites = sites
        self._forge = forge
        self.gate = gate

    # The gate

    def open(self, actor: Actor, dataset: int | str, action: Action) -> OpenDataset:
        """Return a dataset to an actor who may do ``action`` with it. Raises like ``Gate.open``."""
        return self.gate.open(actor, dataset, action)

    def open_for_upkeep(self, dataset: DatasetId) -> OpenDataset:
        """Return any dataset to the service itself: jobs and the administrator's commands."""
        return self.gate.open_for_upkeep(dataset)

    def signature(self, actor: Actor) -> Signature:
        """Return whom a change by this actor is attributed to."""
        return self.gate.signature(actor)

    def service_signature(self) -> Signature:
        """Return the service itself as an author, for what no person asked for."""
        return self.gate.service_signature()

    def repository_path(self, dataset: DatasetId) -> Path:
        """Return the folder of a dataset's bare repository."""
        return self.gate.repository_path(dataset)

    def dvc_url(self, dataset: DatasetId) -> str:
        """Return the address of the DVC remote."""
        return self.gate.dvc_url(dataset)

    def record_binding(self, dataset_id: DatasetId) -> None:
        """Write the bound site into the repository; repeating it changes nothing."""
        self.gate.record_binding(dataset_id)

    def all_ids(self) -> list[DatasetId]:
        """Return the ids of all datasets, for upkeep."""
        with self._database.reading() as connection:
            return store.living_ids(connection)

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
            raise missing(dataset_id)
        if dataset.is_ready:
            return dataset
        self._forge.create(dataset.full_path, description=dataset.description)
        GitRepo.create(self.repository_path(dataset.id), branch=dataset.default_branch)
        opened = self.gate.opened(dataset, Actor(), AccessLevel.OWNER, dataset.visibility)
        record = self.gate.record(dataset)
        first = layout.first_files(record, name=dataset.name, description=dataset.description)
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

    # Binding

    def bind(self, actor: Actor, dataset: int | str, storage_site: int | str) -> Dataset:
        """Bind the storage site, once and for ever; the same site again changes nothing.

        Raises:
            TakenError: another site is bound (code ``storage_site_bound``).
        """
        opened = self.open(actor, dataset, Action.MAINTAIN)
        site = self._sites.resolve(actor, storage_site)
        self.gate.refuse_contradiction(opened)
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
        self.gate.record_binding(bound.id, self.signature(actor))
        return bound

    # Showing and changing

    def overview(self, actor: Actor, dataset: int | str) -> Overview:
        """Return what a dataset's page says; counts only for those who may read its content."""
        opened = self.open(actor, dataset, Action.SEE)
        head, totals, problem, stored = None, Totals(), None, (0, 0)
        if allows(actor, Action.READ, opened.level):
            head = opened.repo.git.branch(opened.dataset.default_branch)
            totals = opened.repo.snapshot(head).totals() if head else Totals()
            problem = self.gate.binding_problem(opened)
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
            _refuse_wider(wanted, self.gate.namespace(opened.dataset))
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


def _refuse_wider(wanted: Visibility, home: Namespace) -> None:
    if wanted.rank > home.visibility.rank:
        raise BadRequestError(
            f"the visibility {wanted} is higher than {home.visibility}, that of the namespace {home.path!r}",
            code="visibility_above_namespace",
        )
