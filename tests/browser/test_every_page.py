"""Every page, at the width of a desk and of a phone, light and dark: accessible, quiet, never sideways."""

from collections.abc import Mapping

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import MakeContext, Site, Watch, sign_in

pytestmark = pytest.mark.browser

LOOKS = [
    pytest.param(1280, "light", id="1280-light"),
    pytest.param(390, "dark", id="390-dark"),
]
FOR_VISITORS: Mapping[str, str] = {
    "login": "/login",
    "list": "/datasets",
    "overview": "/gallery/cells",
    "files": "/gallery/cells/files?ref=v1.0",
    "missing": "/gallery/nothing",
    "problem": "/problems/csrf",
    "reference": "/api/docs",
}
FOR_PEOPLE: Mapping[str, str] = {
    "list": "/datasets",
    "found nothing": "/datasets?q=nothing-is-called-so&visibility=public",
    "new dataset": "/datasets/new",
    "overview": "/gallery/cells",
    "unbound": "/gallery/unbound",
    "files": "/gallery/cells/files",
    "folder": "/gallery/cells/files/deep/er?ref=v1.0",
    "previews": "/gallery/cells/files?view=grid",
    "text file": "/gallery/cells/file/README.md",
    "data file": "/gallery/cells/file/deep/er/a%20long%20and%20%3Cb%3Ehostile%3C%2Fb%3E%20name.bin",
    "upload": "/gallery/cells/upload?folder=deep",
    "delete": "/gallery/cells/delete?path=deep",
    "versions": "/gallery/cells/versions",
    "version": "/gallery/cells/versions/main",
    "revert": "/gallery/cells/versions/main/revert",
    "compare": "/gallery/cells/compare?from=v1.0&to=main",
    "restore": "/gallery/cells/restore?ref=v1.0",
    "releases": "/gallery/cells/releases",
    "new release": "/gallery/cells/releases/new",
    "new branch": "/gallery/cells/branches/new",
    "general": "/gallery/cells/settings/general",
    "members": "/gallery/cells/settings/members",
    "storage site": "/gallery/unbound/settings/storage-site",
    "danger": "/gallery/cells/settings/danger",
    "namespaces": "/namespaces",
    "namespace": "/gallery",
    "new namespace": "/namespaces/new",
    "namespace settings": "/namespaces/gallery/settings",
    "me": "/me",
    "tokens": "/me/tokens",
    "password": "/me/password",
    "users": "/admin/users",
    "sites": "/admin/sites",
    "jobs": "/admin/jobs",
}
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="session")
def gallery(site: Site) -> Site:
    """A service with something on every page."""
    site.call("POST", "namespaces", {"path": "gallery", "visibility": "public"})
    site.call("POST", "namespaces/gallery/members", {"username": "jonas", "access_level": 30})
    common = {"namespace": "gallery", "visibility": "public", "topics": ["cells", "microscopy"]}
    site.call("POST", "datasets", {"name": "Unbound", **common})
    made = site.call("POST", "datasets", {"name": "Cells", "storage_site": "local", **common})
    base = f"datasets/{made['id']}"
    site.put(f"{base}/files/deep/er/a%20long%20and%20%3Cb%3Ehostile%3C%2Fb%3E%20name.bin", b"x" * 1000)
    site.put(f"{base}/files/table.csv", b"class,count\ncell,3\n")
    site.call("POST", f"{base}/tags", {"name": "v1.0", "ref": "main", "message": "The first."})
    site.put(f"{base}/files/README.md", b"# Cells\n\n[table](table.csv)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    site.put(f"{base}/files/table.csv", b"class,count\ncell,4\n")
    return site


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("name", FOR_VISITORS)
def test_a_visitors_page(
    open_context: MakeContext, gallery: Site, name: str, width: int, scheme: str
) -> None:
    context = open_context(viewport={"width": width, "height": 800}, color_scheme=scheme)

    assert faults_of(context.new_page(), f"{gallery.url}{FOR_VISITORS[name]}") == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_pages_of_people_who_signed_in(
    open_context: MakeContext, gallery: Site, width: int, scheme: str, tmp_path
) -> None:
    context = open_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    sign_in(context.new_page(), gallery)
    page = context.new_page()

    found = {}
    for name, address in FOR_PEOPLE.items():
        found[name] = faults_of(page, f"{gallery.url}{address}")
        page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)

    assert {name: faults for name, faults in found.items() if faults} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_open_menus_are_accessible(open_context: MakeContext, gallery: Site, scheme: str) -> None:
    page = open_context(color_scheme=scheme).new_page()
    sign_in(page, gallery)
    page.goto(f"{gallery.url}/gallery/cells/files")

    for summary in page.locator("main summary").all():
        summary.click()

    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []


def faults_of(page, address: str) -> list[str]:
    """Load a page; return everything that is wrong with it."""
    watch = Watch()
    watch.over(page)
    answer = page.goto(address)
    page.wait_for_load_state("networkidle")
    faults = [text for text in watch.complaints if "404 (Not Found)" not in text]
    if answer.status not in {200, 404}:
        faults.append(f"status {answer.status}")
    if page.evaluate(SIDEWAYS) > 0:
        faults.append("scrolls sideways")
    if page.locator("h1").count() != 1:
        faults.append("not one h1")
    faults += [violation["id"] for violation in Axe().run(page).response["violations"]]
    return faults
