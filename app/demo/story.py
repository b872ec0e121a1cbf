"""What the demo holds: people, namespaces, datasets, and the versions that each went through. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.access import AccessLevel, Visibility


@dataclass(frozen=True, slots=True)
class Person:
    """An account of the demo."""

    username: str
    name: str
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A namespace, who founded it, and who else belongs to it."""

    path: str
    name: str
    description: str
    visibility: Visibility
    owner: str
    members: Mapping[str, AccessLevel] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One version.

    Attributes:
        title: first line of the message; it also tells whether the step was done already.
        files: bytes by path; a path that exists is replaced.
        moves: new path by old path, of files or folders.
    """

    title: str
    author: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    moves: Mapping[str, str] = field(default_factory=dict)
    deletes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """A tag with notes on the newest version."""

    name: str
    author: str
    notes: str


@dataclass(frozen=True, slots=True)
class Story:
    """A dataset and what happened to it; ``storage_site`` None leaves it unbound."""

    namespace: str
    path: str
    name: str
    description: str
    visibility: Visibility
    topics: tuple[str, ...]
    owner: str
    storage_site: str | None
    chapters: tuple[Step | Release, ...]

    @property
    def full_path(self) -> str:
        """Namespace and path."""
        return f"{self.namespace}/{self.path}"


PEOPLE = (
    Person("alice", "Alice Martin"),
    Person("bob", "Bob Okafor"),
    Person("carol", "Carol Jensen"),
    Person("ada", "Ada Rossi", is_admin=True),
)

GROUPS = (
    Group(
        path="vision",
        name="Vision",
        description="Photographs and tables that everybody may use.",
        visibility=Visibility.PUBLIC,
        owner="alice",
        members={"bob": AccessLevel.DEVELOPER, "carol": AccessLevel.REPORTER},
    ),
    Group(
        path="radiology",
        name="Radiology",
        description="Scans; for the members of this group only.",
        visibility=Visibility.PRIVATE,
        owner="alice",
        members={"bob": AccessLevel.DEVELOPER},
    ),
)
