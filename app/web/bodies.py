"""Request bodies that stream, and the proof that they arrived whole.

The WSGI server ends the input silently when a client goes away (docs/adr/0012), so a body counts as
whole only if as many bytes came as were announced, or if it proves itself.
"""

import io
from collections.abc import Callable
from typing import ClassVar

from flask import request

from app.errors import BadRequestError, LengthRequiredError

READ_BYTES = 1 << 20


class UnsupportedMediaTypeError(BadRequestError):
    """The body has a media type that this route does not read."""

    code = "unsupported_media_type"


class TruncatedBodyError(BadRequestError):
    """The connection ended before the whole body arrived; nothing was changed."""

    code = "truncated_body"


class BodyStream(io.RawIOBase):
    """The raw bytes of a request; memory stays flat however long it is.

    Args:
        source: the server's input.
        expected: bytes announced, or None for a body that proves itself.
    """

    buffer_bytes: ClassVar[int] = READ_BYTES

    def __init__(self, source: Callable[[int], bytes], expected: int | None) -> None:
        super().__init__()
        self._source = source
        self._left = expected

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower: bytes only
        """Fill the buffer as far as bytes are there.

        Raises:
            TruncatedBodyError: the client went away.
        """
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def read(self, size: int | None = -1) -> bytes:
        """Return up to ``size`` bytes, all that is left for -1; empty at the end.

        Raises:
            TruncatedBodyError: the client went away.
        """
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(READ_BYTES), b""))
        if self._left is not None:
            size = min(size, self._left)
        if size == 0:
            return b""
        chunk = self._source(size)
        if self._left is not None:
            if not chunk:
                raise TruncatedBodyError("the connection ended before the whole body arrived")
            self._left -= len(chunk)
        return chunk


def raw_body() -> BodyStream:
    """Return the body as a stream, without any size limit, checked against ``Content-Length``.

    Raises:
        LengthRequiredError: the client announced no length.
    """
    if request.content_length is None and _is_chunked():
        raise LengthRequiredError(
            "send Content-Length: without it nobody can tell whether all bytes arrived "
            "(curl -T FILE does; a pipe does not)"
        )
    return BodyStream(_source(), request.content_length or 0)


def self_checking_body() -> BodyStream:
    """Return the body as a stream for a format that detects its own truncation.

    That is multipart (closing boundary), git (pack checksum), or bytes whose hash is in the address.
    """
    if request.content_length is None and _is_chunked():
        return BodyStream(_source(), None)
    return BodyStream(_source(), request.content_length or 0)


def _is_chunked() -> bool:
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


def _source() -> Callable[[int], bytes]:
    source: Callable[[int], bytes] = request.environ["wsgi.input"].read
    return source
