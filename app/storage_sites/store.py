"""The table of storage sites."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Integer, LargeBinary, String, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db import Connection, UtcDateTime, metadata
from app.errors import TakenError
from app.storage_sites.models import Provider, Site, SiteId

sites = Table(
    "storage_sites",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("name_key", String(64), nullable=False, unique=True),
    Column("provider", String(16), nullable=False),
    Column("url", String(2048), nullable=False),
    Column("endpoint_url", String(2048)),
    Column("region", String(64)),
    Column("credentials", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
_SITE = [
    sites.c.id,
    sites.c.name,
    sites.c.provider,
    sites.c.url,
    sites.c.endpoint_url,
    sites.c.region,
    sites.c.credentials.is_not(None).label("has_credentials"),
    sites.c.created_at,
]


def insert_site(
    connection: Connection,
    *,
    name: str,
    provider: Provider,
    url: str,
    endpoint_url: str | None,
    region: str | None,
    credentials: bytes | None,
    now: datetime,
) -> Site:
    """Return the new site.

    Raises:
        TakenError: the name is taken, in whatever case.
    """
    values = {
        "name": name,
        "name_key": name.casefold(),
        "provider": provider.value,
        "url": url,
        "endpoint_url": endpoint_url,
        "region": region,
        "credentials": credentials,
        "created_at": now,
    }
    try:
        number = connection.execute(insert(sites).values(values).returning(sites.c.id)).scalar_one()
    except IntegrityError as error:
        raise TakenError(f"a storage site is named {name!r} already") from error
    found = find(connection, number)
    assert found is not None
    return found


# Every request about a bound dataset asks for its site; building a statement costs as much as running it.
_BY_ID = select(*_SITE).where(sites.c.id == bindparam("id"))


def find(connection: Connection, site: int) -> Site | None:
    """Return the site with this id."""
    row = connection.execute(_BY_ID, {"id": site}).first()
    return None if row is None else _site(row)


def find_by_name(connection: Connection, name: str) -> Site | None:
    """Return the site of this name, in whatever case."""
    row = connection.execute(select(*_SITE).where(sites.c.name_key == name.casefold())).first()
    return None if row is None else _site(row)


def sites_after(connection: Connection, *, after: SiteId, limit: int) -> Sequence[Site]:
    """Return sites by id."""
    query = select(*_SITE).where(sites.c.id > after).order_by(sites.c.id).limit(limit)
    return [_site(row) for row in connection.execute(query)]


def local_sites(connection: Connection) -> Sequence[Site]:
    """Return the sites that are folders of this machine."""
    query = select(*_SITE).where(sites.c.provider == Provider.LOCAL.value)
    return [_site(row) for row in connection.execute(query)]


def update_site(connection: Connection, site: SiteId, **values: Any) -> None:
    """Set columns of a site.

    Raises:
        TakenError: the name is taken.
    """
    try:
        connection.execute(update(sites).where(sites.c.id == site).values(**values))
    except IntegrityError as error:
        raise TakenError("a storage site has this name already") from error


def delete_site(connection: Connection, site: SiteId) -> None:
    """Remove a site.

    Raises:
        TakenError: datasets are bound to it.
    """
    try:
        connection.execute(delete(sites).where(sites.c.id == site))
    except IntegrityError as error:
        raise TakenError("datasets are bound to this storage site", code="storage_site_in_use") from error


def credentials_of(connection: Connection, site: int) -> bytes | None:
    """Return the sealed credentials."""
    sealed: bytes | None = connection.execute(
        select(sites.c.credentials).where(sites.c.id == site)
    ).scalar_one_or_none()
    return sealed


def sealed_credentials(connection: Connection) -> Sequence[tuple[SiteId, bytes]]:
    """Return every site's sealed credentials."""
    query = select(sites.c.id, sites.c.credentials).where(sites.c.credentials.is_not(None))
    return [(SiteId(row.id), row.credentials) for row in connection.execute(query)]


def _site(row: Any) -> Site:
    return Site(
        id=SiteId(row.id),
        name=row.name,
        provider=Provider(row.provider),
        url=row.url,
        endpoint_url=row.endpoint_url,
        region=row.region,
        has_credentials=bool(row.has_credentials),
        created_at=row.created_at,
    )
