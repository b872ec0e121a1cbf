"""The demo fills an empty service once, finishes what was interrupted, and leaves everything else alone."""

import stat
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from app.access import SYSTEM, Action, Scope, UserId
from app.cli import main
from app.config import Config
from app.demo import fill as filling
from app.demo.credentials import FILE_NAME, find_credentials
from app.demo.fill import fill
from app.demo.samples import iris_with_columns, table
from app.demo.stories import stories
from app.errors import MissingError, TakenError
from app.services import Services, build
from gitops.model import RefName

DATASETS = ("vision/photographs", "vision/tables", "radiology/head-scans", "vision/incoming")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Return one filled service for all tests that only look."""
    built = build(Config(home=tmp_path_factory.mktemp("demo") / "var"))
    fill(built)
    yield built
    built.close()


def heads(services: Services) -> dict[str, object]:
    return {
        path: services.datasets.open(SYSTEM, path, Action.READ).repo.head(RefName("main"))
        for path in DATASETS
    }


def actor(services: Services, username: str):
    credentials = find_credentials(services.config.home)
    return services.accounts.actor_of_token(credentials.of(username).token)


def test_every_version_of_every_story_is_there(filled: Services) -> None:
    told = {story.full_path: sum(hasattr(step, "title") for step in story.chapters) for story in stories()}
    counted = {path: len(list(filled.history.log(SYSTEM, path)[2])) for path in DATASETS}
    # Beside its story a dataset has the version in which it was created.
    assert counted == {path: steps + 1 for path, steps in told.items()}


def test_releases_hold_different_bytes_of_a_replaced_file(filled: Services) -> None:
    repo = filled.datasets.open(SYSTEM, "radiology/head-scans", Action.READ).repo
    sizes = [repo.at(RefName(tag)).entry("dicom/single/mr.dcm").size for tag in ("v0.1.0", "v0.2.0")]
    assert sizes[0] < sizes[1]


def test_versions_have_several_authors(filled: Services) -> None:
    _, _, versions = filled.history.log(SYSTEM, "vision/photographs")
    assert {version.commit.author.name for version in versions} == {"Alice Martin", "Bob Okafor"}


def test_a_second_run_changes_nothing(filled: Services) -> None:
    first = fill(filled)
    before = heads(filled)
    assert (fill(filled), heads(filled)) == (first, before)


def test_what_people_deleted_stays_deleted(services: Services) -> None:
    fill(services)
    services.names.delete_tag(SYSTEM, "vision/tables", RefName("v0.1.0"))
    fill(services)
    assert [tag.name for tag in services.names.tags(SYSTEM, "vision/tables")] == ["v0.2.0"]


def test_an_interrupted_fill_is_finished_by_the_next(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(filling, "_release", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(services)
    finished = fill(services)
    assert finished.is_complete
    assert len(list(services.history.log(SYSTEM, "vision/photographs")[2])) == 10


def test_a_service_with_accounts_is_left_alone(services: Services) -> None:
    services.accounts.create_user(SYSTEM, "erin")
    assert fill(services) is None
    assert [user.username for user in services.accounts.users(SYSTEM, after=UserId(0), limit=9)] == ["erin"]


def test_passwords_work_and_are_for_the_owner_of_the_file_only(filled: Services) -> None:
    credentials = fill(filled)
    kept = filled.config.home / FILE_NAME
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    signed_in, _ = filled.accounts.sign_in("alice", credentials.of("alice").password, address="127.0.0.1")
    assert signed_in.scopes == frozenset(Scope)


def test_the_private_dataset_is_invisible_to_who_is_no_member(filled: Services) -> None:
    with pytest.raises(MissingError):
        filled.datasets.open(actor(filled, "carol"), "radiology/head-scans", Action.SEE)


def test_one_dataset_waits_for_its_storage_site(filled: Services) -> None:
    opened = filled.datasets.open(actor(filled, "alice"), "vision/incoming", Action.READ)
    with pytest.raises(TakenError, match="no storage site"):
        _ = opened.pool


def test_the_command_prints_the_same_lines_again(filled: Services) -> None:
    run = CliRunner()
    arguments = ["--home", str(filled.config.home), "demo"]
    outputs = [run.invoke(main, arguments, catch_exceptions=False).stdout for _ in range(2)]
    token = find_credentials(filled.config.home).of("alice").token
    assert outputs[0] == outputs[1]
    assert f'curl -b "tokenGitLab={token}" "http://127.0.0.1:8000/api/v1/datasets/1/files/' in outputs[0]


def test_iris_gets_the_names_of_its_columns_and_species() -> None:
    lines = iris_with_columns(table("data/iris.csv")).decode().splitlines()
    assert (lines[0].split(",")[-1], lines[1], len(lines)) == ("species", "5.1,3.5,1.4,0.2,setosa", 151)


def test_a_missing_package_is_named_and_nothing_is_written(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.demo.samples.find_spec", lambda _name: None)
    output = CliRunner().invoke(main, ["--home", str(services.config.home), "demo"])
    assert (output.exit_code, "pip install" in output.output) == (1, True)
    assert not (services.config.home / FILE_NAME).exists()
