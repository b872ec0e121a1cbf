"""Caching of content: strong ETags, 304 after the permission check, immutable only for full ids."""

from dataclasses import dataclass

from flask import Response, request

from app.web.api import add_link, address_with

YEAR_S = 31_536_000


@dataclass(frozen=True, slots=True)
class Freshness:
    """What an answer about content is true of.

    Attributes:
        etag: strong, without quotes; what identifies the bytes of the answer.
        commit: the full id that the ref resolved to.
        is_pinned: the request named the full commit id, so the answer never changes.
        is_public: everybody may read the dataset, so shared caches may keep the answer.
    """

    etag: str
    commit: str
    is_pinned: bool
    is_public: bool

    @property
    def cache_control(self) -> str:
        """The header's value."""
        reach = "public" if self.is_public else "private"
        return f"{reach}, max-age={YEAR_S}, immutable" if self.is_pinned else f"{reach}, no-cache"


def find_not_modified(freshness: Freshness) -> Response | None:
    """Return 304 if the client holds this answer already, else None. Call it after the gate."""
    if request.method not in {"GET", "HEAD"} or not request.if_none_match.contains_weak(freshness.etag):
        return None
    return stamped(Response(status=304), freshness)


def stamped(response: Response, freshness: Freshness) -> Response:
    """Return the response with everything that an answer about content carries."""
    headers = response.headers
    headers["ETag"] = f'"{freshness.etag}"'
    headers["Cache-Control"] = freshness.cache_control
    headers["X-Commit-Id"] = freshness.commit
    headers["X-Repo-Commit"] = freshness.commit
    add_link(response, address_with(ref=freshness.commit), "canonical")
    return response


def edit_condition_holds(current_etag: str | None) -> bool:
    """Tell whether ``If-Match`` and ``If-None-Match: *`` allow a write (RFC 9110 §13.1).

    Args:
        current_etag: of what the write would replace, without quotes; None if there is nothing.
    """
    if request.headers.get("If-Match"):
        wanted = request.if_match
        if current_etag is None or not (wanted.star_tag or wanted.contains(current_etag)):
            return False
    if request.headers.get("If-None-Match") and current_etag is not None:
        unwanted = request.if_none_match
        return not (unwanted.star_tag or unwanted.contains(current_etag))
    return True
