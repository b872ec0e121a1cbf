"""HTML routes of one dataset's settings: general, members, storage site, danger."""

from flask import Blueprint, Response, request, url_for

from app.access import AccessLevel, Action, Visibility
from app.datasets.models import Dataset
from app.datasets.service import OpenDataset
from app.datasets.views import DangerPage, DatasetDraft, DatasetFrame, GeneralPage, MembersPage, SitePage, Tab
from app.errors import AppError, FieldFault, ValidationError
from app.storage_sites.models import Site, SiteId
from app.web.context import actor, services
from app.web.guards import Role, require
from app.web.rendering import FormFault, page, see_other
from gitops.errors import GitopsError

pages = Blueprint("dataset_settings", __name__, url_prefix="/<namespace:namespace>/<slug:name>/settings")

_SITES = 1000


@pages.get("")
def index(namespace: str, name: str) -> Response:
    """Lead to the general settings."""
    return see_other(url_for("dataset_settings.general", namespace=namespace, name=name))


@pages.get("/general")
def general(namespace: str, name: str) -> Response:
    """Show name, description, topics, visibility and who may push."""
    opened = _open(namespace, name, Action.MAINTAIN)
    dataset = opened.dataset
    draft = DatasetDraft(
        name=dataset.name,
        description=dataset.description,
        visibility=dataset.visibility.value,
        topics=", ".join(dataset.topics),
    )
    return page("datasets/general.html", GeneralPage(_frame(opened), draft, dataset.push_level))


@pages.post("/general")
def change(namespace: str, name: str) -> Response:
    """Change what is different from what it was."""
    opened = _open(namespace, name, Action.MAINTAIN)
    form, dataset = request.form, opened.dataset
    draft = DatasetDraft(
        name=form.get("name", "").strip(),
        description=form.get("description", "").strip(),
        visibility=form.get("visibility", dataset.visibility.value),
        topics=form.get("topics", ""),
    )
    try:
        fields: dict[str, object] = {
            "name": draft.name,
            "description": draft.description,
            "topics": draft.topic_list(),
            "push_level": _level(form.get("push_level", ""), (AccessLevel.DEVELOPER, AccessLevel.MAINTAINER)),
        }
        if draft.visibility != dataset.visibility.value:
            fields["visibility"] = _visibility(draft.visibility)
        services().datasets.update(actor(), dataset.id, fields)
    except AppError as error:
        fault = FormFault.of(error)
        model = GeneralPage(_frame(opened), draft, dataset.push_level, fault)
        return page("datasets/general.html", model, status=fault.status)
    return see_other(_address("dataset_settings.general", dataset), "The settings were saved.")


@pages.get("/members")
def members(namespace: str, name: str) -> Response:
    """Show members to those who signed in and may read."""
    return _members_page(namespace, name)


@pages.post("/members")
def set_member(namespace: str, name: str) -> Response:
    """Give a person a level."""
    username = request.form.get("username", "").strip()
    opened = _open(namespace, name, Action.MAINTAIN)
    try:
        level = _level(request.form.get("access_level", ""), tuple(AccessLevel)[1:])
        services().memberships.set_member(actor(), opened.dataset.id, username, level)
    except AppError as error:
        return _members_page(namespace, name, username, FormFault.of(error))
    target = _address("dataset_settings.members", opened.dataset)
    return see_other(target, f"{username} is a {level.name.lower()} now.")


@pages.post("/members/remove")
def remove_member(namespace: str, name: str) -> Response:
    """Take a person's own level away; everybody may leave."""
    username = request.form.get("username", "")
    try:
        services().memberships.remove_member(actor(), f"{namespace}/{name}", username)
    except AppError as error:
        return _members_page(namespace, name, "", FormFault.of(error))
    if username.casefold() == actor().username.casefold():
        return see_other(url_for("datasets.index"), f"You left {namespace}/{name}.")
    target = url_for("dataset_settings.members", namespace=namespace, name=name)
    return see_other(target, f"{username} has no level of their own here any more.")


@pages.get("/storage-site")
def storage_site(namespace: str, name: str) -> Response:
    """Show the bound site, or those to choose from."""
    opened = _open(namespace, name, Action.MAINTAIN)
    return _site_page(opened)


@pages.post("/storage-site")
def bind(namespace: str, name: str) -> Response:
    """Bind the storage site, once and for ever."""
    opened = _open(namespace, name, Action.MAINTAIN)
    chosen = request.form.get("storage_site", "")
    try:
        if not chosen:
            reason = "choose a storage site"
            raise ValidationError(reason, [FieldFault("/storage_site", reason)])
        services().datasets.bind(actor(), opened.dataset.id, chosen)
    except (AppError, GitopsError) as error:
        return _site_page(_open(namespace, name, Action.MAINTAIN), FormFault.of(error))
    target = _address("reading.overview", opened.dataset)
    return see_other(target, "The storage site is bound. You can upload files now.")


@pages.get("/danger")
def danger(namespace: str, name: str) -> Response:
    """Show how to delete the dataset, or how to take that back."""
    return _danger_page(_open(namespace, name, Action.OWN))


@pages.post("/delete")
def delete(namespace: str, name: str) -> Response:
    """Schedule the deletion; the full path must be typed."""
    opened = _open(namespace, name, Action.OWN)
    if request.form.get("confirm", "").strip() != opened.dataset.full_path:
        detail = f"Type {opened.dataset.full_path} to show that you mean this dataset."
        return _danger_page(opened, FormFault("Nothing was deleted.", 422, {"confirm": detail}))
    services().datasets.schedule_deletion(actor(), opened.dataset.id)
    target = _address("dataset_settings.danger", opened.dataset)
    return see_other(target, "The dataset is hidden from everybody and will be deleted.")


@pages.post("/undelete")
def undelete(namespace: str, name: str) -> Response:
    """Take a scheduled deletion back."""
    opened = _open(namespace, name, Action.OWN)
    services().datasets.undo_deletion(actor(), opened.dataset.id)
    return see_other(
        _address("reading.overview", opened.dataset), "The dataset stays. It is back for everybody."
    )


def _open(namespace: str, name: str, action: Action) -> OpenDataset:
    return services().datasets.open(actor(), f"{namespace}/{name}", action)


def _frame(opened: OpenDataset) -> DatasetFrame:
    return DatasetFrame.of(opened, Tab.SETTINGS)


def _address(endpoint: str, dataset: Dataset) -> str:
    return url_for(endpoint, namespace=dataset.namespace_path, name=dataset.path)


def _members_page(namespace: str, name: str, username: str = "", fault: FormFault | None = None) -> Response:
    require(Role.USER, is_change=False)
    opened = _open(namespace, name, Action.READ)
    found = services().memberships.members(actor(), opened.dataset.id)
    ranked = tuple(sorted(found, key=lambda member: (-member.level, member.username.casefold())))
    model = MembersPage(_frame(opened), ranked, username, fault)
    return page("datasets/members.html", model, status=fault.status if fault else 200)


def _site_page(opened: OpenDataset, fault: FormFault | None = None) -> Response:
    site_id = opened.dataset.site_id
    bound = services().sites.find(site_id) if site_id is not None else None
    search = request.args.get("q", "").strip()
    sites = () if bound else matching_sites(search)
    model = SitePage(_frame(opened), bound, sites, search, fault)
    return page("datasets/storage_site.html", model, status=fault.status if fault else 200)


def matching_sites(search: str) -> tuple[Site, ...]:
    """Return the storage sites whose name or provider holds the words."""
    words = search.casefold().split()
    return tuple(
        site
        for site in services().sites.page(actor(), after=SiteId(0), limit=_SITES)
        if all(word in f"{site.name} {site.provider.value}".casefold() for word in words)
    )


def _danger_page(opened: OpenDataset, fault: FormFault | None = None) -> Response:
    model = DangerPage(_frame(opened), services().config.deletion_days, fault)
    return page("datasets/danger.html", model, status=fault.status if fault else 200)


def _visibility(raw: str) -> Visibility:
    if raw not in set(Visibility):
        reason = "choose who may see it"
        raise ValidationError(reason, [FieldFault("/visibility", reason)])
    return Visibility(raw)


def _level(raw: str, allowed: tuple[AccessLevel, ...]) -> AccessLevel:
    found = next((level for level in allowed if str(int(level)) == raw), None)
    if found is None:
        reason = "choose a level"
        raise ValidationError(reason, [FieldFault("/access_level", reason)])
    return found
