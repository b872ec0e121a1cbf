"""HTML routes of accounts: signing in and out, the first start, one's own tokens and password."""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request, session, url_for

from app.accounts.models import TokenId
from app.accounts.views import AccountPage, PasswordPage, TokenDraft, TokensPage
from app.errors import AppError, ForbiddenError, MissingError, status_of
from app.web import sessions
from app.web.context import CredentialSource, actor, identity, services
from app.web.rendering import NO_STORE, FormFault, page, see_other
from gitops.errors import IntegrityError

pages = Blueprint("accounts", __name__)

_NEW_TOKEN = "new_token"  # noqa: S105 - where a sealed token waits in the session to be shown once


@pages.get("/login")
def login() -> Response:
    """Show the sign-in form."""
    return _login_page("", None, 200)


@pages.post("/login")
def submit_login() -> Response:
    """Begin a session, or show the form again with what is wrong."""
    username = request.form.get("username", "")
    try:
        person, session_id = services().accounts.sign_in(
            username, request.form.get("password", ""), address=request.remote_addr or ""
        )
    except AppError as error:
        # 401 would make browsers and proxies ask for Basic credentials; a wrong form is a 422.
        status = status_of(error)
        return _login_page(username, error, 422 if status == 401 else status or 400)  # noqa: PLR2004
    sessions.sign_in(person, session_id)
    return _see_other(_safe_target(request.form.get("next", "")))


@pages.post("/logout")
def logout() -> Response:
    """End the session."""
    sessions.sign_out()
    return _see_other(url_for("accounts.login"))


@pages.get("/setup/<token>")
def setup(token: str) -> Response:
    """Show the form that makes the first administrator."""
    if not services().accounts.is_setup_link(token):
        raise MissingError("this set-up link was used already, or is not one")
    return _setup_page(token, "", None, 200)


@pages.post("/setup/<token>")
def submit_setup(token: str) -> Response:
    """Make the first administrator and sign in."""
    username = request.form.get("username", "")
    try:
        person, session_id = services().accounts.complete_setup(
            token, username=username, password=request.form.get("password", "")
        )
    except MissingError:
        raise
    except AppError as error:
        return _setup_page(token, username, error, status_of(error) or 400)
    sessions.sign_in(person, session_id)
    return _see_other("/")


@pages.get("/me")
def me() -> Response:
    """Show one's own account."""
    return page("accounts/me.html", AccountPage(services().accounts.profile(actor())))


@pages.get("/me/tokens")
def tokens() -> Response:
    """Show one's own tokens, and a new one's text once."""
    return _tokens_page(TokenDraft())


@pages.post("/me/tokens")
def create_token() -> Response:
    """Make a token and show its text on the next page, once."""
    draft = TokenDraft(
        name=request.form.get("name", "").strip(),
        scope=request.form.get("scope", ""),
        days=request.form.get("days", ""),
    )
    try:
        _, raw = services().accounts.create_token(
            actor(), name=draft.name, scopes=draft.scopes(), expires_at=_expiry(draft)
        )
    except AppError as error:
        return _tokens_page(draft, FormFault.of(error))
    # The cookie is signed, not encrypted; the token must not be readable in it.
    session[_NEW_TOKEN] = services().vault.encrypt({"token": raw}).decode()
    return see_other(url_for("accounts.tokens"))


@pages.post("/me/tokens/<int:token>/revoke")
def revoke_token(token: int) -> Response:
    """End one of one's own tokens."""
    services().accounts.revoke_token(actor(), TokenId(token))
    return see_other(url_for("accounts.tokens"), "The token was revoked. Nothing can use it any more.")


@pages.get("/me/password")
def password() -> Response:
    """Show the form that changes one's password."""
    services().accounts.profile(actor())
    return page("accounts/password.html", PasswordPage())


@pages.post("/me/password")
def change_password() -> Response:
    """Change one's password; all other sessions end."""
    new, again = request.form.get("password", ""), request.form.get("again", "")
    if new != again:
        fault = FormFault("The two new passwords differ.", 422, {"again": "Type the same password again."})
        return page("accounts/password.html", PasswordPage(fault), status=fault.status)
    try:
        session_id = services().accounts.change_password(actor(), request.form.get("current", ""), new)
    except ForbiddenError as error:
        fault = FormFault(FormFault.of(error).message, 422, {"current": "This is not your password."})
        return page("accounts/password.html", PasswordPage(fault), status=fault.status)
    except AppError as error:
        fault = FormFault.of(error)
        return page("accounts/password.html", PasswordPage(fault), status=fault.status)
    if identity().source is CredentialSource.SESSION:
        sessions.sign_in(actor(), session_id)
    return see_other(url_for("accounts.me"), "Your password was changed; all other sessions have ended.")


def _tokens_page(draft: TokenDraft, fault: FormFault | None = None) -> Response:
    shown = _take_new_token()
    model = TokensPage(tuple(services().accounts.tokens(actor())), draft, services().clock(), shown, fault)
    response = page("accounts/tokens.html", model, status=fault.status if fault else 200)
    response.headers["Cache-Control"] = NO_STORE
    return response


def _take_new_token() -> str | None:
    sealed = session.pop(_NEW_TOKEN, None)
    if not isinstance(sealed, str):
        return None
    try:
        return services().vault.decrypt(sealed.encode()).get("token")
    except IntegrityError:
        return None


def _expiry(draft: TokenDraft) -> datetime | None:
    days = draft.lifetime_days()
    return services().clock() + timedelta(days=days) if days else None


def _login_page(username: str, error: AppError | None, status: int) -> Response:
    target = _safe_target(request.values.get("next", ""))
    page = render_template("accounts/login.html", username=username, error=error, next=target, actor=actor())
    response = Response(page, status, mimetype="text/html")
    if error is not None and error.retry_after_s:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _setup_page(token: str, username: str, error: AppError | None, status: int) -> Response:
    page = render_template("accounts/setup.html", token=token, username=username, error=error)
    return Response(page, status, mimetype="text/html")


def _safe_target(raw: str) -> str:
    """Return an address of ours to go to; anything else leads to the start page."""
    parts = urlsplit(raw.replace("\\", "/"))
    is_ours = (
        raw.startswith("/") and not raw.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    )
    return raw if is_ours and raw.isprintable() else "/"


def _see_other(target: str) -> Response:
    response = redirect(target, 303)
    return Response(b"", 303, {"Location": response.headers["Location"]})
