"""Tables of accounts: users, tokens, set-up links, failed sign-ins."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from app.access import Scope, UserId
from app.accounts.models import Token, TokenId, User
from app.db import Connection, UtcDateTime, metadata
from app.errors import TakenError

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("username", String(64), nullable=False),
    Column("username_key", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("email", String(254), nullable=False),
    Column("is_admin", Boolean, nullable=False),
    Column("is_blocked", Boolean, nullable=False),
    Column("password_hash", String(255)),
    Column("session_stamp", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    sqlite_autoincrement=True,
)
setup_links = Table(
    "setup_links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
)
failed_sign_ins = Table(
    "failed_sign_ins",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
)

_USER = [
    users.c.id,
    users.c.username,
    users.c.name,
    users.c.email,
    users.c.is_admin,
    users.c.is_blocked,
    users.c.created_at,
]
_TOKEN = [
    tokens.c.id,
    tokens.c.name,
    tokens.c.scopes,
    tokens.c.created_at,
    tokens.c.expires_at,
    tokens.c.last_used_at,
]
# Asked on every request with a token: built once, so that only the parameter changes.
_BY_DIGEST = (
    select(
        *_USER,
        tokens.c.id.label("token_id"),
        tokens.c.scopes,
        tokens.c.expires_at,
        tokens.c.last_used_at,
    )
    .join_from(tokens, users)
    .where(tokens.c.digest == bindparam("digest"))
)
_BY_STAMP = select(*_USER).where(users.c.id == bindparam("id"), users.c.session_stamp == bindparam("stamp"))


def insert_user(
    connection: Connection,
    *,
    username: str,
    name: str,
    email: str,
    is_admin: bool,
    password_hash: str | None,
    session_stamp: str,
    now: datetime,
) -> User:
    """Return the new user.

    Raises:
        TakenError: the name is taken, in whatever case.
    """
    values = {
        "username": username,
        "username_key": username.casefold(),
        "name": name,
        "email": email,
        "is_admin": is_admin,
        "is_blocked": False,
        "password_hash": password_hash,
        "session_stamp": session_stamp,
        "created_at": now,
    }
    try:
        row = connection.execute(insert(users).values(values).returning(*_USER)).one()
    except IntegrityError as error:
        raise TakenError(f"the name {username!r} is taken") from error
    return _user(row)


def count_users(connection: Connection) -> int:
    """Return how many accounts there are."""
    return int(connection.execute(select(func.count()).select_from(users)).scalar_one())


def find_user(connection: Connection, username: str) -> User | None:
    """Return the user of this name, in whatever case."""
    row = connection.execute(select(*_USER).where(users.c.username_key == username.casefold())).first()
    return None if row is None else _user(row)


def find_user_by_id(connection: Connection, user: UserId) -> User | None:
    """Return the user with this id."""
    row = connection.execute(select(*_USER).where(users.c.id == user)).first()
    return None if row is None else _user(row)


def users_by_id(connection: Connection, ids: Collection[UserId]) -> dict[UserId, User]:
    """Return users by their ids; at most a page of them."""
    rows = connection.execute(select(*_USER).where(users.c.id.in_(ids)))
    return {UserId(row.id): _user(row) for row in rows}


def users_after(connection: Connection, *, after: UserId, limit: int, search: str = "") -> Sequence[User]:
    """Return users by id, beginning behind one."""
    query = select(*_USER).where(users.c.id > after).order_by(users.c.id).limit(limit)
    if search:
        query = query.where(users.c.username_key.contains(search.casefold(), autoescape=True))
    return [_user(row) for row in connection.execute(query)]


def find_sign_in(connection: Connection, username: str) -> tuple[User, str | None, str] | None:
    """Return the user, the password's hash and the session stamp."""
    query = select(*_USER, users.c.password_hash, users.c.session_stamp).where(
        users.c.username_key == username.casefold()
    )
    row = connection.execute(query).first()
    return None if row is None else (_user(row), row.password_hash, row.session_stamp)


def find_by_stamp(connection: Connection, user: UserId, stamp: str) -> User | None:
    """Return the user if this is still the stamp of the sessions."""
    row = connection.execute(_BY_STAMP, {"id": user, "stamp": stamp}).first()
    return None if row is None else _user(row)


def update_user(connection: Connection, user: UserId, **values: Any) -> None:
    """Set columns of a user."""
    connection.execute(update(users).where(users.c.id == user).values(**values))


def insert_token(
    connection: Connection,
    *,
    user: UserId,
    name: str,
    digest: str,
    scopes: frozenset[Scope],
    now: datetime,
    expires_at: datetime | None,
) -> Token:
    """Return the new token.

    Raises:
        TakenError: this very token exists (only possible if it was chosen, not made).
    """
    values = {
        "user_id": user,
        "name": name,
        "digest": digest,
        "scopes": " ".join(sorted(scopes)),
        "created_at": now,
        "expires_at": expires_at,
    }
    try:
        row = connection.execute(insert(tokens).values(values).returning(*_TOKEN)).one()
    except IntegrityError as error:
        raise TakenError("this token exists already") from error
    return _token(row)


def find_by_token(connection: Connection, digest: str) -> tuple[User, Token] | None:
    """Return the owner of a token, and the token."""
    row = connection.execute(_BY_DIGEST, {"digest": digest}).first()
    if row is None:
        return None
    token = Token(
        id=TokenId(row.token_id),
        name="",
        scopes=_scopes(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
    return _user(row), token


def touch_token(connection: Connection, token: TokenId, now: datetime) -> None:
    """Write down that a token was used."""
    connection.execute(update(tokens).where(tokens.c.id == token).values(last_used_at=now))


def tokens_of(connection: Connection, user: UserId) -> Sequence[Token]:
    """Return a user's tokens, oldest first."""
    query = select(*_TOKEN).where(tokens.c.user_id == user).order_by(tokens.c.id)
    return [_token(row) for row in connection.execute(query)]


def delete_token(connection: Connection, user: UserId, token: TokenId) -> None:
    """Remove a user's token; nothing happens if it is not there or not the user's."""
    connection.execute(delete(tokens).where(tokens.c.id == token, tokens.c.user_id == user))


def insert_setup_link(connection: Connection, digest: str, now: datetime) -> None:
    """Make this the only set-up link."""
    connection.execute(delete(setup_links))
    connection.execute(insert(setup_links).values(digest=digest, created_at=now))


def has_setup_link(connection: Connection, digest: str) -> bool:
    """Tell whether this is the set-up link."""
    return (
        connection.execute(select(setup_links.c.digest).where(setup_links.c.digest == digest)).first()
        is not None
    )


def delete_setup_links(connection: Connection) -> None:
    """Remove the set-up link: it was used, or is not needed."""
    connection.execute(delete(setup_links))


def failures(connection: Connection, key: str, *, since: datetime) -> int:
    """Return how often signing in failed under this key in the present window."""
    query = select(failed_sign_ins.c.count).where(
        failed_sign_ins.c.key == key, failed_sign_ins.c.first_at > since
    )
    return int(connection.execute(query).scalar_one_or_none() or 0)


def add_failure(connection: Connection, key: str, *, since: datetime, now: datetime) -> None:
    """Count a failure; an old window begins anew."""
    connection.execute(delete(failed_sign_ins).where(failed_sign_ins.c.first_at <= since))
    counted = connection.execute(
        update(failed_sign_ins).where(failed_sign_ins.c.key == key).values(count=failed_sign_ins.c.count + 1)
    )
    if not counted.rowcount:
        connection.execute(insert(failed_sign_ins).values(key=key, count=1, first_at=now))


def clear_failures(connection: Connection, key: str) -> None:
    """Forget failures: the person signed in."""
    connection.execute(delete(failed_sign_ins).where(failed_sign_ins.c.key == key))


def _user(row: Any) -> User:
    return User(
        id=UserId(row.id),
        username=row.username,
        name=row.name,
        email=row.email,
        is_admin=row.is_admin,
        is_blocked=row.is_blocked,
        created_at=row.created_at,
    )


def _token(row: Any) -> Token:
    return Token(
        id=TokenId(row.id),
        name=row.name,
        scopes=_scopes(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def _scopes(raw: str) -> frozenset[Scope]:
    return frozenset(Scope(part) for part in raw.split())
