"""``cairn log``, ``diff``, ``tag``, ``revert`` and ``restore``."""

from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from cairn.address import Address, clean_path
from cairn.commands.session import (
    Session,
    with_address,
    with_branch,
    with_dry_run,
    with_ref,
    with_session,
)

MARKS = {"added": "A", "removed": "D", "changed": "M"}


@click.command()
@with_ref
@click.argument("path", required=False, default="")
@click.option("-n", "--number", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@with_session
def log(session: Session, *, address: Address, path: str, number: int) -> None:
    """Show the commits of a dataset, newest first.

    With PATH, only those that touch it.
    """
    commits = session.dataset(address).commits(ref=address.ref or None, path=clean_path(path) or address.path)
    rows = list(islice(commits, number))
    session.show(rows, [_commit_line(row) for row in rows])


@click.command()
@with_ref
@click.argument("old")
@click.argument("new", required=False)
@click.option("--path", default="", help="Only below this folder.")
@with_session
def diff(session: Session, *, address: Address, old: str, new: str | None, path: str) -> None:
    """Show what changed between two versions.

    NEW is --ref or the default branch where it is left out. A added, D removed, M changed, R renamed.
    """
    dataset = session.dataset(address)
    target = new or dataset.at(address.ref).commit_id
    folder = clean_path(path) or address.path
    changes = dataset.compare(old, target, prefix=f"{folder}/" if folder else "")
    rows = [row for kind in ("added", "removed", "changed", "renamed") for row in changes[kind]]
    session.show(changes, [_row_line(row) for row in sorted(rows, key=lambda row: str(row["path"]))])


@click.command()
@with_ref
@click.argument("name", required=False)
@click.option("-m", "--message", help="Notes; a tag with notes is a release and never moves.")
@click.option("--delete", "is_deletion", is_flag=True, help="Delete the tag.")
@with_dry_run
@with_session
def tag(
    session: Session,
    *,
    address: Address,
    name: str | None,
    message: str | None,
    is_deletion: bool,
    dry_run: bool,
) -> None:
    """List tags, make one, or make a release with notes."""
    dataset = session.dataset(address)
    base = f"{dataset.api_path}/tags"
    if name is None:
        rows = list(session.http.rows(base))
        session.show(rows, [str(row["name"]) for row in rows])
        return
    commit_id = "" if is_deletion else dataset.at(address.ref).commit_id
    if dry_run:
        session.show({"name": name, "commit_id": commit_id or None}, [f"{name} {commit_id}".strip()])
    elif is_deletion:
        session.http.json("DELETE", f"{base}/{quote(name, safe='')}")
        session.show({"deleted": name}, [name])
    else:
        body = {"name": name, "ref": commit_id, **({"message": message} if message else {})}
        session.show(session.http.json("POST", base, body=body), [f"{name} {commit_id}"])


@click.command()
@with_branch
@click.argument("commit")
@with_dry_run
@with_session
def revert(session: Session, *, address: Address, commit: str, dry_run: bool) -> None:
    """Undo one commit by a new one."""
    dataset = session.dataset(address)
    body = {"branch": address.ref or None, "dry_run": dry_run}
    answer = session.http.json(
        "POST", f"{dataset.api_path}/commits/{quote(commit, safe='')}/revert", body=body
    )
    _show_made(session, answer)


@click.command()
@with_address
@click.argument("path", required=False, default="")
@click.option("--ref", required=True, metavar="REF", help="The version to go back to.")
@click.option("--branch", metavar="BRANCH", help="Branch to commit to; default: the default branch.")
@click.option("-m", "--message", help="Default: says what was restored.")
@with_dry_run
@with_session
def restore(
    session: Session,
    *,
    address: Address,
    path: str,
    ref: str,
    branch: str | None,
    message: str | None,
    dry_run: bool,
) -> None:
    """Make a file, a folder or everything as it was at REF, in a new commit."""
    dataset = session.dataset(address)
    body = {
        "ref": ref,
        "path": clean_path(path) or address.path or None,
        "branch": branch,
        "message": message,
        "dry_run": dry_run,
    }
    given = {name: value for name, value in body.items() if value is not None}
    _show_made(session, session.http.json("POST", f"{dataset.api_path}/restore", body=given))


def _show_made(session: Session, answer: Mapping[str, Any]) -> None:
    """Show the commit that was made, or the changes that it would make."""
    if answer["dry_run"]:
        session.show(answer, [_row_line(row) for row in answer["changes"] or ()])
    else:
        session.show(answer, [str(answer["commit_id"])])


def _commit_line(row: Mapping[str, Any]) -> str:
    day = str(row.get("committed_date") or row.get("authored_date") or "")[:10]
    return f"{str(row['id'])[:10]}  {day}  {row.get('author_name', '')}  {row.get('title', '')}"


def _row_line(row: Mapping[str, Any]) -> str:
    if row["status"] == "renamed":
        return f"R {row['old_path']} -> {row['path']}"
    return f"{MARKS[row['status']]} {row['path']}"
