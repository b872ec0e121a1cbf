"""A copy of the home without its cache is the whole installation."""

import shutil
from collections.abc import Callable
from pathlib import Path

from app.access import SYSTEM, Action
from app.config import Config
from app.demo.fill import fill
from app.services import Services, build
from gitops.model import EntryKind, RefName

DATASETS = ("vision/photographs", "vision/tables", "radiology/head-scans")


def everything(services: Services) -> dict[str, bytes]:
    """Return the bytes of every file of every release."""
    found = {}
    for path in DATASETS:
        opened = services.datasets.open(SYSTEM, path, Action.READ)
        for tag in opened.repo.tags():
            for entry in opened.repo.at(RefName(tag.name)).walk():
                found[f"{path}@{tag.name}/{entry.path}"] = _content(opened, entry)
    return found


def _content(opened, entry) -> bytes:
    if entry.kind is EntryKind.TEXT:
        return opened.repo.git.read(entry.blob).content
    with opened.pool.open(entry.pointer.md5) as stream:
        return stream.read()


def with_service(home: Path, work: Callable[[Services], object]):
    services = build(Config(home=home))
    try:
        return work(services)
    finally:
        services.close()


def test_a_copy_of_the_home_without_its_cache_is_everything(tmp_path: Path) -> None:
    home, copy = tmp_path / "var", tmp_path / "copy"
    credentials = with_service(home, fill)
    before = with_service(home, everything)
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("cache"))
    shutil.rmtree(home)
    shutil.move(copy, home)
    assert with_service(home, everything) == before
    signed_in = with_service(
        home,
        lambda services: services.accounts.sign_in(
            "alice", credentials.of("alice").password, address="127.0.0.1"
        ),
    )
    assert signed_in[0].username == "alice"
