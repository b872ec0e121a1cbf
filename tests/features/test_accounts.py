"""Accounts: users, tokens, the first start."""

from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from app.access import ANONYMOUS, SYSTEM, Action, Scope, UserId, Visibility
from app.accounts.models import TOKEN_PREFIX
from app.accounts.service import DECOY
from app.accounts.store import tokens
from app.errors import (
    ForbiddenError,
    MissingError,
    TakenError,
    UnauthenticatedError,
    ValidationError,
)

READ = frozenset({Scope.READ_API})
FULL = frozenset(Scope)


def test_a_new_user_owns_a_personal_namespace(services, alice):
    found = services.namespaces.open(alice[0], "alice", Action.OWN)

    assert found.namespace.kind == "user"


@pytest.mark.parametrize("name", ["alice", "ALICE"])
def test_a_name_is_taken_in_whatever_case(services, alice, name):
    with pytest.raises(TakenError):
        services.accounts.create_user(SYSTEM, name)


def test_a_user_cannot_take_the_name_of_a_group(services, alice):
    services.namespaces.create(alice[0], path="vision", name="", visibility=Visibility.PRIVATE)

    with pytest.raises(TakenError):
        services.accounts.create_user(SYSTEM, "Vision")


@pytest.mark.parametrize(
    "name", ["", "1a", "-a", "a/b", "a b", "api", "Login", "x.git", "a..b", "a.", "é", "x" * 65, "a\n"]
)
def test_names_that_could_confuse_addresses_are_refused(services, name):
    with pytest.raises(ValidationError):
        services.accounts.create_user(SYSTEM, name)


@pytest.mark.parametrize("password", ["short", "x" * 1025])
def test_passwords_have_a_sane_length(services, password):
    with pytest.raises(ValidationError):
        services.accounts.create_user(SYSTEM, "dora", password=password)


def test_a_refused_user_leaves_nothing(services):
    with pytest.raises(ValidationError):
        services.accounts.create_user(SYSTEM, "dora", email="not an address")

    assert services.accounts.create_user(SYSTEM, "dora").username == "dora"


def test_only_administrators_create_users(services, alice):
    with pytest.raises(ForbiddenError):
        services.accounts.create_user(alice[0], "dora")


def test_a_token_speaks_for_its_owner_with_its_scopes(services, alice):
    _, raw = services.accounts.create_token(alice[0], name="r", scopes=READ)

    actor = services.accounts.actor_of_token(raw)

    assert raw.startswith(TOKEN_PREFIX)
    assert (actor.username, actor.scopes, actor.may_write) == ("alice", READ, False)


def test_the_text_of_a_token_is_not_kept(services, alice):
    with services.database.reading() as connection:
        rows = [tuple(row) for row in connection.execute(tokens.select())]

    assert rows
    assert alice[1] not in repr(rows)


def test_a_token_expires_at_its_moment(services, alice, clock):
    _, raw = services.accounts.create_token(
        alice[0], name="t", scopes=READ, expires_at=clock() + timedelta(days=1)
    )
    services.accounts.actor_of_token(raw)
    clock.advance(days=1)

    with pytest.raises(UnauthenticatedError) as refused:
        services.accounts.actor_of_token(raw)
    assert refused.value.error_code == "expired_token"


def test_a_revoked_token_is_nobodys_at_once(services, alice):
    token, raw = services.accounts.create_token(alice[0], name="t", scopes=READ)

    services.accounts.revoke_token(alice[0], token.id)

    with pytest.raises(UnauthenticatedError):
        services.accounts.actor_of_token(raw)


def test_nobody_revokes_the_token_of_another(services, alice, bob):
    token, raw = services.accounts.create_token(alice[0], name="t", scopes=READ)

    services.accounts.revoke_token(bob[0], token.id)

    assert services.accounts.actor_of_token(raw).username == "alice"


def test_a_token_cannot_make_one_that_may_do_more(services, alice):
    _, raw = services.accounts.create_token(alice[0], name="r", scopes=READ)
    reader = services.accounts.actor_of_token(raw)

    with pytest.raises(ForbiddenError):
        services.accounts.create_token(reader, name="w", scopes=FULL)


def test_nobody_makes_tokens_for_another(services, alice, bob):
    with pytest.raises(ForbiddenError):
        services.accounts.create_token(alice[0], name="t", scopes=READ, username="bob")


def test_use_of_a_token_is_written_down_now_and_then(services, alice, clock):
    token, raw = services.accounts.create_token(alice[0], name="t", scopes=READ)
    first = clock()
    services.accounts.actor_of_token(raw)
    services.accounts.actor_of_token(raw)

    used = {item.id: item.last_used_at for item in services.accounts.tokens(alice[0])}[token.id]

    assert used is not None
    assert used - first < timedelta(minutes=1)


def test_visitors_have_no_profile(services):
    with pytest.raises(UnauthenticatedError):
        services.accounts.profile(ANONYMOUS)


def test_a_wrong_current_password_changes_nothing(services):
    services.accounts.create_user(SYSTEM, "dora", password="first long password")
    actor, _ = services.accounts.sign_in("dora", "first long password", address="a")

    with pytest.raises(ForbiddenError):
        services.accounts.change_password(actor, "wrong", "second long password")

    services.accounts.sign_in("dora", "first long password", address="a")


def test_an_account_without_a_password_cannot_sign_in(services, alice):
    with pytest.raises(UnauthenticatedError):
        services.accounts.sign_in("alice", "", address="a")


def test_administrators_do_not_block_themselves(services, admin):
    with pytest.raises(ForbiddenError):
        services.accounts.set_blocked(admin[0], "root-admin", is_blocked=True)


def test_blocking_nobody_is_an_error(services):
    with pytest.raises(MissingError):
        services.accounts.set_blocked(SYSTEM, "nobody", is_blocked=True)


def test_users_are_listed_page_by_page(services, alice, bob):
    first = services.accounts.users(SYSTEM, after=UserId(0), limit=1)
    rest = services.accounts.users(SYSTEM, after=first[0].id, limit=10)

    assert [user.username for user in (*first, *rest)] == ["alice", "bob"]


def test_a_second_start_makes_no_second_admin(services, alice):
    services.accounts.create_first_admin("late-admin-token")

    with pytest.raises(UnauthenticatedError):
        services.accounts.actor_of_token("late-admin-token")


def test_a_new_set_up_link_replaces_the_old_one(services):
    old = services.accounts.open_setup_link()
    new = services.accounts.open_setup_link()

    assert not services.accounts.is_setup_link(old)
    assert services.accounts.is_setup_link(new)


def test_the_decoy_takes_as_long_as_a_real_password():
    assert not PasswordHasher().check_needs_rehash(DECOY)
