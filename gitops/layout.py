"""Which repository path holds what; what a dataset's repository begins with. Pure."""

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gitops.errors import InvalidPathError
from gitops.model import RepoPath

POINTER_SUFFIX = ".dvc"
DVC_CONFIG = RepoPath(".dvc/config")
DATASET_FILE = RepoPath(".cairn/dataset.yaml")
BINDING_PATHS = (RepoPath(".dvc"), DATASET_FILE)
README = RepoPath("README.md")
GIT_IGNORE = RepoPath(".gitignore")
LOCK_FILE = "dvc.lock"
PIPELINE_FILE = "dvc.yaml"

MAX_TEXT_BYTES = 512 * 1024
_REPLACEMENT = "\ufffd"
"""What decoders put where bytes are no UTF-8; readers refuse such names, so writers do."""

# Small text that people read and edit in git; everything else is a data file behind a pointer.
TEXT_PATTERNS = ("README*", "LICENSE*", "LICENCE*", "CITATION*", "*.md", "*.yaml", "*.yml", "*.cff")

_RESERVED_FOLDERS = frozenset({".dvc", ".cairn"})
_RESERVED_NAMES = frozenset(
    {".gitignore", ".gitattributes", ".gitmodules", ".dvcignore", ".mailmap", "dvc.lock", "dvc.yaml"}
)
_HIDDEN_NAMES = frozenset({".gitignore", ".gitattributes", ".gitmodules", ".dvcignore", ".mailmap"})


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """The storage site that a dataset is bound to, as its repository records it."""

    id: int
    name: str
    provider: str
    url: str
    """Address of the pool itself, without credentials."""


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """What ``.cairn/dataset.yaml`` and ``.dvc/config`` say about a dataset."""

    id: int
    dvc_url: str
    site: SiteRecord | None


def pointer_path(path: str) -> RepoPath:
    """Return where the pointer of a data file lies."""
    return RepoPath(path + POINTER_SUFFIX)


def is_hidden(path: str) -> bool:
    """Tell whether a path belongs to the product or to git, not to the dataset's content."""
    first, _, _ = path.partition("/")
    return first.casefold() in _RESERVED_FOLDERS or path.rpartition("/")[2] in _HIDDEN_NAMES


def is_binding(path: str) -> bool:
    """Tell whether a path holds, or lies in, what says who a dataset is and where its bytes lie."""
    folded = path.casefold()
    return folded in ("", ".dvc", ".cairn", DATASET_FILE) or folded.startswith(".dvc/")


def check_writable(path: RepoPath) -> RepoPath:
    """Return the path if users may put content there.

    Raises:
        InvalidPathError: the root, a reserved name, or a name that would pass for a pointer.
    """
    if not path:
        raise InvalidPathError("a file needs a name")
    if _REPLACEMENT in path:
        raise InvalidPathError(f"the path {path!r} was not valid UTF-8 on its way", paths=[path])
    names = path.casefold().split("/")
    if any(name.endswith(POINTER_SUFFIX) for name in names):
        raise InvalidPathError(
            f"the path {path!r} is refused: names ending in '.dvc' are DVC pointers", paths=[path]
        )
    # A folder of such a name would be hidden too, and git itself refuses some of them.
    if names[0] in _RESERVED_FOLDERS or not _RESERVED_NAMES.isdisjoint(names):
        raise InvalidPathError(f"the path {path!r} is reserved", paths=[path])
    return path


def kept_in_git(path: RepoPath, size: int) -> bool:
    """Tell whether a file of this name and size is text that git holds itself."""
    name = path.rpartition("/")[2]
    return size <= MAX_TEXT_BYTES and any(fnmatchcase(name, pattern) for pattern in TEXT_PATTERNS)


def is_text(content: bytes) -> bool:
    """Tell whether bytes are UTF-8 text without NUL."""
    if b"\x00" in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def first_files(record: DatasetRecord, *, name: str, description: str) -> dict[RepoPath, bytes]:
    """Return the text files of a dataset's first commit."""
    card = f"# {name}\n" + (f"\n{description.strip()}\n" if description.strip() else "")
    return {README: card.encode(), GIT_IGNORE: _git_ignore(), **binding_files(record)} | {
        RepoPath(".dvc/.gitignore"): b"/config.local\n/tmp\n/cache\n",
        RepoPath(".dvcignore"): b"# patterns of files that DVC should not look at\n",
    }


def binding_files(record: DatasetRecord) -> dict[RepoPath, bytes]:
    """Return the two files that say who a dataset is and where its bytes lie."""
    return {DVC_CONFIG: _dvc_config(record), DATASET_FILE: _dataset_file(record)}


def _dvc_config(record: DatasetRecord) -> bytes:
    """Two remotes: ``cairn`` for every reader with a token, ``site`` for those with its credentials."""
    lines = ["[core]", "    remote = cairn", "    analytics = false"]
    lines += ["['remote \"cairn\"']", f"    url = {record.dvc_url}"]
    if record.site:
        lines += ["['remote \"site\"']", f"    url = {record.site.url}"]
    return ("\n".join(lines) + "\n").encode()


def _dataset_file(record: DatasetRecord) -> bytes:
    lines = ["schema: dataset/1", f"id: {record.id}"]
    if record.site:
        lines += [
            "storage_site:",
            f"  id: {record.site.id}",
            f"  name: {json.dumps(record.site.name)}",
            f"  provider: {record.site.provider}",
            f"  url: {json.dumps(record.site.url)}",
        ]
    else:
        lines.append("storage_site: null")
    return ("\n".join(lines) + "\n").encode()


def _git_ignore() -> bytes:
    """One constant file at the root keeps a clone clean whatever its size.

    DVC matches every pointer against every ignore line, so one line a file, as ``dvc add`` writes
    them, makes its commands quadratic.
    """
    patterns = [
        "# Data files are tracked by the DVC pointers beside them (*.dvc), not by git.",
        "# Text that git should hold and that no line below names: git add --force.",
        "*",
        "!*/",
        "!*.dvc",
        "!.gitignore",
        "!.dvcignore",
        "!dvc.yaml",
        "!dvc.lock",
        "!/.cairn/**",
        *(f"!{pattern}" for pattern in TEXT_PATTERNS),
    ]
    return ("\n".join(patterns) + "\n").encode()


_SITE_REMOTE = re.compile(r"['\"]?remote ['\"](?P<name>[^'\"]+)['\"]", re.IGNORECASE)


def config_remotes(text: bytes) -> dict[str, str]:
    """Return the address of every remote that a ``.dvc/config`` names, for telling a changed one."""
    remotes: dict[str, str] = {}
    section = ""
    for raw in text.decode(errors="replace").splitlines():
        line = raw.strip()
        if line.startswith("["):
            found = _SITE_REMOTE.search(line)
            section = found["name"] if found else line.strip("[]")
        elif "=" in line and section:
            key, _, value = line.partition("=")
            if key.strip().casefold() == "url":
                remotes[section] = value.strip()
            if section == "core" and key.strip().casefold() == "remote":
                remotes["core"] = value.strip()
    return remotes
