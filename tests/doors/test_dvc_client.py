"""Stock DVC against a running service: what people do in a clone, and repositories that DVC made.

A DVC command takes a second or two, so a story is lived once for each module and looked at often.
"""

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from app.access import Action, Actor, Visibility
from app.datasets.models import Dataset
from gitops.model import Entry
from tests.doors.conftest import Live, MakeWork, Work, clone

pytestmark = pytest.mark.slow

CRLF = b"a,b\r\n1,2\r\n"
FILES = {
    "data.bin": b"\x00\x01 some bytes",
    "images/one.jpg": b"first image",
    "images/sub/two.jpg": b"second image",
    "out/model.bin": b"modelmodel",
    "table.csv": CRLF,
}
PIPELINE = """\
stages:
  train:
    cmd: >-
      python -c "import os; os.makedirs('out', exist_ok=True);
      open('out/model.bin', 'w').write('modelmodel'); open('metrics.json', 'w').write('{}')"
    outs:
    - out
    metrics:
    - metrics.json:
        cache: false
"""


@dataclass(frozen=True)
class Story:
    """A public dataset that was filled by the command line of DVC alone."""

    live: Live
    owner: Actor
    token: str
    dataset: Dataset
    work: Work
    first: str
    """The commit before the last one."""


@pytest.fixture(scope="module")
def story(live: Live, make_work: MakeWork) -> Story:
    owner, token = live.person("dvc-owner")
    dataset = live.dataset(owner, "Made by DVC", visibility=Visibility.PUBLIC)
    work = clone(live, make_work, dataset, token)
    _add_a_file_and_a_folder(work)
    first = work.commit("Add a file and a folder")
    _add_what_dvc_2_wrote(work)
    work.write("dvc.yaml", PIPELINE)
    work.dvc("repro")
    work.git("add", "--force", "metrics.json")
    work.commit("Add a pipeline and an old pointer")
    work.dvc("push")
    work.git("push", "--quiet", "origin", "main")
    return Story(live, owner, token, dataset, work, first)


def _add_a_file_and_a_folder(work: Work) -> None:
    for path in ("data.bin", "images/one.jpg", "images/sub/two.jpg"):
        work.write(path, FILES[path])
    work.dvc("add", "data.bin", "images")


def _add_what_dvc_2_wrote(work: Work) -> None:
    """A pointer without ``hash:``, and the object where DVC 2 kept it: named by its LF form."""
    md5 = hashlib.md5(CRLF.replace(b"\r\n", b"\n")).hexdigest()
    work.write("table.csv.dvc", f"outs:\n- md5: {md5}\n  size: {len(CRLF)}\n  path: table.csv\n")
    work.write(f".dvc/cache/{md5[:2]}/{md5[2:]}", CRLF)
    work.write("table.csv", CRLF)


@pytest.fixture(scope="module")
def pulled(story: Story, make_work: MakeWork) -> Work:
    work = clone(story.live, make_work, story.dataset, story.token)
    work.dvc("pull")
    return work


# A repository made by DVC, seen by the service


def _entries(story: Story) -> dict[str, Entry]:
    opened = story.live.services.datasets.open(story.owner, story.dataset.id, Action.READ)
    return {entry.path: entry for entry in opened.repo.at().walk()}


def test_everything_that_dvc_tracks_is_listed(story: Story) -> None:
    entries = _entries(story)

    assert FILES.keys() <= entries.keys()
    assert not [entry for entry in entries.values() if entry.problem]
    assert {path: entries[path].size for path in FILES} == {path: len(FILES[path]) for path in FILES}


def test_every_byte_is_read_back(story: Story) -> None:
    opened = story.live.services.datasets.open(story.owner, story.dataset.id, Action.READ)
    read = {}
    for path, entry in _entries(story).items():
        if entry.pointer:
            with opened.pool.open(entry.pointer.md5) as stream:
                read[path] = stream.read()

    assert read == FILES


# A clone


def test_a_clone_gets_every_file(pulled: Work) -> None:
    assert {path: pulled.read(path) for path in FILES} == FILES


def test_a_clone_is_clean_after_pull(pulled: Work) -> None:
    assert pulled.git("status", "--porcelain") == ""
    assert "up to date" in pulled.dvc("status")
    assert "in sync" in pulled.dvc("status", "--cloud")


def test_adding_files_writes_no_line_into_any_gitignore(pulled: Work) -> None:
    before = pulled.read(".gitignore")
    pulled.write("deep/er/new.bin", b"new")

    pulled.dvc("add", "deep/er/new.bin")

    found = pulled.git("status", "--porcelain", "--untracked-files=all")
    pulled.git("add", "deep/er/new.bin.dvc")
    pulled.git("rm", "--quiet", "--force", "deep/er/new.bin.dvc")
    assert found == "?? deep/er/new.bin.dvc\n"
    assert pulled.read(".gitignore") == before
    assert [path for path in pulled.path.rglob(".gitignore") if path.parent.name != ".dvc"] == [
        pulled.path / ".gitignore"
    ]


def test_a_folder_tracked_as_one_costs_one_line(story: Story) -> None:
    """DVC asks git about the folder, which must not be ignored: pointers may lie in any folder."""
    first = story.work.git("show", f"{story.first}~:.gitignore")

    assert story.work.read(".gitignore").decode() == first + "/images\n/out\n"


def test_dvc_tells_what_changed_between_two_versions(pulled: Work, story: Story) -> None:
    said = json.loads(pulled.dvc("diff", "--json", story.first, "HEAD"))

    assert {row["path"] for row in said["added"]} == {"out/", "out/model.bin", "table.csv"}


def test_changing_a_file_and_pushing_it_reaches_the_next_clone(
    story: Story, pulled: Work, make_work: MakeWork
) -> None:
    pulled.git("checkout", "--quiet", "-b", "changed")
    pulled.dvc("unprotect", "data.bin")
    pulled.write("data.bin", b"changed")
    pulled.dvc("add", "data.bin")
    pulled.commit("Change")
    pulled.dvc("push", "data.bin")
    pulled.git("push", "--quiet", "origin", "changed")

    other = clone(story.live, make_work, story.dataset, story.token, "--branch", "changed")
    other.dvc("pull", "data.bin")

    assert other.read("data.bin") == b"changed"


def test_git_push_before_dvc_push_is_refused_with_the_reason(story: Story, make_work: MakeWork) -> None:
    work = clone(story.live, make_work, story.dataset, story.token)
    work.write("early.bin", b"too early")
    work.dvc("add", "early.bin")
    work.commit("Too early")

    said = work.git("push", "origin", "main:refs/heads/early", check=False)

    assert "early.bin.dvc: the dataset does not hold the bytes" in said
    assert "run dvc push first" in said


# Without a clone


@pytest.fixture(scope="module")
def url(story: Story) -> str:
    return story.live.git_url(story.dataset, None)


def test_dvc_lists_a_dataset(url: str, make_work: MakeWork) -> None:
    said = make_work("list").dvc("list", "--recursive", "--dvc-only", url)

    assert set(said.split()) == FILES.keys()


def test_dvc_gets_a_file_and_a_folder(url: str, make_work: MakeWork) -> None:
    work = make_work("get")

    work.dvc("get", url, "images", "-o", "mine")
    work.dvc("get", url, "images/sub/two.jpg")

    assert work.read("mine/one.jpg") == FILES["images/one.jpg"]
    assert work.read("two.jpg") == FILES["images/sub/two.jpg"]


def test_dvc_imports_a_file_into_another_repository(url: str, make_work: MakeWork) -> None:
    work = make_work("import")
    work.git("init", "--quiet")
    work.dvc("init", "--quiet")

    work.dvc("import", url, "data.bin")

    assert work.read("data.bin") == FILES["data.bin"]
    assert url in work.read("data.bin.dvc").decode()
    assert "up to date" in work.dvc("status")
    work.dvc("update", "data.bin.dvc")
    assert work.read("data.bin") == FILES["data.bin"]


def test_an_imported_file_is_refused_because_dvc_does_not_push_its_bytes(
    live: Live, story: Story, url: str, make_work: MakeWork
) -> None:
    dataset = live.dataset(story.owner, "Importer")
    work = clone(live, make_work, dataset, story.token)
    work.dvc("import", url, "data.bin")
    work.commit()

    assert "Everything is up to date" in work.dvc("push")
    assert "dvc push sends no imports: dvc get and dvc add it" in work.git(
        "push", "origin", "main", check=False
    )


def test_the_python_interface_opens_a_file(url: str, story: Story, make_work: MakeWork) -> None:
    work = make_work("api")
    code = (
        "import dvc.api\n"
        f"with dvc.api.open('images/one.jpg', repo={url!r}, rev={story.first!r}) as stream:\n"
        "    print(stream.read())"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=work.path,
        env=work.environment,
        capture_output=True,
        timeout=120,
        check=True,
    )

    assert done.stdout.decode().strip() == "first image"


def test_a_private_dataset_needs_the_token_in_the_remote(
    live: Live, story: Story, make_work: MakeWork
) -> None:
    private = live.dataset(story.owner, "Private")
    filled = clone(live, make_work, private, story.token)
    filled.write("secret.bin", b"secret")
    filled.dvc("add", "secret.bin")
    filled.commit()
    filled.dvc("push")
    filled.git("push", "--quiet", "origin", "main")
    work = make_work("private")
    address = live.git_url(private, story.token)

    refused = work.dvc("get", address, "secret.bin", check=False)
    settings = ("auth=custom", "custom_auth_header=PRIVATE-TOKEN", f"password={story.token}")
    work.dvc("get", "--remote", "cairn", "--remote-config", *settings, "--", address, "secret.bin")

    assert "ERROR" in refused
    assert work.read("secret.bin") == b"secret"


# What only the service sees


def test_a_hostile_manifest_never_reaches_a_clone(story: Story, make_work: MakeWork) -> None:
    work = clone(story.live, make_work, story.dataset, story.token)
    md5 = hashlib.md5(FILES["data.bin"]).hexdigest()
    manifest = json.dumps([{"md5": md5, "relpath": "../../evil.sh"}]).encode()
    name = hashlib.md5(manifest).hexdigest() + ".dir"
    work.write(f".dvc/cache/files/md5/{name[:2]}/{name[2:]}", manifest)
    work.write("evil.dvc", f"outs:\n- md5: {name}\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: evil\n")
    work.commit("Evil")

    assert "400" in work.dvc("push", "evil.dvc", check=False)
    assert "evil.dvc: " in work.git("push", "origin", "main:refs/heads/evil", check=False)
