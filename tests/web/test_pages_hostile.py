"""What users wrote is shown as they wrote it, and never as markup: on every page that shows it."""

import re

import pytest

from app import create_app
from app.access import Visibility
from app.config import Config
from app.services import build
from tests.steps import delete, make_dataset, put
from tests.web.page_visits import Visitor

MARK = "<img src=x onerror=alert(1)>"
BREAK = "\"'><script>alert(1)</script>"


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """One service for all pages: they only read."""
    built = build(Config(home=tmp_path_factory.mktemp("hostile") / "var", public_url="http://localhost"))
    yield built
    built.close()


@pytest.fixture(scope="module")
def owner(services):
    client = create_app(services.config, services).test_client()
    return Visitor(client, services, "olga", is_admin=True)


@pytest.fixture(scope="module")
def dataset(services, owner):
    services.accounts.create_token(owner.actor, name=f"{MARK}{BREAK}", scopes=owner.actor.scopes)
    made = make_dataset(
        services,
        owner.actor,
        f"Cells {MARK}{BREAK}",
        path="cells",
        description=f"{MARK}{BREAK}",
        topics=[MARK, BREAK],
        visibility=Visibility.PUBLIC,
    )
    files = {
        f"{MARK}/{BREAK.replace('/', '-')}.csv": f"{MARK},=cmd()".encode(),
        f"{MARK}/picture{BREAK.replace('/', '-')}.svg": b"<svg onload=alert(1)>",
        "page.html": b"<script>alert(1)</script>",
        "README.md": f"# {MARK}\n\n{BREAK}\n".encode(),
        "gone\u202e{}.bin".format(MARK.replace("/", "-")): b"x",
    }
    put(services, owner.actor, made.id, files, message=f"{MARK}{BREAK}\n\n{BREAK}")
    services.names.create_tag(owner.actor, made.id, "v1&quot;x", "main", notes=f"{MARK}{BREAK}")
    delete(services, owner.actor, made.id, "page.html", message=BREAK)
    return made


PAGES = [
    "/datasets",
    "/datasets?q=%3Cscript%3Ealert(1)%3C/script%3E&topic=%3Cscript%3Ealert(1)",
    "/olga",
    "/olga/cells",
    "/olga/cells?ref=v1%26quot%3Bx",
    "/olga/cells/files",
    "/olga/cells/files/%3Cimg%20src=x%20onerror=alert(1)%3E",
    "/olga/cells/files/%3Cimg%20src=x%20onerror=alert(1)%3E?view=grid",
    "/olga/cells/file/%3Cimg%20src=x%20onerror=alert(1)%3E/%22'%3E%3Cscript%3Ealert(1)%3C-script%3E.csv",
    "/olga/cells/file/%3Cimg%20src=x%20onerror=alert(1)%3E/picture%22'%3E%3Cscript%3Ealert(1)%3C-script%3E.svg",
    "/olga/cells/file/page.html?ref=v1%26quot%3Bx",
    "/olga/cells/versions",
    "/olga/cells/versions?path=%3Cimg%20src=x%20onerror=alert(1)%3E&author=%3Cb%3E",
    "/olga/cells/versions/main",
    "/olga/cells/versions/main/revert",
    "/olga/cells/compare?from=v1%26quot%3Bx&to=main&path=%3Cscript%3E",
    "/olga/cells/releases",
    "/olga/cells/releases/new?tag=%3Cscript%3E&ref=%3Cscript%3E&notes=%3C/textarea%3E%3Cscript%3E",
    "/olga/cells/delete?path=%3Cimg%20src=x%20onerror=alert(1)%3E&message=%3Cscript%3E",
    "/olga/cells/restore?ref=v1%26quot%3Bx&message=%3Cscript%3E",
    "/olga/cells/upload?folder=%3Cscript%3E",
    "/olga/cells/settings/general",
    "/olga/cells/settings/storage-site?q=%3Cscript%3E",
    "/me/tokens",
    "/admin/users?q=%3Cscript%3E",
    "/namespaces?q=%3Cscript%3E",
    "/login?next=%22%3E%3Cscript%3E",
    "/olga/%3Cscript%3E",
]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_that_users_wrote_becomes_markup(owner, dataset, page):
    answer = owner.get(page)

    assert answer.status_code in {200, 303, 404}
    scripts = re.findall(r"<script[^>]*>", answer.text)
    assert [script for script in scripts if "/static/" not in script] == []
    assert "<img src=x" not in answer.text
    assert not re.search(r"<[a-z][^>]*\son[a-z]+\s*=", re.sub(r'"[^"]*"', '""', answer.text))
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")


def test_only_raster_pictures_are_shown_and_from_the_dataset_alone(owner, dataset):
    pages = [owner.get(page).text for page in PAGES]

    sources = {source for text in pages for source in re.findall(r"<img[^>]*src=\"([^\"]*)\"", text)}
    assert {source for source in sources if not source.startswith(f"/api/v1/datasets/{dataset.id}/")} == set()
    assert {source for source in sources if ".svg" in source or ".html" in source} == set()
