"""How much memory the service takes for one very large file: ``python -m benchmarks.memory [gigabytes]``."""

import hashlib
import http.client
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from tests.served import TOKEN, Served

GIGABYTE = 1 << 30
CHUNK = bytes(range(256)) * 4096
JSON = {"Content-Type": "application/json"}
Body = bytes | str | Iterator[bytes] | None


def main(gigabytes: int) -> None:
    """Send, declare and read a file of this size, printing resident bytes before and at the peak."""
    size = gigabytes * GIGABYTE
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder) / "var")
        served.start()
        try:
            measure(served, size)
        finally:
            served.stop()


def measure(served: Served, size: int) -> None:
    """Print one line for each way in and out."""
    made = ask(served, "POST", "/datasets", json.dumps({"name": "Large", "storage_site": "local"}), JSON)
    base = f"/datasets/{made['id']}"
    ask(served, "PUT", f"{base}/files/warm.bin", b"x" * 1_000_000)
    length = {"Content-Length": str(size)}
    report(served, "PUT file", size, lambda: ask(served, "PUT", f"{base}/files/a.bin", body(size), length))
    other = size - len(CHUNK)
    md5 = hashlib.md5()
    for chunk in body(other):
        md5.update(chunk)
    upload = f"{base}/uploads/{ask(served, 'POST', f'{base}/uploads', '{}', JSON)['id']}"
    file = {"path": "b.bin", "md5": md5.hexdigest(), "size": other}
    ask(served, "POST", f"{upload}/files", json.dumps({"files": [file]}), JSON)
    length = {"Content-Length": str(other)}
    target = f"{upload}/objects/{md5.hexdigest()}"
    report(served, "PUT object", other, lambda: ask(served, "PUT", target, body(other), length))
    report(served, "commit", other, lambda: ask(served, "POST", f"{upload}/commit", '{"message": "m"}', JSON))
    report(served, "GET file", size, lambda: read(served, f"{base}/files/a.bin"))
    report(served, "GET archive", size + other, lambda: read(served, f"{base}/archive.zip"))


def report(served: Served, name: str, size: int, act: Callable[[], object]) -> None:
    """Print how long an action took and what it did to the service's memory."""
    before, done = served.memory(), threading.Event()
    peak = [before]

    def watch() -> None:
        while not done.wait(0.1):
            peak.append(served.memory())

    thread = threading.Thread(target=watch)
    thread.start()
    began = time.monotonic()
    act()
    elapsed = time.monotonic() - began
    done.set()
    thread.join()
    mega = 1_000_000
    print(
        f"{name:12} {size / mega:8.0f} MB in {elapsed:6.1f} s ({size / mega / elapsed:5.0f} MB/s); "
        f"resident {before / mega:.0f} MB before, {max(peak) / mega:.0f} MB at most"
    )


def ask(
    served: Served, method: str, path: str, content: Body = None, headers: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the JSON that the service answers; stop on a refusal."""
    with closing(http.client.HTTPConnection(served.bind, timeout=600)) as connection:
        connection.request(
            method, f"/api/v1{path}", body=content, headers={"PRIVATE-TOKEN": TOKEN, **(headers or {})}
        )
        answer = connection.getresponse()
        text = answer.read()
    if answer.status >= 400:
        raise SystemExit(f"{method} {path}: {answer.status} {text.decode()}")
    found: dict[str, str] = json.loads(text)
    return found


def read(served: Served, path: str) -> int:
    """Return how many bytes an address answers."""
    with closing(http.client.HTTPConnection(served.bind, timeout=600)) as connection:
        connection.request("GET", f"/api/v1{path}", headers={"PRIVATE-TOKEN": TOKEN})
        answer = connection.getresponse()
        total = 0
        while chunk := answer.read(1 << 20):
            total += len(chunk)
    return total


def body(size: int) -> Iterator[bytes]:
    """Yield this many bytes."""
    for _ in range(size // len(CHUNK)):
        yield CHUNK


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
