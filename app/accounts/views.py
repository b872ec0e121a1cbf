"""What the pages of accounts show."""

from dataclasses import dataclass
from datetime import datetime

from app.access import Scope
from app.accounts.models import Token, User
from app.errors import FieldFault, ValidationError
from app.web.rendering import FormFault

SCOPES = (
    (Scope.READ_API.value, "Read", "Browse and download what you may read.", False),
    (Scope.API.value, "Read and write", "Everything you may do: upload, delete, settings.", False),
)
LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "Never expires"))
MAX_DAYS = 3650


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One's own account."""

    user: User


@dataclass(frozen=True, slots=True)
class TokenDraft:
    """The form of a new token as typed."""

    name: str = ""
    scope: str = Scope.READ_API.value
    days: str = "90"

    def scopes(self) -> frozenset[Scope]:
        """Return the scopes that were chosen. Raises ValidationError."""
        try:
            return frozenset({Scope(self.scope)})
        except ValueError as error:
            reason = "choose what the token may do"
            raise ValidationError(reason, [FieldFault("/scope", reason)]) from error

    def lifetime_days(self) -> int | None:
        """Return the days that were chosen, None for no end. Raises ValidationError."""
        if not self.days:
            return None
        if not (self.days.isascii() and self.days.isdigit() and 1 <= int(self.days) <= MAX_DAYS):
            reason = f"choose 1 to {MAX_DAYS} days"
            raise ValidationError(reason, [FieldFault("/days", reason)])
        return int(self.days)


@dataclass(frozen=True, slots=True)
class TokensPage:
    """One's own tokens; ``shown`` is the text of the one just made."""

    tokens: tuple[Token, ...]
    draft: TokenDraft
    now: datetime
    shown: str | None = None
    fault: FormFault | None = None
    scopes: tuple[tuple[str, str, str, bool], ...] = SCOPES
    lifetimes: tuple[tuple[str, str], ...] = LIFETIMES


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """The form that changes a password."""

    fault: FormFault | None = None


@dataclass(frozen=True, slots=True)
class UserDraft:
    """The form of a new user as typed; the password is never shown again."""

    username: str = ""
    name: str = ""
    email: str = ""
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class UsersPage:
    """Users, for administrators."""

    users: tuple[User, ...]
    search: str
    next_after: int | None
    draft: UserDraft = UserDraft()
    fault: FormFault | None = None
