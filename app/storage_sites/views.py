"""What the pages of storage sites show."""

from dataclasses import dataclass

from app.storage_sites.models import AVAILABLE, Probe, Provider, Site
from app.web.rendering import FormFault


@dataclass(frozen=True, slots=True)
class SiteForm:
    """The form of a new site as typed; credentials are never shown again."""

    name: str = ""
    provider: str = Provider.LOCAL.value
    url: str = ""
    endpoint_url: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class SitesPage:
    """The storage sites, for administrators; ``checked`` is the site whose probes are shown."""

    sites: tuple[Site, ...]
    draft: SiteForm
    fault: FormFault | None = None
    checked: str | None = None
    probes: tuple[Probe, ...] = ()

    @property
    def providers(self) -> list[tuple[str, str]]:
        """The providers that this installation has."""
        return [(provider.value, provider.value) for provider in Provider if provider in AVAILABLE]
