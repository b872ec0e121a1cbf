"""JSON routes of namespaces and their members."""

from flask import Response

from app.access import Action, UserId
from app.namespaces.models import Member, Namespace, NamespaceId, OpenNamespace
from app.namespaces.schemas import (
    MemberAnswer,
    MemberPath,
    NamespaceAnswer,
    NamespaceChange,
    NamespacePath,
    NamespaceQuery,
    NamespaceRow,
    NewMember,
    NewNamespace,
)
from app.web.api import ApiBlueprint, created_answer, empty_answer, json_answer, page_answer
from app.web.context import actor, services
from app.web.cursors import number_of
from app.web.schemas import PageQuery

routes = ApiBlueprint("namespaces", tag="Namespaces")


@routes.get("/namespaces", role="anonymous", summary="Namespaces that I may see", answers=[NamespaceRow])
def list_namespaces(query: NamespaceQuery) -> Response:
    """List groups, and one's own personal namespace, by id."""
    after = NamespaceId(number_of(query.cursor))
    found = services().namespaces.visible(actor(), after=after, limit=query.per_page + 1, search=query.search)
    shown = found[: query.per_page]
    cursor = str(shown[-1].id) if len(found) > len(shown) else None
    return page_answer([_row(namespace) for namespace in shown], cursor)


@routes.post("/namespaces", role="user", summary="Create a group", answers=NamespaceAnswer, status=201)
def create_namespace(body: NewNamespace) -> Response:
    """Create a group that the caller owns."""
    made = services().namespaces.create(
        actor(), path=body.path, name=body.name, visibility=body.visibility, description=body.description
    )
    return created_answer(_namespace(made), f"/api/v1/namespaces/{made.namespace.id}")


@routes.get("/namespaces/<namespace>", role="guest", summary="One namespace", answers=NamespaceAnswer)
def show_namespace(path: NamespacePath) -> Response:
    """Show a namespace by id or path."""
    return json_answer(_namespace(services().namespaces.open(actor(), path.namespace, Action.SEE)))


@routes.patch("/namespaces/<namespace>", role="maintainer", summary="Change it", answers=NamespaceAnswer)
def change_namespace(path: NamespacePath, body: NamespaceChange) -> Response:
    """Change the named fields; the visibility is for owners."""
    changed = services().namespaces.change(
        actor(),
        path.namespace,
        name=body.name,
        description=body.description,
        visibility=body.visibility,
    )
    return json_answer(_namespace(changed))


@routes.delete("/namespaces/<namespace>", role="owner", summary="Remove an empty group")
def delete_namespace(path: NamespacePath) -> Response:
    """Remove a group that holds nothing."""
    services().namespaces.delete(actor(), path.namespace)
    return empty_answer()


@routes.get("/namespaces/<namespace>/members", role="user", summary="Its members", answers=[MemberAnswer])
def list_members(path: NamespacePath, query: PageQuery) -> Response:
    """List members by user id."""
    after = UserId(number_of(query.cursor))
    found = services().namespaces.members(actor(), path.namespace, after=after, limit=query.per_page + 1)
    shown = found[: query.per_page]
    cursor = str(shown[-1].membership.user) if len(found) > len(shown) else None
    return page_answer([_member(member) for member in shown], cursor)


@routes.post(
    "/namespaces/<namespace>/members",
    role="maintainer",
    summary="Add a member or change a level",
    answers={200: MemberAnswer, 201: MemberAnswer},
)
def set_member(path: NamespacePath, body: NewMember) -> Response:
    """Give a person a level, at most one's own; 201 if the person is new, else 200."""
    member, is_new = services().namespaces.set_member(actor(), path.namespace, body.username, body.level)
    return json_answer(_member(member), 201 if is_new else 200)


@routes.delete("/namespaces/<namespace>/members/<username>", role="guest", summary="Remove a member")
def remove_member(path: MemberPath) -> Response:
    """Remove a person; maintainers remove others, everybody may leave."""
    services().namespaces.remove_member(actor(), path.namespace, path.username)
    return empty_answer()


def _row(namespace: Namespace) -> dict[str, object]:
    return {
        "id": namespace.id,
        "path": namespace.path,
        "full_path": namespace.path,
        "name": namespace.name,
        "description": namespace.description,
        "kind": namespace.kind.value,
        "visibility": namespace.visibility.value,
        "created_at": namespace.created_at,
    }


def _namespace(found: OpenNamespace) -> dict[str, object]:
    return {**_row(found.namespace), "access_level": int(found.level)}


def _member(member: Member) -> dict[str, object]:
    return {
        "id": member.membership.user,
        "username": member.username,
        "name": member.name,
        "access_level": int(member.membership.level),
        "created_at": member.membership.created_at,
    }
