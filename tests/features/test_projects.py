"""Projects: what starting one writes, who may, what a crash leaves, what pins what."""

import hashlib
from datetime import timedelta

import pytest
import yaml

from app.access import AccessLevel, Action, Actor, Visibility
from app.datasets.models import DatasetFilter, Kind
from app.datasets.service import DatasetService
from app.errors import BadRequestError, ForbiddenError, MissingError, TakenError, UnauthenticatedError
from app.projects.models import MAX_PARTS, NewProject, Template
from gitops.errors import RefNotFoundError
from gitops.gitrepo import GitRepo
from gitops.imports import find_source
from gitops.model import RefName
from gitops.pointers import parse_single
from tests.steps import commit_behind, make_dataset, put, repo_of

FILES = {"train/a.bin": b"\x00a", "train/b.bin": b"\x00bb", "labels.csv": b"x,y\n", "notes.md": b"# N\n"}


@pytest.fixture
def cells(services, alice):
    """A dataset with a release ``v0.1.0`` and a newer version."""
    made = make_dataset(services, alice[0])
    put(services, alice[0], made.id, FILES)
    services.names.create_tag(alice[0], made.id, RefName("v0.1.0"), RefName("main"), notes="First")
    put(services, alice[0], made.id, {"train/c.bin": b"\x00ccc"})
    return made


def start(services, actor, dataset, name="Study", **wanted):
    return services.projects.start(actor, dataset.id, NewProject(name=name, **wanted))


def tracked(services, project):
    """Return every file of the project's head by path."""
    snapshot = repo_of(services, project.id).at()
    return {path: snapshot.read_blob(oid) for path, _, oid in snapshot.raw_walk()}


def locked(services, project):
    (found,) = yaml.safe_load(tracked(services, project)["dataset.lock"])["datasets"]
    return found


def head(services, dataset, ref="main"):
    return repo_of(services, dataset.id).resolve(RefName(ref))


# What is written


def test_a_project_is_one_commit_of_its_author(services, alice, cells):
    project = start(services, alice[0], cells, ref="v0.1.0")
    repo = repo_of(services, project.id)
    (commit,) = repo.log(repo.head(RefName("main")))
    assert (commit.author.name, commit.author.email) == (alice[0].name, alice[0].email)
    assert commit.message.strip() == "Start project from alice/cells at v0.1.0"


def test_a_project_holds_pointers_lock_readme_and_script(services, alice, cells):
    project = start(services, alice[0], cells, description="Counting.")
    assert set(tracked(services, project)) == {
        ".cairn/dataset.yaml",
        ".dvc/.gitignore",
        ".dvc/config",
        ".dvcignore",
        ".gitignore",
        "README.md",
        "data/cells/.gitignore",
        "data/cells/README.md.dvc",
        "data/cells/labels.csv.dvc",
        "data/cells/notes.md.dvc",
        "data/cells/train.dvc",
        "dataset.lock",
        "explore.py",
    }


def test_the_minimal_template_has_no_script(services, alice, cells):
    files = tracked(services, start(services, alice[0], cells, template=Template.MINIMAL))
    assert "explore.py" not in files
    assert b"explore.py" not in files["README.md"]


def test_the_lock_says_which_bytes_are_pinned(services, alice, cells):
    project = start(services, alice[0], cells, ref="v0.1.0")
    sums = services.downloads.checksums(alice[0], cells.id, ref="v0.1.0", path="")
    assert locked(services, project) == {
        "url": "http://localhost/alice/cells.git",
        "id": cells.id,
        "path": "alice/cells",
        "ref": "v0.1.0",
        "commit": head(services, cells, "v0.1.0"),
        "manifest_sha256": hashlib.sha256(b"".join(sums.lines("sha256"))).hexdigest(),
        "files": 5,
        "bytes": sum(map(len, FILES.values())) + len(b"# Cells\n"),
    }


def test_a_pointer_names_the_dataset_the_ref_and_the_commit(services, alice, cells):
    files = tracked(services, start(services, alice[0], cells, ref="v0.1.0"))
    source = find_source(files["data/cells/train.dvc"])
    assert (source.url, source.path, source.rev) == ("http://localhost/alice/cells.git", "train", "v0.1.0")
    assert source.commit == head(services, cells, "v0.1.0")
    assert parse_single(files["data/cells/train.dvc"], "train").size == 5


def test_the_readme_shows_the_version_and_commands_of_this_project(services, alice, cells):
    text = tracked(services, start(services, alice[0], cells, ref="v0.1.0"))["README.md"].decode()
    assert "git clone http://localhost/alice/study.git\ncd study\ndvc pull\n" in text
    assert f"`v0.1.0`, commit `{head(services, cells, 'v0.1.0')}`" in text
    assert "dvc update --rev v2 data/cells/*.dvc" in text
    assert 'echo "machine localhost login any password $TOKEN"' in text


def test_the_script_is_python_and_names_no_file_of_this_machine(services, alice, cells, tmp_path):
    text = tracked(services, start(services, alice[0], cells, ref="v0.1.0"))["explore.py"].decode()
    compile(text, "explore.py", "exec")
    assert f"COMMIT = '{head(services, cells, 'v0.1.0')}'" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("ref", "followed", "at"),
    [
        (None, "main", "main"),
        ("main", "main", "main"),
        ("v0.1.0", "v0.1.0", "v0.1.0"),
        ("latest", "v0.1.0", "v0.1.0"),
        ("~0.1", "v0.1.0", "v0.1.0"),
        ("main@{2999-01-01}", None, "main"),
    ],
)
def test_a_pin_follows_the_name_else_a_tag_of_the_commit_else_the_commit(
    services, alice, cells, ref, followed, at
):
    found = locked(services, start(services, alice[0], cells, ref=ref))
    commit = head(services, cells, at)
    assert (found["ref"], found["commit"]) == (followed or commit, commit)


@pytest.mark.parametrize(("named", "digits"), [("main", 40), ("main", 10), ("v0.1.0", 40), ("v0.1.0", 10)])
def test_a_commit_is_pinned_by_its_id_and_known_by_its_tag(services, alice, cells, named, digits):
    commit = head(services, cells, named)
    found = locked(services, start(services, alice[0], cells, ref=commit[:digits]))
    assert (found["ref"], found["commit"]) == (named if named == "v0.1.0" else commit, commit)


def test_more_names_than_dvc_bears_become_one_pointer(services, alice, cells):
    put(services, alice[0], cells.id, {f"{number}.bin": b"\x00%d" % number for number in range(MAX_PARTS)})
    files = tracked(services, start(services, alice[0], cells))
    assert find_source(files["data/cells.dvc"]).path == "."
    assert files["data/.gitignore"] == b"/cells\n"
    assert not [path for path in files if path.startswith("data/cells/")]
    assert b"dvc update --rev v2 data/cells.dvc" in files["README.md"]
    assert b"dvc import" not in files["README.md"]


def test_an_empty_dataset_is_pinned_with_its_card(services, alice):
    empty = make_dataset(services, alice[0], "Empty", storage_site=None)
    project = start(services, alice[0], empty)
    assert locked(services, project)["files"] == 1
    assert "data/empty/README.md.dvc" in tracked(services, project)


def test_a_folder_that_cannot_be_listed_is_left_to_dvc(services, alice, cells):
    broken = f"outs:\n- md5: {'a' * 32}.dir\n  size: 3\n  hash: md5\n  path: lost\n".encode()
    commit_behind(services, cells.id, {"lost.dvc": broken})
    project = start(services, alice[0], cells)
    assert b"md5: aaaa" not in tracked(services, project)["data/cells/lost.dvc"]
    assert locked(services, project)["manifest_sha256"] is None


# Who may


def test_a_project_is_private_and_its_author_s_unless_asked(services, alice, bob, cells):
    services.memberships.set_member(alice[0], cells.id, "bob", AccessLevel.REPORTER)
    project = start(services, bob[0], cells)
    assert (project.full_path, project.visibility, project.kind) == (
        "bob/study",
        Visibility.PRIVATE,
        Kind.PROJECT,
    )
    with pytest.raises(MissingError):
        services.projects.overview(alice[0], project.id)


def test_what_one_cannot_see_cannot_be_pinned(services, bob, cells):
    with pytest.raises(MissingError) as hidden:
        start(services, bob[0], cells)
    assert "dataset_not_found" in hidden.value.error_code


def test_a_guest_may_not_pin_what_he_may_not_read(services, alice, bob, cells):
    services.memberships.set_member(alice[0], cells.id, "bob", AccessLevel.GUEST)
    with pytest.raises(ForbiddenError):
        start(services, bob[0], cells)


def test_a_visitor_starts_nothing_even_from_a_public_dataset(services, alice, cells):
    services.datasets.update(alice[0], cells.id, {"visibility": "public"})
    with pytest.raises(UnauthenticatedError):
        start(services, Actor(), cells)


def test_a_namespace_needs_a_developer_and_bounds_the_visibility(services, alice, bob, cells):
    services.memberships.set_member(alice[0], cells.id, "bob", AccessLevel.REPORTER)
    services.namespaces.create(alice[0], path="lab", name="Lab", visibility=Visibility.INTERNAL)
    with pytest.raises(ForbiddenError):
        start(services, bob[0], cells, namespace="lab")
    with pytest.raises(BadRequestError) as refused:
        start(services, alice[0], cells, namespace="lab", visibility="public")
    assert refused.value.error_code == "visibility_above_namespace"
    assert start(services, alice[0], cells, namespace="lab").full_path == "lab/study"


def test_datasets_and_projects_share_their_paths(services, alice, cells):
    start(services, alice[0], cells)
    with pytest.raises(TakenError):
        start(services, alice[0], cells, "study")
    with pytest.raises(TakenError):
        make_dataset(services, alice[0], "Study")


def test_a_project_is_not_pinned_by_another(services, alice, cells):
    project = start(services, alice[0], cells)
    with pytest.raises(BadRequestError) as refused:
        start(services, alice[0], project, "Second")
    assert refused.value.error_code == "not_a_dataset"


def test_a_refused_start_leaves_nothing(services, alice, cells):
    with pytest.raises(RefNotFoundError):
        start(services, alice[0], cells, ref="no-such-tag")
    assert start(services, alice[0], cells).path == "study"


# Crashes


def test_a_start_that_was_killed_is_finished_by_its_job(services, alice, cells, clock, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(GitRepo, "create", _dying)
        with pytest.raises(KeyboardInterrupt):
            start(services, alice[0], cells, ref="v0.1.0")
    clock.advance(minutes=2)
    services.jobs.run_pending()
    project = services.datasets.open(alice[0], "alice/study", Action.READ)
    (commit,) = project.repo.log(project.repo.head(RefName("main")))
    assert commit.author.name == alice[0].name
    assert locked(services, project.dataset)["commit"] == head(services, cells, "v0.1.0")
    assert "data/cells/train.dvc" in tracked(services, project.dataset)


def test_a_start_whose_dataset_is_gone_is_undone(services, alice, cells, clock, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(GitRepo, "create", _dying)
        with pytest.raises(KeyboardInterrupt):
            start(services, alice[0], cells)
    services.datasets.schedule_deletion(alice[0], cells.id)
    clock.advance(minutes=2)
    services.jobs.run_pending()
    with pytest.raises(MissingError):
        services.datasets.open(alice[0], "alice/study", Action.SEE)


def test_finishing_twice_changes_nothing(services, alice, cells, clock):
    project = start(services, alice[0], cells)
    before = head(services, project)
    clock.advance(minutes=2)
    services.jobs.run_pending()
    services.projects.finish_creation(project.id)
    assert head(services, project) == before


def _dying(*_arguments, **_options):
    raise KeyboardInterrupt


# Lists and lineage


def _listed(services, actor, kind, **options):
    found = services.catalog.page(actor, DatasetFilter(kind=kind), **options)
    return [row.full_path for row in found]


def test_datasets_and_projects_are_listed_apart(services, alice, cells):
    start(services, alice[0], cells)
    assert _listed(services, alice[0], Kind.DATASET) == ["alice/cells"]
    assert _listed(services, alice[0], Kind.PROJECT) == ["alice/study"]
    assert services.catalog.facets(alice[0], DatasetFilter())["namespace"] == {"alice": 1}


def test_a_dataset_shows_the_projects_that_the_reader_may_see(services, alice, bob, cells):
    services.datasets.update(alice[0], cells.id, {"visibility": "public"})
    start(services, alice[0], cells, "Of Alice")
    start(services, bob[0], cells, "Of Bob", visibility="public")
    among = services.projects.pinning(alice[0], cells.id)
    assert _listed(services, alice[0], Kind.PROJECT, among=among) == ["alice/of-alice", "bob/of-bob"]
    assert _listed(services, bob[0], Kind.PROJECT, among=among) == ["bob/of-bob"]


def test_a_project_shows_its_pins(services, alice, cells):
    project = start(services, alice[0], cells, ref="v0.1.0")
    _, (pin,) = services.projects.overview(alice[0], project.id)
    assert (pin.dataset_id, pin.ref, pin.commit) == (cells.id, "v0.1.0", head(services, cells, "v0.1.0"))


def test_a_pin_of_a_dataset_that_one_cannot_see_is_not_shown(services, alice, bob, cells):
    project = start(services, alice[0], cells)
    services.datasets.update(alice[0], project.id, {"visibility": "public"})
    _, pins = services.projects.overview(bob[0], project.id)
    assert pins == []


def test_a_pin_outlives_its_dataset(services, alice, cells, clock):
    project = start(services, alice[0], cells)
    services.datasets.schedule_deletion(alice[0], cells.id)
    clock.advance(days=8)
    services.datasets.purge_due()
    _, (pin,) = services.projects.overview(alice[0], project.id)
    assert (pin.dataset_id, pin.dataset_path) == (None, "alice/cells")


def test_a_project_is_bound_and_written_like_a_dataset(services, alice, cells):
    project = start(services, alice[0], cells)
    services.datasets.bind(alice[0], project.id, "local")
    put(services, alice[0], project.id, {"model.bin": b"\x00model"})
    assert "model.bin.dvc" in tracked(services, project)


def test_what_a_project_imports_is_listed_and_its_bytes_are_elsewhere(services, alice, cells):
    project = start(services, alice[0], cells)
    rows = {
        row.path: row for row in services.downloads.manifest(alice[0], project.id, ref=None, path="").rows
    }
    assert rows["README.md"].problem is None
    assert rows["data/cells/labels.csv"].problem is not None


def test_a_dataset_is_no_project(services, alice, cells):
    with pytest.raises(MissingError):
        services.projects.overview(alice[0], cells.id)


def test_registered_projects_are_not_finished_as_datasets(services, alice, cells, clock, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(DatasetService, "finish_creation", _dying)
        with pytest.raises(KeyboardInterrupt):
            start(services, alice[0], cells)
    clock.advance(minutes=2)
    services.datasets.resume_creations()
    services.jobs.run_pending()
    project = services.datasets.open(alice[0], "alice/study", Action.READ).dataset
    assert "dataset.lock" in tracked(services, project)
    assert project.created_at <= clock() - timedelta(minutes=1)
