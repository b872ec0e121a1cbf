"""Namespaces and members: values and pure rules."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from app.access import AccessLevel, UserId, Visibility

NamespaceId = NewType("NamespaceId", int)


class NamespaceKind(StrEnum):
    """Whose it is."""

    GROUP = "group"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Namespace:
    """Who owns datasets: a group or a person."""

    id: NamespaceId
    path: str
    name: str
    description: str
    kind: NamespaceKind
    visibility: Visibility
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OpenNamespace:
    """A namespace that an actor may see, with the actor's effective level there."""

    namespace: Namespace
    level: AccessLevel


@dataclass(frozen=True, slots=True)
class Membership:
    """A user's level in a namespace."""

    user: UserId
    level: AccessLevel
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a namespace."""

    username: str
    name: str
    membership: Membership


def may_manage_member(own: AccessLevel, present: AccessLevel, wanted: AccessLevel) -> bool:
    """Tell whether somebody at level ``own`` may move a member from ``present`` to ``wanted``.

    Nobody grants above his own level, nor touches a member who stands above him.
    """
    return own >= AccessLevel.MAINTAINER and max(present, wanted) <= own
