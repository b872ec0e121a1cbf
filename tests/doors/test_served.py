"""Both doors behind the server that is shipped: chunked bodies, long answers, several at a time."""

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.doors.conftest import BIN, MakeWork, Work

pytestmark = pytest.mark.slow

TOKEN = "an-administrator-token-of-the-tests"


@dataclass(frozen=True)
class Served:
    """A service in a process of its own, with one dataset."""

    url: str
    home: Path

    def clone(self, make_work: MakeWork, *options: str) -> Work:
        """Return a working copy, signed in for DVC."""
        work = make_work("served")
        place = self.url.removeprefix("http://")
        work.git("clone", "--quiet", *options, f"http://any:{TOKEN}@{place}/admin/cells.git", ".")
        work.login(TOKEN)
        return work


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served-home")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.defpath,
        "CAIRN_HOME": str(home),
        "CAIRN_BIND": f"127.0.0.1:{port}",
        "CAIRN_ADMIN_TOKEN": TOKEN,
        "CAIRN_LOG_LEVEL": "warning",
    }
    server = str(BIN / "cairn-server")
    with subprocess.Popen([sys.executable, server, "serve"], env=environment, cwd=home) as process:
        try:
            _await(url)
            body = json.dumps({"name": "Cells", "storage_site": "local"}).encode()
            headers = {"PRIVATE-TOKEN": TOKEN, "Content-Type": "application/json"}
            request = urllib.request.Request(url + "/api/v1/datasets", data=body, headers=headers)
            urllib.request.urlopen(request, timeout=10).close()
            yield Served(url, home)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _await(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url + "/healthz", timeout=2).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.1)
        else:
            return


def test_a_push_of_several_megabytes_arrives(served: Served, make_work: MakeWork) -> None:
    noise = random.Random(1).randbytes(5_000_000)
    work = served.clone(make_work)
    work.write("noise.md", noise)
    work.commit()

    said = work.git("push", "origin", "main:refs/heads/noise")

    assert "main -> noise" in said
    assert served.clone(make_work, "--branch", "noise").read("noise.md") == noise


def test_a_refused_push_of_several_megabytes_is_explained(served: Served, make_work: MakeWork) -> None:
    work = served.clone(make_work)
    work.write("noise.md", random.Random(2).randbytes(11_000_000))
    work.commit()

    assert "are too many for git" in work.git("push", "origin", "main:refs/heads/large", check=False)


def test_dvc_pushes_and_pulls_large_files(served: Served, make_work: MakeWork) -> None:
    content = random.Random(3).randbytes(20_000_000)
    work = served.clone(make_work)
    work.write("large.bin", content)
    work.dvc("add", "large.bin")
    work.commit()
    work.dvc("push")
    work.git("push", "--quiet", "origin", "main")

    other = served.clone(make_work)
    other.dvc("pull")

    assert other.read("large.bin") == content


def test_many_push_branches_of_their_own_at_once(served: Served, make_work: MakeWork) -> None:
    works = [served.clone(make_work) for _ in range(6)]
    said: dict[int, str] = {}

    def push(number: int) -> None:
        works[number].write(f"{number}.md", "x\n")
        works[number].commit()
        said[number] = works[number].git("push", "origin", f"main:refs/heads/b{number}", check=False)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all("[new branch]" in text for text in said.values()), said


def test_no_git_process_is_left_behind(served: Served) -> None:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout

    assert str(served.home / "repos") not in listed
    assert not list((served.home / "repos").glob("*/objects/tmp_objdir*"))
