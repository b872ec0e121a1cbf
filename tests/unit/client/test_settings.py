import pytest

from cairn.address import Address, parse_address
from cairn.dvc_clone import write_dvc_login
from cairn.errors import AddressError, LocalFileError
from cairn.selection import Selection
from cairn.settings import Credential, remember_login, resolve_settings

ENDPOINT = "https://data.example.org"
PERSONAL = Credential("PRIVATE-TOKEN", "mine")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4473", Address("4473")),
        ("vision/cells", Address("vision/cells")),
        ("group/sub/cells", Address("group/sub/cells")),
        ("4473@v0.1.0", Address("4473", "v0.1.0")),
        ("vision/cells@feature/x", Address("vision/cells", "feature/x")),
        ("ds://vision/cells", Address("vision/cells")),
        ("ds://vision/cells/a/b.jpg", Address("vision/cells", "", "a/b.jpg")),
        ("ds://vision/cells@v0.1.0", Address("vision/cells", "v0.1.0")),
        ("ds://vision/cells@v0.1.0/a/b.jpg", Address("vision/cells", "v0.1.0", "a/b.jpg")),
        ("ds://a/b/cells@main@{2026-03-01}/x", Address("a/b/cells", "main@{2026-03-01}", "x")),
        ("ds://a/b@feature%2Fx/100%.jpg", Address("a/b", "feature/x", "100%.jpg")),
        ("ds://4473/a", Address("4473", "", "a")),
    ],
)
def test_addresses_are_read(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "cells", "/vision/cells", "a/../b", "https://x/y", "ds://", "a b/c", "-x/y"]
)
def test_other_text_is_no_address(text):
    with pytest.raises(AddressError):
        parse_address(text)


def test_the_path_of_an_address_is_quoted():
    assert Address("vision/cells").api_path == "/datasets/vision%2Fcells"


def test_two_refs_must_agree():
    assert Address("1", "v1").with_ref(None).ref == "v1"
    assert Address("1").with_ref("v2").ref == "v2"
    with pytest.raises(AddressError):
        Address("1", "v1").with_ref("v2")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CAIRN_TOKEN": "mine", "GITLAB_TOKEN": "g", "CI_JOB_TOKEN": "j"}, PERSONAL),
        ({"GITLAB_TOKEN": "mine", "CI_JOB_TOKEN": "j"}, PERSONAL),
        ({"CI_JOB_TOKEN": "j"}, Credential("JOB-TOKEN", "j")),
        ({}, None),
    ],
)
def test_the_token_comes_from_the_first_place_that_has_one(environ, expected, tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path), **environ}
    assert resolve_settings(environ=environ).credential == expected
    assert resolve_settings(token="given", environ=environ).credential == Credential("PRIVATE-TOKEN", "given")


def test_a_login_is_private_and_remembered_for_its_endpoint_only(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    path = remember_login(ENDPOINT, "mine", environ=environ)
    assert path.stat().st_mode & 0o777 == 0o600
    settings = resolve_settings(environ=environ)
    assert (settings.endpoint, settings.credential) == (ENDPOINT, PERSONAL)
    assert resolve_settings("https://elsewhere.example", environ=environ).credential is None
    assert resolve_settings(environ={**environ, "CAIRN_ENDPOINT": "http://x/"}).endpoint == "http://x"


def test_a_damaged_login_file_is_named(tmp_path):
    (tmp_path / "cairn").mkdir()
    (tmp_path / "cairn" / "login.json").write_text("{")
    with pytest.raises(LocalFileError, match="login"):
        resolve_settings(environ={"XDG_CONFIG_HOME": str(tmp_path)})


@pytest.mark.parametrize("text", ["data.example.org", "ftp://x", "https://user:pw@x", "https://x/?a=1"])
def test_other_text_is_no_endpoint(text):
    with pytest.raises(AddressError):
        resolve_settings(text, environ={})


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        ((), (), {"a.jpg", "b/a.jpg", "b/c/d.txt"}),
        (("*.jpg",), (), {"a.jpg", "b/a.jpg"}),
        (("b",), (), {"b/a.jpg", "b/c/d.txt"}),
        (("/b/*",), ("*.txt",), {"b/a.jpg"}),
        ((), ("b/c/",), {"a.jpg", "b/a.jpg"}),
    ],
)
def test_patterns_select(include, exclude, taken):
    paths = ["a.jpg", "b/a.jpg", "b/c/d.txt"]
    assert {path for path in paths if Selection(include, exclude).takes(path)} == taken


@pytest.fixture
def clone(tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".dvc" / "config").write_text(
        f"[core]\n    remote = cairn\n['remote \"cairn\"']\n    url = {ENDPOINT}/dvc/1\n"
    )
    return tmp_path


def test_dvc_login_is_private_keeps_other_settings_and_stays_out_of_git(clone):
    (clone / ".dvc" / "config.local").write_text("[cache]\n    dir = /big\n")
    path = write_dvc_login(clone, ENDPOINT, PERSONAL)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert all(
        line in text
        for line in (
            "dir = /big",
            "remote = cairn",
            "auth = custom",
            "custom_auth_header = PRIVATE-TOKEN",
            "password = mine",
        )
    )
    assert "/.dvc/config.local" in (clone / ".git" / "info" / "exclude").read_text()


def test_dvc_login_gives_no_token_to_another_host(clone):
    with pytest.raises(LocalFileError, match="not at"):
        write_dvc_login(clone, "https://data.example.org.evil.example", PERSONAL)
    assert not (clone / ".dvc" / "config.local").exists()


def test_dvc_login_needs_a_clone(tmp_path):
    with pytest.raises(LocalFileError, match="not a clone"):
        write_dvc_login(tmp_path, ENDPOINT, PERSONAL)


def test_dvc_reads_what_dvc_login_wrote(clone):
    from dvc.config import Config

    write_dvc_login(clone, ENDPOINT, PERSONAL)
    config = Config(dvc_dir=str(clone / ".dvc"), validate=True)
    assert config["remote"]["cairn"]["password"] == "mine"
    assert config["remote"]["cairn"]["custom_auth_header"] == "PRIVATE-TOKEN"
    assert config["core"]["remote"] == "cairn"
