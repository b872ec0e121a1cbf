"""What all commands share: their options, and how they speak.

Data goes to stdout, everything else to stderr; ``--json`` prints one document.
"""

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click

from cairn.address import Address, parse_address
from cairn.client import JOBS, Client, Dataset
from cairn.http import Http
from cairn.selection import Selection

# What a command does, called by click with keywords only.
Body = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command: the service as the caller, and how to answer."""

    client: Client
    as_json: bool
    is_quiet: bool
    shows_bars: bool

    @property
    def http(self) -> Http:
        """The service."""
        return self.client.http

    def dataset(self, address: Address) -> Dataset:
        """Return the dataset that an address names."""
        return Dataset(self.http, address.dataset)

    def show(self, document: object, lines: Iterable[str]) -> None:
        """Print the result: the document with ``--json``, else the lines."""
        if self.as_json:
            click.echo(json.dumps(document, ensure_ascii=False))
            return
        for line in lines:
            click.echo(line)

    def note(self, text: str) -> None:
        """Tell the person something that is not data."""
        if not self.is_quiet:
            click.echo(text, err=True)


def with_session(function: Body) -> Body:
    """Add the options that every command has, and pass them on as a ``Session``."""

    @click.option("--token", metavar="TOKEN", help="Who asks; better in CAIRN_TOKEN than here.")
    @click.option("--endpoint", metavar="URL", help="The service; default CAIRN_ENDPOINT.")
    @click.option("-k", "--insecure", is_flag=True, help="Accept any TLS certificate.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
    @click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")
    @click.option("--no-progress", is_flag=True, help="Show no progress bar.")
    @functools.wraps(function)
    def run(
        *,
        token: str | None,
        endpoint: str | None,
        insecure: bool,
        as_json: bool,
        quiet: bool,
        no_progress: bool,
        **options: Any,
    ) -> None:
        client = Client(endpoint, token, verify=not insecure, jobs=options.get("jobs") or JOBS)
        session = Session(client, as_json, is_quiet=quiet, shows_bars=not (quiet or no_progress))
        function(session, **options)

    return run


class AddressType(click.ParamType[Address]):
    """A dataset address on the command line."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read the text; a malformed address is a usage error."""
        del param, ctx
        return value if isinstance(value, Address) else parse_address(str(value))


ADDRESS = AddressType()

with_address = click.argument("address", metavar="DATASET", type=ADDRESS)
with_jobs = click.option(
    "-j", "--jobs", type=click.IntRange(1, 64), default=JOBS, show_default=True, help="Parallel transfers."
)
with_dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen and change nothing.")
with_message = click.option("-m", "--message", required=True, help="What changed, and why.")


def with_ref(function: Body) -> Body:
    """Add DATASET and ``--ref``, which becomes part of the address."""
    option = click.option("--ref", metavar="REF", help="Branch, tag or commit; default: the default branch.")
    return with_address(option(_merging_ref(function)))


def with_branch(function: Body) -> Body:
    """Add DATASET and ``--branch`` (or ``--ref``), which becomes the ref of the address."""
    option = click.option(
        "--branch", "--ref", "ref", metavar="BRANCH", help="To commit to; default: the default branch."
    )
    return with_address(option(_merging_ref(function)))


def with_selection(function: Body) -> Body:
    """Add ``--include`` and ``--exclude``, both repeatable, which become a ``Selection``."""

    @click.option(
        "--include", multiple=True, metavar="PATTERN", help="Take only matching files (repeatable)."
    )
    @click.option(
        "--exclude", multiple=True, metavar="PATTERN", help="Leave out matching files (repeatable)."
    )
    @functools.wraps(function)
    def run(*, include: tuple[str, ...], exclude: tuple[str, ...], **options: Any) -> None:
        function(selection=Selection(include, exclude), **options)

    return run


def _merging_ref(function: Body) -> Body:
    @functools.wraps(function)
    def run(*, address: Address, ref: str | None, **options: Any) -> None:
        function(address=address.with_ref(ref), **options)

    return run
