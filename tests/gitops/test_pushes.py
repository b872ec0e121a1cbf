"""What a push may bring: every refusal comes from a real git client's real push."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from gitops import smart_http, upkeep
from gitops.gitrepo import HEADS, KEPT, RELEASES
from gitops.model import CommitId, Md5, Pointer
from gitops.objects import digest
from gitops.pointers import MAX_POINTER_BYTES
from gitops.push_limits import Budget, PushLimits, Refusals, TooMuchError
from gitops.push_pointers import fault_of_pointer
from gitops.pushes import MAX_SHOWN, guarded_config, shortened
from tests.gitops.smart_server import MAIN, Clone, Facts, MemoryLedger, Server, clone, serving

ABSENT = Md5("a" * 32)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def work(server: Server, tmp_path: Path) -> Clone:
    return clone(server, tmp_path / "work")


@pytest.fixture
def ledger(server: Server) -> MemoryLedger:
    assert server.ledger is not None
    return server.ledger


def pointer(md5: str, name: str, *, size: int | None = 3, more: str = "") -> str:
    sized = f"  size: {size}\n" if size is not None else ""
    return f"outs:\n- md5: {md5}\n{sized}  hash: md5\n  path: {name}\n{more}"


def refused(server: Server, work: Clone, *arguments: str) -> str:
    """Push, and return what was said once it is certain that nothing moved."""
    before = upkeep.run(server.repo, "for-each-ref", timeout_s=10)
    said = work.push(*(arguments or ("main",)))
    assert upkeep.run(server.repo, "for-each-ref", timeout_s=10) == before
    assert "remote rejected" in said
    return said


# Pointers and their bytes


def test_a_pointer_to_bytes_that_are_held_is_taken(server: Server, work: Clone, ledger: MemoryLedger) -> None:
    md5 = ledger.add(b"abc")
    work.write("train/x.jpg.dvc", pointer(md5, "x.jpg"))
    new = work.commit()

    work.push("main")

    assert server.repo.branch(MAIN) == new


def test_a_pointer_to_bytes_never_stored_is_refused(server: Server, work: Clone) -> None:
    work.write("train/x.jpg.dvc", pointer(ABSENT, "x.jpg"))
    work.commit()

    said = refused(server, work)

    assert f"train/x.jpg.dvc: the dataset does not hold the bytes {ABSENT}: run dvc push first" in said


def test_a_pointer_that_was_there_only_in_between_is_refused(server: Server, work: Clone) -> None:
    work.write("x.jpg.dvc", pointer(ABSENT, "x.jpg"))
    work.commit()
    (work.path / "x.jpg.dvc").unlink()
    work.commit("Remove it again")

    assert "x.jpg.dvc: the dataset does not hold" in refused(server, work)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("x.jpg.dvc", pointer("{md5}", "y.jpg"), "it says path: 'y.jpg'"),
        ("x.jpg.dvc", pointer("{md5}", "../x.jpg"), "it says path: '../x.jpg'"),
        ("x.jpg.dvc", pointer("{md5}", "/etc/passwd"), "it says path: '/etc/passwd'"),
        ("x.jpg.dvc", pointer("{md5}", "x.jpg", size=4), "it says size: 4"),
        ("x.jpg.dvc", pointer("{md5}", "x.jpg", more="meta:\n  sha256: " + "b" * 64 + "\n"), "sha256"),
        ("x.jpg.dvc", pointer("{md5}", "x.jpg", more="meta:\n  crc32: " + "b" * 8 + "\n"), "crc32"),
        ("x.jpg.dvc", pointer("{md5}", "x.jpg", more="wdir: sub\n"), "working folder"),
        ("x.jpg.dvc", pointer("abc", "x.jpg"), "is not an MD5"),
        ("x.jpg.dvc", pointer("../../../etc", "x.jpg"), "is not an MD5"),
        ("x.jpg.dvc", "just text", "not a YAML mapping"),
        ("x.jpg.dvc", "outs: &a\n- *a\n", "alias"),
        ("x.jpg.dvc", "{" * 5000, "broken pointer"),
        ("x.jpg.dvc", "outs:\n- md5: {md5}\n  path: x.jpg\n" * 2, "duplicate"),
        ("x.jpg.dvc", "#" * (MAX_POINTER_BYTES + 1), "at most 65536 bytes"),
        (".cairn/metadata/bulk/a.parquet.dvc", pointer(ABSENT, "a.parquet"), "does not hold"),
        (
            "dvc.lock",
            "schema: '2.0'\nstages:\n  a:\n    outs:\n    - path: o\n      md5: " + ABSENT,
            "dvc.lock (o)",
        ),
        ("dvc.lock", "stages: [", "not valid YAML"),
    ],
)
def test_pointers_that_do_not_fit_are_refused(
    server: Server, work: Clone, name: str, text: str, reason: str
) -> None:
    assert server.ledger is not None
    work.write(name, text.replace("{md5}", server.ledger.add(b"abc")))
    work.commit()

    said = refused(server, work)

    assert f"remote: {name}" in said
    assert reason in said


def test_a_pointer_to_damaged_bytes_is_refused(server: Server, work: Clone, ledger: MemoryLedger) -> None:
    work.write("x.jpg.dvc", pointer(ledger.add(b"abc", damaged=True), "x.jpg"))
    work.commit()

    assert "are damaged" in refused(server, work)


def test_a_dataset_without_a_storage_site_takes_no_pointers(server: Server, work: Clone) -> None:
    server.ledger = None
    work.write("x.jpg.dvc", pointer(ABSENT, "x.jpg"))
    work.commit()

    assert "no storage site yet" in refused(server, work)


def test_a_folder_tracked_as_one_is_taken_with_all_its_bytes(
    server: Server, work: Clone, ledger: MemoryLedger
) -> None:
    rows = [{"md5": ledger.add(b"a"), "relpath": "a"}, {"md5": ledger.add(b"bb"), "relpath": "sub/b"}]
    manifest = ledger.add(json.dumps(rows).encode(), suffix=".dir")
    work.write("images.dvc", pointer(manifest, "images", size=3))
    new = work.commit()

    work.push("main")

    assert server.repo.branch(MAIN) == new


@pytest.mark.parametrize(
    ("rows", "size", "reason"),
    [
        ([{"md5": ABSENT, "relpath": "a"}], 1, "the bytes of 1 of its 1 files, for example 'a'"),
        ([{"md5": "{a}", "relpath": "../../evil"}], 1, "holds the path '../../evil'"),
        ([{"md5": "{a}", "relpath": "/evil"}], 1, "holds the path '/evil'"),
        ([{"md5": "{a}", "relpath": ".git/hooks/x"}], 1, "holds the path '.git/hooks/x'"),
        ([{"md5": "abc", "relpath": "a"}], 1, "where an MD5 belongs"),
        ([{"md5": "{a}", "relpath": "a"}], 7, "it says size: 7, but its files have 1 bytes"),
        ({"no": "list"}, 1, "not a list"),
    ],
)
def test_manifests_that_do_not_fit_are_refused(
    server: Server, work: Clone, rows: object, size: int, reason: str
) -> None:
    ledger = server.ledger
    assert ledger is not None
    text = json.dumps(rows).replace("{a}", ledger.add(b"a"))
    work.write("images.dvc", pointer(ledger.add(text.encode(), suffix=".dir"), "images", size=size))
    work.commit()

    assert reason in refused(server, work)


def test_an_output_that_git_holds_needs_no_bytes(server: Server, work: Clone) -> None:
    lock = (
        "schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: out/metrics.json\n      md5: "
        + ABSENT
    )
    work.write("dvc.lock", lock)
    work.write("out/metrics.json", "{}")
    new = work.commit()

    work.push("main")

    assert server.repo.branch(MAIN) == new


def test_the_dvc_2_pointer_of_a_text_is_taken(server: Server, work: Clone, ledger: MemoryLedger) -> None:
    content = b"a\r\nb\r\n"
    address = digest(b"a\nb\n").md5
    ledger.known[address] = Facts(len(content), digest(content).sha256, digest(content).crc32, is_legacy=True)
    work.write("x.csv.dvc", f"outs:\n- md5: {address}\n  size: 6\n  path: x.csv\n")
    new = work.commit()

    work.push("main")

    assert server.repo.branch(MAIN) == new


def test_a_dvc_3_pointer_may_not_use_the_address_of_a_dvc_2_text() -> None:
    facts = Facts(3, "", "", is_legacy=True)

    assert "DVC 2" in (fault_of_pointer(Pointer(ABSENT, 3), facts) or "")
    assert fault_of_pointer(Pointer(ABSENT, 3, is_legacy=True), facts) is None


# Names and kinds of files


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"a\nb.md", "control characters"),
        (b"a\\b.md", "backslashes"),
        (b"a.md.", "end in a dot"),
        (b"a.md ", "end in a dot or a space"),
        (b"bad\xff.md", "not valid UTF-8"),
        ("caf\u0065\u0301.md".encode(), "composed form"),
        (b".DVC", "reserved name"),
        (b".Cairn", "reserved name"),
        (b".cairn.dvc ", "space"),
        (b"x" * 253, "at most 251 bytes"),
        ("\u202e.md".encode(), None),
        (b"git~2", "'.git' is git's own"),
        ("a\u2028b".encode(), "line separators"),
    ],
)
def test_hostile_names_are_refused(server: Server, work: Clone, name: bytes, reason: str | None) -> None:
    commit = work.root_with([("100644", work.blob(b"x"), name)])

    said = work.push(f"{commit}:refs/heads/bad")

    assert ("remote rejected" in said) == (reason is not None)
    assert (reason or "") in said


@pytest.mark.parametrize("name", [b".git", b".GIT", b"..", b".", b"GIT~1"])
def test_names_that_git_itself_refuses_stay_out(server: Server, work: Clone, name: bytes) -> None:
    folder = work.tree([("100644", work.blob(b"x"), b"config")])
    commit = work.root_with([("40000", folder, name)])

    assert "remote unpack failed" in work.push(f"{commit}:refs/heads/bad")
    assert server.repo.find_ref(HEADS + "bad") is None


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ((b"A.md", b"a.md"), "'A.md' and 'a.md' are one name to many computers"),
        ((b"STRASSE.md", "straße.md".encode()), "one name to many computers"),
        ((b"x.jpg", b"x.jpg.dvc"), "the same path twice"),
    ],
)
def test_twins_are_refused(server: Server, work: Clone, rows: tuple[bytes, bytes], reason: str) -> None:
    commit = work.root_with([("100644", work.blob(b"x"), name) for name in rows])

    assert reason in refused(server, work, f"{commit}:refs/heads/bad")


def test_a_twin_of_what_was_there_is_refused(server: Server, work: Clone) -> None:
    commit = work.root_with([("100644", work.blob(b"x"), b"readme.MD")])

    assert "'README.md' and 'readme.MD' are one name" in refused(server, work, f"{commit}:refs/heads/bad")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("120000", "symbolic links are not allowed"), ("160000", "submodules are not allowed")],
)
def test_links_are_refused(server: Server, work: Clone, mode: str, reason: str) -> None:
    oid = work.out("rev-parse", "HEAD") if mode == "160000" else work.blob(b"/etc/passwd")
    commit = work.root_with([(mode, oid, b"link")])

    assert f"link: {reason}" in refused(server, work, f"{commit}:refs/heads/bad")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("sub/.dvc/config", "reserved name"),
        ("x.dvc/inner.md", "may not be named like a pointer"),
        (".dvc/config.local", "holds credentials"),
    ],
)
def test_reserved_places_are_refused(server: Server, work: Clone, path: str, reason: str) -> None:
    work.write(path, "x\n")
    work.commit()

    assert reason in refused(server, work)


def test_a_folder_nested_too_deep_is_refused(server: Server, work: Clone) -> None:
    folder = work.tree([("100644", work.blob(b"x"), b"leaf.md")])
    for _ in range(100):
        folder = work.tree([("40000", folder, b"d")])
    commit = work.root_with([("40000", folder, b"d")])

    assert "folders may be at most 64 deep" in refused(server, work, f"{commit}:refs/heads/bad")


def test_few_objects_that_stand_for_countless_paths_are_refused(server: Server, work: Clone) -> None:
    server.limits = PushLimits(entries=10_000)
    folder = work.tree([("100644", work.blob(b"x"), b"leaf.md")])
    for _ in range(10):
        folder = work.tree([("40000", folder, f"{number}".encode()) for number in range(10)])
    commit = work.root_with([("40000", folder, b"d")])

    assert "more than 10000 paths change" in refused(server, work, f"{commit}:refs/heads/bad")


def test_text_too_large_for_git_is_refused(server: Server, work: Clone) -> None:
    server.limits = PushLimits(text_bytes=100)
    work.write("big.csv", "x" * 101)
    work.commit()

    assert "big.csv: 101 bytes are too many for git (at most 100): use dvc add" in refused(server, work)


def test_only_twenty_reasons_are_shown(server: Server, work: Clone) -> None:
    for number in range(25):
        work.write(f"{number:02d}.dvc", pointer(ABSENT, f"{number:02d}"))
    work.commit()

    said = refused(server, work)

    assert said.count("does not hold the bytes") == MAX_SHOWN
    assert "and 5 more" in said


def test_nothing_refused_stays_behind(server: Server, work: Clone) -> None:
    packs = upkeep.pack_count(server.repo)
    work.write("x.jpg.dvc", pointer(ABSENT, "x.jpg"))
    work.commit()

    refused(server, work)

    assert upkeep.pack_count(server.repo) == packs
    assert not list((server.repo.path / "objects").glob("tmp_objdir*"))


def test_a_message_in_another_encoding_stays_readable(server: Server, work: Clone) -> None:
    tree, parent = work.out("rev-parse", "HEAD^{tree}"), work.out("rev-parse", "HEAD")
    who = b"Andr\xe9 <a@example.org> 1700000000 +0000"
    raw = b"tree %s\nparent %s\nauthor %s\ncommitter %s\nencoding ISO-8859-1\n\ncaf\xe9\n" % (
        tree.encode(), parent.encode(), who, who,
    )  # fmt: skip
    commit = work.out("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw)

    work.push(f"{commit}:refs/heads/old")

    found = server.repo.read_commit(commit)
    assert found.author.name.startswith("Andr")
    assert found.message.startswith("caf")


def test_a_message_without_end_is_refused(server: Server, work: Clone) -> None:
    tree = work.out("rev-parse", "HEAD^{tree}")
    commit = work.out("commit-tree", tree, "-p", "HEAD", "-F", "-", stdin=b"x" * 300_000)

    assert "has a message longer than anybody reads" in refused(server, work, f"{commit}:refs/heads/long")


# The dataset's identity


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".dvc/config", "[core]\n    remote = evil\n['remote \"evil\"']\n    url = s3://evil\n"),
        (".dvc/config", "['remote \"cairn\"']\n    url = http://evil.example/\n"),
        (".cairn/dataset.yaml", "schema: dataset/1\nid: 2\n"),
        (".dvc/config", None),
        (".cairn/dataset.yaml", None),
    ],
)
def test_a_branch_may_not_change_which_dataset_it_is(
    server: Server, work: Clone, path: str, text: str | None
) -> None:
    if text is None:
        (work.path / path).unlink()
    else:
        work.write(path, text)
    work.commit()

    assert f"remote: {path}: " in refused(server, work)
    assert path in refused(server, work, "main:refs/heads/other")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("url = http://example.org/dvc/1", "url = http://evil.example"),
        ("url = /srv/objects/1", "url = /srv/objects/2"),
        ("url = /srv/objects/1", "url = /srv/objects/1\n    endpointurl = http://evil.example"),
        ("[core]", "[core]\n    no_scm = true"),
        ("remote = cairn", "remote = site"),
        ("['remote \"site\"']", "[x]\n    y = '''\n['remote \"site\"']\n    '''"),
    ],
)
def test_every_setting_that_leads_elsewhere_counts(server: Server, work: Clone, old: str, new: str) -> None:
    config = (work.path / ".dvc/config").read_text()
    assert old in config
    work.write(".dvc/config", config.replace(old, new))
    work.commit()

    assert "a dataset's storage never changes" in refused(server, work)


def test_a_remote_of_ones_own_may_be_added(server: Server, work: Clone) -> None:
    config = (work.path / ".dvc/config").read_text()
    work.write(".dvc/config", config + "['remote \"mine\"']\n    url = /data\n")
    new = work.commit()

    work.push("main")

    assert server.repo.branch(MAIN) == new


def test_a_change_taken_back_before_the_push_is_no_change(server: Server, work: Clone) -> None:
    kept = (work.path / ".cairn/dataset.yaml").read_text()
    work.write(".cairn/dataset.yaml", "schema: dataset/1\nid: 2\n")
    work.commit()
    work.write(".cairn/dataset.yaml", kept)
    new = work.commit()

    work.push("main")

    assert server.repo.branch(MAIN) == new


def test_a_history_of_its_own_is_not_this_dataset(server: Server, work: Clone) -> None:
    work.git("checkout", "--quiet", "--orphan", "other")
    work.git("rm", "-r", "--quiet", "--force", ".")
    work.write("README.md", "# Other\n")
    work.commit()

    assert ".cairn/dataset.yaml: changed or removed on 'other'" in refused(server, work, "other")


# Refs


def test_a_branch_is_made_and_its_deletion_keeps_its_versions(server: Server, work: Clone) -> None:
    work.git("checkout", "--quiet", "-b", "dev")
    work.write("notes.md", "x\n")
    commit = CommitId(work.commit())
    work.push("dev")

    work.push("--delete", "dev")

    assert server.repo.find_ref(HEADS + "dev") is None
    assert server.repo.find_ref(KEPT + commit) == commit


def test_a_deletion_that_lies_about_what_it_deletes_is_refused(server: Server, work: Clone) -> None:
    """git deletes a ref unseen if it does not know the old id, and nothing would keep its versions."""
    work.git("checkout", "--quiet", "-b", "dev")
    work.write("notes.md", "x\n")
    commit = work.commit()
    work.push("dev")
    command = f"{'f' * 40} {'0' * 40} refs/heads/dev\0report-status delete-refs".encode()

    with urlopen(
        Request(f"{server.url}/git-receive-pack", smart_http.packet_line(command) + b"0000"), timeout=10
    ) as answer:
        said = answer.read()

    assert b"ng refs/heads/dev" in said
    assert server.repo.find_ref(HEADS + "dev") == commit


def test_a_push_removes_the_lock_of_a_killed_one(server: Server, work: Clone) -> None:
    stale = server.repo.path / "refs" / "heads" / "main.lock"
    stale.write_bytes(b"")
    os.utime(stale, (0, 0))
    work.write("notes.md", "x\n")
    commit = work.commit()

    work.push("main")

    assert server.repo.find_ref(HEADS + "main") == commit


def test_rewriting_history_is_refused(server: Server, work: Clone) -> None:
    work.write("notes.md", "x\n")
    work.commit()
    work.push("main")
    work.git("commit", "--amend", "--quiet", "-m", "Other")

    assert "not a fast-forward" in refused(server, work, "--force", "main")


def test_the_default_branch_cannot_be_deleted(server: Server, work: Clone) -> None:
    assert "is the default branch" in refused(server, work, "--delete", "main")


@pytest.mark.parametrize("name", ["refs/cairn/kept/x", "refs/replace/x", "refs/notes/x", "refs/pull/1/head"])
def test_only_branches_and_tags_can_be_pushed(server: Server, work: Clone, name: str) -> None:
    refused(server, work, f"main:{name}")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("latest", "meaning of its own"), ("b" * 40, "look like a commit id"), ("-x", "is not a branch")],
)
@pytest.mark.parametrize("kind", ["heads", "tags"])
def test_misleading_names_are_refused(server: Server, work: Clone, kind: str, name: str, reason: str) -> None:
    assert reason in refused(server, work, f"main:refs/{kind}/{name}")


def test_an_annotated_tag_becomes_a_release(server: Server, work: Clone) -> None:
    work.git("tag", "-a", "v1.0", "-m", "First release")

    work.push("v1.0")

    [tag] = server.repo.tags()
    assert (tag.name, tag.notes) == ("v1.0", "First release")
    assert server.repo.find_ref(RELEASES + "v1.0") == tag.commit


def test_a_release_neither_moves_nor_goes(server: Server, work: Clone) -> None:
    work.git("tag", "-a", "v1.0", "-m", "First release")
    work.push("v1.0")
    work.write("notes.md", "x\n")
    work.commit()
    work.git("tag", "-f", "-a", "v1.0", "-m", "Another")

    assert "is a release and never moves" in refused(server, work, "--force", "v1.0")
    assert "is a release and cannot be deleted" in refused(server, work, "--delete", "v1.0")


def test_the_name_of_a_release_that_went_is_not_given_again(server: Server, work: Clone) -> None:
    work.git("tag", "-a", "v1.0", "-m", "First release")
    work.push("v1.0")
    server.data.delete_tag("v1.0")  # type: ignore[arg-type]  # a plain name
    work.write("notes.md", "x\n")
    work.commit()

    assert "a release never moves" in refused(server, work, "main:refs/tags/v1.0")


def test_a_plain_tag_does_not_move_but_may_go(server: Server, work: Clone) -> None:
    work.git("tag", "draft")
    work.push("draft")
    work.write("notes.md", "x\n")
    work.commit()

    assert "a tag never moves; delete it first" in refused(server, work, "--force", "main:refs/tags/draft")
    assert "[deleted]" in work.push("--delete", "draft")


def test_a_tag_must_lead_to_a_version(server: Server, work: Clone) -> None:
    blob = work.blob(b"x")

    assert "a tag must lead to a commit" in refused(server, work, f"{blob}:refs/tags/file")


def test_one_bad_ref_refuses_the_whole_push(server: Server, work: Clone) -> None:
    said = refused(server, work, "main:refs/heads/good", "main:refs/heads/latest")

    assert said.count("[remote rejected]") == 2


# Pure parts


def test_a_budget_of_time_runs_out() -> None:
    moments = iter([0.0, 1.0, 400.0])
    budget = Budget(PushLimits(), clock=lambda: next(moments))
    budget.spend(1)

    with pytest.raises(TooMuchError):
        budget.spend(1)


def test_refusals_end_when_nobody_would_read_on() -> None:
    refusals = Refusals(2)
    refusals.add("a", "x")

    with pytest.raises(TooMuchError):
        refusals.add("b", "x")

    assert refusals.lines() == ["a: x", "b: x"]


def test_short_lists_stay_whole() -> None:
    assert shortened(["a"]) == ["a"]


def test_quoting_does_not_hide_a_section() -> None:
    assert guarded_config(b"[\"remote 'cairn'\"]\nurl = x\n") == {"remote cairn": ["url=x"]}
    assert guarded_config(None) is None
