"""Who hosts the repositories beside this service: the seam between embedded and GitLab mode.

The service always works on a local bare repository. A forge adds a remote, and a non-forced push to
it is then the compare-and-swap; without one, moving the local ref is.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that the forge understands; never shown, logged or stored in clear."""

    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ForgeProject:
    """A dataset's or project's counterpart at the forge."""

    id: int
    full_path: str


class Access(IntEnum):
    """What a forge lets a credential do with a project."""

    NONE = 0
    READ = 10
    WRITE = 20
    ADMIN = 30


@dataclass(frozen=True, slots=True)
class Remote:
    """Where to fetch from and push to."""

    url: str
    credential: Credential | None


class Forge(Protocol):
    """A host of repositories. ``None`` instead of a capability flag makes callers write the other branch."""

    def create(self, full_path: str, *, description: str) -> ForgeProject | None:
        """Create the counterpart; None: this forge has none."""
        ...

    def remote(self, project: ForgeProject | None, credential: Credential | None) -> Remote | None:
        """Return where to push; None: the local repository is the only one."""
        ...

    def access(self, project: ForgeProject | None, credential: Credential | None) -> Access | None:
        """Return what the credential may do; None: not the forge's business, ask the local members."""
        ...

    def delete(self, project: ForgeProject | None) -> None:
        """Remove the counterpart."""
        ...


class LocalForge:
    """Embedded mode: no counterpart, no remote, members in the local tables."""

    def create(self, full_path: str, *, description: str) -> ForgeProject | None:  # noqa: ARG002 - the protocol's
        """There is nothing to create."""
        return None

    def remote(self, project: ForgeProject | None, credential: Credential | None) -> Remote | None:  # noqa: ARG002 - the protocol's
        """The local repository is the only one."""
        return None

    def access(self, project: ForgeProject | None, credential: Credential | None) -> Access | None:  # noqa: ARG002 - the protocol's
        """Members are in the local tables."""
        return None

    def delete(self, project: ForgeProject | None) -> None:
        """There is nothing to delete."""
