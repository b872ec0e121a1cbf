"""DVC's own conformance suite for remotes (dvc.testing, DVC 3.67), held against the DVC door."""

import itertools
import uuid
from collections.abc import Callable

import pytest
from dvc.testing.cloud import Cloud
from dvc.testing.fixtures import (  # noqa: F401 - fixtures that the suite asks for by name
    dvc,
    make_cloud,
    make_remote,
    make_tmp_dir,
    remote,
    scm,
    tmp_dir,
)
from dvc.testing.path_info import HTTPURLInfo
from dvc.testing.remote_tests import TestRemote as _RemoteSuite

from app.access import Actor
from tests.doors.conftest import Live

_numbers = itertools.count()


class Door(Cloud, HTTPURLInfo):
    """One dataset's remote, as the suite wants to see a cloud."""

    token = ""

    @property
    def config(self) -> dict[str, str]:
        return {
            "url": self.url,
            "auth": "custom",
            "custom_auth_header": "PRIVATE-TOKEN",
            "password": self.token,
        }

    def is_file(self):
        raise NotImplementedError

    def is_dir(self):
        raise NotImplementedError

    def exists(self):
        raise NotImplementedError

    def mkdir(self, mode=0o777, parents=False, exist_ok=False):
        raise NotImplementedError

    def write_bytes(self, contents):
        raise NotImplementedError

    def read_bytes(self):
        raise NotImplementedError

    def unlink(self, missing_ok=False):
        raise NotImplementedError

    def rmdir(self, recursive=True):
        raise NotImplementedError


@pytest.fixture(scope="session")
def worker_id() -> str:
    return ""


@pytest.fixture(scope="session")
def tester(live: Live) -> tuple[Actor, str]:
    return live.person(f"dvc-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def make_http(live: Live, tester: tuple[Actor, str]) -> Callable[[], Door]:
    def make() -> Door:
        dataset = live.dataset(tester[0], f"Remote {next(_numbers)}")
        door = Door(live.services.datasets.dvc_url(dataset.id))
        door.token = tester[1]
        return door

    return make


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("remote", ["http"], indirect=True)
class TestDvcDoor(_RemoteSuite):
    """All of it; the suite itself skips the stage cache for HTTP and expects listing to be impossible."""
