"""Who may import whom (architecture §3), read from the source; and cases that prove each rule bites."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FEATURES = (
    "accounts",
    "namespaces",
    "storage_sites",
    "datasets",
    "versions",
    "downloads",
    "imports",
    "projects",
    "ontology",
    "annotations",
    "labeling",
    "curation",
    "automation",
)
# One owner for each package from outside; a trailing dot means the whole folder.
OWNERS = {
    "pygit2": ("gitops.",),
    "git": ("gitops.",),
    "gitlab": ("gitops.gitlab_forge",),
    "fsspec": ("gitops.cloud",),
    "dvc_s3": ("gitops.cloud",),
    "dvc": (),
    "sqlalchemy": ("app.db.", "app.*.store"),
    "alembic": ("app.db.",),
    "huey": ("app.jobs",),
    "flask_login": ("app.web.",),
    "granian": ("app.cli",),
    "argon2": ("app.accounts.service",),
    "cryptography": ("app.vault",),
}
# Floor 5: routes, and the modules that give their answers a shape.
ROUTES = {"api", "pages", "shapes"}
# Upward by design: what wires everything, and the tool that needs every table declared.
WIRING = ("app", "app.cli", "app.__main__", "app.services", "app.db.migrations.regenerate")
FLASK_USERS = ("app.web.", "app.doors.")


@dataclass(frozen=True)
class Import:
    """One import statement."""

    module: str
    target: str
    is_top: bool
    is_relative: bool


def imports_of(module: str, source: str) -> Iterator[Import]:
    """Yield the imports of a module; those for type checkers only are left out."""
    tree = ast.parse(source)
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node in tree.body, is_relative=False)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            for alias in node.names:
                yield Import(module, f"{base}.{alias.name}", node in tree.body, is_relative=node.level > 0)


def faults_of(module: str, source: str) -> list[str]:
    """Return what is wrong with a module's imports."""
    found = []
    for item in imports_of(module, source):
        for rule in (_place, _house, _owner, _flask, _feature):
            fault = rule(item)
            if fault:
                found.append(f"{module} imports {item.target}: {fault}")
    if "os.environ" in source and module != "app.config" and module.startswith("app"):
        found.append(f"{module} reads os.environ: only app.config does")
    return found


def _place(item: Import) -> str | None:
    if item.is_relative:
        return "imports are absolute"
    return None if item.is_top else "imports stand at the top of the file"


def _house(item: Import) -> str | None:
    if item.module.startswith("gitops") and item.target.startswith(("app.", "cairn.", "flask", "sqlalchemy")):
        return "the engine knows nothing of users, HTTP and SQL"
    if item.module.startswith("cairn") and item.target.startswith(("app.", "gitops.", "flask", "dvc")):
        return "the client speaks HTTP only"
    if item.module.startswith("app") and item.target.startswith("cairn."):
        return "the service does not use its client"
    return None


def _owner(item: Import) -> str | None:
    package = item.target.split(".")[0]
    if package not in OWNERS or item.module.startswith("tests"):
        return None
    owners = OWNERS[package]
    feature_store = item.module.split(".")[0] == "app" and len(item.module.split(".")) == 3
    for owner in owners:
        if owner == "app.*.store" and feature_store and item.module.split(".")[1] in FEATURES:
            return None if _is_store(item.module) else f"{package} belongs to {owners}"
        if item.module == owner or (owner.endswith(".") and f"{item.module}.".startswith(owner)):
            return None
    return f"{package} belongs to {owners}"


def _is_store(module: str) -> bool:
    """A feature's tables are in store.py; one that grew past a file has more, named for what they hold."""
    return module.split(".")[2] not in {"models", "service", "schemas", "api", "pages", "documents"}


def _flask(item: Import) -> str | None:
    package = item.target.split(".")[0]
    if package not in {"flask", "werkzeug"} or not item.module.startswith("app"):
        return None
    parts = item.module.split(".")
    if item.module in WIRING or f"{item.module}.".startswith(FLASK_USERS):
        return None
    if len(parts) == 3 and (parts[2] in ROUTES or parts[2].endswith(("_api", "_pages", "_answers"))):
        return None
    return "only routes and the edge know HTTP"


def _feature(item: Import) -> str | None:
    own, other = _feature_in(item.module), _feature_in(item.target)
    if other is None or own == other or item.module in WIRING:
        return None
    if item.module.startswith(("app.doors.", "app.demo.")):
        return None
    if own is None:
        return "the platform knows no feature" if item.module.startswith("app") else None
    if FEATURES.index(other) > FEATURES.index(own):
        return "features import only to the left"
    part = item.target.split(".")[2] if item.target.count(".") >= 2 else ""
    is_private = part in {"store", "api", "pages"} or (part == "schemas" and not _is_route(item.module))
    return "another feature's store and routes are its own" if is_private else None


def _is_route(module: str) -> bool:
    return module.rsplit(".", maxsplit=1)[-1] in {"api", "pages", "schemas"} or module.endswith(
        ("_api", "_pages")
    )


def _feature_in(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "app" and parts[1] in FEATURES else None


def _modules() -> Iterator[tuple[str, str]]:
    for package in ("app", "gitops", "cairn"):
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            if ("versions" in parts and "migrations" in parts) or parts[-1] == "env":
                continue
            name = ".".join(part for part in parts if part != "__init__")
            yield name, file.read_text(encoding="utf-8")


@pytest.mark.parametrize(("module", "source"), [pytest.param(*item, id=item[0]) for item in _modules()])
def test_a_module_imports_only_what_its_floor_may(module, source):
    assert faults_of(module, source) == []


@pytest.mark.parametrize(
    ("module", "source", "word"),
    [
        ("app.accounts.service", "from . import store", "absolute"),
        ("app.accounts.service", "def f():\n    import json", "top"),
        ("gitops.objects", "from app.errors import AppError", "engine"),
        ("gitops.objects", "import sqlalchemy", "engine"),
        ("cairn.http", "from gitops.model import Md5", "client"),
        ("app.jobs", "from cairn.errors import ApiError", "client"),
        ("app.versions.service", "import pygit2", "belongs"),
        ("app.versions.service", "from sqlalchemy import select", "belongs"),
        ("app.versions.store", "import dvc.api", "belongs"),
        ("app.versions.service", "from flask import request", "HTTP"),
        ("app.versions.models", "from werkzeug.http import parse_date", "HTTP"),
        ("app.jobs", "from app.versions.service import VersionService", "platform"),
        ("app.web.api", "from app.accounts.models import User", "platform"),
        ("app.namespaces.service", "from app.datasets.service import DatasetService", "left"),
        ("app.datasets.service", "from app.accounts.store import users", "own"),
        ("app.datasets.service", "from app.accounts.schemas import UserAnswer", "own"),
        ("app.datasets.api", "from app.accounts.api import routes", "own"),
        ("app.datasets.service", "import os\nHOME = os.environ['HOME']", "app.config"),
    ],
)
def test_each_kind_of_violation_is_caught(module, source, word):
    assert word in " ".join(faults_of(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("app.datasets.service", "from app.accounts.service import find_user"),
        ("app.datasets.store", "from sqlalchemy import select"),
        ("app.datasets.api", "from flask import Response"),
        ("app.services", "from app.datasets.store import count_bound"),
        ("app.web.context", "if TYPE_CHECKING:\n    from app.services import Services"),
    ],
)
def test_what_is_allowed_passes(module, source):
    assert faults_of(module, source) == []
