"""The git door: clone, fetch and push over smart HTTP for every dataset.

Exactly three addresses exist for a repository. The service that will run is the one that the caller
was let in for, and only a credential in a header lets anybody in: a browser's cookies never do.
"""

from collections.abc import Iterable, Iterator

from flask import Response, request
from pydantic import BaseModel

from app.access import ANONYMOUS, Action, Actor
from app.datasets.service import OpenDataset
from app.errors import MissingError, TooLargeError, UnauthenticatedError
from app.versions.service import VersionService
from app.web.api import ApiBlueprint
from app.web.bodies import READ_BYTES, UnsupportedMediaTypeError, self_checking_body
from app.web.context import CredentialSource, identity, services
from gitops import smart_http
from gitops.gitrepo import HEADS
from gitops.model import CommitId, RefName
from gitops.push_hook import write_hooks
from gitops.push_limits import PushLimits
from gitops.pushes import DatasetJudge
from gitops.smart_http import GitService, RequestTooLargeError, ServiceLimits

routes = ApiBlueprint("git", tag="git", prefix="")

_ACTIONS = {GitService.FETCH: Action.READ, GitService.PUSH: Action.WRITE}


class RepositoryPath(BaseModel):
    """Which repository: a dataset's full path or id, in front of ``.git``."""

    dataset: str


class ServiceQuery(BaseModel):
    """Which service a git client is about to use."""

    service: GitService


@routes.get(
    "/<dataset:dataset>.git/info/refs",
    role="reporter",
    summary="Begin a fetch or a push",
    answers={200: "application/x-git-upload-pack-advertisement"},
)
def advertise_refs(path: RepositoryPath, query: ServiceQuery) -> Response:
    """List branches and tags for `service`; `git-receive-pack` needs the role developer."""
    opened = _open(path.dataset, query.service)
    answer = smart_http.advertise(opened.repo.git, query.service, protocol=_protocol(), limits=_limits())
    return _answer(answer, f"application/x-{query.service}-advertisement")


@routes.get(
    "/<dataset:dataset>/info/refs",
    role="anonymous",
    summary="Begin at the address of the page",
    answers={301: None},
)
def lead_to_repository(path: RepositoryPath, query: ServiceQuery) -> Response:
    """Lead git from the address in the browser to the repository; it follows and remembers."""
    target = f"{services().config.public_url}/{path.dataset}.git/info/refs?service={query.service}"
    return Response(status=301, headers={"Location": target})


@routes.post(
    "/<dataset:dataset>.git/git-upload-pack",
    role="reporter",
    summary="Fetch",
    answers={200: "application/x-git-upload-pack-result"},
    consumes=["application/x-git-upload-pack-request"],
    is_change=False,
)
def fetch(path: RepositoryPath) -> Response:
    """Send the objects that a clone or fetch asks for: whole, shallow or partial."""
    opened = _open(path.dataset, GitService.FETCH)
    try:
        answer = smart_http.serve_fetch(
            opened.repo.git,
            _body(smart_http.MAX_FETCH_BYTES),
            protocol=_protocol(),
            limits=_limits(),
        )
    except RequestTooLargeError as error:
        raise TooLargeError(str(error)) from error
    return _answer(answer, "application/x-git-upload-pack-result")


@routes.post(
    "/<dataset:dataset>.git/git-receive-pack",
    role="developer",
    summary="Push",
    answers={200: "application/x-git-receive-pack-result"},
    consumes=["application/x-git-receive-pack-request"],
)
def push(path: RepositoryPath) -> Response:
    """Take a push after looking at all that it brings; reasons come back as `remote:` lines.

    It is taken whole or not at all.
    """
    opened = _open(path.dataset, GitService.PUSH)
    config = services().config
    most = config.max_push_bytes
    if (request.content_length or 0) > most:
        raise TooLargeError(f"a push may send at most {most} bytes; data files belong behind DVC pointers")
    judge = DatasetJudge(
        opened.repo.git,
        opened.found_pool,
        default_branch=opened.dataset.default_branch,
        limits=PushLimits(text_bytes=config.max_pushed_file_bytes),
        imports=services().projects.import_check(opened),
    )
    versions = services().versions
    try:
        answer = smart_http.serve_push(
            opened.repo.git,
            _body(most),
            judge=judge,
            hooks=write_hooks(config.home.absolute() / "hooks"),
            limits=_limits(),
            after=lambda: _record(versions, opened, judge),
        )
    except RequestTooLargeError as error:
        raise TooLargeError(str(error)) from error
    return _answer(answer, "application/x-git-receive-pack-result")


def _open(dataset: str, service: GitService) -> OpenDataset:
    """Return the dataset to whoever sent a credential in a header.

    To a visitor a private repository and none at all are the same: git is asked for a password.
    """
    caller = _caller()
    try:
        opened = services().datasets.open(caller, dataset, _ACTIONS[service])
    except MissingError as error:
        if caller.is_anonymous:
            raise UnauthenticatedError("use any user name and a token as the password") from error
        raise
    if service is GitService.PUSH:
        opened.check_branch(opened.dataset.default_branch)
    return opened


def _caller() -> Actor:
    known = identity()
    return known.actor if known.source is CredentialSource.HEADER else ANONYMOUS


def _record(versions: VersionService, opened: OpenDataset, judge: DatasetJudge) -> None:
    for change in judge.moved:
        if change.new and change.name.startswith(HEADS):
            versions.record(opened, CommitId(change.new), RefName(change.name.removeprefix(HEADS)))


def _body(max_bytes: int) -> Iterable[bytes]:
    chunks = _chunks()
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding in {"gzip", "x-gzip"}:
        return smart_http.inflate(chunks, max_bytes=max_bytes)
    if encoding != "identity":
        raise UnsupportedMediaTypeError("send the body plain or with gzip")
    return chunks


def _chunks() -> Iterator[bytes]:
    stream = self_checking_body()
    while chunk := stream.read(READ_BYTES):
        yield chunk


def _protocol() -> str:
    return request.headers.get("Git-Protocol", "")


def _limits() -> ServiceLimits:
    config = services().config
    return ServiceLimits(silence_s=config.git_timeout_s, push_bytes=config.max_push_bytes)


def _answer(chunks: Iterable[bytes], media_type: str) -> Response:
    return Response(chunks, content_type=media_type, headers={"Cache-Control": "no-cache, max-age=0"})
