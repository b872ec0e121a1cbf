"""Turning the parts of an archive into chunks worth sending."""

from collections.abc import Callable, Iterable, Iterator

from app.downloads.archives import MemberFactory, Part
from app.downloads.models import File

# Eight pieces wait for each slow reader (docs/adr/0012), so they are no larger than they need be.
CHUNK = 128 * 1024
MOST_KEPT = 16_384

ReadFile = Callable[[File, int, int], Iterator[bytes]]
"""(file, start, stop) -> its bytes between."""


class Replay:
    """Members that are looked up once if they are few, and again each time if they are many.

    Looking up a member costs fifteen times what framing it does, and an archive asks three times.
    """

    def __init__(self, members: MemberFactory, *, most_kept: int = MOST_KEPT) -> None:
        self._members = members
        self._most_kept = most_kept
        self._kept: list[File] | None = None

    def __call__(self) -> Iterator[File]:
        """Yield the members."""
        return iter(self._kept) if self._kept is not None else self._first()

    def _first(self) -> Iterator[File]:
        kept: list[File] = []
        for file in self._members():
            if len(kept) <= self._most_kept:
                kept.append(file)
            yield file
        if len(kept) <= self._most_kept:
            self._kept = kept


def chunks(parts: Iterable[Part], read: ReadFile) -> Iterator[bytes]:
    """Yield the bytes of all parts, small ones joined: a server pays for each chunk, not for its length."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        for piece in (part,) if isinstance(part, bytes) else read(*part):
            waiting.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield b"".join(waiting)
                waiting.clear()
                size = 0
    if waiting:
        yield b"".join(waiting)
