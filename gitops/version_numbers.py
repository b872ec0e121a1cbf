"""Version numbers in tag names, ordered as Semantic Versioning 2.0.0 §11 says. Pure."""

import re
from collections.abc import Sequence

from gitops.model import Tag

Version = tuple[int, int, int, tuple[tuple[int, int, str], ...]]

_VERSION = re.compile(
    r"v?(?P<major>0|[1-9][0-9]{0,8})(\.(?P<minor>0|[1-9][0-9]{0,8}))?(\.(?P<patch>0|[1-9][0-9]{0,8}))?"
    r"(-(?P<pre>[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*))?(\+[0-9A-Za-z.-]+)?"
)
_FINAL = ((2, 0, ""),)


def parse_version(name: str) -> Version | None:
    """Return a sortable version of ``v1.2.3-rc.1``, or None if the name is not a version number."""
    found = _VERSION.fullmatch(name)
    if not found or (found["minor"] is None and not name.startswith("v")):
        return None
    numbers = (int(found["major"]), int(found["minor"] or 0), int(found["patch"] or 0))
    return (*numbers, _precedence(found["pre"]))


def _precedence(pre: str | None) -> tuple[tuple[int, int, str], ...]:
    """Numbers below words, fewer fields below more, and any pre-release below the final version."""
    if pre is None:
        return _FINAL
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split("."))


def newest(tags: Sequence[Tag], *, prefix: str | None = None) -> Tag | None:
    """Return the tag with the highest version, within ``0.1`` or ``0`` if a prefix is given.

    Pre-releases count only where no final version matches.
    """
    wanted = tuple(int(part) for part in prefix.split(".")) if prefix else ()
    versions = [(version, tag) for tag in tags if (version := parse_version(tag.name))]
    matching = [(version, tag) for version, tag in versions if version[: len(wanted)] == wanted]
    final = [pair for pair in matching if pair[0][3] == _FINAL]
    best = max(final or matching, key=lambda pair: pair[0], default=None)
    return best[1] if best else None
