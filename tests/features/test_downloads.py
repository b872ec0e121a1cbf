import hashlib
import io
import zipfile
from datetime import UTC, datetime

import pytest

from app.access import Action
from app.downloads.models import ArchiveContent, ArchiveKind, FilesGoneError
from app.downloads.service import ArchiveRequest
from gitops import trees
from gitops.changes import ChangeSet
from gitops.commit_text import render_commit
from gitops.errors import IntegrityError
from gitops.gitrepo import HEADS
from gitops.model import Pointer, RefName, RepoPath, Signature
from gitops.objects import digest
from gitops.packs import PackWriter

MAIN = RefName("main")
SOMEBODY = Signature("Somebody", "somebody@example.org", datetime(2026, 3, 1, tzinfo=UTC))
CRLF = b"one\r\ntwo\r\n"


@pytest.fixture
def opened(services, alice):
    dataset = services.datasets.create(alice[0], name="Cells", storage_site="local")
    return services.datasets.open(alice[0], dataset.id, Action.WRITE)


def commit(opened, changes):
    base = opened.repo.head(MAIN)
    return opened.repo.commit(changes, branch=MAIN, base=base, author=SOMEBODY, message="change").commit.id


def put(opened, contents):
    changes = ChangeSet()
    for path, content in contents.items():
        facts = opened.pool.receive([content])
        changes.put(RepoPath(path), Pointer(facts.address, facts.size))
    return commit(opened, changes)


def zipped(services, actor, opened, **wanted):
    download = services.downloads.archive(actor, opened.dataset.id, ArchiveRequest(ArchiveKind.ZIP, **wanted))
    return zipfile.ZipFile(io.BytesIO(b"".join(download.read(0, download.archive.size))))


def test_text_that_dvc_2_addressed_by_its_lf_form_is_listed_with_its_own_md5(services, alice, opened):
    address = digest(CRLF.replace(b"\r\n", b"\n")).md5
    facts = opened.pool.receive_legacy([CRLF], address=address)
    changes = ChangeSet()
    changes.put(RepoPath("notes.txt"), Pointer(facts.address, facts.size, is_legacy=True))
    commit(opened, changes)
    sums = services.downloads.checksums(alice[0], opened.dataset.id, ref=None, path="notes.txt")
    assert list(sums.lines("md5")) == [f"{hashlib.md5(CRLF).hexdigest()}  notes.txt\n".encode()]
    file = services.downloads.file(alice[0], opened.dataset.id, "notes.txt", None)
    assert b"".join(file.read(0, file.file.size)) == CRLF


def test_a_pointer_is_not_a_capability(services, alice, opened):
    changes = ChangeSet()
    changes.put(RepoPath("stolen.bin"), Pointer(digest(b"somebody else's").md5, 15))
    commit(opened, changes)
    with pytest.raises(FilesGoneError) as refused:
        services.downloads.file(alice[0], opened.dataset.id, "stolen.bin", None)
    assert refused.value.paths == ("stolen.bin",)
    (row,) = services.downloads.manifest(alice[0], opened.dataset.id, ref=None, path="stolen.bin").rows
    assert (row.size, row.sha256, bool(row.problem)) == (15, None, True)


def test_an_object_that_shrinks_while_it_is_sent_cuts_the_stream_off(services, alice, opened):
    content = bytes(3 << 20)
    put(opened, {"large.bin": content})
    download = services.downloads.archive(alice[0], opened.dataset.id, ArchiveRequest(ArchiveKind.TAR))
    stream = download.read(0, download.archive.size)
    next(stream)
    path = opened.pool.store.local_path(digest(content).md5)
    path.chmod(0o644)
    path.write_bytes(b"cut")
    with pytest.raises(IntegrityError):
        list(stream)


def test_an_archive_abandoned_in_the_middle_holds_no_file_open(services, alice, opened):
    put(opened, {"large.bin": bytes(3 << 20)})
    download = services.downloads.file(alice[0], opened.dataset.id, "large.bin", None)
    stream = download.read(0, download.file.size)
    next(iter(stream))
    stream.close()
    archive = services.downloads.archive(alice[0], opened.dataset.id, ArchiveRequest(ArchiveKind.ZIP))
    chunks = archive.read(0, archive.archive.size)
    next(chunks)
    chunks.close()


def test_a_version_known_by_heart_still_answers_for_each_folder(services, alice, opened):
    put(opened, {"a/one.bin": b"1", "b/two.bin": b"2"})
    whole = zipped(services, alice[0], opened)
    below = zipped(services, alice[0], opened, path="a")
    again = zipped(services, alice[0], opened)
    assert whole.namelist() == again.namelist() == ["README.md", "a/one.bin", "b/two.bin"]
    assert below.namelist() == ["a/one.bin"]


@pytest.mark.parametrize("content", ArchiveContent)
@pytest.mark.parametrize("name", [b"..", b".git", b"a\\b", b"line\nbreak"])
def test_a_hostile_folder_in_the_repository_reaches_no_archive(services, alice, opened, name, content):
    head = opened.repo.git.read_commit(opened.repo.head(MAIN))
    pack = PackWriter()
    blob = pack.add("blob", b"escaped")
    inner = pack.add("tree", trees.build({b"README.md": trees.Node(trees.BLOB, blob)}))
    root = dict(opened.repo.git.read_folder(bytes.fromhex(head.tree)).nodes)
    tree = pack.add("tree", trees.build(root | {name: trees.Node(trees.TREE, inner)}))
    raw = render_commit(
        tree=tree.hex(), parents=[head.id], author=SOMEBODY, committer=SOMEBODY, message="hostile"
    )
    evil = pack.add("commit", raw).hex()
    opened.repo.git.write_pack(pack)
    opened.repo.git.move_ref(HEADS + MAIN, evil, expected=head.id)
    with pytest.raises(FilesGoneError):
        zipped(services, alice[0], opened, content=content)
