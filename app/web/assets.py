"""Static files below ``/static/<release>/``: the release is a hash of the tree, so all is immutable."""

import hashlib
from pathlib import Path

from flask import Flask, Response, send_from_directory

from app.web.caching import YEAR_S

ROOT = Path(__file__).resolve().parent.parent / "static"
RELEASE_DIGITS = 12


def install(app: Flask) -> None:
    """Serve the tree, and let templates name files in it by ``asset('css/base.css')``."""
    release = release_of(ROOT)

    def serve(release_named: str, name: str) -> Response:
        response = send_from_directory(ROOT, name, conditional=True, etag=True)
        is_current = release_named == release
        response.headers["Cache-Control"] = (
            f"public, max-age={YEAR_S}, immutable" if is_current else "public, no-cache"
        )
        return response

    app.add_url_rule("/static/<release_named>/<path:name>", "static", serve)
    app.jinja_env.globals["asset"] = lambda name: f"/static/{release}/{name}"


def release_of(root: Path) -> str:
    """Return a name for the present state of the tree."""
    digest = hashlib.sha256()
    for file in sorted(path for path in root.rglob("*") if path.is_file()):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:RELEASE_DIGITS]
