"""Settings: where they come from, what stops the start, and that their page is true."""

from pathlib import Path

import pytest

from app.config import Config, ConfigError, settings_page

ROOT = Path(__file__).resolve().parents[2]


def test_the_default_is_embedded_below_var():
    config = Config()

    assert config.home == Path("var")
    assert config.database_url.startswith("sqlite:///")
    assert config.database_url.endswith("/var/app.db")
    assert config.public_url == "http://127.0.0.1:8000"


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / "cairn.toml"
    file.write_text('bind = "0.0.0.0:1"\nworkers = 3\n')

    config = Config.load(file, {"CAIRN_BIND": "127.0.0.1:2"})

    assert (config.bind, config.workers) == ("127.0.0.1:2", 3)


def test_a_secret_is_read_from_the_file_that_the_environment_names(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef\n")

    assert Config.load(None, {"CAIRN_SECRET_KEY_FILE": str(secret)}).secret_key == b"0123456789abcdef"


def test_secrets_do_not_show_in_the_representation():
    config = Config.load(None, {"CAIRN_SECRET_KEY": "canary-canary-canary", "CAIRN_ADMIN_TOKEN": "canary"})

    assert "canary" not in repr(config)


def test_lists_and_derived_values_are_parsed():
    config = Config.load(
        None,
        {
            "CAIRN_TRUSTED_HOSTS": "a.example, b.example",
            "CAIRN_ALLOWED_STORAGE_ROOTS": "/srv/a",
            "CAIRN_PUBLIC_URL": "https://data.example",
        },
    )

    assert config.trusted_hosts == ("a.example", "b.example")
    assert config.allowed_storage_roots == (Path("/srv/a"),)
    assert config.is_https


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"CAIRN_SECRT_KEY": "x"}, "CAIRN_SECRT_KEY"),
        ({"CAIRN_WORKERS": "many"}, "workers"),
        ({"CAIRN_WORKERS": "0"}, "workers"),
        ({"CAIRN_BIND": "nowhere"}, "bind"),
        ({"CAIRN_BIND": "127.0.0.1:65536"}, "bind"),
        ({"CAIRN_PUBLIC_URL": "ftp://x"}, "public_url"),
        ({"CAIRN_PUBLIC_URL": "http://x/"}, "public_url"),
        ({"CAIRN_FORGE": "svn"}, "forge"),
        ({"CAIRN_FORGE": "gitlab"}, "gitlab_url"),
        ({"CAIRN_QUEUE_URL": "amqp://x"}, "queue_url"),
        ({"CAIRN_SECRET_KEY": "short"}, "secret_key"),
        ({"CAIRN_LOG_LEVEL": "loud"}, "log_level"),
        ({"CAIRN_ALLOWED_STORAGE_ROOTS": "relative"}, "allowed_storage_roots"),
        ({"CAIRN_SECRET_KEY_FILE": "/nonexistent/file"}, "CAIRN_SECRET_KEY_FILE"),
    ],
)
def test_what_is_unknown_or_malformed_stops_the_start(environ, word):
    with pytest.raises(ConfigError, match=word):
        Config.load(None, environ)


@pytest.mark.parametrize("content", ["nonsense = 1\n", "workers = [\n", 'workers = "x"\n', "home = 3\n"])
def test_a_wrong_file_stops_the_start(tmp_path, content):
    file = tmp_path / "cairn.toml"
    file.write_text(content)

    with pytest.raises(ConfigError):
        Config.load(file, {})


def test_a_refused_secret_is_not_repeated():
    with pytest.raises(ConfigError) as refused:
        Config.load(None, {"CAIRN_SECRET_KEY": "canary"})

    assert "canary" not in str(refused.value)


def test_variables_of_the_client_are_left_alone():
    assert Config.load(None, {"CAIRN_ENDPOINT": "http://x", "CAIRN_TOKEN": "t"}) == Config()


def test_the_settings_page_is_up_to_date():
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()
