"""What a repository says of its own identity and site, against what the registry says. Pure.

The repository's word is compared, never obeyed: a difference means that somebody edited the files
behind the service's back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gitops import layout
from gitops.model import RepoPath

_NAME_OF_SITE = b"  name: "
_GUARDED_REMOTES = ("core", "site")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the two stand to each other.

    Attributes:
        problem: the contradiction, empty if there is none.
        is_unwritten: a bound site is not recorded yet, because a crash came between.
    """

    problem: str = ""
    is_unwritten: bool = False


def agreement(
    record: bytes | None,
    config: bytes | None,
    *,
    expected: Mapping[RepoPath, bytes],
    unbound: Mapping[RepoPath, bytes],
) -> Agreement:
    """Return how ``.cairn/dataset.yaml`` and ``.dvc/config`` compare with what is to stand in them.

    Args:
        record: the first file as it is, None if there is none.
        config: the second one.
        expected: both files as the service would write them.
        unbound: both files as they were before a site was chosen.
    """
    if _is_like(record, config, expected):
        return Agreement()
    if _is_like(record, config, unbound):
        return Agreement(is_unwritten=True)
    if record is None or _identity(record) != _identity(expected[layout.DATASET_FILE]):
        return Agreement(f"{layout.DATASET_FILE} names another dataset or storage site than the registry")
    return Agreement(f"{layout.DVC_CONFIG} names another storage site than the one it is bound to")


def _is_like(record: bytes | None, config: bytes | None, files: Mapping[RepoPath, bytes]) -> bool:
    is_same_record = record is not None and _identity(record) == _identity(files[layout.DATASET_FILE])
    return is_same_record and _remotes(config or b"") == _remotes(files[layout.DVC_CONFIG])


def _identity(record: bytes) -> list[bytes]:
    """Leave the site's name out: an administrator may rename a site, not move it."""
    return [line for line in record.splitlines() if not line.startswith(_NAME_OF_SITE)]


def _remotes(config: bytes) -> list[str | None]:
    """Return the default remote and the site's address; that of the service may move with the service."""
    found = layout.config_remotes(config)
    return [found.get(name) for name in _GUARDED_REMOTES]
