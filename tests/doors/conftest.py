"""A running service, and working copies that stock git and stock DVC drive against it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from app import create_app
from app.access import SYSTEM, AccessLevel, Actor, Scope, Visibility
from app.accounts.models import actor_for
from app.config import Config
from app.datasets.models import Dataset
from app.services import Services, build

BIN = Path(sys.executable).parent


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_arguments: object) -> None:
        pass


@dataclass(frozen=True)
class Live:
    """The service on a port of this machine."""

    url: str
    app: Flask
    services: Services

    def person(self, name: str, *scopes: Scope) -> tuple[Actor, str]:
        """Make a person with a token; all scopes unless some are named."""
        user = self.services.accounts.create_user(SYSTEM, name, is_admin=False, password=None)
        granted = frozenset(scopes or Scope)
        _, raw = self.services.accounts.create_token(SYSTEM, name="tests", scopes=granted, username=name)
        return actor_for(user, granted), raw

    def dataset(self, owner: Actor, name: str, *, visibility: Visibility = Visibility.PRIVATE) -> Dataset:
        """Make a dataset that is bound to the built-in storage site."""
        return self.services.datasets.create(owner, name=name, visibility=visibility, storage_site="local")

    def git_url(self, dataset: Dataset, token: str | None) -> str:
        """Return the address to clone from, with the token in it."""
        place = self.url.removeprefix("http://")
        credential = f"any:{token}@" if token else ""
        return f"http://{credential}{place}/{dataset.full_path}.git"


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("live")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = Config(home=home / "var", public_url=url)
        services = build(config)
        app = create_app(config, services)
        server = make_server(
            "127.0.0.1", 0, app, threaded=True, request_handler=_Quiet, fd=os.dup(listener.fileno())
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield Live(url, app, services)
        server.shutdown()
        thread.join()
        server.server_close()
    services.close()


@dataclass(frozen=True)
class Work:
    """A folder in which stock commands run, apart from this machine's own settings."""

    path: Path
    environment: dict[str, str]

    def run(self, *command: str, check: bool = True, stdin: bytes | None = None) -> str:
        """Run a command and return everything that it says."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{text}")
        return text

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git."""
        return self.run("git", *arguments, check=check)

    def dvc(self, *arguments: str, check: bool = True) -> str:
        """Run DVC."""
        return self.run(str(BIN / "dvc"), *arguments, check=check)

    def write(self, path: str, content: bytes | str) -> None:
        """Write a file, folders included."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, path: str) -> bytes:
        """Read a file."""
        return (self.path / path).read_bytes()

    def commit(self, message: str = "Change") -> str:
        """Commit everything that git sees, as people do; return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def login(self, token: str) -> None:
        """Tell DVC the token, as ``cairn dvc-login`` does."""
        self.write(
            ".dvc/config.local",
            f"['remote \"cairn\"']\n    auth = custom\n    custom_auth_header = PRIVATE-TOKEN\n"
            f"    password = {token}\n",
        )


MakeWork = Callable[[str], Work]


@pytest.fixture(scope="session")
def make_work(tmp_path_factory: pytest.TempPathFactory) -> MakeWork:
    """Return a function that makes an empty folder to work in."""
    home = tmp_path_factory.mktemp("home")
    environment = {
        "PATH": f"{BIN}:{os.defpath}",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_CACHE_HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_TERMINAL_PROMPT": "0",
        "DVC_NO_ANALYTICS": "1",
        "DVC_GLOBAL_CONFIG_DIR": str(home),
        "DVC_SYSTEM_CONFIG_DIR": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "CI": "1",
        "LC_ALL": "C.UTF-8",
    }
    (home / "gitconfig").write_text(
        "[user]\n\tname = Bob\n\temail = bob@example.org\n[init]\n\tdefaultBranch = main\n"
    )

    def make(name: str) -> Work:
        return Work(tmp_path_factory.mktemp(name), environment)

    return make


def clone(live: Live, make_work: MakeWork, dataset: Dataset, token: str, *options: str) -> Work:
    """Return a working copy of a dataset, signed in for DVC too."""
    work = make_work(dataset.path)
    work.git("clone", "--quiet", *options, live.git_url(dataset, token), ".")
    work.login(token)
    return work


__all__ = ["AccessLevel", "Live", "MakeWork", "Work", "clone"]
