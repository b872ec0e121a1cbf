"""What the pages of datasets show."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.access import AccessLevel, Action, Actor, Visibility, allows
from app.datasets.models import Dataset, DatasetId, Member
from app.datasets.service import OpenDataset
from app.namespaces.models import Namespace, OpenNamespace
from app.namespaces.views import LEVELS, VISIBILITIES, MemberRow
from app.storage_sites.models import Site
from app.web.rendering import FormFault
from gitops.model import Totals

Option = tuple[str, str, str, bool]
SORTS = (
    ("-updated_at", "Recently updated"),
    ("name", "Name"),
    ("-created_at", "Newest"),
)
_FACETS_SHOWN = 12


class Tab(StrEnum):
    """Which of a dataset's tabs a page belongs to."""

    OVERVIEW = "overview"
    FILES = "files"
    VERSIONS = "versions"
    RELEASES = "releases"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class DatasetFrame:
    """What stands above every page of a dataset."""

    dataset: Dataset
    tab: Tab
    actor: Actor
    level: AccessLevel

    @classmethod
    def of(cls, opened: OpenDataset, tab: Tab) -> "DatasetFrame":
        """Return the frame of a dataset that the visitor was let into."""
        return cls(opened.dataset, tab, opened.actor, opened.level)

    @property
    def may_read(self) -> bool:
        """The visitor may read the content."""
        return allows(self.actor, Action.READ, self.level)

    @property
    def may_write(self) -> bool:
        """The visitor may change the content of the default branch."""
        is_kept = self.dataset.push_level > AccessLevel.DEVELOPER
        return allows(self.actor, Action.MAINTAIN if is_kept else Action.WRITE, self.level)

    @property
    def may_maintain(self) -> bool:
        """The visitor may change settings and members, and bind the storage site."""
        return allows(self.actor, Action.MAINTAIN, self.level)

    @property
    def may_own(self) -> bool:
        """The visitor may change the visibility and delete the dataset."""
        return allows(self.actor, Action.OWN, self.level)

    @property
    def where(self) -> dict[str, str]:
        """The parts of the address of every page of the dataset."""
        return {"namespace": self.dataset.namespace_path, "name": self.dataset.path}

    @property
    def is_bound(self) -> bool:
        """The dataset has its storage site."""
        return self.dataset.site_id is not None


@dataclass(frozen=True, slots=True)
class DatasetQueryForm:
    """The filters of the list as typed."""

    q: str = ""
    topic: str = ""
    visibility: str = ""
    namespace: str = ""
    sort: str = "-updated_at"

    @property
    def is_filtered(self) -> bool:
        """Something is left out of the list."""
        return bool(self.q or self.topic or self.visibility or self.namespace)

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """The filters beside the search words, for an empty list to offer to drop."""
        pairs = (("topic", self.topic), ("visibility", self.visibility), ("namespace", self.namespace))
        return [(name, value) for name, value in pairs if value]


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow the list: its name and the values that occur, the most frequent first."""

    name: str
    chosen: str
    values: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, name: str, chosen: str, counts: dict[str, int]) -> "Facet":
        """Return the most frequent values, and the chosen one in any case."""
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0].casefold()))
        shown = ranked[:_FACETS_SHOWN]
        if chosen and chosen not in dict(shown):
            shown.append((chosen, counts.get(chosen, 0)))
        return cls(name, chosen, tuple(shown))


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset of a list; ``totals`` None where the visitor may not read the content."""

    dataset: Dataset
    totals: Totals | None


@dataclass(frozen=True, slots=True)
class DatasetsPage:
    """The list of datasets."""

    rows: tuple[DatasetRow, ...]
    form: DatasetQueryForm
    facets: tuple[Facet, ...]
    count: int
    next_cursor: str | None
    sorts: tuple[tuple[str, str], ...] = SORTS


@dataclass(frozen=True, slots=True)
class DatasetDraft:
    """The form of a dataset as typed."""

    name: str = ""
    namespace: str = ""
    path: str = ""
    description: str = ""
    visibility: str = Visibility.PRIVATE.value
    topics: str = ""
    storage_site: str = ""

    def topic_list(self) -> list[str]:
        """Return the topics, which commas separate."""
        return [topic.strip() for topic in self.topics.split(",") if topic.strip()]


@dataclass(frozen=True, slots=True)
class NewDatasetPage:
    """The form that creates a dataset."""

    draft: DatasetDraft
    homes: tuple[Namespace, ...]
    sites: tuple[Site, ...]
    fault: FormFault | None = None
    visibilities: tuple[Option, ...] = VISIBILITIES

    @property
    def namespaces(self) -> list[tuple[str, str]]:
        """The namespaces to choose from, each with how visible things in it may be."""
        return [(home.path, f"{home.path} ({home.visibility.value})") for home in self.homes]

    @property
    def site_options(self) -> list[tuple[str, str]]:
        """The storage sites to choose from."""
        rows = [(site.name, f"{site.name} ({site.provider.value})") for site in self.sites]
        return [("", "Choose later"), *rows]


@dataclass(frozen=True, slots=True)
class GeneralPage:
    """The general settings of a dataset."""

    frame: DatasetFrame
    draft: DatasetDraft
    push_level: int
    fault: FormFault | None = None

    @property
    def visibilities(self) -> list[Option]:
        """All visibilities; only owners may choose."""
        locked = not self.frame.may_own
        return [(value, words, explained, locked) for value, words, explained, _ in VISIBILITIES]


@dataclass(frozen=True, slots=True)
class MembersPage:
    """The members of a dataset."""

    frame: DatasetFrame
    members: tuple[Member, ...]
    username: str = ""
    fault: FormFault | None = None

    @property
    def rows(self) -> list[MemberRow]:
        """The members, and whom the visitor may remove here."""
        visitor = self.frame.actor.username
        return [
            MemberRow(
                member.username,
                member.name,
                member.level,
                is_self=member.username == visitor,
                may_remove=not member.is_inherited
                and (
                    member.username == visitor
                    or (self.frame.may_maintain and member.level <= self.frame.level)
                ),
                is_inherited=member.is_inherited,
            )
            for member in self.members
        ]

    @property
    def levels(self) -> list[tuple[int, str]]:
        """The levels that the visitor may grant."""
        return [row for row in LEVELS if row[0] <= self.frame.level]


@dataclass(frozen=True, slots=True)
class SitePage:
    """The storage site of a dataset: the bound one, or those to choose from."""

    frame: DatasetFrame
    bound: Site | None
    sites: tuple[Site, ...] = ()
    search: str = ""
    fault: FormFault | None = None


@dataclass(frozen=True, slots=True)
class DangerPage:
    """Deleting a dataset, and taking that back."""

    frame: DatasetFrame
    days: int
    fault: FormFault | None = None


@dataclass(frozen=True, slots=True)
class NamespacePage:
    """A namespace with its datasets and members."""

    open: OpenNamespace
    rows: tuple[DatasetRow, ...]
    members: tuple[MemberRow, ...]
    next_cursor: str | None
    may_create: bool
    may_maintain: bool


@dataclass(frozen=True, slots=True)
class ListedDatasets:
    """One page of datasets with their sizes."""

    datasets: tuple[Dataset, ...]
    totals: dict[DatasetId, Totals] = field(default_factory=dict)
    next_cursor: str | None = None

    @property
    def rows(self) -> tuple[DatasetRow, ...]:
        """The rows of the list."""
        return tuple(DatasetRow(dataset, self.totals.get(dataset.id)) for dataset in self.datasets)
