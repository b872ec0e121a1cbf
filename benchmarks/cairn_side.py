"""Our side: a service of its own in a folder of its own, over HTTP as everybody uses it."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.material import CHANGED, paths, pointer, repo_path
from benchmarks.measures import Measure, Shell
from gitops.cache import ImmutableCache
from gitops.changes import ChangeSet
from gitops.datarepo import DataRepo
from gitops.folders import ReadCaches
from gitops.gitrepo import GitRepo
from gitops.model import CommitId, RefName, Signature

BIN = Path(sys.executable).parent
TOKEN = "cairn-benchmark-token-0123456789"
PORT = 8791
STARTS_WITHIN_S = 20


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What the command line needs to reach it."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CAIRN_ENDPOINT": self.url,
            "CAIRN_TOKEN": TOKEN,
        }

    def cairn(self, *arguments: str | Path) -> float:
        """Run the command line; return its seconds, the start of the process included."""
        return Shell(self.environment).run(BIN / "cairn", *arguments)

    def curl(self, path: str, output: Path | None = None) -> float:
        """Fetch an address with curl; return its seconds, the start of the process included."""
        target = str(output) if output else os.devnull
        cookie = f"tokenGitLab={TOKEN}"
        return Shell(self.environment).run("curl", "-sf", "-b", cookie, self.url + path, "--output", target)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON answer to one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        connection.request(method, "/api/v1" + path, content, {"PRIVATE-TOKEN": TOKEN, **_type_of(body)})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def keep_alive(self, addresses: list[str]) -> Measure:
        """Return the seconds of each request over one connection, answers read to their end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        seconds = []
        for address in addresses:
            start = time.perf_counter()
            connection.request("GET", "/api/v1" + address, headers={"PRIVATE-TOKEN": TOKEN})
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - start)
            if answer.status != 200:
                raise RuntimeError(f"GET {address}: {answer.status}")
        connection.close()
        return Measure(tuple(seconds))

    def create_dataset(self, name: str) -> int:
        """Create a dataset in the built-in site and return its id."""
        body = {"name": name, "path": name, "storage_site": "local"}
        return int(self.call("POST", "/datasets", body)["id"])

    def engine(self, dataset: int) -> DataRepo:
        """Return a dataset's repository, opened beside the service."""
        caches = ReadCaches(ImmutableCache(self.home / "bench-cache", max_bytes=1 << 28))
        repository = GitRepo(self.home / "repos" / f"{dataset}.git")
        return DataRepo(repository, None, caches, default_branch=RefName("main"))


@contextmanager
def running_service(home: Path) -> Iterator[Service]:
    """Run a service with the default settings and stop it again."""
    home.mkdir(parents=True)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(home),
        "CAIRN_HOME": str(home),
        "CAIRN_BIND": f"127.0.0.1:{PORT}",
        "CAIRN_ADMIN_TOKEN": TOKEN,
        "CAIRN_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([BIN / "cairn-server", "serve"], env=environment)
    service = Service(home, PORT)
    try:
        _wait_for(service)
        yield service
    finally:
        process.terminate()
        process.wait(30)


def write_pointers(service: Service, dataset: int, count: int, *, versions: int) -> list[CommitId]:
    """Commit pointers without bytes straight through the engine; return the versions, ten changed in each."""
    repo = service.engine(dataset)
    commits = []
    for salt in range(versions):
        changes = ChangeSet()
        for number, path in enumerate(paths(count)):
            if salt == 0 or number % (count // CHANGED) == salt:
                changes.put(repo_path(path), pointer(path, salt=salt))
        landed = repo.commit(
            changes,
            branch=RefName("main"),
            base=repo.head(RefName("main")),
            author=Signature("Benchmark", "benchmark@example.org", datetime.now(UTC)),
            message=f"Version {salt}",
        )
        commits.append(landed.commit.id)
    return commits


def _wait_for(service: Service) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        try:
            service.call("GET", "/user")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the service did not start within {STARTS_WITHIN_S} s")


def _type_of(body: object) -> dict[str, str]:
    if body is None:
        return {}
    return {"Content-Type": "application/octet-stream" if isinstance(body, bytes) else "application/json"}
