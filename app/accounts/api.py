"""JSON routes of accounts."""

from flask import Response

from app.access import UserId
from app.accounts.models import Token, TokenId, User
from app.accounts.schemas import (
    Blocking,
    NewPassword,
    NewToken,
    NewTokenAnswer,
    NewUser,
    TokenAnswer,
    TokenPath,
    UserAnswer,
    UserPath,
    UserQuery,
)
from app.web.api import ApiBlueprint, created_answer, empty_answer, json_answer, page_answer
from app.web.context import actor, services
from app.web.cursors import number_of

routes = ApiBlueprint("accounts", tag="Accounts")


@routes.get("/user", role="user", summary="Who I am", answers=UserAnswer)
def show_user() -> Response:
    """Show the account that the credential belongs to."""
    return json_answer(_user(services().accounts.profile(actor())))


@routes.put("/user/password", role="user", summary="Change my password")
def change_password(body: NewPassword) -> Response:
    """End every session of the account; tokens stay."""
    services().accounts.change_password(actor(), body.current_password, body.password)
    return empty_answer()


@routes.get("/user/tokens", role="user", summary="My API tokens", answers=[TokenAnswer])
def list_tokens() -> Response:
    """List tokens without their texts."""
    return json_answer([_token(token) for token in services().accounts.tokens(actor())])


@routes.post("/user/tokens", role="user", summary="Make an API token", answers=NewTokenAnswer, status=201)
def create_token(body: NewToken) -> Response:
    """Answer with the token's text, once; it is not kept."""
    token, raw = services().accounts.create_token(
        actor(), name=body.name, scopes=frozenset(body.scopes), expires_at=body.expires_at
    )
    return created_answer({**_token(token), "token": raw}, f"/api/v1/user/tokens/{token.id}")


@routes.delete("/user/tokens/<int:token>", role="user", summary="Revoke one of my tokens")
def revoke_token(path: TokenPath) -> Response:
    """End the token at once."""
    services().accounts.revoke_token(actor(), TokenId(path.token))
    return empty_answer()


@routes.get("/users", role="admin", summary="All users", answers=[UserAnswer])
def list_users(query: UserQuery) -> Response:
    """List accounts by id."""
    after = UserId(number_of(query.cursor))
    users = services().accounts.users(actor(), after=after, limit=query.per_page + 1, search=query.search)
    shown = users[: query.per_page]
    return page_answer(
        [_user(user) for user in shown], str(shown[-1].id) if len(users) > len(shown) else None
    )


@routes.post("/users", role="admin", summary="Create a user", answers=UserAnswer, status=201)
def create_user(body: NewUser) -> Response:
    """Create an account with a personal namespace of the same name."""
    user = services().accounts.create_user(
        actor(),
        body.username,
        password=body.password,
        name=body.name,
        email=body.email,
        is_admin=body.is_admin,
    )
    return created_answer(_user(user), f"/api/v1/users/{user.username}")


@routes.patch("/users/<username>", role="admin", summary="Block a user or let him in", answers=UserAnswer)
def set_user_state(path: UserPath, body: Blocking) -> Response:
    """Take effect at once for sessions and tokens."""
    user = services().accounts.set_blocked(actor(), path.username, is_blocked=body.state == "blocked")
    return json_answer(_user(user))


def _user(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "is_admin": user.is_admin,
        "state": "blocked" if user.is_blocked else "active",
        "created_at": user.created_at,
    }


def _token(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }
