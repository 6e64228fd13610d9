"""From a port to a page: a socket that is ours, uvicorn on it, and the browser once it answers."""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import os
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import uvicorn

from ..errors import ReadWriteError
from .application import application
from .guarding import LOOPBACK

__all__ = ["USUAL_PORT", "Server", "bound", "link", "one_thread", "serve"]

USUAL_PORT = 8421
TRIED = 20  # ports from the usual one on, before any free one is taken
GRACE_S = 1  # for streams that are open when Ctrl-C comes


class Server(uvicorn.Server):
    """uvicorn, which says when it answers."""

    def __init__(self, app: Any, answers: Callable[[], None] | None = None) -> None:
        super().__init__(uvicorn.Config(
            app, log_level="warning", access_log=False, ws="none", server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        ))  # fmt: skip
        self._answers = answers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._answers is not None and self.started:
            self._answers()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self.config.app.state.pool.end)  # type: ignore[union-attr]  # before streams are cut
        await super().shutdown(sockets)


def serve(
    port: int | None, host: str, *, open_browser: bool, lang: str | None = None,
    ready: Callable[[str, int], None] | None = None,
) -> None:  # fmt: skip
    """See `normlab.lab.serve`."""
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    app = application(token=token, hosts=(*LOOPBACK, host))  # first: it loads what `one_thread` must find
    gc.freeze()  # what was loaded stays: looking through it again and again would hold up a slider
    with bound(port, host) as one, one_thread():
        found = one.getsockname()[1]
        page = link(host, found, token=token, lang=lang)

        def answers() -> None:
            (ready or _print)(page, found)
            if open_browser and has_browser():
                threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

        Server(app, answers).run([one])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound(port: int | None, host: str) -> socket.socket:
    """A socket on the address: on the port asked for, on any free one for 0, on the next free one for None."""
    wanted = [port] if port is not None else [*range(USUAL_PORT, USUAL_PORT + TRIED), 0]
    for one in wanted:
        try:
            return _bind(one, host)
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise ReadWriteError(f"{host}, port {one}: {problem.strerror or problem}.") from problem
    raise ReadWriteError(f"port {port} of {host} is in use.", hint="Leave --port out, and the next free one is taken.")


def _bind(port: int, host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except BaseException:
        made.close()
        raise
    return made


def link(host: str, port: int, **query: str | None) -> str:
    """The address to open; for every address of this machine, the one under which it reaches itself."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return f"http://{shown}:{port}/" + (f"?{asked}" if asked else "")


def has_browser() -> bool:
    """Whether there is a browser with a window: one in this terminal would hold it."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS on one thread for as long as the server runs: two computations would take turns in setting it."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def _print(page: str, port: int) -> None:
    print(page, flush=True)
