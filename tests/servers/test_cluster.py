"""Several processes on one PostgreSQL, one Redis and one home."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huey import RedisHuey

from app.config import Config
from app.jobs import JobState, open_queue
from app.services import build
from tests.served import ROOT
from tests.servers.conftest import free_port
from tests.steps import race

TOKEN = "cairn-cluster-test-token-0123456789"
DEADLINE_S = 60
KIND = "test.kind"


def _await(condition, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_redis_carries_the_jobs(services, config):
    queue = open_queue(config.queue_url, config.home)
    services.jobs.register(KIND, lambda _: None)

    services.jobs.enqueue(None, KIND, "k", {})

    assert isinstance(queue, RedisHuey)
    assert queue.pending_count() == 1
    assert not (config.home / "queue.db").exists()


def test_two_crews_run_every_job_exactly_once(services, config, clock):
    """Also where several ask for the same work at the same moment."""
    other = build(config, clock=clock)
    ran = []
    for crew in (services, other):
        crew.jobs.register(KIND, lambda payload: ran.append(payload["n"]))
    jobs, failed = race(8, lambda n: (services, other)[n % 2].jobs.enqueue(None, KIND, "same", {"n": "same"}))
    assert failed == []
    assert len(set(jobs)) == 1
    ids = {*jobs, *(services.jobs.enqueue(None, KIND, str(n), {"n": n}) for n in range(40))}

    for crew in (services, other):
        crew.jobs.start(threads=2)
    try:
        _await(
            lambda: all(services.jobs.find(job).state is JobState.DONE for job in ids), "jobs are left undone"
        )
    finally:
        other.close()
        services.jobs.stop()

    assert sorted(map(str, ran)) == sorted([*map(str, range(40)), "same"])
    assert {services.jobs.find(job).attempts for job in ids} == {1}


def test_jobs_survive_a_queue_that_does_not_answer(config, clock):
    lonely = build(
        Config(
            home=config.home,
            database_url=config.database_url,
            queue_url=f"redis://127.0.0.1:{free_port()}/0",
        ),
        clock=clock,
    )
    ran = []
    lonely.jobs.register(KIND, ran.append)

    lonely.jobs.enqueue(None, KIND, "k", {"n": 1})
    lonely.jobs.run_pending()
    lonely.close()

    assert ran == [{"n": 1}]


@contextmanager
def _serving(config: Config, log: Path) -> Iterator[str]:
    """Run the service on the servers of a config; yield its URL, perhaps before it answers."""
    url = f"http://127.0.0.1:{free_port()}"
    own = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    environment = {
        **own,
        "CAIRN_HOME": str(config.home),
        "CAIRN_BIND": url.removeprefix("http://"),
        "CAIRN_PUBLIC_URL": "http://localhost",
        "CAIRN_DATABASE_URL": config.database_url,
        "CAIRN_QUEUE_URL": config.queue_url,
        "CAIRN_ADMIN_TOKEN": TOKEN,
        "CAIRN_LOG_LEVEL": "warning",
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield url
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def _ask(method: str, url: str, body: bytes | None = None, kind: str = "application/octet-stream") -> bytes:
    headers = {"PRIVATE-TOKEN": TOKEN, "Content-Type": kind}
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        with error:
            pytest.fail(f"{method} {url}: {error.code} {error.read()!r}")


@pytest.mark.slow
def test_two_servers_that_start_at_once_both_take_files(config, tmp_path):
    """Neither loses a version of the other; each serves what the other stored."""
    log = tmp_path / "servers.log"
    with _serving(config, log) as one, _serving(config, log) as two:
        urls = (one, two)
        _await(lambda: all(_is_ready(url) for url in urls), "the servers did not start")
        made = json.dumps({"name": "Cells", "storage_site": "local"}).encode()
        dataset = json.loads(_ask("POST", f"{one}/api/v1/datasets", made, "application/json"))["id"]

        def write(number: int) -> None:
            for step in range(4):
                address = f"{urls[number % 2]}/api/v1/datasets/{dataset}/files/{number}%2F{step}.bin"
                _ask("PUT", address, b"%d %d" % (number, step))

        _, failed = race(4, write)

        assert failed == [], log.read_text()[-3000:]
        for number in range(4):
            for step in range(4):
                address = f"{urls[(number + 1) % 2]}/api/v1/datasets/{dataset}/files/{number}%2F{step}.bin"
                assert _ask("GET", address) == b"%d %d" % (number, step)
