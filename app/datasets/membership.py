"""Who belongs to a dataset, by itself or through its namespace."""

from app.access import AccessLevel, Action, Actor
from app.accounts.service import find_user, users_by_id
from app.datasets import store
from app.datasets.gate import Gate
from app.datasets.models import Member
from app.db import Database
from app.errors import BadRequestError, ForbiddenError, MissingError
from app.namespaces.service import NamespaceService

_MEMBERS_SHOWN = 1000


class MembershipService:
    """Members of datasets and their levels."""

    def __init__(self, gate: Gate, database: Database, namespaces: NamespaceService) -> None:
        self._gate = gate
        self._database = database
        self._namespaces = namespaces

    def members(self, actor: Actor, dataset: int | str) -> list[Member]:
        """Return own and inherited members; readers see them as GitLab's do."""
        opened = self._gate.open(actor, dataset, Action.READ)
        with self._database.reading() as connection:
            own = dict(store.members(connection, opened.dataset.id))
            people = users_by_id(connection, list(own))
            above = self._namespaces.inherited_members(
                connection, opened.dataset.namespace_id, limit=_MEMBERS_SHOWN
            )
        rows = [Member(user, people[user].username, people[user].name, level) for user, level in own.items()]
        return rows + [
            Member(
                found.membership.user, found.username, found.name, found.membership.level, is_inherited=True
            )
            for found in above
            if found.membership.user not in own
        ]

    def set_member(self, actor: Actor, dataset: int | str, username: str, level: AccessLevel) -> Member:
        """Give a user a level, up to the actor's own; granting owner needs an owner."""
        opened = self._gate.open(actor, dataset, Action.MAINTAIN)
        if level > opened.level or level is AccessLevel.NONE:
            raise ForbiddenError("nobody grants a level above their own")
        with self._database.transaction() as connection:
            user = find_user(connection, username)
            if user is None:
                raise BadRequestError(f"there is no user {username!r}", code="user_not_found")
            if store.member_level(connection, opened.dataset.id, user.id) > opened.level:
                raise ForbiddenError(f"{username!r} has a higher level than you")
            store.set_member(connection, opened.dataset.id, user.id, level)
        return Member(user.id, user.username, user.name, level)

    def remove_member(self, actor: Actor, dataset: int | str, username: str) -> None:
        """Take a user's own level away; everybody may leave."""
        is_self = actor.may_write and username.casefold() == actor.username.casefold()
        opened = self._gate.open(actor, dataset, Action.SEE if is_self else Action.MAINTAIN)
        with self._database.transaction() as connection:
            user = find_user(connection, username)
            own = store.member_level(connection, opened.dataset.id, user.id) if user else AccessLevel.NONE
            if user is None or own is AccessLevel.NONE:
                raise MissingError(f"{username!r} is not a member of {opened.dataset.full_path} itself")
            if own > opened.level:
                raise ForbiddenError(f"{username!r} has a higher level than you")
            store.remove_member(connection, opened.dataset.id, user.id)
