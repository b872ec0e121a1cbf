"""JSON routes of storage sites."""

from collections.abc import Mapping

from flask import Response
from pydantic import SecretStr

from app.storage_sites.models import Outcome, Provider, Site, SiteId
from app.storage_sites.schemas import CheckAnswer, NewSite, SiteAnswer, SiteChanges, SitePath
from app.storage_sites.service import SiteChange, SiteDraft
from app.web.api import ApiBlueprint, created_answer, empty_answer, json_answer, page_answer
from app.web.context import actor, services
from app.web.cursors import number_of
from app.web.schemas import PageQuery

routes = ApiBlueprint("storage_sites", tag="Storage sites")


@routes.get("/storage-sites", role="user", summary="Storage sites", answers=[SiteAnswer])
def list_sites(query: PageQuery) -> Response:
    """List sites by id."""
    found = services().sites.page(actor(), after=SiteId(number_of(query.cursor)), limit=query.per_page + 1)
    shown = found[: query.per_page]
    return page_answer(
        [_site(site) for site in shown], str(shown[-1].id) if len(found) > len(shown) else None
    )


@routes.post("/storage-sites", role="admin", summary="Register one", answers=SiteAnswer, status=201)
def register_site(body: NewSite) -> Response:
    """Register a site that every user may bind datasets to."""
    draft = SiteDraft(
        name=body.name,
        provider=body.provider,
        url=body.url,
        endpoint_url=body.endpoint_url,
        region=body.region,
        credentials=_opened(body.credentials),
    )
    site = services().sites.register(actor(), draft)
    return created_answer(_site(site), f"/api/v1/storage-sites/{site.id}")


@routes.get("/storage-sites/<site>", role="user", summary="One storage site", answers=SiteAnswer)
def show_site(path: SitePath) -> Response:
    """Show a site by id or name."""
    return json_answer(_site(services().sites.resolve(actor(), path.site)))


@routes.patch("/storage-sites/<site>", role="admin", summary="Change one", answers=SiteAnswer)
def change_site(path: SitePath, body: SiteChanges) -> Response:
    """Change the named fields; provider, url and endpoint stay once a dataset is bound."""
    change = SiteChange(
        name=body.name,
        provider=body.provider,
        url=body.url,
        endpoint_url=body.endpoint_url,
        region=body.region,
        credentials=_opened(body.credentials),
    )
    return json_answer(_site(services().sites.change(actor(), path.site, change)))


@routes.delete("/storage-sites/<site>", role="admin", summary="Remove one that is not in use")
def delete_site(path: SitePath) -> Response:
    """Remove a site; 409 while a dataset is bound to it."""
    services().sites.delete(actor(), path.site)
    return empty_answer()


@routes.post("/storage-sites/<site>/check", role="admin", summary="Try one", answers=CheckAnswer)
def check_site(path: SitePath) -> Response:
    """Probe write, read, range, delete, signing and CORS, and report each."""
    probes = services().sites.check(actor(), path.site)
    return json_answer(
        {
            "is_usable": all(probe.outcome is not Outcome.FAILED for probe in probes),
            "probes": [
                {"name": probe.name, "outcome": probe.outcome.value, "detail": probe.detail}
                for probe in probes
            ],
        }
    )


def _opened(credentials: Mapping[str, SecretStr] | None) -> dict[str, str] | None:
    if credentials is None:
        return None
    return {name: secret.get_secret_value() for name, secret in credentials.items()}


def _site(site: Site) -> dict[str, object]:
    # A folder of the server is nobody's business but the administrator's.
    is_shown = site.provider is not Provider.LOCAL or actor().is_admin
    return {
        "id": site.id,
        "name": site.name,
        "provider": site.provider.value,
        "url": site.url if is_shown else None,
        "endpoint_url": site.endpoint_url,
        "region": site.region,
        "has_credentials": site.has_credentials,
        "created_at": site.created_at,
    }
