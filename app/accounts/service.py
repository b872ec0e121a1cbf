"""Use cases of accounts: users, signing in, API tokens, the first start."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.access import Actor, Scope, UserId
from app.accounts import models, store
from app.accounts.models import Token, TokenId, User
from app.db import Connection, Database
from app.errors import ForbiddenError, MissingError, ThrottledError, UnauthenticatedError, ValidationError

FULL = frozenset({Scope.API, Scope.READ_API})
WINDOW = timedelta(minutes=15)
# An address may fail for several people behind it before it has to wait.
ADDRESS_FACTOR = 10
TOUCH_EVERY = timedelta(minutes=10)
MAX_TOKEN_NAME = 255
MAX_ID_DIGITS = 18
# Verified when an account does not exist, so that the answer takes as long. Nobody has this password.
DECOY = "$argon2id$v=19$m=65536,t=3,p=4$3GVMkCAtwgcqvrrtzRV3hw$BJsX5QFhSKlFZl2VOXtfUqtO1qHsBppC4MLNTpp8BoY"


class PersonalNamespaces(Protocol):
    """Gives every account a namespace of its own; implemented by a feature to the right."""

    def open_for(self, connection: Connection, user: User) -> None:
        """Create the personal namespace of a new user in the transaction that creates the user."""
        ...


class AccountService:
    """Users, their sessions and tokens."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        homes: PersonalNamespaces,
        *,
        sign_in_attempts: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._homes = homes
        self._attempts = sign_in_attempts
        self._hasher = PasswordHasher()

    def actor_of_token(self, raw: str) -> Actor:
        """Return whom an API token speaks for.

        Raises:
            UnauthenticatedError: there is no such token, it expired, or its owner is blocked.
        """
        now = self._clock()
        with self._database.reading() as connection:
            found = store.find_by_token(connection, models.token_digest(raw))
        if found is None or found[0].is_blocked:
            raise UnauthenticatedError("no such token, or it was revoked", code="invalid_token")
        user, token = found
        if token.expires_at is not None and token.expires_at <= now:
            raise UnauthenticatedError("this token has expired; make a new one", code="expired_token")
        if token.last_used_at is None or token.last_used_at < now - TOUCH_EVERY:
            with self._database.transaction() as connection:
                store.touch_token(connection, token.id, now)
        return models.actor_for(user, token.scopes)

    def find_session_actor(self, session_id: str) -> Actor | None:
        """Return whom a session belongs to, or None if it was revoked."""
        number, _, stamp = session_id.partition(".")
        if not (number.isascii() and number.isdigit() and len(number) <= MAX_ID_DIGITS):
            return None
        with self._database.reading() as connection:
            user = store.find_by_stamp(connection, UserId(int(number)), stamp)
        return None if user is None or user.is_blocked else models.actor_for(user, FULL)

    def sign_in(self, username: str, password: str, *, address: str) -> tuple[Actor, str]:
        """Return the person and the id of a new session.

        Raises:
            ThrottledError: too many failures for this name from this address, or from this address.
            UnauthenticatedError: wrong, without saying what.
        """
        keys = (_failure_key(username.casefold(), address), _failure_key("", address))
        self._refuse_throttled(keys)
        with self._database.reading() as connection:
            found = store.find_sign_in(connection, username)
        kept = found[1] if found is not None and not found[0].is_blocked else None
        is_right = self._verify(kept or DECOY, password) and kept is not None
        with self._database.transaction() as connection:
            if is_right:
                store.clear_failures(connection, keys[0])
            else:
                for key in keys:
                    store.add_failure(connection, key, since=self._clock() - WINDOW, now=self._clock())
        if not is_right or found is None:
            raise UnauthenticatedError("the name or the password is wrong", code="wrong_credentials")
        user, _, stamp = found
        return models.actor_for(user, FULL), f"{user.id}.{stamp}"

    def create_user(
        self,
        actor: Actor,
        username: str,
        *,
        password: str | None = None,
        name: str = "",
        email: str = "",
        is_admin: bool = False,
    ) -> User:
        """Return a new user, who has a personal namespace of the same name.

        Raises:
            ForbiddenError: the actor is no administrator.
            TakenError: a user or namespace has this name, in whatever case.
        """
        _require_admin(actor)
        with self._database.transaction() as connection:
            return self._insert_user(
                connection, username, password=password, name=name, email=email, is_admin=is_admin
            )

    def change_password(self, actor: Actor, current: str, new: str) -> str:
        """Set one's own password; return the id of a new session, as all others end.

        Raises:
            ForbiddenError: the current password is wrong.
        """
        _require_write(actor)
        models.check_password(new)
        with self._database.reading() as connection:
            found = store.find_sign_in(connection, actor.username)
        if found is None or found[1] is None or not self._verify(found[1], current):
            raise ForbiddenError("the current password is wrong", code="wrong_credentials")
        stamp = _make_stamp()
        hashed = self._hasher.hash(new)
        with self._database.transaction() as connection:
            store.update_user(connection, found[0].id, password_hash=hashed, session_stamp=stamp)
        return f"{found[0].id}.{stamp}"

    def set_password(self, actor: Actor, username: str, new: str) -> User:
        """Set anybody's password, for administrators; the account's sessions end, its tokens stay.

        Raises:
            MissingError: there is no such user.
            ValidationError: the password is too short or too long.
        """
        _require_admin(actor)
        models.check_password(new)
        hashed = self._hasher.hash(new)
        with self._database.transaction() as connection:
            user = _require_user(connection, username)
            store.update_user(connection, user.id, password_hash=hashed, session_stamp=_make_stamp())
            return user

    def set_blocked(self, actor: Actor, username: str, *, is_blocked: bool) -> User:
        """Block a user, which ends sessions and stops tokens at once, or let him in again."""
        _require_admin(actor)
        with self._database.transaction() as connection:
            user = _require_user(connection, username)
            if user.id == actor.user:
                raise ForbiddenError("nobody blocks himself")
            store.update_user(connection, user.id, is_blocked=is_blocked, session_stamp=_make_stamp())
            return _require_user(connection, username)

    def users(self, actor: Actor, *, after: UserId, limit: int, search: str = "") -> Sequence[User]:
        """Return users for an administrator, by id."""
        _require_admin(actor)
        with self._database.reading() as connection:
            return store.users_after(connection, after=after, limit=limit, search=search)

    def profile(self, actor: Actor) -> User:
        """Return the signed-in user."""
        with self._database.reading() as connection:
            user = None if actor.user is None else store.find_user_by_id(connection, actor.user)
        if user is None:
            raise UnauthenticatedError("sign in or send a token")
        return user

    def tokens(self, actor: Actor) -> Sequence[Token]:
        """Return one's own tokens."""
        user = self.profile(actor)
        with self._database.reading() as connection:
            return store.tokens_of(connection, user.id)

    def create_token(
        self,
        actor: Actor,
        *,
        name: str,
        scopes: frozenset[Scope],
        expires_at: datetime | None = None,
        username: str | None = None,
    ) -> tuple[Token, str]:
        """Return a new token for oneself, or for a user by an administrator, and its text.

        Raises:
            ForbiddenError: the credential only reads, or may not do what the new token could.
        """
        now = self._clock()
        _check_token_request(name, scopes, expires_at, now)
        _require_write(actor)
        if username is not None and username != actor.username:
            _require_admin(actor)
        if not scopes <= actor.scopes:
            raise ForbiddenError("a token cannot make one that may do more", code="insufficient_scope")
        raw = models.make_token()
        with self._database.transaction() as connection:
            owner = _require_user(connection, username or actor.username)
            token = store.insert_token(
                connection,
                user=owner.id,
                name=name,
                digest=models.token_digest(raw),
                scopes=scopes,
                now=now,
                expires_at=expires_at,
            )
        return token, raw

    def revoke_token(self, actor: Actor, token: TokenId) -> None:
        """End one of one's own tokens; repeating it changes nothing."""
        user = self.profile(actor)
        _require_write(actor)
        with self._database.transaction() as connection:
            store.delete_token(connection, user.id, token)

    def open_setup_link(self) -> str | None:
        """Return the text of a new one-time set-up link, or None once there is any account."""
        raw = secrets.token_urlsafe(32)
        with self._database.transaction() as connection:
            if store.count_users(connection):
                return None
            store.insert_setup_link(connection, models.token_digest(raw), self._clock())
        return raw

    def create_first_admin(self, admin_token: str) -> None:
        """Create the account ``admin`` with this token; nothing happens once there is any account."""
        with self._database.transaction() as connection:
            if store.count_users(connection):
                return
            admin = self._insert_user(
                connection, models.FIRST_ACCOUNT, password=None, is_admin=True, is_first=True
            )
            store.insert_token(
                connection,
                user=admin.id,
                name="first start",
                digest=models.token_digest(admin_token),
                scopes=FULL,
                now=self._clock(),
                expires_at=None,
            )

    def is_setup_link(self, raw: str) -> bool:
        """Tell whether this is the unused set-up link."""
        with self._database.reading() as connection:
            return store.has_setup_link(connection, models.token_digest(raw))

    def complete_setup(self, raw: str, *, username: str, password: str) -> tuple[Actor, str]:
        """Create the first administrator from the set-up link; return the person and a new session.

        Raises:
            MissingError: the link was used, or never was one.
        """
        with self._database.transaction() as connection:
            if not store.has_setup_link(connection, models.token_digest(raw)) or store.count_users(
                connection
            ):
                raise MissingError("this set-up link was used already, or is not one")
            user = self._insert_user(connection, username, password=password, is_admin=True)
            store.delete_setup_links(connection)
            found = store.find_sign_in(connection, user.username)
            assert found is not None
            return models.actor_for(user, FULL), f"{user.id}.{found[2]}"

    def _insert_user(
        self,
        connection: Connection,
        username: str,
        *,
        password: str | None,
        name: str = "",
        email: str = "",
        is_admin: bool = False,
        is_first: bool = False,
    ) -> User:
        if not is_first:
            models.parse_name(username, field="username")
        if password is not None:
            models.check_password(password)
        user = store.insert_user(
            connection,
            username=username,
            name=name or username,
            email=models.parse_email(email),
            is_admin=is_admin,
            password_hash=None if password is None else self._hasher.hash(password),
            session_stamp=_make_stamp(),
            now=self._clock(),
        )
        self._homes.open_for(connection, user)
        return user

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password[: models.MAX_PASSWORD + 1])
        except (VerificationError, InvalidHashError):
            return False

    def _refuse_throttled(self, keys: tuple[str, str]) -> None:
        since = self._clock() - WINDOW
        limits = (self._attempts, self._attempts * ADDRESS_FACTOR)
        with self._database.reading() as connection:
            counts = [store.failures(connection, key, since=since) for key in keys]
        if any(count >= limit for count, limit in zip(counts, limits, strict=True)):
            raise ThrottledError(
                "too many failed sign-ins; wait a quarter of an hour",
                retry_after_s=int(WINDOW.total_seconds()),
            )


def find_user(connection: Connection, username: str) -> User | None:
    """Return the user of this name, for features that hold people; within their transaction."""
    return store.find_user(connection, username)


def users_by_id(connection: Connection, ids: Collection[UserId]) -> dict[UserId, User]:
    """Return users by their ids, for features that list people; within their transaction."""
    return store.users_by_id(connection, ids)


def _check_token_request(
    name: str, scopes: frozenset[Scope], expires_at: datetime | None, now: datetime
) -> None:
    if not name.strip() or len(name) > MAX_TOKEN_NAME:
        raise ValidationError(f"a token's name has 1 to {MAX_TOKEN_NAME} characters")
    if not scopes:
        raise ValidationError("a token needs at least one scope")
    if expires_at is not None and expires_at <= now:
        raise ValidationError("the expiry lies in the past")


def _require_admin(actor: Actor) -> None:
    if not (actor.is_admin and actor.may_write):
        raise ForbiddenError("only administrators may do this")


def _require_write(actor: Actor) -> None:
    if not actor.may_write and not actor.is_anonymous:
        raise ForbiddenError("this token may only read; it needs the scope 'api'", code="insufficient_scope")


def _require_user(connection: Connection, username: str) -> User:
    user = store.find_user(connection, username)
    if user is None:
        raise MissingError(f"there is no user {username!r}")
    return user


def _make_stamp() -> str:
    return secrets.token_urlsafe(24)


def _failure_key(username: str, address: str) -> str:
    """Return what failures are counted under; a hash, so that typed passwords are not kept by mistake."""
    return hashlib.sha256(f"{username}\n{address}".encode("utf-8", "surrogatepass")).hexdigest()
