"""URL converters: a dataset by id or full path, and the rest of a path as it is."""

from collections.abc import Collection
from typing import ClassVar

from flask import Flask
from werkzeug.routing import BaseConverter, IntegerConverter, ValidationError


class DatasetConverter(BaseConverter):
    """A dataset's integer id, or its full path ``namespace/name``; a decoded ``%2F`` is a raw slash.

    Namespaces are flat, so where the path ends is never a guess: a file or a tag may be called
    ``manifest``. A name never begins with a digit, so an id is never a path.
    """

    regex = r"\d+|[^/\d][^/]*/[^/]+"
    part_isolating = False
    weight = 150


class IdConverter(IntegerConverter):
    """A number that the database can hold; nothing lies at any other."""

    regex = r"\d{1,18}"


class AnyPathConverter(BaseConverter):
    """Everything that follows, empty or not, with any number of leading slashes."""

    regex = r"[\s\S]*"
    part_isolating = False
    weight = 300


class SlugConverter(BaseConverter):
    """A dataset's name in the address of its page; ``<name>.git`` belongs to git."""

    regex = r"[A-Za-z_][A-Za-z0-9_.-]*"
    weight = 110

    def to_python(self, value: str) -> str:
        """Return the name. Raises ValidationError for what git asks for."""
        if value.casefold().endswith(".git"):
            raise ValidationError
        return value


class NamespaceConverter(BaseConverter):
    """A namespace in the address of a page: never one of the service's own first segments."""

    regex = r"[A-Za-z][A-Za-z0-9_.-]*"
    weight = 120
    reserved: ClassVar[frozenset[str]] = frozenset()

    def to_python(self, value: str) -> str:
        """Return the name. Raises ValidationError for a reserved one."""
        if value.casefold() in self.reserved:
            raise ValidationError
        return value


def add_page_converters(app: Flask, reserved: Collection[str]) -> None:
    """Add what the addresses of pages are made of; pages never shadow the ``reserved`` names."""
    own = type("Namespace", (NamespaceConverter,), {"reserved": frozenset(reserved)})
    app.url_map.converters["namespace"] = own
    app.url_map.converters["slug"] = SlugConverter


def install(app: Flask) -> None:
    """Add the converters; slashes are significant, because a file may be named after one."""
    app.url_map.converters["dataset"] = DatasetConverter
    app.url_map.converters["int"] = IdConverter
    app.url_map.converters["anypath"] = AnyPathConverter
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
