"""What the client raises, and how an answer of the service becomes one of these.

``exit_code`` is what the command line ends with: 1 error, 2 usage, 3 partial or verification failed,
4 not allowed, 5 not found.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class CairnError(Exception):
    """Anything the client or the service refuses or fails to do.

    Attributes:
        code: the service's stable ``error_code``, or the client's own.
        status: the HTTP status of the answer; None where there was no answer.
        paths: the dataset paths concerned, if the service named any.
        request_id: what to quote when asking for help.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int | None = None,
        paths: Sequence[str] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.status = status
        self.paths = tuple(paths)
        self.request_id = request_id


class InvalidError(CairnError):
    """The service finds the request malformed."""

    default_code = "invalid"


class AddressError(CairnError):
    """A dataset address, an endpoint or another argument cannot be read."""

    exit_code = 2
    default_code = "invalid_address"


class NotAllowedError(CairnError):
    """The credential is missing, not valid or not enough."""

    exit_code = 4
    default_code = "not_allowed"


class NotFoundError(CairnError):
    """The thing does not exist, is gone, or the caller may not know that it exists."""

    exit_code = 5
    default_code = "not_found"


class ConflictError(CairnError):
    """The state of the dataset contradicts the request; ``paths`` may say where."""

    default_code = "conflict"


class UnavailableError(CairnError):
    """The service or the storage did not answer properly, after all retries."""

    default_code = "unavailable"


class LocalFileError(CairnError):
    """A local file or folder cannot be used as asked."""

    default_code = "local_file"


class VerificationError(CairnError):
    """Bytes do not hash to what the version says."""

    exit_code = 3
    default_code = "verification_failed"


class PartialError(CairnError):
    """Some files of a transfer failed; the others are complete.

    Attributes:
        failures: why, by dataset path.
    """

    exit_code = 3
    default_code = "partial"

    def __init__(self, message: str, failures: Mapping[str, str]) -> None:
        super().__init__(message, paths=tuple(failures))
        self.failures = dict(failures)


_BY_STATUS: Mapping[int, type[CairnError]] = {
    400: InvalidError,
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    412: ConflictError,
    422: InvalidError,
}


def error_of(status: int, problem: Mapping[str, Any], *, request_id: str = "") -> CairnError:
    """Return the exception for an answer with this status and problem document (RFC 9457)."""
    kind = _BY_STATUS.get(status, UnavailableError if status >= 500 or status == 429 else CairnError)  # noqa: PLR2004 - HTTP's own numbers
    message = str(problem.get("detail") or problem.get("message") or problem.get("title") or f"HTTP {status}")
    faults = [
        f"{fault.get('pointer')}: {fault.get('detail')}"
        for fault in problem.get("errors") or ()
        if str(fault.get("detail")) not in message
    ]
    return kind(
        "; ".join([message, *faults]),
        code=str(problem.get("error_code") or ""),
        status=status,
        paths=[str(path) for path in problem.get("paths") or ()],
        request_id=request_id or str(problem.get("instance") or ""),
    )
