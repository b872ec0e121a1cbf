"""The web edge: everything between HTTP and the services, in one order."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app.config import Config
from app.web import assets, health, idempotency, observing, problems, reference, rendering, routing, security


def prepare(app: Flask, config: Config) -> None:
    """Set up what routes need before they are added, and what happens around every request.

    The order of ``before_request``: id, identity, forgery, idempotency.
    """
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    app.config["MAX_FORM_PARTS"] = config.max_form_fields
    app.config["TRUSTED_HOSTS"] = list(config.trusted_hosts) or None
    if config.proxy_hops:
        hops = config.proxy_hops
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # Flask's documented way to add middleware
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=0
        )
    routing.install(app)
    observing.install(app)
    security.install(app)
    idempotency.install(app)
    assets.install(app)
    rendering.install(app)
    problems.install(app)


def add_service_routes(app: Flask) -> None:
    """Add the routes that belong to no feature."""
    health.health.register(app)
    health.routes.register(app)
    reference.install(app)
