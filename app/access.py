"""Who may do what: the whole policy, pure. The words are GitLab's.

``least_level`` is the table that promises.md §5 states; ``allows`` applies it to one actor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NewType, Protocol

UserId = NewType("UserId", int)


class AccessLevel(IntEnum):
    """A member's level in a namespace or dataset, with GitLab's numbers."""

    NONE = 0
    GUEST = 10
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50


class Visibility(StrEnum):
    """Who may see a thing without being a member of it."""

    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"

    @property
    def rank(self) -> int:
        """0 for private, 1 for internal, 2 for public: a dataset's may not exceed its namespace's."""
        return list(Visibility).index(self)


class Action(StrEnum):
    """What an actor wants to do with a dataset or namespace."""

    SEE = "see"
    READ = "read"
    WRITE = "write"
    MAINTAIN = "maintain"
    OWN = "own"


class Scope(StrEnum):
    """What a token was issued for; a session has every scope."""

    READ_API = "read_api"
    API = "api"


LEAST_LEVEL: Mapping[Action, AccessLevel] = {
    Action.SEE: AccessLevel.GUEST,
    Action.READ: AccessLevel.REPORTER,
    Action.WRITE: AccessLevel.DEVELOPER,
    Action.MAINTAIN: AccessLevel.MAINTAINER,
    Action.OWN: AccessLevel.OWNER,
}
READS = frozenset({Action.SEE, Action.READ})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``user`` None is an anonymous visitor.

    Attributes:
        scopes: what the credential was issued for; an empty set for anonymous visitors.
        credential: the forge credential that the caller sent, opaque here; hidden from ``repr``.
    """

    user: UserId | None = None
    username: str = ""
    name: str = ""
    email: str = ""
    is_admin: bool = False
    scopes: frozenset[Scope] = frozenset()
    credential: str | None = field(default=None, repr=False)

    @property
    def is_anonymous(self) -> bool:
        """Nobody has signed in."""
        return self.user is None and not self.is_admin

    @property
    def may_write(self) -> bool:
        """The credential allows changes at all."""
        return Scope.API in self.scopes


ANONYMOUS = Actor()
# The person at the machine's own command line, and jobs that nobody in particular started.
SYSTEM = Actor(username="system", name="System", is_admin=True, scopes=frozenset(Scope))


def effective_level(actor: Actor, membership: AccessLevel, visibility: Visibility) -> AccessLevel:
    """Return the level an actor has on a thing: membership, raised by visibility and by being admin."""
    if actor.is_admin:
        return AccessLevel.OWNER
    if visibility is Visibility.PUBLIC or (visibility is Visibility.INTERNAL and not actor.is_anonymous):
        return max(membership, AccessLevel.REPORTER)
    return membership


def allows(actor: Actor, action: Action, level: AccessLevel) -> bool:
    """Tell whether an actor with this effective level may do this, within the credential's scopes.

    Writing needs a signed-in user, whatever the visibility.
    """
    if level < LEAST_LEVEL[action]:
        return False
    return action in READS or (not actor.is_anonymous and actor.may_write)


class RoleSource(Protocol):
    """Where membership comes from: the local tables, or the forge asked with the actor's credential."""

    def membership(self, actor: Actor, *, dataset: int, namespace: int) -> AccessLevel:
        """Return the actor's own level on a dataset, inherited from its namespace or given directly."""
        ...
