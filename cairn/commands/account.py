"""``cairn login``, ``whoami``, ``dvc-login`` and ``open``."""

import sys
import webbrowser
from pathlib import Path
from urllib.parse import quote

import click

from cairn.address import Address
from cairn.commands.session import Session, with_dry_run, with_ref, with_session
from cairn.dvc_clone import write_dvc_login
from cairn.errors import NotAllowedError
from cairn.http import Http
from cairn.settings import Credential, remember_login


@click.command()
@with_session
def login(session: Session) -> None:
    """Check a token and remember it for this endpoint.

    The token comes from --token, from a prompt, or from stdin where that is not a terminal.
    """
    given = click.get_current_context().params.get("token")
    endpoint = session.http.endpoint
    token = given or _ask_for_token(endpoint)
    user = Http(endpoint, Credential("PRIVATE-TOKEN", token)).json("GET", "/user")
    path = remember_login(endpoint, token)
    session.note(f"Signed in at {endpoint}; the token is in {path}.")
    session.show(user, [str(user["username"])])


@click.command()
@with_session
def whoami(session: Session) -> None:
    """Show who the token belongs to."""
    if session.http.credential is None:
        raise NotAllowedError(f"You are not signed in at {session.http.endpoint}; run `cairn login`.")
    user = session.client.user()
    session.show(user, [str(user["username"])])


@click.command("dvc-login")
@click.argument("clone", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
@with_session
def dvc_login(session: Session, *, clone: Path) -> None:
    """Let DVC in a clone use the token, without committing it.

    Writes .dvc/config.local, readable by you alone: the remote `cairn` and the token for it.
    """
    credential = session.http.credential
    if credential is None:
        raise NotAllowedError(f"You are not signed in at {session.http.endpoint}; run `cairn login`.")
    path = write_dvc_login(clone, session.http.endpoint, credential)
    session.show({"path": str(path)}, [str(path)])


@click.command("open")
@with_ref
@with_dry_run
@with_session
def open_page(session: Session, *, address: Address, dry_run: bool) -> None:
    """Open a dataset's page in the browser.

    Prints its address, too.
    """
    page = f"/datasets/{address.dataset}" if address.dataset.isdigit() else f"/{quote(address.dataset)}"
    if address.path and not address.dataset.isdigit():
        page += f"/file/{quote(address.path)}"
    url = f"{session.http.endpoint}{page}" + (f"?ref={quote(address.ref, safe='')}" if address.ref else "")
    session.show({"url": url}, [url])
    if not dry_run:
        webbrowser.open(url)


def _ask_for_token(endpoint: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    token: str = click.prompt(f"Access token for {endpoint}", hide_input=True, err=True)
    return token.strip()
