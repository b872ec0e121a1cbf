"""The composition root: every service is built here once, and job handlers are wired here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from app.accounts.service import AccountService
from app.config import Config
from app.datasets.store import count_bound
from app.db import Database
from app.jobs import Jobs, open_queue, ping_queue
from app.namespaces.service import NamespaceService
from app.storage_sites.service import SiteService
from app.vault import Keyring, Vault, load_keyring

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
    probes: Mapping[str, Probe]
    setup_link: str | None

    def close(self) -> None:
        """Stop the job threads and close the database."""
        self.jobs.stop()
        self.database.close()


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def build(config: Config, *, clock: Callable[[], datetime] = utc_now) -> Services:
    """Return the services of one process; the database is migrated, first-start rows exist."""
    config.home.mkdir(parents=True, exist_ok=True)
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
        probes={"database": database.ping, "queue": lambda: ping_queue(queue)},
        setup_link=_setup_link(config, accounts),
    )


def _setup_link(config: Config, accounts: AccountService) -> str | None:
    """Return the address at which the first administrator is made, if there is none yet."""
    raw = accounts.prepare_first_start(config.admin_token)
    return None if raw is None else f"{config.public_url}/setup/{raw}"
