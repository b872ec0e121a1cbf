"""Writers, readers and upkeep at once; processes killed in the middle."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from repositories import (
    MAIN,
    by,
    change_set,
    files,
    fsck,
    git,
    land,
    open_repo,
    path,
    store,
    tracked_by_git,
)

from gitops import upkeep
from gitops.changes import ChangeSet
from gitops.datarepo import DataRepo
from gitops.errors import ConflictError, EditConflictError, RefNotFoundError
from gitops.gitrepo import prepare_libgit2
from gitops.model import CommitId, Md5, RefName, parse_name
from gitops.objects import digest

HERE = Path(__file__).parent


def at_once(*jobs: Callable[[], object]) -> list[BaseException]:
    """Run jobs in threads that start together; return what they raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            start.wait()
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def write_many(repo: DataRepo, who: str, count: int) -> None:
    for number in range(count):
        land(repo, {f"{who}/{number}": f"{who}{number}"}, base=repo.head(MAIN))


def test_threads_on_disjoint_paths_all_land(repo: DataRepo) -> None:
    """Promise D3: disjoint paths all land, from one base and from moving ones."""
    base = repo.head(MAIN)
    jobs = [lambda who=f"t{n}": write_many(repo, who, 6) for n in range(8)]
    jobs += [
        lambda who=f"b{n}": land(repo, {f"{who}.bin": who, f"d/{who}": who}, base=base) for n in range(8)
    ]
    assert at_once(*jobs) == []
    found = files(repo)
    assert len(found) == 1 + 8 * 6 + 8 * 2
    assert all(f"t{n}/{m}" in found for n in range(8) for m in range(6))
    assert len(git(repo, "rev-list", "--first-parent", "main").split()) == 1 + 8 * 6 + 8
    assert fsck(repo) == []


def test_of_writers_to_one_path_exactly_one_wins(repo: DataRepo) -> None:
    """Promise D3: the same path: one wins, the others are told which path."""
    base = land(repo, {"a": "0"}).commit.id
    errors = at_once(*(lambda n=n: land(repo, {"a": f"{n}", f"own{n}": "1"}, base=base) for n in range(1, 9)))
    assert len(errors) == 7
    assert {type(error) for error in errors} == {EditConflictError}
    assert {error.paths for error in errors if isinstance(error, EditConflictError)} == {("a",)}
    assert len(files(repo)) == 3
    assert fsck(repo) == []


def test_savers_of_one_file_are_all_joined(repo: DataRepo) -> None:
    """Promise D3: savers on one file through merge."""
    base = land(repo, {"n.md": b""}).commit.id

    def union(_: bytes | None, theirs: bytes | None, ours: bytes) -> bytes:
        return b"".join(sorted({*(theirs or b"").splitlines(True), *ours.splitlines(True)}))

    def save(who: int) -> None:
        for number in range(5):
            changes = ChangeSet()
            changes.write(path("n.md"), b"%d-%d\n" % (who, number), merge=union)
            land(repo, changes, base=base)

    assert at_once(*(lambda who=who: save(who) for who in range(6))) == []
    assert len(repo.at().read(path("n.md")).splitlines()) == 30


def _process(folder: str, who: str, count: int) -> None:
    prepare_libgit2()
    write_many(open_repo(Path(folder)), who, count)


def test_processes_on_disjoint_paths_all_land(repo: DataRepo, tmp_path: Path) -> None:
    """Promise D3, across processes."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_process, args=(str(tmp_path), f"p{n}", 15)) for n in range(3)]
    for worker in workers:
        worker.start()
    write_many(repo, "me", 15)
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(files(repo)) == 1 + 4 * 15
    assert len(git(repo, "rev-list", "main").split()) == 1 + 4 * 15
    assert fsck(repo) == []


def test_stock_git_may_move_the_branch_between(repo: DataRepo) -> None:
    """Compare-and-swap guards against writers that do not know our lock."""
    who = ["-c", "user.name=Bob", "-c", "user.email=bob@example.org"]
    pushed: list[str] = []

    def push() -> None:
        while len(pushed) < 10:
            head = git(repo, "rev-parse", "main").strip()
            tree = git(repo, "rev-parse", f"{head}^{{tree}}").strip()
            commit = git(repo, *who, "commit-tree", tree, "-p", head, "-m", f"push {len(pushed)}").strip()
            try:
                git(repo, "update-ref", "refs/heads/main", commit, head)
            except subprocess.CalledProcessError:
                continue
            pushed.append(commit)

    assert at_once(push, lambda: write_many(repo, "me", 20)) == []
    log = git(repo, "rev-list", "main").split()
    assert set(pushed) <= set(log)
    assert len(log) == 1 + 10 + 20
    assert len(files(repo)) == 21
    assert fsck(repo) == []


def test_upkeep_disturbs_neither_readers_nor_writers(repo: DataRepo) -> None:
    """Promise D1: what was acknowledged stays readable while packs are joined and removed."""
    land(repo, {f"d{n % 7}/{n}": str(n) for n in range(300)})
    first = repo.head(MAIN)
    done = threading.Event()

    def read() -> None:
        rounds = 0
        while not done.is_set() or rounds < 2:
            fresh = open_repo(repo.git.path.parent) if rounds % 3 == 0 else repo
            assert len(list(fresh.at(first).walk())) == 301
            assert fresh.at().commit.id in [one.id for one in fresh.log(fresh.head(MAIN))]
            assert [branch.name for branch in fresh.branches()][-1] == "main"
            rounds += 1

    def write() -> None:
        write_many(repo, "w", 30)

    def maintain() -> None:
        try:
            for _ in range(6):
                upkeep.maintain(repo.git, timeout_s=60)
        finally:
            done.set()

    assert at_once(read, read, write, maintain) == []
    assert len(files(repo)) == 301 + 30
    assert fsck(repo) == []
    upkeep.maintain(repo.git, timeout_s=60)
    assert upkeep.pack_count(repo.git) <= 3
    assert upkeep.verify(repo.git, timeout_s=60) == []


def test_branches_may_come_and_go_while_others_list_them(repo: DataRepo) -> None:
    head = repo.head(MAIN)
    done = threading.Event()

    def churn() -> None:
        try:
            for number in range(60):
                repo.create_branch(repo_name(number), head)
                repo.delete_branch(repo_name(number))
        finally:
            done.set()

    def look() -> None:
        while not done.is_set():
            assert "main" in [branch.name for branch in repo.branches()]
            repo.tags()
            repo.git.kept_heads()

    assert at_once(churn, look, look, lambda: upkeep.maintain(repo.git, timeout_s=60)) == []


def repo_name(number: int) -> RefName:
    return parse_name(f"b{number}/x")


def test_a_tag_that_is_deleted_while_it_is_made_is_no_failure(repo: DataRepo) -> None:
    head = repo.head(MAIN)

    def make() -> None:
        for _ in range(40):
            with suppress(ConflictError, RefNotFoundError):
                repo.tag(repo_name(0), head, author=by(), notes=None)

    def delete() -> None:
        for _ in range(120):
            with suppress(ConflictError, RefNotFoundError):
                repo.delete_tag(repo_name(0))

    assert at_once(make, make, delete, delete) == []


# Locks of the dead


def test_a_stale_lock_is_swept_and_a_fresh_one_is_not(repo: DataRepo) -> None:
    stale = repo.git.path / "refs" / "heads" / "main.lock"
    unfinished = repo.git.path / "objects" / "pack" / "tmp_0123456789abcdef"
    for one in (stale, unfinished):
        one.write_bytes(b"")
    now = datetime.now(UTC)
    assert upkeep.sweep_stale_locks(repo.git, now=now) == []
    assert sorted(upkeep.sweep_stale_locks(repo.git, now=now + timedelta(hours=1))) == [
        "main.lock",
        unfinished.name,
    ]
    assert not stale.exists()
    land(repo, {"a": "1"})


def test_a_commit_removes_the_lock_of_a_killed_writer(repo: DataRepo) -> None:
    stale = repo.git.path / "refs" / "heads" / "main.lock"
    stale.write_bytes(b"")
    long_ago = datetime.now(UTC).timestamp() - 60
    os.utime(stale, (long_ago, long_ago))
    land(repo, {"a": "1"})
    assert not stale.exists()


def test_a_restart_may_sweep_at_once(repo: DataRepo) -> None:
    (repo.git.path / "packed-refs.lock").write_bytes(b"")
    now = datetime.now(UTC) + timedelta(seconds=5)
    assert upkeep.sweep_stale_locks(repo.git, now=now, older_than=timedelta(seconds=1)) == [
        "packed-refs.lock"
    ]


WRITER = """
import json, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from gitops.gitrepo import prepare_libgit2
from gitops.objects import digest
from repositories import MAIN, land, open_repo, store
prepare_libgit2()
repo = open_repo(Path({folder!r}))
for number in range(10_000):
    content = f"{{sys.argv[1]}}-{{number}}"
    address = store(repo, content.encode())
    landed = land(repo, {{f"{{sys.argv[1]}}/{{number}}": content}}, base=repo.head(MAIN))
    print(json.dumps([landed.commit.id, address]), flush=True)
"""


def _killed_after(folder: Path, who: str, acknowledged: int, pause_s: float) -> list[tuple[CommitId, Md5]]:
    """Start a writer, kill it some time after so many answers, return what it acknowledged."""
    script = WRITER.format(here=str(HERE), folder=str(folder))
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", script, who], env=environment, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        answers = [writer.stdout.readline() for _ in range(acknowledged)]
        threading.Event().wait(pause_s)
        os.kill(writer.pid, signal.SIGKILL)
        answers += writer.stdout.readlines()
    return [(CommitId(found[0]), Md5(found[1])) for found in map(json.loads, filter(_is_whole, answers))]


def _is_whole(line: str) -> bool:
    return line.endswith("\n")


@pytest.mark.slow
def test_what_a_killed_writer_acknowledged_is_there_and_nothing_is_half(
    repo: DataRepo, tmp_path: Path
) -> None:
    """Promises D1 and D2, invariant 1: kill -9 in the middle of commits, ten times."""
    chance = random.Random(9)
    acknowledged: list[tuple[CommitId, Md5]] = []
    for number in range(10):
        found = _killed_after(tmp_path, f"k{number}", 1 + chance.randrange(4), chance.random() * 0.02)
        assert found
        acknowledged += found
        upkeep.sweep_stale_locks(repo.git, now=datetime.now(UTC) + timedelta(hours=1))
    assert fsck(repo) == []
    log = set(git(repo, "rev-list", "main").split())
    assert {commit for commit, _ in acknowledged} <= log
    again = open_repo(tmp_path)
    assert again.objects
    for commit, address in acknowledged:
        assert address in files(again, commit).values()
    addresses = [md5 for at, md5 in files(again).items() if "/" in at]
    assert again.objects.missing([Md5(md5) for md5 in addresses]) == set()
    for md5 in addresses:
        with again.objects.open(Md5(md5)) as stream:
            assert digest(stream.read()).md5 == md5
    land(again, change_set(after="1"))


def test_a_crash_between_objects_and_commit_leaves_only_garbage(
    repo: DataRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 1: a crash between leaves garbage, never a dangling reference; a retry lands once."""
    head = repo.head(MAIN)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for step in ("write_pack", "move_ref"):
        with monkeypatch.context() as patch:
            patch.setattr(repo.git, step, crash)
            store(repo, b"1")
            with pytest.raises(KeyboardInterrupt):
                land(repo, {"a": "1"})
        assert repo.head(MAIN) == head
        assert fsck(repo) == []
    land(repo, {"a": "1"})
    assert len(git(repo, "rev-list", "main").split()) == 2
    assert "a.dvc" in tracked_by_git(repo)
