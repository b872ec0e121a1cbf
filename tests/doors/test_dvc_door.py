"""The DVC door, request by request."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.access import AccessLevel, Action, Actor, Scope, Visibility
from app.datasets import ledger
from app.datasets.models import Dataset
from app.db import Database
from app.services import Services
from gitops.model import Md5
from tests.conftest import auth

CONTENT = b"some bytes of a file"
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def cells(services: Services, alice: tuple[Actor, str]) -> Dataset:
    return services.datasets.create(alice[0], name="Cells", storage_site="local")


def place(dataset: Dataset, md5: str = MD5) -> str:
    return f"/dvc/{dataset.id}/files/md5/{md5[:2]}/{md5[2:]}"


def legacy_place(dataset: Dataset, md5: str = MD5) -> str:
    return f"/dvc/{dataset.id}/{md5[:2]}/{md5[2:]}"


Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(client: FlaskClient, alice: tuple[Actor, str]) -> Ask:
    def send(method: str, path: str, **more: object) -> TestResponse:
        headers = {**auth(alice[1]), **dict(more.pop("headers", {}))}  # type: ignore[call-overload]  # any mapping
        return client.open(path, method=method, headers=headers, **more)  # type: ignore[arg-type]  # werkzeug's own

    return send


Join = Callable[[Dataset, AccessLevel | None], dict[str, str]]


@pytest.fixture
def join(services: Services, alice: tuple[Actor, str], bob: tuple[Actor, str]) -> Join:
    """Return a function that gives bob a level and returns his headers."""

    def give(dataset: Dataset, level: AccessLevel | None) -> dict[str, str]:
        if level:
            services.memberships.set_member(alice[0], dataset.id, "bob", level)
        return auth(bob[1])

    return give


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_bytes_that_hash_to_their_name_are_stored(cells: Dataset, ask: Ask, method: str) -> None:
    assert ask(method, place(cells), data=CONTENT).status_code == 201
    assert ask(method, place(cells), data=CONTENT).status_code == 200

    answer = ask("GET", place(cells))

    assert answer.data == CONTENT
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["ETag"] == f'"{MD5}"'


def test_other_bytes_are_refused_and_nothing_stays(
    cells: Dataset, ask: Ask, services: Services, alice
) -> None:
    answer = ask("POST", place(cells), data=b"other bytes")

    assert answer.status_code == 400
    assert answer.get_json()["error_code"] == "digest_mismatch"
    assert ask("GET", place(cells)).status_code == 404
    pool = services.datasets.open(alice[0], cells.id, Action.READ).pool
    assert list(pool.store.addresses()) == []


@pytest.mark.parametrize(
    ("header", "status", "body"),
    [
        ("bytes=0-3", 206, CONTENT[:4]),
        ("bytes=5-", 206, CONTENT[5:]),
        ("bytes=-4", 206, CONTENT[-4:]),
        ("bytes=100-", 416, None),
        ("lines=1-", 200, CONTENT),
    ],
)
def test_ranges_are_sent(cells: Dataset, ask: Ask, header: str, status: int, body: bytes | None) -> None:
    ask("POST", place(cells), data=CONTENT)

    answer = ask("GET", place(cells), headers={"Range": header})

    assert answer.status_code == status
    assert body is None or answer.data == body


def test_head_says_what_get_would_say(cells: Dataset, ask: Ask) -> None:
    ask("POST", place(cells), data=CONTENT)

    answer = ask("HEAD", place(cells))

    assert (answer.status_code, answer.headers["Content-Length"], answer.data) == (
        200,
        str(len(CONTENT)),
        b"",
    )


def test_what_the_client_holds_is_not_sent_again(cells: Dataset, ask: Ask) -> None:
    ask("POST", place(cells), data=CONTENT)

    assert ask("GET", place(cells), headers={"If-None-Match": f'"{MD5}"'}).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "files/md5/ab/cdef",
        "files/md5/AB/CDEF0123456789abcdef0123456789",
        "files/md5/..%2f..%2fapp.db/x",
        "files/md5/a/b" + "0" * 30,
        "ab/%2e%2e",
        "../1/x",
    ],
)
def test_no_other_name_leads_anywhere(cells: Dataset, ask: Ask, path: str) -> None:
    assert ask("GET", f"/dvc/{cells.id}/{path}").status_code == 404
    assert ask("PUT", f"/dvc/{cells.id}/{path}", data=b"x").status_code in {400, 404, 405}


def test_what_lies_in_the_store_without_the_ledger_is_not_served(
    cells: Dataset, ask: Ask, services: Services, alice: tuple[Actor, str]
) -> None:
    store = services.datasets.open(alice[0], cells.id, Action.READ).pool.store
    store.keep([store.receive([CONTENT])])

    assert ask("GET", place(cells)).status_code == 404


def test_another_datasets_bytes_are_not_served(
    cells: Dataset, ask: Ask, services: Services, alice: tuple[Actor, str]
) -> None:
    other = services.datasets.create(alice[0], name="Other", storage_site="local")
    ask("POST", place(other), data=CONTENT)

    assert ask("GET", place(cells)).status_code == 404


def test_damaged_bytes_are_gone_until_they_are_sent_again(
    cells: Dataset, ask: Ask, services: Services
) -> None:
    ask("POST", place(cells), data=CONTENT)
    _mark_damaged(services.database, cells)
    assert ask("GET", place(cells)).status_code == 410

    assert ask("POST", place(cells), data=CONTENT).status_code == 201

    assert ask("GET", place(cells)).data == CONTENT


def test_a_manifest_is_stored_when_it_is_one(cells: Dataset, ask: Ask) -> None:
    text = json.dumps([{"md5": MD5, "relpath": "sub/a.bin"}]).encode()
    name = hashlib.md5(text).hexdigest() + ".dir"

    assert ask("POST", place(cells, name), data=text).status_code == 201
    assert ask("GET", place(cells, name)).data == text


@pytest.mark.parametrize(
    "relpath", ["../../x", "/etc/passwd", "a/../../b", ".git/config", "a\\b", "a\0b", "", "a//b", "C:/x\n"]
)
def test_a_hostile_manifest_is_refused_and_nothing_stays(cells: Dataset, ask: Ask, relpath: str) -> None:
    text = json.dumps([{"md5": MD5, "relpath": relpath}]).encode()
    name = hashlib.md5(text).hexdigest() + ".dir"

    assert ask("POST", place(cells, name), data=text).status_code == 400
    assert ask("GET", place(cells, name)).status_code == 404
    assert ask("POST", legacy_place(cells, name), data=text).status_code == 400


@pytest.mark.parametrize("text", [b"{}", b"no json", b"[1]", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(cells: Dataset, ask: Ask, text: bytes) -> None:
    name = hashlib.md5(text).hexdigest() + ".dir"

    assert ask("POST", place(cells, name), data=text).status_code == 400


def test_the_text_of_dvc_2_keeps_its_line_ends(cells: Dataset, ask: Ask) -> None:
    text = b"a,b\r\n1,2\r\n"
    name = hashlib.md5(text.replace(b"\r\n", b"\n")).hexdigest()

    assert ask("POST", legacy_place(cells, name), data=text).status_code == 201

    assert ask("GET", legacy_place(cells, name)).data == text
    assert ask("GET", place(cells, name)).status_code == 404
    assert ask("POST", place(cells, "0" * 32), data=text).status_code == 400


def test_both_layouts_reach_the_same_object(cells: Dataset, ask: Ask) -> None:
    ask("POST", legacy_place(cells), data=CONTENT)

    assert ask("GET", place(cells)).data == CONTENT


def test_without_a_storage_site_there_is_no_remote(
    ask: Ask, services: Services, alice: tuple[Actor, str]
) -> None:
    unbound = services.datasets.create(alice[0], name="Unbound")

    for method in ("GET", "PUT", "POST"):
        answer = ask(method, place(unbound), data=None if method == "GET" else CONTENT)
        assert (answer.status_code, answer.get_json()["error_code"]) == (409, "storage_site_unbound")


@pytest.mark.parametrize(
    ("level", "statuses"),
    [
        (None, (404, 404)),
        (AccessLevel.GUEST, (403, 403)),
        (AccessLevel.REPORTER, (200, 403)),
        (AccessLevel.DEVELOPER, (200, 200)),
    ],
)
def test_roles_decide(
    cells: Dataset, ask: Ask, join: Join, level: AccessLevel | None, statuses: tuple[int, int]
) -> None:
    ask("POST", place(cells), data=CONTENT)
    headers = join(cells, level)

    answers = (
        ask("GET", place(cells), headers=headers),
        ask("POST", place(cells), data=CONTENT, headers=headers),
    )

    assert tuple(answer.status_code for answer in answers) == statuses


def test_a_visitor_is_asked_for_a_token(cells: Dataset, ask: Ask, client: FlaskClient) -> None:
    ask("POST", place(cells), data=CONTENT)

    private, missing = client.get(place(cells)), client.get("/dvc/999/files/md5/ab/" + "c" * 30)

    assert private.status_code == missing.status_code == 401
    assert private.get_json()["detail"] == missing.get_json()["detail"]
    assert client.post(place(cells), data=CONTENT).status_code == 401


def test_everybody_reads_a_public_dataset(
    client: FlaskClient, ask: Ask, services: Services, alice: tuple[Actor, str]
) -> None:
    dataset = services.datasets.create(
        alice[0], name="Open", visibility=Visibility.PUBLIC, storage_site="local"
    )
    ask("POST", place(dataset), data=CONTENT)

    assert client.get(place(dataset)).data == CONTENT
    assert client.post(place(dataset), data=CONTENT).status_code == 401


def test_a_reading_token_does_not_write(
    cells: Dataset, client: FlaskClient, services: Services, alice: tuple[Actor, str]
) -> None:
    scopes = frozenset({Scope.READ_API})
    _, raw = services.accounts.create_token(alice[0], name="reading", scopes=scopes)

    answer = client.post(place(cells), headers=auth(raw), data=CONTENT)

    assert (answer.status_code, answer.get_json()["error_code"]) == (403, "insufficient_scope")


def test_basic_authentication_carries_the_token(
    cells: Dataset, client: FlaskClient, alice: tuple[Actor, str]
) -> None:
    assert client.get(place(cells), auth=("any", alice[1])).status_code == 404


def _mark_damaged(database: Database, dataset: Dataset) -> None:
    with database.transaction() as connection:
        ledger.mark_damaged(connection, dataset.id, Md5(MD5), now=datetime.now(UTC))
