"""The database: migrations, moments, transactions, jobs' rows."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text

import app.services  # noqa: F401  every feature declares its tables
from app.db import Database, UtcDateTime, after_commit, declared_triggers, metadata


@pytest.fixture
def database(tmp_path):
    opened = Database(f"sqlite:///{tmp_path / 'test.db'}")
    opened.migrate()
    yield opened
    opened.close()


def test_the_migrated_schema_is_the_declared_one(database):
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)

    assert differences == [], "run: python -m app.db.migrations.regenerate"


def test_every_declared_trigger_exists(database):
    with database.reading() as connection:
        found = connection.execute(text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'")).scalar()

    assert found == len(declared_triggers("sqlite"))


def test_migrating_again_changes_nothing(database):
    database.migrate()


def test_writes_are_durable_and_foreign_keys_hold(database):
    with database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.fixture
def moments(database):
    table = Table("moments", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime))
    with database.transaction() as connection:
        table.create(connection)
    return table


def test_a_moment_comes_back_aware_and_in_utc(database, moments):
    there = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with database.transaction() as connection:
        connection.execute(insert(moments).values(at=there))

    with database.reading() as connection:
        back = connection.execute(select(moments.c.at)).scalar_one()

    assert back == there
    assert back.tzinfo is UTC


def test_a_naive_moment_is_refused(database, moments):
    with pytest.raises(Exception, match="time zone"), database.transaction() as connection:
        connection.execute(insert(moments).values(at=datetime(2026, 3, 1)))


def test_an_error_undoes_the_transaction_and_its_consequences(database, moments):
    done = []
    with pytest.raises(RuntimeError), database.transaction() as connection:
        connection.execute(insert(moments).values(id=1))
        after_commit(connection, lambda: done.append(1))
        raise RuntimeError

    with database.reading() as connection:
        assert connection.execute(select(moments.c.id)).all() == []
    assert done == []


def test_consequences_see_what_was_committed(database, moments):
    seen = []

    def look() -> None:
        with database.reading() as connection:
            seen.extend(connection.execute(select(moments.c.id)).scalars())

    with database.transaction() as connection:
        connection.execute(insert(moments).values(id=1))
        after_commit(connection, look)

    assert seen == [1]


def test_concurrent_writers_all_land(database, moments):
    def write(start: int) -> None:
        for number in range(start, start + 20):
            with database.transaction() as connection:
                connection.execute(select(moments.c.id)).all()
                connection.execute(insert(moments).values(id=number))

    threads = [threading.Thread(target=write, args=(start,)) for start in range(0, 160, 20)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    with database.reading() as connection:
        assert len(connection.execute(select(moments.c.id)).all()) == 160


def test_questions_of_one_decision_see_one_state(database):
    with database.reading() as outer:
        before = outer.execute(text("SELECT count(*) FROM users")).scalar_one()
        thread = threading.Thread(target=_add_user, args=(database,))
        thread.start()
        thread.join()
        with database.reading() as inner:
            assert inner is outer
            assert inner.execute(text("SELECT count(*) FROM users")).scalar_one() == before
    with database.reading() as later:
        assert later.execute(text("SELECT count(*) FROM users")).scalar_one() == before + 1


def _add_user(database):
    with database.transaction() as connection:
        connection.execute(
            insert(metadata.tables["users"]).values(
                username="late",
                username_key="late",
                name="Late",
                email="late@example.org",
                is_admin=False,
                is_blocked=False,
                session_stamp="x",
                created_at=datetime.now(UTC),
            )
        )
