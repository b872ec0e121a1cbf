"""``cairn download`` and ``cairn archive``."""

import os
from pathlib import Path

import click

from cairn.address import Address, clean_path, parse_address
from cairn.client import Snapshot
from cairn.commands.bars import human_size, watched
from cairn.commands.session import (
    Session,
    with_dry_run,
    with_jobs,
    with_ref,
    with_selection,
    with_session,
)
from cairn.errors import LocalFileError, PartialError
from cairn.selection import Selection


@click.command()
@click.argument("words", metavar="[ADDRESS] [FILE]...", nargs=-1)
@click.option(
    "--project-id", metavar="DATASET", help="The dataset, instead of ADDRESS: then all words are files."
)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to; files keep their path below it.",
)
@click.option("--ref", metavar="REF", help="Branch, tag or commit; default: the default branch.")
@with_selection
@with_jobs
@with_dry_run
@with_session
def download(
    session: Session,
    *,
    words: tuple[str, ...],
    project_id: str | None,
    output: Path,
    ref: str | None,
    selection: Selection,
    jobs: int,
    dry_run: bool,
) -> None:
    """Fetch files of a dataset at one version, verified.

    FILE is a file or a folder; none means everything. What is there already and right is kept, a broken
    download goes on where it stopped. The last line of output is the local path.
    """
    address, files = _address_and_files(project_id, words)
    address = address.with_ref(ref)
    snapshot = session.dataset(address).at(address.ref)
    local = _local_path(output, files)
    if dry_run:
        _foretell(session, snapshot, files, selection, local)
        return
    report: dict[str, object] = {
        "path": local,
        "dataset": address.dataset,
        "ref": address.ref or None,
        "commit_id": snapshot.commit_id,
    }
    try:
        with watched(session, "Downloading") as progress:
            done = snapshot.download(output, files, selection=selection, jobs=jobs, progress=progress)
    except PartialError as error:
        for path, reason in error.failures.items():
            session.note(f"{path}: {reason}")
        session.show({**report, "failed": error.failures}, ())
        raise
    sizes = sum(file.size for file in done.fetched)
    session.note(
        f"{len(done.fetched)} files fetched ({human_size(sizes)}), {len(done.present)} were here, "
        f"all verified; version {snapshot.commit_id}"
    )
    lists = {name: [file.path for file in getattr(done, name)] for name in ("fetched", "present")}
    session.show({**report, **lists, "failed": {}}, [local])


@click.command()
@with_ref
@click.argument("path", required=False, default="")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Where to."
)
@click.option("--format", "kind", type=click.Choice(["zip", "tar"]), default="zip", show_default=True)
@click.option("--content", type=click.Choice(["data", "pointers"]), default="data", show_default=True)
@click.option("--from", "since", metavar="REF", help="Pack only what changed since this version.")
@with_selection
@with_session
def archive(
    session: Session,
    *,
    address: Address,
    path: str,
    output: Path | None,
    kind: str,
    content: str,
    since: str | None,
    selection: Selection,
) -> None:
    """Fetch a version, or a folder of it, as one zip or tar file."""
    dataset = session.dataset(address)
    commit_id = dataset.at(address.ref).commit_id
    folder = clean_path(path) or address.path
    query = {
        "ref": commit_id,
        "path": folder or None,
        "include": list(selection.include) or None,
        "exclude": list(selection.exclude) or None,
        "content": content,
        "from": since,
    }
    target = output or Path(f"{address.dataset.replace('/', '-')}-{commit_id[:10]}.{kind}")
    partial = target.with_name(f"{target.name}.partial")
    # The whole is not known by a hash beforehand, so a part of an earlier run is not trusted.
    with (
        watched(session, "Downloading") as progress,
        session.http.body(f"{dataset.api_path}/archive.{kind}", query) as body,
    ):
        progress.expect(files=1, size=int(body.headers.get("Content-Length") or 0))
        try:
            with partial.open("wb") as stream:
                for chunk in body.chunks():
                    stream.write(chunk)
                    progress.advance(size=len(chunk))
            partial.replace(target)
        except OSError as error:
            raise LocalFileError(f"Cannot write {target}: {error.strerror}.") from error
    session.show({"path": str(target), "commit_id": commit_id, "size": target.stat().st_size}, [str(target)])


def _address_and_files(project_id: str | None, words: tuple[str, ...]) -> tuple[Address, list[str]]:
    if project_id:
        address, files = parse_address(project_id), list(words)
    elif words:
        address, files = parse_address(words[0]), list(words[1:])
    else:
        raise click.UsageError("Name a dataset: cairn download ADDRESS, or --project-id.")
    return address, [*([address.path] if address.path else []), *(clean_path(file) for file in files)]


def _local_path(output: Path, files: list[str]) -> str:
    """Return the one thing that was asked for, or the folder that holds several."""
    return os.fspath((output / files[0] if len(files) == 1 else output).absolute())


def _foretell(
    session: Session, snapshot: Snapshot, files: list[str], selection: Selection, local: str
) -> None:
    known, _ = snapshot.find(files)
    chosen = [file for file in known if selection.takes(file.path)]
    session.note(f"{len(chosen)} files, {human_size(sum(file.size for file in chosen))}")
    rows = [{"path": file.path, "size": file.size} for file in chosen]
    session.show(
        {"path": local, "commit_id": snapshot.commit_id, "files": rows}, [file.path for file in chosen]
    )
