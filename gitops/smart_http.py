"""git's smart HTTP protocol over one bare repository (gitprotocol-http(5) of git 2.39). No web framework.

Three requests exist: the advertisement of refs for a service, and one POST for each of the two
services. The protocol itself is git's own: ``git upload-pack`` and ``git receive-pack`` run as
processes with a hardened environment, and bytes are handed through in both directions. The two
halves differ: what a fetch sends is small and is read whole first; what a push sends has no bound
but the limit, and what comes back is small.
"""

import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from gitops.errors import InvalidError, RefNotFoundError, UnavailableError
from gitops.git_process import GitProcess
from gitops.gitrepo import GIT_ENVIRONMENT, GitRepo
from gitops.model import CommitId, is_commit_id
from gitops.push_hook import HookLine, PushJudge

MAX_FETCH_BYTES = 64 * 1024 * 1024
_CHUNK = 64 * 1024
_HEAD = 4
_OVERHANG = 16 * 1024 * 1024
"""How much more than the limit is read, so that git itself can say that its limit is reached."""
_VERSIONS = frozenset({"version=1", "version=2"})

# What promises.md §6 lists and a process should not depend on the repository's own file for.
_SETTINGS: Sequence[str] = (
    "transfer.hideRefs=refs",
    "transfer.hideRefs=!refs/heads",
    "transfer.hideRefs=!refs/tags",
    "uploadpack.allowFilter=true",
    "uploadpack.allowAnySHA1InWant=false",
    "receive.fsckObjects=true",
    "receive.denyNonFastForwards=true",
    "receive.denyDeleteCurrent=refuse",
    "receive.autogc=false",
    "receive.unpackLimit=1",
    "receive.advertisePushOptions=false",
    "receive.shallowUpdate=false",
    "gc.auto=0",
    "core.fsync=objects,derived-metadata,reference",
    "core.fsyncMethod=fsync",
)

log = logging.getLogger("cairn.git")


class GitService(StrEnum):
    """The two services that smart HTTP knows."""

    FETCH = "git-upload-pack"
    PUSH = "git-receive-pack"


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """How long a process may be silent and how much a push may send."""

    silence_s: float = 60.0
    push_bytes: int = 2 * 1024**3


class RequestTooLargeError(InvalidError):
    """The request's body is larger than this service takes."""

    code = "too_large"


def advertise(repo: GitRepo, service: GitService, *, protocol: str, limits: ServiceLimits) -> GitProcess:
    """Return the answer to ``GET info/refs?service=…``; ``protocol`` is the ``Git-Protocol`` header."""
    protocol = clean_protocol(protocol) if service is GitService.FETCH else ""
    banner = packet_line(f"# service={service}\n".encode()) + b"0000"
    process = GitProcess(
        _command(repo, service, "--http-backend-info-refs"),
        _environment(protocol),
        silence_s=limits.silence_s,
        preface=b"" if "version=2" in protocol else banner,
    )
    process.finish_input()
    return process


def serve_fetch(repo: GitRepo, body: Iterable[bytes], *, protocol: str, limits: ServiceLimits) -> GitProcess:
    """Return the answer to ``POST git-upload-pack``.

    Raises:
        RequestTooLargeError: no honest request has so many lines.
        RefNotFoundError: a commit is wanted that never was a version: protocol 2 gives whatever is
            named, and a repository holds more than its branches show.
    """
    with tempfile.TemporaryFile() as spool:
        size = 0
        for chunk in body:
            size += len(chunk)
            if size > MAX_FETCH_BYTES:
                raise RequestTooLargeError(f"a fetch may send at most {MAX_FETCH_BYTES} bytes")
            spool.write(chunk)
        spool.seek(0)
        refuse_hidden_wants(repo, wanted(spool))
        os.lseek(spool.fileno(), 0, os.SEEK_SET)
        command = _command(repo, GitService.FETCH, "--stateless-rpc")
        return GitProcess(
            command, _environment(clean_protocol(protocol)), silence_s=limits.silence_s, stdin=spool
        )


def serve_push(
    repo: GitRepo,
    body: Iterable[bytes],
    *,
    judge: PushJudge,
    hooks: Path,
    limits: ServiceLimits,
    after: Callable[[], None] = lambda: None,
) -> "Push":
    """Feed ``POST git-receive-pack`` to git and return its answer as it comes.

    ``after`` is called once when the push is over and its lock released, whatever became of it; the
    client learns the end of the answer after that.

    Raises:
        RequestTooLargeError: far more than ``limits.push_bytes`` arrived; nothing of it stays.
        UnavailableError: git took no more for ``limits.silence_s``.
    """
    line = HookLine(judge, repo.lock)
    settings = (f"core.hooksPath={hooks}", f"receive.maxInputSize={limits.push_bytes}")
    try:
        process = GitProcess(
            _command(repo, GitService.PUSH, "--stateless-rpc", settings=settings),
            {**_environment(""), **line.environment},
            silence_s=limits.silence_s,
            inherited=line.descriptors,
        )
    except BaseException:
        line.abandon()
        raise
    line.start()
    push = Push(process, line, after)
    try:
        process.feed(_bounded(body, limits.push_bytes + _OVERHANG))
    except BaseException:
        process.kill()
        line.join()
        raise
    return push


class Push:
    """A push whose input has arrived. Iterate for git's answer; ``close`` brings it to its end.

    Whoever sent it may vanish: once everything has arrived, the refs move or not by what it holds.
    """

    def __init__(self, process: GitProcess, line: HookLine, after: Callable[[], None]) -> None:
        self._process = process
        self._line = line
        self._after = after
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._process
        self.close()

    def close(self) -> None:
        """Wait for git and for what follows the push; safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            for _ in self._process:
                pass
        except UnavailableError:
            log.warning("push.killed")
        finally:
            self._process.close()
            self._line.join()
            self._after()


def inflate(chunks: Iterable[bytes], *, max_bytes: int) -> Iterator[bytes]:
    """Yield what a gzip body holds, never more than ``max_bytes``.

    Raises:
        InvalidError: it is not gzip or ends early.
        RequestTooLargeError: it holds more.
    """
    inflater = zlib.decompressobj(wbits=31)
    total = 0
    for chunk in chunks:
        data = chunk
        while data and not inflater.eof:
            try:
                part = inflater.decompress(data, _CHUNK)
            except zlib.error as error:
                raise InvalidError("the request's body is not valid gzip") from error
            total += len(part)
            if total > max_bytes:
                raise RequestTooLargeError(f"the request holds more than {max_bytes} bytes")
            if part:
                yield part
            data = inflater.unconsumed_tail
    if not inflater.eof:
        raise InvalidError("the request's body ends early")


def clean_protocol(header: str) -> str:
    """Return the part of a ``Git-Protocol`` header that git should see."""
    return ":".join(part for part in header[:200].split(":") if part in _VERSIONS)


def packet_line(content: bytes) -> bytes:
    """Return one pkt-line (gitprotocol-common(5))."""
    return b"%04x" % (len(content) + _HEAD) + content


def wanted(stream: IO[bytes]) -> Iterator[str]:
    """Yield the object ids that a fetch wants, from its pkt-lines.

    Raises:
        InvalidError: the lines are malformed.
    """
    while head := stream.read(_HEAD):
        try:
            length = int(head, 16)
        except ValueError as error:
            raise InvalidError("the request is not made of pkt-lines") from error
        content = stream.read(max(0, length - _HEAD))
        if content.startswith(b"want "):
            # git takes digits of either case for the same id.
            yield content[5:45].decode(errors="replace").lower()


def refuse_hidden_wants(repo: GitRepo, oids: Iterable[str]) -> None:
    """Raise RefNotFoundError for a commit that no ref of the repository leads to."""
    heads: list[CommitId] = []
    for oid in dict.fromkeys(oids):
        commit = _commit_behind(repo, oid)
        if commit is None:
            continue
        heads = heads or repo.kept_heads()
        if not repo.is_reachable(commit, heads):
            raise RefNotFoundError(f"there is no commit {oid}")


def _commit_behind(repo: GitRepo, oid: str) -> CommitId | None:
    """Return the commit that an id stands for, through tags; None for folders, files and unknown ids."""
    for _ in range(8):
        if not is_commit_id(oid):
            return None
        kind = repo.find_kind(oid)
        if kind == "commit":
            return CommitId(oid)
        if kind != "tag":
            return None
        oid = repo.read(oid).content[7:47].decode(errors="replace")
    return None


def _bounded(chunks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise RequestTooLargeError(f"a push may send at most {max_bytes} bytes")
        yield chunk


def _command(repo: GitRepo, service: GitService, mode: str, *, settings: Sequence[str] = ()) -> list[str]:
    git = shutil.which("git", path=os.defpath) or "git"
    command = [git]
    for setting in (*_SETTINGS, f"safe.directory={repo.path}", *settings):
        command += ["-c", setting]
    command += [service.removeprefix("git-"), mode]
    if service is GitService.FETCH:
        command.append("--strict")
    return [*command, str(repo.path)]


def _environment(protocol: str) -> dict[str, str]:
    environment = {**GIT_ENVIRONMENT, "PATH": os.defpath}
    if protocol:
        environment["GIT_PROTOCOL"] = protocol
    return environment
