"""A service in miniature that speaks the wire contract over a real socket, and can be told to misbehave."""

import hashlib
import io
import json
import tarfile
import threading
from base64 import b64encode
from collections.abc import Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from cairn.http import Http
from cairn.settings import Credential

COMMIT = "a" * 40
DATASET = "/api/v1/datasets/vision%2Fcells"


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Service(ThreadingHTTPServer):
    """``files`` is the dataset; ``faults`` are consumed one per request whose path contains the key."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.claimed: dict[str, bytes] = {}
        self.lost: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.declared: dict[str, str] = {}
        self.faults: list[tuple[str, str]] = []
        self.signed_url = ""
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def requests(self, fragment: str) -> list[tuple[str, str, dict[str, str]]]:
        return [seen for seen in self.log if fragment in seen[1]]

    def next_fault(self, path: str) -> str:
        for index, (fragment, fault) in enumerate(self.faults):
            if fragment in path:
                del self.faults[index]
                return fault
        return ""

    def row(self, path: str) -> dict[str, object]:
        if path in self.lost:
            return {"path": path, "size": None, "md5": None, "sha256": None, "problem": "lost"}
        content = self.claimed.get(path, self.files[path])
        return {
            "path": path,
            "name": path.rpartition("/")[2],
            "type": "file",
            "size": len(content),
            "md5": md5_of(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def log_message(self, *arguments: object) -> None:
        pass

    def handle_one(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.log.append((self.command, self.path, dict(self.headers.items())))
        fault = self.server.next_fault(self.path)
        if fault.isdigit():
            self.problem(int(fault), "told to fail")
            return
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        route = parts.path.removeprefix(DATASET)
        if fault.startswith("redirect:"):
            self.answer(307, b"", {"Location": fault.removeprefix("redirect:")})
        elif parts.path == "/signed":
            self.server.objects[md5_of(body)] = body
            self.answer(200, b"")
        elif route.startswith("/uploads"):
            self.uploads(route, body)
        else:
            self.content(route, query, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815 - the library's names

    def content(self, route: str, query: dict[str, str], fault: str) -> None:
        files = self.server.files
        if route == "/tree":
            below = [
                path for path in files if path.startswith(query.get("path", "") + "/" * ("path" in query))
            ]
            if "path" in query and not below:
                self.problem(404, "no such path")
                return
            self.json(200, [self.server.row(path) for path in sorted(below)])
        elif route == "/manifest":
            root = query.get("path", "")
            rows = [
                self.server.row(path)
                for path in sorted(files)
                if f"{path}/".startswith(f"{root}/" * bool(root))
            ]
            if root and not rows:
                self.problem(404, "no such path")
                return
            self.answer(200, "".join(json.dumps(row) + "\n" for row in rows).encode())
        elif route == "/archive.tar":
            if self.server.lost - set(parse_qs(urlsplit(self.path).query).get("exclude", ())):
                self.problem(410, "lost", paths=sorted(self.server.lost))
                return
            self.answer(200, self.archive(query.get("path", "")), cut=fault == "cut")
        elif route.startswith("/files/"):
            path = unquote(route.removeprefix("/files/"))
            if path not in files:
                self.problem(404, "no such path")
                return
            row = self.server.row(path)
            digest = b64encode(bytes.fromhex(str(row["sha256"]))).decode()
            headers = {"ETag": f'"{row["md5"]}"', "Repr-Digest": f"sha-256=:{digest}:"}
            self.answer(200, files[path], headers, cut=fault == "cut")
        else:
            self.problem(404, "no such route")

    def archive(self, folder: str) -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path, content in sorted(self.server.files.items()):
                if not folder or path.startswith(f"{folder}/"):
                    member = tarfile.TarInfo(path)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        return packed.getvalue()

    def uploads(self, route: str, body: bytes) -> None:
        objects = self.server.objects
        if route == "/uploads":
            self.json(201, {"id": 1})
        elif route == "/uploads/1/files":
            rows = json.loads(body)["files"]
            self.server.declared |= {row["path"]: row["md5"] for row in rows}
            self.json(200, {"files": [self.told(row) for row in rows]})
        elif route == "/uploads/1/objects":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            for part in BytesParser().parsebytes(head + body).get_payload():
                content = part.get_payload(decode=True)
                assert part.get_param("name", header="content-disposition") == md5_of(content)
                objects[md5_of(content)] = content
            self.json(200, {"stored": []})
        elif route.startswith("/uploads/1/objects/"):
            assert route.rpartition("/")[2] == md5_of(body)
            objects[md5_of(body)] = body
            self.json(201, {})
        else:
            lost = [path for path, md5 in self.server.declared.items() if md5 not in objects]
            if lost:
                self.problem(409, "bytes are missing", error_code="bytes_missing", paths=lost)
                return
            self.server.files |= {path: objects[md5] for path, md5 in self.server.declared.items()}
            self.json(201, {"commit_id": COMMIT, "files": len(self.server.declared)})

    def told(self, row: dict[str, str]) -> dict[str, object]:
        status = "present" if row["md5"] in self.server.objects else "needed"
        upload = None
        if status == "needed" and self.server.signed_url:
            upload = {"method": "PUT", "url": self.server.signed_url, "headers": {"X-Signed": "yes"}}
        return {"path": row["path"], "md5": row["md5"], "status": status, "upload": upload}

    def json(self, status: int, document: object) -> None:
        self.answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def problem(self, status: int, detail: str, **more: object) -> None:
        document = {"detail": detail, "error_code": f"code_{status}", **more}
        self.answer(status, json.dumps(document).encode(), {"Retry-After": "0", "X-Error-Message": detail})

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        whole = len(body)
        if status == 200 and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            status, body = 206, body[start:]
            headers = {**(headers or {}), "Content-Range": f"bytes {start}-{whole - 1}/{whole}"}
        self.send_response(status)
        for name, value in {
            **(headers or {}),
            "X-Commit-Id": COMMIT,
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def other_host() -> Iterator[Service]:
    """A second origin: the same machine, another port."""
    server = Service()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the developer's own tokens."""
    for name in ("CAIRN_ENDPOINT", "CAIRN_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def http(service: Service) -> Http:
    return Http(service.url, Credential("PRIVATE-TOKEN", "secret"), sleep=lambda _: None)
