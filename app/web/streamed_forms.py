"""Forms with files that are read while they arrive: the CSRF token comes first, before any byte is kept."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, current_app, request

from app.errors import ForbiddenError
from app.web import sessions
from app.web.guards import CSRF_FIELD
from app.web.multipart_stream import multipart_parts


@dataclass(frozen=True, slots=True)
class StreamedForm:
    """A view that reads a multipart form part by part; it runs only if the first part is the token.

    Flask would parse the whole form to find the token, and spool every file on the way. The general
    check leaves such views alone; this one cannot be reached without making up for it.
    """

    view: Callable[..., Response]

    def __call__(self, **segments: str) -> Response:
        """Check the token and hand on the parts that follow it.

        Raises:
            ForbiddenError: the first part is not this session's token (code ``csrf``).
        """
        parts = multipart_parts()
        first = next(parts, None)
        if first is None or first.name != CSRF_FIELD or not sessions.is_csrf_token(first.text()):
            raise ForbiddenError(
                "the form is too old or was not ours; load the page again and repeat", code="csrf"
            )
        return self.view(parts=parts, **segments)


def is_streamed_form() -> bool:
    """Tell whether the view of this request checks the token by itself."""
    return isinstance(current_app.view_functions.get(request.endpoint or ""), StreamedForm)
