"""The routes of projects: answers, addresses, refusals."""

import pytest

from app.access import AccessLevel
from tests.conftest import auth
from tests.steps import make_dataset, put

URL = "/api/v1/datasets/alice%2Fcells/projects"


@pytest.fixture
def cells(services, alice):
    made = make_dataset(services, alice[0])
    put(services, alice[0], made.id, {"train/a.bin": b"\x00a"})
    return made


def start(client, token, body=None, **headers):
    return client.post(URL, json=body or {"name": "Study"}, headers=auth(token) | headers)


def test_starting_answers_201_with_the_project_and_its_pins(client, alice, cells):
    answer = start(client, alice[1], {"name": "Study", "ref": "main"})
    assert answer.status_code == 201
    made = answer.json
    assert answer.headers["Location"] == f"/api/v1/projects/{made['id']}"
    assert (made["kind"], made["full_path"], made["visibility"]) == ("project", "alice/study", "private")
    assert made["clone_url"] == "http://localhost/alice/study.git"
    assert made["web_url"] == "http://localhost/alice/study"
    (pin,) = made["pins"]
    commit = client.get("/api/v1/datasets/alice%2Fcells", headers=auth(alice[1])).json["head"]
    assert pin == {
        "dataset_id": cells.id,
        "dataset_path": "alice/cells",
        "clone_url": "http://localhost/alice/cells.git",
        "web_url": f"http://localhost/alice/cells?ref={commit}",
        "ref": "main",
        "commit_id": commit,
        "created_at": pin["created_at"],
    }
    assert pin["created_at"].endswith("Z")


def test_a_project_answers_at_both_addresses(client, alice, cells):
    made = start(client, alice[1]).json
    for address in (made["id"], "alice%2Fstudy"):
        assert client.get(f"/api/v1/projects/{address}", headers=auth(alice[1])).json["pins"] == made["pins"]
        assert client.get(f"/api/v1/datasets/{address}", headers=auth(alice[1])).json["kind"] == "project"


def test_a_dataset_is_not_found_among_projects(client, alice, cells):
    answer = client.get(f"/api/v1/projects/{cells.id}", headers=auth(alice[1]))
    assert (answer.status_code, answer.json["error_code"]) == (404, "project_not_found")


def test_lists_are_apart_and_paged(client, alice, cells):
    for name in ("One", "Two", "Three"):
        start(client, alice[1], {"name": name})
    headers = auth(alice[1])
    assert [row["path"] for row in client.get("/api/v1/datasets", headers=headers).json] == ["cells"]
    first = client.get("/api/v1/projects?per_page=2", headers=headers)
    assert [row["path"] for row in first.json] == ["one", "three"]
    following = first.headers["Link"].partition("<")[2].partition(">")[0]
    assert [row["path"] for row in client.get(following, headers=headers).json] == ["two"]
    assert [row["path"] for row in client.get("/api/v1/projects?search=tw", headers=headers).json] == ["two"]


def test_lineage_shows_on_the_dataset(client, alice, bob, cells):
    assert client.get(URL, headers=auth(alice[1])).json == []
    start(client, alice[1], {"name": "One"})
    start(client, alice[1], {"name": "Two"})
    page = client.get(f"{URL}?per_page=1", headers=auth(alice[1]))
    assert [row["full_path"] for row in page.json] == ["alice/one"]
    assert 'rel="next"' in page.headers["Link"]
    assert client.get(URL, headers=auth(bob[1])).status_code == 404


def test_an_invisible_dataset_is_like_none(client, bob, cells):
    hidden = start(client, bob[1])
    absent = client.post(
        "/api/v1/datasets/alice%2Fabsent/projects", json={"name": "Study"}, headers=auth(bob[1])
    )
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json["detail"] == absent.json["detail"].replace("absent", "cells")


def test_visitors_are_asked_to_sign_in(client, alice, services, cells):
    services.datasets.update(alice[0], cells.id, {"visibility": "public"})
    assert client.post(URL, json={"name": "Study"}).status_code == 401
    assert client.get(URL).json == []
    assert client.get("/api/v1/projects").json == []


def test_a_guest_reads_the_lineage_and_starts_nothing(client, services, alice, bob, cells):
    services.memberships.set_member(alice[0], cells.id, "bob", AccessLevel.GUEST)
    assert client.get(URL, headers=auth(bob[1])).status_code == 200
    assert start(client, bob[1]).status_code == 403


def test_a_taken_path_is_409_and_a_repeated_key_is_the_same_project(client, alice, cells):
    first = start(client, alice[1], **{"Idempotency-Key": "k"})
    again = start(client, alice[1], **{"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    other = start(client, alice[1])
    assert (other.status_code, other.json["error_code"]) == (409, "path_taken")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "Study", "template": "rust"}, 422),
        ({"name": ""}, 422),
        ({"name": "Study", "ref": "no-such"}, 404),
        ({"name": "Study", "ref": "--upload-pack=x"}, 400),
        ({"name": "Study", "namespace": "nobody"}, 400),
        ({"name": "Study", "unknown": 1}, 422),
    ],
)
def test_wrong_wishes_are_refused(client, alice, cells, body, status):
    assert start(client, alice[1], body).status_code == status


def test_a_project_is_found_at_its_git_address(client, alice, cells):
    start(client, alice[1])
    answer = client.get("/alice/study.git/info/refs?service=git-upload-pack", headers=auth(alice[1]))
    assert b"refs/heads/main" in answer.data
