"""``cairn upload``, ``rm`` and ``mv``: each is exactly one commit."""

from pathlib import Path
from urllib.parse import quote

import click

from cairn.address import Address, clean_path
from cairn.client import Dataset
from cairn.commands.bars import human_size, watched
from cairn.commands.session import (
    Session,
    with_branch,
    with_dry_run,
    with_jobs,
    with_message,
    with_selection,
    with_session,
)
from cairn.compare import compare_folder
from cairn.errors import NotFoundError
from cairn.scan import Scan, scan_folder
from cairn.selection import Selection
from cairn.store import RemoteFile
from cairn.upload import Upload


@click.command()
@with_branch
@click.argument("local", type=click.Path(path_type=Path, exists=True))
@click.argument("remote", required=False, default="")
@with_message
@with_selection
@with_jobs
@with_dry_run
@with_session
def upload(
    session: Session,
    *,
    address: Address,
    local: Path,
    remote: str,
    message: str,
    selection: Selection,
    jobs: int,
    dry_run: bool,
) -> None:
    """Commit a local file or folder to a dataset.

    A folder's content goes below REMOTE (default: the top). Only content that the dataset lacks is sent;
    after a break, run it again. Files that exist only in the dataset stay.
    """
    dataset = session.dataset(address)
    scan = scan_folder(local, remote or address.path, selection)
    for path, reason in scan.skipped.items():
        session.note(f"skipped {path}: {reason}")
    if dry_run:
        _foretell(session, dataset, scan, address.ref, jobs)
        return
    with watched(session, "Uploading") as progress:
        run = Upload(session.http, dataset=dataset.api_path, jobs=jobs, progress=progress)
        done = run.run(scan.files, message=message, branch=address.ref or None)
    session.note(
        f"{len(scan.files)} files in commit {done.commit['commit_id']}; "
        f"{done.sent_files} had to be sent ({human_size(done.sent_bytes)})"
    )
    document = {
        **done.commit,
        "sent": {"files": done.sent_files, "bytes": done.sent_bytes},
        "skipped": dict(scan.skipped),
    }
    session.show(document, [str(done.commit["commit_id"])])


@click.command()
@with_branch
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("-r", "--recursive", is_flag=True, help="Remove folders with all that is in them.")
@with_message
@with_dry_run
@with_session
def rm(
    session: Session,
    *,
    address: Address,
    paths: tuple[str, ...],
    recursive: bool,
    message: str,
    dry_run: bool,
) -> None:
    """Remove files or folders, in one commit.

    Earlier versions keep them.
    """
    dataset = session.dataset(address)
    files, folders = dataset.at(address.ref).find(paths)
    if folders and not recursive:
        raise click.UsageError(f"{folders[0]!r} is a folder; -r removes it with all that is in it.")
    if dry_run:
        session.show({"paths": [file.path for file in files]}, [file.path for file in files])
        return
    if len(paths) == 1:
        query = {"message": message, "branch": address.ref or None, "recursive": 1 if folders else None}
        answer = session.http.json(
            "DELETE", f"{dataset.api_path}/files/{quote(clean_path(paths[0]))}", query=query
        )
        answer = answer or {}
    else:
        actions = [{"action": "delete", "file_path": file.path} for file in files]
        answer = dataset.change(actions, message=message, branch=address.ref or None)
    session.note(f"{len(files)} files removed")
    session.show(answer, [str(answer.get("commit_id") or answer.get("id") or "")])


@click.command()
@with_branch
@click.argument("old")
@click.argument("new")
@with_message
@with_dry_run
@with_session
def mv(
    session: Session,
    *,
    address: Address,
    old: str,
    new: str,
    message: str,
    dry_run: bool,
) -> None:
    """Rename a file or folder, in one commit.

    No bytes are copied. NEW is the whole new path; where it ends in a slash, OLD keeps its name below it.
    """
    dataset = session.dataset(address)
    source = clean_path(old)
    target = (
        f"{clean_path(new)}/{source.rpartition('/')[2]}".lstrip("/") if new.endswith("/") else clean_path(new)
    )
    files, _ = dataset.at(address.ref).find([source])
    moves = [(file.path, target + file.path.removeprefix(source)) for file in files]
    if dry_run:
        session.show({"moves": dict(moves)}, [f"{before} -> {after}" for before, after in moves])
        return
    actions = [{"action": "move", "previous_path": before, "file_path": after} for before, after in moves]
    answer = dataset.change(actions, message=message, branch=address.ref or None)
    session.note(f"{len(files)} files renamed")
    session.show(answer, [str(answer.get("commit_id") or answer.get("id") or "")])


def _foretell(session: Session, dataset: Dataset, scan: Scan, ref: str, jobs: int) -> None:
    there: list[RemoteFile] = []
    try:
        there = list(dataset.at(ref).files())
    except NotFoundError as error:
        if error.code != "ref_not_found":
            raise
    comparison = compare_folder(scan.files, there, jobs=jobs)
    lines = [f"A {path}" for path in comparison.added] + [f"M {path}" for path in comparison.changed]
    document = {
        "added": comparison.added,
        "changed": comparison.changed,
        "unchanged": len(comparison.unchanged),
        "skipped": dict(scan.skipped),
    }
    session.show(document, lines)
