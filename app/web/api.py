"""JSON routes: Pydantic models in, one function called, an OpenAPI operation out.

docs/adr/0013 says why this is a module of ours and what the extension that it replaces costs.
"""

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, urlencode

import orjson
import pydantic
from flask import Blueprint, Flask, Response, request
from pydantic import BaseModel

from app.errors import BadRequestError, FieldFault, ValidationError
from app.web import guards
from app.web.bodies import UnsupportedMediaTypeError

API_PREFIX = "/api/v1"
OPERATIONS = "cairn-operations"
JSON = "application/json"
MAX_FAULTS = 50

View = TypeVar("View", bound=Callable[..., Response])
Model = type[BaseModel]
Answers = Model | list[Model] | str | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one route: what the document says and what the view is given.

    Attributes:
        answers: status to shape: a model, a list of one, a media type of raw bytes, or None.
        consumes: media type of a raw body that the view reads itself.
        inputs: the models of ``path``, ``query``, ``body`` and ``form``.
    """

    method: str
    rule: str
    endpoint: str
    tag: str
    role: guards.Role
    summary: str
    description: str
    answers: Mapping[int, Answers]
    consumes: Sequence[str]
    is_change: bool
    inputs: Mapping[str, Model]
    deprecated: bool = False


@dataclass(slots=True)
class ApiBlueprint:
    """The JSON routes of one feature.

    A view takes any of ``path``, ``query``, ``body`` and ``form``, each annotated with a Pydantic
    model, and returns a response. Its docstring is the operation's description.
    """

    name: str
    tag: str
    prefix: str = API_PREFIX
    operations: list[Operation] = field(default_factory=list)
    _views: list[tuple[Operation, Callable[..., Response]]] = field(default_factory=list)

    def get(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Add a route that reads; HEAD comes with it."""
        return self._route("GET", rule, **options)

    def post(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Add a route that creates or acts."""
        return self._route("POST", rule, **options)

    def put(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Add a route that sets."""
        return self._route("PUT", rule, **options)

    def patch(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Add a route that changes the named fields."""
        return self._route("PATCH", rule, **options)

    def delete(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Add a route that removes; idempotent."""
        return self._route("DELETE", rule, **options)

    def register(self, app: Flask) -> None:
        """Add the routes to the application and its document."""
        blueprint = Blueprint(f"api_{self.name}", __name__, url_prefix=self.prefix or None)
        for operation, view in self._views:
            blueprint.add_url_rule(
                operation.rule.removeprefix(self.prefix),
                endpoint=operation.endpoint,
                view_func=view,
                methods=[operation.method],
            )
        app.register_blueprint(blueprint)
        app.extensions.setdefault(OPERATIONS, []).extend(self.operations)

    def _route(
        self,
        method: str,
        rule: str,
        *,
        role: str,
        summary: str,
        answers: Answers | Mapping[int, Answers] = None,
        status: int | None = None,
        consumes: Sequence[str] = (),
        is_change: bool | None = None,
        deprecated: bool = False,
    ) -> Callable[[View], View]:
        """Return the decorator of one route.

        Args:
            method: the HTTP method.
            rule: Flask's rule below the prefix.
            role: the least role that this needs, named as ``x-min-role``.
            summary: a short sentence for the reference.
            answers: what a success looks like, or a mapping from status to shape.
            status: the status of ``answers``; 200, or 204 where there are none.
            consumes: media types of a raw body that the view reads itself.
            is_change: whether it needs the scope ``api``; every method but GET does by default.
            deprecated: it will go away.
        """

        def decorate(view: View) -> View:
            operation = Operation(
                method=method,
                rule=self.prefix + rule,
                endpoint=f"{view.__name__}_{method.lower()}",
                tag=self.tag,
                role=guards.Role(role),
                summary=summary,
                description=_description(view),
                answers=_by_status(answers, status),
                consumes=consumes,
                is_change=method != "GET" if is_change is None else is_change,
                inputs=_inputs(view),
                deprecated=deprecated,
            )
            self.operations.append(operation)
            self._views.append((operation, _bound(operation, view)))
            return view

        return decorate


def json_answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response: a model, a sequence of models, or anything that orjson writes."""
    return Response(dump_json(content), status, headers, mimetype=JSON)


def empty_answer(headers: Mapping[str, str] | None = None) -> Response:
    """Return 204: done, and there is nothing to say."""
    return Response(b"", 204, headers)


def created_answer(content: object, location: str) -> Response:
    """Return 201 with the address of what was made."""
    return json_answer(content, 201, {"Location": location})


def page_answer(
    rows: Sequence[object], next_cursor: str | None, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return one page as a bare array; ``Link: rel="next"`` says where the next one is."""
    response = json_answer(rows, headers=headers)
    if next_cursor is not None:
        add_link(response, address_with(cursor=next_cursor), "next")
    return response


def add_link(response: Response, address: str, relation: str) -> None:
    """Say where something related is, in the one ``Link`` header: some clients read only the first."""
    others = response.headers.get("Link")
    link = f'<{address}>; rel="{relation}"'
    response.headers["Link"] = f"{others}, {link}" if others else link


def address_with(**parameters: str) -> str:
    """Return the address of this request with some query parameters replaced."""
    query = parse_qsl(request.query_string.decode("utf-8", "replace"), keep_blank_values=True)
    kept = [(key, value) for key, value in query if key not in parameters]
    return f"{request.base_url}?{urlencode([*kept, *parameters.items()])}"


def dump_json(content: object) -> bytes:
    """Return content as JSON; moments are UTC and end in Z."""
    if isinstance(content, BaseModel):
        return content.model_dump_json().encode()
    if isinstance(content, Sequence) and content and all(isinstance(row, BaseModel) for row in content):
        return b"[" + b",".join(row.model_dump_json().encode() for row in content) + b"]"
    return orjson.dumps(content, default=_plain, option=orjson.OPT_UTC_Z)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _bound(operation: Operation, view: Callable[..., Response]) -> Callable[..., Response]:
    """Return the function that Flask calls: guard, parse, call."""
    role, is_change = operation.role, operation.is_change
    path = operation.inputs.get("path")
    readers = [(name, _READERS[name](model)) for name, model in operation.inputs.items() if name != "path"]
    media_types = operation.consumes

    def run(**values: Any) -> Response:
        guards.require(role, is_change=is_change)
        if media_types:
            _refuse_other_media(media_types)
        arguments: dict[str, BaseModel] = {name: read() for name, read in readers}
        if path is not None:
            arguments["path"] = _validated(path, values, "/path")
        return view(**arguments)

    run.__name__ = view.__name__
    return run


def _query_reader(model: Model) -> Callable[[], BaseModel]:
    lists = {name for name, item in model.model_fields.items() if _is_list(item.annotation)}
    names = [(name, item.alias or name) for name, item in model.model_fields.items()]

    def read() -> BaseModel:
        sent = request.args
        values: dict[str, object] = {}
        if sent:
            for name, key in names:
                if key in sent:
                    values[key] = sent.getlist(key) if name in lists else sent[key]
        return _validated(model, values, "/query")

    return read


def _body_reader(model: Model) -> Callable[[], BaseModel]:
    def read() -> BaseModel:
        raw = request.get_data(cache=False)
        if raw and not request.is_json:
            raise UnsupportedMediaTypeError(f"send the body as {JSON}")
        try:
            return model.model_validate_json(raw or b"{}")
        except pydantic.ValidationError as error:
            raise _refusal(error, "") from error

    return read


def _form_reader(model: Model) -> Callable[[], BaseModel]:
    lists = {name for name, item in model.model_fields.items() if _is_list(item.annotation)}

    def read() -> BaseModel:
        values: dict[str, object] = {
            name: request.form.getlist(name) if name in lists else request.form[name]
            for name in request.form
            if name != guards.CSRF_FIELD
        }
        return _validated(model, values, "")

    return read


_READERS: Mapping[str, Callable[[Model], Callable[[], BaseModel]]] = {
    "query": _query_reader,
    "body": _body_reader,
    "form": _form_reader,
}


def _validated(model: Model, values: Mapping[str, object], place: str) -> BaseModel:
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise _refusal(error, place) from error


def _refusal(error: pydantic.ValidationError, place: str) -> BadRequestError | ValidationError:
    """Return what to tell the client; the values it sent are not repeated."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    if any(detail["type"] == "json_invalid" for detail in details):
        return BadRequestError("the body is not valid JSON", code="invalid_json")
    faults = [
        FieldFault("/".join([place, *(_escaped(part) for part in detail["loc"])]), detail["msg"])
        for detail in details[:MAX_FAULTS]
    ]
    first = faults[0]
    return ValidationError(f"{first.pointer.rpartition('/')[2] or 'the body'}: {first.detail}", faults)


def _escaped(part: str | int) -> str:
    """Return one reference token of a JSON pointer (RFC 6901 §3)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _refuse_other_media(allowed: Sequence[str]) -> None:
    if "*/*" not in allowed and request.mimetype not in allowed:
        raise UnsupportedMediaTypeError(f"send the body as {' or '.join(allowed)}")


def _inputs(view: Callable[..., Response]) -> Mapping[str, Model]:
    hints = get_type_hints(view)
    hints.pop("return", None)
    known = {"path", *_READERS}
    if not hints.keys() <= known:
        raise TypeError(f"{view.__name__} takes parameters other than {sorted(known)}")
    return hints


def _by_status(answers: Answers | Mapping[int, Answers], status: int | None) -> Mapping[int, Answers]:
    if isinstance(answers, Mapping):
        return answers
    return {status or (204 if answers is None else 200): answers}


def _is_list(annotation: object) -> bool:
    options: Iterable[object] = (annotation,)
    if get_origin(annotation) in {Union, types.UnionType}:
        options = get_args(annotation)
    return any(get_origin(option) in {list, tuple, set, frozenset} for option in options)


def _description(view: Callable[..., Response]) -> str:
    return " ".join(line.strip() for line in (view.__doc__ or "").splitlines()).strip()
