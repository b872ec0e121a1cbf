"""The composition root: every service is built here once, and job handlers are wired here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.accounts.service import AccountService
from app.config import Config
from app.datasets import service as datasets_service
from app.datasets.catalog import Catalog
from app.datasets.gate import Gate, LocalRoles
from app.datasets.membership import MembershipService
from app.datasets.models import DatasetId
from app.datasets.service import DatasetService
from app.datasets.store import count_bound
from app.db import Database, replies
from app.downloads.service import DownloadService
from app.jobs import Handler, Jobs, open_queue, ping_queue
from app.namespaces.service import NamespaceService
from app.projects import service as projects_service
from app.projects.service import ProjectService
from app.storage_sites.service import SiteService
from app.vault import Keyring, Vault, load_keyring
from app.versions import service as versions_service
from app.versions.history import HistoryService
from app.versions.lookup import LookupService
from app.versions.names import NameService
from app.versions.service import VersionService
from app.versions.uploads import UploadService
from gitops.cache import ImmutableCache
from gitops.folders import ReadCaches
from gitops.forge import LocalForge
from gitops.gitrepo import prepare_libgit2

Probe = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a view, a command or a job may use."""

    config: Config
    clock: Callable[[], datetime]
    database: Database
    jobs: Jobs
    keyring: Keyring
    vault: Vault
    accounts: AccountService
    namespaces: NamespaceService
    sites: SiteService
    datasets: DatasetService
    catalog: Catalog
    memberships: MembershipService
    versions: VersionService
    history: HistoryService
    names: NameService
    uploads: UploadService
    lookup: LookupService
    downloads: DownloadService
    projects: ProjectService
    probes: Mapping[str, Probe]

    def close(self) -> None:
        """Stop the job threads and close the database."""
        self.jobs.stop()
        self.database.close()


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def build(config: Config, *, clock: Callable[[], datetime] = utc_now) -> Services:
    """Return the services of one process; the database is migrated, first-start rows exist."""
    # Other accounts of the machine must not read private datasets; who shares the folder opens it himself.
    config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(config.database_url)
    database.migrate()
    keyring = load_keyring(config)
    vault = Vault(keyring)
    queue = open_queue(config.queue_url, config.home)
    jobs = Jobs(database, queue, clock)
    namespaces = NamespaceService(database, clock)
    accounts = AccountService(database, clock, namespaces, sign_in_attempts=config.login_attempts)
    sites = SiteService(database, clock, vault, config, count_bound)
    sites.prepare_first_start()
    if config.admin_token is not None:
        accounts.create_first_admin(config.admin_token)
    prepare_libgit2()
    cache = ImmutableCache(config.home.absolute() / "cache", max_bytes=config.cache_bytes)
    gate = Gate(
        config=config,
        database=database,
        clock=clock,
        namespaces=namespaces,
        sites=sites,
        roles=LocalRoles(database, namespaces),
        caches=ReadCaches(cache),
    )
    catalog = Catalog(gate, database, namespaces)
    datasets = DatasetService(
        config=config,
        database=database,
        jobs=jobs,
        clock=clock,
        namespaces=namespaces,
        sites=sites,
        forge=LocalForge(),
        gate=gate,
    )
    versions = VersionService(
        datasets=datasets,
        database=database,
        jobs=jobs,
        clock=clock,
        git_timeout_s=config.git_timeout_s,
    )
    uploads = UploadService(
        datasets=datasets, versions=versions, database=database, clock=clock, days=config.upload_days
    )
    downloads = DownloadService(datasets)
    projects = ProjectService(
        config=config, database=database, datasets=datasets, downloads=downloads, clock=clock
    )
    jobs.register(projects_service.CREATE, _for_dataset(projects.finish_creation))
    _connect_jobs(
        jobs,
        datasets,
        versions,
        {
            "uploads.expire": uploads.expire,
            "cache.trim": cache.trim,
            "replies.forget": lambda: _forget_replies(database, clock()),
        },
    )
    return Services(
        config=config,
        clock=clock,
        database=database,
        jobs=jobs,
        keyring=keyring,
        vault=vault,
        accounts=accounts,
        namespaces=namespaces,
        sites=sites,
        datasets=datasets,
        versions=versions,
        history=HistoryService(datasets, cache),
        names=NameService(datasets),
        uploads=uploads,
        catalog=catalog,
        memberships=MembershipService(gate, database, namespaces),
        lookup=LookupService(catalog),
        downloads=downloads,
        projects=projects,
        probes={"database": database.ping, "queue": lambda: ping_queue(queue)},
    )


def _connect_jobs(
    jobs: Jobs,
    datasets: DatasetService,
    versions: VersionService,
    sweeps: Mapping[str, Callable[[], object]],
) -> None:
    """Say who carries out each kind of job, and which ones come round by themselves."""
    per_dataset: Mapping[str, Callable[[DatasetId], object]] = {
        datasets_service.CREATE: datasets.finish_creation,
        datasets_service.BIND: datasets.record_binding,
        versions_service.COMMITTED: versions.after_commit,
        versions_service.MAINTAIN: versions.maintain,
    }
    for kind, act in per_dataset.items():
        jobs.register(kind, _for_dataset(act))
    periodic: Mapping[str, Callable[[], object]] = {
        datasets_service.PURGE: datasets.purge_due,
        versions_service.SWEEP: versions.sweep_leftovers,
        "jobs.forget": jobs.forget_finished,
        **sweeps,
    }
    for kind, call in periodic.items():
        jobs.register(kind, _alone(call))
        jobs.schedule(kind, timedelta(hours=1))


def _forget_replies(database: Database, now: datetime) -> None:
    with database.transaction() as connection:
        replies.sweep(connection, now=now)


def _for_dataset(act: Callable[[DatasetId], object]) -> Handler:
    def handle(payload: Mapping[str, object]) -> None:
        act(DatasetId(int(str(payload["dataset"]))))

    return handle


def _alone(call: Callable[[], object]) -> Handler:
    def handle(_payload: Mapping[str, object]) -> None:
        call()

    return handle
