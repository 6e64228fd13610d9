"""The lab's server for tests: in a thread of this process on a free port, or without any port at all."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from normlab.lab.application import application
from normlab.lab.serving import Server, bound, one_thread

PATIENCE_S = 30.0
ORIGIN = "http://127.0.0.1"


@contextmanager
def serving(app: Any = None) -> Iterator[str]:
    """The address of a running server, without a slash at its end."""
    ready, one = threading.Event(), bound(0, "127.0.0.1")
    server = Server(application() if app is None else app, ready.set)
    thread = threading.Thread(target=server.run, args=([one],), daemon=True)
    with one_thread():
        thread.start()
        try:
            assert ready.wait(PATIENCE_S), "the server does not start"
            yield f"{ORIGIN}:{port_of(one)}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)
            one.close()
    assert not thread.is_alive(), "the server does not end"


def port_of(one: socket.socket) -> int:
    """The port that a socket is bound to."""
    return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def lab_address() -> Iterator[str]:
    """A server for the tests of one file."""
    with serving() as address:
        yield address


class Client:
    """Asks the application without a port: for many small questions."""

    def __init__(self, app: Any = None, base: str = ORIGIN) -> None:
        self._app, self._base = application() if app is None else app, base

    def ask(self, method: str, path: str, **rest: Any) -> httpx.Response:
        """One request."""
        return self.many([(method, path, rest)])[0]

    def get(self, path: str, **rest: Any) -> httpx.Response:
        """A page."""
        return self.ask("GET", path, **rest)

    def post(self, path: str, **rest: Any) -> httpx.Response:
        """An answer; `json=` is the body."""
        return self.ask("POST", path, **rest)

    def many(self, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Several requests, one after the other."""

        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url=self._base) as client:
                return [await client.request(method, path, **rest) for method, path, rest in requests]

        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop already, Playwright's
            return thread.submit(asyncio.run, run()).result()
