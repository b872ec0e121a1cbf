"""Answers kept for ``Idempotency-Key``: what a repeated POST is answered with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    delete,
    insert,
    select,
    update,
)

from app.access import UserId
from app.db import Connection, UtcDateTime, metadata

KEPT = timedelta(hours=24)
# A request that takes longer than this without an answer has died with its process.
ABANDONED = timedelta(minutes=30)

replies = Table(
    "idempotency_replies",
    metadata,
    Column("user_id", Integer, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("method", String(8), primary_key=True),
    Column("path", String(2048), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer),
    Column("headers", JSON),
    Column("body", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What makes two requests the same request."""

    user: UserId
    key: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered; ``status`` None while the first request is still being answered."""

    fingerprint: str
    status: int | None
    headers: Mapping[str, str]
    body: bytes


def begin(connection: Connection, ask: Ask, *, fingerprint: str, now: datetime) -> Reply | None:
    """Return the earlier reply to this request, or None after writing down that it is in flight."""
    row = connection.execute(
        select(
            replies.c.fingerprint,
            replies.c.status,
            replies.c.headers,
            replies.c.body,
            replies.c.created_at,
        ).where(_same(ask))
    ).first()
    if row is not None:
        kept = KEPT if row.status is not None else ABANDONED
        if row.created_at > now - kept:
            return Reply(row.fingerprint, row.status, row.headers or {}, row.body or b"")
        forget(connection, ask)
    connection.execute(
        insert(replies).values(
            user_id=ask.user,
            key=ask.key,
            method=ask.method,
            path=ask.path,
            fingerprint=fingerprint,
            created_at=now,
        )
    )
    return None


def finish(connection: Connection, ask: Ask, *, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Keep the answer of a request that was begun."""
    values = {"status": status, "headers": dict(headers), "body": body}
    connection.execute(update(replies).where(_same(ask)).values(values))


def forget(connection: Connection, ask: Ask) -> None:
    """Let the request be made anew."""
    connection.execute(delete(replies).where(_same(ask)))


def sweep(connection: Connection, *, now: datetime) -> None:
    """Remove what is older than it has to be kept."""
    connection.execute(delete(replies).where(replies.c.created_at < now - KEPT))


def _same(ask: Ask) -> ColumnElement[bool]:
    return and_(
        replies.c.user_id == ask.user,
        replies.c.key == ask.key,
        replies.c.method == ask.method,
        replies.c.path == ask.path,
    )
