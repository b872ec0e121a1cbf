"""Cairn's service: who may, who asked, what it means, how it is shown."""

from datetime import timedelta
from pathlib import Path

from flask import Flask

from app import web
from app.accounts import admin_pages
from app.accounts import api as accounts_api
from app.accounts import pages as accounts_pages
from app.accounts.models import FIRST_ACCOUNT, RESERVED_NAMES
from app.config import Config
from app.datasets import api as datasets_api
from app.datasets import pages as datasets_pages
from app.datasets import settings_pages
from app.doors import dvc, git_http
from app.downloads import api as downloads_api
from app.downloads import pages as downloads_pages
from app.downloads import tree_api
from app.namespaces import api as namespaces_api
from app.namespaces import pages as namespaces_pages
from app.projects import api as projects_api
from app.services import Services, build
from app.storage_sites import api as storage_sites_api
from app.storage_sites import pages as storage_sites_pages
from app.versions import api as versions_api
from app.versions import change_pages, content_api, uploads_api
from app.versions import pages as versions_pages
from app.web import admin, routing
from app.web.context import EXTENSION

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
API_ROUTES = (
    accounts_api.routes,
    namespaces_api.routes,
    storage_sites_api.routes,
    datasets_api.routes,
    versions_api.routes,
    content_api.routes,
    uploads_api.routes,
    downloads_api.routes,
    projects_api.routes,
    git_http.routes,
    dvc.routes,
    tree_api.routes,
)
PAGES = (
    accounts_pages.pages,
    admin_pages.pages,
    namespaces_pages.pages,
    storage_sites_pages.pages,
    datasets_pages.pages,
    datasets_pages.namespace_pages,
    settings_pages.pages,
    versions_pages.pages,
    change_pages.pages,
    downloads_pages.pages,
    admin.pages,
)


def create_app(config: Config, services: Services | None = None) -> Flask:
    """Return the web application of one process; its services are built if none are given."""
    built = services or build(config)
    app = Flask("app", static_folder=None, template_folder=str(TEMPLATES))
    app.extensions[EXTENSION] = built
    secrets = [key.hex() for key in built.keyring.derive("sessions")]
    app.config.update(
        SECRET_KEY=secrets[0],
        SECRET_KEY_FALLBACKS=secrets[1:],
        SESSION_COOKIE_NAME="session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.is_https,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=config.session_days),
    )
    web.prepare(app, config)
    # The first account's own namespace is called so; /admin/users and the like are rules of their own.
    routing.add_page_converters(app, RESERVED_NAMES - {FIRST_ACCOUNT})
    web.add_service_routes(app)
    for routes in API_ROUTES:
        routes.register(app)
    for pages in PAGES:
        app.register_blueprint(pages)
    return app
