"""What the edge asks before a view runs: signed in, administrator, scope. The rest is the services' gate."""

from enum import StrEnum

from app.errors import ForbiddenError, UnauthenticatedError
from app.web.context import actor

CSRF_FIELD = "csrf_token"


class Role(StrEnum):
    """The least role of an operation, ``x-min-role`` in the document; GitLab's words."""

    ANONYMOUS = "anonymous"
    USER = "user"
    GUEST = "guest"
    REPORTER = "reporter"
    DEVELOPER = "developer"
    MAINTAINER = "maintainer"
    OWNER = "owner"
    ADMIN = "admin"


# Public things are read by visitors; everything else is for people with a name.
_FOR_VISITORS = frozenset({Role.ANONYMOUS, Role.GUEST, Role.REPORTER})


def require(role: Role, *, is_change: bool) -> None:
    """Refuse whom the route cannot serve, whatever it is about, before anything is looked up.

    Raises:
        UnauthenticatedError: nobody signed in, and the route needs somebody.
        ForbiddenError: only administrators may, or the token may only read.
    """
    caller = actor()
    if role not in _FOR_VISITORS and caller.is_anonymous:
        raise UnauthenticatedError("sign in or send a token")
    if role is Role.ADMIN and not caller.is_admin:
        raise ForbiddenError("only administrators may do this")
    if is_change and not caller.is_anonymous and not caller.may_write:
        raise ForbiddenError("this token may only read; it needs the scope 'api'", code="insufficient_scope")
