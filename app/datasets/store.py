"""Tables of datasets, their topics and members, and the queries on them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError as SqlIntegrityError

from app.access import AccessLevel, UserId, Visibility
from app.datasets.models import Dataset, DatasetFilter, DatasetId, Kind
from app.db import UPSERT, Connection, UtcDateTime, declare_trigger, metadata
from app.errors import TakenError
from gitops.model import RefName

datasets = Table(
    "datasets",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("namespace_id", Integer, ForeignKey("namespaces.id"), nullable=False),
    Column("namespace_path", String(255), nullable=False),
    Column("path", String(100), nullable=False),
    Column("path_key", String(100), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False),
    Column("visibility", String(16), nullable=False),
    Column("default_branch", String(255), nullable=False),
    Column("push_level", Integer, nullable=False),
    Column("site_id", Integer, ForeignKey("storage_sites.id"), index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("created_by", Integer),
    Column("deletion_due", UtcDateTime),
    Column("is_ready", Boolean, nullable=False, default=False),
    Column("kind", String(16), nullable=False),
    UniqueConstraint("namespace_id", "path_key"),
    sqlite_autoincrement=True,
)

dataset_topics = Table(
    "dataset_topics",
    metadata,
    Column("dataset_id", Integer, ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("topic", String(60), nullable=False, index=True),
)

dataset_members = Table(
    "dataset_members",
    metadata,
    Column("dataset_id", Integer, ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("level", Integer, nullable=False),
)

# A dataset's site is chosen once and for ever, whatever code or person writes to the table.
declare_trigger(
    "datasets_site_is_immutable",
    sqlite="""
        CREATE TRIGGER datasets_site_is_immutable BEFORE UPDATE OF site_id ON datasets
        WHEN OLD.site_id IS NOT NULL AND NEW.site_id IS NOT OLD.site_id
        BEGIN SELECT RAISE(ABORT, 'a dataset keeps its storage site'); END
    """,
    postgresql="""
        CREATE FUNCTION datasets_keep_site() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'a dataset keeps its storage site'; END $$;
        CREATE TRIGGER datasets_site_is_immutable BEFORE UPDATE OF site_id ON datasets FOR EACH ROW
        WHEN (OLD.site_id IS NOT NULL AND NEW.site_id IS DISTINCT FROM OLD.site_id)
        EXECUTE FUNCTION datasets_keep_site()
    """,
)

MAX_FACETS = 100

_SORTS: Mapping[str, Any] = {
    "name": func.lower(datasets.c.name, type_=String),
    "created_at": datasets.c.created_at,
    "updated_at": datasets.c.updated_at,
}


def insert_dataset(connection: Connection, values: Mapping[str, Any], topics: Sequence[str]) -> DatasetId:
    """Add a dataset. Raises TakenError if its namespace has one with this path, in any case."""
    try:
        row = connection.execute(insert(datasets).values(path_key=values["path"].casefold(), **values))
    except SqlIntegrityError as error:
        full_path = f"{values['namespace_path']}/{values['path']}"
        raise TakenError(f"the path {full_path!r} is taken", code="path_taken") from error
    inserted = row.inserted_primary_key
    assert inserted is not None
    dataset_id = DatasetId(inserted[0])
    replace_topics(connection, dataset_id, topics)
    return dataset_id


def update_dataset(connection: Connection, dataset_id: DatasetId, values: Mapping[str, Any]) -> None:
    """Change columns of a dataset; never its site."""
    assert "site_id" not in values
    connection.execute(update(datasets).where(datasets.c.id == dataset_id).values(**values))


def bind_site(connection: Connection, dataset_id: DatasetId, site_id: int, *, now: datetime) -> bool:
    """Bind the site if none is bound; return whether this call did it."""
    done = connection.execute(
        update(datasets)
        .where(datasets.c.id == dataset_id, datasets.c.site_id.is_(None))
        .values(site_id=site_id, updated_at=now)
    )
    return bool(done.rowcount)


def replace_topics(connection: Connection, dataset_id: DatasetId, topics: Sequence[str]) -> None:
    """Set a dataset's topics."""
    connection.execute(delete(dataset_topics).where(dataset_topics.c.dataset_id == dataset_id))
    rows = [
        {"dataset_id": dataset_id, "position": position, "topic": topic}
        for position, topic in enumerate(topics)
    ]
    if rows:
        connection.execute(insert(dataset_topics), rows)


def delete_dataset(connection: Connection, dataset_id: DatasetId) -> None:
    """Remove a dataset's rows for good."""
    connection.execute(delete(datasets).where(datasets.c.id == dataset_id))


# Every request passes the gate; building a statement costs as much as running it.
_BY_ID = select(datasets).where(datasets.c.id == bindparam("id"))
_TOPICS_OF = (
    select(dataset_topics.c.topic)
    .where(dataset_topics.c.dataset_id == bindparam("id"))
    .order_by(dataset_topics.c.position)
)
_OWN_LEVEL = select(dataset_members.c.level).where(
    dataset_members.c.dataset_id == bindparam("id"), dataset_members.c.user_id == bindparam("user")
)


def find_by_id(connection: Connection, dataset_id: int) -> Dataset | None:
    """Return a dataset, a scheduled one included, or None."""
    row = connection.execute(_BY_ID, {"id": dataset_id}).one_or_none()
    # Asked in any case, so that time does not tell a hidden dataset from none.
    topics = connection.execute(_TOPICS_OF, {"id": dataset_id}).all()
    return None if row is None else _dataset(row, tuple(topic for (topic,) in topics))


def find_by_path(connection: Connection, namespace_path: str, path: str) -> Dataset | None:
    """Return a dataset by its full path in any case, or None."""
    query = select(datasets).where(
        func.lower(datasets.c.namespace_path) == namespace_path.lower(),
        datasets.c.path_key == path.casefold(),
    )
    return _one(connection, query)


def member_level(connection: Connection, dataset_id: DatasetId, user: UserId) -> AccessLevel:
    """Return a user's own level on a dataset."""
    found = connection.execute(_OWN_LEVEL, {"id": dataset_id, "user": user}).scalar()
    return AccessLevel(found or 0)


def members(connection: Connection, dataset_id: DatasetId) -> list[tuple[UserId, AccessLevel]]:
    """Return a dataset's own members, highest level first."""
    query = (
        select(dataset_members.c.user_id, dataset_members.c.level)
        .where(dataset_members.c.dataset_id == dataset_id)
        .order_by(dataset_members.c.level.desc(), dataset_members.c.user_id)
    )
    return [(UserId(user), AccessLevel(level)) for user, level in connection.execute(query)]


def set_member(connection: Connection, dataset_id: DatasetId, user: UserId, level: AccessLevel) -> None:
    """Give a user a level on a dataset; two that do so at once both succeed."""
    row = UPSERT[connection.dialect.name](dataset_members).values(
        dataset_id=dataset_id, user_id=user, level=int(level)
    )
    key = [dataset_members.c.dataset_id, dataset_members.c.user_id]
    connection.execute(row.on_conflict_do_update(index_elements=key, set_={"level": int(level)}))


def remove_member(connection: Connection, dataset_id: DatasetId, user: UserId) -> None:
    """Take a user's own level away; absent is fine."""
    connection.execute(
        delete(dataset_members).where(
            dataset_members.c.dataset_id == dataset_id, dataset_members.c.user_id == user
        )
    )


def count_bound(connection: Connection, site_id: int) -> int:
    """Return how many datasets are bound to a site."""
    query = select(func.count()).select_from(datasets).where(datasets.c.site_id == site_id)
    return int(connection.execute(query).scalar_one())


def due_deletions(connection: Connection, now: datetime) -> list[Dataset]:
    """Return the datasets whose scheduled deletion has become final."""
    return _many(connection, select(datasets).where(datasets.c.deletion_due <= now))


def claim_purge(connection: Connection, dataset_id: DatasetId, now: datetime) -> bool:
    """Make a due deletion impossible to take back; False if somebody just did."""
    done = connection.execute(
        update(datasets)
        .where(datasets.c.id == dataset_id, datasets.c.deletion_due <= now)
        .values(is_ready=False)
    )
    return bool(done.rowcount)


def cancel_deletion(connection: Connection, dataset_id: DatasetId) -> bool:
    """Take a scheduled deletion back; False once the purge has begun."""
    done = connection.execute(
        update(datasets)
        .where(datasets.c.id == dataset_id, datasets.c.is_ready.is_(True))
        .values(deletion_due=None)
    )
    return bool(done.rowcount)


def unready(connection: Connection, before: datetime) -> list[Dataset]:
    """Return datasets whose creation was interrupted; projects have a job of their own."""
    query = select(datasets).where(
        datasets.c.is_ready.is_(False),
        datasets.c.deletion_due.is_(None),
        datasets.c.created_at < before,
        datasets.c.kind == Kind.DATASET.value,
    )
    return _many(connection, query)


def living_ids(connection: Connection) -> list[DatasetId]:
    """Return the ids of all datasets, for upkeep."""
    return [DatasetId(found) for found in connection.execute(select(datasets.c.id)).scalars()]


def page(
    connection: Connection,
    wanted: DatasetFilter,
    *,
    reader: "Reader",
    sort: str,
    is_descending: bool,
    after: tuple[Any, int] | None,
    limit: int,
    among: Select[tuple[int]] | None = None,
) -> list[Dataset]:
    """Return datasets that ``reader`` may see, in order of ``sort`` and then id, past ``after``.

    ``after`` is the last row's own value and id; the database folds its case as it folds the column's.
    ``among`` is a query for the ids to choose from.
    """
    key = _SORTS[sort]
    query = select(datasets).where(*_conditions(wanted, reader))
    if among is not None:
        query = query.where(datasets.c.id.in_(among))
    if after:
        value, last_id = after
        last = literal(value, key.type)
        position = tuple_(key, datasets.c.id)
        bound = tuple_(func.lower(last) if sort == "name" else last, literal(last_id, Integer))
        query = query.where(position < bound if is_descending else position > bound)
    order = [key.desc(), datasets.c.id.desc()] if is_descending else [key, datasets.c.id]
    return _many(connection, query.order_by(*order).limit(limit))


def facets(connection: Connection, wanted: DatasetFilter, *, reader: "Reader") -> dict[str, dict[str, int]]:
    """Return how many visible datasets have each topic, visibility and namespace; the most frequent."""
    where = _conditions(wanted, reader)
    counted: dict[str, Select[Any]] = {
        "visibility": select(datasets.c.visibility, func.count())
        .where(*where)
        .group_by(datasets.c.visibility),
        "namespace": select(datasets.c.namespace_path, func.count())
        .where(*where)
        .group_by(datasets.c.namespace_path),
        "topic": select(dataset_topics.c.topic, func.count())
        .join(datasets, datasets.c.id == dataset_topics.c.dataset_id)
        .where(*where)
        .group_by(dataset_topics.c.topic),
    }
    return {
        name: {str(value): int(count) for value, count in connection.execute(_most_frequent(query))}
        for name, query in counted.items()
    }


def _most_frequent(query: Select[Any]) -> Select[Any]:
    value, count = query.selected_columns
    return query.order_by(count.desc(), value).limit(MAX_FACETS)


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose list it is.

    Attributes:
        is_all: administrators see everything.
        joined: namespaces with a membership, which makes everything in them visible.
        open_kinds: visibilities that need no membership.
        open_namespaces: a query for the namespaces that do not hide what lies in them.
    """

    user: UserId | None
    is_all: bool
    joined: Collection[int]
    open_kinds: Collection[Visibility]
    open_namespaces: Select[tuple[int]]


def _conditions(wanted: DatasetFilter, reader: Reader) -> list[Any]:
    conditions: list[Any] = [
        datasets.c.deletion_due.is_(None),
        datasets.c.is_ready.is_(True),
        datasets.c.kind == wanted.kind.value,
    ]
    if not reader.is_all:
        conditions.append(_visible_to(reader))
    if wanted.visibility:
        conditions.append(datasets.c.visibility == wanted.visibility.value)
    if wanted.namespace_id is not None:
        conditions.append(datasets.c.namespace_id == wanted.namespace_id)
    if wanted.site_id is not None:
        conditions.append(datasets.c.site_id == wanted.site_id)
    if wanted.topic:
        tagged = select(dataset_topics.c.dataset_id).where(dataset_topics.c.topic == wanted.topic)
        conditions.append(datasets.c.id.in_(tagged))
    for word in (wanted.search or "").split():
        like = func.lower(f"%{_escaped(word)}%")
        tagged = select(dataset_topics.c.dataset_id).where(
            func.lower(dataset_topics.c.topic).like(like, escape="\\")
        )
        texts = (datasets.c.name, datasets.c.description, datasets.c.path, datasets.c.namespace_path)
        found = [func.lower(text).like(like, escape="\\") for text in texts]
        conditions.append(or_(*found, datasets.c.id.in_(tagged)))
    return conditions


def _visible_to(reader: Reader) -> Any:
    kinds = [kind.value for kind in reader.open_kinds]
    visible = [and_(datasets.c.visibility.in_(kinds), datasets.c.namespace_id.in_(reader.open_namespaces))]
    if reader.user is not None:
        own = select(dataset_members.c.dataset_id).where(dataset_members.c.user_id == reader.user)
        visible.append(datasets.c.id.in_(own))
        if reader.joined:
            visible.append(datasets.c.namespace_id.in_(sorted(reader.joined)))
    return or_(*visible)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _one(connection: Connection, query: Select[Any]) -> Dataset | None:
    found = _many(connection, query.limit(1))
    return found[0] if found else None


def _many(connection: Connection, query: Select[Any]) -> list[Dataset]:
    """Return datasets; topics are asked for even if there are none, so that time does not tell."""
    rows = connection.execute(query).all()
    topics: dict[int, list[str]] = {row.id: [] for row in rows}
    tagged = (
        select(dataset_topics.c.dataset_id, dataset_topics.c.topic)
        .where(and_(dataset_topics.c.dataset_id.in_(list(topics))))
        .order_by(dataset_topics.c.dataset_id, dataset_topics.c.position)
    )
    for dataset_id, topic in connection.execute(tagged):
        topics[dataset_id].append(topic)
    return [_dataset(row, tuple(topics[row.id])) for row in rows]


def _dataset(row: Row[Any], topics: tuple[str, ...]) -> Dataset:
    return Dataset(
        id=DatasetId(row.id),
        namespace_id=row.namespace_id,
        namespace_path=row.namespace_path,
        path=row.path,
        name=row.name,
        description=row.description,
        visibility=Visibility(row.visibility),
        default_branch=RefName(row.default_branch),
        push_level=AccessLevel(row.push_level),
        topics=topics,
        site_id=row.site_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        created_by=UserId(row.created_by) if row.created_by is not None else None,
        deletion_due=row.deletion_due,
        is_ready=row.is_ready,
        kind=Kind(row.kind),
    )
