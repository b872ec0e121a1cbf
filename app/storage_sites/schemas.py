"""Wire shapes of storage sites."""

from datetime import datetime

from pydantic import Field, SecretStr

from app.storage_sites.models import Outcome, Provider
from app.web.schemas import AnswerModel, PathModel, RequestModel

URL = Field(min_length=1, max_length=2048, description="For `local` an absolute folder.")


class SiteAnswer(AnswerModel):
    """A storage site; credentials are never shown."""

    id: int
    name: str
    provider: Provider
    url: str | None = Field(description="Of local sites only for administrators.")
    endpoint_url: str | None
    region: str | None
    has_credentials: bool
    created_at: datetime


class NewSite(RequestModel):
    """A site to register."""

    name: str = Field(min_length=1, max_length=64)
    provider: Provider
    url: str = URL
    endpoint_url: str | None = Field(None, max_length=2048)
    region: str | None = Field(None, max_length=64)
    credentials: dict[str, SecretStr] | None = Field(None, description="Write-only; encrypted at rest.")


class SiteChanges(RequestModel):
    """Fields to change; provider, url and endpoint stay once a dataset is bound."""

    name: str | None = Field(None, min_length=1, max_length=64)
    provider: Provider | None = None
    url: str | None = Field(None, min_length=1, max_length=2048)
    endpoint_url: str | None = Field(None, max_length=2048)
    region: str | None = Field(None, max_length=64)
    credentials: dict[str, SecretStr] | None = Field(None, description="Write-only; `{}` removes them.")


class SitePath(PathModel):
    """A site by id or name."""

    site: str


class ProbeAnswer(AnswerModel):
    """One thing that the site was tried for."""

    name: str
    outcome: Outcome
    detail: str


class CheckAnswer(AnswerModel):
    """What the site can do."""

    is_usable: bool = Field(description="Every probe that was made succeeded.")
    probes: list[ProbeAnswer]
