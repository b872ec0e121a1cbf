"""Timing one thing several times, and the table that sets results beside each other."""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Work = Callable[[], float]
"""Do the measured thing once, return the seconds that it took."""


class CappedError(Exception):
    """A command did not end within its time."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Seconds of several runs; ``is_capped`` if they were broken off, which makes them a lower bound."""

    seconds: tuple[float, ...]
    is_capped: bool = False

    @property
    def median(self) -> float:
        """The median, seconds."""
        return statistics.median(self.seconds)

    def percentile(self, share: float) -> float:
        """Return the value that a share of the runs does not exceed."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def __str__(self) -> str:
        """Median and spread in a fitting unit, such as ``12 ms (11–15)``."""
        if self.is_capped:
            return f"> {self.median:.0f} s"
        factor, unit, digits = _unit(self.median)
        median, low, high = (value * factor for value in (self.median, min(self.seconds), max(self.seconds)))
        spread = f" ({low:.{digits}f}–{high:.{digits}f})" if len(self.seconds) > 1 else " (one run)"
        return f"{median:.{digits}f} {unit}{spread}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: our measure against one peer's."""

    target: str
    files: int
    operation: str
    ours: Measure
    peer: str
    theirs: Measure

    @property
    def ratio(self) -> str:
        """How many times faster we are."""
        value = self.theirs.median / self.ours.median
        digits = 0 if value >= 10 else 1 if value >= 1 else 2
        return f"{'> ' if self.theirs.is_capped else ''}{value:,.{digits}f} ×"


def repeat(work: Work, runs: int) -> Measure:
    """Return the measure of several runs, disks synced before each; a run that is broken off ends them."""
    seconds: list[float] = []
    for _ in range(runs):
        os.sync()
        try:
            seconds.append(work())
        except CappedError as capped:
            return Measure((float(str(capped)),), is_capped=True)
    return Measure(tuple(seconds))


def side_by_side(runs: int, *works: Work) -> list[Measure]:
    """Return one measure for each thing, run in turns, so that the machine's noise meets all of them.

    Before each run the disks are synced: we sync what we write, dvc does not, and nobody should pay for what
    another left unwritten.
    """
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for work, taken in zip(works, seconds, strict=True):
            os.sync()
            taken.append(work())
    return [Measure(tuple(taken)) for taken in seconds]


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs commands in a clean environment and times them, the start of the process included."""

    environment: Mapping[str, str]
    cap_s: float | None = None

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> float:
        """Run a command to its end and return its seconds.

        Raises:
            CappedError: it took longer than the cap; its text is the cap.
            RuntimeError: it failed; with what it said.
        """
        command = [str(argument) for argument in arguments]
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(self.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, errors = process.communicate(timeout=self.cap_s)
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise CappedError(str(self.cap_s)) from late
        taken = time.perf_counter() - start
        if process.returncode:
            said = errors.decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command[:4])} ended with {process.returncode}: {said}")
        return taken

    def output(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Return what a command prints."""
        command = [str(argument) for argument in arguments]
        return subprocess.check_output(command, cwd=cwd, env=dict(self.environment), text=True)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def table(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table, aligned for the terminal too."""
    head = ("#", "files", "operation", "Cairn", "against", "takes", "ratio")
    lines = [head] + [
        (
            row.target,
            f"{row.files:,}",
            row.operation,
            str(row.ours),
            row.peer,
            str(row.theirs),
            row.ratio,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def _unit(seconds: float) -> tuple[float, str, int]:
    if seconds >= 10:
        return 1, "s", 0
    if seconds >= 1:
        return 1, "s", 1
    if seconds >= 0.02:
        return 1000, "ms", 0
    return 1000, "ms", 2 if seconds < 0.002 else 1
