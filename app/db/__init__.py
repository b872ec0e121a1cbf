"""The SQL database: one engine, explicit transactions, migrations. SQLite or PostgreSQL.

Tables are declared in the ``store.py`` of the feature that owns them, on ``metadata``.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, Engine, MetaData, Select, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError

from app.db.types import UtcDateTime
from gitops.errors import StorageFullError, UnavailableError

__all__ = [
    "UPSERT",
    "Connection",
    "Database",
    "Select",
    "UtcDateTime",
    "after_commit",
    "declare_trigger",
    "metadata",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# INSERT that says what to do on a conflict, by dialect: the two databases agree on its form.
UPSERT: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
BUSY_TIMEOUT_S = 20
# The advisory lock of whoever writes on PostgreSQL: a number of ours, the same in every process.
WRITER_LOCK = 0x436169726E
POOL_SIZE = 16
POOL_OVERFLOW = 112
MIGRATIONS = Path(__file__).parent / "migrations"
_AFTER_COMMIT = "cairn_after_commit"
_TRIGGERS = "triggers"


class Database:
    """Connections to the one SQL database, which has one writer at a time, of all processes together.

    What a transaction has looked at therefore holds until it is committed: looking whether a row is
    there and then inserting it is no race. On SQLite such a transaction begins IMMEDIATE: a deferred
    one that upgrades fails at once, whatever the timeout. A lock per process queues its writers
    fairly, because SQLite's own waiting is a poll that starves the unlucky. On PostgreSQL it begins
    by taking one advisory lock.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self._is_sqlite = self.url.get_backend_name() == "sqlite"
        if self._is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = _create_engine(url, is_sqlite=self._is_sqlite)
        self._writer = threading.Lock()
        self._here = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that may write; it is committed durably on leaving, undone on an error.

        Raises:
            UnavailableError: the database stays locked or does not answer.
            StorageFullError: the disk has no room.
        """
        actions: list[Callable[[], None]] = []
        with _translated(), self._queued(), self.engine.connect() as connection:
            connection.execution_options(cairn_begin="IMMEDIATE")
            with connection.begin():
                connection.info[_AFTER_COMMIT] = actions
                yield connection
        for action in actions:
            action()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection that sees one consistent state and writes nothing.

        Inside another reading of the same thread it is that one: several questions of one decision
        see one state, and cost one connection.
        """
        outer: Connection | None = getattr(self._here, "reading", None)
        if outer is not None:
            yield outer
            return
        with _translated(), self.engine.connect() as connection:
            if not self._is_sqlite:  # where each statement would see a state of its own
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._here.reading = connection
            try:
                yield connection
            finally:
                self._here.reading = None

    def migrate(self) -> None:
        """Bring the schema to the newest version; nothing happens if it is there already."""
        with _translated():
            command.upgrade(self._alembic(), "head")

    def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            UnavailableError: it gave none.
        """
        with self.reading() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _alembic(self) -> AlembicConfig:
        config = AlembicConfig()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["engine"] = self.engine
        return config

    @contextmanager
    def _queued(self) -> Iterator[None]:
        if not self._is_sqlite:
            yield
            return
        if not self._writer.acquire(timeout=BUSY_TIMEOUT_S):
            raise UnavailableError("the database is busy; try again")
        try:
            yield
        finally:
            self._writer.release()


def after_commit(connection: Connection, action: Callable[[], None]) -> None:
    """Run an action once the transaction of this connection is durable; never if it is undone."""
    connection.info[_AFTER_COMMIT].append(action)


def declare_trigger(name: str, *, sqlite: str, postgresql: str) -> None:
    """Declare SQL that the schema needs beside its tables; every statement must create something new."""
    metadata.info.setdefault(_TRIGGERS, {})[name] = {"sqlite": sqlite, "postgresql": postgresql}


def declared_triggers(dialect: str) -> list[str]:
    """Return the statements of every declared trigger for one dialect, in order of their names."""
    triggers: dict[str, dict[str, str]] = metadata.info.get(_TRIGGERS, {})
    return [triggers[name][dialect] for name in sorted(triggers)]


def _create_engine(url: str, *, is_sqlite: bool) -> Engine:
    if not is_sqlite:
        engine = create_engine(url, pool_size=POOL_SIZE, max_overflow=POOL_OVERFLOW, pool_pre_ping=True)
        event.listen(engine, "begin", _begin_postgresql)
        return engine
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        # Transactions are begun by the listener below, not by the driver.
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": BUSY_TIMEOUT_S},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -16384",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("cairn_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("cairn_begin") == "IMMEDIATE":
        connection.exec_driver_sql(
            f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S}s'; SELECT pg_advisory_xact_lock({WRITER_LOCK})"
        )


@contextmanager
def _translated() -> Iterator[None]:
    """Turn failures of the database itself into errors that tell the client what to do."""
    try:
        yield
    except OperationalError as error:
        if "full" in str(error.orig) or "No space left" in str(error.orig):
            raise StorageFullError("the service's own disk is full; nothing was changed") from error
        raise UnavailableError("the database does not answer at the moment; try again") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise UnavailableError("the database does not answer at the moment; try again") from error
        raise
