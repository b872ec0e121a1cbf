"""``cairn datasets``, ``sites`` and ``project``: what exists, and where its bytes lie."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from cairn.address import Address
from cairn.commands.session import Session, with_address, with_dry_run, with_ref, with_session
from cairn.errors import VerificationError

VISIBILITIES = click.Choice(["private", "internal", "public"])
PROVIDERS = click.Choice(["local", "s3", "gcs", "azure", "ssh", "webdav", "http"])


@click.group()
def datasets() -> None:
    """List, create and describe datasets."""


@datasets.command("ls")
@click.option("--search", help="Words in name or description.")
@click.option("--namespace", help="Only of this owner.")
@click.option("--topic", help="Only with this topic.")
@click.option("--visibility", type=VISIBILITIES)
@with_session
def list_datasets(session: Session, **query: str | None) -> None:
    """List the datasets that you may read."""
    given = {name: value for name, value in query.items() if value}
    rows = list(session.client.datasets(**given))
    session.show(
        rows, [f"{row['id']}\t{row['path_with_namespace']}\t{row.get('visibility', '')}" for row in rows]
    )


@datasets.command("create")
@click.argument("name")
@click.option("--namespace", help="Whose it is; default: yours.")
@click.option("--path", help="Last part of its address; default: made from the name.")
@click.option("--description")
@click.option("--visibility", type=VISIBILITIES)
@click.option("--topic", "topics", multiple=True, help="Repeatable.")
@click.option("--storage-site", help="Id or name; a dataset is bound once and for ever.")
@with_dry_run
@with_session
def create_dataset(
    session: Session, *, name: str, topics: tuple[str, ...], dry_run: bool, **fields: object
) -> None:
    """Create a dataset."""
    body = _given({"name": name, **fields, "topics": list(topics) or None})
    if dry_run:
        session.show(body, [f"{field}: {value}" for field, value in body.items()])
        return
    answer = session.http.json("POST", "/datasets", body=body)
    session.note(f"dataset {answer['id']}")
    session.show(answer, [answer["path_with_namespace"]])


@datasets.command("info")
@with_address
@with_session
def describe_dataset(session: Session, *, address: Address) -> None:
    """Describe a dataset."""
    answer = session.dataset(address).info()
    session.show(answer, _field_lines(answer))


@click.group()
def sites() -> None:
    """List, create, bind and check storage sites."""


@sites.command("ls")
@with_session
def list_sites(session: Session) -> None:
    """List the storage sites that you may use."""
    rows = list(session.http.rows("/storage-sites"))
    session.show(
        rows, [f"{row['id']}\t{row['name']}\t{row['provider']}\t{row.get('url') or ''}" for row in rows]
    )


@sites.command("create")
@click.argument("name")
@click.option("--provider", type=PROVIDERS, required=True)
@click.option("--url", required=True, help="For example s3://bucket/prefix.")
@click.option("--endpoint-url", help="Of an S3-compatible service.")
@click.option("--region")
@click.option(
    "--credentials",
    "credentials_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="JSON file with the credentials; - reads stdin.",
)
@with_dry_run
@with_session
def create_site(
    session: Session, *, name: str, credentials_file: Path | None, dry_run: bool, **fields: object
) -> None:
    """Register a storage site."""
    body = _given({"name": name, **fields})
    if dry_run:
        session.show(body, _field_lines(body))
        return
    if credentials_file:
        with click.open_file(str(credentials_file), encoding="utf-8") as stream:
            body["credentials"] = _read_json(stream.read())
    answer = session.http.json("POST", "/storage-sites", body=body)
    session.show(answer, [str(answer["id"])])


@sites.command("bind")
@with_address
@click.argument("site")
@with_dry_run
@with_session
def bind_site(session: Session, *, address: Address, site: str, dry_run: bool) -> None:
    """Bind a dataset to a storage site, once and for ever."""
    if dry_run:
        session.show({"dataset": address.dataset, "storage_site": site}, [f"{address.dataset} -> {site}"])
        return
    answer = session.http.json("PUT", f"{address.api_path}/storage-site", body={"storage_site": site})
    session.show(answer, [f"{address.dataset} -> {site}"])


@sites.command("check")
@click.argument("site")
@with_session
def check_site(session: Session, *, site: str) -> None:
    """Probe a storage site: write, read, range, delete, signing, CORS.

    Exit code 3 says that it is not usable.
    """
    answer = session.http.json("POST", f"/storage-sites/{quote(site, safe='')}/check")
    session.show(answer, [f"{row['name']}\t{row['outcome']}\t{row['detail']}" for row in answer["probes"]])
    if not answer["is_usable"]:
        raise VerificationError(f"The storage site {site!r} is not usable.")


@click.group()
def project() -> None:
    """Start projects from datasets."""


@project.command("start")
@with_ref
@click.argument("name")
@click.option("--namespace", help="Whose it is; default: yours.")
@click.option("--template", help="Starter code.")
@with_dry_run
@with_session
def start_project(
    session: Session,
    *,
    address: Address,
    name: str,
    namespace: str | None,
    template: str | None,
    dry_run: bool,
) -> None:
    """Start a project NAME: a repository that pins the dataset at its present commit."""
    dataset = session.dataset(address)
    # Pinned here, so that what the person saw is what the project gets.
    body = _given(
        {"name": name, "namespace": namespace, "template": template, "ref": dataset.at(address.ref).commit_id}
    )
    if dry_run:
        session.show(body, _field_lines(body))
        return
    answer = session.http.json("POST", f"{dataset.api_path}/projects", body=body)
    session.show(answer, [str(answer.get("clone_url") or answer.get("web_url") or answer.get("id"))])


def _field_lines(document: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value}"
        for name, value in document.items()
    ]


def _given(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _read_json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"The credentials are not JSON: {error}") from error
