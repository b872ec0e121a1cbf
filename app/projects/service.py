"""Projects: start one from a dataset, see what it pins, and what pins a dataset."""

from collections.abc import Callable
from datetime import datetime

from app.access import SYSTEM, AccessLevel, Action, Actor, Visibility
from app.accounts.service import users_by_id
from app.config import Config
from app.datasets.models import Dataset, DatasetId, Kind
from app.datasets.service import DatasetService, OpenDataset, Overview
from app.db import Database, Select
from app.downloads.service import DownloadService, Manifest
from app.errors import BadRequestError, ForbiddenError, MissingError, UnauthenticatedError
from app.projects import store
from app.projects.imports import ReadableImports
from app.projects.models import NewProject, Pin, PinnedVersion, followed
from app.projects.pinning import pinned_version
from app.projects.starter import Starter, starter_files
from gitops.errors import RefNotFoundError
from gitops.gitrepo import HEADS, TAGS
from gitops.model import CommitId, RepoPath, Signature

CREATE = "project.create"


class ProjectService:
    """Repositories that pin datasets. The registry is that of datasets; pins are kept here."""

    def __init__(
        self,
        *,
        config: Config,
        database: Database,
        datasets: DatasetService,
        downloads: DownloadService,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._database = database
        self._datasets = datasets
        self._downloads = downloads
        self._clock = clock

    def start(self, actor: Actor, dataset: int | str, wanted: NewProject) -> Dataset:
        """Create a project that pins a dataset; its first commit holds pointers, lock and starter code.

        Everything is read before anything is written, so what fails leaves nothing behind.

        Raises:
            MissingError: no such dataset for this actor.
            RefNotFoundError, InvalidRefError: the ref means nothing.
            BadRequestError: it is a project itself, or as for a new dataset.
            ForbiddenError, TakenError: as for a new dataset.
        """
        manifest = self._downloads.manifest(actor, dataset, ref=wanted.ref, path="")
        source = manifest.at.opened
        if source.dataset.kind is not Kind.DATASET:
            raise BadRequestError(f"{source.dataset.full_path} is a project itself", code="not_a_dataset")
        planned = self._datasets.prepare(
            actor,
            kind=Kind.PROJECT,
            name=wanted.name,
            namespace=wanted.namespace,
            path=wanted.path,
            description=wanted.description,
            visibility=Visibility(wanted.visibility) if wanted.visibility else None,
        )
        pin = self._pin(actor, manifest, wanted)
        version = pinned_version(manifest)
        with self._database.transaction() as connection:
            project = self._datasets.register(connection, planned, finished_by=CREATE)
            store.insert_pin(connection, project, pin)
        return self._datasets.finish_creation(
            project,
            self._datasets.signature(actor),
            files=lambda created: self._files(created, pin, version),
            message=_message(pin),
        )

    def _pin(self, actor: Actor, manifest: Manifest, wanted: NewProject) -> Pin:
        assert actor.user is not None  # `prepare` has asked for somebody
        opened, commit = manifest.at.opened, manifest.at.commit
        return Pin(
            dataset_id=opened.dataset.id,
            dataset_path=opened.dataset.full_path,
            ref=_followed(opened, wanted.ref, commit),
            commit=commit,
            template=wanted.template,
            created_by=actor.user,
            created_at=self._clock(),
        )

    def _files(self, project: Dataset, pin: Pin, version: PinnedVersion) -> dict[RepoPath, bytes]:
        return starter_files(
            Starter(
                service=self._config.public_url,
                name=project.name,
                description=project.description,
                full_path=project.full_path,
                pin=pin,
                version=version,
            )
        )

    def finish_creation(self, project: DatasetId) -> None:
        """Finish what a crash interrupted; undo it if the pinned version is gone. Idempotent."""
        with self._database.reading() as connection:
            pins = store.pins(connection, project)
            people = users_by_id(connection, [pin.created_by for pin in pins])
        if not pins:
            return  # the deletion took the pins along
        pin = pins[0]
        user = people.get(pin.created_by)
        author = Signature(user.name or user.username, user.email, self._clock()) if user else None
        try:
            self._datasets.finish_creation(
                project, author, files=lambda created: self._read_again(created, pin), message=_message(pin)
            )
        except (MissingError, RefNotFoundError):
            self._datasets.abandon_creation(project)

    def _read_again(self, project: Dataset, pin: Pin) -> dict[RepoPath, bytes]:
        if pin.dataset_id is None:
            raise MissingError(f"{pin.dataset_path} is deleted for good", code="dataset_not_found")
        manifest = self._downloads.manifest(SYSTEM, pin.dataset_id, ref=pin.commit, path="")
        return self._files(project, pin, pinned_version(manifest))

    def overview(self, actor: Actor, project: int | str) -> tuple[Overview, list[Pin]]:
        """Return a project with the pins that the actor may know of.

        Raises:
            MissingError: no such project for this actor.
        """
        shown = self._datasets.overview(actor, project)
        if shown.dataset.kind is not Kind.PROJECT:
            raise MissingError(f"there is no project {str(project)[:400]!r}", code="project_not_found")
        with self._database.reading() as connection:
            pins = store.pins(connection, shown.dataset.id)
        is_reader = shown.level >= AccessLevel.REPORTER
        return shown, [pin for pin in pins if self._is_shown(actor, pin, is_reader=is_reader)]

    def _is_shown(self, actor: Actor, pin: Pin, *, is_reader: bool) -> bool:
        """A pin tells that a dataset exists, which is not for everybody to know."""
        if pin.dataset_id is None:
            return is_reader
        try:
            self._datasets.open(actor, pin.dataset_id, Action.SEE)
        except (MissingError, ForbiddenError, UnauthenticatedError):
            return False
        return True

    def pinning(self, actor: Actor, dataset: int | str) -> Select[tuple[int]]:
        """Return a query for the projects that pin a dataset, for ``DatasetService.page`` to narrow.

        Raises:
            MissingError: no such dataset for this actor.
        """
        return store.projects_of(self._datasets.open(actor, dataset, Action.SEE).dataset.id)

    def import_check(self, opened: OpenDataset) -> ReadableImports | None:
        """Return what a push to a project may import; None for a dataset, which holds its own bytes."""
        if opened.dataset.kind is not Kind.PROJECT:
            return None
        return ReadableImports(self._downloads, opened.actor, service=self._config.public_url)


def _followed(opened: OpenDataset, ref: str | None, commit: CommitId) -> str:
    git = opened.repo.git
    is_name = ref is not None and any(git.find_ref(prefix + ref) for prefix in (TAGS, HEADS))
    tag = next((tag.name for tag in opened.repo.tags() if tag.commit == commit), None)
    return followed(ref, default=opened.dataset.default_branch, is_name=is_name, tag=tag, commit=commit)


def _message(pin: Pin) -> str:
    return f"Start project from {pin.dataset_path} at {pin.name}"
