"""Wire shapes of accounts."""

from datetime import datetime

from pydantic import AwareDatetime, Field

from app.access import Scope
from app.web.schemas import AnswerModel, PageQuery, PathModel, RequestModel


class UserAnswer(AnswerModel):
    """A user."""

    id: int
    username: str
    name: str
    email: str
    is_admin: bool
    state: str = Field(description="`active` or `blocked`.")
    created_at: datetime


class TokenAnswer(AnswerModel):
    """A token, without its text."""

    id: int
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewTokenAnswer(TokenAnswer):
    """A token with its text, which is shown this once."""

    token: str


class NewToken(RequestModel):
    """What a token is for."""

    name: str = Field(min_length=1, max_length=255)
    scopes: list[Scope] = Field([Scope.READ_API], min_length=1)
    expires_at: AwareDatetime | None = Field(None, description="With a time zone; none: it does not expire.")


class TokenPath(PathModel):
    """One of one's own tokens."""

    token: int


class NewUser(RequestModel):
    """An account made by an administrator."""

    username: str = Field(min_length=1, max_length=64)
    name: str = Field("", max_length=255)
    email: str = Field("", max_length=254)
    password: str | None = Field(None, max_length=1024)
    is_admin: bool = False


class UserQuery(PageQuery):
    """Which users."""

    search: str = Field("", max_length=64, description="Part of the name.")


class UserPath(PathModel):
    """A user by name."""

    username: str


class Blocking(RequestModel):
    """Whether the user may sign in."""

    state: str = Field(pattern="^(active|blocked)$")


class NewPassword(RequestModel):
    """One's own new password; every session and no token ends."""

    current_password: str = Field(max_length=1024)
    password: str = Field(max_length=1024)
