"""How long a person waits on the lab's page, in headless Chromium: first verdict, slider to pixels, language switch.

    .venv/bin/python benchmarks/lab.py

Prints medians, 95th percentiles and largest values, with processor and versions. The server runs in a process of its
own, as `normlab lab` does. A move counts from the slider's event to the end of the frame that shows the new drawing;
every move has another seed, so that none has been computed before.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import sync_playwright

from normlab.result import machine, versions

LOADS, MOVES, SWITCHES = 20, 40, 20
# The task after a frame's callbacks: by then the frame has been drawn.
FRAMES = """
const frame = () => new Promise((go) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = go;
  channel.port2.postMessage(0);
}));
"""
SLIDE = FRAMES + """
const shown = () => new Promise((go) => document.addEventListener("lab:shown", go, {once: true}));
const slider = document.querySelector("input.slider[data-for=layers]");
const found = [];
for (let k = 0; k < moves; k++) {
  slider.value = 5 + (k * 7) % 16;
  document.querySelector("[name=seed]").value = k + 1;
  const began = performance.now(), done = shown();
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  await done;
  await frame();
  found.push(performance.now() - began);
}
return found;
"""
SWITCH = FRAMES + """
const found = [];
for (let k = 0; k < switches; k++) {
  const began = performance.now();
  document.querySelector(`label[for=lang-${k % 2 ? "en" : "ko"}]`).click();
  await frame();
  found.push(performance.now() - began);
}
return found;
"""


def summary(name: str, found_ms: Sequence[float]) -> str:
    """Median, 95th percentile and the largest."""
    ordered = sorted(found_ms)
    at = [ordered[min(round(share * (len(ordered) - 1)), len(ordered) - 1)] for share in (0.5, 0.95, 1.0)]
    return f"{name:<44} median {at[0]:7.1f} ms   p95 {at[1]:7.1f} ms   largest {at[2]:7.1f} ms   n {len(ordered)}"


@contextmanager
def server() -> Iterator[str]:
    """`normlab lab` in a process of its own; its address."""
    command = [sys.executable, "-m", "normlab", "lab", "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)


def loading(browser: Any, address: str) -> float:
    """From the click on a link to the verdict on the screen, in a browser that has never been there."""
    context = browser.new_context()
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("#output .verdict")
    spent = (time.perf_counter() - began) * 1e3
    context.close()
    return spent


def main() -> None:
    with server() as address, sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        print(machine(), versions(), f"Chromium {browser.version}")
        loads = [loading(browser, address) for _ in range(LOADS + 1)]
        print(f"first verdict, the server just started       {loads[0]:.1f} ms")
        print(summary("first verdict, later", loads[1:]))
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector("html.scripted")
        moves = page.evaluate(f"async (moves) => {{ {SLIDE} }}", MOVES)
        print(summary("slider to pixels, depth 5 to 20, batch 256", moves))
        before = len(asked)
        switches = page.evaluate(f"async (switches) => {{ {SWITCH} }}", SWITCHES)
        print(summary(f"language switch, {len(asked) - before} requests", switches))
        browser.close()


if __name__ == "__main__":
    main()
