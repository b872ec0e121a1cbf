"""Background jobs: rows that say what is to be done, huey to carry the wake-up call.

The ``jobs`` table is the truth: a job is written in the transaction that caused it, survives every
crash and may run twice, so handlers are idempotent by (kind, key). The queue holds ids only; losing
it costs the time until the next sweep.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from huey import Huey, RedisHuey, SqliteHuey

from app.access import UserId
from app.db import Connection, Database, after_commit, job_rows
from app.db.job_rows import Job, JobId, JobState
from app.errors import MissingError, TakenError
from gitops.errors import UnavailableError

__all__ = ["Handler", "Job", "JobId", "JobState", "Jobs", "open_queue"]

Handler = Callable[[Mapping[str, object]], Mapping[str, object] | None]
Clock = Callable[[], datetime]

log = logging.getLogger("cairn.jobs")

MAX_ATTEMPTS = 8
FIRST_DELAY_S = 2.0
LONGEST_DELAY_S = 3600.0
LEASE_S = 60
IDLE_S = 1.0
SWEEP_S = 5
HEARTBEAT_S = 15
KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class _Kind:
    handler: Handler
    max_attempts: int


def _refuse(_payload: Mapping[str, object]) -> None:
    raise MissingError("no handler knows this kind of job")


_UNKNOWN = _Kind(_refuse, max_attempts=1)


@dataclass(slots=True)
class _Crew:
    """The threads that work in this process."""

    stopping: threading.Event = field(default_factory=threading.Event)
    woken: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    running: set[JobId] = field(default_factory=set)


class Jobs:
    """Enqueue, find and run jobs."""

    def __init__(self, database: Database, queue: Huey, clock: Clock) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self._periods: dict[str, timedelta] = {}
        self._crew = _Crew()
        self._call = queue.task(name="cairn.job")(_carried)

    def register(self, kind: str, handler: Handler, *, max_attempts: int = MAX_ATTEMPTS) -> None:
        """Name the one handler of a kind; it must be idempotent, because a job may run twice."""
        if kind in self._kinds:
            raise ValueError(f"the job kind {kind!r} has a handler already")
        self._kinds[kind] = _Kind(handler, max_attempts)

    def schedule(self, kind: str, every: timedelta) -> None:
        """Enqueue a registered kind once in every period, whichever process notices first."""
        if kind not in self._kinds:
            raise ValueError(f"the job kind {kind!r} has no handler")
        self._periods[kind] = every

    def enqueue(
        self,
        connection: Connection | None,
        kind: str,
        key: str,
        payload: Mapping[str, object],
        *,
        created_by: UserId | None = None,
        delay: timedelta = timedelta(0),
    ) -> JobId:
        """Return the id of the waiting job with this kind and key, writing it if there is none.

        With a connection, the job exists if and only if its transaction is committed.
        """
        if connection is None:
            with self._database.transaction() as own:
                return self.enqueue(own, kind, key, payload, created_by=created_by, delay=delay)
        now = self._clock()
        job = job_rows.insert_pending(
            connection,
            kind=kind,
            key=key,
            payload=payload,
            now=now,
            run_at=now + delay,
            created_by=created_by,
        )
        if not delay:
            after_commit(connection, lambda: self._announce(job))
        return job

    def find(self, job: JobId) -> Job | None:
        """Return a job, or None if there is none with this id."""
        with self._database.reading() as connection:
            return job_rows.find(connection, job)

    def latest(
        self, *, state: JobState | None = None, before: JobId | None = None, limit: int
    ) -> Sequence[Job]:
        """Return jobs, newest first, for the people who look after the service."""
        with self._database.reading() as connection:
            return job_rows.latest(connection, state=state, before=before, limit=limit)

    def retry(self, job: JobId) -> None:
        """Let a failed job run again.

        Raises:
            MissingError: there is no such job.
            TakenError: it has not failed, or the same work waits already.
        """
        with self._database.transaction() as connection:
            found = job_rows.find(connection, job)
            if found is None:
                raise MissingError(f"there is no job {job}")
            if found.state is not JobState.FAILED or not job_rows.revive(connection, found, self._clock()):
                raise TakenError(f"job {job} has not failed, or the same work waits already")
            after_commit(connection, lambda: self._announce(job))

    def forget_finished(self) -> None:
        """Remove what is done for longer than anybody asks; failures stay until a person looks."""
        with self._database.transaction() as connection:
            job_rows.delete_done(connection, before=self._clock() - KEPT)

    def run_pending(self, *, limit: int = 1000) -> int:
        """Run everything that is due now, in this thread; return how many jobs ran."""
        self._plan_periodic()
        done = 0
        while done < limit:
            with self._database.reading() as connection:
                due = job_rows.due(connection, self._clock(), limit=100)
            ran = sum(self._run(job) for job in due)
            done += ran
            if not ran:
                return done
        return done

    def start(self, *, threads: int = 1) -> None:
        """Start working in background threads."""
        self._crew = _Crew()
        loops: list[tuple[str, Callable[[_Crew], None]]] = [
            ("sweep", self._sweep_loop),
            ("beat", self._beat_loop),
        ]
        loops += [(f"work-{number}", self._work_loop) for number in range(threads)]
        for name, loop in loops:
            thread = threading.Thread(target=loop, args=(self._crew,), name=f"jobs-{name}", daemon=True)
            self._crew.threads.append(thread)
            thread.start()

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """Let running jobs finish, within the timeout, and end the threads."""
        self._crew.stopping.set()
        self._crew.woken.set()
        for thread in self._crew.threads:
            thread.join(timeout_s)
        self._crew.threads.clear()

    def _announce(self, job: JobId) -> None:
        """Tell the workers; the sweep finds the row if this fails."""
        if self._crew.threads:
            self._crew.woken.set()
        try:
            self._call(int(job))
        except Exception:  # noqa: BLE001 - any queue failure is survivable, and the row is already durable
            log.warning("jobs.queue_unreachable", extra={"job": job})

    def _run(self, job: JobId) -> bool:
        """Run one job if nobody else does; return whether it was ours."""
        now = self._clock()
        with self._database.transaction() as connection:
            claimed = job_rows.claim(connection, job, now=now, lease_until=now + timedelta(seconds=LEASE_S))
        if claimed is None:
            return False
        self._crew.running.add(job)
        try:
            self._perform(claimed)
        finally:
            self._crew.running.discard(job)
        return True

    def _perform(self, job: Job) -> None:
        kind = self._kinds.get(job.kind, _UNKNOWN)
        try:
            result = kind.handler(job.payload)
        except Exception as error:
            log.exception("jobs.failed", extra={"job": job.id, "kind": job.kind, "attempts": job.attempts})
            with self._database.transaction() as connection:
                now = self._clock()
                again = now + backoff(job.attempts) if job.attempts < kind.max_attempts else None
                job_rows.record_failure(connection, job, error=describe(error), now=now, run_at=again)
        else:
            with self._database.transaction() as connection:
                job_rows.record_success(connection, job.id, result=result, now=self._clock())

    def _plan_periodic(self) -> None:
        now = self._clock()
        for kind, every in self._periods.items():
            slot = int(now.timestamp() // every.total_seconds())
            key = f"every-{int(every.total_seconds())}s-{slot}"
            with self._database.transaction() as connection:
                if not job_rows.was_planned(connection, kind=kind, key=key):
                    self.enqueue(connection, kind, key, {})

    def _work_loop(self, crew: _Crew) -> None:
        while not crew.stopping.is_set():
            try:
                task = self._queue.dequeue()
                if task is not None:
                    self._run(JobId(task.args[0]))
                    continue
            except Exception:
                log.exception("jobs.work_loop")
            crew.woken.wait(IDLE_S)
            crew.woken.clear()

    def _sweep_loop(self, crew: _Crew) -> None:
        while not crew.stopping.is_set():
            try:
                self._plan_periodic()
                with self._database.reading() as connection:
                    due = job_rows.due(connection, self._clock(), limit=100)
                for job in due:
                    if crew.stopping.is_set():
                        break
                    self._run(job)
            except Exception:
                log.exception("jobs.sweep_loop")
            crew.stopping.wait(SWEEP_S)

    def _beat_loop(self, crew: _Crew) -> None:
        while not crew.stopping.wait(HEARTBEAT_S):
            try:
                until = self._clock() + timedelta(seconds=LEASE_S)
                with self._database.transaction() as connection:
                    job_rows.extend_leases(connection, sorted(crew.running), until)
            except Exception:
                log.exception("jobs.beat_loop")


def open_queue(queue_url: str, home: Path) -> Huey:
    """Return the queue: Redis where several machines serve, else SQLite under the home."""
    if queue_url:
        return RedisHuey("cairn", url=queue_url, results=False)
    home.mkdir(parents=True, exist_ok=True)
    return SqliteHuey("cairn", filename=str(home / "queue.db"), results=False)


def ping_queue(queue: Huey) -> None:
    """Ask the queue for a sign of life.

    Raises:
        UnavailableError: it gave none; jobs wait in the database meanwhile.
    """
    try:
        queue.pending_count()
    except Exception as error:
        raise UnavailableError("the queue does not answer") from error


def backoff(attempts: int) -> timedelta:
    """Return the wait before the next attempt: doubling, at most an hour, with jitter of a half."""
    seconds = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (attempts - 1))
    return timedelta(seconds=seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret


def describe(error: Exception) -> str:
    """Return what people may read about a failure: our own words, or only the kind of a foreign error."""
    if hasattr(error, "code"):
        return str(error)[:2000]
    return f"internal error ({type(error).__name__})"


def _carried(job: int) -> None:
    """Stand for the job in the queue; workers run the row that the id names, never this."""
