"""HTML routes of namespaces; the page of one, with its datasets, belongs to the datasets."""

from flask import Blueprint, Response, request, url_for

from app.access import AccessLevel, Action, UserId, Visibility
from app.errors import AppError, FieldFault, UnauthenticatedError, ValidationError
from app.namespaces.models import NamespaceId
from app.namespaces.views import NamespaceDraft, NamespaceSettingsPage, NamespacesPage, NewNamespacePage
from app.web.context import actor, services
from app.web.cursors import number_of
from app.web.guards import Role, require
from app.web.rendering import FormFault, page, see_other

pages = Blueprint("namespaces", __name__)

_ROWS = 100
_MEMBERS = 1000


@pages.get("/namespaces")
def index() -> Response:
    """List the namespaces that the visitor may see."""
    after = NamespaceId(number_of(request.args.get("after")))
    search = request.args.get("q", "").strip()[:255]
    found = services().namespaces.visible(actor(), after=after, limit=_ROWS + 1, search=search)
    shown = tuple(found[:_ROWS])
    model = NamespacesPage(shown, search, shown[-1].id if len(found) > _ROWS else None)
    return page("namespaces/index.html", model)


@pages.get("/namespaces/new")
def new() -> Response:
    """Show the form that makes a group."""
    require(Role.USER, is_change=False)
    return page("namespaces/new.html", NewNamespacePage(NamespaceDraft()))


@pages.post("/namespaces/new")
def create() -> Response:
    """Make a group, which the visitor owns."""
    require(Role.USER, is_change=True)
    draft = _draft()
    try:
        made = services().namespaces.create(
            actor(),
            path=draft.path,
            name=draft.name,
            visibility=_visibility(draft.visibility),
            description=draft.description,
        )
    except AppError as error:
        fault = FormFault.of(error)
        return page("namespaces/new.html", NewNamespacePage(draft, fault), status=fault.status)
    return see_other(
        url_for("namespace_pages.show", namespace=made.namespace.path), "The namespace was created."
    )


@pages.get("/namespaces/<namespace:namespace>/settings")
def settings(namespace: str) -> Response:
    """Show settings and members to maintainers."""
    return _settings_page(namespace)


@pages.post("/namespaces/<namespace:namespace>/settings")
def change(namespace: str) -> Response:
    """Change name, description or visibility."""
    draft = _draft()
    try:
        opened = services().namespaces.open(actor(), namespace, Action.MAINTAIN)
        wanted = _visibility(draft.visibility) if draft.visibility else None
        if wanted is opened.namespace.visibility:
            wanted = None
        services().namespaces.change(
            actor(), namespace, name=draft.name, description=draft.description, visibility=wanted
        )
    except AppError as error:
        return _settings_page(namespace, draft=draft, fault=FormFault.of(error))
    return see_other(url_for("namespaces.settings", namespace=namespace), "The settings were saved.")


@pages.post("/namespaces/<namespace:namespace>/delete")
def delete(namespace: str) -> Response:
    """Remove an empty group."""
    try:
        services().namespaces.delete(actor(), namespace)
    except AppError as error:
        return _settings_page(namespace, fault=FormFault.of(error))
    return see_other(url_for("namespaces.index"), f"The namespace {namespace} was deleted.")


@pages.post("/namespaces/<namespace:namespace>/members")
def set_member(namespace: str) -> Response:
    """Give a person a level, which all datasets in the namespace inherit."""
    username = request.form.get("username", "").strip()
    try:
        level = _level(request.form.get("access_level", ""))
        services().namespaces.set_member(actor(), namespace, username, level)
    except AppError as error:
        return _settings_page(namespace, member_fault=FormFault.of(error), username=username)
    target = url_for("namespaces.settings", namespace=namespace)
    return see_other(target, f"{username} is a {level.name.lower()} now.")


@pages.post("/namespaces/<namespace:namespace>/members/remove")
def remove_member(namespace: str) -> Response:
    """Take a person's level away."""
    username = request.form.get("username", "")
    try:
        services().namespaces.remove_member(actor(), namespace, username)
    except AppError as error:
        return _settings_page(namespace, member_fault=FormFault.of(error))
    if username.casefold() == actor().username.casefold():
        return see_other(url_for("namespaces.index"), f"You left {namespace}.")
    target = url_for("namespaces.settings", namespace=namespace)
    return see_other(target, f"{username} is no member any more.")


def _settings_page(
    namespace: str,
    *,
    draft: NamespaceDraft | None = None,
    fault: FormFault | None = None,
    member_fault: FormFault | None = None,
    username: str = "",
) -> Response:
    if actor().is_anonymous:
        raise UnauthenticatedError("sign in to see the settings")
    opened = services().namespaces.open(actor(), namespace, Action.MAINTAIN)
    found = opened.namespace
    members = services().namespaces.members(actor(), namespace, after=UserId(0), limit=_MEMBERS)
    kept = draft or NamespaceDraft(found.path, found.name, found.description, found.visibility.value)
    model = NamespaceSettingsPage(
        opened, tuple(members), actor().username, kept, fault, member_fault, username
    )
    failed = fault or member_fault
    return page("namespaces/settings.html", model, status=failed.status if failed else 200)


def _draft() -> NamespaceDraft:
    form = request.form
    return NamespaceDraft(
        path=form.get("path", "").strip(),
        name=form.get("name", "").strip(),
        description=form.get("description", "").strip(),
        visibility=form.get("visibility", ""),
    )


def _visibility(raw: str) -> Visibility:
    try:
        return Visibility(raw)
    except ValueError as error:
        reason = "choose who may see it"
        raise ValidationError(reason, [FieldFault("/visibility", reason)]) from error


def _level(raw: str) -> AccessLevel:
    try:
        return AccessLevel(int(raw))
    except ValueError as error:
        reason = "choose a level"
        raise ValidationError(reason, [FieldFault("/access_level", reason)]) from error
