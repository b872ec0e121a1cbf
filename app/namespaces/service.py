"""Use cases of namespaces: who owns what, and who belongs to whom."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from app.access import AccessLevel, Action, Actor, UserId, Visibility, allows, effective_level
from app.accounts.models import User, parse_name
from app.accounts.service import find_user, users_by_id
from app.db import Connection, Database, Select
from app.errors import (
    BadRequestError,
    FieldFault,
    ForbiddenError,
    MissingError,
    TakenError,
    UnauthenticatedError,
    ValidationError,
)
from app.namespaces import store
from app.namespaces.models import (
    Member,
    Membership,
    Namespace,
    NamespaceId,
    NamespaceKind,
    OpenNamespace,
    may_manage_member,
)

_HOMES_SHOWN = 1000


class Contents(Protocol):
    """What lies in a namespace; features to the right know."""

    def highest_visibility(self, connection: Connection, namespace: int) -> Visibility | None:
        """Return the visibility of the most visible thing in it, None if it is empty."""
        ...


class NamespaceService:
    """Groups and personal namespaces."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], contents: Sequence[Contents] = ()
    ) -> None:
        self._database = database
        self._clock = clock
        self._contents = contents

    def open_for(self, connection: Connection, user: User) -> None:
        """Create the personal namespace of a new user, in the transaction that creates the user.

        It is public, because a thing cannot be more visible than its namespace; it shows nothing
        but the user's name, and is listed for nobody else.
        """
        store.insert_namespace(
            connection,
            path=user.username,
            name=user.name,
            description="",
            kind=NamespaceKind.USER,
            visibility=Visibility.PUBLIC,
            owner=user.id,
            now=self._clock(),
        )

    def open(self, actor: Actor, address: str, action: Action) -> OpenNamespace:
        """Return a namespace by id or path, if the actor may do this with it.

        Raises:
            MissingError: there is none, or the actor may not know.
            ForbiddenError: the actor may see it but not do this.
        """
        with self._database.reading() as connection:
            return self.open_within(connection, actor, address, action)

    def open_within(
        self, connection: Connection, actor: Actor, address: str, action: Action
    ) -> OpenNamespace:
        """Do as ``open`` does, inside a transaction of the caller."""
        namespace = store.find(connection, address)
        if namespace is None:
            raise _missing(address)
        own = store.level_of(connection, namespace.id, actor.user)
        level = effective_level(actor, own, namespace.visibility)
        if not allows(actor, Action.SEE, level):
            raise _missing(address)
        if not allows(actor, action, level):
            if actor.is_anonymous:
                raise UnauthenticatedError("sign in or send a token")
            raise ForbiddenError(f"your level in {namespace.path!r} does not allow this")
        return OpenNamespace(namespace, level)

    def membership(self, connection: Connection, namespace: NamespaceId, user: UserId | None) -> AccessLevel:
        """Return a person's own level, which the datasets in the namespace inherit."""
        return store.level_of(connection, namespace, user)

    def find(self, connection: Connection, namespace: int) -> Namespace | None:
        """Return a namespace by id for those who passed another gate."""
        return store.find_by_id(connection, namespace)

    def levels_of_user(self, connection: Connection, user: UserId | None) -> dict[NamespaceId, AccessLevel]:
        """Return a person's own level in every namespace."""
        return {} if user is None else store.levels_of_user(connection, user)

    def ids_with_visibility(self, kinds: Collection[Visibility]) -> Select[tuple[int]]:
        """Return a query for the namespaces of these visibilities, for lists of what lies in them."""
        return store.ids_with_visibility(kinds)

    def inherited_members(self, connection: Connection, namespace: int, *, limit: int) -> Sequence[Member]:
        """Return the members whom things in the namespace inherit."""
        return _with_names(
            connection, store.members_of(connection, NamespaceId(namespace), after=UserId(0), limit=limit)
        )

    def visible(
        self, actor: Actor, *, after: NamespaceId, limit: int, search: str = ""
    ) -> Sequence[Namespace]:
        """Return the namespaces that an actor may see, by id."""
        with self._database.reading() as connection:
            return store.visible(connection, actor, after=after, limit=limit, search=search)

    def homes(self, actor: Actor) -> Sequence[Namespace]:
        """Return the namespaces in which an actor may create datasets, the personal one first."""
        with self._database.reading() as connection:
            levels = self.levels_of_user(connection, actor.user)
            found = store.visible(connection, actor, after=NamespaceId(0), limit=_HOMES_SHOWN)
        mine = [
            namespace
            for namespace in found
            if allows(
                actor,
                Action.WRITE,
                effective_level(actor, levels.get(namespace.id, AccessLevel.NONE), namespace.visibility),
            )
        ]
        return sorted(mine, key=lambda home: (home.path != actor.username, home.path.casefold()))

    def create(
        self, actor: Actor, *, path: str, name: str, visibility: Visibility, description: str = ""
    ) -> OpenNamespace:
        """Return a new group, which the actor owns.

        Raises:
            TakenError: a user or group has this path, in whatever case.
        """
        if actor.user is None or not actor.may_write:
            raise ForbiddenError("only people with an account create namespaces")
        parse_name(path, field="path")
        with self._database.transaction() as connection:
            namespace = store.insert_namespace(
                connection,
                path=path,
                name=name or path,
                description=description,
                kind=NamespaceKind.GROUP,
                visibility=visibility,
                owner=actor.user,
                now=self._clock(),
            )
        return OpenNamespace(namespace, AccessLevel.OWNER)

    def change(
        self,
        actor: Actor,
        address: str,
        *,
        name: str | None = None,
        description: str | None = None,
        visibility: Visibility | None = None,
    ) -> OpenNamespace:
        """Return the namespace with the named fields changed.

        Raises:
            BadRequestError: something in it is more visible than it would be.
        """
        action = Action.OWN if visibility is not None else Action.MAINTAIN
        with self._database.transaction() as connection:
            found = self.open_within(connection, actor, address, action)
            values: dict[str, str] = {}
            if name is not None:
                values["name"] = name
            if description is not None:
                values["description"] = description
            if visibility is not None and visibility is not found.namespace.visibility:
                self._refuse_hiding(connection, found.namespace, visibility)
                values["visibility"] = visibility.value
            if values:
                store.update_namespace(connection, found.namespace.id, **values)
            return self.open_within(connection, actor, address, Action.SEE)

    def delete(self, actor: Actor, address: str) -> None:
        """Remove an empty group.

        Raises:
            TakenError: something still lies in it.
        """
        with self._database.transaction() as connection:
            found = self.open_within(connection, actor, address, Action.OWN)
            if found.namespace.kind is NamespaceKind.USER:
                raise BadRequestError("a personal namespace goes with its account")
            store.delete_namespace(connection, found.namespace.id)

    def members(self, actor: Actor, address: str, *, after: UserId, limit: int) -> Sequence[Member]:
        """Return the members, for signed-in people who may read the namespace."""
        if actor.is_anonymous:
            raise UnauthenticatedError("sign in or send a token")
        with self._database.reading() as connection:
            found = self.open_within(connection, actor, address, Action.READ)
            rows = store.members_of(connection, found.namespace.id, after=after, limit=limit)
            return _with_names(connection, rows)

    def set_member(
        self, actor: Actor, address: str, username: str, level: AccessLevel
    ) -> tuple[Member, bool]:
        """Give a person a level; return the member, and whether the person is new.

        Raises:
            ForbiddenError: the level, or the member's present one, is above the actor's own.
            TakenError: the last owner would lose the level.
        """
        with self._database.transaction() as connection:
            found = self.open_within(connection, actor, address, Action.MAINTAIN)
            user = find_user(connection, username)
            if user is None or user.is_blocked:
                reason = "there is no such user"
                raise ValidationError(f"{username!r}: {reason}", [FieldFault("/username", reason)])
            present = store.level_of(connection, found.namespace.id, user.id)
            if not may_manage_member(found.level, present, level):
                raise ForbiddenError("nobody grants or changes a level above the own one")
            self._keep_an_owner(connection, found.namespace.id, present, level)
            is_new = store.set_member(connection, found.namespace.id, user.id, level, self._clock())
            membership = store.membership(connection, found.namespace.id, user.id)
        return Member(user.username, user.name, membership), is_new

    def remove_member(self, actor: Actor, address: str, username: str) -> None:
        """Remove a person; anybody may leave. Repeating it changes nothing.

        Raises:
            ForbiddenError: the member stands above the actor.
            TakenError: it is the last owner.
        """
        if not actor.may_write:
            raise ForbiddenError("this token may only read", code="insufficient_scope")
        with self._database.transaction() as connection:
            is_self = username.casefold() == actor.username.casefold()
            found = self.open_within(connection, actor, address, Action.SEE if is_self else Action.MAINTAIN)
            user = find_user(connection, username)
            if user is None:
                return
            present = store.level_of(connection, found.namespace.id, user.id)
            if not is_self and not may_manage_member(found.level, present, AccessLevel.NONE):
                raise ForbiddenError("the member stands above you")
            self._keep_an_owner(connection, found.namespace.id, present, AccessLevel.NONE)
            store.delete_member(connection, found.namespace.id, user.id)

    def _refuse_hiding(self, connection: Connection, namespace: Namespace, wanted: Visibility) -> None:
        """Refuse a visibility that something inside exceeds."""
        for contents in self._contents:
            inside = contents.highest_visibility(connection, namespace.id)
            if inside is not None and inside.rank > wanted.rank:
                raise BadRequestError(
                    f"something in {namespace.path!r} is {inside.value}, "
                    f"which is more visible than {wanted.value}",
                    code="visibility_above_namespace",
                )

    def _keep_an_owner(
        self, connection: Connection, namespace: NamespaceId, present: AccessLevel, wanted: AccessLevel
    ) -> None:
        loses = present is AccessLevel.OWNER and wanted is not AccessLevel.OWNER
        if loses and store.count_owners(connection, namespace) == 1:
            raise TakenError("the last owner stays until there is another", code="last_owner")


def _with_names(connection: Connection, rows: Sequence[Membership]) -> Sequence[Member]:
    people = users_by_id(connection, [row.user for row in rows])
    return [Member(people[row.user].username, people[row.user].name, row) for row in rows]


def _missing(address: str) -> MissingError:
    return MissingError(f"there is no namespace {address!r}")
