"""What a ref means, which commits are served, and names that never move."""

from datetime import timedelta

import pytest
from repositories import MAIN, START, Foreign, by, files, fsck, git, land

from gitops import upkeep
from gitops.commit_text import render_commit
from gitops.datarepo import DataRepo
from gitops.errors import (
    ConflictError,
    InvalidRefError,
    RefExistsError,
    RefNotFoundError,
    ReleaseImmutableError,
)
from gitops.gitrepo import HEADS, TAGS
from gitops.model import CommitId, RefName, parse_ref
from gitops.packs import PackWriter


def at(repo: DataRepo, ref: str) -> CommitId:
    return repo.at(parse_ref(ref)).commit.id


def test_without_a_ref_the_default_branch_is_meant(repo: DataRepo) -> None:
    assert repo.at().commit.id == repo.head(MAIN)


def test_a_tag_beats_a_branch_of_its_name(repo: DataRepo) -> None:
    first = repo.head(MAIN)
    second = land(repo, {"a": "1"}).commit.id
    repo.create_branch(RefName("x"), second)
    repo.tag(RefName("x"), first, author=by(), notes=None)
    assert at(repo, "x") == first


def test_a_full_id_beats_a_branch_and_a_tag_named_like_it(repo: DataRepo) -> None:
    first = repo.head(MAIN)
    second = land(repo, {"a": "1"}).commit.id
    repo.git.move_ref(HEADS + first, second, expected=None)
    repo.git.move_ref(TAGS + first, second, expected=None)
    assert at(repo, first) == first


def test_a_branch_beats_an_abbreviated_id(repo: DataRepo) -> None:
    first = repo.head(MAIN)
    second = land(repo, {"a": "1"}).commit.id
    assert at(repo, first[:7]) == first
    repo.create_branch(RefName(first[:7]), second)
    assert at(repo, first[:7]) == second
    assert at(repo, first[:8]) == first


def test_names_that_mean_something_cannot_be_given(repo: DataRepo) -> None:
    for name in ("latest", "0" * 40):
        with pytest.raises(InvalidRefError):
            repo.create_branch(RefName(name), repo.head(MAIN))
        with pytest.raises(InvalidRefError):
            repo.tag(RefName(name), repo.head(MAIN), author=by(), notes=None)


@pytest.mark.parametrize(
    "ref", ["absent", "0" * 40, "f" * 9, "~9", "absent@{2026-01-01}", "main@{2000-01-01}"]
)
def test_what_does_not_exist_is_not_found(repo: DataRepo, ref: str) -> None:
    with pytest.raises(RefNotFoundError):
        at(repo, ref)


def test_latest_needs_a_version_number(repo: DataRepo) -> None:
    repo.tag(RefName("other"), repo.head(MAIN), author=by(), notes="x")
    with pytest.raises(RefNotFoundError):
        at(repo, "latest")


def test_latest_and_ranges_follow_semantic_versions(repo: DataRepo) -> None:
    commits = {}
    for number, name in enumerate(["v0.1.0", "v0.2.0", "v0.1.10", "v0.1.9", "v1.0.0-rc.1"]):
        commits[name] = land(repo, {"a": str(number)}, minute=number).commit.id
        repo.tag(RefName(name), commits[name], author=by(), notes="notes")
    assert at(repo, "latest") == commits["v0.2.0"]
    assert at(repo, "~0.1") == at(repo, "~v0.1") == commits["v0.1.10"]
    assert at(repo, "~1") == commits["v1.0.0-rc.1"]
    assert [tag.name for tag in repo.tags()][:2] == ["v1.0.0-rc.1", "v0.2.0"]


def test_a_dated_branch_is_its_last_version_before_the_moment(repo: DataRepo) -> None:
    first = repo.head(MAIN)
    second = land(repo, {"a": "1"}, minute=60 * 24).commit.id
    assert at(repo, "main@{2026-03-02}") == first
    assert at(repo, "main@{2026-03-02T12:00:00Z}") == first
    assert at(repo, "main@{2026-03-02T12:00:01Z}") == second
    assert at(repo, "main@{2026-03-02T14:00:00+02:00}") == first
    assert at(repo, "main@{2026-04-01}") == second
    with pytest.raises(InvalidRefError):
        at(repo, "main@{2026-99-99}")


def test_an_id_shared_by_two_commits_is_refused(repo: DataRepo, foreign: Foreign) -> None:
    """Two thousand commits of which two share five digits would do; the check is on the count alone."""
    head = repo.git.read_commit(repo.head(MAIN))
    seen: dict[str, str] = {}
    pack = PackWriter()
    prefix = ""
    for number in range(80_000):
        text = render_commit(
            tree=head.tree, parents=[head.id], author=by(), committer=by(), message=str(number)
        )
        oid = PackWriter().add("commit", text).hex()
        other = seen.setdefault(oid[:7], str(number))
        if other != str(number):
            prefix = oid[:7]
            for one in (other, str(number)):
                pack.add(
                    "commit",
                    render_commit(
                        tree=head.tree, parents=[head.id], author=by(), committer=by(), message=one
                    ),
                )
            break
    repo.git.write_pack(pack)
    assert len(repo.git.abbreviated(prefix)) == 2
    with pytest.raises(InvalidRefError):
        at(repo, prefix)


def test_a_commit_that_never_was_a_version_is_not_served(repo: DataRepo) -> None:
    """Promise S4: no object is readable by its id unless a visible name leads, or led, to it."""
    head = repo.git.read_commit(repo.head(MAIN))
    pack = PackWriter()
    loose = pack.add(
        "commit",
        render_commit(tree=head.tree, parents=[head.id], author=by(), committer=by(), message="Lost"),
    ).hex()
    repo.git.write_pack(pack)
    repo.git.move_ref("refs/hidden/x", CommitId(loose), expected=None)
    for ref in (loose, loose[:10], head.tree, head.tree[:10]):
        with pytest.raises(RefNotFoundError):
            at(repo, ref)


def test_a_version_that_lost_the_race_is_not_served(repo: DataRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[CommitId] = []
    move = repo.git.move_ref

    def overtaken(full_name: str, new: CommitId, *, expected: CommitId | None) -> None:
        if not lost:
            lost.append(new)
            monkeypatch.undo()
            with_other = land_unlocked(repo)
            assert with_other != new
        move(full_name, new, expected=expected)

    monkeypatch.setattr(repo.git, "move_ref", overtaken)
    land(repo, {"a": "1"})
    assert sorted(files(repo)) == ["README.md", "a", "other"]
    with pytest.raises(RefNotFoundError):
        at(repo, lost[0])


def land_unlocked(repo: DataRepo) -> CommitId:
    """Move main as a git push would, which knows nothing of our lock."""
    foreign = Foreign(repo)
    return foreign.add({b"other": foreign.blob(b"x")})


def test_the_commits_of_a_deleted_branch_stay_readable(repo: DataRepo) -> None:
    """Promises D1 and D4, invariant 7: a permanent link answers for ever."""
    repo.create_branch(RefName("side"), repo.head(MAIN))
    gone = land(repo, {"a": "1"}, branch=RefName("side")).commit.id
    repo.delete_branch(RefName("side"))
    upkeep.maintain(repo.git, timeout_s=60)
    git(repo, "gc", "--quiet", "--prune=now")
    assert at(repo, gone) == gone
    assert "a" in files(repo, gone)
    assert [branch.name for branch in repo.branches()] == ["main"]
    with pytest.raises(RefNotFoundError):
        repo.delete_branch(RefName("side"))


def test_the_default_branch_cannot_be_deleted(repo: DataRepo) -> None:
    with pytest.raises(ConflictError):
        repo.delete_branch(MAIN)


@pytest.mark.parametrize("packed", [False, True])
def test_a_branch_cannot_be_a_part_of_another_s_name(repo: DataRepo, packed: bool) -> None:
    repo.create_branch(RefName("a"), repo.head(MAIN))
    if packed:
        upkeep.maintain(repo.git, timeout_s=60)
    for name in ("a", "a/b"):
        with pytest.raises(RefExistsError):
            repo.create_branch(RefName(name), repo.head(MAIN))
    repo.delete_branch(RefName("a"))
    repo.create_branch(RefName("a/b"), repo.head(MAIN))
    assert [branch.name for branch in repo.branches()] == ["a/b", "main"]
    assert fsck(repo) == []


def test_a_release_is_an_annotated_tag_with_notes(repo: DataRepo) -> None:
    tag = repo.tag(RefName("v1"), repo.head(MAIN), author=by(), notes="First\n\nÜber")
    assert tag.notes == "First\n\nÜber"
    assert tag.tagger
    assert (tag.tagger.name, tag.tagger.when) == ("Ada", START)
    assert git(repo, "cat-file", "-t", "v1") == "tag\n"
    plain = repo.tag(RefName("plain"), repo.head(MAIN), author=by(), notes=None)
    assert not plain.is_release


def test_a_release_never_moves_even_after_its_deletion(repo: DataRepo) -> None:
    """Invariant 7, promise D4: no name ever means two versions."""
    first = repo.head(MAIN)
    second = land(repo, {"a": "1"}).commit.id
    name = RefName("v1")
    repo.tag(name, first, author=by(), notes="x")
    with pytest.raises(ReleaseImmutableError):
        repo.tag(name, second, author=by(), notes="x")
    with pytest.raises(RefExistsError):
        repo.tag(name, first, author=by(), notes="x")
    repo.delete_tag(name)
    with pytest.raises(RefNotFoundError):
        at(repo, "v1")
    for notes in ("x", None):
        with pytest.raises(ReleaseImmutableError):
            repo.tag(name, second, author=by(), notes=notes)
    assert repo.tag(name, first, author=by(), notes="again").commit == first


@pytest.mark.parametrize("packed", [False, True])
def test_a_release_below_the_name_of_another_is_refused(repo: DataRepo, packed: bool) -> None:
    head = repo.head(MAIN)
    repo.tag(RefName("v1"), head, author=by(), notes="x")
    if packed:
        upkeep.maintain(repo.git, timeout_s=60)
    with pytest.raises(RefExistsError):
        repo.tag(RefName("v1/a"), head, author=by(), notes="x")
    repo.delete_tag(RefName("v1"))
    with pytest.raises(RefExistsError):
        repo.tag(RefName("v1/a"), head, author=by(), notes="x")
    assert repo.tags() == []


def test_a_release_interrupted_before_its_tag_keeps_its_name(repo: DataRepo) -> None:
    """A crash by raising between the two effects."""
    first = repo.head(MAIN)
    second = land(repo, {"a": "1"}).commit.id
    repo.git.move_ref("refs/cairn/releases/v1", first, expected=None)
    with pytest.raises(ReleaseImmutableError):
        repo.tag(RefName("v1"), second, author=by(), notes="x")
    assert repo.tag(RefName("v1"), first, author=by(), notes="x").commit == first


# Commits that only others write

HOSTILE_HEADERS = {
    "a zone of four days": b"author A <a@b> 1700000000 +9999\ncommitter A <a@b> 1700000000 -9999\n",
    "the far future": b"author A <a@b> 99999999999999 +0000\ncommitter A <a@b> 99999999999999 +0000\n",
    "latin 1": b"author \xc4da <\xc4@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n",
    "an unknown encoding": b"author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nencoding klingon\n",
    "utf-16 it says": b"author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\nencoding UTF-16\n",
    "no date": b"author A <a@b>\ncommitter A <a@b>\n",
    "nobody": b"author  <> 1700000000 +0000\ncommitter  <> 1700000000 +0000\n",
}


@pytest.mark.parametrize("headers", HOSTILE_HEADERS.values(), ids=HOSTILE_HEADERS.keys())
def test_a_pushed_commit_with_odd_headers_is_shown(repo: DataRepo, foreign: Foreign, headers: bytes) -> None:
    head = repo.git.read_commit(repo.head(MAIN))
    raw = f"tree {head.tree}\nparent {head.id}\n".encode() + headers + b"\nmess\xffage\n"
    commit = foreign.raw(raw)
    found = repo.at(MAIN).commit
    assert found.id == commit
    assert found.title.startswith("mess")
    assert [one.id for one in repo.log(commit)] == [commit, head.id]
    assert land(repo, {"a": "1"}).parent.id == commit
    assert repo.resolve(parse_ref("main@{9999-12-31}"))
    assert found.author.when - START > timedelta(days=-30_000)
