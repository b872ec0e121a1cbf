"""Fixtures of the engine's suite: datasets in a temporary folder, nothing of this machine's settings."""

import os
from pathlib import Path

import pytest
from repositories import Foreign, make_repo

from gitops.datarepo import DataRepo
from gitops.gitrepo import prepare_libgit2

pytest.register_assert_rewrite("object_store_contract")


@pytest.fixture(scope="session", autouse=True)
def _libgit2() -> None:
    prepare_libgit2()


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's settings reaches a test; this suite runs without importing the app."""
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def repo(tmp_path: Path) -> DataRepo:
    """A dataset with its first commit."""
    return make_repo(tmp_path)


@pytest.fixture
def foreign(repo: DataRepo) -> Foreign:
    """A way to push what our own writers never would."""
    return Foreign(repo)
