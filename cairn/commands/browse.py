"""``cairn ls``, ``status``, ``verify`` and ``whence``: nothing here changes anything."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cairn.address import Address, clean_path
from cairn.commands.session import (
    Session,
    with_jobs,
    with_ref,
    with_selection,
    with_session,
)
from cairn.compare import compare_folder, verify_folder
from cairn.errors import PartialError, VerificationError
from cairn.scan import scan_folder
from cairn.selection import Selection
from cairn.store import digest_file


@click.command()
@with_ref
@click.argument("path", required=False, default="")
@click.option("-r", "--recursive", is_flag=True, help="All files below the folder.")
@click.option("-l", "--long", "is_long", is_flag=True, help="With size and MD5.")
@with_selection
@with_session
def ls(
    session: Session,
    *,
    address: Address,
    path: str,
    recursive: bool,
    is_long: bool,
    selection: Selection,
) -> None:
    """List a folder of a dataset at one version."""
    snapshot = session.dataset(address).at(address.ref)
    rows = [
        row
        for row in snapshot.tree(path or address.path, recursive=recursive)
        if selection.takes(row["path"])
    ]
    session.show(rows, [_row_line(row, is_long=is_long, is_whole=recursive) for row in rows])


@click.command()
@with_ref
@click.argument("local", type=click.Path(path_type=Path, exists=True))
@click.argument("remote", required=False, default="")
@with_selection
@with_jobs
@with_session
def status(
    session: Session,
    *,
    address: Address,
    local: Path,
    remote: str,
    selection: Selection,
    jobs: int,
) -> None:
    """Compare a local folder with a version.

    A: only here; M: differs; D: only in the dataset. `cairn upload` with the same words would commit A and M.
    """
    target = remote or address.path
    scan = scan_folder(local, target, selection)
    folder = clean_path(target)
    there = [
        file
        for file in session.dataset(address).at(address.ref).files_at(folder)
        if selection.takes(file.path.removeprefix(f"{folder}/"))
    ]
    comparison = compare_folder(scan.files, there, jobs=jobs)
    marked = {"A": comparison.added, "M": comparison.changed, "D": comparison.missing}
    lines = sorted(
        (f"{mark} {path}" for mark, paths in marked.items() for path in paths), key=lambda line: line[2:]
    )
    session.note(f"{len(comparison.unchanged)} files are the same")
    session.show({**asdict(comparison), "unchanged": len(comparison.unchanged)}, lines)


@click.command()
@with_ref
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("files", metavar="[FILE]...", nargs=-1)
@with_selection
@with_jobs
@with_session
def verify(
    session: Session,
    *,
    address: Address,
    folder: Path,
    files: tuple[str, ...],
    selection: Selection,
    jobs: int,
) -> None:
    """Check the hashes of downloaded files against a version.

    Exit code 3 says that a file of the version is missing in DIR or differs; others do not matter.
    """
    snapshot = session.dataset(address).at(address.ref)
    known, _ = snapshot.find(files or ([address.path] if address.path else ()))
    chosen = [file for file in known if selection.takes(file.path)]
    result = verify_folder(folder, chosen, jobs=jobs)
    lines = [f"damaged {path}" for path in result.damaged] + [f"missing {path}" for path in result.missing]
    document = {
        "commit_id": snapshot.commit_id,
        "right": len(result.right),
        "damaged": result.damaged,
        "missing": result.missing,
    }
    session.show(document, lines)
    if result.damaged:
        raise VerificationError(
            f"{len(lines)} of {len(chosen)} files are not as in version {snapshot.commit_id}."
        )
    if result.missing:
        raise PartialError(
            f"{len(lines)} of {len(chosen)} files are missing.", dict.fromkeys(result.missing, "")
        )
    session.note(f"{len(chosen)} files are right; version {snapshot.commit_id}")


@click.command()
@click.argument("things", metavar="FILE|HASH...", nargs=-1, required=True)
@with_session
def whence(session: Session, *, things: tuple[str, ...]) -> None:
    """Find which datasets and versions hold some bytes.

    Bytes are named by a local file, or by their MD5 or SHA-256.
    """
    rows: list[Mapping[str, Any]] = []
    for thing in things:
        path = Path(thing)
        if path.is_file():
            body = {"sha256": [digest_file(path).sha256]}
        elif re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", thing):
            body = {"sha256" if len(thing) == 64 else "md5": [thing]}  # noqa: PLR2004 - hex digits of SHA-256
        else:
            raise click.UsageError(f"{thing!r} is neither a file here nor a hash.")
        found = session.http.json("POST", "/lookup", body=body)
        if not found:
            session.note(f"{thing}: in no dataset that you may read")
        rows += found
    session.show(rows, [f"{row['dataset']}\t{row['path']}\t{' '.join(row['refs'])}" for row in rows])


def _row_line(row: Mapping[str, Any], *, is_long: bool, is_whole: bool) -> str:
    name = str(row["path"] if is_whole else row["name"])
    if row["type"] == "folder":
        name += "/"
    if not is_long:
        return name
    return f"{row.get('size') or 0:>14} {row.get('md5') or '':32} {name}"
