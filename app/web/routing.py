"""URL converters: a dataset by id or full path, and the rest of a path as it is."""

from flask import Flask
from werkzeug.routing import BaseConverter


class DatasetConverter(BaseConverter):
    """A dataset's integer id, or its full path ``namespace/name`` of any depth.

    The shortest path that lets the rest of the rule match wins, so a decoded ``%2F`` and a raw
    slash are the same. A name never begins with a digit, so an id is never a path.
    """

    regex = r"\d+|[^/\d][^/]*(?:/[^/]+)+?"
    part_isolating = False
    weight = 150


class AnyPathConverter(BaseConverter):
    """Everything that follows, empty or not, with any number of leading slashes."""

    regex = r"[\s\S]*"
    part_isolating = False
    weight = 300


def install(app: Flask) -> None:
    """Add the converters; slashes are significant, because a file may be named after one."""
    app.url_map.converters["dataset"] = DatasetConverter
    app.url_map.converters["anypath"] = AnyPathConverter
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
