"""A race of the lab as a page sees it: begun by a request, followed by its stream, ordered about."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx

PATIENCE_S = 30.0
# Two arms, two seeds, three rates: twelve networks of 20 units, a few thousandths of a second a step.
SMALL = {"a": "none", "b": "bn", "c": "", "layers": 3, "width": 20, "batch": 20, "steps": 60, "seeds": 2}
LONG = {**SMALL, "steps": 2000}


def until(true: Callable[[], Any], what: str) -> Any:
    """Wait until something holds; the patience is for a machine that is busy with other things."""
    end = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.005)
    return found


def threads() -> set[str]:
    """The races that have a thread."""
    found = {thread.name for thread in threading.enumerate() if thread.is_alive()}
    return {name.removeprefix("normlab-race-") for name in found if name.startswith("normlab-race-")}


class Page:
    """A client of the server, and the races that it begins."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=PATIENCE_S)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """One order."""
        return self.http.post(path, json={} if body is None else body)

    def start(self, state: dict[str, Any], **more: Any) -> str:
        """Begin a race; its id."""
        answer = self.post("/api/train/start", {"state": state, **more})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["run"])

    @contextmanager
    def events(self, run: str) -> Iterator[Iterator[dict[str, Any]]]:
        """The messages of a race, as they come."""
        with self.http.stream("GET", f"/api/train/{run}/events") as stream:
            assert stream.status_code == 200 and stream.headers["content-type"].startswith("text/event-stream")
            yield (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))

    def to_the_end(self, state: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
        """Begin a race and look on until it has ended: its id and all messages."""
        run = self.start(state)
        with self.events(run) as messages:
            return run, list(messages)


class Onlooker:
    """Follows a race in a thread of its own, as a page does, so that the test can give orders meanwhile."""

    def __init__(self, page: Page, run: str) -> None:
        self.page, self.run, self.messages = page, run, list[dict[str, Any]]()
        self._client = Page(str(page.http.base_url))
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        with suppress(httpx.RemoteProtocolError), self._client, self._client.events(self.run) as messages:
            for message in messages:  # a server that ends breaks it off
                self.messages.append(message)

    def order(self, verb: str) -> httpx.Response:
        """One of the four keys."""
        return self.page.post(f"/api/train/{self.run}/{verb}")

    @property
    def latest(self) -> dict[str, Any]:
        """State and step of the latest message."""
        return {"state": "", "step": 0, **(self.messages[-1] if self.messages else {})}

    def see(self, state: str, step: int | None = None) -> dict[str, Any]:
        """Wait for a state, and a step."""
        return until(
            lambda: self.latest["state"] == state and (step is None or self.latest["step"] == step) and self.latest,
            f"{state} at {step}, last seen {self.latest['state']} at {self.latest['step']}",
        )

    def closed(self) -> None:
        """Wait until the server has ended the stream."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@contextmanager
def onlooker(page: Page, state: dict[str, Any], **more: Any) -> Iterator[Onlooker]:
    """A race with somebody who looks on, and no race afterwards."""
    found = Onlooker(page, page.start(state, **more))
    try:
        yield found
    finally:
        found.order("stop")
        until(lambda: found.run not in threads(), "the race's thread ends")
