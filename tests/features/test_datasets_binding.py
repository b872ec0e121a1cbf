"""The storage site of a dataset: chosen once, and nothing changes it."""

import multiprocessing
import sqlite3

import pytest
from sqlalchemy.exc import IntegrityError as SqlError

from app.access import AccessLevel, Action
from app.config import Config
from app.errors import ForbiddenError, TakenError
from app.services import build
from app.storage_sites.models import Provider
from app.storage_sites.service import SiteChange, SiteDraft
from gitops.errors import GitopsError, IntegrityError
from tests.steps import commit_behind, contents, make_dataset, put, race, repo_of

DVC_CONFIG, RECORD = ".dvc/config", ".cairn/dataset.yaml"


@pytest.fixture
def sites(services, config, admin):
    """Two more sites beside ``local``."""
    for name in ("one", "two"):
        folder = config.home.absolute() / "sites" / name
        folder.mkdir(parents=True)
        services.sites.register(admin[0], SiteDraft(name, Provider.LOCAL, str(folder)))
    return services.sites


def _text(services, dataset, path):
    return repo_of(services, dataset).at().read_raw(path)


def test_the_bound_site_is_written_into_the_repository(services, alice, sites):
    made = make_dataset(services, alice[0], storage_site=None)
    assert b"storage_site: null" in _text(services, made.id, RECORD)
    services.datasets.bind(alice[0], made.id, "one")
    assert b'name: "one"' in _text(services, made.id, RECORD)
    assert f"/one/{made.id}\n".encode() in _text(services, made.id, DVC_CONFIG)


def test_binding_the_same_site_again_changes_nothing_and_another_is_refused(services, alice, sites):
    """Invariant 3: a dataset's site never changes."""
    made = make_dataset(services, alice[0], storage_site="one")
    head = repo_of(services, made.id).head("main")
    assert services.datasets.bind(alice[0], made.id, "one").site_id == sites.resolve(alice[0], "one").id
    with pytest.raises(TakenError) as refused:
        services.datasets.bind(alice[0], made.id, "two")
    assert refused.value.error_code == "storage_site_bound"
    assert repo_of(services, made.id).head("main") == head


def test_a_developer_binds_nothing(services, alice, bob, sites):
    made = make_dataset(services, alice[0], storage_site=None)
    services.memberships.set_member(alice[0], made.id, "bob", AccessLevel.DEVELOPER)
    with pytest.raises(ForbiddenError):
        services.datasets.bind(bob[0], made.id, "one")


def test_a_binding_made_meanwhile_is_no_contradiction(services, alice, sites):
    made = make_dataset(services, alice[0], storage_site=None)
    opened = services.datasets.open(alice[0], made.id, Action.MAINTAIN)
    services.datasets.bind(alice[0], made.id, "one")
    assert services.datasets.gate.binding_problem(opened) is None


def test_of_sixteen_racing_binders_exactly_one_site_wins(services, alice, sites):
    """S15: two racing binders: one wins."""
    made = make_dataset(services, alice[0], storage_site=None)
    won, lost = race(16, lambda n: services.datasets.bind(alice[0], made.id, ("one", "two")[n % 2]).site_id)
    assert len(won) == 8
    assert len(set(won)) == 1
    assert {type(error) for error in lost} == {TakenError}
    bound = services.datasets.open(alice[0], made.id, Action.READ).dataset.site_id
    assert set(won) == {bound}
    assert f"/{sites.find(bound).name}/".encode() in _text(services, made.id, DVC_CONFIG)


def _bind_in_process(home, actor, dataset, site, gate, answers):
    services = build(Config(home=home, public_url="http://localhost"))
    gate.wait()
    try:
        answers.put(services.datasets.bind(actor, dataset, site).site_id)
    except TakenError:
        answers.put(None)
    services.close()


def test_of_two_racing_processes_exactly_one_wins(services, config, alice, sites):
    """S15: two racing binders: one wins, across processes too."""
    made = make_dataset(services, alice[0], storage_site=None)
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_bind_in_process, args=(config.home, alice[0], made.id, site, gate, answers))
        for site in ("one", "two")
    ]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert found.count(None) == 1
    assert services.datasets.open(alice[0], made.id, Action.WRITE).dataset.site_id in found


def test_sql_itself_refuses_another_site(services, config, alice, sites):
    """S15: direct SQL (trigger)."""
    made = make_dataset(services, alice[0], storage_site="one")
    other = sites.resolve(alice[0], "two").id
    for value in (other, None):
        with pytest.raises(SqlError, match="keeps its storage site"), services.database.transaction() as rows:
            rows.exec_driver_sql("UPDATE datasets SET site_id = ? WHERE id = ?", (value, made.id))
    with sqlite3.connect(config.home / "app.db") as raw, pytest.raises(sqlite3.IntegrityError):
        raw.execute("UPDATE OR REPLACE datasets SET site_id = ?", (other,))
    raw.close()
    assert services.datasets.open(alice[0], made.id, Action.READ).dataset.site_id != other


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (RECORD, b"/one/", b"/two/"),
        (RECORD, b"id: 1\n", b"id: 2\n"),
        (RECORD, b"provider: local", b"provider: s3"),
        (DVC_CONFIG, b"/one/", b"/two/"),
        (DVC_CONFIG, b"remote = cairn", b"remote = site"),
    ],
)
def test_a_hand_edited_repository_takes_no_changes_and_is_read_from_the_registered_site(
    services, alice, sites, path, old, new
):
    """S3, S15, invariant 3: edited files are never obeyed; only the bound site is used."""
    made = make_dataset(services, alice[0], storage_site="one")
    put(services, alice[0], made.id, {"a.bin": b"bytes"})
    text = _text(services, made.id, path)
    assert old in text
    commit_behind(services, made.id, {path: text.replace(old, new)})
    with pytest.raises(IntegrityError, match=path):
        put(services, alice[0], made.id, {"b.bin": b"bytes"})
    with pytest.raises(IntegrityError):
        services.uploads.open(alice[0], made.id)
    with pytest.raises(IntegrityError):
        services.datasets.bind(alice[0], made.id, "two")
    assert contents(services, alice[0], made.id)["a.bin"] == b"bytes"
    assert path in services.datasets.overview(alice[0], made.id).problem
    # Who owns it, and who may see it, has nothing to do with the files.
    services.datasets.update(alice[0], made.id, {"description": "Closed for repair"})
    commit_behind(services, made.id, {path: text})
    assert put(services, alice[0], made.id, {"b.bin": b"bytes"})


def test_a_record_that_was_removed_is_a_contradiction_too(services, alice, sites):
    made = make_dataset(services, alice[0], storage_site="one")
    commit_behind(services, made.id, {RECORD: None, DVC_CONFIG: None})
    with pytest.raises(IntegrityError):
        put(services, alice[0], made.id, {"b.bin": b"bytes"})


def test_a_planted_site_of_an_unbound_dataset_is_a_contradiction(services, alice, sites):
    made = make_dataset(services, alice[0], storage_site=None)
    planted = _text(services, made.id, DVC_CONFIG) + b"['remote \"site\"']\n    url = /evil\n"
    commit_behind(services, made.id, {DVC_CONFIG: planted})
    with pytest.raises(IntegrityError):
        put(services, alice[0], made.id, {"README.md": b"text"})


def test_a_site_may_be_renamed_without_hurting_its_datasets(services, alice, admin, sites):
    made = make_dataset(services, alice[0], storage_site="one")
    sites.change(admin[0], "one", SiteChange(name="renamed"))
    assert put(services, alice[0], made.id, {"b.bin": b"bytes"})
    assert services.datasets.overview(alice[0], made.id).problem is None


def _crash_while_recording(services, monkeypatch, actor, dataset):
    def crash(*_args, **_kwargs):
        raise GitopsError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(services.datasets.gate, "record_binding", crash)
        with pytest.raises(GitopsError):
            services.datasets.bind(actor, dataset, "one")
    assert b"storage_site: null" in _text(services, dataset, RECORD)


def test_a_binding_that_a_crash_left_unwritten_is_written_by_its_job(
    services, clock, alice, sites, monkeypatch
):
    """Invariant 1: a crash between SQL and commit heals without a hand."""
    made = make_dataset(services, alice[0], storage_site=None)
    _crash_while_recording(services, monkeypatch, alice[0], made.id)
    assert services.datasets.overview(alice[0], made.id).problem is None
    assert b"storage_site: null" in _text(services, made.id, RECORD)
    clock.advance(minutes=2)
    services.jobs.run_pending()
    assert b'name: "one"' in _text(services, made.id, RECORD)


def test_the_next_change_writes_a_binding_that_is_missing(services, alice, sites, monkeypatch):
    made = make_dataset(services, alice[0], storage_site=None)
    _crash_while_recording(services, monkeypatch, alice[0], made.id)
    put(services, alice[0], made.id, {"a.bin": b"bytes"})
    assert b'name: "one"' in _text(services, made.id, RECORD)


def test_no_restore_and_no_revert_brings_another_site_back(services, alice, sites):
    """S15: restore changes no bound site."""
    made = make_dataset(services, alice[0], storage_site=None)
    first = repo_of(services, made.id).head("main")
    put(services, alice[0], made.id, {"README.md": b"unbound"})
    services.datasets.bind(alice[0], made.id, "one")
    bound = _text(services, made.id, RECORD)
    services.versions.restore(alice[0], made.id, first, "", branch=None)
    assert _text(services, made.id, RECORD) == bound
    repo = repo_of(services, made.id)
    binding = list(repo.log(repo.head("main")))[1]
    assert binding.title.startswith("Bind")
    with pytest.raises(GitopsError):
        services.versions.revert(alice[0], made.id, binding.id, branch=None)
    assert _text(services, made.id, RECORD) == bound
