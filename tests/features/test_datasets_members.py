"""Members: levels of a dataset's own and inherited ones, and who may grant what."""

import pytest

from app.access import AccessLevel, Action, Visibility
from app.errors import BadRequestError, ForbiddenError, MissingError
from tests.steps import make_dataset, put, race

LEVELS = [level for level in AccessLevel if level]


@pytest.fixture
def shared(services, alice):
    services.namespaces.create(alice[0], path="vision", name="Vision", visibility=Visibility.PRIVATE)
    return make_dataset(services, alice[0], namespace="vision")


def _levels(services, actor, dataset):
    return {
        member.username: (member.level, member.is_inherited)
        for member in services.memberships.members(actor, dataset)
    }


def test_own_and_inherited_members_are_listed(services, alice, bob, make_user, shared):
    make_user("carol")
    services.namespaces.set_member(alice[0], "vision", "bob", AccessLevel.REPORTER)
    services.memberships.set_member(alice[0], shared.id, "carol", AccessLevel.GUEST)
    assert _levels(services, alice[0], shared.id) == {
        "alice": (AccessLevel.OWNER, True),
        "bob": (AccessLevel.REPORTER, True),
        "carol": (AccessLevel.GUEST, False),
    }


@pytest.mark.parametrize("level", LEVELS)
def test_the_higher_of_both_levels_counts(services, alice, bob, shared, level):
    services.namespaces.set_member(alice[0], "vision", "bob", AccessLevel.REPORTER)
    services.memberships.set_member(alice[0], shared.id, "bob", level)
    assert services.datasets.open(bob[0], shared.id, Action.READ).level == max(level, AccessLevel.REPORTER)


@pytest.mark.parametrize("granted", LEVELS)
@pytest.mark.parametrize("own", LEVELS)
def test_nobody_grants_above_his_own_level_and_only_maintainers_grant(
    services, alice, bob, make_user, shared, own, granted
):
    make_user("carol")
    services.memberships.set_member(alice[0], shared.id, "bob", own)
    if own >= AccessLevel.MAINTAINER and granted <= own:
        assert services.memberships.set_member(bob[0], shared.id, "carol", granted).level == granted
    else:
        with pytest.raises(ForbiddenError):
            services.memberships.set_member(bob[0], shared.id, "carol", granted)


def test_a_maintainer_touches_no_owner(services, alice, bob, make_user, shared):
    make_user("carol")
    services.memberships.set_member(alice[0], shared.id, "bob", AccessLevel.MAINTAINER)
    services.memberships.set_member(alice[0], shared.id, "carol", AccessLevel.OWNER)
    with pytest.raises(ForbiddenError):
        services.memberships.set_member(bob[0], shared.id, "carol", AccessLevel.GUEST)
    with pytest.raises(ForbiddenError):
        services.memberships.remove_member(bob[0], shared.id, "carol")


@pytest.mark.parametrize("level", LEVELS)
def test_everybody_may_leave_and_is_out_at_once(services, alice, bob, shared, level):
    """S5: a removed member is out at once."""
    services.memberships.set_member(alice[0], shared.id, "bob", level)
    services.memberships.remove_member(bob[0], shared.id, "BOB")
    with pytest.raises(MissingError):
        services.datasets.open(bob[0], shared.id, Action.SEE)


def test_a_reader_removes_nobody_else(services, alice, bob, make_user, shared):
    make_user("carol")
    for name in ("bob", "carol"):
        services.memberships.set_member(alice[0], shared.id, name, AccessLevel.DEVELOPER)
    with pytest.raises(ForbiddenError):
        services.memberships.remove_member(bob[0], shared.id, "carol")


def test_inherited_members_are_not_removed_here(services, alice, bob, shared):
    services.namespaces.set_member(alice[0], "vision", "bob", AccessLevel.REPORTER)
    with pytest.raises(MissingError, match="itself"):
        services.memberships.remove_member(alice[0], shared.id, "bob")


def test_nobody_becomes_a_member_without_an_account(services, alice, shared):
    with pytest.raises(BadRequestError) as refused:
        services.memberships.set_member(alice[0], shared.id, "nobody", AccessLevel.GUEST)
    assert refused.value.error_code == "user_not_found"


def test_setting_a_member_at_once_from_many_sides_leaves_one_row(services, alice, bob, shared):
    _, errors = race(
        8,
        lambda n: services.memberships.set_member(alice[0], shared.id, "bob", AccessLevel(10 + 10 * (n % 3))),
    )
    assert not errors
    assert list(_levels(services, alice[0], shared.id)).count("bob") == 1


# Who may change the default branch


def test_a_protected_default_branch_takes_changes_from_maintainers_only(services, alice, bob, shared):
    services.memberships.set_member(alice[0], shared.id, "bob", AccessLevel.DEVELOPER)
    services.datasets.update(alice[0], shared.id, {"push_level": AccessLevel.MAINTAINER})
    head = put(services, alice[0], shared.id, {"a.bin": b"a"})
    versions, uploads = services.versions, services.uploads
    refused = [
        lambda: put(services, bob[0], shared.id, {"b.bin": b"b"}),
        lambda: versions.delete(bob[0], shared.id, "a.bin"),
        lambda: versions.revert(bob[0], shared.id, head, branch=None),
        lambda: versions.restore(bob[0], shared.id, head, "", branch="main"),
        lambda: versions.commit_actions(bob[0], shared.id, [], branch="main", message="x"),
        lambda: uploads.open(bob[0], shared.id),
    ]
    for change in refused:
        with pytest.raises(ForbiddenError, match="maintainer"):
            change()


def test_other_branches_of_a_protected_dataset_stay_open_to_developers(services, alice, bob, shared):
    services.memberships.set_member(alice[0], shared.id, "bob", AccessLevel.DEVELOPER)
    services.datasets.update(alice[0], shared.id, {"push_level": AccessLevel.MAINTAINER})
    services.names.create_branch(bob[0], shared.id, "work", "main")
    assert put(services, bob[0], shared.id, {"b.bin": b"b"}, branch="work")
    upload = services.uploads.open(bob[0], shared.id, branch="work")
    from tests.steps import declared

    services.uploads.declare(bob[0], shared.id, upload.id, declared({"b2.bin": b"b"}))
    with pytest.raises(ForbiddenError):
        services.uploads.commit(bob[0], shared.id, upload.id, message="x", branch="main")
    assert services.uploads.commit(bob[0], shared.id, upload.id, message="x")
