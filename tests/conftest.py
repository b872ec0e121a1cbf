"""Fixtures that every suite shares: a service in a temporary folder, and people in it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.access import SYSTEM, Actor, Scope
from app.accounts.models import actor_for
from app.config import Config
from app.services import Services, build

PASSWORD = "correct horse battery staple"
MakeUser = Callable[..., tuple[Actor, str]]


class Clock:
    """A clock that a test may move; it stands at the real present until then."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, **step: float) -> None:
        self.offset += timedelta(**step)


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the machine's own git settings and home out of every test."""
    home = tmp_path / "isolated-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(home=tmp_path / "var", public_url="http://localhost")


@pytest.fixture
def services(config: Config, clock: Clock) -> Iterator[Services]:
    built = build(config, clock=clock)
    yield built
    built.close()


@pytest.fixture
def app(config: Config, services: Services) -> Flask:
    return create_app(config, services)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def make_user(services: Services) -> MakeUser:
    """Return a function that makes a person with a token of the full scope and no password."""

    def make(name: str, *, admin: bool = False) -> tuple[Actor, str]:
        user = services.accounts.create_user(SYSTEM, name, is_admin=admin, password=None)
        scopes = frozenset(Scope)
        _, raw = services.accounts.create_token(SYSTEM, name="tests", scopes=scopes, username=name)
        return actor_for(user, scopes), raw

    return make


@pytest.fixture
def alice(make_user: MakeUser) -> tuple[Actor, str]:
    return make_user("alice")


@pytest.fixture
def bob(make_user: MakeUser) -> tuple[Actor, str]:
    return make_user("bob")


@pytest.fixture
def admin(make_user: MakeUser) -> tuple[Actor, str]:
    return make_user("root-admin", admin=True)


def auth(token: str) -> dict[str, str]:
    """Return the header that sends a token."""
    return {"PRIVATE-TOKEN": token}
