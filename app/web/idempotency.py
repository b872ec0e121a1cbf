"""``Idempotency-Key``: a POST that is repeated with the same key is answered as it was the first time.

An answer may hold a secret, such as a new token, so it is kept encrypted.
"""

import hashlib
from datetime import timedelta

from flask import Flask, Response, g, request

from app.access import Action
from app.db import replies
from app.errors import BadRequestError, TakenError, ValidationError
from app.web.context import actor, services

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MAX_KEY = 255
MAX_KEPT_BYTES = 1 << 20
KEPT_HEADERS = ("Content-Type", "Location", "Link", "ETag", "X-Commit-Id", "X-Repo-Commit")
NOT_KEPT = frozenset({401, 403, 408, 429})
SWEEP_KIND = "replies.sweep"
SWEEP_EVERY = timedelta(hours=1)


def install(app: Flask) -> None:
    """Replay before the view, keep after it."""
    app.before_request(_replay)
    app.after_request(_keep)


def _replay() -> Response | None:
    key = request.headers.get(HEADER)
    user = actor().user
    if key is None or request.method != "POST" or user is None or not actor().may_write:
        return None  # what a token that only reads asks for is the view's to refuse
    if not key or len(key) > MAX_KEY:
        raise BadRequestError(f"{HEADER} must have 1 to {MAX_KEY} characters")
    ask = replies.Ask(user, key, request.method, request.full_path[:2000])
    fingerprint = _fingerprint()
    with services().database.transaction() as connection:
        earlier = replies.begin(connection, ask, fingerprint=fingerprint, now=services().clock())
    if earlier is None:
        g.idempotent_ask = ask
        return None
    if earlier.fingerprint != fingerprint:
        raise ValidationError(
            f"this {HEADER} was used for a different request", code="idempotency_key_reused"
        )
    if earlier.status is None:
        raise TakenError(
            "the first request with this key is still being answered",
            code="idempotency_key_in_use",
            retry_after_s=1,
        )
    _refuse_removed()
    headers = {**earlier.headers, REPLAYED: "true"}
    return Response(_opened(earlier.body), earlier.status, headers)


def _refuse_removed() -> None:
    """Raise MissingError for who may not know the dataset any more, whatever was answered before."""
    dataset = (request.view_args or {}).get("dataset")
    if dataset is not None:
        services().datasets.open(actor(), dataset, Action.SEE)


def _keep(response: Response) -> Response:
    ask = g.pop("idempotent_ask", None)
    if ask is None:
        return response
    with services().database.transaction() as connection:
        if _is_worth_keeping(response):
            headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
            body = _sealed(response.get_data())
            replies.finish(connection, ask, status=response.status_code, headers=headers, body=body)
        else:
            replies.forget(connection, ask)
    return response


def _is_worth_keeping(response: Response) -> bool:
    if response.status_code >= 500 or response.status_code in NOT_KEPT:  # noqa: PLR2004 - server errors
        return False
    return not response.is_streamed and (response.content_length or 0) <= MAX_KEPT_BYTES


def _sealed(body: bytes) -> bytes:
    return services().vault.encrypt({"body": body.decode("latin-1")})


def _opened(sealed: bytes) -> bytes:
    return services().vault.decrypt(sealed)["body"].encode("latin-1")


def _fingerprint() -> str:
    """Return a hash of what was sent: the body where it is small JSON, else only its kind and size."""
    digest = hashlib.sha256(f"{request.mimetype}\n{request.content_length}\n".encode())
    if request.is_json and (request.content_length or 0) <= MAX_KEPT_BYTES:
        digest.update(request.get_data())
    return digest.hexdigest()
