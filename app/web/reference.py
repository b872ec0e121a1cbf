"""The document at ``/api/v1/openapi.json`` and the readable reference at ``/api/docs``."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask import Blueprint, Flask, Response, current_app, redirect, render_template, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from app.web.api import OPERATIONS, ApiBlueprint, json_answer
from app.web.context import services
from app.web.openapi import REFERENCE, build_document

DOCUMENT = "cairn-openapi"
MAX_DEPTH = 6

routes = ApiBlueprint("reference", tag="Service")
pages = Blueprint("reference", __name__)


def install(app: Flask) -> None:
    """Add both; the document is built when it is first asked for."""
    routes.register(app)
    app.register_blueprint(pages)


@routes.get(
    "/openapi.json", role="anonymous", summary="The OpenAPI document", answers={200: "application/json"}
)
def openapi() -> Response:
    """Describe every route of the service (OpenAPI 3.1)."""
    return json_answer(document(), headers={"Cache-Control": "public, no-cache"})


@pages.get("/api")
def find_reference() -> WerkzeugResponse:
    """Lead people who typed the beginning of an address to the reference."""
    return redirect(url_for("reference.show_reference"))


@pages.get("/api/docs")
def show_reference() -> Response:
    """Show the document to people, grouped by tag."""
    known = document()
    groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in known["tags"]}
    for address, methods in known["paths"].items():
        for method, operation in methods.items():
            entry = _entry(address, method, operation, known["components"]["schemas"])
            groups[operation["tags"][0]].append(entry)
    return Response(render_template("api_docs.html", info=known["info"], groups=groups), mimetype="text/html")


def document() -> dict[str, Any]:
    """Return the document of this application."""
    found = current_app.extensions.get(DOCUMENT)
    if found is None:
        found = build_document(
            current_app.extensions[OPERATIONS],
            title="Cairn",
            version=release(),
            server=services().config.public_url,
        )
        current_app.extensions[DOCUMENT] = found
    return dict(found)


def release() -> str:
    """Return the installed version."""
    try:
        return version("cairn")
    except PackageNotFoundError:
        return "0"


def _entry(address: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {})
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "address": address,
        "summary": operation["summary"],
        "description": operation["description"],
        "role": operation["x-min-role"],
        "parameters": [
            {**parameter, "shown": shown_type(parameter["schema"], schemas)}
            for parameter in operation["parameters"]
        ],
        "bodies": [(kind, shown_type(content["schema"], schemas)) for kind, content in body.items()],
        "answers": [
            (status, answer["description"], _shown_content(answer, schemas))
            for status, answer in operation["responses"].items()
            if status != "default"
        ],
    }


def _shown_content(answer: dict[str, Any], schemas: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (kind, shown_type(content["schema"], schemas)) for kind, content in answer.get("content", {}).items()
    ]


def shown_type(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> str:
    """Return a schema as people write types: ``{path: string, size?: integer}``."""
    if depth > MAX_DEPTH:
        return "…"
    if "$ref" in schema:
        return shown_type(schemas[schema["$ref"].removeprefix(REFERENCE)], schemas, depth + 1)
    alternatives = [f'"{value}"' for value in schema.get("enum", ())]
    alternatives += [shown_type(part, schemas, depth + 1) for part in schema.get("anyOf", ())]
    if alternatives:
        return " | ".join(alternatives)
    if schema.get("type") == "array":
        return f"[{shown_type(schema.get('items', {}), schemas, depth + 1)}]"
    if "properties" in schema:
        return _shown_object(schema, schemas, depth)
    return str(schema.get("format") or schema.get("type") or "any")


def _shown_object(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> str:
    required = set(schema.get("required", ()))
    fields = (
        f"{name}{'' if name in required else '?'}: {shown_type(inner, schemas, depth + 1)}"
        for name, inner in schema["properties"].items()
    )
    return "{" + ", ".join(fields) + "}"
