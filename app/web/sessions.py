"""Browser sessions: Flask-Login over a signed cookie that a password change or block revokes."""

import hmac
import secrets
from dataclasses import dataclass

from flask import Flask, session
from flask_login import LoginManager, current_user, login_user, logout_user

from app.access import Actor
from app.web.context import services

CSRF_KEY = "csrf"


@dataclass(frozen=True, slots=True)
class SessionUser:
    """What Flask-Login wants to know about a signed-in person."""

    actor: Actor
    session_id: str
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def get_id(self) -> str:
        """Return what the cookie holds: the user and the stamp that a revocation changes."""
        return self.session_id


def install(app: Flask) -> None:
    """Let Flask-Login find users."""
    manager = LoginManager()
    manager.session_protection = None  # it binds to address and browser version, which change in a day
    manager.user_loader(_load)
    manager.init_app(app, add_context_processor=False)


def find_actor() -> Actor | None:
    """Return who the session cookie belongs to, or None."""
    if "_user_id" not in session:
        return None
    user = current_user._get_current_object()  # noqa: SLF001 - the proxy's documented way to its object
    return user.actor if isinstance(user, SessionUser) else None


def sign_in(actor: Actor, session_id: str) -> None:
    """Begin a session; nothing of an earlier one survives, so that none can be fixed."""
    session.clear()
    session.permanent = True
    login_user(SessionUser(actor, session_id))


def sign_out() -> None:
    """End the session."""
    logout_user()
    session.clear()


def csrf_token() -> str:
    """Return this session's CSRF token; forms and scripts send it back."""
    if CSRF_KEY not in session:
        session[CSRF_KEY] = secrets.token_urlsafe(24)
    token: str = session[CSRF_KEY]
    return token


def is_csrf_token(sent: str | None) -> bool:
    """Tell whether this is the session's CSRF token."""
    kept = session.get(CSRF_KEY)
    return bool(sent) and isinstance(kept, str) and hmac.compare_digest(str(sent).encode(), kept.encode())


def _load(session_id: str) -> SessionUser | None:
    actor = services().accounts.find_session_actor(session_id)
    return None if actor is None else SessionUser(actor, session_id)
