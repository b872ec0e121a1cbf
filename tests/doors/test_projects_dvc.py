"""A project in the hands of stock DVC: pull, status, update, push; public and private datasets.

A DVC command takes a second or two, so a story is lived once for the module and looked at often.
"""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from app.access import Action, Actor, Visibility
from app.datasets.models import Dataset
from app.projects.models import MAX_PARTS, NewProject
from app.versions.service import Incoming
from gitops.model import RefName, parse_path
from tests.doors.conftest import Live, MakeWork, Work, clone

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]

FILES = {
    "README.md": b"# Cells\n",
    "tables/été #1.csv": b"a,b\r\n1,2\r\n",
    "train/a.bin": b"\x00one",
    "train/notes.md": b"# Notes\n",
    "train/sub/b.bin": b"\x00two",
    "train-2/c.bin": b"\x00three",
    "8e3": b"a name that reads as a number",
}
MASKS = {"masks/.gitignore": b"# kept\n", "masks/deep/tracked/m.bin": b"mask"}


@dataclass(frozen=True)
class Story:
    """A public dataset with a release and a newer version, and a project that pins the release."""

    live: Live
    owner: Actor
    token: str
    dataset: Dataset
    project: Dataset

    def url(self, dataset: Dataset) -> str:
        return f"{self.live.url}/{dataset.full_path}.git"

    def start(self, name: str, dataset: Dataset | None = None, ref: str | None = "v1") -> Dataset:
        source = dataset or self.dataset
        return self.live.services.projects.start(self.owner, source.id, NewProject(name=name, ref=ref))


def put(live: Live, actor: Actor, dataset: Dataset, files: dict[str, bytes]) -> None:
    incoming = [Incoming(parse_path(path), [content], len(content)) for path, content in files.items()]
    live.services.versions.put_files(actor, dataset.id, incoming)


@pytest.fixture(scope="module")
def story(live: Live, make_work: MakeWork) -> Story:
    owner, token = live.person("pinner")
    dataset = live.dataset(owner, "Cells", visibility=Visibility.PUBLIC)
    put(live, owner, dataset, FILES)
    work = clone(live, make_work, dataset, token)
    for path, content in MASKS.items():
        work.write(path, content)
    work.dvc("add", "masks/deep/tracked")
    work.git("add", "--force", "masks/.gitignore")
    work.commit("Track a folder as one")
    work.dvc("push")
    work.git("push", "--quiet", "origin", "main")
    work.git("tag", "v1")
    work.git("push", "--quiet", "origin", "v1")
    put(live, owner, dataset, {"train/new.bin": b"\x00new"})
    live.services.names.create_tag(owner, dataset.id, RefName("v2"), RefName("main"), notes=None)
    told = Story(live, owner, token, dataset, dataset)
    return replace(told, project=told.start("Study"))


@pytest.fixture(scope="module")
def pulled(story: Story, make_work: MakeWork) -> Work:
    work = make_work("study")
    work.git("clone", "--quiet", story.live.git_url(story.project, story.token), ".")
    work.dvc("pull")
    return work


def pinned_files(work: Work, folder: str = "data/cells") -> dict[str, bytes]:
    return {
        str(path.relative_to(work.path / folder)): path.read_bytes()
        for path in (work.path / folder).rglob("*")
        if path.is_file()
        and path.suffix != ".dvc"
        and path.relative_to(work.path / folder) != Path(".gitignore")
    }


def test_pull_brings_every_file_of_the_pinned_version(pulled: Work) -> None:
    found = {
        path: content for path, content in pinned_files(pulled).items() if not path.endswith(".gitignore")
    }
    assert found == FILES | {"masks/deep/tracked/m.bin": b"mask"}


def test_a_pulled_project_is_clean(pulled: Work) -> None:
    assert pulled.git("status", "--porcelain") == ""
    assert "up to date" in pulled.dvc("status")


def test_every_pointer_is_what_dvc_itself_would_write(
    story: Story, pulled: Work, make_work: MakeWork
) -> None:
    ours = {path.stem: path.read_bytes() for path in (pulled.path / "data/cells").glob("*.dvc")}
    work = make_work("stock")
    work.git("init", "--quiet")
    work.dvc("init", "--quiet")
    (work.path / "data/cells").mkdir(parents=True)
    for name in ours:
        work.dvc("import", story.url(story.dataset), name, "-o", f"data/cells/{name}", "--rev", "v1")

    assert {name: work.read(f"data/cells/{name}.dvc") for name in ours} == ours
    ignored = [set(one.read("data/cells/.gitignore").splitlines()) for one in (work, pulled)]
    assert ignored[0] == ignored[1]


def test_a_newer_version_is_taken_up_and_pushed(story: Story, make_work: MakeWork) -> None:
    project = story.start("Mover")
    work = clone(story.live, make_work, project, story.token)
    work.dvc("update", "--rev", "v2", "data/cells/train.dvc")
    assert pinned_files(work)["train/new.bin"] == b"\x00new"
    new = work.commit("Use v2")

    work.git("push", "--quiet", "origin", "main")

    opened = story.live.services.datasets.open(story.owner, project.id, Action.READ)
    assert opened.repo.head(RefName("main")) == new


def test_an_import_that_claims_other_bytes_is_refused(story: Story, make_work: MakeWork) -> None:
    work = clone(story.live, make_work, story.start("Forger"), story.token)
    before = work.read("data/cells/8e3.dvc").decode()
    md5 = before.split("- md5: ")[1][:32]
    work.write("data/cells/8e3.dvc", before.replace(md5, "0" * 31 + "1"))
    work.commit()

    said = work.git("push", "origin", "main", check=False)

    assert f"data/cells/8e3.dvc: '8e3' has the address {md5} at" in said


def test_imports_from_elsewhere_are_refused(story: Story, make_work: MakeWork) -> None:
    work = clone(story.live, make_work, story.start("Elsewhere"), story.token)
    text = work.read("data/cells/8e3.dvc").decode()
    work.write("data/cells/8e3.dvc", text.replace(story.live.url, "https://elsewhere.example"))
    work.commit()

    assert "it imports from an address that is not" in work.git("push", "origin", "main", check=False)


def test_imports_from_what_the_pusher_may_not_read_are_refused(story: Story, make_work: MakeWork) -> None:
    other, _ = story.live.person("secretive")
    secret = story.live.dataset(other, "Secret")
    put(story.live, other, secret, {"8e3": FILES["8e3"]})
    head = story.live.services.datasets.open(other, secret.id, Action.READ).repo.head(RefName("main"))
    work = clone(story.live, make_work, story.start("Curious"), story.token)
    text = work.read("data/cells/8e3.dvc").decode()
    commit = text.split("rev_lock: ")[1][:40]
    text = text.replace(story.dataset.full_path, secret.full_path).replace(commit, head)
    work.write("data/cells/8e3.dvc", text)
    work.commit()

    assert "that you may read" in work.git("push", "origin", "main", check=False)


def test_a_dataset_still_takes_no_imports(story: Story, make_work: MakeWork) -> None:
    dataset = story.live.dataset(story.owner, "Plain")
    work = clone(story.live, make_work, dataset, story.token)
    project = clone(story.live, make_work, story.project, story.token)
    work.write("8e3.dvc", project.read("data/cells/8e3.dvc"))
    work.commit()

    assert "dvc push sends no imports" in work.git("push", "origin", "main", check=False)


def test_a_wide_dataset_is_one_import(story: Story, make_work: MakeWork) -> None:
    wide = story.live.dataset(story.owner, "Wide", visibility=Visibility.PUBLIC)
    files = {f"{number}.bin": b"\x00%d" % number for number in range(MAX_PARTS + 1)}
    put(story.live, story.owner, wide, files)
    work = clone(story.live, make_work, story.start("On wide", wide, None), story.token)

    work.dvc("pull")

    found = pinned_files(work, "data/wide")
    assert {path: found[path] for path in files} == files
    assert "up to date" in work.dvc("status")
    assert work.git("status", "--porcelain") == ""
    stock = make_work("stock-wide")
    stock.git("init", "--quiet")
    stock.dvc("init", "--quiet")
    (stock.path / "data").mkdir()
    stock.dvc("import", story.url(wide), ".", "-o", "data/wide", "--rev", "main")
    assert stock.read("data/wide.dvc") == work.read("data/wide.dvc")


def test_rules_of_dvcignore_are_left_to_dvc(story: Story, make_work: MakeWork) -> None:
    dataset = story.live.dataset(story.owner, "Ruled", visibility=Visibility.PUBLIC)
    put(story.live, story.owner, dataset, {"a/x.bin": b"\x00x", "a/skipped.md": b"# no\n"})
    work = clone(story.live, make_work, dataset, story.token)
    work.write(".dvcignore", "skipped.md\n")
    work.git("add", "--force", ".dvcignore")
    work.commit()
    work.git("push", "--quiet", "origin", "main")
    copy = clone(story.live, make_work, story.start("On ruled", dataset, None), story.token)

    copy.dvc("pull", "data/ruled/a")

    assert pinned_files(copy, "data/ruled") == {"a/x.bin": b"\x00x"}


def test_a_private_dataset_needs_the_token_twice(story: Story, make_work: MakeWork) -> None:
    """As the README says: git's own store for the clone, ``~/.netrc`` for the bytes."""
    dataset = story.live.dataset(story.owner, "Hidden")
    put(story.live, story.owner, dataset, {"train/a.bin": b"\x00one"})
    project = story.start("On hidden", dataset, None)
    made = make_work("hidden")
    home = made.path / "home"
    home.mkdir()
    place = story.live.url.removeprefix("http://")
    own = {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "DVC_SITE_CACHE_DIR": str(home / "s"),
    }
    work = Work(made.path, made.environment | own)
    work.git("config", "--global", "credential.helper", "store")
    (home / ".git-credentials").write_text(f"http://any:{story.token}@{place}\n")
    (home / ".netrc").write_text(f"machine 127.0.0.1 login any password {story.token}\n")
    work.git("clone", "--quiet", story.url(project), "study")

    copy = Work(made.path / "study", work.environment)
    copy.dvc("pull")

    assert copy.read("data/hidden/train/a.bin") == b"\x00one"
    assert "up to date" in copy.dvc("status")
    assert copy.git("status", "--porcelain") == ""


def test_the_script_runs(story: Story, pulled: Work) -> None:
    said = subprocess.run(
        [sys.executable, "explore.py"],
        cwd=pulled.path,
        env={"PATH": os.defpath, "HOME": str(pulled.path), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout

    total = sum(map(len, FILES.values())) + len(b"mask")
    assert f"{len(FILES) + 1} files, {total} bytes" in said
    assert "train/sub/b.bin" in said
