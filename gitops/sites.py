"""Storage sites: how to reach one, and the pool of one dataset in it."""

from dataclasses import dataclass
from pathlib import Path

from gitops.errors import InvalidError
from gitops.local_store import LocalStore
from gitops.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """How to reach a storage site: its provider, address and opened options (never logged)."""

    provider: str
    url: str


def open_object_store(site: SiteSpec, dataset_id: int) -> ObjectStore:
    """Return the pool of one dataset in a site.

    Raises:
        InvalidError: this installation has no such provider.
    """
    if site.provider == "local":
        return LocalStore(Path(site.url) / str(dataset_id))
    raise InvalidError(f"the storage provider {site.provider!r} is not available in this installation")


def pool_url(site: SiteSpec, dataset_id: int) -> str:
    """Return the address of one dataset's pool, as ``.dvc/config`` names it."""
    return f"{site.url.rstrip('/')}/{dataset_id}"
