"""HTML routes of storage sites, for administrators."""

from flask import Blueprint, Response, request, url_for

from app.errors import AppError, FieldFault, ValidationError
from app.storage_sites.models import Probe, Provider, SiteId
from app.storage_sites.service import SiteDraft
from app.storage_sites.views import SiteForm, SitesPage
from app.web.context import actor, services
from app.web.guards import Role, require
from app.web.rendering import FormFault, page, see_other

pages = Blueprint("storage_sites", __name__)

_ROWS = 1000


@pages.get("/admin/sites")
def index() -> Response:
    """Show the sites, and the form that registers one."""
    require(Role.ADMIN, is_change=False)
    return _page(SiteForm())


@pages.post("/admin/sites")
def register() -> Response:
    """Register a site."""
    require(Role.ADMIN, is_change=True)
    form = request.form
    draft = SiteForm(
        name=form.get("name", "").strip(),
        provider=form.get("provider", ""),
        url=form.get("url", "").strip(),
        endpoint_url=form.get("endpoint_url", "").strip(),
        region=form.get("region", "").strip(),
    )
    try:
        services().sites.register(
            actor(),
            SiteDraft(
                name=draft.name,
                provider=_provider(draft.provider),
                url=draft.url,
                endpoint_url=draft.endpoint_url or None,
                region=draft.region or None,
            ),
        )
    except AppError as error:
        return _page(draft, FormFault.of(error))
    return see_other(url_for("storage_sites.index"), f"The storage site {draft.name} was registered.")


@pages.post("/admin/sites/<int:site>/check")
def check(site: int) -> Response:
    """Try a site, and show what each probe found."""
    require(Role.ADMIN, is_change=True)
    probes = services().sites.check(actor(), str(site))
    return _page(SiteForm(), checked=services().sites.find(site).name, probes=tuple(probes))


@pages.post("/admin/sites/<int:site>/delete")
def delete(site: int) -> Response:
    """Remove a site that no dataset is bound to."""
    require(Role.ADMIN, is_change=True)
    try:
        services().sites.delete(actor(), str(site))
    except AppError as error:
        return _page(SiteForm(), FormFault.of(error))
    return see_other(url_for("storage_sites.index"), "The storage site was removed.")


def _page(
    draft: SiteForm,
    fault: FormFault | None = None,
    *,
    checked: str | None = None,
    probes: tuple[Probe, ...] = (),
) -> Response:
    sites = services().sites.page(actor(), after=SiteId(0), limit=_ROWS)
    model = SitesPage(tuple(sites), draft, fault, checked, probes)
    return page("storage_sites/index.html", model, status=fault.status if fault else 200)


def _provider(raw: str) -> Provider:
    try:
        return Provider(raw)
    except ValueError as error:
        reason = "choose a provider"
        raise ValidationError(reason, [FieldFault("/provider", reason)]) from error
