"""The other side: what a person would do with stock dvc and git, against local remotes."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measures import CappedError, Measure, Shell

BIN = Path(sys.executable).parent
GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Benchmark",
    "GIT_AUTHOR_EMAIL": "benchmark@example.org",
    "GIT_COMMITTER_NAME": "Benchmark",
    "GIT_COMMITTER_EMAIL": "benchmark@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
}

WARM_UP_S = 180

# Read files through dvc's own file system, all of them once before, so that everything is warm.
OPEN_WARM = """
import sys, time
from dvc.api import DVCFileSystem
fs = DVCFileSystem(sys.argv[1], rev=sys.argv[2])
def read(path):
    start = time.perf_counter()
    with fs.open(path) as stream:
        stream.read()
    return time.perf_counter() - start
for path in sys.argv[3:]:
    read(path)
print(*(read(path) for path in sys.argv[3:]))
"""


@dataclass(frozen=True, slots=True)
class DvcRepository:
    """A working copy with a git remote and a dvc remote, all on this machine.

    Attributes:
        is_directory: the data is tracked as one folder, not one pointer a file.
    """

    root: Path
    is_directory: bool
    cap_s: float | None

    @property
    def work(self) -> Path:
        """The working copy."""
        return self.root / "work"

    @property
    def bare(self) -> Path:
        """The git remote."""
        return self.root / "git-remote.git"

    @property
    def shell(self) -> Shell:
        """Runs commands with dvc and git at their defaults."""
        return Shell(environment(self.root), self.cap_s)

    def prepare(self) -> None:
        """Make the working copy and both remotes; nothing of this is measured."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.work.mkdir(parents=True)
        shell = Shell(environment(self.root))
        shell.run("git", "init", "-q", "--bare", "-b", "main", self.bare)
        shell.run("git", "init", "-q", "-b", "main", self.work)
        shell.run("git", "remote", "add", "origin", self.bare, cwd=self.work)
        shell.run(BIN / "dvc", "init", "-q", cwd=self.work)
        shell.run(BIN / "dvc", "config", "core.analytics", "false", cwd=self.work)
        remote = self.root / "dvc-remote"
        shell.run(BIN / "dvc", "remote", "add", "-q", "-d", "here", remote, cwd=self.work)
        shell.run("git", "add", ".", cwd=self.work)
        shell.run("git", "commit", "-q", "-m", "Begin", cwd=self.work)

    def copy_in(self, source: Path) -> None:
        """Put the files into the working copy; not measured, as the upload does not measure it either."""
        shutil.copytree(source, self.work / "data", copy_function=shutil.copy)

    def publish(self, message: str = "Add data") -> float:
        """``dvc add``, ``dvc push``, ``git commit``, ``git push``; return the seconds of all four."""
        left = self.cap_s
        total = 0.0
        commands: list[list[str | Path]] = [self._add(), [BIN / "dvc", "push", "-q"]]
        for command in commands + _git_commands(message):
            shell = Shell(environment(self.root), left)
            try:
                taken = shell.run(*command, cwd=self.work)
            except CappedError as capped:
                raise CappedError(str(self.cap_s)) from capped
            total += taken
            left = max(1.0, left - taken) if left is not None else None
        return total

    def _add(self) -> list[str | Path]:
        if self.is_directory:
            return [BIN / "dvc", "add", "-q", "data"]
        files = sorted(path for path in (self.work / "data").rglob("*") if path.is_file())
        return [BIN / "dvc", "add", "-q", *(path.relative_to(self.work) for path in files)]

    def plant(self, source: Path) -> None:
        """Make the state that ``publish`` leaves with one pointer a file, without dvc's time; not measured.

        ``dvc add`` also writes one ``.gitignore`` a folder with a line a file; so does this.
        """
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            self.plant_file(path, path.relative_to(source))
        self._commit("Add data", "v1")

    def plant_file(self, path: Path, name: Path) -> None:
        """Put one file's object into the remote and its pointer into the working copy."""
        content = path.read_bytes()
        md5 = hashlib.md5(content).hexdigest()
        stored = self.root / "dvc-remote" / "files" / "md5" / md5[:2] / md5[2:]
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(content)
        tracked = self.work / "data" / name
        tracked.parent.mkdir(parents=True, exist_ok=True)
        pointer = tracked.with_name(f"{tracked.name}.dvc")
        if not pointer.exists():
            with (tracked.parent / ".gitignore").open("a", encoding="utf-8") as ignored:
                ignored.write(f"/{tracked.name}\n")
        pointer.write_text(
            f"outs:\n- md5: '{md5}'\n  size: {len(content)}\n  hash: md5\n  path: {tracked.name}\n",
            encoding="utf-8",
        )

    def plant_change(self, source: Path, names: list[str]) -> None:
        """Plant other bytes of some files as version ``v2``; not measured."""
        for name in names:
            self.plant_file(source / name, Path(name))
        self._commit("Change data", "v2")

    def _commit(self, message: str, tag: str) -> None:
        shell = Shell(environment(self.root))
        for command in _git_commands(message):
            shell.run(*command, cwd=self.work)
        self.tag(tag)

    def tag(self, name: str) -> None:
        """Name the present version, in both repositories; not measured."""
        shell = Shell(environment(self.root))
        shell.run("git", "tag", name, cwd=self.work)
        shell.run("git", "push", "-q", "origin", "main", name, cwd=self.work)

    def pull(self) -> float:
        """``dvc pull`` into a fresh clone with an empty cache; return its seconds."""
        clone = self.root / "clone"
        shutil.rmtree(clone, ignore_errors=True)
        Shell(environment(self.root)).run("git", "clone", "-q", self.bare, clone)
        return self.shell.run(BIN / "dvc", "pull", "-q", cwd=clone)

    def get(self, path: str, ref: str) -> float:
        """``dvc get`` of one file at a ref; return its seconds."""
        target = self.root / "got"
        target.unlink(missing_ok=True)
        return self.shell.run(BIN / "dvc", "get", "-q", self.bare, path, "--rev", ref, "-o", target)

    def list_folder(self, folder: str, ref: str) -> float:
        """``dvc list`` of a folder at a ref; return its seconds."""
        return self.shell.run(BIN / "dvc", "list", "-q", self.bare, folder, "--rev", ref)

    def diff(self, old: str, new: str) -> float:
        """``dvc diff`` of two versions; return its seconds."""
        return self.shell.run(BIN / "dvc", "diff", "-q", old, new, cwd=self.work)

    def open_warm(self, names: list[str], ref: str) -> Measure | None:
        """Return the seconds of reading each file through a warm ``DVCFileSystem``, in process.

        None if it did not get warm in time: that says nothing about reading.
        """
        command = [sys.executable, "-c", OPEN_WARM, str(self.bare), ref, *names]
        try:
            printed = subprocess.run(
                command,
                env=dict(environment(self.root)),
                check=True,
                capture_output=True,
                text=True,
                timeout=WARM_UP_S,
            ).stdout
        except subprocess.TimeoutExpired:
            return None
        return Measure(tuple(float(value) for value in printed.split()))


def environment(home: Path) -> Mapping[str, str]:
    """Return an environment in which no setting of the machine reaches dvc or git."""
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(home),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "site-cache"),
        **GIT_IDENTITY,
    }


def _git_commands(message: str) -> list[list[str | Path]]:
    return [
        ["git", "add", "."],
        ["git", "commit", "-q", "-m", message],
        ["git", "push", "-q", "origin", "main"],
    ]
