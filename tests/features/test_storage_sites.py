"""Storage sites: registering, checking, credentials at rest, what cannot change."""

from dataclasses import replace

import pytest

from app.access import ANONYMOUS, SYSTEM
from app.config import Config
from app.errors import (
    ForbiddenError,
    MissingError,
    TakenError,
    UnauthenticatedError,
    UnsupportedError,
    ValidationError,
)
from app.services import build
from app.storage_sites.models import Outcome, Provider
from app.storage_sites.service import SiteChange, SiteDraft
from app.storage_sites.store import sites
from app.vault import Keyring, Vault, load_keyring
from gitops.errors import IntegrityError


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "allowed"
    folder.mkdir()
    return folder


@pytest.fixture
def config(tmp_path, root) -> Config:
    return Config(home=tmp_path / "var", public_url="http://localhost", allowed_storage_roots=(root,))


def _draft(url: object, **fields: object) -> SiteDraft:
    return replace(SiteDraft("archive", Provider.LOCAL, str(url)), **fields)


def test_the_first_start_registers_one_site_for_everybody(services, alice, config):
    found = services.sites.page(alice[0], after=0, limit=10)

    assert [(site.name, site.provider, site.url) for site in found] == [
        ("local", Provider.LOCAL, str(config.objects_root))
    ]


def test_a_site_that_was_removed_does_not_come_back_beside_another(services, config, clock, root):
    services.sites.register(SYSTEM, _draft(root))
    services.sites.delete(SYSTEM, "local")

    again = build(config, clock=clock)

    assert [site.name for site in again.sites.page(SYSTEM, after=0, limit=10)] == ["archive"]
    again.close()


def test_a_site_is_found_by_id_and_name(services, root, alice):
    made = services.sites.register(SYSTEM, _draft(root / "deep"))

    assert (
        services.sites.resolve(alice[0], str(made.id)) == services.sites.resolve(alice[0], "ARCHIVE") == made
    )


def test_only_administrators_register_change_check_and_remove(services, alice, root):
    for refused in (
        lambda: services.sites.register(alice[0], _draft(root)),
        lambda: services.sites.change(alice[0], "local", SiteChange(name="x")),
        lambda: services.sites.check(alice[0], "local"),
        lambda: services.sites.delete(alice[0], "local"),
    ):
        with pytest.raises(ForbiddenError):
            refused()


def test_visitors_see_no_sites(services):
    with pytest.raises(UnauthenticatedError):
        services.sites.page(ANONYMOUS, after=0, limit=10)


@pytest.mark.parametrize("provider", [item for item in Provider if item is not Provider.LOCAL])
def test_a_provider_that_is_not_there_is_named(services, provider):
    with pytest.raises(UnsupportedError, match="local"):
        services.sites.register(SYSTEM, _draft("s3://bucket", provider=provider))


@pytest.mark.parametrize(
    "url", ["relative", "/etc", "/", "{root}/../other", "{root}x", "{root}/\0", "s3://x"]
)
def test_a_folder_outside_of_the_allowed_ones_is_refused(services, root, url):
    with pytest.raises(ValidationError):
        services.sites.register(SYSTEM, _draft(url.format(root=root)))


def test_a_symbolic_link_does_not_lead_out(services, root, tmp_path):
    (root / "link").symlink_to(tmp_path)

    with pytest.raises(ValidationError):
        services.sites.register(SYSTEM, _draft(root / "link"))


def test_names_are_taken_in_whatever_case(services, root):
    with pytest.raises(TakenError):
        services.sites.register(SYSTEM, _draft(root, name="Local"))


def test_a_good_site_passes_every_probe_and_keeps_nothing(services, root):
    services.sites.register(SYSTEM, _draft(root))

    probes = services.sites.check(SYSTEM, "archive")

    assert {probe.name: probe.outcome for probe in probes} == {
        "write": Outcome.OK,
        "read": Outcome.OK,
        "range": Outcome.OK,
        "delete": Outcome.OK,
        "signing": Outcome.SKIPPED,
        "cors": Outcome.SKIPPED,
    }
    assert not list(root.rglob("*"))


def test_a_broken_site_says_what_failed(services, root):
    services.sites.register(SYSTEM, _draft(root / "site"))
    (root / "site").write_text("in the way")

    probes = services.sites.check(SYSTEM, "archive")

    assert probes[0].name == "write"
    assert probes[0].outcome is Outcome.FAILED
    assert {probe.outcome for probe in probes[1:]} == {Outcome.SKIPPED}


def test_credentials_are_encrypted_at_rest_and_not_shown(services, config, root):
    made = services.sites.register(SYSTEM, _draft(root, credentials={"secret": "canary-4711"}))

    services.database.close()
    stored = b"".join(path.read_bytes() for path in config.home.glob("app.db*"))

    assert made.has_credentials
    assert b"canary-4711" not in stored
    assert "canary" not in repr(made)


def test_a_replaced_secret_key_still_opens_what_the_old_one_sealed(services, config, root, clock):
    services.sites.register(SYSTEM, _draft(root, credentials={"secret": "canary-4711"}))
    old = load_keyring(config).keys[0].decode()
    rotated = replace(config, secret_key=b"a-new-secret-key-0123", previous_secret_keys=(old,))

    again = build(rotated, clock=clock)
    with again.database.reading() as connection:
        sealed = connection.execute(sites.select().where(sites.c.name == "archive")).one().credentials
    again.close()

    assert Vault(Keyring((b"a-new-secret-key-0123",))).decrypt(sealed) == {"secret": "canary-4711"}


def test_a_wrong_key_opens_nothing():
    sealed = Vault(Keyring((b"one",))).encrypt({"a": "b"})

    with pytest.raises(IntegrityError):
        Vault(Keyring((b"two",))).decrypt(sealed)


def test_credentials_can_be_replaced_and_removed(services, root):
    services.sites.register(SYSTEM, _draft(root, credentials={"secret": "x"}))

    assert services.sites.change(SYSTEM, "archive", SiteChange(credentials={"secret": "y"})).has_credentials
    assert not services.sites.change(SYSTEM, "archive", SiteChange(credentials={})).has_credentials


def test_a_site_without_datasets_can_move_and_go(services, root):
    services.sites.register(SYSTEM, _draft(root / "a"))

    moved = services.sites.change(SYSTEM, "archive", SiteChange(url=str(root / "b"), name="other"))

    assert (moved.url, moved.name) == (str(root / "b"), "other")
    services.sites.delete(SYSTEM, "other")
    with pytest.raises(MissingError):
        services.sites.resolve(SYSTEM, "other")


def test_a_bound_site_neither_moves_nor_goes(services, root, alice):
    services.sites.register(SYSTEM, _draft(root / "a"))
    services.datasets.create(alice[0], name="cells", storage_site="archive")

    for change in (SiteChange(url=str(root / "b")), SiteChange(endpoint_url="http://x")):
        with pytest.raises(TakenError):
            services.sites.change(SYSTEM, "archive", change)
    with pytest.raises(TakenError) as refused:
        services.sites.delete(SYSTEM, "archive")

    assert refused.value.error_code == "storage_site_in_use"
    assert services.sites.change(SYSTEM, "archive", SiteChange(name="renamed")).name == "renamed"


def test_a_folder_inside_or_around_another_site_is_refused(services, root, config):
    """S1: the pool of a dataset is reached through its own site only."""
    services.sites.register(SYSTEM, _draft(root / "one"))
    for url in (root / "one" / "1", root):
        with pytest.raises(ValidationError, match="another storage site"):
            services.sites.register(SYSTEM, _draft(url, name="other"))


@pytest.fixture
def free(tmp_path):
    """An installation whose administrators may register any folder."""
    opened = build(Config(home=tmp_path / "var", public_url="http://localhost"))
    yield opened
    opened.close()


@pytest.mark.parametrize("place", ["elsewhere/bytes", "var/second", "file://{0}/elsewhere"])
def test_without_a_limit_any_other_folder_serves(free, tmp_path, place):
    url = place.format(tmp_path) if "{" in place else str(tmp_path / place)
    made = free.sites.register(SYSTEM, _draft(url))
    assert made.url.startswith(str(tmp_path.resolve()))


@pytest.mark.parametrize("place", ["var", "var/repos", "var/repos/1.git", "var/cache/x", ".", "/", "/etc"])
def test_folders_of_the_service_and_of_the_system_are_refused(free, tmp_path, place):
    with pytest.raises(ValidationError):
        free.sites.register(SYSTEM, _draft(tmp_path / place))
