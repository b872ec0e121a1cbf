"""HTML routes of datasets: the list, creating one, the page of a namespace."""

from flask import Blueprint, Response, request, url_for

from app.access import AccessLevel, Action, UserId, Visibility, allows
from app.datasets.cursors import cursor_of, position_of
from app.datasets.models import DatasetFilter
from app.datasets.views import (
    SORTS,
    DatasetDraft,
    DatasetQueryForm,
    DatasetsPage,
    Facet,
    ListedDatasets,
    NamespacePage,
    NewDatasetPage,
)
from app.errors import AppError, ForbiddenError, MissingError
from app.namespaces.models import OpenNamespace
from app.namespaces.views import MemberRow
from app.storage_sites.models import SiteId
from app.web.context import actor, services
from app.web.guards import Role, require
from app.web.rendering import FormFault, page, see_other

pages = Blueprint("datasets", __name__)
namespace_pages = Blueprint("namespace_pages", __name__)

_ROWS = 30
_SITES = 1000
_MEMBERS = 200
_LONGEST = 200


@pages.get("/")
def start() -> Response:
    """Lead to the datasets."""
    return see_other(url_for("datasets.index"))


@pages.get("/datasets")
def index() -> Response:
    """List the datasets that the visitor may see: search, facets, sort."""
    form = _query_form()
    wanted = DatasetFilter(
        search=form.q or None,
        topic=form.topic or None,
        visibility=Visibility(form.visibility) if form.visibility else None,
        namespace_id=_namespace_id(form.namespace),
    )
    listed = _listed(wanted, form.sort)
    counts = services().catalog.facets(actor(), wanted)
    facets = tuple(
        Facet.of(name, getattr(form, name), counts.get(name, {}))
        for name in ("topic", "namespace", "visibility")
    )
    count = sum(counts.get("visibility", {}).values())
    return page("datasets/index.html", DatasetsPage(listed.rows, form, facets, count, listed.next_cursor))


@pages.get("/datasets/new")
def new() -> Response:
    """Show the form that creates a dataset."""
    require(Role.USER, is_change=False)
    return _new_page(DatasetDraft(namespace=request.args.get("namespace", actor().username)))


@pages.post("/datasets/new")
def create() -> Response:
    """Create a dataset and go to its page."""
    require(Role.USER, is_change=True)
    form = request.form
    draft = DatasetDraft(
        name=form.get("name", "").strip(),
        namespace=form.get("namespace", ""),
        path=form.get("path", "").strip(),
        description=form.get("description", "").strip(),
        visibility=form.get("visibility", Visibility.PRIVATE.value),
        topics=form.get("topics", ""),
        storage_site=form.get("storage_site", ""),
    )
    try:
        made = services().datasets.create(
            actor(),
            name=draft.name,
            namespace=draft.namespace or None,
            path=draft.path or None,
            description=draft.description,
            visibility=_visibility(draft.visibility) or Visibility.PRIVATE,
            topics=draft.topic_list(),
            storage_site=draft.storage_site or None,
        )
    except AppError as error:
        return _new_page(draft, FormFault.of(error))
    target = url_for("reading.overview", namespace=made.namespace_path, name=made.path)
    return see_other(target, "The dataset was created.")


@pages.get("/datasets/<int:dataset>")
def by_id(dataset: int) -> Response:
    """Lead from a dataset's id to its page."""
    found = services().datasets.open(actor(), dataset, Action.SEE).dataset
    return see_other(url_for("reading.overview", namespace=found.namespace_path, name=found.path))


@namespace_pages.get("/<namespace:namespace>")
def show(namespace: str) -> Response:
    """Show a namespace with its datasets, and its members to those who may read it."""
    opened = services().namespaces.open(actor(), namespace, Action.SEE)
    listed = _listed(DatasetFilter(namespace_id=opened.namespace.id), "-updated_at")
    model = NamespacePage(
        opened,
        listed.rows,
        _members_of(opened),
        listed.next_cursor,
        may_create=allows(actor(), Action.WRITE, opened.level),
        may_maintain=allows(actor(), Action.MAINTAIN, opened.level),
    )
    return page("namespaces/show.html", model)


def _members_of(opened: OpenNamespace) -> tuple[MemberRow, ...]:
    if actor().is_anonymous or not allows(actor(), Action.READ, opened.level):
        return ()
    path = opened.namespace.path
    found = services().namespaces.members(actor(), path, after=UserId(0), limit=_MEMBERS)
    ranked = sorted(found, key=lambda member: (-member.membership.level, member.username.casefold()))
    return tuple(
        MemberRow(
            member.username,
            member.name,
            AccessLevel(member.membership.level),
            is_self=member.username == actor().username,
            may_remove=False,
        )
        for member in ranked
    )


def _listed(wanted: DatasetFilter, sort: str) -> ListedDatasets:
    """Return one page of datasets with their sizes, from where the address says."""
    key = sort.removeprefix("-")
    found = services().catalog.page(
        actor(),
        wanted,
        sort=key,
        is_descending=sort.startswith("-"),
        after=position_of(request.args.get("cursor"), key),
        limit=_ROWS + 1,
    )
    shown = tuple(found[:_ROWS])
    totals = services().catalog.totals(actor(), shown)
    return ListedDatasets(shown, totals, cursor_of(shown[-1], key) if len(found) > _ROWS else None)


def _new_page(draft: DatasetDraft, fault: FormFault | None = None) -> Response:
    homes = tuple(services().namespaces.homes(actor()))
    sites = tuple(services().sites.page(actor(), after=SiteId(0), limit=_SITES))
    model = NewDatasetPage(draft, homes, sites, fault)
    return page("datasets/new.html", model, status=fault.status if fault else 200)


def _query_form() -> DatasetQueryForm:
    """Return the filters as typed; what makes no sense is left out, as old links must not break."""
    query = request.args
    sort = query.get("sort", "")
    visibility = _visibility(query.get("visibility", ""))
    return DatasetQueryForm(
        q=query.get("q", query.get("search", "")).strip()[:_LONGEST],
        topic=query.get("topic", "").strip()[:_LONGEST],
        visibility=visibility.value if visibility else "",
        namespace=query.get("namespace", "").strip()[:_LONGEST],
        sort=sort if sort in dict(SORTS) else SORTS[0][0],
    )


def _namespace_id(address: str) -> int | None:
    """Return a namespace's id for the filter; one that nobody may see matches nothing."""
    if not address:
        return None
    try:
        return services().namespaces.open(actor(), address, Action.SEE).namespace.id
    except (MissingError, ForbiddenError):
        return 0


def _visibility(raw: str) -> Visibility | None:
    return Visibility(raw) if raw in set(Visibility) else None
