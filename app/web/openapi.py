"""The OpenAPI 3.1 document, made from the operations that blueprints declared."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.web.api import JSON, Answers, Model, Operation
from app.web.guards import Role
from app.web.problems import PROBLEM_JSON
from app.web.schemas import Problem

VERSION = "3.1.0"
REFERENCE = "#/components/schemas/"
_PARAMETER = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")
Mode = Literal["validation", "serialization"]
_SECURITY_SCHEMES: Mapping[str, Mapping[str, str]] = {
    "private_token": {"type": "apiKey", "in": "header", "name": "PRIVATE-TOKEN"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "Any name; the token is the password."},
    "job_token": {"type": "apiKey", "in": "header", "name": "JOB-TOKEN"},
    "token_cookie": {"type": "apiKey", "in": "cookie", "name": "tokenGitLab"},
    "session": {"type": "apiKey", "in": "cookie", "name": "session"},
}
MULTIPART = "multipart/form-data"
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_FORM: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "array", "items": _BINARY}}
_FOR_VISITORS = frozenset({Role.ANONYMOUS, Role.GUEST, Role.REPORTER})


def build_document(
    operations: Sequence[Operation], *, title: str, version: str, server: str
) -> dict[str, Any]:
    """Return the whole document; identical for identical operations."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in sorted(operations, key=lambda item: (item.rule, item.method)):
        paths.setdefault(address_of(operation.rule), {})[operation.method.lower()] = _describe(
            operation, schemas
        )
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": version, "license": {"name": "MIT", "identifier": "MIT"}},
        "servers": [{"url": server}],
        "tags": [{"name": tag} for tag in sorted({operation.tag for operation in operations})],
        "paths": paths,
        "components": {"schemas": schemas.components(), "securitySchemes": dict(_SECURITY_SCHEMES)},
    }


def address_of(rule: str) -> str:
    """Return a Flask rule in the document's way of writing: ``/datasets/{dataset}/tree``."""
    return _PARAMETER.sub(r"{\1}", rule)


class _Schemas:
    """JSON schemas of all models, named once, without clashes."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        wanted: dict[tuple[Model, Mode], None] = {(Problem, "serialization"): None}
        self._parameters: dict[Model, dict[str, Any]] = {}
        for operation in operations:
            for name, model in operation.inputs.items():
                if name in {"path", "query"}:
                    self._parameters.setdefault(model, {})
                wanted[model, "validation"] = None
            for model in _models(operation.answers.values()):
                wanted[model, "serialization"] = None
        self._references, definitions = models_json_schema(list(wanted), ref_template=REFERENCE + "{model}")
        self._all: dict[str, Any] = definitions.get("$defs", {})

    def reference(self, model: Model, mode: Mode) -> dict[str, Any]:
        """Return what points at a model."""
        return dict(self._references[model, mode])

    def properties(self, model: Model) -> tuple[dict[str, Any], set[str]]:
        """Return the schemas of a model's fields, and which of them are required."""
        schema = self._all[self._references[model, "validation"]["$ref"].removeprefix(REFERENCE)]
        return schema.get("properties", {}), set(schema.get("required", ()))

    def components(self) -> dict[str, Any]:
        """Return every schema but those that were taken apart into parameters."""
        apart = {
            self._references[model, "validation"]["$ref"].removeprefix(REFERENCE)
            for model in self._parameters
        }
        return {name: schema for name, schema in sorted(self._all.items()) if name not in apart}


def _models(answers: Iterable[Answers]) -> Iterable[Model]:
    for answer in answers:
        inner = answer[0] if isinstance(answer, list) else answer
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield inner


def _describe(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}_{_identifier(operation.rule)}",
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": _parameters(operation, schemas),
        "responses": _responses(operation, schemas),
        "x-min-role": operation.role.value,
        "security": _security(operation.role),
    }
    body = _body(operation, schemas)
    if body is not None:
        described["requestBody"] = body
    if operation.deprecated:
        described["deprecated"] = True
    return described


def _identifier(rule: str) -> str:
    return re.sub(r"\W+", "_", _PARAMETER.sub(r"\1", rule).removeprefix("/api/v1")).strip("_") or "root"


def _security(role: Role) -> list[dict[str, list[str]]]:
    named: list[dict[str, list[str]]] = [{name: []} for name in _SECURITY_SCHEMES]
    return [{}, *named] if role in _FOR_VISITORS else named


def _parameters(operation: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    in_rule = _PARAMETER.findall(operation.rule)
    path_model = operation.inputs.get("path")
    known = schemas.properties(path_model)[0] if path_model else {}
    parameters = [
        _parameter("path", name, known.get(name, {"type": "string"}), is_required=True) for name in in_rule
    ]
    query_model = operation.inputs.get("query")
    if query_model is not None:
        properties, required = schemas.properties(query_model)
        for name, schema in properties.items():
            parameters.append(_parameter("query", name, schema, is_required=name in required))
    if operation.method == "POST":
        schema = {"type": "string", "maxLength": 255, "description": "Makes the request safe to repeat."}
        parameters.append(_parameter("header", "Idempotency-Key", schema, is_required=False))
    return parameters


def _parameter(place: str, name: str, schema: Mapping[str, Any], *, is_required: bool) -> dict[str, Any]:
    inner = {key: value for key, value in schema.items() if key not in {"description", "title"}}
    described = {"name": name, "in": place, "required": is_required, "schema": inner}
    if "description" in schema:
        described["description"] = schema["description"]
    return described


def _body(operation: Operation, schemas: _Schemas) -> dict[str, Any] | None:
    if operation.consumes:
        content = {kind: {"schema": _FORM if kind == MULTIPART else _BINARY} for kind in operation.consumes}
        return {"required": True, "content": content}
    if "body" in operation.inputs:
        model = operation.inputs["body"]
        is_needed = any(item.is_required() for item in model.model_fields.values())
        return {"required": is_needed, "content": {JSON: {"schema": schemas.reference(model, "validation")}}}
    if "form" in operation.inputs:
        schema = {"schema": schemas.reference(operation.inputs["form"], "validation")}
        kinds = ("application/x-www-form-urlencoded", MULTIPART)
        return {"required": True, "content": dict.fromkeys(kinds, schema)}
    return None


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in sorted(operation.answers.items()):
        responses[str(status)] = {"description": HTTPStatus(status).phrase, **_content(answer, schemas)}
    problem = {"schema": schemas.reference(Problem, "serialization")}
    responses["default"] = {
        "description": "A problem; `error_code` says which.",
        "content": {PROBLEM_JSON: problem},
    }
    return responses


def _content(answer: Answers, schemas: _Schemas) -> dict[str, Any]:
    if answer is None:
        return {}
    if isinstance(answer, str):
        return {"content": {answer: {"schema": {"type": "string", "format": "binary"}}}}
    if isinstance(answer, list):
        link = {"description": 'Where the next page is: `rel="next"`.', "schema": {"type": "string"}}
        rows = {"type": "array", "items": schemas.reference(answer[0], "serialization")}
        return {"content": {JSON: {"schema": rows}}, "headers": {"Link": link}}
    return {"content": {JSON: {"schema": schemas.reference(answer, "serialization")}}}
