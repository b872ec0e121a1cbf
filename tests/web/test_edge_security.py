"""Credentials, cookies, forgery, throttle and headers."""

import base64
import logging
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.access import SYSTEM, Scope
from app.config import Config
from tests.conftest import auth

PASSWORD = "correct horse battery staple"
ORIGIN = {"Origin": "http://localhost"}
FOREIGN = {"Origin": "http://evil.example"}


def _csrf(client: FlaskClient, path: str = "/login") -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def _log_in(client: FlaskClient, username: str = "carol", password: str = PASSWORD, **form: str):
    form = {"csrf_token": _csrf(client), **form}
    return client.post("/login", data={"username": username, "password": password, **form})


@pytest.fixture
def carol(services):
    return services.accounts.create_user(SYSTEM, "carol", password=PASSWORD)


@pytest.fixture
def signed_in(client, carol):
    assert _log_in(client).status_code == 303
    return client


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"whoever:{password}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        lambda token: {"PRIVATE-TOKEN": token},
        lambda token: {"JOB-TOKEN": token},
        lambda token: {"Authorization": f"Bearer {token}"},
        lambda token: {"Authorization": f"bearer {token}"},
        lambda token: {"Authorization": _basic(token)},
    ],
)
def test_a_token_is_taken_wherever_clients_put_it(client, alice, headers):
    answer = client.get("/api/v1/user", headers=headers(alice[1]))

    assert answer.json["username"] == "alice"


@pytest.mark.parametrize(
    "headers",
    [
        {"PRIVATE-TOKEN": "cairn-wrong"},
        {"PRIVATE-TOKEN": ""},
        {"PRIVATE-TOKEN": "x" * 600},
        {"Authorization": "Bearer cairn-wrong"},
        {"Authorization": _basic("wrong")},
        {"Authorization": "Digest x"},
        {"Authorization": "Basic !!!"},
    ],
)
def test_a_bad_credential_is_refused_even_where_visitors_may_read(client, headers):
    answer = client.get("/api/v1/namespaces", headers=headers)

    assert (answer.status_code, answer.json["error_code"]) == (401, "invalid_token")


def test_a_token_is_taken_from_the_cookie_that_browsers_and_notebooks_have(client, alice):
    client.set_cookie("tokenGitLab", alice[1])

    assert client.get("/api/v1/user").json["username"] == "alice"


def test_a_program_is_told_that_its_cookie_is_stale(client):
    client.set_cookie("tokenGitLab", "stale")

    assert client.get("/api/v1/namespaces").json["error_code"] == "invalid_token"


def test_a_stale_cookie_does_not_lock_people_out_of_the_sign_in_page(client):
    client.set_cookie("tokenGitLab", "stale")

    assert client.get("/login").status_code == 200


def test_signing_in_begins_a_session_that_a_page_can_use(signed_in):
    assert signed_in.get("/api/v1/user").json["username"] == "carol"


def test_the_session_cookie_is_not_for_scripts_and_not_for_other_sites(client, carol):
    cookie = _log_in(client).headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_over_tls_cookies_insist_on_it_and_so_does_the_service(tmp_path):
    app = create_app(Config(home=tmp_path / "tls", public_url="https://data.example"))

    answer = app.test_client().get("/login", base_url="https://data.example")

    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


def test_signing_in_leaves_nothing_of_the_earlier_session(client, carol):
    before = _csrf(client)
    _log_in(client)

    with client.session_transaction() as session:
        assert session.get("csrf") != before


def test_signing_out_ends_the_session(signed_in):
    signed_in.post("/logout", data={"csrf_token": _csrf(signed_in)})

    assert signed_in.get("/api/v1/user").status_code == 401


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/datasets?q=1", "/datasets?q=1"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
    ],
)
def test_signing_in_leads_only_to_our_own_pages(client, carol, target, location):
    assert _log_in(client, next=target).headers["Location"] == location


def test_a_page_that_needs_a_person_leads_to_the_sign_in_page(app: Flask):
    from app.errors import UnauthenticatedError

    def view() -> str:
        raise UnauthenticatedError("who are you?")

    app.add_url_rule("/mine", "mine", view)

    answer = app.test_client().get("/mine?a=1", headers={"Accept": "text/html"})

    assert answer.status_code == 303
    assert answer.headers["Location"] == "/login?next=/mine?a%3D1"


# Forgery


def test_the_sign_in_form_needs_its_token(client, carol):
    answer = client.post("/login", data={"username": "carol", "password": PASSWORD})

    assert answer.status_code == 403


def test_accepting_json_does_not_excuse_a_form_from_its_token(client, carol):
    answer = client.post(
        "/login",
        data={"username": "carol", "password": PASSWORD},
        headers={"Accept": "application/json", **FOREIGN},
    )

    assert (answer.status_code, answer.json["error_code"]) == (403, "csrf")


def _create(client: FlaskClient, headers: dict[str, str], **options: object):
    return client.post("/api/v1/namespaces", headers=headers, **(options or {"json": {"path": "made"}}))


@pytest.mark.parametrize(
    "headers", [{}, ORIGIN, {"Sec-Fetch-Site": "same-origin"}, {"X-CSRF-Token": "guess"}]
)
def test_a_session_changes_nothing_without_the_token(signed_in, headers):
    assert _create(signed_in, headers).json["error_code"] == "csrf"


def test_a_session_changes_things_with_the_token(signed_in):
    assert _create(signed_in, {"X-CSRF-Token": _csrf(signed_in)}).status_code == 201


@pytest.mark.parametrize(
    "headers", [FOREIGN, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_a_foreign_page_changes_nothing_even_with_the_token(signed_in, headers):
    token = _csrf(signed_in)

    assert _create(signed_in, {"X-CSRF-Token": token, **headers}).json["error_code"] == "csrf"


@pytest.mark.parametrize(
    "options",
    [
        {"data": '{"path": "made"}', "content_type": "text/plain"},
        {"data": {"path": "made"}},
        {"data": {"path": "made"}, "content_type": "multipart/form-data"},
        {"data": '{"path": "made"}', "content_type": "application/json"},
    ],
)
def test_a_token_cookie_changes_nothing_for_whatever_a_foreign_page_can_send(client, alice, options):
    client.set_cookie("tokenGitLab", alice[1])

    assert _create(client, {}, **options).json["error_code"] == "csrf"


def test_who_writes_with_the_token_cookie_is_told_what_to_send(client, alice):
    client.set_cookie("tokenGitLab", alice[1])

    assert "PRIVATE-TOKEN" in _create(client, {}).json["detail"]


@pytest.mark.parametrize("headers", [ORIGIN, {"Sec-Fetch-Site": "same-origin"}])
def test_a_token_cookie_changes_things_from_our_own_pages(client, alice, headers):
    client.set_cookie("tokenGitLab", alice[1])

    assert _create(client, headers).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [FOREIGN, {**ORIGIN, "Sec-Fetch-Site": "cross-site"}, {**FOREIGN, "Sec-Fetch-Site": "same-origin"}],
)
def test_contradicting_origins_count_as_foreign(client, alice, headers):
    client.set_cookie("tokenGitLab", alice[1])

    assert _create(client, headers).json["error_code"] == "csrf"


def test_a_method_override_is_not_a_thing(client, alice):
    client.set_cookie("tokenGitLab", alice[1])

    client.get("/api/v1/namespaces/alice?_method=DELETE", headers={"X-HTTP-Method-Override": "DELETE"})

    assert client.get("/api/v1/namespaces/alice").status_code == 200


def test_a_header_credential_needs_no_token(client, alice):
    assert _create(client, {**auth(alice[1]), **FOREIGN}).status_code == 201


# Revocation


def test_a_changed_password_ends_other_sessions(signed_in, app):
    other = app.test_client()
    _log_in(other)
    body = {"current_password": PASSWORD, "password": "another long password"}

    changed = signed_in.put("/api/v1/user/password", json=body, headers={"X-CSRF-Token": _csrf(signed_in)})

    assert changed.status_code == 204
    assert other.get("/api/v1/user").status_code == 401


def test_blocking_ends_sessions_and_tokens_at_once(signed_in, services, app):
    _, token = services.accounts.create_token(SYSTEM, name="t", scopes=SYSTEM.scopes, username="carol")

    services.accounts.set_blocked(SYSTEM, "carol", is_blocked=True)

    assert signed_in.get("/api/v1/user").status_code == 401
    assert app.test_client().get("/api/v1/user", headers=auth(token)).status_code == 401


@pytest.mark.parametrize("session_id", ["", "x", "1", "1.", "1.wrong", "9" * 30 + ".x", "²."])
def test_a_made_up_session_is_nobodys(services, carol, session_id):
    assert services.accounts.find_session_actor(session_id) is None


# Throttle


def test_signing_in_is_throttled_and_does_not_tell_whether_the_account_exists(client, carol, config):
    answers = {
        name: [_log_in(client, name, "wrong password").status_code for _ in range(config.login_attempts + 1)]
        for name in ("carol", "nobody")
    }

    assert answers["carol"] == answers["nobody"] == [422] * config.login_attempts + [429]


def test_the_throttled_are_told_when_to_come_back_and_may_then(client, carol, config, clock):
    for _ in range(config.login_attempts):
        _log_in(client, password="wrong password")

    refused = _log_in(client)
    clock.advance(minutes=16)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "900")
    assert _log_in(client).status_code == 303


def test_the_wrong_name_and_the_wrong_password_look_the_same(client, carol):
    known = _log_in(client, password="wrong password").text
    unknown = _log_in(client, "nobody", "wrong password").text

    assert re.sub(r"value=\"[^\"]*\"", "", known) == re.sub(r"value=\"[^\"]*\"", "", unknown)


# First start


def test_the_set_up_link_makes_one_administrator_once(app, services):
    raw = services.accounts.open_setup_link()
    client = app.test_client()
    form = {"csrf_token": _csrf(client, f"/setup/{raw}"), "username": "first", "password": PASSWORD}

    made = client.post(f"/setup/{raw}", data=form)

    assert made.status_code == 303
    assert client.get("/api/v1/user").json["is_admin"]
    assert client.get(f"/setup/{raw}").status_code == 404
    assert services.accounts.open_setup_link() is None


def test_a_wrong_set_up_link_is_nothing(client):
    assert client.get("/setup/guess").status_code == 404


def test_the_first_admin_token_works_once(tmp_path):
    config = Config(home=tmp_path / "first", admin_token="chosen-admin-token")

    client = create_app(config).test_client()

    assert client.get("/api/v1/user", headers=auth("chosen-admin-token")).json["username"] == "admin"


# Headers


@pytest.mark.parametrize("path", ["/login", "/api/v1/namespaces", "/api/v1/nothing", "/nothing", "/healthz"])
def test_every_answer_carries_the_policy(client, path):
    headers = client.get(path).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Vary"] == "Cookie, Authorization, PRIVATE-TOKEN, JOB-TOKEN"
    assert "Access-Control-Allow-Origin" not in headers


def test_hosts_that_are_not_ours_are_refused(tmp_path):
    app = create_app(Config(home=tmp_path / "hosts", trusted_hosts=("data.example",)))

    refused = app.test_client().get("/api/v1/namespaces", base_url="http://evil.example")

    assert (refused.status_code, refused.json["error_code"]) == (400, "untrusted_host")


@pytest.mark.parametrize(("hops", "address"), [(0, "127.0.0.1"), (1, "203.0.113.9")])
def test_forwarded_headers_count_only_behind_known_proxies(tmp_path, hops, address):
    app = create_app(Config(home=tmp_path / "proxy", proxy_hops=hops))
    app.add_url_rule("/address", "address", lambda: __import__("flask").request.remote_addr)

    assert app.test_client().get("/address", headers={"X-Forwarded-For": "203.0.113.9"}).text == address


def test_static_files_are_immutable_under_their_release_only(client):
    address = re.search(r'href="(/static/[^"]+)"', client.get("/login").text)[1]
    stale = re.sub(r"/static/[^/]+/", "/static/older/", address)

    with client.get(address) as current, client.get(stale) as older:
        assert current.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert older.headers["Cache-Control"] == "public, no-cache"
    assert client.get("/static/x/../../config.py").status_code == 404
    assert client.get("/static/x/..%2f..%2fconfig.py").status_code == 404


def test_a_read_only_token_changes_nothing(client, services, alice):
    from app.access import Scope

    _, raw = services.accounts.create_token(
        SYSTEM, name="r", scopes=frozenset({Scope.READ_API}), username="alice"
    )

    answer = _create(client, auth(raw))

    assert (answer.status_code, answer.json["error_code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("/me/tokens", {"name": "for ever", "scope": "read_api", "days": ""}),
        ("/me/tokens/1/revoke", {}),
        (
            "/me/password",
            {"current": PASSWORD, "password": "another " + PASSWORD, "again": "another " + PASSWORD},
        ),
    ],
)
def test_a_token_that_only_reads_changes_nothing_of_the_account(client, carol, services, address, form):
    _, raw = services.accounts.create_token(
        SYSTEM, name="weak", scopes=frozenset({Scope.READ_API}), username="carol"
    )

    client.post(address, data=form, headers=auth(raw))

    assert [row["name"] for row in client.get("/api/v1/user/tokens", headers=auth(raw)).json] == ["weak"]
    assert services.accounts.sign_in("carol", PASSWORD, address="test")


def test_the_log_does_not_tell_the_set_up_link(client, services, caplog):
    link = services.accounts.open_setup_link()

    with caplog.at_level(logging.INFO):
        client.get(f"/setup/{link}")

    assert caplog.records[-1].path == "/setup/<token>"
