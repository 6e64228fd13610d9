"""Chromium over its own pipe, for tests that look at a page as a reader does: without script, without network.

No driver package: `--remote-debugging-pipe` reads and writes JSON on two file descriptors, messages end with a zero.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 60.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--remote-debugging-pipe",
)  # fmt: skip


def chromium() -> str:
    """The browser's path; skips the test, with the reason, where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return found


class Page:
    """One page in a browser of its own; every request that it makes is kept in `requests`."""

    def __init__(self, *, width: int = 1200, script: bool = False, dark: bool = False) -> None:
        browser = chromium()
        self._folder = tempfile.mkdtemp(prefix="normlab-chromium-")
        from_us, self._write = os.pipe()
        self._read, to_us = os.pipe()
        size = f"--window-size={width},900"
        command = [browser, *FLAGS, size, f"--user-data-dir={self._folder}", "about:blank"]

        # The browser expects its two ends as descriptors 3 and 4; a shell puts them there.
        plumb = f'exec 3<&{from_us} 4>&{to_us}; exec "$0" "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", plumb, *command],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        self._buffer, self._last, self._session = b"", 0, ""
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def __enter__(self) -> Page:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])

    def open(self, path: Path) -> None:
        """Load a file from disk and wait until it has loaded."""
        self.call("Page.navigate", url=path.as_uri())
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def visible_text(self) -> str:
        """What a screen reader is told, in the page's order; what is hidden is not in it."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        texts = [
            n["name"]["value"] for n in nodes if n.get("role", {}).get("value") == "StaticText" and not n["ignored"]
        ]
        return "\n".join(texts)

    def click(self, selector: str) -> None:
        """Click the middle of the first element that the selector finds."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.scrollIntoViewIfNeeded", nodeId=node)
        corner = self.call("DOM.getBoxModel", nodeId=node)["model"]["content"]
        place = {"x": (corner[0] + corner[4]) / 2, "y": (corner[1] + corner[5]) / 2, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, **place)

    def style(self, selector: str, name: str) -> str:
        """A computed style."""
        self.call("CSS.enable")
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        found = self.call("CSS.getComputedStyleForNode", nodeId=node)["computedStyle"]
        return next(entry["value"] for entry in found if entry["name"] == name)

    def wide(self) -> tuple[float, float]:
        """The widths of what is shown and of the window, in CSS pixels."""
        found = self.call("Page.getLayoutMetrics")
        return found["cssContentSize"]["width"], found["cssLayoutViewport"]["clientWidth"]

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(end - time.monotonic(), 0))
            assert ready, "Chromium does not answer"
            piece = os.read(self._read, 1 << 16)
            assert piece, "Chromium has gone away"
            self._buffer += piece
        raw, self._buffer = self._buffer.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(raw)
        if answer.get("method") == "Network.requestWillBeSent":
            self.requests.append(answer["params"]["request"]["url"])
        return answer
