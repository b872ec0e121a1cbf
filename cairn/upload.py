"""Upload: a local folder becomes one commit.

The service is asked, a thousand files at a time, which bytes it lacks; only those are sent, small ones in
batches. Asking again is how everything resumes: a broken request, a second run, a commit that finds bytes
missing.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from threading import BoundedSemaphore, Event
from typing import Any, cast
from urllib.parse import urljoin

from cairn.errors import ConflictError, LocalFileError, NotAllowedError
from cairn.http import Http, Request
from cairn.progress import SILENT, Progress
from cairn.scan import LocalFile
from cairn.store import Digests, digest_file
from cairn.transfer import Item, run_throttled

CHUNK = 1 << 20
DECLARED_AT_ONCE = 1000
# A task of its own for each small file would cost half as much as hashing it.
HASHED_AT_ONCE = 50
SMALL = 1 << 20
# The service unpacks a form on one processor; more at a time only get in each other's way.
FORMS_AT_ONCE = 2
BATCH_SIZE = 16 << 20
BATCH_PARTS = 1000
MENDS = 3


@dataclass(frozen=True, slots=True)
class Hashed:
    """A local file with its hashes."""

    file: LocalFile
    digests: Digests


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The commit that an upload made, and how much had to be sent for it."""

    commit: Mapping[str, Any]
    sent_files: int
    sent_bytes: int


class Upload:
    """One upload to a dataset, from declaring to committing.

    Args:
        http: the service.
        dataset: the dataset's API path.
    """

    def __init__(self, http: Http, *, dataset: str, jobs: int = 8, progress: Progress = SILENT) -> None:
        self._http = http
        self._dataset = dataset
        self._jobs = jobs
        self._forms = BoundedSemaphore(FORMS_AT_ONCE)
        self._progress = progress
        self._address = ""
        self._hashed: dict[str, Hashed] = {}
        self._settled: set[str] = set()
        self._stopped = Event()
        self._sent_files = 0
        self._sent_bytes = 0

    def run(self, files: Sequence[LocalFile], *, message: str, branch: str | None = None) -> Uploaded:
        """Send what the dataset lacks and commit all files at once.

        Raises:
            LocalFileError: a file changed or vanished meanwhile; nothing is committed.
            CairnError: the service refuses; what has arrived is kept and a next run goes on from there.
        """
        if not files:
            raise LocalFileError("There is no file to upload.")
        self._progress.expect(files=len(files), size=sum(file.size for file in files))
        on_branch = {"branch": branch} if branch else {}
        opened = self._http.json("POST", f"{self._dataset}/uploads", body=on_branch)
        self._address = f"{self._dataset}/uploads/{opened['id']}"
        with ThreadPoolExecutor(self._jobs) as hashers, ThreadPoolExecutor(self._jobs) as senders:
            try:
                run_throttled(senders, self._send, self._parcels(self._hash(hashers, files)))
                commit = self._commit({"message": message, **on_branch}, senders)
            except BaseException:
                self._stopped.set()
                raise
        return Uploaded(commit, self._sent_files, self._sent_bytes)

    def _hash(self, pool: ThreadPoolExecutor, files: Sequence[LocalFile]) -> Iterator[Sequence[Hashed]]:
        """Yield chunks to declare; the files of the next ones are hashed meanwhile."""
        rows: list[Hashed] = []
        for group in pool.map(self._hash_group, _chunks(files, HASHED_AT_ONCE)):
            rows += group
            self._hashed |= {row.file.path: row for row in group}
            if len(rows) >= DECLARED_AT_ONCE:
                yield rows
                rows = []
        if rows:
            yield rows

    def _hash_group(self, files: Sequence[LocalFile]) -> list[Hashed]:
        return [self._hash_file(file) for file in files]

    def _hash_file(self, file: LocalFile) -> Hashed:
        try:
            return Hashed(file, digest_file(file.source, stopped=self._stopped))
        except OSError as error:
            raise LocalFileError(f"Cannot read {file.source}: {error.strerror}.") from error

    def _declare(self, chunk: Sequence[Hashed]) -> Sequence[Mapping[str, Any]]:
        """Name files and their hashes to the service; the answers have the order of the question."""
        rows = [{"path": row.file.path, **asdict(row.digests)} for row in chunk]
        answer = self._http.json("POST", f"{self._address}/files", body={"files": rows})
        return cast("Sequence[Mapping[str, Any]]", answer["files"])

    def _parcels(self, chunks: Iterable[Sequence[Hashed]]) -> Iterator["Parcel"]:
        """Declare each chunk and yield what has to be sent for it, every content once."""
        for chunk in chunks:
            for parcel in self._sort(chunk, self._declare(chunk)):
                self._sent_files += len(parcel.rows)
                self._sent_bytes += parcel.size
                yield parcel

    def _sort(self, chunk: Sequence[Hashed], answers: Sequence[Mapping[str, Any]]) -> Iterator["Parcel"]:
        small: list[Hashed] = []
        for row, told in zip(chunk, answers, strict=True):
            if told["status"] == "present" or row.digests.md5 in self._settled:
                self._progress.advance(files=1, size=row.digests.size)
                continue
            self._settled.add(row.digests.md5)
            place = self._place(told)
            if row.digests.size < SMALL and self._http.is_own(place.url):
                small.append(row)
            else:
                yield Parcel((row,), place)
        yield from _batches(self._http.url(f"{self._address}/objects"), small)

    def _place(self, told: Mapping[str, Any]) -> "Place":
        own = self._http.url(f"{self._address}/objects/{told['md5']}")
        signed = told.get("upload") or {}
        url = urljoin(own, signed.get("url") or own)
        return Place(url, signed.get("headers") or {}, signed.get("method") or "PUT")

    def _send(self, parcel: "Parcel") -> None:
        with self._forms if len(parcel.rows) > 1 else nullcontext():
            self._send_now(parcel)
        self._progress.advance(files=len(parcel.rows), size=parcel.size)

    def _send_now(self, parcel: "Parcel") -> None:
        try:
            self._http.send(parcel.request(self._stopped))
        except NotAllowedError:
            if self._http.is_own(parcel.place.url):
                raise
            # A signed address lives minutes, and this one may have waited longer.
            (told,) = self._declare(parcel.rows)
            again = Parcel(parcel.rows, self._place(told))
            self._http.send(again.request(self._stopped))

    def _commit(self, body: Mapping[str, str], senders: ThreadPoolExecutor) -> Mapping[str, Any]:
        for mend in range(MENDS + 1):
            try:
                answer = self._http.json("POST", f"{self._address}/commit", body=body)
            except ConflictError as error:
                lost = [self._hashed[path] for path in error.paths if path in self._hashed]
                if error.code != "bytes_missing" or not lost or mend == MENDS:
                    raise
                self._settled -= {row.digests.md5 for row in lost}
                run_throttled(senders, self._send, self._parcels(_chunks(lost, DECLARED_AT_ONCE)))
            else:
                return cast("Mapping[str, Any]", answer)
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Place:
    """Where bytes go, as the service says."""

    url: str
    headers: Mapping[str, str]
    method: str = "PUT"


@dataclass(frozen=True, slots=True)
class Parcel:
    """Files that travel in one request: a batch as multipart form, or one as the body itself."""

    rows: tuple[Hashed, ...]
    place: Place

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(row.digests.size for row in self.rows)

    def request(self, stopped: Event) -> Request:
        """Return the request; the files are read while it is sent, and again if it is repeated."""
        if self.place.method == "POST":
            boundary = uuid.uuid4().hex
            heads = [_part_head(boundary, row.digests.md5) for row in self.rows]
            end = f"\r\n--{boundary}--\r\n".encode()
            length = sum(map(len, heads)) + self.size + len(end)
            headers = {
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Content-Length": str(length),
            }
            return Request("POST", self.place.url, headers, lambda: _form(self.rows, heads, end, stopped))
        row = self.rows[0]
        headers = {
            "Content-Type": "application/octet-stream",
            **self.place.headers,
            "Content-Length": str(row.digests.size),
        }
        return Request(self.place.method, self.place.url, headers, lambda: _content(row, stopped))


def _part_head(boundary: str, md5: str) -> bytes:
    return (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{md5}"; filename="{md5}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()


def _form(rows: Sequence[Hashed], heads: Sequence[bytes], end: bytes, stopped: Event) -> Iterator[bytes]:
    for row, head in zip(rows, heads, strict=True):
        yield b"".join([head, *_content(row, stopped)])
    yield end


def _content(row: Hashed, stopped: Event) -> Iterator[bytes]:
    left = row.digests.size
    try:
        with row.file.source.open("rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                left -= len(chunk)
                if stopped.is_set():
                    raise CancelledError
                if left < 0:
                    break
                yield chunk
    except OSError as error:
        raise LocalFileError(f"Cannot read {row.file.source}: {error.strerror}.") from error
    if left:
        raise LocalFileError(f"{row.file.source} changed while it was being uploaded; run the upload again.")


def _batches(url: str, rows: Sequence[Hashed]) -> Iterator[Parcel]:
    batch: list[Hashed] = []
    size = 0
    for row in rows:
        if batch and (len(batch) >= BATCH_PARTS or size + row.digests.size > BATCH_SIZE):
            yield Parcel(tuple(batch), Place(url, {}, "POST"))
            batch, size = [], 0
        batch.append(row)
        size += row.digests.size
    if batch:
        yield Parcel(tuple(batch), Place(url, {}, "POST"))


def _chunks(rows: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
