"""git over smart HTTP, driven by the stock git command."""

import gzip
import io
import os
import subprocess
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from gitops import smart_http, upkeep
from gitops.changes import ChangeSet
from gitops.errors import InvalidError, RefNotFoundError
from gitops.gitrepo import HEADS, KEPT
from gitops.model import ROOT, CommitId, RepoPath
from gitops.push_hook import parse_question, printable, write_hooks
from gitops.smart_http import GitService, RequestTooLargeError, ServiceLimits
from tests.gitops.smart_server import ALICE, CLIENT, MAIN, Clone, Server, clone, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def work(server: Server, tmp_path: Path) -> Clone:
    return clone(server, tmp_path / "work")


def test_a_clone_holds_the_dataset(work: Clone) -> None:
    assert (work.path / "README.md").read_text() == "# Cells\n"


def test_a_push_moves_the_branch(server: Server, work: Clone) -> None:
    work.write("notes.md", "hello\n")
    new = work.commit()

    work.push("main")

    assert server.repo.branch(MAIN) == new
    assert server.judges[-1].moved[0].name == HEADS + "main"


def test_a_second_clone_fetches_what_was_pushed(server: Server, work: Clone, tmp_path: Path) -> None:
    other = clone(server, tmp_path / "other")
    work.write("notes.md", "hello\n")
    work.commit()
    work.push("main")

    other.git("pull", "--quiet")

    assert (other.path / "notes.md").read_text() == "hello\n"


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_every_protocol_version_fetches(server: Server, work: Clone, version: str) -> None:
    work.git("-c", f"protocol.version={version}", "fetch", "origin", "main")


def test_a_shallow_clone_has_one_version_and_deepens(server: Server, work: Clone, tmp_path: Path) -> None:
    work.write("notes.md", "hello\n")
    work.commit()
    work.push("main")

    shallow = clone(server, tmp_path / "shallow", "--depth=1")
    assert shallow.out("rev-list", "--count", "HEAD") == "1"

    shallow.git("fetch", "--unshallow")
    assert shallow.out("rev-list", "--count", "HEAD") == "2"


def test_a_shallow_clone_can_push(server: Server, tmp_path: Path) -> None:
    shallow = clone(server, tmp_path / "shallow", "--depth=1")
    shallow.write("notes.md", "hello\n")
    new = shallow.commit()

    shallow.push("main")

    assert server.repo.branch(MAIN) == new


def test_a_partial_clone_fetches_files_when_they_are_read(server: Server, tmp_path: Path) -> None:
    partial = clone(server, tmp_path / "partial", "--filter=blob:none", "--no-checkout")
    assert "?" in partial.out("rev-list", "--objects", "--missing=print", "HEAD")

    partial.git("checkout", "main")

    assert (partial.path / "README.md").read_text() == "# Cells\n"


def test_hidden_refs_are_not_shown(server: Server, work: Clone) -> None:
    server.repo.keep(CommitId(work.out("rev-parse", "HEAD")))

    assert "refs/cairn" not in work.git("ls-remote", "origin")


def test_a_commit_that_never_was_a_version_cannot_be_fetched_by_id(server: Server, work: Clone) -> None:
    tree = work.out("rev-parse", "HEAD^{tree}")
    hidden = upkeep.run(
        server.repo,
        "-c",
        "user.name=x",
        "-c",
        "user.email=x",
        "commit-tree",
        tree,
        "-m",
        "lost",
        timeout_s=10,
    ).strip()

    said = work.git("-c", "protocol.version=2", "fetch", "origin", hidden, check=False)

    assert "400" in said
    assert work.git("cat-file", "-t", hidden, check=False).startswith("fatal")


def test_a_kept_commit_can_be_fetched_by_id(server: Server, work: Clone) -> None:
    work.git("checkout", "--quiet", "-b", "dev")
    work.write("notes.md", "hello\n")
    kept = work.commit()
    work.push("dev")
    work.push("--delete", "dev")

    assert server.repo.find_ref(KEPT + kept) == kept
    work.git("fetch", "origin", kept)


def test_concurrent_pushes_to_one_branch_lose_nothing(server: Server, tmp_path: Path) -> None:
    clones = [clone(server, tmp_path / f"c{number}") for number in range(4)]
    threads = [threading.Thread(target=_push_until_in, args=(mine,)) for mine in clones]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    names = {entry.name for entry in server.data.at(MAIN).list(ROOT).entries}
    assert {f"{mine.path.name}.md" for mine in clones} <= names
    assert upkeep.verify(server.repo, timeout_s=30) == []


def test_pushes_and_commits_of_the_service_lose_nothing(server: Server, work: Clone) -> None:
    thread = threading.Thread(target=_commit_often, args=(server,))
    thread.start()
    for number in range(5):
        work.write(f"pushed{number}.md", "x\n")
        work.commit()
        _push_until_in(work)
    thread.join()

    names = {entry.name for entry in server.data.at(MAIN).list(ROOT).entries}
    assert {f"pushed{number}.md" for number in range(5)} <= names
    assert {f"written{number}.md" for number in range(10)} <= names


def test_a_push_beyond_the_limit_is_refused_and_leaves_nothing(server: Server, work: Clone) -> None:
    server.service = ServiceLimits(push_bytes=10_000)
    before = server.repo.branch(MAIN)
    work.write(
        "noise.md", bytes(range(256)) * 10 + b"".join(bytes([n % 251, n % 13, n % 7]) for n in range(40_000))
    )
    work.commit()

    said = work.push("main")

    assert "pack exceeds maximum allowed size" in said
    assert server.repo.branch(MAIN) == before
    assert upkeep.pack_count(server.repo) == 1


def test_a_push_that_ends_early_moves_nothing(server: Server) -> None:
    before = server.repo.branch(MAIN)
    line = smart_http.packet_line(f"{before} {'1' * 40} refs/heads/main\0 report-status".encode())

    push = smart_http.serve_push(
        server.repo, [line + b"0000PACK\0\0\0\2"], judge=_Never(), hooks=server.hooks, limits=server.service
    )
    answer = b"".join(push)

    assert b"unpack" in answer
    assert server.repo.branch(MAIN) == before


def test_a_client_that_vanishes_while_sending_leaves_nothing(server: Server) -> None:
    before = server.repo.branch(MAIN)

    def body() -> Iterator[bytes]:
        yield smart_http.packet_line(f"{before} {'1' * 40} refs/heads/main\0 report-status".encode())
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        smart_http.serve_push(server.repo, body(), judge=_Never(), hooks=server.hooks, limits=server.service)

    assert server.repo.branch(MAIN) == before
    assert not list((server.repo.path / "objects").glob("*incoming*"))


def test_a_push_goes_on_when_nobody_reads_its_answer(server: Server, work: Clone) -> None:
    work.write("notes.md", "hello\n")
    new = work.commit()
    old = work.out("rev-parse", "HEAD~")
    pack = _pack(work, new, old)
    line = smart_http.packet_line(f"{old} {new} refs/heads/main\0 report-status".encode())
    ended: list[str] = []

    push = smart_http.serve_push(
        server.repo,
        [line + b"0000", pack],
        judge=_Always(),
        hooks=server.hooks,
        limits=server.service,
        after=lambda: ended.append("once"),
    )
    push.close()
    push.close()

    assert server.repo.branch(MAIN) == new
    assert ended == ["once"]


def test_a_judge_that_fails_refuses_the_push(server: Server, work: Clone) -> None:
    work.write("notes.md", "hello\n")
    new = work.commit()
    old = work.out("rev-parse", "HEAD~")
    line = smart_http.packet_line(f"{old} {new} refs/heads/main\0 report-status side-band-64k".encode())

    push = smart_http.serve_push(
        server.repo,
        [line + b"0000", _pack(work, new, old)],
        judge=_Broken(),
        hooks=server.hooks,
        limits=server.service,
    )
    answer = b"".join(push)

    assert b"could not be checked" in answer
    assert server.repo.branch(MAIN) == old


def test_a_missing_hook_is_made_again(server: Server) -> None:
    (server.hooks / "pre-receive").unlink()

    write_hooks(server.hooks)

    assert (server.hooks / "pre-receive").stat().st_mode & 0o111


def test_the_hook_refuses_whoever_pushes_past_the_service(server: Server, work: Clone) -> None:
    work.write("notes.md", "hello\n")
    work.commit()
    upkeep.run(server.repo, "config", "core.hooksPath", str(server.hooks), timeout_s=10)

    said = work.git("push", str(server.repo.path), "main", check=False)

    assert "only through the service" in said


@pytest.mark.parametrize("says", [b"", b"|why\nrefuse\n", b"accept\nrefuse\n", b"accept"])
def test_the_hook_refuses_unless_the_service_accepts(server: Server, says: bytes) -> None:
    asked, ask = os.pipe()
    answer, give = os.pipe()
    os.write(give, says)
    os.close(give)
    done = subprocess.run(
        [str(server.hooks / "pre-receive")],
        input=b"x\n",
        env={"CAIRN_PUSH_ASK": f"/dev/fd/{ask}", "CAIRN_PUSH_ANSWER": f"/dev/fd/{answer}"},
        pass_fds=[ask, answer],
        capture_output=True,
        timeout=10,
        check=False,
    )
    for descriptor in (asked, ask, answer):
        os.close(descriptor)

    assert done.returncode


def test_the_hook_ends_when_nobody_listens(server: Server) -> None:
    asked, ask = os.pipe()
    os.close(asked)
    done = subprocess.run(
        [str(server.hooks / "pre-receive")],
        input=b"x\n",
        env={"CAIRN_PUSH_ASK": f"/dev/fd/{ask}", "CAIRN_PUSH_ANSWER": f"/dev/fd/{ask}"},
        pass_fds=[ask],
        capture_output=True,
        timeout=10,
        check=False,
    )
    os.close(ask)

    assert done.returncode


def test_what_a_killed_push_left_behind_is_swept_after_a_day(server: Server) -> None:
    left = server.repo.path / "objects" / "tmp_objdir-incoming-Abc123"
    (left / "pack").mkdir(parents=True)

    assert upkeep.sweep_stale_locks(server.repo, now=datetime.now(UTC)) == []
    assert upkeep.sweep_stale_locks(server.repo, now=datetime.now(UTC) + timedelta(days=2)) == [left.name]
    assert not left.exists()


def test_pushed_objects_are_checked_by_git_itself(server: Server, work: Clone) -> None:
    blob = work.blob(b"x")
    doubled = work.tree([("100644", blob, b"a.md"), ("100644", blob, b"a.md")])
    work.git("checkout", "--quiet", "-b", "bad")
    commit = work.out("commit-tree", doubled, "-p", "HEAD", "-m", "x")

    said = work.push(f"{commit}:refs/heads/bad")

    assert "duplicateEntries" in said


def test_gzip_bodies_are_bounded() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)

    with pytest.raises(RequestTooLargeError):
        list(smart_http.inflate([bomb], max_bytes=1_000_000))


@pytest.mark.parametrize("body", [b"plain", gzip.compress(b"x" * 1000)[:-9], b""])
def test_broken_gzip_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidError):
        list(smart_http.inflate([body], max_bytes=1_000_000))


def test_gzip_bodies_arrive_whole_in_any_pieces() -> None:
    content = bytes(range(256)) * 2000
    packed = gzip.compress(content)
    pieces = [packed[start : start + 7] for start in range(0, len(packed), 7)]

    assert b"".join(smart_http.inflate(pieces, max_bytes=len(content))) == content
    assert zlib.decompress(packed, 31) == content


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("version=2", "version=2"),
        ("version=2:agent=x", "version=2"),
        ("", ""),
        ("version=9", ""),
        ("x\nversion=2", ""),
    ],
)
def test_only_known_protocol_versions_reach_git(header: str, kept: str) -> None:
    assert smart_http.clean_protocol(header) == kept


def test_malformed_lines_of_a_fetch_are_refused(server: Server) -> None:
    with pytest.raises(InvalidError):
        smart_http.serve_fetch(server.repo, [b"GET / HTTP"], protocol="", limits=server.service)


def test_a_fetch_may_not_want_an_unknown_version(server: Server) -> None:
    hidden = upkeep.run(server.repo,
        "-c", "user.name=x", "-c", "user.email=x",
        "commit-tree", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "-m", "lost", timeout_s=10,
    ).strip()  # fmt: skip

    with pytest.raises(RefNotFoundError):
        smart_http.refuse_hidden_wants(server.repo, [hidden])


@pytest.mark.parametrize("sent", ["a" * 40, "A" * 40])
def test_wants_are_read_from_packet_lines_in_either_case_as_git_does(sent: str) -> None:
    oid = "a" * 40
    lines = smart_http.packet_line(f"want {sent} thin-pack\n".encode()) + b"0001" + b"0000"

    assert list(smart_http.wanted(io.BytesIO(lines))) == [oid]


def test_the_advertisement_says_which_service_it_is_for(server: Server) -> None:
    request = Request(server.url + "/info/refs?service=git-receive-pack")
    with urlopen(request, timeout=10) as answer:
        assert answer.read().startswith(b"001f# service=git-receive-pack\n0000")


def test_question_lines_are_read() -> None:
    question = parse_question(b"/q\n" + b"0" * 40 + b" " + b"a" * 40 + b" refs/heads/x y\nend\n")

    assert question is not None
    assert question.quarantine == Path("/q")
    assert question.changes[0].old is None
    assert question.changes[0].name == "refs/heads/x y"


def test_what_people_read_holds_no_control_characters() -> None:
    assert printable("a\x1b[31m\nb\udcff") == "a\\x1b[31m\\nb\\udcff"


def test_services_have_gits_names() -> None:
    assert [service.value for service in GitService] == ["git-upload-pack", "git-receive-pack"]


def _push_until_in(work: Clone) -> None:
    work.write(f"{work.path.name}.md", "x\n")
    work.git("add", "--all", "--force")
    work.git("commit", "--quiet", "--allow-empty", "-m", "Mine")
    for _ in range(30):
        if "[rejected]" not in (said := work.push("main")) and "[remote rejected]" not in said:
            return
        work.git("pull", "--rebase", "--quiet")
    raise AssertionError("the push never went in")


def _commit_often(server: Server) -> None:
    for number in range(10):
        changes = ChangeSet()
        changes.write(RepoPath(f"written{number}.md"), b"x\n")
        head = server.data.head(MAIN)
        server.data.commit(changes, branch=MAIN, base=head, author=ALICE, message="Write")


def _pack(work: Clone, new: str, old: str) -> bytes:
    done = subprocess.run(
        ["git", "pack-objects", "--revs", "--stdout", "-q"],
        cwd=work.path, env=CLIENT, input=f"{new}\n^{old}\n".encode(), capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


class _Always:
    def refusals(self, question):
        return []

    def last_refusals(self, question):
        return []

    def completed(self, question):
        pass


class _Never(_Always):
    def refusals(self, question):
        return ["no"]


class _Broken(_Always):
    def refusals(self, question):
        raise RuntimeError("broken on purpose")
