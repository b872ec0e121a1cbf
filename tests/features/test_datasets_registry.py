"""Datasets: creating, finding, changing, deleting."""

import pytest

from app.access import AccessLevel, Action, Actor, Scope, Visibility
from app.datasets import store
from app.errors import (
    BadRequestError,
    ForbiddenError,
    GoneError,
    MissingError,
    TakenError,
    UnauthenticatedError,
    ValidationError,
)
from gitops.datarepo import DataRepo
from gitops.errors import GitopsError, UnavailableError
from gitops.forge import LocalForge
from gitops.gitrepo import GitRepo
from tests.steps import contents, make_dataset, put, repo_of


def _group(services, owner, path="vision", visibility=Visibility.PUBLIC):
    return services.namespaces.create(owner, path=path, name=path, visibility=visibility).namespace


def _join(services, owner, actor, level, path="vision"):
    services.namespaces.set_member(owner, path, actor.username, level)


@pytest.mark.parametrize(
    ("level", "is_allowed"),
    [
        (AccessLevel.GUEST, False),
        (AccessLevel.REPORTER, False),
        (AccessLevel.DEVELOPER, True),
        (AccessLevel.MAINTAINER, True),
        (AccessLevel.OWNER, True),
    ],
)
def test_a_developer_of_a_namespace_creates_datasets_in_it(services, alice, bob, level, is_allowed):
    _group(services, alice[0])
    _join(services, alice[0], bob[0], level)
    if is_allowed:
        assert make_dataset(services, bob[0], namespace="vision").full_path == "vision/cells"
    else:
        with pytest.raises(ForbiddenError):
            make_dataset(services, bob[0], namespace="vision")


def test_a_stranger_creates_nothing_in_a_namespace_whether_he_sees_it_or_not(services, alice, bob):
    _group(services, alice[0])
    _group(services, alice[0], "hidden", Visibility.PRIVATE)
    with pytest.raises(ForbiddenError):
        make_dataset(services, bob[0], namespace="vision")
    with pytest.raises(BadRequestError) as hidden:
        make_dataset(services, bob[0], namespace="hidden")
    with pytest.raises(BadRequestError) as missing:
        make_dataset(services, bob[0], namespace="absent")
    assert str(hidden.value).replace("hidden", "absent") == str(missing.value)


def test_nobody_and_a_reading_token_create_nothing(services, alice):
    with pytest.raises(UnauthenticatedError):
        make_dataset(services, Actor())
    with pytest.raises(ForbiddenError):
        make_dataset(
            services, Actor(user=alice[0].user, username="alice", scopes=frozenset({Scope.READ_API}))
        )


def test_a_dataset_begins_with_its_card_and_its_identity(services, alice):
    made = make_dataset(services, alice[0], "Größe of Cells", description="Two kinds.")
    assert made.full_path == "alice/groe-of-cells"
    assert contents(services, alice[0], made.id) == {"README.md": "# Größe of Cells\n\nTwo kinds.\n".encode()}
    snapshot = repo_of(services, made.id).at()
    assert f"id: {made.id}\n".encode() in snapshot.read_raw(".cairn/dataset.yaml")
    assert b"url = http://localhost/dvc/" in snapshot.read_raw(".dvc/config")


@pytest.mark.parametrize("wanted", [Visibility.INTERNAL, Visibility.PUBLIC])
def test_a_dataset_is_not_more_visible_than_its_namespace(services, alice, wanted):
    _group(services, alice[0], "closed", Visibility.PRIVATE)
    with pytest.raises(BadRequestError, match=f"{wanted.value}.*private.*closed"):
        make_dataset(services, alice[0], namespace="closed", visibility=wanted)
    made = make_dataset(services, alice[0], namespace="closed")
    with pytest.raises(BadRequestError, match="closed"):
        services.datasets.update(alice[0], made.id, {"visibility": wanted})


def test_a_namespace_that_is_closed_later_closes_what_lies_in_it(services, alice, bob, client):
    """S5: a changed visibility takes effect at once, for every answer and in every list."""
    _group(services, alice[0])
    made = make_dataset(services, alice[0], namespace="vision", visibility=Visibility.PUBLIC)
    assert services.datasets.open(Actor(), made.id, Action.READ).is_public
    with services.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE namespaces SET visibility = 'internal' WHERE path = 'vision'")
    with pytest.raises(MissingError):
        services.datasets.open(Actor(), made.id, Action.READ)
    assert services.datasets.open(bob[0], made.id, Action.READ).is_public is False
    with services.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE namespaces SET visibility = 'private' WHERE path = 'vision'")
    with pytest.raises(MissingError):
        services.datasets.open(bob[0], made.id, Action.SEE)
    assert services.datasets.open(alice[0], made.id, Action.READ)


@pytest.mark.parametrize("path", ["cells", "CELLS", "Cells"])
def test_a_path_is_taken_in_any_case(services, alice, path):
    make_dataset(services, alice[0], "Cells", path="Cells")
    with pytest.raises(TakenError, match="is taken"):
        make_dataset(services, alice[0], "Others", path=path)


def test_the_same_path_in_another_namespace_is_free(services, alice, bob):
    make_dataset(services, alice[0])
    assert make_dataset(services, bob[0]).full_path == "bob/cells"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "-x",
        "x.git",
        "x.GIT",
        "x.lock",
        "a/b",
        "a b",
        "ä",
        "1",
        "x.",
        "x-",
        "a" * 101,
        "a\nb",
        "a\0b",
    ],
)
def test_a_path_that_cannot_stand_in_an_address_is_refused(services, alice, path):
    with pytest.raises(ValidationError):
        make_dataset(services, alice[0], path=path)


@pytest.mark.parametrize("name", ["", " ", "\t", "a\0b", "a\x1bb", "x" * 256])
def test_a_name_that_nobody_can_read_is_refused(services, alice, name):
    with pytest.raises(ValidationError):
        make_dataset(services, alice[0], name, path="x")


def test_a_name_without_latin_letters_asks_for_a_path(services, alice):
    with pytest.raises(ValidationError, match="give `path`"):
        make_dataset(services, alice[0], "細胞")
    assert make_dataset(services, alice[0], "細胞", path="cells").name == "細胞"


def test_a_description_takes_no_nul_and_no_novel(services, alice):
    for description in ("a\0b", "x" * 2001):
        with pytest.raises(ValidationError):
            make_dataset(services, alice[0], description=description)


def test_topics_lose_repeats_and_keep_their_order(services, alice):
    made = make_dataset(services, alice[0], topics=["b", " a ", "b", "", "Zürich  lake"])
    assert services.datasets.open(alice[0], made.id, Action.SEE).dataset.topics == ("b", "a", "Zürich lake")
    changed = services.datasets.update(alice[0], made.id, {"topics": ["c"]})
    assert changed.topics == ("c",)


@pytest.mark.parametrize("topics", [["a,b"], ["x" * 61], ["a\0b"], [str(number) for number in range(31)]])
def test_topics_that_cannot_be_listed_are_refused(services, alice, topics):
    with pytest.raises(ValidationError):
        make_dataset(services, alice[0], topics=topics)


@pytest.mark.parametrize("address", ["9" * 5000, "9" * 19, "²", "٣", 10**30, -1, 0, "", "/", "a/", "//"])
def test_an_address_of_nothing_is_missing(services, alice, address):
    with pytest.raises(MissingError):
        services.datasets.open(alice[0], address, Action.SEE)


def test_a_dataset_is_found_by_id_and_by_path_in_any_case(services, alice):
    made = make_dataset(services, alice[0], path="Cells")
    for address in (made.id, str(made.id), "alice/Cells", "ALICE/cells"):
        assert services.datasets.open(alice[0], address, Action.SEE).dataset.id == made.id


# Interrupted creation


@pytest.mark.parametrize("moment", ["forge", "repository", "first commit", "ready"])
def test_an_interrupted_creation_is_finished_by_its_job(services, clock, alice, monkeypatch, moment):
    """Invariant 1 and 6: every step of creation may be repeated, whichever one the crash came before."""

    def crash(*_args, **_kwargs):
        raise RuntimeError("crash")

    target = {
        "forge": (LocalForge, "create"),
        "repository": (GitRepo, "create"),
        "first commit": (DataRepo, "start"),
        "ready": (store, "update_dataset"),
    }[moment]
    with monkeypatch.context() as patch:
        patch.setattr(*target, crash)
        with pytest.raises(RuntimeError):
            make_dataset(services, alice[0])
    with pytest.raises(UnavailableError):
        services.datasets.open(alice[0], "alice/cells", Action.READ)
    assert services.catalog.page(alice[0], _everything()) == []
    clock.advance(minutes=2)
    services.jobs.run_pending()
    assert contents(services, alice[0], "alice/cells") == {"README.md": b"# Cells\n"}
    assert len(list(repo_of(services, 1).log(repo_of(services, 1).head("main")))) == 1


def test_finishing_a_finished_creation_changes_nothing(services, clock, alice):
    made = make_dataset(services, alice[0])
    head = repo_of(services, made.id).head("main")
    services.datasets.finish_creation(made.id)
    clock.advance(minutes=2)
    services.jobs.run_pending()
    assert repo_of(services, made.id).head("main") == head


def _everything():
    from app.datasets.models import DatasetFilter

    return DatasetFilter()


# Deletion


def test_a_scheduled_dataset_is_gone_for_all_but_its_owners_and_comes_back(services, alice, bob):
    made = make_dataset(services, alice[0], visibility=Visibility.PUBLIC)
    services.memberships.set_member(alice[0], made.id, "bob", AccessLevel.MAINTAINER)
    services.datasets.schedule_deletion(alice[0], made.id)
    with pytest.raises(MissingError):
        services.datasets.open(bob[0], made.id, Action.SEE)
    with pytest.raises(MissingError):
        services.datasets.open(alice[0], made.id, Action.READ)
    assert services.catalog.page(alice[0], _everything()) == []
    assert services.datasets.open(alice[0], made.id, Action.SEE).dataset.deletion_due
    services.datasets.undo_deletion(alice[0], made.id)
    assert services.datasets.open(bob[0], made.id, Action.WRITE)


def test_scheduling_twice_keeps_the_first_date(services, clock, alice):
    made = make_dataset(services, alice[0])
    first = services.datasets.schedule_deletion(alice[0], made.id).deletion_due
    clock.advance(days=3)
    assert services.datasets.schedule_deletion(alice[0], made.id).deletion_due == first


def test_a_purge_waits_its_days_and_leaves_nothing(services, config, clock, alice):
    made = make_dataset(services, alice[0])
    put(services, alice[0], made.id, {"a.bin": b"bytes"})
    services.datasets.schedule_deletion(alice[0], made.id)
    clock.advance(days=6)
    assert services.datasets.purge_due() == []
    clock.advance(days=1, minutes=1)
    assert services.datasets.purge_due() == [made.id]
    with pytest.raises(MissingError):
        services.datasets.open(alice[0], made.id, Action.SEE)
    assert not (config.home / "objects" / str(made.id)).exists()
    assert not services.datasets.repository_path(made.id).exists()
    again = make_dataset(services, alice[0])
    assert again.id != made.id


def test_a_purge_that_has_begun_cannot_be_taken_back_and_goes_on_after_a_crash(
    services, clock, alice, monkeypatch
):
    made = make_dataset(services, alice[0])
    services.datasets.schedule_deletion(alice[0], made.id)
    clock.advance(days=8)

    def crash(_site, _dataset):
        raise GitopsError("the site is away")

    with monkeypatch.context() as patch:
        patch.setattr(services.sites, "delete_pool", crash)
        assert services.datasets.purge_due() == []
    with pytest.raises((GoneError, UnavailableError)):
        services.datasets.undo_deletion(alice[0], made.id)
    assert services.datasets.purge_due() == [made.id]


def test_one_site_that_is_away_keeps_no_other_dataset_waiting(services, clock, alice, monkeypatch):
    first, second = make_dataset(services, alice[0], "One"), make_dataset(services, alice[0], "Two")
    for made in (first, second):
        services.datasets.schedule_deletion(alice[0], made.id)
    clock.advance(days=8)
    remove = services.sites.delete_pool

    def fail(site, dataset):
        if dataset == first.id:
            raise GitopsError("the site is away")
        remove(site, dataset)

    monkeypatch.setattr(services.sites, "delete_pool", fail)
    assert services.datasets.purge_due() == [second.id]


def test_a_guest_is_told_no_counts(services, alice, bob):
    made = make_dataset(services, alice[0])
    put(services, alice[0], made.id, {"a.bin": b"bytes"})
    services.memberships.set_member(alice[0], made.id, "bob", AccessLevel.GUEST)
    seen = services.datasets.overview(bob[0], made.id)
    assert (seen.head, seen.totals.files, seen.stored_objects, seen.stored_bytes) == (None, 0, 0, 0)
    assert services.datasets.overview(alice[0], made.id).stored_bytes == 5


def test_an_opened_dataset_without_a_site_says_so(services, alice):
    made = make_dataset(services, alice[0], storage_site=None)
    opened = services.datasets.open(alice[0], made.id, Action.READ)
    with pytest.raises(TakenError) as refused:
        _ = opened.pool
    assert refused.value.error_code == "storage_site_unbound"
