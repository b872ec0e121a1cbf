"""The two things that a view may reach for: the services, and who asks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from flask import current_app, g

from app.access import ANONYMOUS, Actor

if TYPE_CHECKING:  # the composition root imports every feature; the edge only needs its type
    from app.services import Services

EXTENSION = "cairn"


class CredentialSource(StrEnum):
    """Where the credential of a request was found."""

    NONE = "none"
    HEADER = "header"
    TOKEN_COOKIE = "token_cookie"  # noqa: S105 - the name of a place, not a secret
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and how they said so."""

    actor: Actor
    source: CredentialSource


NOBODY = Identity(ANONYMOUS, CredentialSource.NONE)


def services() -> "Services":
    """Return the services of this application."""
    return cast("Services", current_app.extensions[EXTENSION])


def identity() -> Identity:
    """Return who asks and how they said so."""
    return cast("Identity", g.get("identity", NOBODY))


def actor() -> Actor:
    """Return who asks; ``ANONYMOUS`` if nobody signed in."""
    return identity().actor


def request_id() -> str:
    """Return the id of this request, as in the log, the answer's header and every problem."""
    return cast("str", g.get("request_id", "-"))
