import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cairn.cli import COMMANDS, main
from cairn.version import __version__

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(service, monkeypatch):
    monkeypatch.setenv("CAIRN_ENDPOINT", service.url)
    monkeypatch.setenv("CAIRN_TOKEN", "secret")

    def invoke(*words: object):
        return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)

    return invoke


def test_the_version_is_the_project_s():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_table_of_commands_says_what_each_says(name):
    module, attribute, help_line = COMMANDS[name]
    command = getattr(importlib.import_module(f"cairn.commands.{module}"), attribute)
    assert isinstance(command, click.Command)
    assert (command.help or "").partition("\n")[0] == help_line


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_the_common_options(name):
    module, attribute, _ = COMMANDS[name]
    command = getattr(importlib.import_module(f"cairn.commands.{module}"), attribute)
    leaves = command.commands.values() if isinstance(command, click.Group) else [command]
    common = {"--token", "--endpoint", "-k", "--insecure", "--json", "--quiet", "--no-progress"}
    assert all(common <= {option for param in leaf.params for option in param.opts} for leaf in leaves)


def test_help_loads_neither_rich_nor_the_server():
    code = (
        "import sys; from click.testing import CliRunner; from cairn.cli import main; "
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0; "
        "print([n for n in sys.modules if n.split('.')[0] in ('rich', 'app', 'gitops', 'flask', 'dvc')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_form_that_users_know(run, service, tmp_path):
    service.files = {"a.jpg": b"1", "dataset/x/a.jpg": b"2", "other": b"3"}
    # The project id stands for the same dataset in the miniature service.
    result = run(
        "download",
        "--project-id",
        "vision/cells",
        "--ref",
        "v0.1.0",
        "--output",
        tmp_path,
        "a.jpg",
        "/dataset/x/a.jpg",
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == str(tmp_path)
    assert (tmp_path / "dataset" / "x" / "a.jpg").read_bytes() == b"2"
    assert not (tmp_path / "other").exists()
    assert "ref=v0.1.0" in service.log[0][1]


def test_download_by_address_prints_the_path_of_the_one_file(run, service, tmp_path):
    service.files = {"deep/a.jpg": b"1"}
    result = run("download", "ds://vision/cells@v1/deep/a.jpg", "-o", tmp_path, "-q")
    assert result.stdout == f"{tmp_path / 'deep/a.jpg'}\n"
    assert result.stderr == ""


def test_json_is_one_document(run, service, tmp_path):
    service.files = {"a": b"1"}
    result = run("download", "vision/cells", "-o", tmp_path, "--json")
    document = json.loads(result.stdout)
    assert (document["fetched"], document["present"], document["failed"]) == (["a"], [], {})
    assert len(document["commit_id"]) == 40


def test_a_dry_run_writes_nothing(run, service, tmp_path):
    service.files = {"a": b"1"}
    assert run("download", "vision/cells", "-o", tmp_path, "--dry-run").stdout == "a\n"
    (tmp_path / "a").write_bytes(b"2")
    (tmp_path / "b").write_bytes(b"3")
    assert run("upload", "vision/cells", tmp_path, "-m", "m", "--dry-run").stdout == "A b\nM a\n"
    assert not service.requests("/uploads")


@pytest.mark.parametrize(
    ("fault", "code"), [("500", 1), ("401", 4), ("403", 4), ("404", 5), ("410", 5), ("409", 1)]
)
def test_exit_codes_follow_the_answer(run, service, tmp_path, fault, code):
    service.faults = [("/manifest", fault)]
    result = run("download", "vision/cells", "-o", tmp_path)
    assert result.exit_code == code
    assert "told to fail" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["download"],
        ["download", "nonsense"],
        ["ls", "vision/cells", "--nope"],
        ["ls", "vision/cells@a", "--ref", "b"],
    ],
)
def test_wrong_usage_is_exit_code_2(run, words):
    assert run(*words).exit_code == 2


def test_a_partial_download_is_exit_code_3(run, service, tmp_path):
    service.files = {"a": b"1", "b": b"2"}
    service.faults = [("/files/b", "410")]
    result = run("download", "vision/cells", "-o", tmp_path, "--json")
    assert result.exit_code == 3
    assert set(json.loads(result.stdout)["failed"]) == {"b"}


def test_upload_then_verify_then_damage(run, service, tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    assert run("upload", "vision/cells", tmp_path, "--message", "m").exit_code == 0
    assert service.files == {"a": b"content"}
    assert run("verify", "vision/cells", tmp_path).exit_code == 0
    (tmp_path / "a").write_bytes(b"CONTENT")
    result = run("verify", "vision/cells", tmp_path)
    assert (result.exit_code, result.stdout) == (3, "damaged a\n")
    assert run("status", "vision/cells", tmp_path).stdout == "M a\n"
    (tmp_path / "a").rename(tmp_path / "b")
    assert run("status", "vision/cells", tmp_path).stdout == "D a\nA b\n"


def test_what_is_left_out_of_an_upload_is_told(run, tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "out").symlink_to("/etc/hostname")
    result = run("upload", "vision/cells", tmp_path, "-m", "m")
    assert "skipped out: a symbolic link out of the folder" in result.stderr


def test_open_prints_the_page(run, service):
    assert (
        run("open", "ds://vision/cells@v1/a b", "--dry-run").stdout
        == f"{service.url}/vision/cells/file/a%20b?ref=v1\n"
    )


def test_whoami_without_a_token_is_not_allowed(run, monkeypatch):
    monkeypatch.delenv("CAIRN_TOKEN")
    assert run("whoami").exit_code == 4
