"""The DVC door: an HTTP remote of DVC for every dataset, over its own pool alone.

Addresses are those of DVC's HTTP remote (dvc-http 2.32): ``files/md5/ab/cdef…`` for DVC 3 and
``ab/cdef…`` for what DVC 2 wrote. DVC asks whether an object is there with a plain GET, sends bodies
in chunks of unknown length, and checks nothing that it is sent: all checking is done here.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import BinaryIO

from flask import Response, request
from pydantic import BaseModel

from app.access import Action
from app.datasets.models import ObjectFacts
from app.datasets.pool import Pool
from app.datasets.service import OpenDataset
from app.errors import MissingError, TooLargeError, UnauthenticatedError
from app.web.api import ApiBlueprint
from app.web.bodies import READ_BYTES, self_checking_body
from app.web.content import SANDBOX, ByteRange, find_range
from app.web.context import actor, services
from gitops import pointers
from gitops.errors import IntegrityError, InvalidPointerError
from gitops.model import Md5, parse_address
from gitops.push_pointers import MAX_PUSHED_MANIFEST

routes = ApiBlueprint("dvc", tag="DVC", prefix="/dvc")

_BYTES = "application/octet-stream"
_ANSWERS = {200: _BYTES, 206: _BYTES, 304: None}
_STORED = {200: None, 201: None}


class ObjectPath(BaseModel):
    """One object of one dataset: the first two digits of its MD5, and the others."""

    dataset: int
    folder: str
    rest: str


@routes.get(
    "/<int:dataset>/files/md5/<folder>/<rest>", role="reporter", summary="Read an object", answers=_ANSWERS
)
def read_object(path: ObjectPath) -> Response:
    """Send an object's bytes to `dvc pull`; 404 says to `dvc push` that it has to be sent."""
    opened = _open(path, Action.READ)
    facts = _facts(opened.pool, path)
    if facts.is_legacy:
        # Its name is the MD5 of other bytes than these, as DVC 2 meant it: only that layout has it.
        raise _absent(path)
    return _sent(opened.pool, facts)


@routes.get(
    "/<int:dataset>/<folder>/<rest>", role="reporter", summary="Read an object, DVC 2", answers=_ANSWERS
)
def read_legacy_object(path: ObjectPath) -> Response:
    """Send an object's bytes under the address that DVC 2 uses."""
    opened = _open(path, Action.READ)
    return _sent(opened.pool, _facts(opened.pool, path))


@routes.put(
    "/<int:dataset>/files/md5/<folder>/<rest>",
    role="developer",
    summary="Store an object",
    answers=_STORED,
    consumes=["*/*"],
)
def put_object(path: ObjectPath) -> Response:
    """Take bytes that hash to the name they are put under; `.dir` is a manifest without hostile paths."""
    return _store(path)


@routes.post(
    "/<int:dataset>/files/md5/<folder>/<rest>",
    role="developer",
    summary="Store an object, as dvc push does",
    answers=_STORED,
    consumes=["*/*"],
)
def post_object(path: ObjectPath) -> Response:
    """Take an object's bytes; DVC's own default method."""
    return _store(path)


@routes.put(
    "/<int:dataset>/<folder>/<rest>",
    role="developer",
    summary="Store an object, DVC 2",
    answers=_STORED,
    consumes=["*/*"],
)
def put_legacy_object(path: ObjectPath) -> Response:
    """Take an object's bytes; the MD5 of a text may be that of its form with LF line ends."""
    return _store_legacy(path)


@routes.post(
    "/<int:dataset>/<folder>/<rest>",
    role="developer",
    summary="Store an object, as DVC 2 does",
    answers=_STORED,
    consumes=["*/*"],
)
def post_legacy_object(path: ObjectPath) -> Response:
    """Take an object's bytes; DVC 2's own default method."""
    return _store_legacy(path)


def _store(path: ObjectPath) -> Response:
    pool = _open(path, Action.WRITE).pool
    address = _address(path)
    is_known = not pool.missing([address])
    pool.receive(_body(address), address=address)
    return Response(status=200 if is_known else 201)


def _store_legacy(path: ObjectPath) -> Response:
    pool = _open(path, Action.WRITE).pool
    address = _address(path)
    is_known = not pool.missing([address])
    pool.receive_legacy(_body(address), address=address)
    return Response(status=200 if is_known else 201)


def _open(path: ObjectPath, action: Action) -> OpenDataset:
    """Return the dataset; a visitor is asked for a token rather than told that an object is missing."""
    try:
        return services().datasets.open(actor(), path.dataset, action)
    except MissingError as error:
        if actor().is_anonymous:
            raise UnauthenticatedError(
                "send a token; in a clone, `cairn dvc-login` tells DVC about it"
            ) from error
        raise


def _address(path: ObjectPath) -> Md5:
    address = parse_address(path.folder + path.rest)
    if len(path.folder) != 2:  # noqa: PLR2004 - DVC's layout
        raise InvalidPointerError("an object lies at ab/cdef…")
    return address


def _facts(pool: Pool, path: ObjectPath) -> ObjectFacts:
    """Return what the ledger knows of an object that is asked for. Raises MissingError, GoneError."""
    try:
        address = _address(path)
    except InvalidPointerError as error:
        raise _absent(path) from error
    if address not in pool.facts([address]):
        raise _absent(path)
    return pool.check_servable(address)


def _absent(path: ObjectPath) -> MissingError:
    return MissingError(f"the dataset {path.dataset} does not hold this object", code="object_not_found")


def _body(address: Md5) -> Iterator[bytes]:
    """Return the body's chunks; a manifest is looked at before any of it is stored."""
    chunks = _chunks()
    return iter([_manifest(chunks)]) if address.endswith(".dir") else chunks


def _chunks() -> Iterator[bytes]:
    stream = self_checking_body()
    while chunk := stream.read(READ_BYTES):
        yield chunk


def _manifest(chunks: Iterator[bytes]) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_PUSHED_MANIFEST:
            raise TooLargeError(
                f"a folder's manifest may have at most {MAX_PUSHED_MANIFEST} bytes; track smaller folders"
            )
    text = bytes(content)
    pointers.parse_manifest(text)
    return text


def _sent(pool: Pool, facts: ObjectFacts) -> Response:
    """Return the bytes, all or a range of them.

    Streamed even where the site could sign an address: DVC would send the token along to its host.
    """
    headers = {
        **SANDBOX,
        "ETag": f'"{facts.address}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{facts.address}"',
        "Repr-Digest": f"sha-256=:{b64encode(bytes.fromhex(facts.sha256)).decode()}:",
    }
    if request.if_none_match.contains(facts.address):
        return Response(status=304, headers=headers)
    span = _range(facts)
    part = span or ByteRange(0, facts.size)
    if span:
        headers["Content-Range"] = span.header(facts.size)
    headers["Content-Length"] = str(part.size)
    body = _Stream(pool.open(facts.address, start=part.start), part.size) if request.method == "GET" else ()
    return Response(body, 206 if span else 200, headers, content_type=_BYTES, direct_passthrough=True)


def _range(facts: ObjectFacts) -> ByteRange | None:
    wanted = request.headers.get("Range")
    condition = request.headers.get("If-Range", f'"{facts.address}"').strip()
    if wanted is None or request.method != "GET" or condition != f'"{facts.address}"':
        return None
    return find_range(wanted, facts.size)


class _Stream:
    """The bytes of a range; closed when the server is done with it, read or not."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def __iter__(self) -> Iterator[bytes]:
        with self._stream:
            while self._left and (chunk := self._stream.read(min(READ_BYTES, self._left))):
                self._left -= len(chunk)
                yield chunk
        if self._left:
            raise IntegrityError("the storage site has fewer bytes than were stored")

    def close(self) -> None:
        """Let go of the object."""
        self._stream.close()
