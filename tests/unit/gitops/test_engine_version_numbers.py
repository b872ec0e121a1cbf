"""Version numbers, against the examples of Semantic Versioning 2.0.0."""

import random

import pytest

from gitops.model import CommitId, RefName, Tag
from gitops.version_numbers import newest, parse_version

# semver.org, §11.4.4 and §11.2
ORDERED = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"]
ORDERED += ["1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1", "2.10.0", "10.0.0"]


def _tags(*names: str) -> list[Tag]:
    return [Tag(RefName(name), CommitId("0" * 40), None, None) for name in names]


def test_the_examples_of_the_specification_are_in_order() -> None:
    shuffled = random.Random(7).sample(ORDERED, len(ORDERED))
    assert sorted(shuffled, key=lambda name: parse_version(name) or ()) == ORDERED


@pytest.mark.parametrize("name", ["v1", "v1.2", "1.2", "v1.2.3", "1.2.3-x-y-z.--", "1.2.3+build.5", "v0.0.0"])
def test_a_version_number_is_recognised(name: str) -> None:
    assert parse_version(name)


@pytest.mark.parametrize(
    "name",
    ["1", "main", "v01.2", "1.02", "v1.2.3.4", "1.2.3-", "v", "release-1", "1.2.3-é", "v1.2.3-a..b", "١.٢"],
)
def test_other_names_are_none(name: str) -> None:
    assert parse_version(name) is None


def test_build_metadata_does_not_count() -> None:
    assert parse_version("1.2.3+a") == parse_version("1.2.3+b") == parse_version("v1.2.3")


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        (None, "v2.0.0"),
        ("1", "v1.10.0"),
        ("1.9", "v1.9.1"),
        ("3", "v3.0.0-rc.2"),
        ("4", None),
        ("1.9.0", "v1.9.0"),
    ],
)
def test_the_newest_in_a_range(prefix: str | None, found: str | None) -> None:
    tags = _tags("v1.9.0", "v1.9.1", "v1.10.0", "v2.0.0", "v3.0.0-rc.1", "v3.0.0-rc.2", "other")
    tag = newest(tags, prefix=prefix)
    assert (tag.name if tag else None) == found
