"""Writing: each change is one commit, nobody's change is lost, nothing points at missing bytes."""

import os
from pathlib import Path

import pytest

from app.access import AccessLevel, Action
from app.errors import BadRequestError, PreconditionError, TakenError
from app.versions.models import ActionKind, FileAction
from app.versions.service import BytesMissingError, Condition, FormUpload, Incoming
from gitops import layout
from gitops.errors import EditConflictError, InvalidPathError, PathClashError, PathNotFoundError
from gitops.model import RepoPath, parse_path
from tests.steps import (
    commit_behind,
    contents,
    dangling,
    delete,
    fsck,
    make_dataset,
    md5,
    put,
    race,
    repo_of,
    sha256,
    titles,
)

CARD = {"README.md": b"# Cells\n"}


@pytest.fixture
def cells(services, alice):
    return make_dataset(services, alice[0]).id


def _kind(services, dataset, path):
    return repo_of(services, dataset).at().entry(parse_path(path)).kind.value


def _act(kind, path, **options):
    previous = options.pop("previous", None)
    return FileAction(
        ActionKind(kind), RepoPath(path), previous=None if previous is None else RepoPath(previous), **options
    )


def _commit(services, alice, dataset, *actions, **options):
    return services.versions.commit_actions(
        alice[0], dataset, actions, branch=None, message="Several", **options
    )


# One commit each


def test_each_change_is_exactly_one_commit_by_its_author(services, alice, bob, cells):
    services.memberships.set_member(alice[0], cells, "bob", AccessLevel.DEVELOPER)
    put(services, bob[0], cells, {"a.bin": b"a"})
    put(services, bob[0], cells, {"a.bin": b"b"}, message="Mend a")
    delete(services, bob[0], cells, "a.bin")
    _, _, versions = services.history.log(alice[0], cells)
    log = [(found.commit.title, found.commit.author.name) for found in versions]
    assert log == [
        ("Delete a.bin", "bob"),
        ("Mend a", "bob"),
        ("Add a.bin", "bob"),
        ("Create dataset", "alice"),
    ]


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("notes.md", b"text", "text"),
        ("deep/README", b"text", "text"),
        ("LICENSE", b"", "text"),
        ("CITATION.cff", b"x: y", "text"),
        ("a.yaml", b"\xff\xfe", "data"),
        ("a.yml", b"a\0b", "data"),
        ("big.md", b"x" * (layout.MAX_TEXT_BYTES + 1), "data"),
        ("edge.md", b"x" * layout.MAX_TEXT_BYTES, "text"),
        ("a.txt", b"text", "data"),
        ("a.csv", b"", "data"),
    ],
)
def test_small_text_goes_into_git_and_all_else_behind_a_pointer(services, alice, cells, path, content, kind):
    put(services, alice[0], cells, {path: content})
    assert _kind(services, cells, path) == kind
    assert contents(services, alice[0], cells)[path] == content


def test_a_file_may_turn_from_text_to_data_and_back(services, alice, cells):
    for content, kind in ((b"text", "text"), (b"a\0b", "data"), (b"text", "text")):
        put(services, alice[0], cells, {"a.md": content})
        assert _kind(services, cells, "a.md") == kind
        assert contents(services, alice[0], cells) == CARD | {"a.md": content}


def test_identical_content_makes_no_version(services, alice, cells):
    first = put(services, alice[0], cells, {"a.bin": b"a", "b.md": b"b"})
    written, stored = services.versions.put_files(
        alice[0], cells, [Incoming(RepoPath("a.bin"), [b"a"]), Incoming(RepoPath("b.md"), [b"b"])]
    )
    assert (written.commit, written.is_unchanged, written.created) == (first, True, ())
    assert stored[0][1].sha256 == sha256(b"a")


def test_text_needs_no_site_and_data_does(services, alice):
    unbound = make_dataset(services, alice[0], "Unbound", storage_site=None).id
    put(services, alice[0], unbound, {"README.md": b"text"})
    with pytest.raises(TakenError) as refused:
        put(services, alice[0], unbound, {"a.bin": b"a"})
    assert refused.value.error_code == "storage_site_unbound"


def test_all_files_of_a_request_land_or_none(services, alice, cells):
    before = contents(services, alice[0], cells)

    def broken():
        yield b"half"
        raise RuntimeError("gone")

    files = [Incoming(RepoPath("a.bin"), [b"a"]), Incoming(RepoPath("b.bin"), broken())]
    with pytest.raises(RuntimeError):
        services.versions.put_files(alice[0], cells, files)
    assert contents(services, alice[0], cells) == before
    assert len(titles(services, alice[0], cells)) == 1


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".dvc/config",
        ".DVC/config",
        ".cairn/dataset.yaml",
        ".Cairn/x",
        "a.dvc",
        "a.DVC",
        "a.dvc/b",
        ".gitignore",
        "deep/.gitattributes",
        ".gitmodules/x",
        "deep/.GITIGNORE/x",
        "dvc.lock",
        "x/dvc.yaml",
        ".dvcignore",
    ],
)
def test_reserved_names_are_not_writable(services, alice, cells, path):
    """Invariant 3: what says where bytes lie is out of reach of every change."""
    changes = [
        lambda: put(services, alice[0], cells, {path: b"x"}),
        lambda: services.versions.delete(alice[0], cells, RepoPath(path), is_recursive=True),
        lambda: _commit(services, alice, cells, _act("create", path, content=b"x")),
        lambda: _commit(services, alice, cells, _act("move", "x", previous=path)),
    ]
    for change in changes:
        with pytest.raises(InvalidPathError):
            change()


@pytest.mark.parametrize(
    ("first", "second"), [("a/b", "a"), ("a", "a/b"), ("A.bin", "a.bin"), ("A/x", "a/y")]
)
def test_paths_that_cannot_stand_side_by_side_are_refused(services, alice, cells, first, second):
    put(services, alice[0], cells, {first: b"1"})
    with pytest.raises(PathClashError):
        put(services, alice[0], cells, {second: b"2"})


# Conditions


def _holds(expected):
    return Condition(holds=lambda now: now == expected)


def test_a_condition_is_judged_against_what_the_path_holds(services, alice, cells):
    put(services, alice[0], cells, {"a.bin": b"1"}, condition=_holds(None))
    with pytest.raises(PreconditionError):
        put(services, alice[0], cells, {"a.bin": b"2"}, condition=_holds(None))
    put(services, alice[0], cells, {"a.bin": b"2"}, condition=_holds(md5(b"1")))
    with pytest.raises(PreconditionError):
        delete(services, alice[0], cells, "a.bin", condition=_holds(md5(b"1")))
    delete(services, alice[0], cells, "a.bin", condition=_holds(md5(b"2")))


def test_parent_commit_must_be_the_head(services, alice, cells):
    first = put(services, alice[0], cells, {"a.bin": b"1"})
    put(services, alice[0], cells, {"b.bin": b"1"}, condition=Condition(parent=first))
    with pytest.raises(PreconditionError) as refused:
        put(services, alice[0], cells, {"c.bin": b"1"}, condition=Condition(parent=first))
    assert refused.value.error_code == "parent_moved"
    with pytest.raises(PreconditionError):
        _commit(services, alice, cells, _act("create", "c.bin", content=b"1"), parent=first)


def _while_sending(act):
    """Return a body that lets something else happen before its end."""

    def chunks():
        yield b"slow"
        act()

    return chunks()


def test_a_race_lost_under_a_condition_is_told_as_such(services, alice, cells):
    """D3: the same path: exactly one wins per precondition."""
    slow = _while_sending(lambda: put(services, alice[0], cells, {"a.bin": b"fast"}))
    with pytest.raises(PreconditionError):
        services.versions.put_files(
            alice[0], cells, [Incoming(RepoPath("a.bin"), slow)], condition=_holds(None)
        )
    assert contents(services, alice[0], cells)["a.bin"] == b"fast"


def test_create_only_fails_even_where_the_other_wrote_the_very_same(services, alice, cells):
    slow = _while_sending(lambda: put(services, alice[0], cells, {"a.bin": b"slow"}))
    with pytest.raises(PreconditionError):
        services.versions.put_files(
            alice[0], cells, [Incoming(RepoPath("a.bin"), slow)], condition=_holds(None)
        )


def test_a_race_on_a_path_without_condition_names_the_path(services, alice, cells):
    """D3: the others are told which path."""
    slow = _while_sending(lambda: put(services, alice[0], cells, {"a.bin": b"fast", "b.bin": b"b"}))
    with pytest.raises(EditConflictError) as lost:
        services.versions.put_files(alice[0], cells, [Incoming(RepoPath("a.bin"), slow)])
    assert lost.value.paths == ("a.bin",)
    assert contents(services, alice[0], cells)["a.bin"] == b"fast"


def test_a_slow_upload_lands_beside_what_others_did_meanwhile(services, alice, cells):
    slow = _while_sending(lambda: put(services, alice[0], cells, {"b.bin": b"fast"}))
    services.versions.put_files(alice[0], cells, [Incoming(RepoPath("a.bin"), slow)])
    assert contents(services, alice[0], cells) == CARD | {"a.bin": b"slow", "b.bin": b"fast"}


def test_parent_commit_refuses_what_landed_while_the_bytes_came(services, alice, cells):
    head = repo_of(services, cells).head("main")
    slow = _while_sending(lambda: put(services, alice[0], cells, {"b.bin": b"fast"}))
    with pytest.raises(PreconditionError):
        services.versions.put_files(
            alice[0], cells, [Incoming(RepoPath("a.bin"), slow)], condition=Condition(parent=head)
        )


# Concurrency


def test_writers_of_disjoint_paths_all_land(services, alice, cells):
    """D3: concurrent writers lose nothing: disjoint paths all land."""

    def write(number):
        for turn in range(3):
            put(services, alice[0], cells, {f"w{number}/f{turn}.bin": f"{number}-{turn}".encode()})

    _, errors = race(32, write)
    assert not errors
    found = contents(services, alice[0], cells)
    assert len(found) == 1 + 32 * 3
    assert found["w31/f2.bin"] == b"31-2"
    assert len(titles(services, alice[0], cells)) == 1 + 32 * 3
    assert fsck(services, cells) == ""
    assert dangling(services, alice[0], cells) == []


def test_of_writers_of_one_new_path_exactly_one_wins(services, alice, cells):
    """D3: the same path: exactly one wins, the others are told which path."""
    won, lost = race(
        16, lambda n: put(services, alice[0], cells, {"a.bin": b"%d" % n}, condition=_holds(None))
    )
    assert len(won) == 1
    assert {type(error) for error in lost} == {PreconditionError}
    assert len(titles(services, alice[0], cells)) == 2


def test_writers_of_one_object_at_different_paths_all_land(services, alice, cells):
    """Pool: two threads keep the same object at once."""
    _, errors = race(16, lambda n: put(services, alice[0], cells, {f"{n}.bin": b"same" * 1000}))
    assert not errors
    assert services.datasets.overview(alice[0], cells).stored_objects == 1
    assert len(contents(services, alice[0], cells)) == 17


# Deleting


def test_deleting_a_folder_needs_to_be_said(services, alice, cells):
    put(services, alice[0], cells, {"d/a.bin": b"a", "d/e/b.bin": b"b", "d.bin": b"c"})
    with pytest.raises(BadRequestError) as refused:
        delete(services, alice[0], cells, "d")
    assert refused.value.error_code == "is_folder"
    delete(services, alice[0], cells, "d", is_recursive=True)
    assert contents(services, alice[0], cells) == CARD | {"d.bin": b"c"}


def test_deleting_nothing_is_not_found(services, alice, cells):
    with pytest.raises(PathNotFoundError):
        delete(services, alice[0], cells, "absent")


def test_the_last_file_of_a_folder_takes_the_folder_along(services, alice, cells):
    put(services, alice[0], cells, {"d/e/a.bin": b"a"})
    delete(services, alice[0], cells, "d/e/a.bin")
    with pytest.raises(PathNotFoundError):
        repo_of(services, cells).at().entry("d")


def test_a_folder_of_nothing_but_reserved_files_can_be_deleted(services, alice, cells):
    commit_behind(services, cells, {"d/.gitignore": b"/x\n"})
    delete(services, alice[0], cells, "d", is_recursive=True)
    with pytest.raises(PathNotFoundError):
        repo_of(services, cells).at().entry("d")


def test_a_file_of_a_folder_that_dvc_tracks_as_one_is_not_changed_alone(services, alice, cells):
    manifest = b'[{"md5": "%s", "relpath": "x.bin"}]' % md5(b"x").encode()
    pool = services.datasets.open(alice[0], cells, Action.WRITE).pool
    pool.receive([b"x"])
    pool.receive([manifest], address=md5(manifest) + ".dir")
    pointer = f"outs:\n- md5: {md5(manifest)}.dir\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: d\n"
    commit_behind(services, cells, {"d.dvc": pointer.encode()})
    assert contents(services, alice[0], cells)["d/x.bin"] == b"x"
    changes = [
        lambda: delete(services, alice[0], cells, "d/x.bin"),
        lambda: put(services, alice[0], cells, {"d/x.bin": b"y"}),
        lambda: put(services, alice[0], cells, {"d/y.bin": b"y"}),
        lambda: _commit(services, alice, cells, _act("move", "z", previous="d/x.bin")),
    ]
    for change in changes:
        with pytest.raises(PathClashError):
            change()
    delete(services, alice[0], cells, "d", is_recursive=True)
    assert contents(services, alice[0], cells) == CARD


# Actions


def test_actions_of_every_kind_are_one_commit(services, alice, cells):
    put(services, alice[0], cells, {"old.bin": b"old", "gone.bin": b"gone", "d/x.bin": b"x"})
    _commit(
        services,
        alice,
        cells,
        _act("create", "new.bin", content=b"new"),
        _act("update", "old.bin", content=b"newer"),
        _act("delete", "gone.bin"),
        _act("move", "e", previous="d"),
        _act("create", "copy.bin", md5=md5(b"x"), size=1),
    )
    assert contents(services, alice[0], cells) == CARD | {
        "new.bin": b"new",
        "old.bin": b"newer",
        "e/x.bin": b"x",
        "copy.bin": b"x",
    }
    assert titles(services, alice[0], cells)[0] == "Several"
    assert len(titles(services, alice[0], cells)) == 3


CHAINS = {
    "create, update": (
        [_act("create", "n", content=b"1"), _act("update", "n", content=b"2")],
        {"a": b"A", "b": b"B", "d/x": b"X", "n": b"2"},
    ),
    "delete, create": (
        [_act("delete", "a"), _act("create", "a", content=b"2")],
        {"a": b"2", "b": b"B", "d/x": b"X"},
    ),
    "create, delete, and something": (
        [_act("create", "n", content=b"1"), _act("delete", "n"), _act("delete", "a")],
        {"b": b"B", "d/x": b"X"},
    ),
    "move, update": (
        [_act("move", "n", previous="a"), _act("update", "n", content=b"2")],
        {"n": b"2", "b": b"B", "d/x": b"X"},
    ),
    "move, move on": (
        [_act("move", "n", previous="a"), _act("move", "m", previous="n")],
        {"m": b"A", "b": b"B", "d/x": b"X"},
    ),
    "create, move": (
        [_act("create", "n", content=b"1"), _act("move", "m", previous="n")],
        {"a": b"A", "m": b"1", "b": b"B", "d/x": b"X"},
    ),
    "move with content": (
        [_act("move", "n", previous="a", content=b"2")],
        {"n": b"2", "b": b"B", "d/x": b"X"},
    ),
    "swap": (
        [_act("move", "t", previous="a"), _act("move", "a", previous="b"), _act("move", "b", previous="t")],
        {"a": b"B", "b": b"A", "d/x": b"X"},
    ),
    "replace a folder by a file": (
        [_act("delete", "d"), _act("create", "d", content=b"2")],
        {"a": b"A", "b": b"B", "d": b"2"},
    ),
    "replace a file by a folder": (
        [_act("delete", "a"), _act("create", "a/y", content=b"2")],
        {"a/y": b"2", "b": b"B", "d/x": b"X"},
    ),
    "move a file into the place of its folder": (
        [_act("move", "t", previous="d/x"), _act("delete", "d"), _act("move", "d", previous="t")],
        {"a": b"A", "b": b"B", "d": b"X"},
    ),
    "fill a folder, delete it": (
        [_act("create", "d/y", content=b"1"), _act("delete", "d")],
        {"a": b"A", "b": b"B"},
    ),
    "move a file out of a folder and put another there": (
        [_act("move", "n", previous="d/x"), _act("create", "d/x", content=b"2")],
        {"a": b"A", "b": b"B", "n": b"X", "d/x": b"2"},
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_an_action_sees_what_the_ones_before_it_did(services, alice, cells, name):
    actions, expected = CHAINS[name]
    put(services, alice[0], cells, {"a": b"A", "b": b"B", "d/x": b"X"})
    _commit(services, alice, cells, *actions)
    assert contents(services, alice[0], cells) == CARD | expected
    assert fsck(services, cells) == ""


@pytest.mark.parametrize(
    ("actions", "error"),
    [
        ([_act("create", "a", content=b"1")], TakenError),
        ([_act("create", "n", content=b"1"), _act("create", "n", content=b"2")], TakenError),
        ([_act("update", "n", content=b"1")], PathNotFoundError),
        ([_act("update", "d", content=b"1")], PathNotFoundError),
        ([_act("delete", "a"), _act("update", "a", content=b"1")], PathNotFoundError),
        ([_act("delete", "n")], PathNotFoundError),
        ([_act("delete", "a"), _act("delete", "a")], PathNotFoundError),
        ([_act("delete", "d"), _act("update", "d/x", content=b"1")], PathNotFoundError),
        ([_act("move", "n", previous="m")], PathNotFoundError),
        ([_act("move", "b", previous="a")], TakenError),
        ([_act("move", "n", previous="a"), _act("update", "a", content=b"1")], PathNotFoundError),
        ([_act("move", "n")], BadRequestError),
        ([_act("create", "n")], BadRequestError),
        ([_act("move", "e", previous="d"), _act("update", "e/x", content=b"1")], BadRequestError),
        ([_act("create", "d/y", content=b"1"), _act("move", "e", previous="d")], BadRequestError),
        ([_act("create", "a/b", content=b"1")], PathClashError),
        ([_act("move", "d/e", previous="d")], PathClashError),
        (
            [_act("delete", "a"), _act("create", "a", content=b"1"), _act("create", "A", content=b"1")],
            PathClashError,
        ),
    ],
)
def test_an_action_that_contradicts_the_dataset_refuses_all(services, alice, cells, actions, error):
    put(services, alice[0], cells, {"a": b"A", "b": b"B", "d/x": b"X"})
    before = contents(services, alice[0], cells)
    with pytest.raises(error):
        _commit(services, alice, cells, *actions)
    assert contents(services, alice[0], cells) == before


def test_actions_name_only_bytes_that_this_dataset_holds(services, alice, bob, cells):
    """D2, S1, invariants 2 and 4: a pointer is not a capability, whoever's bytes they are."""
    other = make_dataset(services, alice[0], "Other").id
    put(services, alice[0], other, {"secret.bin": b"secret"})
    with pytest.raises(BytesMissingError) as refused:
        _commit(
            services,
            alice,
            cells,
            _act("create", "a", md5=md5(b"secret")),
            _act("create", "b", md5=md5(b"never")),
        )
    assert refused.value.paths == ("a", "b")
    put(services, alice[0], cells, {"x": b"mine"})
    with pytest.raises(BytesMissingError):
        _commit(services, alice, cells, _act("create", "a", md5=md5(b"mine"), size=5))


def test_ten_thousand_actions_take_seconds(services, alice, cells):
    put(services, alice[0], cells, {"x": b"x"})
    actions = [_act("create", f"d{n % 10}/f{n:05d}.bin", md5=md5(b"x")) for n in range(10_000)]
    _commit(services, alice, cells, *actions)
    changes = [_act("move", f"e/f{n:05d}.bin", previous=f"d{n % 10}/f{n:05d}.bin") for n in range(2000)]
    _commit(services, alice, cells, *changes)
    assert services.datasets.overview(alice[0], cells).totals.files == 10_002


# Forms


def _form(services, alice, dataset, names, **fields):
    form = FormUpload(**fields)
    files = [Incoming(RepoPath(name), [name.encode()]) for name in names]
    services.versions.put_form(alice[0], dataset, form, files)
    return form


def test_a_form_keeps_relative_folders_below_its_own(services, alice, cells):
    form = _form(services, alice, cells, ["a.bin", "sub/b.bin", "README.md"], folder=RepoPath("in"))
    assert contents(services, alice[0], cells) == CARD | {
        "in/a.bin": b"a.bin",
        "in/sub/b.bin": b"sub/b.bin",
        "in/README.md": b"README.md",
    }
    assert titles(services, alice[0], cells)[0] == "Upload 3 files"
    assert form.written.created == ("in/a.bin", "in/sub/b.bin", "in/README.md")


def test_a_form_is_judged_against_the_branch_as_it_was_when_it_began(services, alice, cells):
    """D3: of a form and a file on one path, one wins; the branch named late is still the one seen early."""
    services.names.create_branch(alice[0], cells, "work", "main")
    form = FormUpload()

    def files():
        yield Incoming(RepoPath("a.bin"), [b"form"])
        put(services, alice[0], cells, {"a.bin": b"fast"}, branch="work")
        form.branch = "work"

    with pytest.raises(EditConflictError):
        services.versions.put_form(alice[0], cells, form, files())


@pytest.mark.parametrize(
    "name", ["../a", "a/../../b", "a\\b", "C:\\x\\a", "a\0b", ".dvc/config", "a.dvc", "/"]
)
def test_a_form_takes_no_hostile_name(services, alice, cells, name):
    before = contents(services, alice[0], cells)
    with pytest.raises(InvalidPathError):
        _form(services, alice, cells, ["fine.bin", name])
    assert contents(services, alice[0], cells) == before


def test_what_a_killed_writer_left_is_swept_and_nothing_else(services, alice, cells):
    put(services, alice[0], cells, {"a.bin": b"1"})
    opened = services.datasets.open_for_upkeep(cells)
    lock = opened.repo.git.path / "refs" / "heads" / "main.lock"
    lock.touch()
    staged = opened.pool.store.receive([b"half"])
    with opened.pool.store.open_staged(staged) as stream:
        left = stream.name
    for path in (lock, Path(left)):
        os.utime(path, (0, 0))
    services.versions.sweep_leftovers()
    assert not lock.exists()
    assert not Path(left).exists()
    assert contents(services, alice[0], cells)["a.bin"] == b"1"
