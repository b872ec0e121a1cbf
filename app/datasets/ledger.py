"""The ledger: which objects a dataset holds, with hashes computed here from the bytes themselves.

A pointer is not a capability. Nothing is served, committed or called present because somebody names
its MD5: only what this table says was hashed for this very dataset.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    bindparam,
    func,
    select,
    update,
)

from app.datasets.models import DatasetId, ObjectFacts
from app.db import UPSERT, Connection, UtcDateTime, metadata
from gitops.errors import ObjectClashError
from gitops.model import Md5

objects = Table(
    "objects",
    metadata,
    Column("dataset_id", Integer, ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("address", String(36), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("crc32", String(8), nullable=False),
    Column("is_legacy", Boolean, nullable=False),
    Column("damaged_at", UtcDateTime),
    Column("added_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

_CHUNK = 500
# Asked for by every download; building a statement costs as much as running it.
_FACTS = select(
    objects.c.address,
    objects.c.size,
    objects.c.sha256,
    objects.c.crc32,
    objects.c.is_legacy,
    objects.c.damaged_at,
).where(
    objects.c.dataset_id == bindparam("dataset"),
    objects.c.address.in_(bindparam("addresses", expanding=True)),
)


def facts(
    connection: Connection, dataset_id: DatasetId, addresses: Collection[Md5]
) -> dict[Md5, ObjectFacts]:
    """Return what the ledger knows of those addresses that it holds."""
    found: dict[Md5, ObjectFacts] = {}
    for chunk in _chunks(addresses):
        for row in connection.execute(_FACTS, {"dataset": dataset_id, "addresses": chunk}):
            found[row[0]] = ObjectFacts(*row)
    return found


def record(
    connection: Connection, dataset_id: DatasetId, rows: Sequence[ObjectFacts], *, now: datetime
) -> None:
    """Enter objects whose bytes are durable; a known address is healed if it was damaged.

    Two that keep the same object at the same moment both succeed.

    Raises:
        ObjectClashError: an address was entered for other bytes meanwhile.
    """
    fresh = {row.address: row for row in rows}
    if not fresh:
        return
    connection.execute(
        UPSERT[connection.dialect.name](objects).on_conflict_do_nothing(),
        [
            {
                "dataset_id": dataset_id,
                "address": row.address,
                "size": row.size,
                "sha256": row.sha256,
                "crc32": row.crc32,
                "is_legacy": row.is_legacy,
                "added_at": now,
            }
            for row in fresh.values()
        ],
    )
    held = facts(connection, dataset_id, fresh)
    for address, row in held.items():
        if row.sha256 != fresh[address].sha256:
            raise ObjectClashError(f"other bytes with the MD5 {address} are stored already")
    healed = [address for address, row in held.items() if row.damaged_at is not None]
    for chunk in _chunks(healed):
        connection.execute(
            update(objects)
            .where(objects.c.dataset_id == dataset_id, objects.c.address.in_(chunk))
            .values(damaged_at=None)
        )


def mark_damaged(connection: Connection, dataset_id: DatasetId, address: Md5, *, now: datetime) -> None:
    """Note that stored bytes are wrong, so that nobody is served them."""
    connection.execute(
        update(objects)
        .where(objects.c.dataset_id == dataset_id, objects.c.address == address)
        .values(damaged_at=now)
    )


def damaged(connection: Connection, dataset_id: DatasetId) -> frozenset[Md5]:
    """Return the addresses whose stored bytes are known to be wrong."""
    query = select(objects.c.address).where(
        objects.c.dataset_id == dataset_id, objects.c.damaged_at.is_not(None)
    )
    return frozenset(Md5(row[0]) for row in connection.execute(query))


def count(connection: Connection, dataset_id: DatasetId) -> int:
    """Return how many objects a dataset holds; reads the key's index only."""
    query = select(func.count()).select_from(objects).where(objects.c.dataset_id == dataset_id)
    return int(connection.execute(query).scalar_one())


def stored(connection: Connection, dataset_id: DatasetId) -> tuple[int, int]:
    """Return how many objects a dataset holds and their bytes, each counted once."""
    query = select(func.count(), func.coalesce(func.sum(objects.c.size), 0)).where(
        objects.c.dataset_id == dataset_id
    )
    count, size = connection.execute(query).one()
    return int(count), int(size)


def holders(
    connection: Connection, addresses: Collection[str], *, by_sha256: bool
) -> list[tuple[DatasetId, Md5, str]]:
    """Return (dataset, address, sha256) of every dataset that holds one of these bytes."""
    column = objects.c.sha256 if by_sha256 else objects.c.address
    found: list[tuple[DatasetId, Md5, str]] = []
    for chunk in _chunks(addresses):
        query = select(objects.c.dataset_id, objects.c.address, objects.c.sha256).where(column.in_(chunk))
        found += [(DatasetId(row[0]), Md5(row[1]), row[2]) for row in connection.execute(query)]
    return found


def _chunks(values: Collection[str]) -> Iterator[list[str]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
