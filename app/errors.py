"""Errors of the service above the engine, and the one table that maps error classes to HTTP.

Only this module knows HTTP statuses below the web edge; services raise and never answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gitops import errors as engine


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One thing wrong with a request: ``pointer`` is a JSON pointer (RFC 6901) into it."""

    pointer: str
    detail: str


class AppError(Exception):
    """Anything the service refuses. The message is shown to the user."""

    code: ClassVar[str] = "app_error"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.error_code = code or self.code
        self.retry_after_s = retry_after_s


class BadRequestError(AppError):
    """The request contradicts itself or the rules of the service."""

    code = "bad_request"


class LengthRequiredError(AppError):
    """The body must announce its length, or nobody could tell whether all of it arrived."""

    code = "length_required"


class UnauthenticatedError(AppError):
    """The request needs a credential, or the one it carries is not valid."""

    code = "unauthenticated"


class ForbiddenError(AppError):
    """The actor may know the thing but not do this to it."""

    code = "forbidden"


class MissingError(AppError):
    """The thing does not exist, or the actor may not know that it does: the same answer."""

    code = "not_found"


class TakenError(AppError):
    """A name is taken, or a once-only choice was made already."""

    code = "conflict"


class PreconditionError(AppError):
    """A condition that the caller set does not hold any more."""

    code = "precondition_failed"


class GoneError(AppError):
    """The thing existed and will not come back (an expired upload, damaged bytes)."""

    code = "gone"


class ValidationError(AppError):
    """Fields of the request are wrong; ``faults`` names each."""

    code = "validation"

    def __init__(self, message: str, faults: Sequence[FieldFault] = (), *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.faults = tuple(faults)


class TooLargeError(AppError):
    """The request is larger than the service takes in one piece."""

    code = "too_large"


class QuotaError(AppError):
    """The site or the owner's quota has no room."""

    code = "quota_exceeded"


class ThrottledError(AppError):
    """Too many requests; ``retry_after_s`` says when to come back."""

    code = "throttled"


class UnsupportedError(AppError):
    """This installation cannot do it."""

    code = "unsupported"


# Ordered: the first base class that matches decides, so a new subclass needs no line here.
STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (MissingError, 404),
    (TakenError, 409),
    (GoneError, 410),
    (LengthRequiredError, 411),
    (PreconditionError, 412),
    (TooLargeError, 413),
    (ValidationError, 422),
    (ThrottledError, 429),
    (UnsupportedError, 501),
    (QuotaError, 507),
    (BadRequestError, 400),
    (engine.StorageFullError, 507),
    (engine.UnavailableError, 503),
    (engine.InvalidError, 400),
    (engine.NotFoundError, 404),
    (engine.ConflictError, 409),
    (engine.IntegrityError, 500),
)


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of an error of ours, or None for a foreign exception."""
    return next((status for base, status in STATUS if isinstance(error, base)), None)


def code_of(error: Exception) -> str:
    """Return the stable code that clients may rely on."""
    if isinstance(error, AppError):
        return error.error_code
    return str(getattr(error, "code", "internal_error"))
