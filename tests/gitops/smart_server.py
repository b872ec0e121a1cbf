"""A dataset repository behind a small WSGI server, for a real git client to talk to."""

import io
import os
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from gitops import layout, smart_http
from gitops.cache import ImmutableCache
from gitops.datarepo import DataRepo
from gitops.errors import GitopsError
from gitops.folders import ReadCaches
from gitops.gitrepo import GitRepo, prepare_libgit2
from gitops.layout import DatasetRecord, SiteRecord
from gitops.model import Md5, RefName, Signature
from gitops.objects import digest
from gitops.push_hook import write_hooks
from gitops.push_limits import PushLimits
from gitops.pushes import DatasetJudge
from gitops.smart_http import GitService, ServiceLimits

MAIN = RefName("main")
ALICE = Signature("Alice", "alice@example.org", datetime(2026, 3, 1, 12, 0, tzinfo=UTC))

CLIENT = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Bob",
    "GIT_AUTHOR_EMAIL": "bob@example.org",
    "GIT_COMMITTER_NAME": "Bob",
    "GIT_COMMITTER_EMAIL": "bob@example.org",
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True)
class Facts:
    size: int
    sha256: str
    crc32: str
    is_legacy: bool = False
    damaged_at: object | None = None


class MemoryLedger:
    """The objects of one dataset, in memory."""

    def __init__(self) -> None:
        self.contents: dict[Md5, bytes] = {}
        self.known: dict[Md5, Facts] = {}

    def add(self, content: bytes, *, suffix: str = "", is_legacy: bool = False, damaged: bool = False) -> Md5:
        digests = digest(content)
        address = Md5(digests.md5 + suffix)
        self.contents[address] = content
        self.known[address] = Facts(
            digests.size, digests.sha256, digests.crc32, is_legacy, datetime(2026, 1, 1) if damaged else None
        )
        return address

    def facts(self, addresses: Collection[Md5]) -> Mapping[Md5, Facts]:
        return {address: self.known[address] for address in addresses if address in self.known}

    def open(self, address: Md5) -> BinaryIO:
        return io.BytesIO(self.contents[address])


class Server:
    """One repository at ``/cells.git``; pushes are judged, and what moved is kept."""

    def __init__(self, folder: Path) -> None:
        prepare_libgit2()
        self.repo = GitRepo.create(folder / "1.git", branch=MAIN)
        self.ledger: MemoryLedger | None = MemoryLedger()
        self.hooks = write_hooks(folder / "hooks")
        self.service = ServiceLimits()
        self.limits = PushLimits()
        self.judges: list[DatasetJudge] = []
        self.data = DataRepo(
            self.repo,
            None,
            ReadCaches(ImmutableCache(folder / "cache", max_bytes=1 << 20)),
            default_branch=MAIN,
        )
        site = SiteRecord(1, "local", "local", "/srv/objects/1")
        record = DatasetRecord(1, "http://example.org/dvc/1", site)
        self.data.start(
            layout.first_files(record, name="Cells", description=""), author=ALICE, message="Start"
        )
        self.url = ""

    @Request.application
    def application(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except GitopsError as error:
            return Response(f"{error}\n", HTTPStatus.BAD_REQUEST, mimetype="text/plain")

    def _answer(self, request: Request) -> Response:
        name = request.path.rpartition("/")[2]
        protocol = request.headers.get("Git-Protocol", "")
        if name == "refs":
            service = GitService(request.args["service"])
            answer = smart_http.advertise(self.repo, service, protocol=protocol, limits=self.service)
            return Response(answer, mimetype=f"application/x-{service}-advertisement")
        service = GitService(name)
        body: Iterator[bytes] = iter(lambda: request.stream.read(65536), b"")
        if request.headers.get("Content-Encoding") == "gzip":
            body = smart_http.inflate(body, max_bytes=1 << 24)
        if service is GitService.FETCH:
            fetched = smart_http.serve_fetch(self.repo, body, protocol=protocol, limits=self.service)
            return Response(fetched, mimetype=f"application/x-{service}-result")
        judge = DatasetJudge(self.repo, self.ledger, default_branch=MAIN, limits=self.limits)
        self.judges.append(judge)
        pushed = smart_http.serve_push(self.repo, body, judge=judge, hooks=self.hooks, limits=self.service)
        return Response(pushed, mimetype=f"application/x-{service}-result")


class _Quiet(WSGIRequestHandler):
    def log(self, *_arguments: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    http = make_server("127.0.0.1", 0, server.application, threaded=True, request_handler=_Quiet)
    server.url = f"http://127.0.0.1:{http.server_port}/cells.git"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@dataclass(frozen=True)
class Clone:
    """A working copy, driven by the stock git command."""

    path: Path

    def git(self, *arguments: str, check: bool = True, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=CLIENT,
            capture_output=True,
            input=stdin,
            timeout=60,
            check=False,
        )
        text = (done.stdout + done.stderr).decode(errors="replace")
        if check and done.returncode:
            raise AssertionError(f"git {arguments[0]} failed:\n{text}")
        return text

    def out(self, *arguments: str, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=CLIENT,
            capture_output=True,
            input=stdin,
            timeout=60,
            check=True,
        )
        return done.stdout.decode().strip()

    def write(self, path: str, content: bytes | str) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str = "Change") -> str:
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", message)
        return self.out("rev-parse", "HEAD")

    def blob(self, content: bytes) -> str:
        return self.out("hash-object", "-w", "--stdin", stdin=content)

    def tree(self, rows: Sequence[tuple[str, str, bytes]]) -> str:
        """Write a tree that git itself would not make: (mode, object id, raw name) as they are."""
        raw = b"".join(f"{mode} ".encode() + name + b"\0" + bytes.fromhex(oid) for mode, oid, name in rows)
        return self.out("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)

    def root_with(self, rows: Sequence[tuple[str, str, bytes]]) -> str:
        """Return a commit on HEAD whose root folder has further rows, in git's order."""
        listed = self.out("ls-tree", "-z", "HEAD").split("\0")
        known = []
        for line in filter(None, listed):
            facts, name = line.split("\t")
            mode, _, oid = facts.split()
            known.append((mode.lstrip("0"), oid, name.encode()))
        new = {name for _, _, name in rows}
        merged = [row for row in known if row[2] not in new] + list(rows)
        merged.sort(key=lambda row: row[2] + b"/" if row[0] == "40000" else row[2])
        return self.out("commit-tree", self.tree(merged), "-p", "HEAD", "-m", "Hostile")

    def push(self, *arguments: str) -> str:
        """Push and return everything that git says; the caller looks for what it expects."""
        return self.git("push", "origin", *arguments, check=False)


def clone(server: Server, folder: Path, *arguments: str) -> Clone:
    subprocess.run(
        ["git", "clone", "--quiet", *arguments, server.url, str(folder)],
        env=CLIENT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return Clone(folder)
