"""The composition root: every service is built here once, and job handlers are wired here."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.config import Config
from app.db import Database
from app.jobs import Jobs, open_queue
from app.vault import Keyring, Vault, load_keyring

log = logging.getLogger("cairn.services")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a view, a command or a job may use."""

    config: Config
    clock: Callable[[], datetime]
    database: Database
    jobs: Jobs
    keyring: Keyring
    vault: Vault

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
    keyring = load_keyring(config)
    vault = Vault(keyring)
    jobs = Jobs(database, open_queue(config.queue_url, config.home), clock)
    services = Services(
        config=config,
        clock=clock,
        database=database,
        jobs=jobs,
        keyring=keyring,
        vault=vault,
    )
    database.migrate()
    return services
