"""The real service in its own process, driven by Debian's Chromium."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TOKEN = "cairn-browser-test-token-0123456789"
PASSWORD = "correct horse battery staple"
START_S = 60


@dataclass(frozen=True)
class Site:
    """A running service with people in it."""

    url: str

    def call(self, method: str, path: str, body: object = None, *, token: str = TOKEN) -> object:
        data = None if body is None else json.dumps(body).encode()
        headers = {"PRIVATE-TOKEN": token, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def put(self, path: str, content: bytes) -> object:
        headers = {"PRIVATE-TOKEN": TOKEN, "Content-Length": str(len(content))}
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", content, headers, method="PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


@dataclass
class Watch:
    """What the browser complained about."""

    complaints: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("service")
    bind = f"127.0.0.1:{_free_port()}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    own = {"CAIRN_HOME": str(home / "var"), "CAIRN_BIND": bind, "CAIRN_ADMIN_TOKEN": TOKEN}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=ROOT,
            env={**kept, **own, "HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    until = time.monotonic() + START_S
    while not _is_ready(f"http://{bind}") and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    if not _is_ready(f"http://{bind}"):
        process.kill()
        process.wait()
        pytest.fail(f"the service did not start:\n{(home / 'log').read_text()[-4000:]}")
    started = Site(f"http://{bind}")
    for name in ("marta", "jonas"):
        person = {"username": name, "password": PASSWORD, "is_admin": name == "marta"}
        started.call("POST", "users", person)
    yield started
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


MakeContext = Callable[..., BrowserContext]


@pytest.fixture
def open_context(browser: Browser) -> Iterator[MakeContext]:
    """Return a function that opens a browser window of its own, with the options of Playwright."""
    opened: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        context = browser.new_context(**options)
        context.set_default_timeout(15_000)
        opened.append(context)
        return context

    yield make
    for context in opened:
        context.close()


def sign_in(page: Page, site: Site, username: str = "marta") -> None:
    page.goto(f"{site.url}/login")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/datasets")
