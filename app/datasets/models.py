"""What a dataset is to the service: identity, owner, visibility. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from app.access import AccessLevel, UserId, Visibility
from app.errors import FieldFault, ValidationError
from gitops.model import Md5, RefName

DatasetId = NewType("DatasetId", int)

DEFAULT_BRANCH = RefName("main")
MAX_NAME = 255
MAX_PATH = 100
MAX_DESCRIPTION = 2000
MAX_TOPICS = 30
MAX_TOPIC = 60

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NOT_IN_PATH = re.compile(r"[^A-Za-z0-9_.-]+")
_RESERVED_ENDINGS = (".git", ".atom", ".lock")


class Kind(StrEnum):
    """What a repository is for: a dataset holds data, a project pins datasets and holds work on them."""

    DATASET = "dataset"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset: a repository, a pool and who may use them.

    Attributes:
        kind: projects share ids, paths, members and doors with datasets, and are listed apart.
        site_id: the storage site it is bound to for ever, or None before the choice.
        push_level: the least level that may change the default branch.
        deletion_due: when a scheduled deletion becomes final; None for a living dataset.
        is_ready: it has its repository; False while it is created, and once its purge has begun.
    """

    id: DatasetId
    namespace_id: int
    namespace_path: str
    path: str
    name: str
    description: str
    visibility: Visibility
    default_branch: RefName
    push_level: AccessLevel
    topics: tuple[str, ...]
    site_id: int | None
    created_at: datetime
    updated_at: datetime
    created_by: UserId | None
    deletion_due: datetime | None
    is_ready: bool = True
    kind: Kind = Kind.DATASET

    @property
    def full_path(self) -> str:
        """``namespace/path``: the address that people type."""
        return f"{self.namespace_path}/{self.path}"


@dataclass(frozen=True, slots=True)
class Member:
    """A user's own level on one dataset."""

    user_id: UserId
    username: str
    name: str
    level: AccessLevel
    is_inherited: bool = False


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What the ledger knows of one object; hashes were computed here, from the bytes themselves.

    Attributes:
        is_legacy: the address is the MD5 of the LF form of a text, as DVC 2 computed it.
        damaged_at: when the stored bytes were found to be wrong; None while they are right.
    """

    address: Md5
    size: int
    sha256: str
    crc32: str
    is_legacy: bool = False
    damaged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DatasetFilter:
    """Which datasets a list shows; None means any."""

    kind: Kind = Kind.DATASET
    search: str | None = None
    topic: str | None = None
    visibility: Visibility | None = None
    namespace_id: int | None = None
    site_id: int | None = None


def checked_name(name: str) -> str:
    """Return a display name without surrounding space. Raises ValidationError."""
    text = " ".join(unicodedata.normalize("NFC", name).split())
    if not text or len(text) > MAX_NAME or any(map(_is_control, text)):
        raise ValidationError(
            f"a name needs 1 to {MAX_NAME} printable characters",
            [FieldFault("/name", f"1 to {MAX_NAME} printable characters")],
        )
    return text


def path_of_name(name: str) -> str:
    """Return the path that a name suggests: ``Cell images`` → ``cell-images``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    path = _NOT_IN_PATH.sub("-", plain).strip("-.")
    if path and not path[0].isalpha() and path[0] != "_":
        path = f"dataset-{path}"
    return path[:MAX_PATH].rstrip("-.")


def checked_path(path: str) -> str:
    """Return a path that can stand in a URL beside its namespace. Raises ValidationError."""
    wrong = not _PATH.fullmatch(path) or len(path) > MAX_PATH or path.endswith((".", "-"))
    if wrong or path.casefold().endswith(_RESERVED_ENDINGS):
        raise ValidationError(
            f"{path[:MAX_PATH]!r} cannot be a dataset's path: it begins with a letter, goes on with letters, "
            "digits, '_', '-' and '.', and does not end in '.git'; give `path` if the name suggests none",
            [FieldFault("/path", "letters, digits, '_', '-', '.'; begins with a letter")],
        )
    return path


def checked_topics(topics: list[str]) -> tuple[str, ...]:
    """Return topics without repeats, in the order given. Raises ValidationError."""
    cleaned = tuple(dict.fromkeys(" ".join(topic.split()) for topic in topics if topic.strip()))
    if len(cleaned) > MAX_TOPICS or any(not _is_topic(topic) for topic in cleaned):
        raise ValidationError(
            f"at most {MAX_TOPICS} topics of up to {MAX_TOPIC} characters without commas",
            [FieldFault("/topics", f"at most {MAX_TOPICS} of up to {MAX_TOPIC} characters, no commas")],
        )
    return cleaned


def _is_topic(text: str) -> bool:
    return len(text) <= MAX_TOPIC and "," not in text and not any(map(_is_control, text))


def _is_control(char: str) -> bool:
    return unicodedata.category(char) == "Cc"


def checked_description(description: str) -> str:
    """Return the description. Raises ValidationError if it is too long or holds a NUL."""
    if len(description) > MAX_DESCRIPTION or "\0" in description:
        raise ValidationError(
            f"a description has at most {MAX_DESCRIPTION} characters; the README holds the rest",
            [FieldFault("/description", f"at most {MAX_DESCRIPTION} characters")],
        )
    return description.strip()
