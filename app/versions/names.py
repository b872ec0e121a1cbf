"""Names of versions: tags, releases and branches."""

from app.access import Action, Actor
from app.datasets.service import DatasetService, OpenDataset
from gitops.model import Branch, CommitId, RefName, Tag


class NameService:
    """Gives versions names and takes them away; a release keeps its name for ever."""

    def __init__(self, datasets: DatasetService) -> None:
        self._datasets = datasets

    def tags(self, actor: Actor, dataset: int | str) -> list[Tag]:
        """Return all tags, newest version number first."""
        return self._datasets.open(actor, dataset, Action.READ).repo.tags()

    def create_tag(
        self, actor: Actor, dataset: int | str, name: RefName, ref: RefName | CommitId, *, notes: str | None
    ) -> Tag:
        """Name a version; with notes it is a release and never moves."""
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        commit = opened.repo.resolve(ref)
        return opened.repo.tag(name, commit, author=self._datasets.signature(actor), notes=notes)

    def delete_tag(self, actor: Actor, dataset: int | str, name: RefName) -> None:
        """Remove a tag; a release needs a maintainer, and its name stays given."""
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        found = opened.repo.git.find_tag(name)
        if found and found.is_release:
            opened = self._datasets.open(actor, dataset, Action.MAINTAIN)
        opened.repo.delete_tag(name)

    def branches(self, actor: Actor, dataset: int | str) -> tuple[OpenDataset, list[Branch]]:
        """Return all branches."""
        opened = self._datasets.open(actor, dataset, Action.READ)
        return opened, opened.repo.branches()

    def create_branch(
        self, actor: Actor, dataset: int | str, name: RefName, ref: RefName | CommitId
    ) -> Branch:
        """Start a branch at a version."""
        opened = self._datasets.open(actor, dataset, Action.WRITE)
        return opened.repo.create_branch(name, opened.repo.resolve(ref))

    def delete_branch(self, actor: Actor, dataset: int | str, name: RefName) -> None:
        """Remove a branch; its versions stay readable by their ids."""
        self._datasets.open(actor, dataset, Action.WRITE).repo.delete_branch(name)
