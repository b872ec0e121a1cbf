"""Which files of a version or a folder are meant: ``--include`` and ``--exclude``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import basename


@dataclass(frozen=True, slots=True)
class Selection:
    """Patterns over dataset paths; none at all selects everything.

    A pattern matches a whole path, a file name alone, or a folder with all below it; ``*`` crosses slashes.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def takes(self, path: str) -> bool:
        """Tell whether a file is selected; ``exclude`` wins."""
        return (not self.include or _matches(path, self.include)) and not _matches(path, self.exclude)


EVERYTHING = Selection()


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(
        fnmatchcase(path, pattern)
        or fnmatchcase(basename(path), pattern)
        or path.startswith(f"{pattern.strip('/')}/")
        for pattern in (given.lstrip("/") for given in patterns)
    )
