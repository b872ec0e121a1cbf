"""The service killed at random moments, and very large files, through the real server."""

import hashlib
import http.client
import json
import random
import threading
import time
from contextlib import closing
from urllib.parse import quote

import pytest

from app.access import SYSTEM
from app.config import Config
from app.services import build
from tests.served import TOKEN, Served
from tests.steps import contents, dangling, fsck

KILLS = 5
CLIENTS = 3
LARGE = 300 * 1024 * 1024
CHUNK = bytes(range(256)) * 4096


class Caller:
    """One kept connection that asks as the administrator."""

    def __init__(self, served: Served) -> None:
        self._connection = http.client.HTTPConnection(served.bind, timeout=60)

    def ask(self, method, path, body=None, **headers):
        self._connection.request(
            method, f"/api/v1{path}", body=body, headers={"PRIVATE-TOKEN": TOKEN, **headers}
        )
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self):
        self._connection.close()


def _ask(served, *request, **headers):
    with closing(Caller(served)) as caller:
        return caller.ask(*request, **headers)


@pytest.fixture
def served(tmp_path):
    made = Served(tmp_path / "var")
    made.start()
    yield made
    made.stop()


def _make_dataset(served):
    body = json.dumps({"name": "Cells", "storage_site": "local"})
    status, made = _ask(served, "POST", "/datasets", body, **{"Content-Type": "application/json"})
    assert status == 201, made
    return made["id"]


class Uploader(threading.Thread):
    """Puts files one after another until the service is gone; remembers what was acknowledged."""

    def __init__(self, served, dataset, name, acknowledged):
        super().__init__()
        self.served, self.dataset, self.label, self.acknowledged = served, dataset, name, acknowledged
        self.unknown = None

    def run(self):
        with closing(Caller(self.served)) as caller:
            self._put_files(caller)

    def _put_files(self, caller):
        for number in range(10_000):
            path = f"{self.label}/{number}.{'md' if number % 3 == 0 else 'bin'}"
            body = f"{self.label} {number} ".encode() * (1 + number % 7 * 500)
            self.unknown = (path, body)
            try:
                status, answer = caller.ask("PUT", f"/datasets/{self.dataset}/files/{quote(path)}", body)
            except (OSError, http.client.HTTPException):
                return
            if status in {200, 201}:
                self.acknowledged[path] = (body, answer["commit_id"])
                self.unknown = None


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_service_is_killed(served):
    """D1, D2, invariant 1: after kill -9 every acknowledged file is whole, and restart needs no hand."""
    dataset = _make_dataset(served)
    acknowledged, unknown = {}, []
    chance = random.Random(7)
    for turn in range(KILLS):
        uploaders = [
            Uploader(served, dataset, f"k{turn}c{client}", acknowledged) for client in range(CLIENTS)
        ]
        for uploader in uploaders:
            uploader.start()
        time.sleep(chance.uniform(0.1, 0.7))
        served.kill()
        for uploader in uploaders:
            uploader.join()
        unknown += [uploader.unknown for uploader in uploaders if uploader.unknown]
        served.start()
    _, again = _ask(served, "PUT", f"/datasets/{dataset}/files/after.bin", b"after")
    assert again["commit_id"]
    served.kill()
    assert len(acknowledged) > KILLS
    services = build(Config(home=served.home))
    try:
        found = contents(services, SYSTEM, dataset)
        assert {path: found.get(path) for path in acknowledged} == {
            path: body for path, (body, _) in acknowledged.items()
        }
        assert all(found.get(path, body) == body for path, body in unknown)
        path, (body, commit) = next(iter(acknowledged.items()))
        file = services.downloads.file(SYSTEM, dataset, path, commit)
        assert b"".join(file.read(0, len(body))) == body
        assert fsck(services, dataset) == ""
        assert dangling(services, SYSTEM, dataset) == []
    finally:
        services.close()


def _body(size):
    for _ in range(size // len(CHUNK)):
        yield CHUNK


def _watched(served, act):
    """Return what ``act`` returns and the most memory that the service held meanwhile."""
    peak, done = [served.memory()], threading.Event()

    def watch():
        while not done.wait(0.05):
            peak.append(served.memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        result = act()
    finally:
        done.set()
        thread.join()
    return result, max(peak)


@pytest.mark.slow
def test_the_service_starts_again_after_its_first_process_was_killed(served):
    served.kill_parent()

    served.wait_until_gone()
    served.start()

    assert _ask(served, "GET", "/user")[0] == 200


def test_a_large_file_passes_through_in_flat_memory(served):
    """Streams what grows: a file of 300 MB costs the service a few megabytes, by either way in and out."""
    dataset = _make_dataset(served)
    _ask(served, "PUT", f"/datasets/{dataset}/files/warm.bin", b"x" * 1_000_000)
    before = served.memory()
    length = {"Content-Length": str(LARGE)}
    (status, stored), peak = _watched(
        served,
        lambda: _ask(served, "PUT", f"/datasets/{dataset}/files/large.bin", _body(LARGE), **length),
    )
    assert (status, stored["size"]) == (201, LARGE)
    assert stored["md5"] == hashlib.md5(b"".join(_body(LARGE))).hexdigest()
    assert peak - before < 60_000_000, (before, peak)
    (status, _), peak = _watched(served, lambda: _read(served, f"/datasets/{dataset}/files/large.bin", LARGE))
    assert status == 200
    assert peak - before < 60_000_000, (before, peak)


def _read(served, path, size):
    with closing(http.client.HTTPConnection(served.bind, timeout=60)) as connection:
        connection.request("GET", f"/api/v1{path}", headers={"PRIVATE-TOKEN": TOKEN})
        answer = connection.getresponse()
        read = 0
        while chunk := answer.read(1 << 20):
            read += len(chunk)
    assert read == size
    return answer.status, read
