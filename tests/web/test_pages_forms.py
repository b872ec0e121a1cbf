"""Forms of the pages: carried out once, refused from elsewhere, nothing typed is lost."""

import re

import pytest

from app.access import SYSTEM, AccessLevel
from tests.steps import make_dataset, put
from tests.web.page_visits import PASSWORD, Visitor, words_of


@pytest.fixture
def owner(app, services):
    return Visitor(app.test_client(), services, "olga", is_admin=True)


@pytest.fixture
def dataset(services, owner):
    made = make_dataset(services, owner.actor, "Cells")
    put(services, owner.actor, made.id, {"a.bin": b"one"}, message="Add a")
    return made


def _page_rules(app):
    """Every address of a page that takes a form, with something in its variable parts."""
    parts = {"namespace": "olga", "name": "cells", "sha": "main", "token": "1", "username": "olga"}
    parts |= {"site": "1", "job": "1"}
    for rule in app.url_map.iter_rules():
        is_page = not rule.rule.startswith(("/api/", "/dvc", "/setup")) and ".git/" not in rule.rule
        if "POST" in rule.methods and is_page:
            yield re.sub(r"<(?:[a-z_]+:)?([a-z_]+)>", lambda found: parts[found.group(1)], rule.rule)


def test_no_form_is_carried_out_without_the_token(app, owner, dataset):
    answers = {path: owner.client.post(path, data={}).headers["X-Error-Code"] for path in _page_rules(app)}

    assert len(answers) > 25
    assert {
        path: code for path, code in answers.items() if code not in {"csrf", "unsupported_media_type"}
    } == {}


def test_no_form_is_carried_out_with_a_wrong_token(app, owner, dataset):
    form = {"csrf_token": "x" * 32}
    answers = {
        path: owner.client.post(path, data=form, content_type="multipart/form-data").status_code
        for path in _page_rules(app)
    }

    assert set(answers.values()) == {403}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
)
def test_no_form_is_carried_out_from_another_site(app, owner, dataset, headers):
    form = {"csrf_token": owner.token()}
    answers = {
        path: owner.client.post(path, data=form, headers=headers).status_code for path in _page_rules(app)
    }

    assert set(answers.values()) == {403}


def test_an_upload_whose_token_does_not_come_first_stores_nothing(services, owner, dataset):
    parts = [
        'Content-Disposition: form-data; name="files"; filename="x.bin"\r\n\r\nsneaked',
        f'Content-Disposition: form-data; name="csrf_token"\r\n\r\n{owner.token()}',
    ]
    body = "".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n"

    answer = owner.client.post(
        f"/{dataset.full_path}/upload", data=body, content_type="multipart/form-data; boundary=x"
    )

    assert (answer.status_code, answer.headers["X-Error-Code"]) == (403, "csrf")
    stored = [file for file in services.config.objects_root.rglob("*") if file.is_file()]
    assert [file for file in stored if file.read_bytes() == b"sneaked"] == []


def test_an_upload_becomes_one_version_with_its_folders(services, owner, dataset):
    files = {"in/deep.bin": b"1", "top.bin": b"2"}

    answer = owner.upload(
        f"/{dataset.full_path}/upload", files, folder="new", message="Two files", branch="main"
    )

    assert answer.status_code == 303
    shown = owner.get(answer.headers["Location"])
    assert "2 files uploaded." in words_of(shown)
    assert "new/in/deep.bin" in words_of(shown)
    assert "2 files uploaded." not in words_of(owner.get(answer.headers["Location"]))


def test_a_refused_upload_keeps_folder_and_message(services, owner, dataset):
    answer = owner.upload(
        f"/{dataset.full_path}/upload",
        {"x.dvc": b"outs: []"},
        folder="kept-folder",
        message="kept words",
        branch="main",
    )

    assert answer.status_code == 400
    assert "names ending in '.dvc' are DVC pointers" in words_of(answer)
    assert 'value="kept-folder"' in answer.text
    assert 'value="kept words"' in answer.text


def test_an_upload_to_a_dataset_without_a_site_says_what_to_do(services, owner):
    made = make_dataset(services, owner.actor, "Drafts", storage_site=None)

    answer = owner.upload(f"/{made.full_path}/upload", {"x.bin": b"x"}, branch="main")

    assert answer.status_code == 409
    assert "Choose its storage site first: this can be done once and not be changed." in words_of(answer)


def test_an_upload_of_what_is_there_already_says_so(owner, dataset):
    answer = owner.upload(f"/{dataset.full_path}/upload", {"a.bin": b"one"}, branch="main")

    assert "Nothing changed" in words_of(owner.get(answer.headers["Location"]))


def test_creating_a_dataset_keeps_what_was_typed_when_it_is_refused(owner):
    form = {
        "name": "Kept name",
        "namespace": "olga",
        "path": "bad path!",
        "description": "kept",
        "topics": "a, b",
    }

    answer = owner.post("/datasets/new", form)

    assert answer.status_code == 422
    assert 'value="Kept name"' in answer.text
    assert 'value="a, b"' in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_creating_binding_and_deleting_a_dataset_by_forms(services, owner):
    made = owner.post("/datasets/new", {"name": "New one", "namespace": "olga", "visibility": "private"})
    assert made.headers["Location"] == "/olga/new-one"
    overview = words_of(owner.get("/olga/new-one"))
    assert "This can be done once and not be changed." in overview

    owner.post("/olga/new-one/settings/storage-site", {"storage_site": "1"})
    again = owner.post("/olga/new-one/settings/storage-site", {"storage_site": "77"})
    assert again.status_code == 404
    assert "Bound to local" in words_of(owner.get("/olga/new-one/settings/storage-site"))

    wrong = owner.post("/olga/new-one/settings/delete", {"confirm": "olga/other"})
    assert (wrong.status_code, "Nothing was deleted." in words_of(wrong)) == (422, True)
    owner.post("/olga/new-one/settings/delete", {"confirm": "olga/new-one"})
    assert "will be deleted" in words_of(owner.get("/olga/new-one"))
    owner.post("/olga/new-one/settings/undelete", {})
    assert "will be deleted" not in words_of(owner.get("/olga/new-one"))


def test_a_revert_is_shown_before_it_is_done(services, owner, dataset):
    commit = put(services, owner.actor, dataset.id, {"b.bin": b"two"}, message="Add b")
    address = f"/{dataset.full_path}/versions/{commit}/revert"

    preview = words_of(owner.get(address))
    assert "b.bin" in preview
    assert "This is what will happen" in preview
    assert services.history.version(owner.actor, dataset.id, "main")[1].commit.id == commit

    done = owner.post(address, {"branch": "main"})
    assert 'Revert "Add b"' in words_of(owner.get(done.headers["Location"]))


def test_a_revert_that_later_versions_prevent_says_which_files(services, owner, dataset):
    commit = put(services, owner.actor, dataset.id, {"a.bin": b"two"}, message="Change a")
    put(services, owner.actor, dataset.id, {"a.bin": b"three"})

    answer = owner.get(f"/{dataset.full_path}/versions/{commit}/revert")

    assert answer.status_code == 400
    assert "a.bin" in words_of(answer)


def test_the_first_version_cannot_be_reverted_and_the_page_says_so(services, owner):
    made = make_dataset(services, owner.actor, "Fresh")

    answer = owner.get(f"/{made.full_path}/versions/main/revert")

    assert answer.status_code == 400
    assert "first version" in words_of(answer)


def test_restoring_brings_a_file_back(services, owner, dataset):
    before = services.history.version(owner.actor, dataset.id, "main")[1].commit.id
    owner.post(f"/{dataset.full_path}/delete", {"path": "a.bin", "branch": "main"})

    owner.post(f"/{dataset.full_path}/restore", {"ref": before, "path": "a.bin", "branch": "main"})

    assert owner.get(f"/{dataset.full_path}/file/a.bin").status_code == 200


def test_a_release_gets_its_notes_and_cannot_be_made_twice(owner, dataset):
    form = {"tag": "v1.0", "ref": "main", "notes": "Kept notes"}
    address = f"/{dataset.full_path}/releases/new"

    first = owner.post(address, form)
    put_again = owner.post(address, {**form, "ref": "no-such-ref"})

    assert "Kept notes" in words_of(owner.get(first.headers["Location"]))
    assert put_again.status_code in {404, 409}
    assert "Kept notes" in put_again.text


def test_members_are_added_and_removed_by_name(services, owner, dataset):
    services.accounts.create_user(SYSTEM, "jonas", password=None)
    address = f"/{dataset.full_path}/settings/members"

    owner.post(address, {"username": "jonas", "access_level": "30"})
    assert "jonas Developer" in words_of(owner.get(address))
    unknown = owner.post(address, {"username": "nobody-here", "access_level": "30"})
    assert (unknown.status_code, 'value="nobody-here"' in unknown.text) == (400, True)
    owner.post(f"{address}/remove", {"username": "jonas"})
    assert "jonas" not in words_of(owner.get(address)).replace("jonas has no level", "")


def test_a_namespace_is_made_and_its_members_inherit(services, owner):
    services.accounts.create_user(SYSTEM, "jonas", password=None)
    made = owner.post("/namespaces/new", {"path": "vision", "name": "Vision", "visibility": "internal"})
    assert made.headers["Location"] == "/vision"

    owner.post("/namespaces/vision/members", {"username": "jonas", "access_level": "30"})

    assert "Developer jonas" in words_of(owner.get("/vision"))
    taken = owner.post("/namespaces/new", {"path": "Vision", "visibility": "private"})
    assert taken.status_code == 409


def test_a_tokens_text_is_shown_once_and_is_not_in_the_cookie(services, owner):
    answer = owner.post("/me/tokens", {"name": "laptop", "scope": "api", "days": "30"})
    cookie = answer.headers["Set-Cookie"]

    shown = owner.get("/me/tokens")
    raw = re.search(r"cairn-[A-Za-z0-9_-]{43}", shown.text).group(0)

    assert raw not in cookie
    assert shown.headers["Cache-Control"] == "private, no-store"
    assert raw not in owner.get("/me/tokens").text
    assert services.accounts.actor_of_token(raw).username == "olga"


@pytest.mark.parametrize(
    "form", [{"scope": "root"}, {"scope": "api", "days": "-1"}, {"scope": "api", "days": "x"}, {"name": ""}]
)
def test_a_token_that_makes_no_sense_is_refused_in_words(owner, form):
    assert owner.post("/me/tokens", {"name": "x", "scope": "api", "days": "", **form}).status_code == 422


def test_changing_the_password_keeps_this_session_and_ends_the_others(app, owner):
    other = app.test_client()
    page = other.get("/login").text
    token = re.search(r'csrf_token" value="([^"]+)"', page).group(1)
    other.post("/login", data={"csrf_token": token, "username": "olga", "password": PASSWORD})

    form = {"current": PASSWORD, "password": "another good one", "again": "another good one"}
    assert owner.post("/me/password", form).status_code == 303

    assert owner.get("/me").status_code == 200
    assert other.get("/me").status_code == 303


@pytest.mark.parametrize(
    "form",
    [
        {"current": "wrong", "password": "another good one", "again": "another good one"},
        {"current": PASSWORD, "password": "another good one", "again": "different"},
        {"current": PASSWORD, "password": "short", "again": "short"},
    ],
)
def test_a_password_that_cannot_be_set_says_why(owner, form):
    answer = owner.post("/me/password", form)

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_an_administrator_makes_and_blocks_users(services, owner):
    owner.post("/admin/users", {"username": "jonas", "password": PASSWORD, "email": "j@example.org"})
    taken = owner.post("/admin/users", {"username": "jonas", "name": "Kept"})
    assert (taken.status_code, 'value="Kept"' in taken.text) == (409, True)

    owner.post("/admin/users/jonas/state", {"state": "blocked"})

    assert "jonas j@example.org" in words_of(owner.get("/admin/users"))
    assert "blocked" in words_of(owner.get("/admin/users?q=jonas"))


def test_a_reader_cannot_post_what_the_page_would_not_offer(app, services, owner, dataset):
    reader = Visitor(app.test_client(), services, "rita")
    services.memberships.set_member(SYSTEM, dataset.id, "rita", AccessLevel.REPORTER)

    answers = [
        reader.upload(f"/{dataset.full_path}/upload", {"x.bin": b"x"}, branch="main"),
        reader.post(f"/{dataset.full_path}/delete", {"path": "a.bin"}),
        reader.post(f"/{dataset.full_path}/versions/main/revert", {}),
        reader.post(f"/{dataset.full_path}/settings/general", {"name": "Mine"}),
        reader.post(f"/{dataset.full_path}/settings/delete", {"confirm": dataset.full_path}),
    ]

    assert {answer.status_code for answer in answers} == {403}
