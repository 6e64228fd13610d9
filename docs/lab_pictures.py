"""Take the READMEs' pictures of the lab again: python docs/lab_pictures.py

Headless Chromium looks at a server of its own; three views in both languages, with few colours, so that each is small.
"""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from normlab.lab.application import application
from normlab.lab.serving import Server, bound, one_thread

FOLDER = Path(__file__).resolve().parent
WIDTH, HEIGHT, COLOURS = 1200, 780, 128
PATIENCE_MS = 120_000


@contextmanager
def served() -> Iterator[str]:
    """A server in a thread; its address."""
    one, ready = bound(0, "127.0.0.1"), threading.Event()
    server = Server(application(), ready.set)
    thread = threading.Thread(target=server.run, args=([one],))
    with one_thread():
        thread.start()
        ready.wait()
        yield f"http://127.0.0.1:{one.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def deeper(page: Any) -> None:
    """Five layers become eight, so that the run before is seen as well."""
    page.locator("[name=layers]").fill("8")
    page.keyboard.press("Enter")
    page.wait_for_selector("#row-0-8")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(1000)


def pointed(page: Any) -> None:
    """A cell is pointed at: its set is lifted."""
    page.locator(".live-board [role=option]").nth(5).hover()
    page.wait_for_timeout(400)


def raced(page: Any) -> None:
    """A race is run to its end."""
    page.locator("#race-go").click()
    page.wait_for_selector("#race-save:not([hidden])", timeout=PATIENCE_MS)
    page.evaluate("document.activeElement.blur()")
    page.locator("#race .numbers").evaluate("one => scrollTo(0, one.getBoundingClientRect().top + scrollY - 108)")
    page.wait_for_timeout(400)


VIEWS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "ladder": ("/", deeper), "share": ("/share", pointed), "train": ("/train", raced),
}  # fmt: skip


def main() -> None:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, (view, act) in VIEWS.items():
            for lang, end in (("en", ".png"), ("ko", ".ko.png")):
                size = {"width": WIDTH, "height": HEIGHT}
                page = browser.new_page(viewport=size, locale={"en": "en-US", "ko": "ko-KR"}[lang])
                page.goto(address + view)
                page.wait_for_selector("html.scripted")
                act(page)
                shot = Image.open(io.BytesIO(page.screenshot()))
                file = FOLDER / f"lab-{name}{end}"
                shot.convert("RGB").quantize(COLOURS).save(file, optimize=True)
                print(f"docs/{file.name} {file.stat().st_size:,} bytes")
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
