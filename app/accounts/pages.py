"""HTML routes of accounts: signing in and out, the first start."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, redirect, render_template, request, url_for

from app.errors import AppError, MissingError, status_of
from app.web import sessions
from app.web.context import actor, services

pages = Blueprint("accounts", __name__)


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
