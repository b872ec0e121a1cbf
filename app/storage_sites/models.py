"""Storage sites: values and pure rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NewType

from app.errors import FieldFault, UnsupportedError, ValidationError

SiteId = NewType("SiteId", int)

BUILT_IN = "local"


class Provider(StrEnum):
    """What kind of store a site is."""

    LOCAL = "local"
    S3 = "s3"
    GCS = "gcs"
    AZURE = "azure"
    SSH = "ssh"
    WEBDAV = "webdav"
    HTTP = "http"


AVAILABLE = frozenset({Provider.LOCAL})


@dataclass(frozen=True, slots=True)
class Site:
    """A configured place for bytes; its credentials are kept apart and never shown.

    Attributes:
        url: for ``local`` an absolute folder, else an address of the provider's scheme.
    """

    id: SiteId
    name: str
    provider: Provider
    url: str
    endpoint_url: str | None
    region: str | None
    has_credentials: bool
    created_at: datetime


class Outcome(StrEnum):
    """What a probe found."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that a site was tried for."""

    name: str
    outcome: Outcome
    detail: str


# What lies in a home beside objects; a site's bytes must not mix with it.
OWN_FOLDERS = frozenset({"app.db", "cache", "hooks", "queue.db", "repos", "secret_key", "tmp"})
_TOP_PARTS = 2
"""``/`` and ``/etc``: no folder this high is meant for objects."""


def require_available(provider: Provider) -> None:
    """Refuse providers that this installation does not have.

    Raises:
        UnsupportedError: it is one of them.
    """
    if provider not in AVAILABLE:
        names = ", ".join(sorted(AVAILABLE))
        raise UnsupportedError(
            f"this installation has no storage provider {provider.value!r}; it has: {names}"
        )


def parse_local_url(raw: str, *, roots: Sequence[Path], home: Path) -> str:
    """Return the folder of a local site, normalised, without symbolic links; ``file://`` may stand before it.

    Args:
        raw: the address as sent.
        roots: the folders that it must lie in one of; empty: anywhere that is not the service's own.
        home: the service's own folder.

    Raises:
        ValidationError: it is not absolute, lies below none of the roots, or holds what is not objects.
    """
    plain = raw.removeprefix("file://")
    folder = Path(plain)
    if "\0" in plain or not folder.is_absolute() or ".." in folder.parts:
        raise _refused("it must be an absolute folder without '..'")
    resolved = folder.resolve()
    if roots and not any(resolved.is_relative_to(root.resolve()) for root in roots):
        raise _refused("it lies outside of the folders that the setting allowed_storage_roots names")
    if _is_own(resolved, home.resolve()) or len(resolved.parts) <= _TOP_PARTS:
        raise _refused("it is a folder of the system or of the service itself")
    return str(resolved)


def _is_own(folder: Path, home: Path) -> bool:
    """Tell whether a folder is the service's own, or holds it; new folders in the home are anybody's."""
    if home.is_relative_to(folder):
        return True
    return folder.is_relative_to(home) and folder.relative_to(home).parts[0] in OWN_FOLDERS


def refuse_nested(url: str, others: Sequence[str]) -> str:
    """Return the folder of a local site unless it lies inside another's, or around it.

    Raises:
        ValidationError: a pool of one site could then be reached through the other.
    """
    folder = Path(url)
    for other in map(Path, others):
        if folder != other and (folder.is_relative_to(other) or other.is_relative_to(folder)):
            raise _refused("it lies inside the folder of another storage site, or around it")
    return url


def _refused(reason: str) -> ValidationError:
    return ValidationError(f"the url cannot be used: {reason}", [FieldFault("/url", reason)])
