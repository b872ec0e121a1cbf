"""Base classes of the wire shapes, and the shape of every problem."""

from pydantic import BaseModel, ConfigDict, Field


class RequestModel(BaseModel):
    """A JSON body or form: unknown fields and numbers that JSON does not have are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=1_000_000)


class PathModel(BaseModel):
    """Parts of the address."""

    model_config = ConfigDict(extra="ignore")


class QueryModel(BaseModel):
    """Query parameters; unknown ones are ignored, as browsers and proxies add their own."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class AnswerModel(BaseModel):
    """What a route answers."""

    model_config = ConfigDict(from_attributes=True)


class PageQuery(QueryModel):
    """Paging: how many rows, and where the last page ended."""

    per_page: int = Field(100, ge=1, le=1000, description="Rows per answer.")
    cursor: str | None = Field(None, max_length=4096, description="From the `next` link of the last answer.")


class Fault(AnswerModel):
    """One wrong field of a request."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the request.")
    detail: str


class Problem(AnswerModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="A page that explains this kind of problem.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="`urn:request:<id>`, as in the log.")
    message: str = Field(description="The same as `detail`.")
    error_code: str = Field(description="Stable; what programs should look at.")
    errors: list[Fault] | None = None
    paths: list[str] | None = None
    head: str | None = None
