"""The policy: every level, action and visibility, against the table of promises.md §5."""

import pytest

from app.access import (
    ANONYMOUS,
    SYSTEM,
    AccessLevel,
    Action,
    Actor,
    Scope,
    UserId,
    Visibility,
    allows,
    effective_level,
)

FULL = frozenset(Scope)
PERSON = Actor(user=UserId(1), username="p", scopes=FULL)
READER = Actor(user=UserId(1), username="p", scopes=frozenset({Scope.READ_API}))
ADMIN = Actor(user=UserId(2), username="a", is_admin=True, scopes=FULL)

# Rows: level. Columns: see, read, write, maintain, own.
TABLE = {
    AccessLevel.NONE: "-----",
    AccessLevel.GUEST: "s----",
    AccessLevel.REPORTER: "sr---",
    AccessLevel.DEVELOPER: "srw--",
    AccessLevel.MAINTAINER: "srwm-",
    AccessLevel.OWNER: "srwmo",
}


@pytest.mark.parametrize("level", list(AccessLevel))
@pytest.mark.parametrize("column", range(5))
def test_a_person_may_do_what_the_table_says(level, column):
    assert allows(PERSON, list(Action)[column], level) == (TABLE[level][column] != "-")


@pytest.mark.parametrize("action", [Action.WRITE, Action.MAINTAIN, Action.OWN])
@pytest.mark.parametrize("actor", [ANONYMOUS, READER])
def test_nobody_changes_anything_without_a_name_and_the_scope(actor, action):
    assert not allows(actor, action, AccessLevel.OWNER)


@pytest.mark.parametrize(
    ("actor", "visibility", "level"),
    [
        (ANONYMOUS, Visibility.PRIVATE, AccessLevel.NONE),
        (ANONYMOUS, Visibility.INTERNAL, AccessLevel.NONE),
        (ANONYMOUS, Visibility.PUBLIC, AccessLevel.REPORTER),
        (PERSON, Visibility.PRIVATE, AccessLevel.NONE),
        (PERSON, Visibility.INTERNAL, AccessLevel.REPORTER),
        (PERSON, Visibility.PUBLIC, AccessLevel.REPORTER),
        (ADMIN, Visibility.PRIVATE, AccessLevel.OWNER),
        (SYSTEM, Visibility.PRIVATE, AccessLevel.OWNER),
    ],
)
def test_visibility_raises_strangers(actor, visibility, level):
    assert effective_level(actor, AccessLevel.NONE, visibility) is level


@pytest.mark.parametrize("visibility", list(Visibility))
def test_visibility_never_lowers_a_member(visibility):
    assert effective_level(PERSON, AccessLevel.MAINTAINER, visibility) is AccessLevel.MAINTAINER


def test_visibilities_are_ordered():
    assert [item.rank for item in (Visibility.PRIVATE, Visibility.INTERNAL, Visibility.PUBLIC)] == [0, 1, 2]


def test_a_credential_does_not_show_in_the_representation():
    assert "canary" not in repr(Actor(user=UserId(1), credential="canary"))
