"""Uploads: resumable, checked, one version at the end; and the pool that takes the bytes."""

import time
import tracemalloc

import pytest

from app.access import AccessLevel, Action
from app.errors import BadRequestError, GoneError, MissingError, TakenError
from app.versions.models import DeclaredFile
from app.versions.service import BytesMissingError
from gitops.errors import (
    DigestMismatchError,
    EditConflictError,
    InvalidPathError,
    ObjectClashError,
    RefNotFoundError,
)
from gitops.model import Md5, RepoPath
from tests.steps import contents, declared, delete, fsck, make_dataset, md5, put, race, sha256, titles

# Two contents with one MD5: Wang and Yu, "How to Break MD5 and Other Hash Functions", Eurocrypt 2005.
TWIN = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
OTHER_TWIN = bytes.fromhex(
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)
FILES = {"a.bin": b"aaa", "d/b.bin": b"bbbb", "notes.md": b"text"}


@pytest.fixture
def cells(services, alice):
    return make_dataset(services, alice[0]).id


@pytest.fixture
def upload(services, alice, cells):
    return services.uploads.open(alice[0], cells)


def _declare(services, alice, upload, files):
    transfers = services.uploads.declare(alice[0], upload.dataset_id, upload.id, declared(files))
    return {transfer.file.path: transfer.is_present for transfer in transfers}


def _send(services, alice, upload, content, address=None):
    return services.uploads.receive(
        alice[0], upload.dataset_id, upload.id, address or md5(content), [content]
    )


def _commit(services, alice, upload, **options):
    options.setdefault("message", "Upload")
    return services.uploads.commit(alice[0], upload.dataset_id, upload.id, **options)


def test_an_upload_becomes_one_version(services, alice, cells, upload):
    assert _declare(services, alice, upload, FILES) == dict.fromkeys(FILES, False)
    for content in FILES.values():
        assert _send(services, alice, upload, content)
    written, files, size = _commit(services, alice, upload)
    assert (files, size, written.is_unchanged) == (3, 11, False)
    assert {path: contents(services, alice[0], cells)[path] for path in FILES} == FILES
    assert titles(services, alice[0], cells) == ["Upload", "Create dataset"]


def test_an_upload_resumes_where_it_broke(services, alice, upload):
    _declare(services, alice, upload, FILES)
    _send(services, alice, upload, b"aaa")
    progress = services.uploads.progress(alice[0], upload.dataset_id, upload.id)
    assert (progress.files, progress.size, progress.missing_count) == (3, 11, 2)
    assert {file.path for file in progress.missing} == {"d/b.bin", "notes.md"}
    assert _declare(services, alice, upload, FILES) == {"a.bin": True, "d/b.bin": False, "notes.md": False}


def test_content_that_the_dataset_has_is_never_needed_and_that_of_others_always(
    services, alice, cells, upload
):
    """S1: "already present" is answered only for this dataset's own objects."""
    other = make_dataset(services, alice[0], "Other").id
    put(services, alice[0], other, {"x.bin": b"bbbb"})
    put(services, alice[0], cells, {"x.bin": b"aaa"})
    assert _declare(services, alice, upload, FILES) == {"a.bin": True, "d/b.bin": False, "notes.md": False}


@pytest.mark.parametrize("sent", [b"aab", b"aa", b"aaaa", b""])
def test_wrong_bytes_are_refused_and_leave_nothing(services, config, alice, cells, upload, sent):
    """D5: every byte is checked on the way in."""
    _declare(services, alice, upload, FILES)
    with pytest.raises(DigestMismatchError):
        _send(services, alice, upload, sent, md5(b"aaa"))
    assert services.datasets.overview(alice[0], cells).stored_objects == 0
    assert not [path for path in (config.home / "objects" / str(cells)).rglob("*") if path.is_file()]


def test_wrong_bytes_are_refused_even_where_the_right_ones_are_stored(services, alice, cells, upload):
    put(services, alice[0], cells, {"x.bin": b"aaa"})
    _declare(services, alice, upload, FILES)
    with pytest.raises(DigestMismatchError):
        _send(services, alice, upload, b"aab", md5(b"aaa"))
    assert _send(services, alice, upload, b"aaa") is False


def test_a_wrongly_declared_size_is_found_when_the_bytes_come(services, alice, cells, upload):
    services.uploads.declare(alice[0], cells, upload.id, [DeclaredFile(RepoPath("a"), md5(b"aaa"), 4)])
    with pytest.raises(DigestMismatchError):
        _send(services, alice, upload, b"aaa")


def test_what_was_not_declared_is_not_taken(services, alice, cells, upload):
    _declare(services, alice, upload, {"a.bin": b"aaa"})
    with pytest.raises(MissingError):
        _send(services, alice, upload, b"zzz")
    parts = [(md5(b"zzz"), [b"zzz"]), (md5(b"aaa"), [b"aaa"]), (Md5("../../x"), [b"x"])]
    received = services.uploads.receive_many(alice[0], cells, upload.id, parts)
    assert [facts.address for facts in received.stored] == [md5(b"aaa")]
    assert [address for address, _ in received.refused] == [md5(b"zzz"), "../../x"]


def test_a_batch_with_one_wrong_part_keeps_the_others(services, alice, cells, upload):
    _declare(services, alice, upload, FILES)
    parts = [(md5(content), [content]) for content in FILES.values()]
    parts.insert(1, (md5(b"aaa"), [b"wrong"]))
    received = services.uploads.receive_many(alice[0], cells, upload.id, parts)
    assert {facts.address for facts in received.stored} == {md5(content) for content in FILES.values()}
    assert [address for address, _ in received.refused] == [md5(b"aaa")]
    assert _commit(services, alice, upload)[1] == 3


def test_a_commit_names_the_paths_whose_bytes_are_missing(services, alice, cells, upload):
    """D2, invariant 2: no pointer without its bytes."""
    _declare(services, alice, upload, FILES)
    _send(services, alice, upload, b"aaa")
    with pytest.raises(BytesMissingError) as refused:
        _commit(services, alice, upload)
    assert set(refused.value.paths) == {"d/b.bin", "notes.md"}
    assert titles(services, alice[0], cells) == ["Create dataset"]
    for content in (b"bbbb", b"text"):
        _send(services, alice, upload, content)
    assert _commit(services, alice, upload)[1] == 3


def test_the_sha256_that_was_declared_must_be_right(services, alice, cells, upload):
    """Same MD5, other bytes exists: SHA-256 is compared too."""
    wrong = DeclaredFile(RepoPath("a"), md5(b"aaa"), 3, sha256(b"bbb"))
    services.uploads.declare(alice[0], cells, upload.id, [wrong])
    _send(services, alice, upload, b"aaa")
    with pytest.raises(BytesMissingError):
        _commit(services, alice, upload)
    with pytest.raises(ObjectClashError):
        services.uploads.declare(alice[0], cells, upload.id, [wrong])


def test_a_second_content_with_the_same_md5_is_a_clash_at_every_door(services, alice, cells, upload):
    """Invariant 2: no overwrite of an object, ever."""
    assert md5(TWIN) == md5(OTHER_TWIN)
    assert TWIN != OTHER_TWIN
    put(services, alice[0], cells, {"one.bin": TWIN})
    twin = DeclaredFile(RepoPath("two.bin"), md5(OTHER_TWIN), len(OTHER_TWIN), sha256(OTHER_TWIN))
    with pytest.raises(ObjectClashError):
        services.uploads.declare(alice[0], cells, upload.id, [twin])
    with pytest.raises(ObjectClashError):
        put(services, alice[0], cells, {"two.bin": OTHER_TWIN})
    _declare(services, alice, upload, {"two.bin": OTHER_TWIN})
    with pytest.raises(ObjectClashError):
        _send(services, alice, upload, OTHER_TWIN)
    received = services.uploads.receive_many(alice[0], cells, upload.id, [(md5(TWIN), [OTHER_TWIN])])
    assert len(received.refused) == 1
    assert contents(services, alice[0], cells)["one.bin"] == TWIN


def test_of_two_racing_contents_with_one_md5_one_wins_and_stays(services, alice, cells):
    pool = services.datasets.open(alice[0], cells, Action.WRITE).pool
    won, lost = race(16, lambda n: pool.receive([(TWIN, OTHER_TWIN)[n % 2]]))
    assert len(won) == 8
    assert len({facts.sha256 for facts in won}) == 1
    assert {type(error) for error in lost} == {ObjectClashError}
    with pool.open(md5(TWIN)) as stream:
        assert sha256(stream.read()) == won[0].sha256
    assert pool.facts([md5(TWIN)])[md5(TWIN)].sha256 == won[0].sha256


def test_two_contents_with_one_md5_in_one_batch_are_a_clash_too(services, alice, cells, upload):
    pool = services.datasets.open(alice[0], cells, Action.WRITE).pool
    with pytest.raises(ObjectClashError):
        pool.receive_all([[TWIN], [OTHER_TWIN]])
    assert pool.facts([md5(TWIN)]) == {}
    received = pool.receive_many([(md5(TWIN), [TWIN]), (md5(TWIN), [OTHER_TWIN]), (md5(TWIN), [TWIN])])
    assert ([facts.sha256 for facts in received.stored], len(received.refused)) == ([sha256(TWIN)] * 2, 1)


def test_repeating_a_commit_gives_the_same_answer(services, alice, cells, upload):
    _declare(services, alice, upload, {"a.bin": b"aaa"})
    _send(services, alice, upload, b"aaa")
    first = _commit(services, alice, upload)
    put(services, alice[0], cells, {"later.bin": b"x"})
    assert _commit(services, alice, upload, message="Again") == first
    progress = services.uploads.progress(alice[0], cells, upload.id)
    assert (progress.files, progress.size, progress.missing_count) == (1, 3, 0)


def test_an_upload_of_what_is_there_already_makes_no_version(services, alice, cells, upload):
    head = put(services, alice[0], cells, {"a.bin": b"aaa"})
    _declare(services, alice, upload, {"a.bin": b"aaa"})
    first = _commit(services, alice, upload)
    assert (first[0].commit, first[0].is_unchanged) == (head, True)
    assert _commit(services, alice, upload) == first


def test_racing_commits_of_one_upload_make_one_version(services, alice, cells, upload):
    _declare(services, alice, upload, {"a.bin": b"aaa"})
    _send(services, alice, upload, b"aaa")
    won, lost = race(8, lambda _: _commit(services, alice, upload)[0].commit)
    assert not lost
    assert len(set(won)) == 1
    assert len(titles(services, alice[0], cells)) == 2


def test_a_crash_between_commit_and_database_is_healed_by_repeating(
    services, alice, cells, upload, monkeypatch
):
    """Invariant 1: objects, then commit, then database; every step may be repeated."""
    from app.versions import store

    _declare(services, alice, upload, {"a.bin": b"aaa"})
    _send(services, alice, upload, b"aaa")
    with monkeypatch.context() as patch:
        patch.setattr(store, "finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            _commit(services, alice, upload)
    assert contents(services, alice[0], cells)["a.bin"] == b"aaa"
    _commit(services, alice, upload)
    assert len(titles(services, alice[0], cells)) == 2


@pytest.mark.parametrize("step", ["objects kept", "ledger", "commit"])
def test_a_crash_between_any_two_effects_leaves_no_dangling_pointer(
    services, alice, cells, upload, monkeypatch, step
):
    """D1, D2, invariant 1: a crash leaves garbage, never a dangling reference, and a retry succeeds."""
    import app.datasets.pool as pool_module
    from gitops.datarepo import DataRepo
    from gitops.local_store import LocalStore

    _declare(services, alice, upload, {"a.bin": b"aaa"})
    targets = {
        "objects kept": (LocalStore, "keep"),
        "ledger": (pool_module.ledger, "record"),
        "commit": (DataRepo, "commit"),
    }

    def crash(*_args, **_kwargs):
        raise RuntimeError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(*targets[step], crash)
        with pytest.raises(RuntimeError):
            _send(services, alice, upload, b"aaa")
            _commit(services, alice, upload)
    assert "a.bin" not in contents(services, alice[0], cells)
    assert fsck(services, cells) == ""
    _send(services, alice, upload, b"aaa")
    _commit(services, alice, upload)
    assert contents(services, alice[0], cells)["a.bin"] == b"aaa"


def test_an_upload_expires_after_days_without_traffic_and_traffic_prolongs_it(
    services, clock, alice, cells, upload
):
    clock.advance(days=5)
    _declare(services, alice, upload, FILES)
    clock.advance(days=5)
    _send(services, alice, upload, b"aaa")
    clock.advance(days=8)
    for act in (
        lambda: _declare(services, alice, upload, FILES),
        lambda: _commit(services, alice, upload),
        lambda: services.uploads.progress(alice[0], cells, upload.id),
    ):
        with pytest.raises(GoneError):
            act()
    assert services.uploads.expire() == 1
    with pytest.raises(MissingError):
        services.uploads.progress(alice[0], cells, upload.id)


def test_an_abandoned_upload_takes_nothing_more(services, alice, cells, upload):
    _declare(services, alice, upload, FILES)
    services.uploads.abandon(alice[0], cells, upload.id)
    with pytest.raises(GoneError):
        _send(services, alice, upload, b"aaa")
    with pytest.raises(GoneError):
        _commit(services, alice, upload)


def test_an_upload_is_its_owners_alone(services, alice, bob, admin, cells, upload):
    services.memberships.set_member(alice[0], cells, "bob", AccessLevel.OWNER)
    for actor, act in ((bob, "progress"), (bob, "commit"), (bob, "abandon")):
        with pytest.raises(MissingError):
            options = {"message": "x"} if act == "commit" else {}
            getattr(services.uploads, act)(actor[0], cells, upload.id, **options)
    other = make_dataset(services, alice[0], "Other").id
    with pytest.raises(MissingError):
        services.uploads.progress(alice[0], other, upload.id)
    assert services.uploads.progress(admin[0], cells, upload.id)


@pytest.mark.parametrize("upload_id", ["", "x", "0" * 32, "a\0b", "'" * 32, "9" * 5000])
def test_an_upload_that_never_was_is_missing(services, alice, cells, upload_id):
    with pytest.raises(MissingError):
        services.uploads.progress(alice[0], cells, upload_id)


def test_an_upload_lands_on_a_branch_that_moved(services, alice, cells, upload):
    """D3: disjoint paths land, the same path is refused by name."""
    _declare(services, alice, upload, {"a.bin": b"aaa"})
    _send(services, alice, upload, b"aaa")
    put(services, alice[0], cells, {"b.bin": b"b"})
    _commit(services, alice, upload)
    second = services.uploads.open(alice[0], cells)
    _declare(services, alice, second, {"a.bin": b"b"})
    put(services, alice[0], cells, {"a.bin": b"else"})
    with pytest.raises(EditConflictError) as refused:
        _commit(services, alice, second)
    assert refused.value.paths == ("a.bin",)
    delete(services, alice[0], cells, "a.bin")
    assert contents(services, alice[0], cells).keys() == {"README.md", "b.bin"}


def test_an_upload_into_no_branch_or_no_site_is_refused(services, alice, cells):
    with pytest.raises(RefNotFoundError):
        services.uploads.open(alice[0], cells, branch="absent")
    unbound = make_dataset(services, alice[0], "Unbound", storage_site=None).id
    with pytest.raises(TakenError):
        services.uploads.open(alice[0], unbound)


@pytest.mark.parametrize("path", [".dvc/config", "a.dvc", ""])
def test_a_reserved_path_is_not_declared(services, alice, cells, upload, path):
    with pytest.raises(InvalidPathError):
        services.uploads.declare(alice[0], cells, upload.id, [DeclaredFile(RepoPath(path), md5(b"aaa"), 3)])


def test_an_upload_of_nothing_is_no_version(services, alice, upload):
    with pytest.raises(BadRequestError):
        _commit(services, alice, upload)


def test_a_path_declared_again_takes_the_newer_content(services, alice, cells, upload):
    _declare(services, alice, upload, {"a.bin": b"old"})
    _declare(services, alice, upload, {"a.bin": b"new"})
    _send(services, alice, upload, b"new")
    assert _commit(services, alice, upload)[1] == 1
    assert contents(services, alice[0], cells)["a.bin"] == b"new"


def test_ten_thousand_files_are_one_commit_in_seconds_and_little_memory(services, alice, cells, upload):
    pool = services.datasets.open(alice[0], cells, Action.WRITE).pool
    bodies = [b"%d" % number for number in range(100)]
    pool.receive_all([body] for body in bodies)
    names = [(f"d{number % 100:02d}/f{number:05d}.bin", bodies[number % 100]) for number in range(10_000)]
    for start in range(0, 10_000, 1000):
        _declare(services, alice, upload, dict(names[start : start + 1000]))
    tracemalloc.start()
    began = time.monotonic()
    written, files, _ = _commit(services, alice, upload)
    elapsed = time.monotonic() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (files, written.is_unchanged) == (10_000, False)
    assert services.datasets.overview(alice[0], cells).totals.files == 10_001
    assert elapsed < 20, elapsed
    assert peak < 80_000_000, peak


# Damage


def test_damaged_bytes_are_not_served_and_healed_by_uploading_the_right_ones(services, alice, cells, upload):
    """D5: damage is served as 410, not as wrong bytes, and healed by uploading the right bytes."""
    from app.datasets import ledger

    put(services, alice[0], cells, {"a.bin": b"aaa"})
    pool = services.datasets.open(alice[0], cells, Action.WRITE).pool
    path = pool.store.local_path(md5(b"aaa"))
    path.chmod(0o644)
    path.write_bytes(b"aab")
    with services.database.transaction() as connection:
        ledger.mark_damaged(connection, cells, md5(b"aaa"), now=services.clock())
    with pytest.raises(GoneError):
        pool.open(md5(b"aaa"))
    with pytest.raises(BytesMissingError):
        _declare(services, alice, upload, {"b.bin": b"aaa"})
        _commit(services, alice, upload)
    assert _send(services, alice, upload, b"aaa") is True
    with pool.open(md5(b"aaa")) as stream:
        assert stream.read() == b"aaa"
    _commit(services, alice, upload)


def test_right_bytes_heal_damage_that_nobody_had_noticed(services, alice, cells):
    """An answer that bytes are stored is true of what lies in the store, not of the ledger alone."""
    put(services, alice[0], cells, {"a.bin": b"\0right"})
    pool = services.datasets.open(alice[0], cells, Action.WRITE).pool
    damaged = pool.store.local_path(md5(b"\0right"))
    damaged.chmod(0o644)
    damaged.write_bytes(b"\0wrong")

    put(services, alice[0], cells, {"b.bin": b"\0right"})

    assert damaged.read_bytes() == b"\0right"
