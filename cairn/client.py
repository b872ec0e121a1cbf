"""The Python interface: a service, its datasets, and a dataset at one version."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from cairn.address import clean_path, parse_address
from cairn.errors import NotFoundError, UnavailableError, VerificationError
from cairn.http import Http, Request
from cairn.progress import SILENT, Progress
from cairn.scan import scan_folder
from cairn.selection import EVERYTHING, Selection
from cairn.settings import resolve_settings
from cairn.store import LocalFolder, RemoteFile
from cairn.transfer import Download, Downloaded, is_below
from cairn.upload import Upload, Uploaded

JOBS = 8
# Up to here each path is asked for by itself; above, one manifest is cheaper.
FEW_PATHS = 32


class Client:
    """One service, as one caller.

    Args:
        endpoint: its address; default ``CAIRN_ENDPOINT``, then the last ``cairn login``.
        token: default ``CAIRN_TOKEN``, ``GITLAB_TOKEN``, ``CI_JOB_TOKEN``, then the stored one.
        verify: False accepts any TLS certificate.

    Attributes:
        http: the service itself, for routes that have no method here.
    """

    def __init__(
        self, endpoint: str | None = None, token: str | None = None, *, verify: bool = True, jobs: int = JOBS
    ) -> None:
        settings = resolve_settings(endpoint, token)
        self.http = Http(settings.endpoint, settings.credential, verify=verify, connections=2 * jobs)

    def user(self) -> Mapping[str, Any]:
        """Return who the credential belongs to."""
        return cast("Mapping[str, Any]", self.http.json("GET", "/user"))

    def datasets(self, **query: str) -> Iterator[Mapping[str, Any]]:
        """Yield the datasets that the caller may read; ``search``, ``topic``, ``namespace`` … narrow them."""
        return self.http.rows("/datasets", query)

    def create_dataset(self, name: str, **fields: object) -> "Dataset":
        """Create a dataset; fields as in ``POST /datasets``: visibility, storage_site and others."""
        answer = self.http.json("POST", "/datasets", body={"name": name, **fields})
        return Dataset(self.http, str(answer["id"]))

    def dataset(self, address: str) -> "Dataset":
        """Return a dataset by id or full path; nothing is asked yet."""
        return Dataset(self.http, parse_address(address).dataset)

    def lookup(self, md5s: Sequence[str]) -> Any:
        """Return which readable datasets hold these bytes, at which paths and in which versions."""
        return self.http.json("POST", "/lookup", body={"md5": list(md5s)})


class Dataset:
    """One dataset; ``name`` is its id or full path."""

    def __init__(self, http: Http, name: str) -> None:
        self.name = name
        self.api_path = f"/datasets/{quote(name, safe='')}"
        self._http = http

    def info(self) -> Mapping[str, Any]:
        """Return the dataset's record: paths, counts, storage site, the caller's capabilities."""
        return cast("Mapping[str, Any]", self._http.json("GET", self.api_path))

    def at(self, ref: str | None = None) -> "Snapshot":
        """Return the dataset pinned at the commit that a branch, tag or commit id names now."""
        url = self._http.url(f"{self.api_path}/manifest", {"ref": ref or None})
        commit_id = self._http.send(Request("HEAD", url)).headers.get("X-Commit-Id", "")
        if not commit_id:
            raise UnavailableError(
                "The answer names no commit; is this the address of a Cairn service and has the dataset one?"
            )
        return Snapshot(self._http, self, commit_id)

    def upload(
        self,
        local: str | PathLike[str],
        remote: str = "",
        *,
        message: str,
        branch: str | None = None,
        selection: Selection = EVERYTHING,
        jobs: int = JOBS,
        progress: Progress = SILENT,
    ) -> Uploaded:
        """Commit a local file or folder below ``remote``; see ``scan_folder`` for what is taken."""
        scan = scan_folder(Path(local), remote, selection)
        upload = Upload(self._http, dataset=self.api_path, jobs=jobs, progress=progress)
        return upload.run(scan.files, message=message, branch=branch)

    def change(
        self, actions: Sequence[Mapping[str, object]], *, message: str, branch: str | None = None
    ) -> Mapping[str, Any]:
        """Make one commit of actions in GitLab's shape: create, update, delete, move."""
        body = {"message": message, "actions": list(actions), **({"branch": branch} if branch else {})}
        return cast("Mapping[str, Any]", self._http.json("POST", f"{self.api_path}/commits", body=body))

    def commits(self, *, ref: str | None = None, path: str = "") -> Iterator[Mapping[str, Any]]:
        """Yield the commits that lead to ``ref``, newest first, perhaps only those that touch ``path``."""
        return self._http.rows(f"{self.api_path}/commits", {"ref": ref, "path": path or None})

    def compare(self, old: str, new: str, *, prefix: str = "") -> Mapping[str, Any]:
        """Return what was added, removed, changed and renamed between two refs, all pages in one."""
        total: dict[str, Any] = {}
        query = {"from": old, "to": new, "prefix": prefix or None, "per_page": 1000}
        for page in self._http.pages(f"{self.api_path}/compare", query):
            for name, value in page.items():
                total[name] = total[name] + value if isinstance(total.get(name), list) else value
        return total


class Snapshot:
    """A dataset at one commit: whatever moves meanwhile, this stays the same."""

    def __init__(self, http: Http, dataset: Dataset, commit_id: str) -> None:
        self.dataset = dataset
        self.commit_id = commit_id
        self._http = http

    def tree(self, path: str = "", *, recursive: bool = False) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a folder listing."""
        query = {
            "ref": self.commit_id,
            "path": clean_path(path) or None,
            "recursive": "true" if recursive else None,
        }
        return self._http.rows(f"{self.dataset.api_path}/tree", query)

    def files(self, path: str = "") -> Iterator[RemoteFile]:
        """Yield every file of the version, or those below a folder; a file's path means that file."""
        query = {"ref": self.commit_id, "path": clean_path(path) or None}
        for row in self._http.lines(f"{self.dataset.api_path}/manifest", query):
            yield _remote_file(row)

    def files_at(self, path: str) -> list[RemoteFile]:
        """Return the file at a path, or all files of the folder there; nothing if there is neither."""
        try:
            return list(self.files(path))
        except NotFoundError:
            return []

    def open(self, path: str) -> BinaryIO:
        """Return a file's bytes as a stream; they are not verified."""
        address = f"{self.dataset.api_path}/files/{quote(clean_path(path))}"
        body = self._http.body(address, {"ref": self.commit_id})
        return cast("BinaryIO", io.BufferedReader(body, 1 << 20))

    def read(self, path: str) -> bytes:
        """Return a file's bytes, verified.

        Raises:
            VerificationError: they are not what the version says.
        """
        rows, _ = self.find([path])
        file = next((row for row in rows if row.path == clean_path(path)), None)
        if file is None:
            raise NotFoundError(f"{path!r} is a folder.")
        with self.open(path) as stream:
            content = stream.read()
        hasher = file.hasher()
        hasher.update(content)
        if not file.matches(hasher, len(content)):
            raise VerificationError(f"{path!r} arrived damaged.", paths=[file.path])
        return content

    def download(
        self,
        output: str | PathLike[str],
        paths: Sequence[str] = (),
        *,
        selection: Selection = EVERYTHING,
        jobs: int = JOBS,
        progress: Progress = SILENT,
    ) -> Downloaded:
        """Fetch files and folders (none: everything) below ``output``, keeping their paths.

        What is there already and right is not fetched again; anything else of that name is replaced.

        Raises:
            NotFoundError: a path is not in this version; nothing was fetched.
            PartialError: some files failed; all others are there and right.
        """
        known, roots = self.find(paths)
        chosen = [file for file in known if selection.takes(file.path)]
        transfer = Download(
            self._http,
            dataset=self.dataset.api_path,
            commit_id=self.commit_id,
            folder=LocalFolder(Path(output)),
            jobs=jobs,
            progress=progress,
        )
        return transfer.run(known, chosen, roots)

    def find(self, paths: Sequence[str] = ()) -> tuple[list[RemoteFile], list[str]]:
        """Return the files at and below ``paths`` (none: all), and which of the paths are folders.

        Raises:
            NotFoundError: names every path that is neither a file nor a folder.
        """
        wanted = list(dict.fromkeys(clean_path(path) for path in paths))
        if not wanted or "" in wanted:
            return list(self.files()), [""]
        # A path inside another that is asked for too brings nothing new.
        wanted = [
            path for path in wanted if not any(path != above and is_below(path, above) for above in wanted)
        ]
        rows: Iterable[RemoteFile]
        if len(wanted) <= FEW_PATHS:
            rows = [file for path in wanted for file in self.files_at(path)]
        else:
            rows = list(_at_or_below(self.files(), set(wanted)))
        found = {file.path for file in rows}
        roots = [path for path in wanted if path not in found]
        covered = {above for path in found for above in _above(path)}
        if missing := [path for path in roots if path not in covered]:
            listed = ", ".join(repr(path) for path in missing)
            raise NotFoundError(f"Not in this version: {listed}.", code="path_not_found", paths=missing)
        return list(rows), roots


def _at_or_below(files: Iterable[RemoteFile], wanted: set[str]) -> Iterator[RemoteFile]:
    for file in files:
        if file.path in wanted or any(folder in wanted for folder in _above(file.path)):
            yield file


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _remote_file(row: Mapping[str, Any]) -> RemoteFile:
    return RemoteFile(
        path=str(row["path"]),
        size=int(row["size"] or 0),
        md5=str(row["md5"] or ""),
        sha256=str(row.get("sha256") or ""),
        problem=str(row.get("problem") or ""),
    )
