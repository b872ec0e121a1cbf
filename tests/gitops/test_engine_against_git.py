"""What stock git says about names, packs and commits that the engine makes."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repositories import (
    MAIN,
    STOCK_GIT,
    by,
    change_set,
    files,
    fsck,
    git,
    land,
    make_repo,
    path,
    tracked_by_git,
)

from gitops import layout, pointers, upkeep
from gitops.changes import ChangeSet
from gitops.datarepo import DataRepo
from gitops.errors import (
    GitopsError,
    InvalidRefError,
    NothingToCommitError,
    PathClashError,
    PathNotFoundError,
)
from gitops.gitrepo import HEADS, GitRepo
from gitops.model import CommitId, Md5, Pointer, RefName, Signature, parse_name, parse_path, parse_ref
from gitops.objects import digest
from gitops.packs import PackWriter

ALPHABET = "aZ09-_./@{}~^:?*[]\\ \t\x7f\x01é\u200b\u0301lockHEADrefs+=!#$%&'\"(),;<>|`"
NAMES = [
    "-x",
    "--upload-pack=x",
    "@{u}",
    "a@{1}",
    ":/x",
    "a..b",
    "refs/heads/x",
    "x.lock",
    "a/x.lock/b",
    "HEAD",
    "@",
    "a/@",
    "heads/x",
    "é",
    "a.",
    "a./b",
    ".a",
    "a//b",
    "x" * 250,
    "FETCH_HEAD",
    "-",
    "+a",
    "a{b",
    "a}",
    "'",
    "$(x)",
]


def _random_names() -> list[str]:
    chance = random.Random(20261120)
    short = ["".join(chance.choices(ALPHABET, k=chance.randint(1, 7))) for _ in range(500)]
    parts = [
        "".join(chance.choices(["a", "-", ".", "/", "@", "{", ".lock", "..", "refs/"], k=4))
        for _ in range(200)
    ]
    return [name for name in [*NAMES, *short, *parts] if "\0" not in name]


def _is_accepted(name: str) -> bool:
    try:
        parse_name(name)
    except InvalidRefError:
        return False
    return True


def test_git_accepts_every_name_that_we_accept(repo: DataRepo) -> None:
    ours = list(dict.fromkeys(name for name in _random_names() if _is_accepted(name)))
    assert len(ours) > 100
    for name in ours:
        assert git(repo, "check-ref-format", "--branch", name) == f"{name}\n"


def test_git_can_hold_every_ref_that_we_accept(repo: DataRepo) -> None:
    ours = [name for name in NAMES if _is_accepted(name)]
    for name in ours:
        repo.create_branch(RefName(name), repo.head(MAIN))
    assert set(git(repo, "for-each-ref", "--format=%(refname)", "refs/heads").split("\n")[:-1]) == {
        *(HEADS + name for name in ours),
        "refs/heads/main",
    }


def test_a_ref_that_names_nothing_never_reaches_an_option(repo: DataRepo) -> None:
    accepted = []
    for raw in _random_names():
        try:
            accepted.append(parse_ref(raw))
        except InvalidRefError:
            continue
    for ref in accepted:
        with pytest.raises(GitopsError):
            repo.at(ref)


# Pointers as `dvc add` writes them

ODD_NAMES = [
    "plain.txt",
    "two words.txt",
    "two  spaces.txt",
    "ünïcode.txt",
    "日本.png",
    "it's.txt",
    '"double".txt',
    "'single'.txt",
    "hash#.txt",
    "a #b.txt",
    "#first.txt",
    "1leading.txt",
    "true",
    "null",
    "1e5",
    "1e5.txt",
    "1E5",
    "1e-5",
    "0o17",
    "0x1f",
    "1_000",
    "1.5",
    "2026-01-01",
    "- dash",
    "-dash",
    "a: b",
    "a:b",
    "a:",
    "[x].txt",
    "{x}.txt",
    "x,y.txt",
    "%x",
    "@x",
    "&x",
    "!x",
    "`x",
    "x=1;y",
    "=",
    "~",
    "a\u200db",
    "é\u00a0b",
    "a&b!c%d@e`f|g>h<i",
    "(x)",
    "+x",
    "ends~",
    "'q\"",
    "# it's",
    "...",
    "--- x",
    "? x",
]


@pytest.fixture(scope="session")
def added_by_dvc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository after one ``dvc add`` of files with odd names, and of a folder."""
    folder = tmp_path_factory.mktemp("dvc")
    environment = {**STOCK_GIT, "HOME": str(folder), "DVC_NO_ANALYTICS": "1"}
    dvc = [sys.executable, "-m", "dvc"]
    for command in (["git", "init", "-q"], [*dvc, "init", "-q"]):
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    for name in ODD_NAMES:
        (folder / name).write_text(name)
    (folder / "folder" / "sub").mkdir(parents=True)
    for name in ("b", "a!", "sub/c", "é", 'q"q'):
        (folder / "folder" / name).write_text(name)
    subprocess.run(
        [*dvc, "add", "-q", "--", *ODD_NAMES, "folder"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_a_pointer_is_byte_for_byte_what_dvc_add_writes(added_by_dvc: Path, name: str) -> None:
    found = digest((added_by_dvc / name).read_bytes())
    written = (added_by_dvc / f"{name}.dvc").read_bytes()
    assert pointers.parse_single(written, name) == Pointer(found.md5, found.size)
    assert pointers.render(Pointer(found.md5, found.size), name) == written


def test_a_manifest_is_byte_for_byte_what_dvc_add_writes(added_by_dvc: Path) -> None:
    pointer = pointers.parse_single((added_by_dvc / "folder.dvc").read_bytes(), "folder")
    stored = added_by_dvc / ".dvc" / "cache" / "files" / "md5" / pointer.md5[:2] / pointer.md5[2:]
    content = stored.read_bytes()
    assert pointer.is_dir
    assert pointers.render_manifest(pointers.parse_manifest(content)) == content
    assert digest(content).md5 + ".dir" == pointer.md5


# Packs


def _pack(repo: DataRepo, count: int) -> list[str]:
    pack = PackWriter()
    oids = [pack.add("blob", os.urandom(3) * (number % 50)).hex() for number in range(count)]
    repo.git.write_pack(pack)
    return oids


@pytest.mark.parametrize("count", [1, 2, 5000])
def test_stock_git_reads_a_pack_of_any_size(repo: DataRepo, count: int) -> None:
    oids = set(_pack(repo, count))
    answers = git(repo, "cat-file", "--batch-check", given="\n".join(oids).encode()).splitlines()
    assert {answer.split()[0] for answer in answers if answer.split()[1] == "blob"} == oids
    for index in (repo.git.path / "objects" / "pack").glob("*.idx"):
        git(repo, "verify-pack", str(index))
    assert fsck(repo) == []


def test_an_empty_pack_writes_nothing(repo: DataRepo) -> None:
    before = upkeep.pack_count(repo.git)
    _pack(repo, 0)
    assert upkeep.pack_count(repo.git) == before


@pytest.mark.parametrize("size", [0, 1, 15, 16, 127, 128, 2047, 2048, 1 << 20, (1 << 20) + 1])
def test_an_object_of_any_size_reads_back(repo: DataRepo, size: int) -> None:
    content = os.urandom(size)
    pack = PackWriter()
    oid = pack.add("blob", content).hex()
    repo.git.write_pack(pack)
    assert repo.git.read(oid).content == content
    assert git(repo, "cat-file", "-s", oid) == f"{size}\n"


def test_another_process_that_is_already_reading_sees_new_objects_at_once(repo: DataRepo) -> None:
    reader = subprocess.Popen(
        ["git", "--git-dir", str(repo.git.path), "cat-file", "--batch-check"],
        env=STOCK_GIT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    other = GitRepo(repo.git.path)
    other.read_commit(repo.head(MAIN))
    with reader:
        assert reader.stdin
        assert reader.stdout
        for _ in range(5):
            oid = _pack(repo, 3)[2]
            reader.stdin.write(f"{oid}\n".encode())
            reader.stdin.flush()
            assert reader.stdout.readline().split()[1] == b"blob"
            assert other.read(oid).kind == "blob"


# Commits

segments = st.sampled_from(["a", "b", "A", "é", "x y", "x.dvcx", "-r", "e\u0301", "a.md", "ß"])
some_paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
some_edits = st.dictionaries(
    some_paths, st.sampled_from([None, "1", "2", b"t", b"u"]), min_size=1, max_size=6
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(some_edits, min_size=1, max_size=6))
def test_any_sequence_of_commits_is_sound_and_shows_in_stock_git(
    tmp_path_factory: pytest.TempPathFactory, history: list[dict[str, str | bytes | None]]
) -> None:
    repo = make_repo(tmp_path_factory.mktemp("any"))
    expected: dict[str, str] = {"README.md": "# Cells\n"}
    for edits in history:
        normal = {str(parse_path(raw)): content for raw, content in edits.items()}
        try:
            land(repo, normal)
        except (PathNotFoundError, PathClashError, NothingToCommitError):
            continue
        gone = [at for at, content in normal.items() if content is None]
        expected = {p: c for p, c in expected.items() if not any(f"{p}/".startswith(f"{at}/") for at in gone)}
        for at, content in normal.items():
            if content is not None:
                expected[at] = (
                    content.decode() if isinstance(content, bytes) else digest(content.encode()).md5
                )
    assert files(repo) == expected
    assert fsck(repo) == []
    shown = {at for at in tracked_by_git(repo) if not layout.is_hidden(at)}
    assert shown == {at if len(content) < 32 else f"{at}.dvc" for at, content in expected.items()}


def test_a_commit_is_what_git_s_own_plumbing_makes_of_it(repo: DataRepo, tmp_path: Path) -> None:
    head = repo.head(MAIN)
    landed = land(
        repo, {"d/x.bin": "1", "d.md": b"text", "README.md": None}, minute=1, message="Subject\n\nBody"
    )
    index = ["-c", "core.bare=false"]
    environment = {**STOCK_GIT, "GIT_INDEX_FILE": str(tmp_path / "index")}
    environment |= {"GIT_AUTHOR_DATE": f"{int(by(minute=1).when.timestamp())} +0000"}
    environment |= {"GIT_COMMITTER_DATE": environment["GIT_AUTHOR_DATE"]}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@example.org"}

    def stock(*arguments: str, given: bytes = b"") -> str:
        command = ["git", "--git-dir", str(repo.git.path), *index, *arguments]
        done = subprocess.run(command, env=environment, input=given, capture_output=True, check=True)
        return done.stdout.decode().strip()

    text = pointers.render(Pointer(digest(b"1").md5, 1), "x.bin")
    blobs = {"d/x.bin.dvc": stock("hash-object", "-w", "--stdin", given=text)}
    blobs["d.md"] = stock("hash-object", "-w", "--stdin", given=b"text")
    stock("read-tree", head)
    stock("rm", "--cached", "-q", "--force", "README.md")
    for at, blob in blobs.items():
        stock("update-index", "--add", "--cacheinfo", f"100644,{blob},{at}")
    made = stock("commit-tree", stock("write-tree"), "-p", head, given=b"Subject\n\nBody\n")
    assert made == landed.commit.id


@pytest.mark.parametrize(
    ("name", "email", "message"),
    [
        ("", "", ""),
        (" . ", "<>", "\n\n"),
        ("A <b> C", "x\ny@z", "a\0b"),
        ("\ud800", "\ud800", "\ud800"),
        ("Ä\nÖ", "ä@ö", "e\u0301\r\n\r\nx"),
        ("tree 0", "parent 0", "author x <y> 0 +0000\n\n"),
    ],
    ids=ascii,
)
def test_any_author_and_message_make_a_sound_commit_and_release(
    repo: DataRepo, name: str, email: str, message: str
) -> None:
    author = Signature(name, email, by().when)
    landed = repo.commit(change_set(a="1"), branch=MAIN, base=repo.head(MAIN), author=author, message=message)
    tag = repo.tag(RefName("v1"), landed.commit.id, author=author, notes=message)
    assert fsck(repo) == []
    assert tag.is_release
    assert repo.at(RefName("v1")).commit == landed.commit


def test_a_moment_before_1970_makes_a_sound_commit(repo: DataRepo) -> None:
    author = Signature("Ada", "a@b", by().when.replace(year=1950))
    repo.commit(change_set(a="1"), branch=MAIN, base=repo.head(MAIN), author=author, message="Old")
    assert fsck(repo) == []


def test_everything_removed_leaves_an_empty_but_sound_version(tmp_path: Path) -> None:
    repo = make_repo(tmp_path)
    land(repo, {"README.md": None})
    assert files(repo) == {}
    assert fsck(repo) == []
    changes = ChangeSet()
    changes.put(path("a"), Pointer(Md5("0" * 32), 1))
    assert land(repo, changes).commit.id == CommitId(git(repo, "rev-parse", "main").strip())
