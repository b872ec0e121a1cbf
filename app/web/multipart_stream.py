"""Multipart forms (RFC 7578) read part by part while they arrive; nothing is spooled."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from flask import request
from multipart import MultipartError, MultipartSegment, PushMultipartParser

from app.errors import BadRequestError, TooLargeError
from app.web.bodies import READ_BYTES, UnsupportedMediaTypeError, self_checking_body

MAX_PARTS = 20_000
MAX_FIELD_BYTES = 64 * 1024
_MAX_HEADER_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """One part: a file if it has a file name, else a field. Read ``chunks`` before the next part."""

    name: str
    filename: str | None
    chunks: Iterator[bytes]

    def text(self) -> str:
        """Return a field's value. Raises TooLargeError, BadRequestError."""
        value = bytearray()
        for chunk in self.chunks:
            value += chunk
            if len(value) > MAX_FIELD_BYTES:
                raise TooLargeError(f"the field {self.name!r} is longer than {MAX_FIELD_BYTES} bytes")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise BadRequestError(f"the field {self.name!r} is not UTF-8") from error


def multipart_parts(*, max_parts: int = MAX_PARTS) -> Iterator[Part]:
    """Yield the parts of this request's body in the order sent.

    Raises:
        UnsupportedMediaTypeError: the request is no multipart form.
        BadRequestError: the form is malformed, or ends before its closing boundary.
    """
    boundary = request.mimetype_params.get("boundary")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise UnsupportedMediaTypeError("send the files as multipart/form-data (curl -F does)")
    parser = PushMultipartParser(
        boundary, max_segment_count=max_parts, max_header_size=_MAX_HEADER_BYTES, strict=False
    )
    events = _events(parser)
    for event in events:
        if isinstance(event, MultipartSegment):
            chunks = _chunks(events)
            yield Part(event.name or "", _name_of(event), chunks)
            for _ in chunks:  # what the caller left unread
                pass


def _events(parser: PushMultipartParser) -> Iterator[MultipartSegment | bytes | bytearray | None]:
    body = self_checking_body()
    waiting: deque[MultipartSegment | bytes | bytearray | None] = deque()
    while not parser.closed:
        chunk = body.read(READ_BYTES)
        try:
            waiting.extend(parser.parse(chunk))
        except MultipartError as error:
            # Here, because whoever reads a part's chunks meets it too.
            raise BadRequestError(f"the form is malformed or ends too early: {error}") from error
        while waiting:
            yield waiting.popleft()
        if not chunk:
            return


def _chunks(events: Iterator[MultipartSegment | bytes | bytearray | None]) -> Iterator[bytes]:
    for event in events:
        if event is None:
            return
        assert not isinstance(event, MultipartSegment)
        yield bytes(event)


def _name_of(segment: MultipartSegment) -> str | None:
    """Return the file name as sent, folders included; clients send ``filename*`` against RFC 7578 §4.2."""
    filename: str | None = segment.filename
    return filename
