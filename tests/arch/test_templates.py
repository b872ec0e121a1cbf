"""Templates and scripts keep the strict content security policy (style.md 26-29)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "app" / "static").rglob("*.js"))
STYLES = sorted((ROOT / "app" / "static").rglob("*.css"))

FORBIDDEN_IN_TEMPLATES = {
    "an inline style": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style\b", re.IGNORECASE),
    "an inline script": re.compile(r"<script\b(?![^>]*\bsrc=)", re.IGNORECASE),
    "an event attribute": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "unescaped output": re.compile(r"\|\s*safe\b|autoescape\s+false", re.IGNORECASE),
    "a javascript address": re.compile(r"javascript:", re.IGNORECASE),
    "a foreign origin": re.compile(r"""(?:src|href|action)\s*=\s*["'](?:https?:)?//""", re.IGNORECASE),
}
FORBIDDEN_IN_SCRIPTS = {
    "innerHTML": re.compile(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write)\b"),
    "eval": re.compile(r"\beval\s*\(|new\s+Function\s*\("),
    "a foreign module": re.compile(r"""(?:from|import)\s*\(?\s*["']https?:"""),
}
FORBIDDEN_IN_STYLES = {
    "a foreign address": re.compile(r"url\(\s*[\"']?(?:https?:)?//|@import\s+url\(\s*[\"']?https?:"),
    "!important": re.compile(r"!important"),
}
_COMMENT = re.compile(r"/\*.*?\*/|\{#.*?#\}|<!--.*?-->", re.DOTALL)


def _faults(text: str, rules: dict[str, re.Pattern[str]]) -> list[str]:
    plain = _COMMENT.sub("", text)
    return [name for name, pattern in rules.items() if pattern.search(plain)]


def _shown(paths):
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


@pytest.mark.parametrize("path", _shown(TEMPLATES))
def test_a_template_keeps_the_policy(path):
    assert _faults(path.read_text(encoding="utf-8"), FORBIDDEN_IN_TEMPLATES) == []


@pytest.mark.parametrize("path", _shown(SCRIPTS))
def test_a_script_keeps_the_policy(path):
    assert _faults(path.read_text(encoding="utf-8"), FORBIDDEN_IN_SCRIPTS) == []


@pytest.mark.parametrize("path", _shown(STYLES))
def test_a_style_keeps_the_policy(path):
    assert _faults(path.read_text(encoding="utf-8"), FORBIDDEN_IN_STYLES) == []


@pytest.mark.parametrize("path", _shown(TEMPLATES))
def test_every_form_that_changes_something_carries_the_token(path):
    text = path.read_text(encoding="utf-8")
    forms = re.findall(r"<form\b[^>]*method=[\"']post[\"'].*?</form>", text, re.IGNORECASE | re.DOTALL)

    assert [form[:80] for form in forms if "csrf" not in form] == []


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ('<p style="x">', FORBIDDEN_IN_TEMPLATES),
        ("<style>", FORBIDDEN_IN_TEMPLATES),
        ("<script>x()</script>", FORBIDDEN_IN_TEMPLATES),
        ('<a onclick="x()">', FORBIDDEN_IN_TEMPLATES),
        ("{{ x | safe }}", FORBIDDEN_IN_TEMPLATES),
        ('<a href="javascript:x()">', FORBIDDEN_IN_TEMPLATES),
        ('<img src="//cdn.example/x">', FORBIDDEN_IN_TEMPLATES),
        ("a.innerHTML = b", FORBIDDEN_IN_SCRIPTS),
        ("eval(x)", FORBIDDEN_IN_SCRIPTS),
        ('import x from "https://cdn.example/x.js"', FORBIDDEN_IN_SCRIPTS),
        ("a { background: url(https://x) }", FORBIDDEN_IN_STYLES),
        ("a { color: red !important }", FORBIDDEN_IN_STYLES),
    ],
)
def test_each_kind_of_violation_is_caught(text, rules):
    assert len(_faults(text, rules)) == 1
