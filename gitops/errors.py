"""The exceptions that the versioning engine raises.

Every class carries a stable ``code`` that clients may rely on. Messages are written to be shown
to users: they name what was wrong and what to do, never a host, a server path or a secret.
"""

from collections.abc import Sequence
from typing import ClassVar


class GitopsError(Exception):
    """Anything the engine refuses or fails to do.

    Attributes:
        paths: the dataset paths concerned, if any.
        head: the commit id a branch was found at, where that helps to retry.
    """

    code: ClassVar[str] = "gitops_error"

    def __init__(self, message: str, *, paths: Sequence[str] = (), head: str | None = None) -> None:
        super().__init__(message)
        self.paths = tuple(paths)
        self.head = head


class InvalidError(GitopsError):
    """What was asked for is malformed."""

    code = "invalid"


class InvalidPathError(InvalidError):
    """A path is hostile, reserved or not portable."""

    code = "invalid_path"


class InvalidRefError(InvalidError):
    """A ref is malformed, ambiguous or could be read as an option or expression."""

    code = "invalid_ref"


class InvalidPointerError(InvalidError):
    """A DVC file is malformed or names something it must not."""

    code = "invalid_pointer"


class NothingToCommitError(InvalidError):
    """The edits leave the dataset exactly as it was."""

    code = "empty"


class NotFoundError(GitopsError):
    """Something named does not exist."""

    code = "not_found"


class RefNotFoundError(NotFoundError):
    """No branch, tag or commit has this name."""

    code = "ref_not_found"


class PathNotFoundError(NotFoundError):
    """Nothing lies at this path in this version."""

    code = "path_not_found"


class ObjectNotFoundError(NotFoundError):
    """The pool does not hold these bytes."""

    code = "object_not_found"


class ConflictError(GitopsError):
    """The state of the dataset contradicts the request."""

    code = "conflict"


class RefMovedError(ConflictError):
    """A branch moved while it was being written; the caller may retry."""

    code = "ref_moved"


class RefExistsError(ConflictError):
    """A branch or tag of this name exists already."""

    code = "ref_exists"


class EditConflictError(ConflictError):
    """Somebody else changed the same paths; ``paths`` names them."""

    code = "edit_conflict"


class PathClashError(ConflictError):
    """A file lies where a folder is needed, or two names differ only in case."""

    code = "path_clash"


class ReleaseImmutableError(ConflictError):
    """A release keeps its name for ever; it cannot be moved or reused."""

    code = "release_immutable"


class ObjectClashError(ConflictError):
    """Other bytes with the same MD5 are stored already."""

    code = "object_clash"


class IntegrityError(GitopsError):
    """Stored data contradicts itself; a person has to look."""

    code = "integrity"


class DigestMismatchError(InvalidError):
    """Bytes do not hash to the address, or have not the size, that they were announced with."""

    code = "digest_mismatch"


class UnavailableError(GitopsError):
    """A store or remote did not answer; the same request may succeed later."""

    code = "unavailable"


class StorageFullError(GitopsError):
    """The storage site has no room left."""

    code = "storage_full"
