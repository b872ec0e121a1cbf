"""What lies in a local folder, as an upload sees it."""

import os
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cairn.errors import LocalFileError
from cairn.selection import EVERYTHING, Selection

RESERVED_FOLDERS = frozenset({".git", ".dvc", ".cairn"})
RESERVED_FILES = frozenset({".gitignore", ".gitattributes", ".dvcignore"})


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A local file and the dataset path it is uploaded to; ``size`` as it was when the folder was read.

    The path is composed (NFC), as the service keeps it; file systems of macOS hand out decomposed names.
    """

    path: str
    source: Path
    size: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a local file or folder holds: files to upload, and why others are left out, by local path."""

    files: tuple[LocalFile, ...]
    skipped: Mapping[str, str]


def scan_folder(local: Path, remote: str = "", selection: Selection = EVERYTHING) -> Scan:
    """List what an upload of ``local`` to ``remote`` takes, in order of path.

    A folder's content goes below ``remote``; a file goes to ``remote`` itself, or into it where it ends in a
    slash or is empty. Symbolic links are followed to files inside the folder only.

    Raises:
        LocalFileError: ``local`` cannot be read, or a name in it is not Unicode.
    """
    if local.is_file():
        target = remote if remote and not remote.endswith("/") else f"{remote}{local.name}"
        return Scan((LocalFile(_composed(target.strip("/")), local, local.stat().st_size),), {})
    if not local.is_dir():
        raise LocalFileError(f"{local} is neither a file nor a folder.")
    local = local.absolute()
    prefix = f"{_composed(remote.strip('/'))}/" if remote.strip("/") else ""
    files: list[LocalFile] = []
    skipped: dict[str, str] = {}
    start = len(os.fspath(local / "x")) - 1
    for entry in _walk(local):
        relative = _composed(entry.path[start:].replace(os.sep, "/"))
        if reason := _reason_to_skip(entry, local):
            skipped[relative] = reason
        elif selection.takes(relative):
            if not _is_unicode(relative):
                raise LocalFileError(f"The name {relative!r} is not Unicode; rename it before uploading.")
            files.append(LocalFile(f"{prefix}{relative}", Path(entry.path), entry.stat().st_size))
    return Scan(tuple(sorted(files, key=lambda file: file.path)), skipped)


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below a folder but reserved folders' content; links to folders are not entered."""
    waiting = [os.fspath(folder)]
    while waiting:
        current = waiting.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False) and entry.name.lower() not in RESERVED_FOLDERS:
                        waiting.append(entry.path)
                    else:
                        yield entry
        except OSError as error:
            raise LocalFileError(f"Cannot read the folder {current}: {error.strerror}.") from error


def _reason_to_skip(entry: os.DirEntry[str], root: Path) -> str:
    """Return why an entry is not uploaded, or "" if it is."""
    name = entry.name.lower()
    if name in RESERVED_FOLDERS or name in RESERVED_FILES or name.endswith(".dvc"):
        return "reserved for git and DVC"
    if entry.is_symlink():
        if not Path(entry.path).resolve().is_relative_to(root.resolve()):
            return "a symbolic link out of the folder"
        if entry.is_dir():
            return "a symbolic link to a folder"
    return "" if entry.is_file() else "not a regular file"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
