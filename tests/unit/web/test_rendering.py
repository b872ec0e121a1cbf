"""Sizes, numbers and reasons as pages say them."""

import pytest

from app.errors import FieldFault, ForbiddenError, MissingError, UnauthenticatedError, ValidationError
from app.web.rendering import FormFault, plural, size_words
from gitops.errors import InvalidPathError, StorageFullError


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, "unknown"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9960, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (3_100_000_000, "3.1 GB"),
        (5 * 10**21, "5,000 EB"),
    ],
)
def test_sizes_are_decimal_and_short(size, words):
    assert size_words(size) == words


def test_one_thing_is_not_plural():
    assert [plural(1, "file"), plural(0, "file"), plural(1240, "file")] == [
        "1 file",
        "0 files",
        "1,240 files",
    ]


def test_a_wrong_field_is_named_and_the_reason_is_a_sentence():
    fault = FormFault.of(ValidationError("no such name", [FieldFault("/name", "too long")]))

    assert (fault.message, fault.status, fault.fields) == ("No such name.", 422, {"name": "Too long."})


def test_paths_that_are_in_the_way_are_shown():
    assert FormFault.of(InvalidPathError("bad", paths=["a.dvc"])).paths == ("a.dvc",)


def test_a_forbidden_form_says_so_on_its_own_page():
    assert FormFault.of(ForbiddenError("not yours")).status == 403


@pytest.mark.parametrize(
    "error", [MissingError("gone"), UnauthenticatedError("who?"), StorageFullError("full")]
)
def test_what_a_form_cannot_mend_is_no_fault_of_the_form(error):
    with pytest.raises(type(error)):
        FormFault.of(error)
