"""The git door of a running service: who gets in, what git users see, what follows a push."""

import base64
import itertools
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse

import pytest

from app.access import AccessLevel, Action, Actor, Scope, Visibility
from app.datasets.models import Dataset
from app.versions.service import COMMITTED
from gitops.model import ROOT
from tests.doors.conftest import Live, MakeWork, Work, clone

_numbers = itertools.count()


@dataclass(frozen=True)
class Shared:
    """One dataset and people around it."""

    live: Live
    owner: Actor
    token: str
    dataset: Dataset


@pytest.fixture(scope="session")
def people(live: Live) -> dict[str, tuple[Actor, str]]:
    return {
        "owner": live.person("git-owner"),
        "reader": live.person("git-reader"),
        "stranger": live.person("git-stranger"),
        "read-only": live.person("git-readonly", Scope.READ_API),
    }


@pytest.fixture
def shared(live: Live, people: dict[str, tuple[Actor, str]]) -> Shared:
    owner, token = people["owner"]
    dataset = live.dataset(owner, f"Cells {next(_numbers)}")
    live.services.memberships.set_member(owner, dataset.id, "git-reader", AccessLevel.REPORTER)
    live.services.memberships.set_member(owner, dataset.id, "git-readonly", AccessLevel.DEVELOPER)
    return Shared(live, owner, token, dataset)


def ask(live: Live, path: str, *, data: bytes | None = None, **headers: str) -> tuple[int, bytes, Message]:
    """Send one request; headers are named with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(live.url + path, data=data, headers=named)
    try:
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers
    with answer:
        return answer.status, answer.read(), answer.headers


def refs(shared: Shared, service: str = "git-upload-pack") -> str:
    return f"/{shared.dataset.full_path}.git/info/refs?service={service}"


def test_a_member_clones_and_pushes(shared: Shared, make_work: MakeWork) -> None:
    work = clone(shared.live, make_work, shared.dataset, shared.token)
    work.write("notes.md", "hello\n")
    new = work.commit()

    work.git("push", "--quiet", "origin", "main")

    opened = shared.live.services.datasets.open(shared.owner, shared.dataset.id, Action.READ)
    assert opened.repo.head(shared.dataset.default_branch) == new
    assert "notes.md" in {entry.name for entry in opened.repo.at().list(ROOT).entries}


def test_a_push_is_announced_like_any_other_version(shared: Shared, make_work: MakeWork) -> None:
    before = shared.live.services.datasets.open(shared.owner, shared.dataset.id, Action.READ).dataset
    work = clone(shared.live, make_work, shared.dataset, shared.token)
    work.write("notes.md", "hello\n")
    new = work.commit()

    work.git("push", "--quiet", "origin", "main", "main:refs/heads/dev")

    jobs = [job for job in shared.live.services.jobs.latest(limit=10) if job.kind == COMMITTED]
    assert new in {job.payload["commit"] for job in jobs}
    after = shared.live.services.datasets.open(shared.owner, shared.dataset.id, Action.READ).dataset
    assert after.updated_at > before.updated_at


def test_an_id_is_an_address_too(shared: Shared, make_work: MakeWork) -> None:
    work = make_work("by-id")
    url = shared.live.git_url(shared.dataset, shared.token)

    work.git("clone", "--quiet", url.replace(shared.dataset.full_path, str(shared.dataset.id)), ".")

    assert (work.path / "README.md").exists()


def test_the_address_of_the_page_leads_to_the_repository(shared: Shared, make_work: MakeWork) -> None:
    work = make_work("page")
    work.git("clone", "--quiet", shared.live.git_url(shared.dataset, shared.token).removesuffix(".git"), ".")
    assert (work.path / "README.md").exists()


def test_everybody_clones_a_public_dataset(
    live: Live, people: dict[str, tuple[Actor, str]], make_work: MakeWork
) -> None:
    dataset = live.dataset(people["owner"][0], f"Open {next(_numbers)}", visibility=Visibility.PUBLIC)
    work = make_work("anonymous")

    work.git("clone", "--quiet", live.git_url(dataset, None), ".")
    work.write("notes.md", "x\n")
    work.commit()

    assert "could not read Username" in work.git("push", "origin", "main", check=False)


def test_a_reader_clones_but_does_not_push(
    shared: Shared, people: dict[str, tuple[Actor, str]], make_work: MakeWork
) -> None:
    work = clone(shared.live, make_work, shared.dataset, people["reader"][1])
    work.write("notes.md", "x\n")
    work.commit()

    said = work.git("push", "origin", "main", check=False)

    assert "remote: this needs the level developer" in said
    assert "403" in said


def test_a_reading_token_does_not_push(
    shared: Shared, people: dict[str, tuple[Actor, str]], make_work: MakeWork
) -> None:
    work = clone(shared.live, make_work, shared.dataset, people["read-only"][1])
    work.write("notes.md", "x\n")
    work.commit()

    said = work.git("push", "origin", "main", check=False)

    assert "this token reads only" in said


def test_a_stranger_finds_nothing(
    shared: Shared, people: dict[str, tuple[Actor, str]], make_work: MakeWork
) -> None:
    work = make_work("stranger")

    said = work.git("clone", shared.live.git_url(shared.dataset, people["stranger"][1]), "x", check=False)

    assert "not found" in said


def test_a_wrong_token_is_refused(shared: Shared, make_work: MakeWork) -> None:
    said = make_work("wrong").git("clone", shared.live.git_url(shared.dataset, "wrong"), "x", check=False)

    assert "Authentication failed" in said


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
def test_a_visitor_cannot_tell_a_private_dataset_from_none(shared: Shared, service: str) -> None:
    private = ask(shared.live, refs(shared, service))
    missing = ask(shared.live, f"/nobody/nothing.git/info/refs?service={service}")

    assert private[0] == missing[0] == 401
    assert any(value.startswith("Basic realm=") for value in private[2].get_all("WWW-Authenticate"))
    volatile = {"X-Request-Id", "Date"}
    assert [row for row in private[2].items() if row[0] not in volatile] == [
        row for row in missing[2].items() if row[0] not in volatile
    ]
    assert private[1].partition(b'"instance"')[0] == missing[1].partition(b'"instance"')[0]


def test_a_token_works_in_every_header(shared: Shared) -> None:
    basic = base64.b64encode(f"x:{shared.token}".encode()).decode()

    assert ask(shared.live, refs(shared), Authorization=f"Basic {basic}")[0] == 200
    assert ask(shared.live, refs(shared), Authorization=f"Bearer {shared.token}")[0] == 200
    assert ask(shared.live, refs(shared), PRIVATE_TOKEN=shared.token)[0] == 200


def test_a_cookie_opens_nothing_here(shared: Shared) -> None:
    cookie = f"tokenGitLab={shared.token}"
    post = f"/{shared.dataset.full_path}.git/git-receive-pack"
    kind = "application/x-git-receive-pack-request"

    assert ask(shared.live, refs(shared), Cookie=cookie)[0] == 401
    assert ask(shared.live, post, data=b"0000", Cookie=cookie, Content_Type=kind)[0] == 403
    same = {"Origin": shared.live.url, "Sec_Fetch_Site": "same-origin"}
    assert ask(shared.live, post, data=b"0000", Cookie=cookie, Content_Type=kind, **same)[0] == 401


@pytest.mark.parametrize(
    "path",
    ["HEAD", "objects/info/packs", "objects/info/alternates", "config", "info/refs/x", "git-upload-archive"],
)
def test_nothing_else_of_a_repository_is_served(shared: Shared, path: str) -> None:
    status, _, _ = ask(shared.live, f"/{shared.dataset.full_path}.git/{path}", PRIVATE_TOKEN=shared.token)

    assert status == 404


@pytest.mark.parametrize("query", ["", "?service=git-upload-archive", "?service=--upload-pack"])
def test_no_other_service_runs(shared: Shared, query: str) -> None:
    path = f"/{shared.dataset.full_path}.git/info/refs{query}"

    assert ask(shared.live, path, PRIVATE_TOKEN=shared.token)[0] == 422


def test_the_service_that_runs_is_the_one_that_is_asked_for(
    shared: Shared, people: dict[str, tuple[Actor, str]]
) -> None:
    post = f"/{shared.dataset.full_path}.git/git-receive-pack?service=git-upload-pack"

    status, _, _ = ask(
        shared.live,
        post,
        data=b"0000",
        PRIVATE_TOKEN=people["reader"][1],
        Content_Type="application/x-git-receive-pack-request",
    )

    assert status == 403


def test_a_push_announced_as_too_large_is_refused_at_once(shared: Shared) -> None:
    status, body, _ = ask(
        shared.live,
        f"/{shared.dataset.full_path}.git/git-receive-pack",
        data=b"0000",
        PRIVATE_TOKEN=shared.token,
        Content_Type="application/x-git-receive-pack-request",
        Content_Length=str(1 << 40),
    )

    assert status == 413
    assert b"data files belong behind DVC pointers" in body


def test_a_removed_member_is_out_at_once(
    shared: Shared, people: dict[str, tuple[Actor, str]], make_work: MakeWork
) -> None:
    work = clone(shared.live, make_work, shared.dataset, people["reader"][1])
    shared.live.services.memberships.remove_member(shared.owner, shared.dataset.id, "git-reader")

    assert "not found" in work.git("fetch", check=False)


def test_the_reasons_against_a_push_come_back(shared: Shared, make_work: MakeWork) -> None:
    work = clone(shared.live, make_work, shared.dataset, shared.token)
    work.write("train/x.jpg.dvc", "outs:\n- md5: " + "a" * 32 + "\n  size: 3\n  hash: md5\n  path: x.jpg\n")
    work.commit()

    said = work.git("push", "origin", "main", check=False)

    assert "remote: train/x.jpg.dvc: the dataset does not hold the bytes" in said
    assert "! [remote rejected] main -> main (pre-receive hook declined)" in said


def test_the_bytes_of_another_dataset_cannot_be_pointed_to(shared: Shared, make_work: MakeWork) -> None:
    other = shared.live.dataset(shared.owner, f"Other {next(_numbers)}")
    pool = shared.live.services.datasets.open(shared.owner, other.id, Action.WRITE).pool
    md5 = pool.receive([b"secret of another dataset"]).address
    work = clone(shared.live, make_work, shared.dataset, shared.token)
    work.write("x.jpg.dvc", f"outs:\n- md5: {md5}\n  size: 25\n  hash: md5\n  path: x.jpg\n")
    work.commit()

    assert "does not hold the bytes" in work.git("push", "origin", "main", check=False)


def test_shallow_and_partial_clones_work(shared: Shared, make_work: MakeWork) -> None:
    shallow = clone(shared.live, make_work, shared.dataset, shared.token, "--depth=1")
    partial = clone(shared.live, make_work, shared.dataset, shared.token, "--filter=blob:none")

    assert shallow.read("README.md") == partial.read("README.md")


def test_ignored_data_and_reserved_files_stay_clean(shared: Shared, make_work: MakeWork) -> None:
    work: Work = clone(shared.live, make_work, shared.dataset, shared.token)
    work.write("photo.jpg", b"not tracked yet")
    work.write("deep/folder/photo.jpg", b"not tracked yet")

    assert work.git("status", "--porcelain") == ""


def test_both_doors_are_in_the_document(live: Live) -> None:
    status, body, _ = ask(live, "/api/v1/openapi.json")

    assert status == 200
    for path in ("{dataset}.git/info/refs", "{dataset}.git/git-receive-pack", "/dvc/{dataset}/files/md5/"):
        assert path.encode() in body
