"""What the pages that read a dataset show."""

import shlex
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from markupsafe import Markup

from app.datasets.views import DatasetFrame
from app.downloads.models import ArchiveKind, archive_name
from app.downloads.service import Pinned
from app.storage_sites.models import Site
from app.versions.models import Version
from app.web.rendering import FormFault
from gitops.media_types import media_type
from gitops.model import ROOT, Branch, Commit, CommitId, Entry, EntryKind, RefName, Tag, Totals

RASTER = frozenset({"image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"})
MAX_PICTURE_BYTES = 8_000_000
MAX_THUMBNAIL_BYTES = 1_500_000
MAX_PREVIEW_BYTES = 128 * 1024
_TEXTUAL = frozenset({"json", "yaml", "toml", "xml", "geo+json", "jsonl", "x-ndjson", "x-ipynb+json", "sql"})
_TABLES = frozenset({"text/csv", "text/tab-separated-values", "application/vnd.apache.parquet"})
_PACKS = frozenset({"application/zip", "application/gzip", "application/x-tar", "application/zstd"})
_SHOWN_REFS = 40


@dataclass(frozen=True, slots=True)
class VersionBar:
    """Which version everything on the page is true of.

    Attributes:
        ref: as typed, or the default branch.
        is_pinned: the address of the page is permanent.
    """

    ref: str
    commit: Commit
    is_pinned: bool
    totals: Totals
    branches: tuple[Branch, ...]
    tags: tuple[Tag, ...]
    default_branch: RefName
    default_head: CommitId | None

    @classmethod
    def of(cls, at: Pinned) -> "VersionBar":
        """Return the bar of what was opened."""
        branches = tuple(at.opened.repo.branches())
        default = at.opened.dataset.default_branch
        head = next((branch.commit for branch in branches if branch.name == default), None)
        return cls(
            at.ref,
            at.snapshot.commit,
            at.is_pinned,
            at.snapshot.totals(),
            branches,
            tuple(at.opened.repo.tags()),
            default,
            head,
        )

    @property
    def branch(self) -> RefName | None:
        """The branch that changes made on this page go to; None at a tag or commit."""
        if any(tag.name == self.ref for tag in self.tags):
            return None
        return next((branch.name for branch in self.branches if branch.name == self.ref), None)

    @property
    def shown_ref(self) -> str:
        """The ref, shortened if it is a full commit id."""
        return self.commit.id[:8] if self.is_pinned else self.ref

    @property
    def query_ref(self) -> str | None:
        """What ``?ref=`` carries to stay at this version; None for the default branch."""
        return None if self.ref == self.default_branch else self.ref

    @property
    def releases(self) -> tuple[Tag, ...]:
        """The tags that the switcher offers."""
        return self.tags[:_SHOWN_REFS]

    @property
    def lines(self) -> tuple[Branch, ...]:
        """The branches that the switcher offers, the default one first."""
        ranked = sorted(self.branches, key=lambda branch: (branch.name != self.default_branch, branch.name))
        return tuple(ranked[:_SHOWN_REFS])

    @property
    def is_old(self) -> bool:
        """The page shows something other than the newest version of the default branch, and no branch."""
        return self.branch is None and self.commit.id != self.default_head

    @property
    def exact_ref(self) -> str:
        """The shortest ref that will always mean this version: a release's name, else the commit id."""
        release = next(
            (tag.name for tag in self.tags if tag.is_release and tag.commit == self.commit.id), None
        )
        return release or self.commit.id


@dataclass(frozen=True, slots=True)
class Command:
    """Something to copy into a terminal."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The addresses that commands name."""

    public_url: str
    dataset_id: int
    full_path: str
    is_public: bool

    def curl(self, path: str, ref: str, quoted_path: str) -> Command:
        """Return the command that downloads one file."""
        url = f"{self.public_url}/api/v1/datasets/{self.dataset_id}/files/{quoted_path}?ref={quote(ref)}"
        name = shlex.quote(path.rpartition("/")[2])
        return Command("One file with curl", f"curl -L {self._token}{shlex.quote(url)} --output {name}")

    def archive(self, ref: str) -> Command:
        """Return the command that downloads everything as one file."""
        url = f"{self.public_url}/api/v1/datasets/{self.dataset_id}/archive.zip?ref={quote(ref)}"
        name = archive_name(self.full_path.rpartition("/")[2], ref, ROOT, ArchiveKind.ZIP)
        # Not -OJ: curl refuses to resume under a name that the answer gives.
        text = f"curl -L {self._token}-C - {shlex.quote(url)} --output {shlex.quote(name)}"
        return Command("Everything as one zip file", text)

    def client(self, ref: str, path: str = "") -> Command:
        """Return the command line's download, which checks every file."""
        name = self.full_path.rpartition("/")[2]
        # A word that begins with a dash would be read as an option.
        one = f" {'-- ' if path.startswith('-') else ''}{shlex.quote(path)}" if path else ""
        text = (
            f"export CAIRN_ENDPOINT={self.public_url}\n"
            f"cairn download --project-id {self.dataset_id} --ref {shlex.quote(ref)} --output {name}{one}"
        )
        return Command("With the command line, verified", text)

    def clone(self, ref: str) -> Command:
        """Return git and DVC's own way."""
        name = self.full_path.rpartition("/")[2]
        text = (
            f"git clone {self.public_url}/{self.full_path}.git && cd {name}\n"
            f"git checkout {shlex.quote(ref)}\ncairn dvc-login\ndvc pull"
        )
        return Command("With git and DVC", text)

    @property
    def _token(self) -> str:
        return "" if self.is_public else '-H "PRIVATE-TOKEN: $CAIRN_TOKEN" '


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """The first page of a dataset. Everything about content is None for those who may not read it."""

    frame: DatasetFrame
    site: Site | None
    problem: str | None
    stored_bytes: int
    bar: VersionBar | None = None
    readme: Markup | None = None
    readme_path: str = ""
    commands: tuple[Command, ...] = ()
    pictures: tuple[Entry, ...] = ()
    sites: tuple[Site, ...] = ()
    search: str = ""
    fault: FormFault | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing was uploaded yet: only the card of the first version is there."""
        return self.bar is not None and self.bar.totals.files <= 1


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of a folder; ``totals`` for folders only."""

    entry: Entry
    totals: Totals | None = None

    @property
    def is_folder(self) -> bool:
        """It is a folder."""
        return self.entry.kind is EntryKind.FOLDER

    @property
    def kind(self) -> str:
        """The kind in words: the media type's most telling part."""
        if self.is_folder:
            return "folder"
        return kind_words(media_type(self.entry.name))

    @property
    def icon(self) -> str:
        """The name of the icon."""
        return "folder" if self.is_folder else icon_of(media_type(self.entry.name))

    @property
    def has_thumbnail(self) -> bool:
        """A browser can show it in a grid without being sent much."""
        size = self.entry.size
        is_small = size is not None and size <= MAX_THUMBNAIL_BYTES
        return is_small and not self.entry.problem and media_type(self.entry.name) in RASTER


@dataclass(frozen=True, slots=True)
class FilesPage:
    """A folder at a version."""

    frame: DatasetFrame
    bar: VersionBar
    folder: str
    rows: tuple[FileRow, ...]
    next_after: str | None
    totals: Totals
    is_grid: bool
    upload_message: str = ""

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Each folder on the way down: its name and path."""
        return crumbs_of(self.folder)

    @property
    def has_thumbnails(self) -> bool:
        """There is something to show in a grid."""
        return any(row.has_thumbnail for row in self.rows)

    @property
    def may_change(self) -> bool:
        """The visitor may change files here: a branch is shown, and the dataset has its site."""
        return self.bar.branch is not None and self.frame.may_write and self.frame.is_bound


@dataclass(frozen=True, slots=True)
class FilePage:
    """One file at a version.

    Attributes:
        trouble: why its bytes cannot be had, in words.
        text: its content, for small text.
    """

    frame: DatasetFrame
    bar: VersionBar
    entry: Entry
    size: int | None
    md5: str | None
    sha256: str | None
    history: tuple[Version, ...]
    commands: tuple[Command, ...]
    text: str | None = None
    trouble: str | None = None

    @property
    def media_type(self) -> str:
        """The media type that the name suggests."""
        return media_type(self.entry.name)

    @property
    def icon(self) -> str:
        """The name of the icon."""
        return icon_of(self.media_type)

    @property
    def has_picture(self) -> bool:
        """A browser can show it: a raster image of moderate size, never anything that could run."""
        is_small = self.size is not None and self.size <= MAX_PICTURE_BYTES
        return self.trouble is None and is_small and self.media_type in RASTER

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Each folder on the way down, and the file."""
        return crumbs_of(self.entry.path)

    @property
    def folder(self) -> str:
        """The folder that it lies in."""
        return self.entry.path.rpartition("/")[0]

    @property
    def may_change(self) -> bool:
        """The visitor may delete or replace it here."""
        return self.bar.branch is not None and self.frame.may_write and self.frame.is_bound

    @property
    def newest(self) -> datetime | None:
        """When it was last changed."""
        return self.history[0].commit.author.when if self.history else None


def crumbs_of(path: str) -> list[tuple[str, str]]:
    """Return each segment of a path with the path that it ends."""
    if not path:
        return []
    segments = path.split("/")
    return [(segment, "/".join(segments[: index + 1])) for index, segment in enumerate(segments)]


def kind_words(kind: str) -> str:
    """Return a media type as people call it: ``PNG image``, ``CSV text``, ``data``."""
    family, _, name = kind.partition("/")
    plain = name.removeprefix("x-").removeprefix("vnd.").rpartition(".")[2].partition("+")[0]
    if family in {"image", "audio", "video"}:
        return f"{plain.upper()} {family}"
    if kind == "text/plain":
        return "text"
    return "data" if plain == "octet-stream" else plain.replace("-", " ")


def icon_of(kind: str) -> str:
    """Return the name of the icon that stands for a media type."""
    family = kind.partition("/")[0]
    if kind in _TABLES:
        return "table"
    if kind in _PACKS:
        return "pack"
    if is_textual(kind):
        return "text"
    return {"image": "image", "audio": "media", "video": "media"}.get(family, "file")


def is_textual(kind: str) -> bool:
    """Tell whether a media type promises text."""
    family, _, name = kind.partition("/")
    return family == "text" or name in _TEXTUAL
