"""What a repository needs from time to time: packs joined, indexes refreshed, leftovers swept, a check.

Through the git command, and the only importer of GitPython. Users' strings never reach a command
line: only words written here are passed on.
"""

import shutil
from datetime import UTC, datetime, timedelta

from git import Git, GitCommandError

from gitops.errors import UnavailableError
from gitops.gitrepo import GENERATION, GIT_ENVIRONMENT, WRITER_LOCK, GitRepo

_STALE_LOCK = timedelta(minutes=10)
LEFT_OVER = timedelta(seconds=1)
"""Age from which a lock that the holder of the writer lock meets was left by a killed process."""
_STALE_QUARANTINE = timedelta(days=1)


def sweep_stale_locks(git: GitRepo, *, now: datetime, older_than: timedelta = _STALE_LOCK) -> list[str]:
    """Remove ``*.lock`` files and unfinished packs that a killed process left; return their names."""
    with git.lock():
        swept = sweep_under_lock(git, now=now, older_than=older_than)
    return swept + _sweep_quarantines(git, now)


def sweep_under_lock(git: GitRepo, *, now: datetime, older_than: timedelta) -> list[str]:
    """Do as ``sweep_stale_locks`` does for a writer that holds the lock: what it meets is left over."""
    swept = []
    for path in (
        *git.path.glob("*.lock"),
        *(git.path / "refs").rglob("*.lock"),
        *(git.path / "objects" / "pack").glob("tmp_*"),
    ):
        if path.name == WRITER_LOCK:
            continue
        try:
            age = now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except FileNotFoundError:
            continue
        if age > older_than:
            path.unlink(missing_ok=True)
            swept.append(path.name)
    return swept


def _sweep_quarantines(git: GitRepo, now: datetime) -> list[str]:
    """A push in progress does not touch its folder, so only a day proves that it is over."""
    swept = []
    for path in (git.path / "objects").glob("tmp_objdir-*"):
        try:
            age = now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except FileNotFoundError:
            continue
        if age > _STALE_QUARANTINE:
            shutil.rmtree(path, ignore_errors=True)
            swept.append(path.name)
    return swept


def pack_count(git: GitRepo) -> int:
    """Return how many packs there are: what reads slow down with."""
    return sum(1 for _ in (git.path / "objects" / "pack").glob("*.pack"))


def maintain(git: GitRepo, *, timeout_s: int) -> None:
    """Join packs geometrically and refresh the indexes over packs and commits; loses nothing."""
    run(git, "repack", "-d", "--geometric=2", "--write-midx", "--quiet", timeout_s=timeout_s)
    run(git, "commit-graph", "write", "--reachable", "--changed-paths", "--no-progress", timeout_s=timeout_s)
    with git.lock():
        run(git, "pack-refs", "--all", timeout_s=timeout_s)
    (git.path / GENERATION).touch()


def verify(git: GitRepo, *, timeout_s: int) -> list[str]:
    """Return what ``git fsck --strict`` finds wrong, a line each."""
    command = Git(str(git.path))
    _, out, err = command.execute(
        ["git", "--git-dir", str(git.path), "fsck", "--strict", "--no-dangling", "--no-progress"],
        env=dict(GIT_ENVIRONMENT), with_extended_output=True, with_exceptions=False,
        kill_after_timeout=timeout_s,
    )  # fmt: skip
    return [line for line in f"{out}\n{err}".splitlines() if line.strip()]


def run(git: GitRepo, *arguments: str, timeout_s: int) -> str:
    """Run one git command on this repository with the hardened environment."""
    command = Git(str(git.path))
    try:
        return str(
            command.execute(
                ["git", "--git-dir", str(git.path), *arguments],
                env=dict(GIT_ENVIRONMENT),
                kill_after_timeout=timeout_s,
            )
        )
    except GitCommandError as error:
        raise UnavailableError(f"git {arguments[0]} failed with status {error.status}") from error
