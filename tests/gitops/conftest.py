"""Fixtures of the engine's suite: datasets in a temporary folder, nothing of this machine's settings."""

from pathlib import Path

import pytest
from repositories import Foreign, make_repo

from gitops.datarepo import DataRepo
from gitops.gitrepo import prepare_libgit2

pytest.register_assert_rewrite("object_store_contract")


@pytest.fixture(scope="session", autouse=True)
def _libgit2() -> None:
    prepare_libgit2()


@pytest.fixture
def repo(tmp_path: Path) -> DataRepo:
    """A dataset with its first commit."""
    return make_repo(tmp_path)


@pytest.fixture
def foreign(repo: DataRepo) -> Foreign:
    """A way to push what our own writers never would."""
    return Foreign(repo)
