"""What the pages of namespaces show."""

from dataclasses import dataclass

from app.access import AccessLevel, Visibility
from app.namespaces.models import Member, Namespace, OpenNamespace
from app.web.rendering import FormFault

LEVELS = tuple((int(level), level.name.capitalize()) for level in AccessLevel if level)
VISIBILITIES = (
    (Visibility.PRIVATE.value, "Private", "Only members see it.", False),
    (Visibility.INTERNAL.value, "Internal", "Everybody who signed in may read it.", False),
    (Visibility.PUBLIC.value, "Public", "Everybody may read it, signed in or not.", False),
)


@dataclass(frozen=True, slots=True)
class NamespacesPage:
    """The namespaces that somebody may see."""

    namespaces: tuple[Namespace, ...]
    search: str
    next_after: int | None


@dataclass(frozen=True, slots=True)
class NamespaceDraft:
    """The form of a namespace as typed."""

    path: str = ""
    name: str = ""
    description: str = ""
    visibility: str = Visibility.PRIVATE.value


@dataclass(frozen=True, slots=True)
class NewNamespacePage:
    """The form that makes a group."""

    draft: NamespaceDraft
    fault: FormFault | None = None
    visibilities: tuple[tuple[str, str, str, bool], ...] = VISIBILITIES


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One row of a table of members, and what the visitor may do with it."""

    username: str
    name: str
    level: AccessLevel
    is_self: bool
    may_remove: bool
    is_inherited: bool = False


@dataclass(frozen=True, slots=True)
class NamespaceSettingsPage:
    """The settings of a namespace, and its members."""

    open: OpenNamespace
    members: tuple[Member, ...]
    visitor: str
    draft: NamespaceDraft
    fault: FormFault | None = None
    member_fault: FormFault | None = None
    username: str = ""
    visibilities: tuple[tuple[str, str, str, bool], ...] = VISIBILITIES

    @property
    def rows(self) -> list[MemberRow]:
        """The members, and whom the visitor may remove."""
        return [
            MemberRow(
                member.username,
                member.name,
                member.membership.level,
                is_self=member.username == self.visitor,
                may_remove=member.username == self.visitor or member.membership.level <= self.open.level,
            )
            for member in self.members
        ]

    @property
    def levels(self) -> tuple[tuple[int, str], ...]:
        """The levels that the visitor may grant."""
        return tuple(row for row in LEVELS if row[0] <= self.open.level)

    @property
    def may_own(self) -> bool:
        """The visitor may change the visibility and delete it."""
        return self.open.level >= AccessLevel.OWNER
