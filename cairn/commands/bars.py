"""Progress bars on stderr, for people who watch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress

from cairn.commands.session import Session
from cairn.progress import SILENT, Progress

human_size = decimal


class Bar:
    """One bar over all bytes of a transfer, with a count of files."""

    def __init__(self, rich: RichProgress, task: TaskID) -> None:
        self._rich = rich
        self._task = task

    def expect(self, *, files: int, size: int) -> None:
        """Set the ends of the bar."""
        self._rich.update(self._task, total=size, files=0, of=files)

    def advance(self, *, files: int = 0, size: int = 0) -> None:
        """Move the bar."""
        done = self._rich.tasks[self._task].fields["files"] + files
        self._rich.update(self._task, advance=size, files=done)


@contextmanager
def watched(session: Session, title: str) -> Iterator[Progress]:
    """Yield a progress bar if somebody watches, else a silent one."""
    if not session.shows_bars or not sys.stderr.isatty():
        yield SILENT
        return
    columns = (
        TextColumn("{task.description} {task.fields[files]:,}/{task.fields[of]:,} files"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as rich:
        yield Bar(rich, rich.add_task(title, total=None, files=0, of=0))
