"""Namespaces: who sees them, who is in them, who may change that."""

import pytest

from app.access import ANONYMOUS, AccessLevel, Action, UserId, Visibility
from app.errors import (
    BadRequestError,
    ForbiddenError,
    MissingError,
    TakenError,
    UnauthenticatedError,
    ValidationError,
)

LEVELS = [AccessLevel.GUEST, AccessLevel.REPORTER, AccessLevel.DEVELOPER, AccessLevel.MAINTAINER]


@pytest.fixture
def group(services, alice):
    """Return a function that makes alice's group of some visibility."""

    def make(visibility: Visibility = Visibility.PRIVATE) -> str:
        made = services.namespaces.create(alice[0], path="vision", name="", visibility=visibility)
        return made.namespace.path

    return make


def _listed(services, actor) -> list[str]:
    return [item.path for item in services.namespaces.visible(actor, after=0, limit=100)]


def test_the_creator_owns_a_group(services, alice, group):
    assert services.namespaces.open(alice[0], group(), Action.OWN).level is AccessLevel.OWNER


@pytest.mark.parametrize(
    ("visibility", "visitor_sees", "stranger_sees"),
    [
        (Visibility.PRIVATE, False, False),
        (Visibility.INTERNAL, False, True),
        (Visibility.PUBLIC, True, True),
    ],
)
def test_visibility_decides_who_sees_a_group(services, bob, group, visibility, visitor_sees, stranger_sees):
    group(visibility)

    assert ("vision" in _listed(services, ANONYMOUS)) == visitor_sees
    assert ("vision" in _listed(services, bob[0])) == stranger_sees


def test_what_is_invisible_looks_like_what_is_missing(services, bob, group):
    with pytest.raises(MissingError) as hidden:
        services.namespaces.open(bob[0], group(), Action.SEE)
    with pytest.raises(MissingError) as missing:
        services.namespaces.open(bob[0], "nothing", Action.SEE)

    assert str(hidden.value) == str(missing.value).replace("nothing", "vision")


def test_administrators_see_everything(services, admin, group):
    group()

    assert "vision" in _listed(services, admin[0])


def test_other_peoples_personal_namespaces_are_not_listed(services, alice, bob):
    assert _listed(services, alice[0]) == ["alice"]


def test_a_namespace_answers_to_its_id_too(services, alice, group):
    path = group()
    number = services.namespaces.open(alice[0], path, Action.SEE).namespace.id

    assert services.namespaces.open(alice[0], str(number), Action.SEE).namespace.path == path


@pytest.mark.parametrize("path", ["vision", "Vision", "alice", "ALICE"])
def test_a_path_is_taken_in_whatever_case(services, alice, group, path):
    group()

    with pytest.raises(TakenError):
        services.namespaces.create(alice[0], path=path, name="", visibility=Visibility.PRIVATE)


def test_visitors_create_nothing(services):
    with pytest.raises(ForbiddenError):
        services.namespaces.create(ANONYMOUS, path="x", name="", visibility=Visibility.PUBLIC)


@pytest.mark.parametrize("level", LEVELS)
def test_only_owners_change_the_visibility(services, alice, bob, group, level):
    services.namespaces.set_member(alice[0], group(), "bob", level)

    with pytest.raises(ForbiddenError):
        services.namespaces.change(bob[0], "vision", visibility=Visibility.PUBLIC)


def test_maintainers_change_the_name(services, alice, bob, group):
    services.namespaces.set_member(alice[0], group(), "bob", AccessLevel.MAINTAINER)

    assert services.namespaces.change(bob[0], "vision", name="Vision!").namespace.name == "Vision!"


def test_an_empty_group_can_be_deleted_and_its_name_used_again(services, alice, group):
    services.namespaces.delete(alice[0], group())

    assert group() == "vision"


def test_a_personal_namespace_stays(services, alice):
    with pytest.raises(BadRequestError):
        services.namespaces.delete(alice[0], "alice")


def test_members_are_added_changed_and_removed(services, alice, bob, group):
    path = group()
    _, is_new = services.namespaces.set_member(alice[0], path, "bob", AccessLevel.GUEST)
    member, is_new_again = services.namespaces.set_member(alice[0], path, "bob", AccessLevel.DEVELOPER)

    assert (is_new, is_new_again) == (True, False)
    assert member.membership.level is AccessLevel.DEVELOPER
    services.namespaces.remove_member(alice[0], path, "bob")
    services.namespaces.remove_member(alice[0], path, "bob")
    members = services.namespaces.members(alice[0], path, after=UserId(0), limit=10)
    assert [item.username for item in members] == ["alice"]


def test_a_removed_member_sees_nothing_at_once(services, alice, bob, group):
    path = group()
    services.namespaces.set_member(alice[0], path, "bob", AccessLevel.OWNER)
    services.namespaces.remove_member(alice[0], path, "bob")

    with pytest.raises(MissingError):
        services.namespaces.open(bob[0], path, Action.SEE)


@pytest.mark.parametrize("wanted", [AccessLevel.OWNER])
def test_nobody_grants_above_the_own_level(services, alice, bob, make_user, group, wanted):
    make_user("carol")
    services.namespaces.set_member(alice[0], group(), "bob", AccessLevel.MAINTAINER)

    with pytest.raises(ForbiddenError):
        services.namespaces.set_member(bob[0], "vision", "carol", wanted)


@pytest.mark.parametrize("wanted", [AccessLevel.GUEST, AccessLevel.MAINTAINER])
def test_nobody_touches_a_member_above(services, alice, bob, make_user, group, wanted):
    make_user("carol")
    services.namespaces.set_member(alice[0], group(), "bob", AccessLevel.MAINTAINER)
    services.namespaces.set_member(alice[0], "vision", "carol", AccessLevel.OWNER)

    with pytest.raises(ForbiddenError):
        services.namespaces.set_member(bob[0], "vision", "carol", wanted)
    with pytest.raises(ForbiddenError):
        services.namespaces.remove_member(bob[0], "vision", "carol")


@pytest.mark.parametrize("level", LEVELS[:3])
def test_developers_and_below_manage_nobody(services, alice, bob, make_user, group, level):
    make_user("carol")
    services.namespaces.set_member(alice[0], group(), "bob", level)

    with pytest.raises(ForbiddenError):
        services.namespaces.set_member(bob[0], "vision", "carol", AccessLevel.GUEST)


@pytest.mark.parametrize("level", LEVELS)
def test_everybody_may_leave(services, alice, bob, group, level):
    services.namespaces.set_member(alice[0], group(), "bob", level)

    services.namespaces.remove_member(bob[0], "vision", "bob")

    assert "vision" not in _listed(services, bob[0])


def test_the_last_owner_stays(services, alice, group):
    path = group()

    with pytest.raises(TakenError) as leaving:
        services.namespaces.remove_member(alice[0], path, "alice")
    with pytest.raises(TakenError):
        services.namespaces.set_member(alice[0], path, "alice", AccessLevel.GUEST)

    assert leaving.value.error_code == "last_owner"


def test_an_owner_may_leave_once_there_is_another(services, alice, bob, group):
    services.namespaces.set_member(alice[0], group(), "bob", AccessLevel.OWNER)

    services.namespaces.remove_member(alice[0], "vision", "alice")

    assert services.namespaces.open(bob[0], "vision", Action.OWN)


def test_unknown_people_cannot_be_members(services, alice, group):
    with pytest.raises(ValidationError):
        services.namespaces.set_member(alice[0], group(), "nobody", AccessLevel.GUEST)


def test_visitors_do_not_learn_who_the_members_are(services, group):
    with pytest.raises(UnauthenticatedError):
        services.namespaces.members(ANONYMOUS, group(Visibility.PUBLIC), after=UserId(0), limit=10)
