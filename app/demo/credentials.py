"""The demo's passwords and tokens: random for each installation, kept in one file of mode 0600."""

import configparser
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.demo.story import Person

FILE_NAME = "demo-credentials.txt"
HEADER = "# Accounts of the demo. Passwords and tokens were made at random for this installation.\n"
DEMO_SECTION = "demo"
PASSWORD_BYTES = 12


@dataclass(frozen=True, slots=True)
class Credential:
    """How one person signs in; ``token`` is empty until the account exists."""

    username: str
    password: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everybody's credentials, and whether the demo was filled to its end."""

    people: tuple[Credential, ...]
    is_complete: bool = False

    def of(self, username: str) -> Credential:
        """Return those of one person."""
        return next(person for person in self.people if person.username == username)


def make_credentials(people: Iterable[Person]) -> Credentials:
    """Return new random passwords."""
    return Credentials(
        tuple(Credential(person.username, secrets.token_urlsafe(PASSWORD_BYTES)) for person in people)
    )


def find_credentials(home: Path) -> Credentials | None:
    """Return what an earlier run kept, or None."""
    parser = configparser.ConfigParser(interpolation=None)
    if not parser.read(home / FILE_NAME, encoding="utf-8"):
        return None
    people = tuple(
        Credential(name, parser[name]["password"], parser[name].get("token", ""))
        for name in parser.sections()
        if name != DEMO_SECTION
    )
    is_complete = parser.getboolean(DEMO_SECTION, "complete", fallback=False)
    return Credentials(people, is_complete=is_complete)


def save_credentials(home: Path, credentials: Credentials) -> None:
    """Keep credentials with mode 0600; the file is whole at every moment."""
    parser = configparser.ConfigParser(interpolation=None)
    for person in credentials.people:
        parser[person.username] = {"password": person.password, "token": person.token}
    parser[DEMO_SECTION] = {"complete": "yes" if credentials.is_complete else "no"}
    partial = home / f"{FILE_NAME}.partial"
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(HEADER)
        parser.write(stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(home / FILE_NAME)
