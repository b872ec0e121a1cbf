"""How pages are made: one view model into one template, words for sizes and moments, notices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlencode

from flask import Flask, Response, flash, get_flashed_messages, render_template, request

from app.errors import AppError, MissingError, UnauthenticatedError, ValidationError, status_of
from app.web.context import actor, services
from gitops.errors import GitopsError

NO_STORE = "private, no-store"
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_KILO = 1000
_TEN = 10
_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (30, "day"), (12, "month"))


@dataclass(frozen=True, slots=True)
class FormFault:
    """Why a form was not accepted, in words, and which fields are wrong."""

    message: str
    status: int
    fields: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: AppError | GitopsError) -> "FormFault":
        """Return what the form's page says about an error.

        Raises:
            AppError, GitopsError: the error itself, if the form is not to blame for it.
        """
        status = status_of(error)
        is_elsewhere = isinstance(error, MissingError | UnauthenticatedError)
        if status is None or is_elsewhere or status >= 500:  # noqa: PLR2004 - HTTP's own number
            raise error
        faults = error.faults if isinstance(error, ValidationError) else ()
        fields = {fault.pointer.lstrip("/"): _sentence(fault.detail) for fault in faults}
        return cls(_sentence(str(error)), status, fields, tuple(getattr(error, "paths", ()))[:20])


def install(app: Flask) -> None:
    """Give templates the filters and globals that they use."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        size=size_words,
        count=count_words,
        ago=ago_words,
        utc=utc_words,
        iso=iso_moment,
        plural=plural,
    )
    app.jinja_env.globals.update(here=here, viewer=actor, notices=get_flashed_messages)


def page(template: str, model: object, *, status: int = 200) -> Response:
    """Return a page: the template sees ``page``, its one view model."""
    return Response(render_template(template, page=model), status, mimetype="text/html")


def see_other(target: str, notice: str | None = None) -> Response:
    """Send the browser on after a form was carried out; the notice is shown there, once."""
    if notice:
        flash(notice)
    return Response(b"", 303, {"Location": target, "Cache-Control": NO_STORE})


def here(**changes: str | None) -> str:
    """Return the address of this page with some query parameters replaced, or dropped for None."""
    query = parse_qsl(request.query_string.decode("utf-8", "replace"), keep_blank_values=True)
    kept = [(key, value) for key, value in query if key not in changes]
    added = [(key, value) for key, value in changes.items() if value is not None]
    text = urlencode([*kept, *added])
    path = request.script_root + _quoted(request.path)
    return f"{path}?{text}" if text else path


def size_words(size: int | None) -> str:
    """Return a size as people read it, in decimal units: ``3.1 MB``."""
    if size is None:
        return "unknown"
    if size < _KILO:
        return plural(size, "byte")
    amount, step = size / _KILO, 0
    while round(amount) >= _KILO and step + 1 < len(_UNITS):
        amount, step = amount / _KILO, step + 1
    text = f"{amount:.1f}" if round(amount, 1) < _TEN else f"{amount:,.0f}"
    return f"{text} {_UNITS[step]}"


def count_words(number: int) -> str:
    """Return a number with its thousands apart: ``1,240``."""
    return f"{number:,}"


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 file``, ``1,240 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def ago_words(moment: datetime | None) -> str:
    """Return how long ago, or how soon, a moment is: ``3 hours ago``, ``in 6 days``."""
    if moment is None:
        return "never"
    seconds = (services().clock() - moment).total_seconds()
    number, noun = abs(seconds), "year"
    for length, name in _STEPS:
        if number < length:
            noun = name
            break
        number /= length
    whole = int(number)
    if noun == "second":
        return "just now" if seconds >= 0 else "in a moment"
    return f"{plural(whole, noun)} ago" if seconds >= 0 else f"in {plural(whole, noun)}"


def utc_words(moment: datetime) -> str:
    """Return the exact moment for people: ``2026-03-01 14:05:09 UTC``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso_moment(moment: datetime) -> str:
    """Return the exact moment for machines, as ``<time datetime>`` wants it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _quoted(path: str) -> str:
    return quote(path, safe="/!$&'()*+,:;=@~")
