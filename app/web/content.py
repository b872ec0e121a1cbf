"""Sending bytes whose size is known: ranges, conditions, digests, and headers that keep them from running."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from app.web.caching import Freshness, stamped

_RANGE_UNIT = "bytes="
_RANGE = re.compile(r"(?P<first>[0-9]{0,19})-(?P<last>[0-9]{0,19})", re.ASCII)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 !#$&'()+,.;=@\[\]^_`{}~-]")

# A user's file never runs in our origin, whatever it is and however it is opened.
SANDBOX = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# What a browser would run, or render as a document, were it ever shown inline.
_ACTIVE = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/pdf",
        "application/vnd.adobe.flash.movie",
        "application/x-javascript",
        "application/x-shockwave-flash",
        "application/xml",
        "application/xml-dtd",
        "message/rfc822",
        "multipart/related",
        "text/css",
        "text/ecmascript",
        "text/html",
        "text/javascript",
        "text/x-component",
        "text/xml",
        "text/xsl",
    }
)
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes ``start <= position < stop`` of something."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes they are."""
        return self.stop - self.start

    def header(self, size: int) -> str:
        """Return the value of ``Content-Range`` (RFC 9110 §14.4)."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to send as a file.

    Attributes:
        size: bytes.
        sha256: of all of them in hexadecimal digits, where it is known.
        read: yields the bytes of a range; called only if they are wanted.
    """

    name: str
    media_type: str
    size: int
    sha256: str | None
    read: Callable[[ByteRange], Iterable[bytes]]


def content_answer(content: Content, freshness: Freshness) -> Response:
    """Return 200, or 206 for a range that still belongs to what the client holds.

    Raises:
        RequestedRangeNotSatisfiable: no range that was asked for lies inside.
    """
    wanted = _wanted_range(content.size, freshness)
    span = wanted or ByteRange(0, content.size)
    body: Iterable[bytes] = () if request.method == "HEAD" else content.read(span)
    response = Response(body, 206 if wanted else 200)
    if wanted:
        response.headers["Content-Range"] = wanted.header(content.size)
    response.headers["Content-Length"] = str(span.size)
    response.headers["Accept-Ranges"] = "bytes"
    return described(response, content, freshness)


def described(response: Response, content: Content, freshness: Freshness) -> Response:
    """Return the response with the headers of a user's file, which do not depend on the range."""
    headers = response.headers
    headers["Content-Type"] = content.media_type
    headers["Content-Disposition"] = attachment(content.name)
    headers.update(SANDBOX)
    if content.sha256:
        headers["Repr-Digest"] = f"sha-256=:{b64encode(bytes.fromhex(content.sha256)).decode()}:"
    return stamped(response, freshness)


def inert_media_type(media_type: str) -> str:
    """Return the media type to send a user's file with: never one that a browser would run."""
    if media_type in _ACTIVE or media_type.endswith("+xml"):
        return _UNKNOWN
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def attachment(name: str) -> str:
    """Return a ``Content-Disposition`` that saves under this name (RFC 6266, RFC 8187)."""
    plain = _NOT_PLAIN.sub("_", name)
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


def _wanted_range(size: int, freshness: Freshness) -> ByteRange | None:
    header = request.headers.get("Range")
    if header is None or request.method != "GET":
        return None
    condition = request.headers.get("If-Range")
    # Compared strongly (RFC 9110 §13.1.5); a date never matches, as nothing here has one.
    if condition is not None and condition.strip() != f'"{freshness.etag}"':
        return None
    return find_range(header, size)


def find_range(header: str, size: int) -> ByteRange | None:
    """Return the first range that a ``Range`` header asks for and that lies inside ``size`` bytes.

    None for a header in another unit or form: RFC 9110 §14.2 lets it be ignored. Of several ranges the
    first one that lies inside is answered, which §15.3.7 allows.

    Raises:
        RequestedRangeNotSatisfiable: the header is well formed and no range lies inside.
    """
    if header[: len(_RANGE_UNIT)].lower() != _RANGE_UNIT:
        return None
    found: ByteRange | None = None
    for one in header[len(_RANGE_UNIT) :].split(","):
        parts = _RANGE.fullmatch(one.strip())
        if parts is None or not (parts["first"] or parts["last"]):
            return None
        if parts["first"] and parts["last"] and int(parts["last"]) < int(parts["first"]):
            return None
        found = found or _inside(parts["first"], parts["last"], size)
    if found is None:
        raise RequestedRangeNotSatisfiable(size)
    return found


def _inside(first: str, last: str, size: int) -> ByteRange | None:
    if first:
        start = int(first)
        stop = min(int(last) + 1, size) if last else size
    else:
        start, stop = max(size - int(last), 0), size
    return ByteRange(start, stop) if start < stop else None
