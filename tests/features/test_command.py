"""``cairn-server``: the commands of an administrator, in process."""

import pytest
from click.testing import CliRunner

from app.cli import main
from app.config import Config
from app.services import build


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, **options: str):
        return CliRunner().invoke(main, ["--home", str(tmp_path / "var"), *arguments], **options)

    return invoke


@pytest.fixture
def accounts(tmp_path):
    opened = []

    def look():
        opened.append(build(Config(home=tmp_path / "var")))
        return opened[-1].accounts

    yield look
    for services in opened:
        services.close()


def test_a_token_is_printed_alone(run, accounts):
    run("user", "create", "ann", "--admin")
    made = run("token", "create", "ann", "--scope", "read_api", "--expires", "3")

    actor = accounts().actor_of_token(made.stdout.removesuffix("\n"))

    assert (actor.username, actor.is_admin, actor.may_write) == ("ann", True, False)


def test_a_password_comes_from_standard_input(run, accounts):
    run("user", "create", "ann", "--password-stdin", input="a long password\n")

    assert accounts().sign_in("ann", "a long password", address="a")[0].username == "ann"


def test_an_account_without_a_password_gets_one(run, accounts):
    run("user", "create", "ann", "--admin")
    run("user", "password", "ann", input="a long password\n")

    assert accounts().sign_in("ann", "a long password", address="a")[0].is_admin


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("user", "password", "nobody"), 1),
        (("user", "create", "no/good"), 1),
        (("token", "create", "nobody"), 1),
        (("token", "create", "ann", "--scope", "root"), 2),
        (("no-such-command",), 2),
    ],
)
def test_a_refusal_is_a_sentence_and_a_status(run, arguments, status):
    result = run(*arguments)

    assert result.exit_code == status
    assert "Traceback" not in result.output


def test_a_wrong_setting_is_a_usage_error(run, tmp_path):
    (tmp_path / "cairn.toml").write_text("nonsense = 1\n")

    result = run("migrate")

    assert result.exit_code == 2
    assert "nonsense" in result.output


def test_a_new_home_is_closed_to_other_accounts(run, tmp_path):
    run("migrate")

    assert (tmp_path / "var").stat().st_mode & 0o777 == 0o700


def test_migrate_prepares_the_home(run, tmp_path):
    assert run("migrate").exit_code == 0
    assert (tmp_path / "var" / "app.db").exists()
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o777 == 0o600
