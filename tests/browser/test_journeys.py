"""What people come for, done in a real browser: with scripts, and without any."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeContext, Site, Watch, sign_in

pytestmark = pytest.mark.browser

WITH_SCRIPTS = pytest.param(True, id="with scripts")
WITHOUT_SCRIPTS = pytest.param(False, id="without scripts")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder as a camera leaves it."""
    folder = tmp_path / "plate"
    (folder / "left").mkdir(parents=True)
    for number in range(4):
        (folder / f"cell {number}.bin").write_bytes(bytes([number]) * (1000 + number))
    (folder / "left" / "größe & <b>.bin").write_bytes(b"deep")
    return folder


def create_dataset(page: Page, site: Site, name: str) -> None:
    page.goto(f"{site.url}/datasets")
    page.get_by_role("link", name="New dataset").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Description").fill("Made by a test")
    page.get_by_label("Topics").fill("cells, tests")
    page.get_by_role("button", name="Create dataset").click()
    expect(page.get_by_role("status")).to_contain_text("The dataset was created")


def bind_site(page: Page) -> None:
    expect(page.get_by_text("This can be done once and not be changed.").first).to_be_visible()
    page.get_by_role("radio", name="local").check()
    page.get_by_label("I know that this can be done once").check()
    page.get_by_role("button", name="Bind storage site").click()
    expect(page.get_by_role("status")).to_contain_text("bound")


def upload_folder(page: Page, folder: Path, message: str) -> None:
    page.get_by_role("link", name="Upload", exact=True).click()
    page.get_by_label("Or a whole folder").set_input_files(folder)
    page.get_by_label("What changes").fill(message)
    page.get_by_role("main").get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name=message)).to_be_visible()


@pytest.mark.parametrize("has_scripts", [WITH_SCRIPTS, WITHOUT_SCRIPTS])
def test_a_contributor_creates_binds_uploads_browses_compares_and_reverts(
    open_context: MakeContext, site: Site, pictures: Path, has_scripts: bool
) -> None:
    page = open_context(java_script_enabled=has_scripts).new_page()
    watch = Watch()
    watch.over(page)
    sign_in(page, site)
    name = f"journey-{has_scripts}".lower()

    create_dataset(page, site, name)
    bind_site(page)
    upload_folder(page, pictures, "First plate")
    expect(page.get_by_role("main")).to_contain_text("5 files")

    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_role("link", name="plate", exact=True).click()
    expect(page.get_by_role("rowheader", name="cell 0.bin")).to_be_visible()
    page.get_by_role("link", name="left", exact=True).click()
    page.get_by_role("link", name="größe & <b>.bin", exact=True).click()
    expect(page.get_by_role("heading", name="History of this file")).to_be_visible()

    page.get_by_role("main").get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("was deleted")

    page.get_by_role("link", name="Versions", exact=True).click()
    page.locator("input[name=v]").nth(0).check()
    page.locator("input[name=v]").nth(1).check()
    page.get_by_role("button", name="Compare two").click()
    expect(page.get_by_role("row", name="removed: plate/left/größe & <b>.bin")).to_be_visible()

    page.get_by_role("link", name="Versions", exact=True).click()
    page.get_by_role("link", name="Delete plate/left/größe & <b>.bin").click()
    page.get_by_role("link", name="Revert…").click()
    expect(page.get_by_role("row", name="added: plate/left/größe & <b>.bin")).to_be_visible()
    page.get_by_role("button", name="Revert").click()
    expect(page.get_by_role("status")).to_contain_text("taken back")
    assert watch.complaints == []


def test_a_token_is_shown_once_works_and_can_be_revoked(open_context: MakeContext, site: Site) -> None:
    page = open_context().new_page()
    sign_in(page, site, "jonas")

    page.goto(f"{site.url}/me/tokens")
    page.get_by_label("Name").fill("laptop")
    page.get_by_label("Read and write").check()
    page.get_by_role("button", name="Make token").click()
    token = page.get_by_role("region", name="Token", exact=True).inner_text().strip()
    assert site.call("GET", "user", token=token)["username"] == "jonas"

    page.reload()
    expect(page.get_by_text(token)).to_have_count(0)
    page.locator("summary", has_text="Revoke").first.click()
    page.get_by_role("button", name="Revoke token").click()
    expect(page.get_by_role("status")).to_contain_text("revoked")


def test_a_dropped_connection_keeps_the_queue_and_goes_on(
    open_context: MakeContext, site: Site, pictures: Path
) -> None:
    page = open_context().new_page()
    sign_in(page, site)
    create_dataset(page, site, "resumed")
    bind_site(page)
    page.get_by_role("link", name="Upload", exact=True).click()
    refused = ["**/uploads/*/commit"]
    page.route(refused[0], lambda route: route.abort())
    page.get_by_label("Or a whole folder").set_input_files(pictures)
    expect(page.get_by_role("list", name="Files to upload")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")

    page.unroute(refused[0])
    page.get_by_role("button", name="Go on").click()

    expect(page.get_by_role("heading", name="Upload 5 files")).to_be_visible()


def test_the_names_of_a_long_folder_can_be_filtered(open_context: MakeContext, site: Site) -> None:
    dataset = site.call("POST", "datasets", {"name": "long folder", "storage_site": "local"})
    for number in range(14):
        site.put(f"datasets/{dataset['id']}/files/item-{number:02}.bin", b"%d" % number)
    site.call("POST", f"datasets/{dataset['id']}/members", {"username": "marta", "access_level": 40})
    page = open_context().new_page()
    sign_in(page, site)

    page.goto(f"{site.url}/datasets/{dataset['id']}")
    page.get_by_role("link", name="Files", exact=True).click()
    page.get_by_placeholder("Filter 15 names").fill("item-07")

    expect(page.locator("tbody tr:visible")).to_have_count(1)


def test_the_permanent_link_is_copied_whole(open_context: MakeContext, site: Site) -> None:
    dataset = site.call(
        "POST", "datasets", {"name": "linked", "storage_site": "local", "visibility": "public"}
    )
    context = open_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()

    page.goto(f"{site.url}/datasets/{dataset['id']}")
    page.get_by_role("link", name="Permanent link").click()
    expect(page.get_by_text("Copied")).to_be_visible()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{site.url}/{dataset['full_path']}?ref={dataset['head']}"
