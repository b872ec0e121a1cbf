"""Use cases of storage sites: register, check, open a dataset's pool. Administrators register."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.access import Actor
from app.accounts.models import parse_name
from app.config import Config
from app.db import Connection, Database
from app.errors import ForbiddenError, MissingError, TakenError, UnauthenticatedError
from app.storage_sites import models, store
from app.storage_sites.models import BUILT_IN, Probe, Provider, Site, SiteId
from app.storage_sites.probing import probe_store
from app.vault import Vault
from gitops.objects import ObjectStore
from gitops.sites import SiteSpec, open_object_store, pool_url

PROBE_POOL = 0
CountBound = Callable[[Connection, int], int]


@dataclass(frozen=True, slots=True)
class SiteDraft:
    """What an administrator registers."""

    name: str
    provider: Provider
    url: str
    endpoint_url: str | None = None
    region: str | None = None
    credentials: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SiteChange:
    """Fields to change; None leaves one as it is."""

    name: str | None = None
    provider: Provider | None = None
    url: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    credentials: Mapping[str, str] | None = None

    @property
    def moves(self) -> bool:
        """It would change where bytes are looked for."""
        return any(value is not None for value in (self.provider, self.url, self.endpoint_url))


class SiteService:
    """The storage sites of this installation.

    Args:
        count_bound: how many datasets are bound to a site; a feature to the right knows.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        vault: Vault,
        config: Config,
        count_bound: CountBound,
    ) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault
        self._roots = config.allowed_storage_roots
        self._home = config.home.absolute()
        self._built_in_url = str(config.objects_root)
        self._count_bound = count_bound

    def prepare_first_start(self) -> None:
        """Register the built-in site ``local`` if there is no site at all; renew sealed credentials."""
        with self._database.transaction() as connection:
            if not store.sites_after(connection, after=SiteId(0), limit=1):
                Path(self._built_in_url).mkdir(parents=True, exist_ok=True)
                draft = SiteDraft(BUILT_IN, Provider.LOCAL, self._built_in_url)
                self._insert(connection, draft, self._built_in_url)
            for site, sealed in store.sealed_credentials(connection):
                store.update_site(connection, site, credentials=self._vault.renew(sealed))

    def register(self, actor: Actor, draft: SiteDraft) -> Site:
        """Return a new site, open to every user of the service.

        Raises:
            UnsupportedError: this installation lacks the provider.
            ValidationError: the address is not allowed.
            TakenError: the name is taken.
        """
        _require_admin(actor)
        parse_name(draft.name, field="name", reserved=())
        models.require_available(draft.provider)
        with self._database.transaction() as connection:
            return self._insert(connection, draft, self._folder(connection, draft.url))

    def change(self, actor: Actor, address: str, change: SiteChange) -> Site:
        """Return the site with the named fields changed.

        Raises:
            TakenError: provider, url or endpoint of a bound site would change.
        """
        _require_admin(actor)
        with self._database.transaction() as connection:
            site = self._require(connection, address)
            if change.moves and self._count_bound(connection, site.id):
                raise TakenError(
                    "datasets are bound to this storage site: provider, url and endpoint stay",
                    code="storage_site_in_use",
                )
            values = self._changed_columns(connection, site, change)
            if values:
                store.update_site(connection, site.id, **values)
            return self._require(connection, str(site.id))

    def delete(self, actor: Actor, address: str) -> None:
        """Remove a site that no dataset is bound to.

        Raises:
            TakenError: one is.
        """
        _require_admin(actor)
        with self._database.transaction() as connection:
            store.delete_site(connection, self._require(connection, address).id)

    def check(self, actor: Actor, address: str) -> list[Probe]:
        """Try the site for everything that datasets need; each probe is reported by itself."""
        _require_admin(actor)
        with self._database.reading() as connection:
            site = self._require(connection, address)
        try:
            return probe_store(open_object_store(self._spec(site), PROBE_POOL))
        finally:
            self._remove_pool(site, PROBE_POOL)

    def page(self, actor: Actor, *, after: SiteId, limit: int) -> Sequence[Site]:
        """Return sites by id, for everybody who signed in."""
        _require_person(actor)
        with self._database.reading() as connection:
            return store.sites_after(connection, after=after, limit=limit)

    def resolve(self, actor: Actor, address: int | str) -> Site:
        """Return a site by id or name that the actor may use.

        Raises:
            MissingError: there is none.
        """
        _require_person(actor)
        with self._database.reading() as connection:
            return self._require(connection, str(address))

    def find(self, site: int) -> Site:
        """Return the site that a dataset is bound to, whoever asks.

        Raises:
            MissingError: it does not exist, which bound datasets prevent.
        """
        with self._database.reading() as connection:
            return self._require(connection, str(site))

    def open_store(self, site: int, dataset_id: int) -> ObjectStore:
        """Return the pool of a dataset."""
        return open_object_store(self._spec(self.find(site)), dataset_id)

    def pool_url(self, site: Site, dataset_id: int) -> str:
        """Return the address of a dataset's pool, without credentials."""
        return pool_url(self._spec(site), dataset_id)

    def delete_pool(self, site: int, dataset_id: int) -> None:
        """Remove every object of a dataset that is deleted for good."""
        self._remove_pool(self.find(site), dataset_id)

    def _remove_pool(self, site: Site, dataset_id: int) -> None:
        objects = open_object_store(self._spec(site), dataset_id)
        for md5 in list(objects.addresses()):
            objects.delete(md5)
        if site.provider is Provider.LOCAL:
            shutil.rmtree(Path(site.url) / str(dataset_id), ignore_errors=True)

    def _spec(self, site: Site) -> SiteSpec:
        return SiteSpec(provider=site.provider.value, url=site.url)

    def _insert(self, connection: Connection, draft: SiteDraft, url: str) -> Site:
        return store.insert_site(
            connection,
            name=draft.name,
            provider=draft.provider,
            url=url,
            endpoint_url=draft.endpoint_url,
            region=draft.region,
            credentials=self._vault.encrypt(draft.credentials) if draft.credentials else None,
            now=self._clock(),
        )

    def _folder(self, connection: Connection, url: str, *, of: Site | None = None) -> str:
        others = [site.url for site in store.local_sites(connection) if of is None or site.id != of.id]
        return models.refuse_nested(models.parse_local_url(url, roots=self._roots, home=self._home), others)

    def _changed_columns(self, connection: Connection, site: Site, change: SiteChange) -> dict[str, object]:
        values: dict[str, object] = {}
        if change.name is not None:
            name = parse_name(change.name, field="name", reserved=())
            values |= {"name": name, "name_key": name.casefold()}
        if change.provider is not None:
            models.require_available(change.provider)
            values["provider"] = change.provider.value
        if change.url is not None:
            values["url"] = self._folder(connection, change.url, of=site)
        if change.endpoint_url is not None:
            values["endpoint_url"] = change.endpoint_url or None
        if change.region is not None:
            values["region"] = change.region or None
        if change.credentials is not None:
            values["credentials"] = self._vault.encrypt(change.credentials) if change.credentials else None
        return values

    def _require(self, connection: Connection, address: str) -> Site:
        is_id = address.isascii() and address.isdigit() and len(address) < 19  # noqa: PLR2004 - 64 bits
        site = store.find(connection, int(address)) if is_id else store.find_by_name(connection, address)
        if site is None:
            raise MissingError(f"there is no storage site {address!r}")
        return site


def _require_admin(actor: Actor) -> None:
    _require_person(actor)
    if not actor.is_admin:
        raise ForbiddenError("only administrators may do this")
    if not actor.may_write:
        raise ForbiddenError("this token may only read", code="insufficient_scope")


def _require_person(actor: Actor) -> None:
    if actor.is_anonymous:
        raise UnauthenticatedError("sign in or send a token")
