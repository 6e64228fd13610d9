"""Chromium through Playwright, for tests that use the lab as a person does; what goes wrong on a page is collected."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from browser import chromium

PATIENCE_S = 30.0
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")  # while Playwright is started, no other test of the thread can have an event loop
def browser() -> Iterator[Any]:
    """One Chromium for the tests of a file; skips, with the reason, where there is none."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


def until(page: Any, expression: str) -> None:
    """Wait until the expression holds; Playwright's own way would evaluate text in the page, which its policy forbids."""
    end = time.monotonic() + PATIENCE_S
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{expression} never came"
        page.wait_for_timeout(15)


def settle(page: Any) -> None:
    """Wait until every question has been answered and drawn."""
    until(page, "!document.getElementById('output').hasAttribute('aria-busy')")


class Watched:
    """A page, and everything that it asked for or complained about."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        page.on("pageerror", lambda problem: self.complaints.append(str(problem)))

    def foreign(self) -> list[str]:
        """The requests that left the origin."""
        own = urlsplit(self.address).netloc
        return [url for url in self.requests if urlsplit(url).netloc != own and not url.startswith(("data:", "blob:"))]

    def open(self, path: str = "/") -> Any:
        """Load a view and wait until its script has taken over; the page itself."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector("html.scripted")
        return self.page


@contextmanager
def watched(browser: Any, address: str, *, width: int = 1280, height: int = 900, **context: Any) -> Iterator[Watched]:
    """A fresh page in a context of its own: `locale`, `color_scheme`, `java_script_enabled` and so on go to Playwright."""
    context.setdefault("locale", "en-US")
    own = browser.new_context(viewport={"width": width, "height": height}, **context)
    try:
        yield Watched(own.new_page(), address)
    finally:
        own.close()
