"""The document: valid, complete, and true about roles, parameters and bodies."""

import re

import pytest
from flask import Flask, Response

from app.web.api import OPERATIONS, ApiBlueprint, json_answer, page_answer
from app.web.guards import Role
from app.web.openapi import address_of
from app.web.schemas import AnswerModel, PageQuery, PathModel, RequestModel

# Addresses that people open in a browser, or that are static: described by no operation.
PAGES_PREFIXES = ("/api/docs",)


@pytest.fixture
def document(client):
    return client.get("/api/v1/openapi.json").json


def _programs(app: Flask):
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(
            ("/api/", "/dvc/", "/healthz", "/readyz", "/metrics")
        ) and not rule.rule.startswith(PAGES_PREFIXES):
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield address_of(rule.rule), method.lower()


def _operations(document):
    for address, methods in document["paths"].items():
        for method, operation in methods.items():
            yield address, method, operation


def test_every_route_for_programs_is_in_the_document(app, document):
    known = {(address, method) for address, method, _ in _operations(document)}

    assert set(_programs(app)) - known == set()


def test_every_operation_is_a_route(app, document):
    routes = {
        (address_of(rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods
    }

    assert {(address, method) for address, method, _ in _operations(document)} - routes == set()


def test_every_operation_names_its_role_a_problem_and_a_success(document):
    for address, method, operation in _operations(document):
        assert operation["x-min-role"] in set(Role), (address, method)
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert any(status.startswith(("2", "3")) for status in operation["responses"])
        assert operation["summary"]


def test_every_parameter_of_an_address_is_described(document):
    for address, method, operation in _operations(document):
        described = {item["name"] for item in operation["parameters"] if item["in"] == "path"}
        assert described == set(re.findall(r"{(\w+)}", address)), (address, method)


def test_the_body_of_a_multipart_form_is_an_object(document):
    body = document["paths"]["/api/v1/datasets/{dataset}/files"]["post"]["requestBody"]

    assert body["content"]["multipart/form-data"]["schema"]["type"] == "object"


def test_operation_ids_are_unique(document):
    names = [operation["operationId"] for _, _, operation in _operations(document)]

    assert sorted(names) == sorted(set(names))


def test_every_reference_leads_somewhere(document):
    wanted = set(re.findall(r"#/components/schemas/([^\"']+)", str(document)))

    assert wanted <= document["components"]["schemas"].keys()


def test_the_document_says_which_version_it_follows(document):
    assert document["openapi"] == "3.1.0"


def test_the_reference_page_shows_every_operation_without_any_script(client, document):
    page = client.get("/api/docs").text

    for _, _, operation in _operations(document):
        assert f'id="{operation["operationId"]}"' in page
    assert "<script>" not in page
    assert "style=" not in page


class ThingPath(PathModel):
    name: str


class ThingQuery(PageQuery):
    tag: list[str] = []  # noqa: RUF012  pydantic copies it
    flag: bool = False


class Thing(RequestModel):
    size: int = 1


class ThingAnswer(AnswerModel):
    size: int


@pytest.fixture
def things(config, services):
    """Return a client of an application with a small feature of its own."""
    from app import create_app

    routes = ApiBlueprint("things", tag="Things")

    @routes.get("/things/<name>", role="anonymous", summary="List", answers=[ThingAnswer])
    def list_things(path: ThingPath, query: ThingQuery) -> Response:
        return page_answer([{"name": path.name, "tag": query.tag, "flag": query.flag}], "a b&c")

    @routes.post(
        "/things", role="anonymous", summary="Make", answers=ThingAnswer, status=201, is_change=False
    )
    def make_thing(body: Thing) -> Response:
        return json_answer({"size": body.size}, 201)

    @routes.put("/things", role="anonymous", summary="Bytes", consumes=["application/octet-stream"])
    def put_thing() -> Response:
        return json_answer({})

    app = create_app(config, services)
    routes.register(app)
    assert [item.rule for item in app.extensions[OPERATIONS][-3:]] == [
        "/api/v1/things/<name>",
        "/api/v1/things",
        "/api/v1/things",
    ]
    return app.test_client()


def test_arguments_arrive_parsed(things):
    answer = things.get("/api/v1/things/x?tag=a&tag=b&flag=1&unknown=2")

    assert answer.json == [{"name": "x", "tag": ["a", "b"], "flag": True}]


def test_the_next_page_is_a_link_that_keeps_the_question(things):
    answer = things.get("/api/v1/things/x?tag=a%26&cursor=old")

    assert answer.headers["Link"] == (
        '<http://localhost/api/v1/things/x?tag=a%26&cursor=a+b%26c>; rel="next"'
    )


def test_a_body_of_defaults_may_be_left_out(things):
    assert things.post("/api/v1/things").json == {"size": 1}


def test_a_raw_body_of_another_kind_is_refused(things):
    answer = things.put("/api/v1/things", data="x", content_type="text/csv")

    assert answer.json["error_code"] == "unsupported_media_type"


def test_parameters_of_a_model_are_described(things):
    operation = things.get("/api/v1/openapi.json").json["paths"]["/api/v1/things/{name}"]["get"]

    described = {item["name"]: item["schema"] for item in operation["parameters"]}
    assert described["tag"] == {"type": "array", "items": {"type": "string"}, "default": []}
    assert described["per_page"]["maximum"] == 1000


def test_two_models_of_one_name_both_stand_in_the_document(config, services):
    from app import create_app

    first, second = ApiBlueprint("first", tag="A"), ApiBlueprint("second", tag="B")

    def model(field: str) -> type[RequestModel]:
        return type(
            "Clash", (RequestModel,), {"__annotations__": {field: int}, "__module__": f"made.{field}"}
        )

    def view_of(clash: type[RequestModel]):
        def view(body) -> Response:
            return json_answer(body)

        view.__annotations__ = {"body": clash, "return": Response}
        return view

    first.post("/first", role="anonymous", summary="1")(view_of(model("a")))
    second.post("/second", role="anonymous", summary="2")(view_of(model("b")))
    app = create_app(config, services)
    first.register(app)
    second.register(app)

    schemas = app.test_client().get("/api/v1/openapi.json").json["components"]["schemas"]

    assert sum("Clash" in name for name in schemas) == 2
