"""Who asks, whether a cookie may be trusted for a change, and the headers of every answer."""

from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from app.access import Actor
from app.errors import ForbiddenError, UnauthenticatedError
from app.web import sessions
from app.web.context import NOBODY, CredentialSource, Identity, identity, services
from app.web.guards import CSRF_FIELD
from app.web.problems import is_machine_address
from app.web.streamed_forms import is_streamed_form

TOKEN_COOKIE = "tokenGitLab"  # noqa: S105 - a cookie's name
CSRF_HEADER = "X-CSRF-Token"
TOKEN_HEADERS = ("PRIVATE-TOKEN", "JOB-TOKEN")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
MAX_TOKEN = 512

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "font-src 'self'",
    "media-src 'self' blob:",
)
CONTENT_SECURITY_POLICY = "; ".join(_POLICY)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
VARY = "Cookie, Authorization, PRIVATE-TOKEN, JOB-TOKEN"
STRICT_TRANSPORT = "max-age=31536000"
_UNAUTHENTICATED_ENDPOINTS = frozenset({"static", "api_health.healthz_get", "api_health.readyz_get"})


def install(app: Flask) -> None:
    """Identify before every view, refuse forged changes, put headers on every answer."""
    sessions.install(app)
    app.before_request(_identify)
    app.before_request(_refuse_forgery)
    app.after_request(_add_headers)
    app.jinja_env.globals["csrf_token"] = sessions.csrf_token


def _identify() -> None:
    if request.endpoint in _UNAUTHENTICATED_ENDPOINTS:
        g.identity = NOBODY
        return
    g.identity = _from_headers() or _from_cookies() or NOBODY


def _from_headers() -> Identity | None:
    """Return who a header names; one that names nobody is refused, never taken for a visitor."""
    token = _header_token()
    if token is None:
        return None
    return Identity(_actor_of(token), CredentialSource.HEADER)


def _header_token() -> str | None:
    for name in TOKEN_HEADERS:
        if name in request.headers:
            return request.headers[name]
    raw = request.headers.get("Authorization")
    if not raw:
        return None
    if raw[:7].lower() == "bearer ":
        return raw[7:].strip()
    authorization = request.authorization
    if authorization is not None and authorization.type == "basic":
        # git and DVC ask without a password first and learn from the challenge.
        return authorization.password or ""
    raise UnauthenticatedError("this kind of Authorization is not known here", code="invalid_token")


def _actor_of(token: str) -> Actor:
    if len(token) > MAX_TOKEN:
        raise UnauthenticatedError("no such token, or it was revoked", code="invalid_token")
    return services().accounts.actor_of_token(token)


def _from_cookies() -> Identity | None:
    token = request.cookies.get(TOKEN_COOKIE)
    if token:
        try:
            return Identity(_actor_of(token), CredentialSource.TOKEN_COOKIE)
        except UnauthenticatedError:
            # A stale cookie must not lock a person out of the sign-in page; a program is told.
            if is_machine_address():
                raise
    actor = sessions.find_actor()
    return None if actor is None else Identity(actor, CredentialSource.SESSION)


def _refuse_forgery() -> None:
    """Refuse changes that a foreign page may have started in the visitor's browser.

    Decided for each request: a header credential proves itself, a cookie proves nothing.
    """
    source = identity().source
    if request.method in SAFE_METHODS or source is CredentialSource.HEADER:
        return
    if source is CredentialSource.NONE and is_machine_address():
        return  # nothing here speaks for the visitor; what he accepts does not count, a script can set it
    if not _may_be_same_origin():
        raise ForbiddenError("the request comes from another site", code="csrf")
    if source is CredentialSource.TOKEN_COOKIE and _is_same_origin():
        return
    if is_streamed_form() and CSRF_HEADER not in request.headers:
        return  # the token is the form's first part, and is checked there
    if not sessions.is_csrf_token(_sent_csrf_token()):
        if source is CredentialSource.TOKEN_COOKIE and is_machine_address():
            reason = f"the cookie {TOKEN_COOKIE} only reads; send the token as the header PRIVATE-TOKEN"
        else:
            reason = "the form is too old or was not ours; load the page again and repeat"
        raise ForbiddenError(reason, code="csrf")


def _sent_csrf_token() -> str | None:
    header = request.headers.get(CSRF_HEADER)
    if header is not None or request.mimetype not in FORM_TYPES:
        return header
    if is_machine_address():
        # A streamed upload must not be parsed here; scripts send the header.
        return None
    return request.form.get(CSRF_FIELD)


def _is_same_origin() -> bool:
    """Tell whether the browser says that one of our own pages asks."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin" and _may_be_same_origin()
    return "Origin" in request.headers and _may_be_same_origin()


def _may_be_same_origin() -> bool:
    """Tell whether nothing says that a foreign page asks."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    parts = urlsplit(services().config.public_url)
    return origin in {f"{parts.scheme}://{parts.netloc}", request.host_url.rstrip("/")}


def _add_headers(response: Response) -> Response:
    headers = response.headers
    # One pass over what is there: setdefault for each would search the list every time.
    present = {name.lower() for name, _ in headers}
    headers.extend([(name, value) for name, value in HEADERS.items() if name.lower() not in present])
    if services().config.is_https:
        headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    if request.endpoint != "static":
        headers["Vary"] = VARY
        headers.setdefault("Cache-Control", "private, no-cache")
    return response
