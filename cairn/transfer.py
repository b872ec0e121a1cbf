"""Download: what is needed, in which requests, verified on arrival.

A request costs about a millisecond on both sides whatever it carries, so a folder of many small files comes
as one archive stream, and each of its files is verified like any other. Large files come on their own, in
parallel, and continue where an earlier run stopped.
"""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from glob import escape
from itertools import pairwise
from threading import Event, Semaphore
from typing import BinaryIO, TypeVar, cast
from urllib.parse import quote

from cairn.archive import TarStream
from cairn.errors import (
    CairnError,
    LocalFileError,
    NotAllowedError,
    NotFoundError,
    PartialError,
    VerificationError,
)
from cairn.http import Http
from cairn.progress import SILENT, Progress
from cairn.store import LocalFolder, RemoteFile

SMALL = 1 << 20
LARGE = 8 << 20
# A request's cost, expressed as the bytes that would arrive in the same time.
REQUEST_COST = 128 << 10
FEWEST_FOR_ARCHIVE = 16
IN_FLIGHT = 64
BATCH = 256
# Patterns that the service takes; an archive with lost files is refused, naming them.
MOST_EXCLUDED = 50

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a download did: paths that were fetched, and paths that were here already."""

    fetched: tuple[RemoteFile, ...]
    present: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Folders to fetch as archives, and files to fetch one by one."""

    folders: tuple[str, ...]
    singles: tuple[RemoteFile, ...]


@dataclass(slots=True)
class _Weight:
    """What a folder holds, all below it included; ``waste`` bytes are better not in its archive."""

    needed: int = 0
    waste: int = 0
    files: list[RemoteFile] = field(default_factory=list)
    children: set[str] = field(default_factory=set)


def plan_transfer(known: Sequence[RemoteFile], needed: Sequence[RemoteFile], roots: Sequence[str]) -> Plan:
    """Decide how to fetch ``needed``.

    Args:
        known: every file below the roots, needed or not.
        needed: the files to fetch; they may also lie outside the roots.
        roots: folders, none inside another, of which ``known`` is the whole content; "" is the dataset.
    """
    weights: defaultdict[str, _Weight] = defaultdict(_Weight)
    wanted = {file.path for file in needed}
    for file in known:
        is_needed = file.path in wanted
        waste = file.size if not is_needed or file.size >= LARGE else 0
        for folder in _ancestors(file.path):
            weights[folder].needed += is_needed
            weights[folder].waste += waste
    for file in needed:
        above = _ancestors(file.path)
        weights[above[-1]].files.append(file)
        for parent, child in pairwise(above):
            weights[parent].children.add(child)
    folders, singles, waiting = [], [], [""]
    while waiting:
        folder = waiting.pop()
        weight = weights[folder]
        is_inside = any(folder == root or is_below(folder, root) for root in roots)
        if is_inside and weight.needed >= FEWEST_FOR_ARCHIVE and weight.waste <= weight.needed * REQUEST_COST:
            folders.append(folder)
        else:
            singles += weight.files
            waiting += sorted(weight.children, reverse=True)
    return Plan(tuple(folders), tuple(singles))


class Download:
    """One transfer of a pinned version into a folder.

    Args:
        http: the service.
        dataset: the dataset's API path.
        commit_id: the full id of the version.
        folder: where the files go.
    """

    def __init__(
        self,
        http: Http,
        *,
        dataset: str,
        commit_id: str,
        folder: LocalFolder,
        jobs: int = 8,
        progress: Progress = SILENT,
    ) -> None:
        self._http = http
        self._dataset = dataset
        self._ref = commit_id
        self._folder = folder
        self._jobs = jobs
        self._progress = progress
        self._stopped = Event()
        self._arrived: set[str] = set()
        self._failures: dict[str, str] = {}

    def run(
        self, known: Sequence[RemoteFile], chosen: Sequence[RemoteFile], roots: Sequence[str]
    ) -> Downloaded:
        """Fetch the chosen files that are not here yet; see ``plan_transfer`` for the arguments.

        Raises:
            PartialError: some files failed; all others are here and right.
        """
        self._progress.expect(files=len(chosen), size=sum(file.size for file in chosen))
        with ThreadPoolExecutor(self._jobs) as pool:
            batches = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
            present = tuple(file for batch in pool.map(self._present, batches) for file in batch)
            here = {file.path for file in present}
            needed = tuple(file for file in chosen if file.path not in here)
            plan = plan_transfer(known, needed, roots)
            try:
                run_throttled(pool, self._fetch_archive, _by_archive(plan.folders, needed).items())
                # What an archive did not bring is asked for by name: that answers why. Largest first: the
                # last ones to finish should be short.
                rest = [file for file in needed if file.path not in self._arrived]
                run_throttled(pool, self._fetch, sorted(rest, key=lambda file: -file.size))
            except BaseException:
                self._stopped.set()
                raise
        if self._failures:
            raise PartialError(f"{len(self._failures)} of {len(chosen)} files failed.", self._failures)
        return Downloaded(needed, present)

    def _present(self, files: Sequence[RemoteFile]) -> list[RemoteFile]:
        present = [file for file in files if self._folder.holds(file)]
        self._progress.advance(files=len(present), size=sum(file.size for file in present))
        return present

    def _fetch(self, file: RemoteFile) -> None:
        if file.problem:
            self._failures[file.path] = file.problem
            return
        try:
            try:
                self._fetch_whole(file)
            except VerificationError:
                # Once more from the start: a part left by an earlier run may have been damaged since.
                self._fetch_whole(file)
        except NotAllowedError:
            raise
        except CairnError as error:
            self._failures[file.path] = str(error)
        except OSError as error:  # a full disk: the next file would fail, too
            raise _cannot_write(file, error) from error

    def _fetch_whole(self, file: RemoteFile) -> None:
        with self._folder.resume(file) as partial:
            if partial.size > file.size:
                partial.restart()
            counted = partial.size
            self._progress.advance(size=counted)
            if partial.size < file.size:
                address = f"{self._dataset}/files/{quote(file.path)}"
                with self._http.body(address, {"ref": self._ref}, start=partial.size) as body:
                    for chunk in body.chunks():
                        if self._stopped.is_set():
                            raise CancelledError
                        partial.write(chunk)
                        counted += len(chunk)
                        self._progress.advance(size=len(chunk))
            try:
                partial.finish()
            except VerificationError:
                self._progress.advance(size=-counted)
                raise
        self._progress.advance(files=1)

    def _fetch_archive(self, job: tuple[str, Mapping[str, RemoteFile]]) -> None:
        """Save what an archive of a folder brings of the files wanted in it; the caller fetches the others.

        One thread receives, hashes and writes: handing files to others cost more than it gained (measured on
        two cores with 10,000 files of 60 KB).
        """
        folder, wanted = job
        try:
            try:
                self._read_archive(folder, wanted, exclude=())
            except NotFoundError as error:
                if not 0 < len(error.paths) <= MOST_EXCLUDED:
                    raise
                self._read_archive(folder, wanted, exclude=[escape(path) for path in error.paths])
        except NotAllowedError:
            raise
        except CairnError:
            # No failure yet: what is missing now is asked for by name, and says what is wrong with it.
            return

    def _read_archive(self, folder: str, wanted: Mapping[str, RemoteFile], *, exclude: Sequence[str]) -> None:
        query = {"ref": self._ref, "path": folder or None, "exclude": list(exclude)}
        with (
            self._http.body(f"{self._dataset}/archive.tar", query) as body,
            io.BufferedReader(body, SMALL) as stream,
        ):
            archive = TarStream(cast("BinaryIO", stream))
            for member in archive:
                file = wanted.get(member.path)
                if file is not None and file.size == member.size:
                    self._save(file, archive.chunks())

    def _save(self, file: RemoteFile, content: Iterable[bytes]) -> None:
        if self._stopped.is_set():
            raise CancelledError
        try:
            self._folder.save(file, content)
        except VerificationError:
            return
        except OSError as error:
            raise _cannot_write(file, error) from error
        self._arrived.add(file.path)
        self._progress.advance(files=1, size=file.size)


def is_below(path: str, folder: str) -> bool:
    """Tell whether a path lies in a folder, at any depth; everything lies in the root ("")."""
    return not folder or path.startswith(f"{folder}/")


def _by_archive(
    folders: Sequence[str], files: Sequence[RemoteFile]
) -> Mapping[str, Mapping[str, RemoteFile]]:
    """Return the files that each archive brings, by path; no folder lies in another."""
    wanted: dict[str, dict[str, RemoteFile]] = {folder: {} for folder in folders}
    for file in files:
        for folder in _ancestors(file.path):
            if folder in wanted:
                wanted[folder][file.path] = file
    return wanted


def _cannot_write(file: RemoteFile, error: OSError) -> LocalFileError:
    return LocalFileError(f"Cannot write {file.path!r}: {error.strerror}. Run it again to go on from here.")


def _ancestors(path: str) -> list[str]:
    """Return the folders that hold a path, from the root ("") down."""
    parts = path.split("/")
    # A hostile path that begins with "/" would make the root its own child.
    return list(dict.fromkeys("/".join(parts[:depth]) for depth in range(len(parts))))


def run_throttled(pool: ThreadPoolExecutor, work: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Do ``work`` on each item in the pool, with at most ``IN_FLIGHT`` items taken ahead.

    The first error stops the taking of items and is raised when the running ones are done.
    """
    slots = Semaphore(IN_FLIGHT)
    errors: list[BaseException] = []

    def finish(future: Future[object]) -> None:
        slots.release()
        if not future.cancelled() and (error := future.exception()):
            errors.append(error)

    running: list[Future[object]] = []
    try:
        for item in items:
            slots.acquire()
            if errors:
                break
            running.append(pool.submit(work, item))
            running[-1].add_done_callback(finish)
        wait(running)
    finally:
        for future in running:
            future.cancel()
    if errors:
        raise errors[0]
