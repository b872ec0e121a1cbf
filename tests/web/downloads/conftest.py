"""What the download tests stand on: a dataset of alice's, written through the API, and how to ask for it."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.access import SYSTEM, Actor, Scope
from app.config import Config
from app.datasets import ledger
from app.services import Services, build
from gitops.model import Md5

IMAGE = bytes(range(256)) * 400
README = b"# Cells\n\nTwo kinds.\n"
FILES = {
    "README.md": README,
    "images/a b.png": IMAGE,
    "images/größe/細胞.tif": b"unicode" * 300,
    "images/empty.bin": b"",
    "labels/train.csv": b"=cmd|'/c calc'!A1,1\n",
}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@dataclass
class Place:
    """A dataset and a client that asks as somebody."""

    client: FlaskClient
    services: Services
    token: str
    id: int
    contents: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    strangers_token: str = ""

    @property
    def head(self) -> str:
        return self.commits[-1]

    def put(self, path: str, content: bytes) -> str:
        answer = self.client.put(
            f"/api/v1/datasets/{self.id}/files/{quote(path)}",
            data=content,
            headers={"PRIVATE-TOKEN": self.token, "Content-Type": "application/octet-stream"},
        )
        assert answer.status_code in {200, 201}, answer.text
        self.contents[path] = content
        self.commits.append(answer.json["commit_id"])
        return self.commits[-1]

    def delete(self, path: str) -> str:
        answer = self.client.delete(
            f"/api/v1/datasets/{self.id}/files/{quote(path)}", headers={"PRIVATE-TOKEN": self.token}
        )
        assert answer.status_code == 200, answer.text
        del self.contents[path]
        self.commits.append(answer.json["commit_id"])
        return self.commits[-1]

    def tag(self, name: str, ref: str) -> None:
        answer = self.client.post(
            f"/api/v1/datasets/{self.id}/tags",
            json={"name": name, "ref": ref},
            headers={"PRIVATE-TOKEN": self.token},
        )
        assert answer.status_code == 201, answer.text

    def get(self, route: str, *, method: str = "GET", token: str | None = "", **more: Any) -> TestResponse:
        headers = {"PRIVATE-TOKEN": self.token if token == "" else token} if token is not None else {}
        return self.client.open(
            f"/api/v1/datasets/{self.id}/{route}",
            method=method,
            headers=headers | more.pop("headers", {}),
            **more,
        )

    def object_path(self, content: bytes) -> Any:
        address = md5(content)
        return self.services.config.objects_root / str(self.id) / "files" / "md5" / address[:2] / address[2:]

    def damage(self, content: bytes) -> None:
        """Note that the stored bytes were found to be wrong, as a scrub does."""
        with self.services.database.transaction() as connection:
            ledger.mark_damaged(connection, self.id, Md5(md5(content)), now=self.services.clock())

    def publish(self) -> None:
        """Let everybody read it."""
        answer = self.client.patch(
            f"/api/v1/datasets/{self.id}",
            json={"visibility": "public"},
            headers={"PRIVATE-TOKEN": self.token},
        )
        assert answer.status_code == 200, answer.text


def new_place(client: FlaskClient, services: Services, token: str) -> Place:
    """Return an empty dataset of the token's owner on the built-in storage site."""
    body = {"name": "Cells", "path": "cells", "storage_site": "local"}
    answer = client.post("/api/v1/datasets", json=body, headers={"PRIVATE-TOKEN": token})
    assert answer.status_code == 201, answer.text
    return Place(client, services, token, answer.json["id"])


def fill(place: Place) -> Place:
    """Put a few files of each kind into a dataset."""
    for path, content in FILES.items():
        place.put(path, content)
    return place


@pytest.fixture
def place(client: FlaskClient, services: Services, alice: tuple[Actor, str]) -> Place:
    """Return an empty dataset of alice's."""
    return new_place(client, services, alice[1])


@pytest.fixture
def filled(place: Place) -> Place:
    """Return a dataset of alice's with a few files of each kind, to be changed."""
    return fill(place)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Return the same for all tests of a module that only read."""
    config = Config(home=tmp_path_factory.mktemp("settled") / "var", public_url="http://localhost")
    services = build(config)
    tokens = {}
    for name in ("alice", "bob"):
        services.accounts.create_user(SYSTEM, name, is_admin=False, password=None)
        _, tokens[name] = services.accounts.create_token(
            SYSTEM, name="tests", scopes=frozenset(Scope), username=name
        )
    place = fill(new_place(create_app(config, services).test_client(), services, tokens["alice"]))
    place.strangers_token = tokens["bob"]
    yield place
    services.close()
