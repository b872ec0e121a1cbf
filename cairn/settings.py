"""Where the service is and who asks: options, environment, then what ``cairn login`` stored.

The only module of the client that reads the environment.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cairn.errors import AddressError, LocalFileError

DEFAULT_ENDPOINT = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Credential:
    """One request header that says who asks."""

    header: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """The service to talk to; ``credential`` is None for an anonymous visitor."""

    endpoint: str
    credential: Credential | None


def resolve_settings(
    endpoint: str | None = None, token: str | None = None, *, environ: Mapping[str, str] = os.environ
) -> Settings:
    """Return the settings: arguments, then environment, then the last ``cairn login``.

    The token is the argument, ``CAIRN_TOKEN``, ``GITLAB_TOKEN``, ``CI_JOB_TOKEN`` (sent as ``JOB-TOKEN``) or
    the one stored for this endpoint.
    """
    stored = _stored(login_file(environ))
    chosen = parse_endpoint(
        endpoint or environ.get("CAIRN_ENDPOINT") or stored.get("endpoint") or DEFAULT_ENDPOINT
    )
    personal = token or environ.get("CAIRN_TOKEN") or environ.get("GITLAB_TOKEN")
    if personal:
        return Settings(chosen, Credential("PRIVATE-TOKEN", personal.strip()))
    if job := environ.get("CI_JOB_TOKEN"):
        return Settings(chosen, Credential("JOB-TOKEN", job))
    remembered = stored.get("tokens", {}).get(chosen)
    return Settings(chosen, Credential("PRIVATE-TOKEN", remembered) if remembered else None)


def parse_endpoint(text: str) -> str:
    """Return a service address without its trailing slash.

    Raises:
        AddressError: it is not an http or https address, or carries a user name or a query.
    """
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise AddressError("The endpoint must look like https://data.example.org, without user or query.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def login_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file in which ``cairn login`` keeps its tokens."""
    base = environ.get("XDG_CONFIG_HOME") or ""
    folder = Path(base) if Path(base).is_absolute() else Path.home() / ".config"
    return folder / "cairn" / "login.json"


def remember_login(endpoint: str, token: str, *, environ: Mapping[str, str] = os.environ) -> Path:
    """Store a token for an endpoint, which becomes the default one; return the file, mode 0600."""
    path = login_file(environ)
    stored = _stored(path)
    tokens = {**stored.get("tokens", {}), endpoint: token}
    document = json.dumps({"endpoint": endpoint, "tokens": tokens}, indent=2, sort_keys=True)
    write_secret(path, f"{document}\n")
    return path


def write_secret(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as stream:
        stream.write(text)
    new.replace(path)


def _stored(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LocalFileError(f"Cannot read {path}; run `cairn login` after removing it.") from error
    return document if isinstance(document, dict) else {}
