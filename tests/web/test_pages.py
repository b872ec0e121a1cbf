"""Pages without a browser: who sees what, what forms answer, what a foreign site may not do."""

import re

import pytest

from app.access import SYSTEM, AccessLevel, Visibility
from tests.steps import make_dataset, put
from tests.web.page_visits import Visitor, words_of

MEMBERS = {
    "guest": AccessLevel.GUEST,
    "reporter": AccessLevel.REPORTER,
    "developer": AccessLevel.DEVELOPER,
    "maintainer": AccessLevel.MAINTAINER,
}
WHO = ("visitor", "stranger", *MEMBERS, "owner")
SEE = dict.fromkeys(("guest", "reporter", "developer", "maintainer", "owner"), 200)
READ = {**SEE, "guest": 403}
WRITE = {**READ, "reporter": 403}
MAINTAIN = {**WRITE, "developer": 403}
OWN = {**MAINTAIN, "maintainer": 403}
PAGES = {
    "": SEE,
    "/files": READ,
    "/files/folder": READ,
    "/file/folder/a.bin": READ,
    "/versions": READ,
    "/versions/main": READ,
    "/compare": READ,
    "/compare?from=main&to=main": READ,
    "/releases": READ,
    "/releases/new": WRITE,
    "/branches/new": WRITE,
    "/upload": WRITE,
    "/delete?path=folder": WRITE,
    "/versions/main/revert": WRITE,
    "/restore?ref=first&path=folder": WRITE,
    "/settings/members": READ,
    "/settings/general": MAINTAIN,
    "/settings/storage-site": MAINTAIN,
    "/settings/danger": OWN,
}


@pytest.fixture
def visitor(app, services):
    return Visitor(app.test_client(), services)


@pytest.fixture
def owner(app, services):
    return Visitor(app.test_client(), services, "olga")


@pytest.fixture
def dataset(services, owner):
    made = make_dataset(services, owner.actor, "Cells")
    put(services, owner.actor, made.id, {"folder/a.bin": b"one"})
    services.names.create_tag(owner.actor, made.id, "first", "main", notes=None)
    put(services, owner.actor, made.id, {"folder/a.bin": b"two", "b.bin": b"new"})
    return made


@pytest.fixture
def people(app, services, owner, visitor, dataset):
    """People of every level on one private dataset."""
    found = {"visitor": visitor, "owner": owner}
    found["stranger"] = Visitor(app.test_client(), services, "stranger")
    for name, level in MEMBERS.items():
        found[name] = Visitor(app.test_client(), services, name)
        services.memberships.set_member(SYSTEM, dataset.id, name, level)
    return found


def test_each_page_of_a_private_dataset_asks_for_its_level(people, dataset):
    answers = {
        page: {who: people[who].get(f"/{dataset.full_path}{page}").status_code for who in WHO}
        for page in PAGES
    }

    expected = {page: {"visitor": 404, "stranger": 404, **levels} for page, levels in PAGES.items()}
    # This one needs a name, so visitors are sent to sign in before anything is looked up.
    expected["/settings/members"]["visitor"] = 303
    assert answers == expected


def test_an_invisible_dataset_and_a_missing_one_are_the_same_page(people, dataset):
    people["stranger"].get("/datasets")  # what sets the session's cookie

    def seen(path):
        answer = people["stranger"].get(path)
        text = re.sub(r"<code>[0-9a-f]{24}</code>", "", answer.text)
        return answer.status_code, text.replace(path.strip("/"), "X"), sorted(answer.headers.keys())

    assert seen(f"/{dataset.full_path}") == seen("/olga/other")


def test_a_visitor_who_wants_to_change_a_public_dataset_is_sent_to_sign_in(services, owner, visitor):
    made = make_dataset(services, owner.actor, "Open", visibility=Visibility.PUBLIC)

    answer = visitor.get(f"/{made.full_path}/upload")

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/login?next=")


@pytest.mark.parametrize("path", ["/", "/datasets", "/namespaces", "/login", "/problems/csrf", "/api/docs"])
def test_visitors_find_the_open_pages(visitor, path):
    assert visitor.get(path, follow_redirects=True).status_code == 200


@pytest.mark.parametrize(
    "path", ["/me", "/me/tokens", "/me/password", "/datasets/new", "/namespaces/new", "/admin/users"]
)
def test_visitors_are_sent_to_sign_in_where_a_name_is_needed(visitor, path):
    answer = visitor.get(path)

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/login?next={path}")


@pytest.mark.parametrize("path", ["/admin/users", "/admin/sites", "/admin/jobs"])
def test_the_administrators_pages_are_theirs(app, services, owner, path):
    root = Visitor(app.test_client(), services, "root-person", is_admin=True)

    assert (owner.get(path).status_code, root.get(path).status_code) == (403, 200)


@pytest.mark.parametrize("path", ["/api/x", "/dvc/x", "/static/x", "/hf/x/files", "/s3/x/versions"])
def test_no_dataset_page_shadows_the_services_own_addresses(app, path):
    rules = app.url_map.bind("localhost")

    assert "namespace" not in _arguments(rules, path)


def test_the_first_accounts_own_namespace_has_its_pages(app, services, visitor):
    services.accounts.create_first_admin("a-token-for-the-first-start")
    admin = services.accounts.actor_of_token("a-token-for-the-first-start")
    made = make_dataset(services, admin, "Cells", visibility=Visibility.PUBLIC)

    assert made.full_path == "admin/cells"
    assert visitor.get("/admin/cells").status_code == 200
    assert visitor.get("/admin").status_code == 200


def test_a_datasets_id_leads_to_its_page(owner, dataset):
    answer = owner.get(f"/datasets/{dataset.id}")

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/{dataset.full_path}")


def test_the_list_narrows_by_words_and_topic(services, owner):
    make_dataset(services, owner.actor, "Coins", topics=["metal"])
    make_dataset(services, owner.actor, "Leaves", topics=["plants"])

    found = words_of(owner.get("/datasets?q=lea&topic=plants"))

    assert "Leaves" in found
    assert "Coins" not in found


@pytest.mark.parametrize(
    "query", ["?sort=size", "?visibility=x", "?namespace=nobody", "?q=%00", "?topic=%25"]
)
def test_a_filter_that_makes_no_sense_is_no_error(owner, query):
    assert owner.get(f"/datasets{query}").status_code == 200


def test_a_broken_cursor_is_a_bad_request(owner):
    assert owner.get("/datasets?cursor=x").status_code == 400


def test_every_page_about_content_names_its_version(owner, dataset):
    head = owner.get(f"/{dataset.full_path}/files")
    old = owner.get(f"/{dataset.full_path}/files?ref=first")

    assert "2 versions" not in words_of(head)
    assert "This is an older version" in words_of(old)
    assert "Versions never change" in words_of(old)


@pytest.mark.parametrize("ref", ["--upload-pack=x", "a..b", "no-such-ref", "@{1}", "%00"])
def test_a_hostile_or_unknown_ref_is_refused(owner, dataset, ref):
    assert owner.get(f"/{dataset.full_path}/files?ref={ref}").status_code in {400, 404}


def test_a_folders_address_and_a_files_address_lead_to_each_other(owner, dataset):
    to_file = owner.get(f"/{dataset.full_path}/files/folder/a.bin?ref=first")
    to_folder = owner.get(f"/{dataset.full_path}/file/folder?ref=first")

    assert to_file.headers["Location"] == f"/{dataset.full_path}/file/folder/a.bin?ref=first"
    assert to_folder.headers["Location"] == f"/{dataset.full_path}/files/folder?ref=first"


def test_the_commands_name_the_release_if_there_is_one(services, owner, dataset):
    services.names.create_tag(owner.actor, dataset.id, "v1.0", "main", notes="One")

    assert f"cairn download --project-id {dataset.id} --ref v1.0" in words_of(
        owner.get(f"/{dataset.full_path}")
    )


def test_a_file_whose_bytes_are_lost_says_so(services, owner, dataset):
    for file in services.config.objects_root.rglob("*"):
        if file.is_file() and file.read_bytes() == b"two":
            file.unlink()

    answer = owner.get(f"/{dataset.full_path}/file/folder/a.bin")

    assert answer.status_code == 200
    assert "cannot be read" in words_of(answer)


def _arguments(rules, path):
    try:
        return rules.match(path, method="GET")[1]
    except Exception:  # whatever routing says, it is no dataset's page
        return {}
