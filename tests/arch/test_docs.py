"""The pages for readers tell the truth about what can be checked: tests, files, modules, commands."""

import re
from pathlib import Path

import pytest

from app.cli import main as server
from cairn.cli import main as client

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TESTS = {
    name
    for file in (ROOT / "tests").rglob("*.py")
    for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
}
CODE = re.compile(r"```(?:console|sh|ini)\n.*?```|`[^`\n]+`", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_every_test_that_the_design_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", text_of(ROOT / "docs/design.md")))
    assert named
    assert named - TESTS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(text_of(page)) if not (page.parent / link).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    pages = {page.name for page in (ROOT / "docs/adr").glob("0*.md")}
    assert set(LINK.findall(text_of(ROOT / "docs/adr/README.md"))) == pages


def test_every_module_that_the_design_names_exists() -> None:
    folders = (
        text_of(ROOT / "docs/design.md").partition("## Folders")[2].partition("```\n")[2].partition("```")[0]
    )
    engine = folders.partition("app/ ")[0]
    assert [
        name for name in re.findall(r"(\w+\.py)\b", engine) if not (ROOT / "gitops" / name).exists()
    ] == []


@pytest.mark.parametrize(("word", "known"), [("cairn", client), ("cairn-server", server)])
def test_every_command_that_the_pages_show_exists(word: str, known) -> None:
    code = (found for page in PAGES for found in CODE.findall(text_of(page)))
    shown = {
        name
        for found in code
        for name in re.findall(rf"(?:^|[`$&|/] ?){word} ([a-z][a-z-]+)", found, re.MULTILINE)
    }
    assert shown
    assert shown - set(known.list_commands(None)) == set()
