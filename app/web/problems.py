"""Any exception becomes one problem: ``application/problem+json`` (RFC 9457) or a page."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

import orjson
from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from app.errors import AppError, MissingError, ValidationError, code_of, status_of
from app.web.context import request_id
from gitops.errors import GitopsError, IntegrityError

log = logging.getLogger("cairn.web")

PROBLEM_JSON = "application/problem+json"
MACHINE_PREFIXES = ("/api/", "/dvc/", "/hf/", "/s3/", "/healthz", "/readyz", "/metrics")
RETRY_S = 5
MAX_PATHS = 100
MAX_HEADER = 200

# Codes that are named where they are raised, beside those that classes carry.
SPOKEN_CODES: Mapping[str, str] = {
    "bytes_missing": "A commit names bytes that the dataset does not hold; `paths` says which. Upload them.",
    "csrf": "A change came with a cookie but did not prove that it comes from our own pages.",
    "expired_token": "The token's last day has passed. Make a new one.",
    "idempotency_key_in_use": "The first request with this Idempotency-Key is still being answered.",
    "idempotency_key_reused": "This Idempotency-Key was used for a different request.",
    "insufficient_scope": "The token was issued for reading only.",
    "internal_error": "The service failed; the request id leads to the reason in its log.",
    "invalid_json": "The body is not JSON.",
    "invalid_token": "No such token, or it was revoked.",
    "last_owner": "A namespace keeps at least one owner.",
    "method_not_allowed": "This address does not know this method; `Allow` names those that it knows.",
    "not_empty": "It still holds something that must be moved or deleted first.",
    "object_gone": "The bytes are known to be damaged or were removed from the storage site.",
    "storage_site_bound": "The storage site of a dataset is chosen once and never changes.",
    "storage_site_unbound": "The dataset has no storage site yet, so it has no place for bytes.",
    "storage_site_in_use": "Datasets are bound to this storage site.",
    "untrusted_host": "The request names a host that this service does not answer for.",
    "visibility_above_namespace": "A thing cannot be more visible than the namespace that it lies in.",
    "wrong_credentials": "The name or the password is wrong.",
}
_HTTP_CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "bad_request",
    411: "length_required",
    412: "precondition_failed",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "throttled",
    503: "unavailable",
}
_HTTP_DETAILS = {
    404: "there is nothing at this address",
    405: "this address does not know this method",
    413: "the request is larger than the service takes in one piece",
    416: "the range lies outside of the file",
}


@dataclass(frozen=True, slots=True)
class Fields:
    """One problem, before it is written as JSON or HTML."""

    status: int
    code: str
    detail: str
    errors: tuple[Mapping[str, str], ...] = ()
    paths: tuple[str, ...] = ()
    head: str | None = None
    retry_after_s: int | None = None

    @property
    def title(self) -> str:
        """The code as words."""
        return self.code.replace("_", " ").capitalize()


def install(app: Flask) -> None:
    """Answer every exception of the application with a problem."""
    app.register_error_handler(Exception, answer)
    app.register_blueprint(pages)


def answer(error: Exception) -> Response:
    """Return the answer to any exception; foreign ones are logged and say nothing."""
    if isinstance(error, RequestRedirect):
        return Response(status=error.code, headers={"Location": error.new_url})
    fields = _fields_of(error)
    response = _as_text(fields) if _is_git() else _as_json(fields) if wants_json() else _as_page(fields)
    if isinstance(error, HTTPException):
        _keep_headers(error, response)
    if fields.status == 401 and wants_json():  # noqa: PLR2004 - the status, as everybody knows it
        _challenge(response)
    if fields.retry_after_s is not None:
        response.headers["Retry-After"] = str(fields.retry_after_s)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Error-Code"] = fields.code
    response.headers["X-Error-Message"] = (
        fields.detail.encode("ascii", "replace").decode()[:MAX_HEADER].replace("\n", " ").replace("\r", " ")
    )
    return response


def is_machine_address() -> bool:
    """Tell whether the address is one that programs use."""
    return request.path.startswith(MACHINE_PREFIXES) or ".git/" in request.path


def wants_json() -> bool:
    """Tell whether a program asks: by the address, or by what it accepts."""
    if is_machine_address():
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json", PROBLEM_JSON])
    return best is not None and best != "text/html"


def known_codes() -> dict[str, str]:
    """Return every stable code with the sentence that explains it."""
    codes = dict(SPOKEN_CODES)
    codes["range_not_satisfiable"] = "The range lies outside of the file."
    for error_class in _family(AppError, GitopsError):
        codes[error_class.code] = " ".join((error_class.__doc__ or "").split("\n\n")[0].split())  # type: ignore[attr-defined]  # both trees carry it
    return codes


def _family(*bases: type[Exception]) -> Iterator[type[Exception]]:
    for base in bases:
        yield base
        yield from _family(*base.__subclasses__())


def _fields_of(error: Exception) -> Fields:
    status = status_of(error)
    if status is not None:
        return _own(error, status)
    if isinstance(error, HTTPException) and error.code is not None:
        return _foreign_http(error, error.code)
    log.error("request.failed", exc_info=error, extra={"request_id": request_id()})
    return Fields(500, "internal_error", f"the service failed; the log knows more under {request_id()}")


def _own(error: Exception, status: int) -> Fields:
    if isinstance(error, IntegrityError):
        log.error("request.integrity", exc_info=error, extra={"request_id": request_id()})
    faults = error.faults if isinstance(error, ValidationError) else ()
    retry = getattr(error, "retry_after_s", None)
    return Fields(
        status=status,
        code=code_of(error),
        detail=str(error),
        errors=tuple({"pointer": fault.pointer, "detail": fault.detail} for fault in faults),
        paths=tuple(getattr(error, "paths", ()))[:MAX_PATHS],
        head=getattr(error, "head", None),
        retry_after_s=retry if retry is not None else _default_retry(status),
    )


def _default_retry(status: int) -> int | None:
    return RETRY_S if status in {429, 503, 507} else None


def _foreign_http(error: HTTPException, status: int) -> Fields:
    code = "untrusted_host" if type(error).__name__ == "SecurityError" else _HTTP_CODES.get(status)
    detail = _HTTP_DETAILS.get(status) or str(error.description or error.name)
    return Fields(status, code or "bad_request", detail, retry_after_s=_default_retry(status))


def _as_json(fields: Fields) -> Response:
    body: dict[str, object] = {
        "type": f"/problems/{fields.code}",
        "title": fields.title,
        "status": fields.status,
        "detail": fields.detail,
        "instance": f"urn:request:{request_id()}",
        "message": fields.detail,
        "error_code": fields.code,
    }
    optional = {"errors": fields.errors, "paths": fields.paths, "head": fields.head}
    body.update({key: value for key, value in optional.items() if value})
    return Response(orjson.dumps(body), fields.status, content_type=PROBLEM_JSON)


def _is_git() -> bool:
    return ".git/" in request.path and request.headers.get("User-Agent", "").startswith("git/")


def _as_text(fields: Fields) -> Response:
    """Return the one form of a problem that git shows to its user, as ``remote:`` lines."""
    return Response(f"{fields.detail}\n", fields.status, content_type="text/plain; charset=utf-8")


def _as_page(fields: Fields) -> Response:
    if fields.status == 401 and request.method == "GET":  # noqa: PLR2004 - the status, as everybody knows it
        query = request.query_string.decode("ascii", "replace")
        return _to_login(request.path + (f"?{query}" if query else ""))
    try:
        page = render_template("problems/problem.html", problem=fields, request_id=request_id())
    except Exception:
        # A page that cannot be rendered must not hide the problem that it was to show.
        log.exception("problem.page")
        page = f"<!doctype html><title>{fields.status}</title><p>{escape(fields.detail)}</p>"
    return Response(page, fields.status, mimetype="text/html")


def _to_login(target: str) -> Response:
    response = redirect(url_for("accounts.login", next=target), 303)
    return Response(
        response.get_data(), 303, {"Location": response.headers["Location"]}, mimetype="text/html"
    )


def _keep_headers(error: HTTPException, response: Response) -> None:
    for name, value in error.get_headers(request.environ):
        if name in {"Allow", "Content-Range", "Retry-After"}:
            response.headers[name] = value


def _challenge(response: Response) -> None:
    """Ask for credentials; not for Basic in a browser, which would show its own dialog."""
    response.headers.add("WWW-Authenticate", 'Bearer realm="cairn"')
    if "Sec-Fetch-Mode" not in request.headers:
        response.headers.add("WWW-Authenticate", 'Basic realm="cairn", charset="UTF-8"')


pages = Blueprint("problems", __name__)


@pages.get("/problems/<code>")
def show_problem(code: str) -> Response:
    """Explain one kind of problem; the address is the ``type`` of the JSON form."""
    meaning = known_codes().get(code)
    if meaning is None:
        raise MissingError(f"there is no kind of problem called {code!r}")
    return Response(render_template("problems/kind.html", code=code, meaning=meaning), mimetype="text/html")
