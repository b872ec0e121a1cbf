"""A dataset's README as safe HTML: Markdown without raw HTML, cleaned again, links kept inside. Pure.

Two independent walls: markdown-it-py (CommonMark 0.31 with tables) escapes raw HTML, and nh3
lets through only the listed elements and attributes. Addresses are rewritten before either.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from posixpath import normpath
from urllib.parse import unquote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

MAX_README_CHARACTERS = 200_000
_FRONT_MATTER = re.compile(r"\A---\r?\n.*?\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_ELEMENTS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
    *("em", "strong", "s", "a", "img", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}}
_OUTSIDE = frozenset({"http", "https", "mailto"})
_LAST_HEADING = 6


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where relative links and pictures of a README lead; None for a picture that is not shown."""

    file: Callable[[str], str]
    picture: Callable[[str], str | None]


def render_readme(text: str, addresses: Addresses) -> Markup:
    """Return a README as HTML that may stand in a page.

    Headings move one level down, as the page has its own ``h1``. Pictures are shown only from the
    dataset itself; any other becomes its description.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = parser.parse(_FRONT_MATTER.sub("", text, count=1)[:MAX_README_CHARACTERS])
    for token in tokens:
        _adapt(token, addresses)
    html = parser.renderer.render(tokens, parser.options, {})
    clean = nh3.clean(
        html,
        tags=_ELEMENTS,
        attributes=_ATTRIBUTES,
        url_schemes=set(_OUTSIDE),
        link_rel="nofollow noopener noreferrer",
    )
    return Markup(clean)  # noqa: S704 - cleaned on the line above; the only place that marks HTML as safe


def _adapt(token: Token, addresses: Addresses) -> None:
    if token.type in {"heading_open", "heading_close"}:
        token.tag = f"h{min(int(token.tag[1]) + 1, _LAST_HEADING)}"
    if token.type == "link_open":
        token.attrs["href"] = _link(str(token.attrs.get("href", "")), addresses)
    for child in token.children or ():
        _adapt(child, addresses)
    if token.children:
        token.children = [_picture(child, addresses) for child in token.children]


def _link(href: str, addresses: Addresses) -> str:
    scheme = href.partition(":")[0].casefold()
    if scheme in _OUTSIDE or href.startswith("#"):
        return href
    inside = inside_path(href)
    return addresses.file(inside) if inside else "#"


def _picture(token: Token, addresses: Addresses) -> Token:
    """Return the picture with its address in the dataset, or its description as text."""
    if token.type != "image":
        return token
    inside = inside_path(str(token.attrs.get("src", "")))
    address = addresses.picture(inside) if inside else None
    if address:
        token.attrs["src"] = address
        return token
    described = Token("text", "", 0)
    described.content = token.content
    return described


def inside_path(href: str) -> str | None:
    """Return the path in the dataset that a relative address means, or None for anything else."""
    try:
        parts = urlsplit(href)
    except ValueError:  # such as http://[
        return None
    if parts.scheme or parts.netloc or not parts.path or href.startswith("//"):
        return None
    path = normpath(unquote(parts.path).lstrip("/"))
    return None if path.startswith("..") or path == "." or "\0" in path else path
