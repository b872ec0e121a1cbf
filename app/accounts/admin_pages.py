"""HTML routes of accounts for administrators."""

from flask import Blueprint, Response, request, url_for

from app.access import UserId
from app.accounts.views import UserDraft, UsersPage
from app.errors import AppError
from app.web.context import actor, services
from app.web.cursors import number_of
from app.web.guards import Role, require
from app.web.rendering import FormFault, page, see_other

pages = Blueprint("accounts_admin", __name__)

_ROWS = 100


@pages.get("/admin/users")
def users() -> Response:
    """Show users, and the form that makes one."""
    require(Role.ADMIN, is_change=False)
    return _users_page()


@pages.post("/admin/users")
def create_user() -> Response:
    """Make an account."""
    form = request.form
    draft = UserDraft(
        username=form.get("username", "").strip(),
        name=form.get("name", "").strip(),
        email=form.get("email", "").strip(),
        is_admin="is_admin" in form,
    )
    try:
        user = services().accounts.create_user(
            actor(),
            draft.username,
            password=form.get("password") or None,
            name=draft.name,
            email=draft.email,
            is_admin=draft.is_admin,
        )
    except AppError as error:
        require(Role.ADMIN, is_change=True)
        return _users_page(draft, FormFault.of(error))
    return see_other(url_for("accounts_admin.users"), f"The account {user.username} was created.")


@pages.post("/admin/users/<username>/state")
def set_user_state(username: str) -> Response:
    """Block a user or let him in again."""
    is_blocked = request.form.get("state") == "blocked"
    user = services().accounts.set_blocked(actor(), username, is_blocked=is_blocked)
    done = "blocked; sessions and tokens have ended" if is_blocked else "let in again"
    return see_other(url_for("accounts_admin.users"), f"{user.username} was {done}.")


def _users_page(draft: UserDraft | None = None, fault: FormFault | None = None) -> Response:
    search = request.args.get("q", "")
    after = UserId(number_of(request.args.get("after")))
    found = services().accounts.users(actor(), after=after, limit=_ROWS + 1, search=search)
    shown = tuple(found[:_ROWS])
    following = shown[-1].id if len(found) > _ROWS else None
    model = UsersPage(shown, search, following, draft or UserDraft(), fault)
    return page("accounts/users.html", model, status=fault.status if fault else 200)
