"""Tables of namespaces and their members."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    Select,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from app.access import AccessLevel, Actor, UserId, Visibility
from app.db import Connection, UtcDateTime, metadata
from app.errors import TakenError
from app.namespaces.models import Membership, Namespace, NamespaceId, NamespaceKind

namespaces = Table(
    "namespaces",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", String(64), nullable=False),
    Column("path_key", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("description", String(2000), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("visibility", String(8), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)
members = Table(
    "namespace_members",
    metadata,
    Column("namespace_id", ForeignKey("namespaces.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("access_level", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_namespace_members_user_id", "user_id"),
)
_NAMESPACE = [
    namespaces.c.id,
    namespaces.c.path,
    namespaces.c.name,
    namespaces.c.description,
    namespaces.c.kind,
    namespaces.c.visibility,
    namespaces.c.created_at,
]
# Asked on every request about a dataset: built once, so that only the parameter changes.
_BY_ID = select(*_NAMESPACE).where(namespaces.c.id == bindparam("id"))
_BY_PATH = select(*_NAMESPACE).where(namespaces.c.path_key == bindparam("path_key"))


def insert_namespace(
    connection: Connection,
    *,
    path: str,
    name: str,
    description: str,
    kind: NamespaceKind,
    visibility: Visibility,
    owner: UserId,
    now: datetime,
) -> Namespace:
    """Return the new namespace, with its first owner.

    Raises:
        TakenError: the path is taken, in whatever case.
    """
    values = {
        "path": path,
        "path_key": path.casefold(),
        "name": name,
        "description": description,
        "kind": kind.value,
        "visibility": visibility.value,
        "created_at": now,
    }
    try:
        row = connection.execute(insert(namespaces).values(values).returning(*_NAMESPACE)).one()
    except IntegrityError as error:
        raise TakenError(f"the namespace {path!r} is taken") from error
    connection.execute(
        insert(members).values(
            namespace_id=row.id, user_id=owner, access_level=int(AccessLevel.OWNER), created_at=now
        )
    )
    return _namespace(row)


def find(connection: Connection, address: str) -> Namespace | None:
    """Return a namespace by id (digits) or path, in whatever case."""
    is_id = address.isascii() and address.isdigit() and len(address) < 19  # noqa: PLR2004 - fits in 64 bits
    if is_id:
        return find_by_id(connection, int(address))
    row = connection.execute(_BY_PATH, {"path_key": address.casefold()}).first()
    return None if row is None else _namespace(row)


def find_by_id(connection: Connection, namespace: int) -> Namespace | None:
    """Return a namespace by id."""
    row = connection.execute(_BY_ID, {"id": namespace}).first()
    return None if row is None else _namespace(row)


def visible(
    connection: Connection, actor: Actor, *, after: NamespaceId, limit: int, search: str = ""
) -> Sequence[Namespace]:
    """Return what an actor may see, by id: groups, and only one's own personal namespaces."""
    own = select(members.c.namespace_id).where(members.c.user_id == actor.user)
    open_kinds = [Visibility.PUBLIC.value]
    if not actor.is_anonymous:
        open_kinds.append(Visibility.INTERNAL.value)
    seen = or_(
        namespaces.c.id.in_(own),
        and_(namespaces.c.kind == NamespaceKind.GROUP.value, namespaces.c.visibility.in_(open_kinds)),
    )
    query = select(*_NAMESPACE).where(namespaces.c.id > after).order_by(namespaces.c.id).limit(limit)
    if not actor.is_admin:
        query = query.where(seen)
    if search:
        query = query.where(namespaces.c.path_key.contains(search.casefold(), autoescape=True))
    return [_namespace(row) for row in connection.execute(query)]


def ids_with_visibility(kinds: Collection[Visibility]) -> Select[tuple[int]]:
    """Return a query for the namespaces of these visibilities, to be used inside another."""
    return select(namespaces.c.id).where(namespaces.c.visibility.in_([kind.value for kind in kinds]))


def update_namespace(connection: Connection, namespace: NamespaceId, **values: Any) -> None:
    """Set columns of a namespace."""
    connection.execute(update(namespaces).where(namespaces.c.id == namespace).values(**values))


def delete_namespace(connection: Connection, namespace: NamespaceId) -> None:
    """Remove a namespace.

    Raises:
        TakenError: something still lies in it.
    """
    try:
        connection.execute(delete(namespaces).where(namespaces.c.id == namespace))
    except IntegrityError as error:
        raise TakenError("the namespace still holds datasets or projects", code="not_empty") from error


# Every request passes the gate; building a statement costs as much as running it.
_OWN_LEVEL = select(members.c.access_level).where(
    members.c.namespace_id == bindparam("namespace"), members.c.user_id == bindparam("user")
)


def level_of(connection: Connection, namespace: NamespaceId, user: UserId | None) -> AccessLevel:
    """Return a person's own level in a namespace."""
    found = connection.execute(_OWN_LEVEL, {"namespace": namespace, "user": user}).scalar_one_or_none()
    return AccessLevel(found or 0)


def levels_of_user(connection: Connection, user: UserId) -> dict[NamespaceId, AccessLevel]:
    """Return a person's own level in every namespace that has him as a member."""
    query = select(members.c.namespace_id, members.c.access_level).where(members.c.user_id == user)
    return {NamespaceId(row[0]): AccessLevel(row[1]) for row in connection.execute(query)}


def members_of(
    connection: Connection, namespace: NamespaceId, *, after: UserId, limit: int
) -> Sequence[Membership]:
    """Return members by user id."""
    query = (
        select(members.c.user_id, members.c.access_level, members.c.created_at)
        .where(members.c.namespace_id == namespace, members.c.user_id > after)
        .order_by(members.c.user_id)
        .limit(limit)
    )
    return [
        Membership(UserId(row.user_id), AccessLevel(row.access_level), row.created_at)
        for row in connection.execute(query)
    ]


def membership(connection: Connection, namespace: NamespaceId, user: UserId) -> Membership:
    """Return one membership, which must exist."""
    query = select(members.c.user_id, members.c.access_level, members.c.created_at).where(
        members.c.namespace_id == namespace, members.c.user_id == user
    )
    row = connection.execute(query).one()
    return Membership(UserId(row.user_id), AccessLevel(row.access_level), row.created_at)


def count_owners(connection: Connection, namespace: NamespaceId) -> int:
    """Return how many owners a namespace has."""
    query = select(func.count()).where(
        members.c.namespace_id == namespace, members.c.access_level == int(AccessLevel.OWNER)
    )
    return int(connection.execute(query).scalar_one())


def set_member(
    connection: Connection, namespace: NamespaceId, user: UserId, level: AccessLevel, now: datetime
) -> bool:
    """Give a person a level; return whether the person is new."""
    changed = connection.execute(
        update(members)
        .where(members.c.namespace_id == namespace, members.c.user_id == user)
        .values(access_level=int(level))
    )
    if changed.rowcount:
        return False
    connection.execute(
        insert(members).values(namespace_id=namespace, user_id=user, access_level=int(level), created_at=now)
    )
    return True


def delete_member(connection: Connection, namespace: NamespaceId, user: UserId) -> None:
    """Remove a person from a namespace."""
    connection.execute(delete(members).where(members.c.namespace_id == namespace, members.c.user_id == user))


def _namespace(row: Any) -> Namespace:
    return Namespace(
        id=NamespaceId(row.id),
        path=row.path,
        name=row.name,
        description=row.description,
        kind=NamespaceKind(row.kind),
        visibility=Visibility(row.visibility),
        created_at=row.created_at,
    )
