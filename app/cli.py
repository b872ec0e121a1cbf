"""``cairn-server``: serve, worker, migrate, and what an administrator does at the machine itself."""

import ctypes
import errno
import signal
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import FrameType

import click
from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from app import create_app
from app.access import SYSTEM, Scope
from app.config import Config, ConfigError, load_from_process
from app.demo.command import demo, fill_and_explain
from app.errors import AppError
from app.services import Services, build
from app.web.observing import configure_logging
from gitops.errors import GitopsError

BACKLOG = 2048
HEADER_TIMEOUT_MS = 30_000
STOP_AFTER_S = 20
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
DEFAULT_FILE = Path("cairn.toml")
LoadConfig = Callable[..., Config]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file, cairn.toml.")
@click.option("--home", type=click.Path(path_type=Path), help="Folder that holds everything.")
@click.pass_context
def main(context: click.Context, file: Path | None, home: Path | None) -> None:
    """Run and look after the Cairn service."""
    context.obj = partial(load_config, file, home=home)


@main.command()
@click.option("--home", type=click.Path(path_type=Path), help="Folder that holds everything.")
@click.option("--bind", help="HOST:PORT to listen on.")
@click.option("--workers", type=click.IntRange(min=1), help="Web processes.")
@click.option("--no-worker", is_flag=True, help="Run no background jobs here.")
@click.option("--demo", "with_demo", is_flag=True, help="Fill an empty service with sample data first.")
@click.pass_obj
def serve(
    load: LoadConfig,
    home: Path | None,
    bind: str | None,
    workers: int | None,
    *,
    no_worker: bool,
    with_demo: bool,
) -> None:
    """Serve until told to stop; background jobs run in threads."""
    # Without its own --home, that of the group stays.
    choices = {"bind": bind, "workers": workers} | ({"home": home} if home else {})
    prepare = fill_and_explain if with_demo else explain
    run_server(load(**choices), with_jobs=not no_worker, prepare=prepare)


def explain(services: Services) -> str:
    """Say where the service is, and how its first administrator gets in."""
    url = services.config.public_url
    link = services.accounts.open_setup_link()
    first = f"\nCreate the first administrator: {url}/setup/{link}" if link else ""
    return f"Cairn serves {url}{first}"


def run_server(config: Config, *, with_jobs: bool, prepare: Callable[[Services], str] = explain) -> None:
    """Migrate, prepare, print what that says, and serve in processes of their own."""
    host, _, port = config.bind.rpartition(":")
    address = host.strip("[]")
    refuse_taken_address(address, int(port))
    configure_logging(config.log_level)
    # Each process opens its own database: connections do not survive a fork.
    click.echo(_with_services(config, prepare), err=True)
    server = Granian(
        "app",
        address=address,
        port=int(port),
        interface=Interfaces.WSGI,
        # HTTP/2 bodies need not announce a length, and nobody could tell a short one from a whole one.
        http=HTTPModes.http1,
        workers=config.workers,
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_AFTER_S,
    )
    server.serve(target_loader=partial(web_process, config, with_jobs=with_jobs), wrap_loader=False)


def refuse_taken_address(address: str, port: int) -> None:
    """End with a plain message if another program listens there already.

    Raises:
        click.ClickException: it does, or this machine has no such address.
    """
    try:
        family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "another program listens there already" if taken else error.strerror
        raise click.ClickException(
            f"cannot listen on {address}:{port}: {reason}; "
            "choose another with --bind HOST:PORT or CAIRN_BIND=HOST:PORT"
        ) from error


def web_process(config: Config, *, with_jobs: bool) -> Flask:
    """Return the application of one web process; granian calls this in each."""
    end_with_parent()
    configure_logging(config.log_level)
    services = build(config)
    if with_jobs:
        services.jobs.start(threads=config.job_threads)
    return create_app(config, services)


def end_with_parent() -> None:
    """Have the kernel end this process when the one that started it is killed: an orphan keeps the port."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


@main.command()
@click.pass_obj
def worker(load: LoadConfig) -> None:
    """Run background jobs until told to stop."""
    config = load()
    configure_logging(config.log_level)
    services = build(config)
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    services.jobs.start(threads=config.job_threads)
    stopping.wait()
    services.close()


@main.command()
@click.pass_obj
def migrate(load: LoadConfig) -> None:
    """Bring the database schema to this version."""
    build(load()).close()
    click.echo("the database is up to date", err=True)


@main.group()
def user() -> None:
    """Look after accounts."""


@user.command("create")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@click.option("--email", default="", help="E-mail address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def create_user(load: LoadConfig, name: str, email: str, *, admin: bool, password_stdin: bool) -> None:
    """Create the account NAME; without a password it works with tokens only."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None

    def create(services: Services) -> str:
        made = services.accounts.create_user(SYSTEM, name, password=password, email=email, is_admin=admin)
        return made.username

    click.echo(f"created user {_with_services(load(), create)}", err=True)


@user.command("password")
@click.argument("name")
@click.pass_obj
def set_password(load: LoadConfig, name: str) -> None:
    """Set the password of the account NAME, read from standard input; its sessions end."""
    password = sys.stdin.readline().rstrip("\r\n")

    def change(services: Services) -> str:
        return services.accounts.set_password(SYSTEM, name, password).username

    click.echo(f"changed the password of {_with_services(load(), change)}", err=True)


@main.group()
def token() -> None:
    """Look after API tokens."""


@token.command("create")
@click.argument("username")
@click.option("--name", default="command line", show_default=True, help="What it is for.")
@click.option(
    "--scope", type=click.Choice([scope.value for scope in Scope]), default="api", show_default=True
)
@click.option("--expires", type=click.IntRange(min=1), help="Days until it expires; none: it does not.")
@click.pass_obj
def create_token(load: LoadConfig, username: str, name: str, scope: str, expires: int | None) -> None:
    """Make a token for USERNAME and print it, alone, on standard output."""

    def create(services: Services) -> str:
        _, raw = services.accounts.create_token(
            SYSTEM,
            name=name,
            scopes=frozenset({Scope(scope)}),
            expires_at=services.clock() + timedelta(days=expires) if expires else None,
            username=username,
        )
        return raw

    click.echo(_with_services(load(), create))


main.add_command(demo)


def load_config(file: Path | None = None, **choices: object) -> Config:
    """Return the settings with the command line's choices, which win.

    Raises:
        click.UsageError: a setting is unknown or malformed.
    """
    given = {name: str(value) for name, value in choices.items() if value is not None}
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    try:
        return load_from_process(file, given)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error


def _with_services(config: Config, action: Callable[[Services], str]) -> str:
    services = build(config)
    try:
        return action(services)
    except (AppError, GitopsError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        services.close()
