"""The Python interface against the real service."""

import pytest

from cairn import Client, NotFoundError


@pytest.fixture
def client(live):
    return Client(live.url, live.token)


def test_the_tour_of_the_documentation(client, sample, tmp_path):
    dataset = client.create_dataset("tour", storage_site="local")
    done = dataset.upload(sample, "raw", message="First")
    snapshot = dataset.at("main")
    assert snapshot.commit_id == done.commit["commit_id"]
    assert snapshot.read("/raw/README.md") == b"# Cells\n"
    assert {row["name"] for row in snapshot.tree("raw")} >= {"README.md", "a.jpg", "dataset"}
    snapshot.download(tmp_path / "out", ["raw/dataset"])
    assert (tmp_path / "out/raw/dataset/x/a.jpg").read_bytes() == (sample / "dataset/x/a.jpg").read_bytes()


def test_a_snapshot_stays_when_the_branch_moves(client, sample):
    dataset = client.create_dataset("pinned", storage_site="local")
    dataset.upload(sample / "a.jpg", message="First")
    snapshot = dataset.at()
    (sample / "a.jpg").write_bytes(b"changed")
    dataset.upload(sample / "a.jpg", message="Second")
    assert len(snapshot.read("a.jpg")) == 3000
    assert dataset.at().read("a.jpg") == b"changed"
    assert [row["title"] for row in dataset.commits()][:2] == ["Second", "First"]


def test_many_writers_lose_nothing(live, client, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    dataset = client.create_dataset("writers", storage_site="local")

    def write(number: int) -> None:
        path = tmp_path / f"{number}.bin"
        path.write_bytes(b"%d" % number)
        Client(live.url, live.token).dataset(dataset.name).upload(path, message=str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    assert {file.path for file in dataset.at().files()} >= {f"{number}.bin" for number in range(12)}


def test_what_is_invisible_is_missing(live, client, sample):
    dataset = client.create_dataset("hidden", storage_site="local", visibility="private")
    with pytest.raises(NotFoundError):
        Client(live.url).dataset(dataset.name).at()
