"""Caches: bounded by weight, atomic on disk, never wrong."""

import os
import threading
from pathlib import Path

from gitops.cache import ImmutableCache, MemoryCache


def test_the_least_recently_used_goes_first() -> None:
    cache: MemoryCache[str, str] = MemoryCache(max_weight=2)
    cache.keep("a", "A")
    cache.keep("b", "B")
    cache.find("a")
    cache.keep("c", "C")
    assert (cache.find("a"), cache.find("b"), cache.find("c")) == ("A", None, "C")


def test_weights_bound_what_is_held() -> None:
    cache: MemoryCache[int, str] = MemoryCache(max_weight=10, weigh=len)
    for number in range(5):
        cache.keep(number, "xxxx")
    assert [number for number in range(5) if cache.find(number)] == [3, 4]


def test_a_value_heavier_than_the_cache_is_not_kept_and_drops_nothing() -> None:
    cache: MemoryCache[str, str] = MemoryCache(max_weight=3, weigh=len)
    cache.keep("a", "xxx")
    cache.keep("b", "xxxx")
    assert (cache.find("a"), cache.find("b")) == ("xxx", None)


def test_replacing_a_value_gives_its_weight_back() -> None:
    cache: MemoryCache[str, str] = MemoryCache(max_weight=4, weigh=len)
    for _ in range(10):
        cache.keep("a", "xx")
    cache.keep("b", "xx")
    assert (cache.find("a"), cache.find("b")) == ("xx", "xx")


def test_a_value_is_made_once_while_it_is_known() -> None:
    cache: MemoryCache[str, int] = MemoryCache(max_weight=4)
    made = []
    for _ in range(3):
        cache.get_or_make("a", lambda: made.append(1) or 7)
    assert made == [1]


def test_the_disk_cache_answers_what_it_was_given(tmp_path: Path) -> None:
    cache = ImmutableCache(tmp_path, max_bytes=100)
    assert cache.find("kind-v1", "abcdef") is None
    assert cache.get_or_make("kind-v1", "abcdef", lambda: b"x") == b"x"
    assert ImmutableCache(tmp_path, max_bytes=100).find("kind-v1", "abcdef") == b"x"
    assert cache.find("kind-v2", "abcdef") is None


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    cache = ImmutableCache(tmp_path, max_bytes=10**9)
    content = os.urandom(1 << 20)
    seen: set[bytes | None] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(cache.find("k", "ab"))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        cache.keep("k", "ab", content)
    done.set()
    reader.join()
    assert seen <= {None, content}
    assert [path.name for path in (tmp_path / "k" / "ab").iterdir()] == ["ab"]


def test_a_cache_that_cannot_be_written_stays_empty(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.write_bytes(b"")
    cache = ImmutableCache(root / "below", max_bytes=1)
    cache.keep("k", "ab", b"x")
    assert root.read_bytes() == b""


def test_trim_removes_the_least_recently_read(tmp_path: Path) -> None:
    cache = ImmutableCache(tmp_path, max_bytes=25)
    for number in range(4):
        address = f"{number}{number}"
        cache.keep("k", address, b"x" * 10)
        os.utime(tmp_path / "k" / address / address, (1000 + number, 1000))
    assert cache.trim() == 20
    assert [cache.find("k", f"{n}{n}") is not None for n in range(4)] == [False, False, True, True]
