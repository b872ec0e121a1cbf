"""Every setting of the service: one frozen dataclass, the only reader of the environment.

A setting comes from ``CAIRN_<NAME>``, else from ``CAIRN_<NAME>_FILE`` (a file that holds the value),
else from the TOML file, else from its default. ``docs/settings.md`` is made from this module.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field as DataclassField
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

ENV_PREFIX = "CAIRN_"
FILE_SUFFIX = "_FILE"
# Names that the client reads from the same environment: never a misspelt setting of ours.
FOREIGN_ENV = frozenset({"CAIRN_ENDPOINT", "CAIRN_TOKEN", "CAIRN_CONFIG"})
FOREIGN_ENV_PREFIXES = ("CAIRN_CLIENT_", "CAIRN_CACHE_DIR", "CAIRN_TEST_")
MEGABYTE = 1 << 20
MIN_SECRET_BYTES = 16
HIGHEST_PORT = 65535


class ConfigError(Exception):
    """A setting is unknown, malformed or contradicts another; the service must not start."""


def _setting(default: Any, doc: str, *, secret: bool = False) -> Any:
    """Return a dataclass field that carries its own documentation."""
    return field(default=default, repr=not secret, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one installation; ``Config()`` is the embedded default."""

    home: Path = _setting(Path("var"), "Folder that holds everything in embedded mode.")
    bind: str = _setting("127.0.0.1:8000", "Address and port to listen on.")
    public_url: str = _setting(
        "", "Address that users see, without a trailing slash; empty: `http://<bind>`."
    )
    database_url: str = _setting(
        "", "SQLAlchemy URL; empty: SQLite at `<home>/app.db`. PostgreSQL for several machines.", secret=True
    )
    queue_url: str = _setting(
        "", "`redis://…` for several machines; empty: SQLite at `<home>/queue.db`.", secret=True
    )
    forge: str = _setting("local", "Where repositories live: `local` or `gitlab`.")
    gitlab_url: str = _setting("", "Address of GitLab, when `forge` is `gitlab`.")
    gitlab_oauth_id: str = _setting("", "Application id for signing in with GitLab.")
    gitlab_oauth_secret: str | None = _setting(
        None, "Application secret for signing in with GitLab.", secret=True
    )
    gitlab_service_token: str | None = _setting(
        None, "Token of the service's own GitLab account.", secret=True
    )
    secret_key: bytes | None = _setting(
        None, "Signs sessions and encrypts credentials; empty: `<home>/secret_key`, made once.", secret=True
    )
    previous_secret_keys: tuple[str, ...] = _setting(
        (), "Earlier secret keys, which can still decrypt; for rotation.", secret=True
    )
    admin_token: str | None = _setting(
        None, "First start only: creates the account `admin` with this token.", secret=True
    )
    workers: int = _setting(1, "Web processes.")
    job_threads: int = _setting(1, "Background job threads in each process that runs jobs.")
    log_level: str = _setting("info", "`debug`, `info`, `warning` or `error`.")
    proxy_hops: int = _setting(0, "Reverse proxies in front whose `X-Forwarded-*` headers are believed.")
    trusted_hosts: tuple[str, ...] = _setting(
        (), "Host names that requests may name; empty: any, and links use `public_url`."
    )
    allowed_storage_roots: tuple[Path, ...] = _setting(
        (), "Absolute folders below which an administrator may register local storage sites; empty: anywhere."
    )
    session_days: int = _setting(14, "Days that a browser session lasts.")
    upload_days: int = _setting(7, "Days without traffic after which an upload expires.")
    deletion_days: int = _setting(7, "Days in which a deletion can be undone.")
    login_attempts: int = _setting(10, "Failed sign-ins per account and address in 15 minutes.")
    cache_bytes: int = _setting(2048 * MEGABYTE, "Size of the cache of immutable things.")
    max_body_bytes: int = _setting(16 * MEGABYTE, "Largest JSON or form request; uploads are not limited.")
    max_form_fields: int = _setting(1000, "Most fields that a form may have.")
    max_text_bytes: int = _setting(512 * 1024, "Largest text file that goes into git instead of the pool.")
    accel_prefix: str = _setting(
        "",
        "Internal location of the web server in front that serves `<home>/objects`, such as `/_objects`; "
        "files are then sent by `X-Accel-Redirect`. Empty: the service sends them itself.",
    )
    max_push_bytes: int = _setting(
        2048 * MEGABYTE, "Largest git push; data files do not travel in it, only text and pointers."
    )
    max_pushed_file_bytes: int = _setting(
        10 * MEGABYTE, "Largest file that a git push may bring itself, without a DVC pointer."
    )
    git_timeout_s: int = _setting(60, "Seconds after which a git process is ended.")

    def __post_init__(self) -> None:
        """Fill in what follows from other settings, then refuse contradictions."""
        if not self.public_url:
            object.__setattr__(self, "public_url", f"http://{self.bind}")
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{self.home.absolute() / 'app.db'}")
        _refuse_contradictions(self)

    @property
    def is_https(self) -> bool:
        """Users reach the service over TLS, so cookies may insist on it."""
        return self.public_url.startswith("https://")

    @property
    def objects_root(self) -> Path:
        """Folder of the built-in storage site ``local``."""
        return self.home.absolute() / "objects"

    @classmethod
    def load(cls, file: Path | None, environ: Mapping[str, str]) -> Self:
        """Return the settings from a TOML file and the environment; the environment wins.

        Raises:
            ConfigError: an unknown key, a malformed value or a missing file.
        """
        known = {item.name: item for item in fields(cls)}
        values: dict[str, Any] = {}
        if file is not None:
            values.update(_from_toml(file, known))
        values.update(_from_environ(environ, known))
        return cls(**values)


def load_from_process(file: Path | None, choices: Mapping[str, str]) -> Config:
    """Return the settings of this process; choices of the command line win over the environment."""
    chosen = {environment_name(name): value for name, value in choices.items()}
    return Config.load(file, {**os.environ, **chosen})


def environment_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENV_PREFIX + name.upper()


def _from_toml(file: Path, known: Mapping[str, DataclassField[Any]]) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the settings file {file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the settings file {file} is not valid TOML: {error}") from error
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown setting {key!r} in {file}")
    return {key: _parse(known[key], value) for key, value in table.items()}


def _from_environ(environ: Mapping[str, str], known: Mapping[str, DataclassField[Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, raw in environ.items():
        if not variable.startswith(ENV_PREFIX) or _is_foreign(variable):
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name in known:
            values[name] = _parse(known[name], raw)
        elif name.endswith(FILE_SUFFIX.lower()) and name.removesuffix(FILE_SUFFIX.lower()) in known:
            target = name.removesuffix(FILE_SUFFIX.lower())
            if environment_name(target) not in environ:
                values[target] = _parse(known[target], _read_secret(variable, raw))
        else:
            raise ConfigError(f"unknown setting {variable} in the environment")
    return values


def _is_foreign(variable: str) -> bool:
    return variable in FOREIGN_ENV or variable.startswith(FOREIGN_ENV_PREFIXES)


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable} names a file that cannot be read") from error


def _parse(item: DataclassField[Any], raw: object) -> Any:
    """Return a raw value in the setting's type; text is accepted for every type."""
    try:
        return _PARSERS[str(item.type)](raw)
    except (TypeError, ValueError) as error:
        shown = "" if item.metadata["secret"] else f": {raw!r}"
        raise ConfigError(f"the setting {item.name!r} is malformed{shown} ({error})") from error


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError("text is expected")
    return raw.strip()


def _whole_number(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise TypeError("a whole number is expected")
    return int(raw)


def _several(raw: object) -> tuple[str, ...]:
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list):
        raise TypeError("a list is expected")
    return tuple(_text(part) for part in parts if _text(part))


_PARSERS: Mapping[str, Any] = {
    str(str): _text,
    str(int): _whole_number,
    str(Path): lambda raw: Path(_text(raw)),
    str(str | None): lambda raw: _text(raw) or None,
    str(bytes | None): lambda raw: _text(raw).encode() or None,
    str(tuple[str, ...]): _several,
    str(tuple[Path, ...]): lambda raw: tuple(Path(part) for part in _several(raw)),
}


def _refuse_contradictions(config: Config) -> None:
    host, _, port = config.bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > HIGHEST_PORT:
        raise ConfigError(f"the setting 'bind' is not HOST:PORT: {config.bind!r}")
    if urlsplit(config.public_url).scheme not in {"http", "https"} or config.public_url.endswith("/"):
        raise ConfigError(
            f"the setting 'public_url' is not http(s) without a trailing slash: {config.public_url!r}"
        )
    if config.forge not in {"local", "gitlab"}:
        raise ConfigError(f"the setting 'forge' is neither 'local' nor 'gitlab': {config.forge!r}")
    if config.forge == "gitlab" and not (config.gitlab_url and config.gitlab_service_token):
        raise ConfigError(
            "the setting 'forge' is 'gitlab', which needs 'gitlab_url' and 'gitlab_service_token'"
        )
    if config.queue_url and urlsplit(config.queue_url).scheme not in {"redis", "rediss"}:
        raise ConfigError("the setting 'queue_url' is not a redis address")
    if config.secret_key is not None and len(config.secret_key) < MIN_SECRET_BYTES:
        raise ConfigError(f"the setting 'secret_key' has fewer than {MIN_SECRET_BYTES} characters")
    if config.log_level not in {"debug", "info", "warning", "error"}:
        raise ConfigError(f"the setting 'log_level' is unknown: {config.log_level!r}")
    if any(not root.is_absolute() for root in config.allowed_storage_roots):
        raise ConfigError("the setting 'allowed_storage_roots' holds a path that is not absolute")
    _refuse_small_numbers(config)


def _refuse_small_numbers(config: Config) -> None:
    may_be_zero = {"proxy_hops", "cache_bytes"}
    for item in fields(config):
        value = getattr(config, item.name)
        least = 0 if item.name in may_be_zero else 1
        if isinstance(value, int) and value < least:
            raise ConfigError(f"the setting {item.name!r} must be at least {least}")


def settings_page() -> str:
    """Return ``docs/settings.md``: every setting, its environment name, default and meaning."""
    lines = [
        "# Settings",
        "",
        "Settings come from `cairn.toml` (`--config`) and from the environment; the environment wins.",
        "For any setting, `<NAME>_FILE` in the environment names a file that holds the value.",
        "An unknown key stops the start. This page is made from `app/config.py`.",
        "",
        "| key | environment | default | meaning |",
        "|---|---|---|---|",
    ]
    for item in fields(Config):
        variable = environment_name(item.name)
        lines.append(f"| `{item.name}` | `{variable}` | {_shown(item.default)} | {item.metadata['doc']} |")
    return "\n".join(lines) + "\n"


def _shown(default: object) -> str:
    if default in (None, "", ()):
        return "–"
    return f"`{default}`"
