"""A person at a browser without scripts: signs in by the form, reads pages, sends their forms."""

import re
from html import unescape
from io import BytesIO
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.access import SYSTEM, Actor, Scope
from app.accounts.models import actor_for
from app.services import Services

PASSWORD = "correct horse battery staple"


class Visitor:
    """One browser session; ``name`` empty stays a visitor."""

    def __init__(self, client: FlaskClient, services: Services, name: str = "", *, is_admin: bool = False):
        self.client, self.name = client, name
        if name:
            user = services.accounts.create_user(SYSTEM, name, password=PASSWORD, is_admin=is_admin)
            self.actor: Actor = actor_for(user, frozenset(Scope))
            self.post("/login", {"username": name, "password": PASSWORD}, page="/login")

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, headers={"Accept": "text/html"}, **options)

    def token(self, page: str = "/login") -> str:
        return re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text).group(1)

    def post(self, path: str, form: dict[str, Any], *, page: str = "/login", **options: Any) -> TestResponse:
        return self.client.post(
            path, data={"csrf_token": self.token(page), **form}, headers={"Accept": "text/html"}, **options
        )

    def upload(self, path: str, files: dict[str, bytes], **fields: str) -> TestResponse:
        """Send the upload form: the token first, as the page does."""
        parts = [("files", (BytesIO(content), name)) for name, content in files.items()]
        return self.client.post(
            path,
            data={"csrf_token": self.token(), **fields, "files": [part for _, part in parts]},
            content_type="multipart/form-data",
            headers={"Accept": "text/html"},
        )


def words_of(response: TestResponse) -> str:
    """Return the text of the page's main part, without markup."""
    body = re.search(r"<main.*?</main>", response.text, re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", body.group(0) if body else response.text)
    return " ".join(unescape(text).split())
