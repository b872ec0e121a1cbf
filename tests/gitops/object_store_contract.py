"""What every object store must do: the definition of done for a provider.

Subclass ``ObjectStoreContract``, give it the fixtures ``store`` (empty) and ``damage`` (a function
that changes the stored bytes of an address behind the store's back).
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from gitops.errors import DigestMismatchError, ObjectClashError, ObjectNotFoundError
from gitops.model import Md5
from gitops.objects import CHUNK, ObjectStore, Staged, digest

# Marc Stevens' single-block MD5 collision (2012): two contents, one address.
_COLLIDING = (
    "4dc968ff0ee35c209572d4777b721587d36fa7b21bdc56b74a3dc0783e7b9518afbfa2{}a8284bf36e8e4b55b35f427593d849676da0d1"
    "{}55d8360fb5f07fea2"
)
COLLISION = (bytes.fromhex(_COLLIDING.format("00", "5")), bytes.fromhex(_COLLIDING.format("02", "d")))


def kept(store: ObjectStore, content: bytes) -> Md5:
    """Store bytes and return their address."""
    staged = store.receive([content], size=len(content))
    store.keep([staged])
    return staged.address


def stored(store: ObjectStore, address: Md5) -> bytes:
    with store.open(address) as stream:
        return stream.read()


class ObjectStoreContract:
    """The contract."""

    def test_collision_is_one(self) -> None:
        one, two = COLLISION
        assert one != two
        assert hashlib.md5(one).digest() == hashlib.md5(two).digest()

    @pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 3 * CHUNK + 7])
    def test_what_is_kept_reads_back(self, store: ObjectStore, size: int) -> None:
        content = os.urandom(size)
        chunks = [content[start : start + 100_000] for start in range(0, size, 100_000)]
        staged = store.receive(chunks, size=size)
        store.keep([staged])
        assert staged.digests == digest(content)
        assert staged.address == hashlib.md5(content).hexdigest()
        assert stored(store, staged.address) == content
        assert store.size(staged.address) == size

    def test_staged_bytes_are_not_served_before_they_are_kept(self, store: ObjectStore) -> None:
        staged = store.receive([b"x"])
        assert store.missing([staged.address]) == {staged.address}
        with pytest.raises(ObjectNotFoundError):
            store.open(staged.address)
        with store.open_staged(staged) as stream:
            assert stream.read() == b"x"

    def test_dropped_bytes_leave_nothing(self, store: ObjectStore) -> None:
        staged = store.receive([b"x"])
        store.drop([staged])
        store.drop([staged])
        assert list(store.addresses()) == []
        assert store.missing([staged.address]) == {staged.address}

    @pytest.mark.parametrize("said", [0, 2, 4, 10**12])
    def test_another_size_than_announced_is_refused(self, store: ObjectStore, said: int) -> None:
        with pytest.raises(DigestMismatchError):
            store.receive([b"a", b"bc"], size=said)
        assert list(store.addresses()) == []

    def test_too_many_bytes_are_refused_before_all_have_arrived(self, store: ObjectStore) -> None:
        taken = []

        def endless() -> Iterator[bytes]:
            while True:
                taken.append(1)
                yield b"x" * 100

        with pytest.raises(DigestMismatchError):
            store.receive(endless(), size=150)
        assert len(taken) == 2

    def test_a_source_that_breaks_off_leaves_nothing(self, store: ObjectStore) -> None:
        def broken() -> Iterator[bytes]:
            yield b"x"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.receive(broken())
        assert list(store.addresses()) == []

    @pytest.mark.parametrize("count", [1, 3, 20])
    def test_a_batch_is_kept_whole(self, store: ObjectStore, count: int) -> None:
        contents = [os.urandom(100) for _ in range(count)]
        staged = [store.receive([content]) for content in contents]
        store.keep(staged)
        assert [stored(store, one.address) for one in staged] == contents
        assert sorted(store.addresses()) == sorted(one.address for one in staged)

    def test_keeping_the_same_bytes_again_changes_nothing(self, store: ObjectStore) -> None:
        address = kept(store, b"x")
        assert kept(store, b"x") == address
        assert list(store.addresses()) == [address]

    def test_an_object_is_never_overwritten_by_other_bytes_of_the_same_md5(self, store: ObjectStore) -> None:
        """Invariant 2: no overwrite of an object, ever."""
        one, two = COLLISION
        address = kept(store, one)
        staged = store.receive([two])
        assert staged.address == address
        with pytest.raises(ObjectClashError):
            store.keep([staged])
        assert stored(store, address) == one

    @pytest.mark.parametrize("wrong", [b"", b"Xhe right bytes", b"the right bytes and more", b"the right"])
    def test_damaged_bytes_are_healed_by_the_right_ones(
        self, store: ObjectStore, damage: Callable[[Md5, bytes], None], wrong: bytes
    ) -> None:
        """Promise D5: damage is healed by uploading the right bytes."""
        address = kept(store, b"the right bytes")
        damage(address, wrong)
        assert stored(store, address) == wrong
        kept(store, b"the right bytes")
        assert stored(store, address) == b"the right bytes"

    def test_identical_writers_at_once_all_succeed(self, store: ObjectStore) -> None:
        content = os.urandom(100_000)
        errors: list[BaseException] = []
        start = threading.Barrier(8)

        def write() -> None:
            try:
                start.wait()
                for _ in range(5):
                    kept(store, content)
            except BaseException as error:
                errors.append(error)

        writers = [threading.Thread(target=write) for _ in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert errors == []
        assert stored(store, digest(content).md5) == content

    def test_a_range_is_read_from_its_start(self, store: ObjectStore) -> None:
        address = kept(store, b"0123456789")
        for start, rest in ((0, b"0123456789"), (4, b"456789"), (10, b""), (11, b"")):
            with store.open(address, start=start) as stream:
                assert stream.read() == rest

    def test_a_missing_object_is_said_to_be_missing(self, store: ObjectStore) -> None:
        absent, present = Md5("0" * 32), kept(store, b"x")
        assert store.missing([absent, present]) == {absent}
        assert store.missing([]) == set()
        for ask in (store.size, store.open):
            with pytest.raises(ObjectNotFoundError):
                ask(absent)

    def test_a_manifest_has_an_address_of_its_own(self, store: ObjectStore) -> None:
        staged = store.receive([b"[]"])
        manifest = Staged(staged.digests, Md5(staged.address + ".dir"), staged.token)
        store.keep([manifest])
        assert stored(store, manifest.address) == b"[]"
        assert store.missing([staged.address]) == {staged.address}
        assert list(store.addresses()) == [manifest.address]

    def test_a_deleted_object_is_gone_and_can_come_back(self, store: ObjectStore) -> None:
        address = kept(store, b"x")
        store.delete(address)
        store.delete(address)
        assert store.missing([address]) == {address}
        assert kept(store, b"x") == address
        assert stored(store, address) == b"x"

    def test_an_open_object_outlives_its_deletion(self, store: ObjectStore) -> None:
        address = kept(store, b"x" * 100_000)
        with store.open(address) as stream:
            store.delete(address)
            assert len(stream.read()) == 100_000

    def test_only_arrivals_that_stand_still_are_swept(self, store: ObjectStore) -> None:
        staged = store.receive([b"left behind"])
        address = kept(store, b"kept")
        now = datetime.now(UTC)
        assert store.sweep_staging(before=now - timedelta(days=1)) == 0
        assert store.sweep_staging(before=now + timedelta(days=1)) == 1
        store.drop([staged])
        assert stored(store, address) == b"kept"
