"""Jobs: written with their cause, run at least once, retried, visible."""

from datetime import timedelta

import pytest

from app.errors import MissingError, TakenError
from app.jobs import JobState, backoff

KIND = "test.kind"


@pytest.fixture
def ran(services):
    """Return the payloads that a handler was given; it fails while ``fail`` is in the payload's list."""
    payloads = []

    def handle(payload):
        payloads.append(dict(payload))
        if payload.get("fail"):
            raise RuntimeError("secret-host refused")
        return {"seen": len(payloads)}

    services.jobs.register(KIND, handle, max_attempts=3)
    return payloads


def _enqueue(services, key="k", **payload):
    return services.jobs.enqueue(None, KIND, key, payload)


def _run(services, ran):
    services.jobs.run_pending()
    return ran


def test_a_job_runs_and_keeps_its_result(services, ran):
    job = _enqueue(services, a=1)

    assert _run(services, ran) == [{"a": 1}]
    found = services.jobs.find(job)
    assert (found.state, found.result, found.attempts) == (JobState.DONE, {"seen": 1}, 1)


def test_the_same_work_waits_once(services, ran):
    assert _enqueue(services) == _enqueue(services)
    assert _run(services, ran) == [{}]


def test_the_same_work_may_be_asked_for_again_once_it_ran(services, ran):
    _enqueue(services)
    _run(services, ran)
    _enqueue(services)

    assert _run(services, ran) == [{}, {}]


def test_a_job_exists_only_if_its_cause_was_committed(services, ran):
    with pytest.raises(RuntimeError), services.database.transaction() as connection:
        services.jobs.enqueue(connection, KIND, "k", {})
        raise RuntimeError

    assert _run(services, ran) == []


def test_a_failure_is_retried_later_and_given_up_in_the_end(services, ran, clock):
    job = _enqueue(services, fail=True)
    states = []
    for _ in range(4):
        services.jobs.run_pending()
        states.append(services.jobs.find(job).state)
        clock.advance(minutes=10)

    assert len(ran) == 3
    assert states == [JobState.PENDING, JobState.PENDING, JobState.FAILED, JobState.FAILED]


def test_a_failure_waits_before_it_is_tried_again(services, ran):
    _enqueue(services, fail=True)
    services.jobs.run_pending()

    assert len(_run(services, ran)) == 1


def test_a_foreign_failure_shows_only_its_kind(services, ran):
    job = _enqueue(services, fail=True)
    _run(services, ran)

    assert services.jobs.find(job).error == "internal error (RuntimeError)"


def test_a_failed_job_can_be_retried_by_a_person(services, ran, clock):
    job = _enqueue(services, fail=True)
    for _ in range(3):
        services.jobs.run_pending()
        clock.advance(minutes=10)

    services.jobs.retry(job)

    assert services.jobs.find(job).state is JobState.PENDING
    with pytest.raises(TakenError):
        services.jobs.retry(job)
    with pytest.raises(MissingError):
        services.jobs.retry(10**9)


def test_a_delayed_job_waits_for_its_time(services, ran, clock):
    services.jobs.enqueue(None, KIND, "k", {}, delay=timedelta(hours=1))

    assert _run(services, ran) == []
    clock.advance(hours=1, seconds=1)
    assert _run(services, ran) == [{}]


def test_a_job_whose_worker_died_is_taken_over(services, ran, clock):
    from app.db import job_rows

    job = _enqueue(services)
    with services.database.transaction() as connection:
        job_rows.claim(connection, job, now=clock(), lease_until=clock() + timedelta(seconds=60))

    assert _run(services, ran) == []
    clock.advance(minutes=2)
    assert _run(services, ran) == [{}]


def test_a_kind_that_nobody_handles_fails_visibly(services):
    job = services.jobs.enqueue(None, "unknown.kind", "k", {})
    services.jobs.run_pending()

    assert services.jobs.find(job).state is JobState.FAILED


def test_a_scheduled_kind_runs_once_in_each_period(services, ran, clock):
    services.jobs.schedule(KIND, timedelta(hours=1))
    clock.offset -= timedelta(seconds=clock().timestamp() % 3600)

    services.jobs.run_pending()
    services.jobs.run_pending()
    clock.advance(hours=1)

    assert len(_run(services, ran)) == 2


def test_threads_pick_up_work_without_being_asked(services, ran):
    import threading

    done = threading.Event()
    services.jobs.register("test.signal", lambda _payload: done.set())
    services.jobs.start()
    services.jobs.enqueue(None, "test.signal", "k", {})

    assert done.wait(10)
    services.jobs.stop()


def test_back_off_doubles_up_to_an_hour():
    waits = [backoff(attempts).total_seconds() for attempts in (1, 2, 5, 50)]

    assert 1 <= waits[0] <= 2 <= waits[1] <= 4
    assert 16 <= waits[2] <= 32
    assert waits[3] <= 3600


def test_done_jobs_are_forgotten_after_a_month_and_failures_stay(services, ran, clock):
    done, failed = _enqueue(services, "a"), services.jobs.enqueue(None, "unknown.kind", "k", {})
    services.jobs.run_pending()
    clock.advance(days=31)

    services.jobs.forget_finished()

    assert services.jobs.find(done) is None
    assert services.jobs.find(failed).state is JobState.FAILED
