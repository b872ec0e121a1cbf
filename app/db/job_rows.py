"""Rows of the ``jobs`` table. Functions take a connection; ``app.jobs`` owns the transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    text,
    update,
)

from app.access import UserId
from app.db import UtcDateTime, metadata

JobId = NewType("JobId", int)


class JobState(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of background work."""

    id: JobId
    kind: str
    key: str
    payload: Mapping[str, object]
    state: JobState
    attempts: int
    error: str | None
    result: Mapping[str, object] | None
    created_by: UserId | None
    created_at: datetime
    run_at: datetime
    finished_at: datetime | None


jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("key", String(255), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("error", String(2000)),
    Column("result", JSON(none_as_null=True)),
    Column("created_by", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("run_at", UtcDateTime, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Index(
        "uq_jobs_pending",
        "kind",
        "key",
        unique=True,
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index("ix_jobs_state_run_at", "state", "run_at"),
    Index("ix_jobs_kind_key", "kind", "key"),
    sqlite_autoincrement=True,
)
_SHOWN = [
    jobs.c.id,
    jobs.c.kind,
    jobs.c.key,
    jobs.c.payload,
    jobs.c.state,
    jobs.c.attempts,
    jobs.c.error,
    jobs.c.result,
    jobs.c.created_by,
    jobs.c.created_at,
    jobs.c.run_at,
    jobs.c.finished_at,
]


def insert_pending(
    connection: Connection,
    *,
    kind: str,
    key: str,
    payload: Mapping[str, object],
    now: datetime,
    run_at: datetime,
    created_by: UserId | None,
) -> JobId:
    """Return the pending job of this kind and key, inserting it if there is none."""
    waiting = select(jobs.c.id).where(
        jobs.c.kind == kind, jobs.c.key == key, jobs.c.state == JobState.PENDING.value
    )
    found = connection.execute(waiting).scalar_one_or_none()
    if found is not None:
        return JobId(found)
    row = {
        "kind": kind,
        "key": key,
        "payload": dict(payload),
        "state": JobState.PENDING.value,
        "attempts": 0,
        "created_by": created_by,
        "created_at": now,
        "run_at": run_at,
    }
    return JobId(connection.execute(insert(jobs).values(row).returning(jobs.c.id)).scalar_one())


def find(connection: Connection, job: JobId) -> Job | None:
    """Return one job."""
    row = connection.execute(select(*_SHOWN).where(jobs.c.id == job)).first()
    return None if row is None else _job(row)


def latest(
    connection: Connection, *, state: JobState | None, before: JobId | None, limit: int
) -> Sequence[Job]:
    """Return jobs, newest first."""
    query = select(*_SHOWN).order_by(jobs.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(jobs.c.state == state.value)
    if before is not None:
        query = query.where(jobs.c.id < before)
    return [_job(row) for row in connection.execute(query)]


def due(connection: Connection, now: datetime, *, limit: int) -> list[JobId]:
    """Return jobs that wait and whose time has come, and those whose worker died, oldest first."""
    query = select(jobs.c.id).where(_claimable(now)).order_by(jobs.c.run_at, jobs.c.id).limit(limit)
    return [JobId(row.id) for row in connection.execute(query)]


def claim(connection: Connection, job: JobId, *, now: datetime, lease_until: datetime) -> Job | None:
    """Take a job for this worker; None if it is not due, or the same work runs elsewhere."""
    other = jobs.alias("other")
    same_work_runs = exists().where(
        other.c.kind == jobs.c.kind,
        other.c.key == jobs.c.key,
        other.c.id != jobs.c.id,
        other.c.state == JobState.RUNNING.value,
        other.c.lease_until > now,
    )
    taken = connection.execute(
        update(jobs)
        .where(jobs.c.id == job, _claimable(now), ~same_work_runs)
        .values(state=JobState.RUNNING.value, attempts=jobs.c.attempts + 1, lease_until=lease_until)
    )
    return find(connection, job) if taken.rowcount else None


def was_planned(connection: Connection, *, kind: str, key: str) -> bool:
    """Tell whether a job of this kind and key was ever written."""
    query = select(jobs.c.id).where(jobs.c.kind == kind, jobs.c.key == key).limit(1)
    return connection.execute(query).first() is not None


def record_success(
    connection: Connection, job: JobId, *, result: Mapping[str, object] | None, now: datetime
) -> None:
    """Write down that a job is done."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job)
        .values(
            state=JobState.DONE.value,
            result=None if result is None else dict(result),
            error=None,
            finished_at=now,
            lease_until=None,
        )
    )


def record_failure(
    connection: Connection, job: Job, *, error: str, now: datetime, run_at: datetime | None
) -> None:
    """Write down a failure; the job waits until ``run_at``, or has failed for good without one.

    It does not wait twice: if the same work was enqueued meanwhile, that job carries it on.
    """
    other_waits = select(jobs.c.id).where(
        jobs.c.kind == job.kind, jobs.c.key == job.key, jobs.c.state == JobState.PENDING.value
    )
    if run_at is None or connection.execute(other_waits).first() is not None:
        values: dict[str, Any] = {"state": JobState.FAILED.value, "finished_at": now}
    else:
        values = {"state": JobState.PENDING.value, "run_at": run_at}
    connection.execute(
        update(jobs).where(jobs.c.id == job.id).values(error=error, lease_until=None, **values)
    )


def revive(connection: Connection, job: Job, now: datetime) -> bool:
    """Make a failed job wait again; False if the same work waits already."""
    other_waits = select(jobs.c.id).where(
        jobs.c.kind == job.kind, jobs.c.key == job.key, jobs.c.state == JobState.PENDING.value
    )
    if connection.execute(other_waits).first() is not None:
        return False
    values = {"state": JobState.PENDING.value, "attempts": 0, "run_at": now, "finished_at": None}
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(values))
    return True


def delete_done(connection: Connection, *, before: datetime) -> None:
    """Remove jobs that were done before a moment."""
    connection.execute(delete(jobs).where(jobs.c.state == JobState.DONE.value, jobs.c.finished_at < before))


def extend_leases(connection: Connection, running: Sequence[JobId], until: datetime) -> None:
    """Say that the workers of these jobs are alive."""
    if running:
        connection.execute(update(jobs).where(jobs.c.id.in_(running)).values(lease_until=until))


def _claimable(now: datetime) -> Any:
    waits = and_(jobs.c.state == JobState.PENDING.value, jobs.c.run_at <= now)
    orphaned = and_(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until < now)
    return or_(waits, orphaned)


def _job(row: Any) -> Job:
    return Job(
        id=JobId(row.id),
        kind=row.kind,
        key=row.key,
        payload=row.payload,
        state=JobState(row.state),
        attempts=row.attempts,
        error=row.error,
        result=row.result,
        created_by=row.created_by,
        created_at=row.created_at,
        run_at=row.run_at,
        finished_at=row.finished_at,
    )
