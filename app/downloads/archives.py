"""Archives laid out beforehand: exact size, any byte range, no memory beyond one member. Pure.

An archive is a sequence of parts: bytes of the format itself, and pieces of members' content. Sizes and
checksums are known before anything is read, so every position is known too. Members come from a
factory that can be asked again, instead of being kept. docs/adr says why this is not ``zipfile``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

from app.downloads.models import File
from gitops.errors import IntegrityError

MemberFactory = Callable[[], Iterator[File]]
"""Yields the same members in the same order whenever it is called."""


class Piece(NamedTuple):
    """The bytes ``start <= position < stop`` of one member's content."""

    file: File
    start: int
    stop: int


Part = bytes | Piece


class Format(Protocol):
    """How one archive format frames members."""

    def opening(self, file: File) -> bytes:
        """Return what stands before a member's content."""
        ...

    def closing(self, file: File) -> bytes:
        """Return what stands after a member's content."""
        ...

    def listing(self, file: File, offset: int) -> bytes:
        """Return a member's row in the directory at the end; ``offset`` is where its opening begins."""
        ...

    def ending(self, measure: "Measure") -> bytes:
        """Return what stands at the very end."""
        ...


@dataclass(frozen=True, slots=True)
class Measure:
    """What one pass over the members yields, all in bytes but ``count``."""

    count: int
    content_end: int
    listing_end: int


class Archive:
    """An archive of known size, any part of which can be produced by itself.

    Args:
        members: yields the files; asked once here, and again for each ``parts``.
        form: the archive format.
    """

    def __init__(self, members: MemberFactory, form: Format) -> None:
        self._members = members
        self._form = form
        self._measure = _measured(members(), form)
        self._ending = form.ending(self._measure)
        self.size = self._measure.listing_end + len(self._ending)

    @property
    def count(self) -> int:
        """How many files it holds."""
        return self._measure.count

    def parts(self, start: int, stop: int) -> Iterator[Part]:
        """Yield the bytes ``start <= position < stop``; content before them is never read.

        Raises:
            IntegrityError: the members are not those that were measured.
        """
        is_in_content = start < self._measure.content_end
        position = 0 if is_in_content else self._measure.content_end
        for part in chain(self._content() if is_in_content else (), self._listing(), (self._ending,)):
            if position >= stop:
                return
            length = len(part) if isinstance(part, bytes) else part.stop
            if length and position + length > start:
                yield _clipped(part, start - position, stop - position)
            position += length

    def _content(self) -> Iterator[Part]:
        end = 0
        for file in self._members():
            opening, closing = self._form.opening(file), self._form.closing(file)
            end += len(opening) + file.size + len(closing)
            self._expect(end <= self._measure.content_end)
            yield opening
            yield Piece(file, 0, file.size)
            yield closing
        self._expect(end == self._measure.content_end)

    def _listing(self) -> Iterator[bytes]:
        if self._measure.content_end == self._measure.listing_end:
            return
        offset, end = 0, self._measure.content_end
        for file in self._members():
            row = self._form.listing(file, offset)
            end += len(row)
            self._expect(end <= self._measure.listing_end)
            yield row
            offset += len(self._form.opening(file)) + file.size + len(self._form.closing(file))
        self._expect(end == self._measure.listing_end)

    def _expect(self, is_as_measured: bool) -> None:  # noqa: FBT001 - it is the claim itself
        if not is_as_measured:
            raise IntegrityError("the members of the archive changed while it was sent")


def _measured(members: Iterator[File], form: Format) -> Measure:
    count = position = listing = 0
    for file in members:
        listing += len(form.listing(file, position))
        position += len(form.opening(file)) + file.size + len(form.closing(file))
        count += 1
    return Measure(count, position, position + listing)


def _clipped(part: Part, start: int, stop: int) -> Part:
    start = max(start, 0)
    if isinstance(part, bytes):
        return part if start == 0 and stop >= len(part) else part[start:stop]
    return Piece(part.file, start, min(part.stop, stop))
