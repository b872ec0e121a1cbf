"""The real service in its own process, and the real command line."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOKEN = "cairn-live-test-token-0123456789"
START_S = 60


@dataclass(frozen=True)
class Live:
    """A running service."""

    url: str
    token: str = TOKEN


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    stdout: str
    stderr: str

    def json(self):
        return json.loads(self.stdout)

    @property
    def last_line(self) -> str:
        return self.stdout.splitlines()[-1]


def _clean_environment(home: Path) -> dict[str, str]:
    """Nothing of the developer's own settings reaches the service or the client."""
    foreign = ("CAIRN_", "GITLAB_", "CI_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**own, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("service")
    bind = f"127.0.0.1:{_free_port()}"
    environment = {
        **_clean_environment(home),
        "CAIRN_HOME": str(home / "var"),
        "CAIRN_BIND": bind,
        "CAIRN_ADMIN_TOKEN": TOKEN,
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    until = time.monotonic() + START_S
    while not _is_ready(f"http://{bind}") and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    if not _is_ready(f"http://{bind}"):
        process.kill()
        process.wait()
        pytest.fail(f"the service did not start:\n{(home / 'log').read_text()[-4000:]}")
    yield Live(f"http://{bind}")
    process.terminate()
    process.wait(timeout=30)


Run = Callable[..., Done]


@pytest.fixture
def cairn(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the command line as a user would; ``environ`` replaces the endpoint and token."""
    home = tmp_path_factory.mktemp("home")

    def run(*words: object, environ: dict[str, str] | None = None, stdin: str = "") -> Done:
        own = {"CAIRN_ENDPOINT": live.url, "CAIRN_TOKEN": live.token} if environ is None else environ
        done = subprocess.run(
            [sys.executable, "-m", "cairn.cli", *map(str, words)],
            cwd=ROOT,
            env={**_clean_environment(home), **own},
            capture_output=True,
            text=True,
            input=stdin,
            timeout=120,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def dataset(cairn: Run) -> str:
    """The full path of a new dataset, bound to the local site."""
    name = f"cells-{uuid.uuid4().hex[:10]}"
    done = cairn("datasets", "create", name, "--storage-site", "local", "--json")
    assert done.code == 0, done.stderr
    return str(done.json()["path_with_namespace"])


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A folder with text, data, an empty file, nesting and awkward names."""
    folder = tmp_path / "sample"
    for path, content in {
        "README.md": b"# Cells\n",
        "a.jpg": os.urandom(3000),
        "empty.bin": b"",
        "dataset/x/a.jpg": os.urandom(5000),
        "dataset/x/\u00e4 % #?&+.jpg": os.urandom(100),
        "large.bin": os.urandom(3 << 20),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
