"""The database on PostgreSQL: its schema, and writers that look before they write."""

from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

import app.services  # noqa: F401  every feature declares its tables
from app.access import AccessLevel, Action, Visibility
from app.accounts.store import users
from app.db import Database, metadata, replies
from app.errors import TakenError
from app.namespaces.store import members, namespaces
from app.storage_sites.models import Provider
from app.storage_sites.service import SiteDraft
from gitops.errors import UnavailableError
from tests.steps import contents, fsck, make_dataset, put, race

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sites(services, config, admin):
    """Two more sites beside ``local``."""
    for name in ("one", "two"):
        folder = config.allowed_storage_roots[0] / name
        folder.mkdir(parents=True)
        services.sites.register(admin[0], SiteDraft(name, Provider.LOCAL, str(folder)))
    return services.sites


def test_the_migrated_schema_on_postgresql_is_the_declared_one(database):
    database.migrate()
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
        triggers = connection.execute(text("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")).scalar()

    assert differences == [], "run: python -m app.db.migrations.regenerate"
    assert triggers == 1


def test_a_reading_on_postgresql_sees_one_state_and_writes_nothing(services, make_user):
    database = services.database
    with database.reading() as connection:
        names = select(users.c.username)
        before = connection.execute(names).all()
        race(1, lambda _: make_user("late"))
        assert connection.execute(names).all() == before
    with database.reading() as connection:
        assert len(connection.execute(names).all()) == len(before) + 1
    with pytest.raises(DBAPIError, match="read-only"), database.reading() as connection:
        connection.execute(text("DELETE FROM users"))


def test_a_writer_that_waits_too_long_is_told_to_try_again(services, monkeypatch):
    monkeypatch.setattr("app.db.BUSY_TIMEOUT_S", "0.05")

    def write(_number):
        with services.database.transaction():
            pass

    with services.database.transaction():
        done, refused = race(1, write)

    assert done == []
    assert {type(error) for error in refused} == {UnavailableError}


def test_postgresql_itself_refuses_another_site(services, alice, sites):
    made = make_dataset(services, alice[0], storage_site="one")
    other = sites.resolve(alice[0], "two").id
    change = text("UPDATE datasets SET site_id = :site WHERE id = :id")
    for value in (other, None):
        with (
            pytest.raises(DBAPIError, match="keeps its storage site"),
            services.database.transaction() as connection,
        ):
            connection.execute(change, {"site": value, "id": made.id})


def test_of_eight_binders_on_postgresql_one_site_wins(services, alice, sites):
    made = make_dataset(services, alice[0], storage_site=None)

    won, lost = race(8, lambda n: services.datasets.bind(alice[0], made.id, ("one", "two")[n % 2]).site_id)

    assert len(won) == 4
    assert {type(error) for error in lost} == {TakenError}
    assert set(won) == {services.datasets.open(alice[0], made.id, Action.READ).dataset.site_id}


def test_eight_writers_of_five_versions_each_lose_nothing(services, alice):
    made = make_dataset(services, alice[0])

    def write(number):
        for step in range(5):
            put(services, alice[0], made.id, {f"{number}/{step}.bin": b"%d %d" % (number, step)})

    _, failed = race(8, write)

    assert failed == []
    found = contents(services, alice[0], made.id)
    wanted = {f"{n}/{step}.bin": b"%d %d" % (n, step) for n in range(8) for step in range(5)}
    assert {path: found.get(path) for path in wanted} == wanted
    assert fsck(services, made.id) == ""


def test_those_who_keep_the_same_object_at_once_all_succeed(services, alice):
    made = make_dataset(services, alice[0])
    pool = services.datasets.open(alice[0], made.id, Action.WRITE).pool

    kept, failed = race(4, lambda _: pool.receive([b"the same bytes"]).address)

    assert failed == []
    assert len(set(kept)) == 1
    assert pool.missing(set(kept)) == set()


def test_those_who_add_the_same_member_at_once_all_succeed(services, alice, bob):
    made = make_dataset(services, alice[0])
    levels = (AccessLevel.REPORTER, AccessLevel.DEVELOPER)
    services.namespaces.create(alice[0], path="lab", name="Lab", visibility=Visibility.PRIVATE)

    added, failed = race(
        8, lambda n: services.namespaces.set_member(alice[0], "lab", "bob", levels[n % 2])[1]
    )
    _, failed_too = race(
        8, lambda n: services.memberships.set_member(alice[0], made.id, "bob", levels[n % 2])
    )

    assert failed + failed_too == []
    assert added.count(True) == 1


def test_owners_who_remove_each_other_at_once_leave_one(services, alice, bob):
    services.namespaces.create(alice[0], path="lab", name="Lab", visibility=Visibility.PRIVATE)
    services.namespaces.set_member(alice[0], "lab", "bob", AccessLevel.OWNER)
    pairs = ((alice[0], "bob"), (bob[0], "alice"))

    race(2, lambda n: services.namespaces.remove_member(pairs[n][0], "lab", pairs[n][1]))

    with services.database.reading() as connection:
        owners = select(members.c.user_id).where(members.c.access_level == AccessLevel.OWNER)
        lab = select(namespaces.c.id).where(namespaces.c.path == "lab")
        left = connection.execute(owners.where(members.c.namespace_id == lab.scalar_subquery())).all()
    assert len(left) == 1


def test_of_repeated_requests_at_once_one_is_carried_out(services, alice):
    ask = replies.Ask(alice[0].user, "key", "POST", "/api/v1/datasets?")

    def begin(_number):
        with services.database.transaction() as connection:
            return replies.begin(connection, ask, fingerprint="f", now=NOW)

    answers, failed = race(8, begin)

    assert failed == []
    assert answers.count(None) == 1
    later = NOW + timedelta(minutes=1)
    with services.database.transaction() as connection:
        replies.finish(connection, ask, status=201, headers={"Location": "/x"}, body=b"{}")
        kept = replies.begin(connection, ask, fingerprint="f", now=later)
    assert kept == replies.Reply("f", 201, {"Location": "/x"}, b"{}")
