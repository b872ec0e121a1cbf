"""Problems: one shape for programs, a page for people, an explanation for every code."""

import json
import logging

import pytest
from flask import Flask

from app.errors import STATUS, AppError, QuotaError, ThrottledError, ValidationError
from app.web.problems import SPOKEN_CODES, known_codes
from gitops.errors import EditConflictError, GitopsError, UnavailableError
from tests.conftest import auth


def _raise_on(app: Flask, rule: str, error: Exception) -> None:
    def view() -> str:
        raise error

    app.add_url_rule(rule, rule, view, methods=["GET", "POST"])


def test_a_problem_has_every_field_that_the_contract_names(client):
    answer = client.get("/api/v1/namespaces/nobody", headers={"X-Request-Id": "request-0001"})

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": "there is no namespace 'nobody'",
        "instance": "urn:request:request-0001",
        "message": "there is no namespace 'nobody'",
        "error_code": "not_found",
    }
    assert answer.headers["X-Error-Code"] == "not_found"
    assert answer.headers["X-Error-Message"] == "there is no namespace 'nobody'"
    assert answer.headers["X-Request-Id"] == "request-0001"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_edit_conflict_names_paths_and_head(app):
    _raise_on(app, "/api/v1/boom", EditConflictError("both changed it", paths=["a/b"], head="0" * 40))

    answer = app.test_client().get("/api/v1/boom")

    assert (answer.status_code, answer.json["error_code"]) == (409, "edit_conflict")
    assert answer.json["paths"] == ["a/b"]
    assert answer.json["head"] == "0" * 40


def test_a_foreign_exception_says_nothing_and_is_logged(app, caplog):
    _raise_on(app, "/api/v1/boom", RuntimeError("secret host db-7.internal"))

    with caplog.at_level(logging.ERROR):
        answer = app.test_client().get("/api/v1/boom", headers={"X-Request-Id": "request-0002"})

    assert (answer.status_code, answer.json["error_code"]) == (500, "internal_error")
    assert "db-7" not in answer.text
    assert caplog.records[-1].request_id == "request-0002"


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (ThrottledError("slower", retry_after_s=7), 429, "7"),
        (UnavailableError("store down"), 503, "5"),
        (QuotaError("full"), 507, "5"),
    ],
)
def test_a_passing_failure_says_when_to_come_back(app, error, status, retry):
    _raise_on(app, "/api/v1/boom", error)

    answer = app.test_client().get("/api/v1/boom")

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, retry)


def test_a_message_cannot_add_headers(app):
    _raise_on(app, "/api/v1/boom", ValidationError("a\r\nSet-Cookie: x=1\né"))

    answer = app.test_client().get("/api/v1/boom")

    assert "Set-Cookie" not in answer.headers
    assert answer.headers["X-Error-Message"] == "a  Set-Cookie: x=1 ?"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "not_found"),
        ("PUT", "/api/v1/namespaces", 405, "method_not_allowed"),
        ("POST", "/api/v1/namespaces", 401, "unauthenticated"),
    ],
)
def test_what_routing_refuses_is_a_problem_too(client, method, path, status, code):
    answer = client.open(path, method=method)

    assert (answer.status_code, answer.json["error_code"]) == (status, code)


def test_405_names_the_methods_that_work(client):
    assert "GET" in client.put("/api/v1/namespaces").headers["Allow"]


def test_people_get_a_page_with_escaped_text(app):
    _raise_on(app, "/boom", ValidationError("<script>alert(1)</script>"))

    answer = app.test_client().get("/boom", headers={"Accept": "text/html"})

    assert answer.status_code == 422
    assert answer.mimetype == "text/html"
    assert "&lt;script&gt;" in answer.text
    assert "<script>" not in answer.text


def test_a_program_that_accepts_json_gets_json_at_any_address(client):
    assert client.get("/nothing", headers={"Accept": "application/json"}).is_json


def test_programs_are_challenged_and_browsers_see_no_dialog(client):
    plain = client.get("/api/v1/user")
    browser = client.get("/api/v1/user", headers={"Sec-Fetch-Mode": "cors"})

    assert [value.split()[0] for value in plain.headers.getlist("WWW-Authenticate")] == ["Bearer", "Basic"]
    assert [value.split()[0] for value in browser.headers.getlist("WWW-Authenticate")] == ["Bearer"]


@pytest.mark.parametrize("code", sorted(known_codes()))
def test_every_code_has_a_page(client, code):
    answer = client.get(f"/problems/{code}")

    assert answer.status_code == 200
    assert f"<code>{code}</code>" in answer.text


def test_an_unknown_code_has_no_page(client):
    assert client.get("/problems/no_such_code").status_code == 404


def test_every_error_class_has_a_status_and_a_docstring():
    family = [AppError, GitopsError]
    for error_class in family:
        family.extend(error_class.__subclasses__())
    roots = {AppError, GitopsError}
    mapped = tuple(base for base, _ in STATUS)

    assert [item for item in family if item not in roots and not issubclass(item, mapped)] == []
    assert [item for item in family if not item.__doc__] == []


def test_spoken_codes_do_not_shadow_classes():
    classes = known_codes().keys() - SPOKEN_CODES.keys()

    assert not classes & SPOKEN_CODES.keys()


def test_a_body_that_is_too_large_is_refused(client, alice, config):
    body = json.dumps({"path": "x" * (config.max_body_bytes + 1)})

    answer = client.post(
        "/api/v1/namespaces", data=body, content_type="application/json", headers=auth(alice[1])
    )

    assert (answer.status_code, answer.json["error_code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("body", "media_type", "status", "code"),
    [
        ("{", "application/json", 400, "invalid_json"),
        ('{"path": "x", "name": NaN}', "application/json", 422, "validation"),
        ("[" * 5000, "application/json", 400, "invalid_json"),
        ('{"path": "x"}', "text/plain", 400, "unsupported_media_type"),
        ("{}", "application/json", 422, "validation"),
        ('{"path": "x", "unknown": 1}', "application/json", 422, "validation"),
    ],
)
def test_a_malformed_body_is_refused_with_the_reason(client, alice, body, media_type, status, code):
    answer = client.post("/api/v1/namespaces", data=body, content_type=media_type, headers=auth(alice[1]))

    assert (answer.status_code, answer.json["error_code"]) == (status, code)


def test_validation_points_at_the_field(client, alice):
    answer = client.post(
        "/api/v1/namespaces", json={"path": "x", "visibility": "hidden"}, headers=auth(alice[1])
    )

    assert answer.json["errors"][0]["pointer"] == "/visibility"


def test_a_wrong_query_parameter_points_at_itself(client):
    answer = client.get("/api/v1/namespaces?per_page=1001")

    assert answer.json["errors"][0]["pointer"] == "/query/per_page"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/jobs/"),
        ("DELETE", "/api/v1/user/tokens/"),
        ("POST", "/me/tokens/{}/revoke"),
        ("POST", "/admin/jobs/{}/retry"),
    ],
)
def test_nothing_lies_at_a_number_that_no_database_holds(client, admin, method, path):
    address = path.format("9" * 30) if "{}" in path else path + "9" * 30

    assert client.open(address, method=method, headers=auth(admin[1])).status_code == 404
