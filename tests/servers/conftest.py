"""Fixtures that start PostgreSQL and Redis themselves, and a service that stands on both."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from app.config import Config

START_S = 30
STOP_S = 20
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # nothing here outlives the tests


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL of our own; return its address without the name of a database."""
    binaries, account = _postgresql_binaries(), _unprivileged()
    # Not below pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="cairn-postgresql-"))
    if account:
        shutil.chown(folder, account["user"], account["group"])
    data, port = folder / "data", free_port()
    made = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "-N"]
    subprocess.run([*made, "--locale=C"], check=True, capture_output=True, cwd="/", **account)
    start = [binaries / "postgres", "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1"]
    for setting in FAST:
        start += ["-c", setting]
    address = f"postgres@127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(start, stdout=log, stderr=subprocess.STDOUT, cwd="/", **account)
    try:
        _await(process, lambda: psycopg.connect(f"postgresql://{address}/postgres").close(), folder / "log")
        yield address
    finally:
        process.send_signal(2)  # its fast shutdown: sessions are ended, not waited for
        process.wait(STOP_S)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Redis of our own, which keeps nothing; return its URL."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    start = [binary, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(start, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"redis://127.0.0.1:{port}/0"
        _await(process, lambda: _ping(url), folder / "log")
        yield url
    finally:
        process.terminate()
        process.wait(STOP_S)


_numbers = count(1)


@pytest.fixture
def database_url(postgresql: str) -> str:
    """Return the URL of an empty database of this test."""
    name = f"cairn_{next(_numbers)}"
    with psycopg.connect(f"postgresql://{postgresql}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://{postgresql}/{name}"


@pytest.fixture
def queue_url(redis_server: str) -> str:
    """Return the URL of Redis, emptied."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushdb()
    return redis_server


@pytest.fixture
def config(tmp_path: Path, database_url: str, queue_url: str) -> Config:
    """Let the services that every suite uses stand on both servers here."""
    return Config(
        home=tmp_path / "var",
        public_url="http://localhost",
        database_url=database_url,
        queue_url=queue_url,
        allowed_storage_roots=(tmp_path / "sites",),
    )


def _postgresql_binaries() -> Path:
    """Return the folder of initdb and postgres, which Debian keeps out of PATH."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("PostgreSQL's initdb and postgres are not installed")


def _unprivileged() -> Mapping[str, Any]:
    """Return whom a process of PostgreSQL runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no account postgres")
    return {"user": "postgres", "group": "postgres", "extra_groups": ()}


def _ping(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.ping()


def _await(process: subprocess.Popen, attempt: Any, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            attempt()
        except (psycopg.OperationalError, redis.ConnectionError):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.05)
        else:
            return
