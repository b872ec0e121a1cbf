"""The commands that a dataset's page shows are ones that the programs take."""

import shlex

import pytest

from app.downloads.views import Endpoints

PUBLIC = Endpoints("http://127.0.0.1:8000", 1, "vision/cells", is_public=True)


def test_an_archive_resumes_under_a_name_of_its_own():
    words = shlex.split(PUBLIC.archive("v1").text)

    # "curl: --continue-at and --remote-header-name cannot be combined"
    assert words[1:] == [
        "-L",
        "-C",
        "-",
        "http://127.0.0.1:8000/api/v1/datasets/1/archive.zip?ref=v1",
        "--output",
        "cells-v1.zip",
    ]


@pytest.mark.parametrize("command", [PUBLIC.archive("v1+b"), PUBLIC.curl("a", "v1+b", "a")])
def test_a_ref_in_an_address_is_quoted(command):
    assert "?ref=v1%2Bb" in command.text


def test_a_file_whose_name_begins_with_a_dash_is_no_option():
    assert shlex.split(PUBLIC.client("v1", "-lead.bin").text)[-2:] == ["--", "-lead.bin"]
