import io
import shutil
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.downloads.archives import Archive, Piece
from app.downloads.models import File
from app.downloads.tars import TarFormat
from app.downloads.zips import ZipFormat
from gitops.errors import IntegrityError

WHEN = datetime(2026, 3, 1, 12, 30, 42, tzinfo=UTC)
LONG = "/".join(["a" * 60] * 5) + "/" + "n" * 120 + ".png"
CONTENTS = {
    "README.md": b"# cells\n",
    "images/a b.png": bytes(range(256)) * 5,
    "images/empty.txt": b"",
    "images/exactly-512.bin": b"x" * 512,
    "Bilder/größe/細胞 ü.tif": b"unicode" * 100,
    "p" * 90 + "/" + "q" * 90 + ".bin": b"prefix and name",
    LONG: b"long path",
    "Ωmega/" + "ü" * 100: b"long unicode",
    "x" * 100: b"exactly a hundred",
    "d/" * 50 + "f": b"a path of 101",
}
FORMATS = [ZipFormat, TarFormat]


def file(path: str, content: bytes) -> File:
    return File(path, len(content), "0" * 32, "0" * 64, zlib.crc32(content))


def members() -> Iterator[File]:
    for path, content in CONTENTS.items():
        yield file(path, content)


def written(archive: Archive, start: int = 0, stop: int | None = None) -> bytes:
    output = io.BytesIO()
    for part in archive.parts(start, archive.size if stop is None else stop):
        if isinstance(part, Piece):
            output.write(CONTENTS[part.file.path][part.start : part.stop])
        else:
            output.write(part)
    return output.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_size_is_exact(form):
    archive = Archive(members, form(WHEN))
    assert len(written(archive)) == archive.size
    assert archive.count == len(CONTENTS)


@pytest.mark.parametrize("form", FORMATS)
def test_equal_members_and_moment_give_equal_bytes(form):
    assert written(Archive(members, form(WHEN))) == written(Archive(members, form(WHEN)))


def test_zipfile_reads_names_content_and_moment():
    raw = written(Archive(members, ZipFormat(WHEN)))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == CONTENTS
        assert {info.date_time for info in archive.infolist()} == {(2026, 3, 1, 12, 30, 42)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}


def test_tarfile_reads_names_content_and_moment():
    raw = written(Archive(members, TarFormat(WHEN)))
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        found = {info.name: archive.extractfile(info).read() for info in archive}
        assert found == CONTENTS
        assert {info.mtime for info in archive.getmembers()} == {WHEN.timestamp()}
        assert {info.mode for info in archive.getmembers()} == {0o644}
    assert len(raw) % 10240 == 0


def test_a_zip_of_nothing_is_valid():
    raw = written(Archive(lambda: iter(()), ZipFormat(WHEN)))
    with zipfile.ZipFile(io.BytesIO(raw)) as read:
        assert read.namelist() == []


def test_a_tar_of_nothing_is_valid():
    raw = written(Archive(lambda: iter(()), TarFormat(WHEN)))
    with tarfile.open(fileobj=io.BytesIO(raw)) as read:
        assert read.getnames() == []


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_unzip_extracts_the_same_bytes(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(written(Archive(members, ZipFormat(WHEN))))
    subprocess.run(["unzip", "-tqq", path], check=True, capture_output=True)
    subprocess.run(
        ["unzip", "-qq", path, "-d", tmp_path / "out"],
        check=True,
        capture_output=True,
        env={"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "PATH": "/usr/bin:/bin"},
    )
    assert extracted(tmp_path / "out") == CONTENTS
    assert (tmp_path / "out/README.md").stat().st_mtime == WHEN.timestamp()


@pytest.mark.skipif(not shutil.which("tar"), reason="tar is not installed")
def test_gnu_tar_extracts_the_same_bytes_and_warns_of_nothing(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(written(Archive(members, TarFormat(WHEN))))
    (tmp_path / "out").mkdir()
    done = subprocess.run(["tar", "xf", path, "-C", tmp_path / "out"], check=True, capture_output=True)
    assert done.stderr == b""
    assert extracted(tmp_path / "out") == CONTENTS


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_range_is_that_slice_of_the_whole(form, data):
    archive = Archive(members, form(WHEN))
    whole = written(archive)
    start = data.draw(st.integers(0, archive.size - 1))
    stop = data.draw(st.integers(start + 1, archive.size))
    assert written(archive, start, stop) == whole[start:stop]


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(
            st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)),
            min_size=1,
            max_size=300,
        )
        .map(lambda raw: raw.strip("/") or "x")
        .filter(lambda raw: not raw.endswith("/")),
        st.binary(max_size=700),
        max_size=8,
    )
)
def test_any_names_and_contents_survive_tar(contents):
    archive = Archive(lambda: (file(path, content) for path, content in contents.items()), TarFormat(WHEN))
    raw = b"".join(
        contents[part.file.path] if isinstance(part, Piece) else part
        for part in archive.parts(0, archive.size)
    )
    with tarfile.open(fileobj=io.BytesIO(raw), errors="strict") as read:
        assert {info.name: read.extractfile(info).read() for info in read} == contents


def test_reading_a_range_at_the_end_of_a_huge_archive_touches_one_member():
    huge = 5 * 1024**4
    archive = Archive(lambda: iter([File("a", huge, "", "", 1), File("b", huge, "", "", 2)]), TarFormat(WHEN))
    (piece,) = (p for p in archive.parts(huge + 4096, huge + 4196) if isinstance(p, Piece))
    assert (piece.file.path, piece.start, piece.stop - piece.start) == ("b", 1024, 100)


@pytest.mark.parametrize("size", [2**32 - 2, 2**32 - 1, 2**32, 5 * 2**30])
def test_zip_of_members_beyond_4_gib_is_read_by_zipfile(size):
    files = [File("big.bin", size, "", "", 7), File("after.txt", 3, "", "", zlib.crc32(b"abc"))]
    archive = Archive(lambda: iter(files), ZipFormat(WHEN))
    with zipfile.ZipFile(SparseArchive(archive, {"after.txt": b"abc"})) as read:
        assert [(info.filename, info.file_size) for info in read.infolist()] == [
            ("big.bin", size),
            ("after.txt", 3),
        ]
        assert read.read("after.txt") == b"abc"
        with read.open("big.bin") as stream:
            assert stream.read(10) == bytes(10)


@pytest.mark.parametrize("size", [8**11 - 1, 8**11, 20 * 2**30])
def test_tar_of_members_beyond_8_gib_is_read_by_tarfile(size):
    files = [File("big.bin", size, "", "", 7), File("after.txt", 3, "", "", 0)]
    archive = Archive(lambda: iter(files), TarFormat(WHEN))
    with tarfile.open(fileobj=SparseArchive(archive, {"after.txt": b"abc"})) as read:
        assert [(info.name, info.size) for info in read] == [("big.bin", size), ("after.txt", 3)]
        assert read.extractfile("after.txt").read() == b"abc"


@pytest.mark.parametrize("count", [65_534, 65_535, 70_000])
def test_zip_of_very_many_members_is_read_by_zipfile(count):
    content = b"abc"
    one = zlib.crc32(content)
    archive = Archive(lambda: (File(f"{n:06}", 3, "", "", one) for n in range(count)), ZipFormat(WHEN))
    raw = b"".join(content if isinstance(p, Piece) else p for p in archive.parts(0, archive.size))
    assert len(raw) == archive.size
    with zipfile.ZipFile(io.BytesIO(raw)) as read:
        assert len(read.infolist()) == count
        assert read.read(f"{count - 1:06}") == content


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not installed")
def test_unzip_tests_70_000_members(tmp_path):
    one = zlib.crc32(b"abc")
    archive = Archive(lambda: (File(f"{n:06}", 3, "", "", one) for n in range(70_000)), ZipFormat(WHEN))
    with (tmp_path / "a.zip").open("wb") as output:
        for part in archive.parts(0, archive.size):
            output.write(b"abc" if isinstance(part, Piece) else part)
    subprocess.run(["unzip", "-tqq", tmp_path / "a.zip"], check=True, capture_output=True)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("later", [[], [b"x" * 2000], [b"x", b"x"]])
def test_members_that_change_between_passes_end_the_stream_with_an_error(form, later):
    passes = iter([[file("0", b"x" * 1000)], [file(str(n), content) for n, content in enumerate(later)]])
    archive = Archive(lambda: iter(next(passes)), form(WHEN))
    with pytest.raises(IntegrityError):
        list(archive.parts(0, archive.size))


@pytest.mark.parametrize("year", [1969, 1975, 2038, 2200])
@pytest.mark.parametrize("form", FORMATS)
def test_moments_that_a_format_cannot_say_are_brought_into_its_span(form, year):
    archive = Archive(members, form(datetime(year, 6, 1, tzinfo=UTC)))
    assert len(written(archive)) == archive.size


def extracted(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


class SparseArchive(io.RawIOBase):
    """An archive as a file whose huge members read as zeros, produced range by range."""

    def __init__(self, archive: Archive, contents: dict[str, bytes]) -> None:
        self._archive = archive
        self._contents = contents
        self._position = 0

    def seekable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self._position

    def seek(self, offset, whence=io.SEEK_SET):
        self._position = offset + {0: 0, 1: self._position, 2: self._archive.size}[whence]
        return self._position

    def read(self, size=-1):
        stop = self._archive.size if size < 0 else min(self._position + size, self._archive.size)
        assert stop - self._position < 1 << 24
        raw = b"".join(self._bytes(part) for part in self._archive.parts(self._position, stop))
        self._position = max(stop, self._position)
        return raw

    def _bytes(self, part):
        if isinstance(part, bytes):
            return part
        content = self._contents.get(part.file.path)
        return content[part.start : part.stop] if content else bytes(part.stop - part.start)
