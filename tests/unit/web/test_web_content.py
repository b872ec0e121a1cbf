import pytest
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from app.web.content import ByteRange, attachment, find_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-1000", (0, 100)),
        ("Bytes=99-99", (99, 100)),
        ("bytes= 5-6 , 8-9", (5, 7)),
        ("bytes=200-300,8-9", (8, 10)),
    ],
)
def test_a_range_that_lies_inside_is_found(header, expected):
    found = find_range(header, 100)
    assert (found.start, found.stop) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "lines=1-2",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=1-2,x",
        "bytes=1--2",
        "bytes=+1-2",
        "bytes=١-٢",
        "bytes=" + "9" * 30 + "-",
    ],
)
def test_a_header_in_another_form_is_ignored(header):
    assert find_range(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=500-,600-"])
def test_a_range_outside_is_unsatisfiable(header):
    with pytest.raises(RequestedRangeNotSatisfiable):
        find_range(header, 100)


def test_no_range_lies_inside_nothing():
    with pytest.raises(RequestedRangeNotSatisfiable):
        find_range("bytes=0-", 0)


def test_content_range_is_inclusive():
    assert ByteRange(0, 10).header(100) == "bytes 0-9/100"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", 'attachment; filename="a.png"'),
        ("a b.png", 'attachment; filename="a b.png"'),
        ("größe.png", "attachment; filename=\"gr__e.png\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.png"),
        ('"; x="y', "attachment; filename=\"_; x=_y\"; filename*=UTF-8''%22%3B%20x%3D%22y"),
        (
            "a\r\nSet-Cookie: x",
            "attachment; filename=\"a__Set-Cookie_ x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x",
        ),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
    ],
)
def test_a_file_name_cannot_leave_its_header_field(name, expected):
    assert attachment(name) == expected
