"""``cairn-server demo``."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import click

from app.access import SYSTEM, Action
from app.config import Config
from app.demo.credentials import FILE_NAME
from app.demo.fill import fill
from app.demo.guide import GUIDED_DATASET, guide_text
from app.errors import AppError, MissingError
from app.services import Services, build
from gitops.errors import GitopsError


@click.command()
@click.pass_obj
def demo(load: Callable[..., Config]) -> None:
    """Fill an empty service with real sample data and say where to look.

    A service that holds accounts already is left alone; a second run prints the same again.
    """
    services = build(load())
    try:
        click.echo(fill_and_explain(services))
    except (AppError, GitopsError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        services.close()


def fill_and_explain(services: Services) -> str:
    """Fill an empty service; say where to look, or why it was left alone."""
    url = services.config.public_url
    credentials = fill(services)
    if credentials is None:
        return f"Cairn: {url}\n\nThis service has accounts already; the demo was left out.\n"
    try:
        dataset = services.datasets.open(SYSTEM, GUIDED_DATASET, Action.SEE).dataset.id
    except MissingError:
        return (
            f"Cairn: {url}\n\nThe demo was filled before; its dataset {GUIDED_DATASET} was deleted since.\n"
        )
    file = _shown(services.config.home / FILE_NAME)
    return guide_text(credentials, url=url, dataset=dataset, file=file, cairn=_command())


def _command() -> str:
    """Return how ``cairn`` is called from here: by its name if the shell finds it."""
    return "cairn" if shutil.which("cairn") else _shown(Path(sys.argv[0]).with_name("cairn"))


def _shown(path: Path) -> str:
    """Return a path as a person here would type it: relative if that is shorter."""
    relative = os.path.relpath(path)
    return min(relative, str(path), key=len)
