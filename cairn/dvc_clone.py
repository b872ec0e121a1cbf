"""Settings of DVC in a clone of a dataset, written without DVC.

Format: https://dvc.org/doc/user-guide/project-structure/configuration (DVC 3): INI sections, remotes named
``['remote "name"']``; ``.dvc/config.local`` overrides ``.dvc/config`` and is not committed.
"""

import configparser
import io
from pathlib import Path

from cairn.errors import LocalFileError
from cairn.http import is_same_origin
from cairn.settings import Credential, write_secret

REMOTE = "cairn"
SECTION = f"'remote \"{REMOTE}\"'"


def write_dvc_login(clone: Path, endpoint: str, credential: Credential) -> Path:
    """Put the credential for the remote ``cairn`` into a clone's local settings; return the file, mode 0600.

    Raises:
        LocalFileError: this is no clone with DVC settings, or its remote leads to another host than the
            endpoint: the token would go there.
    """
    folder = clone / ".dvc"
    if not (folder / "config").is_file():
        raise LocalFileError(f"{clone} is not a clone of a dataset: it has no .dvc/config.")
    remote = _read(folder / "config").get(SECTION, "url", fallback="")
    if not is_same_origin(remote, endpoint):
        raise LocalFileError(
            f"The DVC remote {REMOTE!r} of {clone} is not at {endpoint}; the token is not given to it."
        )
    target = folder / "config.local"
    settings = _read(target)
    for section in ("core", SECTION):
        if not settings.has_section(section):
            settings.add_section(section)
    settings["core"]["remote"] = REMOTE
    settings[SECTION]["auth"] = "custom"
    settings[SECTION]["custom_auth_header"] = credential.header
    settings[SECTION]["password"] = credential.value
    text = io.StringIO()
    settings.write(text)
    _keep_out_of_git(clone)
    write_secret(target, text.getvalue())
    return target


def _read(path: Path) -> configparser.ConfigParser:
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        settings.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise LocalFileError(f"Cannot read {path}: {error}") from error
    return settings


def _keep_out_of_git(clone: Path) -> None:
    """Make sure that git ignores the file with the token, also where ``.dvc/.gitignore`` is missing."""
    ignored = clone / ".dvc" / ".gitignore"
    if ignored.is_file() and "/config.local" in ignored.read_text(encoding="utf-8").split():
        return
    exclude = clone / ".git" / "info" / "exclude"
    if not exclude.parent.parent.is_dir():
        raise LocalFileError(
            f"{clone} does not make git ignore .dvc/config.local; add it to .dvc/.gitignore first."
        )
    exclude.parent.mkdir(exist_ok=True)
    present = exclude.read_text(encoding="utf-8") if exclude.is_file() else ""
    if "/.dvc/config.local" not in present.split():
        exclude.write_text(f"{present.rstrip()}\n/.dvc/config.local\n".lstrip(), encoding="utf-8")
