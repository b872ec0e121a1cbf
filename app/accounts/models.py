"""Users and tokens: values and pure rules."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from app.access import Actor, Scope, UserId
from app.errors import FieldFault, ValidationError

TokenId = NewType("TokenId", int)

TOKEN_PREFIX = "cairn-"  # noqa: S105 - how tokens begin, so that scanners find leaked ones
FIRST_ACCOUNT = "admin"
MIN_PASSWORD = 8
MAX_PASSWORD = 1024
MAX_NAME = 64
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_EMAIL = re.compile(r"[^@\s<>\"',;]+@[^@\s<>\"',;]+")
_RESERVED_ENDINGS = (".git", ".atom", ".json", ".")
# First segments of addresses that are ours: no namespace may shadow them.
RESERVED_NAMES = frozenset(
    {
        *("about", "admin", "annotations", "api", "archive", "assets", "compare", "dashboard", "datasets"),
        *("docs", "dvc", "explore", "favicon.ico", "files", "git", "groups", "healthz", "help", "hf"),
        *("home", "imports", "info", "invite", "jobs", "login", "logout", "lookup", "me", "metrics"),
        *("namespaces", "new", "oauth", "problems", "profile", "projects", "readyz", "register"),
        *("robots.txt", "root", "s3", "search", "settings", "setup", "static", "storage-sites"),
        *("styleguide", "system", "uploads", "user", "users", "well-known"),
    }
)


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account."""

    id: UserId
    username: str
    name: str
    email: str
    is_admin: bool
    is_blocked: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """An API token; its text was shown once and is not kept."""

    id: TokenId
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


def actor_for(user: User, scopes: frozenset[Scope]) -> Actor:
    """Return the user as one who asks."""
    return Actor(
        user=user.id,
        username=user.username,
        name=user.name,
        email=user.email,
        is_admin=user.is_admin,
        scopes=scopes,
    )


def parse_name(raw: str, *, field: str, reserved: Collection[str] = RESERVED_NAMES) -> str:
    """Return a name that can stand in an address: of a user, a namespace, a storage site.

    Raises:
        ValidationError: it is malformed, too long or one of the service's own addresses.
    """
    reason = None
    if not _NAME.fullmatch(raw):
        reason = "it must begin with a letter and consist of letters, digits, '_', '.' and '-'"
    elif len(raw) > MAX_NAME:
        reason = f"it may have at most {MAX_NAME} characters"
    elif raw.casefold() in reserved:
        reason = "the service uses this name itself"
    elif raw.casefold().endswith(_RESERVED_ENDINGS) or ".." in raw:
        reason = "it may not end in '.', '.git', '.atom' or '.json', nor hold '..'"
    if reason is not None:
        raise ValidationError(f"{raw[:80]!r} cannot be used: {reason}", [FieldFault(f"/{field}", reason)])
    return raw


def parse_email(raw: str) -> str:
    """Return an address that could be one, or ``""``.

    Raises:
        ValidationError: it is not.
    """
    if raw and (len(raw) > 254 or not _EMAIL.fullmatch(raw)):  # noqa: PLR2004 - RFC 5321 §4.5.3.1
        reason = "it is not an e-mail address"
        raise ValidationError(f"the e-mail address cannot be used: {reason}", [FieldFault("/email", reason)])
    return raw


def check_password(raw: str) -> None:
    """Refuse passwords that are too short to protect or too long to hash.

    Raises:
        ValidationError: it is.
    """
    if not MIN_PASSWORD <= len(raw) <= MAX_PASSWORD:
        reason = f"it must have {MIN_PASSWORD} to {MAX_PASSWORD} characters"
        raise ValidationError(f"the password cannot be used: {reason}", [FieldFault("/password", reason)])


def make_token() -> str:
    """Return a new random token: 256 bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_digest(raw: str) -> str:
    """Return what is kept of a token. It is random, so a fast hash is enough."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
