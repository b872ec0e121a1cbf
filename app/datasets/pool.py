"""The pool of one dataset: its object store and the ledger that says what is in it, as one thing.

Every door receives and serves bytes through here, so that the order (bytes durable, then ledger) and
the rule (nothing that the ledger lacks) exist once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from app.datasets import ledger
from app.datasets.models import DatasetId, ObjectFacts
from app.db import Database
from app.errors import GoneError
from gitops.errors import DigestMismatchError, ObjectClashError, ObjectNotFoundError
from gitops.model import Md5
from gitops.objects import Hasher, ObjectStore, Staged, digest

_MAX_LEGACY_TEXT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedMany:
    """What became of a batch: what is stored now, and what was refused with the reason."""

    stored: tuple[ObjectFacts, ...]
    refused: tuple[tuple[Md5, str], ...]


class Pool:
    """Bytes of one dataset. Safe to share between threads."""

    def __init__(
        self, dataset_id: DatasetId, store: ObjectStore, database: Database, clock: Callable[[], datetime]
    ) -> None:
        self.dataset_id = dataset_id
        self.store = store
        self._database = database
        self._clock = clock

    def facts(self, addresses: Collection[Md5]) -> dict[Md5, ObjectFacts]:
        """Return what the ledger knows of those addresses that it holds."""
        with self._database.reading() as connection:
            return ledger.facts(connection, self.dataset_id, addresses)

    def damaged(self) -> frozenset[Md5]:
        """Return the addresses whose stored bytes are known to be wrong."""
        with self._database.reading() as connection:
            return ledger.damaged(connection, self.dataset_id)

    def state(self) -> str:
        """Return a text that changes whenever more can be read, or less: for an ETag."""
        with self._database.reading() as connection:
            damaged = sorted(ledger.damaged(connection, self.dataset_id))
            return f"{ledger.count(connection, self.dataset_id)} {' '.join(damaged)}"

    def content_md5(self, address: Md5) -> str:
        """Return the MD5 of an object's bytes: its address, unless DVC 2 gave it that of the LF form."""
        held = self.facts([address]).get(address)
        if held is None or not held.is_legacy:
            return address
        hasher = Hasher()
        with self.open(address) as stream:
            for chunk in chunks_of(stream):
                hasher.update(chunk)
        return hasher.digests().md5

    def missing(self, addresses: Collection[Md5]) -> set[Md5]:
        """Return the addresses that this dataset does not hold undamaged."""
        known = self.facts(addresses)
        return {address for address in addresses if address not in known or known[address].damaged_at}

    def open(self, address: Md5, *, start: int = 0) -> BinaryIO:
        """Return an object's bytes from ``start``.

        Raises:
            ObjectNotFoundError: the ledger does not hold it.
            GoneError: its bytes are damaged or lost.
        """
        self.check_servable(address)
        try:
            return self.store.open(address, start=start)
        except ObjectNotFoundError as error:
            raise GoneError(
                f"the storage site has lost the object {address}; upload the file again to heal it",
                code="object_gone",
            ) from error

    def check_servable(self, address: Md5) -> ObjectFacts:
        """Return the facts of an object that may be served. Raises like ``open``."""
        found = self.facts([address]).get(address)
        if found is None:
            raise GoneError(f"the object {address} was never stored for this dataset", code="object_gone")
        if found.damaged_at:
            raise GoneError(
                f"the stored bytes of {address} are damaged; upload the file again to heal them",
                code="object_gone",
            )
        return found

    def receive(
        self, chunks: Iterable[bytes], *, size: int | None = None, address: Md5 | None = None
    ) -> ObjectFacts:
        """Take one object: hash, verify, make durable, enter it in the ledger.

        Raises:
            DigestMismatchError: the bytes are not what ``size`` or ``address`` announce.
            ObjectClashError: other bytes with the same MD5 are stored.
        """
        staged = self.store.receive(chunks, size=size)
        try:
            if address is not None:
                staged = _addressed(staged, address)
            self._refuse_clashes([staged])
        except BaseException:
            self.store.drop([staged])
            raise
        return self._keep([staged])[0]

    def receive_legacy(self, chunks: Iterable[bytes], *, address: Md5) -> ObjectFacts:
        """Take an object that DVC 2 may have addressed by the MD5 of its text with LF line ends."""
        staged = self.store.receive(chunks)
        try:
            staged = self._legacy_addressed(staged, address)
            self._refuse_clashes([staged])
        except BaseException:
            self.store.drop([staged])
            raise
        return self._keep([staged])[0]

    def receive_all(self, bodies: Iterable[Iterable[bytes]]) -> list[ObjectFacts]:
        """Take objects whose hashes nobody announced, with one sync; all of them or none.

        Raises:
            ObjectClashError: other bytes with the same MD5 are stored.
        """
        staged: list[Staged] = []
        try:
            for chunks in bodies:
                staged.append(self.store.receive(chunks))  # noqa: PERF401 - what arrived before an error is dropped
            self._refuse_clashes(staged)
        except BaseException:
            self.store.drop(staged)
            raise
        return self._keep(staged)

    def receive_many(
        self,
        parts: Iterable[tuple[Md5, Iterable[bytes]]],
        *,
        only: Callable[[Collection[Md5]], set[Md5]] | None = None,
    ) -> ReceivedMany:
        """Take a batch of objects with one sync for all; those that are wrong are left out by name.

        Args:
            parts: what each object's bytes must hash to, and the bytes.
            only: told all addresses that arrived, at once, says which of them are expected.
        """
        staged: list[Staged] = []
        refused: list[tuple[Md5, str]] = []
        try:
            for address, chunks in parts:
                one = self.store.receive(chunks)
                staged.append(one)
                try:
                    staged[-1] = _addressed(one, address)
                except DigestMismatchError as error:
                    self.store.drop([staged.pop()])
                    refused.append((address, str(error)))
            if only is not None:
                staged = self._expected(staged, refused, only([one.address for one in staged]))
            good = self._without_clashes(staged, refused)
        except BaseException:
            self.store.drop(staged)
            raise
        return ReceivedMany(tuple(self._keep(good)), tuple(refused))

    def _expected(
        self, staged: list[Staged], refused: list[tuple[Md5, str]], wanted: set[Md5]
    ) -> list[Staged]:
        for one in staged:
            if one.address not in wanted:
                self.store.drop([one])
                refused.append((one.address, "no file was declared with this MD5"))
        return [one for one in staged if one.address in wanted]

    def _without_clashes(self, staged: list[Staged], refused: list[tuple[Md5, str]]) -> list[Staged]:
        known = self.facts([one.address for one in staged])
        good = []
        for one in staged:
            try:
                self._refuse_clashes([one], known=known)
            except ObjectClashError as error:
                self.store.drop([one])
                refused.append((one.address, str(error)))
            else:
                known.setdefault(one.address, _facts_of(one))
                good.append(one)
        return good

    def _keep(self, staged: list[Staged]) -> list[ObjectFacts]:
        if not staged:
            return []
        try:
            # Once more: another request may have stored its twin since the bytes began to arrive.
            known = self.facts([one.address for one in staged])
            self._refuse_clashes(staged, known=known)
        except BaseException:
            self.store.drop(staged)
            raise
        # Also where the ledger says that they are there: the store looks, and replaces damaged bytes.
        fresh = {one.address: one for one in staged}
        try:
            self.store.drop([one for one in staged if fresh[one.address] is not one])
            self.store.keep(list(fresh.values()))
        except BaseException:
            self.store.drop(list(fresh.values()))
            raise
        rows = [_facts_of(one) for one in staged]
        new = [row for row in rows if row.address not in known or known[row.address].damaged_at]
        if new:
            with self._database.transaction() as connection:
                ledger.record(connection, self.dataset_id, new, now=self._clock())
        return rows

    def _refuse_clashes(self, staged: list[Staged], known: dict[Md5, ObjectFacts] | None = None) -> None:
        """Two contents with one MD5 exist in the wild; the second is refused, never taken for the first."""
        if known is None:
            known = self.facts([one.address for one in staged])
        seen = dict(known)
        for one in staged:
            held = seen.setdefault(one.address, _facts_of(one))
            if (held.sha256, held.size) != (one.digests.sha256, one.digests.size):
                raise ObjectClashError(f"other bytes with the MD5 {one.address} are stored already")

    def _legacy_addressed(self, staged: Staged, address: Md5) -> Staged:
        if staged.digests.md5 == address.removesuffix(".dir"):
            return Staged(staged.digests, address, staged.token)
        if staged.digests.size <= _MAX_LEGACY_TEXT and self._line_feed_md5(staged) == address:
            return Staged(staged.digests, address, staged.token)
        raise _mismatch(staged, address)

    def _line_feed_md5(self, staged: Staged) -> Md5:
        """Return the MD5 that DVC 2 gives a text file: of its bytes with CRLF read as LF."""
        with self.store.open_staged(staged) as stream:
            return digest(stream.read().replace(b"\r\n", b"\n")).md5


def _facts_of(staged: Staged) -> ObjectFacts:
    digests, address = staged.digests, staged.address
    is_legacy = address.removesuffix(".dir") != digests.md5
    return ObjectFacts(address, digests.size, digests.sha256, digests.crc32, is_legacy=is_legacy)


def _addressed(staged: Staged, address: Md5) -> Staged:
    if staged.digests.md5 != address.removesuffix(".dir"):
        raise _mismatch(staged, address)
    return Staged(staged.digests, address, staged.token)


def _mismatch(staged: Staged, address: Md5) -> DigestMismatchError:
    return DigestMismatchError(
        f"the bytes hash to {staged.digests.md5}, not to the announced {address}; nothing was stored"
    )


class Readable(Protocol):
    """Anything that gives its bytes piece by piece."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; nothing at the end."""
        ...


def chunks_of(stream: Readable, size: int = 1024 * 1024) -> Iterator[bytes]:
    """Yield a stream's bytes in pieces."""
    while chunk := stream.read(size):
        yield chunk
