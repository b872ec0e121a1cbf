"""What a push to a project may import: exactly what a dataset holds that the pusher may read.

A pointer of ``dvc import`` claims that a path of a dataset, at one commit, has an address. The claim
is checked by computing the address anew. Nothing is ever served because of it: the project's own doors
know only the project's own pool, and DVC fetches from the dataset with the puller's own permission.
"""

from app.access import Actor
from app.downloads.service import DownloadService
from app.errors import ForbiddenError, MissingError, UnauthenticatedError
from app.projects.models import address_in
from app.projects.pinning import content_at
from gitops.errors import GitopsError, UnavailableError
from gitops.imports import WHOLE, Imported, ImportSource
from gitops.model import ROOT, Pointer, RepoPath, parse_path


class ReadableImports:
    """Judges the imports of one push.

    Args:
        downloads: reads versions with the pusher's own permission.
        actor: who pushes.
        service: the address of this service, without a slash at its end.
    """

    def __init__(self, downloads: DownloadService, actor: Actor, *, service: str) -> None:
        self._downloads = downloads
        self._actor = actor
        self._service = service
        self._known: dict[tuple[str, str, str], Imported | None] = {}

    def fault(self, source: ImportSource, pointer: Pointer) -> str | None:
        """Return why a pointer is not what its source holds, or None. O(files below the path), once each."""
        dataset = address_in(source.url, self._service)
        if dataset is None:
            return (
                "it imports from an address that is not a dataset's clone URL of this service (without user "
                "and password): dvc get and dvc add it"
            )
        key = (dataset, source.commit, source.path)
        try:
            if key not in self._known:
                self._known[key] = self._content(dataset, source)
        except UnavailableError:
            raise
        except (MissingError, ForbiddenError, UnauthenticatedError, GitopsError):
            return f"{source.url} has no {source.path!r} at {source.commit[:12]} that you may read"
        held = self._known[key]
        if held is None:
            return f"what {source.path!r} holds at {source.commit[:12]} cannot be told without DVC"
        if (pointer.md5, pointer.size) != (held.address, held.size):
            return (
                f"{source.path!r} has the address {held.address} at {source.commit[:12]}, not {pointer.md5}"
            )
        return None

    def _content(self, dataset: str, source: ImportSource) -> Imported | None:
        path = ROOT if source.path in (WHOLE, "/") else parse_path(source.path)
        manifest = self._downloads.manifest(self._actor, dataset, ref=source.commit, path=path)
        return content_at(manifest, RepoPath(path))
