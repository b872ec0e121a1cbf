"""Streamed bodies: nothing that was cut short passes as whole."""

import io

import pytest
from flask import Flask

from app.errors import LengthRequiredError
from app.web.bodies import TruncatedBodyError, raw_body, self_checking_body


@pytest.fixture
def request_of():
    app = Flask("test")

    def make(content: bytes, *, length: int | None = None, chunked: bool = False):
        environ = {"wsgi.input": io.BytesIO(content), "wsgi.input_terminated": True}
        if length is not None:
            environ["CONTENT_LENGTH"] = str(length)
        if chunked:
            environ["HTTP_TRANSFER_ENCODING"] = "chunked"
        return app.test_request_context("/", method="PUT", environ_overrides=environ)

    return make


def test_a_whole_body_is_read_in_pieces(request_of):
    with request_of(b"abcdef", length=6):
        stream = raw_body()
        assert [stream.read(4), stream.read(4), stream.read(4)] == [b"abcd", b"ef", b""]


def test_what_follows_the_announced_length_is_not_ours(request_of):
    with request_of(b"abcdef", length=3):
        assert raw_body().read() == b"abc"


@pytest.mark.parametrize("size", [1, 2, -1])
def test_a_body_that_ends_early_is_refused(request_of, size):
    with request_of(b"abc", length=6):
        stream = raw_body()
        with pytest.raises(TruncatedBodyError):
            while stream.read(size):
                pass


def test_a_body_of_unknown_length_is_refused(request_of):
    with request_of(b"abc", chunked=True), pytest.raises(LengthRequiredError):
        raw_body()


def test_a_body_that_proves_itself_may_be_of_unknown_length(request_of):
    with request_of(b"abc", chunked=True):
        assert self_checking_body().read() == b"abc"


def test_no_body_is_an_empty_one(request_of):
    with request_of(b""):
        assert raw_body().read() == b""


def test_a_body_is_a_file_for_those_who_want_one(request_of):
    with request_of(b"abcdef", length=6):
        assert io.BufferedReader(raw_body()).read(5) == b"abcde"
